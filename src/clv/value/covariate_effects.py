"""Which covariates move which parameters: named by a list of columns or a formula, for each process of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtr

from clv.errors import NotFittedError, SettingsError
from clv.value.design import Design
from clv.value.estimation.checks import Floats, check_fitted, number_column
from clv.value.likelihood.covariate_likelihood import Effect
from clv.value.purchase_model import PurchaseModel

#: a list of columns or a formula for both processes, or one of them for each.
Covariates = str | Sequence[str] | Mapping[str, str | Sequence[str]]
#: what a plain list of covariates means, and what `equal` makes the same.
_BOTH = ("transaction", "lifetime")


class CovariateEffects(PurchaseModel):
    """The part of a model with static covariates that is about them: what they are, and what each of them moves."""

    #: process → base parameter → sign with which γz enters its logarithm.
    _processes: ClassVar[dict[str, dict[str, float]]]
    #: base parameters that are times.
    _times: ClassVar[tuple[str, ...]]
    #: module with log_likelihood, log_values, alive, ahead and latent of accounts with parameters of their own.
    _account_rows: ClassVar[str]

    covariates: Covariates | None
    equal: Sequence[str] | None
    penalty: float
    #: formula → what was learnt of it from the accounts of the fit.
    designs_: dict[str, Design]

    def _given(self) -> dict[str, str | Sequence[str]]:
        """Return the list of columns or the formula of each process."""
        given = getattr(self, "covariates", None)
        if given is None or len(given) == 0:
            return dict.fromkeys(self._processes, ())
        if not isinstance(given, Mapping):
            given = dict.fromkeys(_BOTH, given)
        if unknown := set(given) - set(self._processes):
            raise SettingsError(
                f"covariates has {', '.join(sorted(unknown))}; the processes are {', '.join(self._processes)}.",
                mend="Name the processes, or give one list or formula for all.",
            )
        return {process: given.get(process, ()) for process in self._processes}

    def _learn(self, summary: pd.DataFrame, weight: Floats | None) -> None:
        """Learn what the formulas leave to the data, from accounts that count."""
        formulas = {given for given in self._given().values() if isinstance(given, str)}
        used = summary if weight is None else summary[weight > 0]
        self.designs_ = {formula: Design.learn(formula, used) for formula in sorted(formulas)}

    def _learnt(self, formula: str) -> Design:
        design = getattr(self, "designs_", {}).get(formula)
        if design is None:
            raise NotFittedError(f"what {formula!r} means is not learnt yet.", mend="Fit the model first.")
        return design

    def _columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of the design of each process."""
        columns = {
            process: self._learnt(given).columns() if isinstance(given, str) else tuple(given)
            for process, given in self._given().items()
        }
        if any(len(set(names)) < len(names) for names in columns.values()):
            raise SettingsError("covariates names a column twice.", mend="Name each column once.")
        return columns

    def _same(self, columns: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Return the columns with the same coefficient in both processes; a term of formulas stands for its columns."""
        terms: dict[str, tuple[str, ...]] = {}
        for given in self._given().values():
            if isinstance(given, str):
                terms |= self._learnt(given).terms()
        named = (terms.get(name, (name,)) for name in getattr(self, "equal", None) or ())
        same = tuple(dict.fromkeys(column for group in named for column in group))
        for covariate in same:
            if not all(covariate in columns[process] for process in _BOTH):
                raise SettingsError(
                    f"equal names {covariate!r}, which is not a covariate of both processes.",
                    mend="Name it in covariates, for transaction and lifetime.",
                )
        return same

    def _effects(self) -> list[tuple[str, str]]:
        """List (process, covariate) of each coefficient; process "equal" where it is the same in all."""
        columns = self._columns()
        same = self._same(columns)
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
        values: dict[str, Floats] = {}
        for given in self._given().values():
            if isinstance(given, str):
                values |= self._learnt(given).transform(accounts)
            else:
                values |= {name: number_column(accounts, name, least=-np.inf) for name in given if name not in values}
        return np.column_stack([values[name] for name in self._all_columns()])

    def _signs(self) -> tuple[Effect, ...]:
        """Say what each coefficient moves."""
        base, columns = list(type(self)._names), self._all_columns()

        def moved(process: str) -> dict[int, float]:
            chosen = _BOTH if process == "equal" else (process,)
            return {base.index(name): sign for part in chosen for name, sign in self._processes[part].items()}

        return tuple(Effect(columns.index(name), moved(process)) for process, name in self._effects())

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
