"""Win-back in words: how the chance of a return falls with time, what a second life brings, what to expect."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.churn.returning.hazard import FEWEST, ReturnHazard


def returns_text(
    lapses: pd.DataFrame, table: pd.DataFrame, hazard: ReturnHazard, second: pd.DataFrame, accounts: pd.DataFrame,
    rule: str, horizon_months: float, margin: float, confidence: float, currency: str,
) -> str:  # fmt: skip
    """Say how the chance of a return falls, and what a second life brings."""
    back, n = int(table["returned"].sum()), len(lapses)
    if n == 0:
        return f"No account has lapsed yet ({rule}); nothing can be said about returns."
    said = (
        f"After {rule} an account counts as lapsed: {n:,} lapse{'s' * (n != 1)}, of which {back:,} ended in a return"
        f" within {len(table)} whole months seen."
    )
    if back < FEWEST:
        seen = table["back_within"].iloc[max(hazard.last - 1, 0)]
        said += (
            f" That is too few to say how the chance changes with time; over all months it is"
            f" {table['fitted'].iloc[0]:.1%} a month, {seen:.0%} within {max(hazard.last, 1)} months."
        )
    else:
        year = min(12, hazard.last)
        first, then = (float(table["fitted"].iloc[month - 1]) for month in (1, year))
        within, low, high = (float(table[name].iloc[year - 1]) for name in ("back_within", "back_lower", "back_upper"))
        said += (
            f" {first:.1%} come back in the first month after the lapse and {then:.1%} in month {year}, {within:.0%}"
            f" within these {year} months ({confidence:.0%} interval {low:.0%} to {high:.0%})."
        )
        p = hazard.p_falling
        chance = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        if hazard.slope == 0:
            said += " Returns do not become rarer with time since the lapse in these data."
        elif p < 0.05:
            said += f" The chance falls with time ({chance}): who is to be won back is best asked early."
        else:
            said += f" That the chance falls with time is not sure ({chance})."
    row = second.iloc[0]
    span = f"{horizon_months:.3g} months"
    what = "margin" if margin < 1 else "sales"
    count, complete = int(row["returned"]), int(row["complete"])
    unit = f" {currency}" if currency else ""
    if complete == 0:
        said += f"\n\nNo second life has been seen for {span} yet ({count:,} accounts came back)."
    else:
        lives = f"{complete:,} account{'s' * (complete != 1)}"
        said += f"\n\nA second life brings {row['value']:,.0f}{unit} of {what} in its first {span} (mean of {lives}"
        if complete < FEWEST:
            said += ": too few for an interval)."
        else:
            said += f", {confidence:.0%} interval {row['lower']:,.0f} to {row['upper']:,.0f})."
        if np.isfinite(row["ratio"]):
            said += (
                f" The same accounts brought {row['first_value']:,.0f}{unit} in the first {span} of their first life."
            )
    if len(accounts) and np.isfinite(accounts["expected_value"]).all():
        said += (
            f" {len(accounts):,} account{'s are' if len(accounts) != 1 else ' is'} lapsed now;"
            f" {accounts['p_return'].sum():,.1f} of them are expected back within {span}, worth"
            f" {accounts['expected_value'].sum():,.0f}{unit}, if nothing is changed."
        )
    return said
