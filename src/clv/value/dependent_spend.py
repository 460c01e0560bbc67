"""Spend where Gamma-Gamma's assumption fails: accounts that buy more often pay more, or less, for a purchase."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.value.estimation.checks import Floats, frequency_column, number_column
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.likelihood.gamma_gamma_likelihood import GammaGammaLikelihood

_STEPS = 50


class DependentSpendModel(GammaGammaModel):
    """Gamma-Gamma around a mean that moves with the number of purchases: the fallback where independence fails.

    An account with x repeat purchases pays c(x) = ((x + 1) / g)^slope times what it would pay otherwise, g the
    geometric mean of x + 1 over the accounts used; spend divided by c(x) follows `GammaGammaModel`. The slope solves
    the quasi-score of a gamma regression of mean spend on ln(x + 1) (McCullagh & Nelder 1989, ch. 8), and counts as
    known in the intervals. A slope of 0 is Gamma-Gamma.

    Parameters
    ----------
    prior : {None, "weak", "auto"}
        As in `GammaGammaModel`.

    Attributes
    ----------
    slope_ : float
        Elasticity of the mean purchase with respect to the number of purchases.
    centre_ : float
        ln g.

    See Also
    --------
    clv.value.validation.independence.independence_test : when it is needed.
    """

    _extra: ClassVar[tuple[str, ...]] = (*GammaGammaModel._extra, "slope_", "centre_")
    _scoring: bool = False  # held-out data are scored with the slope of the fit

    def _likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> GammaGammaLikelihood:
        if not self._scoring:
            self.slope_, self.centre_ = _elasticity(summary, weight)
        return super()._likelihood(self._level(summary), weight)

    def score(self, summary: pd.DataFrame, y: object = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log-likelihood of accounts, held-out ones for instance."""
        self._scoring = True
        try:
            found = super().score(summary, y, sample_weight=sample_weight)
        finally:
            del self._scoring
        # The density of spend, not of spend divided by c(x).
        frequency, spend = frequency_column(summary), number_column(summary, "monetary_value")
        used = (frequency > 0) & (spend > 0)
        share = None if sample_weight is None else np.asarray(sample_weight, dtype=float)[used]
        return found - float(np.average(np.log(self._factor(summary)[used]), weights=share))

    def _factor(self, summary: pd.DataFrame) -> Floats:
        return np.exp(self.slope_ * (np.log1p(frequency_column(summary)) - self.centre_))

    def _level(self, summary: pd.DataFrame) -> pd.DataFrame:
        """Return the summary with spend as if it did not depend on frequency."""
        return summary.assign(monetary_value=number_column(summary, "monetary_value") / self._factor(summary))

    def expected_spend(self, summary: pd.DataFrame) -> pd.Series:
        """Return the expected money of a future purchase of each account."""
        level = super().expected_spend(self._level(summary))
        return (level * self._factor(summary)).rename("expected_spend")

    def draw_spend(self, parameters: Floats, summary: pd.DataFrame, rng: np.random.Generator) -> Floats:
        """Draw each account's own mean spend given its history; see `GammaGammaModel.draw_spend`."""
        return super().draw_spend(parameters, self._level(summary), rng) * self._factor(summary)[:, None]

    def simulate(self, frequency: ArrayLike, seed: int | np.random.Generator = 0) -> Floats:
        """Draw the mean spend of accounts with a given number of repeat purchases."""
        factor = np.exp(self.slope_ * (np.log1p(np.asarray(frequency, dtype=float)) - self.centre_))
        return super().simulate(frequency, seed) * factor


def _elasticity(summary: pd.DataFrame, weight: Floats | None) -> tuple[float, float]:
    """Solve Σ w (m / μ − 1)(1, ln(x+1)) = 0 for ln μ = a + b ln(x+1); return b and the mean of ln(x+1)."""
    frequency, spend = frequency_column(summary), number_column(summary, "monetary_value")
    used = (frequency > 0) & (spend > 0)
    if weight is not None:
        used &= weight > 0
    if not used.any():
        return 0.0, 0.0
    w = np.ones(int(used.sum())) if weight is None else weight[used]
    x, m = np.log1p(frequency[used]), spend[used]
    centre = float(np.average(x, weights=w))
    z = x - centre
    spread = float(w @ z**2)
    if spread <= 1e-12:
        return 0.0, centre
    level, slope = float(np.log(np.average(m, weights=w))), 0.0
    for _ in range(_STEPS):  # Fisher scoring: the information of a gamma with log link does not depend on the mean
        residual = m * np.exp(-level - slope * z) - 1
        up, turn = float(w @ residual) / w.sum(), float(w @ (residual * z)) / spread
        level, slope = level + np.clip(up, -1, 1), slope + np.clip(turn, -1, 1)
        if max(abs(up), abs(turn)) < 1e-12:
            break
    return float(slope), centre
