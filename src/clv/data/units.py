"""Time units: how many days each has, and what to call them. The length of a month is a convention, stated here."""

from __future__ import annotations

from clv.data.settings import Unit

#: Days in a unit; a month is a twelfth of a mean Gregorian year.
DAYS: dict[Unit, float] = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}

_WORDS: dict[Unit, tuple[str, str]] = {
    "D": ("day", "days"),
    "W": ("week", "weeks"),
    "M": ("month", "months"),
    "Y": ("year", "years"),
}


def years(length: float, unit: Unit) -> float:
    """Turn a length of time in `unit` into years of 365.25 days."""
    return length * DAYS[unit] / DAYS["Y"]


def name(unit: Unit, number: float = 2) -> str:
    """Return the English word for the unit: ``week`` for one, ``weeks`` otherwise."""
    return _WORDS[unit][0 if number == 1 else 1]
