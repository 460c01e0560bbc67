"""From declared limits to rows of numbers: what each option of each account uses of each limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from clv.abm.allocation.book import Book
from clv.abm.allocation.holdout import draw_holdout, eligible_accounts
from clv.abm.allocation.limits import (
    Amounts,
    Clusters,
    GroupLimit,
    Holdout,
    KeepLast,
    Limits,
    MarginCap,
    MustHave,
    MustNot,
    ReservedHours,
    TierShare,
    resource_name,
    used_column,
)
from clv.errors import DataError, SettingsError


@dataclass(frozen=True, eq=False)
class Family:
    """Rows of one kind: an account counts in one of them at most, with what its option uses.

    Attributes
    ----------
    names : list of str
        One a row, as a reader knows the limit.
    kind : {"money", "hours", "accounts", "share"}
        What one unit of the limit is.
    sense : {1, -1}
        At most (1), at least (−1).
    amounts : numpy.ndarray
        (R,) as declared.
    use : numpy.ndarray or None
        (N, M) use by option; 1 for each account if None.
    group : numpy.ndarray or None
        (N,) row in which the account counts, −1 for none; all in row 0 if None.
    tiers : tuple of int or None
        Only options of these tiers count.
    constant : float
        Used whatever the plan.
    """

    names: list[str]
    kind: str
    sense: int
    amounts: np.ndarray
    use: np.ndarray | None = None
    group: np.ndarray | None = None
    tiers: tuple[int, ...] | None = None
    constant: float = 0.0


@dataclass(frozen=True, eq=False)
class OpenedClusters:
    """Clusters of one tier: code (N,) of each account's cluster (−1 none), and cost, fewest, most of each (C,)."""

    tier: int
    code: np.ndarray
    names: list[str]
    cost: np.ndarray
    fewest: np.ndarray
    most: np.ndarray


@dataclass(frozen=True, eq=False)
class Rules:
    """All limits in numbers.

    Attributes
    ----------
    families : list of Family
    has : numpy.ndarray
        (N, M) options that may be taken.
    must : numpy.ndarray
        (N,) accounts that may not be left out.
    gain : numpy.ndarray
        (N, M) money that an option brings beside leaving the account out.
    base : float
        Money of leaving every account out.
    clusters : OpenedClusters or None
    held_out : numpy.ndarray
        (N,) accounts of the holdout.
    alone : numpy.ndarray
        (N,) accounts that are not to be counted together with equal ones.
    """

    families: list[Family]
    has: np.ndarray
    must: np.ndarray
    gain: np.ndarray
    base: float
    clusters: OpenedClusters | None
    held_out: np.ndarray
    alone: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Within:
    """A range for `MarginCap`: no option that brings more than `most`, and at least `least` in all."""

    most: float
    least: float
    share: float


def compile_rules(
    book: Book,
    limits: Limits,
    *,
    capped: np.ndarray | None = None,
    within: Within | None = None,
    soft: bool = False,
) -> Rules:
    """Turn limits into rows.

    Parameters
    ----------
    book : Book
    limits : Limits
    capped : numpy.ndarray, optional
        Positions of accounts to which `MarginCap` is applied; the others are taken not to reach it.
    within : Within, optional
        The range of margins in which `MarginCap` is kept; without either it is not.
    soft : bool
        Whether must-have, must-not, kept tiers and the holdout become rows, which can be taken away one at a time.
    """
    n, m = book.has.shape
    has, must, gain, base = book.has.copy(), np.zeros(n, dtype=bool), book.net, 0.0
    held_out = np.zeros(n, dtype=bool)
    families = [*_resources(book, limits), *_counts(book, limits)]
    clusters = None
    alone = np.zeros(n, dtype=bool)
    for limit in limits.declared:
        rows: list[Family] = []
        match limit:
            case GroupLimit():
                rows = _by_group(book, limit)
            case TierShare():
                rows = _tier_share(book, limit)
            case Clusters():
                clusters = _clusters(book, limit)
                has[:, clusters.tier] &= clusters.code >= 0
            case MarginCap():
                watched = np.zeros(0, dtype=int) if capped is None else capped
                value = np.where(book.has, book.parts["value"], 0.0)
                rows = [_margin_cap(book, limit.share, value, int(at)) for at in watched]
                if (value < 0).any():
                    rows.append(Family(["planned margin of 0 or more"], "money", -1, np.zeros(1), value))
                alone[watched] = True
                if within is not None:
                    has &= book.parts["value"] <= within.most
                    rows += _margin_within(within, value)
            case MustHave():
                allowed = _must_have(book, limit)
                rows = _one_each(book, allowed, "must-have")
                if not soft:
                    chosen = allowed.any(axis=1)
                    must |= chosen
                    has[chosen] &= allowed[chosen]
            case MustNot():
                barred = _must_not(book, limit)
                rows = [_never(barred, f"must-not ({_accounts(int(barred.any(axis=1).sum()))})")]
                if not soft:
                    has &= ~barred
            case KeepLast():
                last = _last(book, limit)
                if limit.switching_cost is not None:
                    gain, base = _switching(gain, last, float(limit.switching_cost))
                else:
                    keep = np.zeros((n, m), dtype=bool)
                    kept = np.flatnonzero(last >= 0)
                    keep[kept, last[kept]] = True
                    named = last >= -1
                    rows = [
                        *_one_each(book, keep & book.has, "keep last period's tier"),
                        _never(book.has & ~keep & named[:, None], "keep last period's tier"),
                    ]
                    if not soft:
                        has[named] &= keep[named]
                        must[kept] = True
            case _:
                continue
        if soft or not isinstance(limit, MustHave | MustNot | KeepLast):
            families += rows
    for limit in limits.declared:
        if isinstance(limit, Holdout):
            held_out = draw_holdout(book, limit, eligible_accounts(book, limits))
            if soft:
                families.append(_never(book.has & held_out[:, None], "holdout"))
            else:
                has[held_out] = False
    return Rules(families, has, must, gain, base, clusters, held_out, alone)


