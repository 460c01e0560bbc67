"""Which columns of a table can be learnt from, as numbers or as categories, and why the others cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.errors import DataError

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

#: what a missing category is called: a level of its own, since not knowing is information too.
UNKNOWN = "unknown"
#: a text column of which more than this share of the filled rows differ names the row rather than describing it.
_NAMES = 0.5
#: ranks are interpolated between so many quantiles.
_QUANTILES = 20


@dataclass(frozen=True)
class Columns:
    """What a model may look at.

    Attributes
    ----------
    numbers, categories : tuple of str
    left_out : dict
        Column -> why it is not looked at.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All columns that are looked at: numbers, then categories."""
        return [*self.numbers, *self.categories]

    def take(self, frame: pd.DataFrame, *, table: str) -> pd.DataFrame:
        """Take the columns of another table in the form in which a model sees them.

        Raises
        ------
        DataError
            A column is missing, or a number is infinite or no number.
        """
        taken: dict[str, Any] = {}
        for name in self.names:
            if name not in frame.columns:
                raise DataError(
                    "the column is missing, but the model was fitted with it.",
                    mend="Give the columns that the model was fitted with.",
                    table=table,
                    column=name,
                )
            taken[name] = _numbers(frame[name], table) if name in self.numbers else _categories(frame[name])
        return pd.DataFrame(taken, index=frame.index)

    def encoder(self, *, ranks: bool, rows: int = _QUANTILES) -> ColumnTransformer:
        """Make scikit-learn's transformer from `take`'s table to a matrix.

        Parameters
        ----------
        ranks : bool
            True: numbers become ranks from 0 to 1, a missing one the middle with a flag (for linear models: no unit,
            no outlier). False: they stay as they are, missing ones included (for trees).
        rows : int
            Rows that it will be fitted to; of few, ranks rest on as many quantiles as there are rows.
        """
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import MissingIndicator, SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, QuantileTransformer

        steps: list[tuple[str, Any, list[str]]] = []
        if self.numbers and ranks:
            rank = make_pipeline(
                SimpleImputer(strategy="median", keep_empty_features=True),
                QuantileTransformer(n_quantiles=max(1, min(_QUANTILES, rows)), subsample=None),
            )
            missing = MissingIndicator(features="missing-only", error_on_new=False)
            steps += [("rank", rank, list(self.numbers)), ("missing", missing, list(self.numbers))]
        elif self.numbers:
            steps.append(("number", "passthrough", list(self.numbers)))
        if self.categories:
            levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            steps.append(("level", levels, list(self.categories)))
        return ColumnTransformer(steps, verbose_feature_names_out=True)


def describe_columns(
    frame: pd.DataFrame, *, only: Sequence[str] | None = None, exclude: Sequence[str] = (), table: str = "accounts"
) -> Columns:
    """Decide which columns can be learnt from.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row an account or a deal.
    only : sequence of str, optional
        Columns to consider; all if None. One that cannot be learnt from is an error then.
    exclude : sequence of str
        Columns not to consider.
    table : str
        What the table is called in errors.

    Returns
    -------
    Columns
        In the order of the table. Left out, with the reason: dates, columns with one value, and text that names the
        row (more than half of the filled rows differ).

    Raises
    ------
    DataError
        A column of `only` is missing or cannot be learnt from, or a number is infinite.
    """
    wanted = [str(name) for name in (frame.columns if only is None else only) if name not in set(exclude)]
    numbers, categories, left_out = [], [], {}
    for name in wanted:
        if name not in frame.columns:
            raise DataError("the column is missing.", mend="Check its name.", table=table, column=name)
        column = frame[name]
        reason = _useless(column)
        if reason and only is not None:
            raise DataError(f"cannot be learnt from: {reason}.", mend="Leave it out.", table=table, column=name)
        if reason:
            left_out[name] = reason
        elif _is_number(column):
            numbers.append(name)
            _numbers(column, table)
        else:
            categories.append(name)
    return Columns(tuple(numbers), tuple(categories), left_out)


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column)) and not bool(pd.api.types.is_bool_dtype(column))


def _useless(column: pd.Series) -> str | None:
    """Say why a column cannot be learnt from, or None."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return "a date"
    filled = column.dropna()
    if filled.empty:
        return "empty"
    differ = filled.nunique()
    if differ + int(len(filled) < len(column)) < 2:
        return "one value in all rows"
    if not _is_number(column) and differ > max(2.0, _NAMES * len(filled)):
        return f"a name: {differ:,} different texts in {len(filled):,} rows"
    return None


def _numbers(column: pd.Series, table: str) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = np.isinf(values) | (np.isnan(values) & column.notna().to_numpy())
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"{str(column.iloc[at])!r} is no finite number.",
            mend="Give a number, or leave the cell empty.",
            table=table,
            column=str(column.name),
            row=at + 1,
        )
    return values


def _categories(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), UNKNOWN).astype(str)
