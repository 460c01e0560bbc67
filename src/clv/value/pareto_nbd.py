"""The Pareto/NBD model: accounts buy at their own rate until, at some moment of their own, they are gone unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, exprel

from clv.errors import SettingsError
from clv.value.covariates import Covariates, StaticCovariates
from clv.value.estimation.best_fit import Likelihood
from clv.value.estimation.checks import Floats, History, label_simulated, positive, purchase_history
from clv.value.estimation.distinct import distinct_rows
from clv.value.estimation.patterns import compress
from clv.value.estimation.priors import Prior, WeakPrior
from clv.value.likelihood.covariate_names import parameter_names, weak_prior
from clv.value.likelihood.dropout_integral import log_odds_gone
from clv.value.likelihood.dropout_table import DropoutTable
from clv.value.likelihood.pareto_nbd_likelihood import ParetoNBDLikelihood
from clv.value.uncertainty.cubature import averaged
from clv.value.uncertainty.predictive import Future, leaving_any_time

_NODE, _GAUSS = np.polynomial.legendre.leggauss(200)
#: with more accounts than this P(alive) comes from a table, if times lie on a grid.
_MANY = 10_000
#: discounted integrals end where e^(−δs) has fallen by this many nepers.
_FADED = 40.0


class ParetoNBDModel(StaticCovariates):
    """Pareto / negative binomial model of purchases (Pareto/NBD).

    While alive, an account buys at rate λ ~ Gamma(r, alpha); it lives for a time that is exponential with rate
    μ ~ Gamma(s, beta); λ and μ are independent. Unlike under BG/NBD it may be gone before its first repeat purchase.

    Parameters
    ----------
    prior : {None, "weak"}
        None: maximum likelihood. "weak": maximum of the posterior with independent log-normal priors, medians r = 1,
        alpha = mean T of the data, s = 1, beta = mean T, standard deviations of the logarithms 1.5 (alpha and beta:
        2); it keeps s and beta of a small book from running away together.
    covariates : list of str, or mapping from process to list of str, optional
        Static covariates of the accounts; see `clv.value.covariates.StaticCovariates`. In the process "lifetime"
        beta is divided by e^γ, so that the dropout rate is multiplied by it (Fader & Hardie 2007, Incorporating
        time-invariant covariates into the Pareto/NBD and BG/NBD models).
    equal : list of str, optional
        Covariates with the same effect in both processes.
    penalty : float
        Ridge penalty on the effects of covariates.

    Attributes
    ----------
    params_ : pandas.Series
        r, alpha, s, beta (alpha and beta in the summary's unit).

    See Also
    --------
    clv.value.estimation.base.Estimator : the other fitted attributes.

    References
    ----------
    Schmittlein, D. C., Morrison, D. G. & Colombo, R. (1987). Counting your customers: who are they and what will they
    do next? Management Science 33(1), 1-24.
    Fader, P. S. & Hardie, B. G. S. (2005). A note on deriving the Pareto/NBD model and related expressions.
    Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005). RFM and CLV: using iso-value curves for customer base analysis.
    Journal of Marketing Research 42(4), 415-430.

    Examples
    --------
    >>> model = ParetoNBDModel().fit(summary)  # doctest: +SKIP
    >>> model.discounted_expected_purchases(summary, rate=0.002)  # DERT  # doctest: +SKIP
    """

    _names: ClassVar[tuple[str, ...]] = parameter_names("r", "alpha", "s", "beta")
    _weak: ClassVar[WeakPrior] = weak_prior((1.0, 1.0, 1.0, 1.0), (1.5, 2.0, 1.5, 2.0))
    _processes: ClassVar[dict[str, dict[str, float]]] = {"transaction": {"alpha": -1}, "lifetime": {"beta": -1}}
    _times: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    _account_rows: ClassVar[str] = "clv.value.likelihood.pareto_nbd_rows"

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
        return ParetoNBDLikelihood(compress(purchase_history(summary), weight=weight))

    def _values(self) -> tuple[float, float, float, float]:
        r, alpha, s, beta = self._base_values()
        return r, alpha, s, beta

    def _alive(self, history: History) -> Floats:
        """Return P(alive) = 1 / (1 + G): equal to Fader & Hardie (2005), eqs. 35-37, without their 2F1."""
        r, alpha, s, beta = self._values()
        table = DropoutTable.of(history) if len(history.T) > _MANY else None
        if table is not None and (chance := table.alive(r, alpha, s, beta)) is not None:
            return chance
        return expit(-log_odds_gone(r + history.frequency, s, alpha, beta, history.recency, history.T))

    def _ahead(self, history: History, *, horizon: float, rate: float) -> Floats:
        """Return purchases ahead of living accounts: mean rate × discounted time alive (eq. 41; DERT without end)."""
        r, alpha, s, beta = self._values()
        late, code = np.unique(history.T, return_inverse=True)
        life = time_alive(s, beta + late, horizon=horizon, rate=rate)[code.ravel()]
        return (r + history.frequency) / (alpha + history.T) * life

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
            1 − P(alive) ∫ f(u) G(u) du over (0, t]: f the Lomax density of a living account's wait,
            Gamma(r + x, alpha + T), and G(u) = ((beta + T) / (beta + T + u))^s that it lives so long.
        """
        span, (x, _, T) = positive(t, "t", zero=True), self._history(summary)
        alive = self.probability_alive(summary).to_numpy()
        r, alpha, s, beta = self._account_values(summary) if self._effects() else self._values()
        waits = [np.broadcast_to(v, len(T)) for v in (r + x, alpha + T, s, beta + T)]
        (shape, scale, life, age), code = distinct_rows(*waits)
        value = 1 - alive * buys_within(shape, scale, life, age, t=span)[code]
        return pd.Series(np.clip(value, 0.0, 1.0), index=summary.index, name="p_no_purchase")

    def draw_latent(
        self, parameters: Floats, history: History, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw whether each account is alive, and its purchase and dropout rates if it is.

        Parameters
        ----------
        parameters : ndarray, shape (draws, 4)
            r, alpha, s, beta, one row a draw.
        history : History
            Arrays of shape (accounts,).
        rng : numpy.random.Generator

        Returns
        -------
        alive : ndarray of bool, shape (accounts, draws)
        rate, hazard : ndarray, shape (accounts, draws)
            λ and μ: a living account's purchases at time s ahead come at rate λ e^(−μs).
        """
        r, alpha, s, beta = np.asarray(parameters, dtype=float).T
        x, recency, T = (column[:, None] for column in history)
        chance = expit(-log_odds_gone(r + x, s, alpha, beta, recency, T))
        alive = rng.random(chance.shape) < chance
        rate = rng.standard_gamma(r + x) / (alpha + T)
        return alive, rate, rng.standard_gamma(np.broadcast_to(s, chance.shape)) / (beta + T)

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
        """Draw purchases within `horizon` from drawn hidden states; see `leaving_any_time`."""
        return leaving_any_time(alive, rate, hazard, horizon=horizon, rng=rng, times=times)

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
        r, alpha, s, beta = self._values()
        span = np.asarray(T, dtype=float)
        rate = rng.standard_gamma(r, span.shape) / alpha
        hazard = rng.standard_gamma(s, span.shape) / beta
        life = rng.standard_exponential(span.shape)
        with np.errstate(divide="ignore", over="ignore"):
            observed = np.minimum(span, life / hazard)
        frequency = rng.poisson(rate * observed)
        # The last of n uniform times is the n-th root of one uniform number.
        recency = observed * rng.random(span.shape) ** (1 / np.maximum(frequency, 1)) * (frequency > 0)
        drawn = pd.DataFrame({"frequency": frequency, "recency": recency, "T": span})
        return label_simulated(drawn, self.unit_)


def buys_within(R: Floats, A: Floats, s: Floats, B: Floats, *, t: float) -> Floats:
    """Return the probability that a living account buys in time `t`, before it drops out.

    Parameters
    ----------
    R, A : ndarray, shape (accounts,)
        Its rate is Gamma(R, A).
    s, B : ndarray, shape (accounts,)
        Its dropout rate is Gamma(s, B).
    t : float

    Returns
    -------
    ndarray, shape (accounts,)
        With e = R ln(1 + u/A), exponential of mean 1, the integral is over e^−e (1 + u(e)/B)^−s, smooth throughout.
    """
    node, gauss = np.polynomial.legendre.leggauss(32)
    out = np.empty(len(R))
    for start in range(0, len(R), 4096):
        rows = slice(start, start + 4096)
        shape, scale, life, age = (column[rows, None] for column in (R, A, s, B))
        top = np.minimum(shape * np.log1p(t / scale), _FADED)
        e = top * (node + 1) / 2
        u = scale * np.expm1(e / shape)
        out[rows] = (np.exp(-e - life * np.log1p(u / age)) @ gauss) * top[:, 0] / 2
    return out


def time_alive(s: float, B: Floats, *, horizon: float, rate: float) -> Floats:
    """Return the discounted time for which a living account stays alive, ∫₀ᴴ e^(−δu) (1 + u/B)^−s du.

    Parameters
    ----------
    s : float
    B : ndarray, shape (accounts,)
        β + T: the dropout rate of a living account is Gamma(s, B).
    horizon : float
        H; may be infinite.
    rate : float
        δ, continuous.

    Returns
    -------
    ndarray, shape (accounts,)
        Without discounting, B [1 − (B/(B+H))^(s−1)] / (s−1), continued through s = 1. With it and without end this
        is B eᶻ E_s(z) = B zˢ⁻¹ Ψ(s, s; z), z = δB, of DERT (Fader, Hardie & Lee 2005, eq. 3).

    Raises
    ------
    clv.errors.SettingsError
        If neither horizon nor rate ends the integral and s ≤ 1.
    """
    if rate == 0:
        if np.isinf(horizon):
            if s <= 1:
                raise SettingsError(
                    f"purchases without end and without discounting have no finite mean (s = {s:.4g} ≤ 1).",
                    mend="Give a horizon or a discount rate above 0.",
                )
            return B / (s - 1)
        length = np.log1p(horizon / B)
        return B * length * exprel((1 - s) * length)
    end = min(horizon, _FADED / rate)
    # Gauss-Legendre in v, u = c(eᵛ − 1), smooth whether dropout or discounting is quick or slow.
    c = 1 / ((s + 1) / B + rate)
    top = np.log1p(end / c)
    node, gauss = np.polynomial.legendre.leggauss(int(np.ceil(28 + 4 * top.max(initial=0.0))))
    out = np.empty(len(B))
    for start in range(0, len(B), 4096):
        part = slice(start, start + 4096)
        v = top[part, None] * (node + 1) / 2
        u = c[part, None] * np.expm1(v)
        kept = np.exp(-rate * u - s * np.log1p(u / B[part, None]) + v)
        out[part] = (kept @ gauss) * c[part] * top[part] / 2
    return out
