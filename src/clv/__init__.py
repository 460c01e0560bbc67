"""Customer lifetime value, churn stages and account-based-marketing decisions.

Public names are resolved when they are first used, so that ``import clv`` (and ``clv --help``) loads none of the heavy
libraries behind them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "BetaGeoBetaBinomModel": "clv.value.beta_geo_beta_binom",
    "BetaGeoCNBDModel": "clv.value.beta_geo_cnbd",
    "BetaGeoModel": "clv.value.beta_geo",
    "BoostedModel": "clv.value.boosted",
    "DependentSpendModel": "clv.value.dependent_spend",
    "GammaGammaModel": "clv.value.gamma_gamma",
    "LastYearRule": "clv.value.validation.rules",
    "ModifiedBetaGeoCNBDModel": "clv.value.modified_beta_geo_cnbd",
    "ModifiedBetaGeoModel": "clv.value.modified_beta_geo",
    "ParetoNBDModel": "clv.value.pareto_nbd",
    "RecencyRule": "clv.value.validation.rules",
    "ShiftedBetaGeoModel": "clv.value.shifted_beta_geo",
    "acquisition_status": "clv.churn.acquisition",
    "allocate_tiers": "clv.abm.tiers",
    "backtest": "clv.value.validation.backtest",
    "churn_stages": "clv.churn.stages",
    "cohort_relations": "clv.value.relations",
    "contract_relations": "clv.value.relations",
    "decompose_growth": "clv.value.growth",
    "independence_test": "clv.value.validation.independence",
    "information_criteria": "clv.value.compare",
    "lifecycle": "clv.churn.lifecycle",
    "lifetime_value": "clv.value.lifetime",
    "likelihood_ratio_test": "clv.value.compare",
    "list_samples": "clv.data.samples",
    "load_model": "clv.value.persist",
    "load_study": "clv.data.study",
    "markov_value": "clv.churn.markov_value",
    "no_history": "clv.value.prospects",
    "open_run": "clv.report.pipeline",
    "purchase_forecast": "clv.value.forecast",
    "read_accounts": "clv.data.readers",
    "read_contacts": "clv.data.readers",
    "read_contracts": "clv.data.readers",
    "read_opportunities": "clv.data.readers",
    "read_programmes": "clv.data.readers",
    "read_touches": "clv.data.readers",
    "read_transactions": "clv.data.readers",
    "read_wallets": "clv.data.readers",
    "rfm_scores": "clv.churn.rfm",
    "seasonality": "clv.value.validation.seasonality",
    "select_accounts": "clv.abm.selection",
    "stage_history": "clv.churn.history",
    "stage_margins": "clv.churn.stage_margins",
    "summarise": "clv.data.summary",
    "tier_options": "clv.abm.options",
    "transition_matrix": "clv.churn.transitions",
    "value_drivers": "clv.value.growth",
}

if TYPE_CHECKING:
    from clv.abm.options import tier_options
    from clv.abm.selection import select_accounts
    from clv.abm.tiers import allocate_tiers
    from clv.churn.acquisition import acquisition_status
    from clv.churn.history import stage_history
    from clv.churn.lifecycle import lifecycle
    from clv.churn.markov_value import markov_value
    from clv.churn.rfm import rfm_scores
    from clv.churn.stage_margins import stage_margins
    from clv.churn.stages import churn_stages
    from clv.churn.transitions import transition_matrix
    from clv.data.readers import (
        read_accounts,
        read_contacts,
        read_contracts,
        read_opportunities,
        read_programmes,
        read_touches,
        read_transactions,
        read_wallets,
    )
    from clv.data.samples import list_samples
    from clv.data.study import load_study
    from clv.data.summary import summarise
    from clv.report.pipeline import open_run
    from clv.value.beta_geo import BetaGeoModel
    from clv.value.beta_geo_beta_binom import BetaGeoBetaBinomModel
    from clv.value.beta_geo_cnbd import BetaGeoCNBDModel
    from clv.value.boosted import BoostedModel
    from clv.value.compare import information_criteria, likelihood_ratio_test
    from clv.value.dependent_spend import DependentSpendModel
    from clv.value.forecast import purchase_forecast
    from clv.value.gamma_gamma import GammaGammaModel
    from clv.value.growth import decompose_growth, value_drivers
    from clv.value.lifetime import lifetime_value
    from clv.value.modified_beta_geo import ModifiedBetaGeoModel
    from clv.value.modified_beta_geo_cnbd import ModifiedBetaGeoCNBDModel
    from clv.value.pareto_nbd import ParetoNBDModel
    from clv.value.persist import load_model
    from clv.value.prospects import no_history
    from clv.value.relations import cohort_relations, contract_relations
    from clv.value.shifted_beta_geo import ShiftedBetaGeoModel
    from clv.value.validation.backtest import backtest
    from clv.value.validation.independence import independence_test
    from clv.value.validation.rules import LastYearRule, RecencyRule
    from clv.value.validation.seasonality import seasonality

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'clv' has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
