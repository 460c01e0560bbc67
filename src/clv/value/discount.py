"""Discounting: what ten per cent a year is per week."""

from __future__ import annotations

import math

from clv.data.settings import Unit
from clv.data.units import DAYS, days_per_unit
from clv.errors import SettingsError


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
