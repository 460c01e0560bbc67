"""Orders: the lines of a day (week, month) as one, with how much of it was bought on discount."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.purchases import Date, day_of
from clv.data.settings import Grain
from clv.data.summary import interval_start
from clv.data.summary_checks import checked
from clv.errors import DataError


def orders_of(
    transactions: pd.DataFrame, *, as_of: Date | None, grain: Grain, least: float
) -> tuple[pd.DataFrame, pd.Timestamp]:
    """Put the lines of an interval together.

    Parameters
    ----------
    transactions : pandas.DataFrame
        account_id, date, amount and, where it is known, discount (share of the list price).
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    grain : {"D", "W", "M"}
    least : float
        A line is on discount where its discount is above this.

    Returns
    -------
    orders : pandas.DataFrame
        account_id, day (first day of the interval), money, on_discount (1, 0; NaN where no line says). An order is on
        discount if more than half of its list value, as far as the discount is known, was.
    as_of : pandas.Timestamp

    Raises
    ------
    clv.errors.DataError
        A column or a value is missing, a discount is no share, or nothing was bought by then.
    """
    lines, discount = checked(transactions), _discounts(transactions)
    last = pd.Timestamp(lines["date"].max()).normalize() if as_of is None else day_of(as_of)
    known = (lines["date"] < last + pd.Timedelta(days=1)).to_numpy()
    lines, discount = lines[known], discount[known]
    amount = lines["amount"].to_numpy(float)
    bought = amount > 0
    listed = np.where(bought & ~np.isnan(discount), amount / np.maximum(1 - np.nan_to_num(discount), 0.01), 0.0)
    day = interval_start(lines["date"].to_numpy("datetime64[D]"), grain).astype("datetime64[ns]")
    frame = pd.DataFrame(
        {
            "account_id": lines["account_id"].astype(str).to_numpy(),
            "day": day,
            "money": amount,
            "listed": listed,
            "reduced": np.where(np.nan_to_num(discount) > least, listed, 0.0),
        }
    )
    by = frame.groupby(["account_id", "day"], sort=True)[["money", "listed", "reduced"]].sum().reset_index()
    by = by[by["money"] > 0].reset_index(drop=True)
    if by.empty:
        raise DataError(
            f"nothing was bought on or before {last:%Y-%m-%d}.", table="transactions", mend="Correct 'as_of'."
        )
    share = np.where(by["listed"] > 0, by["reduced"] / by["listed"].where(by["listed"] > 0, 1.0), np.nan)
    by["on_discount"] = np.where(np.isnan(share), np.nan, (share > 0.5).astype(float))
    return by[["account_id", "day", "money", "on_discount"]], last


def _discounts(transactions: pd.DataFrame) -> NDArray[np.float64]:
    """Read the discount of each line; NaN where it is not known."""
    if "discount" not in transactions.columns:
        return np.full(len(transactions), np.nan)
    try:
        discount = transactions["discount"].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(
            "does not hold numbers.", table="transactions", column="discount", mend="Write 5% as 0.05."
        ) from None
    bad = ~np.isnan(discount) & ~((discount >= 0) & (discount <= 1))
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"{discount[at]:g} is no share of the list price.", table="transactions", column="discount", row=at + 1,
            mend="Write 5% as 0.05.",
        )  # fmt: skip
    return discount
