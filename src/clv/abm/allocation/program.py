"""From rules to the integer program: dominated options removed, equal accounts counted together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation.book import Book
from clv.abm.allocation.reduction import equal_accounts, useless_options
from clv.abm.allocation.rows import Family, Rules

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: the largest gain becomes this, so that no currency is special and the solver's absolute tolerance of 1e-6 on the
#: objective is a billionth of it.
SCALE = 1000.0
#: a resource whose uses are whole multiples of one grain, with at most so many grains in the largest, is counted in
#: grains: whole numbers let the solver round its limit down and cut deeper.
_MOST_GRAINS = 100_000
#: a resource with more different uses than this is not looked at for a grain.
_MOST_USES = 256


@dataclass(frozen=True, eq=False)
class Program:
    """Maximise ``gain @ y + open_gain @ z`` under ``side.T @ y + open_side.T @ z <= limit``, y and z whole.

    Accounts with equal options form a class; y counts how many of the class get an option, at most `size` in all (or
    exactly, where `must`). This is exact, and it removes the symmetry between equal accounts, in which branch and bound
    loses itself. z opens clusters: an option with a cluster needs it open, with `fewest` to `most` accounts in it.

    Attributes
    ----------
    gain : numpy.ndarray
        (E,) scaled gain of each option that is left.
    owner : numpy.ndarray
        (E,) class of each option, ascending.
    tier : numpy.ndarray
        (E,) position of its tier in `tiers`.
    size : numpy.ndarray
        (G,) accounts of each class.
    must : numpy.ndarray
        (G,) flags: none of them may be left out.
    side : scipy.sparse.csr_array
        (E, K) use of each limit by one account, scaled; "at least" is turned round.
    limit : numpy.ndarray
        (K,) scaled.
    whole : numpy.ndarray
        (K,) flags: every use in the row is a whole number, so that the limit may be rounded down.
    cluster : numpy.ndarray
        (E,) the cluster that the option needs, −1 for none.
    open_gain, fewest, most : numpy.ndarray
        (C,) scaled gain of opening a cluster (minus its cost), and bounds on its accounts.
    open_side : numpy.ndarray
        (C,) scaled use of the budget by opening it, 0 if there is no budget.
    budget : int
        Row of the budget, −1 if there is none.
    gain_unit : float
        Money of one scaled unit of gain.
    base : float
        Money of the plan that leaves every account out.
    row_unit : numpy.ndarray
        (K,) original units of one scaled unit of each limit; negative where the row is turned round.
    names : list of str
        (K,) the limits as a reader knows them.
    member : numpy.ndarray
        (N,) class of each account.
    tiers : list of str
        Names, ascending.
    """

    gain: np.ndarray
    owner: np.ndarray
    tier: np.ndarray
    size: np.ndarray
    must: np.ndarray
    side: csr_array
    limit: np.ndarray
    whole: np.ndarray
    cluster: np.ndarray
    open_gain: np.ndarray
    open_side: np.ndarray
    fewest: np.ndarray
    most: np.ndarray
    budget: int
    gain_unit: float
    base: float
    row_unit: np.ndarray
    names: list[str]
    member: np.ndarray
    tiers: list[str]

    @property
    def reachable(self) -> np.ndarray:
        """(K,) most of each limit that a plan of whole accounts can reach."""
        dust = 1e-9 * np.maximum(1.0, np.abs(self.limit))
        return np.where(self.whole, np.floor(self.limit + dust), self.limit)

    def used(self, count: np.ndarray, opened: np.ndarray) -> np.ndarray:
        """(K,) scaled use by a plan."""
        used = self.side.T @ count.astype(float)
        if self.budget >= 0:
            used[self.budget] += float(self.open_side @ opened)
        return used

    def worth(self, count: np.ndarray, opened: np.ndarray) -> float:
        """Scaled gain of a plan."""
        return float(self.gain @ count + self.open_gain @ opened)

    def assign(self, count: np.ndarray) -> np.ndarray:
        """Turn counts by option into the tier of each account.

        Among equal accounts the lower id gets the option with the larger gain, and of equal gains the tier whose
        name comes first.

        Parameters
        ----------
        count : numpy.ndarray
            (E,) whole numbers.

        Returns
        -------
        numpy.ndarray
            (N,) position in `tiers`, −1 for none.
        """
        taken = np.flatnonzero(count)
        given = np.full(len(self.size), -1)
        given[self.owner[taken]] = self.tier[taken]
        tiers = given[self.member]  # of classes of one account
        several = np.flatnonzero(self.size[self.member] > 1)
        taken = taken[self.size[self.owner[taken]] > 1]
        order = taken[np.lexsort((self.tier[taken], -self.gain[taken], self.owner[taken]))]
        wanted = np.repeat(self.tier[order], count[order])
        held = np.bincount(self.owner[taken], weights=count[taken], minlength=len(self.size)).astype(int)
        starts = np.concatenate([[0], np.cumsum(held)[:-1]])
        by_class = several[np.argsort(self.member[several], kind="stable")]
        mine = self.member[by_class]
        first, _ = starts_of(mine)
        place = np.arange(len(mine)) - np.repeat(first, np.diff(first, append=len(mine)))
        served = place < held[mine]
        tiers[by_class] = -1
        tiers[by_class[served]] = wanted[(starts[mine] + place)[served]]
        return tiers

    @cached_property
    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """First option of each class that has one, and which classes these are."""
        return starts_of(self.owner)


def starts_of(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the runs of equal numbers begin, and which numbers they are."""
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    return first, owner[first]


