"""The accounts table as clusters and lookalikes read it: one row an id, and ids that are there."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from clv.abm.options import account_ids
from clv.errors import DataError


def account_book(accounts: pd.DataFrame) -> pd.DataFrame:
    """Return the accounts with index account_id, as text.

    Raises
    ------
    DataError
        There is no account, or one is there twice.
    """
    book = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts
    book = book.set_axis(book.index.astype(str), axis=0).rename_axis("account_id")
    if not len(book):
        raise DataError("there is no account.", mend="Give one row an account.", table="accounts")
    twice = book.index.duplicated()
    if twice.any():
        raise DataError(
            f"account {book.index[twice][0]!r} is there twice.",
            mend="Give one row an account.",
            table="accounts",
            column="account_id",
            row=int(np.argmax(twice)) + 1,
        )
    return book


def known_ids(ids: Iterable[str] | pd.DataFrame, known: pd.Index) -> pd.Index:
    """Return the different ids, in their order.

    Raises
    ------
    DataError
        One is not in the accounts table.
    """
    asked = pd.Index(dict.fromkeys(account_ids(ids)), dtype=object)
    missing = asked[~asked.isin(known)]
    if len(missing):
        raise DataError(
            f"account {missing[0]!r} is not in the table ({len(missing):,} such).",
            mend="Add the account, or leave it out.",
            table="accounts",
            column="account_id",
        )
    return asked
