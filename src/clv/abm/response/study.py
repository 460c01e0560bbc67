"""How much to spend on each account of a plan, where the study says what more or less money would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from clv.abm.allocation.limits import Clusters, Holdout, KeepLast, Limit, MustHave, MustNot, TierShare
from clv.abm.response.adbudg import Adbudg, adbudg_from_judgement
from clv.result import Missing

if TYPE_CHECKING:
    from clv.abm.response.spending import SpendPlan
    from clv.abm.tiers import Allocation
    from clv.data.settings_tiers import Tier

#: limits that hold for tiers as a whole and not for levels of spend.
_OF_TIERS = (Clusters, KeepLast, TierShare)


def stated_curves(tiers: Sequence[Tier]) -> dict[str, Adbudg]:
    """Make the curves of the tiers that state one: in multiples of the tier's cost and of what it adds at that."""
    return {
        tier.name: adbudg_from_judgement(
            without=tier.curve.without, present=1.0, half_more=tier.curve.half_more, saturation=tier.curve.saturation,
            spend=1.0,
        )
        for tier in tiers
        if tier.curve is not None
    }  # fmt: skip


def study_spend(
    tiers: Sequence[Tier], plan: Allocation, options: pd.DataFrame, *, accounts: pd.DataFrame | None = None,
    time_limit: float = 60.0,
) -> SpendPlan | Missing:  # fmt: skip
    """Choose spends under the limits of a plan.

    Parameters
    ----------
    tiers : sequence of Tier
        Of the study.
    plan : Allocation
        Its budget, hours, counts and other limits hold for spends too.
    options, accounts
        That the plan was made from.
    time_limit : float

    Returns
    -------
    SpendPlan or Missing
        Tiers may change along with spends; where a limit holds for tiers as a whole (clusters, shares of new accounts,
        kept tiers), tiers are those of the plan, and only spends are chosen. `Missing` where no tier has a curve.
    """
    from clv.abm.response.spending import allocate_spend

    curves = stated_curves(tiers)
    if not curves:
        return Missing.because(
            "The study does not say what more or less money in a tier would do, so each tier costs what it costs;"
            " four judgements a tier ('curve' in study.yml) would let the plan say how much to spend."
        )
    declared = plan.work.declared
    limits: list[Limit] = [limit for limit in declared.declared if not isinstance(limit, _OF_TIERS)]
    counts = {tier: (declared.least.get(tier), declared.most.get(tier)) for tier in {*declared.least, *declared.most}}
    resources = dict(declared.resources)
    budget = resources.pop("cost", None)
    hours = {column.removeprefix("hours_") if column != "hours" else "": most for column, most in resources.items()}
    fixed = len(limits) < len(declared.declared)
    if fixed:
        # Each account keeps its tier, or none; whom the lot leaves out is among these.
        tier_of = plan.table.set_index("account_id")["tier"]
        named = {str(account): str(tier) for account, tier in tier_of[tier_of != "none"].items()}
        if not set(named.values()) & set(curves):
            return Missing.because("No account of the plan is in a tier for which the study states a response curve.")
        limits = [limit for limit in limits if not isinstance(limit, MustHave | MustNot | Holdout)]
        limits += [MustHave(named), MustNot([str(account) for account in tier_of.index[tier_of == "none"]])]
        budget = None if budget is None else budget - float(plan.clusters["cost"].sum())
        counts = {}
    spends = {tier.name: tier.curve.spend for tier in tiers if tier.curve is not None}
    found = allocate_spend(
        options, curves, budget, hours or None, counts, limits=limits, accounts=accounts, spends=spends,
        time_limit=time_limit, currency=plan.currency,
    )  # fmt: skip
    said = f"{found.text}\n\nWhat more or less money does is the study's judgement, not a measurement."
    if fixed:
        said += " Tiers are those of the plan, since some limits hold for tiers as a whole; only spends were chosen."
    return replace(found, text=said)