def build(book: Book, rules: Rules, *, reduce: bool = True) -> Program:
    """Make the program of a book under rules (`clv.abm.allocation.rows.compile_rules`).

    Without `reduce` every option stays, and each account is a class of its own: a program whose gains may be replaced.
    """
    from scipy.sparse import csr_array

    gain_unit = float(np.abs(np.where(rules.has, rules.gain, 0.0)).max(initial=0.0)) / SCALE or 1.0
    # Rounded to what survives a change of currency; no negative zeros.
    gain = np.where(rules.has, np.round(rules.gain / gain_unit, 10), 0.0) + 0.0
    scaled, units, grained = [], [], []
    for family in rules.families:
        use, unit, in_grains = _scaled(family, rules.has)
        scaled.append(use)
        units.append(unit)
        grained.append(in_grains)
    if reduce:
        keep = rules.has & ~useless_options(gain, rules, scaled)
        member, first = equal_accounts(gain, keep, rules, scaled)
    else:
        keep, member = rules.has, np.arange(len(gain))
        first = member
    size = np.bincount(member, minlength=len(first))
    owner, tier = np.nonzero(keep[first])
    account = first[owner]

    cell = account * gain.shape[1] + tier
    limit, whole, row_unit, names = [], [], [], []
    amount = np.zeros((len(owner), len(rules.families)))
    column = np.zeros(amount.shape, dtype=np.int32)
    start, budget = 0, -1
    for f, (family, use, unit, is_whole) in enumerate(zip(rules.families, scaled, units, grained, strict=True)):
        if family.names == ["budget"]:
            budget = start
        each = np.full(len(tier), float(family.sense)) if use is None else family.sense * use.ravel()[cell]
        if family.tiers is not None:
            each[~np.isin(tier, family.tiers)] = 0.0
        column[:, f] = start
        if family.group is not None:
            group = family.group[account]
            each[group < 0] = 0.0
            column[:, f] += np.maximum(group, 0)
        amount[:, f] = each
        allowed = family.amounts - family.constant
        if use is not None:
            # Far more than all options together use is as good as twice that, and is a number the solver can bear.
            enough = (2 * float(np.abs(use).sum()) + 1) * unit
            allowed = np.clip(allowed, -enough, enough)
        allowed = family.sense * allowed / unit
        limit.append(allowed)
        whole.append(np.full(len(allowed), is_whole))
        row_unit.append(np.full(len(allowed), family.sense * unit))
        names += family.names
        start += len(family.names)

    def joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
        return np.concatenate(parts).astype(kind) if parts else np.zeros(0, dtype=kind)

    # An option counts in one row of a family at most, and families follow each other: the rows are in order.
    used = amount != 0
    ends = np.concatenate([[0], np.cumsum(np.count_nonzero(used, axis=1))]).astype(np.int32)
    side = csr_array((amount[used], column[used], ends), shape=(len(owner), start))
    units_of = joined(row_unit, float)
    opened = rules.clusters
    none = np.zeros(0)
    cost = none if opened is None else opened.cost
    cluster = np.full(len(owner), -1)
    if opened is not None:
        cluster = np.where(tier == opened.tier, opened.code[account], -1)
    is_whole_row = joined(whole, bool)
    if budget >= 0 and len(cost):
        share = cost / units_of[budget]
        is_whole_row[budget] &= bool((np.abs(share - np.round(share)) < 1e-9).all())
    return Program(
        gain=gain.ravel()[cell],
        owner=owner,
        tier=tier,
        size=size,
        must=rules.must[first],
        side=side,
        limit=joined(limit, float),
        whole=is_whole_row,
        cluster=cluster,
        open_gain=-np.round(cost / gain_unit, 10) + 0.0,
        open_side=cost / units_of[budget] if budget >= 0 else np.zeros(len(cost)),
        fewest=none if opened is None else opened.fewest.astype(float),
        most=none if opened is None else opened.most.astype(float),
        budget=budget,
        gain_unit=gain_unit,
        base=rules.base,
        row_unit=units_of,
        names=names,
        member=member,
        tiers=book.tiers,
    )


def _scaled(family: Family, has: np.ndarray) -> tuple[np.ndarray | None, float, bool]:
    """Scale the uses of a family: the largest becomes 1, or its number of grains. Flag: they are whole numbers."""
    if family.use is None:
        return None, 1.0, True
    values = np.where(has, family.use, 0.0)
    largest = float(np.abs(values).max(initial=0.0))
    grains = _grains(values / (largest or 1.0))
    unit = largest / (grains or 1) or 1.0
    return np.round(values / unit, 12) + 0.0, unit, grains > 0


def _grains(shares: np.ndarray) -> int:
    """Count the grains in the largest value, if all values are whole multiples of one grain; else 0."""
    flat = shares.ravel()
    if len(np.unique(np.round(flat[: 4 * _MOST_USES], 13))) > _MOST_USES:
        return 0
    different = pd.unique(np.round(flat, 13))
    if len(different) > _MOST_USES:
        return 0
    grains = 1
    for share in map(float, np.sort(different)):
        fraction = Fraction(share).limit_denominator(_MOST_GRAINS)
        grains = math.lcm(grains, fraction.denominator)
        if abs(float(fraction) - share) > 1e-12 or grains > _MOST_GRAINS:
            return 0
    return grains
