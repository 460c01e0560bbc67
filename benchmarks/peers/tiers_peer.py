"""One instance of the allocation by a peer: HiGHS (scipy), CP-SAT (OR-tools) or CBC (PuLP). Imports nothing of clv.

    python tiers_peer.py highs|cpsat|cbc instance.npz seconds gap

The instance holds (N, M) arrays ``gain``, ``use_0`` ... and ``limits``. Prints JSON: seconds, objective, bound, status.
HiGHS and OR-tools cannot be loaded into one process, hence a process each.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np


def by_highs(gain: np.ndarray, uses: list[np.ndarray], limits: np.ndarray, seconds: float, gap: float) -> dict:
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, vstack

    n, m = gain.shape
    one = csr_array((np.ones(n * m), (np.repeat(np.arange(n), m), np.arange(n * m))), shape=(n, n * m))
    rows = vstack([one, csr_array(np.array([use.ravel() for use in uses]))], format="csr")
    top = np.concatenate([np.ones(n), limits])
    start = time.perf_counter()
    done = milp(
        -gain.ravel(),
        constraints=[LinearConstraint(rows, -np.inf, top)],
        integrality=np.ones(n * m),
        bounds=Bounds(0, 1),
        options={"time_limit": seconds, "mip_rel_gap": gap},
    )
    bound = None if done.mip_dual_bound is None else -float(done.mip_dual_bound)
    worth = None if done.x is None else float(gain.ravel() @ np.rint(done.x))
    return {"seconds": time.perf_counter() - start, "objective": worth, "bound": bound, "status": int(done.status)}


def by_cpsat(gain: np.ndarray, uses: list[np.ndarray], limits: np.ndarray, seconds: float, gap: float) -> dict:
    from ortools.sat.python import cp_model

    start = time.perf_counter()
    model = cp_model.CpModel()
    n, m = gain.shape
    x = [[model.new_bool_var("") for _ in range(m)] for _ in range(n)]
    for row in x:
        model.add_at_most_one(row)
    flat = [one for row in x for one in row]
    for use, limit in zip(uses, limits, strict=True):
        scale = 1e4 / use.max()  # whole numbers: rounded up, so that its plans are plans
        whole = np.ceil(use.ravel() * scale).astype(int)
        model.add(cp_model.LinearExpr.weighted_sum(flat, whole.tolist()) <= int(limit * scale))
    unit = 1e7 / np.abs(gain).max()
    model.maximize(cp_model.LinearExpr.weighted_sum(flat, np.floor(gain.ravel() * unit).astype(int).tolist()))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(1.0, seconds - (time.perf_counter() - start))
    solver.parameters.relative_gap_limit = gap
    solver.parameters.num_workers = 2
    status = solver.solve(model)
    taken = None
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        taken = float(sum(g for g, one in zip(gain.ravel(), flat, strict=True) if solver.boolean_value(one)))
    return {
        "seconds": time.perf_counter() - start,
        "objective": taken,
        "bound": float(solver.best_objective_bound) / unit if taken is not None else None,
        "status": solver.status_name(status),
    }


def by_cbc(gain: np.ndarray, uses: list[np.ndarray], limits: np.ndarray, seconds: float, gap: float) -> dict:
    import pulp

    start = time.perf_counter()
    n, m = gain.shape
    problem = pulp.LpProblem("tiers", pulp.LpMaximize)
    x = [[pulp.LpVariable(f"x{i}_{j}", cat="Binary") for j in range(m)] for i in range(n)]
    flat = [one for row in x for one in row]
    problem += pulp.LpAffineExpression(zip(flat, gain.ravel().tolist(), strict=True))
    for row in x:
        problem += pulp.lpSum(row) <= 1
    for use, limit in zip(uses, limits, strict=True):
        problem += pulp.LpAffineExpression(zip(flat, use.ravel().tolist(), strict=True)) <= float(limit)
    left = max(1.0, seconds - (time.perf_counter() - start))
    problem.solve(pulp.PULP_CBC_CMD(msg=False, timeLimit=left, gapRel=gap))
    worth = pulp.value(problem.objective)
    # PuLP gives no bound, and calls a time-out with a plan "Optimal".
    return {"seconds": time.perf_counter() - start, "objective": worth, "bound": None, "status": "no bound is given"}


def main() -> None:
    name, path, seconds, gap = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    with np.load(path, allow_pickle=False) as data:
        gain, limits = data["gain"], data["limits"]
        uses = [data[f"use_{k}"] for k in range(len(limits))]
    solve = {"highs": by_highs, "cpsat": by_cpsat, "cbc": by_cbc}[name]
    print(json.dumps(solve(gain, uses, limits, seconds, gap)))


if __name__ == "__main__":
    main()
