"""Demand by account and period, its season taken out, and how sure its coefficient of variation is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: p-value of an account's own season below which it is taken out.
SEASON_LEVEL = 0.05
#: periods a year, and the days after which a period is complete.
PER_YEAR = {"M": 12, "Q": 4, "W": 52}


class Demand(NamedTuple):
    """Demand over complete periods.

    Attributes
    ----------
    matrix : numpy.ndarray, shape (accounts, periods)
        Money; NaN before the period after the one of an account's first purchase.
    accounts : pandas.Index
    periods : pandas.PeriodIndex
    """

    matrix: Floats
    accounts: pd.Index
    periods: pd.PeriodIndex


class Variation(NamedTuple):
    """Of each account: mean demand, standard deviation around its season, degrees of freedom, periods, season."""

    mean: Floats
    sd: Floats
    freedom: Floats
    periods: Floats
    seasonal: NDArray[np.bool_]


def demand(lines: pd.DataFrame, accounts: pd.Index, end: pd.Timestamp, period: str) -> Demand:
    """Sum money by account and complete period.

    The period of the first purchase is left out (it began before the account did), except where it is the first of
    the table: what was before the table is not known, and the account may have bought all along.
    """
    freq = {"M": "M", "Q": "Q", "W": "W-SUN"}[period]
    of = lines["date"].dt.to_period(freq)
    first, last = of.min(), pd.Period(end, freq)
    begins = lines["date"].min()
    if begins > first.start_time + pd.Timedelta(days=first.days_in_month // 3 if period == "M" else 2):
        first += 1
    if end.normalize() < last.end_time.normalize():
        last -= 1
    periods = pd.period_range(first, last, freq=freq)
    row = accounts.get_indexer(pd.Index(lines["account_id"]))
    column = periods.get_indexer(pd.PeriodIndex(of))
    matrix = np.zeros((len(accounts), len(periods)))
    inside = (column >= 0) & (row >= 0)
    np.add.at(matrix, (row[inside], column[inside]), lines["amount"].to_numpy(float)[inside])
    order = of.to_numpy()
    started = np.full(len(accounts), len(periods), dtype=int)
    place = np.array([(p - periods[0]).n if len(periods) else 0 for p in pd.unique(order)], dtype=int)
    where = pd.Series(place, index=pd.unique(order)).reindex(order).to_numpy()
    np.minimum.at(started, row[row >= 0], where[row >= 0])
    begin = np.where(started <= 0, 0, started + 1)
    matrix[np.arange(len(periods))[None, :] < begin[:, None]] = np.nan
    return Demand(matrix, accounts, periods)


def variation(found: Demand, *, index: Floats | None, own: bool) -> Variation:
    """Estimate mean and spread of demand, known season taken out.

    Parameters
    ----------
    found : Demand
    index : numpy.ndarray, shape (periods,), optional
        Index of each period for the whole book, 1 on average: demand is divided by it.
    own : bool
        Take out an account's own season, where two whole years were seen and an F test finds one; of those accounts
        the index is not used.

    Notes
    -----
    An account's own season is the mean of each calendar period; the spread that is left has n − s degrees of freedom,
    s the number of calendar periods.
    """
    matrix, year = found.matrix, _season_of(found.periods)
    count = np.sum(~np.isnan(matrix), axis=1)
    plain = matrix if index is None else matrix / index
    mean, sd = _moments(plain)
    freedom = (count - 1).astype(float)
    seasonal = np.zeros(len(matrix), dtype=bool)
    kinds = len(np.unique(year))
    if own and kinds > 1:
        for n in np.unique(count[count >= 2 * kinds]):
            rows = np.flatnonzero(count == n)
            has, spread = _own_season(matrix[rows][:, -n:], year[-n:])
            chosen = rows[has]
            seasonal[chosen] = True
            sd[chosen], freedom[chosen] = spread[has], n - kinds
            mean[chosen] = matrix[chosen, -n:].mean(axis=1)
    return Variation(mean, sd, freedom, count.astype(float), seasonal)


def class_probabilities(
    cv: Floats, freedom: Floats, periods: Floats, cuts: tuple[float, float]
) -> tuple[Floats, Floats, Floats]:
    """Return P(X), P(Y) and P(Z): where the true coefficient of variation lies, given what was seen.

    For normal demand with prior dμ dσ/σ, ``P(CV < c | data) = F(√n / cv; ν, √n / c)``, F the distribution function of
    the noncentral t (ν degrees of freedom): the posterior is also the exact confidence distribution, since √n / cv
    follows that distribution where the true one is c (Johnson & Welch 1940). NaN where there is no variation to see.
    """
    from scipy.special import nctdtr

    root = np.sqrt(periods)
    t = np.divide(root, cv, out=np.full_like(cv, np.nan), where=cv > 0)
    below = []
    for cut in cuts:
        p = nctdtr(np.maximum(freedom, 1.0), root / cut, t)
        # Far tails that the routine cannot reach are 0 or 1: the plug-in says which.
        p = np.where(np.isnan(p), np.where(cv < cut, 1.0, 0.0), p)
        p = np.where(cv == 0, 1.0, p)
        below.append(np.where(np.isnan(cv) | (freedom < 1), np.nan, p))
    low, high = below[0], np.maximum(below[0], below[1])
    return low, high - low, 1 - high


def _season_of(periods: pd.PeriodIndex) -> NDArray[np.int64]:
    if periods.freqstr.startswith("M"):
        return np.asarray(periods.month, dtype=np.int64)
    if periods.freqstr.startswith("Q"):
        return np.asarray(periods.quarter, dtype=np.int64)
    return np.zeros(len(periods), dtype=np.int64)  # weeks of the year do not repeat evenly: no own season


def _moments(matrix: Floats) -> tuple[Floats, Floats]:
    n = np.sum(~np.isnan(matrix), axis=1)
    total = np.nansum(matrix, axis=1)
    mean = np.divide(total, n, out=np.full(len(matrix), np.nan), where=n > 0)
    squares = np.nansum((matrix - mean[:, None]) ** 2, axis=1)
    variance = np.divide(squares, n - 1, out=np.full(len(matrix), np.nan), where=n > 1)
    return mean, np.sqrt(variance)


def _own_season(block: Floats, year: NDArray[np.int64]) -> tuple[NDArray[np.bool_], Floats]:
    """Test each row for means that differ by calendar period; return who has them, and the spread left."""
    from scipy.special import fdtrc

    n = block.shape[1]
    which = (year[:, None] == np.unique(year)[None, :]).astype(float)
    means = (block @ which) / which.sum(axis=0)
    left = np.sum((block - means @ which.T) ** 2, axis=1)
    total = np.sum((block - block.mean(axis=1, keepdims=True)) ** 2, axis=1)
    k = which.shape[1]
    size = np.maximum(total, 1e-300)
    f = ((total - left) / (k - 1)) / np.maximum(left / (n - k), 1e-12 * size)
    p = np.where(total > 1e-18 * np.maximum(np.sum(block**2, axis=1), 1e-300), fdtrc(k - 1, n - k, np.maximum(f, 0)), 1)
    return p < SEASON_LEVEL, np.sqrt(left / (n - k))
