"""From accepted lines to the money of purchases: what became of every amount, and which accounts have no purchase."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from clv.data.accounting.ledger import MICRO, exact_sum, to_micros
from clv.data.settings import Grain
from clv.data.summary import day_of, interval_start
from clv.data.summary_checks import checked
from clv.result import Result


@dataclass(frozen=True, eq=False)
class Spend(Result):
    """What became of the money of accepted lines.

    Attributes
    ----------
    table : pandas.DataFrame
        line, accounts, intervals, rows, amount. ``accepted`` is the sum of the others, in rows and, to the millionth,
        in money: ``later`` (after the as-of date), ``left_out`` (accounts without a purchase), ``credits_alone``
        (intervals of buyers that are no purchase, because credits take all that is bought in them or more),
        ``first_purchases`` (which no spend model uses) and ``repeat_purchases`` (of which the mean money of an account
        is made: the sum of frequency × monetary_value).
    left_out : pandas.DataFrame
        Accounts without a purchase up to the as-of date: account_id, rows, amount (nothing or less).
    free : int
        Purchases without money (orders whose every line is free), which count as purchases.
    """

    left_out: pd.DataFrame
    free: int


def reconcile_spend(
    transactions: pd.DataFrame, *, as_of: dt.date | str | pd.Timestamp | None = None, grain: Grain = "D"
) -> Spend:
    """Say what became of the money of accepted lines on the way to `clv.summarise`.

    The rules of a study (credits, zero prices and the like) have been applied, and are reconciled, when its lines were
    read. What then counts as a purchase is settled here: all of an interval of the grain together; none where credits
    that the study keeps (``credits: keep``) take all of it or more, whose money is then set against nobody's purchases.

    Parameters
    ----------
    transactions : pandas.DataFrame
        account_id, date, amount.
    as_of : date, optional
        Last day that counts; None: day of the last line.
    grain : {"D", "W", "M"}

    Returns
    -------
    Spend

    Raises
    ------
    clv.errors.DataError
        As `clv.summarise`.
    """
    lines = checked(transactions)
    days = lines["date"].to_numpy(dtype="datetime64[ns]").astype("datetime64[D]")
    last = days.max() if as_of is None else np.datetime64(day_of(as_of).date(), "D")
    books = pd.DataFrame(
        {
            "account_id": lines["account_id"].to_numpy(), "start": interval_start(days, grain),
            "micros": to_micros(lines["amount"].to_numpy(dtype=float)), "later": days > last,
        }
    )  # fmt: skip
    inside = books[~books["later"]]
    made = inside.groupby(["account_id", "start"], sort=True)["micros"].agg(["sum", "min", "size"]).reset_index()
    made["bought"] = (made["sum"] > 0) | (made["min"] >= 0)
    buys = made.groupby("account_id")["bought"].transform("any")
    bought = made[made["bought"]]
    first = ~bought["account_id"].duplicated()
    parts = {
        "left_out": made[~buys],
        "credits_alone": made[buys & ~made["bought"]],
        "first_purchases": bought[first],
        "repeat_purchases": bought[~first],
    }
    late = books[books["later"]]
    rows = [
        ("accepted", books["account_id"].nunique(), -1, len(books), exact_sum(books["micros"].to_numpy())),
        ("later", late["account_id"].nunique(), -1, len(late), exact_sum(late["micros"].to_numpy())),
        *(
            (name, part["account_id"].nunique(), len(part), int(part["size"].sum()), exact_sum(part["sum"].to_numpy()))
            for name, part in parts.items()
        ),
    ]
    if rows[0][3:] != tuple(sum(row[place] for row in rows[1:]) for place in (3, 4)):  # type: ignore[misc]
        raise AssertionError("spend does not balance")
    table = pd.DataFrame(rows, columns=["line", "accounts", "intervals", "rows", "amount"])
    table["intervals"] = table["intervals"].astype("Int64").mask(table["intervals"] < 0)
    table["amount"] = [amount / MICRO for amount in table["amount"]]
    gone = parts["left_out"].groupby("account_id").agg(rows=("size", "sum"), micros=("sum", "sum")).reset_index()
    left_out = gone.assign(amount=gone["micros"] / MICRO)[["account_id", "rows", "amount"]]
    free = int((bought["sum"] == 0).sum())
    return Spend(table, _sentences(table.set_index("line"), free), left_out, free)


def _sentences(table: pd.DataFrame, free: int) -> str:
    line: dict[Any, dict[str, Any]] = table.to_dict("index")  # type: ignore[assignment]
    repeat, first, alone, gone = (
        line[name] for name in ("repeat_purchases", "first_purchases", "credits_alone", "left_out")
    )
    said = (
        f"Of {line['accepted']['amount']:,.2f} in accepted lines, {repeat['amount']:,.2f} are money of"
        f" {repeat['intervals']:,} repeat purchases, from which spend is learnt, and {first['amount']:,.2f} of"
        f" {first['intervals']:,} first purchases."
    )
    if alone["intervals"]:
        said += (
            f" {alone['intervals']:,} times credits took all that was bought or more ({alone['amount']:,.2f}): that is"
            " no purchase, and is set against no other."
        )
    if gone["accounts"]:
        said += (
            f" {gone['accounts']:,} {'account has' if gone['accounts'] == 1 else 'accounts have'} no purchase left"
            f" after credits ({gone['amount']:,.2f}) and {'is' if gone['accounts'] == 1 else 'are'} not valued."
        )
    if free:
        said += (
            f" Free of charge {'is 1 purchase' if free == 1 else f'are {free:,} purchases'}; they count, with money 0."
        )
    if line["later"]["rows"]:
        said += f" {line['later']['rows']:,} lines ({line['later']['amount']:,.2f}) are later than the as-of date."
    return said
