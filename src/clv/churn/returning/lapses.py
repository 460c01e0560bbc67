"""Lapses: silences after which an account counts as gone, when each began, and whether and when it ended."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.episodes import by_account, cut_episodes
from clv.churn.purchases import Purchases
from clv.data.units import DAYS
from clv.errors import DataError

Floats = NDArray[np.float64]

#: intervals of the book that an account's own are averaged with: its first few say little.
_BORROWED = 2.0


def own_limits(purchases: Purchases, times: float) -> Floats:
    """Return how long each account may be silent after each purchase: `times` its usual interval as known by then.

    Returns
    -------
    ndarray
        Days, in the order of `by_account`. The usual interval is the geometric mean of the account's intervals up to
        that purchase and of two of the book's: one long silence does not stretch it much.

    Raises
    ------
    clv.errors.DataError
        If nobody bought twice: there is no rhythm then.
    """
    order = by_account(purchases)
    account, day = purchases.account[order], purchases.day[order]
    first = np.diff(account, prepend=-1) != 0
    logs = np.where(first, 0.0, np.log(np.maximum(np.diff(day, prepend=0), 1)))
    if first.all():
        raise DataError(
            "nobody bought twice, so that no account has a rhythm.", table="transactions",
            mend='Use lapse="months".',
        )  # fmt: skip
    book = logs[~first].mean()
    start = np.flatnonzero(first)[np.cumsum(first) - 1]
    total = np.cumsum(logs)
    total = total - total[start] + logs[start]
    seen = np.arange(len(day)) - start
    return times * np.exp((total + _BORROWED * book) / (seen + _BORROWED))


def find_lapses(purchases: Purchases, limit: float | Floats) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find all lapses up to the as-of date.

    Parameters
    ----------
    purchases : Purchases
    limit : float or ndarray
        As for `clv.churn.episodes.cut_episodes`.

    Returns
    -------
    lapses : pandas.DataFrame
        account_id, episode (the one that ended), bought (purchases up to then), last (day of its last purchase), limit
        (days), since (day on which the silence passed the limit), returned (day of the next purchase; NaN while it has
        not come), follow_up (months from `since` to the end).
    episodes : pandas.DataFrame
        As `cut_episodes` gives them, with first and last day as numbers.
    """
    episodes, _ = cut_episodes(purchases, limit)
    start = episodes["from"].to_numpy("datetime64[D]").astype("int64")
    last = episodes["to"].to_numpy("datetime64[D]").astype("int64")
    episodes = episodes.assign(start=start, last=last)
    ends = np.cumsum(episodes["purchases"].to_numpy()) - 1
    allowed = np.broadcast_to(np.asarray(limit, dtype=float), (int(ends[-1]) + 1,))[ends]
    follows = np.append(episodes["account_id"].to_numpy()[1:] == episodes["account_id"].to_numpy()[:-1], False)
    returned = np.where(follows, np.append(start[1:], 0), np.nan)
    since = last + allowed
    lapses = pd.DataFrame(
        {
            "account_id": episodes["account_id"],
            "episode": episodes["episode"],
            "bought": episodes.groupby("account_id")["purchases"].cumsum(),
            "last": last,
            "limit": allowed,
            "since": since,
            "returned": returned,
            "follow_up": (purchases.end - since) / DAYS["M"],
        }
    )
    return lapses[episodes["ended"].to_numpy()].reset_index(drop=True), episodes


def months_at_risk(lapses: pd.DataFrame, months: int, *, entry: float | None = None) -> pd.DataFrame:
    """Count, for each month since the lapse, who could still come back and who did.

    Parameters
    ----------
    lapses : pandas.DataFrame
        From `find_lapses`.
    months : int
        How many months to look at.
    entry : float, optional
        Day from which accounts are watched. A lapse is at risk from its first month that begins then or later: what
        went before is left-truncated, and accounts that were back by then are not counted as chances that failed.

    Returns
    -------
    pandas.DataFrame
        Index month (1 …): at_risk, returned. A month counts for a lapse only if it lies in whole before the as-of
        date, whether the account came back in it or not: else returns would be counted in months cut short, and
        silences not.
    """
    whole = np.floor(lapses["follow_up"].to_numpy(float)).astype(int)
    waited = (lapses["returned"].to_numpy(float) - lapses["since"].to_numpy(float)) / DAYS["M"]
    # Back on the very day on which the silence passed the limit is the first month.
    event = np.where(np.isnan(waited), np.iinfo(np.int32).max, np.maximum(np.ceil(np.nan_to_num(waited)), 1)).astype(
        int
    )
    first = np.ones(len(lapses), dtype=int)
    if entry is not None:
        late = (entry - lapses["since"].to_numpy(float)) / DAYS["M"]
        first = np.maximum(np.ceil(late).astype(int) + 1, 1)
    last = np.minimum(np.minimum(whole, event), months)
    month = np.arange(1, months + 1)
    at_risk = ((first[:, None] <= month) & (month <= last[:, None])).sum(axis=0)
    came = (event <= last) & (event >= first)
    returned = np.bincount(event[came], minlength=months + 1)[1 : months + 1]
    return pd.DataFrame({"at_risk": at_risk, "returned": returned}, index=pd.Index(month, name="month"))
