"""What the stages say of the book as a whole."""

from __future__ import annotations

import pandas as pd

from clv.churn.left_out import left_out_text
from clv.churn.rhythm import RhythmChange
from clv.churn.sentences import share
from clv.churn.words import duration, number, plural
from clv.data.settings import Unit


def book_text(
    by_stage: pd.DataFrame,
    table: pd.DataFrame,
    once: int,
    unit: Unit,
    horizon: float,
    *,
    currency: str = "",
    rhythm: RhythmChange | None = None,
    moved: int = 0,
    left_out: pd.DataFrame | None = None,
) -> str:
    """Say how the book spreads over the stages, and how much money is where it can be lost.

    Parameters
    ----------
    by_stage, table : pandas.DataFrame
        Of `ChurnStages`.
    once : int
        Accounts that bought once and of which the model cannot tell whether they are alive.
    unit : {"D", "W", "M", "Y"}
    horizon : float
        In `unit`.
    currency : str
    rhythm : RhythmChange, optional
    moved : int
        Accounts that their change of rhythm moved one stage down.
    left_out : pandas.DataFrame, optional
    """
    text = spread_text(by_stage, "that bought", currency)
    expected = float(by_stage["expected_purchases"].sum())
    text += f" Expected purchases of the book in the next {duration(horizon, unit)}: {number(expected)}."
    parts = [text, _disagreement(table), _once(once), _rhythm(rhythm, moved)]
    parts.append("" if left_out is None else left_out_text(left_out))
    return "\n\n".join(part for part in parts if part)


def spread_text(by_stage: pd.DataFrame, who: str, currency: str) -> str:
    """Say how accounts spread over the stages, and how much money is where it can be lost."""
    n = int(by_stage["accounts"].sum())
    present = by_stage[by_stage["accounts"] > 0]
    spread = ", ".join(f"{row.accounts:,.0f} {stage} ({share(row.share)})" for stage, row in present.iterrows())
    middle = ["slowing", "overdue", "at risk"]
    text = f"Of {plural(number(n), 'account')} {who}: {spread}."
    if "value" in by_stage:
        total, turning = float(by_stage["value"].sum()), float(by_stage.loc[middle, "value"].sum())
        part = f" ({share(turning / total)} of the total)" if total > 0 else ""
        money = f"{turning:,.0f} {currency}".rstrip()
        text += f" Of the value, {money}{part} is with accounts that are slowing, overdue or at risk: quieter than"
        text += " their own rhythm, and not yet given up."
    else:
        count = int(by_stage.loc[middle, "accounts"].sum())
        text += f" {plural(number(count), 'account')} slowing, overdue or at risk: quieter than their own rhythm, and"
        text += " not yet given up."
    return text


def _disagreement(table: pd.DataFrame) -> str:
    differ = int(((table["rule_stage"] == "inactive") & table["stage"].isin(["steady", "slowing"])).sum())
    early = int(((table["rule_stage"] == "active") & table["stage"].isin(["at risk", "lapsed", "lost"])).sum())
    claims = [
        f"{number(n)} {what}"
        for n, what in (
            (differ, "inactive whose silence is still usual for them"),
            (early, "active that are at risk or worse by their own rhythm"),
        )
        if n
    ]
    return f"The rule of thumb disagrees: it calls {', and '.join(claims)}." if claims else ""


def _once(once: int) -> str:
    if not once:
        return ""
    return (
        f"{plural(number(once), 'account')} bought once only. The model cannot tell whether they are lost,"
        " since it lets nobody leave before a second purchase; their stage goes by silence alone, against the"
        " rhythm of the book."
    )


def _rhythm(rhythm: RhythmChange | None, moved: int) -> str:
    if rhythm is None:
        return ""
    tested, slowed = int(rhythm.table["p_value"].notna().sum()), int(rhythm.table["slowed"].sum())
    if not tested:
        return ""
    return (
        f"{number(slowed)} of {plural(number(tested), 'account')} with intervals enough to compare order more slowly"
        f" than they used to ({number(rhythm.level * tested)} would seem to by chance);"
        f" that alone moved {number(moved)} of them one stage down."
    )
