"""What contracts say, in the words of a sales meeting."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.churn.words import number, plural

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def ordinal(n: int) -> str:
    """Say first, second, … tenth, 11th, 22nd.

    Examples
    --------
    >>> ordinal(3), ordinal(11), ordinal(22), ordinal(113)
    ('third', '11th', '22nd', '113th')
    """
    if 1 <= n <= len(_ORDINALS):
        return _ORDINALS[n - 1]
    tail = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{tail}"


def in_hundred(p: float) -> str:
    """Say a share as a count out of a hundred; never all or none where it is not.

    Examples
    --------
    >>> in_hundred(0.857), in_hundred(0.999), in_hundred(0.001), in_hundred(1.0)
    ('86 in 100', 'more than 99 in 100', 'less than 1 in 100', '100 in 100')
    """
    if 0.995 <= p < 1:
        return "more than 99 in 100"
    if 0 < p < 0.005:
        return "less than 1 in 100"
    return f"{p * 100:.0f} in 100"


def hazard_text(
    table: pd.DataFrame,
    running: pd.DataFrame,
    coefficients: pd.DataFrame,
    note: str,
    issues: str,
    *,
    renewals: int,
    confidence: float,
    like: np.ndarray,
) -> str:
    """Say how many are lost at each renewal, what to expect of those that run, and what the finding rests on."""
    decisions, lost = int(table["at_risk"].sum()), int(table["lost"].sum())
    text = (
        f"Of {plural(f'{decisions:,}', 'renewal decision')}, {lost:,} went against us ({_percent(lost / decisions)})."
    )
    text += f" At the end of the first term {in_hundred(like[0])} renew, of the second {in_hundred(like[1])}, of the"
    text += f" third {in_hundred(like[2])}."
    last = table.iloc[-1]
    text += f" After {plural(str(int(table.index.max())), 'term')}, {in_hundred(last['retention'])} are still there"
    text += f" ({_percent(last['retention_lower'])} to {_percent(last['retention_upper'])})."
    if len(running):
        expected = float(running["p_renew"].sum())
        contracts = plural(f"{len(running):,}", "contract")
        text += f"\n\n{contracts} run or are due; {number(expected)} of them should be renewed at the next end"
        doubtful = int((running["p_renew"] < 0.5).sum())
        text += (
            f", {number(float(running['expected_renewals'].sum()))} renewals in all within {renewals} ends of terms."
        )
        if doubtful:
            text += f" For {doubtful:,} of them leaving is more likely than staying."
    moves = coefficients.drop(index=["intercept", "age of the contract", "ln alpha", "ln beta"], errors="ignore")
    clear = moves[(moves["lower"] > 1) | (moves["upper"] < 1)]
    if len(clear):
        said = [
            f"{name} (odds of loss × {row.odds_ratio:.2f}, {row.lower:.2f} to {row.upper:.2f})"
            for name, row in clear.iterrows()
        ]
        text += f"\n\nWhat goes with loss, beyond chance at {_percent(confidence)}: {'; '.join(said)}."
    elif len(moves):
        text += f"\n\nNone of the {len(moves)} effects looked at stands out from chance at {_percent(confidence)}."
    if note:
        text += f"\n\nMind: {note}."
    return f"{text}\n\n{issues}" if issues else text


def _percent(p: float) -> str:
    return f"{p:.0%}"
