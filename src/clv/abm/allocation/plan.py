"""From a book and its limits to a checked plan: solve, write down, verify, and mend what rounding overran."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from clv.abm.allocation import solver
from clv.abm.allocation.book import Book
from clv.abm.allocation.limits import Limits, MarginCap
from clv.abm.allocation.program import Program, build
from clv.abm.allocation.rows import Rules, compile_rules
from clv.abm.allocation.solver import Solution
from clv.abm.allocation.verify import check_plan
from clv.errors import ClvError, InfeasibleError

#: how often a limit is tightened by what rounding a solution overran it, before giving up.
_REPAIRS = 5
#: how often accounts that bring more than the cap on one account's share are added to those that are watched.
_CAP_ROUNDS = 40
_MOST_WATCHED = 200
_ROUGH = 0.01


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
    watched = np.zeros(0, dtype=int)
    # Until the accounts that the cap on one account's share could touch are known, a rough plan will do.
    rough = cap is not None
    known: dict[str, float] = {}
    for turn in range(_CAP_ROUNDS):
        rules = compile_rules(book, declared, capped=watched)
        program = build(book, rules)
        left = max(0.1, end - time.monotonic())
        asked = max(gap, _ROUGH) if rough else gap
        start = None if turn == 0 else _start(program, known)
        solution = solver.solve(program, time_limit=left / 2 if rough else left, gap=asked, start=start)
        known = dict(zip(program.names, solution.prices * program.gain_unit / program.row_unit, strict=True))
        if solution.status == "infeasible":
            from clv.abm.allocation.clash import explain

            raise explain(book, declared, capped=watched, time_limit=max(5.0, end - time.monotonic()))
        tier_of = _tier_of(program, solution)
        over = np.zeros(0, dtype=int) if cap is None else np.setdiff1d(_over_cap(book, cap, tier_of), watched)
        if not len(over) and not rough:
            break
        # Bounds and prices without these rows are those of an easier problem: the next round adds them.
        if turn == 0 and cap is not None:
            over = np.union1d(over, _near_cap(book, rules, cap, tier_of))
        watched = np.union1d(watched, over)
        rough = rough and len(over) > 0 and turn < _CAP_ROUNDS // 2
    bound = solution.bound * program.gain_unit + program.base
    tightened, first = program, solution
    for _ in range(_REPAIRS):
        table = _table(book, tier_of)
        checked = check_plan(book, declared, table["account_id"], table["tier"])
        if not checked.faults:
            break
        # Rounding the solver's answer overran a limit: aim lower; the bound of the first answer stays valid.
        tightened = _tighten(tightened, solution)
        solution = solver.solve(tightened, time_limit=max(0.1, end - time.monotonic()), gap=gap)
        tier_of = _tier_of(tightened, solution)
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
        limits=_limit_table(program, solution, first.prices, rules),
        clusters=_clusters(book, rules, tier_of),
        holdout=pd.DataFrame({"account_id": book.accounts[rules.held_out].astype(str)}),
        work=Work(book, declared, rules, program, first, tier_of),
    )


def _tier_of(program: Program, solution: Solution) -> np.ndarray:
    if solution.count is None:
        raise InfeasibleError(
            "No plan was found in the time allowed; that there is none has not been proven.",
            mend="Allow more time, or lower the fewest counts.",
        )
    return program.assign(solution.count)


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


def _over_cap(book: Book, share: float, tier_of: np.ndarray) -> np.ndarray:
    at = np.flatnonzero(tier_of >= 0)
    values = book.parts["value"][at, tier_of[at]]
    return at[values > share * values.sum() + 1e-10 * float(np.abs(book.parts["value"]).max(initial=0.0))]


def _start(program: Program, known: dict[str, float]) -> np.ndarray | None:
    """Prices of the same limits in the last round, in this program's units."""
    money = np.array([known.get(name, 0.0) for name in program.names])
    if not np.isfinite(money).all():
        return None
    return np.maximum(0.0, money * program.row_unit / program.gain_unit)


def _near_cap(book: Book, rules: Rules, share: float, tier_of: np.ndarray) -> np.ndarray:
    """Accounts that might bring too much: some option brings nine tenths of what the cap would now allow."""
    at = np.flatnonzero(tier_of >= 0)
    total = book.parts["value"][at, tier_of[at]].sum()
    best = np.where(rules.has, book.parts["value"], -np.inf).max(axis=1)
    near = np.flatnonzero(best > 0.9 * share * total)
    return near if len(near) <= _MOST_WATCHED else np.zeros(0, dtype=int)


def _tighten(program: Program, solution: Solution) -> Program:
    """Lower the limits that a plan overran by twice the excess."""
    used = program.used(solution.count, solution.opened)  # type: ignore[arg-type]
    excess = used - program.limit
    return replace(program, limit=program.limit - np.where(excess > 0, 2 * excess, 0.0))


def _limit_table(program: Program, solution: Solution, prices: np.ndarray, rules: Rules) -> pd.DataFrame:
    """Set what is used of each limit beside what is allowed and what one unit more would bring."""
    used = program.used(solution.count, solution.opened) * program.row_unit  # type: ignore[arg-type]
    constant = np.concatenate([np.full(len(f.names), f.constant) for f in rules.families] or [np.zeros(0)])
    allowed = np.concatenate([f.amounts for f in rules.families] or [np.zeros(0)])
    money = prices * program.gain_unit / program.row_unit + 0.0
    frame = pd.DataFrame({"limit": program.names, "used": used + constant, "allowed": allowed, "price": money})
    # In scaled units, where the largest gain is 1,000: below this it is the solver's zero.
    with np.errstate(invalid="ignore"):
        frame["binds"] = prices > 1e-7
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
