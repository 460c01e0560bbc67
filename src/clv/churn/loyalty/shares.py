"""Shares that tell loyal from retained, each with its interval: on discount, in season, of the wallet."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.proportions import proportion_interval
from clv.errors import DataError

Floats = NDArray[np.float64]

#: months of an account's season.
SEASON = 3


def discount_share(orders: pd.DataFrame, accounts: pd.Index, confidence: float) -> pd.DataFrame:
    """Count orders on discount: columns on_discount, of, share, lower, upper; NaN shares where no order says."""
    known = orders[orders["on_discount"].notna()].groupby("account_id")["on_discount"].agg(["sum", "size"])
    known = known.reindex(accounts, fill_value=0.0)
    k, n = known["sum"].to_numpy(float), known["size"].to_numpy(float)
    low, high = proportion_interval(k, n, confidence)
    share = np.where(n > 0, k / np.maximum(n, 1), np.nan)
    return pd.DataFrame({"on_discount": k, "of": n, "share": share, "lower": low, "upper": high}, index=accounts)


def season_share(orders: pd.DataFrame, accounts: pd.Index, last: pd.Timestamp, confidence: float) -> pd.DataFrame:
    """Count orders in each account's own season, found in other years than those counted.

    Parameters
    ----------
    orders : pandas.DataFrame
        account_id, day.
    accounts : pandas.Index
    last : pandas.Timestamp
        The as-of date; years run back from it.
    confidence : float

    Returns
    -------
    pandas.DataFrame
        in_season, of (orders in years for which another year with orders is there), share, lower, upper, first_month
        (1–12, of the season over all years). The season of a year is the run of three calendar months with most orders
        in the account's *other* years, so that a share of 3/12 is what chance makes of an account without a season;
        looking for the best months in the orders counted would find a season in anybody.
    """
    code = accounts.get_indexer(pd.Index(orders["account_id"]))
    day = orders["day"]
    back = (last.year - day.dt.year) * 12 + last.month - day.dt.month
    # Years of twelve calendar months that end with that of the as-of date.
    year, month = (back // 12).to_numpy(), day.dt.month.to_numpy() - 1
    years = int(year.max()) + 1
    counts = np.bincount((code * years + year) * 12 + month, minlength=len(accounts) * years * 12)
    counts = counts.reshape(len(accounts), years, 12)
    whole = counts.sum(axis=1, keepdims=True)
    others = whole - counts
    runs = sum(np.roll(others, -step, axis=2) for step in range(SEASON))
    inside = sum(np.roll(counts, -step, axis=2) for step in range(SEASON))
    # Ties between runs (few orders): the mean over the tied, so that no month is preferred by its place.
    best = runs == runs.max(axis=2, keepdims=True)
    hit = (inside * best).sum(axis=2) / best.sum(axis=2)
    usable = others.sum(axis=2) > 0
    k = np.where(usable, hit, 0.0).sum(axis=1)
    n = np.where(usable, counts.sum(axis=2), 0).sum(axis=1).astype(float)
    low, high = proportion_interval(k, n, confidence)
    first = sum(np.roll(whole[:, 0], -step, axis=1) for step in range(SEASON)).argmax(axis=1) + 1
    share = np.where(n > 0, k / np.maximum(n, 1), np.nan)
    return pd.DataFrame(
        {"in_season": k, "of": n, "share": share, "lower": low, "upper": high, "first_month": first}, index=accounts
    )


def wallet_share(
    orders: pd.DataFrame, wallets: pd.DataFrame | None, accounts: pd.Index, last: pd.Timestamp, confidence: float
) -> pd.DataFrame:
    """Set the last year's money against the account's latest surveyed wallet.

    Returns
    -------
    pandas.DataFrame
        wallet, money (of the 365 days up to the as-of date), share, lower, upper, error (the share is above 1: the
        wallet or the sales are wrong). The interval holds the chance in how many orders a year has and how large they
        are (compound Poisson, normal), and takes the wallet as it was told.
    """
    from scipy.stats import norm

    year = orders[orders["day"] > last - pd.Timedelta(days=365)]
    squares = (year["money"] ** 2).groupby(year["account_id"]).sum().reindex(accounts, fill_value=0.0).to_numpy(float)
    money = year.groupby("account_id")["money"].sum().reindex(accounts, fill_value=0.0).to_numpy(float)
    wallet = np.full(len(accounts), np.nan)
    if wallets is not None:
        for name in ("account_id", "date", "wallet"):
            if name not in wallets.columns:
                raise DataError("is missing.", table="wallets", column=name, mend="Rename the column.")
        told = wallets[wallets["date"] <= last].sort_values("date", kind="stable")
        latest = told.groupby(told["account_id"].astype(str))["wallet"].last()
        wallet = latest.reindex(accounts).to_numpy(float)
        wallet = np.where(wallet > 0, wallet, np.nan)
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(squares)
    share = money / wallet
    return pd.DataFrame(
        {
            "wallet": wallet,
            "money": money,
            "share": share,
            "lower": np.maximum(money - half, 0.0) / wallet,
            "upper": (money + half) / wallet,
            "error": share > 1,
        },
        index=accounts,
    )
