"""Histories: where each account was at a row of month-ends, kept as stays, a row for each time in a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class History(Result):
    """Where each account was at the month-ends.

    Attributes
    ----------
    table : pandas.DataFrame
        account_id, from, to (the first and the last month-end at which it was there), stage; by account and time. A
        stay that reaches the last month-end may go on.
    by_month : pandas.DataFrame
        Index date (month-ends), one column a stage, in order: accounts.
    states : tuple of str
        All stages, in order.
    """

    by_month: pd.DataFrame
    states: tuple[str, ...]

    @property
    def moves(self) -> pd.DataFrame:
        """Changes of stage: account_id, date (first month-end in the new stage), before, after."""
        stays = self.table
        again = stays["account_id"].eq(stays["account_id"].shift()).to_numpy()
        before = stays["stage"].shift()
        moved = pd.DataFrame(
            {"account_id": stays["account_id"], "date": stays["from"], "before": before, "after": stays["stage"]}
        )
        return moved[again].reset_index(drop=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how the book was spread over the stages, month by month."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        if ax is None:
            _, ax = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
        shares = self.by_month.div(self.by_month.sum(axis=1).clip(lower=1), axis=0) * 100
        colours = sns.color_palette("viridis_r", len(self.states))
        ax.stackplot(shares.index, shares.to_numpy(float).T, labels=list(self.states), colors=colours)
        ax.set(ylim=(0, 100), ylabel="share of the accounts, %", xlabel="", title="Stages, month by month")
        if len(shares) > 1:
            ax.set_xlim(shares.index[0], shares.index[-1])
        ax.legend(*(side[::-1] for side in ax.get_legend_handles_labels()), loc="center left",
                  bbox_to_anchor=(1.01, 0.5), frameon=False)  # fmt: skip
        for label in ax.get_xticklabels():
            label.set_rotation(30)
        return ax


def make_stays(
    codes: NDArray[np.int8], accounts: pd.Index, dates: pd.DatetimeIndex, states: Sequence[str]
) -> pd.DataFrame:
    """Turn a grid of stages into stays.

    Parameters
    ----------
    codes : numpy.ndarray of int8, shape (accounts, dates)
        Place in `states`; -1 where the account was not there yet.
    accounts : pandas.Index
    dates : pandas.DatetimeIndex
    states : sequence of str

    Returns
    -------
    pandas.DataFrame
        account_id, from, to, stage.
    """
    n, m = codes.shape
    change = np.ones((n, m), dtype=bool)
    change[:, 1:] = codes[:, 1:] != codes[:, :-1]
    # An account's first date always begins a run: runs never reach over from one account to the next.
    start = np.flatnonzero(change)
    end = np.append(start[1:], n * m) - 1
    there = codes.ravel()[start] >= 0
    start, end = start[there], end[there]
    when = dates.to_numpy("datetime64[ns]")
    width = max(m, 1)
    return pd.DataFrame(
        {
            "account_id": accounts.to_numpy(dtype=object)[start // width],
            "from": when[start % width],
            "to": when[end % width],
            "stage": np.asarray(states, dtype=object)[codes.ravel()[start]],
        }
    )


def make_history(
    codes: NDArray[np.int8], accounts: pd.Index, dates: pd.DatetimeIndex, states: Sequence[str], *, said: str = ""
) -> History:
    """Make a history from a grid of stages; the arguments are those of `make_stays`."""
    table = make_stays(codes, accounts, dates, states)
    counts = np.stack([np.bincount(column[column >= 0], minlength=len(states)) for column in codes.T.astype(np.int64)])
    by_month = pd.DataFrame(counts, index=dates.rename("date"), columns=list(states))
    first, last = by_month.iloc[0], by_month.iloc[-1]
    moved = len(table) - table["account_id"].nunique()
    accounts_seen, span = table["account_id"].nunique(), f"{dates[0]:%Y-%m} to {dates[-1]:%Y-%m}"
    text = (
        f"{accounts_seen:,} account{'s' * (accounts_seen != 1)} at {len(dates)} month-end{'s' * (len(dates) != 1)}, "
        f"{span}, moved from one stage to another {moved:,} time{'s' * (moved != 1)}. "
        "Share by stage, at first and at last: "
    )
    start, end = (row / max(row.sum(), 1) for row in (first, last))
    shares = [f"{state} {start[state]:.0%} to {end[state]:.0%}" for state in states]
    return History(table, f"{text}{', '.join(shares)}.{f' {said}' if said else ''}", by_month, tuple(states))
