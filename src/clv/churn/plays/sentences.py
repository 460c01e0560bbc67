"""Plays in words: why this one for this account, what they add up to, and on what they rest."""

from __future__ import annotations

from typing import Any

import pandas as pd

from clv.churn.words import chance
from clv.data.settings import Play
from clv.result import money, signed

_WHAT = {
    "rate": "the purchase rate",
    "dropout": "the dropout",
    "spend": "the money of a purchase",
    "next_purchase": "the rate of the next purchase",
}


def sentences(table: pd.DataFrame, options: pd.DataFrame, confidence: float, currency: str) -> list[str]:
    """Write each account's sentence: the play with its money, and what stood next."""
    rest = options[~options["chosen"]].sort_values("net", ascending=False, kind="stable")
    second = rest.drop_duplicates("account_id").set_index("account_id").reindex(table.index)
    rows = zip(
        table["play"], table["gain"], table["cost"], table["net"], table["lower"], table["upper"], table["p_worth"],
        table["evidence"], second["play"], second["net"], second["gain"], second["cost"], strict=True,
    )  # fmt: skip
    return [_sentence(*row, confidence=confidence, currency=currency) for row in rows]


def _sentence(
    play: str, gain: float, cost: float, net: float, lower: float, upper: float, worth: float, evidence: str,
    other: Any, other_net: float, other_gain: float, other_cost: float, *, confidence: float, currency: str,
) -> str:  # fmt: skip
    known = isinstance(other, str)
    if not evidence:
        if not known:
            return "No play can be made in this stage."
        brought = f"would add {money(other_gain, currency)} for {money(other_cost, currency)}"
        if other_cost < 0:
            brought = f"would lose {money(-other_gain, currency)} to save {money(-other_cost, currency)}"
        return f"No play: the best of them, {other}, {brought}."
    what = f"{play[0].upper()}{play[1:]}"
    span = f"{confidence:.0%} interval {money(lower)} to {money(upper)}"
    if evidence == "by definition":
        return (
            f"{what}: it is expected to bring {money(-gain, currency)}, and serving it costs {money(-cost, currency)};"
            f" letting it go is worth {money(net, currency)} ({span})."
        )
    said = f"{what}: expected to add {money(gain, currency)} for {money(cost, currency)}, {money(net, currency)} net"
    said += f" ({span}); worth it {chance(worth)}; its effect is {evidence}."
    if known and other_net > 0:
        said += f" Next best: {other}, {money(other_net, currency)} net."
    return said


def _effect_words(play: Play) -> str:
    parts = [f"multiplies {_WHAT[name]} by {getattr(play, name):g}" for name in _WHAT if getattr(play, name) != 1]
    if play.reactivation:
        parts.append(f"brings back {100 * play.reactivation:g} in 100 of those that are gone")
    return f"{play.name} {' and '.join(parts) or 'changes nothing'} ({play.source})"


def book_text(
    table: pd.DataFrame, by_play: pd.DataFrame, plays: list[Play], effects: pd.DataFrame,
    total: tuple[float, float], value: Any, currency: str,
) -> str:  # fmt: skip
    """Say what is to be done, what it is expected to add, and which effects are assumed."""
    made = by_play[(by_play["evidence"] != "") & (by_play["accounts"] > 0)]
    quiet = int(by_play["accounts"].iloc[-1])
    if made.empty:
        said = f"No play pays for any of {len(table):,} accounts: each is expected to add less than it costs."
    else:
        spread = ", ".join(f"{n:,} {name}" for name, n in made["accounts"].items())
        acting, leaving = made[made["evidence"] != "by definition"], made[made["evidence"] == "by definition"]
        parts = []
        if len(acting):
            add, cost = money(acting["gain"].sum(), currency), money(acting["cost"].sum(), currency)
            parts.append(f"acting is expected to add {add} for {cost}")
        if len(leaving):
            lost, saved = money(-leaving["gain"].sum(), currency), money(-leaving["cost"].sum(), currency)
            parts.append(f"letting go to save {saved} and to give up {lost}")
        said = (
            f"Plays for {len(table):,} accounts: {spread}, {quiet:,} none. In all, {' and '.join(parts)}:"
            f" {money(made['net'].sum(), currency)} net ({value.confidence:.0%} credible interval {money(total[0])} to"
            f" {money(total[1])}; it holds what is unknown of the accounts and of the effects, not the chance in single"
            " purchases)."
        )
    losing = table["stage"].isin(["at risk", "lapsed", "lost"])
    if losing.any():
        acted = int((losing & (~table["evidence"].isin(["", "by definition"]))).sum())
        said += (
            f" Of the {int(losing.sum()):,} accounts that are at risk or worse, acting pays for {acted:,}: risk alone"
            " is no reason, what the play changes is."
        )
    parts = [said]
    assumed = [_effect_words(play) for play in plays if effects.loc[play.name, "evidence"] == "assumed"]
    if assumed:
        parts.append(f"Assumed, not measured: {'; '.join(assumed)}. The plays are as sure as these assumptions.")
    for name, row in effects[effects["weight"].notna()].iterrows():
        parts.append(
            f"{row['evidence'].capitalize()}: {name}, {signed(row['uplift'])} ± {row['standard_error']:.0%} by"
            f" {row['source']}. Together with what the study states its effect is {row['mean']:.2f} ± {row['sd']:.2f}"
            f" times the stated one; {row['weight']:.0%} of that rests on the experiment, the rest on the statement."
        )
    missing = by_play.index[(by_play["accounts"] == 0) & (by_play["evidence"] != "")]
    if len(missing) and not made.empty:
        parts.append(f"Nowhere the best: {', '.join(missing)}.")
    return "\n\n".join(parts)


def net_axis(currency: str) -> str:
    """Name the money axis of the picture."""
    return f"expected net margin{f', {currency}' if currency else ''}"
