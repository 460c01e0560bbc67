"""Stages of losing a customer: where an account is in its life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clv.churn.stages import STAGES, ChurnStages, churn_stages
    from clv.data.settings import StageRules

__all__ = ["STAGES", "ChurnStages", "StageRules", "churn_stages"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from clv.churn import stages

    return getattr(stages, name)
