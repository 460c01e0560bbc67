"""A check of any plan against its options and limits that shares nothing with the solver."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from clv.abm.allocation.book import Book, read_book
from clv.abm.allocation.holdout import draw_holdout, eligible_accounts
from clv.abm.allocation.limits import (
    Amounts,
    Clusters,
    Counts,
    GroupLimit,
    Holdout,
    Hours,
    KeepLast,
    Limit,
    Limits,
    MarginCap,
    MustHave,
    MustNot,
    ReservedHours,
    TierShare,
    read_limits,
    resource_name,
    used_column,
)

#: sums of money and hours may pass a limit by this share of it: rounding in the last digits, never a real excess.
ROUNDING = 1e-9


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
    limits: Sequence[Limit] | None = None,
    accounts: pd.DataFrame | None = None,
) -> Check:
    """Check a plan against its options and limits, and compute what it is worth, from the tables alone.

    Parameters
    ----------
    plan : pandas.DataFrame
        Columns account_id, tier ("none" for an account that gets nothing).
    options, budget, hours, counts, limits, accounts
        As in `allocate_tiers`.

    Returns
    -------
    Check
        ``faults``, each a sentence; ``objective`` = Σ (value − cost) over the plan, less the cost of opened clusters
        and of switching, NaN if it takes what is no option.
    """
    book = read_book(options, accounts)
    declared = read_limits(budget, hours, counts, limits, tiers=book.tiers, columns=book.limitable)
    return check_plan(book, declared, plan["account_id"].astype(str), plan["tier"].astype(str))


def check_plan(book: Book, limits: Limits, accounts: pd.Series, tiers: pd.Series) -> Check:
    """Check the tier of each account."""
    faults = []
    at = book.accounts.get_indexer(pd.Index(accounts, dtype=object))
    times = np.bincount(at[at >= 0], minlength=len(book.accounts))
    faults += [f"account {a!r} is in the plan twice" for a in book.accounts[times > 1]]
    faults += [f"account {a!r} is missing from the plan" for a in book.accounts[times == 0]]
    faults += [f"account {a!r} has no option" for a in accounts[at < 0]]
    names = pd.Index(book.tiers)
    column = names.get_indexer(pd.Index(tiers))
    taken = (tiers != "none").to_numpy() & (at >= 0)
    known = taken & (column >= 0)
    known[known] = book.has[at[known], column[known]]
    for account, tier in zip(accounts[taken & ~known], tiers[taken & ~known], strict=True):
        faults.append(f"account {account!r} has no option {tier!r}")
    row, col = at[known], column[known]
    tier_of = np.full(len(book.accounts), -1)
    tier_of[row] = col
    part = {name: values[row, col] for name, values in book.parts.items()}
    spent, opening = math.fsum(part["cost"]), 0.0
    for limit in limits.declared:
        if isinstance(limit, Clusters):
            more, opening = _clusters(book, limit, tier_of)
            faults += more
    for column_name, amount in limits.resources.items():
        used = spent + opening if column_name == "cost" else math.fsum(part[column_name])
        used += _reserved(book, limits, column_name, tier_of)
        if used > amount + _slack(amount, book.parts[column_name]):
            faults.append(f"{resource_name(column_name)}: {used:,.10g} used of {amount:,.10g}")
    held = np.bincount(col, minlength=len(book.tiers))
    for tier, n in limits.least.items():
        if held[book.tiers.index(tier)] < n:
            faults.append(f"{held[book.tiers.index(tier)]} accounts in {tier}, at least {n} wanted")
    for tier, n in limits.most.items():
        if held[book.tiers.index(tier)] > n:
            faults.append(f"{held[book.tiers.index(tier)]} accounts in {tier}, at most {n} allowed")
    switching = 0.0
    for limit in limits.declared:
        faults += _faults(book, limits, limit, tier_of)
        if isinstance(limit, KeepLast) and limit.switching_cost:
            switching = limit.switching_cost * len(_changed(book, limit, tier_of))
    if (taken & ~known).any():
        return Check(tuple(faults), float("nan"))
    return Check(tuple(faults), math.fsum([math.fsum(part["value"]), -spent, -opening, -switching]))


def _slack(amount: float, uses: np.ndarray) -> float:
    """Allow for rounding, scaled by what is limited, so that the currency does not matter."""
    return ROUNDING * max(amount, float(uses.max(initial=0.0)))


def _reserved(book: Book, limits: Limits, column: str, tier_of: np.ndarray) -> float:
    kept = 0.0
    for limit in limits.declared:
        if isinstance(limit, ReservedHours) and column == (f"hours_{limit.role}" if limit.role else "hours"):
            kept += limit.total + limit.each * int((tier_of < 0).sum())
    return kept


def _clusters(book: Book, limit: Clusters, tier_of: np.ndarray) -> tuple[list[str], float]:
    tier = book.tiers.index(limit.tier)
    inside = pd.Series(book.about[limit.column].to_numpy(dtype=object)[tier_of == tier])
    faults = [f"{int(inside.isna().sum())} accounts in {limit.tier} have no cluster"] if inside.isna().any() else []
    sizes = inside.dropna().astype(str).value_counts()
    most = np.inf if limit.most is None else limit.most
    faults += [
        f"cluster {name}: {n} in {limit.tier}, {limit.fewest} {'or more' if most == np.inf else f'to {most}'} allowed"
        for name, n in sizes.items()
        if not limit.fewest <= n <= most
    ]
    costs = limit.cost if isinstance(limit.cost, Mapping) else None
    each = [float(limit.cost) if costs is None else float(costs.get(str(name), 0.0)) for name in sizes.index]  # type: ignore[arg-type]
    return faults, math.fsum(each)


def _changed(book: Book, limit: KeepLast, tier_of: np.ndarray) -> list[str]:
    """Name accounts whose tier is not their last one, where they could have kept it."""
    changed = []
    place = {account: at for at, account in enumerate(book.accounts)} if len(limit.last) else {}
    for account, tier in limit.last.items():
        at = place.get(str(account))
        if at is None:
            continue
        now = "none" if tier_of[at] < 0 else book.tiers[tier_of[at]]
        could = tier == "none" or (tier in book.tiers and book.has[at, book.tiers.index(tier)])
        if could and now != tier:
            changed.append(str(account))
    return changed


def _faults(book: Book, limits: Limits, limit: Limit, tier_of: np.ndarray) -> Iterator[str]:
    """Faults against one declared limit."""
    ids = book.accounts
    tier_name = np.array([*book.tiers, "none"], dtype=object)[tier_of]
    match limit:
        case GroupLimit():
            yield from _group_faults(book, limit, tier_of, tier_name)
        case TierShare():
            inside = tier_name == limit.tier
            group = (book.about[limit.column].to_numpy(dtype=object)[inside].astype(str) == limit.group).sum()
            n = int(inside.sum())
            low, high = limit.least or 0.0, 1.0 if limit.most is None else limit.most
            if group < low * n - 1e-7 or group > high * n + 1e-7:
                yield f"{group} of {n} accounts in {limit.tier} with {limit.column} {limit.group}"
        case MarginCap():
            taken = np.flatnonzero(tier_of >= 0)
            values = book.parts["value"][taken, tier_of[taken]]
            total, dust = math.fsum(values), ROUNDING * float(np.abs(book.parts["value"]).max(initial=0.0))
            if total < -dust:
                yield f"the planned margin is {total:,.10g}, of which there are no shares"
            over = values > limit.share * total + dust
            for at in taken[over][:5]:
                yield f"account {ids[at]!r} brings more than {limit.share:g} of the planned margin"
        case MustHave():
            wanted = limit.accounts if isinstance(limit.accounts, Mapping) else dict.fromkeys(limit.accounts)
            for account, tier in wanted.items():
                now = tier_name[ids.get_loc(str(account))]
                if now == "none" or tier not in (None, now):
                    yield f"account {account!r} must have {tier or 'a tier'} and gets {now}"
        case MustNot():
            barred = limit.accounts if isinstance(limit.accounts, Mapping) else dict.fromkeys(limit.accounts)
            for account, tiers in barred.items():
                if str(account) in ids:
                    now = tier_name[ids.get_loc(str(account))]
                    if now != "none" and (tiers is None or now in tiers):
                        yield f"account {account!r} must not have {now}"
        case KeepLast(switching_cost=None):
            yield from (f"account {account!r} changes its tier" for account in _changed(book, limit, tier_of))
        case Holdout():
            held = draw_holdout(book, limit, eligible_accounts(book, limits))
            if (tier_of[held] >= 0).any():
                yield f"{int((tier_of[held] >= 0).sum())} accounts of the holdout get a tier"


def _group_faults(book: Book, limit: GroupLimit, tier_of: np.ndarray, tier_name: np.ndarray) -> Iterator[str]:
    column = used_column(limit.of, book.limitable)
    counts = (tier_of >= 0) & (np.isin(tier_name, list(limit.tiers)) if limit.tiers is not None else True)
    at = np.flatnonzero(counts)
    amount = np.ones(len(at)) if column is None else book.parts[column][at, tier_of[at]]
    about = pd.Series(book.about[limit.column].to_numpy(dtype=object))
    sums = pd.Series(amount).groupby(about.iloc[at].to_numpy()).sum()
    sums.index = sums.index.astype(str)
    largest = 1.0 if column is None else float(book.parts[column].max(initial=0.0))
    for name in sorted(about.dropna().astype(str).unique()):
        used = float(sums.get(name, 0.0))
        for bound, sign in ((limit.most, 1), (limit.least, -1)):
            allowed = _amount(bound, name)
            if allowed is not None and sign * (used - allowed) > ROUNDING * max(allowed, largest):
                yield f"{limit.column} {name}: {used:,.10g} {limit.of} of {allowed:,.10g}"


def _amount(amounts: Amounts | None, name: str) -> float | None:
    if isinstance(amounts, Mapping):
        return {str(key): float(value) for key, value in amounts.items()}.get(name)
    return amounts
