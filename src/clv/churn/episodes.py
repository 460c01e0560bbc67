"""Episodes: purchases between two silences so long that the account counted as gone (rule A1)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.purchases import MICRO, Purchases


def by_account(purchases: Purchases) -> NDArray[np.intp]:
    """Return the places of all purchases (credits left out), account by account and in order of time."""
    order = np.lexsort((purchases.day, purchases.account))
    return order[purchases.counts[order]]


def cut_episodes(purchases: Purchases, limit: float | NDArray[np.float64]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut each account's purchases where it was silent for longer than `limit` days.

    Parameters
    ----------
    purchases : Purchases
    limit : float or ndarray
        Days; an array has one entry a purchase, in the order of `by_account`: for the silence after it.

    Returns
    -------
    episodes : pandas.DataFrame
        account_id, episode (from 1), from, to, purchases, money, ended (a silence longer than the limit followed).
    gaps : pandas.DataFrame
        Index account_id: days and n (sum and number) of the gaps between purchases of an episode.
    """
    order = by_account(purchases)
    account, day, money = purchases.account[order], purchases.day[order], purchases.money[order]
    same = np.diff(account, prepend=-1) == 0
    gap = np.where(same, np.diff(day, prepend=0), 0)
    after = np.broadcast_to(np.asarray(limit, dtype=float), day.shape)
    starts = np.flatnonzero(~same | (gap > np.roll(after, 1)))
    ends = np.append(starts[1:], len(day)) - 1
    owner = account[starts]
    number = np.arange(len(starts)) - np.searchsorted(owner, owner, side="left") + 1
    last_one = np.append(np.diff(owner) != 0, True)
    ids = pd.Series(purchases.accounts[owner], dtype=str)
    episodes = pd.DataFrame(
        {
            "account_id": ids,
            "episode": number,
            "from": day[starts].astype("datetime64[D]").astype("datetime64[ns]"),
            "to": day[ends].astype("datetime64[D]").astype("datetime64[ns]"),
            "purchases": ends - starts + 1,
            "money": np.add.reduceat(money, starts) / MICRO,
            "ended": ~last_one | (purchases.end - day[ends] > after[ends]),
        }
    )
    within = pd.DataFrame({"account_id": ids, "days": day[ends] - day[starts], "n": ends - starts})
    return episodes, within.groupby("account_id").sum()
