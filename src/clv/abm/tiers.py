"""Which account gets which tier: the allocation with the largest return that the limits allow, with its proof."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.limits import Counts, Hours, Limits, read_limits, resource_name, verify
from clv.abm.options import check_options, limitable
from clv.abm.program import Program, build
from clv.abm.solver import Solution, solve
from clv.errors import ClvError, InfeasibleError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: how often a limit is tightened by what rounding a solution overran it, before giving up.
_REPAIRS = 5


@dataclass(frozen=True, eq=False)
class Allocation(Result):
    """A plan, what it is worth, and how much better any plan could be.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account, by account_id: account_id, tier ("none" where it gets none), value, cost, hours.
    objective : float
        Σ (value − cost) of the plan, recomputed from the plan.
    bound : float
        No plan within the limits is worth more (proven by the solver, up to a billionth of the largest gain).
    gap : float
        (bound − objective) ÷ max(1, |objective|).
    status : {"optimal", "time limit"}
        Whether the plan is proven best or the best found in time.
    limits : pandas.DataFrame
        One row a limit: limit (its name), used, allowed, price (money that the best plan gains when the limit is
        raised by one unit, in the linear relaxation: ≥ 0 for budget, hours and most counts, ≤ 0 for fewest counts),
        binds.
    currency : str
        Written after money.
    """

    objective: float
    bound: float
    gap: float
    status: Literal["optimal", "time limit"]
    limits: pd.DataFrame
    currency: str

    @property
    def shadow_prices(self) -> pd.Series:
        """Money gained per unit more of each limit: index limit, values price."""
        return self.limits.set_index("limit")["price"].rename("shadow_price")

    @cached_property
    def by_tier(self) -> pd.DataFrame:
        """Accounts, value, cost, net and hours of each tier in use, the dearest an account first; then none."""
        grouped = self.table.groupby("tier")
        sums = grouped[["value", "cost", "hours"]].sum()
        sums.insert(0, "accounts", grouped.size())
        sums.insert(3, "net", sums["value"] - sums["cost"])
        each = (sums["cost"] / sums["accounts"]).drop("none", errors="ignore")
        order = each.sort_index().sort_values(ascending=False, kind="stable").index
        return sums.loc[[*order, *(["none"] if "none" in sums.index else [])]].reset_index()

    @property
    def ranked(self) -> pd.DataFrame:
        """Accounts in a tier, by net return."""
        taken = self.table[self.table["tier"] != "none"]
        net = (taken["value"] - taken["cost"]).to_numpy()
        return taken.iloc[np.argsort(-net, kind="stable")].reset_index(drop=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the net return and the number of accounts of each tier, and what binds."""
        from clv.abm.pictures import tier_bars

        return tier_bars(self, ax)


