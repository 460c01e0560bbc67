"""Purchases in order of time, so that a book can be looked at as of many dates; what is left out is counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.left_out import left_out_table
from clv.data.settings import Grain
from clv.data.summary import day_of as day_of
from clv.data.summary import interval_start
from clv.data.summary_checks import checked
from clv.errors import DataError, SettingsError

Date = dt.date | str | pd.Timestamp

MICRO = 1_000_000


@dataclass(frozen=True, eq=False)
class Purchases:
    """What was bought up to a date, one entry an account and interval of the grain, in order of time.

    Attributes
    ----------
    accounts : numpy.ndarray of object
        Ids of all accounts with a line up to the date, sorted.
    account : numpy.ndarray of int64
        Place in `accounts`.
    day : numpy.ndarray of int64
        First day of the interval, in days since 1970-01-01.
    money : numpy.ndarray of int64
        Millionths, credits taken off.
    counts : numpy.ndarray of bool
        It is a purchase; intervals that credits leave without money are none (as in `clv.summarise`).
    as_of : pandas.Timestamp
    grain : {"D", "W", "M"}
    left_out : pandas.DataFrame
        account_id, reason, rows: lines after the date, and accounts that have lines but no purchase.
    """

    accounts: NDArray[np.object_]
    account: NDArray[np.int64]
    day: NDArray[np.int64]
    money: NDArray[np.int64]
    counts: NDArray[np.bool_]
    as_of: pd.Timestamp
    grain: Grain
    left_out: pd.DataFrame

    @property
    def end(self) -> int:
        """First day of the interval in which the as-of date lies."""
        return first_day(self.as_of, self.grain)


class Snapshot(NamedTuple):
    """The book as of a date, one entry an account of `Purchases.accounts`; silent is -1 where nothing was bought."""

    silent: NDArray[np.int64]
    purchases: NDArray[np.int64]
    money: NDArray[np.int64]


def first_day(date: pd.Timestamp, grain: Grain) -> int:
    """Return the first day of the interval in which a date lies, in days since 1970-01-01."""
    return int(interval_start(np.array([np.datetime64(date.date(), "D")]), grain).astype("int64")[0])


def purchases_until(transactions: pd.DataFrame, *, as_of: Date | None = None, grain: Grain = "D") -> Purchases:
    """Put the purchases up to a date in order.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    grain : {"D", "W", "M"}
        Interval within which purchases count as one.

    Returns
    -------
    Purchases

    Raises
    ------
    clv.errors.DataError
        A column or a value is missing, or nothing was bought by then.
    clv.errors.SettingsError
        The date or the grain is none.
    """
    if grain not in ("D", "W", "M"):
        raise SettingsError(f"grain: found {grain!r}; allowed are D, W, M.")
    if not isinstance(transactions, pd.DataFrame):
        kind = type(transactions).__name__
        raise DataError(f"it is a {kind}.", table="transactions", mend="Give a DataFrame.")
    lines = checked(transactions)
    days = lines["date"].to_numpy(dtype="datetime64[ns]").astype("datetime64[D]")
    last = pd.Timestamp(days.max()) if as_of is None else day_of(as_of)
    known = days <= np.datetime64(last.date(), "D")
    ids = lines["account_id"].astype(str)
    codes, accounts = pd.factorize(ids[known], sort=True)
    # One key for day and account: grouping by two columns takes several times as long.
    start = interval_start(days[known], grain).astype("int64")
    origin, width = (int(start.min()) if len(start) else 0), max(len(accounts), 1)
    money = np.rint(lines["amount"].to_numpy(dtype=float)[known] * MICRO).astype("int64")
    lines_of = pd.DataFrame({"key": (start - origin) * width + codes, "money": money}).groupby("key")["money"]
    sums = lines_of.agg(["sum", "min"])
    key = sums.index.to_numpy(dtype="int64")
    account, day, total = key % width, key // width + origin, sums["sum"].to_numpy(dtype="int64")
    counts = ((sums["sum"] > 0) | (sums["min"] >= 0)).to_numpy()
    if not counts.any():
        raise DataError(
            f"no purchase lies on or before {last:%Y-%m-%d}.", table="transactions", mend="Correct 'as_of'."
        )
    names = np.asarray(accounts, dtype=object)
    bought = np.zeros(len(names), dtype=bool)
    bought[account[counts]] = True
    without = pd.Series(np.bincount(codes, minlength=len(names))[~bought], index=names[~bought])
    later = ids[~known].value_counts()
    place = pd.Index(names, dtype=object).get_indexer(later.index.astype(object))
    before = (place >= 0) & bought[place]
    left_out = left_out_table(
        (f"lines after {last:%Y-%m-%d}", later[before]),
        (f"first bought after {last:%Y-%m-%d}", later[~before]),
        ("no purchase, credits only", without.drop(later.index[~before], errors="ignore")),
    )
    return Purchases(names, account, day, total, counts, last, grain, left_out)


def snapshots(transactions: pd.DataFrame, dates: Sequence[pd.Timestamp], purchases: Purchases) -> Iterator[Snapshot]:
    """Look at a book as of rising dates, none later than that of `purchases`; each knows nothing of what came later."""
    n = len(purchases.accounts)
    last, count, money = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    done = 0
    for date in dates:
        cut = purchases.grain == "W" or (purchases.grain == "M" and not date.is_month_end)
        if cut and date != purchases.as_of:
            yield _within_an_interval(transactions, date, purchases)
            continue
        end = first_day(date, purchases.grain)
        stop = int(np.searchsorted(purchases.day, end, side="right"))
        account, real = purchases.account[done:stop], purchases.counts[done:stop]
        np.add.at(money, account, purchases.money[done:stop])
        np.add.at(count, account[real], 1)
        np.maximum.at(last, account[real], purchases.day[done:stop][real])
        done = stop
        yield Snapshot(np.where(count > 0, end - last, -1), count.copy(), money.copy())


def _within_an_interval(transactions: pd.DataFrame, date: pd.Timestamp, purchases: Purchases) -> Snapshot:
    """Look at a date that cuts an interval in two: what was bought in it after the date must not be seen."""
    n = len(purchases.accounts)
    seen = Snapshot(np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64))
    try:
        part = purchases_until(transactions, as_of=date, grain=purchases.grain)
    except DataError:  # the table was checked before: nobody had bought by then
        return seen
    places = pd.Index(purchases.accounts).get_indexer(pd.Index(part.accounts))
    for whole, values in zip(seen, next(snapshots(transactions, [date], part)), strict=True):
        whole[places] = values
    return seen


def month_ends(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the last days of all months that end between two dates."""
    return pd.date_range(first.normalize(), last.normalize(), freq="ME").as_unit("ns")
