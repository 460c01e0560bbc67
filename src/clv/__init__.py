"""Customer lifetime value, churn stages and account-based-marketing decisions.

Public names are resolved when they are first used, so that ``import clv`` (and ``clv --help``) loads none of the heavy
libraries behind them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Adbudg": "clv.abm.response.adbudg",
    "BetaGeoBetaBinomModel": "clv.value.beta_geo_beta_binom",
    "BetaGeoCNBDModel": "clv.value.beta_geo_cnbd",
    "BetaGeoModel": "clv.value.beta_geo",
    "BoostedModel": "clv.value.boosted",
    "DependentSpendModel": "clv.value.dependent_spend",
    "GammaGammaModel": "clv.value.gamma_gamma",
    "LastYearRule": "clv.value.validation.rules",
    "Measurement": "clv.abm.loop.evidence",
    "ModifiedBetaGeoCNBDModel": "clv.value.modified_beta_geo_cnbd",
    "ModifiedBetaGeoModel": "clv.value.modified_beta_geo",
    "ParetoNBDModel": "clv.value.pareto_nbd",
    "RecencyRule": "clv.value.validation.rules",
    "ShiftedBetaGeoModel": "clv.value.shifted_beta_geo",
    "abc_xyz": "clv.abm.classes.abc_xyz",
    "account_clusters": "clv.abm.clusters.account_clusters",
    "account_grade": "clv.abm.classes.grades",
    "account_margins": "clv.value.margins",
    "acquisition_status": "clv.churn.acquisition",
    "adbudg_from_judgement": "clv.abm.response.adbudg",
    "against_the_lot": "clv.abm.lot",
    "all_stages": "clv.churn.contracts.all_stages",
    "allocate_spend": "clv.abm.response.spending",
    "allocate_tiers": "clv.abm.tiers",
    "allocate_under_uncertainty": "clv.abm.robust.uncertainty",
    "allocate_with_holdout": "clv.abm.allocation.lot",
    "analyse_experiment": "clv.abm.experiments.analysis",
    "assign_plays": "clv.churn.plays.assign",
    "backtest": "clv.value.validation.backtest",
    "bad_accounts": "clv.abm.classes.bad_accounts",
    "book_value": "clv.value.book_value",
    "channel_returns": "clv.abm.channels",
    "churn_stages": "clv.churn.stages",
    "claims_register": "clv.abm.claims",
    "cohort_relations": "clv.value.relations",
    "compare_allocations": "clv.abm.allocation.compare",
    "compare_roi": "clv.abm.forecast.compare",
    "concentration": "clv.abm.classes.concentration",
    "contract_payments": "clv.data.contract_payments",
    "contract_relations": "clv.value.relations",
    "contract_stages": "clv.churn.contracts.stages",
    "contract_value": "clv.value.contract_value",
    "deal_funnel": "clv.abm.journey",
    "decompose_growth": "clv.value.growth",
    "design_experiment": "clv.abm.experiments.design",
    "difference_in_differences": "clv.abm.experiments.did",
    "discount_effect": "clv.churn.loyalty.discount_effect",
    "doubly_robust": "clv.abm.experiments.doubly_robust",
    "experiment_looks": "clv.abm.looks",
    "experiment_outcomes": "clv.abm.experiments.outcomes",
    "fit_adbudg": "clv.abm.response.fit",
    "forecast_roi": "clv.abm.forecast.roi",
    "gate_of_three": "clv.abm.classes.leads",
    "ideal_customer_profile": "clv.abm.profile.ideal_customer",
    "incremental_roi": "clv.abm.experiments.incremental_roi",
    "incremental_value": "clv.abm.selecting.incremental",
    "independence_test": "clv.value.validation.independence",
    "information_criteria": "clv.value.compare",
    "lead_status": "clv.abm.classes.leads",
    "learning_value": "clv.abm.selecting.learning",
    "lifecycle": "clv.churn.lifecycle",
    "lifetime_value": "clv.value.lifetime",
    "likelihood_ratio_test": "clv.value.compare",
    "list_samples": "clv.data.samples",
    "load_model": "clv.value.persist",
    "load_response": "clv.abm.loop.store",
    "load_study": "clv.data.study",
    "lookalikes": "clv.abm.clusters.lookalikes",
    "loss_reasons": "clv.churn.contracts.reasons",
    "loyalty": "clv.churn.loyalty.loyalty",
    "manager_effects": "clv.abm.managers",
    "markov_value": "clv.churn.markov_value",
    "matched_comparison": "clv.abm.experiments.matching",
    "measure_tiers": "clv.abm.loop.effects",
    "measured_uplift": "clv.churn.plays.measured",
    "monitor_experiment": "clv.abm.experiments.sequential",
    "no_history": "clv.value.prospects",
    "open_run": "clv.report.pipeline",
    "optimisers_curse": "clv.abm.robust.curse",
    "option_draws": "clv.abm.robust.draws",
    "possible_duplicates": "clv.abm.selecting.groups",
    "programme_verdict": "clv.abm.verdict",
    "purchase_forecast": "clv.value.forecast",
    "questions_for_teams": "clv.abm.selecting.questions",
    "read_accounts": "clv.data.readers",
    "read_assessments": "clv.data.readers",
    "read_contacts": "clv.data.readers",
    "read_contracts": "clv.data.readers",
    "read_costs": "clv.data.readers",
    "read_deal_stages": "clv.data.readers",
    "read_managers": "clv.data.readers",
    "read_offers": "clv.data.readers",
    "read_opportunities": "clv.data.readers",
    "read_programmes": "clv.data.readers",
    "read_team_tiers": "clv.data.readers",
    "read_touches": "clv.data.readers",
    "read_transactions": "clv.data.readers",
    "read_wallets": "clv.data.readers",
    "reconcile_costs": "clv.abm.spending",
    "reconcile_spend": "clv.data.spend",
    "relationship_labels": "clv.abm.classes.relationship",
    "renewal_calibration": "clv.churn.contracts.calibration",
    "renewal_hazard": "clv.churn.contracts.hazard",
    "response_prior": "clv.abm.loop.response",
    "rfm_scores": "clv.churn.rfm",
    "rhythm_change": "clv.churn.rhythm",
    "roll_up": "clv.abm.selecting.groups",
    "save_response": "clv.abm.loop.store",
    "seasonality": "clv.value.validation.seasonality",
    "select_accounts": "clv.abm.selection",
    "selection_backtest": "clv.abm.selecting.backtest",
    "selection_changes": "clv.abm.selecting.changes",
    "selection_checks": "clv.abm.experiments.selection_checks",
    "selection_list": "clv.abm.selecting.listing",
    "selection_luck": "clv.abm.selecting.luck",
    "show_claims": "clv.abm.claims",
    "shrink_estimates": "clv.abm.selecting.shrinkage",
    "simulate_loop": "clv.abm.loop.simulation",
    "stage_calibration": "clv.churn.calibration",
    "stage_flows": "clv.churn.flows",
    "stage_history": "clv.churn.history",
    "stage_log": "clv.abm.stage_log",
    "stage_margins": "clv.churn.stage_margins",
    "stage_stability": "clv.churn.stability",
    "stage_velocity": "clv.abm.velocity",
    "stalled_deals": "clv.abm.classes.stalled",
    "stochastic_acceptability": "clv.abm.selecting.smaa",
    "strategic_criteria": "clv.abm.selecting.criteria",
    "study_incremental": "clv.abm.selecting.study",
    "study_loop": "clv.abm.loop.study",
    "suitability": "clv.abm.suitability",
    "summarise": "clv.data.summary",
    "summarise_contracts": "clv.value.contract_summary",
    "synthetic_difference_in_differences": "clv.abm.experiments.synthetic_did",
    "tier_frontier": "clv.abm.allocation.frontier",
    "tier_measurements": "clv.abm.loop.evidence",
    "tier_options": "clv.abm.options",
    "tier_sensitivity": "clv.abm.robust.sensitivity",
    "transition_matrix": "clv.churn.transitions",
    "unrandomised_evidence": "clv.abm.unrandomised",
    "update_response": "clv.abm.loop.response",
    "uplift": "clv.abm.experiments.uplift",
    "value_drivers": "clv.value.growth",
    "value_prospects": "clv.abm.selecting.once_won",
    "wallet_potential": "clv.abm.wallet.potential",
    "win_back": "clv.churn.returning.win_back",
    "win_propensity": "clv.abm.propensity.win_propensity",
    "without_programme": "clv.value.without_programme",
    "won_accounts": "clv.abm.won",
}

if TYPE_CHECKING:
    from clv.abm.allocation.compare import compare_allocations
    from clv.abm.allocation.frontier import tier_frontier
    from clv.abm.allocation.lot import allocate_with_holdout
    from clv.abm.channels import channel_returns
    from clv.abm.claims import claims_register, show_claims
    from clv.abm.classes.abc_xyz import abc_xyz
    from clv.abm.classes.bad_accounts import bad_accounts
    from clv.abm.classes.concentration import concentration
    from clv.abm.classes.grades import account_grade
    from clv.abm.classes.leads import gate_of_three, lead_status
    from clv.abm.classes.relationship import relationship_labels
    from clv.abm.classes.stalled import stalled_deals
    from clv.abm.clusters.account_clusters import account_clusters
    from clv.abm.clusters.lookalikes import lookalikes
    from clv.abm.experiments.analysis import analyse_experiment
    from clv.abm.experiments.design import design_experiment
    from clv.abm.experiments.did import difference_in_differences
    from clv.abm.experiments.doubly_robust import doubly_robust
    from clv.abm.experiments.incremental_roi import incremental_roi
    from clv.abm.experiments.matching import matched_comparison
    from clv.abm.experiments.outcomes import experiment_outcomes
    from clv.abm.experiments.selection_checks import selection_checks
    from clv.abm.experiments.sequential import monitor_experiment
    from clv.abm.experiments.synthetic_did import synthetic_difference_in_differences
    from clv.abm.experiments.uplift import uplift
    from clv.abm.forecast.compare import compare_roi
    from clv.abm.forecast.roi import forecast_roi
    from clv.abm.journey import deal_funnel
    from clv.abm.looks import experiment_looks
    from clv.abm.loop.effects import measure_tiers
    from clv.abm.loop.evidence import Measurement, tier_measurements
    from clv.abm.loop.response import response_prior, update_response
    from clv.abm.loop.simulation import simulate_loop
    from clv.abm.loop.store import load_response, save_response
    from clv.abm.loop.study import study_loop
    from clv.abm.lot import against_the_lot
    from clv.abm.managers import manager_effects
    from clv.abm.options import tier_options
    from clv.abm.profile.ideal_customer import ideal_customer_profile
    from clv.abm.propensity.win_propensity import win_propensity
    from clv.abm.response.adbudg import Adbudg, adbudg_from_judgement
    from clv.abm.response.fit import fit_adbudg
    from clv.abm.response.spending import allocate_spend
    from clv.abm.robust.curse import optimisers_curse
    from clv.abm.robust.draws import option_draws
    from clv.abm.robust.sensitivity import tier_sensitivity
    from clv.abm.robust.uncertainty import allocate_under_uncertainty
    from clv.abm.selecting.backtest import selection_backtest
    from clv.abm.selecting.changes import selection_changes
    from clv.abm.selecting.criteria import strategic_criteria
    from clv.abm.selecting.groups import possible_duplicates, roll_up
    from clv.abm.selecting.incremental import incremental_value
    from clv.abm.selecting.learning import learning_value
    from clv.abm.selecting.listing import selection_list
    from clv.abm.selecting.luck import selection_luck
    from clv.abm.selecting.once_won import value_prospects
    from clv.abm.selecting.questions import questions_for_teams
    from clv.abm.selecting.shrinkage import shrink_estimates
    from clv.abm.selecting.smaa import stochastic_acceptability
    from clv.abm.selecting.study import study_incremental
    from clv.abm.selection import select_accounts
    from clv.abm.spending import reconcile_costs
    from clv.abm.stage_log import stage_log
    from clv.abm.suitability import suitability
    from clv.abm.tiers import allocate_tiers
    from clv.abm.unrandomised import unrandomised_evidence
    from clv.abm.velocity import stage_velocity
    from clv.abm.verdict import programme_verdict
    from clv.abm.wallet.potential import wallet_potential
    from clv.abm.won import won_accounts
    from clv.churn.acquisition import acquisition_status
    from clv.churn.calibration import stage_calibration
    from clv.churn.contracts.all_stages import all_stages
    from clv.churn.contracts.calibration import renewal_calibration
    from clv.churn.contracts.hazard import renewal_hazard
    from clv.churn.contracts.reasons import loss_reasons
    from clv.churn.contracts.stages import contract_stages
    from clv.churn.flows import stage_flows
    from clv.churn.history import stage_history
    from clv.churn.lifecycle import lifecycle
    from clv.churn.loyalty.discount_effect import discount_effect
    from clv.churn.loyalty.loyalty import loyalty
    from clv.churn.markov_value import markov_value
    from clv.churn.plays.assign import assign_plays
    from clv.churn.plays.measured import measured_uplift
    from clv.churn.returning.win_back import win_back
    from clv.churn.rfm import rfm_scores
    from clv.churn.rhythm import rhythm_change
    from clv.churn.stability import stage_stability
    from clv.churn.stage_margins import stage_margins
    from clv.churn.stages import churn_stages
    from clv.churn.transitions import transition_matrix
    from clv.data.contract_payments import contract_payments
    from clv.data.readers import (
        read_accounts,
        read_assessments,
        read_contacts,
        read_contracts,
        read_costs,
        read_deal_stages,
        read_managers,
        read_offers,
        read_opportunities,
        read_programmes,
        read_team_tiers,
        read_touches,
        read_transactions,
        read_wallets,
    )
    from clv.data.samples import list_samples
    from clv.data.spend import reconcile_spend
    from clv.data.study import load_study
    from clv.data.summary import summarise
    from clv.report.pipeline import open_run
    from clv.value.beta_geo import BetaGeoModel
    from clv.value.beta_geo_beta_binom import BetaGeoBetaBinomModel
    from clv.value.beta_geo_cnbd import BetaGeoCNBDModel
    from clv.value.book_value import book_value
    from clv.value.boosted import BoostedModel
    from clv.value.compare import information_criteria, likelihood_ratio_test
    from clv.value.contract_summary import summarise_contracts
    from clv.value.contract_value import contract_value
    from clv.value.dependent_spend import DependentSpendModel
    from clv.value.forecast import purchase_forecast
    from clv.value.gamma_gamma import GammaGammaModel
    from clv.value.growth import decompose_growth, value_drivers
    from clv.value.lifetime import lifetime_value
    from clv.value.margins import account_margins
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
    from clv.value.without_programme import without_programme

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'clv' has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
