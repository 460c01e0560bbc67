"""Stalled deals and false accounts: open deals against the time that won deals took (rule A6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.wording import money
from clv.churn.contracts.competing_risks import competing_risks
from clv.churn.left_out import left_out_table, left_out_text
from clv.churn.purchases import Date, day_of
from clv.data.settings import ClassRules
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: won deals below which nothing is said on how long winning takes.
FEWEST_WON = 10


@dataclass(frozen=True, eq=False)
class StalledDeals(Result):
    """Open deals, each with how long it has waited and what that says.

    Attributes
    ----------
    table : pandas.DataFrame
        Index opportunity_id, the longest overdue first: account_id, stage, amount, age (days since it was opened, or
        since it entered its stage), p_longer (probability that a deal which is won takes longer than that), p_win
        (probability that it is still won), p_win_new (that of a deal just opened), stalled (empty where too few deals
        were won to tell).
    accounts : pandas.DataFrame
        Index account_id: open, stalled (numbers of deals), amount (of the stalled), false (all its open deals are
        stalled; empty where that cannot be told).
    curve : pandas.DataFrame
        stage, time (days), share (of the won deals that were won by then), survival (share of all still open).
    left_out : pandas.DataFrame
        account_id, reason, rows.
    """

    accounts: pd.DataFrame
    curve: pd.DataFrame
    left_out: pd.DataFrame
    threshold: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how long won deals took, and where the open ones stand."""
        from clv.abm.classes.pictures import deal_ages

        return deal_ages(self, ax)


def stalled_deals(
    opportunities: pd.DataFrame,
    *,
    stage_log: pd.DataFrame | None = None,
    as_of: Date | None = None,
    rules: ClassRules | None = None,
    currency: str = "",
) -> StalledDeals:
    """Find open deals that have waited longer than deals that are won usually do.

    Parameters
    ----------
    opportunities : pandas.DataFrame
        opportunity_id, account_id, created; closed and outcome (won, lost or open); stage and amount where known.
    stage_log : pandas.DataFrame, optional
        opportunity_id, stage, entered: when a deal came into a stage. With it, time in the present stage is compared
        with the time that won deals spent in that stage; without it, age with the whole cycle.
    as_of : date, optional
        Deals opened later do not count and deals closed later are open. None: the latest date in the table.
    rules : ClassRules, optional
        Threshold stalled.
    currency : str
        Written after money.

    Returns
    -------
    StalledDeals

    Raises
    ------
    clv.errors.DataError
        A column is missing, or no deal was opened by then.

    Notes
    -----
    Won and lost compete, open deals are censored on the day: F_won(t) by Aalen & Johansen (1978) (Kaplan & Meier 1958
    where nothing is lost). Then ``p_longer = 1 − F_won(t) / F_won(∞)`` and the chance that a deal open at t is still
    won ``(F_won(∞) − F_won(t)) / S(t)``. ∞ is the longest wait seen: deals that would be won later than any seen make
    the first too small, which is said where deals are still open then. Assumes that deals opened at different times
    take alike. A lost deal's time is used as one in which it was not won yet, never as a time to a signature.
    """
    rules = rules or ClassRules()
    deals, end, left_out = _deals(opportunities, as_of)
    spells = _spells(deals, stage_log, end)
    parts, curves, unsure = [], [], 0
    for stage, group in spells.groupby("clock", sort=True):
        part, curve = _judge(group, str(stage))
        parts.append(part)
        curves.append(curve)
        unsure += int(part["p_longer"].isna().sum())
    found = pd.concat(parts) if parts else pd.DataFrame()
    table = found.loc[found["now"], ["account_id", "stage", "amount", "age", "p_longer", "p_win", "p_win_new"]]
    known = table["p_longer"].notna()
    table = table.assign(stalled=(table["p_longer"] < rules.stalled).astype("boolean").where(known))
    table = table.sort_index().sort_values(["p_longer", "age"], ascending=[True, False], kind="stable")
    accounts = _by_account(table)
    curve = pd.concat(curves, ignore_index=True)
    text = _text(table, accounts, deals, rules, currency, stage_log is not None)
    left = left_out_text(left_out)
    return StalledDeals(
        table, "\n\n".join(part for part in (text, left) if part), accounts, curve, left_out, rules.stalled
    )


