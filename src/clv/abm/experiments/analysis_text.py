"""What an experiment shows, in words for a sales meeting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from clv.abm.wording import accounts, listed, money
from clv.churn.words import chance
from clv.result import signed

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.experiments.analysis import ExperimentAnalysis

#: outcomes that are shares, shown in percentage points.
SHARES = ("bought", "win_rate")
_MONEY = ("margin", "revenue")
#: a number below this is rounding of nought.
_NOUGHT = 1e-12


def named(outcome: str) -> str:
    """Name an outcome as it stands in a sentence."""
    return "the share that bought" if outcome == "bought" else outcome.replace("_", " ")


def each(outcome: str) -> str:
    """Say of what an effect is: of an account, but for shares."""
    return "" if outcome in SHARES else " an account"


def quantity(x: float, outcome: str, currency: str, *, beside: float = 0.0) -> str:
    """Write an effect in the outcome's unit, with no more digits than a larger one `beside` it has."""
    if not math.isfinite(x):
        return "any amount" if x > 0 else "any loss"
    if outcome in SHARES:
        return f"{100 * x:.1f} points".replace("-", "\N{MINUS SIGN}")
    if outcome in _MONEY:
        return money(x, currency, beside=beside)
    largest = max(abs(x), abs(beside) if math.isfinite(beside) else 0.0)
    digits = max(0, 2 - math.floor(math.log10(largest))) if largest > _NOUGHT else 0
    text = f"{round(x, digits) + 0.0:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "\N{MINUS SIGN}") + (" days" if outcome == "cycle_time" else "")


def between(low: float, high: float, outcome: str, currency: str) -> str:
    """Write an interval."""
    if not (math.isfinite(low) or math.isfinite(high)):
        return "no bound at all: the arms are too small for an interval at this confidence"
    if not math.isfinite(low):
        return f"at most {quantity(high, outcome, currency)}"
    if not math.isfinite(high):
        return f"at least {quantity(low, outcome, currency)}"
    return f"{quantity(low, outcome, '', beside=high)} to {quantity(high, outcome, currency, beside=low)}"


def finding(row: Any, confidence: float, currency: str, *, several: bool = False) -> str:
    """Say one effect; `several` groups have each their own beside that of all."""
    name, of = named(str(row.outcome)), each(str(row.outcome))
    who = " ".join(p for p in (f"{row.group}:" if row.group != "all" else "", f"{row.arm}") if p)
    if row.arm == "treatment":  # the only one, most often: its name says nothing
        who = str(row.group) if row.group != "all" else "all together" if several else "treatment"
    size = f"{accounts(row.accounts)} against {row.controls:,}"
    ends = between(row.lower, row.upper, row.outcome, currency)
    reach = max((abs(x) for x in (row.lower, row.upper) if math.isfinite(x)), default=0.0)
    estimate = quantity(row.effect, row.outcome, currency, beside=reach)
    relative = f", {signed(row.relative)}" if math.isfinite(row.relative) else ""
    apart = row.lower > 0 or row.upper < 0
    if apart and row.p_value < row.p_adjusted and row.p_adjusted > 1 - confidence:
        return (
            f"{who}: no effect on {name} can be told from chance. The estimate is"
            f" {estimate}{of}{relative} ({confidence:.0%} interval {ends};"
            f" {size}): alone it would stand out, but of all comparisons made here chance would show one so large"
            f" {chance(row.p_adjusted)}."
        )
    if apart:
        more = "raised" if row.effect > 0 else "lowered"
        return (
            f"{who} {more} {name} by {quantity(abs(row.effect), row.outcome, currency, beside=reach)}{of}{relative}"
            f" ({confidence:.0%} interval {ends}; {size}). Chance alone would show so much {chance(row.p_value)}"
            + (f"; counting all comparisons, {chance(row.p_adjusted)}." if row.p_adjusted > row.p_value else ".")
        )
    return (
        f"{who}: no effect on {name} can be told from chance. The estimate is"
        f" {estimate}{of}{relative}; the data are compatible with {ends}"
        f" ({confidence:.0%} interval; {size})."
    )


def _found(main: pd.DataFrame, confidence: float, currency: str) -> list[str]:
    several = bool((main["group"] != "all").any())
    said = [finding(row, confidence, currency, several=several) for row in main.itertuples()]
    return [one[0].upper() + one[1:] if one.startswith("all together") else one for one in said]


def analysis_text(analysis: ExperimentAnalysis, *, registered: bool) -> str:
    """Say the main findings, what was decided beforehand, and what is wrong."""
    table = analysis.table
    main = table[table["role"] == "main"]
    broken = analysis.checks[analysis.checks["verdict"] == "broken"]
    parts = []
    if len(broken):
        parts.append("Do not use this result as it is. " + " ".join(broken["says"]))
    parts.append(" ".join(_found(main, analysis.confidence, analysis.currency)))
    few = int(main[["accounts", "controls"]].to_numpy().min())
    how = "randomised, compared with a control group"
    parts.append(
        f"Evidence: {how}; {'the main outcome was registered before the start' if registered else 'not registered'}."
        + (f" The smallest arm has {accounts(few)}: only large effects could have been seen." if few < 30 else "")
    )
    mind = list(analysis.checks.loc[analysis.checks["verdict"] == "mind", "says"])
    mind += [note[0].upper() + note[1:] + "." for note in analysis.notes]
    if mind:
        parts.append("Mind: " + " ".join(mind))
    other = table[table["role"] == "exploratory"]
    if len(other):
        seen = [
            str(r.outcome).replace("_", " ") for r in other[other["p_adjusted"] < 1 - analysis.confidence].itertuples()
        ]
        names = listed(list(dict.fromkeys(seen)))
        parts.append(
            f"Looked at beside: {listed(list(dict.fromkeys(other['outcome'].str.replace('_', ' '))))}"
            + (f"; {names} differ, to be confirmed by the next experiment." if names else "; none differs.")
        )
    return "\n\n".join(parts)
