"""Time units: how many days each has, and what to call them. The length of a month is a convention, stated here."""

from __future__ import annotations

from typing import Final

from clv.data.settings import Unit
from clv.errors import SettingsError

#: Length of a unit in days. A month is a twelfth of the mean Gregorian-calendar year in whole quarters of a day,
#: neither 30 nor 30.4 days: that choice alone moves a discounted value by up to one per cent.
DAYS: Final[dict[Unit, float]] = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}

_WORDS: Final[dict[str, tuple[str, str]]] = {
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
    for known, days in DAYS.items():
        if unit == known:
            return days
    raise SettingsError(f"unit {unit!r} is not known.", mend=f"Use one of {', '.join(DAYS)}.")


def years(length: float, unit: Unit) -> float:
    """Turn a length of time in `unit` into years of 365.25 days."""
    return length * DAYS[unit] / DAYS["Y"]


def name(unit: Unit | str | None, number: float = 2) -> str:
    """Return the word for the unit: ``week`` for one, ``weeks`` otherwise, ``time units`` if it is not known."""
    one, many = _WORDS.get(unit or "", ("time unit", "time units"))
    return one if number == 1 else many


def in_words(amount: float, unit: Unit | str | None) -> str:
    """Say a span of time: ``"52 weeks"``, ``"1 month"``; ``"52 time units"`` where the unit is not known."""
    return f"{amount:g} {name(unit, amount)}"
