"""The effect of a discount in words, with what it takes for granted."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from clv.churn.loyalty.fixed_effects_poisson import PoissonFit
from clv.churn.loyalty.panel import Panel
from clv.churn.words import plural
from clv.result import signed

#: accounts below which clustered standard errors are known to be too small.
FEW_CLUSTERS = 40


def effect_text(
    summary: pd.DataFrame, p_before: float, fit: PoissonFit, panel: Panel, offered: int, after: int,
    period: Literal["W", "4W"], outcome: str, randomised: bool, confidence: float,
) -> str:  # fmt: skip
    """Say what a discount does, what is left of it after the dip, and what the estimate takes for granted."""
    span = "week" if period == "W" else "four weeks"
    rows: list[Any] = list(summary.itertuples())
    lift, dip, net = rows
    what = "orders" if outcome == "orders" else "sales"
    later = f"the {after} {'weeks' if period == 'W' else 'periods of four weeks'} after it"

    def interval(row: Any) -> str:
        return f"{confidence:.0%} interval {signed(row.lower)} to {signed(row.upper)}"

    said = (
        f"While a discount is on offer, {what} change by {signed(lift.estimate)} of a usual {span}"
        f" ({interval(lift)}); over {later} they change by {signed(dip.estimate)} in all ({interval(dip)}). Net of"
        f" the dip an offer of one {span} brings {signed(net.estimate)} of a usual {span} ({interval(net)})."
    )
    if net.lower > 0:
        said += " It adds sales that would not have been made."
    elif net.upper < 0:
        said += " It costs more sales afterwards than it brings."
    elif lift.lower > 0 and dip.upper < 0:
        said += " What it brings is largely bought sooner, not more: whether anything is left cannot be told."
    else:
        said += " Whether it adds anything in the end cannot be told from these data."
    said += (
        f"\n\nIt rests on {fit.accounts:,} accounts that bought in {fit.observations:,} account-periods ({offered:,}"
        " accounts had an offer at some time); each is compared with itself at other times and with the others at the"
        " same time."
    )
    if randomised:
        said += " The offers were drawn at random, so this is what they caused."
    else:
        said += (
            " This is what the discount caused only if offers were made without regard to what an account was about to"
            " buy; offers made to accounts that had gone quiet, or were ready to buy, would bias it."
        )
    if p_before < 0.05:
        said += (
            f" Purchases differ before the offers already (p = {p_before:.3f}): they were announced, or made when"
            " something else was about to happen. Do not trust the estimate."
        )
    if fit.accounts < FEW_CLUSTERS:
        said += f" With {fit.accounts} accounts the intervals are somewhat too narrow."
    if panel.unused:
        said += " Not used: " + ", ".join(f"{plural(f'{n:,}', 'offer')} {why}" for why, n in panel.unused.items()) + "."
    return said
