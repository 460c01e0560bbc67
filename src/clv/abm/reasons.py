"""Why an account is in or out, in one or two sentences with numbers, and the selection as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.selecting.contributions import DRIVERS
from clv.abm.wording import accounts, money
from clv.result import signed

if TYPE_CHECKING:
    from clv.abm.selecting.incremental import IncrementalValue
    from clv.abm.selection import Selection


def reasons(
    ranked: pd.DataFrame,
    clv: np.ndarray,
    cost: np.ndarray,
    stage_of: dict[str, str],
    currency: str,
    parts: pd.DataFrame,
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
    parts : pandas.DataFrame
        Contributions to the score, rows in the same order; what stands out is told where there are several.

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
        f"{_place(s, rank, n, taken, v, c, next_out, last_in, currency)}{d}{_stage(stage_of.get(a))}{_sure(p, taken)}"
        for a, rank, taken, p, s, v, c, d in zip(
            *columns, score, clv, cost, _drivers(parts, score > 0, currency), strict=True
        )
    ]


def incremental_reasons(
    ranked: pd.DataFrame,
    value: IncrementalValue,
    parts: pd.DataFrame,
    flips: pd.DataFrame,
    stage_of: dict[str, str],
    currency: str,
) -> list[str]:
    """Write each account's reason where the score is what the programme changes.

    Parameters
    ----------
    ranked : pandas.DataFrame
        account_id, score, rank, selected, p_selected, by rank.
    value : IncrementalValue
    parts, flips : pandas.DataFrame
        Index account_id, in the order of `ranked`: contributions and smallest changes.
    stage_of : dict
    currency : str

    Returns
    -------
    list of str
    """
    n = len(ranked)
    uplift = {effect.name: effect.uplift for effect in value.effects}
    table = value.table.loc[ranked["account_id"]]
    columns = (ranked[name] for name in ("account_id", "rank", "selected", "p_selected", "score"))
    names = ("kind", "tier", "base", "gain", "cost", "evidence", "chance", "chance_with", "once_won")
    about = (table[name] for name in names)
    change = (flips[name] for name in ("driver", "now", "then"))
    found = []
    drivers = _drivers(parts, ranked["score"].to_numpy() > 0, currency)
    for row in zip(*columns, *about, *change, drivers, strict=True):
        account, rank, taken, p, score, kind, tier, base, gain, cost = row[:10]
        evidence, chance, better, won, driver, now, then, why = row[10:]
        if kind == "customer":
            what = f"{signed(uplift[tier])} ({evidence}) of {money(base, currency)}"
        else:
            what = (
                f"a chance to win it of {better:.0%} instead of {chance:.0%} (assumed) at {money(won, currency)}"
                " once won"
            )
        place = f"rank {rank:,} of {n:,}: " if score > 0 else ""
        balance = f"{place}{tier} adds {money(gain, currency)} for {money(cost, currency)}, {what}"
        turn = _turn(taken, driver, now, then, currency)
        found.append(
            f"{'In' if taken else 'Out'}: {balance}{why}{turn}{_stage(stage_of.get(account))}{_sure(p, taken)}"
        )
    return found


def _turn(taken: bool, driver: str | None, now: float, then: float, currency: str) -> str:
    """Say the smallest change that flips an account."""
    side = "out" if taken else "in"
    if not isinstance(driver, str):
        return f"; no change of one thing alone would put it {side}"
    past = "over" if then > now else "under"
    if driver == "chance":
        return f"; it would be {side} with a chance {past} {then:.1%}, now {now:.1%}"
    name = {"value": "its value", "once won": "what it brings once won", "programme cost": "the cost of its tier"}
    return f"; it would be {side} with {name[driver]} {past} {money(then, currency)}, now {money(now, currency)}"


def _drivers(parts: pd.DataFrame, good: np.ndarray, currency: str) -> list[str]:
    """Name what sets each account apart from the average one, in the direction of its score."""
    names = [name for name in parts.columns if name in DRIVERS and name != "value"]
    if len(names) < 2 or len(parts) < 2:
        return [""] * len(parts)
    values = parts[names].to_numpy(float)
    best = np.where(good, values.argmax(axis=1), values.argmin(axis=1))
    most = values[np.arange(len(values)), best]
    out = []
    for k, x, up in zip(best, most, good, strict=True):
        said = money(abs(x), currency)
        if money(x) == "0" or (x > 0) != up:
            out.append("")
        else:
            out.append(f"; {said} {'more' if up else 'less'} than the average account for {DRIVERS[names[k]]}")
    return out


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


def selection_text(
    selection: Selection, *, prospects: int, change: IncrementalValue | None = None, notes: Sequence[str] = ()
) -> str:
    """Say how many are taken, what share of the margin they hold, how firm the cut is, and what luck does."""
    table, cur, capacity = selection.table, selection.currency, selection.capacity
    known, taken = len(table) - prospects, int(table["selected"].sum())
    full = capacity is not None and taken == capacity
    who = f"{accounts(known)} that bought" if change is None else accounts(known)
    what = "an expected margin of {} net of the cost to serve" if change is None else (
        "which is expected to bring {} more than it costs"
    )  # fmt: skip
    if taken == 0:
        text = f"None of {who} is worth more than it costs to serve: none is taken."
        if change is not None:
            text = f"For none of {who} does the programme bring more than it costs: none is taken."
    else:
        text = f"Take {taken:,} of {who}"
        margin = what.format(money(selection.expected, cur))
        if full:
            share = selection.expected / selection.total * 100
            begin = "with " if change is None else ""
            text += (
                f", as many as there is room for, {begin}{margin}: {share:.0f}% of what all accounts that pay for"
                " themselves would bring."
            )
        else:
            rest = "cost more to serve than they bring" if change is None else "bring less than their place costs"
            others = "" if taken == known else f": the others are expected to {rest}"
            text += f", {'with ' if change is None else ''}{margin}{others}."
    if prospects:
        verb = "is" if prospects == 1 else "are"
        text += f" {accounts(prospects)} without a purchase {verb} listed unranked: nothing is known of their value."
    said = [text, *([change.text] if change is not None else []), _firmness(selection, taken), *notes]
    return "\n\n".join(said)


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
