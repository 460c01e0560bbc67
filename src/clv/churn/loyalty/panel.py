"""A panel of accounts and periods: what each bought, and in which periods it had a discount on offer."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.purchases import Date, Purchases, purchases_until
from clv.data.settings import Grain
from clv.errors import DataError

Floats = NDArray[np.float64]

#: days of a period.
LENGTH = {"W": 7, "4W": 28}


class Panel(NamedTuple):
    """One row an account, one column a period; the last period ends with the as-of date.

    Attributes
    ----------
    outcome : ndarray, shape (accounts, periods)
        Orders or money.
    offered : ndarray, shape (accounts, periods + before + after)
        Share of the period in which a discount was on offer, from `after` periods before the panel to `before` periods
        behind it.
    seen : ndarray of bool, shape (accounts, periods)
        The account had bought before the period.
    accounts : pandas.Index
    unused : dict of str to int
        Offers that could not be used, by reason.
    """

    outcome: Floats
    offered: Floats
    seen: NDArray[np.bool_]
    accounts: pd.Index
    unused: dict[str, int]


def make_panel(
    transactions: pd.DataFrame,
    offers: pd.DataFrame,
    *,
    as_of: Date | None,
    grain: Grain,
    period: Literal["W", "4W"],
    before: int,
    after: int,
    outcome: Literal["orders", "money"],
) -> Panel:
    """Make the panel.

    Raises
    ------
    clv.errors.DataError
        A column or a value is missing, an offer ends before it starts, nothing was bought, or no offer can be used.
    """
    book = purchases_until(transactions, as_of=as_of, grain=grain)
    length = LENGTH[period]
    end = book.end + 1
    periods = (end - int(book.day.min())) // length
    if periods < before + after + 2:
        raise DataError(
            f"{periods} whole periods of {length} days are too few.", table="transactions",
            mend="Use a shorter period, or fewer of them before and after.",
        )  # fmt: skip
    origin = end - periods * length
    values, first = _bought(book, origin, length, periods, outcome)
    seen = np.arange(periods) > (first[:, None] - origin) // length
    names = pd.Index(book.accounts.astype(str), name="account_id")
    offered, unused = _offered(offers, names, origin - after * length, length, periods + before + after)
    return Panel(values, offered, seen, names, unused)


def _bought(book: Purchases, origin: int, length: int, periods: int, outcome: str) -> tuple[Floats, NDArray[np.int64]]:
    """Return what each account bought in each period, and the day of its first purchase."""
    n = len(book.accounts)
    first = np.full(n, np.iinfo(np.int64).max // 2)
    np.minimum.at(first, book.account[book.counts], book.day[book.counts])
    place = (book.day - origin) // length
    used = (place >= 0) & (book.counts if outcome == "orders" else True)
    weight = np.ones(len(book.day)) if outcome == "orders" else book.money / 1e6
    key = book.account[used] * periods + place[used]
    values = np.bincount(key, weights=weight[used], minlength=n * periods).reshape(n, periods)
    # Credits may exceed what was bought in a period; what is left of it is nothing.
    return np.maximum(values, 0.0), first


def _offered(
    offers: pd.DataFrame, names: pd.Index, origin: int, length: int, periods: int
) -> tuple[Floats, dict[str, int]]:
    """Return the share of each period in which an account had an offer."""
    for name in ("account_id", "start"):
        if name not in offers.columns:
            raise DataError("is missing.", table="offers", column=name, mend="Give account_id, start and end.")
    stop = offers["end"] if "end" in offers.columns else offers["start"]
    start, stop = (pd.to_datetime(column) for column in (offers["start"], stop))
    for name, column in (("start", start), ("end", stop)):
        if column.isna().any():
            row = int(np.argmax(column.isna().to_numpy()))
            raise DataError("is empty.", table="offers", column=name, row=row + 1, mend="Give the date.")
    begin = start.to_numpy("datetime64[D]").astype("int64")
    finish = stop.to_numpy("datetime64[D]").astype("int64") + 1
    wrong = finish <= begin
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"the offer to {offers['account_id'].iloc[row]!r} ends before it starts.", table="offers", column="end",
            row=row + 1, mend="Correct the dates.",
        )  # fmt: skip
    place = names.get_indexer(pd.Index(offers["account_id"].astype(str)))
    outside = (finish <= origin) | (begin >= origin + periods * length)
    used = (place >= 0) & ~outside
    unused = {
        "to accounts that never bought": int((place < 0).sum()),
        "at other times": int(((place >= 0) & outside).sum()),
    }
    if not used.any():
        raise DataError(
            "none of the offers was made to an account that buys, in the time of the transactions.", table="offers",
            mend="Check account_id and the dates.",
        )  # fmt: skip
    # Days with an offer, each counted once however many offers overlap.
    days = np.zeros((len(names), periods * length + 1), dtype=np.int32)
    at = place[used]
    np.add.at(days, (at, np.maximum(begin[used] - origin, 0)), 1)
    np.add.at(days, (at, np.minimum(finish[used] - origin, periods * length)), -1)
    covered = np.cumsum(days[:, :-1], axis=1) > 0
    return covered.reshape(len(names), periods, length).mean(axis=2), {k: v for k, v in unused.items() if v}
