"""Customer lifetime value: the discounted contribution margin that each account may be expected to bring."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from clv.errors import DataError, SettingsError, UnitError
from clv.result import Result
from clv.value.discount import continuous_rate
from clv.value.estimation.checks import Floats, check_fitted, check_unit, positive, unit_of
from clv.value.forecast import Interval, check_interval
from clv.value.lifetime_text import margin_words, sentences
from clv.value.purchase_model import PurchaseModel
from clv.value.uncertainty.credible import DrawsPurchases, DrawsSpend, margin_draws
from clv.value.uncertainty.predictive import predictive_draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


class Purchases(DrawsPurchases, Protocol):
    """What `lifetime_value` asks of a purchase model."""

    def probability_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Return P(alive)."""

    def expected_purchases(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return expected purchases over t."""

    def discounted_expected_purchases(
        self, summary: pd.DataFrame, rate: float, horizon: float | None = None
    ) -> pd.Series:
        """Return expected purchases, discounted."""


class Spend(DrawsSpend, Protocol):
    """What `lifetime_value` asks of a spend model."""

    def expected_spend(self, summary: pd.DataFrame) -> pd.Series:
        """Return expected money of a purchase."""


@dataclass(frozen=True, eq=False)
class LifetimeValue(Result):
    """Values of all accounts.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id; p_alive, expected_purchases (over the horizon, not discounted), expected_spend, clv, lower,
        upper. The last two are NaN without draws.
    text : str
    draws : ndarray of float32, shape (accounts, draws), or None
        Draws of each account's own discounted expected margin, rows as in `table`. A column is one draw of the
        models' parameters, so that sums over accounts carry the uncertainty that accounts share.
    horizon : float
        In `unit`; infinite for ever.
    unit : str or None
    discount_rate, confidence : float
    margin : float
        Of sales; where accounts have margins of their own, that of all expected sales together.
    interval : {"credible", "predictive"}
        What lower and upper bound, and what `draws` are draws of.
    """

    draws: NDArray[np.float32] | None
    horizon: float
    unit: str | None
    discount_rate: float
    margin: float
    confidence: float
    interval: Interval = "credible"

    @property
    def ranked(self) -> pd.DataFrame:
        """The table, the most valuable account first; equal values by account."""
        return self.table.sort_index().sort_values("clv", ascending=False, kind="stable")

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> Self:
        """Make the result from a table of values that came from elsewhere; there are no draws then.

        Parameters
        ----------
        table : pandas.DataFrame
            Index account_id, columns as in `table`; lower and upper may be absent.
        """
        full = table.assign(**{name: np.nan for name in ("lower", "upper") if name not in table})
        text = f"{len(full):,} accounts are valued at {full['clv'].sum():,.0f} in all, by a table that was handed in."
        return cls(
            table=full, text=text, draws=None, horizon=math.nan, unit=None, discount_rate=math.nan, margin=math.nan,
            confidence=math.nan,
        )  # fmt: skip

    def plot(self, ax: Axes | None = None, *, kind: Literal["concentration", "accounts"] = "concentration") -> Axes:
        """Draw how value is spread over accounts, or the most valuable accounts with their intervals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        kind : {"concentration", "accounts"}

        Returns
        -------
        matplotlib.axes.Axes
        """
        from clv.value import pictures

        if kind not in ("concentration", "accounts"):
            raise SettingsError(f"kind is {kind!r}.", mend='Use "concentration" or "accounts".')
        return getattr(pictures, kind)(self.table, ax, confidence=self.confidence)


def lifetime_value(
    purchases: Purchases,
    spend: Spend,
    summary: pd.DataFrame,
    *,
    horizon: float | None,
    discount_rate: float,
    margin: float | pd.Series,
    draws: int = 0,
    seed: int = 0,
    confidence: float = 0.9,
    interval: Interval = "credible",
    currency: str = "",
) -> LifetimeValue:
    """Value each account by its discounted expected contribution margin.

    Parameters
    ----------
    purchases : fitted purchase model
        `BetaGeoModel`, for instance.
    spend : fitted spend model
        `GammaGammaModel`.
    summary : pandas.DataFrame
        One row an account, index account_id.
    horizon : float or None
        How far ahead value is counted, in the summary's unit; None: for ever.
    discount_rate : float
        Effective yearly rate. Every purchase is discounted continuously from the moment at which it is expected, at
        ln(1 + discount_rate) a year of 365.25 days.
    margin : float or pandas.Series
        Contribution margin as a share of sales, above 0 and at most 1; or each account's own, by account_id (from
        `clv.account_margins`), at most 1, and below 0 where an account costs more than it brings. Costs to acquire
        and to serve are not in it.
    draws : int
        Draws for the intervals; 0: none. They take accounts × draws × 4 bytes, and some 100 MB while being made.
    seed : int
    confidence : float
        Probability within lower and upper.
    interval : {"credible", "predictive"}
        "credible": lower and upper bound the account's own expected margin, from what is unknown of the account
        (alive, rate, dropout, spend) and of the parameters. "predictive": they bound the margin that will in fact
        come in, and hold the chance in single purchases and in what is paid for each, too.

    currency : str
        Written behind money in the text.

    Returns
    -------
    LifetimeValue
        ``clv = margin × expected_spend × discounted expected purchases``, with ``lower`` and ``upper`` around it.

    Raises
    ------
    clv.errors.SettingsError
        If an argument is impossible.
    clv.errors.UnitError
        If the summary's unit is not the model's, or is not known and there is something to discount.

    Notes
    -----
    Assumes that spend is independent of the purchase process (Fader, Hardie & Lee 2005, RFM and CLV).
    """
    end = np.inf if horizon is None else positive(horizon, "horizon")
    share = checked_margin(margin, summary.index)
    check_uncertainty(confidence=confidence, interval=interval, draws=draws)
    for model in (purchases, spend):
        if isinstance(model, BaseEstimator):
            check_fitted(model)
        check_unit(getattr(model, "unit_", None), summary)
    unit = unit_of(summary) or getattr(purchases, "unit_", None)
    rate = _rate(discount_rate, unit)

    table = _outlook(purchases, summary, rate=rate, horizon=horizon)
    discounted = table.pop("discounted_expected_purchases")
    table["expected_spend"] = spend.expected_spend(summary)
    sales = table["expected_spend"] * discounted
    table["clv"] = share * sales
    table["lower"] = table["upper"] = np.nan
    table.index.name = "account_id"
    drawn = None
    if draws:
        drawn = np.empty((len(table), int(draws)), dtype=np.float32)
        limits = np.empty((len(table), 2))
        tail = (1 - confidence) / 2
        make = margin_draws if interval == "credible" else predictive_draws
        one = share if isinstance(share, float) else 1.0
        blocks = make(purchases, spend, summary, horizon=end, discount=rate, margin=one, draws=int(draws), seed=seed)
        largest = np.finfo(np.float32).max
        for rows, values in blocks:
            if not isinstance(share, float):
                values *= share[rows, None]
            limits[rows] = np.quantile(values, [tail, 1 - tail], axis=1).T
            drawn[rows] = np.clip(values, -largest, largest)
        table["lower"], table["upper"] = limits.T
    if isinstance(share, float):
        mean, margin_said = share, f"Margin is {100 * share:g}% of sales."
    else:
        mean, margin_said = margin_words(share, table["clv"], sales)
    text = sentences(table, drawn, spend, end, unit, discount_rate, margin_said, confidence, interval, currency)
    for model in (purchases, spend):
        note = getattr(model, "note_", "")
        text += f"\n\n{note}" if note else ""
    return LifetimeValue(table, text, drawn, end, unit, float(discount_rate), mean, float(confidence), interval)


def checked_margin(margin: float | pd.Series, accounts: pd.Index) -> float | Floats:
    """Check a margin: one share of sales for all, or one for each account, in the order of `accounts`.

    Raises
    ------
    clv.errors.SettingsError
        If one margin for all is not above 0 and at most 1.
    clv.errors.DataError
        If an account has no margin, or one above 1.
    """
    if not isinstance(margin, pd.Series):
        if not 0 < margin <= 1:
            raise SettingsError(f"margin is {margin}.", mend="Give a share of sales above 0 and at most 1.")
        return float(margin)
    if not margin.index.is_unique:
        raise DataError("an account has two margins.", mend="Give each one.", table="margin", column="account_id")
    values = margin.reindex(accounts).to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.isfinite(values) & (values <= 1))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"the margin of account {accounts[first]!r} is {values[first]} ({int(bad.sum()):,} such accounts in all).",
            mend="Give every account a share of sales of at most 1; clv.account_margins does.", table="margin",
        )  # fmt: skip
    return values


def check_uncertainty(*, confidence: float, interval: str, draws: int) -> None:
    """Check how intervals are asked for."""
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence}.", mend="Give a probability between 0 and 1.")
    check_interval(interval)
    if draws < 0 or int(draws) != draws:
        raise SettingsError(f"draws is {draws}.", mend="Give a whole number of 0 or more.")


def _rate(discount_rate: float, unit: str | None) -> float:
    """Turn the yearly rate into a continuous one per unit; a rate of 0 needs no unit."""
    if unit is None:
        if discount_rate == 0:
            return 0.0
        raise UnitError(
            "the summary does not say in which unit its times are, so a yearly rate cannot be applied.",
            mend='Use clv.summarise, or set summary.attrs["clv"] = {"unit": "W"}.',
        )
    return continuous_rate(discount_rate, unit=unit)


def _outlook(purchases: Purchases, summary: pd.DataFrame, *, rate: float, horizon: float | None) -> pd.DataFrame:
    """Ask for P(alive), expected purchases (infinite where they have no end) and discounted ones, in one go if so."""
    if isinstance(purchases, PurchaseModel):
        return purchases.outlook(summary, rate, horizon)
    discounted = purchases.discounted_expected_purchases(summary, rate, horizon)
    table = pd.DataFrame({"p_alive": purchases.probability_alive(summary)})
    if rate == 0:
        plain: pd.Series | float = discounted
    elif horizon is not None:
        plain = purchases.expected_purchases(summary, horizon)
    else:
        try:
            plain = purchases.discounted_expected_purchases(summary, 0.0, None)
        except SettingsError:
            plain = np.inf
    table["expected_purchases"], table["discounted_expected_purchases"] = plain, discounted
    return table
