"""What happened to each account of a programme: margin, revenue, purchases and deals in a window that knows the lag."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from clv.abm.experiments.history import sales_cycle
from clv.data.summary_checks import checked
from clv.errors import DataError, SettingsError

Date = dt.date | str | pd.Timestamp
#: days before which nothing is worth measuring (rule D6).
EARLIEST = 30
OUTCOMES = ("margin", "revenue", "purchases", "bought", "wins", "win_rate", "cycle_time")


def experiment_outcomes(
    programmes: pd.DataFrame,
    transactions: pd.DataFrame,
    *,
    opportunities: pd.DataFrame | None = None,
    window: float | None = None,
    lag: float = 0.0,
    margin: float = 0.3,
    as_of: Date | None = None,
    programme: str | None = None,
    follow: float | None = None,
) -> pd.DataFrame:
    """Measure every account of a programme over the same number of days after its start, and before it.

    Parameters
    ----------
    programmes : pandas.DataFrame
        Columns account_id, arm, start; tier, programme, cost, hours, block and others are carried along. Controls have
        the start of those with whom they are compared.
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    opportunities : pandas.DataFrame, optional
        Columns account_id, created, closed, outcome; without the last two nothing is said of deals.
    window : float, optional
        Days counted; None: all that every account has until `as_of`.
    lag : float
        Days after the start that are left out, because nothing can have happened yet.
    margin : float
        Contribution margin as a share of sales.
    as_of : date, optional
        Last day known; None: the last transaction.
    programme : str, optional
        Which programme, where the table holds several.
    follow : float, optional
        Days that every deal is watched from its opening, for win_rate and cycle_time; None: half of the days from the
        start to the end of the window.

    Returns
    -------
    pandas.DataFrame
        One row an account: what `programmes` says of it and, over the window, margin, revenue, purchases (days with a
        purchase), bought (0 or 1); with opportunities wins (deals opened since the start and won in the window),
        win_rate (of the deals opened since the start and at least `follow` days before the end: the share won within
        `follow` days; empty without one) and cycle_time (mean days from opening to winning of those won). The same over
        the window before the start with the ending ``_pre``. ``attrs["clv"]`` holds ``window``, ``lag``, ``follow`` and
        ``notes``, what a reader must be told.

    Raises
    ------
    DataError
        The programme starts after the data end, or an account has no start or several.
    SettingsError
        A window that is not over, or `follow` that is longer.

    Notes
    -----
    Counting only deals that are decided would take quick ones for typical: an arm that opens more deals late, as a
    programme may, would seem to win fewer of them, and sooner. Here every deal is watched for as long; what is decided
    after `follow` days counts in neither arm. Whether an account has such a deal at all may still depend on the arm.
    """
    rows = _accounts(programmes, programme)
    if opportunities is not None and not {"closed", "outcome"} <= set(opportunities.columns):
        opportunities = None
    lines = checked(transactions)
    end = pd.Timestamp(as_of) if as_of is not None else lines["date"].max()
    end = end.normalize() + pd.Timedelta(days=1)
    begin = rows["start"].dt.normalize() + pd.Timedelta(days=float(lag))
    longest = float((end - begin.max()) / pd.Timedelta(days=1))
    if longest < 1:
        raise DataError(
            f"the last outcome is of {end - pd.Timedelta(days=1):%Y-%m-%d}, before the treatment can have worked"
            f" ({begin.max():%Y-%m-%d}).",
            table="programmes", column="start", mend="Wait, or check the start and the lag.",
        )  # fmt: skip
    days = longest if window is None else float(window)
    if not 0 < days <= longest:
        raise SettingsError(
            f"window = {window}: {longest:.0f} days have passed since the last start and the lag.",
            mend="Give a window that is over, or None.",
        )
    watched = (days + float(lag)) / 2 if follow is None else float(follow)
    if not 0 < watched < days + float(lag):
        raise SettingsError(
            f"follow = {follow}: the window ends {days + float(lag):.0f} days after the start.",
            mend="Watch deals for fewer days than that, such as half of them.",
        )
    notes = _notes(days, lag, opportunities)
    index = pd.Index(rows["account_id"])
    span = pd.Timedelta(days=days)
    after = (begin.set_axis(index), (begin + span).set_axis(index))
    start = rows["start"].dt.normalize().set_axis(index)
    before = (start - span, start)
    first = lines["date"].min()
    if (before[0] < first).any():
        notes.append(
            f"the data begin on {first:%Y-%m-%d}, within the window before the start: what accounts did before is"
            " known in part only"
        )
    out = rows.set_index(index)
    for ending, opened, (low, high) in (("", start, after), ("_pre", before[0], before)):
        money = _trade(lines, low, high)
        out[f"margin{ending}"] = margin * money["revenue"]
        out[[f"{name}{ending}" for name in money]] = money
        if opportunities is not None:
            deals = _deals(opportunities, opened, low, high, watched)
            out[[f"{name}{ending}" for name in deals]] = deals
    out = out.reset_index(drop=True)
    out.attrs["clv"] = {"window": days, "lag": float(lag), "follow": watched, "notes": notes}
    return out


def notes_of(data: pd.DataFrame) -> list[str]:
    """Return what `experiment_outcomes` said must be told; nothing for a table from elsewhere."""
    about: Any = data.attrs.get("clv")
    return list(about.get("notes", [])) if isinstance(about, dict) else []


def _accounts(programmes: pd.DataFrame, programme: str | None) -> pd.DataFrame:
    for name in ("account_id", "arm", "start"):
        if name not in programmes.columns:
            raise DataError("there is no such column.", table="programmes", column=name, mend="Add it.")
    rows = programmes
    if programme is not None:
        rows = rows[rows["programme"].astype(str) == programme] if "programme" in rows.columns else rows.iloc[:0]
        if rows.empty:
            raise DataError(f"no row is of programme {programme!r}.", table="programmes", mend="Check its name.")
    twice = rows["account_id"].duplicated().to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        mine = rows[rows["account_id"] == rows["account_id"].iloc[row]]
        two = len(set(mine["arm"])) > 1
        several = "programme" in rows.columns and len(set(rows["programme"].dropna())) > 1
        raise DataError(
            f"{rows['account_id'].iloc[row]!r} is there {len(mine)} times{', in two arms' if two else ''}.",
            table="programmes", column="account_id", row=row + 1,
            mend="Choose one programme with programme=…." if several else "Give each account once, in the arm it was"
            " drawn into.",
        )  # fmt: skip
    if rows["start"].isna().any():
        raise DataError(
            "is empty.", table="programmes", column="start", row=int(np.argmax(rows["start"].isna().to_numpy())) + 1,
            mend="Give controls the start of the programme.",
        )  # fmt: skip
    rows = rows.reset_index(drop=True)
    return rows.assign(account_id=rows["account_id"].astype(str), start=pd.to_datetime(rows["start"]))


def _within(table: pd.DataFrame, date: str, low: pd.Series, high: pd.Series) -> pd.DataFrame:
    """Rows of accounts in the programme whose date lies in the account's own window."""
    table = table[table["account_id"].isin(low.index)]
    when = table[date]
    inside = (when >= low.reindex(table["account_id"]).to_numpy()) & (
        when < high.reindex(table["account_id"]).to_numpy()
    )
    return table[inside.fillna(False)]


