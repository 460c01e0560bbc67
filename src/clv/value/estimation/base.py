"""The estimator: finds a model's parameters by maximum likelihood (or posterior) and says how sure they are.

A model brings its likelihood and its predictions; how the optimum is found, checked and reported is here.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri
from sklearn.base import BaseEstimator

from clv.errors import SettingsError
from clv.value.estimation.best_fit import Likelihood
from clv.value.estimation.checks import Floats, check_fitted, check_unit, positive, unit_of, weights
from clv.value.estimation.priors import Prior, WeakPrior
from clv.value.estimation.small_books import estimate
from clv.value.uncertainty.parameter_draws import Source, draw_parameters


@lru_cache(maxsize=64)
def _index(names: tuple[str, ...]) -> pd.Index:
    """Return the index of parameters; it cannot be changed, so that models may share it."""
    return pd.Index(names, name="parameter")


class Estimator(BaseEstimator):
    """A parametric model of accounts, fitted by maximum likelihood in log-parameters.

    Parameters
    ----------
    prior : {None, "weak", "auto"}
        None: maximum likelihood, and `FitError` where the data do not identify the parameters. "weak": maximum of
        the posterior under weak log-normal priors, which always exists. "auto": maximum likelihood where it is
        sharp; in small books, where it does not exist or leaves a parameter open (standard error of the logarithm
        above 0.75), the posterior mean of the log-parameters under the weak priors. Predictions are posterior means
        then, too, not those of these parameters (see `clv.value.uncertainty.cubature`).

    Attributes
    ----------
    params_, standard_errors_ : pandas.Series
        By parameter, on the natural scale; errors by the delta method from the exact Hessian. An error of 0 marks a
        parameter that is given, or that only the prior kept from running away and that is held at the edge.
    log_covariance_ : ndarray, shape (k, k)
        Covariance of the logarithms of the parameters.
    estimate_ : {"maximum likelihood", "posterior mode", "posterior mean", "given"}
    note_ : str
        Which parameter the data do not identify, and what was done about it; empty if there is nothing to say.
    log_likelihood_ : float
        Weighted sum over accounts, with the constants of the paper; without the prior.
    converged_ : bool
    n_iter_ : int
        Evaluations of the full likelihood.
    gradient_norm_ : float
        Largest derivative of the mean log-likelihood (log-posterior) by a log-parameter.
    n_accounts_ : float
        Accounts used (sum of weights).
    data_mark_ : float
        Hash of the purchase histories, by which `likelihood_ratio_test` knows that two models saw the same accounts;
        made when it is first asked for.
    unit_ : str or None
        Time unit of the data, if the summary says so.
    """

    _names: ClassVar[tuple[str, ...]]
    _weak: ClassVar[WeakPrior]
    #: further fitted attributes (numbers) that a saved model keeps.
    _extra: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, prior: Prior = None) -> None:
        self.prior = prior

    @abstractmethod
    def _likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> Likelihood:
        """Check the data and build their likelihood."""

    def fit(self, summary: pd.DataFrame, y: Any = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        summary : pandas.DataFrame
            One row an account; see the model for the columns that it needs.
        y : ignored
            There for scikit-learn's pipelines.
        sample_weight : array-like, shape (accounts,), optional
            How many times each row counts.

        Returns
        -------
        Self

        Raises
        ------
        clv.errors.DataError
            If the data cannot be a purchase history; column and row are named.
        clv.errors.FitError
            If the data do not identify a parameter (only without prior).
        """
        weight = weights(sample_weight, summary)
        likelihood = self._likelihood(summary, weight)
        self._mark: float | None = None
        found = estimate(likelihood, self._weak, self.prior, model=type(self).__name__, names=self._names)
        optimum = found.optimum
        self.estimate_: str = found.kind
        self.note_: str = found.note
        self._source = Source(likelihood, found.prior, optimum.at, found.laplace)
        self.unit_ = unit_of(summary)
        self.n_accounts_ = float(likelihood.accounts)
        self.converged_ = optimum.converged
        self.n_iter_ = optimum.evaluations
        free = np.diag(found.laplace) > 0
        self.gradient_norm_ = float(np.abs(optimum.gradient[free]).max(initial=0.0) / likelihood.accounts)
        self.log_likelihood_ = float(found.log_likelihood + likelihood.constant)
        self._note(likelihood)
        self._keep(np.exp(found.at + likelihood.shift), found.covariance)
        return self

    @property
    def data_mark_(self) -> float:
        """Hash of the purchase histories; see the attributes."""
        if not hasattr(self, "_mark"):
            raise AttributeError(f"this {type(self).__name__} has seen no data")
        if self._mark is None:
            mark = getattr(self._source.likelihood, "mark", None)
            self._mark = float("nan") if mark is None else mark()
        return self._mark

    @data_mark_.setter
    def data_mark_(self, mark: float) -> None:
        self._mark = mark

    def _note(self, likelihood: Any) -> None:
        """Keep what a model wants to remember of its data (its `_extra` attributes)."""

    def _keep(self, parameters: Floats, covariance: Floats) -> None:
        """Store parameters and their uncertainty."""
        index = _index(self._names)
        self.log_covariance_ = covariance
        self.params_ = pd.Series(parameters, index=index, name="estimate")
        errors = parameters * np.sqrt(np.diag(covariance))
        self.standard_errors_ = pd.Series(errors, index=index, name="standard_error")

    @classmethod
    def from_parameters(cls, *, unit: str | None = None, **parameters: float) -> Self:
        """Make a model with known parameters, published ones for instance, as if it had been fitted.

        Parameters
        ----------
        unit : str, optional
            Time unit of the parameters.
        **parameters : float
            Every parameter by name, on the natural scale; they count as exactly known.

        Returns
        -------
        Self
        """
        if set(parameters) != set(cls._names):
            raise SettingsError(
                f"{cls.__name__} has parameters {', '.join(cls._names)}, not {', '.join(parameters) or 'none'}.",
                mend="Give each of them once.",
            )
        model = cls()
        values = np.array([positive(parameters[name], name) for name in cls._names])
        size = len(cls._names)
        model.unit_, model.n_accounts_, model.n_iter_ = unit, 0.0, 0
        model.converged_, model.gradient_norm_, model.log_likelihood_ = True, 0.0, np.nan
        model.estimate_, model.note_ = "given", ""
        model._keep(values, np.zeros((size, size)))
        return model

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Return estimates with standard errors and confidence limits.

        Parameters
        ----------
        confidence : float
            Coverage of the limits, which are normal in the logarithm and so never negative.

        Returns
        -------
        pandas.DataFrame
            Index parameter; columns estimate, standard_error, lower, upper.
        """
        check_fitted(self)
        if not 0 < confidence < 1:
            raise SettingsError(f"confidence is {confidence}.", mend="Give a probability between 0 and 1.")
        factor = np.exp(ndtri((1 + confidence) / 2) * np.sqrt(np.diag(self.log_covariance_)))
        return pd.DataFrame(
            {
                "estimate": self.params_,
                "standard_error": self.standard_errors_,
                "lower": self.params_ / factor,
                "upper": self.params_ * factor,
            }
        )

    def score(self, summary: pd.DataFrame, y: Any = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log-likelihood of accounts, held-out ones for instance."""
        check_fitted(self)
        check_unit(self.unit_, summary)
        likelihood = self._likelihood(summary, weights(sample_weight, summary))
        value = likelihood(np.log(self.params_.to_numpy()) - likelihood.shift)[0]
        return float((value + likelihood.constant) / likelihood.accounts)

    def sample_posterior(self, draws: int, seed: int | np.random.Generator = 0) -> pd.DataFrame:
        """Draw parameters from their posterior.

        Parameters
        ----------
        draws : int
        seed : int or numpy.random.Generator

        Returns
        -------
        pandas.DataFrame
            One row a draw, one column a parameter, all of the same weight. ``attrs["clv"]`` says how they came about:
            ``method`` ("importance", "metropolis", "laplace", "given", "saved …"), ``prior``, ``k_hat`` (shape of the
            tail of the importance weights: below 0.7 they can be trusted), ``effective_sample_size``, and for
            "metropolis" ``r_hat`` and ``converged``.

        Notes
        -----
        The exact posterior, under the weak priors or flat in the log-parameters within the range that the fit
        searches, by Pareto-smoothed importance sampling (see `posterior`). It needs the data: a fitted model
        keeps them as weighted patterns, a saved one does not. What was saved with draws (`save`) draws from these,
        in another order; else from the normal approximation in log-parameters, and says so.
        """
        return draw_parameters(self, draws, seed)

    def save(self, path: str | PathLike[str], *, draws: int = 0) -> None:
        """Write the fitted model as JSON; `clv.load_model` reads it back.

        Parameters
        ----------
        path : str or path-like
        draws : int
            Draws of the posterior that go with it, some 80 bytes each; without them a model that is read back knows
            its posterior as a normal distribution of log-parameters only.
        """
        from clv.value.persist import save_model

        save_model(self, path, draws=draws)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "params_")
