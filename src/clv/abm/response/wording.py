"""A plan of spends in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.wording import accounts, listed, money, money_range, price

if TYPE_CHECKING:
    from clv.abm.response.spending import SpendPlan


def spend_text(plan: SpendPlan) -> str:
    """Say what is spent in which tier, what it brings, how near it is to the best, and how flat the best is."""
    cur, table = plan.currency, plan.table
    taken = table[table["tier"] != "none"]
    if taken.empty:
        return f"No account of {len(table):,} is worth spending on within the limits."
    parts = []
    for tier, some in sorted(taken.groupby("tier"), key=lambda pair: -pair[1]["spend"].mean()):
        low, high = some["spend"].min(), some["spend"].max()
        each = money(low, cur) if np.isclose(low, high) else money_range(low, high, cur)
        parts.append(f"{accounts(len(some))} in {tier} with {each} each")
    said = (
        f"{money(taken['spend'].sum(), cur)} are spent on {accounts(len(taken))} of {len(table):,}: {listed(parts)}."
        f" That is expected to bring {money(taken['value'].sum(), cur)}: {money(plan.objective, cur)} net."
    )
    if np.isfinite(plan.bound):
        said += f" No plan and no other spends bring more than {money(plan.bound - plan.objective, cur)} above this."
    else:
        said += " How near this is to the best spends could not be proven under these limits."
    curved = taken[taken["tier"].isin(list(plan.curves)) & (taken["lowest"] < taken["highest"])]
    if len(curved):
        down = float(np.median(curved["lowest"] / curved["spend"])) - 1
        up = float(np.median(curved["highest"] / curved["spend"])) - 1
        said += (
            f"\n\nThe best is flat: the spend on the middle account could be {abs(down):.0%} less or {up:.0%} more,"
            " and it would return at least 99% of its best."
        )
    for tier, curve in plan.curves.items():
        if curve.threshold > 0 and (taken["tier"] == tier).any():
            times = f"{price(curve.threshold)} times the cost of the tier"
            least = times if plan.problem.unit == "cost" else money(curve.threshold, cur)
            said += f" In {tier} the response starts slowly: a spend below {least} is better put on fewer accounts."
    budget = plan.limits[plan.limits["limit"] == "budget"]
    if len(budget) and bool(budget["binds"].iloc[0]):
        said += f" The next unit of budget would bring {price(float(budget['price'].iloc[0]))} net."
    return said