def _resources(book: Book, limits: Limits) -> list[Family]:
    rows = []
    for column, amount in limits.resources.items():
        use, constant, name = book.parts[column], 0.0, resource_name(column)
        for limit in limits.declared:
            if isinstance(limit, ReservedHours) and (f"hours_{limit.role}" if limit.role else "hours") == column:
                constant += limit.total + limit.each * len(use)
                use = use - np.where(book.has, limit.each, 0.0)
        kind = "money" if column == "cost" else "hours"
        rows.append(Family([name], kind, 1, np.array([amount]), use, constant=constant))
    return rows


def _counts(book: Book, limits: Limits) -> list[Family]:
    place = {tier: at for at, tier in enumerate(book.tiers)}
    rows = [
        Family([f"at least {n:,} in {t}"], "accounts", -1, np.array([float(n)]), tiers=(place[t],))
        for t, n in limits.least.items()
    ]
    rows += [
        Family([f"at most {n:,} in {t}"], "accounts", 1, np.array([float(n)]), tiers=(place[t],))
        for t, n in limits.most.items()
    ]
    return rows


def amounts_by_group(amounts: Amounts, names: list[str], what: str) -> dict[int, float]:
    """Give each group its amount: the same for all, or by name."""
    if not isinstance(amounts, Mapping):
        return {at: float(amounts) for at in range(len(names))}
    place = {name: at for at, name in enumerate(names)}
    unknown = [str(name) for name in amounts if str(name) not in place]
    if unknown:
        raise SettingsError(
            f"{what} names {unknown[0]!r}, which no account has.", mend=f"Use some of: {', '.join(names[:20])}."
        )
    return {place[str(name)]: float(amount) for name, amount in amounts.items()}


def _by_group(book: Book, limit: GroupLimit) -> list[Family]:
    codes, names = book.column(limit.column)
    column = used_column(limit.of, book.limitable)
    tiers = None if limit.tiers is None else tuple(sorted(book.tiers.index(tier) for tier in set(limit.tiers)))
    where = "" if limit.tiers is None else f" in {' and '.join(limit.tiers)}"
    kind = "accounts" if column is None else "money" if column == "cost" else "hours"
    what = kind if column is None or column == "cost" else resource_name(column)
    rows = []
    for sense, amounts in ((-1, limit.least), (1, limit.most)):
        if amounts is None:
            continue
        each = amounts_by_group(amounts, names, f"GroupLimit by {limit.column!r}")
        given = np.full(len(names) + 1, -1)
        given[list(each)] = np.arange(len(each))
        word = "at most" if sense == 1 else "at least"
        texts = [f"{word} {amount:,.10g} {what}{where} of {limit.column} {names[at]}" for at, amount in each.items()]
        use = None if column is None else book.parts[column]
        rows.append(Family(texts, kind, sense, np.array(list(each.values())), use, given[codes], tiers))
    return rows


def _tier_share(book: Book, limit: TierShare) -> list[Family]:
    codes, names = book.column(limit.column)
    if limit.group not in names:
        raise SettingsError(
            f"TierShare names {limit.column} {limit.group!r}, which no account has.",
            mend=f"Use one of: {', '.join(names[:20])}.",
        )
    tier = book.tiers.index(limit.tier)
    inside = (codes == names.index(limit.group)).astype(float)
    rows = []
    for sense, share in ((-1, limit.least), (1, limit.most)):
        if share is not None:
            use = np.zeros(book.has.shape)
            use[:, tier] = inside - share
            word = "at most" if sense == 1 else "at least"
            name = f"{word} {share:.4g} of {limit.tier} with {limit.column} {limit.group}"
            rows.append(Family([name], "share", sense, np.zeros(1), use, tiers=(tier,)))
    return rows


