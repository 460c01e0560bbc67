"""What the models share in which a regular buyer drops out after a purchase: (M)BG/NBD and (M)BG/CNBD-k."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, expit, gammaln, xlog1py, xlogy

from clv.errors import DataError
from clv.value.estimation.best_fit import Likelihood
from clv.value.estimation.checks import (
    Floats,
    History,
    check_fitted,
    label_simulated,
    number_column,
    positive,
    purchase_history,
    quantile_level,
    whole_numbers,
)
from clv.value.estimation.patterns import compress
from clv.value.estimation.priors import WeakPrior
from clv.value.expectation.erlang_future import draw_regular, known_purchases, pack_state, unpack_state
from clv.value.expectation.erlang_living import erlang_purchases
from clv.value.expectation.surface import evaluate
from clv.value.likelihood.beta_geo_cnbd_likelihood import BetaGeoCNBDLikelihood, log_constant
from clv.value.likelihood.beta_geo_likelihood import BetaGeoLikelihood
from clv.value.likelihood.erlang import phase_shares, phase_sum, silence, silence_quantile, step_tails
from clv.value.purchase_model import PurchaseModel
from clv.value.uncertainty.credible import discounted_rate
from clv.value.uncertainty.cubature import averaged
from clv.value.uncertainty.predictive import Future, leaving_with_a_purchase


class BetaGeoFamily(PurchaseModel):
    """Accounts wait Erlang-k times at their own rate, and drop out after a purchase with their own probability.

    Subclasses say whether the first purchase counts (`_modified`) and what k is (`_steps`).
    """

    _names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    _weak: ClassVar[WeakPrior] = WeakPrior(centre=(1.0, 1.0, 1.0, 3.0), spread=(1.5, 2.0, 1.5, 1.5))
    #: 1 where an account may drop out after its first purchase already, else 0.
    _modified: ClassVar[int]

    @property
    @abstractmethod
    def _steps(self) -> int:
        """Steps from one purchase to the next, k."""

    def _likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> Likelihood:
        k, history = self._steps, purchase_history(summary)
        patterns = compress(history, weight=weight)
        if k == 1 and not self._modified:
            return BetaGeoLikelihood(patterns)
        constant = 0.0
        if k > 1:
            bad = (history.frequency > 0) & (history.recency == 0)
            if bad.any():
                raise DataError(
                    f"account {summary.index[np.flatnonzero(bad)[0]]!r}: it bought again after no time, which regular "
                    f"waits (k = {k}) rule out.",
                    mend="Count purchases within a day as one (clv.summarise does).", table="summary", column="recency",
                )  # fmt: skip
            known = number_column(summary, "log_waits", least=-np.inf) if "log_waits" in summary.columns else None
            each = log_constant(k, history.frequency, history.recency, known)
            constant = float(each.sum() if weight is None else weight @ each)
        return BetaGeoCNBDLikelihood(patterns, k=k, modified=bool(self._modified), constant=constant)

    def _values(self) -> tuple[float, float, float, float]:
        check_fitted(self)
        r, alpha, a, b = (float(value) for value in self.params_)
        return r, alpha, a, b

    def _alive(self, history: History) -> Floats:
        return self._chance(self._values(), history)

    def _chance(self, parameters: tuple[Any, Any, Any, Any], history: History) -> Floats:
        """Return P(alive) = Q / (Q + eᶻ) for scalar parameters, or arrays that broadcast against the history."""
        r, alpha, a, b = parameters
        x, recency, T = history
        may = x + self._modified > 0
        R = r + self._steps * x
        odds = R * np.log1p((T - recency) / (alpha + recency)) + np.log(a)
        odds = odds - np.log(np.maximum(np.where(may, b + x + self._modified - 1, 1.0), 1e-300))
        if self._steps > 1:
            odds = odds - np.log(phase_sum(R, (T - recency) / (alpha + T), self._steps))
        return np.where(may, expit(-odds), 1.0)

    def _ahead(self, history: History, *, horizon: float, rate: float) -> Floats:
        """Return purchases ahead of living accounts: over the phases in which they may be, each by its probability."""
        r, alpha, a, b = self._values()
        k, (x, recency, T) = self._steps, history
        shares = phase_shares(r + k * x, (T - recency) / (alpha + T), k)
        known: dict[bytes, Floats] = {}  # the same points are asked for in every phase, and integrated once

        def living(x: Floats, T: Floats, phase: int) -> Floats:
            key = x.tobytes() + T.tobytes()
            if key not in known:
                known[key] = erlang_purchases(
                    r + k * x, alpha + T, a, b + x + self._modified, k=k, horizon=horizon, rate=rate
                )
            return known[key][:, phase]

        total = np.zeros(len(T))
        for phase in range(k):
            total += shares[:, phase] * evaluate(partial(living, phase=phase), x, T, offset=alpha)
        return total

    @averaged
    def purchase_probability(self, n: ArrayLike, t: float) -> Any:
        """Return the probability that a new account makes `n` repeat purchases in time `t`.

        Parameters
        ----------
        n : int or array-like of int
        t : float

        Returns
        -------
        float or ndarray
            As `n`.

        Notes
        -----
        With N steps in time t, negative binomial: alive with nk ≤ N < (n+1)k, or gone after the n-th with N ≥ nk.
        """
        r, alpha, a, b = self._values()
        k, count = self._steps, whole_numbers(n, "n")
        w = positive(t, "t", zero=True) / (alpha + float(t))
        most = int(count.max(initial=0.0))
        reached = step_tails(np.array(r), np.array(w), (most + 1) * k)[::k]
        place = count.astype(int)
        between = self._between(r, w, most)
        stays = np.exp(betaln(a, b + count + self._modified) - betaln(a, b)) * between[place]
        leaving = np.maximum(count + self._modified, 1)
        went = np.exp(betaln(a + 1, b + leaving - 1) - betaln(a, b)) * reached[place]
        value = stays + np.where(count + self._modified > 0, went, 0.0)
        return float(value) if np.ndim(n) == 0 else value

    def _between(self, r: float, w: float, most: int) -> Floats:
        """Return P(nk ≤ N < (n+1)k), n = 0 … most: sums of k single probabilities, none of them a difference."""
        steps = np.arange((most + 1) * self._steps)
        logs = gammaln(r + steps) - gammaln(r) - gammaln(steps + 1.0) + xlogy(steps, w) + xlog1py(r, -w)
        return np.exp(logs).reshape(most + 1, self._steps).sum(axis=1)

    def silence_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability that a living account would have been silent for T − recency or longer.

        Parameters
        ----------
        summary : pandas.DataFrame

        Returns
        -------
        pandas.Series, name silence_probability
            Regularised incomplete beta function at (alpha + t_x) / (alpha + T) of (r + kx, k); for k = 1 the ratio
            itself to the power r + x.
        """
        x, recency, T = self._history(summary)
        r, alpha, _, _ = self._values()
        value = silence(r + self._steps * x, alpha + recency, alpha + T, self._steps)
        return pd.Series(value, index=summary.index, name="silence_probability")

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
            In the summary's unit; infinite where it exceeds the range of numbers.
        """
        if self._steps == 1:
            return super().purchase_interval(summary, q)
        quantile_level(q)
        x, recency, _ = self._history(summary)
        r, alpha, _, _ = self._values()
        value = silence_quantile(r + self._steps * x, alpha + recency, q, self._steps)
        return pd.Series(value, index=summary.index, name="purchase_interval")

    def draw_latent(
        self, parameters: Floats, history: History, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw whether each account is alive, and two numbers that say how it buys if it is.

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
        first, second : ndarray, shape (accounts, draws)
            k = 1: λ and λp, a living account's purchases at time s ahead come at rate λ e^(−λps). Larger k: λ, the
            rate of steps, and phase + p (`erlang_future`); `discounted_latent` and `draw_future` read them.
        """
        r, alpha, a, b = np.asarray(parameters, dtype=float).T
        k = self._steps
        columns = History(*(column[:, None] for column in history))
        chance = self._chance((r, alpha, a, b), columns)
        alive = rng.random(chance.shape) < chance
        R = np.broadcast_to(r + k * columns.frequency, chance.shape)
        dropout = rng.beta(np.broadcast_to(a, chance.shape), b + columns.frequency + self._modified)
        if k == 1:
            rate = rng.standard_gamma(R) / (alpha + columns.T)
            return alive, rate, rate * dropout
        sums = np.cumsum(phase_shares(R, (columns.T - columns.recency) / (alpha + columns.T), k)[..., :-1], axis=-1)
        phase = (rng.random(chance.shape)[..., None] > sums).sum(axis=-1).astype(float)
        return alive, rng.standard_gamma(R + phase) / (alpha + columns.T), pack_state(phase, dropout)

    def discounted_latent(self, first: Floats, second: Floats, *, horizon: float, discount: float) -> Floats:
        """Return discounted expected purchases of living accounts with drawn hidden states (see `draw_latent`).

        Parameters
        ----------
        first, second : ndarray
        horizon : float
            May be infinite if something is discounted.
        discount : float
            Continuous rate per unit.
        """
        if self._steps == 1:
            return discounted_rate(first, second, horizon=horizon, discount=discount)
        phase, dropout = unpack_state(second)
        togo = self._steps - phase
        return known_purchases(first, dropout, togo, k=self._steps, horizon=horizon, discount=discount)

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
        """Draw purchases within `horizon` from drawn hidden states; see `clv.value.uncertainty.predictive`."""
        if self._steps == 1:
            return leaving_with_a_purchase(alive, rate, hazard, horizon=horizon, rng=rng, times=times)
        return draw_regular(alive, rate, hazard, k=self._steps, horizon=horizon, rng=rng, times=times)

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
            A summary with continuous times: frequency, recency, T, log_waits (sum of the logarithms of the waits).
        """
        rng = np.random.default_rng(seed)
        r, alpha, a, b = self._values()
        span = np.asarray(T, dtype=float)
        frequency, recency, logs = np.zeros(span.shape, dtype=np.int64), np.zeros(span.shape), np.zeros(span.shape)
        rate = rng.standard_gamma(r, span.shape) / alpha
        dropout = rng.beta(a, b, span.shape)
        going = np.flatnonzero(rate > 0)
        if self._modified:
            going = going[rng.random(going.size) >= dropout[going]]
        while going.size:
            wait = rng.standard_gamma(self._steps, going.size) / rate[going]
            kept = recency[going] + wait <= span[going]
            going, wait = going[kept], wait[kept]
            frequency[going] += 1
            recency[going] += wait
            logs[going] += np.log(wait)
            going = going[rng.random(going.size) >= dropout[going]]
        drawn = pd.DataFrame({"frequency": frequency, "recency": recency, "T": span, "log_waits": logs})
        return label_simulated(drawn, self.unit_)
