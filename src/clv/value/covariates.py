"""Static covariates in both processes: what kind of account it is moves how often it buys and how long it stays.

A model with covariates keeps one parameter more for each effect: the **ratio** e^γ by which one unit of the covariate
multiplies the mean purchase rate (or dropout rate, or a, b of the dropout probability). Ratios are positive like all
other parameters, so that estimation, posterior and files need no second kind; `coefficients_` shows γ itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clv.errors import SettingsError
from clv.value.covariate_effects import CovariateEffects
from clv.value.covariate_effects import Covariates as Covariates
from clv.value.estimation.checks import (
    Floats,
    History,
    check_fitted,
    positive,
    purchase_history,
    quantile_level,
    weights,
    whole_numbers,
)
from clv.value.estimation.distinct import distinct_rows
from clv.value.likelihood.covariate_likelihood import CovariateLikelihood
from clv.value.likelihood.covariate_names import check_scale
from clv.value.uncertainty.cubature import averaged

#: probabilities computed at a time, each of which may be an integral over some hundred points.
_POINTS = 5_000


class StaticCovariates(CovariateEffects):
    """A purchase model whose accounts may differ by static covariates.

    Subclasses say which parameters each process moves, and in which module the likelihood of single accounts lives.

    Parameters
    ----------
    covariates : list of str or formula, or mapping from process to one of them, optional
        A list: columns of the summary, finite numbers (0 and 1 for kinds; in a scale in which one unit is a difference
        worth talking about). A formula, such as ``"industry + np.log(employees)"``: kinds become a column for each
        level but the first by name (another with ``C(industry, ref="retail")``), numbers may be transformed
        (``center(...)``, ``scale(...)``, ``np.log(...)``, arithmetic within ``I(...)``), ``a:b`` and ``a*b`` are
        interactions. What it leaves to the data is learnt in the fit, kept in `designs_` and saved with the model; an
        account with a level that was not there then, or without a value, is refused. One list or formula alone means
        both processes. γ > 0 says that a higher value buys more often (transaction: the purchase rate is multiplied by
        e^γ) or leaves sooner (lifetime: see the model).
    equal : list of str, optional
        Covariates (columns of the design, or terms of the formula) with the same γ in both processes.
    penalty : float
        Half of it times Σγ² is taken off the log-likelihood in the fit (ridge; a normal prior with variance
        1 / penalty); `log_likelihood_` is without it. The weak prior on γ is normal with standard deviation 1.5.
    """

    def _covariate_likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> CovariateLikelihood:
        if weight is not None and not weight.all():  # accounts that do not count need not be readable
            summary, weight = summary[weight > 0], weight[weight > 0]
        base, design = type(self)._names, self._design(summary)
        check_scale(design, self._all_columns())
        rows = import_module(self._account_rows)
        return CovariateLikelihood(
            rows.log_likelihood,
            rows.log_values,
            purchase_history(summary),
            design,
            self._signs(),
            weight=weight,
            names=base,
            scaled=tuple(name in self._times for name in base),
            start=type(self)._weak.centre,
            penalty=positive(self.penalty, "penalty", zero=True),
        )

    def fit(self, summary: pd.DataFrame, y: Any = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model; see `clv.value.estimation.base.Estimator.fit`. Covariates are columns of `summary`."""
        self._learn(summary, weights(sample_weight, summary))
        super().fit(summary, y, sample_weight=sample_weight)
        if self._effects() and self.penalty:
            self.log_likelihood_ += self._shrunk()
            if self.estimate_ == "maximum likelihood":
                self.estimate_ = "penalised likelihood"
        return self

    def score(self, summary: pd.DataFrame, y: Any = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log-likelihood of accounts, held-out ones for instance; without prior and penalty."""
        mean = super().score(summary, y, sample_weight=sample_weight)
        if not self._shrunk():
            return mean
        total = len(summary) if sample_weight is None else float(np.sum(np.asarray(sample_weight, dtype=float)))
        return mean + self._shrunk() / total

    def _base_values(self) -> tuple[float, ...]:
        """Return the base parameters of a model without covariates."""
        check_fitted(self)
        if self._effects():
            raise SettingsError(
                f"this {type(self).__name__} has covariates, and the question has none.",
                mend="Ask model.at({column: value, ...}), which is the model of accounts with these covariates.",
            )
        return tuple(float(value) for value in self.params_)

    def _account_values(self, accounts: pd.DataFrame, parameters: Floats | None = None) -> tuple[Floats, ...]:
        """Return each account's parameters, shapes (accounts,), or (accounts, draws) where draws (draws, k) are given.

        A parameter that no covariate moves has the shape () or (draws,).
        """
        base = type(self)._names
        logs = np.log(self.params_.to_numpy() if parameters is None else parameters.T)
        values: list[Any] = list(logs[: len(base)])
        z = self._design(accounts)
        for place, effect in enumerate(self._signs(), start=len(base)):
            for parameter, sign in effect.signs.items():
                values[parameter] = values[parameter] + sign * np.multiply.outer(z[:, effect.column], logs[place])
        return tuple(np.exp(value) for value in values)

    def at(self, covariates: Mapping[str, float] | pd.Series) -> Self:
        """Return the model of accounts with these covariates: one without covariates, with parameters of its own.

        Parameters
        ----------
        covariates : mapping
            A value for each column that the covariates are made of.

        Returns
        -------
        Self
            Answers every question of a model without covariates; its parameters count as exactly known.
        """
        check_fitted(self)
        values = self._account_values(pd.DataFrame([dict(covariates)]))
        named = {name: float(np.ravel(v)[0]) for name, v in zip(type(self)._names, values, strict=True)}
        return type(self).from_parameters(unit=self.unit_, **named)

    @averaged
    def probability_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability that each account will buy again, given its history (and its covariates).

        Parameters
        ----------
        summary : pandas.DataFrame
            Columns frequency, recency, T, and the covariates.

        Returns
        -------
        pandas.Series, name p_alive
        """
        if not self._effects():
            return super().probability_alive(summary)
        history = self._history(summary)
        value = import_module(self._account_rows).alive(self._account_values(summary), history)
        return pd.Series(value, index=summary.index, name="p_alive")

    def _asked(self, summary: pd.DataFrame) -> tuple[Floats, Callable[..., Floats]]:
        if not self._effects():
            return super()._asked(summary)
        rows = import_module(self._account_rows)
        own = (np.broadcast_to(v, len(summary)) for v in self._account_values(summary))
        distinct, code = distinct_rows(*self._history(summary), *own)
        past, values = History(*distinct[:3]), distinct[3:]

        def ahead(*, horizon: float, rate: float) -> Floats:
            return np.asarray(rows.ahead(values, past, horizon=horizon, rate=rate))[code]

        return np.asarray(rows.alive(values, past))[code], ahead

    def _now(self, summary: pd.DataFrame, *, horizon: float, rate: float) -> Floats:
        if not self._effects():
            return super()._now(summary, horizon=horizon, rate=rate)
        if horizon == 0:
            return np.zeros(len(self._history(summary).T))
        return self._each(summary, self._history(summary), horizon=horizon, rate=rate)

    def _each(self, accounts: pd.DataFrame, history: History, *, horizon: float, rate: float) -> Floats:
        """Return discounted purchases ahead of each account, equal accounts computed once."""
        rows = import_module(self._account_rows)
        own = (np.broadcast_to(v, len(accounts)) for v in self._account_values(accounts))
        distinct, code = distinct_rows(*history, *own)
        past, values = History(*distinct[:3]), distinct[3:]
        value = rows.ahead(values, past, horizon=horizon, rate=rate) * rows.alive(values, past)
        return np.asarray(value)[code]

    @averaged
    def expected_purchases_new(self, t: ArrayLike, accounts: pd.DataFrame | None = None) -> Any:
        """Return the expected number of repeat purchases of an account in the time `t` after its first purchase.

        Parameters
        ----------
        t : float or array-like
            One number where `accounts` are given.
        accounts : pandas.DataFrame, optional
            Prospects: their covariates, one row each. Needed where the model has covariates.

        Returns
        -------
        float, ndarray (as `t`), or pandas.Series (by account)
        """
        if accounts is None:
            self._base_values()
            return super().expected_purchases_new(t)
        return self.discounted_purchases_new(accounts, 0.0, float(np.asarray(t))).rename("expected_purchases")

    @averaged
    def discounted_purchases_new(self, accounts: pd.DataFrame, rate: float, horizon: float | None = None) -> pd.Series:
        """Return the expected repeat purchases of prospects, each discounted to the day of their first purchase.

        Parameters
        ----------
        accounts : pandas.DataFrame
            Covariates, one row a prospect.
        rate : float
            Continuous discount rate per unit.
        horizon : float, optional
            None: for ever.

        Returns
        -------
        pandas.Series, name discounted_expected_purchases
        """
        check_fitted(self)
        end = np.inf if horizon is None else positive(horizon, "horizon", zero=True)
        rate, none = positive(rate, "rate", zero=True), np.zeros(len(accounts))
        value = none
        if end > 0 and self._effects():
            value = self._each(accounts, History(none, none, none), horizon=end, rate=rate)
        elif end > 0:
            value = none + self._ahead(History(*np.zeros((3, 1))), horizon=end, rate=rate)
        return pd.Series(value, index=accounts.index, name="discounted_expected_purchases")

    @averaged
    def purchase_probability(self, n: ArrayLike, t: ArrayLike, accounts: pd.DataFrame | None = None) -> Any:
        """Return the probability that an account makes `n` repeat purchases in the time `t` after its first.

        Parameters
        ----------
        n : int or array-like of int
        t : float
            Or, with `accounts`, one for each of them.
        accounts : pandas.DataFrame, optional
            Their covariates, one row each. Needed where the model has covariates.

        Returns
        -------
        float or ndarray (as `n`), or pandas.DataFrame (accounts × n)
        """
        count = whole_numbers(n, "n")
        mass = import_module(self._account_rows).mass
        if accounts is None:
            value = mass(self._base_values(), count, np.asarray(positive(float(np.asarray(t)), "t", zero=True)))
            return float(value) if np.ndim(n) == 0 else value
        check_fitted(self)
        spans = np.broadcast_to(np.asarray(t, dtype=float), len(accounts))
        if len(spans) and not (np.isfinite(spans).all() and spans.min() >= 0):
            raise SettingsError("t is not finite, or below 0, for some account.", mend="Give finite times.")
        own = self._account_values(accounts) if self._effects() else self._base_values()
        distinct, code = distinct_rows(spans, *(np.broadcast_to(v, len(accounts)) for v in own))
        many, out = np.ravel(count), np.empty((len(distinct[0]), count.size))
        block = max(1, _POINTS // max(1, count.size))
        for start in range(0, len(out), block):
            span, *values = (column[start : start + block, None] for column in distinct)
            out[start : start + block] = mass(tuple(values), many, span)
        return pd.DataFrame(out[code], index=accounts.index, columns=many.astype(int))

    def silence_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability that a living account would have been silent for T − recency or longer."""
        if not self._effects():
            return super().silence_probability(summary)
        (x, recency, T), (r, alpha, *_) = self._history(summary), self._account_values(summary)
        value = np.exp(-(r + x) * np.log1p((T - recency) / (alpha + recency)))
        return pd.Series(value, index=summary.index, name="silence_probability")

    def purchase_interval(self, summary: pd.DataFrame, q: float) -> pd.Series:
        """Return the quantile of each living account's time from its last to its next purchase."""
        if not self._effects():
            return super().purchase_interval(summary, q)
        quantile_level(q)
        (x, recency, _), (r, alpha, *_) = self._history(summary), self._account_values(summary)
        with np.errstate(over="ignore"):
            value = (alpha + recency) * np.expm1(-np.log1p(-q) / (r + x))
        return pd.Series(value, index=summary.index, name="purchase_interval")

    def draw_account_latent(
        self, parameters: Floats, summary: pd.DataFrame, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw whether each account is alive, its purchase rate and its hazard, given history and covariates.

        Parameters
        ----------
        parameters : ndarray, shape (draws, k)
            One row a draw of `params_`.
        summary : pandas.DataFrame
        rng : numpy.random.Generator

        Returns
        -------
        alive : ndarray of bool, shape (accounts, draws)
        rate, hazard : ndarray, shape (accounts, draws)
        """
        history = self._history(summary)
        parameters = np.atleast_2d(np.asarray(parameters, dtype=float))
        if not self._effects():
            return cast("tuple[np.ndarray, Floats, Floats]", self.draw_latent(parameters, history, rng))  # type: ignore[attr-defined]
        columns = History(*(column[:, None] for column in history))
        values = self._account_values(summary, parameters)
        drawn = import_module(self._account_rows).latent(values, columns, rng)
        return cast("tuple[np.ndarray, Floats, Floats]", drawn)

    def simulate_accounts(
        self, accounts: pd.DataFrame, T: ArrayLike, seed: int | np.random.Generator = 0
    ) -> pd.DataFrame:
        """Draw purchase histories of accounts with covariates.

        Parameters
        ----------
        accounts : pandas.DataFrame
            Covariates, one row an account.
        T : float or array-like, shape (accounts,)
        seed : int or numpy.random.Generator

        Returns
        -------
        pandas.DataFrame
            As `simulate`, with the index and the columns of `accounts` kept.
        """
        rng = np.random.default_rng(seed)
        span = np.broadcast_to(np.asarray(T, dtype=float), len(accounts))
        parts = []
        _, code = distinct_rows(*self._design(accounts).T)
        for kind in range(int(code.max(initial=-1)) + 1):
            rows = np.flatnonzero(code == kind)
            model = self.at(accounts.iloc[rows[0]])
            part = model.simulate(span[rows], rng)[["frequency", "recency", "T"]]  # type: ignore[attr-defined]
            parts.append(part.set_index(rows))
        drawn = pd.concat(parts).sort_index().set_index(accounts.index)
        out = pd.concat([drawn, accounts], axis=1)
        out.attrs["clv"] = {"unit": self.unit_, "grain": None, "as_of": None}
        return out