def _deals(opportunities: pd.DataFrame, as_of: Date | None) -> tuple[pd.DataFrame, pd.Timestamp, pd.DataFrame]:
    """Take the deals as they stood on the day; what cannot be used is listed."""
    for name in ("opportunity_id", "account_id", "created", "closed", "outcome"):
        if name not in opportunities.columns:
            raise DataError(
                "the column is missing.", table="opportunities", column=name,
                mend="Give when deals were opened and closed, and with which outcome.",
            )  # fmt: skip
    if opportunities["opportunity_id"].duplicated().any():
        at = int(np.argmax(opportunities["opportunity_id"].duplicated()))
        raise DataError(
            f"deal {opportunities['opportunity_id'].iloc[at]!r} is there twice.", table="opportunities",
            column="opportunity_id", row=at + 1, mend="Give one row a deal.",
        )  # fmt: skip
    dates = pd.concat([opportunities["created"], opportunities["closed"]]).dropna()
    if dates.empty:
        raise DataError("has no dates.", table="opportunities", column="created", mend="Say when deals were opened.")
    end = pd.Timestamp(dates.max()).normalize() if as_of is None else day_of(as_of)
    created, closed = opportunities["created"].dt.normalize(), opportunities["closed"].dt.normalize()
    decided = opportunities["outcome"].isin(["won", "lost"])
    undated = created.isna() | (decided & closed.isna())
    backwards = closed < created
    later = created > end
    good = ~(undated | backwards | later)

    def rows(bad: pd.Series) -> pd.Series:
        return opportunities.loc[bad.to_numpy(bool), "account_id"].astype(str).value_counts()

    left_out = left_out_table(
        ("deals without the day on which they were opened or closed", rows(undated)),
        ("deals closed before they were opened", rows(backwards & ~undated)),
        (f"deals opened after {end:%Y-%m-%d}", rows(later & ~undated & ~backwards)),
    )
    outcome = opportunities["outcome"].where(decided & (closed <= end))
    deals = pd.DataFrame(
        {
            "account_id": opportunities["account_id"].astype(str),
            "created": created,
            "closed": closed.where(outcome.notna(), end),
            "outcome": outcome.astype(object).where(outcome.notna(), None),
            "stage": opportunities["stage"] if "stage" in opportunities.columns else None,
            "amount": opportunities["amount"].astype(float) if "amount" in opportunities.columns else np.nan,
        }
    )[good.to_numpy(bool)]
    deals.index = pd.Index(opportunities.loc[good.to_numpy(bool), "opportunity_id"].astype(str), name="opportunity_id")
    if deals.empty:
        raise DataError(f"no deal was open by {end:%Y-%m-%d}.", table="opportunities", mend="Correct 'as_of'.")
    return deals, end, left_out


def _spells(deals: pd.DataFrame, log: pd.DataFrame | None, end: pd.Timestamp) -> pd.DataFrame:
    """Return waits: age (days), clock (what is waited in), outcome (of the deal), now (open and still there)."""
    if log is None:
        return deals.assign(age=(deals["closed"] - deals["created"]).dt.days, clock="", now=deals["outcome"].isna())
    for name in ("opportunity_id", "stage", "entered"):
        if name not in log.columns:
            raise DataError("the column is missing.", table="stage_log", column=name, mend="Rename the column.")
    entered = pd.DataFrame({"stage": log["stage"].astype(str), "entered": log["entered"].dt.normalize()}).set_index(
        log["opportunity_id"].astype(str).rename("opportunity_id")
    )
    entered = entered[(entered["entered"] <= end).to_numpy() & entered.index.isin(deals.index)]
    entered = entered.sort_values("entered", kind="stable").sort_index(kind="stable")
    rows = entered.join(deals.drop(columns="stage"))
    following = rows.groupby(level=0)["entered"].shift(-1)
    left = following.fillna(rows["closed"])
    rows = rows.assign(age=(left - rows["entered"]).dt.days, clock=rows["stage"])
    rows["now"] = rows["outcome"].isna() & following.isna()
    return rows[rows["age"] >= 0]


