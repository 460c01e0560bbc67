"""The two calls to HiGHS (Huangfu & Hall 2018): the linear relaxation of a core, and branch and bound on it.

A core is what is left of a program when every class with one choice only has it, and every cluster that is surely open
or surely closed is so.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.abm.allocation.program import Program


@dataclass(frozen=True, eq=False)
class Choices:
    """What may be chosen: options (E,), leaving out (G,), opening (C,) and closing (C,) of clusters; flags."""

    options: np.ndarray
    leave_out: np.ndarray
    opening: np.ndarray
    closing: np.ndarray

    @classmethod
    def everything(cls, program: Program) -> Choices:
        """Leave all open."""
        clusters = np.ones(len(program.fewest), dtype=bool)
        return cls(np.ones(len(program.gain), dtype=bool), ~program.must, clusters, clusters)

    def union(self, other: Choices) -> Choices:
        """Allow what either allows."""
        return Choices(
            self.options | other.options,
            self.leave_out | other.leave_out,
            self.opening | other.opening,
            self.closing | other.closing,
        )


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Prices (K,) of the limits and the bound within a core.

    `stuck` (K,) flags limits that no open choice touches though their price is too low or too high.
    """

    status: str
    prices: np.ndarray
    bound: float
    stuck: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """The best plan within a core (counts of options, open clusters) and the bound on all plans within it."""

    status: str
    count: np.ndarray | None
    opened: np.ndarray | None
    bound: float


@dataclass(frozen=True, eq=False)
class Core:
    """A core as HiGHS wants it: columns are open options and undecided clusters."""

    entries: np.ndarray
    clusters: np.ndarray
    count: np.ndarray
    opened: np.ndarray
    fixed: float
    gain: np.ndarray
    most: np.ndarray
    rows: Any
    lower: np.ndarray
    upper: np.ndarray
    kept: np.ndarray
    spare: np.ndarray
    groups: int
    possible: bool


def core_of(program: Program, choices: Choices) -> Core:
    """Fix what has one choice and write rows for the rest."""
    from scipy.sparse import csr_array, hstack, vstack

    c = len(program.fewest)
    shut = ~choices.opening
    options = choices.options.copy()
    if c:
        options &= ~((program.cluster >= 0) & shut[np.maximum(program.cluster, 0)])
    number = np.bincount(program.owner, weights=options, minlength=len(program.size)) + choices.leave_out
    possible = bool((number > 0).all())
    single = options & (number == 1)[program.owner]
    opened = (choices.opening & ~choices.closing).astype(float)
    if c:
        opened[program.cluster[single & (program.cluster >= 0)]] = 1.0
    undecided = np.flatnonzero(choices.opening & (opened == 0))
    count = np.where(single, program.size[program.owner], 0)
    core = np.flatnonzero(options & ~single)
    limit = program.reachable - program.used(count, opened)
    groups, row = np.unique(program.owner[core], return_inverse=True)
    size = program.size[groups].astype(float)
    n, z = len(core), len(undecided)
    side = program.side[core].T.tocsr()
    opening = np.zeros((len(limit), z))
    if z and program.budget >= 0:
        opening[program.budget] = program.open_side[undecided]
    full = hstack([side, csr_array(opening)], format="csr") if z else side
    touched = np.diff(full.indptr) > 0
    kept = np.flatnonzero(touched)
    # A row that no open choice touches holds, or nothing can make it hold.
    slack = 1e-9 * np.maximum(1.0, np.abs(program.limit))
    possible &= bool((limit[~touched] >= -slack[~touched]).all())
    own = csr_array((np.ones(n), (row, np.arange(n))), shape=(len(groups), n + z))
    parts, lower, upper = [own], [np.where(choices.leave_out[groups], 0.0, size)], [size]
    parts.append(full[kept])
    lower.append(np.full(len(kept), -np.inf))
    upper.append(limit[kept])
    if c:
        more = _cluster_rows(program, core, undecided, count, opened, n + z)
        possible &= more[3]
        parts.append(more[0])
        lower.append(more[1])
        upper.append(more[2])
    return Core(
        entries=core,
        clusters=undecided,
        count=count,
        opened=opened,
        fixed=program.worth(count, opened),
        gain=np.concatenate([program.gain[core], program.open_gain[undecided]]),
        most=np.concatenate([program.size[program.owner[core]].astype(float), np.ones(z)]),
        rows=vstack(parts, format="csr"),
        lower=np.concatenate(lower),
        upper=np.concatenate(upper),
        kept=kept,
        spare=limit,
        groups=len(groups),
        possible=possible,
    )


