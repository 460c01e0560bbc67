"""Spend in levels: every tier with a response curve becomes several options, each with its own spend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from clv.abm.allocation.limits import (
    Counts,
    GroupLimit,
    Holdout,
    Limit,
    MarginCap,
    MustHave,
    MustNot,
    ReservedHours,
)
from clv.abm.response.adbudg import Adbudg
from clv.errors import DataError, SettingsError

#: column of the expanded options in which all accounts are one group.
BOOK = "in the book"
SEPARATOR = " · "
Unit = Literal["money", "cost"]
HoursOf = Literal["fixed", "with spend"]


def check_curves(
    options: pd.DataFrame, curves: Mapping[str, Adbudg], spends: Mapping[str, tuple[float, float]] | None
) -> dict[str, tuple[float, float]]:
    """Check that curves fit the tiers; return the lowest and highest spend of each."""
    for column in ("account_id", "tier", "value", "cost"):
        if column not in options.columns:
            raise DataError(
                "the column is missing.", mend="Make it with tier_options().", table="options", column=column
            )
    names = set(options["tier"].astype(str))
    for what, given in (("curves", curves), ("spends", spends or {})):
        unknown = sorted(set(given) - names)
        if unknown:
            raise SettingsError(
                f"{what} name tier {unknown[0]!r}, which no option has.", mend=f"Use {', '.join(sorted(names))}."
            )
    if not curves:
        raise SettingsError("there is no response curve.", mend="Give tier -> Adbudg, or use allocate_tiers().")
    ends = {}
    for tier, curve in curves.items():
        low, high = (spends or {}).get(tier, (0.0, 10 * curve.half))
        if not (0 <= low <= high < np.inf) or high == 0:
            raise SettingsError(f"spends[{tier!r}] is {(low, high)!r}.", mend="Give the least and the most, from 0 up.")
        ends[tier] = (float(low), float(high))
    return ends


def grid(curve: Adbudg, low: float, high: float, levels: int) -> np.ndarray:
    """Spends between two ends: denser where the curve bends, at equal steps of its logarithm."""
    least = max(low, 0.2 * curve.threshold, high / 100)
    return np.unique(np.concatenate([[low] if low > 0 else [], np.geomspace(least, high, levels)]))


def expand(
    options: pd.DataFrame, curves: Mapping[str, Adbudg], spends: Mapping[str, np.ndarray], unit: Unit, hours: HoursOf
) -> pd.DataFrame:
    """One row an account, tier and level.

    Parameters
    ----------
    options : pandas.DataFrame
        One row an account and tier.
    curves : mapping
        Tier -> curve; tiers without one keep their row.
    spends : mapping
        Tier -> (rows of the tier, levels) spend of each, in money.
    unit, hours
        As in `allocate_spend`.
    """
    tier = options["tier"].astype(str)
    roles = [name for name in options.columns if name == "hours" or str(name).startswith("hours_")]
    parts = []
    for name, curve in curves.items():
        rows = options[tier == name]
        spend = np.asarray(spends[name], dtype=float)
        cost = rows["cost"].to_numpy(float)
        scale = cost[:, None] if unit == "cost" else 1.0
        for k in range(spend.shape[1]):
            with np.errstate(divide="ignore", invalid="ignore"):
                relative = spend[:, k] / np.ravel(scale) if unit == "cost" else spend[:, k]
            part = rows.assign(
                tier=f"{name}{SEPARATOR}{k + 1}",
                value=rows["value"].to_numpy(float) * curve(relative),
                cost=spend[:, k],
            )
            if hours == "with spend":
                for role in roles:
                    part[role] = rows[role].to_numpy(float) * spend[:, k] / cost
            parts.append(part)
    as_it_is = options[~tier.isin(list(curves))]
    if len(as_it_is):
        parts.append(as_it_is)
    return pd.concat(parts, ignore_index=True).assign(**{BOOK: "all"})


def level_names(curves: Mapping[str, Adbudg], levels: Mapping[str, int]) -> dict[str, list[str]]:
    """Tier -> the names of its levels."""
    return {name: [f"{name}{SEPARATOR}{k + 1}" for k in range(levels[name])] for name in curves}


def expand_limits(
    counts: Counts | None, limits: Sequence[Limit] | None, names: Mapping[str, list[str]], tiers: Sequence[str]
) -> tuple[dict[str, tuple[int | None, int | None]], list[Limit]]:
    """Limits on tiers become limits on their levels."""

    def levels_of(some: Sequence[str]) -> list[str]:
        return [level for tier in some for level in names.get(tier, [tier])]

    plain: dict[str, tuple[int | None, int | None]] = {}
    out: list[Limit] = []
    for tier, (fewest, most) in (counts or {}).items():
        if tier not in tiers:
            raise SettingsError(f"counts name tier {tier!r}, which no option has.", mend=f"Use {', '.join(tiers)}.")
        if tier not in names:
            plain[tier] = (fewest, most)
        else:
            out.append(GroupLimit(BOOK, most=most, least=fewest or None, tiers=names[tier]))
    for limit in limits or ():
        match limit:
            case GroupLimit():
                out.append(limit if limit.tiers is None else replace(limit, tiers=levels_of(limit.tiers)))
            case MustHave() if isinstance(limit.accounts, Mapping):
                # Some level of this tier: any tier at all, and none of another.
                out.append(MustHave(list(limit.accounts)))
                others = {
                    account: levels_of([other for other in tiers if other != tier])
                    for account, tier in limit.accounts.items()
                    if tier is not None
                }
                out.append(MustNot({account: some for account, some in others.items() if some}))
            case MustNot() if isinstance(limit.accounts, Mapping):
                out.append(MustNot({a: levels_of(list(some)) for a, some in limit.accounts.items()}))
            case MustHave() | MustNot() | MarginCap() | ReservedHours() | Holdout():
                out.append(limit)
            case _:
                raise SettingsError(
                    f"{type(limit).__name__} cannot be combined with spend by level.",
                    mend="Choose tiers with allocate_tiers() under this limit first, then spends within them.",
                )
    return plain, out