def _clusters(book: Book, limit: Clusters) -> OpenedClusters:
    code, names = book.column(limit.column)
    given = amounts_by_group(limit.cost, names, "cost of Clusters")
    cost = np.array([given.get(at, 0.0) for at in range(len(names))])
    most = np.bincount(code[code >= 0], minlength=len(names))
    if limit.most is not None:
        most = np.minimum(most, limit.most)
    fewest = np.full(len(names), max(1, limit.fewest))
    return OpenedClusters(book.tiers.index(limit.tier), code, names, cost, fewest, most)


def _margin_cap(book: Book, share: float, value: np.ndarray, at: int) -> Family:
    use = -share * value
    use[at] += value[at]
    name = f"at most {share:.4g} of the planned margin from {book.accounts[at]}"
    return Family([name], "money", 1, np.zeros(1), use)


def _margin_within(within: Within, value: np.ndarray) -> list[Family]:
    if not np.isfinite(within.least):
        return []
    name = f"planned margin of {within.least:,.10g} or more, so that no account is above {100 * within.share:.4g}%"
    return [Family([name], "money", -1, np.array([within.least]), value)]


def _must_have(book: Book, limit: MustHave) -> np.ndarray:
    allowed = np.zeros(book.has.shape, dtype=bool)
    if isinstance(limit.accounts, Mapping):
        at = book.positions(list(limit.accounts), "MustHave")
        tier = [book.tiers.index(t) for t in limit.accounts.values()]
        lacks = ~book.has[at, tier]
        if lacks.any():
            k = int(np.argmax(lacks))
            raise DataError(
                f"MustHave wants account {book.accounts[at[k]]!r} in {book.tiers[tier[k]]!r}, no option of it.",
                mend="Add the option, or take the account out of the limit.",
                table="options",
                column="tier",
            )
        allowed[at, tier] = True
    else:
        at = book.positions(list(limit.accounts), "MustHave")
        allowed[at] = book.has[at]
    return allowed


def _must_not(book: Book, limit: MustNot) -> np.ndarray:
    barred = np.zeros(book.has.shape, dtype=bool)
    accounts = list(limit.accounts)
    # An account without options cannot get a tier: nothing to bar.
    at = book.accounts.get_indexer(pd.Index([str(account) for account in accounts], dtype=object))
    for account, place in zip(accounts, at, strict=True):
        if place >= 0:
            tiers = limit.accounts[account] if isinstance(limit.accounts, Mapping) else book.tiers
            barred[place, [book.tiers.index(tier) for tier in tiers]] = True
    return barred & book.has


def _last(book: Book, limit: KeepLast) -> np.ndarray:
    """(N,) last period's tier, −1 for none, −2 where nothing is said or the tier is no option any more."""
    last = np.full(len(book.accounts), -2)
    names = {**{tier: at for at, tier in enumerate(book.tiers)}, "none": -1}
    at = book.accounts.get_indexer(pd.Index([str(account) for account in limit.last], dtype=object))
    codes = np.array([names.get(str(tier), -2) for tier in limit.last.values()], dtype=int)
    last[at[at >= 0]] = codes[at >= 0]
    possible = (last < 0) | book.has[np.arange(len(last)), np.maximum(last, 0)]
    return np.where(possible, last, -2)


def _switching(gain: np.ndarray, last: np.ndarray, cost: float) -> tuple[np.ndarray, float]:
    """Charge a change: leaving an account out of its last tier counts as one."""
    changed = gain - np.where(last[:, None] == -1, cost, 0.0)
    kept = np.flatnonzero(last >= 0)
    changed[kept, last[kept]] += cost
    return changed, -cost * len(kept)


def _one_each(book: Book, allowed: np.ndarray, name: str) -> list[Family]:
    """One row an account that must have one of its allowed options."""
    at = np.flatnonzero(allowed.any(axis=1))
    if not len(at):
        return []
    group = np.full(len(allowed), -1)
    group[at] = np.arange(len(at))
    names = [f"{name} {account}" for account in book.accounts[at]]
    return [Family(names, "accounts", -1, np.ones(len(at)), allowed.astype(float), group)]


def _never(barred: np.ndarray, name: str) -> Family:
    return Family([name], "accounts", 1, np.zeros(1), barred.astype(float))


def _accounts(n: int) -> str:
    return f"{n:,} account" if n == 1 else f"{n:,} accounts"
