"""The sentence of each contract, and what the book of contracts says as a whole."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.churn.contracts.terms import UNKNOWN
from clv.churn.contracts.wording import in_hundred, ordinal
from clv.churn.words import number, plural
from clv.data.settings import Unit
from clv.data.units import in_words, name


def contract_sentences(table: pd.DataFrame, rows: pd.DataFrame, delays: int, usual: str | None) -> list[str]:
    """Write each relation's sentence.

    Parameters
    ----------
    table : pandas.DataFrame
        ``ContractStages.contracts``, one row a relation.
    rows : pandas.DataFrame
        The terms behind it: outcome, end, cause.
    delays : int
        Renewals whose delay is known.
    usual : {"Y", "M", "W"} or None
        Unit of the usual term.

    Returns
    -------
    list of str
    """
    noun = {"Y": "year", "M": "month", "W": "week"}.get(usual or "", "term")
    columns = ["term", "p_renew", "p_renew_like", "silence_probability", "days_to_end", "p_alive", "slowed"]
    data = zip(*(table[column] for column in columns), rows["outcome"], rows["end"], rows["cause"], strict=True)
    return [_sentence(noun, delays, *row) for row in data]


def _sentence(
    noun: str,
    delays: int,
    term: int,
    p_renew: float,
    like: float,
    later: float,
    to_end: int,
    alive: float,
    slowed: bool | None,
    outcome: str,
    end: pd.Timestamp,
    cause: str | None,
) -> str:
    age = f"{ordinal(int(term)).capitalize()} {noun}"
    if outcome == "lost":
        why = f" (reason: {cause})" if isinstance(cause, str) and cause != UNKNOWN else ""
        return f"{age}; the contract ended on {end:%Y-%m-%d} and was not renewed{why}."
    own, all_ = in_hundred(p_renew), in_hundred(like)
    beside = "" if own == all_ else f", all in their {ordinal(int(term))} {noun} {all_}"
    parts = [age, f"accounts like it renew {own.replace(' in ', ' times in ')}{beside}"]
    if to_end >= 0:
        parts.append("the contract ends today" if to_end == 0 else f"{plural(f'{to_end:,}', 'day')} to the end")
    else:
        parts.append(f"the contract ended {plural(f'{-to_end:,}', 'day')} ago unrenewed")
        if delays:
            few = f"fewer than 1 in {delays + 1:,} are" if later * (delays + 1) < 1.5 else f"{in_hundred(later)} are"
            parts.append(f"of those who renew, {few} that late")
        parts.append(f"it will still renew with probability {_percent(alive)}")
    if slowed is True or (isinstance(slowed, np.bool_) and bool(slowed)):
        parts.append("its orders come more slowly than they did")
    return "; ".join(parts) + "."


def stages_text(
    by_stage: pd.DataFrame, table: pd.DataFrame, horizon: float, unit: Unit, currency: str, issues: str
) -> str:
    """Say how the book of contracts spreads over the stages, and what needs a call."""
    n = len(table)
    present = by_stage[by_stage["accounts"] > 0]
    spread = ", ".join(f"{row.accounts:,.0f} {stage} ({_percent(row.share)})" for stage, row in present.iterrows())
    text = f"Of {plural(f'{n:,}', 'account')} with a contract, now or before: {spread}."
    if "value" in by_stage:
        turning = float(by_stage.loc[["slowing", "overdue", "at risk"], "value"].sum())
        text += f" {f'{turning:,.0f} {currency}'.rstrip()} is with accounts that are slowing, overdue or at risk."
    due = table[(table["days_to_end"] < 0) & (table["stage"] != "lost")]
    if len(due):
        text += (
            f"\n\n{plural(f'{len(due):,}', 'contract')} {'is' if len(due) == 1 else 'are'} over and not renewed yet;"
        )
        text += f" {number(float(due['p_alive'].sum()))} of them should still be."
    soon = table[(table["days_to_end"] >= 0) & (table["days_to_end"] <= 90)]
    if len(soon):
        text += f"\n\n{plural(f'{len(soon):,}', 'contract')} end{'s' * (len(soon) == 1)} within 90 days;"
        text += f" {number(float(soon['p_renew'].sum()))} of them should be renewed."
    expected = float(by_stage["expected_purchases"].sum())
    ahead = in_words(horizon, unit) if horizon != 1 else f"{name(unit, 1)}"
    text += f"\n\nExpected renewals of the book in the next {ahead}: {number(expected)}."
    return f"{text}\n\n{issues}" if issues else text


def _percent(p: float) -> str:
    return "under 1%" if p < 0.01 else f"{p:.0%}"