def _cluster_rows(
    program: Program, core: np.ndarray, undecided: np.ndarray, count: np.ndarray, opened: np.ndarray, width: int
) -> tuple[Any, np.ndarray, np.ndarray, bool]:
    """Sizes of open clusters, and what ties an option to an undecided one."""
    from scipy.sparse import csr_array

    c, n = len(program.fewest), len(core)
    inside = np.flatnonzero(program.cluster[core] >= 0)
    home = program.cluster[core[inside]]
    placed = program.cluster >= 0
    already = np.bincount(program.cluster[placed], weights=count[placed], minlength=c)
    column = np.full(c, -1)
    column[undecided] = n + np.arange(len(undecided))
    is_open = opened > 0
    has_core = np.bincount(home, minlength=c) > 0
    short = is_open & ~has_core & ((already < program.fewest) | (already > program.most))
    sized = np.flatnonzero((is_open & has_core) | (column >= 0))
    place = np.full(c, -1)
    place[sized] = np.arange(len(sized))
    member = place[home] >= 0
    rows = [place[home[member]]]
    cols = [inside[member]]
    values = [np.ones(int(member.sum()))]
    free = column[sized] >= 0
    s = len(sized)
    # Σ x − most z <= 0 and fewest z − Σ x <= 0 where z is open to choice; plain bounds where it is open.
    upper_rows = csr_array(
        (
            np.concatenate([values[0], -program.most[sized[free]]]),
            (np.concatenate([rows[0], np.flatnonzero(free)]), np.concatenate([cols[0], column[sized[free]]])),
        ),
        shape=(s, width),
    )
    lower_rows = csr_array(
        (
            np.concatenate([values[0], -program.fewest[sized[free]]]),
            (np.concatenate([rows[0], np.flatnonzero(free)]), np.concatenate([cols[0], column[sized[free]]])),
        ),
        shape=(s, width),
    )
    top = np.where(free, 0.0, program.most[sized] - already[sized])
    low = np.where(free, 0.0, program.fewest[sized] - already[sized])
    tie = inside[column[home] >= 0]
    reach = np.minimum(program.size[program.owner[core[tie]]], program.most[program.cluster[core[tie]]])
    t = len(tie)
    tied = csr_array(
        (
            np.concatenate([np.ones(t), -reach]),
            (np.tile(np.arange(t), 2), np.concatenate([tie, column[program.cluster[core[tie]]]])),
        ),
        shape=(t, width),
    )
    from scipy.sparse import vstack

    return (
        vstack([upper_rows, lower_rows, tied], format="csr"),
        np.concatenate([np.full(s, -np.inf), low, np.full(t, -np.inf)]),
        np.concatenate([top, np.full(s, np.inf), np.zeros(t)]),
        not bool(short.any()),
    )


