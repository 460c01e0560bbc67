"""Exact solution: prices from the relaxation, then branch and bound on the options that could still matter.

The relaxation's prices λ ≥ 0 give a bound that any floating-point reader can recompute,
``L(λ) = λ·limit + Σ_class size × max(0, max_option(gain − λ·use))``, and for each option its *regret*: how much its
account loses at these prices against its best choice. A plan that takes options with a total regret of ρ is worth at
most ``L − ρ`` (weak duality: Fisher 1981; reduced-cost fixing: Nemhauser & Wolsey 1988, II.5.3). So once a plan
worth P is known, no option with a regret above ``L − P`` can be in a better one, and an exact search over the others,
the core, proves the whole.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from clv.abm.program import SCALE, Program

#: options and leavings-out beside each account's best choice that the first core takes in.
_FIRST_CORE = 300


@dataclass(frozen=True, eq=False)
class Solution:
    """What the solver found, in scaled units.

    Attributes
    ----------
    count : numpy.ndarray or None
        (E,) how many of each class get each option; None if no plan was found.
    bound : float
        No plan is worth more.
    prices : numpy.ndarray
        (K,) ≥ 0, gain by one more scaled unit of each limit, in the relaxation; NaN if it was not solved.
    status : str
        ``optimal``, ``time limit`` or ``infeasible``.
    """

    count: np.ndarray | None
    bound: float
    prices: np.ndarray
    status: str


def solve(program: Program, *, time_limit: float = 60.0) -> Solution:
    """Solve a program exactly, or as well as the time allows.

    Parameters
    ----------
    program : Program
    time_limit : float
        Seconds. What is found within them depends on the machine; a proven optimum does not.

    Returns
    -------
    Solution
    """
    from clv.abm.highs import relax, search

    end = time.monotonic() + time_limit
    start = relax(program, time_limit)
    if start.status == "infeasible":
        return Solution(None, -np.inf, start.prices, "infeasible")
    # Unsolved for lack of time: prices of 0 are a valid, weak bound.
    prices = np.nan_to_num(start.prices, nan=0.0)
    bound, regret, left_out = _lagrangian(program, prices)
    best, worth = start.whole, -np.inf
    if best is not None:
        worth = float(program.gain @ best)
    width = _first_width(np.concatenate([regret, left_out]))
    reached = bound
    while True:
        everything = width >= max(regret.max(initial=0.0), left_out.max(initial=0.0))
        found = search(program, regret <= width, left_out <= width, end - time.monotonic())
        outside = -np.inf if everything else bound - width
        reached = min(reached, max(found.bound, outside))
        if found.count is not None and (best is None or program.gain @ found.count > worth):
            best, worth = found.count, float(program.gain @ found.count)
        if found.status == "time limit":
            return Solution(best, max(reached, worth), start.prices, "time limit")
        if found.status == "infeasible" and everything:
            return Solution(None, -np.inf, start.prices, "infeasible")
        if found.status == "optimal" and (everything or width >= bound - worth):
            return Solution(best, max(reached, worth), start.prices, "optimal")
        # The core was too narrow: to hold every better plan, or to hold any plan at all.
        width = max(width * 2, (bound - worth) * (1 + 1e-9) if np.isfinite(worth) else width * 8, SCALE * 1e-6)


def _lagrangian(program: Program, prices: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Bound, regret of each option, and regret of leaving out one account of each class, at given prices."""
    net = program.gain - program.side.T @ prices
    best = np.zeros(len(program.size))
    np.maximum.at(best, program.owner, net)
    bound = float(prices @ program.reachable + program.size @ best)
    held = np.bincount(program.owner, minlength=len(best)) > 0
    return bound, best[program.owner] - net, np.where(held, best, 0.0)


def _first_width(regrets: np.ndarray) -> float:
    """Take the regret that leaves about `_FIRST_CORE` choices open, all of them in a small book."""
    positive = np.sort(regrets[regrets > SCALE * 1e-9])
    return np.inf if len(positive) <= _FIRST_CORE else float(positive[_FIRST_CORE])
