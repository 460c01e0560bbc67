"""Flows of accounts between stages over the last quarters, and who moved down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from clv.churn.stays import History
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: where accounts come from that had not bought before.
NEW = "new"


@dataclass(frozen=True, eq=False)
class StageFlows(Result):
    """How many accounts went from which stage to which.

    Attributes
    ----------
    table : pandas.DataFrame
        from_date, to_date (month-ends), before (a stage, or "new"), after, accounts; flows of no account are left out.
    moved_down : pandas.DataFrame
        Index account_id: before, after: accounts in a worse stage at the last date than at the one before, by the
        steps they fell, the furthest first.
    states : tuple of str
        All stages, from the healthiest.
    """

    moved_down: pd.DataFrame
    states: tuple[str, ...]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the flows as an alluvial diagram: a column a date, a band a flow."""
        from clv.churn.alluvial import alluvial

        return alluvial(self.table, self.states, ax)


def stage_flows(history: History, *, dates: int = 5, months: int = 3) -> StageFlows:
    """Count moves between stages from one quarter's end to the next.

    Parameters
    ----------
    history : History
        From `clv.stage_history`, by month-ends.
    dates : int
        Most dates to show, counted back from the last month-end; two or more.
    months : int
        Months between two dates.

    Returns
    -------
    StageFlows

    Raises
    ------
    SettingsError
        `dates` is below two, or `months` below one.
    DataError
        The history is shorter than one step.

    Notes
    -----
    Accounts enter with their first purchase and never leave, so that what flows into a date is what stands there.
    """
    if dates < 2 or months < 1:
        raise SettingsError(f"dates is {dates!r}, months {months!r}.", mend="Give two dates or more, a month or more.")
    ends = history.by_month.index
    shown = ends[::-1][::months][:dates][::-1]
    if len(shown) < 2:
        raise DataError(
            f"{len(ends)} month-ends hold no step of {months} months.", mend="Give a longer history.", table="history"
        )
    at = [_stages_at(history.table, date) for date in shown]
    everyone = at[-1].index
    flows = []
    for before, after, start, end in zip(at[:-1], at[1:], shown[:-1], shown[1:], strict=True):
        pairs = pd.DataFrame({"before": before.reindex(after.index).fillna(NEW), "after": after})
        counted = pairs.value_counts(sort=False).rename("accounts").reset_index()
        flows.append(counted.assign(from_date=start, to_date=end))
    table = pd.concat(flows, ignore_index=True)[["from_date", "to_date", "before", "after", "accounts"]]
    order = {name: place for place, name in enumerate((*history.states, NEW))}
    place = table.assign(before=table["before"].map(order), after=table["after"].map(order))
    table = table.loc[place.sort_values(["from_date", "before", "after"]).index]
    last = pd.DataFrame({"before": at[-2].reindex(everyone), "after": at[-1]}).dropna()
    fell = last["after"].map(order) - last["before"].map(order)
    down = last[fell > 0].assign(fell=fell[fell > 0]).sort_index().sort_values("fell", ascending=False, kind="stable")
    up = int((fell < 0).sum())
    text = (
        f"From {shown[-2]:%d %B %Y} to {shown[-1]:%d %B %Y}, {len(down):,} of {len(last):,} accounts moved to a worse"
        f" stage, {up:,} to a better one, and {len(last) - len(down) - up:,} stayed where they were;"
        f" {len(everyone) - len(last):,} bought for the first time."
    )
    return StageFlows(table.reset_index(drop=True), text, down.drop(columns="fell"), history.states)


def _stages_at(stays: pd.DataFrame, date: pd.Timestamp) -> pd.Series:
    """Stage of each account at a month-end, index account_id."""
    there = stays[(stays["from"] <= date) & (stays["to"] >= date)]
    return there.set_index("account_id")["stage"].astype(object)
