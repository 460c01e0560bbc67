"""Selection of accounts end to end: 100,000 accounts with 40 attributes, from invoices to reasons.

::

    python benchmarks/selection.py
    python benchmarks/selection.py --accounts 10000 --draws 200

Six accounts of ten have bought (BG/NBD with r .9, α 6, a .6, b 12; Gamma-Gamma spend), every fifth has a decided deal
that was won with a chance of 10 to 70 % moved by six of the attributes. Timed: summary, fits, values with draws,
win propensity with its tests, values once won, what the programme changes, selection with probabilities,
contributions, smallest changes, reasons and the search for duplicates; apart from these the value of learning and
strategic weights. Threads of the libraries are left as the environment has them: clv limits them itself where they
would only wait for one another.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

AS_OF = pd.Timestamp("2024-01-01")


def universe(accounts: int, attributes: int, seed: int = 1) -> dict[str, pd.DataFrame]:
    """Draw accounts, deals and invoices."""
    from clv.value import BetaGeoModel

    g = np.random.default_rng(seed)
    ids = np.array([f"K{i:06d}" for i in range(accounts)])
    numbers = attributes // 2
    table: dict[str, Any] = {
        "account_id": ids,
        "name": [f"{w} {i:06d}" for i, w in enumerate(g.choice(WORDS, accounts))],
    }
    raw = g.standard_normal((accounts, numbers))
    for k in range(numbers):
        column = np.exp(raw[:, k]).round(4)
        table[f"number{k}"] = np.where(g.random(accounts) < 0.1, np.nan, column)
    for k in range(attributes - numbers):
        table[f"kind{k}"] = g.choice(np.array(["a", "b", "c", "d", "e", None], dtype=object), accounts)
    firms = pd.DataFrame(table)
    score = (
        0.7 * raw[:, 0]
        - 0.5 * raw[:, 1]
        + 0.4 * raw[:, 2]
        + 0.8 * (firms["kind0"] == "a")
        - 0.6 * (firms["kind1"] == "b")
    )
    bought = int(0.6 * accounts)
    T = g.integers(10, 156, bought).astype(float)
    seen = BetaGeoModel.from_parameters(unit="W", r=0.9, alpha=6.0, a=0.6, b=12.0).simulate(T, seed + 1)
    count = seen["frequency"].to_numpy() + 1
    row = np.repeat(np.arange(bought), count)
    # First and last purchase as simulated, the others anywhere between.
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    between = g.random(len(row)) * seen["recency"].to_numpy()[row]
    week = np.where(place == 0, 0.0, np.where(place == count[row] - 1, seen["recency"].to_numpy()[row], between))
    day = AS_OF - pd.to_timedelta(((T[row] - week) * 7).round(), unit="D")
    mean = 600 * 5 / g.gamma(3.4, 1, bought) * np.exp(0.3 * raw[:bought, 0])
    invoices = pd.DataFrame({"account_id": ids[row], "date": day, "amount": g.gamma(5, mean[row] / 5).round(2)})
    some = g.permutation(accounts)[: accounts // 5]
    opened = AS_OF - pd.to_timedelta(g.integers(1100, 1500, len(some)), unit="D")
    won = g.random(len(some)) < 1 / (1 + np.exp(-(score.to_numpy()[some] - 0.5)))
    deals = pd.DataFrame(
        {
            "opportunity_id": [f"O{i}" for i in range(len(some))], "account_id": ids[some], "created": opened,
            "closed": opened + pd.to_timedelta(g.integers(10, 90, len(some)), unit="D"),
            "outcome": np.where(won, "won", "lost"),
        }
    )  # fmt: skip
    return {"accounts": firms, "transactions": invoices, "opportunities": deals}


WORDS = [
    f"{a}{b}"
    for a in ("Nord", "Sued", "Ost", "West", "Alt", "Neu")
    for b in ("metall", "werke", "bau", "druck", "holz")
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--attributes", type=int, default=40)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--capacity", type=int, default=725)
    args = parser.parse_args()
    import clv
    from clv.data.settings import Settings, Tier
    from clv.value import BetaGeoModel, GammaGammaModel

    tables = universe(args.accounts, args.attributes)
    settings = Settings(
        name="bench", title="Benchmark", tables={"transactions": {"path": "x.csv"}}, draws=args.draws,
        tiers=[
            Tier(name="1:1", cost=4000, hours=60, uplift=0.35), Tier(name="1:few", cost=800, hours=20, uplift=0.15),
            Tier(name="1:many", cost=80, hours=0.5, uplift=0.03),
        ],
    )  # fmt: skip
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{cores} cores, Python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__}")
    print(f"{args.accounts:,} accounts × {args.attributes} attributes, {len(tables['transactions']):,} invoices, "
          f"{len(tables['opportunities']):,} deals, {args.draws} draws; load {os.getloadavg()[0]:.1f}, "
          f"OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}\n")  # fmt: skip
    print("| step | seconds | processor seconds |\n|---|---|---|")
    total = SimpleNamespace(wall=0.0, cpu=0.0)

    def step(name: str, work: Callable[[], Any]) -> Any:
        start, cpu = time.perf_counter(), time.process_time()
        found = work()
        wall, used = time.perf_counter() - start, time.process_time() - cpu
        total.wall, total.cpu = total.wall + wall, total.cpu + used
        print(f"| {name} | {wall:.1f} | {used:.1f} |", flush=True)
        return found

    invoices = tables["transactions"]
    summary = step("summary", lambda: clv.summarise(invoices, as_of=AS_OF, unit="W"))
    models = step("fits", lambda: (BetaGeoModel(prior="auto").fit(summary), GammaGammaModel(prior="auto").fit(summary)))
    value = step(
        "values with draws",
        lambda: clv.lifetime_value(
            *models, summary, horizon=52, discount_rate=0.1, margin=0.3, draws=args.draws, seed=1
        ),
    )
    change = step(
        "win propensity, prospects, what the programme changes",
        lambda: clv.study_incremental(value, *models, settings=settings, as_of=AS_OF, **tables),
    )
    chosen = step(
        "selection, reasons, duplicates",
        lambda: clv.select_accounts(change, capacity=args.capacity, accounts=tables["accounts"], currency="EUR"),
    )
    print(f"| **end to end** | **{total.wall:.1f}** | **{total.cpu:.1f}** |")
    step("value of learning", lambda: clv.learning_value(chosen, resolves=0.5, cost=50.0))
    criteria = tables["accounts"].set_index("account_id")[["number0", "number1"]]
    step("strategic weights, 200 draws", lambda: clv.stochastic_acceptability(chosen, criteria, draws=200))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory {peak:,.0f} MB.\n\n{chosen.text}\n")
    print("\n".join(chosen.table["reason"].iloc[[0, 1, args.capacity, len(chosen.table) - 1]]))


if __name__ == "__main__":
    main()
