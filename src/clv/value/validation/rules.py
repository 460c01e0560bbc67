"""The rules that any sales team would use without a model: what a forecast has to beat."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from clv.data.units import DAYS, days_per_unit
from clv.errors import DataError, NotFittedError, UnitError
from clv.value.estimation.checks import Floats, check_unit, number_column, positive, purchase_history, unit_of
from clv.value.validation.holdout import YEAR


class _Rule(BaseEstimator):
    """A forecast without parameters: fitting only remembers the unit of time."""

    _columns: ClassVar[tuple[str, ...]] = ()

    def fit(self, summary: pd.DataFrame, y: Any = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Remember the unit; there is nothing to learn, and weights change nothing.

        Parameters
        ----------
        summary : pandas.DataFrame
            As in `clv.value.validation.holdout.Holdout`.
        y, sample_weight : ignored

        Returns
        -------
        Self
        """
        unit = unit_of(summary)
        if unit is None:
            raise UnitError("the summary does not say in which unit its times are.", mend="Use clv.summarise.")
        self._check(summary)
        self.unit_ = unit
        return self

    def expected_purchases(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the purchases that the rule expects of each account in time `t`."""
        return self._ahead(summary, t, money=False).rename("expected_purchases")

    def expected_sales(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the money that the rule expects of each account in time `t`."""
        return self._ahead(summary, t, money=True).rename("expected_sales")

    def _ahead(self, summary: pd.DataFrame, t: float, *, money: bool) -> pd.Series:
        if not hasattr(self, "unit_"):
            name = type(self).__name__
            raise NotFittedError(f"this {name} is not fitted.", mend=f"Call {name}.fit(summary) first.")
        check_unit(self.unit_, summary)
        self._check(summary)
        days = positive(t, "t", zero=True) * days_per_unit(self.unit_)
        return pd.Series(self._a_day(summary, money=money) * days, index=summary.index)

    def _check(self, summary: pd.DataFrame) -> None:
        for column in self._columns:
            if column not in summary.columns:
                raise DataError(
                    "the column is missing.",
                    table="summary", column=column, mend="Use clv.value.validation.holdout.hold_out, which adds it.",
                )  # fmt: skip

    @abstractmethod
    def _a_day(self, summary: pd.DataFrame, *, money: bool) -> Floats:
        """Return what the rule expects a day, shape (accounts,)."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "unit_")


class LastYearRule(_Rule):
    """Every account buys again what it bought last year.

    Purchases and money of the 365 days before the cutoff, in proportion to the length of the horizon. An account with
    more refunds than purchases in that year counts as 0.

    Attributes
    ----------
    unit_ : str
    """

    _columns: ClassVar[tuple[str, ...]] = ("recent_purchases", "recent_sales")

    def _a_day(self, summary: pd.DataFrame, *, money: bool) -> Floats:
        if money:
            return number_column(summary, "recent_sales", least=-float("inf")).clip(0) / YEAR
        return number_column(summary, "recent_purchases") / YEAR


class RecencyRule(_Rule):
    """Whoever bought lately goes on as before, everybody else is gone: the hiatus heuristic.

    Parameters
    ----------
    months : float
        Silence after which an account counts as gone.

    Attributes
    ----------
    unit_ : str

    References
    ----------
    Wübben, M. & von Wangenheim, F. (2008). Instant customer base analysis: managerial heuristics often "get it right".
    Journal of Marketing 72(3), 82-93.
    """

    def __init__(self, *, months: float = 6.0) -> None:
        self.months = months

    def _a_day(self, summary: pd.DataFrame, *, money: bool) -> Floats:
        frequency, recency, T = purchase_history(summary)
        limit = positive(self.months, "months") * DAYS["M"] / days_per_unit(self.unit_)
        # Repeat purchases over the time since the first: the rule knows nothing of who bought once.
        pace = frequency / T.clip(1e-9) / days_per_unit(self.unit_)
        if money:
            pace = pace * number_column(summary, "monetary_value", least=-float("inf")).clip(0)
        return pace * (T - recency <= limit)
