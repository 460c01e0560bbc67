"""The BG/NBD model: accounts buy at their own rate until, after some purchase, they are gone unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from clv.value.covariates import Covariates, StaticCovariates
from clv.value.estimation.best_fit import Likelihood
from clv.value.estimation.checks import Floats, History, label_simulated, purchase_history
from clv.value.estimation.patterns import compress
from clv.value.estimation.priors import Prior, WeakPrior
from clv.value.expectation.living import purchases_while_alive
from clv.value.expectation.surface import Places, evaluate
from clv.value.likelihood.beta_geo_likelihood import BetaGeoLikelihood
from clv.value.likelihood.covariate_names import parameter_names, weak_prior
from clv.value.uncertainty.predictive import Future, leaving_with_a_purchase

_BLOCK = 8_192


class BetaGeoModel(StaticCovariates):
    """Beta-geometric / negative binomial model of purchases (BG/NBD).

    While alive, an account buys at rate λ ~ Gamma(r, alpha); after each repeat purchase it drops out with
    probability p ~ Beta(a, b); λ and p are independent. An account that never came back counts as alive with
    certainty, because dropping out takes a purchase.

    Parameters
    ----------
    prior : {None, "weak"}
        None: maximum likelihood. "weak": maximum of the posterior with independent log-normal priors, medians
        r = 1, alpha = mean T of the data, a = 1, b = 3, standard deviations of the logarithms 1.5 (alpha: 2). On
        the CDNOW sample this moves no estimate by more than a quarter of its standard error; in a book of a hundred
        accounts it keeps a and b from running away.
    covariates : list of str, or mapping from process to list of str, optional
        Static covariates of the accounts; see `clv.value.covariates.StaticCovariates`. In the process "lifetime"
        a is multiplied by e^γ: the odds of dropping out after a purchase. Fader & Hardie (2007, Incorporating
        time-invariant covariates into the Pareto/NBD and BG/NBD models) move b as well, process "b"; few data tell the
        two apart. Process "a_and_b" moves both alike, which leaves the mean dropout probability where it is.
    equal : list of str, optional
        Covariates with the same effect in both processes.
    penalty : float
        Ridge penalty on the effects of covariates.

    Attributes
    ----------
    params_ : pandas.Series
        r, alpha (in the summary's unit), a, b.

    See Also
    --------
    clv.value.estimation.base.Estimator : the other fitted attributes.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005). "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model. Marketing Science 24(2), 275-284.

    Examples
    --------
    >>> model = BetaGeoModel().fit(summary)  # doctest: +SKIP
    >>> model.expected_purchases(summary, t=52)  # doctest: +SKIP
    """

    _names: ClassVar[tuple[str, ...]] = parameter_names("r", "alpha", "a", "b")
    _weak: ClassVar[WeakPrior] = weak_prior((1.0, 1.0, 1.0, 3.0), (1.5, 2.0, 1.5, 1.5))
    _processes: ClassVar[dict[str, dict[str, float]]] = {
        "transaction": {"alpha": -1},
        "lifetime": {"a": 1},
        "b": {"b": 1},
        "a_and_b": {"a": 1, "b": 1},
    }
    _times: ClassVar[tuple[str, ...]] = ("alpha",)
    _account_rows: ClassVar[str] = "clv.value.likelihood.beta_geo_rows"

    def __init__(
        self,
        *,
        prior: Prior = None,
        covariates: Covariates | None = None,
        equal: Sequence[str] | None = None,
        penalty: float = 0.0,
    ) -> None:
        super().__init__(prior=prior)
        self.covariates = covariates
        self.equal = equal
        self.penalty = penalty

    def _likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> Likelihood:
        if self._effects():
            return self._covariate_likelihood(summary, weight)
        return BetaGeoLikelihood(compress(purchase_history(summary), weight=weight))

    def _values(self) -> tuple[float, float, float, float]:
        r, alpha, a, b = self._base_values()
        return r, alpha, a, b

    def _alive(self, history: History) -> Floats:
        """Return P(alive): 1 / (1 + a/(b+x−1) · ((alpha+T)/(alpha+t_x))^(r+x)), and 1 where x = 0.

        The paper's likelihood as completed in Fader, Hardie & Lee (2008), Computing P(alive) using the BG/NBD model.
        """
        r, alpha, a, b = self._values()
        out = np.empty(len(history.T))
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # infinite odds: 0; without purchases: 1
            for start in range(0, len(out), _BLOCK):  # blocks stay in the cache
                x, recency, T = (column[start : start + _BLOCK] for column in history)
                odds = np.subtract(T, recency, out=out[start : start + _BLOCK])
                odds /= alpha + recency
                odds += 1.0
                np.log(odds, out=odds)
                odds *= r + x
                np.exp(odds, out=odds)
                odds *= a
                odds /= x + (b - 1)
                odds += 1.0
                np.reciprocal(odds, out=odds)
                np.putmask(odds, x == 0, 1.0)
        return out

    def _asked(self, summary: pd.DataFrame) -> tuple[Floats, Callable[..., Floats]]:
        if self._effects():
            return super()._asked(summary)
        history = self._history(summary)
        places = Places.of(history.frequency, history.T)
        return self._alive(history), partial(self._ahead, history, places=places)

    def _ahead(self, history: History, *, horizon: float, rate: float, places: Places | None = None) -> Floats:
        """Return purchases ahead of living accounts; without discounting, eqs. 9 and 10 of the paper."""
        r, alpha, a, b = self._values()

        def living(x: Floats, T: Floats) -> Floats:
            return purchases_while_alive(r + x, alpha + T, a, b + x, horizon=horizon, rate=rate)

        return evaluate(living, history.frequency, history.T, offset=alpha, places=places)

    def draw_latent(
        self, parameters: Floats, history: History, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw whether each account is alive, and its purchase and dropout rates if it is.

        Parameters
        ----------
        parameters : ndarray, shape (draws, 4)
            r, alpha, a, b, one row a draw.
        history : History
            Arrays of shape (accounts,).
        rng : numpy.random.Generator

        Returns
        -------
        alive : ndarray of bool, shape (accounts, draws)
        rate, hazard : ndarray, shape (accounts, draws)
            λ and λp: a living account's purchases at time s ahead come at rate λ e^(−λps).
        """
        r, alpha, a, b = np.asarray(parameters, dtype=float).T
        columns = History(*(column[:, None] for column in history))
        odds = _alive((r, alpha, a, b), columns)
        alive = rng.random(odds.shape) < odds
        rate = rng.standard_gamma(r + columns.frequency) / (alpha + columns.T)
        return alive, rate, rate * rng.beta(np.broadcast_to(a, odds.shape), b + columns.frequency)

    def draw_future(
        self,
        alive: NDArray[np.bool_],
        rate: Floats,
        hazard: Floats,
        *,
        horizon: float,
        rng: np.random.Generator,
        times: bool = False,
    ) -> Future:
        """Draw purchases ahead; see `clv.value.uncertainty.predictive.leaving_with_a_purchase`."""
        return leaving_with_a_purchase(alive, rate, hazard, horizon=horizon, rng=rng, times=times)

    def simulate(self, T: ArrayLike, seed: int | np.random.Generator = 0) -> pd.DataFrame:
        """Draw purchase histories from the fitted model.

        Parameters
        ----------
        T : array-like, shape (accounts,)
            Time for which each account is observed after its first purchase.
        seed : int or numpy.random.Generator

        Returns
        -------
        pandas.DataFrame
            A summary with continuous times: frequency, recency, T.
        """
        rng = np.random.default_rng(seed)
        r, alpha, a, b = self._values()
        span = np.asarray(T, dtype=float)
        frequency, recency = np.zeros(span.shape, dtype=np.int64), np.zeros(span.shape)
        rate = rng.standard_gamma(r, span.shape) / alpha
        dropout = rng.beta(a, b, span.shape)
        going = np.flatnonzero(rate > 0)
        clock = np.zeros(span.shape)
        while going.size:
            clock[going] += rng.standard_exponential(going.size) / rate[going]
            going = going[clock[going] <= span[going]]
            frequency[going] += 1
            recency[going] = clock[going]
            going = going[rng.random(going.size) >= dropout[going]]
        drawn = pd.DataFrame({"frequency": frequency, "recency": recency, "T": span})
        return label_simulated(drawn, self.unit_)


def _alive(parameters: tuple[Any, Any, Any, Any], history: History) -> Floats:
    """Return P(alive) for scalar parameters or for arrays that broadcast against the history."""
    r, alpha, a, b = parameters
    x, recency, T = history
    again = x > 0
    odds = np.log((T - recency) / (alpha + recency) + 1.0) * (r + x)
    odds += np.log(a) - np.log(np.where(again, b + x - 1, 1.0))
    with np.errstate(over="ignore"):  # odds beyond the range of numbers: 0
        return np.where(again, 1.0 / (1.0 + np.exp(odds)), 1.0)
