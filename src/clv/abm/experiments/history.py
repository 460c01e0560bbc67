"""What accounts did in past windows as long as the planned one, and how long a sale takes."""

from __future__ import annotations

import datetime as dt
import math

import pandas as pd

from clv.data.summary_checks import checked
from clv.errors import DataError, SettingsError

Date = dt.date | str | pd.Timestamp
#: deals of which the median length of a sale is taken, at least, before recent ones are left out.
MATURE = 10


def outcome_history(
    transactions: pd.DataFrame,
    accounts: pd.Index,
    *,
    outcome: str = "margin",
    window: float = 182.0,
    as_of: Date | None = None,
    margin: float = 0.3,
    periods: int = 2,
) -> pd.DataFrame:
    """Count an outcome in the last windows before a date.

    Parameters
    ----------
    outcome : {"margin", "revenue", "purchases", "bought"}
    window : float
        Days.

    Returns
    -------
    pandas.DataFrame
        Index: `accounts`; one column a window, the latest last; accounts that bought nothing have 0. Windows that
        begin before the data do are left out.

    Raises
    ------
    DataError
        Not even one window lies within the data.
    """
    if outcome not in ("margin", "revenue", "purchases", "bought"):
        raise SettingsError(
            f"outcome = {outcome!r} cannot be counted from transactions.",
            mend="Use margin, revenue, purchases or bought, or give its history.",
        )
    lines = checked(transactions)
    end = (pd.Timestamp(as_of) if as_of is not None else lines["date"].max()).normalize() + pd.Timedelta(days=1)
    known = (end - lines["date"].min().normalize()) / pd.Timedelta(days=1)
    many = min(periods, math.floor(known / window))
    if many < 1:
        raise DataError(
            f"the data cover {known:.0f} days, less than the window of {window:.0f}.",
            table="transactions", column="date", mend="Plan a shorter window.",
        )  # fmt: skip
    lines = lines[lines["account_id"].isin(accounts) & (lines["date"] < end)]
    place = many - 1 - ((end - lines["date"]).dt.total_seconds() / 86_400 / window).map(_whole)
    lines = lines.assign(period=place)[place >= 0]
    if outcome in ("margin", "revenue"):
        counted = lines.groupby(["account_id", "period"])["amount"].sum() * (margin if outcome == "margin" else 1.0)
    else:
        days = lines[lines["amount"] > 0].assign(day=lambda d: d["date"].dt.normalize())
        counted = days.groupby(["account_id", "period"])["day"].nunique()
        counted = counted.clip(upper=1) if outcome == "bought" else counted
    wide = counted.unstack()  # noqa: PD010, a Series, not a table
    return wide.reindex(index=accounts, columns=range(many)).fillna(0.0).astype(float)


def _whole(x: float) -> int:
    """Whole windows back; what happened at the very beginning of one belongs to it."""
    return math.ceil(x) - 1


def sales_cycle(opportunities: pd.DataFrame | None) -> float:
    """Median days from opening to winning a deal; 0 where nothing is known.

    Of recent deals only quick ones are won yet. Deals opened fewer days before the last known one than nine in ten of
    those won took are therefore left out, if ten or more remain.
    """
    if opportunities is None or not {"created", "closed"} <= set(opportunities.columns):
        return 0.0
    won = opportunities[opportunities["outcome"] == "won"] if "outcome" in opportunities else opportunities
    won = won.dropna(subset=["created", "closed"])
    if won.empty:
        return 0.0
    days = pd.Series((won["closed"] - won["created"]).dt.total_seconds() / 86_400)
    end = max(opportunities["created"].max(), opportunities["closed"].max())
    old = won["created"] <= end - pd.Timedelta(days=float(days.quantile(0.9)))
    return float((days[old] if old.sum() >= MATURE else days).median())
