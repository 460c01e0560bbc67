"""No account above a share of the planned margin: a search over how much the largest account brings.

The cap ties every account to the whole plan, and its linear relaxation is weak: many accounts are taken in part. Were
it known how much the largest account brings, t, the cap would be two plain rules: options that bring more than t are
barred, and the plan brings t ÷ share in all. So the range of t is divided where the best plan found breaks the cap: the
plan brings V, its largest account more than share × V. Below, options above share × V are barred; above, a plan must
bring more than V. Neither part holds the plan that broke the cap, each has a sharp relaxation, and a part is dropped
once its bound is not above the best plan known (branch and bound: Land & Doig 1960).
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, replace

import numpy as np

from clv.abm.allocation import solver
from clv.abm.allocation.book import Book
from clv.abm.allocation.limits import Limits
from clv.abm.allocation.program import SCALE, Program, build
from clv.abm.allocation.rows import Rules, Within, compile_rules
from clv.abm.allocation.solver import Solution

#: gap of the first plan, which tells whether the cap can matter; and of plans that only divide the range.
_ROUGH = 0.01
#: accounts above the cap that an explanation of a clash looks at.
_NAMED = 200


@dataclass(frozen=True, eq=False)
class Solved:
    """A program, the range of the cap for which it was made, its solution, and the tier of each account if any."""

    rules: Rules
    program: Program
    solution: Solution
    tier_of: np.ndarray | None
    within: Within | None = None

    @property
    def bound(self) -> float:
        """Money that no plan in the range exceeds."""
        return self.solution.bound * self.program.gain_unit + self.program.base

    @property
    def worth(self) -> float:
        """Money of the plan."""
        if self.solution.count is None or self.solution.opened is None:
            return -np.inf
        worth = self.program.worth(self.solution.count, self.solution.opened)
        return worth * self.program.gain_unit + self.program.base


def solve_once(
    book: Book,
    declared: Limits,
    *,
    gap: float,
    seconds: float,
    within: Within | None = None,
    beyond: float = -np.inf,
) -> Solved:
    """Solve a book within one range; plans worth no more than `beyond` (money) are not looked for."""
    rules = compile_rules(book, declared, within=within)
    program = build(book, rules)
    cut = (beyond - program.base) / program.gain_unit
    solution = solver.solve(program, time_limit=max(0.1, seconds), gap=gap, beyond=cut)
    return _solved(rules, program, solution, within)


def solve_capped(
    book: Book, declared: Limits, share: float, *, gap: float, end: float
) -> tuple[Solved | None, float, np.ndarray]:
    """Find the best plan in which no account brings more than a share of the whole.

    Parameters
    ----------
    book : Book
    declared : Limits
    share : float
        Largest share of one account.
    gap : float
        Share of its worth by which the plan may fall short of the bound.
    end : float
        Moment (`time.monotonic`) at which to stop.

    Returns
    -------
    tuple
        The plan with the program in which it was found (without a plan where time ran out, None where there is none),
        the bound in money, and positions of accounts that were above the cap.
    """
    left = end - time.monotonic()
    root = solve_once(book, declared, gap=max(gap, _ROUGH), seconds=0.75 * left)
    values = book.parts["value"]
    over = np.zeros(len(values), dtype=int)
    if root.solution.status == "infeasible" or root.tier_of is None:
        return (None if root.solution.status == "infeasible" else root), root.bound, np.flatnonzero(over)
    if _above(book, root.tier_of, share) is None and gap < _ROUGH:
        known = root.solution.prices
        start = known if np.isfinite(known).all() else None
        fine = solver.solve(root.program, time_limit=max(0.1, end - time.monotonic()), gap=gap, start=start)
        root = _solved(root.rules, root.program, fine, None)
    dust = 0.5e-9 * float(np.abs(values).max(initial=0.0))
    different = np.unique(values[book.has])
    best: Solved | None = None
    unproven, number = -np.inf, 0  # the largest bound of a part that is finished
    parts: list[tuple[float, int, Within | None, Solved | None]] = [(-root.bound, 0, None, root)]
    while parts:
        worth = -np.inf if best is None else best.worth
        highest = -parts[0][0]
        enough = worth + max(gap, 1e-12) * abs(worth) if best is not None else -np.inf
        seconds = end - time.monotonic()
        if highest <= enough or (seconds <= 0 and number > 0):
            break
        _, _, within, solved = heapq.heappop(parts)
        if solved is None:
            asked = gap if best is not None or gap == 0 else max(gap, _ROUGH / 10)
            solved = solve_once(book, declared, gap=asked, seconds=seconds / 2, within=within, beyond=enough)
        if solved.solution.status == "infeasible":
            continue
        bound = min(highest, solved.bound)
        if solved.tier_of is None:
            unproven = max(unproven, bound)
            continue
        found = _above(book, solved.tier_of, share)
        if found is None:
            if best is None or solved.worth > worth:
                best = solved
            if solved.solution.status == "gap" and bound - solved.worth > max(gap, 1e-12) * abs(solved.worth):
                number += 1  # found to a wider gap than was asked for: look again
                heapq.heappush(parts, (-bound, number, within, None))
            else:
                unproven = max(unproven, bound)
            continue
        total, at = found
        over[at] += 1
        lower = Within(share * total + dust, within.least if within else -np.inf, share)
        upper = Within(within.most if within else np.inf, _next(different, lower.most) / share, share)
        for part in (lower, upper):
            if part.least <= part.most / share + dust:
                number += 1
                heapq.heappush(parts, (-bound, number, part, None))
    bound = max([unproven, -np.inf if best is None else best.worth, *(-part[0] for part in parts)])
    watched = np.sort(np.argsort(-over, kind="stable")[: min(_NAMED, np.count_nonzero(over))])
    if best is None and (parts or np.isfinite(unproven)):
        best = _solved(root.rules, root.program, replace(root.solution, count=None, opened=None), None)
    if best is not None:
        dust = 1e-9 * SCALE * best.program.gain_unit
        proven = bound - best.worth <= max(gap, 1e-12) * abs(best.worth) + dust
        status = ("optimal" if gap == 0 else "gap") if proven else "time limit"
        best = replace(best, solution=replace(best.solution, status=status))
    return best, bound, watched


def _solved(rules: Rules, program: Program, solution: Solution, within: Within | None) -> Solved:
    tier_of = None if solution.count is None else program.assign(solution.count)
    return Solved(rules, program, solution, tier_of, within)


def _next(values: np.ndarray, above: float) -> float:
    at = int(np.searchsorted(values, above, side="right"))
    return float(values[at]) if at < len(values) else np.inf


def _above(book: Book, tier_of: np.ndarray, share: float) -> tuple[float, np.ndarray] | None:
    """Sum of the values of a plan and the accounts that bring more than a share of it; None if there is none."""
    at = np.flatnonzero(tier_of >= 0)
    values = book.parts["value"][at, tier_of[at]]
    total = float(values.sum())
    over = at[values > share * total + 1e-10 * float(np.abs(book.parts["value"]).max(initial=0.0))]
    return (total, over) if len(over) else None
