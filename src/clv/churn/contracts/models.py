"""Three models of the probability that a contract is not renewed at the end of its term, with one interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from clv.churn.contracts.design import Design, learn_design
from clv.churn.contracts.logit import LogitFit, fit_logit
from clv.errors import FitError
from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

Floats = NDArray[np.float64]
Method = Literal["logit", "boosted", "sbg"]
#: name of the coefficient of age.
AGE = "age of the contract"
#: the beta of the shifted beta-geometric model as the logit uses it: beyond, ages are as good as linear, or all alike.
_BETA = (0.1, 50.0)
#: fewest losses, and fewest renewals, from which trees can learn.
FEWEST = 20


class HazardModel(Protocol):
    """What a model of renewals must answer."""

    @property
    def covariance(self) -> Floats | None:
        """Covariance of the parameters; None where there is none."""

    def log_odds(self, rows: pd.DataFrame) -> tuple[Floats, Floats | None]:
        """Return the log-odds of loss at the end of each row's term, and their derivatives by the parameters."""


@dataclass(frozen=True)
class LogitHazard:
    """Discrete-time logit: log-odds of loss linear in ln(beta + renewals), standardised, and in covariates.

    With the beta of the shifted beta-geometric model, which is the special case of slope −1 and no covariates.
    """

    design: Design
    fit: LogitFit
    beta: float
    centre: float
    scale: float

    @property
    def covariance(self) -> Floats:
        """Of the coefficients."""
        return self.fit.covariance

    @property
    def names(self) -> list[str]:
        """Names of the coefficients."""
        return ["intercept", AGE, *self.design.names]

    def log_odds(self, rows: pd.DataFrame) -> tuple[Floats, Floats]:
        """Return log-odds and their derivatives, shape (rows, k)."""
        matrix = self.matrix(rows)
        return matrix @ self.fit.coefficients, matrix

    def matrix(self, rows: pd.DataFrame) -> Floats:
        """Return the design matrix."""
        age = (_log_age(rows, self.beta) - self.centre) / self.scale
        return np.column_stack([np.ones(len(rows)), age, self.design.matrix(rows)])


@dataclass(frozen=True)
class ShiftedBetaGeoHazard:
    """Hazard α / (α + β + renewals) of the shifted beta-geometric model (Fader & Hardie 2007, eq. 8)."""

    model: ShiftedBetaGeoModel

    @property
    def covariance(self) -> Floats:
        """Of ln α, ln β."""
        return self.model.log_covariance_

    def log_odds(self, rows: pd.DataFrame) -> tuple[Floats, Floats]:
        """Return ln α − ln(β + renewals), and its derivatives by ln α and ln β."""
        alpha, beta = (float(self.model.params_[name]) for name in ("alpha", "beta"))
        stay = beta + rows["term"].to_numpy(float) - 1
        return np.log(alpha) - np.log(stay), np.column_stack([np.ones(len(rows)), -beta / stay])


@dataclass(frozen=True)
class BoostedHazard:
    """Boosted trees, calibrated on folds of accounts that they did not see (Platt 1999)."""

    design: Design
    trees: Any
    calibration: tuple[float, float]
    covariance: None = None

    def log_odds(self, rows: pd.DataFrame) -> tuple[Floats, None]:
        """Return calibrated log-odds."""
        return self.calibration[0] + self.calibration[1] * _score(self.trees, self._features(rows)), None

    def _features(self, rows: pd.DataFrame) -> Floats:
        return np.column_stack([rows["term"].to_numpy(float), self.design.matrix(rows)])


def fit_hazard(
    rows: pd.DataFrame, covariates: Sequence[str], *, method: Method, sbg: ShiftedBetaGeoHazard, seed: int, table: str
) -> HazardModel:
    """Fit one of the models to renewal decisions.

    Parameters
    ----------
    rows : pandas.DataFrame
        One row a decision at risk: term, lost, account_id and the covariates.
    covariates : sequence of str
    method : {"logit", "boosted", "sbg"}
    sbg : ShiftedBetaGeoHazard
        Fitted to the same decisions; the logit takes its beta.
    seed : int
        Of folds and trees.
    table : str
        Where covariates come from, for messages.
    """
    if method == "sbg":
        return sbg
    design = learn_design(rows, covariates, table=table)
    lost = rows["lost"].to_numpy(bool)
    account = pd.factorize(rows["account_id"])[0].astype(np.int64)
    if method == "boosted":
        return _fit_trees(rows, design, lost, account, seed)
    return _fit_logit(rows, design, lost, account, float(np.clip(sbg.model.params_["beta"], *_BETA)))


