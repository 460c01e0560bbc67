"""What every model of purchases answers: alive, how many, worth how much today, and how long is too long.

A model brings two functions of an account's history, the probability that it is alive and the purchases ahead of it;
the checks, units and shapes around them are here once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.errors import SettingsError
from clv.value.estimation.base import Estimator
from clv.value.estimation.checks import (
    Floats,
    History,
    check_fitted,
    check_unit,
    positive,
    purchase_history,
    quantile_level,
)
from clv.value.uncertainty.cubature import averaged


class PurchaseModel(Estimator):
    """A model in which a living account buys as a Poisson process at its own rate λ ~ Gamma(r, alpha).

    Subclasses define `_alive` and `_ahead`. Where the estimate is a posterior mean (small books under
    ``prior="auto"``), expectations and probabilities are posterior means too; `silence_probability` and
    `purchase_interval`, which are each other's inverse, are those of `params_`.
    """

    @abstractmethod
    def _alive(self, history: History) -> Floats:
        """Return P(alive), shape (accounts,)."""

    @abstractmethod
    def _ahead(self, history: History, *, horizon: float, rate: float) -> Floats:
        """Return discounted purchases of each account if it is alive, shape (accounts,)."""

    def _history(self, summary: pd.DataFrame) -> History:
        check_fitted(self)
        check_unit(self.unit_, summary)
        return purchase_history(summary)

    @averaged
    def probability_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability that each account will buy again, given its history.

        Parameters
        ----------
        summary : pandas.DataFrame
            Columns frequency, recency, T.

        Returns
        -------
        pandas.Series, name p_alive
        """
        history = self._history(summary)
        return pd.Series(self._alive(history), index=summary.index, name="p_alive")

    @averaged
    def expected_purchases(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the expected number of purchases of each account in (T, T + t].

        Parameters
        ----------
        summary : pandas.DataFrame
        t : float
            Span in the summary's unit, 0 or more.

        Returns
        -------
        pandas.Series, name expected_purchases
        """
        value = self._now(summary, horizon=positive(t, "t", zero=True), rate=0.0)
        return pd.Series(value, index=summary.index, name="expected_purchases")

    @averaged
    def expected_purchases_new(self, t: ArrayLike) -> Any:
        """Return the expected number of repeat purchases of an account in the time `t` after its first purchase.

        Parameters
        ----------
        t : float or array-like

        Returns
        -------
        float or ndarray
            As `t`.
        """
        check_fitted(self)
        spans = [positive(span, "t", zero=True) for span in np.ravel(np.asarray(t, dtype=float))]
        new = History(np.zeros(1), np.zeros(1), np.zeros(1))
        alive = float(self._alive(new)[0])  # below 1 where the first purchase may be the last
        value = [alive * float(self._ahead(new, horizon=span, rate=0.0)[0]) if span else 0.0 for span in spans]
        return value[0] if np.ndim(t) == 0 else np.reshape(value, np.shape(t))

    @averaged
    def discounted_expected_purchases(
        self, summary: pd.DataFrame, rate: float, horizon: float | None = None
    ) -> pd.Series:
        """Return the expected purchases of each account, each discounted to today.

        Parameters
        ----------
        summary : pandas.DataFrame
        rate : float
            Continuous discount rate per unit of the summary (see `clv.value.discount.continuous_rate`).
        horizon : float, optional
            In the summary's unit; None: for ever.

        Returns
        -------
        pandas.Series, name discounted_expected_purchases

        Raises
        ------
        clv.errors.SettingsError
            For ever and without discounting, if the sum is infinite then.
        """
        end = np.inf if horizon is None else positive(horizon, "horizon", zero=True)
        value = self._now(summary, horizon=end, rate=positive(rate, "rate", zero=True))
        return pd.Series(value, index=summary.index, name="discounted_expected_purchases")

    @averaged
    def outlook(self, summary: pd.DataFrame, rate: float, horizon: float | None = None) -> pd.DataFrame:
        """Return what value is made of in one go: alive, purchases ahead, and the same discounted.

        Parameters
        ----------
        summary : pandas.DataFrame
        rate : float
            Continuous discount rate per unit.
        horizon : float, optional
            In the summary's unit; None: for ever.

        Returns
        -------
        pandas.DataFrame
            Columns p_alive, expected_purchases (infinite where they have no end) and discounted_expected_purchases,
            as the methods of these names return them, in half the time.
        """
        end, rate = np.inf if horizon is None else positive(horizon, "horizon"), positive(rate, "rate", zero=True)
        alive, ahead = self._asked(summary)
        discounted = ahead(horizon=end, rate=rate)
        discounted *= alive  # in place: a column of a million is not made twice
        try:
            plain = ahead(horizon=end, rate=0.0) if rate else discounted
            if rate:
                plain *= alive
        except SettingsError:  # for ever, and nothing that ends it
            plain = np.full(len(alive), np.inf)
        columns = {"p_alive": alive, "expected_purchases": plain, "discounted_expected_purchases": discounted}
        return pd.DataFrame(columns, index=summary.index, copy=False)

    def _asked(self, summary: pd.DataFrame) -> tuple[Floats, Callable[..., Floats]]:
        """Return P(alive) of all accounts, and the function of horizon and rate that gives their purchases ahead."""
        history = self._history(summary)
        return self._alive(history), partial(self._ahead, history)

    def _now(self, summary: pd.DataFrame, *, horizon: float, rate: float) -> Floats:
        history = self._history(summary)
        if horizon == 0:
            return np.zeros(len(summary))
        return self._ahead(history, horizon=horizon, rate=rate) * self._alive(history)

    def silence_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability that a living account would have been silent for T − recency or longer.

        Parameters
        ----------
        summary : pandas.DataFrame

        Returns
        -------
        pandas.Series, name silence_probability
            ((alpha + t_x) / (alpha + T))^(r + x): small when silence is out of character. The rate's posterior is
            that of a living account at its last purchase, Gamma(r + x, alpha + t_x).
        """
        x, recency, T = self._history(summary)
        r, alpha = float(self.params_["r"]), float(self.params_["alpha"])
        value = np.exp(-(r + x) * np.log1p((T - recency) / (alpha + recency)))
        return pd.Series(value, index=summary.index, name="silence_probability")

    @averaged
    def no_purchase_probability(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the probability that each account buys nothing in (T, T + t], whether it is gone or only quiet.

        Parameters
        ----------
        summary : pandas.DataFrame
        t : float
            Span in the summary's unit, 0 or more.

        Returns
        -------
        pandas.Series, name p_no_purchase
            1 − P(alive) (1 − S(T + t) / S(T)), S the `silence_probability`: where dropping out takes a purchase, a
            living account that stays silent has only waited. It equals L(x, t_x, T + t) / L(x, t_x, T), the ratio of
            the account's likelihoods.
        """
        later = summary.assign(T=summary["T"] + positive(t, "t", zero=True))
        later.attrs = dict(summary.attrs)
        now = self.silence_probability(summary).to_numpy()
        # Where a living account cannot have been silent so long it is not alive either: the ratio has no weight.
        ratio = np.divide(self.silence_probability(later).to_numpy(), now, out=np.zeros(len(now)), where=now > 0)
        value = 1 - self.probability_alive(summary).to_numpy() * (1 - ratio)
        return pd.Series(np.clip(value, 0.0, 1.0), index=summary.index, name="p_no_purchase")

    def purchase_interval(self, summary: pd.DataFrame, q: float) -> pd.Series:
        """Return the quantile of each living account's time from its last to its next purchase.

        Parameters
        ----------
        summary : pandas.DataFrame
        q : float
            Probability, 0 ≤ q < 1; .5 is the median.

        Returns
        -------
        pandas.Series, name purchase_interval
            In the summary's unit: (alpha + t_x) ((1 − q)^(−1/(r+x)) − 1), a Lomax quantile. Infinite where it
            exceeds the range of numbers (one-time buyers under a very small r).
        """
        quantile_level(q)
        x, recency, _ = self._history(summary)
        r, alpha = float(self.params_["r"]), float(self.params_["alpha"])
        with np.errstate(over="ignore"):
            value = (alpha + recency) * np.expm1(-np.log1p(-q) / (r + x))
        return pd.Series(value, index=summary.index, name="purchase_interval")
