"""The BG/NBD log-likelihood of weighted patterns with its exact gradient and Hessian in log-parameters.

With R = r + x, the likelihood of one account (Fader, Hardie & Lee 2005, eq. 6) is

    L = Γ(R)/Γ(r) · B(a, b+x)/B(a, b) · αʳ (α+T)^-R · (1 + eᶻ),
    z = ln a − ln(b+x−1) + R ln((α+T)/(α+t_x)),   eᶻ = 0 where x = 0,

so that ln(1 + eᶻ) is the only term that couples the parameters, and 1/(1 + eᶻ) is P(alive). No power is ever taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.patterns import Patterns, systematic
from clv.value.likelihood.rising import RisingSum

_BLOCK = 8_192
#: points × patterns of values alone in one go.
_CELLS = 50_000
#: e to this power is still a number.
_TOP = 700.0


class _Rows(NamedTuple):
    """Pattern columns (times scaled) of one block of work."""

    x: Floats
    recency: Floats
    T: Floats
    weight: Floats


class _Block(NamedTuple):
    """Some rows of repeat buyers, and where in them each frequency begins."""

    rows: slice
    kinds: slice
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]


class _Ends(NamedTuple):
    """Distinct T of all patterns, the weight behind each, and the purchases behind each."""

    T: Floats
    weight: Floats
    bought: Floats


class BetaGeoLikelihood:
    """Log-likelihood of (ln r, ln α, ln a, ln b), times divided by their mean T.

    Parameters
    ----------
    patterns : clv.value.estimation.patterns.Patterns
        Sorted by frequency.
    """

    def __init__(self, patterns: Patterns) -> None:
        self.data = patterns
        self.accounts = float(patterns.weight.sum())
        mean = float(patterns.weight @ patterns.T) / self.accounts
        self._scale = mean if mean > 0 else 1.0
        self.shift = np.array([0.0, np.log(self._scale), 0.0, 0.0])
        self.start = np.log([1.0, 1.0, 1.0, 3.0])
        self._repeats = float(patterns.weight @ patterns.frequency)
        self.constant = -self._repeats * float(np.log(self._scale))
        rows = _Rows(patterns.frequency, patterns.recency / self._scale, patterns.T / self._scale, patterns.weight)
        first = int(np.searchsorted(rows.x, 0.5))
        self._once = _Rows(*(column[:first] for column in rows))
        edges = np.flatnonzero(np.concatenate([[True], rows.x[1:] != rows.x[:-1]]))
        self._x = rows.x[edges]
        self._x_count = np.add.reduceat(rows.weight, edges)
        self._rate = RisingSum(self._x, self._x_count)
        self._ends_of_once = _ends(self._once, patterns.steps, self._scale)
        self._lay_out(_Rows(*(column[first:] for column in rows)), patterns.steps)

    def _lay_out(self, again: _Rows, steps: float | None) -> None:
        """Keep the rows of repeat buyers, and what is known of them whatever the parameters are."""
        self._again = again
        edges = np.flatnonzero(np.concatenate([[len(again.x) > 0], again.x[1:] != again.x[:-1]]))
        self._kinds = again.x[edges]
        counts = np.diff(edges, append=len(again.x))
        self._x_code = np.repeat(np.searchsorted(self._x, self._kinds), counts)
        self._blocks = list(_blocks(edges, len(again.x)))
        more = _ends(again, steps, self._scale)
        self._ends = _Ends(*(np.concatenate(pair) for pair in zip(self._ends_of_once, more, strict=True)))

    def __len__(self) -> int:
        return len(self._again.x)

    def mark(self) -> float:
        """Return the mark of the accounts."""
        return self.data.mark()

    def thinned(self, rows: int) -> BetaGeoLikelihood:
        """Take every k-th repeat buyer, by pattern and in order; all else stays exact.

        Twice the rows asked for: they cost next to nothing, and a nearer start saves an evaluation of all.
        """
        kept = self._again
        part, weight = systematic(kept.weight, 2 * rows)
        thin = object.__new__(BetaGeoLikelihood)
        thin.__dict__.update(self.__dict__)
        thin._lay_out(_Rows(kept.x[part], kept.recency[part], kept.T[part], weight), self.data.steps)
        return thin

    def unidentified(self) -> str | None:
        """Say what cannot be known: without repeat purchases, without time, from one account."""
        if not self._repeats:
            return "no account bought twice, so r, alpha, a and b are not identified"
        if not (self._again.T.max(initial=0.0) > 0):
            return "T is 0 for every repeat buyer, so alpha is not identified"
        if self.accounts <= 1 or len(self._again.x) + len(self._once.x) == 1:
            return "all accounts have one and the same history, so r, alpha, a and b are not identified"
        return None

    def __call__(self, at: Floats) -> Evaluation:
        """Evaluate value, gradient (4,) and Hessian (4, 4)."""
        r, alpha, a, b = (float(value) for value in np.exp(at))
        value, gradient, hessian = self._separable(r, alpha, a, b)
        more, slope, curve = self._coupled(r, alpha, a, b)
        return value + more, gradient + slope, hessian + curve

    def values(self, points: Floats) -> Floats:
        """Evaluate the value alone at many points, shape (n, 4), some thousand cells at a time."""
        out = np.empty(len(points))
        size = max(1, _CELLS // max(len(self._again.x), len(self._once.T), len(self._x), 1))
        for start in range(0, len(points), size):
            rows = slice(start, start + size)
            out[rows] = self._values(*np.exp(points[rows, :, None]).swapaxes(0, 1))
        return out

    def _values(self, r: Floats, alpha: Floats, a: Floats, b: Floats) -> Floats:
        """Return values; parameters have the shape (points, 1)."""
        x, again = self._x, self._again
        value = (gammaln(r + x) - gammaln(r) + gammaln(b + x) - gammaln(b)) @ self._x_count
        value -= (gammaln(a + b + x) - gammaln(a + b)) @ self._x_count
        value += self.accounts * (r * np.log(alpha))[:, 0]
        value -= r[:, 0] * (np.log(alpha + self._once.T) @ self._once.weight)
        odds = (np.log(a) - np.log(np.maximum(b + x - 1, 1e-300)))[:, self._x_code]
        silent, R = np.log(alpha + again.T), r + again.x
        odds += R * (silent - np.log(alpha + again.recency))
        coupled = np.maximum(odds, 0.0)
        coupled += np.log1p(np.exp(-np.abs(odds)))
        return np.asarray(value + (coupled - R * silent) @ again.weight)

    def _separable(self, r: float, alpha: float, a: float, b: float) -> Evaluation:
        """Sum the terms that are functions of x alone, and those of T: all but ln(1 + eᶻ)."""
        n, log_alpha = self.accounts, float(np.log(alpha))
        (rate, rate_1, rate_2), (stay, stay_1, stay_2) = self._rate(r), self._rate(b)
        both, both_1, both_2 = (-term for term in self._rate(a + b))
        wait = fade = less = bend = 0.0  # Σ w ln(α+T), Σ wR u, Σ w u and Σ wR u(1−u) with u = α/(α+T)
        bought = 0.0  # Σ wx ln(α+T)
        for start in range(0, len(self._ends.T), _BLOCK):
            T, weight, counts = (column[start : start + _BLOCK] for column in self._ends)
            late = T + alpha
            logs, part = np.log(late), alpha / late
            wait += float(weight @ logs)
            bought += float(counts @ logs)
            less += float(weight @ part)
            faded = (r * weight + counts) * part
            fade += float(faded.sum())
            bend += float(faded @ (1.0 - part))
        value = rate + stay + both + n * r * log_alpha - r * wait - bought
        by_r = r * (rate_1 + n * log_alpha - wait)
        gradient = np.array([by_r, n * r - fade, a * both_1, b * (stay_1 + both_1)])
        hessian = np.diag(
            [by_r + r * r * rate_2, -bend, gradient[2] + a * a * both_2, gradient[3] + b * b * (stay_2 + both_2)]
        )
        hessian[0, 1] = hessian[1, 0] = r * (n - less)
        hessian[2, 3] = hessian[3, 2] = a * b * both_2
        return value, gradient, hessian

    def _coupled(self, r: float, alpha: float, a: float, b: float) -> Evaluation:
        """Sum ln(1 + eᶻ) over repeat buyers.

        Derivatives of z by ln a and ln b depend on x alone, so that rows are summed by x first.
        """
        below = np.maximum(b + self._kinds - 1, 1e-300)
        odds_x, share = np.log(a) - np.log(below), b / below
        value = slope_r = slope_alpha = cross = bent = rr = ra = aa = 0.0
        by_x = np.zeros((4, len(self._kinds)))  # with g = w·P(gone), k = g·P(alive): of g, k, k ∂z/∂r, k ∂z/∂ln α
        work = np.empty((4, max((block.rows.stop - block.rows.start for block in self._blocks), default=0)))
        for block in self._blocks:
            x, recency, T, weight = (column[block.rows] for column in self._again)
            part = work[:, : len(x)]
            late, early = T + alpha, recency + alpha
            inverse = 1.0 / (late * early)
            silent = np.log(late * late * inverse)  # ln((α+T)/(α+t_x)), which is ∂z/∂r
            R = x + r
            z = np.repeat(odds_x[block.kinds], block.counts)
            z += R * silent
            odds = np.exp(np.minimum(z, _TOP))
            one = odds + 1.0
            value += float(weight @ np.log(one))
            if z.max() > _TOP:
                value += float(weight @ np.maximum(z - _TOP, 0.0))
            alive = 1.0 / one
            gone, both, by_silent, by_alpha = part
            np.multiply(odds, alive, out=gone)
            gone *= weight
            np.multiply(gone, alive, out=both)
            fall = (early - late) * inverse
            fall *= alpha  # α/(α+T) − α/(α+t_x)
            steep = R * fall  # ∂z/∂ln α
            np.multiply(both, silent, out=by_silent)
            np.multiply(both, steep, out=by_alpha)
            by_x[:, block.kinds] += np.add.reduceat(part, block.starts, axis=1)
            slope_r += float(gone @ silent)
            cross += float(gone @ fall)
            rr += float(by_silent @ silent)
            ra += float(by_silent @ steep)
            aa += float(by_alpha @ steep)
            steep *= gone
            slope_alpha += float(steep.sum())
            late += early
            late *= inverse
            bent += float(steep @ late)
        gone, both, by_silent, by_alpha = by_x
        by_b = -float(share @ gone)
        gradient = np.array([r * slope_r, slope_alpha, gone.sum(), by_b])
        hessian = np.array([
            [r * (r * rr + slope_r), r * (ra + cross), r * by_silent.sum(), -r * float(share @ by_silent)],
            [0.0, aa + slope_alpha - alpha * bent, by_alpha.sum(), -float(share @ by_alpha)],
            [0.0, 0.0, both.sum(), -float(share @ both)],
            [0.0, 0.0, 0.0, float((share * share) @ (both + gone)) + by_b],
        ])  # fmt: skip
        return value, gradient, np.triu(hessian) + np.triu(hessian, 1).T


def _blocks(edges: NDArray[np.intp], rows: int) -> Iterator[_Block]:
    """Cut rows that are sorted by frequency into blocks; `edges` says where each frequency begins."""
    for start in range(0, rows, _BLOCK):
        stop = min(start + _BLOCK, rows)
        first, last = int(np.searchsorted(edges, start, side="right")) - 1, int(np.searchsorted(edges, stop))
        starts = np.maximum(edges[first:last] - start, 0)
        yield _Block(slice(start, stop), slice(first, last), starts, np.diff(starts, append=stop - start))


def _ends(rows: _Rows, steps: float | None, scale: float) -> _Ends:
    """Sum weights and purchases by T where times lie on a grid; else every row is its own."""
    bought = rows.weight * rows.x
    if steps is None or rows.T.max(initial=0.0) * scale * steps > 10_000 + 10 * len(rows.T):
        return _Ends(rows.T, rows.weight, bought)
    place = np.rint(rows.T * (scale * steps)).astype(np.intp)
    weight, total = (np.asarray(np.bincount(place, part), dtype=float) for part in (rows.weight, bought))
    kept = np.flatnonzero(weight)
    return _Ends(kept / (scale * steps), weight[kept], total[kept])
