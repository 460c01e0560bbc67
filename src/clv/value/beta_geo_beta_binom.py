"""The BG/BB model: at each opportunity a living account buys or not, until before one of them it is gone unnoticed."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, gammaln

from clv.errors import DataError, SettingsError
from clv.value.estimation.checks import (
    Floats,
    History,
    check_fitted,
    check_unit,
    fault,
    frequency_column,
    label_simulated,
    number_column,
    positive,
)
from clv.value.estimation.distinct import distinct_rows
from clv.value.estimation.patterns import Patterns, compress
from clv.value.estimation.priors import Prior, WeakPrior
from clv.value.likelihood.beta_geo_beta_binom_alive import alive_by_draw
from clv.value.likelihood.beta_geo_beta_binom_likelihood import BetaGeoBetaBinomLikelihood
from clv.value.likelihood.opportunities import geometric_sum, rising, silence_quantile, whole
from clv.value.purchase_model import PurchaseModel
from clv.value.uncertainty.cubature import averaged
from clv.value.uncertainty.predictive import Future


class BetaGeoBetaBinomModel(PurchaseModel):
    """Beta-geometric / beta-Bernoulli model of purchases at discrete opportunities (BG/BB).

    Before each opportunity (a yearly appeal, a trade fair, a budget round) a living account is lost with probability
    θ ~ Beta(gamma, delta); if it is alive it buys with probability p ~ Beta(alpha, beta); p and θ are independent.
    Also a good approximation of continuous-time models for purchases that are recorded by period.

    Parameters
    ----------
    prior : {None, "weak"}
        None: maximum likelihood. "weak": maximum of the posterior with independent log-normal priors, medians
        alpha = 1, beta = 1, gamma = 1, delta = 3, standard deviations of the logarithms 1.5.

    Attributes
    ----------
    params_ : pandas.Series
        alpha, beta (purchase), gamma, delta (dropout).

    Notes
    -----
    A summary has the columns frequency (opportunities used), recency (number of the last one used, 0 if none) and
    n_periods (opportunities since the first purchase, itself not counted); T stands in where n_periods is missing.
    Times, horizons and rates are in opportunities.

    See Also
    --------
    clv.value.estimation.base.Estimator : the other fitted attributes.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. & Shang, J. (2010). Customer-base analysis in a discrete-time noncontractual
    setting. Marketing Science 29(6), 1086-1108.
    """

    _names: ClassVar[tuple[str, ...]] = ("alpha", "beta", "gamma", "delta")
    _weak: ClassVar[WeakPrior] = WeakPrior(centre=(1.0, 1.0, 1.0, 3.0), spread=(1.5, 1.5, 1.5, 1.5))

    def __init__(self, *, prior: Prior = None) -> None:
        super().__init__(prior=prior)

    def _likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> BetaGeoBetaBinomLikelihood:
        return BetaGeoBetaBinomLikelihood(compress(opportunity_history(summary), weight=weight))

    def _history(self, summary: pd.DataFrame) -> History:
        check_fitted(self)
        check_unit(self.unit_, summary)
        return opportunity_history(summary)

    def _values(self) -> tuple[float, float, float, float]:
        check_fitted(self)
        alpha, beta, gamma, delta = (float(value) for value in self.params_)
        return alpha, beta, gamma, delta

    def _alive(self, history: History) -> Floats:
        """Return P(alive at the next opportunity): eq. 11 of the paper."""
        (x, last, n), code = distinct_rows(*history)
        alpha, beta, gamma, delta = self._values()
        patterns = Patterns(x, last, n, np.ones(len(x)), len(x))
        total = BetaGeoBetaBinomLikelihood(patterns).rows(np.log([alpha, beta, gamma, delta]))
        buy, skip, either, stay, end = (
            rising(base, int(n.max()) + 1)[0] for base in (alpha, beta, alpha + beta, delta, gamma + delta)
        )
        bought, seen = x.astype(np.intp), n.astype(np.intp)
        here = buy[bought] + skip[seen - bought] - either[seen] + stay[seen + 1] - end[seen + 1]
        return np.minimum(np.exp(here - total), 1.0)[code]

    def _ahead(self, history: History, *, horizon: float, rate: float) -> Floats:
        """Return purchases of accounts that are alive at the next opportunity (with `_alive`: eqs. 13 and 14)."""
        alpha, beta, gamma, delta = self._values()
        x, _, n = history
        mean = (alpha + x) / (alpha + beta + n)
        rounds = geometric_sum(gamma, delta + n + 1, count=whole(horizon, "the horizon"), rate=rate)
        return np.asarray(mean * np.exp(-rate) * rounds)

    @averaged
    def expected_purchases_new(self, t: ArrayLike) -> Any:
        """Return the expected number of repeat purchases of an account at `t` opportunities after its first purchase.

        Parameters
        ----------
        t : int or array-like of int

        Returns
        -------
        float or ndarray
            As `t`. Eq. 8 of the paper.
        """
        alpha, beta, gamma, delta = self._values()
        spans = [whole(positive(span, "t", zero=True), "t") for span in np.ravel(np.asarray(t, dtype=float))]
        first = alpha / (alpha + beta) * delta / (gamma + delta)
        value = first * geometric_sum(gamma, delta + 1, count=np.asarray(spans), rate=0.0)
        return float(value[0]) if np.ndim(t) == 0 else value.reshape(np.shape(t))

    @averaged
    def purchase_probability(self, n: ArrayLike, t: float) -> Any:
        """Return the probability that a new account buys at `n` of the next `t` opportunities.

        Parameters
        ----------
        n : int or array-like of int
        t : int

        Returns
        -------
        float or ndarray
            As `n`. Eq. 7 of the paper.
        """
        alpha, beta, gamma, delta = self._values()
        span = int(whole(positive(t, "t", zero=True), "t"))
        count = np.asarray(n, dtype=float)
        if not (np.isfinite(count).all() and (count >= 0).all() and (count == np.rint(count)).all()):
            raise SettingsError(f"n is {n!r}.", mend="Give whole numbers of 0 or more.")
        buy, skip, either, stay, end = (
            rising(base, span)[0] for base in (alpha, beta, alpha + beta, delta, gamma + delta)
        )
        m = np.arange(span + 1)
        lived = np.exp(stay - end - np.where(m < span, np.log1p((delta + m) / gamma), 0.0))
        value = np.zeros(count.shape)
        for each in np.unique(count[count <= span]):
            x = int(each)
            ways = gammaln(m[x:] + 1) - gammaln(x + 1) - gammaln(m[x:] - x + 1)
            with np.errstate(under="ignore"):
                value[count == each] = np.exp(ways + buy[x] + skip[m[x:] - x] - either[m[x:]]) @ lived[x:]
        return float(value) if np.ndim(n) == 0 else value

    def silence_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability that a living account would have passed over n − recency opportunities or more.

        Returns
        -------
        pandas.Series, name silence_probability
            B(A, B + n − t_x) / B(A, B) with A = alpha + x, B = beta + t_x − x.
        """
        x, last, n = self._history(summary)
        alpha, beta, _, _ = self._values()
        value = np.exp(betaln(alpha + x, beta + n - x) - betaln(alpha + x, beta + last - x))
        return pd.Series(np.minimum(value, 1.0), index=summary.index, name="silence_probability")

    @averaged
    def no_purchase_probability(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the probability that each account passes over all opportunities of the next time `t`.

        Parameters
        ----------
        summary : pandas.DataFrame
        t : float
            Of a broken number only the whole opportunities count.

        Returns
        -------
        pandas.Series, name p_no_purchase
            1 − P(alive) Σ E[p (1 − p)^(j−1)] E[(1 − θ)^(j−1)], j = 1 … t, under the posterior of an account that is
            alive at the next opportunity: p ~ Beta(alpha + x, beta + n − x), θ ~ Beta(gamma, delta + n + 1).
        """
        (x, _, n), span = self._history(summary), int(positive(t, "t", zero=True) + 1e-9)
        alpha, beta, gamma, delta = self._values()
        buys, stays, total = (alpha + x) / (alpha + beta + n), np.ones(len(x)), np.zeros(len(x))
        for j in range(span):
            total += buys * stays
            buys = buys * (beta + n - x + j) / (alpha + beta + n + j + 1)
            stays = stays * (delta + n + 1 + j) / (gamma + delta + n + 1 + j)
        value = 1 - self.probability_alive(summary).to_numpy() * total
        return pd.Series(np.clip(value, 0.0, 1.0), index=summary.index, name="p_no_purchase")

    def purchase_interval(self, summary: pd.DataFrame, q: float) -> pd.Series:
        """Return the quantile of each living account's time from its last to its next purchase, in opportunities.

        Parameters
        ----------
        summary : pandas.DataFrame
        q : float
            Probability, 0 ≤ q < 1; .5 is the median.

        Returns
        -------
        pandas.Series, name purchase_interval
            Whole numbers from 1; a beta-geometric quantile.
        """
        x, last, _ = self._history(summary)
        alpha, beta, _, _ = self._values()
        (bought, skipped), code = distinct_rows(alpha + x, beta + last - x)
        value = silence_quantile(bought, skipped, q)[code]
        return pd.Series(value, index=summary.index, name="purchase_interval")

    def draw_account_latent(
        self, parameters: Floats, summary: pd.DataFrame, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw alive, p and θ of each account; see `draw_latent`."""
        return self.draw_latent(parameters, self._history(summary), rng)

    def discounted_latent(self, p: Floats, theta: Floats, *, horizon: float, discount: float) -> Floats:
        """Return the discounted expected purchases of accounts alive at the next opportunity, given p and θ.

        Parameters
        ----------
        p, theta : ndarray
        horizon : float
            In opportunities; may be infinite if `discount` is above 0.
        discount : float
            Continuous, per opportunity.

        Returns
        -------
        ndarray
            p v (1 − q^H) / (1 − q), q = v (1 − θ), v = e^(−discount).
        """
        loss = -np.log1p(-np.minimum(theta, 1 - 1e-16)) + discount
        ends = 1.0 if np.isinf(horizon) else -np.expm1(-loss * whole(horizon, "the horizon"))
        lasts = np.where(loss > 0, ends / np.where(loss > 0, -np.expm1(-loss), 1.0), horizon)
        return np.asarray(p * np.exp(-discount) * lasts)

    def draw_future(
        self,
        alive: NDArray[np.bool_],
        p: Floats,
        theta: Floats,
        *,
        horizon: float,
        rng: np.random.Generator,
        times: bool = False,
    ) -> Future:
        """Draw purchases at the opportunities within `horizon` from drawn hidden states.

        Returns
        -------
        count : ndarray of int
        times : ndarray or None
            Numbers of the opportunities used, cell after cell.
        """
        with np.errstate(divide="ignore"):
            lives = np.ceil(rng.standard_exponential(theta.shape) / -np.log1p(-np.minimum(theta, 1 - 1e-16)))
        open_: NDArray[np.int64] = (np.clip(lives, 1, np.floor(horizon)) * alive).astype(np.int64)
        if not times:
            return rng.binomial(open_, p).astype(np.int64), None
        flat = open_.ravel()
        cell = np.repeat(np.arange(flat.size), flat)
        when = np.arange(cell.size) - np.repeat(np.cumsum(flat) - flat, flat) + 1.0
        used = rng.random(cell.size) < p.ravel()[cell]
        count = np.bincount(cell[used], minlength=flat.size).astype(np.int64).reshape(alive.shape)
        return cast("Future", (count, when[used]))

    def draw_latent(
        self, parameters: Floats, history: History, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw whether each account is alive at the next opportunity, and its p and θ if it is.

        Parameters
        ----------
        parameters : ndarray, shape (draws, 4)
        history : History
            Arrays of shape (accounts,), times in opportunities.
        rng : numpy.random.Generator

        Returns
        -------
        alive : ndarray of bool, shape (accounts, draws)
        p, theta : ndarray, shape (accounts, draws)
            Probabilities to buy at, and to be lost before, each later opportunity.
        """
        parameters = np.atleast_2d(np.asarray(parameters, dtype=float))
        alpha, beta, gamma, delta = parameters.T
        x, n = history.frequency[:, None], history.T[:, None]
        alive = rng.random((len(x), len(parameters))) < alive_by_draw(parameters, history)
        p = rng.beta(alpha + x, beta + n - x)
        return alive, p, rng.beta(np.broadcast_to(gamma, p.shape), delta + n + 1)

    def simulate(self, T: ArrayLike, seed: int | np.random.Generator = 0) -> pd.DataFrame:
        """Draw purchase histories from the fitted model.

        Parameters
        ----------
        T : array-like of int, shape (accounts,)
            Opportunities for which each account is observed.
        seed : int or numpy.random.Generator

        Returns
        -------
        pandas.DataFrame
            A summary: frequency, recency, n_periods.
        """
        rng = np.random.default_rng(seed)
        alpha, beta, gamma, delta = self._values()
        seen = np.array([int(whole(positive(n, "T", zero=True), "T")) for n in np.ravel(T)], dtype=np.int64)
        buys, leaves = rng.beta(alpha, beta, seen.shape), rng.beta(gamma, delta, seen.shape)
        frequency, recency = np.zeros_like(seen), np.zeros_like(seen)
        going = np.arange(len(seen))
        for opportunity in range(1, int(seen.max(initial=0)) + 1):
            going = going[seen[going] >= opportunity]
            going = going[rng.random(going.size) >= leaves[going]]
            bought = going[rng.random(going.size) < buys[going]]
            frequency[bought] += 1
            recency[bought] = opportunity
        drawn = pd.DataFrame({"frequency": frequency, "recency": recency, "n_periods": seen})
        return label_simulated(drawn, self.unit_)


def opportunity_history(summary: pd.DataFrame) -> History:
    """Read frequency, recency and n_periods (or T): whole numbers that can belong together.

    Raises
    ------
    clv.errors.DataError
        If a value is missing, negative or no whole number; if an account bought more often than it had opportunities
        up to its last purchase; if recency exceeds n_periods; if it is 0 though there was a purchase, or the reverse.
    """
    name = "n_periods" if not isinstance(summary, pd.DataFrame) or "n_periods" in summary.columns else "T"
    frequency, last, n = frequency_column(summary), number_column(summary, "recency"), number_column(summary, name)
    for column, values in (("recency", last), (name, n)):
        bad = values != np.rint(values)
        if bad.any():
            raise fault(
                summary, bad, column, f"{column} is {values[np.flatnonzero(bad)[0]]:g}",
                "This model counts opportunities: a whole number.",
            )  # fmt: skip
    for bad, column, what in (
        (last > n, "recency", f"recency exceeds {name}"),
        (frequency > last, "frequency", "there are more purchases than opportunities up to the last purchase"),
        ((frequency == 0) & (last > 0), "recency", "recency is above 0 though frequency is 0"),
    ):
        if bad.any():
            mend = "Count opportunities from the one after the first purchase; at most one purchase at each."
            raise fault(summary, bad, column, what, mend)
    if n.max() > 100_000:
        raise DataError(
            f"{name} is up to {n.max():g}.", mend="Use a model in continuous time.", table="summary", column=name
        )
    return History(frequency, last, n)
