"""The limits of an allocation, as a person declares them.

Budget, hours and counts by tier are arguments of `clv.allocate_tiers`; all else is one of the small classes here, given
as ``limits=[...]``. Groups (segments, managers, clusters, ...) are columns of the options or of the table ``accounts``.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clv.abm.allocation.book import ROLE
from clv.errors import DataError, SettingsError

Counts = Mapping[str, tuple[int | None, int | None]]
Hours = float | Mapping[str, float]
Amounts = float | Mapping[str, float]


@dataclass(frozen=True)
class GroupLimit:
    """At most, or at least, so much in each group of accounts: a segment, a manager, a region.

    Parameters
    ----------
    column : str
        Which column says the group, such as ``"manager"``.
    most, least : float or mapping of str to float, optional
        One amount for each group, or an amount by group.
    of : str
        ``"accounts"``, ``"money"`` (cost), ``"hours"``, or a role, whose column is hours_<role>.
    tiers : sequence of str, optional
        Only what is used in these tiers; in any if None.
    """

    column: str
    most: Amounts | None = None
    least: Amounts | None = None
    of: str = "accounts"
    tiers: Sequence[str] | None = None


@dataclass(frozen=True)
class TierShare:
    """Of the accounts in a tier, a share of at least or at most so much is of one group: new against existing.

    Parameters
    ----------
    tier : str
    column, group : str
        The accounts whose column says this, such as ``"status", "new"``.
    least, most : float, optional
        Shares from 0 to 1.
    """

    tier: str
    column: str
    group: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Clusters:
    """A tier that is given to clusters: an account gets it only with its cluster, and each opened cluster costs once.

    Parameters
    ----------
    tier : str
    column : str
        Which column says the cluster; accounts without one cannot get the tier.
    cost : float or mapping of str to float
        Money for opening a cluster; it counts against the budget.
    fewest, most : int
        Accounts of the tier in an opened cluster.
    """

    tier: str
    column: str = "cluster"
    cost: Amounts = 0.0
    fewest: int = 1
    most: int | None = None


@dataclass(frozen=True)
class MarginCap:
    """No account may bring more than this share of the value of the whole plan, which may not be negative (rule A8)."""

    share: float


@dataclass(frozen=True)
class MustHave:
    """Accounts that get a tier whatever it returns: account -> tier, or a list of accounts for any tier."""

    accounts: Mapping[str, str] | Iterable[str]


@dataclass(frozen=True)
class MustNot:
    """Accounts that get no tier (a list), or not these tiers (account -> tiers)."""

    accounts: Mapping[str, Sequence[str]] | Iterable[str]


@dataclass(frozen=True)
class KeepLast:
    """Last period's tiers: a change costs this much money, or is not allowed.

    Parameters
    ----------
    last : mapping of str to str
        Account -> its tier in the last period, or ``"none"``. Accounts that are not named change freely.
    switching_cost : float or None
        Taken from the worth of a plan for each account that changes (what is lost with it; it is no spending and does
        not count against the budget). None forbids changes.
    """

    last: Mapping[str, str]
    switching_cost: float | None = 0.0


@dataclass(frozen=True)
class ReservedHours:
    """Hours kept back for all other accounts, so that their service does not suffer (rule D4).

    Parameters
    ----------
    total : float
        Kept back in any case.
    each : float
        Kept back for each account with options that gets no tier.
    role : str, optional
        Of the hours of this role; of all hours if None. The hours have to be limited.
    """

    total: float = 0.0
    each: float = 0.0
    role: str | None = None


@dataclass(frozen=True)
class Holdout:
    """Accounts left out at random, so that the next allocation knows what tiers add (rule F4).

    Parameters
    ----------
    share : float
        Share of the accounts that could be in the plan, from 0 to 1.
    by : sequence of str
        Columns of strata: in each of them the same share, as nearly as whole accounts allow.
    seed : int
    among : sequence of str, optional
        Only these accounts are drawn from, such as those that would get a tier; from all of them if None.
    """

    share: float
    by: Sequence[str] = ()
    seed: int = 0
    among: Sequence[str] | None = None


Limit = GroupLimit | TierShare | Clusters | MarginCap | MustHave | MustNot | KeepLast | ReservedHours | Holdout


@dataclass(frozen=True)
class Limits:
    """What a plan must keep.

    Attributes
    ----------
    resources : dict of str to float
        Column of the options -> most that may be used of it in all.
    least, most : dict of str to int
        Tier -> fewest and most accounts; only where there is such a limit.
    declared : tuple
        All other limits.
    """

    resources: dict[str, float]
    least: dict[str, int]
    most: dict[str, int]
    declared: tuple[Limit, ...] = field(default=())


def resource_name(column: str) -> str:
    """Name a limited column: ``budget``, ``hours`` or ``hours of manager``."""
    return "budget" if column == "cost" else f"hours of {column.removeprefix(ROLE)}" if column != "hours" else "hours"


def read_limits(
    budget: float | None,
    hours: Hours | None,
    counts: Counts | None,
    limits: Sequence[Limit] | None = None,
    *,
    tiers: Sequence[str],
    columns: Sequence[str],
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
        resources["cost"] = number(budget, "budget")
    for role, limit in (dict(hours) if isinstance(hours, Mapping) else {"": hours}).items():
        if limit is not None:
            column = hours_column(role or None, columns)
            resources[column] = number(limit, resource_name(column))
    least, most = {}, {}
    for tier, pair in sorted((counts or {}).items()):
        known_tier(tier, tiers, "counts")
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise SettingsError(f"counts[{tier!r}] is {pair!r}.", mend="Give (fewest, most), None where it is open.")
        fewest, largest = (whole(n, f"counts[{tier!r}]") for n in pair)
        if fewest is not None and largest is not None and fewest > largest:
            raise SettingsError(
                f"counts[{tier!r}]: fewest {fewest} exceeds most {largest}.", mend="Swap or widen them."
            )
        if fewest:
            least[tier] = fewest
        if largest is not None:
            most[tier] = largest
    declared = tuple(limits or ())
    for one in declared:
        _check(one, tiers, columns, resources)
    for kind, name in ((Clusters, "Clusters"), (MarginCap, "MarginCap"), (KeepLast, "KeepLast"), (Holdout, "Holdout")):
        if sum(isinstance(one, kind) for one in declared) > 1:
            raise SettingsError(f"{name} is given twice.", mend="Give it once.")
    return Limits(resources, least, most, declared)


def hours_column(role: str | None, columns: Sequence[str]) -> str:
    """Find the column of a role's hours."""
    column = f"{ROLE}{role}" if role else "hours"
    if column not in columns:
        raise DataError(
            f"{f'hours of {role!r}' if role else 'hours'} are limited, but the column is missing.",
            mend=f"Add {column} to the options, or drop the limit.",
            table="options",
            column=column,
        )
    return column


