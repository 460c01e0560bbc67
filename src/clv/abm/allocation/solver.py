"""The search: prices first, then branch and bound on the options that could still matter.

In a small book the prices are those of the linear relaxation; in a large one they come from `clv.abm.allocation.dual`
and are made exact by a relaxation of the accounts near a tie. A search over the core, the options of small regret,
gives a plan; the core grows until no option outside it can be in a better plan, or until the plan is as near to the
bound as was asked for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from clv.abm.allocation import dual, highs
from clv.abm.allocation.highs import Choices
from clv.abm.allocation.prices import Priced, price
from clv.abm.allocation.program import SCALE, Program
from clv.abm.allocation.repair import repair

#: options and leavings-out beside each account's best choice that the first core takes in.
_FIRST_CORE = 300
#: programs with so many options at most are relaxed as a whole.
_SMALL = 6_000
#: choices near a tie with which prices are made exact, and how often that is tried with ever more.
_POLISH = 1_500
_POLISH_TURNS = 20
#: a bound as near as this to the relaxation's is exact.
_EXACT = 1e-10
#: classes that are set free for each limit that the core did not touch.
_FREED = 40


@dataclass(frozen=True, eq=False)
class Solution:
    """What the solver found, in scaled units.

    Attributes
    ----------
    count : numpy.ndarray or None
        (E,) how many of each class get each option; None if no plan was found.
    opened : numpy.ndarray or None
        (C,) 1 for each open cluster.
    bound : float
        No plan is worth more.
    prices : numpy.ndarray
        (K,) ≥ 0, gain by one more scaled unit of each limit, in the relaxation; NaN if they were not found.
    status : str
        ``optimal``, ``gap`` (as near to the bound as was asked for), ``time limit``, ``infeasible`` or ``beaten`` (no
        plan is worth more than what was of use).
    """

    count: np.ndarray | None
    opened: np.ndarray | None
    bound: float
    prices: np.ndarray
    status: str


def solve(
    program: Program,
    *,
    time_limit: float = 60.0,
    gap: float = 0.0,
    start: np.ndarray | None = None,
    priced: Priced | None = None,
    beyond: float = -np.inf,
) -> Solution:
    """Solve a program exactly, or as well as was asked for or the time allows.

    Parameters
    ----------
    program : Program
    time_limit : float
        Seconds. What is found within them depends on the machine; a proven optimum does not.
    gap : float
        Share of the plan's worth by which it may fall short of the bound.
    start : numpy.ndarray, optional
        (K,) prices of a like program, from which a large one's are found sooner.
    priced : Priced, optional
        The program at prices that are good enough; no others are looked for.
    beyond : float
        Plans that are worth no more are of no use: the search ends once it is proven that there is no other.

    Returns
    -------
    Solution
    """
    end = time.monotonic() + time_limit
    unknown = np.full(len(program.limit), np.nan)
    if bool((program.must & (np.bincount(program.owner, minlength=len(program.size)) == 0)).any()):
        return Solution(None, None, -np.inf, unknown, "infeasible")
    priced, known = best_prices(program, end, start) if priced is None else (priced, True)
    if priced is None:
        return Solution(None, None, -np.inf, unknown, "infeasible")
    prices = priced.prices if known else unknown
    if priced.bound <= beyond:
        return Solution(None, None, priced.bound, prices, "beaten")
    reached, best = priced.bound, repair(program, priced)
    width, widest = width_of(priced, _FIRST_CORE), _widest(priced)
    while True:
        worth = -np.inf if best is None else program.worth(*best)
        allowed = _allowed(program, worth, gap)
        if reached <= beyond:
            return Solution(None, None, reached, prices, "beaten")
        if best is not None and reached - worth <= allowed:
            return Solution(*best, max(reached, worth), prices, "optimal" if gap == 0 else "gap")
        everything = width >= widest
        # No plan outside the core is worth more than this: to prove more of the core is of no use yet.
        outside = -np.inf if everything else priced.bound - width
        enough = outside <= worth
        fine = 0.5 * allowed if gap else 0.0
        if not enough and best is not None:
            fine = max(fine, 0.2 * (outside - worth))
        found = highs.search(program, near(priced, width), end - time.monotonic(), fine)
        reached = min(reached, max(found.bound, outside))
        if found.count is not None and found.opened is not None:
            new = program.worth(found.count, found.opened)
            if best is None or new > worth:
                best, worth = (found.count, found.opened), new
        if found.status == "time limit":
            count, opened = best or (None, None)
            return Solution(count, opened, max(reached, worth), prices, "time limit")
        if found.status == "infeasible" and everything and best is None:
            return Solution(None, None, -np.inf, unknown, "infeasible")
        if best is not None and enough:
            exact = gap == 0 or reached - worth <= _allowed(program, worth, 0.0)
            return Solution(*best, max(reached, worth), prices, "optimal" if exact else "gap")
        # The core was too narrow: to hold every better plan, or to hold any plan at all.
        sufficient = (priced.bound - worth) * (1 + 1e-9)
        width = max(width * 8, SCALE * 1e-6) if best is None else min(max(width * 2, SCALE * 1e-6), sufficient)


def near(priced: Priced, width: float) -> Choices:
    """Everything that loses at most so much."""
    return Choices(priced.regret <= width, priced.left_out <= width, priced.opened <= width, priced.closed <= width)


def _allowed(program: Program, worth: float, gap: float) -> float:
    """Scaled gain by which a plan may fall short; at 0 a trillionth for rounding."""
    if not np.isfinite(worth):
        return 0.0
    return max(gap, 1e-12) * abs(worth + program.base / program.gain_unit)


def _regrets(priced: Priced) -> np.ndarray:
    return np.concatenate([priced.regret, priced.left_out, priced.opened, priced.closed])


def _widest(priced: Priced) -> float:
    regrets = _regrets(priced)
    return float(regrets[np.isfinite(regrets)].max(initial=0.0))


def width_of(priced: Priced, many: int) -> float:
    """Take the regret that leaves about so many choices open, all of them in a small book."""
    regrets = _regrets(priced)
    positive = regrets[(regrets > SCALE * 1e-9) & np.isfinite(regrets)]
    return _widest(priced) if len(positive) <= many else float(np.partition(positive, many)[many])


def best_prices(
    program: Program, end: float, start: np.ndarray | None, exact: float = _EXACT
) -> tuple[Priced | None, bool]:
    """Find the best prices; flag: they are prices and no makeshift. None if there is no plan even in part."""
    k = len(program.limit)
    if k == 0:
        return price(program, np.zeros(0)), True
    if len(program.gain) + len(program.fewest) <= _SMALL:
        relaxed = highs.relax(program, Choices.everything(program), end - time.monotonic())
        if relaxed.status == "infeasible":
            return None, False
        # Unsolved for lack of time: prices of 0 are a valid, weak bound.
        known = relaxed.status == "optimal"
        return price(program, np.nan_to_num(relaxed.prices, nan=0.0)), known
    guess = dual.approximate(program, end) if start is None else price(program, start)
    return polish(program, guess, end, exact), True


def polish(program: Program, best: Priced, end: float, exact: float = _EXACT) -> Priced:
    """Make prices exact by the relaxation of what is near a tie, within a box around them that moves and grows.

    The bound is then above the relaxation's by a share `exact` of it at most, unless time runs out.
    """
    many, room = _POLISH + 40 * len(program.limit), 1.0
    more: Choices | None = None
    at_edge = np.inf
    end = (time.monotonic() + end) / 2  # the other half is for the search
    usual = float(np.abs(program.gain).mean()) / np.maximum(
        np.asarray(abs(program.side).sum(axis=0)).ravel() / max(1, len(program.gain)), 1e-12
    )
    for _ in range(_POLISH_TURNS):
        left = end - time.monotonic()
        if left <= 0:
            break
        lowest = best.prices / (1 + room) if room <= 1 else np.zeros(len(usual))
        box = lowest, best.prices, best.prices * (1 + room) + room * usual
        core = near(best, width_of(best, many))
        relaxed = highs.relax(program, core if more is None else core.union(more), left, box)
        if relaxed.status != "optimal":
            break
        there = price(program, relaxed.prices)
        chosen = near(there, SCALE * 1e-9)
        best = _towards(program, best, there)
        if relaxed.stuck is not None and relaxed.stuck.any():
            freed = _touching(program, best, relaxed.stuck).union(chosen)
            more = freed if more is None else more.union(freed)
        elif best.bound <= relaxed.bound + exact * abs(best.bound):
            edge = (relaxed.prices >= box[2] * (1 - 1e-9)) | ((relaxed.prices <= box[0] * (1 + 1e-9)) & (box[0] > 0))
            if not edge.any() or at_edge - relaxed.bound <= exact * abs(at_edge):
                break
            at_edge = relaxed.bound
            room *= 4  # the best prices may lie outside
        else:
            # What was held fixed has changed at the new prices: let it change.
            more = chosen if more is None else more.union(chosen)
    return best


def _touching(program: Program, priced: Priced, rows: np.ndarray) -> Choices:
    """Open all choices of the classes nearest to a tie among those that use some limits."""
    second = dual.second_regret(program, priced)
    columns = program.side[:, np.flatnonzero(rows)].tocsc()
    free = np.zeros(len(program.size), dtype=bool)
    for a, b in zip(columns.indptr[:-1], columns.indptr[1:], strict=True):
        classes = np.unique(program.owner[columns.indices[a:b]])
        free[classes[np.argsort(second[classes], kind="stable")[:_FREED]]] = True
    options = free[program.owner]
    clusters = np.zeros(len(program.fewest), dtype=bool)
    clusters[program.cluster[options & (program.cluster >= 0)]] = True
    return Choices(options, free & ~program.must, clusters, clusters)


def _towards(program: Program, best: Priced, there: Priced) -> Priced:
    """Go to new prices, or a part of the way if the bound is lower there."""
    lowest = min(best, there, key=lambda one: one.bound)
    if lowest is there:
        return there
    for part in (0.5, 0.2, 0.05):
        found = price(program, best.prices + part * (there.prices - best.prices))
        if found.bound < lowest.bound:
            lowest = found
        elif lowest is not best:
            break
    return lowest
