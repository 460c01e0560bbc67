"""The two calls to HiGHS (Huangfu & Hall 2018): the linear relaxation and branch and bound on a core."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.abm.program import Program


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Prices of the limits, and the relaxation rounded down where that is a plan."""

    status: str
    prices: np.ndarray
    whole: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Found:
    """The best plan within a core and the bound on all plans within it."""

    status: str
    count: np.ndarray | None
    bound: float


def _classes(program: Program, entries: np.ndarray, groups: np.ndarray) -> Any:
    """One row a class in `groups`: the sum of its options among `entries`."""
    from scipy.sparse import csr_array

    row = np.searchsorted(groups, program.owner[entries])
    return csr_array((np.ones(len(entries)), (row, np.arange(len(entries)))), shape=(len(groups), len(entries)))


def relax(program: Program, seconds: float) -> Relaxation:
    """Solve the linear relaxation.

    Returns
    -------
    Relaxation
        ``status`` is ``optimal``, ``infeasible`` or ``time limit``; ``whole`` is None where rounding down may leave
        a fewest count unmet.
    """
    from scipy.optimize import linprog
    from scipy.sparse import vstack

    k, n = program.side.shape
    needs = program.limit < 0  # fewest counts, turned round
    if n == 0:
        infeasible = bool(needs.any())
        return Relaxation("infeasible" if infeasible else "optimal", np.zeros(k), np.zeros(0, dtype=int))
    groups = np.unique(program.owner)
    rows = vstack([program.side, _classes(program, np.arange(n), groups)], format="csr")
    done = linprog(
        -program.gain,
        A_ub=rows,
        b_ub=np.concatenate([program.limit, program.size[groups]]),
        # Implied by the classes; said again, it makes the simplex method fifteen times as fast.
        bounds=np.column_stack([np.zeros(n), program.size[program.owner]]),
        method="highs",
        options={"time_limit": max(seconds, 0.01)},
    )
    if done.status == 2:
        return Relaxation("infeasible", np.full(k, np.nan), None)
    nothing = None if needs.any() else np.zeros(n, dtype=int)
    if done.status != 0:
        return Relaxation("time limit", np.full(k, np.nan), nothing)
    prices = np.maximum(0.0, -np.asarray(done.ineqlin.marginals)[:k])
    whole = None if needs.any() else np.floor(done.x + 1e-9).astype(int)
    if whole is not None and (program.side @ whole > program.limit + 1e-9).any():
        whole = nothing
    return Relaxation("optimal", prices, whole)


def search(program: Program, options: np.ndarray, leave_out: np.ndarray, seconds: float) -> Found:
    """Find the best plan that uses only some options and leaves out accounts of some classes only.

    Parameters
    ----------
    program : Program
    options : numpy.ndarray
        (E,) flags: the options that may be used.
    leave_out : numpy.ndarray
        (G,) flags: the classes of which an account may get nothing.
    seconds : float
        Time for branch and bound.

    Returns
    -------
    Found
        ``status`` is ``optimal``, ``infeasible`` or ``time limit``.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    choices = np.bincount(program.owner, weights=options, minlength=len(program.size)) + leave_out
    fixed = options & (choices == 1)[program.owner] & ~leave_out[program.owner]
    count = np.where(fixed, program.size[program.owner], 0)
    gained = float(program.gain @ count)
    limit = program.reachable - program.side @ count
    core = np.flatnonzero(options & (choices > 1)[program.owner])
    if len(core) == 0:
        feasible = bool((limit >= -1e-9 * np.maximum(1.0, np.abs(program.limit))).all())
        return Found("optimal", count, gained) if feasible else Found("infeasible", None, -np.inf)
    groups = np.unique(program.owner[core])
    size = program.size[groups].astype(float)
    constraints = [LinearConstraint(_classes(program, core, groups), np.where(leave_out[groups], 0.0, size), size)]
    if len(limit):
        constraints.append(LinearConstraint(program.side[:, core], -np.inf, limit))
    with _quiet():
        done = milp(
            -program.gain[core],
            constraints=constraints,
            integrality=np.ones(len(core)),
            bounds=Bounds(0, program.size[program.owner[core]].astype(float)),
            options={"mip_rel_gap": 0.0, "time_limit": max(seconds, 0.01)},
        )
    if done.status == 2:
        return Found("infeasible", None, -np.inf)
    bound = np.inf if done.mip_dual_bound is None else gained - done.mip_dual_bound
    if done.x is not None:
        count = count.copy()
        count[core] = np.rint(done.x).astype(int)
    return Found("optimal" if done.status == 0 else "time limit", count if done.x is not None else None, bound)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the page what HiGHS writes past Python.

    Some of its releases print a forgotten debugging line ("transformNewIntegerFeasibleSolution …") whatever their
    options say. It goes through C's buffer, which therefore is emptied before and after. Where the platform has no
    such streams the line is harmless and stays.
    """
    try:
        c = ctypes.CDLL(None)
        c.fflush(None)
        kept = os.dup(1)
    except (OSError, TypeError, AttributeError):
        yield
        return
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.close(sink)
        yield
    finally:
        c.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
