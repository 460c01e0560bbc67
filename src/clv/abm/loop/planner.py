"""Plans of one book, quarter after quarter: limits and costs stay, what options are worth changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.allocation.baseline import rank_and_cut
from clv.abm.allocation.book import read_book
from clv.abm.allocation.limits import read_limits
from clv.abm.allocation.rows import compile_rules
from clv.abm.loop.shrinkage import Floats
from clv.abm.robust.replan import Replanner
from clv.errors import InfeasibleError

if TYPE_CHECKING:
    from clv.data.settings import Tier

#: plans need not be better proven than this share of their worth.
GAP = 3e-3
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Means:
    """What may be spent in a quarter."""

    budget: float | None = None
    hours: float | None = None


class Planner:
    """Who gets which tier, for any values of the options.

    Parameters
    ----------
    ids : numpy.ndarray of str, shape (N,)
    tiers : sequence of Tier
        With the cost and hours of a quarter.
    means : Means
    """

    def __init__(self, ids: NDArray[np.object_], tiers: Sequence[Tier], means: Means) -> None:
        self.tiers, self.means = tiers, means
        self.cost = np.array([float(tier.cost) for tier in tiers])
        self.hours = np.array([float(tier.all_hours) for tier in tiers])
        self.most = np.array([np.inf if tier.at_most is None else float(tier.at_most) for tier in tiers])
        count, per = len(ids), len(tiers)
        options = pd.DataFrame(
            {"account_id": np.repeat(ids, per), "tier": [tier.name for tier in tiers] * count, "value": 0.0,
             "cost": np.tile(self.cost, count), "hours": np.tile(self.hours, count)}
        )  # fmt: skip
        self._book = read_book(options)
        counts: dict[str, tuple[int | None, int | None]] = {t.name: (t.at_least, t.at_most) for t in tiers}
        declared = read_limits(
            means.budget, means.hours, counts, tiers=self._book.tiers, columns=self._book.limitable
        )  # fmt: skip
        # The book is in the order of ids and names, everything here in the order given.
        self._row = self._book.accounts.get_indexer(pd.Index(ids))
        self._column = pd.Index(self._book.tiers).get_indexer(pd.Index([tier.name for tier in tiers]))
        self._name = pd.Index([tier.name for tier in tiers]).get_indexer(pd.Index(self._book.tiers))
        self._rules = compile_rules(self._book, declared)
        self._fine: Replanner | None = None
        self._quick: Replanner | None = None

    def best(self, value: Floats) -> Codes:
        """Tier of each account (−1: none) in the plan of the largest return, proven up to `GAP`; `value` is (N, M)."""
        if self._fine is None:
            self._fine = self._replanner(value, GAP)
        return self._solved(self._fine, value)

    def quick(self, value: Floats) -> Codes:
        """As `best`, by prices and repair alone: a good plan in milliseconds."""
        if self._quick is None:
            self._quick = self._replanner(value, None)
        return self._solved(self._quick, value)

    def rank_and_cut(self, value: Floats) -> Codes:
        """Tier of each account by its best return, as long as means last."""
        book = replace(self._book, parts={**self._book.parts, "value": self._laid(value)})
        table = rank_and_cut(book, self._rules)
        at = pd.Index([tier.name for tier in self.tiers]).get_indexer(pd.Index(table["tier"]))
        return np.asarray(at, dtype=np.int64)[self._row]

    def worth(self, plan: Codes, value: Floats) -> float:
        """Return of a plan, less its cost."""
        at = np.flatnonzero(plan >= 0)
        return float((value[at, plan[at]] - self.cost[plan[at]]).sum())

    def kept(self, value: Floats, accounts: Codes, tier: Codes) -> Codes | None:
        """Find a good plan in which these accounts get these tiers (−1: none); None if means do not suffice for it."""
        forced = value.copy()
        # Enough to crowd out all else that one account could bring, on any means.
        bonus = 20 * float(np.abs(value).max() + self.cost.max())
        forced[accounts] = -bonus
        some = tier >= 0
        forced[accounts[some], tier[some]] = value[accounts[some], tier[some]] + bonus
        plan = self.quick(forced)
        return plan if np.array_equal(plan[accounts], tier) else None

    def _replanner(self, value: Floats, gap: float | None) -> Replanner:
        laid = self._laid(value)
        rules = replace(self._rules, gain=laid - self._book.parts["cost"])
        return Replanner(replace(self._book, parts={**self._book.parts, "value": laid}), rules, gap)

    def _laid(self, value: Floats) -> Floats:
        out = np.empty_like(value)
        out[self._row[:, None], self._column] = value
        return out

    def _solved(self, replanner: Replanner, value: Floats) -> Codes:
        found = replanner.best(self._laid(value)[replanner.account, replanner.tier])
        if found is None:
            raise InfeasibleError("no plan keeps the limits of a quarter.", mend="Lower the fewest counts of tiers.")
        tier = np.where(found.tier_of >= 0, self._name[found.tier_of], -1)
        return np.asarray(tier[self._row], dtype=np.int64)
