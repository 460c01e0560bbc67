"""Plans that avert risk: the largest mix of expected return and expected shortfall over draws.

With shares q of the draws, between (1−w)/S and (1−w)/S + w/((1−α)S), the measure of a plan is the smallest ``Σ q_s
net_s(plan)`` (the dual of Rockafellar & Uryasev 2000, theorem 1). So for any q the best plan for the values ``Σ q_s
value_s`` bounds every plan's measure, and an ordinary allocation finds it: plans are generated one by one for the
shares that mix those found so far worst (column generation: Dantzig & Wolfe 1960), until bound and mixture meet. What
the mixture leaves open is settled by Rockafellar & Uryasev's program in whole numbers; in a small book it is solved
as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.abm.allocation.highs import Choices, _quiet, core_of
from clv.abm.robust.replan import SMALL, Replanner

#: plans generated at most, and accounts that the whole-number program decides at most.
_COLUMNS = 40
_CORE = 40
#: a mixture as near to the bound as this share of it is as good as the best one.
_NEAR = 1e-5
_NODES = 2_000
#: in a larger book it settles little: fewer nodes, and it stops at this gap.
_FEW_NODES = 200
_COARSE = 1e-4


@dataclass(frozen=True, eq=False)
class Averse:
    """A plan, its measure (money), and the bound on the measure of all plans."""

    tier_of: np.ndarray
    measure: float
    bound: float


def expected_shortfall(outcomes: np.ndarray, level: float) -> float:
    """Mean of the worst (1 − level) of the outcomes, the last of them counted in part (Rockafellar & Uryasev 2002, 8).

    Parameters
    ----------
    outcomes : numpy.ndarray
        (S,) equally probable returns; more is better.
    level : float
        Between 0 and 1.
    """
    many = (1 - level) * len(outcomes)
    share = np.clip(many - np.arange(len(outcomes)), 0.0, 1.0)
    return float(np.sort(outcomes) @ share / many)


def measure(outcomes: np.ndarray, level: float, weight: float) -> float:
    """(1 − weight) × mean + weight × expected shortfall."""
    return (1 - weight) * float(outcomes.mean()) + weight * expected_shortfall(outcomes, level)


def avert(
    replanner: Replanner,
    values: np.ndarray,
    plans: list[np.ndarray],
    *,
    level: float,
    weight: float,
    time_limit: float,
) -> Averse:
    """Find the plan with the largest measure.

    Parameters
    ----------
    replanner : Replanner
    values : numpy.ndarray
        (E, S) values of the options in each draw.
    plans : list of numpy.ndarray
        Feasible plans to begin with, one at least.
    level, weight : float
        Of the expected shortfall, and its weight beside the mean.
    time_limit : float
        Seconds for the program in whole numbers.
    """
    outcomes = [replanner.worth(plan, values) for plan in plans]
    scores = np.array([measure(one, level, weight) for one in outcomes])
    first = np.argsort(-scores, kind="stable")[:10]
    plans, outcomes = [plans[k] for k in first], [outcomes[k] for k in first]
    bound, mixture = np.inf, np.zeros(0)
    for _ in range(_COLUMNS):
        mixture, shares, reached = _mix(np.column_stack(outcomes), level, weight)
        found = replanner.best(values @ shares)
        if found is None:
            break
        bound = min(bound, found.bound)
        new = replanner.worth(found.tier_of, values)
        gained = float(shares @ new) - reached
        if bound - reached <= _NEAR * abs(bound) or gained <= 1e-9 * max(abs(reached), 1e-300):
            break
        plans.append(found.tier_of)
        outcomes.append(new)
    scores = np.array([measure(one, level, weight) for one in outcomes])
    best = int(np.argmax(scores))
    reached = float(scores[best])
    if bound - reached > 1e-9 * abs(bound):
        weights = np.zeros(len(plans))
        weights[: len(mixture)] = mixture
        free = _free(replanner, plans, weights, best)
        better, proven = _settle(replanner, values, plans[best], free, level, weight, time_limit)
        bound = min(bound, proven) if free.all() else bound
        if better is not None:
            score = measure(replanner.worth(better, values), level, weight)
            if score > reached:
                return Averse(better, score, max(bound, score))
    return Averse(plans[best], reached, max(bound, reached))


def _mix(outcomes: np.ndarray, level: float, weight: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Mix plans so that the measure is largest: weights (K,), shares of draws (S,) that prove it, the measure."""
    from scipy.optimize import linprog

    draws, many = outcomes.shape
    middle = float(outcomes.mean())
    unit = float(np.abs(outcomes - middle).max()) or 1.0
    scaled = (outcomes - middle) / unit
    tail = weight / ((1 - level) * draws)
    cost = np.concatenate([-(1 - weight) * scaled.mean(axis=0), [-weight], np.full(draws, tail)])
    rows = np.hstack([-scaled, np.ones((draws, 1)), -np.eye(draws)])
    whole = np.concatenate([np.ones(many), np.zeros(1 + draws)])[None, :]
    bounds = [(0, None)] * many + [(None, None)] + [(0, None)] * draws
    done = linprog(cost, A_ub=rows, b_ub=np.zeros(draws), A_eq=whole, b_eq=[1.0], bounds=bounds, method="highs")
    shares = (1 - weight) / draws + np.clip(-np.asarray(done.ineqlin.marginals), 0.0, tail)
    shares /= shares.sum()
    return done.x[:many], shares, float(-done.fun) * unit + middle