def _log_age(rows: pd.DataFrame, beta: float) -> Floats:
    return np.log(beta + rows["term"].to_numpy(float) - 1)


def _fit_logit(
    rows: pd.DataFrame, design: Design, lost: NDArray[np.bool_], account: NDArray[np.int64], beta: float
) -> LogitHazard:
    age = _log_age(rows, beta)
    # Decisions of one age only: the column is 0 then, and so is its coefficient.
    scale = float(age.std()) if np.ptp(age) > 0 else 1.0
    empty = LogitFit(np.zeros(0), np.zeros((0, 0)), "maximum likelihood", (), 0)
    shape = LogitHazard(design, empty, beta, float(age.mean()), scale)
    matrix, names = shape.matrix(rows), shape.names
    kept = _independent(matrix)
    part = fit_logit(
        matrix[:, kept], lost, account=account, names=[names[i] for i in kept], free=sum(i < 2 for i in kept)
    )
    # A column that others make up gets coefficient 0: the prediction is the same whichever of them carries it.
    coefficients, covariance = np.zeros(len(names)), np.zeros((len(names), len(names)))
    coefficients[kept], covariance[np.ix_(kept, kept)] = part.coefficients, part.covariance
    return replace(shape, fit=replace(part, coefficients=coefficients, covariance=covariance))


def _independent(matrix: Floats) -> list[int]:
    """Return the columns, from the left, that no combination of earlier ones makes up."""
    kept: list[int] = []
    basis = np.empty((len(matrix), 0))
    for j, column in enumerate(matrix.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > 1e-8 * max(float(np.linalg.norm(column)), 1e-300):
            kept.append(j)
            basis = np.column_stack([basis, rest / size])
    return kept


def _fit_trees(
    rows: pd.DataFrame, design: Design, lost: NDArray[np.bool_], account: NDArray[np.int64], seed: int
) -> BoostedHazard:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    some, none = int(lost.sum()), int((~lost).sum())
    if min(some, none) < FEWEST:
        raise FitError(
            f"{some} contracts were lost and {none} renewed; trees need {FEWEST} of each.", mend='Use method="logit".'
        )
    features = BoostedHazard(design, None, (0.0, 1.0))._features(rows)

    def grow(x: Floats, y: NDArray[np.bool_]) -> Any:
        trees = HistGradientBoostingClassifier(
            max_iter=60, learning_rate=0.08, max_leaf_nodes=6, min_samples_leaf=20, early_stopping=False,
            random_state=seed,
        )  # fmt: skip
        with _one_thread():
            return trees.fit(x, y)

    folds = min(5, some, none, len(np.unique(account)))
    unseen = np.empty(len(lost))
    for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(features, lost, account):
        if lost[train].min() == lost[train].max():
            raise FitError("losses are all with a few accounts.", mend='Use method="logit".')
        unseen[test] = _score(grow(features[train], lost[train]), features[test])
    platt = fit_logit(
        np.column_stack([np.ones(len(lost)), unseen]), lost, account=account, names=["intercept", "score"]
    )
    level, slope = float(platt.coefficients[0]), float(platt.coefficients[1])
    if slope <= 0:  # the trees found nothing that holds for other accounts: everybody gets the book's rate
        level, slope = float(logit(lost.mean())), 0.0
    return BoostedHazard(design, grow(features, lost), (level, slope))


def _score(trees: Any, features: Floats) -> Floats:
    with _one_thread():
        return np.asarray(trees.decision_function(features), dtype=float)


def _one_thread() -> Any:
    """Keep sums in one order whatever the machine."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="openmp")


def loss_probability(model: HazardModel, rows: pd.DataFrame) -> Floats:
    """Return the probability that each row's term is not renewed."""
    return expit(model.log_odds(rows)[0])
