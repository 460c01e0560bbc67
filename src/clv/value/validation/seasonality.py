"""Does the calendar matter? An index for each month, with how much of the ups and downs it explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.data import units
from clv.data.settings import Unit
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Complete months from which season can be told from trend: every calendar month twice.
FEWEST = 24
#: Significance, and share of variance beyond chance, from which season is said to matter.
LEVEL, MATTERS = 0.05, 0.25
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, eq=False)
class Seasonality(Result):
    """The calendar's share in purchases.

    Attributes
    ----------
    table : pandas.DataFrame
        month (1–12), name, observed (purchases a day over the mean month's, season and trend together; empty for a
        month that was never seen whole), index (trend removed; 1 is the mean month), lower, upper (95 %); the last
        three are empty where season cannot be told from trend.
    strength : float
        Share of the variance around the trend that months explain beyond chance, 0 to 1; NaN where it is unknown.
    p_value : float
    matters : bool
    months : int
        Complete months used.
    """

    strength: float
    p_value: float
    matters: bool
    months: int

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the index of each month with its interval."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        if ax is None:
            _, ax = plt.subplots(figsize=(7, 3.4))
        colour = sns.color_palette("colorblind")[0]
        ax.axhline(1, color="0.6", linewidth=1, linestyle="--")
        known = bool(self.table["index"].notna().any())
        if known:
            ax.vlines(
                self.table["month"], self.table["lower"], self.table["upper"], color=colour, alpha=0.4, linewidth=4
            )
        what = "index" if known else "observed"
        ax.plot(self.table["month"], self.table[what], "o", color=colour, fillstyle="full" if known else "none")
        ax.set_xticks(self.table["month"], self.table["name"])
        title = "Purchases by month, trend removed" if known else "Purchases by month, season and trend together"
        ax.set(ylabel="index, mean month = 1", xlabel="", title=title, xlim=(0.5, 12.5))
        return ax


def seasonality(transactions: pd.DataFrame, *, horizon: float | None = None, unit: Unit = "W") -> Seasonality:
    """Estimate a monthly index of purchases, and say whether it matters for a horizon.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date.
    horizon : float, optional
        Time for which purchases are forecast, in `unit`; whole years hold every month equally often.
    unit : str

    Returns
    -------
    Seasonality

    Raises
    ------
    clv.errors.DataError
        If there is no purchase.

    Notes
    -----
    Account-days with a purchase, a day of the month, in logarithms, on a quadratic trend and twelve months by least
    squares; months at either end that are not complete are left out. Strength is the adjusted partial R² of the
    months, the p-value that of their F test, which takes errors to be independent.
    """
    if transactions.empty:
        raise DataError("there is no purchase.", table="transactions", mend="See what was rejected.")
    day = transactions["date"].dt.normalize()
    visits = pd.DataFrame({"account_id": transactions["account_id"], "day": day}).drop_duplicates()
    first, last = day.min(), day.max()
    start = first.to_period("M") + (0 if first.day == 1 else 1)
    end = last.to_period("M") - (0 if last == last + pd.offsets.MonthEnd(0) else 1)
    periods = pd.period_range(start, end, freq="M") if end >= start else pd.PeriodIndex([], freq="M")
    counts = visits["day"].dt.to_period("M").value_counts().reindex(periods, fill_value=0)
    daily = counts / periods.days_in_month
    observed = daily.groupby(periods.month).mean().reindex(range(1, 13)).to_numpy(dtype=float)
    observed = observed / np.nanmean(observed) if np.isfinite(observed).any() and np.nansum(observed) > 0 else observed
    empty = pd.DataFrame({"month": np.arange(1, 13), "name": _MONTHS, "observed": observed})
    empty[["index", "lower", "upper"]] = np.nan
    if len(counts) < FEWEST or (counts == 0).any():
        why = (
            f"{len(counts)} complete months; it takes {FEWEST} to tell season from trend"
            if len(counts) < FEWEST
            else f"{len(counts)} complete months, of which {int((counts == 0).sum())} are without a purchase"
        )
        text = f"Whether purchases follow the calendar cannot be told: {why}. The models assume that they do not."
        return Seasonality(empty, text, float("nan"), float("nan"), False, len(counts))
    level = np.log(counts.to_numpy(dtype=float) / periods.days_in_month.to_numpy())
    effect, covariance, strength, p_value = _decompose(level, periods.month.to_numpy())
    spread = 1.96 * np.sqrt(np.diag(covariance))
    table = empty.assign(index=np.exp(effect), lower=np.exp(effect - spread), upper=np.exp(effect + spread))
    matters = bool(p_value < LEVEL and strength > MATTERS)
    return Seasonality(
        table, _sentence(table, strength, p_value, matters, horizon, unit), strength, p_value, matters, len(counts)
    )


def _decompose(level: np.ndarray, month: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return the months' effects (mean 0) with their covariance, their strength and the p-value."""
    from statsmodels.regression.linear_model import OLS

    time = np.linspace(-1, 1, len(level))
    trend = np.column_stack([np.ones_like(time), time, time**2])
    months = np.eye(12)[month - 1] - 1 / 12  # deviations: eleven of them are free
    seasonal = OLS(level, np.column_stack([trend, months[:, :11] - months[:, 11:]])).fit()
    without = OLS(level, trend).fit()
    nought = 1e-20 * len(level)
    if without.ssr <= nought:
        return np.zeros(12), np.zeros((12, 12)), 0.0, 1.0
    strength = max(0.0, 1 - float(seasonal.mse_resid / without.mse_resid))
    p_value = 0.0 if seasonal.ssr <= nought else float(seasonal.compare_f_test(without)[1])
    spread = np.vstack([np.eye(11), -np.ones(11)])
    covariance = np.asarray(seasonal.cov_params())[3:, 3:]
    return spread @ np.asarray(seasonal.params)[3:], spread @ covariance @ spread.T, strength, p_value


def _sentence(
    table: pd.DataFrame, strength: float, p_value: float, matters: bool, horizon: float | None, unit: Unit
) -> str:
    index = table.set_index("name")["index"]
    high, low = str(index.idxmax()), str(index.idxmin())
    chance = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    said = f"Months explain {strength:.0%} of the ups and downs of purchases around their trend ({chance})"
    if not matters:
        return f"{said}: too little to matter."
    said += f", from {index[low]:.2f} of the mean month in {low} to {index[high]:.2f} in {high}."
    if horizon is None:
        return said
    years = units.years(horizon, unit)
    if years >= 0.98 and abs(years - round(years)) < 0.02:
        return f"{said} The horizon holds every month equally often: the season moves purchases, not their number."
    return f"{said} The horizon is not a whole number of years: forecasts that ignore the season are off by it."
