"""The BG/NBD log-likelihood of weighted patterns with its exact gradient and Hessian in log-parameters.

With R = r + x, the likelihood of one account (Fader, Hardie & Lee 2005, eq. 6) is

    L = Γ(R)/Γ(r) · B(a, b+x)/B(a, b) · αʳ (α+T)^-R · (1 + eᶻ),
    z = ln a − ln(b+x−1) + R ln((α+T)/(α+t_x)),   eᶻ = 0 where x = 0,

so that ln(1 + eᶻ) is the only term that couples the parameters, and 1/(1 + eᶻ) is P(alive). No power is ever taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln, zeta

from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.patterns import Patterns, systematic

_BLOCK = 8_192
#: points × patterns of values alone in one go.
_CELLS = 50_000


def _rising(at: float, x: Floats, count: Floats) -> tuple[float, float, float]:
    """Return Σ count · [lnΓ(at+x) − lnΓ(at)] and its first two derivatives by `at`."""
    return (
        float(count @ (gammaln(at + x) - gammaln(at))),
        float(count @ (digamma(at + x) - digamma(at))),
        float(count @ (zeta(2.0, at + x) - zeta(2.0, at))),
    )


@dataclass(frozen=True)
class _Rows:
    """Pattern columns (times scaled) of one block of work."""

    x: Floats
    recency: Floats
    T: Floats
    weight: Floats


class BetaGeoLikelihood:
    """Log-likelihood of (ln r, ln α, ln a, ln b), times divided by their mean T.

    Parameters
    ----------
    patterns : clv.value.estimation.patterns.Patterns
        Sorted by frequency.
    """

    def __init__(self, patterns: Patterns) -> None:
        self.accounts = float(patterns.weight.sum())
        mean = float(patterns.weight @ patterns.T) / self.accounts
        self._scale = mean if mean > 0 else 1.0
        self.shift = np.array([0.0, np.log(self._scale), 0.0, 0.0])
        self.start = np.log([1.0, 1.0, 1.0, 3.0])
        self._repeats = float(patterns.weight @ patterns.frequency)
        self.constant = -self._repeats * float(np.log(self._scale))
        rows = _Rows(patterns.frequency, patterns.recency / self._scale, patterns.T / self._scale, patterns.weight)
        first = int(np.searchsorted(rows.x, 0.5))
        self._once = _Rows(*(column[:first] for column in (rows.x, rows.recency, rows.T, rows.weight)))
        self._again = _Rows(*(column[first:] for column in (rows.x, rows.recency, rows.T, rows.weight)))
        edges = np.flatnonzero(np.concatenate([[True], rows.x[1:] != rows.x[:-1]]))
        self._x = rows.x[edges]
        self._x_count = np.add.reduceat(rows.weight, edges)
        self._x_code = np.searchsorted(self._x, self._again.x)

    def __len__(self) -> int:
        return len(self._again.x)

    def thinned(self, rows: int) -> BetaGeoLikelihood:
        """Take every k-th repeat buyer, by pattern and in order; all else stays exact."""
        kept = self._again
        part, weight = systematic(kept.weight, rows)
        thin = object.__new__(BetaGeoLikelihood)
        thin.__dict__.update(self.__dict__)
        thin._again = _Rows(kept.x[part], kept.recency[part], kept.T[part], weight)
        thin._x_code = self._x_code[part]
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
        r, alpha, a, b = np.exp(at)
        value, gradient, hessian = self._separable(r, alpha, a, b)
        odds = np.log(a) - np.log(np.maximum(b + self._x - 1, 1e-300))
        share = b / np.maximum(b + self._x - 1, 1e-300)
        for start in range(0, len(self._again.x), _BLOCK):
            block = slice(start, start + _BLOCK)
            code = self._x_code[block]
            value += self._coupled(block, r, alpha, odds[code], share[code], gradient, hessian)
        hessian[1, 0] = hessian[0, 1]
        return value, gradient, hessian

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
        """Sum the terms that are functions of x alone, and all of those who bought once."""
        n, log_alpha = self.accounts, np.log(alpha)
        rate, rate_1, rate_2 = _rising(r, self._x, self._x_count)
        stay, stay_1, stay_2 = _rising(b, self._x, self._x_count)
        both, both_1, both_2 = (-term for term in _rising(a + b, self._x, self._x_count))
        value = rate + stay + both + n * r * log_alpha
        gradient = np.array(
            [r * (rate_1 + n * log_alpha), n * r, a * both_1, b * (stay_1 + both_1)],
        )
        hessian = np.diag(
            [gradient[0] + r * r * rate_2, 0.0, gradient[2] + a * a * both_2, gradient[3] + b * b * (stay_2 + both_2)]
        )
        hessian[0, 1] = n * r
        hessian[2, 3] = hessian[3, 2] = a * b * both_2
        late = alpha + self._once.T
        wait = float(self._once.weight @ np.log(late))
        part = alpha / late
        weighted = self._once.weight * part
        value -= r * wait
        gradient[0] -= r * wait
        gradient[1] -= r * weighted.sum()
        hessian[0, 0] -= r * wait
        hessian[0, 1] -= r * weighted.sum()
        hessian[1, 1] -= r * float(weighted @ (1 - part))
        return float(value), gradient, hessian

    def _coupled(
        self, block: slice, r: float, alpha: float, odds: Floats, share: Floats, gradient: Floats, hessian: Floats
    ) -> float:
        """Add one block of repeat buyers to gradient and Hessian, and return its value."""
        rows = self._again
        weight = rows.weight[block]
        R = rows.x[block] + r
        late, early = rows.T[block] + alpha, rows.recency[block] + alpha
        silent = np.log(late)
        u, v = alpha / late, alpha / early
        z = np.empty((4, len(R)))  # derivatives of z by the log-parameters; row 0 first holds ln((α+T)/(α+t_x))
        np.subtract(silent, np.log(early), out=z[0])
        odds += R * z[0]
        z[0] *= r
        np.subtract(u, v, out=z[1])
        cross = r * z[1]
        z[1] *= R
        z[2] = 1.0
        np.negative(share, out=z[3])
        small = np.exp(-np.abs(odds))
        one = 1.0 + small
        gone = np.where(odds >= 0, 1.0, small) / one
        late_R = R * silent
        value = float(weight @ (np.maximum(odds, 0.0) + np.log(one) - late_R))

        dropped = weight * gone
        slope = z @ dropped
        gradient += slope
        curve = z * (dropped * (1 - gone))
        hessian += curve @ z.T
        hessian[0, 0] += slope[0]
        hessian[0, 1] += float(dropped @ cross)
        hessian[1, 1] += float((dropped * z[1]) @ (1 - u - v))
        hessian[3, 3] += slope[3] + float((dropped * share) @ share)

        wait = r * float(weight @ silent)
        weighted = weight * u
        fade = weighted * R
        gradient[0] -= wait
        gradient[1] -= fade.sum()
        hessian[0, 0] -= wait
        hessian[0, 1] -= r * weighted.sum()
        hessian[1, 1] -= float(fade @ (1 - u))
        return value
