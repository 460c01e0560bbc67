"""Pioneers: accounts among the first to buy what is new (rule A2)."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: days after the first line of a table from which a product counts as new.
OLD_FROM = 180
#: accounts that must have bought a new product before anyone counts as early; launches that one must have met.
FEWEST_BUYERS, FEWEST_LAUNCHES = 10, 2


def pioneers(lines: pd.DataFrame, accounts: pd.Index, early_share: float) -> pd.DataFrame:
    """Tell who buys new products early.

    Parameters
    ----------
    lines : pandas.DataFrame
        account_id, date, product.
    accounts : pandas.Index
    early_share : float
        The first part of a product's buyers that are early.

    Returns
    -------
    pandas.DataFrame
        Index `accounts`: launches (new products it could have bought early: it was a customer at the launch), early
        (of how many it was among the first buyers), lag (mean days from launch to its first purchase, of those it
        bought), pioneer (nullable).

    Notes
    -----
    A product is new if its first sale lies half a year or more after the table begins. A pioneer was early for at least
    two launches, and more often than chance would have it at the 5 % level (binomial, as many tries as launches it
    met, each with the share of customers that became early). Unknown with fewer than two launches.
    """
    from scipy.special import bdtrc

    known = lines[lines["product"].notna() & (lines["amount"] > 0)]
    firsts = known.groupby(["product", "account_id"], sort=True)["date"].min().reset_index()
    launch = firsts.groupby("product")["date"].min()
    buyers = firsts.groupby("product").size()
    new = launch.index[(launch >= lines["date"].min() + pd.Timedelta(days=OLD_FROM)) & (buyers >= FEWEST_BUYERS)]
    since = lines[lines["amount"] > 0].groupby("account_id")["date"].min().reindex(accounts)
    launches, early, bought = (np.zeros(len(accounts)) for _ in range(3))
    lag, chance = np.zeros(len(accounts)), np.zeros(len(accounts))
    for product in new:
        of = firsts[firsts["product"] == product].sort_values(["date", "account_id"], kind="stable")
        there = (since <= launch[product]).to_numpy()
        place = accounts.get_indexer(of["account_id"])
        count = max(1, round(early_share * len(of)))
        # Who bought on the day of the last early buyer is as early as that one.
        first = (of["date"] <= of["date"].iloc[count - 1]).to_numpy()
        was_first = np.zeros(len(accounts), dtype=bool)
        was_first[place[first & (place >= 0)]] = True
        launches += there
        early += was_first & there
        chance += np.where(there, (was_first & there).sum() / max(there.sum(), 1), 0.0)
        days = np.zeros(len(accounts))
        has = np.zeros(len(accounts), dtype=bool)
        inside = place >= 0
        days[place[inside]] = (of["date"] - launch[product]).dt.days.to_numpy()[inside]
        has[place[inside]] = True
        lag += np.where(has, days, 0.0)
        bought += has
    p = np.divide(chance, launches, out=np.zeros(len(accounts)), where=launches > 0)
    surprise = np.where(early > 0, bdtrc(np.maximum(early - 1, 0), np.maximum(launches, 1).astype(int), p), 1.0)
    pioneer = pd.Series((early >= FEWEST_LAUNCHES) & (surprise < 0.05), index=accounts, dtype="boolean")
    return pd.DataFrame(
        {
            "launches": launches.astype(int),
            "early": early.astype(int),
            "lag": np.divide(lag, bought, out=np.full(len(accounts), np.nan), where=bought > 0),
            "pioneer": pioneer.where(launches >= FEWEST_LAUNCHES),
        },
        index=accounts,
    )
