"""Episodes: purchases between two silences so long that the account counted as gone (rule A1)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.churn.purchases import MICRO, Purchases


def cut_episodes(purchases: Purchases, limit: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut each account's purchases where it was silent for longer than `limit` days.

    Returns
    -------
    episodes : pandas.DataFrame
        account_id, episode (from 1), from, to, purchases, money, ended (a silence longer than the limit followed).
    gaps : pandas.DataFrame
        Index account_id: days and n (sum and number) of the gaps between purchases of an episode.
    """
    order = np.lexsort((purchases.day, purchases.account))
    order = order[purchases.counts[order]]
    account, day, money = purchases.account[order], purchases.day[order], purchases.money[order]
    same = np.diff(account, prepend=-1) == 0
    gap = np.where(same, np.diff(day, prepend=0), 0)
    starts = np.flatnonzero(~same | (gap > limit))
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
            "ended": ~last_one | (purchases.end - day[ends] > limit),
        }
    )
    within = pd.DataFrame({"account_id": ids, "days": day[ends] - day[starts], "n": ends - starts})
    return episodes, within.groupby("account_id").sum()
