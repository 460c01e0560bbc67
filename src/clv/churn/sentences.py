"""What a stage means, in words: one sentence an account, and one paragraph for the book."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.churn.words import chance, duration, interval, number, plural
from clv.data.settings import Unit


def sentences(table: pd.DataFrame, frequency: np.ndarray, unit: Unit, alive_below: float) -> list[str]:
    """Write each account's sentence.

    Parameters
    ----------
    table : pandas.DataFrame
        The table of `ChurnStages`; silent, usual_low, usual_high in `unit`.
    frequency : numpy.ndarray
        Repeat purchases of each account.
    unit : {"D", "W", "M", "Y"}
        Unit of the durations.
    alive_below : float
        P(alive) is mentioned where it is below this, since it may then have decided the stage.

    Returns
    -------
    list of str
    """
    rows = zip(
        frequency,
        table["silent"],
        table["silence_probability"],
        table["p_alive"],
        table["usual_low"],
        table["usual_high"],
        strict=True,
    )
    return [_sentence(x, silent, p, alive, low, high, unit, alive_below) for x, silent, p, alive, low, high in rows]


def _sentence(
    x: float, silent: float, p: float, alive: float, low: float, high: float, unit: Unit, alive_below: float
) -> str:
    today = silent == 0
    if x == 0:
        start = "Bought once, on the closing day" if today else f"Bought once, {duration(silent, unit)} ago"
        rhythm = "its own rhythm is not known yet"
    else:
        start = f"Usually orders every {interval(low, high, unit)}"
        rhythm = "ordered on the closing day" if today else f"silent for {_silent(silent, low, high, unit)}"
    ending = "" if today else f"; a living account like this is silent that long {chance(p)}"
    doubt = f"; it is still a customer with probability {_share(alive)}" if alive < alive_below else ""
    return f"{start}; {rhythm}{ending}{doubt}."


def _silent(silent: float, low: float, high: float, unit: Unit) -> str:
    """Leave the noun out where the interval before it ends in the same one."""
    text = duration(silent, unit)
    noun = text.split(" ")[1].rstrip("s")
    same = interval(low, high, unit).rstrip("s").endswith(noun)
    return text.split(" ")[0] if same else text


def _share(p: float) -> str:
    return "under 1%" if p < 0.01 else f"{p:.0%}"


def book_text(by_stage: pd.DataFrame, table: pd.DataFrame, once: int, unit: Unit, horizon: float, currency: str) -> str:
    """Say how the book spreads over the stages, and how much money is where it can be lost."""
    n = int(by_stage["accounts"].sum())
    present = by_stage[by_stage["accounts"] > 0]
    spread = ", ".join(f"{row.accounts:,.0f} {stage} ({_share(row.share)})" for stage, row in present.iterrows())
    middle = ["slowing", "overdue", "at risk"]
    text = f"Of {plural(number(n), 'account')} that bought: {spread}."
    if "value" in by_stage:
        total, turning = float(by_stage["value"].sum()), float(by_stage.loc[middle, "value"].sum())
        share = f" ({_share(turning / total)} of the total)" if total > 0 else ""
        money = f"{turning:,.0f} {currency}".rstrip()
        text += f" Of the value, {money}{share} is with accounts that are slowing, overdue or at risk: quieter than"
        text += " their own rhythm, and not yet given up."
    else:
        count = int(by_stage.loc[middle, "accounts"].sum())
        text += f" {plural(number(count), 'account')} slowing, overdue or at risk: quieter than their own rhythm, and"
        text += " not yet given up."
    expected = float(by_stage["expected_purchases"].sum())
    text += f" Expected purchases of the book in the next {duration(horizon, unit)}: {number(expected)}."
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
    if claims:
        text += f"\n\nThe rule of thumb disagrees: it calls {', and '.join(claims)}."
    if once:
        text += (
            f"\n\n{plural(number(once), 'account')} bought once only. The model cannot tell whether they are lost,"
            " since it lets nobody leave before a second purchase; their stage goes by silence alone, against the"
            " rhythm of the book."
        )
    return text
