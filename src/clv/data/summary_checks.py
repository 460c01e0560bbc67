"""Transactions that come from elsewhere are checked before they are summarised."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.errors import DataError

_NEEDED = ("account_id", "date", "amount")
_LARGEST = 9e12


def checked(transactions: pd.DataFrame) -> pd.DataFrame:
    """Check what comes from elsewhere: columns, types, no gaps, finite money.

    Raises
    ------
    DataError
        With the column and the first row in fault, counted from 1.
    """
    for name in _NEEDED:
        if name not in transactions.columns:
            have = ", ".join(map(str, transactions.columns))
            raise DataError(f"is missing; there are {have}.", table="transactions", column=name, mend="Rename it.")
    lines = transactions[list(_NEEDED)]
    if lines.empty:
        raise DataError("has no rows.", table="transactions", mend="See what was rejected.")
    if not pd.api.types.is_datetime64_any_dtype(lines["date"].dtype):
        raise DataError(
            "does not hold dates.", table="transactions", column="date", mend="Read it with clv.read_transactions."
        )
    if isinstance(lines["date"].dtype, pd.DatetimeTZDtype):
        lines = lines.assign(date=lines["date"].dt.tz_localize(None))
    if not pd.api.types.is_numeric_dtype(lines["amount"].dtype):
        raise DataError(
            "does not hold numbers.", table="transactions", column="amount", mend="Read it with clv.read_transactions."
        )
    for name in ("account_id", "date"):
        _refuse(lines[name].isna().to_numpy(), "is empty", name)
    amount = lines["amount"].to_numpy(dtype=float, na_value=np.nan)
    _refuse(~np.isfinite(amount), "is not a finite number", "amount")
    check_size(np.abs(amount))
    if pd.api.types.is_numeric_dtype(lines["account_id"].dtype):
        raise DataError(
            "holds numbers, not text: 007 and 7 would be one account.",
            table="transactions",
            column="account_id",
            mend="Read it with clv.read_transactions, or turn it into str.",
        )
    return lines


def _refuse(fault: np.ndarray, what: str, column: str) -> None:
    if fault.any():
        raise DataError(
            f"{what} ({int(fault.sum()):,} times).",
            table="transactions",
            column=column,
            row=int(np.argmax(fault)) + 1,
            mend="Read the table with clv.read_transactions, which sets such rows aside.",
        )


def check_size(money: np.ndarray) -> None:
    """Refuse money (per row or per account) that a 64-bit number of millionths cannot hold."""
    if len(money) and float(np.max(money)) > _LARGEST:
        raise DataError(
            f"money of one account exceeds {_LARGEST:g}.",
            table="transactions",
            column="amount",
            mend="Give money in thousands or millions.",
        )
