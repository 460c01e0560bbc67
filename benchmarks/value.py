"""Fits, values and posterior draws of clv beside lifetimes, pymc-marketing and clvkit on the same simulated accounts.

::

    python benchmarks/value.py                              # all of it, some minutes
    python benchmarks/value.py --accounts 2400 100000 --grids weeks
    python benchmarks/value.py --peer-python peers/bin/python   # an environment with pymc-marketing, clvkit

Every case runs in a process of its own, ours and the peer's in the same one: half of our runs before the peer's and
half after, so that what else the machine does hits both. Shown are medians. The peer's randomness is seeded; a peer
that takes longer than the cap is ended and reported as such. Log-likelihoods are recomputed by `independent`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded, here and in the processes that this one starts

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

Found = dict[str, Any]
MODELS = ("BG/NBD", "Pareto/NBD", "Gamma-Gamma")
#: ratios to lifetimes that are aimed at, by case, accounts, grid.
GOALS = {
    ("fit BG/NBD", 100_000, "days"): 30,
    ("fit BG/NBD", 100_000, "weeks"): 30,
    ("fit BG/NBD", 1_000_000, "days"): 60,
    ("fit BG/NBD", 1_000_000, "weeks"): 300,
    ("fit BG/NBD, peer on distinct rows", 1_000_000, "days"): 25,
    **{("fit Pareto/NBD", 2_400, grid): 20 for grid in ("days", "weeks")},
    **{("fit Pareto/NBD", 100_000, grid): 200 for grid in ("days", "weeks")},
    **{("fit Pareto/NBD", 1_000_000, grid): 500 for grid in ("days", "weeks")},
    **{("fit Gamma-Gamma", n, "days"): 30 for n in (2_400, 100_000, 1_000_000)},
    ("12-month CLV", 1_000_000, "days"): 100,
    ("1,000 posterior draws BG/NBD", 1_000_000, "days"): 1,
    ("MAP BG/NBD, pymc-marketing", 100_000, "days"): 100,
}  # fmt: skip
#: shortest wait for word from a case, in seconds.
_PAUSE = 0.2
#: how the processes of the cases are told which clock counts.
_CLOCK = "CLV_BENCHMARK_CLOCK"


@dataclass(frozen=True)
class Case:
    """One comparison."""

    kind: str
    accounts: int
    grid: str
    dense: bool = False
    runs: int = 5
    peer: bool = True

    @property
    def goal(self) -> float | None:
        """The ratio that is aimed at."""
        return None if self.dense else GOALS.get((self.kind, self.accounts, self.grid))


def timed(work: Callable[[], Any], runs: int = 1) -> tuple[list[float], Any]:
    """Run something some times; return all durations and the last result."""
    clock = time.process_time if os.environ.get(_CLOCK) == "processor" else time.perf_counter
    spent, result = [], None
    for _ in range(runs):
        start = clock()
        result = work()
        spent.append(clock() - start)
    return spent, result


def beside(case: Case, ours: Callable[[], Any], theirs: Callable[[], Any] | None) -> Iterator[Found]:
    """Measure ours, the peer's, and ours again; tell what is known as soon as it is."""
    ours()  # imports and caches
    before, mine = timed(ours, case.runs)
    yield {"ours": float(np.median(before)), "mine": mine}
    if theirs is None:
        return
    spent, other = timed(theirs)
    if spent[0] < 3:
        spent += timed(theirs, 2)[0]
    after, _ = timed(ours, case.runs)
    yield {"ours": float(np.median(before + after)), "mine": mine, "theirs": float(np.median(spent)), "other": other}


def fit(case: Case) -> Iterator[Found]:
    """Fit a model by maximum likelihood, or (draws) sample its posterior."""
    import independent
    from books import book, distinct_rows
    from lifetimes import BetaGeoFitter, GammaGammaFitter, ParetoNBDFitter

    import clv.value

    name = next(model for model in MODELS if model in case.kind)
    ours_class, peer_class, likelihood = {
        "BG/NBD": (clv.value.BetaGeoModel, BetaGeoFitter, independent.beta_geo),
        "Pareto/NBD": (clv.value.ParetoNBDModel, ParetoNBDFitter, independent.pareto_nbd),
        "Gamma-Gamma": (clv.value.GammaGammaModel, GammaGammaFitter, independent.gamma_gamma),
    }[name]
    data = book(case.accounts, case.grid, dense=case.dense)
    if "posterior" in case.kind:
        model = ours_class().fit(data)
        for found in beside(case, lambda: model.sample_posterior(1_000), None):
            about = found.pop("mine").attrs["clv"]
            yield {**found, "note": f"k-hat {about['k_hat']:.2f}, {about['effective_sample_size']:,.0f} effective"}
        return
    rows, weight = distinct_rows(data) if "distinct" in case.kind else (data, None)
    columns = ("frequency", "monetary_value") if name == "Gamma-Gamma" else ("frequency", "recency", "T")
    used = rows[rows["frequency"] > 0] if name == "Gamma-Gamma" else rows

    def theirs() -> Any:
        np.random.seed(0)  # noqa: NPY002  the peer draws its start from the global generator
        return peer_class(penalizer_coef=0.0).fit(*(used[column] for column in columns), weights=weight)

    for found in beside(case, lambda: ours_class().fit(data), theirs if case.peer else None):
        mine, other = found.pop("mine"), found.pop("other", None)
        note = f"{mine.n_iter_} evaluations"
        if other is not None:
            gain = likelihood(dict(mine.params_), data) - likelihood(dict(other.params_), data)
            found["gain"] = gain
        yield {**found, "note": note}


