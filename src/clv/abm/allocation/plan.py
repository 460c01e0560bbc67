"""From a book and its limits to a checked plan: solve, write down, verify, and mend what rounding overran."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from clv.abm.allocation import solver
from clv.abm.allocation.book import Book
from clv.abm.allocation.cap import Solved, solve_capped, solve_once
from clv.abm.allocation.limits import Limits, MarginCap
from clv.abm.allocation.program import Program
from clv.abm.allocation.rows import Rules
from clv.abm.allocation.solver import Solution
from clv.abm.allocation.verify import check_plan
from clv.abm.allocation.wording import CAP
from clv.errors import ClvError, InfeasibleError

#: how often a limit is tightened by what rounding a solution overran it, before giving up.
_REPAIRS = 5


@dataclass(frozen=True, eq=False)
class Work:
    """What a plan was made from: for explanations, and for what builds on it."""

    book: Book
    declared: Limits
    rules: Rules
    program: Program
    solution: Solution
    tier_of: np.ndarray


@dataclass(frozen=True, eq=False)
class Made:
    """A checked plan with its certificate."""

    table: pd.DataFrame
    objective: float
    bound: float
    status: Literal["optimal", "gap", "time limit"]
    limits: pd.DataFrame
    clusters: pd.DataFrame
    holdout: pd.DataFrame
    work: Work


def make_plan(book: Book, declared: Limits, *, gap: float, end: float) -> Made:
    """Solve a book, and check the plan by means that share nothing with the solver."""
    cap = next((limit.share for limit in declared.declared if isinstance(limit, MarginCap)), None)
    solved: Solved | None
    watched = None
    if cap is None:
        solved = solve_once(book, declared, gap=gap, seconds=end - time.monotonic())
        bound = solved.bound
    else:
        solved, bound, watched = solve_capped(book, declared, cap, gap=gap, end=end)
    if solved is None or solved.solution.status == "infeasible":
        from clv.abm.allocation.clash import explain

        raise explain(book, declared, capped=watched, time_limit=max(5.0, end - time.monotonic()))
    if solved.tier_of is None:
        raise _not_found()
    rules, program, solution, tier_of = solved.rules, solved.program, solved.solution, solved.tier_of
    tightened, first = program, solution
    for _ in range(_REPAIRS):
        table = _table(book, tier_of)
        checked = check_plan(book, declared, table["account_id"], table["tier"])
        if not checked.faults:
            break
        # Rounding the solver's answer overran a limit: aim lower; the bound of the first answer stays valid.
        tightened = _tighten(tightened, solution)
        solution = solver.solve(tightened, time_limit=max(0.1, end - time.monotonic()), gap=gap)
        if solution.count is None:
            raise _not_found()
        tier_of = tightened.assign(solution.count)
    else:
        raise ClvError(f"The solver's plan breaks a limit: {'; '.join(checked.faults)}.", mend="Please report this.")
    objective = checked.objective
    status: Literal["optimal", "gap", "time limit"] = (
        solution.status if solution.status in ("optimal", "gap") else "time limit"  # type: ignore[assignment]
    )
    return Made(
        table=table,
        objective=objective,
        bound=max(bound, objective),
        status=status,
        limits=_limit_table(solved, solution, book),
        clusters=_clusters(book, rules, tier_of),
        holdout=pd.DataFrame({"account_id": book.accounts[rules.held_out].astype(str)}),
        work=Work(book, declared, rules, program, first, tier_of),
    )


def _not_found() -> InfeasibleError:
    return InfeasibleError(
        "No plan was found in the time allowed; that there is none has not been proven.",
        mend="Allow more time, or lower the fewest counts.",
    )


def _table(book: Book, tier_of: np.ndarray) -> pd.DataFrame:
    names = pd.Index([*book.tiers, "none"], dtype=object)
    row = np.arange(len(tier_of))
    taken = tier_of >= 0
    columns: dict[str, pd.Index | np.ndarray] = {
        "account_id": book.accounts.astype(str),
        "tier": names.take(tier_of).astype(str),
    }
    for name in ("value", "cost", "hours"):
        columns[name] = np.where(taken, book.parts[name][row, tier_of], 0.0)
    return pd.DataFrame(columns)


def _tighten(program: Program, solution: Solution) -> Program:
    """Lower the limits that a plan overran by twice the excess."""
    used = program.used(solution.count, solution.opened)  # type: ignore[arg-type]
    excess = used - program.limit
    return replace(program, limit=program.limit - np.where(excess > 0, 2 * excess, 0.0))


def _limit_table(solved: Solved, solution: Solution, book: Book) -> pd.DataFrame:
    """Set what is used of each limit beside what is allowed and what one unit more would bring."""
    program, prices = solved.program, solved.solution.prices
    families = solved.rules.families
    used = program.used(solution.count, solution.opened) * program.row_unit  # type: ignore[arg-type]
    constant = np.concatenate([np.full(len(f.names), f.constant) for f in families] or [np.zeros(0)])
    allowed = np.concatenate([f.amounts for f in families] or [np.zeros(0)])
    money = prices * program.gain_unit / program.row_unit + 0.0
    frame = pd.DataFrame({"limit": program.names, "used": used + constant, "allowed": allowed, "price": money})
    # In scaled units, where the largest gain is 1,000: below this it is the solver's zero.
    with np.errstate(invalid="ignore"):
        frame["binds"] = prices > 1e-7
    if solved.within is not None:
        tier_of = program.assign(solution.count)  # type: ignore[arg-type]
        at = np.flatnonzero(tier_of >= 0)
        values = book.parts["value"][at, tier_of[at]]
        share = float(values.max(initial=0.0) / (values.sum() or 1.0))
        cap = solved.within.share
        names = [f"{CAP} {100 * cap:.4g}% of the planned margin"]
        last = pd.DataFrame({"limit": names, "used": share, "allowed": cap, "price": 0.0, "binds": True})
        frame = pd.concat([frame, last], ignore_index=True) if len(frame) else last
    return frame


def _clusters(book: Book, rules: Rules, tier_of: np.ndarray) -> pd.DataFrame:
    opened = rules.clusters
    if opened is None:
        return pd.DataFrame({"cluster": [], "tier": [], "accounts": [], "cost": []})
    code = opened.code[tier_of == opened.tier]
    number = np.bincount(code, minlength=len(opened.names))
    at = np.flatnonzero(number)
    names = [opened.names[k] for k in at]
    tier = book.tiers[opened.tier]
    return pd.DataFrame({"cluster": names, "tier": tier, "accounts": number[at], "cost": opened.cost[at]})
