"""Accounts that never bought, as of any date: visitor, identified non-buyer, abandoned enquiry (rule C2)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.left_out import left_out_table, without_purchases
from clv.errors import DataError

#: in the order of `clv.churn.rfm_segments.NON_BUYERS`.
_VISITOR, _IDENTIFIED, _ABANDONED = 0, 1, 2
_NEVER = 2**40


class NonBuyers:
    """What accounts, touches and opportunities say of accounts before their first purchase.

    An account is known from the day on which it was ``created`` (always, where that is not said), touched, or asked
    for an offer. Of the known ones,

    - an *abandoned enquiry* has asked (a person there came to us, or an opportunity was opened) and nothing goes on:
      its opportunities are closed and one of them is lost, or nothing was opened or said for longer than `quiet_days`;
    - a *visitor* came to us, and no person there is known;
    - all others are *identified non-buyers*.

    Parameters
    ----------
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts, or a table with account_id and, if known, created.
    touches : pandas.DataFrame, optional
        account_id, date; contact_id and inbound where known. What is empty in `inbound` did not come to us.
    opportunities : pandas.DataFrame, optional
        account_id, created; closed and outcome where known.
    as_of : pandas.Timestamp
        What is later is counted in `left_out`.
    quiet_days : float
    """

    def __init__(
        self,
        accounts: Iterable[str] | pd.DataFrame | None,
        touches: pd.DataFrame | None,
        opportunities: pd.DataFrame | None,
        *,
        as_of: pd.Timestamp,
        quiet_days: float,
    ) -> None:
        self.quiet_days = quiet_days
        listed = accounts if isinstance(accounts, pd.DataFrame) else _listed(accounts)
        listed = _needed(listed, "accounts", ("account_id",))
        created = _days(listed, "created", missing=-_NEVER)
        touched = _needed(touches, "touches", ("account_id", "date"))
        opened = _needed(opportunities, "opportunities", ("account_id", "created"))
        limit = _day(as_of)
        parts = [(listed, created, "accounts created"), (touched, _days(touched, "date", missing=None), "touches")]
        parts.append((opened, _days(opened, "created", missing=None), "opportunities opened"))
        late = [
            (f"{what} after {as_of:%Y-%m-%d}", table.loc[day > limit, "account_id"].value_counts())
            for table, day, what in parts
        ]
        self.left_out = left_out_table(*late)
        ids = pd.concat([table["account_id"][day <= limit] for table, day, _ in parts]).astype(str).unique()
        self.accounts = pd.Index(ids, dtype=object).sort_values()
        n = len(self.accounts)
        places = [self.accounts.get_indexer(table["account_id"].astype(str).astype(object)) for table, _, _ in parts]
        kept = [(place[day <= limit], day[day <= limit]) for place, (_, day, _) in zip(places, parts, strict=True)]
        (row, day), (self._touch, self._touch_day), (self._deal, self._deal_day) = kept
        self._created = _earliest(n, row, day)
        inbound = _flag(touched, "inbound")[parts[1][1] <= limit]
        person = _present(touched, "contact_id")[parts[1][1] <= limit]
        self._came = _earliest(n, self._touch[inbound], self._touch_day[inbound])
        self._person = _earliest(n, self._touch[person], self._touch_day[person])
        both = inbound & person
        self._asked = np.minimum(
            _earliest(n, self._touch[both], self._touch_day[both]), _earliest(n, self._deal, self._deal_day)
        )
        deals = parts[2][1] <= limit
        self._deal_closed = _days(opened, "closed", missing=_NEVER)[deals]
        self._deal_lost = (
            opened["outcome"].eq("lost").fillna(False).to_numpy(bool)
            if "outcome" in opened
            else np.zeros(len(opened), dtype=bool)
        )[deals]

    def at(self, date: pd.Timestamp) -> NDArray[np.int8]:
        """Return the place in `NON_BUYERS` of each of `accounts` as of a date, whether it bought or not; or -1."""
        day, n = _day(date), len(self.accounts)
        said, opened = self._touch_day <= day, self._deal_day <= day
        last = np.full(n, -_NEVER, dtype=np.int64)
        np.maximum.at(last, self._touch[said], self._touch_day[said])
        np.maximum.at(last, self._deal[opened], self._deal_day[opened])
        known = np.minimum(np.minimum(self._created, _earliest(n, self._touch, self._touch_day)), self._asked) <= day
        closed = self._deal_closed <= day
        running, lost = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        running[self._deal[opened & ~closed]] = True
        lost[self._deal[opened & closed & self._deal_lost]] = True
        dropped = (self._asked <= day) & ((lost & ~running) | (day - last > self.quiet_days))
        visitor = (self._came <= day) & ~(self._person <= day)
        code = np.where(dropped, _ABANDONED, np.where(visitor, _VISITOR, _IDENTIFIED))
        return np.where(known, code, -1).astype(np.int8)


def _listed(accounts: Iterable[str] | None) -> pd.DataFrame:
    return without_purchases(accounts, []).index.to_frame(index=False, name="account_id")


def _day(date: pd.Timestamp) -> int:
    return int(np.datetime64(date.date(), "D").astype("int64"))


def _needed(table: pd.DataFrame | None, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    if table is None:
        return pd.DataFrame(
            {column: pd.Series(dtype=str if column == "account_id" else "M8[ns]") for column in columns}
        )
    for column in columns:
        if column not in table.columns:
            raise DataError("is missing.", table=name, column=column, mend=f"Read it with clv.read_{name}.")
        if table[column].isna().any():
            row = int(np.argmax(table[column].isna().to_numpy())) + 1
            raise DataError("is empty.", table=name, column=column, row=row, mend=f"Read it with clv.read_{name}.")
    return table


def _days(table: pd.DataFrame, column: str, *, missing: int | None) -> NDArray[np.int64]:
    """Return days since 1970-01-01; a date that is not there becomes `missing`."""
    if column not in table.columns:
        return np.full(len(table), missing, dtype=np.int64)
    if not pd.api.types.is_datetime64_any_dtype(table[column].dtype) and table[column].notna().any():
        raise DataError("does not hold dates.", column=column, mend="Read the table with the readers of clv.")
    when = pd.to_datetime(table[column])
    if isinstance(when.dtype, pd.DatetimeTZDtype):
        when = when.dt.tz_localize(None)
    days = when.to_numpy(dtype="datetime64[D]").astype("int64")
    return np.where(when.isna().to_numpy(), -_NEVER if missing is None else missing, days).astype(np.int64)


def _earliest(n: int, row: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.int64]:
    first = np.full(n, _NEVER, dtype=np.int64)
    np.minimum.at(first, row, day)
    return first


def _flag(table: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    if column not in table.columns:
        return np.zeros(len(table), dtype=bool)
    return table[column].astype("boolean").fillna(False).to_numpy(dtype=bool)


def _present(table: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    return table[column].notna().to_numpy() if column in table.columns else np.zeros(len(table), dtype=bool)
