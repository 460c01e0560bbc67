"""Six churn stages for a large book, beside P(alive) alone by lifetimes on the same accounts.

::

    python benchmarks/churn.py                        # a million accounts, some two minutes
    python benchmarks/churn.py --accounts 100000 --runs 5

Both get the same parameters, so that no fit is measured. Ours does more: P(alive), silence, expected purchases, usual
intervals, P(no purchase next quarter), the rule of thumb and the stage; then a sentence an account; then the rhythm of
each from its purchase dates. Half of our runs come before the peer's and half after; shown are medians, by the clock
and (in brackets, and for the ratio) of processor time, which other work on the machine does not lengthen as much.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from books import SPARSE, book  # noqa: E402

from clv.churn import churn_stages  # noqa: E402
from clv.data.summary import summarise  # noqa: E402
from clv.value import BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel  # noqa: E402

YEAR = 365.25 / 7
#: seconds that are aimed at, for a million accounts.
GOAL = 10.0


def purchases(accounts: int, *, seed: int = 5) -> pd.DataFrame:
    """Draw purchase dates of BG/NBD accounts with the benchmark's parameters, one row a purchase."""
    rng = np.random.default_rng(seed)
    span = rng.integers(180, 730, accounts).astype(float)
    rate = rng.gamma(SPARSE["r"], 1 / SPARSE["alpha"], accounts) / 7
    dropout = rng.beta(SPARSE["a"], SPARSE["b"], accounts)
    clock, going, days = np.zeros(accounts), np.arange(accounts), [np.zeros(accounts)]
    who = [going]
    while len(going):
        clock[going] += rng.standard_exponential(len(going)) / np.maximum(rate[going], 1e-12)
        going = going[clock[going] < span[going]]
        who.append(going)
        days.append(np.floor(clock[going]))
        going = going[rng.random(len(going)) >= dropout[going]]
    account = np.concatenate(who)
    date = pd.Timestamp("2024-12-31") - pd.to_timedelta(span[account] - np.concatenate(days), unit="D")
    ids = np.char.add("A", np.char.zfill(account.astype(str), 7)).astype(object)
    return pd.DataFrame({"account_id": ids, "date": date, "amount": 10.0})


def seconds(work: Callable[[], Any], runs: int) -> np.ndarray:
    """Time something some times: by the clock, and of processor; shape (runs, 2)."""
    spent = []
    for _ in range(runs):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        spent.append((time.perf_counter() - clock, time.process_time() - processor))
    return np.array(spent)


def lifetimes_alive(summary: pd.DataFrame) -> Callable[[], Any]:
    """Return lifetimes' P(alive) with the benchmark's parameters."""
    from lifetimes import BetaGeoFitter

    peer = BetaGeoFitter()
    peer.params_ = pd.Series(SPARSE)
    columns = [summary[name] for name in ("frequency", "recency", "T")]
    return lambda: peer.conditional_probability_alive(*columns)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=2, help="of ours, before the peer's and again after them")
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas", "lifetimes"))
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}; ", end="")
    print(f"one thread; load {os.getloadavg()[0]:.1f} at the start.\n")
    summary = book(chosen.accounts)
    lines = purchases(chosen.accounts)
    known = summarise(lines)
    pareto = {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}
    models = {
        "BG/NBD": BetaGeoModel.from_parameters(unit="W", **SPARSE),
        "MBG/NBD": ModifiedBetaGeoModel.from_parameters(unit="W", **SPARSE),
        "Pareto/NBD": ParetoNBDModel.from_parameters(unit="W", **pareto),
    }
    cases: dict[str, Callable[[], Any]] = {
        "P(alive) alone, BG/NBD": lambda: models["BG/NBD"].probability_alive(summary)
    }
    cases |= {
        f"stages, {name}": lambda model=model: churn_stages(model, summary, YEAR, sentences=False)
        for name, model in models.items()
    }
    model = models["BG/NBD"]
    cases["stages and sentences, BG/NBD"] = lambda: churn_stages(model, summary, YEAR)
    cases[f"stages, sentences and rhythm from {len(lines):,} purchases, BG/NBD"] = lambda: churn_stages(
        model, known, YEAR, transactions=lines
    )
    peer = lifetimes_alive(summary)
    print("| case | accounts | clv (processor) | lifetimes, P(alive) alone | ratio | goal |")
    print("|---|---|---|---|---|---|", flush=True)
    for name, work in cases.items():
        before = seconds(work, chosen.runs)
        theirs = np.median(seconds(peer, 3), axis=0)
        ours = np.median(np.vstack([before, seconds(work, chosen.runs)]), axis=0)
        goal = f"≤ {GOAL:.0f} s, {'yes' if ours[0] <= GOAL else 'NO'}" if chosen.accounts >= 1_000_000 else ""
        times = " | ".join(f"{clock:.2f} s ({processor:.2f})" for clock, processor in (ours, theirs))
        print(f"| {name} | {chosen.accounts:,} | {times} | {ours[1] / theirs[1]:.1f}× its time | {goal} |", flush=True)
    same = np.abs(np.asarray(peer()) - model.probability_alive(summary).to_numpy()).max()
    print(f"\nLargest difference of the two P(alive): {same:.1e}. Load {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
