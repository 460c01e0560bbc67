"""How good a forecast was: one number a question, each defined for purchases and for money alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import rankdata

from clv.value.estimation.checks import Floats

#: A forecast of nothing would cost an infinity at the first purchase: it counts as this share of the mean forecast.
FLOOR = 1e-3


def losses(actual: Floats, predicted: Floats) -> Floats:
    """Return each account's Poisson deviance, 2 (y ln(y/μ) − y + μ).

    Parameters
    ----------
    actual, predicted : ndarray, shape (accounts,)
        0 or more; purchases or money.

    Returns
    -------
    ndarray, shape (accounts,)
        Its mean is least where μ is the true expectation, whatever the distribution of y (Banerjee, Guo & Wang 2005,
        On the optimality of conditional expectation as a Bregman predictor). μ counts as at least a thousandth of the
        mean forecast, so that rules that forecast nothing stay comparable.
    """
    least = FLOOR * predicted.mean() if predicted.mean() > 0 else np.finfo(float).tiny
    mean = np.maximum(predicted, least)
    return 2 * (xlogy(actual, actual / mean) - actual + mean)


def total_bias(actual: Floats, predicted: Floats) -> float:
    """Return (sum predicted − sum actual) / sum actual; NaN where nothing happened."""
    total = actual.sum()
    return float(predicted.sum() / total - 1) if total > 0 else float("nan")


def gini(actual: Floats, predicted: Floats) -> float:
    """Return how well a forecast orders accounts: 1 as the outcome itself would, 0 as chance.

    Gini coefficient of the outcome along the forecast, 2 cov(y, F(μ)) / mean(y), divided by that along itself. Equal
    forecasts share their ranks, which is the mean over all orders of them.
    """
    best = _concentration(actual, actual)
    return _concentration(actual, predicted) / best if best > 0 else float("nan")


def _concentration(actual: Floats, by: Floats) -> float:
    if actual.mean() <= 0:
        return float("nan")
    rank = rankdata(by) / len(by)
    return float(2 * np.mean((actual - actual.mean()) * rank) / actual.mean())


def top_share(actual: Floats, predicted: Floats, *, share: float = 0.1) -> float:
    """Return the part of the outcome that the best-forecast accounts hold.

    Parameters
    ----------
    actual, predicted : ndarray, shape (accounts,)
    share : float
        Part of the accounts, rounded up to a whole number of them.

    Returns
    -------
    float
        Accounts with the forecast at the border share the places that are left. NaN where nothing happened.
    """
    total = actual.sum()
    if total <= 0:
        return float("nan")
    places = max(1, int(np.ceil(share * len(actual) - 1e-9)))
    border = np.partition(predicted, len(predicted) - places)[len(predicted) - places]
    above, at = predicted > border, predicted == border
    left = (places - above.sum()) / at.sum()
    return float((actual[above].sum() + left * actual[at].sum()) / total)


def slope(actual: Floats, predicted: Floats) -> float:
    """Return the slope of the outcome on the forecast by least squares (Mincer & Zarnowitz 1969).

    1 is right; below 1 the forecast spreads accounts too far apart. NaN where the forecast does not vary.
    """
    away = predicted - predicted.mean()
    spread = float(away @ away)
    return float(away @ actual / spread) if spread > 0 else float("nan")


def coverage(actual: Floats, drawn: NDArray[Any], *, confidence: float = 0.9) -> float:
    """Return how often central predictive intervals hold a whole-numbered outcome.

    Parameters
    ----------
    actual : ndarray, shape (accounts,)
        Counts.
    drawn : ndarray, shape (accounts, draws)
        Draws from each account's predictive distribution F.
    confidence : float

    Returns
    -------
    float
        Mean over accounts of the part of [F(y − 1), F(y)] between the two tails. Where most accounts buy nothing, no
        interval of counts can hold exactly 90 %; this, the randomised probability integral transform averaged over
        its randomness (Czado, Gneiting & Held 2009), equals the confidence exactly if F is right.
    """
    below = (drawn < actual[:, None]).mean(axis=1)
    upto = (drawn <= actual[:, None]).mean(axis=1)
    # An outcome that was never drawn lies between the draws: the width of half a draw keeps it in its place.
    half = 0.5 / drawn.shape[1]
    below, upto = np.where(upto > below, below, below - half), np.where(upto > below, upto, upto + half)
    low, high = (1 - confidence) / 2, (1 + confidence) / 2
    inside = np.clip(np.minimum(upto, high) - np.maximum(below, low), 0, None)
    return float((inside / (upto - below)).mean())
