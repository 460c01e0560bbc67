"""Accounts won: when, what they brought since, and what they are still expected to bring."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from clv.abm.options import value_table
from clv.data.units import days_per_unit
from clv.errors import DataError

Date = dt.date | str | pd.Timestamp
Floats = np.ndarray
#: days around a first purchase within which a won deal documents it.
DOCUMENTED = 90
#: accounts under observation below which a mean of what they brought says little.
FEWEST = 5


def won_accounts(
    transactions: pd.DataFrame,
    opportunities: pd.DataFrame | None = None,
    *,
    since: Date,
    as_of: Date,
) -> pd.DataFrame:
    """List accounts whose first purchase lies in a period.

    Returns
    -------
    pandas.DataFrame
        account_id, date (first purchase), documented (a deal was won within `DOCUMENTED` days of it; empty without
        opportunities): an account that bought before the data begin looks new and has no such deal.
    """
    bought = transactions[transactions["amount"] > 0]
    first = bought.groupby("account_id")["date"].min().dt.normalize()
    first = first[(first >= pd.Timestamp(since).normalize()) & (first <= pd.Timestamp(as_of))].rename("date")
    table = first.reset_index()
    table["documented"] = pd.Series(pd.NA, index=table.index, dtype="boolean")
    if opportunities is not None and {"outcome", "closed"} <= set(opportunities.columns):
        signed = opportunities[opportunities["outcome"] == "won"][["account_id", "closed"]].dropna()
        both = signed.merge(table[["account_id", "date"]], on="account_id")
        near = (both["closed"] - both["date"]).abs() <= pd.Timedelta(days=DOCUMENTED)
        table["documented"] = table["account_id"].isin(both.loc[near, "account_id"]).astype("boolean")
    return table


def value_since_won(
    margins: pd.DataFrame,
    won: pd.DataFrame,
    value: pd.DataFrame,
    *,
    as_of: Date,
    discount_rate: float,
) -> pd.DataFrame:
    """Value each account on the day it was won: what it brought since, and what it is expected to bring.

    ``Σ margin · e^{−δ(day − won)} + clv · e^{−δ(as_of − won)}``, δ = ln(1 + rate) a year.

    Parameters
    ----------
    margins : pandas.DataFrame
        account_id, date, margin: contribution margin of purchases, before any cost to acquire or serve.
    won : pandas.DataFrame
        account_id, date.
    value : pandas.DataFrame
        Index account_id, clv: expected from `as_of` on; accounts without one are expected to bring nothing more.

    Returns
    -------
    pandas.DataFrame
        Index account_id: earned (discounted), expected (discounted), clv (their sum), days (since won).
    """
    start = pd.Series(pd.to_datetime(won["date"]).to_numpy(), index=won["account_id"].astype(str))
    delta, end = float(np.log1p(discount_rate)) / days_per_unit("Y"), pd.Timestamp(as_of)
    mine = _since(margins, start, end)
    earned = (mine["margin"] * np.exp(-delta * mine["days"])).groupby(mine["account_id"]).sum()
    days = ((end - start).dt.total_seconds() / 86_400).clip(lower=0.0)
    clv = value_table(value)["clv"].reindex(start.index).fillna(0.0)
    table = pd.DataFrame({"earned": earned.reindex(start.index).fillna(0.0), "expected": clv * np.exp(-delta * days)})
    return table.assign(clv=table["earned"] + table["expected"], days=days).rename_axis("account_id")


def margin_curve(
    margins: pd.DataFrame, won: pd.DataFrame, weight: pd.Series | None = None, *, as_of: Date
) -> pd.DataFrame:
    """Mean cumulative margin of an account by time since it was won.

    The mean cumulative function (Nelson 1988, *Journal of Quality Technology* 20; Lawless & Nadeau 1995,
    *Technometrics* 37): at each age the mean is over the accounts that have been under observation so long, so that
    accounts won of late do not pull it down. Ages that fewer than `FEWEST` accounts have reached are left out.

    Parameters
    ----------
    weight : pandas.Series, optional
        Account -> its part; None: 1.

    Returns
    -------
    pandas.DataFrame
        days, margin: the mean margin so far, not discounted, ascending in days.
    """
    start = pd.Series(pd.to_datetime(won["date"]).to_numpy(), index=won["account_id"].astype(str))
    end = pd.Timestamp(as_of)
    share = pd.Series(1.0, index=start.index) if weight is None else weight.reindex(start.index).fillna(0.0)
    share = share[share > 0]
    start = start.reindex(share.index)
    mine = _since(margins, start, end)
    if mine.empty or len(share) < FEWEST:
        return pd.DataFrame({"days": pd.Series(dtype=float), "margin": pd.Series(dtype=float)})
    seen = ((end.normalize() - start.dt.normalize()) / pd.Timedelta(days=1)).to_numpy(float)
    order = np.argsort(seen, kind="stable")
    gone = np.concatenate([[0.0], np.cumsum(share.to_numpy(float)[order])])
    step = (mine["margin"] * share.reindex(mine["account_id"]).to_numpy()).groupby(mine["days"]).sum().sort_index()
    age = step.index.to_numpy(float)
    before = np.searchsorted(seen[order], age, side="left")
    at_risk, many = gone[-1] - gone[before], len(seen) - before
    enough = many >= FEWEST
    return pd.DataFrame({"days": age[enough], "margin": np.cumsum(step.to_numpy()[enough] / at_risk[enough])})


def payback_months(curve: pd.DataFrame, cost: float) -> float:
    """Months until the mean margin of an account has made up for its cost; infinite where it has not yet."""
    if not cost > 0:
        return 0.0
    reached = curve["days"].to_numpy()[curve["margin"].to_numpy() >= cost]
    return float(reached[0] / days_per_unit("M")) if len(reached) else np.inf


def _since(margins: pd.DataFrame, start: pd.Series, end: pd.Timestamp) -> pd.DataFrame:
    """Margins of these accounts from the day they were won until the end, with the days in between."""
    for name in ("account_id", "date", "margin"):
        if name not in margins.columns:
            raise DataError("there is no such column.", table="margins", column=name, mend="Add it.")
    mine = margins[["account_id", "date", "margin"]].assign(date=pd.to_datetime(margins["date"]).dt.normalize())
    mine = mine.astype({"account_id": str})
    mine = mine[mine["account_id"].isin(start.index) & (mine["date"] <= end)]
    days = (mine["date"].to_numpy() - start.dt.normalize().reindex(mine["account_id"]).to_numpy()) / np.timedelta64(
        1, "D"
    )
    mine = mine.assign(days=days)
    return mine[mine["days"] >= 0]
