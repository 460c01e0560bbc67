"""Why there is no plan: the smallest set of limits that clash, and what would settle it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from clv.abm.allocation.book import Book
from clv.abm.allocation.highs import Choices, Found, search
from clv.abm.allocation.limits import Clusters, Limits
from clv.abm.allocation.program import Program, build
from clv.abm.allocation.rows import compile_rules
from clv.errors import InfeasibleError

#: the smallest set is searched for among so many limits at most; of more, an irreducible set is named.
_MOST_LIMITS = 60
Oracle = Callable[[frozenset[int]], "np.ndarray | None"]


class _OutOfTime(Exception):  # noqa: N818 -- caught here, never seen outside
    pass


@dataclass(frozen=True, eq=False)
class _Limited:
    """The program with every limit as a row, and the same without clusters; row −1 stands for the clusters."""

    program: Program
    loose: Program | None
    end: float

    def under(self, rows: list[int]) -> Program:
        """Keep these limits alone."""
        program = self.program if self.loose is None or -1 in rows else self.loose
        kept = [row for row in rows if row >= 0]
        budget = kept.index(program.budget) if program.budget in kept else -1
        return replace(
            program, side=program.side[:, kept], limit=program.limit[kept], whole=program.whole[kept], budget=budget
        )

    def held(self, rows: frozenset[int]) -> frozenset[int] | None:
        """Which limits some plan under these keeps (these and perhaps others); None if there is no such plan."""
        program = self.under(sorted(rows))
        found = self.search(replace(program, gain=np.zeros_like(program.gain)))
        if found.status == "infeasible":
            return None
        if found.count is None or found.opened is None:
            raise _OutOfTime
        whole = self.program if self.loose is None or -1 in rows else self.loose
        used = whole.used(found.count, found.opened if len(whole.fewest) else np.zeros(0))
        kept = np.flatnonzero(used <= whole.reachable + 1e-7 * np.maximum(1.0, np.abs(whole.reachable)))
        return frozenset(kept.tolist()) | rows

    def search(self, program: Program) -> Found:
        """Solve a program whole."""
        if time.monotonic() > self.end:
            raise _OutOfTime
        return search(program, Choices.everything(program), max(0.1, self.end - time.monotonic()))


def explain(book: Book, limits: Limits, *, capped: np.ndarray | None, time_limit: float) -> InfeasibleError:
    """Name the smallest set of limits that cannot hold together.

    Where there are many limits, or time runs out, an irreducible set is named in its place: one of which every part can
    hold (QuickXplain: Junker 2004). The smallest is found by hitting every set of limits whose removal would help
    (Ignatiev, Previti, Liffiton & Marques-Silva 2015).

    Returns
    -------
    InfeasibleError
        With the limits, what the first of them would have to be, and the mend.
    """
    end = time.monotonic() + time_limit
    rules = compile_rules(book, limits, capped=capped, soft=True)
    program = build(book, rules)
    clusters = [limit for limit in limits.declared if isinstance(limit, Clusters)]
    loose = None
    if clusters:
        rest = tuple(limit for limit in limits.declared if not isinstance(limit, Clusters))
        loose = build(book, compile_rules(book, replace(limits, declared=rest), capped=capped, soft=True))
    limited = _Limited(program, loose, end)
    constants = [family.constant for family in rules.families if len(family.names) == 1]
    rows = [*range(len(program.limit)), *([-1] if clusters else [])]
    try:
        clash = _irreducible(limited, rows)
    except _OutOfTime:
        return InfeasibleError(
            "No plan satisfies the limits; which of them clash could not be found in the time allowed.",
            mend="Allow more time, or widen the limits.",
        )
    smallest = len(clash) == 1
    if not smallest and len(rows) <= _MOST_LIMITS:
        try:
            clash, smallest = _smallest(limited, rows, clash), True
        except _OutOfTime:
            smallest = False
    clash = sorted(row for row in clash if row >= 0) + [row for row in clash if row < 0]
    return _said(book, limits, limited, clash, smallest, constants)


def _irreducible(limited: _Limited, rows: list[int]) -> list[int]:
    """Find a set of which no part can be spared (Junker 2004)."""

    def clashes(some: list[int]) -> bool:
        return limited.held(frozenset(some)) is None

    def split(fixed: list[int], changed: bool, open_rows: list[int]) -> list[int]:
        if changed and clashes(fixed):
            return []
        if len(open_rows) == 1:
            return open_rows
        half = len(open_rows) // 2
        left, right = open_rows[:half], open_rows[half:]
        second = split(fixed + left, True, right)
        first = split(fixed + second, bool(second), left)
        return first + second

    return split([], False, rows) if rows and clashes(rows) else []


def _smallest(limited: _Limited, rows: list[int], known: list[int]) -> list[int]:
    """Find a smallest set that clashes, not larger than a known one."""
    helped: list[frozenset[int]] = []
    everything = frozenset(rows)
    while True:
        guess = _hitting(helped, rows)
        if len(guess) >= len(known):
            return known
        held = limited.held(frozenset(guess))
        if held is None:
            return guess
        for row in rows:
            if row not in held:
                more = limited.held(held | {row})
                held = more if more is not None else held
        helped.append(everything - held)


def _hitting(sets: list[frozenset[int]], rows: list[int]) -> list[int]:
    """Find the fewest rows that are in each of the sets."""
    if not sets:
        return []
    from scipy.optimize import Bounds, LinearConstraint, milp

    inside = np.array([[row in one for row in rows] for one in sets], dtype=float)
    # Of equally small sets the one with the earlier limits.
    cost = 1.0 + 1e-4 * np.arange(len(rows)) / len(rows)
    done = milp(
        cost, constraints=[LinearConstraint(inside, 1, np.inf)], integrality=np.ones(len(rows)), bounds=Bounds(0, 1)
    )
    return [row for row, chosen in zip(rows, np.rint(done.x), strict=True) if chosen]


def _said(
    book: Book, limits: Limits, limited: _Limited, clash: list[int], smallest: bool, constants: list[float]
) -> InfeasibleError:
    program = limited.program
    if not clash:
        return InfeasibleError("The limits clash, though none of them can be named.", mend="Widen the limits.")
    tier = next((limit.tier for limit in limits.declared if isinstance(limit, Clusters)), "")
    names = [program.names[row] if row >= 0 else f"the clusters of {tier}" for row in clash]
    resources = len(limits.resources)
    amounts = {row: list(limits.resources.values())[row] for row in clash if 0 <= row < resources}
    quoted = [
        f"{name} of {amounts[row]:,.10g}" if row in amounts else name for row, name in zip(clash, names, strict=True)
    ]
    proof = (
        ""
        if len(clash) == 1
        else " No fewer limits clash."
        if smallest
        else (" None of these can be spared; whether a smaller set clashes was not found out.")
    )
    first = clash[0]
    if first in amounts:
        need = _least_use(limited, first, [row for row in clash if row != first], constants[first])
        others = " and ".join(names[1:])
        needs, to = "", ""
        if need is not None:
            needs = f": {others} need{'s' if len(names) == 2 else ''} at least {need:,.10g}"
            to = f" to {_up(need):,.10g}"
        together = f" together with {' and '.join(quoted[1:])}" if len(quoted) > 1 else ""
        return InfeasibleError(
            f"No plan satisfies {quoted[0]}{together}{needs if others else ''}.{proof}",
            mend=f"Raise {names[0]}{to}{f', or change: {others}' if others else ''}.",
        )
    tiers = list(limits.least)
    if all(resources <= row < resources + len(tiers) for row in clash):
        clashing = [tiers[row - resources] for row in clash]
        able = {name: int(book.has[:, book.tiers.index(name)].sum()) for name in clashing}
        members = int(book.has[:, [book.tiers.index(name) for name in clashing]].any(axis=1).sum())
        have = f"{members:,} account{' has' if members == 1 else 's have'}"
        which = f"an option in {clashing[0]}" if len(clashing) == 1 else f"an option in any of {', '.join(clashing)}"
        shares = "" if len(clashing) == 1 else f" ({', '.join(f'{able[t]:,} in {t}' for t in clashing)})"
        return InfeasibleError(
            f"No plan satisfies {' and '.join(quoted)}: {have} {which}{shares},"
            f" and each account can be in one tier only.{proof}",
            mend="Lower the fewest count, or offer the tier to more accounts.",
        )
    return InfeasibleError(f"No plan satisfies {' and '.join(quoted)}.{proof}", mend="Widen or drop one of them.")


def _up(need: float) -> float:
    """Round up to what a person would type, a ten-thousandth at most above."""
    if need <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(need)) - 5)
    return math.ceil(need / step - 1e-6) * step


def _least_use(limited: _Limited, row: int, rest: list[int], constant: float) -> float | None:
    """Least that any plan under the other limits uses of one, in its own units."""
    whole = limited.program
    program = limited.under(rest)
    column = whole.side[:, [row]].toarray().ravel() if program.side.shape[0] == whole.side.shape[0] else None
    if column is None:
        return None
    opening = -whole.open_side if row == whole.budget and len(program.open_gain) else np.zeros(len(program.open_gain))
    try:
        found = limited.search(replace(program, gain=-column, open_gain=opening))
    except _OutOfTime:
        return None
    if found.count is None or found.opened is None:
        return None
    least = float(column @ found.count - opening @ found.opened) * float(whole.row_unit[row])
    return least + constant
