"""The Gamma-Gamma model of spend: what an account pays for a purchase, learnt from how much it and others paid."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from clv.errors import FitError
from clv.value.estimation.base import Estimator
from clv.value.estimation.checks import Floats, check_fitted, frequency_column, number_column
from clv.value.estimation.priors import Prior, WeakPrior
from clv.value.likelihood.gamma_gamma_likelihood import GammaGammaLikelihood

_BLOCK = 8_192


class GammaGammaModel(Estimator):
    """Gamma-Gamma model of the mean money of a purchase.

    The money of a purchase varies around the account's own mean as Gamma(p, ν); ν ~ Gamma(q, v) over accounts; spend
    is independent of how often an account buys. Fitted on accounts with repeat purchases and money above 0; others
    are left out of the fit and predicted from what is known about all.

    Parameters
    ----------
    prior : {None, "weak"}
        None: maximum likelihood. "weak": maximum of the posterior with independent log-normal priors, medians p = 4,
        q = 3, v = half the mean spend, standard deviations of the logarithms 1.5.

    Attributes
    ----------
    params_ : pandas.Series
        p, q, v (in money).
    frequency_spend_correlation_ : float
        Pearson correlation of frequency and mean spend over the accounts used: the assumption of independence is
        doubtful where it is far from 0. NaN where one of the two does not vary.
    mean_spend_ : float
        Mean money of a repeat purchase in the data.
    n_accounts_ : float
        Accounts used: with frequency and money above 0.

    Raises
    ------
    clv.errors.FitError
        If no account has repeat purchases with money above 0, whatever the prior.

    See Also
    --------
    clv.value.estimation.base.Estimator : the other fitted attributes.

    References
    ----------
    Fader, P. S. & Hardie, B. G. S. (2013). The Gamma-Gamma model of monetary value.
    Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005). RFM and CLV: using iso-value curves for customer base
    analysis. Journal of Marketing Research 42(4), 415-430.
    """

    _names: ClassVar[tuple[str, ...]] = ("p", "q", "v")
    _weak: ClassVar[WeakPrior] = WeakPrior(centre=(4.0, 3.0, 0.5), spread=(1.5, 1.5, 1.5))
    _extra: ClassVar[tuple[str, ...]] = ("frequency_spend_correlation_", "mean_spend_")

    def __init__(self, *, prior: Prior = None) -> None:
        super().__init__(prior=prior)

    def _likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> GammaGammaLikelihood:
        frequency, spend = _columns(summary)
        used = (frequency > 0) & (spend > 0)
        if weight is not None:
            used &= weight > 0
        rows = np.flatnonzero(used)  # indexing by place is several times faster than by mask
        if not len(rows):
            raise FitError(
                "GammaGammaModel: no account has repeat purchases with money above 0.",
                mend="Give a longer history; without repeat purchases spend cannot be modelled.",
            )
        kept = np.ones(len(rows)) if weight is None else weight[rows]
        return GammaGammaLikelihood(frequency[rows], spend[rows], kept)

    def _note(self, likelihood: GammaGammaLikelihood) -> None:
        self.frequency_spend_correlation_ = likelihood.correlation()
        self.mean_spend_ = likelihood.mean_spend

    @property
    def has_mean(self) -> bool:
        """Whether the mean spend over accounts is finite under the fitted parameters, which takes q > 1."""
        check_fitted(self)
        return bool(self.params_["q"] > 1)

    def expected_spend(self, summary: pd.DataFrame) -> pd.Series:
        """Return the expected money of a future purchase of each account.

        Parameters
        ----------
        summary : pandas.DataFrame
            Columns frequency and monetary_value (mean of repeat purchases; not used where frequency is 0).

        Returns
        -------
        pandas.Series, name expected_spend

        Notes
        -----
        p (v + x m) / (p x + q − 1) (Fader & Hardie 2013, eq. 5), an average of the account's own mean m and that of
        all accounts. Where q ≤ 1 the latter is infinite; then, as `has_mean` tells, the answer is the average of m,
        with weight p x / (p x + q), and of `mean_spend_`, the mean of a repeat purchase in the data.
        """
        check_fitted(self)
        frequency, spend = _columns(summary)
        p, q, v = (float(value) for value in self.params_)
        value, has_mean = np.empty(len(frequency)), self.has_mean
        for start in range(0, len(value), _BLOCK):  # blocks stay in the cache
            rows = slice(start, start + _BLOCK)
            px = p * frequency[rows]
            if has_mean:
                total = np.multiply(px, spend[rows], out=value[rows])
                total += p * v
                px += q - 1
                total /= px
            else:
                share = px / (px + q)
                value[rows] = share * spend[rows] + (1 - share) * self.mean_spend_
        return pd.Series(value, index=summary.index, name="expected_spend")

    def draw_spend(self, parameters: Floats, summary: pd.DataFrame, rng: np.random.Generator) -> Floats:
        """Draw each account's own mean spend given its history.

        Parameters
        ----------
        parameters : ndarray, shape (draws, 3)
            p, q, v, one row a draw.
        summary : pandas.DataFrame
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (accounts, draws)
            p / ν with ν ~ Gamma(q + p x, v + x m).
        """
        frequency, spend = (column[:, None] for column in _columns(summary))
        p, q, v = np.asarray(parameters, dtype=float).T
        total = np.where(frequency > 0, frequency * spend, 0.0)
        rate = rng.standard_gamma(q + p * frequency)
        return p * (v + total) / np.maximum(rate, np.finfo(float).tiny)

    def draw_money(
        self, parameters: Floats, mean: Floats, count: NDArray[Any], draw: NDArray[np.intp], rng: np.random.Generator
    ) -> Floats:
        """Draw the money of future purchases of accounts whose own mean spend is drawn.

        Parameters
        ----------
        parameters : ndarray, shape (draws, 3)
            p, q, v, one row a draw.
        mean : ndarray, shape (n,)
            Own mean spend, from `draw_spend`.
        count : ndarray, shape (n,)
            How many purchases the money is the sum of.
        draw : ndarray of int, shape (n,)
            Which draw of the parameters each entry belongs to.
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (n,)
            Sums of Gamma(p, ν) with mean p/ν.
        """
        p = np.asarray(parameters, dtype=float)[:, 0][draw]
        return mean * (rng.standard_gamma(p * count) / p)

    def simulate(self, frequency: ArrayLike, seed: int | np.random.Generator = 0) -> Floats:
        """Draw the mean spend of accounts with a given number of repeat purchases.

        Parameters
        ----------
        frequency : array-like of int, shape (accounts,)
        seed : int or numpy.random.Generator

        Returns
        -------
        ndarray, shape (accounts,)
            monetary_value; 0 where frequency is 0.
        """
        check_fitted(self)
        rng = np.random.default_rng(seed)
        x = np.asarray(frequency, dtype=float)
        p, q, v = (float(value) for value in self.params_)
        rate = rng.standard_gamma(q, x.shape) / v
        return np.where(x > 0, rng.standard_gamma(p * np.maximum(x, 1)) / (np.maximum(x, 1) * rate), 0.0)


def _columns(summary: pd.DataFrame) -> tuple[Floats, Floats]:
    """Read frequency and mean spend."""
    return frequency_column(summary), number_column(summary, "monetary_value")