def allocate_tiers(
    options: pd.DataFrame,
    budget: float | None = None,
    hours: Hours | None = None,
    counts: Counts | None = None,
    *,
    time_limit: float = 60.0,
    currency: str = "",
) -> Allocation:
    """Choose at most one tier for each account so that Σ (value − cost) is largest within the limits.

    The problem is the multiple-choice knapsack with several limits (Kellerer, Pferschy & Pisinger 2004, chapter 11).
    It is solved exactly: options that a best plan can do without are removed, accounts with equal options counted
    together, and branch and bound (HiGHS) searches what the prices of the linear relaxation leave open; see
    `clv.abm.solver`. The plan does not hang on the order of the rows or on the currency.

    Parameters
    ----------
    options : pandas.DataFrame
        Columns account_id, tier, value, cost and, where they are limited, hours or hours_<role>; one row an account
        and tier that it could get. An account can always be left out, which needs no row.
    budget : float, optional
        Most money that may be spent.
    hours : float or mapping, optional
        Most hours that may be used: of the column hours, or by role of the columns hours_<role>.
    counts : mapping of str to (int or None, int or None), optional
        Tier -> fewest and most accounts.
    time_limit : float
        Seconds after which the best plan found so far is returned, with its gap.
    currency : str
        Written after money in the text.

    Returns
    -------
    Allocation
        Of accounts with equal options the lower id gets the tier with the larger return. Where different plans are
        equally good, the one that the solver meets first in an order made of the numbers alone is returned: the
        same each time.

    Raises
    ------
    DataError
        The options are empty, or a column or row is at fault.
    SettingsError
        A limit is impossible in itself.
    InfeasibleError
        No plan satisfies the limits; names those that clash.
    """
    if not np.isfinite(time_limit) or time_limit <= 0:
        raise SettingsError(f"time_limit is {time_limit!r}.", mend="Give seconds, more than 0.")
    end = time.monotonic() + time_limit
    clean = check_options(options)
    limits = read_limits(budget, hours, counts, tiers=sorted(set(clean["tier"])), columns=limitable(options))
    program = build(clean, limits)
    solution = solve(program, time_limit=time_limit)
    if solution.status == "infeasible":
        from clv.abm.clash import explain

        raise explain(program, limits, time_limit=time_limit)

    bound, prices, tightened = solution.bound * program.gain_unit, solution.prices, program
    for _ in range(_REPAIRS):
        plan = _plan(clean, program, solution)
        checked = verify(plan, clean, budget=budget, hours=hours, counts=counts)
        if not checked.faults:
            break
        # Rounding the solver's answer overran a limit: aim lower; the bound of the first answer stays valid.
        tightened = _tighten(tightened, plan, limits)
        solution = solve(tightened, time_limit=max(0.1, end - time.monotonic()))
    else:
        raise ClvError(f"The solver's plan breaks a limit: {'; '.join(checked.faults)}.", mend="Please report this.")
    objective = checked.objective
    bound = max(bound, objective)
    gap = (bound - objective) / max(1.0, abs(objective))
    status: Literal["optimal", "time limit"] = "optimal" if solution.status == "optimal" else "time limit"
    frame = _limit_table(plan, limits, program, prices)
    draft = Allocation(plan[_COLUMNS], "", objective, bound, gap, status, frame, currency)
    from clv.abm.wording import allocation_text

    assumed = options.attrs.get("clv", {}).get("uplift") == "assumed"
    return replace(draft, text=allocation_text(draft, uplift_assumed=assumed))


_COLUMNS = ["account_id", "tier", "value", "cost", "hours"]


def _plan(options: pd.DataFrame, program: Program, solution: Solution) -> pd.DataFrame:
    """Write the solver's counts as a table of accounts, with what each option brings and uses."""
    if solution.count is None:
        raise InfeasibleError(
            "No plan was found in the time allowed; that there is none has not been proven.",
            mend="Allow more time, or lower the fewest counts.",
        )
    names = np.array([*program.tiers, "none"], dtype=object)
    chosen = pd.DataFrame({"account_id": program.accounts, "tier": names[program.assign(solution.count)]})
    plan = chosen.astype(object).merge(options, on=["account_id", "tier"], how="left")
    numbers = [name for name in plan.columns if name not in ("account_id", "tier")]
    plan[numbers] = plan[numbers].astype(float).fillna(0.0)
    return plan.astype({"account_id": str, "tier": str})


def _tighten(program: Program, plan: pd.DataFrame, limits: Limits) -> Program:
    """Lower the resources that a plan overran by twice the excess."""
    limit = program.limit.copy()
    for row, (column, most) in enumerate(limits.resources.items()):
        excess = float(plan[column].sum()) - most
        if excess > 0:
            limit[row] -= 2 * excess / program.row_unit[row]
    return replace(program, limit=limit)


def _limit_table(plan: pd.DataFrame, limits: Limits, program: Program, prices: np.ndarray) -> pd.DataFrame:
    """Set what is used of each limit beside what is allowed and what one unit more would bring."""
    held = plan["tier"].value_counts()
    used = [float(plan[column].sum()) for column in limits.resources]
    used += [float(held.get(tier, 0)) for tier in (*limits.least, *limits.most)]
    names = [*map(resource_name, limits.resources), *limits.names[len(limits.resources) :]]
    money = prices * program.gain_unit / program.row_unit + 0.0
    frame = pd.DataFrame({"limit": names, "used": used, "allowed": limits.amounts, "price": money})
    # In scaled units, where the largest gain is 1,000: below this it is the solver's zero.
    frame["binds"] = prices > 1e-7
    return frame
