"""The two classifiers and their blend: a penalised logit and boosted trees, averaged in log-odds."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from clv.abm.propensity.columns import Columns
from clv.abm.propensity.folds import grouped_folds

#: strengths of the logit's penalty that are tried: C, the variance of a coefficient before the data are seen.
STRENGTHS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
#: rows on which the strength is chosen; more would not change it.
_ENOUGH = 4_000


class BlendedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """P(won) from the mean log-odds of a ridge-penalised logit and of boosted trees.

    The logit finds what adds up, the trees what combines; neither wins on small books, and their mean is better
    calibrated than either.

    Parameters
    ----------
    columns : Columns
    seed : int

    Attributes
    ----------
    classes_ : numpy.ndarray
    strength_ : float
        The logit's penalty, chosen by grouped five-fold log loss.
    """

    def __init__(self, columns: Columns, *, seed: int = 0) -> None:
        self.columns = columns
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: np.ndarray, groups: np.ndarray | None = None) -> Self:
        """Fit both.

        Parameters
        ----------
        X : pandas.DataFrame
            As `Columns.take` gives it.
        y : numpy.ndarray of bool, shape (rows,)
        groups : numpy.ndarray, optional
            Rows that belong together, when the penalty is chosen.
        """
        won = np.asarray(y, dtype=bool)
        own = np.arange(len(won)) if groups is None else groups
        self.classes_ = np.array([False, True])
        self.linear_ = self.columns.encoder(ranks=True, rows=len(X)).fit(X)
        matrix = self.linear_.transform(X)
        self.strength_ = _strength(matrix, won, own, self.seed)
        self.logit_ = _logit(self.strength_).fit(matrix, won)
        chance = self.logit_.predict_proba(matrix)[:, 1]
        with_one = np.column_stack([np.ones(len(matrix)), matrix])
        precision = (with_one * (chance * (1 - chance))[:, None]).T @ with_one
        precision[np.diag_indices_from(precision)] += np.r_[1e-9, np.full(matrix.shape[1], 1 / self.strength_)]
        self.covariance_ = np.linalg.inv(precision)
        self.raw_ = self.columns.encoder(ranks=False).fit(X)
        grown = self.raw_.transform(X)
        # A column without any number among these rows has no place to split.
        self.blank_ = np.isnan(grown).all(axis=0)
        self.trees_ = HistGradientBoostingClassifier(
            max_iter=60, learning_rate=0.08, max_leaf_nodes=6, min_samples_leaf=10, l2_regularization=5.0,
            early_stopping=False, random_state=self.seed,
        )  # fmt: skip
        with threadpool_limits(1, user_api="openmp"):
            self.trees_.fit(np.where(self.blank_, 0.0, grown), won)
        return self

    def log_odds(self, X: pd.DataFrame) -> np.ndarray:
        """Return the mean log-odds of the two, shape (rows,)."""
        logit = self.logit_.decision_function(self.linear_.transform(X))
        with threadpool_limits(1, user_api="openmp"):
            trees = self.trees_.decision_function(np.where(self.blank_, 0.0, self.raw_.transform(X)))
        return np.asarray((logit + trees) / 2)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return P(lost) and P(won), shape (rows, 2)."""
        won = 1 / (1 + np.exp(-self.log_odds(X)))
        return np.column_stack([1 - won, won])

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return whether a win is the likelier outcome, shape (rows,)."""
        return np.asarray(self.log_odds(X) > 0)

    def doubt(self, X: pd.DataFrame) -> np.ndarray:
        """Return the standard error of the log-odds, shape (rows,).

        From the Laplace approximation of the penalised logit's posterior (MacKay 1992); that of the trees is taken to
        be no smaller, and perfectly correlated with it.
        """
        with_one = self._with_one(X)
        return np.sqrt(np.einsum("ij,ij->i", with_one @ self.covariance_, with_one))

    def deviations(self, X: pd.DataFrame, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Draw what the log-odds may be off by, shape (rows, draws); the same coefficients for all rows of a draw."""
        coefficients = rng.multivariate_normal(
            np.zeros(len(self.covariance_)), self.covariance_, size=draws, method="eigh"
        )
        matrix = self._with_one(X)
        with threadpool_limits(1):
            return np.asarray(matrix @ coefficients.T)

    def _with_one(self, X: pd.DataFrame) -> np.ndarray:
        matrix = self.linear_.transform(X)
        return np.column_stack([np.ones(len(matrix)), matrix])


def _logit(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=1000)


def _strength(matrix: np.ndarray, won: np.ndarray, groups: np.ndarray, seed: int) -> float:
    """Choose the penalty by the log loss of rows held out."""
    if len(won) > _ENOUGH:
        some = np.random.default_rng(seed).permutation(len(won))[:_ENOUGH]
        matrix, won, groups = matrix[some], won[some], groups[some]
    if min(won.sum(), (~won).sum()) < 2:
        return STRENGTHS[0]
    folds = list(grouped_folds(won, groups, folds=5, seed=seed))
    if any(won[train].all() or not won[train].any() for train, _ in folds):
        return STRENGTHS[0]
    loss = [
        sum(
            log_loss(won[test], _logit(c).fit(matrix[train], won[train]).predict_proba(matrix[test]), labels=[0, 1])
            * len(test)
            for train, test in folds
        )
        for c in STRENGTHS
    ]
    return STRENGTHS[int(np.argmin(loss))]
