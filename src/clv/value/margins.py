"""Each account's own contribution margin, where the study has it; that of the study where not."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from clv.data.summary import day_of
from clv.errors import DataError, SettingsError
from clv.result import Result

Source = Literal["study", "accounts", "transactions"]


@dataclass(frozen=True, eq=False)
class AccountMargins(Result):
    """Margins of all accounts.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id; margin (share of sales) and source (accounts, transactions or study).
    text : str
    """

    @property
    def margins(self) -> pd.Series:
        """Margins by account, for ``clv.lifetime_value(..., margin=...)``."""
        return self.table["margin"]


def account_margins(
    accounts: pd.Index,
    *,
    margin: float,
    by: Source = "study",
    transactions: pd.DataFrame | None = None,
    firms: pd.DataFrame | None = None,
    as_of: dt.date | str | pd.Timestamp | None = None,
) -> AccountMargins:
    """Find each account's contribution margin as a share of its sales.

    Parameters
    ----------
    accounts : pandas.Index
        Ids of the accounts that are valued.
    margin : float
        The study's, above 0 and at most 1, for accounts that have none of their own.
    by : {"study", "accounts", "transactions"}
        "study": one for all. "accounts": the column margin_share of `firms`. "transactions": the mean of the column
        margin_share of an account's lines, weighted with their amounts; lines without one are left out, and so are
        credits, unless the study keeps them as negative amounts.
    transactions : pandas.DataFrame, optional
        Accepted lines: account_id, date, amount, margin_share.
    firms : pandas.DataFrame, optional
        account_id, margin_share.
    as_of : date, optional
        Lines after this day are not used.

    Returns
    -------
    AccountMargins

    Raises
    ------
    clv.errors.SettingsError
        If an argument is impossible.
    clv.errors.DataError
        If the table or its column is missing, or an account has two rows.

    Notes
    -----
    A margin is a mean over what was bought, and says nothing of what will be; lines that lose money make it smaller,
    and may make it negative. It is used as known exactly: intervals of value hold no doubt about margins.
    """
    if not 0 < margin <= 1:
        raise SettingsError(f"margin is {margin}.", mend="Give a share of sales above 0 and at most 1.")
    if by == "study":
        own = pd.Series(np.nan, index=accounts)
    elif by == "accounts":
        own = _of_firms(firms)
    elif by == "transactions":
        own = _of_lines(transactions, as_of)
    else:
        raise SettingsError(f"by is {by!r}.", mend='Use "study", "accounts" or "transactions".')
    own = own.reindex(accounts)
    known = own.notna()
    table = pd.DataFrame({"margin": own.fillna(margin), "source": np.where(known, by, "study")}, index=accounts)
    table.index.name = "account_id"
    return AccountMargins(table, _sentence(table["margin"], int(known.sum()), margin, by))


def _checked(table: pd.DataFrame | None, name: str) -> pd.DataFrame:
    if table is None:
        raise DataError("the study has no such table.", mend="Add it, or say 'margin_by: study'.", table=name)
    if "margin_share" not in table.columns:
        raise DataError(
            "the column is missing.", mend="Map it in 'columns', or say 'margin_by: study'.", table=name,
            column="margin_share",
        )  # fmt: skip
    return table


def _of_firms(firms: pd.DataFrame | None) -> pd.Series:
    table = _checked(firms, "accounts")
    flat = table.reset_index() if table.index.name == "account_id" else table
    if flat["account_id"].duplicated().any():
        twice = flat["account_id"][flat["account_id"].duplicated()].iloc[0]
        raise DataError(f"account {twice!r} occurs twice.", mend="Give one row an account.", table="accounts")
    return flat.set_index("account_id")["margin_share"].astype(float)


def _of_lines(transactions: pd.DataFrame | None, as_of: dt.date | str | pd.Timestamp | None) -> pd.Series:
    lines = _checked(transactions, "transactions")
    if as_of is not None:
        lines = lines[lines["date"] < day_of(as_of) + pd.Timedelta(days=1)]
    lines = lines[lines["margin_share"].notna()]
    money = lines["amount"].astype(float)
    sums = pd.DataFrame({"sales": money, "earned": money * lines["margin_share"].astype(float)})
    sums = sums.groupby(lines["account_id"], sort=False).sum()
    sums = sums[sums["sales"] > 0]  # of accounts that brought nothing no share can be told
    return (sums["earned"] / sums["sales"]).clip(upper=1.0)


def _sentence(margins: pd.Series, known: int, margin: float, by: str) -> str:
    if by == "study":
        return f"The contribution margin is taken as {margin:.1%} of sales, for every account."
    said = (
        f"{known:,} of {len(margins):,} accounts have a margin of their own, by the column margin_share of {by}:"
        f" {margins.min():.1%} to {margins.max():.1%} of sales."
    )
    if known < len(margins):
        said += f" The others are taken to have the study's, {margin:.1%}."
    costly = int((margins < 0).sum())
    return said + (f" Below 0 it is for {costly:,}: serving them costs more than they bring." if costly else "")
