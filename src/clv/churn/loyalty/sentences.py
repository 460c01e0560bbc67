"""Loyalty in words: the counts behind each label, and what the book's sales rest on."""

from __future__ import annotations

import math

import pandas as pd

from clv.churn.words import plural

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_START = {"loyal": "Loyal", "retained": "Retained", "unknown": "Not known"}


def account_sentences(table: pd.DataFrame) -> list[str]:
    """Write each account's sentence."""
    columns = (
        "label", "why", "orders", "on_discount", "of_known", "in_season", "of_season", "season_from", "wallet_share",
        "wallet_error",
    )  # fmt: skip
    return [_sentence(*row) for row in zip(*(table[name] for name in columns), strict=True)]


def _sentence(
    label: str, why: str, orders: int, reduced: float, known: float, inside: float, seen: float, start: int,
    wallet: float, error: bool,
) -> str:  # fmt: skip
    facts = []
    if known > 0:
        facts.append(f"{reduced:,.0f} of {known:,.0f} order{'s' * (known != 1)} on discount")
    else:
        facts.append(f"{orders:,} order{'s' * (orders != 1)}, discounts not known")
    if seen > 0:
        facts.append(f"{inside:,.0f} of {seen:,.0f} in its season of three months (from {_MONTHS[int(start) - 1]})")
    if error:
        facts.append(f"sales are {wallet:.0%} of the surveyed wallet, which cannot be: check both")
    elif not math.isnan(wallet):
        facts.append(f"{wallet:.0%} of its wallet")
    return f"{_START[label]} ({why}): {'; '.join(facts)}."


def book_text(table: pd.DataFrame, by_label: pd.DataFrame, confidence: float, majority: float) -> str:
    """Say how many are loyal and how many retained, by what, and with how much money."""
    n = len(table)
    parts = [f"{row.accounts:,.0f} {label} ({row.money_share:.0%} of sales)" for label, row in by_label.iterrows()]
    said = f"Of {plural(f'{n:,}', 'account')} that bought: {', '.join(parts)}."
    known = float(table["of_known"].sum())
    if known:
        share = float(table["on_discount"].sum()) / known
        said += f" {share:.0%} of {plural(f'{known:,.0f}', 'order')} were on discount."
    else:
        said += " The transactions do not say what was bought on discount, so nobody can be called loyal."
    retained = table[table["label"] == "retained"]
    for reason, words in (
        ("on discount", "mostly on discount"),
        ("in season", "mostly in a season of their own"),
        ("small share of wallet", "most of what they need elsewhere"),
    ):
        count = int(retained["why"].str.contains(reason, regex=False).sum()) if len(retained) else 0
        if count:
            said += f" {plural(f'{count:,}', 'account')} buy{'s' * (count == 1)} {words}."
    said += (
        f"\n\nA label is given where the {confidence:.0%} interval of the share lies on one side of {majority:.0%};"
        " it says how an account buys, not what it thinks of us."
    )
    reasons = table.loc[table["label"] == "unknown", "why"].value_counts()
    if len(reasons):
        ordered = sorted(reasons.items(), key=lambda item: (-item[1], str(item[0])))
        said += f" Not known: {'; '.join(f'{why} ({count:,})' for why, count in ordered)}."
    wrong = int(table["wallet_error"].sum())
    if wrong:
        said += (
            f"\n\n{wrong:,} account{'s have' if wrong != 1 else ' has'} sales above the surveyed wallet: one of the two"
            " is wrong, and the share is not used."
        )
    return said
