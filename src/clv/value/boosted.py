"""The challenger: two-part gradient boosting, whether an account buys and how much if it does, learnt from outcomes.

Unlike the purchase models it knows no process: it learns from what accounts of an earlier date did next. It says what
accuracy can be had from the same data by somebody who does not care why; it offers no P(alive), no horizon but its own
(others in proportion) and no intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from clv.errors import DataError, FitError, NotFittedError
from clv.value.estimation.checks import Floats, check_unit, number_column, positive, purchase_history, unit_of, weights
from clv.value.validation.scores import losses

#: Fewest accounts that bought, and fewest that did not, from which trees can learn.
FEWEST = 10


class BoostedModel(BaseEstimator):
    """Two-part boosted trees: P(any purchase) × purchases or money given some.

    Parameters
    ----------
    horizon : float, optional
        Time in which the outcomes happened, in the summary's unit; forecasts for another time are in proportion.
        None: 1. `clv.backtest` sets it.
    covariates : sequence of str
        Further columns of the summary to learn from: numbers, or text as categories.
    max_iter : int
        Trees in each of the three parts.
    learning_rate : float
    max_leaf_nodes : int
    min_samples_leaf : int
    seed : int
        Of scikit-learn's random state.

    Attributes
    ----------
    unit_ : str or None
    features_ : tuple of str
        Columns that the trees see.
    categories_ : dict
        Covariate -> its categories, in the order of their codes.

    Notes
    -----
    The classifier minimises log-loss, the number of purchases given some Poisson deviance, the money of accounts with
    some gamma deviance (Friedman 2001, Greedy function approximation: a gradient boosting machine). Two parts because
    most accounts buy nothing: Vanderveld et al. (2016), An engagement-based customer lifetime value system for
    e-commerce.
    """

    #: `clv.backtest` fits such a model on an earlier cutoff and what came between the two.
    learns_from_outcomes: ClassVar[bool] = True

    def __init__(
        self,
        *,
        horizon: float | None = None,
        covariates: Sequence[str] = (),
        max_iter: int = 80,
        learning_rate: float = 0.06,
        max_leaf_nodes: int = 6,
        min_samples_leaf: int = 20,
        seed: int = 0,
    ) -> None:
        self.horizon = horizon
        self.covariates = covariates
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.seed = seed

    def fit(self, summary: pd.DataFrame, y: pd.DataFrame, *, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from what accounts did next.

        Parameters
        ----------
        summary : pandas.DataFrame
            As in `clv.value.validation.holdout.Holdout`, at the earlier date.
        y : pandas.DataFrame
            Columns purchases and sales, rows as in `summary`: what came within the horizon.
        sample_weight : array-like, shape (accounts,), optional

        Returns
        -------
        Self

        Raises
        ------
        clv.errors.FitError
            If fewer than 10 accounts bought, or fewer than 10 did not.
        """
        weight = weights(sample_weight, summary)
        if not isinstance(y, pd.DataFrame) or len(y) != len(summary):
            raise DataError(
                "outcomes are a table with a row for each account.",
                table="outcome", mend="Use clv.value.validation.holdout.hold_out.",
            )  # fmt: skip
        purchases = number_column(y, "purchases")
        sales = number_column(y, "sales", least=-np.inf)
        bought = purchases > 0
        counted = np.ones(len(bought), dtype=bool) if weight is None else weight > 0
        some, none = int((bought & counted).sum()), int((~bought & counted).sum())
        if min(some, none) < FEWEST:
            raise FitError(
                f"BoostedModel: {some} accounts bought and {none} did not; it takes {FEWEST} of each to learn from.",
                mend="Give an earlier cutoff with more accounts, or use a purchase model.",
            )
        self.unit_ = unit_of(summary)
        self.categories_ = {
            name: sorted(summary[name].dropna().astype(str).unique())
            for name in self.covariates
            if not pd.api.types.is_numeric_dtype(_column(summary, name).dtype)
        }
        features = self._features(summary)
        self.features_ = tuple(features.columns)
        paid = bought & (sales > 0)
        self.buys_ = HistGradientBoostingClassifier(**self._options(features))
        with _one_thread():
            self.buys_.fit(features, bought, sample_weight=weight)
            self.purchases_ = self._part(features[bought], purchases[bought], weight, bought, "poisson")
            self.sales_ = self._part(features[paid], sales[paid], weight, paid, "gamma")
        # What refunds took, and buyers without money, in proportion: totals in the data and in the forecast agree.
        worth = 0.0 if self.sales_ is None else float(self._average(sales, weight, bought))
        shown = np.ones(len(bought)) if self.sales_ is None else _told(self.sales_, features)
        self.sales_scale_ = worth / float(self._average(shown, weight, bought))
        return self

    @staticmethod
    def _average(values: Floats, weight: Floats | None, rows: np.ndarray) -> float:
        return float(np.average(values[rows], weights=None if weight is None else weight[rows]))

    def _options(self, features: pd.DataFrame) -> dict[str, Any]:
        return {
            "max_iter": self.max_iter,
            "learning_rate": self.learning_rate,
            "max_leaf_nodes": self.max_leaf_nodes,
            "min_samples_leaf": self.min_samples_leaf,
            "random_state": self.seed,
            "early_stopping": False,
            "categorical_features": [name in self.categories_ for name in features.columns],
        }

    def _part(self, features: pd.DataFrame, target: Floats, weight: Floats | None, rows: np.ndarray, loss: str) -> Any:
        """Fit trees to accounts that bought; None where nobody paid."""
        if not len(target):
            return None
        part = HistGradientBoostingRegressor(loss=loss, **self._options(features))
        return part.fit(features, target, sample_weight=None if weight is None else weight[rows])

    def _features(self, summary: pd.DataFrame) -> pd.DataFrame:
        """Turn a summary into what trees see: the history, its ratios, and the covariates."""
        frequency, recency, T = purchase_history(summary)
        table = {
            "frequency": frequency,
            "recency": recency,
            "T": T,
            "silent": T - recency,
            "rate": (frequency + 1) / np.maximum(T, 1.0),
            "silent_share": (T - recency) / np.maximum(T, 1e-9),
            "monetary_value": number_column(summary, "monetary_value", least=-np.inf),
        }
        for name in ("recent_purchases", "recent_sales", "sales"):
            table[name] = number_column(summary, name, least=-np.inf)
        for name in self.covariates:
            column = _column(summary, name)
            if name in self.categories_:
                code = {category: float(place) for place, category in enumerate(self.categories_[name])}
                table[name] = (
                    column.astype(object).map(lambda value, code=code: code.get(str(value), np.nan)).to_numpy(float)
                )
            else:
                table[name] = column.to_numpy(dtype=float, na_value=np.nan)
        return pd.DataFrame(table, index=summary.index)

    def _known(self, summary: pd.DataFrame) -> pd.DataFrame:
        if not hasattr(self, "buys_"):
            raise NotFittedError("this BoostedModel is not fitted.", mend="Call BoostedModel.fit(summary, y) first.")
        check_unit(self.unit_, summary)
        return self._features(summary)

    def buying_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability that each account buys anything within the model's horizon."""
        features = self._known(summary)
        return pd.Series(_told(self.buys_, features), index=summary.index, name="p_buys")

    def expected_purchases(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the expected purchases of each account in time `t`."""
        features = self._known(summary)
        value = self._share(t) * _told(self.buys_, features) * _told(self.purchases_, features)
        return pd.Series(value, index=summary.index, name="expected_purchases")

    def expected_sales(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the expected money of each account in time `t`, refunds off."""
        features = self._known(summary)
        paid = np.zeros(len(summary)) if self.sales_ is None else _told(self.sales_, features)
        value = self._share(t) * self.sales_scale_ * _told(self.buys_, features) * paid
        return pd.Series(value, index=summary.index, name="expected_sales")

    def _share(self, t: float) -> float:
        return positive(t, "t", zero=True) / self._horizon()

    def _horizon(self) -> float:
        return 1.0 if self.horizon is None else positive(self.horizon, "horizon")

    def predict(self, summary: pd.DataFrame) -> Floats:
        """Return the expected purchases of each account within the model's horizon, for scikit-learn's tools."""
        return self.expected_purchases(summary, self._horizon()).to_numpy()

    def score(self, summary: pd.DataFrame, y: pd.DataFrame, *, sample_weight: ArrayLike | None = None) -> float:
        """Return minus the mean Poisson deviance of purchases: higher is better."""
        lost = losses(number_column(y, "purchases"), self.predict(summary))
        return -float(np.average(lost, weights=weights(sample_weight, summary)))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "buys_")


def _one_thread() -> Any:
    """Keep sums in one order whatever the machine, and wait for no core that others use."""
    return threadpool_limits(limits=1, user_api="openmp")


def _told(part: Any, features: pd.DataFrame) -> Floats:
    """Return a probability of buying, or an expectation."""
    with _one_thread():
        if isinstance(part, HistGradientBoostingClassifier):
            return part.predict_proba(features)[:, 1]
        return part.predict(features)


def _column(summary: pd.DataFrame, name: str) -> pd.Series:
    if name not in summary.columns:
        raise DataError("the covariate is missing.", table="summary", column=name, mend="Join it, or leave it out.")
    return summary[name]
