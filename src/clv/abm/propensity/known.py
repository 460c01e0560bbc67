"""What was known of an account on a date, and not a day later: the attributes that chances are learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from clv.errors import DataError

#: days before a date within which touches count as recent.
RECENT = 90
#: columns of the accounts table that name, date or link an account and are no attribute of it.
NOT_ATTRIBUTES = ("name", "manager", "parent_id", "created")


def known_at(
    points: pd.DataFrame,
    *,
    accounts: pd.DataFrame | None = None,
    transactions: pd.DataFrame | None = None,
    opportunities: pd.DataFrame | None = None,
    touches: pd.DataFrame | None = None,
    attributes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Gather what was known of accounts on given dates.

    Parameters
    ----------
    points : pandas.DataFrame
        Columns account_id and date; any index.
    accounts : pandas.DataFrame, optional
        Firmographics (one row an account). They are as of today: what has changed since, such as the number of
        employees, is not undone.
    transactions, opportunities, touches : pandas.DataFrame, optional
        What happened; only rows dated **before** a point's day count for it, an outcome only once it was closed.
    attributes : sequence of str, optional
        Columns of accounts to take; None: all but names, managers, parents and dates.

    Returns
    -------
    pandas.DataFrame
        Index of `points`. Attributes; with transactions purchases_before, days_since_purchase (NaN before the first),
        spent_before; with opportunities deals_before, won_before, lost_before; with touches touches_recent (90 days),
        touches_before, inbound_share and sentiment (NaN before the first).

    Raises
    ------
    DataError
        A point's account is not in the accounts table, or an account is there twice.
    """
    parts: list[pd.DataFrame] = []
    ids, day = points["account_id"].astype(str), points["date"]
    if accounts is not None:
        parts.append(_attributes(ids, accounts, attributes))
    if transactions is not None:
        bought = _Log(transactions["account_id"], transactions["date"])
        parts.append(
            pd.DataFrame(
                {
                    "purchases_before": bought.count(ids, day),
                    "days_since_purchase": bought.days_since(ids, day),
                    "spent_before": bought.sum(ids, day, transactions["amount"]),
                },
                index=points.index,
            )
        )
    if opportunities is not None:
        parts.append(_deals(ids, day, opportunities, points.index))
    if touches is not None:
        parts.append(_touches(ids, day, touches, points.index))
    return pd.concat(parts, axis=1) if parts else pd.DataFrame(index=points.index)


def decided_deals(opportunities: pd.DataFrame, *, as_of: pd.Timestamp) -> pd.DataFrame:
    """Take the deals whose outcome was known on a date.

    Parameters
    ----------
    opportunities : pandas.DataFrame
        opportunity_id, account_id, created, closed, outcome (won, lost or open).
    as_of : pandas.Timestamp
        Deals closed after this day count as open.

    Returns
    -------
    pandas.DataFrame
        opportunity_id, account_id, date (opened), decided, won; in the order of the table.

    Raises
    ------
    DataError
        Outcomes or closing dates are missing altogether.
    """
    for name in ("closed", "outcome"):
        if name not in opportunities.columns:
            raise DataError(
                "the column is missing.",
                mend="Give outcomes (won, lost, open) and closing dates.",
                table="opportunities",
                column=name,
            )
    known = opportunities["outcome"].isin(["won", "lost"]) & (opportunities["closed"].dt.normalize() <= as_of)
    deals = opportunities[known]
    return pd.DataFrame(
        {
            "opportunity_id": deals["opportunity_id"],
            "account_id": deals["account_id"].astype(str),
            "date": deals["created"],
            "decided": deals["closed"],
            "won": deals["outcome"] == "won",
        }
    )


