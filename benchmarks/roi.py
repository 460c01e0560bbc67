"""Monte Carlo forecasts of a plan's return beside the same model in plain numpy.

::

    python benchmarks/roi.py
    python benchmarks/roi.py --accounts 10000 --skip-plain

A case is a process of its own. Timed is `forecast_roi` from tables to the finished forecast: checks, draws, quantiles
by tier and total, tornado, text. The peer draws float64 matrices a block of accounts at a time and sums them by tier,
on one thread; it makes no tornado and no text. Memory is the peak of the process; in brackets, what it was before.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import sys
import time
from importlib.metadata import version
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded, here and in the processes that this one starts

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from own_process import in_own_process  # noqa: E402

TIERS = {"1:1": (1000.0, 0.35, 0.02), "1:few": (200.0, 0.15, 0.18), "1:many": (20.0, 0.03, 0.80)}
SPREAD, VALUE_SD, COST_SD, DRAWS = 0.5, 0.6, 0.1, 10_000
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
GOALS = {10_000: (3.0, 500.0), 100_000: (20.0, None)}


def book(accounts: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw log-normal values with an error of 60 %; the most valuable 2 % in 1:1, the next 18 % in 1:few."""
    g = np.random.default_rng(1)
    clv = np.exp(g.normal(7.3, 1.2, accounts))
    ids = [f"A{i:06d}" for i in range(accounts)]
    tier = np.empty(accounts, dtype=object)
    cuts = np.rint(np.cumsum([share for *_, share in TIERS.values()]) * accounts).astype(int)
    for name, low, high in zip(TIERS, [0, *cuts], cuts, strict=False):
        tier[np.argsort(-clv)[low:high]] = name
    value = pd.DataFrame({"clv": clv, "sd": VALUE_SD * clv}, index=pd.Index(ids, name="account_id"))
    plan = pd.DataFrame({"account_id": ids, "tier": tier, "cost": [TIERS[t][0] for t in tier]})
    return plan, value


def plain(plan: pd.DataFrame, value: pd.DataFrame, uplift: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Net present value in each draw, as one would write it down."""
    g = np.random.default_rng(seed)
    draws = len(next(iter(uplift.values())))
    log = np.sqrt(np.log1p(VALUE_SD**2) + np.log1p(SPREAD**2))
    cost_log = np.sqrt(np.log1p(COST_SD**2))
    net = np.zeros(draws)
    for tier, drawn in uplift.items():
        mine = value.loc[plan.loc[plan["tier"] == tier, "account_id"], "clv"].to_numpy()
        worth = np.zeros(draws)
        for first in range(0, len(mine), 250):
            block = mine[first : first + 250]
            worth += np.exp(log * g.standard_normal((draws, len(block))) - log**2 / 2) @ block
        spent = TIERS[tier][0] * len(mine)
        net += drawn * worth - spent * np.exp(cost_log * g.standard_normal(draws) - cost_log**2 / 2)
    return net


def case(what: str, accounts: int, runs: int, pipe: Any) -> None:
    from clv.abm.forecast.inputs import Costs
    from clv.abm.forecast.roi import forecast_roi
    from clv.abm.loop.response import response_prior
    from clv.data.settings import Tier

    tiers = [Tier(name=name, cost=cost, uplift=uplift) for name, (cost, uplift, _) in TIERS.items()]
    response = response_prior(tiers)
    plan, value = book(accounts)
    settings: dict[str, Any] = {"horizon": 52, "unit": "W", "discount_rate": 0.1, "spread": SPREAD,
                                "costs": Costs(sd=COST_SD), "draws": DRAWS}  # fmt: skip
    small_plan, small_value = book(300)
    forecast_roi(small_plan, small_value, response, **settings)  # imports are not what is measured
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu, net = [], [], np.zeros(0)
    for _ in range(runs):
        start, worked = time.perf_counter(), time.process_time()
        if what == "plain":
            drawn = response.draw(DRAWS, seed=0).T
            net = plain(plan, value, dict(zip(TIERS, drawn, strict=True)), 5)
        else:
            net = forecast_roi(plan, value, response, **settings, method=what).draws["npv"].to_numpy()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - worked)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send({"wall": statistics.median(wall), "least": min(wall), "cpu": statistics.median(cpu), "peak": peak,
               "before": before, "net": net})  # fmt: skip


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of quantiles, in standard errors of such a difference (Monte Carlo noise alone is 1 to 2)."""
    worst = 0.0
    for level in LEVELS:
        width = 0.02
        slope = [float(np.subtract(*np.quantile(x, [level + width, level - width]))) / (2 * width) for x in (a, b)]
        error = np.sqrt(level * (1 - level) / len(a)) * np.hypot(*slope)
        worst = max(worst, abs(float(np.quantile(a, level) - np.quantile(b, level))) / error)
    return worst


def line(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--plain-up-to", type=int, default=10_000)
    parser.add_argument("--skip-plain", action="store_true")
    given = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, numpy {np.__version__},"
        f" scipy {version('scipy')}, pandas {version('pandas')}; {DRAWS:,} draws; load {os.getloadavg()[0]:.1f} at the"
        " start.\n"
    )
    line("accounts", "method", "by the clock (best)", "processor", "peak memory", "goal", "ratio", "quantiles apart")
    line(*["---"] * 8)
    for accounts in given.accounts:
        kinds = ["exact", "moments"]
        kinds += ["plain"] if accounts <= given.plain_up_to and not given.skip_plain else []
        found = {
            kind: in_own_process(case, kind, accounts, 1 if accounts >= 100_000 and kind == "exact" else given.runs)
            for kind in kinds
        }
        for kind, one in found.items():
            goal = ""
            if kind != "plain" and accounts in GOALS:
                seconds, memory = GOALS[accounts]
                kept = one["wall"] <= seconds and (memory is None or one["peak"] <= memory)
                goal = f"≤ {seconds:g} s{f', ≤ {memory:g} MB' if memory else ''}: {'yes' if kept else 'NO'}"
            ratio = f"{one['cpu'] / found['exact']['cpu']:.2g}× exact" if kind != "exact" else ""
            gap = "" if kind == "exact" else f"{apart(one['net'], found['exact']['net']):.1f} standard errors"
            line(
                f"{accounts:,}",
                kind,
                f"{one['wall']:.2f} s ({one['least']:.2f})",
                f"{one['cpu']:.2f} s",
                f"{one['peak']:.0f} MB ({one['before']:.0f})",
                goal,
                ratio,
                gap,
            )


if __name__ == "__main__":
    sys.exit(main())
