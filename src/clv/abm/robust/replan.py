"""Planning again with other values: limits stay, prices start from those of the expected values.

Every draw is a program with the same limits and other gains. Its prices lie near those of the expected values, so that
a few Newton steps find them; a plan follows by repair, and the prices prove how much better any plan could be.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from clv.abm.allocation import dual, highs, solver
from clv.abm.allocation.book import Book
from clv.abm.allocation.prices import price
from clv.abm.allocation.program import Program, build
from clv.abm.allocation.repair import repair
from clv.abm.allocation.rows import Rules

#: books with so many options at most are solved exactly in every draw unless something else is asked for.
SMALL = 60
#: smoothing at which the descent from the prices of the expected values begins, beside the mean gain.
_SMOOTH = 0.01
_SECONDS = 20.0
#: where repair leaves more than this share in a book with clusters, so many choices near a tie are searched, for so
#: many seconds at most, until the plan is as near to the best of these as that.
_SHORT = 2e-3
_CORE = 300
_SEARCHED = 2.0
_FINE = 5e-4
#: share of a bound by which that of a draw may be above the relaxation's.
_EXACT = 1e-6


@dataclass(frozen=True, eq=False)
class Best:
    """The best plan found for some values: tier (N,) of each account, worth in money, bound on all plans."""

    tier_of: np.ndarray
    worth: float
    bound: float


class Replanner:
    """Plans for values other than those that a plan was made with.

    Parameters
    ----------
    book : Book
    rules : Rules
        Its limits in numbers.
    gap : float or None
        Share by which a plan may fall short of its bound; None: exact up to `SMALL` options, what repair gives beyond.
    """

    def __init__(self, book: Book, rules: Rules, gap: float | None = None) -> None:
        self.program: Program = build(book, rules, reduce=False)
        program = self.program
        self.gap = 0.0 if gap is None and len(program.gain) <= SMALL else gap
        # Book positions of the options, in the program's order.
        self.account, self.tier = program.owner, program.tier
        self.value = book.parts["value"][self.account, self.tier]
        self._gain = rules.gain[self.account, self.tier]
        self._place = np.full(rules.has.shape, -1)
        self._place[self.account, self.tier] = np.arange(len(self.account))
        self._start = np.zeros(len(program.limit))
        self._flat = None
        if len(program.limit) and len(program.gain):
            everyone = np.ones(len(program.size), dtype=bool)
            self._flat = dual._flat(program, everyone, program.gain, program.reachable)
            roughly = self._prices(program, first=True)
            if len(program.fewest):
                roughly = solver.polish(program, roughly, time.monotonic() + _SECONDS)
            self._start = roughly.prices

    @property
    def options(self) -> int:
        """How many options there are."""
        return len(self.account)

    def taken(self, tier_of: np.ndarray) -> np.ndarray:
        """Positions of the options that a plan takes."""
        at = np.flatnonzero(tier_of >= 0)
        return self._place[at, tier_of[at]]

    def fixed(self, tier_of: np.ndarray) -> float:
        """Money of a plan that does not hang on values: what it is worth less the values of its options."""
        taken = self.taken(tier_of)
        program = self.program
        opened = np.zeros(len(program.fewest))
        inside = program.cluster[taken]
        opened[inside[inside >= 0]] = 1.0
        opening = float(program.open_gain @ opened) * program.gain_unit
        return float((self._gain[taken] - self.value[taken]).sum()) + opening + program.base

    def worth(self, tier_of: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Worth of a plan where options are worth `values` (E,) or, in each of S draws, (E, S)."""
        taken = self.taken(tier_of)
        return np.asarray(values[taken].sum(axis=0, dtype=float)) + self.fixed(tier_of)

    def best(self, values: np.ndarray) -> Best | None:
        """Find the best plan for values (E,) of the options; None if no plan was found."""
        base = self.program
        gain = np.round((self._gain + (values - self.value)) / base.gain_unit, 10) + 0.0
        program = replace(base, gain=gain)
        if self.gap is not None:
            found = solver.solve(program, gap=self.gap, time_limit=_SECONDS, start=self._start)
            return self._best(program, found.count, found.opened, found.bound, values)
        priced = self._prices(program)
        plan = repair(program, priced)
        if plan is None:
            found = solver.solve(program, gap=0.01, time_limit=_SECONDS, priced=priced)
            return self._best(program, found.count, found.opened, found.bound, values)
        short = priced.bound - program.worth(*plan)
        if len(program.fewest) and short > _SHORT * abs(priced.bound):
            core = solver.near(priced, solver.width_of(priced, _CORE))
            searched = highs.search(program, core, _SEARCHED, _FINE * abs(priced.bound))
            if searched.count is not None and searched.opened is not None:
                plan = max(plan, (searched.count, searched.opened), key=lambda one: program.worth(*one))
        return self._best(program, *plan, priced.bound, values)

    def _best(
        self,
        program: Program,
        count: np.ndarray | None,
        opened: np.ndarray | None,
        bound: float,
        values: np.ndarray,
    ) -> Best | None:
        if count is None or opened is None:
            return None
        tier_of = np.full(len(self._place), -1)
        at = np.flatnonzero(count)
        tier_of[self.account[at]] = self.tier[at]
        worth = float(self.worth(tier_of, values))
        return Best(tier_of, worth, max(worth, bound * program.gain_unit + program.base))

    def _prices(self, program: Program, first: bool = False) -> solver.Priced:
        end = time.monotonic() + _SECONDS
        there = price(program, self._start)
        if self._flat is None:
            return there
        if len(program.fewest) and not first:
            # Places in clusters have prices too, which the descent finds only roughly: linear programs do better.
            found, _ = solver.best_prices(program, end, self._start, _EXACT)
            return there if found is None or found.bound > there.bound else found
        flat = replace(self._flat, gain=program.gain)
        blocks = dual.Blocks(program, flat) if len(program.fewest) else None
        smooth = None if first else _SMOOTH * float(np.abs(program.gain).mean())
        found = price(program, dual.descend(flat, self._start, end, mu=smooth, blocks=blocks))
        return min(found, there, key=lambda one: one.bound)
