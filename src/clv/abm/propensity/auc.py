"""The area under the ROC curve with its standard error, for rows that come in groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import norm, rankdata


class Area(NamedTuple):
    """AUC: the probability that a won deal was scored above a lost one.

    Attributes
    ----------
    value, error : float
        Estimate and standard error.
    lower, upper : float
    """

    value: float
    error: float
    lower: float
    upper: float


def area_under_curve(won: np.ndarray, score: np.ndarray, groups: np.ndarray, *, confidence: float = 0.95) -> Area:
    """Estimate the AUC with an interval that allows for groups.

    Parameters
    ----------
    won : numpy.ndarray of bool, shape (rows,)
    score : numpy.ndarray, shape (rows,)
        Ties count half.
    groups : numpy.ndarray, shape (rows,)
        Rows of one group may depend on each other.
    confidence : float

    Returns
    -------
    Area
        The interval is symmetric on the logit scale.

    Notes
    -----
    Placement values and their variance: DeLong, DeLong & Clarke-Pearson (1988), eq. 5–6; the sums over groups and the
    covariance between a group's won and lost rows: Obuchowski (1997), eq. 4–6. With groups of one the two agree.
    """
    m, n = int(won.sum()), int((~won).sum())
    every, own_won, own_lost = rankdata(score), rankdata(score[won]), rankdata(score[~won])
    above = np.zeros(len(score))
    above[won] = (every[won] - own_won) / n
    above[~won] = 1 - (every[~won] - own_lost) / m
    area = float(above[won].mean())

    code = np.unique(groups, return_inverse=True)[1]
    wins, losses = np.bincount(code, won), np.bincount(code, ~won)
    from_won = np.bincount(code, np.where(won, above, 0.0)) - wins * area
    from_lost = np.bincount(code, np.where(won, 0.0, above)) - losses * area
    with_won, with_lost, many = int((wins > 0).sum()), int((losses > 0).sum()), len(wins)
    if min(with_won, with_lost) < 2:
        return Area(area, np.nan, 0.0, 1.0)
    variance = (
        with_won / (with_won - 1) * np.sum(from_won**2) / m**2
        + with_lost / (with_lost - 1) * np.sum(from_lost**2) / n**2
        + 2 * many / (many - 1) * np.sum(from_won * from_lost) / (m * n)
    )
    error = float(np.sqrt(max(variance, 0.0)))
    # At the ends of the scale the logit has no slope; half a pair in doubt keeps it finite.
    kept = float(np.clip(area, 0.5 / (m * n), 1 - 0.5 / (m * n)))
    reach = norm.ppf(0.5 + confidence / 2) * max(error, 0.5 / (m * n)) / (kept * (1 - kept))
    middle = np.log(kept / (1 - kept))
    lower, upper = 1 / (1 + np.exp(-(middle + np.array([-reach, reach]))))
    return Area(area, error, float(lower), float(upper))
