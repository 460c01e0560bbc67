"""Durations, intervals and chances in the words of a sales meeting."""

from __future__ import annotations

import math

from clv.data.settings import Unit
from clv.data.units import DAYS, name


def number(x: float) -> str:
    """Round to what a person would say: whole from 3 up, one decimal below, two where that would say 0.

    Examples
    --------
    >>> number(11.2), number(2.04), number(0.5), number(0.04), number(1234.0)
    ('11', '2', '0.5', '0.04', '1,234')
    """
    if x >= 2.95:
        return f"{x:,.0f}"
    text = f"{x:.1f}" if x >= 0.095 or x == 0 else f"{x:.2f}"
    return text.removesuffix(".0")


def plural(amount: str, noun: str) -> str:
    """Put a noun after an amount that `number` wrote, in the right number.

    Examples
    --------
    >>> plural("1", "week"), plural("1.5", "week"), plural("0", "account")
    ('1 week', '1.5 weeks', '0 accounts')
    """
    return f"{amount} {noun}" if amount == "1" else f"{amount} {noun}s"


def duration(x: float, unit: Unit) -> str:
    """Say a duration with its unit, in days where it is shorter than one unit can show.

    Parameters
    ----------
    x : float
        Duration in `unit`.
    unit : {"D", "W", "M", "Y"}
        Unit of `x`.
    """
    days, noun = DAYS[unit], name(unit, 1)
    if 0 < x < 0.95 and days > 1 and x * days >= 0.5:
        return plural(number(round(x * days)), "day")
    return plural(number(x), noun)


def interval(low: float, high: float, unit: Unit) -> str:
    """Say "3–5 weeks": the interval between purchases, from `low` to `high` in `unit`.

    Examples
    --------
    >>> interval(3.2, 5.1, "W"), interval(0.9, 1.1, "M"), interval(0.8, 4.2, "W")
    ('3–5 weeks', '27–33 days', '6 days to 4 weeks')
    """
    days, noun = DAYS[unit], name(unit, 1)
    if low < 0.95 and days > 1 and high < 3:
        low, high, noun = float(round(low * days)), float(round(high * days)), "day"
    elif low < 0.95 and days > 1 and math.isfinite(high):
        return f"{duration(low, unit)} to {duration(high, unit)}"
    if not math.isfinite(high) or high * days > 36_525:
        return f"{plural(number(low), noun)} or more"
    a, b = number(low), number(high)
    return plural(a, noun) if a == b else f"{a}–{b} {noun}s"


def chance(p: float) -> str:
    """Say a probability as a count out of a hundred, or out of a thousand where it is small.

    Examples
    --------
    >>> chance(0.04), chance(0.004), chance(0.0001), chance(0.999)
    ('4 times in 100', '4 times in 1,000', 'less than once in 1,000', 'more than 99 times in 100')
    """
    if p >= 1:
        return "100 times in 100"
    if p > 0.99:
        return "more than 99 times in 100"
    if p < 0.001:
        return "less than once in 1,000"
    times, of = (round(p * 100), "100") if p >= 0.0095 else (round(p * 1000), "1,000")
    return f"once in {of}" if times == 1 else f"{times} times in {of}"
