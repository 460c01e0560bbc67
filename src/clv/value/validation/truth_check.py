"""Values against the truth, for synthetic books in which the truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.errors import DataError
from clv.result import Result, signed
from clv.value.estimation.checks import number_column
from clv.value.validation import scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class TruthCheck(Result):
    """Account values beside what the accounts are truly worth.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id; clv, lower, upper, truth, inside (the truth lies in the interval).
    bias : float
        Of the total.
    gini : float
        How well values order accounts by truth; 1 is perfect.
    coverage : float
        Share of intervals that hold the truth; NaN without intervals.
    """

    bias: float
    gini: float
    coverage: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw value against truth."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 5.2))
        end = float(np.nanmax(self.table[["clv", "truth"]].to_numpy())) * 1.05 or 1.0
        ax.set_xscale("function", functions=(_root, np.square))
        ax.set_yscale("function", functions=(_root, np.square))
        ax.plot([0, end], [0, end], color="0.6", linewidth=1, linestyle="--", zorder=0)
        sns.scatterplot(
            self.table, x="clv", y="truth", ax=ax, s=18, alpha=0.6, color=sns.color_palette("colorblind")[0]
        )
        ax.set(
            xlim=(0, end),
            ylim=(0, end),
            xlabel="value as estimated",
            ylabel="true expected margin",
            title="Value against truth",
        )
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.yaxis.set_major_formatter("{x:,.0f}")
        ax.tick_params(axis="x", rotation=35)
        return ax


def _root(value: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(value, 0))


def check_truth(values: pd.DataFrame, truth: pd.Series) -> TruthCheck:
    """Compare values with the truth.

    Parameters
    ----------
    values : pandas.DataFrame
        Index account_id; clv, and lower and upper where there are intervals, as `lifetime_value` gives them.
    truth : pandas.Series
        Index account_id: each account's true expected discounted margin over the same horizon.

    Returns
    -------
    TruthCheck

    Raises
    ------
    clv.errors.DataError
        If an account has no truth.
    """
    number_column(values, "clv")
    known = truth.reindex(values.index)
    if known.isna().any():
        missing = known.index[known.isna()][0]
        raise DataError(f"account {missing!r} has no truth.", table="truth", mend="Give the truth of the same book.")
    table = values.assign(truth=known.astype(float))
    for name in ("lower", "upper"):
        if name not in table:
            table[name] = np.nan
    table["inside"] = (table["lower"] <= table["truth"]) & (table["truth"] <= table["upper"])
    actual, valued = table["truth"].to_numpy(), table["clv"].to_numpy(dtype=float)
    bias, order = scores.total_bias(actual, valued), scores.gini(actual, valued)
    held = float(table["inside"].mean()) if table["lower"].notna().all() else float("nan")
    top, best = scores.top_share(actual, valued), scores.top_share(actual, actual)
    text = (
        f"In all, {len(table):,} accounts are valued at {valued.sum():,.0f}; their true expected margin is "
        f"{actual.sum():,.0f} ({signed(bias, '.1%')}). The tenth valued highest holds {top:.0%} of the truth; the best "
        f"possible tenth holds {best:.0%}."
    )
    if np.isfinite(held):
        text += f" The interval of an account's own margin holds the truth for {held:.0%} of the accounts."
    return TruthCheck(table[["clv", "lower", "upper", "truth", "inside"]], text, bias, order, held)
