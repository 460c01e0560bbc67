"""How much to spend on which account, not only in which tier: the allocation over S-shaped response curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation.limits import Counts, Hours, Limit
from clv.abm.response.adbudg import Adbudg
from clv.abm.response.bound import Relaxed, relaxed, within
from clv.abm.response.levels import (
    BOOK,
    HoursOf,
    Unit,
    check_curves,
    expand,
    expand_limits,
    grid,
    level_names,
)
from clv.abm.tiers import Allocation, allocate_tiers
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.response.frontier import Flat

#: what is flat: spends whose return falls short of the best by this share at most.
FLAT = 0.01
#: levels near the best spend at the prices of the round before, as shares of it.
_NEAR = (0.85, 0.95, 1.0, 1.05, 1.15)
_ROUNDS = 3
_GOOD = 1e-5


@dataclass(frozen=True, eq=False)
class Problem:
    """What `allocate_spend` was asked: its arguments, and the spends that curves allow."""

    options: pd.DataFrame
    curves: dict[str, Adbudg]
    hours: Hours | None
    counts: Counts | None
    limits: Sequence[Limit] | None
    accounts: pd.DataFrame | None
    ends: dict[str, tuple[float, float]]
    scale: dict[str, np.ndarray]
    unit: Unit
    hours_of: HoursOf


@dataclass(frozen=True, eq=False)
class SpendPlan(Result):
    """Which account gets which tier and how much is spent on it.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account: account_id, tier ("none" where it gets none), spend, value, hours, and lowest and highest:
        between these spends its return, money priced by what is scarce, is within 1 % of its best.
    objective : float
        Σ (value − spend).
    bound : float
        No plan within the limits brings more, whatever the spends; infinite if this could not be proven.
    gap : float
        (bound − objective) ÷ max(1, |objective|).
    limits : pandas.DataFrame
        As of `Allocation`.
    plan : Allocation
        The plan over levels of spend.
    curves : dict of str to Adbudg
    problem : Problem
        What was asked, for the frontier.
    currency : str
    """

    objective: float
    bound: float
    gap: float
    limits: pd.DataFrame
    plan: Allocation = field(repr=False)
    curves: dict[str, Adbudg]
    problem: Problem = field(repr=False)
    currency: str

    @cached_property
    def frontier(self) -> pd.DataFrame:
        """Net return against total spend, all limits but the budget as they are; see `spend_frontier`."""
        from clv.abm.response.frontier import spend_frontier

        return spend_frontier(self.problem)

    @cached_property
    def flat(self) -> Flat:
        """How much the total spend matters: where it is best, and between which spends hardly anything is lost."""
        from clv.abm.response.frontier import flat_range

        return flat_range(self.frontier, FLAT)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw net return against total spend, and the flat part of it."""
        from clv.abm.response.pictures import flat_maximum

        return flat_maximum(self, ax)


def allocate_spend(
    options: pd.DataFrame,
    curves: Mapping[str, Adbudg],
    budget: float | None = None,
    hours: Hours | None = None,
    counts: Counts | None = None,
    *,
    limits: Sequence[Limit] | None = None,
    accounts: pd.DataFrame | None = None,
    unit: Unit = "cost",
    hours_of: HoursOf = "fixed",
    spends: Mapping[str, tuple[float, float]] | None = None,
    levels: int = 8,
    gap: float | None = None,
    time_limit: float = 60.0,
    currency: str = "",
) -> SpendPlan:
    """Choose a tier and a spend for each account so that Σ (value − spend) is largest within the limits.

    The value of an option at a spend is its stated value times the response of its tier. Spends are levels, of which
    each is an option of a multiple-choice knapsack; after each round levels are set anew, for each account around
    the spend that is best at the prices of the limits. The same prices, with the spend free between its ends, bound
    what any plan could bring (weak duality), so that what levels cost is known. On S-shaped curves hardly an account
    gets a spend between nothing and the curve's `threshold`: the same money on fewer accounts brings more.

    Parameters
    ----------
    options : pandas.DataFrame
        As in `allocate_tiers`: account_id, tier, value, cost and hours; ``value × curve`` is what a spend brings.
    curves : mapping of str to Adbudg
        Tier -> response as a multiple of the value. Tiers without a curve are taken as they are.
    budget, hours, counts, limits, accounts
        As in `allocate_tiers`, but for clusters, shares of tiers and kept tiers.
    unit : {"cost", "money"}
        Whether curves and spends are in multiples of the option's cost, or in money.
    hours_of : {"fixed", "with spend"}
        Whether an account's hours are those of its tier, or grow in proportion with the spend (at the tier's cost they
        are the tier's).
    spends : mapping, optional
        Tier -> least and most spend on an account in it; by default from 0 to ten times the curve's half.
    levels : int
        Levels of the first round.
    gap, time_limit, currency
        As in `allocate_tiers`; by default the gap of each round is 1e-4 above 2,000 options.

    Returns
    -------
    SpendPlan

    Raises
    ------
    DataError, SettingsError, InfeasibleError
        As in `allocate_tiers`; and a curve of an unknown tier, or costs of 0 of which spend is to be a multiple.
    """
    if levels < 2:
        raise SettingsError(f"levels = {levels!r}.", mend="Give 2 or more.")
    ends = check_curves(options, curves, spends)
    options = options.reset_index(drop=True)
    tier = options["tier"].astype(str)
    rows = {name: np.flatnonzero(tier == name) for name in curves}
    scale = {name: _scale(options, at, unit, hours_of) for name, at in rows.items()}
    coarse = {name: scale[name][:, None] * grid(curve, *ends[name], levels) for name, curve in curves.items()}
    given, best = coarse, None
    for turn in range(_ROUNDS):
        table = expand(options, curves, given, unit, hours_of)
        names = level_names(curves, {name: one.shape[1] for name, one in given.items()})
        plain, declared = expand_limits(counts, limits, names, sorted(set(tier)))
        plan = allocate_tiers(
            table,
            budget,
            hours,
            plain,
            limits=declared,
            accounts=accounts,
            gap=gap if gap is not None or len(table) <= 2_000 else 1e-4,
            time_limit=time_limit / _ROUNDS,
            currency=currency,
        )
        free = relaxed(plan, options, curves, ends, scale, names)
        known = np.inf if best is None else best[2]
        bound = min(known, free.bound)
        if best is None or plan.objective > best[0].objective:
            best = (plan, free, bound, names)
        best = (best[0], best[1], bound, best[3])
        short = bound - best[0].objective
        if turn == _ROUNDS - 1 or short <= _GOOD * abs(bound) or not np.isfinite(free.bound):
            break
        kept = _spend_now(best[0], options, rows, names)
        given = {}
        for name in curves:
            low, high = (end * scale[name] for end in ends[name])
            near = np.clip(free.spend[name][:, None] * np.array(_NEAR), low[:, None], high[:, None])
            own = np.where(np.isnan(kept[name]), free.spend[name], kept[name])[:, None]
            given[name] = np.sort(np.hstack([coarse[name], near, own]), axis=1)
    assert best is not None
    problem = Problem(options, dict(curves), hours, counts, limits, accounts, ends, scale, unit, hours_of)
    return _result(*best, problem, currency)