def value(case: Case) -> Iterator[Found]:
    """Value accounts over twelve months, discounted, at a margin."""
    from books import SPARSE, SPEND, book
    from lifetimes import BetaGeoFitter, GammaGammaFitter

    from clv.value import BetaGeoModel, GammaGammaModel, lifetime_value

    data = book(case.accounts, case.grid)
    buying, paying = BetaGeoModel.from_parameters(unit="W", **SPARSE), GammaGammaModel.from_parameters(**SPEND)
    peer, money = BetaGeoFitter(), GammaGammaFitter()
    peer.params_, money.params_ = pd.Series(SPARSE), pd.Series(SPEND)
    peer.predict = peer.conditional_expected_number_of_purchases_up_to_time  # which `fit` would have set
    monthly = 1.1 ** (1 / 12) - 1

    def ours() -> float:
        table = lifetime_value(buying, paying, data, horizon=365.25 / 7, discount_rate=0.1, margin=1.0).table
        return float(table["clv"].sum())

    def theirs() -> float:
        arguments = (data[c] for c in ("frequency", "recency", "T", "monetary_value"))
        found = money.customer_lifetime_value(peer, *arguments, time=12, discount_rate=monthly, freq="W")
        return float(found.sum())

    for found in beside(case, ours, theirs):
        mine, other = found.pop("mine"), found.pop("other", None)
        note = "" if other is None else f"their total is {other / mine - 1:+.2%} off (months, discounted at their ends)"
        yield {**found, "note": note}


def _child(case: Case, pipe: Any) -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    try:
        for found in (value if "CLV" in case.kind else fit)(case):
            pipe.send(found)
    except Exception as error:  # a peer may raise anything
        pipe.send({"note": f"peer: {type(error).__name__}: {' '.join(str(error).split())[:60]}"})
    pipe.send(None)


def measure(case: Case, cap: float) -> Found:
    """Run a case in a process of its own, and end it when it takes too long."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(case, there), daemon=True)
    process.start()
    there.close()
    found: Found = {}
    started = time.monotonic()
    try:
        while True:
            left = cap + 60 * (not found) - (time.monotonic() - started)
            if not here.poll(max(left, _PAUSE)):
                found["over"] = cap
                break
            told = here.recv()
            if told is None:
                break
            if not found:
                started = time.monotonic()  # the cap is the peer's, not ours
            found.update(told)
    except EOFError:
        found["note"] = "the process ended"
    finally:
        process.kill()
        process.join()
    return found


def row(case: Case, found: Found, *, theirs: float | None = None, least: bool = False, note: str = "") -> str:
    """Write one line of the table; `least`: the peer's time is a lower bound."""
    ours, theirs = found.get("ours"), theirs or found.get("theirs")
    ratio = theirs / ours if ours and theirs else None
    goal = case.goal
    shown = "" if ratio is None else f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:,.1f}×"
    reached = "" if goal is None else f"≥ {goal:,}×"
    if goal is not None and ratio is not None:
        reached += ", yes" if ratio >= goal else ", not measured" if least else ", NO"
    shown = f"> {shown}" if least and shown else shown
    gain = f"{found['gain']:+.4f}" if "gain" in found else ""
    peer = f"over {found['over']:.0f} s" if "over" in found else "" if theirs is None else seconds(theirs)
    said = "; ".join(part for part in (found.get("note", ""), note) if part)
    book = f"{case.accounts:,}{' dense' if case.dense else ''}"
    cells = (case.kind, book, case.grid, seconds(ours) if ours else "", peer, shown, reached, gain, said)
    return "| " + " | ".join(cells) + " |"


def seconds(spent: float) -> str:
    """Write a duration with three digits."""
    return f"{1e3 * spent:.3g} ms" if spent < 0.9995 else f"{spent:.3g} s"


def machine() -> str:
    """Describe where this ran."""
    packages = {}
    for name in ("numpy", "scipy", "pandas", "lifetimes"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    cpu = "unknown CPU"
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (s.split(":", 1)[1].strip() for s in info.read_text().splitlines() if s.startswith("model name")), cpu
        )
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    listed = ", ".join(f"{name} {number}" for name, number in packages.items())
    where = f"{os.cpu_count()} cores, {cpu}, Python {platform.python_version()}"
    return f"{where}, {listed}; one thread each; {load} at the start."