def _trade(lines: pd.DataFrame, low: pd.Series, high: pd.Series) -> pd.DataFrame:
    inside = _within(lines, "date", low, high)
    by_account = inside.groupby("account_id")
    purchases = inside[inside["amount"] > 0].assign(day=lambda d: d["date"].dt.normalize())
    days = purchases.groupby("account_id")["day"].nunique()
    out = pd.DataFrame({"revenue": by_account["amount"].sum(), "purchases": days}).reindex(low.index).fillna(0.0)
    out["bought"] = (out["purchases"] > 0).astype(float)
    return out.astype(float)


def _deals(
    opportunities: pd.DataFrame, opened: pd.Series, low: pd.Series, high: pd.Series, follow: float
) -> pd.DataFrame:
    """Wins from `low` to `high` of deals opened from `opened` on; those opened early enough, watched for `follow`."""
    deals = _within(opportunities.dropna(subset=["created"]), "created", opened, high)
    account, span = deals["account_id"], pd.Timedelta(days=follow)
    won = deals["outcome"] == "won"
    inside = (deals["closed"] >= low.reindex(account).to_numpy()) & (deals["closed"] < high.reindex(account).to_numpy())
    old = deals["created"] <= (high.reindex(account) - span).to_numpy()
    length = deals["closed"] - deals["created"]
    in_time = won & (length < span)
    days = (length.dt.total_seconds() / 86_400).where(in_time)[old]
    out = pd.DataFrame(
        {
            "wins": (won & inside).astype(float).groupby(account).sum(),
            "win_rate": in_time[old].astype(float).groupby(account[old]).mean(),
            "cycle_time": days.groupby(account[old]).mean(),
        }
    ).reindex(low.index)
    return out.assign(wins=out["wins"].fillna(0.0)).astype(float)


def _notes(days: float, lag: float, opportunities: pd.DataFrame | None) -> list[str]:
    """Say what is to be minded about the window (rule D6)."""
    notes = []
    if days + lag < EARLIEST:
        notes.append(f"only {days + lag:.0f} days have passed: nothing is worth measuring before a month")
    cycle = sales_cycle(opportunities)
    if cycle > 0 and days + lag < 2 * cycle:
        notes.append(
            f"the window of {days:.0f} days is short against a sales cycle of {cycle:.0f} days: deals that the"
            " programme began are not counted yet, so that the effect is likely understated"
        )
    return notes
