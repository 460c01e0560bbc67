"""Sums by account, and classes by cumulative share: the arithmetic that several classifications have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.purchases import Date, day_of
from clv.data.summary_checks import checked
from clv.errors import DataError, SettingsError


def by_account(values: Any, *, name: str = "value", table: str = "value") -> pd.Series:
    """Take one finite number an account from a series, a table, or a result with a table.

    Parameters
    ----------
    values : pandas.Series, pandas.DataFrame or Result
        Index account_id (or a column of that name); of a table, the column `name` or, failing that, ``clv``.
    name : str
        What the numbers are.
    table : str
        What the source is called in errors.

    Returns
    -------
    pandas.Series
        Index account_id (text), float, in the order given.

    Raises
    ------
    clv.errors.DataError
        A number is missing or infinite, an account is there twice, or the column is not there.
    """
    values = getattr(values, "table", values)
    if isinstance(values, pd.DataFrame):
        frame = values.set_index("account_id") if "account_id" in values.columns else values
        column = name if name in frame.columns else "clv"
        if column not in frame.columns:
            raise DataError("the column is missing.", table=table, column=name, mend="Give one number an account.")
        values = frame[column]
    if not isinstance(values, pd.Series):
        raise DataError(f"it is a {type(values).__name__}.", table=table, mend="Give a Series by account_id.")
    series = pd.Series(values.to_numpy(dtype=float, na_value=np.nan), index=values.index.astype(str), name=name)
    series.index.name = "account_id"
    if not series.index.is_unique:
        twice = series.index[series.index.duplicated()][0]
        raise DataError(f"account {twice!r} is there twice.", table=table, mend="Give one number an account.")
    bad = ~np.isfinite(series.to_numpy())
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"account {series.index[at]!r} has no finite number ({int(bad.sum()):,} such).", table=table, column=name,
            row=at + 1, mend="Leave the account out, or give its number.",
        )  # fmt: skip
    return series


def lines_until(transactions: pd.DataFrame, as_of: Date | None) -> tuple[pd.DataFrame, pd.Timestamp]:
    """Check transactions and take the lines up to a day, whose dates then have no time of day.

    Returns
    -------
    lines : pandas.DataFrame
        account_id as text, date as day; other columns as they are.
    as_of : pandas.Timestamp

    Raises
    ------
    clv.errors.DataError
        A column or value is missing, or there is no line by then.
    """
    if not isinstance(transactions, pd.DataFrame):
        raise DataError(f"it is a {type(transactions).__name__}.", table="transactions", mend="Give a DataFrame.")
    sound = checked(transactions).reset_index(drop=True)
    others = transactions.drop(columns=list(sound.columns)).reset_index(drop=True)
    lines = pd.concat([sound, others], axis=1)
    lines = lines.assign(account_id=lines["account_id"].astype(str), date=lines["date"].dt.normalize())
    end = pd.Timestamp(lines["date"].max()) if as_of is None else day_of(as_of)
    lines = lines[lines["date"] <= end]
    if lines.empty:
        raise DataError(f"no purchase lies on or before {end:%Y-%m-%d}.", table="transactions", mend="Correct 'as_of'.")
    return lines, end


def each_account(number: float | pd.Series, ids: pd.Index, name: str) -> pd.Series:
    """Give each account its own number; those without one in a series count as the series' median."""
    if isinstance(number, pd.Series):
        own = by_account(number, name=name, table=name)
        return own.reindex(ids).fillna(float(own.median()) if len(own) else 0.0)
    return pd.Series(float(number), index=ids)


def known_accounts(accounts: Iterable[str] | pd.DataFrame | None, more: Iterable[str] = ()) -> pd.Index:
    """List all account ids, those of a list or table and further ones, sorted, as text.

    Raises
    ------
    clv.errors.DataError
        The table has no account_id, or an account is there twice.
    """
    listed: list[str] = []
    if isinstance(accounts, str):
        raise DataError(f"found the text {accounts!r}.", table="accounts", mend="Give a list of ids, or a table.")
    if isinstance(accounts, pd.DataFrame):
        if "account_id" in accounts.columns:
            accounts = accounts["account_id"]
        elif accounts.index.name == "account_id":
            accounts = accounts.index
        else:
            raise DataError("is missing.", table="accounts", column="account_id", mend="Rename the column.")
    if accounts is not None:
        ids = pd.Series(list(accounts), dtype=object).dropna().astype(str)
        if ids.duplicated().any():
            twice = ids[ids.duplicated()].iloc[0]
            raise DataError(
                f"account {twice!r} is there twice.", table="accounts", column="account_id",
                mend="Give one row an account.",
            )  # fmt: skip
        listed = ids.tolist()
    return pd.Index(sorted({*listed, *map(str, more)}), dtype=object, name="account_id")


def cumulative_classes(values: NDArray[np.float64], cuts: Sequence[float]) -> NDArray[np.int64]:
    """Class by cumulative share: 0 makes the first part of the whole, the largest first, 1 the next, and so on.

    An account belongs to the class in which its share begins, so that the one that crosses a cut is still in the
    better class and class 0 is never empty. What is not above nought is in the last class. Of equal values the
    earlier ones come first.

    Parameters
    ----------
    values : numpy.ndarray, shape (accounts,)
    cuts : sequence of float
        Rising shares, such as .80 and .95.

    Returns
    -------
    numpy.ndarray of int, shape (accounts,)
    """
    positive = np.maximum(np.nan_to_num(values), 0.0)
    total = positive.sum()
    last = len(cuts)
    if not total > 0:
        return np.full(len(values), last, dtype=np.int64)
    order = np.argsort(-positive, kind="stable")
    ranked = positive[order]
    before = (np.cumsum(ranked) - ranked) / total
    # Sums of equal parts miss a cut by a rounding error: what begins at the cut is behind it.
    classes = np.searchsorted(np.asarray(cuts, dtype=float), before + 1e-12, side="right")
    result = np.empty(len(values), dtype=np.int64)
    result[order] = np.where(ranked > 0, classes, last)
    return result


def check_share(name: str, value: float) -> float:
    """Return a share strictly between 0 and 1, or say that it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise SettingsError(f"{name}: found {value!r}.", mend="Give a share between 0 and 1, such as 0.9.")
    return float(value)
