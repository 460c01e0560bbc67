"""How good probabilities of an event were: calibration and accuracy, each as one number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import beta, chi2

Floats = NDArray[np.float64]

#: a forecast counts as at least this far from 0 and 1: one surprise would cost an infinity.
LEAST = 1e-6
#: classes of accounts, by forecast, of a reliability curve.
CLASSES = 10


def brier(event: Floats, p: Floats) -> Floats:
    """Return each forecast's Brier score, (p − y)² (Brier 1950)."""
    return (p - event) ** 2


def log_loss(event: Floats, p: Floats) -> Floats:
    """Return each forecast's logarithmic loss, −ln of the probability of what happened (Good 1952)."""
    q = np.clip(p, LEAST, 1 - LEAST)
    return -np.where(event > 0, np.log(q), np.log1p(-q))


def reliability(event: Floats, p: Floats, *, confidence: float = 0.95) -> pd.DataFrame:
    """Compare forecast and outcome in classes of equal forecasts.

    Parameters
    ----------
    event, p : ndarray, shape (forecasts,)
        What happened, 0 or 1; its probability.
    confidence : float

    Returns
    -------
    pandas.DataFrame
        One row a class, at most ten, of about as many forecasts each; equal forecasts stay together. accounts,
        predicted, observed (means), lower, upper (Jeffreys' interval of the observed share), chance (standard
        deviation of the observed mean were the forecasts right).
    """
    edges = np.unique(p)
    if len(edges) > CLASSES:
        edges = np.unique(np.quantile(p, np.linspace(0, 1, CLASSES + 1)[1:-1]))
    group = np.searchsorted(edges, p, side="left")
    table = pd.DataFrame({"group": group, "p": p, "y": event, "v": p * (1 - p)}).groupby("group")
    n = table.size()
    found = pd.DataFrame({"accounts": n, "predicted": table["p"].mean(), "observed": table["y"].mean()})
    found["lower"], found["upper"] = jeffreys(table["y"].sum().to_numpy(), n.to_numpy(), confidence=confidence)
    found["chance"] = np.sqrt(table["v"].sum()) / n
    return found.reset_index(drop=True)


def expected_calibration_error(curve: pd.DataFrame) -> tuple[float, float]:
    """Return the expected calibration error, and what it would be on average if every forecast were right.

    Parameters
    ----------
    curve : pandas.DataFrame
        Of `reliability`.

    Returns
    -------
    error : float
        Mean distance of forecast and outcome over the classes, each by its accounts (Naeini, Cooper & Hauskrecht 2015,
        Obtaining well calibrated probabilities using Bayesian binning).
    chance : float
        The mean of that under right forecasts, √(2/π) of the outcome's standard deviation: few accounts are never
        perfectly calibrated.
    """
    weight = curve["accounts"] / curve["accounts"].sum()
    gap = (curve["predicted"] - curve["observed"]).abs()
    return float((weight * gap).sum()), float(np.sqrt(2 / np.pi) * (weight * curve["chance"]).sum())


def cox(event: Floats, p: Floats) -> tuple[float, float]:
    """Return level and slope of the outcome on the forecast's logit (Cox 1958, Two further applications).

    Returns
    -------
    level : float
        Intercept at slope 1: above 0 the event came more often than forecast, throughout. 0 is right.
    slope : float
        With an intercept of its own: below 1 the forecasts are too extreme. NaN where they do not vary.
    """
    z = logit(np.clip(p, LEAST, 1 - LEAST))
    level = float(_logistic(np.ones((len(z), 1)), event, offset=z)[0])
    if np.ptp(z) == 0:
        return level, float("nan")
    return level, float(_logistic(np.column_stack([np.ones(len(z)), z]), event, offset=np.zeros(len(z)))[1])


def moved(p: Floats, level: float) -> Floats:
    """Return forecasts whose logits are all moved by a level."""
    return np.asarray(expit(logit(np.clip(p, LEAST, 1 - LEAST)) + level))


def _logistic(design: Floats, event: Floats, *, offset: Floats) -> Floats:
    """Fit a logistic regression by Newton's method; a hair of a ridge keeps outcomes without variation finite."""
    at, ridge = np.zeros(design.shape[1]), 1e-3 * np.eye(design.shape[1])
    for _ in range(50):
        chance = expit(offset + design @ at)
        hessian = (design * (chance * (1 - chance))[:, None]).T @ design + ridge
        step = np.linalg.solve(hessian, design.T @ (event - chance) - ridge @ at)
        at = at + step * min(1.0, 3.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(at)


def jeffreys(events: Any, n: Any, *, confidence: float) -> tuple[Floats, Floats]:
    """Return Jeffreys' interval of a share; 0 and 1 where nothing, or everything, happened."""
    tail = (1 - confidence) / 2
    lower = np.where(events > 0, beta.ppf(tail, events + 0.5, n - events + 0.5), 0.0)
    upper = np.where(events < n, beta.ppf(1 - tail, events + 0.5, n - events + 0.5), 1.0)
    return lower, upper


def ratio_interval(observed: Floats, expected: Floats, *, confidence: float) -> tuple[Floats, Floats]:
    """Return the exact Poisson interval of observed ÷ expected (Garwood 1936), NaN where nothing is expected."""
    tail = (1 - confidence) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = np.where(observed > 0, chi2.ppf(tail, 2 * observed), 0.0) / 2 / expected
        upper = chi2.ppf(1 - tail, 2 * observed + 2) / 2 / expected
    return np.where(expected > 0, lower, np.nan), np.where(expected > 0, upper, np.nan)


def clustered_error(difference: Floats, cluster: NDArray[np.intp]) -> float:
    """Return the standard error of a mean of differences, those of one account together."""
    if len(difference) < 2:
        return float("nan")
    sums = np.bincount(cluster, difference - difference.mean())
    groups = int((np.bincount(cluster) > 0).sum())
    return float(np.sqrt(float(sums @ sums) * groups / max(groups - 1, 1)) / len(difference))
