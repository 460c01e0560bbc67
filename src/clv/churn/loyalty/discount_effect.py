"""What a discount does to sales, net of the dip after it (rule C5): an event study within accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.churn.loyalty.discount_words import effect_text
from clv.churn.loyalty.fixed_effects_poisson import PoissonFit, fit_poisson
from clv.churn.loyalty.panel import LENGTH, Panel, make_panel
from clv.churn.purchases import Date
from clv.data.settings import Grain
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class DiscountEffect(Result):
    """The effect of a discount, period by period.

    Attributes
    ----------
    table : pandas.DataFrame
        Index period (0 is that of the offer): coefficient, standard_error, change (relative to a usual period), lower,
        upper.
    summary : pandas.DataFrame
        Index lift (period 0), dip (sum over the periods after), net (both): estimate, standard_error, lower, upper, in
        usual periods' worth of purchases for an offer of one period.
    p_before : float
        Probability of changes as large as those before the offer if there were none (Wald test); NaN without such
        periods. Small: offers were announced, or made when something else was about to happen.
    accounts, offered, observations : int
        Accounts used, accounts of the book that had an offer, account-periods used.
    confidence : float
    """

    summary: pd.DataFrame
    p_before: float
    accounts: int
    offered: int
    observations: int
    confidence: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the change of purchases around an offer, with intervals."""
        import seaborn as sns

        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
        colour = sns.color_palette("colorblind")[0]
        ax.axhline(0, color="0.6", linewidth=1)
        ax.vlines(
            self.table.index, 100 * self.table["lower"], 100 * self.table["upper"], color=colour, alpha=0.4, linewidth=4
        )
        ax.plot(self.table.index, 100 * self.table["change"], "o", color=colour)
        ax.set_xticks(self.table.index)
        ax.set(xlabel="periods since the offer", ylabel="change of purchases, %", title="Around a discount")
        sns.despine(ax=ax)
        return ax


def discount_effect(
    transactions: pd.DataFrame,
    offers: pd.DataFrame | None = None,
    *,
    as_of: Date | None = None,
    period: Literal["W", "4W"] = "W",
    before: int = 2,
    after: int = 4,
    outcome: Literal["orders", "money"] = "orders",
    grain: Grain = "D",
    randomised: bool = False,
    confidence: float = 0.9,
) -> DiscountEffect:
    """Estimate what a discount adds while it is on offer, what is missing afterwards, and what is left of it.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    offers : pandas.DataFrame
        account_id, start and end (a single day without it): when each account could buy at a discount, whether it did
        or not.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    period : {"W", "4W"}
        Length of a period: a week, or four.
    before, after : int
        Periods to look at before an offer, as a check, and after it.
    outcome : {"orders", "money"}
    grain : {"D", "W", "M"}
        Interval within which lines are one order.
    randomised : bool
        Offers were drawn at random; else the text says what the estimate takes for granted.
    confidence : float

    Returns
    -------
    DiscountEffect

    Raises
    ------
    clv.errors.DataError
        There are no offers, none of them can be used, or all accounts had them at the same times.
    clv.errors.FitError
        There is no finite estimate.
    clv.errors.SettingsError
        An argument is impossible.

    Notes
    -----
    E[y_it] = exp(account_i + period_t + Σ_l β_l offered_{i,t−l}), l from −`before` to `after`, by Poisson
    pseudo-maximum likelihood with errors clustered by account (Wooldridge 1999). An account is compared with itself in
    other periods, and with others in the same period. Lift is e^β₀ − 1, dip Σ_{l>0} (e^β_l − 1), net their sum; the
    intervals are by the delta method with Student's t at (accounts − 1) degrees of freedom.

    The discounts seen on invoices cannot stand in for offers: a discounted order is an order, so that periods with one
    would have more orders than others whatever the discount does.

    It is the effect of the discount only if offers are as good as random given account and period: an offer made
    because an account went quiet, or was about to buy, is not.
    """
    if offers is None:
        raise DataError(
            "no offers are known. Discounts on invoices are seen only where something was bought, so they cannot tell"
            " what was bought because of them.",
            table="offers", mend="Give account_id, start and end of each offer, taken up or not.",
        )  # fmt: skip
    _check(period, before, after, outcome, confidence)
    panel = make_panel(
        transactions, offers, as_of=as_of, grain=grain, period=period, before=before, after=after, outcome=outcome
    )
    lags = list(range(-before, after + 1))
    n = panel.outcome.shape[1]
    x = np.stack([panel.offered[:, after - lag : after - lag + n] for lag in lags])
    fit = fit_poisson(panel.outcome, x, panel.seen)
    return _result(fit, panel, lags, before, after, period, outcome, randomised, confidence)


def _check(period: str, before: int, after: int, outcome: str, confidence: float) -> None:
    if period not in LENGTH:
        raise SettingsError(f"period: found {period!r}; allowed are {', '.join(LENGTH)}.")
    for name, value, least in (("before", before, 0), ("after", after, 1)):
        if isinstance(value, bool) or int(value) != value or value < least:
            raise SettingsError(f"{name}: found {value!r}.", mend=f"Give a whole number of at least {least}.")
    if outcome not in ("orders", "money"):
        raise SettingsError(f"outcome: found {outcome!r}; allowed are orders, money.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence: found {confidence!r}.", mend="Give a probability between 0 and 1.")


def _result(
    fit: PoissonFit, panel: Panel, lags: list[int], before: int, after: int, period: Literal["W", "4W"], outcome: str,
    randomised: bool, confidence: float,
) -> DiscountEffect:  # fmt: skip
    from scipy.stats import chi2, t

    quantile = float(t.ppf((1 + confidence) / 2, fit.accounts - 1))
    error = np.sqrt(np.diag(fit.covariance))
    table = pd.DataFrame(
        {
            "coefficient": fit.beta,
            "standard_error": error,
            "change": np.expm1(fit.beta),
            "lower": np.expm1(fit.beta - quantile * error),
            "upper": np.expm1(fit.beta + quantile * error),
        },
        index=pd.Index(lags, name="period"),
    )
    place = np.array(lags)
    rows = {}
    for name, used in (("lift", place == 0), ("dip", place > 0), ("net", place >= 0)):
        slope = np.where(used, np.exp(fit.beta), 0.0)
        estimate, spread = float(np.expm1(fit.beta)[used].sum()), float(np.sqrt(slope @ fit.covariance @ slope))
        rows[name] = (estimate, spread, estimate - quantile * spread, estimate + quantile * spread)
    summary = pd.DataFrame.from_dict(
        rows, orient="index", columns=["estimate", "standard_error", "lower", "upper"]
    ).rename_axis("effect")
    p_before = float("nan")
    if before:
        wald = fit.beta[:before] @ np.linalg.solve(fit.covariance[:before, :before], fit.beta[:before])
        p_before = float(chi2.sf(wald, before))
    offered = int((panel.offered.max(axis=1) > 0).sum())
    text = effect_text(summary, p_before, fit, panel, offered, after, period, outcome, randomised, confidence)
    return DiscountEffect(table, text, summary, p_before, fit.accounts, offered, fit.observations, confidence)