def other_peers(accounts: int, python: str | None, cap: float) -> Iterator[str]:
    """Fit BG/NBD by pymc-marketing and clvkit in their own environment, on the accounts that we fit."""
    import independent
    from books import book

    from clv.value import BetaGeoModel

    data = book(accounts, "days")
    ours, model = timed(lambda: BetaGeoModel().fit(data), 7)
    script = Path(__file__).parent / "peers" / "map_fit.py"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "accounts.parquet"
        data.reset_index().to_parquet(table)
        for peer in ("pymc-marketing", "clvkit"):
            case = Case(f"MAP BG/NBD, {peer}" if peer == "pymc-marketing" else f"fit BG/NBD, {peer}", accounts, "days")
            found: Found = {"ours": float(np.median(ours))}
            try:
                done = subprocess.run(
                    [python or sys.executable, str(script), peer, str(table)],
                    capture_output=True, text=True, timeout=cap, check=True,
                )  # fmt: skip
                told = json.loads(done.stdout.splitlines()[-1])
                if "missing" in told:
                    found["note"] = told["missing"]
                else:
                    found["theirs"], found["note"] = told["seconds"], told["note"]
                    mine = independent.beta_geo(dict(model.params_), data)
                    found["gain"] = mine - independent.beta_geo(told["params"], data)
            except subprocess.TimeoutExpired:
                found["over"] = cap
            except subprocess.CalledProcessError as error:
                found["note"] = f"failed: {error.stderr.strip().splitlines()[-1][:80] if error.stderr else error}"
            yield row(case, found)


def cases(chosen: argparse.Namespace) -> Iterator[Case]:
    """List what is to be compared, the small first."""
    for accounts in sorted(chosen.accounts):
        for name in chosen.models:
            grids = chosen.grids[:1] if name == "Gamma-Gamma" else chosen.grids  # spend has no times
            for grid in grids:
                peer = name != "Pareto/NBD" or accounts <= chosen.pareto_up_to
                yield Case(f"fit {name}", accounts, grid, runs=chosen.runs, peer=peer)
                if name == "BG/NBD" and accounts == max(chosen.accounts):
                    yield Case("fit BG/NBD, peer on distinct rows", accounts, grid, runs=chosen.runs)
                if chosen.dense and name == "BG/NBD":
                    yield Case(f"fit {name}", accounts, grid, dense=True, runs=chosen.runs)
        if "BG/NBD" in chosen.models and "Gamma-Gamma" in chosen.models:
            yield Case("12-month CLV", accounts, chosen.grids[0], runs=chosen.runs)
        for name in chosen.models:
            yield Case(f"1,000 posterior draws {name}", accounts, chosen.grids[0], runs=3)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="+", default=[2_400, 100_000, 1_000_000])
    parser.add_argument("--grids", nargs="+", choices=("days", "weeks"), default=["days", "weeks"])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--runs", type=int, default=5, help="of ours, before the peer's run and again after it")
    parser.add_argument("--cap", type=float, default=240, help="seconds that a peer may take")
    parser.add_argument(
        "--pareto-up-to", type=int, default=100_000, help="most accounts for which lifetimes fits Pareto/NBD"
    )
    parser.add_argument("--dense", action="store_true", help="also books with nine repeat purchases an account")
    parser.add_argument("--peer-python", help="interpreter of an environment with pymc-marketing or clvkit")
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall",
        help="what counts: time, or processor time, which is fairer where the machine has other work to do",
    )  # fmt: skip
    chosen = parser.parse_args(arguments)
    os.environ[_CLOCK] = chosen.clock
    started = time.monotonic()
    print(machine(), f"Times are {'wall-clock' if chosen.clock == 'wall' else 'processor'} times.", end="\n\n")
    print("| case | accounts | times in | clv | peer | ratio | goal | log-likelihood, ours − theirs | notes |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    theirs: dict[tuple[str, int, str], float] = {}
    for case in cases(chosen):
        found = measure(case, chosen.cap)
        key = (case.kind, case.accounts, case.grid)
        if "theirs" in found and not case.dense:
            theirs[key] = found["theirs"]
        compared, note, least = None, "", False
        if "posterior" in case.kind:
            compared = theirs.get(("fit BG/NBD", case.accounts, case.grid))
            note = "beside one lifetimes fit of BG/NBD" if compared else ""
        elif not case.peer:
            known = [(n, spent) for (kind, n, grid), spent in theirs.items() if kind == case.kind and grid == case.grid]
            if known:
                size, spent = max(known)
                compared, least = spent, True
                scaled = spent / found["ours"] * case.accounts / size if found.get("ours") else float("nan")
                note = f"lifetimes not run: its time for {size:,} accounts; in proportion {scaled:,.0f}×"
            else:
                note = "lifetimes not run"
        print(row(case, found, theirs=compared, least=least, note=note), flush=True)
    if "BG/NBD" in chosen.models and 100_000 in chosen.accounts:
        for line in other_peers(100_000, chosen.peer_python, chosen.cap):
            print(line, flush=True)
    load = f" load {os.getloadavg()[0]:.1f} at the end." if hasattr(os, "getloadavg") else ""
    print(f"\nThe whole run took {(time.monotonic() - started) / 60:.1f} minutes;{load}")


if __name__ == "__main__":
    main()
