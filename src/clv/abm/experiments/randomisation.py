"""Randomisation inference: how often chance alone, drawn as the experiment was, would have shown so much."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clv.abm.experiments.linear import Floats
from clv.abm.experiments.reassign import log_assignments, reassign, statistics
from clv.abm.experiments.trial import Comparison, block_means

EffectModel = Literal["additive", "multiplicative"]

#: differences between statistics below this share are rounding.
_TIE = 1e-9
#: the search for a limit widens so often before it is called unbounded: to 10¹⁰ standard errors, to a factor of 10⁴.
_WIDEN, _WIDEN_RATIO = 60, 24


@dataclass(frozen=True)
class Randomised:
    """What randomisation inference says of one outcome.

    Attributes
    ----------
    p_value : float
        Two-sided: twice the smaller tail, of no effect on any account.
    lower, upper : float
        Effects that the same test does not reject; infinite where the experiment is too small to exclude any.
    relative_lower, relative_upper : float
        The same as shares of what the treated would have had; NaN in the additive model.
    assignments : float
        How many assignments were possible (logarithm).
    """

    p_value: float
    lower: float
    upper: float
    relative_lower: float
    relative_upper: float
    assignments: float


class Draws:
    """Reassignments of one comparison, drawn once and used for every question."""

    def __init__(self, comparison: Comparison, *, draws: int, rng: np.random.Generator) -> None:
        self.comparison = comparison
        arm = comparison.treated.astype(np.int64)
        where = {"block": comparison.block, "units": comparison.units}
        drawn = reassign(arm, **where, cluster=comparison.cluster, draws=draws, rng=rng)
        #: the assignment that took place stands first: it is one of those that could have been drawn.
        self.treated = np.concatenate([arm[None].astype(np.int8), drawn])
        self.log_count = log_assignments(arm, **where)

    def joint(self, outcomes: Floats) -> tuple[Floats, Floats]:
        """Effects and covariances of outcomes under every assignment; the first is the one that took place."""
        return statistics(self.comparison, outcomes, self.treated)

    def analyse(self, outcome: Floats, *, confidence: float, model: EffectModel = "additive") -> Randomised:
        """Test and invert the test for one outcome.

        Parameters
        ----------
        outcome : numpy.ndarray, shape (rows,)
            In the order of the comparison.
        confidence : float
        model : {"additive", "multiplicative"}
            The effects for which the interval is exact at any size: the same amount for every account, or the same
            factor. Studentising makes it right in large samples whatever the effects are.

        Notes
        -----
        Fisher (1935); studentised as Chung & Romano (2013) and, for averages over experimental units, Wu & Ding
        (2021); the interval holds every effect that the test at half the level in each tail does not reject.
        """
        z = self.comparison.treated.astype(float)
        if model == "additive":
            columns, null = np.column_stack([outcome, z]), 0.0
        else:
            columns, null = np.column_stack([outcome * (1 - z), outcome * z]), 1.0
        curve = _Curve(*self.joint(columns), additive=model == "additive")
        alpha = 1 - confidence
        p_value = min(1.0, 2 * min(curve.above(null), curve.below(null)))
        low, high = curve.limits(alpha / 2)
        relative = (math.nan, math.nan)
        if model == "multiplicative":
            relative = (low - 1, high - 1)
            base = block_means(self.comparison, outcome)[0]
            low, high = (base * (1 - 1 / factor) if factor > 0 else -math.inf for factor in (low, high))
        return Randomised(p_value, low, high, *relative, self.log_count)


class _Curve:
    """The test as a function of the effect that is supposed: linear estimates, quadratic variances."""

    def __init__(self, effect: Floats, covariance: Floats, *, additive: bool) -> None:
        self.effect, self.covariance, self.additive = effect, covariance, additive

    def _weight(self, supposed: float) -> float:
        return -supposed if self.additive else 1 / supposed

    def statistics(self, supposed: float) -> Floats:
        w = self._weight(supposed)
        top = self.effect[:, 0] + w * self.effect[:, 1]
        v = self.covariance
        bottom = v[:, 0, 0] + 2 * w * v[:, 0, 1] + w * w * v[:, 1, 1]
        scale = max(float(v[0, 0, 0]), float(np.median(v[:, 0, 0])), 1e-300)
        # Without variation an effect is as extreme as can be, and no effect is none.
        root = np.sqrt(np.maximum(bottom, 1e-12 * scale))
        return top / root

    def above(self, supposed: float) -> float:
        """Share of assignments whose statistic is at least the one seen."""
        t = self.statistics(supposed)
        return float(np.mean(t >= t[0] - _TIE * abs(t[0])))

    def below(self, supposed: float) -> float:
        """Share of assignments whose statistic is at most the one seen."""
        t = self.statistics(supposed)
        return float(np.mean(t <= t[0] + _TIE * abs(t[0])))

    def limits(self, tail: float) -> tuple[float, float]:
        """Smallest and largest effect that neither tail rejects."""
        # The search begins at the estimate: there the statistic is nought and neither tail can reject.
        if self.additive:
            centre = float(self.effect[0, 0] / self.effect[0, 1])
            step = max(math.sqrt(max(self.covariance[0, 0, 0], 0.0)), abs(centre) * 1e-6, 1e-12)
            return (
                self._search(centre, [centre - step * 1.5**k for k in range(_WIDEN)], self.above, tail, -math.inf),
                self._search(centre, [centre + step * 1.5**k for k in range(_WIDEN)], self.below, tail, math.inf),
            )
        ratio = -float(self.effect[0, 1] / self.effect[0, 0]) if self.effect[0, 0] else math.inf
        if not 0 < ratio < math.inf:
            return 0.0, math.inf
        by = [math.exp(0.05 * 1.25**k) for k in range(_WIDEN_RATIO)]
        return (
            self._search(ratio, [ratio / b for b in by], self.above, tail, 0.0),
            self._search(ratio, [ratio * b for b in by], self.below, tail, math.inf),
        )

    @staticmethod
    def _search(inside: float, steps: list[float], p: Callable[[float], float], tail: float, unbounded: float) -> float:
        """Step outwards until an effect is rejected, then bisect; `unbounded` if none is."""
        for outside in steps:
            if p(outside) <= tail:
                break
            inside = outside
        else:
            return unbounded
        for _ in range(40):
            middle = (inside + outside) / 2
            if p(middle) <= tail:
                outside = middle
            else:
                inside = middle
        return outside
