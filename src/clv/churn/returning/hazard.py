"""The chance of a return by month since the lapse: counted, and as a curve that may fall but not be made to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from clv.churn.proportions import proportion_interval

Floats = NDArray[np.float64]

#: returns from which a curve is fitted at all.
FEWEST = 5
_SIMULATED = 4000


Scale = Literal["log", "linear"]


def elapsed(month: ArrayLike, scale: Scale) -> Floats:
    """Return the time since the lapse on the scale on which a logit is linear in it; 0 in the first month."""
    at = np.maximum(np.asarray(month, dtype=float), 1.0)
    return np.log(at) if scale == "log" else at - 1


@dataclass(frozen=True)
class ReturnHazard:
    """The monthly hazard of a return, a logit in the month or in its logarithm.

    Attributes
    ----------
    intercept, slope : float
        logit h(m) = intercept + slope · `elapsed`(m). The slope is 0 where returns are too few for one, or do not
        become rarer. Months later than any seen follow the curve.
    scale : {"log", "linear"}
        The one of larger likelihood: a chance that falls quickly at first, or steadily.
    covariance : ndarray, shape (2, 2)
    p_falling : float
        One-sided p-value of "the hazard does not fall" (likelihood ratio, logarithmic scale); NaN where nothing was
        fitted.
    last : int
        Last month with accounts at risk.
    """

    intercept: float
    slope: float
    scale: Scale
    covariance: Floats
    p_falling: float
    last: int

    def at(self, month: ArrayLike) -> Floats:
        """Return the hazard in some months."""
        from scipy.special import expit

        return expit(self.intercept + self.slope * elapsed(month, self.scale))

    def draws(self, month: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """Draw hazards, shape (draws, months), from the normal approximation to the coefficients."""
        from scipy.special import expit

        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        drawn = np.array([self.intercept, self.slope]) + rng.standard_normal((_SIMULATED, 2)) @ root.T
        return expit(drawn[:, :1] + drawn[:, 1:] * elapsed(month, self.scale))


def fit_hazard(counts: pd.DataFrame) -> ReturnHazard:
    """Fit the hazard of a return to counts by month.

    Parameters
    ----------
    counts : pandas.DataFrame
        Index month: at_risk, returned.

    Notes
    -----
    A discrete-time hazard: each month at risk is one trial, given that the account has not come back before (Singer &
    Willett 1993), so that censored and left-truncated silences enter with the months that were seen. A binomial model
    by statsmodels; a trial at the mean rate is added to the first and to the last month, so that there is an optimum
    whatever the data.
    """
    from scipy.stats import chi2

    seen = counts[counts["at_risk"] > 0]
    last = int(seen.index.max()) if len(seen) else 0
    back, risk = float(seen["returned"].sum()), float(seen["at_risk"].sum())
    rate = (back + 0.5) / (risk + 1)
    level = float(np.log(rate / (1 - rate)))
    constant = np.diag([1 / ((risk + 1) * rate * (1 - rate)), 0.0])
    if back < FEWEST or len(seen) < 3:
        return ReturnHazard(level, 0.0, "log", constant, float("nan"), last)
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    came = seen["returned"].to_numpy(float)
    outcome = np.vstack([np.column_stack([came, seen["at_risk"].to_numpy(float) - came]), [[rate, 1 - rate]] * 2])
    month = np.append(seen.index.to_numpy(float), [seen.index.min(), last])
    ones = np.ones(len(month))
    flat = GLM(outcome, ones, family=Binomial()).fit()
    scales: tuple[Scale, ...] = ("log", "linear")
    fits = {
        scale: GLM(outcome, np.column_stack([ones, elapsed(month, scale)]), family=Binomial()).fit() for scale in scales
    }
    ratio = max(0.0, 2 * float(fits["log"].llf - flat.llf))
    # Half of the two-sided p-value on the side that falls: the slope is a boundary hypothesis.
    p = float(chi2.sf(ratio, 1)) / 2
    if fits["log"].params[1] >= 0:
        return ReturnHazard(level, 0.0, "log", constant, 1 - p, last)
    scale = max(scales, key=lambda name: float(fits[name].llf) if fits[name].params[1] < 0 else -np.inf)
    intercept, slope = (float(value) for value in fits[scale].params)
    return ReturnHazard(intercept, slope, scale, np.asarray(fits[scale].cov_params(), dtype=float), p, last)


def hazard_table(
    counts: pd.DataFrame, hazard: ReturnHazard, confidence: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Tabulate the chance of a return by month since the lapse.

    Returns
    -------
    pandas.DataFrame
        Index month: at_risk, returned, hazard (returned ÷ at risk), lower, upper (modified Jeffreys interval), falling
        (the nearest hazard that never rises, isotonic), fitted, fitted_lower, fitted_upper, back_within (probability to
        be back by the end of that month, from the fitted hazard), back_lower, back_upper.
    """
    from sklearn.isotonic import IsotonicRegression

    tail, month = (1 - confidence) / 2, counts.index.to_numpy()
    n, d = counts["at_risk"].to_numpy(float), counts["returned"].to_numpy(float)
    with np.errstate(invalid="ignore"):
        raw = np.where(n > 0, d / np.maximum(n, 1), np.nan)
    seen = n > 0
    falling = np.full(len(n), np.nan)
    if seen.any():
        falling[seen] = IsotonicRegression(increasing=False).fit_transform(
            month[seen].astype(float), raw[seen], sample_weight=n[seen]
        )
    drawn = hazard.draws(month, rng)
    back = 1 - np.cumprod(1 - drawn, axis=1)
    fitted = hazard.at(month)
    low, high = proportion_interval(d, n, confidence)
    limits = np.quantile(drawn, [tail, 1 - tail], axis=0)
    within = np.quantile(back, [tail, 1 - tail], axis=0)
    return counts.assign(
        hazard=raw,
        lower=low,
        upper=high,
        falling=falling,
        fitted=fitted,
        fitted_lower=limits[0],
        fitted_upper=limits[1],
        back_within=1 - np.cumprod(1 - fitted),
        back_lower=within[0],
        back_upper=within[1],
    )
