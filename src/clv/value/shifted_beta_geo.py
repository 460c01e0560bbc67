"""The sBG model of contracts: at each renewal an account leaves with its own, unknown, constant probability."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln

from clv.value.estimation.base import Estimator
from clv.value.estimation.checks import Floats, check_fitted, check_unit, label_simulated, positive, quantile_level
from clv.value.estimation.priors import Prior, WeakPrior
from clv.value.likelihood.opportunities import geometric_sum, silence_quantile, whole
from clv.value.likelihood.shifted_beta_geo_likelihood import ShiftedBetaGeoLikelihood
from clv.value.relations import Tenure, tenure
from clv.value.uncertainty.cubature import averaged
from clv.value.uncertainty.predictive import Future


class ShiftedBetaGeoModel(Estimator):
    """Shifted beta-geometric model of contract renewals (sBG).

    At the end of each term an account leaves with probability θ ~ Beta(alpha, beta), the same at every renewal of one
    account. Retention rises with age all the same, because those who leave easily leave first.

    Parameters
    ----------
    prior : {None, "weak"}
        None: maximum likelihood. "weak": maximum of the posterior with independent log-normal priors, medians
        alpha = 1, beta = 2, standard deviations of the logarithms 1.5.

    Attributes
    ----------
    params_ : pandas.Series
        alpha, beta.

    Notes
    -----
    The data have one row a relation: duration (renewal decisions passed; the last of them lost if churned), churned,
    and optionally entry (decisions passed when observation began: left truncation) and to_renewal (share of the
    running term that is left, 1 if missing). `clv.contract_relations` makes them from contracts,
    `clv.cohort_relations` from counts by cohort. Times are counted in terms. In the predictions that every model has
    a *purchase* is a renewal; the first term is not one.

    See Also
    --------
    clv.value.estimation.base.Estimator : the other fitted attributes.

    References
    ----------
    Fader, P. S. & Hardie, B. G. S. (2007). How to project customer retention. Journal of Interactive Marketing 21(1),
    76-90.
    Fader, P. S. & Hardie, B. G. S. (2010). Customer-base valuation in a contractual setting: the perils of ignoring
    heterogeneity. Marketing Science 29(1), 85-93.
    """

    _names: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    _weak: ClassVar[WeakPrior] = WeakPrior(centre=(1.0, 2.0), spread=(1.5, 1.5))

    def __init__(self, *, prior: Prior = None) -> None:
        super().__init__(prior=prior)

    def _likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> ShiftedBetaGeoLikelihood:
        duration, churned, entry, _ = tenure(summary)
        return ShiftedBetaGeoLikelihood(duration, churned, entry, np.ones(len(duration)) if weight is None else weight)

    def _values(self) -> tuple[float, float]:
        check_fitted(self)
        return float(self.params_["alpha"]), float(self.params_["beta"])

    def _tenure(self, summary: pd.DataFrame) -> Tenure:
        check_fitted(self)
        check_unit(self.unit_, summary)
        return tenure(summary)

    def retention_curve(self, periods: int) -> pd.DataFrame:
        """Return survival and retention of a new cohort.

        Parameters
        ----------
        periods : int
            Renewals to look at, 1 or more.

        Returns
        -------
        pandas.DataFrame
            Index period (0 … periods); survival (share still under contract) and retention (share of those who came
            to this renewal that renewed; NaN in period 0). Fader & Hardie (2007), eqs. 6 and 8.
        """
        alpha, beta = self._values()
        age = np.arange(int(whole(positive(periods, "periods"), "periods")) + 1)
        renewed = (beta + age - 1.0) / (alpha + beta + age - 1.0)
        renewed[0] = np.nan
        return pd.DataFrame({"survival": self.survival(age), "retention": renewed}, index=pd.Index(age, name="period"))

    def survival(self, periods: ArrayLike) -> Any:
        """Return the probability that a new account renews at least `periods` times: B(α, β + t) / B(α, β)."""
        alpha, beta = self._values()
        age = np.array([whole(positive(t, "periods", zero=True), "periods") for t in np.ravel(periods)])
        value = np.exp(betaln(alpha, beta + age) - betaln(alpha, beta))
        return float(value[0]) if np.ndim(periods) == 0 else value.reshape(np.shape(periods))

    def renewal_probability(self, renewals: ArrayLike) -> Any:
        """Return the probability that an account that has renewed so many times renews at the next occasion."""
        alpha, beta = self._values()
        age = np.array([whole(positive(t, "renewals", zero=True), "renewals") for t in np.ravel(renewals)])
        value = (beta + age) / (alpha + beta + age)
        return float(value[0]) if np.ndim(renewals) == 0 else value.reshape(np.shape(renewals))

    def discounted_lifetime(self, rate: float, *, renewals: int | None = None) -> float:
        """Return the discounted number of terms that an account pays for, terms being paid in advance.

        Parameters
        ----------
        rate : float
            Continuous discount rate per term, ln(1 + d) for a rate of d a term.
        renewals : int, optional
            None: a new account, its first payment included (DEL, Fader & Hardie 2010, eq. 6). Else: an account that
            has renewed so many times, seen just before its next renewal, which is not sure (DERL, eq. 8).

        Returns
        -------
        float
        """
        alpha, beta = self._values()
        rate = positive(rate, "rate", zero=True)
        if renewals is None:
            return float(geometric_sum(alpha, beta, count=np.inf, rate=rate))
        age = whole(positive(renewals, "renewals", zero=True), "renewals")
        stays = (beta + age) / (alpha + beta + age)
        return float(stays * geometric_sum(alpha, beta + age + 1, count=np.inf, rate=rate))

    def probability_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Return 1 where the contract runs and 0 where it was lost: with contracts this is known, not inferred."""
        alive = 1.0 - self._tenure(summary).churned
        return pd.Series(alive, index=summary.index, name="p_alive")

    @averaged
    def expected_purchases(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the expected number of renewals of each relation in the next `t` terms.

        Parameters
        ----------
        summary : pandas.DataFrame
            Relations.
        t : float

        Returns
        -------
        pandas.Series, name expected_purchases
        """
        value = self._ahead(self._tenure(summary), horizon=positive(t, "t", zero=True), rate=0.0)
        return pd.Series(value, index=summary.index, name="expected_purchases")

    @averaged
    def expected_purchases_new(self, t: ArrayLike) -> Any:
        """Return the expected number of renewals of an account in the `t` terms after its first term began."""
        check_fitted(self)
        spans = [positive(span, "t", zero=True) for span in np.ravel(np.asarray(t, dtype=float))]
        new = Tenure(np.zeros(1), np.zeros(1), np.zeros(1), np.ones(1))
        value = [float(self._ahead(new, horizon=span, rate=0.0)[0]) for span in spans]
        return value[0] if np.ndim(t) == 0 else np.reshape(value, np.shape(t))

    @averaged
    def discounted_expected_purchases(
        self, summary: pd.DataFrame, rate: float, horizon: float | None = None
    ) -> pd.Series:
        """Return the expected renewals of each relation, each discounted to today.

        Parameters
        ----------
        summary : pandas.DataFrame
            Relations. The next renewal is `to_renewal` of a term away, the others follow a term apart.
        rate : float
            Continuous discount rate per term.
        horizon : float, optional
            In terms; None: for ever.

        Returns
        -------
        pandas.Series, name discounted_expected_purchases

        Raises
        ------
        clv.errors.SettingsError
            For ever and without discounting, if the sum is infinite then (alpha ≤ 1).
        """
        end = np.inf if horizon is None else positive(horizon, "horizon", zero=True)
        value = self._ahead(self._tenure(summary), horizon=end, rate=positive(rate, "rate", zero=True))
        return pd.Series(value, index=summary.index, name="discounted_expected_purchases")

    def _ahead(self, relations: Tenure, *, horizon: float, rate: float) -> Floats:
        alpha, beta = self._values()
        age, churned, _, wait = relations
        stays = (beta + age) / (alpha + beta + age) * np.exp(-rate * wait)
        rounds = geometric_sum(alpha, beta + age + 1, count=_renewals(horizon, wait), rate=rate)
        return np.where(churned == 1, 0.0, stays * rounds)

    @averaged
    def purchase_probability(self, n: ArrayLike, t: float) -> Any:
        """Return the probability that a new account renews exactly `n` times in `t` terms.

        Parameters
        ----------
        n : int or array-like of int
        t : int

        Returns
        -------
        float or ndarray
            As `n`. Fader & Hardie (2007), eqs. 5 and 6.
        """
        span = whole(positive(t, "t", zero=True), "t")
        count = np.array([whole(positive(each, "n", zero=True), "n") for each in np.ravel(n)])
        alpha, beta = self._values()
        stays = np.exp(betaln(alpha, beta + count) - betaln(alpha, beta))
        value = np.where(count < span, stays * alpha / (alpha + beta + count), np.where(count == span, stays, 0.0))
        return float(value[0]) if np.ndim(n) == 0 else value.reshape(np.shape(n))

    def expected_tenure(self, summary: pd.DataFrame) -> pd.Series:
        """Return the expected terms still to come of each relation, the running one counted by what is left of it.

        Returns
        -------
        pandas.Series, name expected_tenure
            0 where the contract was lost; infinite where alpha ≤ 1, whatever the data: then look at
            `tenure_quantile`.
        """
        alpha, beta = self._values()
        age, churned, _, wait = self._tenure(summary)
        value = wait + ((beta + age) / (alpha - 1) if alpha > 1 else np.inf)
        return pd.Series(np.where(churned == 1, 0.0, value), index=summary.index, name="expected_tenure")

    def tenure_quantile(self, summary: pd.DataFrame, q: float = 0.5) -> pd.Series:
        """Return the quantile of the terms still to come of each relation; .5 is the median.

        Returns
        -------
        pandas.Series, name tenure_quantile
        """
        alpha, beta = self._values()
        age, churned, _, wait = self._tenure(summary)
        decisions = silence_quantile(np.full(len(age), alpha), beta + age, q)
        value = np.where(churned == 1, 0.0, wait + decisions - 1)
        return pd.Series(value, index=summary.index, name="tenure_quantile")

    def silence_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return 1 where the contract runs (no renewal is due) and 0 where it was lost (nobody is silent beyond)."""
        return self.probability_alive(summary).rename("silence_probability")

    def purchase_interval(self, summary: pd.DataFrame, q: float) -> pd.Series:
        """Return the quantile of the time from one renewal to the next: a term, for every account and `q`."""
        quantile_level(q)
        return pd.Series(np.ones(len(self._tenure(summary).duration)), index=summary.index, name="purchase_interval")

    def draw_account_latent(
        self, parameters: Floats, summary: pd.DataFrame, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw each relation's probability to leave.

        Parameters
        ----------
        parameters : ndarray, shape (draws, 2)
            alpha, beta, one row a draw.
        summary : pandas.DataFrame
            Relations.
        rng : numpy.random.Generator

        Returns
        -------
        alive : ndarray of bool, shape (relations, draws)
        wait, theta : ndarray, shape (relations, draws)
            Terms to the next renewal, and the probability to leave at each.
        """
        relations = self._tenure(summary)
        alpha, beta = np.atleast_2d(np.asarray(parameters, dtype=float)).T
        age = relations.duration[:, None]
        theta = rng.beta(np.broadcast_to(alpha, (len(age), len(alpha))), beta + age)
        alive = np.repeat(relations.churned[:, None] == 0, len(alpha), axis=1)
        return alive, np.repeat(relations.to_renewal[:, None], len(alpha), axis=1), theta

    def discounted_latent(self, wait: Floats, theta: Floats, *, horizon: float, discount: float) -> Floats:
        """Return the discounted expected renewals of running relations, given when and how likely they leave.

        Parameters
        ----------
        wait, theta : ndarray
        horizon : float
            In terms; may be infinite if `discount` is above 0.
        discount : float
            Continuous, per term.

        Returns
        -------
        ndarray
        """
        stay = -np.log1p(-np.minimum(theta, 1 - 1e-16))  # −ln of the probability to stay
        loss, count = stay + discount, _renewals(horizon, wait)
        sure = loss > 0
        lasts = np.where(
            sure, -np.expm1(-np.where(sure, loss, 1.0) * count) / np.where(sure, -np.expm1(-loss), 1), count
        )
        return np.asarray(np.exp(-stay - discount * wait) * lasts)

    def draw_future(
        self,
        alive: NDArray[np.bool_],
        wait: Floats,
        theta: Floats,
        *,
        horizon: float,
        rng: np.random.Generator,
        times: bool = False,
    ) -> Future:
        """Draw the renewals of each relation within `horizon` from drawn hidden states.

        Returns
        -------
        count : ndarray of int
        times : ndarray or None
            When, in terms from today, cell after cell.
        """
        with np.errstate(divide="ignore"):
            ends = np.ceil(rng.standard_exponential(theta.shape) / -np.log1p(-np.minimum(theta, 1 - 1e-16)))
        count = (np.minimum(np.maximum(ends, 1) - 1, _renewals(horizon, wait)) * alive).astype(np.int64)
        if not times:
            return count, None
        flat = count.ravel()
        before = np.arange(flat.sum()) - np.repeat(np.cumsum(flat) - flat, flat)
        return count, np.repeat(wait.ravel(), flat) + before

    def simulate(self, T: ArrayLike, seed: int | np.random.Generator = 0) -> pd.DataFrame:
        """Draw relations from the fitted model.

        Parameters
        ----------
        T : array-like of int, shape (relations,)
            Renewal decisions for which each is observed at most.
        seed : int or numpy.random.Generator

        Returns
        -------
        pandas.DataFrame
            duration, churned, entry.
        """
        rng = np.random.default_rng(seed)
        alpha, beta = self._values()
        seen = np.array([whole(positive(t, "T", zero=True), "T") for t in np.ravel(T)])
        theta = np.clip(rng.beta(alpha, beta, seen.shape), 1e-300, 1 - 1e-16)
        ends = np.ceil(rng.standard_exponential(seen.shape) / -np.log1p(-theta))
        drawn = pd.DataFrame({"duration": np.minimum(ends, seen).astype("int64"), "churned": ends <= seen, "entry": 0})
        return label_simulated(drawn, self.unit_, letter="R", name="relation_id")


def _renewals(horizon: float, wait: Floats) -> Floats:
    """Count the renewals that fall into a horizon: the first after `wait`, the others a term apart."""
    return np.maximum(np.floor(horizon - wait + 1e-9) + 1, 0.0)
