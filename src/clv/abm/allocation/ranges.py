"""Prices with the range in which they hold: how far a limit can move before one more unit is worth something else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation import highs
from clv.abm.allocation.highs import Choices
from clv.abm.allocation.prices import Priced, price
from clv.abm.allocation.program import Program
from clv.abm.allocation.solver import near, width_of

if TYPE_CHECKING:
    from clv.abm.tiers import Allocation

#: choices near a tie that the relaxations hold; all of them in smaller books.
_HELD = 3_000
_TURNS = 40
#: up to so many limits are ranged, those of the largest worth first.
_MOST_LIMITS = 25


def price_ranges(plan: Allocation, *, seconds: float = 20.0) -> pd.DataFrame:
    """For each limit with a price, between which amounts it stays the same.

    The worth of the relaxation as a function of one limit is concave and made of straight pieces; the price is the
    slope of the piece on which the limit lies, and the range is that piece. In a book of many accounts pieces are short
    (one account changes its tier), and the next price is nearly the same.

    Parameters
    ----------
    plan : Allocation
    seconds : float
        Time for one linear program.

    Returns
    -------
    pandas.DataFrame
        limit, allowed, price, lower, upper (amounts between which the price holds), and price_below, price_above: the
        slopes beyond. Limits without a price hold from what is used upwards and are left out, as are, of many limits,
        the ones whose allowance is worth least.
    """
    program, prices = plan.work.program, plan.work.solution.prices
    columns = ["limit", "allowed", "price", "lower", "upper", "price_below", "price_above"]
    if not np.isfinite(prices).all():
        return pd.DataFrame(columns=columns)
    priced = price(program, prices)
    choices = near(priced, width_of(priced, _HELD))
    line = _Line(program, priced, choices, seconds)
    weight = prices * np.maximum(np.abs(program.limit), 1.0)
    rows = []
    order = [int(k) for k in np.argsort(-weight, kind="stable")[:_MOST_LIMITS] if prices[k] > 1e-7]
    for k in sorted(order):
        low, below, slope, high, above = line.piece(k)
        unit, money = program.row_unit[k], program.gain_unit / program.row_unit[k]
        constant = float(plan.limits["allowed"].iloc[k]) - program.limit[k] * unit
        ends = [low * unit + constant, high * unit + constant]
        slopes = [below * money, above * money]
        if unit < 0:
            ends, slopes = ends[::-1], slopes[::-1]
        rows.append((program.names[k], plan.limits["allowed"].iloc[k], slope * money, *ends, *slopes))
    return pd.DataFrame(rows, columns=columns)


class _Line:
    """Worth of the relaxation along one limit."""

    def __init__(self, program: Program, priced: Priced, choices: Choices, seconds: float) -> None:
        self.program, self.priced, self.choices, self.seconds = program, priced, choices, seconds

    def at(self, row: int, limit: float) -> tuple[float, float] | None:
        """Worth and slope where the limit is this; None where there is no plan."""
        limits = self.program.limit.copy()
        limits[row] = limit
        moved = replace(self.program, limit=limits, whole=np.zeros_like(self.program.whole))
        found = highs.relax(moved, self.choices, self.seconds)
        return (found.bound, float(found.prices[row])) if found.status == "optimal" else None

    def piece(self, row: int) -> tuple[float, float, float, float, float]:
        """Lower end, slope below, slope, upper end, slope above, in scaled units."""
        here = float(self.program.limit[row])
        start = self.at(row, here)
        slope = float(self.priced.prices[row]) if start is None else start[1]
        worth = self.priced.bound if start is None else start[0]
        step = max(abs(here), 1.0)
        high, above = self._end(row, here, worth, slope, step)
        low, below = self._end(row, here, worth, slope, -step)
        return low, below, slope, high, above

    def _end(self, row: int, here: float, worth: float, slope: float, step: float) -> tuple[float, float]:
        """Walk back from a far point by where its line meets ours, until it lies on ours."""
        far = here + step
        beyond = slope
        for _ in range(_TURNS):
            found = self.at(row, far)
            if found is None:  # no plan so far away
                far = here + (far - here) / 2
                continue
            there, other = found
            line = worth + slope * (far - here)
            if there >= line - 1e-9 * max(1.0, abs(worth)) or abs(other - slope) <= 1e-9 * max(1.0, abs(slope)):
                return far, beyond
            beyond = other
            # Where the line through the far point with its slope meets ours.
            meet = (there - worth + slope * here - other * far) / (slope - other)
            if abs(meet - far) <= 1e-12 * max(1.0, abs(far)):
                return far, beyond
            far = min(meet, far) if step > 0 else max(meet, far)
            far = max(far, here) if step > 0 else min(far, here)
        return far, beyond
