"""The limits of an allocation, and a check of any plan against them that shares nothing with the solver."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from clv.abm.options import ROLE, check_options, limitable
from clv.errors import DataError, SettingsError

Counts = Mapping[str, tuple[int | None, int | None]]
Hours = float | Mapping[str, float]

#: sums of money and hours may pass a limit by this share of it: rounding in the last digits, never a real excess.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Limits:
    """What a plan may use.

    Attributes
    ----------
    resources : dict of str to float
        Column of the options -> most that may be used of it in all.
    least, most : dict of str to int
        Tier -> fewest and most accounts; only where there is such a limit.
    """

    resources: dict[str, float]
    least: dict[str, int]
    most: dict[str, int]

    @property
    def names(self) -> list[str]:
        """Each limit as a reader knows it, in the order of the solver's rows."""
        return [
            *(resource_name(column) for column in self.resources),
            *(f"at least {n:,} in {tier}" for tier, n in self.least.items()),
            *(f"at most {n:,} in {tier}" for tier, n in self.most.items()),
        ]

    @property
    def amounts(self) -> list[float]:
        """The number of each limit, in the order of `names`."""
        return [*self.resources.values(), *map(float, self.least.values()), *map(float, self.most.values())]


def resource_name(column: str) -> str:
    """Name a limited column: ``budget``, ``hours`` or ``hours of manager``."""
    return "budget" if column == "cost" else f"hours of {column.removeprefix(ROLE)}" if column != "hours" else "hours"


def read_limits(
    budget: float | None, hours: Hours | None, counts: Counts | None, *, tiers: Sequence[str], columns: Sequence[str]
) -> Limits:
    """Check limits as they were given and bring them into one form.

    Raises
    ------
    SettingsError
        A limit is negative or no number, fewest exceeds most, or a tier is unknown.
    DataError
        Hours are limited by a role for which the options have no column.
    """
    resources: dict[str, float] = {}
    if budget is not None:
        resources["cost"] = _amount(budget, "budget")
    for role, limit in (dict(hours) if isinstance(hours, Mapping) else {"": hours}).items():
        if limit is None:
            continue
        column = f"{ROLE}{role}" if role else "hours"
        if column not in columns:
            raise DataError(
                f"{f'hours of {role!r}' if role else 'hours'} are limited, but the column is missing.",
                mend=f"Add {column} to the options, or drop the limit.",
                table="options",
                column=column,
            )
        resources[column] = _amount(limit, resource_name(column))
    least, most = {}, {}
    for tier, pair in sorted((counts or {}).items()):
        if tier not in tiers:
            raise SettingsError(
                f"counts names the tier {tier!r}, which no option has.", mend=f"Use one of: {', '.join(tiers)}."
            )
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise SettingsError(f"counts[{tier!r}] is {pair!r}.", mend="Give (fewest, most), None where it is open.")
        fewest, largest = (_count(n, tier) for n in pair)
        if fewest is not None and largest is not None and fewest > largest:
            raise SettingsError(
                f"counts[{tier!r}]: fewest {fewest} exceeds most {largest}.", mend="Swap or widen them."
            )
        if fewest:
            least[tier] = fewest
        if largest is not None:
            most[tier] = largest
    return Limits(resources, least, most)


def _amount(limit: object, name: str) -> float:
    if isinstance(limit, bool) or not isinstance(limit, numbers.Real) or not math.isfinite(limit) or limit < 0:
        raise SettingsError(f"{name} is {limit!r}.", mend="Give a finite number of 0 or more, or None for no limit.")
    return float(limit)


def _count(n: object, tier: str) -> int | None:
    if n is None:
        return None
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 0:
        raise SettingsError(f"counts[{tier!r}] holds {n!r}.", mend="Give whole numbers of 0 or more, or None.")
    return int(n)


class Check(NamedTuple):
    """What `verify` found: the faults in words (none if the plan holds) and the plan's objective."""

    faults: tuple[str, ...]
    objective: float


def verify(
    plan: pd.DataFrame,
    options: pd.DataFrame,
    *,
    budget: float | None = None,
    hours: Hours | None = None,
    counts: Counts | None = None,
) -> Check:
    """Check a plan against its options and limits, and compute what it is worth, from the tables alone.

    Parameters
    ----------
    plan : pandas.DataFrame
        Columns account_id, tier ("none" for an account that gets nothing).
    options : pandas.DataFrame
        As in `allocate_tiers`.
    budget, hours, counts
        As in `allocate_tiers`.

    Returns
    -------
    Check
        ``faults``, each a sentence; ``objective`` = Σ (value − cost) over the plan, NaN if it takes what is no option.
    """
    table = check_options(options)
    limits = read_limits(budget, hours, counts, tiers=sorted(set(table["tier"])), columns=limitable(options))
    faults = []
    accounts = plan["account_id"].astype(str)
    faults += [f"account {a!r} is in the plan twice" for a in accounts[accounts.duplicated()].unique()]
    faults += [f"account {a!r} is missing from the plan" for a in sorted(set(table["account_id"]) - set(accounts))]
    faults += [f"account {a!r} has no option" for a in sorted(set(accounts) - set(table["account_id"]))]
    taken = plan.assign(account_id=accounts)[["account_id", "tier"]]
    chosen = taken[taken["tier"] != "none"].merge(table, on=["account_id", "tier"], how="left")
    for row in chosen[chosen["value"].isna()].itertuples():
        faults.append(f"account {row.account_id!r} has no option {row.tier!r}")
    for column, limit in limits.resources.items():
        used = math.fsum(chosen[column])
        # The allowance is scaled by what is limited, so that the currency does not matter.
        if used > limit + ROUNDING * max(limit, float(table[column].max())):
            faults.append(f"{resource_name(column)}: {used:,.10g} used of {limit:,.10g}")
    held = chosen["tier"].value_counts()
    for tier, n in limits.least.items():
        if held.get(tier, 0) < n:
            faults.append(f"{held.get(tier, 0)} accounts in {tier}, at least {n} wanted")
    for tier, n in limits.most.items():
        if held.get(tier, 0) > n:
            faults.append(f"{held.get(tier, 0)} accounts in {tier}, at most {n} allowed")
    return Check(tuple(faults), math.fsum([*chosen["value"], *(-chosen["cost"])]))