def relax(
    program: Program,
    choices: Choices,
    seconds: float,
    box: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Relaxation:
    """Solve the linear relaxation of a core.

    Parameters
    ----------
    box : tuple of numpy.ndarray, optional
        (K,) lowest, present and highest price: above the highest a limit may be overrun for money, below the lowest
        it is sold; limits that no open choice touches stay at their present price.

    Returns
    -------
    Relaxation
        ``status`` is ``optimal``, ``infeasible`` or ``time limit``.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, hstack, vstack

    k = len(program.limit)
    core = core_of(program, choices)
    if not core.possible and box is None:
        return Relaxation("infeasible", np.full(k, np.nan), -np.inf)
    top, low = np.isfinite(core.upper), np.isfinite(core.lower) & (core.lower > -np.inf)
    equal = top & low & (core.lower == core.upper)
    up, down = np.flatnonzero(top & ~equal), np.flatnonzero(low & ~equal & (core.lower != 0.0))
    # Rows whose lower end is 0 and whose uses are not negative need no lower end.
    some = np.flatnonzero(low & ~equal & (core.lower == 0.0))
    down = np.concatenate([down, some[core.rows[some].min(axis=1).toarray().ravel() < 0]]) if len(some) else down
    rows = vstack([core.rows[up], -core.rows[down]], format="csr")
    right = np.concatenate([core.upper[up], -core.lower[down]])
    gain, most = core.gain, core.most
    price_rows = _price_rows(core, up)
    if box is not None:
        lowest, _, highest = (end[core.kept] for end in box)
        sold = np.flatnonzero(lowest > 0)
        m = len(core.kept)
        extra = csr_array(
            (
                np.concatenate([-np.ones(m), np.ones(len(sold))]),
                (np.concatenate([price_rows, price_rows[sold]]), np.arange(m + len(sold))),
            ),
            shape=(rows.shape[0], m + len(sold)),
        )
        rows = hstack([rows, extra], format="csr")
        gain = np.concatenate([gain, -highest, lowest[sold]])
        most = np.concatenate([most, np.full(m + len(sold), np.inf)])
    prices, fixed, stuck = np.zeros(k), core.fixed, np.zeros(k, dtype=bool)
    if box is not None:
        untouched = np.setdiff1d(np.arange(k), core.kept)
        prices[untouched] = box[1][untouched]
        fixed += float(prices @ core.spare)
        dust = 1e-9 * np.maximum(1.0, np.abs(program.limit))
        wrong = (core.spare < -dust) | ((core.spare > dust) & (prices > 1e-12))
        stuck[untouched] = wrong[untouched]
    if rows.shape[1] == 0:
        return Relaxation("optimal", prices, fixed, stuck)
    done = linprog(
        -gain,
        A_ub=rows,
        b_ub=right,
        A_eq=_padded(core.rows[equal], len(gain)),
        b_eq=core.upper[equal],
        # Implied by the classes; said again, it makes the simplex method fifteen times as fast.
        bounds=np.column_stack([np.zeros(len(gain)), most]),
        method="highs",
        options={"time_limit": max(seconds, 0.01)},
    )
    if done.status == 2:
        return Relaxation("infeasible", np.full(k, np.nan), -np.inf)
    if done.status != 0:
        return Relaxation("time limit", np.full(k, np.nan), np.inf)
    prices[core.kept] = np.maximum(0.0, -np.asarray(done.ineqlin.marginals)[price_rows])
    return Relaxation("optimal", prices, fixed - done.fun, stuck)


def _price_rows(core: Core, up: np.ndarray) -> np.ndarray:
    """Where the rows of the limits are among the rows with an upper end."""
    place = np.full(len(core.upper), -1)
    place[up] = np.arange(len(up))
    return place[core.groups : core.groups + len(core.kept)]


def _padded(rows: Any, width: int) -> Any:
    from scipy.sparse import csr_array

    return csr_array((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], width))


def search(program: Program, choices: Choices, seconds: float, gap: float = 0.0) -> Found:
    """Find the best plan within a core.

    Parameters
    ----------
    program : Program
    choices : Choices
    seconds : float
        Time for branch and bound.
    gap : float
        Scaled gain by which a plan may fall short of the best one.

    Returns
    -------
    Found
        ``status`` is ``optimal``, ``infeasible`` or ``time limit``.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    core = core_of(program, choices)
    if not core.possible:
        return Found("infeasible", None, None, -np.inf)
    if len(core.gain) == 0:
        return Found("optimal", core.count, core.opened, core.fixed)
    # HiGHS measures the gap against the worth of the core alone.
    relative = gap / max(1.0, abs(float(core.gain @ core.most))) if gap > 0 else 0.0
    options = {"mip_rel_gap": relative, "time_limit": max(seconds, 0.01)}
    with _quiet():
        done = milp(
            -core.gain,
            constraints=[LinearConstraint(core.rows, core.lower, core.upper)],
            integrality=np.ones(len(core.gain)),
            bounds=Bounds(np.zeros(len(core.gain)), core.most),
            options=options,
        )
    if done.status == 2:
        return Found("infeasible", None, None, -np.inf)
    bound = np.inf if done.mip_dual_bound is None else core.fixed - done.mip_dual_bound
    status = "optimal" if done.status == 0 else "time limit"
    if done.x is None:
        return Found(status, None, None, bound)
    count, opened, n = core.count.copy(), core.opened.copy(), len(core.entries)
    count[core.entries] = np.rint(done.x[:n]).astype(int)
    opened[core.clusters] = np.rint(done.x[n:])
    return Found(status, count, opened, bound)


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
