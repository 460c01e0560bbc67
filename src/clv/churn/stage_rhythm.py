"""Change of rhythm of the accounts of a summary; summary and transactions must be of the same purchases."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.churn.purchases import purchases_until
from clv.churn.rhythm import RhythmChange, rhythm_of
from clv.data.settings import Unit
from clv.errors import DataError


def rhythm_in_summary(transactions: pd.DataFrame, summary: pd.DataFrame, *, level: float, unit: Unit) -> RhythmChange:
    """Compare rhythms as of a summary's date, one row an account of it, in its order.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount, from which the summary was made.
    summary : pandas.DataFrame
        With its as-of date and grain in ``attrs["clv"]``.
    level : float
        As in `clv.rhythm_change`.
    unit : {"D", "W", "M", "Y"}

    Raises
    ------
    clv.errors.DataError
        The two do not say the same of an account.
    """
    about = summary.attrs.get("clv", {})
    found = rhythm_of(
        purchases_until(transactions, as_of=about.get("as_of"), grain=about.get("grain") or "D"),
        unit=unit,
        level=level,
    )
    ids = summary.index.astype(str)
    there = found.table.index
    place = np.arange(len(ids)) if there.equals(ids) else there.get_indexer(ids)
    other = np.flatnonzero(
        (place < 0) | (found.table["intervals"].to_numpy()[place] != summary["frequency"].to_numpy(float))
    )
    more = there.difference(ids) if len(there) > len(ids) - int((place < 0).sum()) else there[:0]
    if len(other) or len(more):
        account = ids[other[0]] if len(other) else more[0]
        counted = found.table["intervals"].get(account)
        seen = "is not in it" if counted is None else f"has {counted:,} repeat purchases in it"
        kept = summary["frequency"].to_numpy()[other[0]] if len(other) else None
        raise DataError(
            f"account {account!r} {seen}, and in the summary {'it is not' if kept is None else f'{kept:,}'} "
            f"({len(other) + len(more):,} accounts differ).",
            mend="Give the transactions that the summary was made from, with its as-of date and grain in attrs.",
            table="transactions",
            column="account_id",
        )
    table = found.table.iloc[place].set_axis(summary.index)
    return RhythmChange(table, found.text, found.regularity, found.level, found.left_out, unit)
