"""What is an account worth? Purchase and spend models, and lifetime value from both.

Names are resolved when they are first used: the module itself loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "BetaGeoModel": "clv.value.beta_geo",
    "GammaGammaModel": "clv.value.gamma_gamma",
    "LifetimeValue": "clv.value.lifetime",
    "lifetime_value": "clv.value.lifetime",
    "PurchaseForecast": "clv.value.forecast",
    "purchase_forecast": "clv.value.forecast",
    "load_model": "clv.value.persist",
    "continuous_rate": "clv.value.discount",
    "days_per_unit": "clv.data.units",
    "BetaGeoCNBDModel": "clv.value.beta_geo_cnbd",
    "ModifiedBetaGeoCNBDModel": "clv.value.modified_beta_geo_cnbd",
    "ModifiedBetaGeoModel": "clv.value.modified_beta_geo",
    "ParetoNBDModel": "clv.value.pareto_nbd",
    "information_criteria": "clv.value.compare",
    "likelihood_ratio_test": "clv.value.compare",
    "BetaGeoBetaBinomModel": "clv.value.beta_geo_beta_binom",
    "ShiftedBetaGeoModel": "clv.value.shifted_beta_geo",
    "cohort_relations": "clv.value.relations",
    "contract_relations": "clv.value.relations",
    "no_history": "clv.value.prospects",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
