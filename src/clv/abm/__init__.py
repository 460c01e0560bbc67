"""Account-based marketing: whom we choose, and in which tier."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clv.abm.limits import Check, verify
    from clv.abm.options import tier_options
    from clv.abm.selection import Selection, select_accounts
    from clv.abm.tiers import Allocation, allocate_tiers

_EXPORTS = {
    "Allocation": "clv.abm.tiers",
    "Check": "clv.abm.limits",
    "Selection": "clv.abm.selection",
    "allocate_tiers": "clv.abm.tiers",
    "select_accounts": "clv.abm.selection",
    "tier_options": "clv.abm.options",
    "verify": "clv.abm.limits",
}

__all__ = ["Allocation", "Check", "Selection", "allocate_tiers", "select_accounts", "tier_options", "verify"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)
