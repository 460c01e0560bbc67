"""What a reader returns: the accepted rows, the rejected rows with their reasons, and the balance of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MICRO = 1_000_000


def to_micros(amount: np.ndarray) -> np.ndarray:
    """Round money to whole millionths (int64); what is missing counts nothing."""
    return np.rint(np.nan_to_num(np.asarray(amount, dtype=float)) * MICRO).astype("int64")


def exact_sum(micros: np.ndarray) -> int:
    """Add up millionths without overflow."""
    return int((micros // MICRO).sum()) * MICRO + int((micros % MICRO).sum())


@dataclass(frozen=True, eq=False)
class Read(Result):
    """A table as read.

    Attributes
    ----------
    table : pandas.DataFrame
        Accepted rows in the canonical columns, in the order of the source.
    text : str
        What was read, accepted and rejected, in words.
    name : str
        The table's name.
    rejected : pandas.DataFrame
        Each row that was not used: table, row, kind, rule, reason, amount, record.
    reconciliation : pandas.DataFrame
        ``read``, one line a reason, ``netting`` (what credits took off purchases that stay), ``accepted``; in
        each column the lines between add up to the first. `found` counts the rows that meet a check whatever
        else they meet, while `rows` counts each row once.
    rows : numpy.ndarray
        Source row number of each accepted row.
    max_rejected : float
        Share of rows that may be in error, from the study's rules.
    """

    name: str
    rejected: pd.DataFrame
    reconciliation: pd.DataFrame
    rows: np.ndarray
    max_rejected: float = 0.0

    @property
    def errors(self) -> pd.DataFrame:
        """Rejected rows that cannot be read, without those that a rule sets aside."""
        return self.rejected[self.rejected["kind"] == "error"]

    @property
    def lines(self) -> pd.DataFrame:
        """The reconciliation as a person reads it: lines in words, without those that nothing met."""
        met = (self.reconciliation["rows"] != 0) | (self.reconciliation["amount"] != 0)
        shown = self.reconciliation[met | self.reconciliation["line"].isin(["read", "accepted"])]
        return shown.assign(line=[label(line) for line in shown["line"]]).reset_index(drop=True)

    def check(self, max_rejected: float | None = None) -> Read:
        """Stop if too many rows are in error.

        Parameters
        ----------
        max_rejected : float, optional
            Largest share of rows that may be; the study's `rules.max_rejected` if None (by default 0).

        Returns
        -------
        Read
            This reading.

        Raises
        ------
        DataError
            With the count, the first five faults and what mends them.
        """
        allowed = self.max_rejected if max_rejected is None else max_rejected
        total, faults = int(self.reconciliation["rows"].iloc[0]), self.errors
        if len(faults) <= allowed * total:
            return self
        first = "".join(
            f"\n  row {row}: {reason}" for row, reason in faults[["row", "reason"]].head(5).itertuples(index=False)
        )
        more = f"\n  … and {len(faults) - 5:,} more" if len(faults) > 5 else ""
        raise DataError(
            f"{len(faults):,} of {total:,} rows ({len(faults) / total:.2%}) cannot be read, "
            f"{allowed:.2%} may be:{first}{more}\n",
            table=self.name,
            mend="Correct them in the source, or allow a share of them with 'rules: {max_rejected: …}'; "
            "they are then set aside and listed.",
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many rows each reason set aside."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        ax = ax if ax is not None else plt.subplots(figsize=(7, 3))[1]
        lines = self.reconciliation.iloc[1:]
        lines = lines[lines["rows"] > 0]
        sns.barplot(x=lines["rows"], y=[label(line) for line in lines["line"]], ax=ax, color=sns.color_palette()[0])
        ax.set(
            xlabel="rows",
            ylabel="",
            title=f"{self.name}: what became of {int(self.reconciliation['rows'].iloc[0]):,} rows",
        )
        ax.bar_label(ax.containers[0], fmt="{:,.0f}", padding=3)  # type: ignore[arg-type]
        ax.set_xlim(0, 1.18 * lines["rows"].max())  # room for the numbers
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.xaxis.set_major_locator(plt.MaxNLocator(4))
        return ax


def money_column(table: str) -> str:
    """Name the column of a table whose money is reconciled; tables without one have none."""
    return {
        "transactions": "amount",
        "opportunities": "amount",
        "contracts": "value",
        "programmes": "cost",
        "wallets": "wallet",
        "costs": "amount",
    }.get(table, "")


_LABELS = {
    "missing_account": "without an account",
    "duplicates": "exact duplicates",
    "zero_prices": "without money",
    "negative_prices": "with a negative price",
    "pseudo_items": "not goods",
    "contract_payments": "payments of contracts",
    "credits": "credits",
    "credits_netted": "credits set against purchases",
    "credits_unmatched": "credits without (enough) purchases",
    "purchases_cancelled": "purchases cancelled in full",
    "netting": "purchases reduced by credits",
}


def label(line: str) -> str:
    """Name a line of the reconciliation as a person would."""
    return _LABELS.get(line, line.replace("_", " "))


def describe(name: str, entries: Sequence[tuple[str, int, int, int]], errors: set[str]) -> str:
    """Say in words what became of the rows."""
    read, *body, accepted = entries
    has_money = bool(money_column(name))
    text = f"{accepted[1]:,} of {read[1]:,} rows of {name} are used"
    text += f": money {accepted[2] / MICRO:,.2f} of {read[2] / MICRO:,.2f}." if has_money else "."
    aside = [f"{label(rule)} {rows:,}" for rule, rows, _, _ in body if rows and rule not in errors]
    unread = [f"{label(rule)} {rows:,}" for rule, rows, _, _ in body if rows and rule in errors]
    if aside:
        text += f" Set aside by the study's rules: {', '.join(aside)}."
    if unread:
        text += f" Cannot be read: {', '.join(unread)}."
    return text + " Used and set aside add up to what was read" + (", in rows and in money." if has_money else ".")
