"""The sBG log-likelihood of renewal decisions with its exact gradient and Hessian in log-parameters.

An account that has renewed j times renews again with probability (β+j)/(α+β+j) (Fader & Hardie 2007, eq. 8), so that
cohorts, single accounts, running ones and those observed from a later age on all reduce to one table: by age j, how
many decisions were seen, and how many were against us.
"""

from __future__ import annotations

import numpy as np

from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation

#: points × ages of values alone in one go.
_CELLS = 50_000


class ShiftedBetaGeoLikelihood:
    """Log-likelihood of (ln α, ln β).

    Parameters
    ----------
    duration, churned, entry : ndarray, shape (relations,)
        Decisions passed at the end of observation (the last one lost if churned), whether lost, and decisions passed
        when observation began.
    weight : ndarray, shape (relations,)
    """

    def __init__(self, duration: Floats, churned: Floats, entry: Floats, weight: Floats) -> None:
        first, last = entry.astype(np.intp), duration.astype(np.intp)
        size = int(last.max(initial=0)) + 1
        arrived = np.bincount(first, weights=weight, minlength=size)
        left = np.bincount(last, weights=weight, minlength=size)
        decided = np.cumsum(arrived - left)[:-1]  # those with entry ≤ j < duration decide at age j
        lost = np.bincount(last, weights=weight * churned, minlength=size)[1:]
        ages = np.flatnonzero(decided > 1e-9 * weight.sum())
        self._age, self._decided, self._lost = ages.astype(float), decided[ages], lost[ages]
        self.accounts = float(weight.sum())
        self.shift, self.constant = np.zeros(2), 0.0
        self.start = np.log([1.0, 2.0])

    def __len__(self) -> int:
        return len(self._age)

    def thinned(self, rows: int) -> ShiftedBetaGeoLikelihood:
        """Return itself: there is one row an age."""
        return self

    def unidentified(self) -> str | None:
        """Say what cannot be known: without losses or renewals, or from decisions at one age."""
        both = "alpha and beta are not identified"
        if not len(self._age):
            return f"no renewal decision was observed, so {both}"
        if not self._lost.sum() > 0:
            return f"no contract was lost, so {both}"
        if not (self._decided - self._lost).sum() > 1e-9 * self.accounts:
            return f"no contract was renewed, so {both}"
        if len(self._age) == 1:
            return f"all decisions were taken at the same age, so {both}"
        return None

    def values(self, points: Floats) -> Floats:
        """Evaluate the value alone at many points, shape (n, 2)."""
        out = np.empty(len(points))
        kept, size = self._decided - self._lost, max(1, _CELLS // max(len(self._age), 1))
        for start in range(0, len(points), size):
            alpha, beta = np.exp(points[start : start + size, :, None]).swapaxes(0, 1)
            stay = beta + self._age
            out[start : start + size] = -(np.log1p(stay / alpha) @ self._lost) - np.log1p(alpha / stay) @ kept
        return out

    def __call__(self, at: Floats) -> Evaluation:
        """Evaluate value, gradient (2,) and Hessian (2, 2)."""
        alpha, beta = np.exp(at)
        lost, kept, all_ = self._lost, self._decided - self._lost, self._decided
        stay, sum_ = beta + self._age, alpha + beta + self._age
        value = -(lost @ np.log1p(stay / alpha)) - kept @ np.log1p(alpha / stay)
        slope = np.array([lost.sum() / alpha, kept @ (1 / stay)]) - all_ @ (1 / sum_)
        curve = np.diag([-lost.sum() / alpha**2, -(kept @ stay**-2.0)]) + all_ @ sum_**-2.0
        natural = np.array([alpha, beta])
        gradient = slope * natural
        return float(value), gradient, curve * np.outer(natural, natural) + np.diag(gradient)
