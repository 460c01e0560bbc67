"""When money comes and goes: discounted costs, and the time until a plan has paid for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from clv.abm.loop.shrinkage import Floats
from clv.data.settings import Unit
from clv.data.units import days_per_unit
from clv.errors import SettingsError
from clv.value.discount import continuous_rate


@dataclass(frozen=True)
class Timing:
    """Horizon, discount and the moments of payment.

    Values (CLV) are discounted to today already and are not discounted again. The margin that a programme adds comes
    in evenly from `lag` to the horizon; the programme is paid for on the first day or evenly over the horizon.

    Attributes
    ----------
    horizon : float
        In `unit`.
    unit : {"D", "W", "M", "Y"}
    discount_rate : float
        Effective a year.
    cost : {"start", "even"}
    lag : float
        Time until the first added margin, in `unit`.
    """

    horizon: float
    unit: Unit
    discount_rate: float
    cost: Literal["start", "even"] = "start"
    lag: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.horizon) and self.horizon > 0):
            raise SettingsError(f"horizon = {self.horizon}.", mend="A return needs a finite horizon above 0.")
        if not 0 <= self.lag < self.horizon:
            raise SettingsError(
                f"lag = {self.lag} with a horizon of {self.horizon}.", mend="Give a lag from 0 to below the horizon."
            )
        if self.cost not in ("start", "even"):
            raise SettingsError(f"cost_timing = {self.cost!r} is not known.", mend="Use 'start' or 'even'.")
        continuous_rate(self.discount_rate, unit=self.unit)  # refuses what is no rate

    @property
    def delta(self) -> float:
        """Continuous rate a unit."""
        return continuous_rate(self.discount_rate, unit=self.unit)

    @property
    def cost_factor(self) -> float:
        """Present value of one unit of cost."""
        return 1.0 if self.cost == "start" else self._annuity(self.horizon) / self.horizon

    def _annuity(self, t: float) -> float:
        """Present value of one unit of money a unit of time until t."""
        return t if self.delta == 0 else -float(np.expm1(-self.delta * t)) / self.delta

    def payback(self, margin: Floats, cost: Floats) -> Floats:
        """Time at which discounted margin has made up for discounted cost, in months of 365.25/12 days.

        Parameters
        ----------
        margin, cost : numpy.ndarray
            Present values over the horizon.

        Returns
        -------
        numpy.ndarray
            0 where nothing is spent, infinite where it is not within the horizon.
        """
        whole, waited = self._annuity(self.horizon), self._annuity(self.lag)
        pace = margin / (whole - waited)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.cost == "start":
                reached = waited + cost / pace
            else:
                # D·pace − D·cost/whole = waited·pace; without a lag it pays from the first day, or never.
                net = pace - cost / whole
                reached = np.where(net > 0, waited * pace / net, np.inf)
        reached = np.where((pace > 0) & (reached <= whole * (1 + 1e-12)), reached, np.inf)
        reached = np.where(cost > 0, reached, np.where(margin >= 0, 0.0, np.inf))
        with np.errstate(divide="ignore", invalid="ignore"):
            time = reached if self.delta == 0 else -np.log1p(-self.delta * np.minimum(reached, whole)) / self.delta
        return np.where(np.isfinite(reached), time, np.inf) * days_per_unit(self.unit) / days_per_unit("M")
