"""Summaries of many transactions from Parquet: clv's two engines beside lifetimes, and polars where it is installed.

::

    python benchmarks/summary.py                                  # 1,000,000 and 20,000,000 lines
    python benchmarks/summary.py --lines 1000000 --threads 2
    python benchmarks/summary.py --peer-python peers/bin/python   # an environment with polars

Frequency, recency, T and mean money of each account, days as the grain. Every engine is a process of its own, which
reads the Parquet file and summarises it; the time is from the file to the summary, without imports, and the memory is
the largest that the process held, less what it held before. Compared are the sums of frequency, recency, T and mean
money over accounts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ENGINES = ("clv, duckdb", "clv, pandas", "polars", "lifetimes")
AS_OF = "2025-12-31"


def write_lines(path: Path, lines: int, seed: int = 5) -> None:
    """Draw lines of some three years, twenty an account on average; written in parts, so that memory stays small."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    accounts = max(lines // 20, 1)
    popularity = np.cumsum(rng.standard_gamma(0.7, accounts))
    popularity /= popularity[-1]
    names = pa.array([f"A{number:08d}" for number in range(accounts)])
    part, writer = 1_000_000, None
    first = np.datetime64("2023-01-01", "s")
    for start in range(0, lines, part):
        size = min(part, lines - start)
        account = np.searchsorted(popularity, rng.random(size))
        moment = first + rng.integers(0, 1095 * 86_400, size).astype("timedelta64[s]")
        amount = np.round(rng.standard_gamma(2.0, size) * 40 + 0.01, 2)
        table = pa.table(
            {
                "account_id": names.take(pa.array(account)),
                "date": pa.array(moment.astype("datetime64[us]")),
                "amount": amount,
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def clv_duckdb(path: str) -> Callable[[], pd.DataFrame]:
    import duckdb  # noqa: F401

    import clv

    clv.summarise  # noqa: B018  loads what it needs
    return lambda: clv.summarise(path, as_of=AS_OF, unit="D", engine="duckdb")


def clv_pandas(path: str) -> Callable[[], pd.DataFrame]:
    import clv

    clv.summarise  # noqa: B018
    return lambda: clv.summarise(pd.read_parquet(path), as_of=AS_OF, unit="D")


def lifetimes(path: str) -> Callable[[], pd.DataFrame]:
    from lifetimes.utils import summary_data_from_transaction_data as summary

    def work() -> pd.DataFrame:
        lines = pd.read_parquet(path)
        end = pd.Timestamp(AS_OF)
        return summary(lines, "account_id", "date", "amount", observation_period_end=end, freq="D")

    return work


def polars(path: str) -> Callable[[], pd.DataFrame]:
    import polars as pl

    def work() -> pd.DataFrame:
        day = pl.col("date").dt.date()
        days = pl.scan_parquet(path).group_by("account_id", day.alias("day")).agg(pl.col("amount").sum())
        first, last = pl.col("day").min(), pl.col("day").max()
        late = pl.col("amount").filter(pl.col("day") > pl.col("day").min())
        end = pl.lit(pd.Timestamp(AS_OF).date())
        made = days.group_by("account_id").agg(
            (pl.len() - 1).alias("frequency"),
            (last - first).dt.total_days().alias("recency"),
            (end - first).dt.total_days().alias("T"),
            late.mean().fill_null(0.0).alias("monetary_value"),
        )
        table = made.sort("account_id").collect()
        columns = {name: table[name].to_numpy() for name in ("frequency", "recency", "T", "monetary_value")}
        return pd.DataFrame(columns, index=table["account_id"].to_list())

    return work


def child(engine: str, path: str) -> None:
    """Summarise once; print time, memory and sums as JSON."""
    warnings.simplefilter("ignore")
    makers = {"clv, duckdb": clv_duckdb, "clv, pandas": clv_pandas, "lifetimes": lifetimes, "polars": polars}
    try:
        work = makers[engine](path)
    except ImportError as error:
        print(json.dumps({"missing": f"{error.name} is not installed"}))
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, worked = time.perf_counter(), time.process_time()
    table = work()
    spent, worked = time.perf_counter() - start, time.process_time() - worked
    held = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    sums = [float(table[name].astype(float).sum()) for name in ("frequency", "recency", "T", "monetary_value")]
    print(json.dumps({"seconds": spent, "processor": worked, "bytes": held, "accounts": len(table), "sums": sums}))


def measure(engine: str, path: Path, python: str, *, threads: int, cap: float, runs: int) -> dict[str, Any]:
    """Run one engine in processes of its own; the fastest run counts."""
    environment = {
        **os.environ, "POLARS_MAX_THREADS": str(threads), "OMP_NUM_THREADS": str(threads), "NUMEXPR_MAX_THREADS": "1",
    }  # fmt: skip
    best: dict[str, Any] = {}
    for _ in range(runs):
        try:
            done = subprocess.run(
                [python, __file__, "--child", engine, str(path)],
                capture_output=True, text=True, timeout=cap, env=environment, check=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return best or {"missing": f"over {cap:.0f} s"}
        except subprocess.CalledProcessError as error:
            return {"missing": error.stderr.strip().splitlines()[-1][:90] if error.stderr else str(error)}
        told = json.loads(done.stdout.splitlines()[-1])
        if "missing" in told:
            return told
        if not best or told["seconds"] < best["seconds"]:
            best = told
        if told["seconds"] > 20:
            break
    return best


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000_000, 20_000_000])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--cap", type=float, default=300, help="seconds that one engine may take")
    parser.add_argument("--peer-python", help="interpreter of an environment with polars")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.child:
        child(*chosen.child)
        return
    print(f"{os.cpu_count()} cores, {chosen.threads} threads; load {os.getloadavg()[0]:.1f} at the start.\n")
    print("| lines | engine | time | processor time | memory | lifetimes takes (processor time) | agrees |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for lines in chosen.lines:
            path = Path(folder) / "lines.parquet"
            write_lines(path, lines)
            found = {}
            for engine in chosen.engines:
                python = chosen.peer_python if engine == "polars" and chosen.peer_python else sys.executable
                found[engine] = measure(engine, path, python, threads=chosen.threads, cap=chosen.cap, runs=chosen.runs)
            standard = found.get(ENGINES[0], {}).get("sums")
            peer = found.get("lifetimes", {}).get("processor")
            for engine, told in found.items():
                if "missing" in told:
                    print(f"| {lines:,} | {engine} | {told['missing']} | | | | |", flush=True)
                    continue
                ratio = f"{peer / told['processor']:.1f}×" if peer and engine != "lifetimes" else ""
                same = "" if standard is None else "yes" if np.allclose(told["sums"], standard, rtol=1e-9) else "NO"
                memory = f"{told['bytes'] / 1e9:.2f} GB"
                spent = f"{told['seconds']:.2f} s | {told['processor']:.2f} s"
                print(f"| {lines:,} | {engine} | {spent} | {memory} | {ratio} | {same} |", flush=True)


if __name__ == "__main__":
    main()
