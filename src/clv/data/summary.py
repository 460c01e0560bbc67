"""Purchases become one row an account: frequency, recency, T and the mean money of a purchase."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from clv.data.settings import Grain, Unit
from clv.data.summary_checks import check_size, checked
from clv.data.units import DAYS
from clv.data.whole_logs import FINE, whole_logs
from clv.errors import DataError, SettingsError

Engine = Literal["pandas", "duckdb"]

_MICRO = 1_000_000


def summarise(
    transactions: pd.DataFrame | str | Path,
    *,
    as_of: dt.date | str | pd.Timestamp | None = None,
    grain: Grain = "D",
    unit: Unit = "W",
    engine: Engine = "pandas",
    log_waits: bool = False,
) -> pd.DataFrame:
    """Summarise each account's purchases (Fader, Hardie and Lee, 2005, section 2; the data of the BG/NBD model).

    All that an account buys within one interval of the `grain` is one purchase. An interval whose money comes to
    nothing or less because of credits is none; one of free orders only is. Recency and T are measured between
    the beginnings of intervals.

    Parameters
    ----------
    transactions : pandas.DataFrame or path
        `account_id`, `date` and `amount`, one row a line, in any order; the duckdb engine also takes the path of
        a Parquet file with these columns and does not load it.
    as_of : date, optional
        The last day that counts; what is later is left out. None: the day of the last line.
    grain : {"D", "W", "M"}
        Interval within which purchases count as one: day, ISO week (from Monday), calendar month.
    unit : {"D", "W", "M", "Y"}
        Unit of recency and T: 1, 7, 365.25 / 12 or 365.25 days.
    engine : {"pandas", "duckdb"}
        Who computes; the tables are equal.
    log_waits : bool
        Whether to add the column log_waits, by which (M)BG/CNBD-k models choose k on the full likelihood.

    Returns
    -------
    pandas.DataFrame
        Index account_id, sorted; frequency (int64, purchases after the first), recency and T (float64, in the
        unit), monetary_value (float64, mean money of the purchases after the first, 0 if there is none), first
        and last (datetime64[ns], beginnings of intervals); where asked for, log_waits (float64, the sum of the
        logarithms of the waits between successive purchases, in the unit; 0 if there is none).
        ``attrs["clv"]`` holds unit, grain and as_of.

    Raises
    ------
    DataError
        A column is missing, a value is, money is not finite, or no purchase lies on or before `as_of`.
    SettingsError
        `grain`, `unit` or `engine` is unknown.
    """
    for name, value, allowed in (
        ("grain", grain, ("D", "W", "M")),
        ("unit", unit, tuple(DAYS)),
        ("engine", engine, ("pandas", "duckdb")),
    ):
        if value not in allowed:
            raise SettingsError(f"{name}: found {value!r}; allowed are {', '.join(allowed)}.")
    last: np.datetime64 | None = None if as_of is None else np.datetime64(day_of(as_of).date(), "D")
    if isinstance(transactions, pd.DataFrame):
        transactions = checked(transactions)
    if engine == "duckdb":
        from clv.data.summary_duckdb import aggregate

        totals, last = aggregate(transactions, last, grain, log_waits=log_waits)
    elif isinstance(transactions, pd.DataFrame):
        totals, last = _aggregate(transactions, last, grain, log_waits=log_waits)
    else:
        raise SettingsError("the pandas engine takes a DataFrame.", mend="Say engine='duckdb' for a Parquet file.")
    return _finish(totals, last, grain, unit)


def _aggregate(
    lines: pd.DataFrame, last: np.datetime64 | None, grain: Grain, *, log_waits: bool
) -> tuple[pd.DataFrame, np.datetime64]:
    """Count and add up by account; the same columns as `clv.data.summary_duckdb.aggregate`."""
    days = lines["date"].to_numpy(dtype="datetime64[ns]").astype("datetime64[D]")
    last = days.max() if last is None else last
    codes, accounts = pd.factorize(lines["account_id"], use_na_sentinel=True)
    money = np.rint(lines["amount"].to_numpy(dtype=float) * _MICRO).astype("int64")
    if not (days <= last).all():
        inside = days <= last
        codes, days, money = codes[inside], days[inside], money[inside]
    start = interval_start(days, grain).astype("int64")
    origin = start.min() if len(start) else 0
    width = (start.max() - origin + 1) if len(start) else 1
    by_interval = pd.DataFrame({"key": codes * width + (start - origin), "money": money}).groupby("key")["money"]
    purchases = by_interval.agg(["sum", "min"])
    purchases = purchases[(purchases["sum"] > 0) | (purchases["min"] >= 0)]
    # Groups come sorted by account and interval: an account's purchases lie together, the first one first.
    key, total = purchases.index.to_numpy(), purchases["sum"].to_numpy()
    account, when = key // width, key % width + origin
    begins = np.flatnonzero(np.diff(account, prepend=-1))
    ends = np.append(begins[1:], len(account))[: len(begins)]
    check_size(np.add.reduceat(np.abs(total).astype(float), begins) / _MICRO if len(begins) else np.zeros(0))
    totals = pd.DataFrame(
        {
            "account_id": np.asarray(accounts, dtype=object)[account[begins]],
            "first": when[begins],
            "last": when[ends - 1],
            "purchases": (ends - begins).astype("int64"),
            "money": np.add.reduceat(total, begins) if len(begins) else np.zeros(0, dtype="int64"),
            "first_money": total[begins],
        }
    )
    if log_waits:
        waits = np.diff(when, prepend=0)
        waits[begins] = 0
        logs = whole_logs(int(waits.max(initial=0)))[waits]
        totals["logs"] = np.add.reduceat(logs, begins) if len(begins) else np.zeros(0, dtype="int64")
    return totals, last


def _finish(totals: pd.DataFrame, last: np.datetime64, grain: Grain, unit: Unit) -> pd.DataFrame:
    """Turn counts and sums into the statistics; one way of computing them for both engines."""
    if totals.empty:
        raise DataError(
            f"no purchase lies on or before {last}.",
            table="transactions",
            mend="Correct 'as_of', or see what was rejected.",
        )
    totals = totals.sort_values("account_id", kind="stable", ignore_index=True)
    first, final = totals["first"].to_numpy(dtype="int64"), totals["last"].to_numpy(dtype="int64")
    end = int(interval_start(np.array([last]), grain).astype("int64")[0])
    frequency = totals["purchases"].to_numpy(dtype="int64") - 1
    repeat = totals["money"].to_numpy(dtype="int64") - totals["first_money"].to_numpy(dtype="int64")
    summary = pd.DataFrame(
        {
            "frequency": frequency,
            "recency": (final - first) / DAYS[unit],
            "T": (end - first) / DAYS[unit],
            "monetary_value": repeat / np.maximum(frequency, 1) / _MICRO,
            "first": first.astype("datetime64[D]").astype("datetime64[ns]"),
            "last": final.astype("datetime64[D]").astype("datetime64[ns]"),
        },
        index=pd.Index(pd.Series(totals["account_id"].tolist(), dtype=str), name="account_id"),
    )
    if "logs" in totals:
        summary["log_waits"] = totals["logs"].to_numpy(dtype="int64") / FINE - frequency * np.log(DAYS[unit])
    summary.attrs["clv"] = {"unit": unit, "grain": grain, "as_of": str(last)}
    return summary


def interval_start(days: np.ndarray, grain: Grain) -> np.ndarray:
    """Return the first day of the interval in which each day lies (datetime64[D])."""
    if grain == "M":
        return days.astype("datetime64[M]").astype("datetime64[D]")
    if grain == "W":
        return days - (days.astype("int64") + 3) % 7  # 1970-01-01 was a Thursday
    return days


def day_of(as_of: dt.date | str | pd.Timestamp) -> pd.Timestamp:
    """Read a date; a time of day is dropped.

    Raises
    ------
    SettingsError
        It is no date.
    """
    try:
        moment = pd.Timestamp(as_of)
    except (ValueError, TypeError):
        moment = None
    if moment is None or moment is pd.NaT:
        raise SettingsError(f"as_of: found {as_of!r}, which is no date.", mend="Write it as 2011-12-31.")
    return moment.tz_localize(None).normalize()