def _scale(options: pd.DataFrame, rows: np.ndarray, unit: Unit, hours_of: HoursOf) -> np.ndarray:
    """Money of one unit of a curve's spend."""
    cost = options["cost"].to_numpy(float)[rows]
    if (unit == "cost" or hours_of == "with spend") and not (cost > 0).all():
        raise DataError(
            "spend is to be a multiple of a cost that is not above 0.",
            mend='Give the cost, or unit="money" and hours_of="fixed".',
            table="options",
            column="cost",
            row=int(rows[np.argmax(~(cost > 0))]) + 1,
        )
    return cost if unit == "cost" else np.ones(len(rows))


def _spend_now(
    plan: Allocation, options: pd.DataFrame, rows: Mapping[str, np.ndarray], names: Mapping[str, list[str]]
) -> dict[str, np.ndarray]:
    """Tier -> (rows,) what the plan spends on the account in this tier; NaN where it has another or none."""
    chosen = plan.table.set_index("account_id")
    ids = options["account_id"].astype(str).to_numpy()
    now = {}
    for name, at in rows.items():
        mine = chosen.loc[ids[at]]
        now[name] = np.where(mine["tier"].isin(names[name]), mine["cost"], np.nan)
    return now


def _result(
    plan: Allocation,
    free: Relaxed,
    bound: float,
    names: Mapping[str, list[str]],
    problem: Problem,
    currency: str,
) -> SpendPlan:
    options, curves, ends, scale = problem.options, problem.curves, problem.ends, problem.scale
    base = {level: tier for tier, some in names.items() for level in some}
    table = plan.table.rename(columns={"cost": "spend"})
    table["tier"] = [base.get(level, level) for level in table["tier"]]
    table["lowest"] = table["highest"] = table["spend"]
    tier, ids = options["tier"].astype(str).to_numpy(), options["account_id"].astype(str).to_numpy()
    place = pd.Index(table["account_id"])
    for name, curve in curves.items():
        rows = np.flatnonzero(tier == name)
        at = place.get_indexer(pd.Index(ids[rows]))
        taken = table["tier"].to_numpy()[at] == name
        rows, at = rows[taken], at[taken]
        worth, unit, price = options["value"].to_numpy(float)[rows], scale[name][taken], free.price[name][taken]
        low, high = within(curve, worth, unit, price, ends[name], FLAT)
        # What the limits of whole accounts leave may lie a little outside.
        now = table["spend"].to_numpy()[at]
        table.loc[table.index[at], "lowest"] = np.minimum(low, now)
        table.loc[table.index[at], "highest"] = np.maximum(high, now)
    limits = plan.limits.copy()
    for name, some in names.items():
        where = " and ".join(some)
        texts = [text.replace(f"{where} of {BOOK} all", name) for text in limits["limit"]]
        limits["limit"] = [text.replace(where, name) for text in texts]
    bound = max(bound, plan.objective)
    draft = SpendPlan(
        table=table[["account_id", "tier", "spend", "value", "hours", "lowest", "highest"]],
        text="",
        objective=plan.objective,
        bound=bound,
        gap=(bound - plan.objective) / max(1.0, abs(plan.objective)),
        limits=limits,
        plan=plan,
        curves=curves,
        problem=problem,
        currency=currency,
    )
    from clv.abm.response.wording import spend_text

    return replace(draft, text=spend_text(draft))
