"""Allocation over draws: the best plan of every draw, found from shared prices, beside solving each draw anew.

::

    python benchmarks/uncertainty.py                                   # 1,000 and 10,000 accounts, 200 draws
    python benchmarks/uncertainty.py --accounts 1000 --draws 50 --kinds plain rich

A case is a process of its own with one thread. *Together* is what `allocate_under_uncertainty` does for the best plans:
the limits are written down once, prices start from those of the expected values, a plan follows by repair, and the
prices prove what it can fall short. *Anew* calls `allocate_tiers` for a few of the same draws, to a gap of 1e-4. Regret
is what the plan for the expected values brings less, on average, than the best plan of each draw: at least (by the
plans found) and at most (by the bounds).
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from importlib.metadata import version
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded, here and in the processes that this one starts

import numpy as np  # noqa: E402
from own_process import in_own_process  # noqa: E402

SPREAD = 0.2
ANEW = 5


def case(kind: str, accounts: int, draws: int, pipe: Any) -> None:
    """Find the best plan of every draw, of a few also anew."""
    import tier_books

    from clv.abm import allocate_tiers
    from clv.abm.robust.replan import Replanner

    table, limits = getattr(tier_books, kind)(accounts)
    plan = allocate_tiers(table, **limits, gap=1e-4, time_limit=60)
    start, cpu = time.perf_counter(), time.process_time()
    replanner = Replanner(plan.work.book, plan.work.rules)
    g = np.random.default_rng(1)
    values = replanner.value[:, None] * g.lognormal(-(SPREAD**2) / 2, SPREAD, (replanner.options, draws))
    found = [replanner.best(values[:, s]) for s in range(draws)]
    spent, worked = time.perf_counter() - start, time.process_time() - cpu
    kept = [s for s, one in enumerate(found) if one is not None]
    best = np.array([found[s].worth for s in kept])  # type: ignore[union-attr]
    bound = np.array([found[s].bound for s in kept])  # type: ignore[union-attr]
    own = np.asarray(replanner.worth(plan.work.tier_of, values))[kept]
    best = np.maximum(best, own)
    place = {pair: k for k, pair in enumerate(zip(replanner.account.tolist(), replanner.tier.tolist(), strict=True))}
    ids = plan.work.book.accounts.get_indexer(table["account_id"].astype(object))
    tiers = [plan.work.book.tiers.index(name) for name in table["tier"]]
    row = np.array([place.get(pair, -1) for pair in zip(ids.tolist(), tiers, strict=True)])
    cpu, anew = time.process_time(), []
    for s in range(min(ANEW, draws)):
        drawn = table.assign(value=np.where(row >= 0, values[row, s], table["value"]))
        anew.append(allocate_tiers(drawn, **limits, gap=1e-4, time_limit=60).objective)
    each = (time.process_time() - cpu) / len(anew)
    pipe.send(
        {
            "seconds": spent / draws,
            "cpu": worked / draws,
            "anew": each,
            "behind": float(np.mean([anew[s] - found[s].worth for s in range(len(anew)) if found[s] is not None]))
            / abs(plan.objective),
            "gap": float(np.mean((bound - best) / np.abs(best))),
            "worst": float(np.max((bound - best) / np.abs(best))),
            "regret": float(np.mean(best - own) / abs(plan.objective)),
            "most": float(np.mean(bound - own) / abs(plan.objective)),
            "without": draws - len(kept),
        }
    )


def line(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", default=["plain", "rich"], choices=["plain", "rich"])
    given = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, scipy {version('scipy')},"
        f" pandas {version('pandas')}; one thread each; {given.draws} draws; load {load:.1f} at the start.\n"
    )
    line("book", "accounts", "processor s a draw, together", "anew", "ratio", "gap (worst)", "behind anew", "regret")
    line(*["---"] * 8)
    for kind in given.kinds:
        for accounts in given.accounts:
            f = in_own_process(case, kind, accounts, given.draws)
            if not f:
                line("all limits" if kind == "rich" else kind, f"{accounts:,}", *["failed"] * 6)
                continue
            line(
                "all limits" if kind == "rich" else kind,
                f"{accounts:,}",
                f"{f['cpu']:.3f}",
                f"{f['anew']:.2f}",
                f"{f['anew'] / f['cpu']:.0f}×",
                f"{f['gap']:.1e} ({f['worst']:.1e})",
                f"{f['behind']:.1e}",
                f"{f['regret']:.3%} to {f['most']:.3%}" + (f"; {f['without']} without a plan" if f["without"] else ""),
            )


if __name__ == "__main__":
    main()