def _judge(group: pd.DataFrame, clock: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the open waits with those of won deals."""
    blank = group.assign(p_longer=np.nan, p_win=np.nan, p_win_new=np.nan)
    empty = pd.DataFrame({"stage": pd.Series(dtype=str), "time": [], "share": [], "survival": []})
    if int((group["outcome"] == "won").sum()) < FEWEST_WON:
        return blank, empty
    # A deal closed on the day on which it was opened took a part of that day: all waits count their first day.
    found = competing_risks(group["age"] + 1.0, cause=group["outcome"], causes=("won", "lost"))
    won = found.incidence[found.incidence["cause"] == "won"]
    time, won_by = won["time"].to_numpy(), won["incidence"].to_numpy()
    survival = found.survival["survival"].to_numpy()
    ever = won_by[-1]
    # An open deal is looked at after the waits of its own length: it was not signed today either.
    place = np.searchsorted(time, group["age"].to_numpy() + 1.0, side="right")
    so_far, open_ = np.concatenate([[0.0], won_by])[place], np.concatenate([[1.0], survival])[place]
    chance = np.divide(ever - so_far, open_, out=np.zeros(len(group)), where=open_ > 1e-12)
    judged = group.assign(p_longer=np.maximum(1 - so_far / ever, 0.0), p_win=np.clip(chance, 0, 1), p_win_new=ever)
    curve = pd.DataFrame({"stage": clock, "time": time - 1.0, "share": won_by / ever, "survival": survival})
    return judged, curve


def _by_account(table: pd.DataFrame) -> pd.DataFrame:
    """Count each account's open deals; it is false where all of them are stalled."""
    stalled = table["stalled"].fillna(False).astype(bool)
    frame = pd.DataFrame(
        {
            "account_id": table["account_id"],
            "open": 1,
            "stalled": stalled.astype(int),
            "unknown": table["stalled"].isna().astype(int),
            "amount": table["amount"].where(stalled, 0.0),
        }
    )
    by = frame.groupby("account_id", sort=True).sum()
    false = pd.Series(by["stalled"] == by["open"], dtype="boolean")
    # Unknown deals keep a "yes" open; one deal that is known to move makes it a "no".
    unknown = (by["unknown"] > 0) & (by["stalled"] + by["unknown"] == by["open"])
    return by.drop(columns="unknown").assign(false=false.mask(unknown))


def _text(
    table: pd.DataFrame, accounts: pd.DataFrame, deals: pd.DataFrame, rules: ClassRules, currency: str, by_stage: bool
) -> str:
    won = int((deals["outcome"] == "won").sum())
    if table.empty:
        return f"No deal is open; {len(deals):,} were decided."
    unknown = int(table["stalled"].isna().sum())
    if unknown == len(table):
        return (
            f"{len(table):,} deals are open. How long is too long cannot be told: {won:,} deals were won, and it takes "
            f"{FEWEST_WON}{' that passed the stage' if by_stage else ''}."
        )
    stalled = table[table["stalled"].fillna(False).astype(bool)]
    wait = "in their stage" if by_stage else "since they were opened"
    false = int(accounts["false"].fillna(False).sum())
    text = (
        f"{len(stalled):,} of {len(table):,} open deals are stalled: fewer than {rules.stalled:.0%} of the deals that "
        f"are won wait so long {wait}."
    )
    if len(stalled):
        amount = stalled["amount"].sum()
        worth = f"They are down for {money(float(amount), currency)}" if amount > 0 else "No amount is noted for them"
        chance, new = stalled["p_win"].mean(), stalled["p_win_new"].mean()
        text += (
            f" {worth}. By the deals that grew so old before, {chance:.0%} of them are still won, against {new:.0%} of "
            f"new ones{': slow, but not lost' if chance >= new else ''}. {false:,} "
            f"account{'s have' if false != 1 else ' has'} nothing but stalled deals and may be putting off a signature "
            "that will not come: ask for a date."
        )
    if unknown:
        text += f" Of {unknown:,} it cannot be told: too few deals were won from their stage."
    return text
