"""Tier allocation of clv beside HiGHS, OR-tools CP-SAT and CBC on the same simulated books.

::

    python benchmarks/tiers.py                                        # HiGHS only
    python benchmarks/tiers.py --peer-python peers/bin/python         # an environment with ortools and pulp
    python benchmarks/tiers.py --accounts 1000 10000 --skip-rich

A case is a process of its own. Ours is timed from the table of options to the checked plan (reading, solving, the
independent check); the peers are timed from arrays in memory, without reading or checking. A peer gets the gap that
ours has reached, and at most ``--cap`` seconds; ten seconds later it is ended. The whole takes some seven minutes with
all peers, three with HiGHS alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded, here and in the processes that this one starts

import numpy as np  # noqa: E402
from own_process import in_own_process  # noqa: E402

GOALS = {1_000: 0.0, 10_000: 1e-5, 100_000: 1e-5, 1_000_000: 1e-6}
RICH_GOALS = {1_000: 1e-4, 10_000: 1e-4, 100_000: 1e-4}
#: what is timed on its own: module, function, name.
PHASES = (
    ("clv.abm.allocation.book", "read_book", "reading the table"),
    ("clv.abm.allocation.cap", "build", "building the program"),
    ("clv.abm.allocation.solver", "best_prices", "prices"),
    ("clv.abm.allocation.solver", "repair", "plan"),
    ("clv.abm.allocation.highs", "search", "branch and bound"),
    ("clv.abm.allocation.plan", "check_plan", "the check"),
)
PEER = Path(__file__).parent / "peers" / "tiers_peer.py"


def timed(module: str, function: str, name: str, spent: dict[str, float]) -> None:
    """Add up the processor time of a function."""
    home = importlib.import_module(module)
    plain = getattr(home, function)

    def wrapped(*args: Any, **more: Any) -> Any:
        start = time.process_time()
        try:
            return plain(*args, **more)
        finally:
            spent[name] = spent.get(name, 0.0) + time.process_time() - start

    setattr(home, function, wrapped)


def ours(kind: str, accounts: int, gap: float, seconds: float, pipe: Any) -> None:
    """Solve one book and check it once more."""
    import tier_books

    from clv.abm import allocate_tiers, verify

    small, few = tier_books.plain(200)
    allocate_tiers(small, **few)  # imports are not what is measured
    table, limits = getattr(tier_books, kind)(accounts)
    phases: dict[str, float] = {}
    for module, function, name in PHASES:
        timed(module, function, name, phases)
    start, cpu = time.perf_counter(), time.process_time()
    plan = allocate_tiers(table, **limits, gap=gap, time_limit=seconds)
    spent, worked = time.perf_counter() - start, time.process_time() - cpu
    phases["all else"] = worked - sum(phases.values())
    faults = verify(plan.table, table, **limits).faults
    pipe.send(
        {
            "seconds": spent,
            "cpu": worked,
            "objective": plan.objective,
            "bound": plan.bound,
            "gap": plan.gap,
            "status": plan.status,
            "binding": int(plan.limits["binds"].sum()),
            "faults": len(faults),
            "phases": phases,
        }
    )


def run_peer(python: str, name: str, path: Path, cap: float, gap: float) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [python, str(PEER), name, str(path), str(cap), str(gap)],
            capture_output=True,
            text=True,
            timeout=cap + 10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"seconds": time.perf_counter() - start, "status": "ended: it kept no time limit"}
    if done.returncode:
        return {"seconds": None, "status": (done.stderr.strip().splitlines() or ["failed"])[-1][:80]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def instance(accounts: int, folder: Path) -> Path:
    """Write a plain book as arrays for the peers."""
    import tier_books

    table, limits = tier_books.plain(accounts)
    shape = (accounts, len(tier_books.TIERS))
    columns = ["cost", *(f"hours_{role}" for role in limits["hours"])]
    arrays = {f"use_{k}": table[name].to_numpy().reshape(shape) for k, name in enumerate(columns)}
    gain = (table["value"] - table["cost"]).to_numpy().reshape(shape)
    path = folder / f"{accounts}.npz"
    np.savez(path, gain=gain, limits=np.array([limits["budget"], *limits["hours"].values()]), **arrays)
    return path


def line(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def gap_of(found: dict[str, Any]) -> str:
    worth, bound = found.get("objective"), found.get("bound")
    if worth is None:
        return "no plan"
    return "no bound" if bound is None else f"{(bound - worth) / max(1.0, abs(worth)):.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="+", default=list(GOALS))
    parser.add_argument("--cap", type=float, default=40.0, help="seconds for a peer")
    parser.add_argument("--peers-up-to", type=int, default=100_000, help="accounts in the largest book of a peer")
    parser.add_argument("--peer-python", help="an interpreter with ortools and pulp")
    parser.add_argument("--skip-rich", action="store_true")
    parser.add_argument("--skip-plain", action="store_true")
    given = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, scipy {version('scipy')},"
        f" pandas {version('pandas')}; one thread each; load {load:.1f} at the start.\n"
    )
    line("book", "accounts", "solver", "seconds", "processor seconds", "gap", "goal", "status")
    line(*["---"] * 8)
    spent: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for accounts in [] if given.skip_plain else given.accounts:
            asked = 0.0 if accounts <= 1_000 else max(1e-6, GOALS.get(accounts, 1e-6))
            found = in_own_process(ours, "plain", accounts, asked, 60.0)
            spent[f"plain, {accounts:,}"] = found.get("phases", {})
            said("plain", accounts, found, GOALS.get(accounts))
            if not found:
                continue
            if accounts > given.peers_up_to:
                continue
            path = instance(accounts, Path(folder))
            peers = [(sys.executable, "highs")]
            peers += [(given.peer_python, name) for name in ("cpsat", "cbc")] if given.peer_python else []
            for python, name in peers:
                other = run_peer(python, name, path, given.cap, max(found["gap"], 1e-9))
                seconds = other.get("seconds")
                ratio = "" if not seconds else f"{seconds / found['seconds']:.0f}× ours"
                line(
                    "plain",
                    f"{accounts:,}",
                    name,
                    f"{seconds:.2f}" if seconds else "–",
                    "",
                    gap_of(other),
                    ratio,
                    other.get("status", ""),
                )
        for kind, accounts in [] if given.skip_rich else books(given.accounts):
            found = in_own_process(ours, kind, accounts, 1e-4, 200.0)
            name = "all limits" if kind == "rich" else "all limits, cap of 2%"
            spent[f"{name}, {accounts:,}"] = found.get("phases", {})
            said(name, accounts, found, RICH_GOALS[accounts])
    print("\nOurs, processor seconds by part:\n")
    parts = [*(name for _, _, name in PHASES), "all else"]
    line("book", *parts)
    line(*["---"] * (len(parts) + 1))
    for name, phases in spent.items():
        line(name, *(f"{phases.get(part, 0.0):.2f}" for part in parts))


def books(accounts: list[int]) -> list[tuple[str, int]]:
    """List the books with all limits; the hard cap at the smallest size alone."""
    some = [n for n in accounts if n in RICH_GOALS]
    return [*(("rich", n) for n in some), *(("capped", n) for n in some[:1])]


def said(kind: str, accounts: int, found: dict[str, Any], goal: float | None) -> None:
    """Print a line of ours."""
    if not found:
        line(kind, f"{accounts:,}", "clv", "–", "–", "no plan", "", "")
        return
    reached = "" if goal is None else f"≤ {goal:g}, {'yes' if found['gap'] <= max(goal, 1e-9) else 'NO'}"
    line(
        kind,
        f"{accounts:,}",
        "clv",
        f"{found['seconds']:.2f}",
        f"{found['cpu']:.2f}",
        f"{found['gap']:.1e}",
        reached,
        f"{found['status']}, {found['binding']} bind, {found['faults']} faults",
    )


if __name__ == "__main__":
    main()