def _free(replanner: Replanner, plans: list[np.ndarray], weights: np.ndarray, best: int) -> np.ndarray:
    """(N,) accounts about which the mixture is not at one with the best plan; all of them in a small book."""
    if replanner.options <= SMALL:
        return np.ones(len(plans[best]), dtype=bool)
    apart = sum(weight * (plan != plans[best]) for weight, plan in zip(weights, plans, strict=True))
    order = np.argsort(-np.asarray(apart), kind="stable")[:_CORE]
    free = np.zeros(len(plans[best]), dtype=bool)
    free[order] = np.asarray(apart)[order] > 1e-9
    return free


def _settle(
    replanner: Replanner,
    values: np.ndarray,
    plan: np.ndarray,
    free: np.ndarray,
    level: float,
    weight: float,
    time_limit: float,
) -> tuple[np.ndarray | None, float]:
    """Decide the free accounts by Rockafellar & Uryasev's program; the others stay as in the plan."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import block_array, csr_array, eye_array

    program = replanner.program
    options = free[program.owner]
    options[replanner.taken(plan)] = True
    clusters = np.ones(len(program.fewest), dtype=bool)
    core = core_of(program, Choices(options, np.where(free, ~program.must, plan < 0), clusters, clusters))
    if not core.possible or not len(core.gain):
        return None, np.inf
    draws, n = values.shape[1], len(core.entries)
    # Return in a draw: what is fixed, and what each open option and cluster adds; scaled, so that no currency counts.
    held = np.flatnonzero(core.count)
    steady = (replanner._gain - replanner.value)[held].sum() + program.base
    constant = values[held].sum(axis=0, dtype=float) + steady
    constant += float(program.open_gain @ core.opened) * program.gain_unit
    adds = np.zeros((draws, len(core.gain)))
    adds[:, :n] = (values[core.entries] + (replanner._gain - replanner.value)[core.entries, None]).T
    adds[:, n:] = core.gain[n:] * program.gain_unit
    unit = float(np.abs(adds).max()) or 1.0
    middle = float(constant.mean())
    adds, constant = adds / unit, (constant - middle) / unit
    tail = weight / ((1 - level) * draws)
    cost = np.concatenate([-(1 - weight) * adds.mean(axis=0), [-weight], np.full(draws, tail)])
    limits = csr_array(core.rows)
    rows = block_array(
        [
            [limits, csr_array((limits.shape[0], 1)), csr_array((limits.shape[0], draws))],
            [csr_array(-adds), csr_array(np.ones((draws, 1))), -eye_array(draws, format="csr")],
        ],
        format="csr",
    )
    lower = np.concatenate([core.lower, np.full(draws, -np.inf)])
    with _quiet():
        done = milp(
            cost,
            constraints=[LinearConstraint(rows, lower, np.concatenate([core.upper, constant]))],
            integrality=np.concatenate([np.ones(len(core.gain)), np.zeros(1 + draws)]),
            bounds=Bounds(
                np.concatenate([np.zeros(len(core.gain)), [-np.inf], np.zeros(draws)]),
                np.concatenate([core.most, np.full(1 + draws, np.inf)]),
            ),
            options={
                "time_limit": time_limit,
                "node_limit": _NODES if free.all() else _FEW_NODES,
                "mip_rel_gap": 1e-9 if free.all() else _COARSE,
            },
        )
    known = (1 - weight) * float(constant.mean())
    proven = np.inf if done.mip_dual_bound is None else (known - done.mip_dual_bound) * unit + middle
    if done.x is None:
        return None, proven
    count = core.count.copy()
    count[core.entries] = np.rint(done.x[:n]).astype(int)
    tier_of = np.full(len(plan), -1)
    at = np.flatnonzero(count)
    tier_of[program.owner[at]] = program.tier[at]
    return tier_of, proven
