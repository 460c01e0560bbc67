"""Return against budget: what every sum of money would bring, and what the next unit of it does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.wording import money, price
from clv.errors import InfeasibleError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.tiers import Allocation


@dataclass(frozen=True, eq=False)
class Frontier(Result):
    """The efficient frontier of return against budget.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a budget: budget, objective (of the best plan found, net), bound, gap, spent, accounts (in a tier),
        marginal (net money that the next unit of budget brings, in the relaxation). Budgets for which there is no plan
        are left out.
    budget : float or None
        Of the plan that the frontier was made for.
    currency : str
        Written after money.
    """

    budget: float | None
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw return against budget, with the marginal return beside the points."""
        from clv.abm.pictures import frontier_line

        return frontier_line(self, ax)


def tier_frontier(
    plan: Allocation, budgets: Sequence[float] | None = None, *, gap: float | None = None, time_limit: float = 60.0
) -> Frontier:
    """Solve a plan's problem again for other budgets, all other limits as they are.

    Parameters
    ----------
    plan : Allocation
    budgets : sequence of float, optional
        By default eleven: from nothing to twice the plan's budget, or to what the plan spends where it has no budget.
    gap : float, optional
        As in `allocate_tiers`; a ten-thousandth by default.
    time_limit : float
        Seconds for all of them.

    Raises
    ------
    SettingsError
        A budget is negative or no number.
    InfeasibleError
        There is no plan for any of them.
    """
    from clv.abm.allocation.plan import make_plan

    work = plan.work
    own = work.declared.resources.get("cost")
    spent = float(plan.table["cost"].sum() + plan.clusters["cost"].sum())
    if budgets is None:
        top = 2 * own if own else spent
        if not top:
            raise SettingsError("the plan spends nothing, so there are no budgets to try.", mend="Give budgets.")
        budgets = [top * k / 10 for k in range(11)]
    if any(not np.isfinite(b) or b < 0 for b in budgets):
        raise SettingsError(f"budgets are {list(budgets)!r}.", mend="Give numbers of 0 or more.")
    end = time.monotonic() + time_limit
    rows = []
    asked = sorted({float(b) for b in budgets})
    lost: InfeasibleError | None = None
    floor = -np.inf
    for left, budget in zip(range(len(asked), 0, -1), asked, strict=True):
        declared = replace(work.declared, resources={**work.declared.resources, "cost": budget})
        until = time.monotonic() + max(0.5, (end - time.monotonic()) / left)
        try:
            made = make_plan(work.book, declared, gap=1e-4 if gap is None else gap, end=until)
        except InfeasibleError as why:
            lost = why
            continue
        # A plan for a smaller budget is one for a larger budget as well.
        objective = floor = max(floor, made.objective)
        bound = max(made.bound, objective)
        marginal = made.limits.set_index("limit")["price"]["budget"]
        cost = float(made.table["cost"].sum() + made.clusters["cost"].sum())
        share = (bound - objective) / max(1.0, abs(objective))
        rows.append((budget, objective, bound, share, cost, int((made.table["tier"] != "none").sum()), marginal))
    if not rows and lost is not None:
        raise lost
    columns = ["budget", "objective", "bound", "gap", "spent", "accounts", "marginal"]
    table = pd.DataFrame(rows, columns=columns)
    return Frontier(table, _text(table, own, plan.currency), own, plan.currency)


def _text(table: pd.DataFrame, own: float | None, currency: str) -> str:
    first, last = table.iloc[0], table.iloc[-1]
    said = (
        f"From {money(first['budget'], currency)} to {money(last['budget'], currency)} of budget the net return goes"
        f" from {money(first['objective'], currency)} to {money(last['objective'], currency)}."
    )
    at = table if own is None else table.iloc[[int((table["budget"] - own).abs().argmin())]]
    here = at.iloc[-1]
    said += f" At {money(here['budget'], currency)} the next unit of money brings {price(here['marginal'])} net."
    flat = table[table["marginal"] <= 1e-9]
    if len(flat):
        said += f" From {money(flat['budget'].iloc[0], currency)} on more money brings nothing."
    return said
