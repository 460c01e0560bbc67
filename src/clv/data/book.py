"""The book at a glance: how much is bought each month, by how many, and how concentrated it is (rule A8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Share of purchases above which one account is a key account, and a dependence (rule A8).
KEY, DEPENDENCE = 0.10, 0.20


@dataclass(frozen=True, eq=False)
class Book(Result):
    """Purchases by calendar month.

    Attributes
    ----------
    table : pandas.DataFrame
        month (first day), amount, accounts (buying in the month), new (buying for the first time).
    top_share : float
        Share of the money that the largest tenth of accounts brought.
    largest_share : float
        Share of the money that the largest account brought.
    """

    top_share: float
    largest_share: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw money by month, and the number of accounts that bought."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        if ax is None:
            _, ax = plt.subplots(figsize=(8, 3.6))
        palette = sns.color_palette("colorblind")
        ax.bar(self.table["month"], self.table["amount"], width=22, color=palette[0], label="purchases")
        ax.set_ylabel(f"purchases, {self.currency}")
        ax.yaxis.set_major_formatter("{x:,.0f}")
        right = ax.twinx()
        right.plot(self.table["month"], self.table["accounts"], color=palette[1], marker="o", ms=3, label="accounts")
        right.set_ylabel("accounts that bought")
        right.set_ylim(bottom=0)
        right.grid(visible=False)
        handles = [*ax.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
        ax.legend(handles, ["purchases (left)", "accounts that bought (right)"], loc="upper left", frameon=False)
        ax.set_ylim(top=float(self.table["amount"].max()) * 1.25)
        ax.set_title("Purchases by month")
        return ax


def describe_book(transactions: pd.DataFrame, *, currency: str = "EUR") -> Book:
    """Summarise accepted purchases by calendar month and by account.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    currency : str
        Currency of the amounts, for the words.

    Returns
    -------
    Book

    Raises
    ------
    DataError
        There is no purchase.
    """
    import numpy as np

    if transactions.empty:
        raise DataError(
            "holds no purchase",
            table="transactions",
            mend="look at the rejected rows: a rule may have set everything aside",
        )
    month = transactions["date"].dt.to_period("M").dt.to_timestamp()
    grouped = transactions.groupby(month)
    table = grouped.agg(amount=("amount", "sum"), accounts=("account_id", "nunique"))
    first = transactions.groupby("account_id")["date"].min().dt.to_period("M").dt.to_timestamp()
    table["new"] = first.value_counts().reindex(table.index, fill_value=0)
    table = table.rename_axis("month").reset_index()

    by_account = np.sort(transactions.groupby("account_id")["amount"].sum().clip(lower=0).to_numpy())[::-1]
    total = by_account.sum()
    top = by_account[: max(1, round(len(by_account) / 10))].sum() / total
    largest = by_account[0] / total
    days = transactions["date"]
    text = (
        f"{len(by_account):,} accounts bought for {total:,.0f} {currency} between {days.min():%d %B %Y} and "
        f"{days.max():%d %B %Y}. The largest tenth of them brought {top:.0%}, the largest single account {largest:.1%}."
    )
    if largest > DEPENDENCE:
        text += " The book depends on one account: above a fifth, its loss would be a crisis."
    elif largest > KEY:
        text += " The largest is a key account: above a tenth of all purchases."
    return Book(table=table, text=text, top_share=float(top), largest_share=float(largest), currency=currency)