class _Log:
    """Events of accounts in order of time, to be counted up to a day without looking past it."""

    def __init__(self, account: pd.Series, date: pd.Series) -> None:
        self.ids = pd.Index(account.astype(str).unique())
        self.order = np.lexsort([_days(date), self.ids.get_indexer(account.astype(str))])
        self.key = self._keys(account, _days(date))[self.order]
        self.days = _days(date)[self.order]

    def _keys(self, account: pd.Series, days: np.ndarray) -> np.ndarray:
        # One whole number for account and day; a day is five digits until the year 2243.
        return np.asarray(self.ids.get_indexer(account.astype(str)).astype(np.int64) * 1_000_000 + days)

    def _range(self, ids: pd.Series, date: pd.Series, back: int | None) -> tuple[np.ndarray, np.ndarray]:
        days = _days(date)
        first = self._keys(ids, np.zeros_like(days) if back is None else np.maximum(0, days - back))
        known = self.ids.get_indexer(ids) >= 0
        start = np.searchsorted(self.key, first, side="left")
        end = np.searchsorted(self.key, self._keys(ids, days), side="left")
        return np.where(known, start, 0), np.where(known, end, 0)

    def count(self, ids: pd.Series, date: pd.Series, *, back: int | None = None) -> np.ndarray:
        start, end = self._range(ids, date, back)
        return (end - start).astype(float)

    def sum(self, ids: pd.Series, date: pd.Series, values: pd.Series) -> np.ndarray:
        """Sum values of the events; missing ones count as none."""
        filled = values.to_numpy(dtype=float, na_value=np.nan)[self.order]
        total = np.r_[0.0, np.cumsum(np.where(np.isnan(filled), 0.0, filled))]
        start, end = self._range(ids, date, None)
        return np.asarray(total[end] - total[start])

    def mean(self, ids: pd.Series, date: pd.Series, values: pd.Series) -> np.ndarray:
        """Average the values that are there; NaN where there is none."""
        filled = self.sum(ids, date, values.notna().astype(float))
        return np.divide(self.sum(ids, date, values), filled, out=np.full(len(ids), np.nan), where=filled > 0)

    def days_since(self, ids: pd.Series, date: pd.Series) -> np.ndarray:
        start, end = self._range(ids, date, None)
        last = self.days[np.maximum(end - 1, 0)] if len(self.days) else np.zeros(len(ids))
        return np.where(end > start, _days(date) - last, np.nan)


def _days(date: pd.Series) -> np.ndarray:
    return np.asarray(date.to_numpy("datetime64[D]").astype(np.int64))


def _attributes(ids: pd.Series, accounts: pd.DataFrame, attributes: Sequence[str] | None) -> pd.DataFrame:
    table = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts
    table = table.set_axis(table.index.astype(str), axis=0)
    if not table.index.is_unique:
        at = int(np.argmax(table.index.duplicated()))
        raise DataError(
            f"account {table.index[at]!r} is there twice.",
            mend="Give one row an account.",
            table="accounts",
            column="account_id",
            row=at + 1,
        )
    missing = ~ids.isin(table.index).to_numpy()
    if missing.any():
        raise DataError(
            f"account {ids.iloc[int(np.argmax(missing))]!r} is not in the table ({int(missing.sum()):,} such).",
            mend="Add the account, or leave its rows out.",
            table="accounts",
            column="account_id",
        )
    names = [name for name in table.columns if name not in NOT_ATTRIBUTES] if attributes is None else list(attributes)
    return table.loc[ids, names].set_axis(ids.index, axis=0)


def _deals(ids: pd.Series, day: pd.Series, opportunities: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    columns = {"deals_before": _Log(opportunities["account_id"], opportunities["created"]).count(ids, day)}
    if {"closed", "outcome"} <= set(opportunities.columns):
        for outcome in ("won", "lost"):
            some = opportunities[(opportunities["outcome"] == outcome) & opportunities["closed"].notna()]
            columns[f"{outcome}_before"] = _Log(some["account_id"], some["closed"]).count(ids, day)
    return pd.DataFrame(columns, index=index)


def _touches(ids: pd.Series, day: pd.Series, touches: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    log = _Log(touches["account_id"], touches["date"])
    columns = {
        "touches_recent": log.count(ids, day, back=RECENT),
        "touches_before": log.count(ids, day),
    }
    if "inbound" in touches.columns:
        columns["inbound_share"] = log.mean(ids, day, touches["inbound"].astype("Float64"))
    if "sentiment" in touches.columns:
        columns["sentiment"] = log.mean(ids, day, touches["sentiment"])
    return pd.DataFrame(columns, index=index)
