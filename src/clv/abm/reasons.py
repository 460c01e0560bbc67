"""Why an account is in or out, in one or two sentences with numbers, and the selection as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.wording import accounts, money

if TYPE_CHECKING:
    from clv.abm.selection import Selection


def reasons(
    ranked: pd.DataFrame, clv: np.ndarray, cost: np.ndarray, stage_of: dict[str, str], currency: str
) -> list[str]:
    """Write each ranked account's reason.

    Parameters
    ----------
    ranked : pandas.DataFrame
        account_id, score, rank, selected, p_selected, by rank.
    clv, cost : numpy.ndarray
        Expected margin and cost to serve, in the same order.
    stage_of : dict
        Churn stage by account, where it is known.
    currency : str
        Written after money.

    Returns
    -------
    list of str
    """
    score = ranked["score"].to_numpy()
    size, n = int(ranked["selected"].sum()), len(ranked)
    # An account drops out when the first one outside passes it, or when it no longer pays for itself.
    next_out = max(0.0, float(score[size])) if size < n else 0.0
    last_in = float(score[size - 1]) if size else 0.0
    columns = (ranked[name] for name in ("account_id", "rank", "selected", "p_selected"))
    return [
        f"{_place(s, rank, n, taken, v, c, next_out, last_in, currency)}{_stage(stage_of.get(a))}{_sure(p, taken)}"
        for a, rank, taken, p, s, v, c in zip(*columns, score, clv, cost, strict=True)
    ]


def _place(
    score: float,
    rank: int,
    n: int,
    taken: bool,
    clv: float,
    cost: float,
    next_out: float,
    last_in: float,
    currency: str,
) -> str:
    served = f" after {money(cost, currency)} cost to serve" if cost > 0 else ""
    place = f"rank {rank:,} of {n:,} with {money(score, currency)} of expected margin{served}"
    if taken:
        spare = money(score - next_out, currency)
        firm = f"it stays in until it loses {spare}"
        if money(score - next_out) == "0":
            firm = "level with the next one" if next_out > 0 else "it only just pays for itself"
        return f"In: {place}; {firm}"
    if score <= 0:
        if cost <= 0:
            return "Out: no margin is expected of it"
        return f"Out: {money(clv, currency)} of expected margin does not pay {money(cost, currency)} to serve it"
    short = money(last_in - score, currency)
    far = f"{short} short of the last one in" if money(last_in - score) != "0" else "level with the last one in"
    return f"Out: {place}; {far}"


def _stage(stage: str | None) -> str:
    return f"; stage: {stage}" if stage else ""


def _sure(p: float, taken: bool) -> str:
    if np.isnan(p):
        return "."
    share = "under 1%" if p < 0.01 else "over 99%" if p > 0.99 else f"{p * 100:.0f}%"
    return f". It belongs to the set with probability {share}{_doubt(p, taken)}."


def _doubt(p: float, taken: bool) -> str:
    # The mean decides, and a few large draws can carry it: then membership is less likely than not.
    if taken and p < 0.4:
        return ": it is in on a chance of much, not on a likely value"
    return ": a likely member, but without the chance of much" if not taken and p > 0.6 else ""


def selection_text(selection: Selection, *, capacity: int | None, prospects: int) -> str:
    """Say how many are taken, what share of the margin they hold, how firm the cut is, and what luck does."""
    table, cur = selection.table, selection.currency
    known, taken = len(table) - prospects, int(table["selected"].sum())
    full = capacity is not None and taken == capacity
    if taken == 0:
        text = f"None of {accounts(known)} that bought is worth more than it costs to serve: none is taken."
    else:
        text = f"Take {taken:,} of {accounts(known)} that bought"
        margin = f"an expected margin of {money(selection.expected, cur)} net of the cost to serve"
        if full:
            share = selection.expected / selection.total * 100
            text += (
                f", as many as there is room for, with {margin}: {share:.0f}% of what all accounts that pay for"
                " themselves would bring."
            )
        else:
            others = "" if taken == known else ": the others are expected to cost more to serve than they bring"
            text += f", with {margin}{others}."
    if prospects:
        verb = "is" if prospects == 1 else "are"
        text += f" {accounts(prospects)} without a purchase {verb} listed unranked: nothing is known of their value."
    return f"{text}\n\n{_firmness(selection, taken)}"


def _firmness(selection: Selection, taken: int) -> str:
    if np.isnan(selection.regret):
        return "How firm the cut is cannot be said: the values came without draws."
    unsure = f"{accounts(selection.unsure)} could as well be on the other side of the cut"
    text = f"{unsure} (they belong to the set with a probability between 20 and 80%)."
    if taken:
        text += (
            f" If the true values were known, {selection.agreement * 100:.0f}% of the chosen would be chosen again,"
            f" and the best set would bring {money(selection.regret, selection.currency)} more."
            " Those at the top are partly lucky: the estimates allow for that as far as the model is right."
        )
    return text
