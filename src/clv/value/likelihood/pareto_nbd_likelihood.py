"""The Pareto/NBD log-likelihood of weighted patterns with its exact gradient and Hessian in log-parameters.

With R = r + x, the likelihood of one account (Fader & Hardie 2005, A note on deriving the Pareto/NBD model) is

    L = Γ(R)/Γ(r) · αʳ βˢ · (α+T)^-R (β+T)^-s · (1 + G),

G being the odds of `dropout_integral`. Few patterns are integrated row by row; many patterns whose times lie
on a grid share a table (`dropout_table`).
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from scipy.special import expit, gammaln

from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.patterns import Patterns, systematic
from clv.value.likelihood.dropout_integral import dropouts, log_odds_gone
from clv.value.likelihood.dropout_table import DropoutTable
from clv.value.likelihood.rising import RisingSum

#: rows a block: with some 26 nodes each, a block of numbers stays in the cache.
_BLOCK = 768
#: points × patterns of values alone in one go.
_CELLS = 50_000


class ParetoNBDLikelihood:
    """Log-likelihood of (ln r, ln α, ln s, ln β), times divided by their mean T.

    Parameters
    ----------
    patterns : clv.value.estimation.patterns.Patterns
        Sorted by frequency.
    """

    #: a row is an integral: the posterior looks for a shorter way sooner
    costly: ClassVar[bool] = True

    def __init__(self, patterns: Patterns) -> None:
        self.data = patterns
        self.accounts = float(patterns.weight.sum())
        mean = float(patterns.weight @ patterns.T) / self.accounts
        scale = mean if mean > 0 else 1.0
        self.shift = np.array([0.0, np.log(scale), 0.0, np.log(scale)])
        self._repeats = float(patterns.weight @ patterns.frequency)
        often = max(self._repeats / self.accounts, 1e-3)  # repeat purchases of an account, in the mean T
        self.start = np.log([0.8, 0.4 / often, 0.5, 0.3])
        self.constant = -self._repeats * float(np.log(scale))
        self._frequency, self._weight = patterns.frequency, patterns.weight
        self._recency, self._T = patterns.recency / scale, patterns.T / scale
        edges = np.flatnonzero(np.concatenate([[True], self._frequency[1:] != self._frequency[:-1]]))
        self._x = self._frequency[edges]
        self._x_count = np.add.reduceat(self._weight, edges)
        self._rate = RisingSum(self._x, self._x_count)
        self._table = DropoutTable.of(patterns, scale)

    def __len__(self) -> int:
        return len(self._frequency)

    def mark(self) -> float:
        """Return the mark of the accounts."""
        return self.data.mark()

    def thinned(self, rows: int) -> Self:
        """Take every k-th account, by pattern and in order; what depends on the frequency alone stays exact.

        Half of the rows asked for: each of them is an integral, and the optimum of the fewer is near enough.
        """
        part, weight = systematic(self._weight, max(rows // 2, 1))
        thin = object.__new__(type(self))
        thin.__dict__.update(self.__dict__)
        thin._weight = weight
        thin._frequency, thin._recency, thin._T = self._frequency[part], self._recency[part], self._T[part]
        if self._table is not None:
            thin._table = self._table.thinned(part) if self._table.pays(len(weight)) else None
        return thin

    def unidentified(self) -> str | None:
        """Say what cannot be known: without repeat purchases, without time, from one account."""
        if not self._repeats:
            return "no account bought twice, so r, alpha, s and beta are not identified"
        if not (self._T[self._frequency > 0].max(initial=0.0) > 0):
            return "T is 0 for every repeat buyer, so alpha and beta are not identified"
        if self.accounts <= 1 or len(self) == 1:
            return "all accounts have one and the same history, so r, alpha, s and beta are not identified"
        return None

    def __call__(self, at: Floats) -> Evaluation:
        """Evaluate value, gradient (4,) and Hessian (4, 4)."""
        r, alpha, s, beta = (float(value) for value in np.exp(at))
        value, gradient, hessian = self._by_frequency(r, alpha, s, beta)
        if self._table is not None and (found := self._table.evaluate(r, alpha, s, beta, self._weight)) is not None:
            return value + found[0], gradient + found[1], hessian + found[2]
        for start in range(0, len(self), _BLOCK):
            value += self._rows(slice(start, start + _BLOCK), r, alpha, s, beta, gradient, hessian)
        return value, gradient, hessian

    def values(self, points: Floats) -> Floats:
        """Evaluate the value alone at many points, shape (n, 4), some thousand cells at a time."""
        out = np.empty(len(points))
        T, early, x = self._T, self._recency, self._frequency
        size = max(1, _CELLS // len(x))
        for start in range(0, len(points), size):
            r, alpha, s, beta = np.exp(points[start : start + size, :, None]).swapaxes(0, 1)
            parts = (gammaln(r + self._x) - gammaln(r)) @ self._x_count
            parts += self.accounts * (r * np.log(alpha) + s * np.log(beta))[:, 0]
            gone = log_odds_gone(r + x, s, alpha, beta, early, T)
            each = np.logaddexp(0.0, gone) - (r + x) * np.log(alpha + T) - s * np.log(beta + T)
            out[start : start + size] = parts + each @ self._weight
        return out

    def _by_frequency(self, r: float, alpha: float, s: float, beta: float) -> Evaluation:
        """Sum the terms that are functions of x alone: lnΓ(R) − lnΓ(r) + r ln α + s ln β."""
        n, (rate, rate_1, rate_2) = self.accounts, self._rate(r)
        first, second = r * (rate_1 + n * np.log(alpha)), r * r * rate_2
        value = rate + n * (r * np.log(alpha) + s * np.log(beta))
        gradient = np.array([first, n * r, n * s * np.log(beta), n * s])
        hessian = np.diag([first + second, 0.0, gradient[2], 0.0])
        hessian[0, 1] = hessian[1, 0] = n * r
        hessian[2, 3] = hessian[3, 2] = n * s
        return value, gradient, hessian

    def _rows(
        self, block: slice, r: float, alpha: float, s: float, beta: float, gradient: Floats, hessian: Floats
    ) -> float:
        """Add ln[(α+T)^-R (β+T)^-s (1 + G)] of a block of rows to gradient and Hessian, and return its value."""
        weight, T = self._weight[block], self._T[block]
        R = r + self._frequency[block]
        one = np.ones_like(R)
        gone = dropouts(R, s * one, alpha * one, beta * one, self._recency[block], T)
        share = weight * expit(gone.log_odds)
        value = float(weight @ (np.logaddexp(0.0, gone.log_odds) - R * np.log(alpha + T) - s * np.log(beta + T)))

        # Alive at T: derivatives of the logarithm of (α+T)^-R (β+T)^-s.
        u, v, log_a, log_b = alpha / (alpha + T), beta / (beta + T), np.log(alpha + T), np.log(beta + T)
        ends = np.stack([-r * log_a, -R * u, -s * log_b, -s * v])
        gradient += ends @ weight
        # Gone at y: of the logarithm of s (α+y)^-R (β+y)^-(s+1), at each node, and their mean.
        column = np.newaxis
        early = self._recency[block]
        nodes = np.empty((4, *gone.time.shape))
        np.multiply(gone.rise_alpha + np.log(alpha + early)[:, column], -r, out=nodes[0])
        np.divide((-alpha * R)[:, column], alpha + gone.time, out=nodes[1])
        np.subtract(1.0, s * (gone.rise_beta + np.log(beta + early)[:, column]), out=nodes[2])
        np.divide(-(s + 1) * beta, beta + gone.time, out=nodes[3])
        mean = np.einsum("kij,ij->ki", nodes, gone.share)
        apart = mean - ends
        gradient += apart @ share
        spread = share[:, column] * gone.share
        flat = nodes.reshape(4, -1)
        square = (flat * spread.ravel()) @ flat.T
        # the mean of the covariances, what is between the two ways, and the second derivatives of each
        hessian += square - (mean * share) @ mean.T + (apart * (share * (1 - expit(gone.log_odds)))) @ apart.T
        kept = weight - share
        own = np.einsum("ij,ij,ij->i", nodes[1], nodes[1], spread)
        cross = r * (float(share @ (mean[1] / R)) - float(kept @ u))
        wear = s * (float(share @ mean[3]) / (s + 1) - float(kept @ v))
        hessian[0, 0] += float(share @ mean[0]) + float(kept @ ends[0])
        hessian[0, 1] += cross
        hessian[1, 0] += cross
        hessian[1, 1] += float(share @ mean[1]) + float(own @ (1 / R)) - float(kept @ (R * u * (1 - u)))
        hessian[2, 2] += float(share @ (mean[2] - 1)) + float(kept @ ends[2])
        hessian[2, 3] += wear
        hessian[3, 2] += wear
        hessian[3, 3] += float(share @ mean[3]) + square[3, 3] / (s + 1) - s * float(kept @ (v * (1 - v)))
        return value
