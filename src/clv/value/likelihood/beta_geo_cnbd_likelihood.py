"""The (M)BG/CNBD-k log-likelihood of weighted patterns with its exact gradient and Hessian in log-parameters.

Waits are Erlang-k with λ ~ Gamma(r, α); an account drops out after a repeat purchase with probability p ~ Beta(a, b),
in the modified models (m = 1, otherwise 0) after its first purchase, too. With R = r + kx,

    L = C · Γ(R)/Γ(r) · B(a, b+x+m)/B(a, b) · αʳ (α+T)^-R · (Q + eᶻ),
    z = ln a − ln(b+x+m−1) + R ln((α+T)/(α+t_x)),   eᶻ = 0 where x + m = 0,

Q as in `erlang` (1 for k = 1), so that Q/(Q + eᶻ) is P(alive) (Platzer & Reutterer 2016; k = 1: Fader, Hardie
& Lee 2005, Batislam et al. 2007, Hoppe & Wagner 2007). C holds no parameter but k. It makes likelihoods comparable
over k, and is 1 for k = 1:

- where the sum ℓ of the logarithms of an account's waits is known, L is the density of all its purchase times,
  C = e^((k−1)ℓ) / Γ(k)ˣ;
- otherwise the density of (x, t_x) alone, divided by what a density of all times loses by that for k = 1,
  t_x^(x−1)/(x−1)!, so that C = t_x^(x(k−1)) Γ(x)/Γ(kx) and k = 1 is the likelihood of the papers.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.special import expit, gammaln

from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.patterns import Patterns
from clv.value.likelihood.erlang import phase_sum, phases
from clv.value.likelihood.rising import rising

_BLOCK = 8_192
#: points × patterns of values alone in one go.
_CELLS = 50_000
#: The modified models have more than one maximum; starts in units of mean T.
_STARTS = (
    (1.0, 1.0, 1.0, 3.0),
    (0.3, 0.3, 0.3, 0.3),
    (1.0, 0.3, 0.3, 3.0),
    (3.0, 1.0, 3.0, 3.0),
    (0.3, 0.1, 1.0, 10.0),
)


class BetaGeoCNBDLikelihood:
    """Log-likelihood of (ln r, ln α, ln a, ln b), times divided by their mean T.

    Parameters
    ----------
    patterns : clv.value.estimation.patterns.Patterns
        Sorted by frequency.
    k : int
        Steps from one purchase to the next.
    modified : bool
        Whether an account may drop out after its first purchase already.
    constant : float
        Sum of ln C over accounts, in the unit of the data.
    """

    def __init__(self, patterns: Patterns, *, k: int, modified: bool, constant: float = 0.0) -> None:
        self.data = patterns
        self._k, self._modified = k, float(modified)
        self.accounts = float(patterns.weight.sum())
        mean = float(patterns.weight @ patterns.T) / self.accounts
        scale = mean if mean > 0 else 1.0
        self.shift = np.array([0.0, np.log(scale), 0.0, 0.0])
        quick = np.array([0.0, np.log(k), 0.0, 0.0])  # k steps for each purchase
        self.starts = tuple(np.log(start) - quick for start in (_STARTS if modified else _STARTS[:1]))
        self.start = self.starts[0]
        self._repeats = float(patterns.weight @ patterns.frequency)
        self.constant = constant - k * self._repeats * float(np.log(scale))
        self._frequency, self._weight = patterns.frequency, patterns.weight
        self._recency, self._T = patterns.recency / scale, patterns.T / scale
        edges = np.flatnonzero(np.concatenate([[True], self._frequency[1:] != self._frequency[:-1]]))
        self._x = self._frequency[edges]
        self._x_count = np.add.reduceat(self._weight, edges)
        self._code = np.searchsorted(self._x, self._frequency)

    def __len__(self) -> int:
        return len(self._frequency)

    def mark(self) -> float:
        """Return the mark of the accounts."""
        return self.data.mark()

    def thinned(self, rows: int) -> Self:
        """Keep every n-th pattern, counted n times; what depends on the frequency alone stays exact."""
        every = max(1, len(self) // rows)
        part = slice(every // 2, None, every)
        thin = object.__new__(type(self))
        thin.__dict__.update(self.__dict__)
        weight = self._weight[part]
        thin._weight = weight * (self._weight.sum() / weight.sum())
        thin._frequency, thin._recency, thin._T = self._frequency[part], self._recency[part], self._T[part]
        thin._code = self._code[part]
        return thin

    def unidentified(self) -> str | None:
        """Say what cannot be known: without repeat purchases, without time, from one account."""
        if not self._repeats:
            return "no account bought twice, so r, alpha, a and b are not identified"
        if not (self._T[self._frequency > 0].max(initial=0.0) > 0):
            return "T is 0 for every repeat buyer, so alpha is not identified"
        if self.accounts <= 1 or len(self) == 1:
            return "all accounts have one and the same history, so r, alpha, a and b are not identified"
        return None

    def __call__(self, at: Floats) -> Evaluation:
        """Evaluate value, gradient (4,) and Hessian (4, 4)."""
        r, alpha, a, b = (float(value) for value in np.exp(at))
        value, gradient, hessian = self._by_frequency(r, alpha, a, b)
        for start in range(0, len(self), _BLOCK):
            value += self._coupled(slice(start, start + _BLOCK), r, alpha, a, b, gradient, hessian)
        return value, gradient, hessian

    def values(self, points: Floats) -> Floats:
        """Evaluate the value alone at many points, shape (n, 4), some thousand cells at a time."""
        out = np.empty(len(points))
        size = max(1, _CELLS // len(self))
        for start in range(0, len(points), size):
            rows = slice(start, start + size)
            out[rows] = self._values(*np.exp(points[rows, :, None]).swapaxes(0, 1))
        return out

    def _values(self, r: Floats, alpha: Floats, a: Floats, b: Floats) -> Floats:
        """Return values; parameters have the shape (points, 1)."""
        steps, left = self._k * self._x, self._x + self._modified
        value = (gammaln(r + steps) - gammaln(r) + gammaln(b + left) - gammaln(b)) @ self._x_count
        value -= (gammaln(a + b + left) - gammaln(a + b)) @ self._x_count
        value += self.accounts * (r * np.log(alpha))[:, 0]
        may = left > 0
        odds = np.where(may, np.log(a) - np.log(np.maximum(b + left - 1, 1e-300)), -np.inf)[:, self._code]
        R, late, wait = r + self._k * self._frequency, np.log(alpha + self._T), self._T - self._recency
        odds += R * (late - np.log(alpha + self._recency))
        if self._k == 1:  # ln(1 + eᶻ)
            coupled = np.maximum(odds, 0.0)
            coupled += np.log1p(np.exp(-np.abs(odds)))
        else:
            coupled = np.logaddexp(np.log(phase_sum(R, wait / (alpha + self._T), self._k)), odds)
        return np.asarray(value + (coupled - R * late) @ self._weight)

    def _by_frequency(self, r: float, alpha: float, a: float, b: float) -> Evaluation:
        """Sum the terms that are functions of x alone: ratios of gamma functions, and r ln α."""
        n, x, count = self.accounts, self._x, self._x_count
        rate = rising(r, self._k * x, count)
        stay = rising(b, x + self._modified, count)
        both = tuple(-term for term in rising(a + b, x + self._modified, count))
        first = r * (rate[1] + n * np.log(alpha))
        gradient = np.array([first, n * r, a * both[1], b * (stay[1] + both[1])])
        hessian = np.diag([
            first + r * r * rate[2], 0.0, gradient[2] + a * a * both[2], gradient[3] + b * b * (stay[2] + both[2]),
        ])  # fmt: skip
        hessian[0, 1] = hessian[1, 0] = n * r
        hessian[2, 3] = hessian[3, 2] = a * b * both[2]
        return rate[0] + stay[0] + both[0] + n * r * np.log(alpha), gradient, hessian

    def _coupled(
        self, block: slice, r: float, alpha: float, a: float, b: float, gradient: Floats, hessian: Floats
    ) -> float:
        """Add ln[(α+T)^-R (Q + eᶻ)] of a block of rows to gradient and Hessian, and return its value."""
        weight, x, T = self._weight[block], self._frequency[block], self._T[block]
        R, late, early = r + self._k * x, alpha + T, alpha + self._recency[block]
        u, v = alpha / late, alpha / early
        may = x + self._modified > 0
        below = np.where(may, b + x + self._modified - 1, 1.0)
        with np.errstate(divide="ignore"):
            below = np.maximum(below, 1e-300)
        odds = np.where(may, np.log(a) - np.log(below) + R * np.log(late / early), -np.inf)
        steps = phases(R, (T - self._recency[block]) / late, self._k)
        log_q = np.log(steps.q)
        gone = expit(odds - log_q)
        value = float(weight @ (np.logaddexp(log_q, odds) - R * np.log(late)))

        share = np.where(may, b / below, 0.0)
        stays = np.stack([r * steps.slope, -u * steps.jq, np.zeros_like(u), np.zeros_like(u)]) / steps.q
        leaves = np.stack([r * np.log(late / early), R * (u - v), np.ones_like(u), -share])
        slope = (1 - gone) * stays + gone * leaves
        gradient += slope @ weight
        wait, fade = r * float(weight @ np.log(late)), weight * u
        gradient[0] -= wait
        gradient[1] -= float(fade @ R)

        hessian += (leaves * (weight * gone)) @ leaves.T - (slope * weight) @ slope.T
        alive, dropped = weight * (1 - gone) / steps.q, weight * gone
        hessian[0, 0] += float(alive @ (r * steps.slope + r * r * steps.curve)) + float(dropped @ leaves[0]) - wait
        cross = r * (float(dropped @ (u - v)) - float(alive @ (u * steps.jslope)) - float(fade.sum()))
        hessian[0, 1] += cross
        hessian[1, 0] += cross
        hessian[1, 1] += (
            float(alive @ (u * u * steps.jjq - u * (1 - u) * steps.jq))
            + float(dropped @ (leaves[1] * (1 - u - v)))
            - float(fade @ (R * (1 - u)))
        )
        hessian[3, 3] -= float(dropped @ (share * (1 - share)))
        return value


def log_constant(k: int, frequency: Floats, recency: Floats, log_waits: Floats | None) -> Floats:
    """Return ln C of each account, 0 for those who bought once.

    Parameters
    ----------
    k : int
    frequency, recency : ndarray, shape (accounts,)
    log_waits : ndarray or None
        Sum of the logarithms of each account's waits.
    """
    x = np.maximum(frequency, 1.0)
    if log_waits is not None:
        value = (k - 1) * log_waits - frequency * gammaln(k)
    else:
        with np.errstate(divide="ignore"):
            value = x * (k - 1) * np.log(np.where(frequency > 0, recency, 1.0)) + gammaln(x) - gammaln(k * x)
    return np.where((frequency > 0) & (k > 1), value, 0.0)
