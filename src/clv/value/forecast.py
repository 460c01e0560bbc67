"""How many purchases to expect of each account, with an interval that says what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from clv.data.units import in_words
from clv.errors import SettingsError
from clv.result import Result
from clv.value.estimation.checks import Floats, check_unit, positive, unit_of
from clv.value.expectation.hidden import hidden_states
from clv.value.uncertainty.credible import discounted_rate
from clv.value.uncertainty.predictive import count_draws, future_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

#: "credible": of an account's own expected purchases. "predictive": of the purchases that it will in fact make.
Interval = Literal["credible", "predictive"]

_CELLS = 1_000_000


def check_interval(interval: str) -> None:
    """Refuse what is neither of the two intervals."""
    if interval not in ("credible", "predictive"):
        raise SettingsError(f"interval is {interval!r}.", mend='Use "credible" or "predictive".')


@dataclass(frozen=True, eq=False)
class PurchaseForecast(Result):
    """Purchases of all accounts over a span ahead.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id; p_alive and expected_purchases (means over the draws), lower, upper.
    text : str
    draws : ndarray of float32, shape (accounts, draws)
        A column is one draw of the parameters, so that sums over accounts carry the uncertainty that they share.
    total : tuple of float
        Mean, lower and upper of the purchases of all accounts together.
    horizon : float
    unit : str or None
    interval : {"credible", "predictive"}
    confidence : float
    """

    draws: NDArray[np.float32]
    total: tuple[float, float, float]
    horizon: float
    unit: str | None
    interval: Interval
    confidence: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the thirty accounts of which most is expected, with their intervals."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        top = self.table.nlargest(30, "expected_purchases").reset_index()
        if ax is None:
            _, ax = plt.subplots(figsize=(8, 0.8 + 0.22 * len(top)))
        names = top["account_id"].astype(str)
        colour = sns.color_palette("colorblind")[0]
        ax.hlines(names, top["lower"], top["upper"], color=colour, alpha=0.5, linewidth=3)
        ax.plot(top["expected_purchases"], names, "o", color=colour)
        ax.invert_yaxis()
        what = f"{self.confidence:.0%} {self.interval} interval"
        ax.set(xlabel=f"purchases in {in_words(self.horizon, self.unit)}", ylabel="", title=f"Expected, with {what}")
        return ax


def purchase_forecast(
    purchases: Any,
    summary: pd.DataFrame,
    t: float,
    *,
    interval: Interval = "predictive",
    draws: int = 1_000,
    seed: int = 0,
    confidence: float = 0.9,
) -> PurchaseForecast:
    """Forecast purchases over the time `t` ahead, averaged over all that is unknown.

    Parameters
    ----------
    purchases : fitted purchase model
        With ``draw_latent``, for "predictive" also ``draw_future``.
    summary : pandas.DataFrame
        Columns frequency, recency, T; index account_id.
    t : float
        In the summary's unit.
    interval : {"credible", "predictive"}
        "credible": lower and upper bound the account's own expected number, which is unknown because its hidden state
        and the parameters are. "predictive": they bound the whole number of purchases that it will make, which holds
        the chance in single purchases too.
    draws, seed : int
        Accounts × draws × 4 bytes are kept.
    confidence : float

    Returns
    -------
    PurchaseForecast

    Raises
    ------
    clv.errors.SettingsError
        If an argument is impossible, or the model cannot draw purchases.
    clv.errors.UnitError
        If the summary's unit is not the model's.
    """
    span = positive(t, "t")
    check_interval(interval)
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence}.", mend="Give a probability between 0 and 1.")
    if draws < 1 or int(draws) != draws:
        raise SettingsError(f"draws is {draws}.", mend="Give a whole number of 1 or more.")
    check_unit(purchases.unit_, summary)
    tail = (1 - confidence) / 2
    kept = np.empty((len(summary), int(draws)), dtype=np.float32)
    table = pd.DataFrame(index=summary.index.rename("account_id"))
    table["p_alive"] = purchases.probability_alive(summary)
    values, limits = np.empty(len(table)), np.empty((len(table), 2))
    rng = np.random.default_rng(seed)
    blocks = (
        count_draws(future_of(purchases), summary, horizon=span, draws=int(draws), rng=rng)
        if interval == "predictive"
        else _rate_draws(purchases, summary, horizon=span, draws=int(draws), rng=rng)
    )
    # A count's quantile is a count.
    method: Literal["inverted_cdf", "linear"] = "inverted_cdf" if interval == "predictive" else "linear"
    for rows, drawn in blocks:
        values[rows] = drawn.mean(axis=1)
        limits[rows] = np.quantile(drawn.astype(float), [tail, 1 - tail], axis=1, method=method).T
        kept[rows] = drawn
    table["expected_purchases"] = values
    table["lower"], table["upper"] = limits.T
    sums = kept.sum(axis=0, dtype=float)
    low, high = (float(limit) for limit in np.quantile(sums, [tail, 1 - tail]))
    total = (float(sums.mean()), low, high)
    unit = unit_of(summary) or purchases.unit_
    text = _sentences(len(table), total, span, unit, interval, confidence, getattr(purchases, "note_", ""))
    return PurchaseForecast(table, text, kept, total, span, unit, interval, float(confidence))


def _rate_draws(purchases: Any, summary: pd.DataFrame, *, horizon: float, draws: int, rng: np.random.Generator) -> Any:
    """Draw each account's own expected purchases, a block of accounts at a time."""
    buying = purchases.sample_posterior(draws, rng).to_numpy()
    discounted = getattr(purchases, "discounted_latent", discounted_rate)
    size = max(1, _CELLS // draws)
    for start in range(0, len(summary), size):
        rows = slice(start, start + size)
        alive, rate, hazard = hidden_states(purchases, buying, summary.iloc[rows], rng)
        value: Floats = alive * discounted(rate, hazard, horizon=horizon, discount=0.0)
        yield rows, value


def _sentences(
    accounts: int,
    total: tuple[float, float, float],
    span: float,
    unit: str | None,
    interval: Interval,
    confidence: float,
    note: str,
) -> str:
    """Say what was found, and what the interval holds."""
    holds = (
        "it holds what is unknown of the accounts and of the parameters, not the chance in single purchases"
        if interval == "credible"
        else "it holds what is unknown of the accounts and of the parameters, and the chance in single purchases"
    )
    who = "1 account is" if accounts == 1 else f"{accounts:,} accounts are"
    said = (
        f"{who} expected to make {total[0]:,.1f} purchases over the next {in_words(span, unit)} ({confidence:.0%} "
        f"{interval} interval {total[1]:,.1f} to {total[2]:,.1f}); {holds}."
    )
    return f"{said}\n\n{note}" if note else said
