"""Static covariates in both processes: what kind of account it is moves how often it buys and how long it stays.

A model with covariates keeps one parameter more for each effect: the **ratio** e^γ by which one unit of the covariate
multiplies the mean purchase rate (or dropout rate, or a, b of the dropout probability). Ratios are positive like all
other parameters, so that estimation, posterior and files need no second kind; `coefficients_` shows γ itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtr

from clv.errors import SettingsError
from clv.value.estimation.checks import (
    Floats,
    History,
    check_fitted,
    number_column,
    positive,
    purchase_history,
    quantile_level,
)
from clv.value.estimation.distinct import distinct_rows
from clv.value.likelihood.covariate_likelihood import CovariateLikelihood, Effect
from clv.value.likelihood.covariate_names import check_scale
from clv.value.purchase_model import PurchaseModel

#: a list of columns for both processes, or one list for each.
Covariates = Sequence[str] | Mapping[str, Sequence[str]]
#: what a plain list of covariates means, and what `equal` makes the same.
_BOTH = ("transaction", "lifetime")


class StaticCovariates(PurchaseModel):
    """A purchase model whose accounts may differ by static covariates.

    Subclasses say which parameters each process moves, and in which module the likelihood of single accounts lives.

    Parameters
    ----------
    covariates : list of str, or mapping from process to list of str, optional
        Columns of the summary: finite numbers (0 and 1 for kinds; in a scale in which one unit is a difference worth
        talking about). A list means both processes. γ > 0 says that a higher value buys more often (transaction: the
        purchase rate is multiplied by e^γ) or leaves sooner (lifetime: see the model).
    equal : list of str, optional
        Covariates with the same γ in both processes.
    penalty : float
        Half of it times Σγ² is taken off the log-likelihood in the fit (ridge; a normal prior with variance
        1 / penalty); `log_likelihood_` is without it. The weak prior on γ is normal with standard deviation 1.5.
    """

    #: process → base parameter → sign with which γz enters its logarithm.
    _processes: ClassVar[dict[str, dict[str, float]]]
    #: base parameters that are times.
    _times: ClassVar[tuple[str, ...]]
    #: module with log_likelihood, alive, ahead and latent of accounts with parameters of their own.
    _account_rows: ClassVar[str]

    covariates: Covariates | None
    equal: Sequence[str] | None
    penalty: float

    def _columns(self) -> dict[str, tuple[str, ...]]:
        """Return the covariates of each process."""
        given = getattr(self, "covariates", None)
        if not given:
            return dict.fromkeys(self._processes, ())
        if isinstance(given, str):
            raise SettingsError(f"covariates is {given!r}.", mend="Give a list of columns.")
        if not isinstance(given, Mapping):
            given = dict.fromkeys(_BOTH, given)
        if unknown := set(given) - set(self._processes):
            raise SettingsError(
                f"covariates has {', '.join(sorted(unknown))}; the processes are {', '.join(self._processes)}.",
                mend="Name the processes, or give one list for all.",
            )
        columns = {process: tuple(given.get(process, ())) for process in self._processes}
        if any(len(set(names)) < len(names) for names in columns.values()):
            raise SettingsError("covariates names a column twice.", mend="Name each column once.")
        return columns

    def _effects(self) -> list[tuple[str, str]]:
        """List (process, covariate) of each coefficient; process "equal" where it is the same in all."""
        columns = self._columns()
        same = tuple(getattr(self, "equal", None) or ())
        for covariate in same:
            if not all(covariate in columns[process] for process in _BOTH):
                raise SettingsError(
                    f"equal names {covariate!r}, which is not a covariate of both processes.",
                    mend="Name it in covariates, for transaction and lifetime.",
                )
        own = [
            (process, name)
            for process, names in columns.items()
            for name in names
            if not (name in same and process in _BOTH)
        ]
        return own + [("equal", name) for name in same]

    def _all_columns(self) -> list[str]:
        return list(dict.fromkeys(name for names in self._columns().values() for name in names))

    def _design(self, accounts: pd.DataFrame) -> Floats:
        """Read the covariates, shape (accounts, columns)."""
        return np.column_stack([number_column(accounts, name, least=-np.inf) for name in self._all_columns()])

    def _signs(self) -> tuple[Effect, ...]:
        """Say what each coefficient moves."""
        base, columns = list(type(self)._names), self._all_columns()

        def moved(process: str) -> dict[int, float]:
            chosen = _BOTH if process == "equal" else (process,)
            return {base.index(name): sign for part in chosen for name, sign in self._processes[part].items()}

        return tuple(Effect(columns.index(name), moved(process)) for process, name in self._effects())

    def _covariate_likelihood(self, summary: pd.DataFrame, weight: Floats | None) -> CovariateLikelihood:
        base, design = type(self)._names, self._design(summary)
        check_scale(design, self._all_columns())
        return CovariateLikelihood(
            import_module(self._account_rows).log_likelihood,
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
        super().fit(summary, y, sample_weight=sample_weight)
        if self._effects() and self.penalty:
            self.log_likelihood_ += self._shrunk()
            if self.estimate_ == "maximum likelihood":
                self.estimate_ = "penalised likelihood"
        return self

    def _nests(self, small: Any) -> bool:
        """Say whether a fitted model is this one with effects left out, or made equal in both processes."""
        if type(small) is not type(self):
            return False
        mine, theirs = set(self._effects()), set(small._effects())

        def known(process: str, covariate: str) -> bool:
            if (process, covariate) in mine:
                return True
            return process == "equal" and all((each, covariate) in mine for each in _BOTH)

        return mine != theirs and all(known(*effect) for effect in theirs)

    def score(self, summary: pd.DataFrame, y: Any = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log-likelihood of accounts, held-out ones for instance; without prior and penalty."""
        mean = super().score(summary, y, sample_weight=sample_weight)
        if not self._shrunk():
            return mean
        total = len(summary) if sample_weight is None else float(np.sum(np.asarray(sample_weight, dtype=float)))
        return mean + self._shrunk() / total

    def _shrunk(self) -> float:
        """Return what the penalty takes off the log-likelihood at the estimates."""
        if not getattr(self, "penalty", 0.0) or not self._effects():
            return 0.0
        gamma = np.log(self.params_.to_numpy()[len(type(self)._names) :])
        return 0.5 * float(self.penalty) * float(gamma @ gamma)

    @property
    def coefficients_(self) -> pd.DataFrame:
        """Effects of covariates on the logarithm.

        Index process and covariate; estimate (γ), standard_error, z, p_value (two-sided Wald test of γ = 0) and
        ratio (e^γ).
        """
        check_fitted(self)
        base = len(type(self)._names)
        ratio = self.params_.to_numpy()[base:]
        error = np.sqrt(np.diag(self.log_covariance_))[base:]
        estimate = np.log(ratio)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = estimate / error
        index = pd.MultiIndex.from_tuples(self._effects(), names=["process", "covariate"])
        return pd.DataFrame(
            {"estimate": estimate, "standard_error": error, "z": z, "p_value": 2 * ndtr(-np.abs(z)), "ratio": ratio},
            index=index,
        )

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
            A number for each column.

        Returns
        -------
        Self
            Answers every question of a model without covariates; its parameters count as exactly known.
        """
        check_fitted(self)
        values = self._account_values(pd.DataFrame([dict(covariates)]))
        named = {name: float(np.ravel(v)[0]) for name, v in zip(type(self)._names, values, strict=True)}
        return type(self).from_parameters(unit=self.unit_, **named)

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
        design = pd.DataFrame(self._design(accounts), columns=self._all_columns())
        parts = []
        for rows in design.groupby(self._all_columns(), sort=True).indices.values():
            each = {name: float(design[name].iloc[rows[0]]) for name in self._all_columns()}
            part = self.at(each).simulate(span[rows], rng)[["frequency", "recency", "T"]]  # type: ignore[attr-defined]
            parts.append(part.set_index(rows))
        drawn = pd.concat(parts).sort_index().set_index(accounts.index)
        out = pd.concat([drawn, accounts], axis=1)
        out.attrs["clv"] = {"unit": self.unit_, "grain": None, "as_of": None}
        return out
