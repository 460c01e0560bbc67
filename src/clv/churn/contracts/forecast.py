"""From a fitted hazard to what is asked: will this contract be renewed, how often still, and how sure is that."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

from clv.churn.contracts.models import HazardModel

Floats = NDArray[np.float64]


def forecast(
    model: HazardModel, rows: pd.DataFrame, *, renewals: int, confidence: float, freedom: float
) -> pd.DataFrame:
    """Forecast the renewals of contracts from the term they are in.

    Parameters
    ----------
    model : HazardModel
    rows : pandas.DataFrame
        One row a contract: term and covariates, which are taken to stay as they are.
    renewals : int
        How many ends of terms to look ahead.
    confidence : float
    freedom : float
        Degrees of freedom of the t distribution for intervals; infinite: normal.

    Returns
    -------
    pandas.DataFrame
        Index of `rows`: p_renew (probability of renewal at the next end), lower, upper; expected_renewals (within
        `renewals` ends), renewals_lower, renewals_upper. Intervals hold the probability and the expectation, by the
        delta method on the log-odds scale; they are missing where the model has no covariance.
    """
    t = float(stdtrit(freedom, (1 + confidence) / 2))
    stay = np.ones(len(rows))
    total = np.zeros(len(rows))
    slope: Floats | None = None
    ahead = rows[:]
    first: tuple[Floats, Floats | None] | None = None
    gathered: Floats | None = None
    for step in range(renewals):
        ahead = rows.assign(term=rows["term"] + step)
        odds, gradient = model.log_odds(ahead)
        if first is None:
            first = (odds, gradient)
        lost = expit(odds)
        stay = stay * (1 - lost)
        total = total + stay
        if gradient is not None:
            # d ln(1 − h) = −h dη, so that d(product) = −product · Σ h dη.
            gathered = lost[:, None] * gradient + (0 if gathered is None else gathered)
            slope = -stay[:, None] * gathered + (0 if slope is None else slope)
    assert first is not None
    odds, gradient = first
    table = pd.DataFrame({"p_renew": expit(-odds)}, index=rows.index)
    width = _width(gradient, model, t)
    table["lower"], table["upper"] = expit(-odds - width), expit(-odds + width)
    table["expected_renewals"] = total
    share = np.clip(total / renewals, 1e-12, 1 - 1e-12)
    width = _width(slope, model, t) / (renewals * share * (1 - share))
    table["renewals_lower"] = renewals * expit(logit(share) - width)
    table["renewals_upper"] = renewals * expit(logit(share) + width)
    return table


def expected_within(model: HazardModel, rows: pd.DataFrame, *, horizon_days: float) -> Floats:
    """Return the expected renewals whose term begins within so many days from the as-of date.

    Parameters
    ----------
    model : HazardModel
    rows : pandas.DataFrame
        term, days (length of a term), days_to_end and covariates; an end that is past counts as today's.
    horizon_days : float
    """
    wait = rows["days_to_end"].clip(lower=0).to_numpy(float)
    length = rows["days"].to_numpy(float)
    rounds = np.maximum(np.floor((horizon_days - wait) / length + 1e-9) + 1, 0)
    stay, total = np.ones(len(rows)), np.zeros(len(rows))
    for step in range(int(rounds.max(initial=0))):
        stay = stay * expit(-model.log_odds(rows.assign(term=rows["term"] + step))[0])
        total = total + np.where(rounds > step, stay, 0.0)
    return total


def _width(gradient: Floats | None, model: HazardModel, t: float) -> Floats | float:
    if gradient is None or model.covariance is None:
        return np.nan
    variance = np.einsum("ij,jk,ik->i", gradient, model.covariance, gradient)
    return t * np.sqrt(np.maximum(variance, 0.0))
