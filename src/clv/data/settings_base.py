"""What all settings have in common: a misspelt key is an error, numbers are finite, text is text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """A misspelt key is an error, and settings do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _amount(value: Any, where: str = "") -> float:
    """Read a finite number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError(f"give a number of 0 or more{where}, not {value!r}")
    return float(value)


def _amounts(value: Any) -> Any:
    """Read one number, or numbers by name."""
    if not isinstance(value, Mapping):
        return _amount(value)
    if not value:
        raise ValueError("names no one; give a number, or name: number")
    return {text(name, "a name"): _amount(one, f" for {name!r}") for name, one in value.items()}


def text(value: Any, what: str) -> str:
    """Read text that is not empty; a number that YAML made of an id may have lost its zeros."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not text, as {what} must be; put it in quotes")
    return value


def _ids(value: Any) -> Any:
    """Read a list of accounts, or account: what is said of it."""
    if isinstance(value, Mapping):
        return {text(account, "an account"): said for account, said in value.items()}
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"give a list of accounts, or account: tier, not {value!r}")
    listed = [text(account, "an account") for account in value]
    twice = sorted({account for account in listed if listed.count(account) > 1})
    if twice:
        raise ValueError(f"names account {twice[0]!r} twice")
    return listed


def _tier_of(value: Any) -> Any:
    value = _ids(value)
    if isinstance(value, dict):
        return {account: text(tier, f"the tier of {account!r}") for account, tier in value.items()}
    return value


def _tiers_of(value: Any) -> Any:
    value = _ids(value)
    if not isinstance(value, dict):
        return value
    lists = {account: [said] if isinstance(said, str) else list(said or []) for account, said in value.items()}
    for account, some in lists.items():
        for tier in some:
            text(tier, f"a tier of {account!r}")
    return lists


#: one number for all, or name: number. A union would say every fault twice.
Amounts = Annotated[float | dict[str, float], BeforeValidator(_amounts)]
#: accounts, or account: its tier.
TierOf = Annotated[list[str] | dict[str, str], BeforeValidator(_tier_of)]
#: accounts, or account: tiers.
TiersOf = Annotated[list[str] | dict[str, list[str]], BeforeValidator(_tiers_of)]
