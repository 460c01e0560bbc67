"""Customer lifetime value, churn stages and account-based-marketing decisions.

Public names are resolved when they are first used, so that ``import clv`` (and ``clv --help``) loads none of the heavy
libraries behind them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "BetaGeoModel": "clv.value.beta_geo",
    "GammaGammaModel": "clv.value.gamma_gamma",
    "allocate_tiers": "clv.abm.tiers",
    "churn_stages": "clv.churn.stages",
    "lifetime_value": "clv.value.lifetime",
    "list_samples": "clv.data.samples",
    "load_model": "clv.value.persist",
    "load_study": "clv.data.study",
    "open_run": "clv.report.pipeline",
    "read_accounts": "clv.data.readers",
    "read_contacts": "clv.data.readers",
    "read_contracts": "clv.data.readers",
    "read_opportunities": "clv.data.readers",
    "read_programmes": "clv.data.readers",
    "read_touches": "clv.data.readers",
    "read_transactions": "clv.data.readers",
    "read_wallets": "clv.data.readers",
    "select_accounts": "clv.abm.selection",
    "summarise": "clv.data.summary",
    "tier_options": "clv.abm.options",
}

if TYPE_CHECKING:
    from clv.abm.options import tier_options
    from clv.abm.selection import select_accounts
    from clv.abm.tiers import allocate_tiers
    from clv.churn.stages import churn_stages
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
    from clv.value.gamma_gamma import GammaGammaModel
    from clv.value.lifetime import lifetime_value
    from clv.value.persist import load_model

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'clv' has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
