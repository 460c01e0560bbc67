"""Why the value of a book changed between two dates: more accounts, more often, longer, or dearer (rule B3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.data.settings import Grain, Unit
from clv.errors import DataError, SettingsError
from clv.result import Result, signed
from clv.value.discount import continuous_rate
from clv.value.lifetime import LifetimeValue, lifetime_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRIVERS = ("more accounts", "more often", "longer", "dearer")


@dataclass(frozen=True)
class Drivers:
    """The value of a book as a product: ``total = accounts × rate × duration × money``.

    Attributes
    ----------
    accounts : float
        Accounts that are expected to be alive, the sum of P(alive).
    rate : float
        Purchases a unit of time that a living account is expected to make now.
    duration : float
        Discounted time for which that rate would have to last to give the purchases that are expected.
    money : float
        Margin of an expected purchase.
    total : float
        Value of all accounts.
    unit : str or None
    terms : tuple of float
        Horizon, discount rate and margin under which it was valued.
    """

    accounts: float
    rate: float
    duration: float
    money: float
    total: float
    unit: str | None
    terms: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Growth(Result):
    """The change in value by what drove it.

    Attributes
    ----------
    table : pandas.DataFrame
        driver (more accounts, more often, longer, dearer), meaning, before, after, growth (after / before − 1),
        log_change, contribution (money; they add up to the change).
    change : float
        Value after less value before.
    """

    change: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each driver added or took away."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        if ax is None:
            _, ax = plt.subplots(figsize=(7, 2.8))
        palette = sns.color_palette("colorblind")
        colours = [palette[0] if value >= 0 else palette[1] for value in self.table["contribution"]]
        ax.barh(self.table["driver"], self.table["contribution"], color=colours)
        ax.axvline(0, color="0.4", linewidth=1)
        ax.invert_yaxis()
        ax.locator_params(axis="x", nbins=5)
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.set(xlabel="change in value", ylabel="", title="Where the change in value comes from")
        return ax


def value_drivers(value: LifetimeValue, purchases: Any, summary: pd.DataFrame) -> Drivers:
    """Factor the value of a book at one date.

    Parameters
    ----------
    value : LifetimeValue
        Of `summary`, by `purchases`.
    purchases : fitted purchase model
    summary : pandas.DataFrame

    Returns
    -------
    Drivers

    Raises
    ------
    clv.errors.SettingsError
        If the values were not computed by `lifetime_value`.
    clv.errors.DataError
        If the book is worth nothing, so that there is nothing to factor.

    Notes
    -----
    "Now" is the next unit of time, or a fiftieth of the horizon where that is shorter.
    """
    terms = (value.horizon, value.discount_rate, value.margin)
    if not np.isfinite(terms[1:]).all():
        raise SettingsError("these values were handed in as a table.", mend="Compute them with clv.lifetime_value.")
    if not value.table.index.equals(summary.index.rename(value.table.index.name)):
        raise DataError("it is not the summary that was valued.", table="summary", mend="Give the same summary.")
    rate = continuous_rate(value.discount_rate, unit=value.unit) if value.discount_rate and value.unit else 0.0
    horizon = None if np.isinf(value.horizon) else value.horizon
    soon = min(1.0, value.horizon / 50)
    alive = float(value.table["p_alive"].sum())
    now = float(purchases.expected_purchases(summary, soon).sum()) / soon
    ahead = float(purchases.discounted_expected_purchases(summary, rate, horizon).sum())
    total = float(value.table["clv"].sum())
    if not min(alive, now, ahead, total) > 0:
        raise DataError("the book is worth nothing.", table="summary", mend="Compare dates at which accounts buy.")
    return Drivers(alive, now / alive, ahead / now, total / ahead, total, value.unit, terms)


def decompose_growth(before: Drivers, after: Drivers) -> Growth:
    """Split the change in value between two dates exactly.

    Parameters
    ----------
    before, after : Drivers
        From `value_drivers`, at two dates under the same horizon, discount rate and margin.

    Returns
    -------
    Growth

    Raises
    ------
    clv.errors.SettingsError
        If the two were valued under different terms.

    Notes
    -----
    The contribution of a factor f is L(V₁, V₀) ln(f₁/f₀), with the logarithmic mean L(a, b) = (a − b) / ln(a/b): the
    logarithmic mean Divisia index, which leaves no residual (Ang 2004, Decomposition analysis for policymaking in
    energy: which is the preferred method? Energy Policy 32).
    """
    if before.unit != after.unit or not np.allclose(before.terms, after.terms, rtol=1e-12):
        raise SettingsError(
            "the two dates were valued under different horizons, rates, margins or units.",
            mend="Value both under the same settings, or the settings are part of the change.",
        )
    start = np.array([before.accounts, before.rate, before.duration, before.money])
    end = np.array([after.accounts, after.rate, after.duration, after.money])
    logs = np.log(end / start)
    change = after.total - before.total
    contribution = _logarithmic_mean(after.total, before.total) * logs
    unit = after.unit or "unit"
    table = pd.DataFrame(
        {
            "driver": _DRIVERS,
            "meaning": (
                "accounts expected to be alive",
                f"purchases of a living account a unit ({unit})",
                f"discounted time that this lasts ({unit})",
                "margin of a purchase",
            ),
            "before": start,
            "after": end,
            "growth": end / start - 1,
            "log_change": logs,
            "contribution": contribution,
        }
    )
    text = (
        f"The value of the book went from {before.total:,.0f} to {after.total:,.0f}, by {signed(change, ',.0f')} "
        f"({signed(after.total / before.total - 1, '.1%')}): "
    )
    order = table.reindex(table["contribution"].abs().sort_values(ascending=False, kind="stable").index)
    parts = zip(order["driver"], order["contribution"].to_numpy(dtype=float), strict=True)
    text += ", ".join(f"{driver} {signed(part, ',.0f')}" for driver, part in parts) + "."
    return Growth(table, text, float(change))


def growth_over(
    transactions: pd.DataFrame,
    *,
    as_of: pd.Timestamp,
    horizon: float,
    discount_rate: float,
    margin: float,
    days: int = 365,
    unit: Unit = "W",
    grain: Grain = "D",
) -> Growth:
    """Split the change in value within some time up to a date; at both ends by what was known then.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    as_of : pandas.Timestamp
        The later date.
    horizon, discount_rate, margin : float
        As in `lifetime_value`.
    days : int
        How far the earlier date lies back.
    unit, grain : str

    Returns
    -------
    Growth
    """
    from clv.data.summary import summarise
    from clv.value.beta_geo import BetaGeoModel
    from clv.value.gamma_gamma import GammaGammaModel

    found = []
    for day in (as_of - pd.Timedelta(days=days), as_of):
        summary = summarise(transactions, as_of=day, unit=unit, grain=grain)
        purchases, spend = (model(prior="weak").fit(summary) for model in (BetaGeoModel, GammaGammaModel))
        value = lifetime_value(purchases, spend, summary, horizon=horizon, discount_rate=discount_rate, margin=margin)
        found.append(value_drivers(value, purchases, summary))
    return decompose_growth(*found)


def _logarithmic_mean(a: float, b: float) -> float:
    ratio = np.log(a / b)
    return a if abs(ratio) < 1e-300 else float(b * np.expm1(ratio) / ratio)
