"""A forecast of returns in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from clv.abm.loop.evidence import tuples
from clv.abm.wording import accounts, listed, money, money_range
from clv.data.units import in_words
from clv.result import signed

if TYPE_CHECKING:
    from clv.abm.forecast.compare import RoiComparison
    from clv.abm.forecast.roi import RoiForecast


def percent(share: float) -> str:
    """Write a share with a sign: +40%, −5%."""
    return signed(share)


def chance(p: float) -> str:
    """Write a probability, never as certain."""
    return "more than 99%" if p > 0.995 else "less than 1%" if p < 0.005 else f"{p:.0%}"


def forecast_text(forecast: RoiForecast) -> str:
    """Say what a plan will return, how sure, after how long, and on what that hangs."""
    total, currency = forecast.table.iloc[0], forecast.currency
    span = in_words(forecast.timing.horizon, forecast.timing.unit)
    hold = f"{forecast.confidence:.0%}"
    said = [
        f"The plan spends {money(total['cost'], currency)} on {accounts(int(total['accounts']))} and is expected to add"
        f" {money(total['margin'], currency)} of contribution margin within {span}:"
        f" {money(total['npv'], currency)} net ({hold}: {money_range(total['npv_lower'], total['npv_upper'])})"
    ]
    if math.isfinite(total["roi"]):
        said[0] += (
            f", a return of {percent(total['roi'])} ({percent(total['roi_lower'])} to {percent(total['roi_upper'])})"
        )
    said[0] += f". The chance that it pays is {chance(total['p_positive'])}."
    if math.isfinite(total["payback"]) and total["cost"] > 0:
        said.append(
            f"It has paid for itself after {total['payback']:.1f} months (median);"
            f" in {chance(1 - total['p_payback'])} of the cases not within {span}."
        )
    elif total["cost"] > 0:
        said.append(f"More likely than not it does not pay for itself within {span}.")
    tiers = forecast.scope("tier")
    if len(tiers) > 1:
        said.append(f"By tier: {listed([_tier(row, currency) for row in tiers.to_dict('records')])}.")
    said.append(_hangs_on(forecast.tornado))
    return "\n\n".join([" ".join(p for p in said if p), _grounds(forecast)])


def _tier(row: dict, currency: str) -> str:
    back = f" ({percent(row['roi'])})" if math.isfinite(row["roi"]) else ""
    return f"{row['tier']} {money(row['npv'], currency)} net{back}, pays with a chance of {chance(row['p_positive'])}"


def _hangs_on(table: pd.DataFrame) -> str:
    alone = table[table["variance_share"] >= 0.005].dropna(subset=["swing"])
    alone = alone.sort_values("variance_share", ascending=False, kind="stable").head(2)
    if alone.empty:
        return ""
    parts = [f"the {row.input} ({row.variance_share:.0%} of the variance)" for row in tuples(alone)]
    return f"It hangs most on {listed(parts)}."


def _grounds(forecast: RoiForecast) -> str:
    """Say what is assumed: the uplift's origin, timing, and that every margin is counted once."""
    used = set(forecast.table["tier"]) - {""}
    known = forecast.response.table
    measured = known[(known["evidence"] == "measured") & known["tier"].isin(used)]
    assumed = [tier for tier in forecast.response.assumed if tier in used and tier not in set(measured["tier"])]
    first = ""
    if len(measured):
        tiers = listed(list(dict.fromkeys(measured["tier"])))
        low, high = (max(0.0, float(x)) for x in (measured["learnt"].min(), measured["learnt"].max()))
        share = f"{low:.0%}" if f"{low:.0%}" == f"{high:.0%}" else f"{low:.0%} to {high:.0%}"
        first = (
            f"The uplift of {tiers} was measured against a control group, which took away {share} of the doubt about"
            " the study's assumption."
        )
    if assumed:
        first += f"{' ' if first else ''}The uplift of {listed(assumed)} is assumed, not measured."
    paid = "on the first day" if forecast.timing.cost == "start" else "evenly over the horizon"
    rest = (
        f" All money is of today at {forecast.timing.discount_rate:.1%} a year; the programme is paid for {paid}, the"
        " margin comes in evenly. A margin is counted once: the value of an account is what it brings without the"
        " programme and before the cost to acquire or serve it, and the programme's cost is taken off here only."
    )
    notes = "".join(f" Note: {note}." for note in forecast.notes)
    return first + rest + notes


def comparison_text(comparison: RoiComparison) -> str:
    """Say by how much plans differ."""
    first, *others = comparison.table.to_dict("records")
    currency = comparison.currency
    said = [f"{_capital(first['plan'])} is expected to bring {money(first['npv'], currency)} net."]
    for row in others:
        if row["difference"] == row["difference_lower"] == row["difference_upper"] == 0:
            said.append(f"{_capital(row['plan'])} brings the same in every draw.")
            continue
        word = "less" if row["difference"] < 0 else "more"
        said.append(
            f"{_capital(row['plan'])} brings {money(abs(row['difference']), currency)} {word}"
            f" ({comparison.confidence:.0%}: {money_range(row['difference_lower'], row['difference_upper'])});"
            f" the chance that it is the better one is {chance(row['p_better'])}."
        )
    said.append("All plans were drawn with the same luck, so that only what sets them apart makes a difference.")
    return " ".join(said)


def _capital(name: str) -> str:
    return f"{name[:1].upper()}{name[1:]}"
