"""What a plan will return: margin it adds, less what it costs, by tier and segment, with the chance that it pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from clv.abm.forecast.inputs import Costs, Inputs, read_inputs
from clv.abm.forecast.simulate import Draws, simulate_plans
from clv.abm.forecast.timing import Timing
from clv.abm.forecast.tornado import tornado
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
class RoiForecast(Result):
    """Forecast of a plan's return.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a part of the plan: scope (total, tier, segment, tier and segment), tier, segment, accounts, cost,
        margin (added; both present values, means over the draws), npv (margin − cost), npv_lower, npv_upper, roi
        (npv ÷ cost, of the means), roi_lower, roi_upper (quantiles of the draws' ratios of sums), p_positive
        (probability that ROI > 0), payback (months, median; infinite where half of the draws do not pay back),
        p_payback (share of draws that pay back within the horizon).
    tornado : pandas.DataFrame
        See `clv.abm.forecast.tornado.tornado`.
    draws : pandas.DataFrame
        The draws of the total: margin, cost, npv.
    drawn : int
        Accounts drawn one by one; of the others the sums were, by matched moments.
    response : Response
    timing : Timing
    notes : list of str
    confidence : float
    currency : str
    """

    tornado: pd.DataFrame
    draws: pd.DataFrame = field(repr=False)
    drawn: int
    response: Response
    timing: Timing
    notes: list[str]
    confidence: float
    currency: str

    def scope(self, name: Literal["total", "tier", "segment", "tier and segment"]) -> pd.DataFrame:
        """Rows of one scope."""
        return self.table[self.table["scope"] == name].reset_index(drop=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the net return of each tier and of the whole, with its interval and the chance that it pays."""
        from clv.abm.forecast.pictures import returns

        return returns(self, ax)

    def plot_tornado(self, ax: Axes | None = None) -> Axes:
        """Draw what the forecast hangs on."""
        from clv.abm.forecast.pictures import tornado_bars

        return tornado_bars(self, ax)


def forecast_roi(
    plan: Allocation | pd.DataFrame,
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
) -> RoiForecast:
    """Forecast return on investment, net present value and payback of a plan by Monte Carlo.

    A draw's margin is ``Σ uplift(tier, segment) × value(account) × how the account responds``; its cost is what the
    plan spends times how far the tier's cost is off. Each margin is counted once: a value is the discounted
    contribution margin *without* the programme and before any cost to acquire or serve it (rule B1); the programme adds
    a share of it; costs are taken off here and nowhere else.

    Parameters
    ----------
    plan : Allocation or pandas.DataFrame
        Columns account_id, tier, cost; rows of tier "none" are left out, a column value is not used.
    value : LifetimeValue, IncrementalValue or pandas.DataFrame
        What the plan was made from (`clv.study_incremental`), with draws: customers and prospects, and effects as they
        are believed there. Or values of customers: joint draws are used as they are (``draws > 0`` in
        `clv.lifetime_value`; with ``interval="predictive"`` they hold the luck of single purchases too), else index
        account_id, clv and, for its error, sd or lower and upper (of `confidence`): then errors are log-normal and
        independent.
    response : Response or sequence of Tier
        Uplifts with their doubt; tiers stand for their assumptions (`clv.response_prior`).
    segments : mapping or Series, optional
        Account -> segment.
    costs : Costs, optional
    horizon, unit, discount_rate : optional
        Those of the values; needed where `value` is a table, not allowed to differ where it is not.
    cost_timing : {"start", "even"}
        When the programme is paid for.
    lag : float
        Time until the first added margin, in `unit`; matters for the payback only.
    spread : float
        Standard deviation of an account's response relative to the tier's mean (log-normal).
    shared_sd : float
        Relative standard deviation of an error that all values share, where they have no joint draws.
    draws, seed : int
        Equal seeds give every plan the same luck: differences between forecasts are paired (see `compare_roi`).
    confidence : float
    method : {"auto", "exact", "moments"}
        Every account drawn, or of each part of the plan the 200 that matter most and of the others their sum, by
        matched moments; "auto": exact up to 20 million account draws.
    currency : str

    Returns
    -------
    RoiForecast

    Raises
    ------
    DataError
        An account has no value or no cost, or is there twice; a tier is not known.
    SettingsError
        A number is out of its range, or contradicts that of the values.
    """
    inputs = prepare(
        {"plan": plan}, value, response, segments=segments, costs=costs, horizon=horizon, unit=unit,
        discount_rate=discount_rate, cost_timing=cost_timing, lag=lag, spread=spread, confidence=confidence,
    )  # fmt: skip
    found = simulate_plans(inputs, draws=draws, seed=seed, shared_sd=shared_sd, method=method)["plan"]
    return made_forecast(found, inputs, confidence, currency)


def prepare(
    plans: Mapping[str, Allocation | pd.DataFrame],
    value: LifetimeValue | pd.DataFrame | IncrementalValue,
    response: Response | Sequence[Tier],
    *,
    segments: Mapping[str, str] | pd.Series | None,
    costs: Costs | None,
    horizon: float | None,
    unit: Unit | None,
    discount_rate: float | None,
    cost_timing: Literal["start", "even"],
    lag: float,
    spread: float,
    confidence: float,
) -> Inputs:
    """Check and complete the arguments of `forecast_roi` and `compare_roi`."""
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    given: dict[str, Any] = {"horizon": horizon, "unit": unit, "discount_rate": discount_rate}
    if not isinstance(value, pd.DataFrame):
        for name, own in given.items():
            theirs = getattr(value, name, own)
            if own is not None and own != theirs:
                raise SettingsError(
                    f"{name} = {own!r}, but the values were made with {theirs!r}.",
                    mend="Leave it out, or make the values anew.",
                )
            given[name] = theirs
    missing = [name for name, one in given.items() if one is None]
    if missing:
        raise SettingsError(
            f"{missing[0]} is not known.", mend="Say over which horizon, in which unit, at which rate values count."
        )
    timing = Timing(given["horizon"], given["unit"], given["discount_rate"], cost_timing, lag)
    return read_inputs(
        plans, value, response, timing=timing, segments=segments, costs=costs or Costs(), spread=spread,
        confidence=confidence,
    )  # fmt: skip


def made_forecast(found: Draws, inputs: Inputs, confidence: float, currency: str) -> RoiForecast:
    """Summarise the draws of one plan."""
    from clv.abm.forecast.wording import forecast_text

    everything = np.ones(len(found.tier), dtype=bool)
    parts: list[tuple[str, str, str, np.ndarray]] = [("total", "", "", everything)]
    tiers = [t for t in inputs.response.assumed if t in set(found.tier)]
    parts += [("tier", t, "", found.tier == t) for t in tiers]
    segments = sorted(set(found.segment))
    if segments not in ([""], []):
        parts += [("segment", "", s, found.segment == s) for s in segments]
        parts += [("tier and segment", t, s, (found.tier == t) & (found.segment == s)) for t in tiers for s in segments]
    rows = [_row(*part, found, inputs.timing, confidence) for part in parts if part[0] == "total" or part[3].any()]
    total = pd.DataFrame({"margin": found.margin.sum(axis=0), "cost": found.cost.sum(axis=0)})
    draft = RoiForecast(
        pd.DataFrame(rows), "", tornado(found, confidence), total.assign(npv=total["margin"] - total["cost"]),
        found.drawn, inputs.response, inputs.timing, list(inputs.notes), confidence, currency,
    )  # fmt: skip
    return replace(draft, text=forecast_text(draft))


def _row(
    scope: str, tier: str, segment: str, inside: np.ndarray, found: Draws, timing: Timing, confidence: float
) -> dict[str, Any]:
    margin, cost = found.margin[inside].sum(axis=0), found.cost[inside].sum(axis=0)
    npv = margin - cost
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    paid = bool((cost > 0).all())
    low, high = np.quantile(npv / cost, ends) if paid else (np.nan, np.nan)
    payback = timing.payback(margin, cost)
    lower, upper = np.quantile(npv, ends)
    return {
        "scope": scope, "tier": tier, "segment": segment, "accounts": int(found.accounts[inside].sum()),
        "cost": float(cost.mean()), "margin": float(margin.mean()), "npv": float(npv.mean()),
        "npv_lower": float(lower), "npv_upper": float(upper),
        "roi": float(npv.mean() / cost.mean()) if paid else np.nan, "roi_lower": float(low), "roi_upper": float(high),
        "p_positive": float((npv > 0).mean()), "payback": float(np.sort(payback)[len(payback) // 2]),
        "p_payback": float(np.isfinite(payback).mean()),
    }  # fmt: skip
