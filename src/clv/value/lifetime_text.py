"""Lifetime value in words: what was found, how sure it is, and on what it rests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.data.units import in_words
from clv.result import money

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clv.value.estimation.checks import Floats
    from clv.value.forecast import Interval


def sentences(
    table: pd.DataFrame,
    draws: NDArray[np.float32] | None,
    spend: Any,
    horizon: float,
    unit: str | None,
    discount_rate: float,
    margin: str,
    confidence: float,
    interval: Interval,
    currency: str,
) -> str:
    """Say what was found, how sure it is, and on what it rests."""
    who = "1 account is" if len(table) == 1 else f"{len(table):,} accounts are"
    said = f"{who} expected to bring a discounted contribution margin of "
    said += total_words(table["clv"], draws, horizon, unit, confidence, interval, currency) + concentrated(table["clv"])
    basis = (
        f"{margin} The discount rate is {100 * discount_rate:g}% effective a year, applied"
        " continuously from the moment of each expected purchase."
    )
    if draws is not None:
        bounded, chance = (
            ("an account's own expected margin", "not the chance in single purchases")
            if interval == "credible"
            else ("the margin that will come in", "and the chance in single purchases")
        )
        basis += (
            f" Lower and upper bound the {confidence:.0%} {interval} interval of {bounded}: it"
            f" holds what is unknown of the account and of the models' parameters, {chance}."
        )
    correlation = getattr(spend, "frequency_spend_correlation_", np.nan)
    elasticity = getattr(spend, "slope_", None)
    if elasticity is not None:
        basis += (
            f" Spend depends on frequency: the mean purchase is taken to grow as the"
            f" number of purchases to the power {elasticity:.2f}."
        )
    elif np.isfinite(correlation):
        basis += f" Spend is taken to be independent of frequency; their correlation is {correlation:.2f}."
    if getattr(spend, "has_mean", True) is False:
        basis += (
            " Mean spend over all accounts is not finite under the fitted spend model (q ≤ 1): expected spend averages"
            " the account's own mean with the mean purchase in the data instead."
        )
    return f"{said}\n\n{basis}"


def total_words(
    values: pd.Series,
    draws: NDArray[np.float32] | None,
    horizon: float,
    unit: str | None,
    confidence: float,
    interval: Interval,
    currency: str,
) -> str:
    """Say the value of all accounts with its interval, and the time over which it is counted."""
    span = "without end" if np.isinf(horizon) else f"over the next {in_words(horizon, unit)}"
    said = f"{money(float(values.sum()), currency)} {span}"
    if draws is not None:
        sums = draws.sum(axis=0, dtype=float)
        low, high = np.quantile(sums, [(1 - confidence) / 2, (1 + confidence) / 2])
        said += f" ({confidence:.0%} {interval} interval {money(low)} to {money(high)})"
    return said + "."


def concentrated(values: pd.Series) -> str:
    """Say what share of the value a tenth of the accounts hold; nothing of books in which that says nothing."""
    total, top = float(values.sum()), max(1, int(np.ceil(0.1 * len(values))))
    if not (total > 0 and len(values) >= 10):
        return ""
    largest = np.partition(values.to_numpy(), len(values) - top)[-top:]
    return f" The {top:,} most valuable, a tenth of them, hold {largest.sum() / total:.0%} of it."


def margin_words(margins: Floats, value: pd.Series, sales: pd.Series) -> tuple[float, str]:
    """Return the margin of all expected sales together, and say what accounts' own margins are."""
    total = float(sales.sum())
    mean = float(value.sum()) / total if total > 0 else float(np.mean(margins))
    said = (
        f"Each account has its own margin: {mean:.1%} of all expected sales together, {margins.min():.1%} to"
        f" {margins.max():.1%} by account."
    )
    costly = int((margins < 0).sum())
    if costly:
        said += f" Below 0 it is for {costly:,}: serving them costs more than they bring."
    return mean, said
