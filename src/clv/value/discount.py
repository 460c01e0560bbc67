"""Time units and discounting, in one place: how long a month is, and what ten per cent a year is per week."""

from __future__ import annotations

import math
from typing import Final

from clv.data.settings import Unit
from clv.errors import SettingsError

#: Length of a unit in days. A month is a twelfth of the mean Gregorian-calendar year in whole quarters of a day,
#: neither 30 nor 30.4 days: that choice alone moves a discounted value by up to one per cent.
DAYS: Final[dict[str, float]] = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}

#: How a unit is called, one and many.
NAMES: Final[dict[str, tuple[str, str]]] = {
    "D": ("day", "days"),
    "W": ("week", "weeks"),
    "M": ("month", "months"),
    "Y": ("year", "years"),
}


def days_per_unit(unit: Unit | str) -> float:
    """Return the length of a time unit in days.

    Parameters
    ----------
    unit : {"D", "W", "M", "Y"}
        Day, week, month of 365.25 / 12 days, year of 365.25 days.

    Returns
    -------
    float
        Days.

    Raises
    ------
    clv.errors.SettingsError
        If there is no such unit.
    """
    try:
        return DAYS[unit]
    except KeyError:
        raise SettingsError(f"unit {unit!r} is not known.", mend=f"Use one of {', '.join(DAYS)}.") from None


def continuous_rate(effective: float, *, unit: Unit | str) -> float:
    """Turn an effective yearly discount rate into a continuous rate per unit.

    A payment after one year is worth 1 / (1 + `effective`) today, whatever the unit:
    ``exp(-continuous_rate(r, unit=u) * 365.25 / days_per_unit(u)) == 1 / (1 + r)``.

    Parameters
    ----------
    effective : float
        Effective yearly rate, 0 or more; 0.1 is ten per cent.
    unit : {"D", "W", "M", "Y"}
        Time unit of the result.

    Returns
    -------
    float
        ln(1 + `effective`) × (days in the unit) / 365.25, per unit.

    Raises
    ------
    clv.errors.SettingsError
        If the rate is negative or not finite, or the unit is unknown.
    """
    if not (math.isfinite(effective) and effective >= 0):
        raise SettingsError(
            f"discount_rate is {effective}.", mend="Give an effective yearly rate of 0 or more, such as 0.1."
        )
    return math.log1p(effective) * days_per_unit(unit) / DAYS["Y"]


def in_words(amount: float, unit: Unit | str | None) -> str:
    """Say a span of time: ``"52 weeks"``, ``"1 month"``; ``"52 time units"`` where the unit is not known."""
    one, many = NAMES.get(unit or "", ("time unit", "time units"))
    return f"{amount:g} {one if amount == 1 else many}"
