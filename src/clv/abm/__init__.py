"""Account-based marketing: whom we choose, and in which tier."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clv.abm.allocation.compare import Comparison, compare_allocations
    from clv.abm.allocation.frontier import Frontier, tier_frontier
    from clv.abm.allocation.limits import (
        Clusters,
        GroupLimit,
        Holdout,
        KeepLast,
        MarginCap,
        MustHave,
        MustNot,
        ReservedHours,
        TierShare,
    )
    from clv.abm.allocation.lot import RandomisedPlan, allocate_with_holdout
    from clv.abm.allocation.verify import Check, verify
    from clv.abm.options import tier_options
    from clv.abm.response.adbudg import Adbudg, adbudg_from_judgement
    from clv.abm.response.fit import fit_adbudg
    from clv.abm.response.spending import allocate_spend
    from clv.abm.robust.curse import optimisers_curse
    from clv.abm.robust.draws import option_draws
    from clv.abm.robust.sensitivity import tier_sensitivity
    from clv.abm.robust.uncertainty import allocate_under_uncertainty
    from clv.abm.selecting.backtest import selection_backtest
    from clv.abm.selecting.groups import possible_duplicates, roll_up
    from clv.abm.selecting.incremental import incremental_value
    from clv.abm.selecting.learning import learning_value
    from clv.abm.selecting.once_won import value_prospects
    from clv.abm.selecting.shrinkage import shrink_estimates
    from clv.abm.selecting.smaa import stochastic_acceptability
    from clv.abm.selecting.study import study_incremental
    from clv.abm.selection import Selection, select_accounts
    from clv.abm.tiers import Allocation, allocate_tiers

_EXPORTS = {
    "Adbudg": "clv.abm.response.adbudg",
    "Allocation": "clv.abm.tiers",
    "Check": "clv.abm.allocation.verify",
    "Clusters": "clv.abm.allocation.limits",
    "Comparison": "clv.abm.allocation.compare",
    "Frontier": "clv.abm.allocation.frontier",
    "GroupLimit": "clv.abm.allocation.limits",
    "Holdout": "clv.abm.allocation.limits",
    "KeepLast": "clv.abm.allocation.limits",
    "MarginCap": "clv.abm.allocation.limits",
    "MustHave": "clv.abm.allocation.limits",
    "MustNot": "clv.abm.allocation.limits",
    "RandomisedPlan": "clv.abm.allocation.lot",
    "ReservedHours": "clv.abm.allocation.limits",
    "Selection": "clv.abm.selection",
    "TierShare": "clv.abm.allocation.limits",
    "adbudg_from_judgement": "clv.abm.response.adbudg",
    "allocate_spend": "clv.abm.response.spending",
    "allocate_tiers": "clv.abm.tiers",
    "allocate_under_uncertainty": "clv.abm.robust.uncertainty",
    "allocate_with_holdout": "clv.abm.allocation.lot",
    "compare_allocations": "clv.abm.allocation.compare",
    "fit_adbudg": "clv.abm.response.fit",
    "incremental_value": "clv.abm.selecting.incremental",
    "learning_value": "clv.abm.selecting.learning",
    "optimisers_curse": "clv.abm.robust.curse",
    "option_draws": "clv.abm.robust.draws",
    "possible_duplicates": "clv.abm.selecting.groups",
    "roll_up": "clv.abm.selecting.groups",
    "select_accounts": "clv.abm.selection",
    "selection_backtest": "clv.abm.selecting.backtest",
    "shrink_estimates": "clv.abm.selecting.shrinkage",
    "stochastic_acceptability": "clv.abm.selecting.smaa",
    "study_incremental": "clv.abm.selecting.study",
    "tier_frontier": "clv.abm.allocation.frontier",
    "tier_options": "clv.abm.options",
    "tier_sensitivity": "clv.abm.robust.sensitivity",
    "value_prospects": "clv.abm.selecting.once_won",
    "verify": "clv.abm.allocation.verify",
}

__all__ = [
    "Adbudg",
    "Allocation",
    "Check",
    "Clusters",
    "Comparison",
    "Frontier",
    "GroupLimit",
    "Holdout",
    "KeepLast",
    "MarginCap",
    "MustHave",
    "MustNot",
    "RandomisedPlan",
    "ReservedHours",
    "Selection",
    "TierShare",
    "adbudg_from_judgement",
    "allocate_spend",
    "allocate_tiers",
    "allocate_under_uncertainty",
    "allocate_with_holdout",
    "compare_allocations",
    "fit_adbudg",
    "incremental_value",
    "learning_value",
    "optimisers_curse",
    "option_draws",
    "possible_duplicates",
    "roll_up",
    "select_accounts",
    "selection_backtest",
    "shrink_estimates",
    "stochastic_acceptability",
    "study_incremental",
    "tier_frontier",
    "tier_options",
    "tier_sensitivity",
    "value_prospects",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)
