"""Plans side by side, draw by draw: what sets them apart, without the luck that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from clv.abm.forecast.inputs import Costs
from clv.abm.forecast.roi import RoiForecast, made_forecast, prepare
from clv.abm.forecast.simulate import simulate_plans
from clv.abm.forecast.wording import comparison_text
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.loop.response import Response
    from clv.abm.selecting.incremental import IncrementalValue
    from clv.abm.tiers import Allocation
    from clv.data.settings import Tier, Unit
    from clv.value.lifetime import LifetimeValue


@dataclass(frozen=True, eq=False)
class RoiComparison(Result):
    """Plans compared.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a plan: plan, accounts, cost, margin, npv, npv_lower, npv_upper, roi, p_positive; against the first
        plan: difference (of npv), difference_lower, difference_upper, p_better, error (Monte Carlo error of the
        difference, given the draws of values and effects), error_unpaired (what it would be, had each plan its own
        luck).
    forecasts : dict of str to RoiForecast
    confidence : float
    currency : str
    """

    forecasts: dict[str, RoiForecast]
    confidence: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the difference of each plan to the first."""
        from clv.abm.experiments.pictures import effects

        others = self.table.iloc[1:]
        shown = pd.DataFrame(
            {
                "label": others["plan"],
                "effect": others["difference"],
                "lower": others["difference_lower"],
                "upper": others["difference_upper"],
            }
        )
        first = self.table["plan"].iloc[0]
        ax = effects(shown, f"Net return against {first}, {self.confidence:.0%} interval", self.currency, ax)
        ax.set_xlabel(f"difference to {first}{f', {self.currency}' if self.currency else ''}")
        return ax


def compare_roi(
    plans: Mapping[str, Allocation | pd.DataFrame],
    value: LifetimeValue | pd.DataFrame | IncrementalValue,
    response: Response | Sequence[Tier],
    *,
    segments: Mapping[str, str] | pd.Series | None = None,
    costs: Costs | None = None,
    horizon: float | None = None,
    unit: Unit | None = None,
    discount_rate: float | None = None,
    cost_timing: Literal["start", "even"] = "start",
    lag: float = 0.0,
    spread: float = 0.5,
    shared_sd: float = 0.0,
    draws: int = 10_000,
    seed: int = 0,
    confidence: float = 0.9,
    method: Literal["auto", "exact", "moments"] = "auto",
    currency: str = "",
) -> RoiComparison:
    """Forecast several plans with common random numbers, and their differences.

    Parameters are those of `forecast_roi`; the first plan is the one that others are compared with. Two plans of equal
    accounts, tiers and costs differ by exactly nothing.

    Returns
    -------
    RoiComparison
    """
    if len(plans) < 2:
        raise SettingsError("there is nothing to compare.", mend="Give two plans or more: {'ours': …, 'theirs': …}.")
    inputs = prepare(
        plans, value, response, segments=segments, costs=costs, horizon=horizon, unit=unit,
        discount_rate=discount_rate, cost_timing=cost_timing, lag=lag, spread=spread, confidence=confidence,
    )  # fmt: skip
    found = simulate_plans(inputs, draws=draws, seed=seed, shared_sd=shared_sd, method=method)
    made = {name: made_forecast(one, inputs, confidence, currency) for name, one in found.items()}
    net = {name: forecast.draws["npv"].to_numpy() for name, forecast in made.items()}
    first = next(iter(net))
    rows = [_row(name, made[name], net[name], net[first], confidence) for name in net]
    draft = RoiComparison(pd.DataFrame(rows), "", made, confidence, currency)
    return replace(draft, text=comparison_text(draft))


def _row(name: str, forecast: RoiForecast, net: np.ndarray, base: np.ndarray, confidence: float) -> dict[str, Any]:
    total = forecast.table.iloc[0]
    columns = ("accounts", "cost", "margin", "npv", "npv_lower", "npv_upper", "roi", "p_positive")
    apart = net - base
    low, high = np.quantile(apart, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {
        "plan": name, **{column: total[column] for column in columns},
        "difference": float(apart.mean()), "difference_lower": float(low), "difference_upper": float(high),
        "p_better": float((apart > 0).mean()), "error": float(apart.std() / np.sqrt(len(apart))),
        "error_unpaired": float(np.sqrt((net.var() + base.var()) / len(apart))),
    }  # fmt: skip