def used_column(of: str, columns: Sequence[str]) -> str | None:
    """Find the column that a `GroupLimit` sums; None where it counts accounts."""
    if of == "accounts":
        return None
    return "cost" if of == "money" else hours_column(None if of == "hours" else of, columns)


def known_tier(tier: str, tiers: Sequence[str], where: str) -> None:
    """Raise if no option has the tier."""
    if tier not in tiers:
        raise SettingsError(
            f"{where} names the tier {tier!r}, which no option has.", mend=f"Use one of: {', '.join(tiers)}."
        )


def number(limit: object, name: str, most: float = math.inf) -> float:
    """Read a finite number from 0 to `most`."""
    real = float(limit) if isinstance(limit, numbers.Real) and not isinstance(limit, bool) else math.nan
    if not math.isfinite(real) or not 0 <= real <= most:
        top = "" if most == math.inf else f" and at most {most:g}"
        raise SettingsError(
            f"{name} is {limit!r}.", mend=f"Give a finite number of 0 or more{top}, or None for no limit."
        )
    return real


def whole(n: object, name: str) -> int | None:
    """Read a whole number of 0 or more, or None."""
    if n is None:
        return None
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 0:
        raise SettingsError(f"{name} holds {n!r}.", mend="Give whole numbers of 0 or more, or None.")
    return int(n)


def _check(limit: Limit, tiers: Sequence[str], columns: Sequence[str], resources: Mapping[str, float]) -> None:
    """Check what can be checked of a declared limit without the accounts."""
    name = type(limit).__name__
    match limit:
        case GroupLimit():
            if limit.most is None and limit.least is None:
                raise SettingsError(f"{name} by {limit.column!r} has no amount.", mend="Give most or least.")
            for amounts in (limit.most, limit.least):
                each = amounts.values() if isinstance(amounts, Mapping) else [] if amounts is None else [amounts]
                for amount in each:
                    number(amount, f"{name} by {limit.column!r}")
            used_column(limit.of, columns)
            for tier in limit.tiers or ():
                known_tier(tier, tiers, name)
        case TierShare():
            known_tier(limit.tier, tiers, name)
            low, high = (
                number(x, f"{name} of {limit.tier!r}", 1.0) for x in (limit.least or 0.0, _or(limit.most, 1.0))
            )
            if low > high:
                raise SettingsError(f"{name}: least {low} exceeds most {high}.", mend="Swap or widen them.")
        case Clusters():
            known_tier(limit.tier, tiers, name)
            fewest, most = whole(limit.fewest, name), whole(limit.most, name)
            if most is not None and (fewest or 0) > most:
                raise SettingsError(f"{name}: fewest {fewest} exceeds most {most}.", mend="Swap or widen them.")
            for amount in limit.cost.values() if isinstance(limit.cost, Mapping) else [limit.cost]:
                number(amount, f"cost of {name}")
        case MarginCap():
            number(limit.share, f"share of {name}", 1.0)
        case MustHave(accounts=Mapping() as named):
            for tier in named.values():
                known_tier(tier, tiers, name)
        case MustNot(accounts=Mapping() as barred):
            for several in barred.values():
                for tier in several:
                    known_tier(tier, tiers, name)
        case MustHave() | MustNot():
            if isinstance(limit.accounts, str):
                raise SettingsError(f"{name} is {limit.accounts!r}, a text.", mend="Give a list of accounts.")
        case KeepLast():
            if limit.switching_cost is not None:
                number(limit.switching_cost, f"switching_cost of {name}")
        case ReservedHours():
            number(limit.total, f"total of {name}")
            number(limit.each, f"each of {name}")
            column = hours_column(limit.role, columns)
            if column not in resources:
                raise SettingsError(
                    f"{name}: {resource_name(column)} are reserved but not limited.", mend="Give hours as well."
                )
        case Holdout():
            number(limit.share, f"share of {name}", 1.0)
            whole(limit.seed, f"seed of {name}")
        case _:
            raise SettingsError(f"{limit!r} is no limit.", mend="Give limits of clv.abm.allocation.limits.")


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
