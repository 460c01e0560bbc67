"""Columns become a design matrix: numbers standardised, categories as indicators, what is missing as the average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.words import plural
from clv.errors import DataError, SettingsError

Floats = NDArray[np.float64]
#: fewest decisions from which a level of a category gets a coefficient of its own.
FEWEST = 5


@dataclass(frozen=True)
class Number:
    """A column of numbers: less its mean, over its standard deviation."""

    name: str
    mean: float
    scale: float

    @property
    def names(self) -> list[str]:
        """Name of its one column."""
        return [self.name]

    def columns(self, values: pd.Series) -> Floats:
        """Return its column; what is missing is 0, the mean."""
        x = (values.to_numpy(dtype=float, na_value=np.nan) - self.mean) / self.scale
        return np.where(np.isfinite(x), x, 0.0)[:, None]


@dataclass(frozen=True)
class Category:
    """A column of categories: an indicator for each level but the reference; else the levels' shares."""

    name: str
    levels: tuple[str, ...]
    reference: str
    shares: tuple[float, ...]

    @property
    def names(self) -> list[str]:
        """Names of its columns."""
        return [f"{self.name}: {level}" for level in self.levels]

    def columns(self, values: pd.Series) -> Floats:
        """Return its columns; a level without a coefficient, or none, counts as the average account."""
        text = _text(values)
        out = (text[:, None] == np.array(self.levels, dtype=object)).astype(float)
        known = out.any(axis=1) | (text == self.reference)
        out[~known] = self.shares
        return out


@dataclass(frozen=True)
class Design:
    """How covariates become columns, learnt once and used for fitting and for every prediction alike.

    Attributes
    ----------
    parts : tuple
        One a covariate that varies.
    about : tuple of str
        What was done that a reader should know: covariates that do not vary, levels pooled, values missing.
    """

    parts: tuple[Number | Category, ...]
    about: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [name for part in self.parts for name in part.names]

    def matrix(self, rows: pd.DataFrame) -> Floats:
        """Return the columns for some rows, shape (rows, k)."""
        return np.hstack([np.empty((len(rows), 0)), *(part.columns(rows[part.name]) for part in self.parts)])


def learn_design(rows: pd.DataFrame, covariates: Sequence[str], *, table: str) -> Design:
    """Learn means, deviations and levels from the rows that a model is fitted to.

    Parameters
    ----------
    rows : pandas.DataFrame
    covariates : sequence of str
        Columns of `rows`: numbers, or anything else as categories.
    table : str
        Where they come from, for messages.

    Returns
    -------
    Design

    Raises
    ------
    clv.errors.DataError
        A covariate is no column of `rows`, or holds an infinite number.
    """
    parts: list[Number | Category] = []
    about: list[str] = []
    for name in covariates:
        if name not in rows.columns:
            raise DataError(
                "the covariate is missing.", table=table, column=name, mend="Join it to the table, or leave it out."
            )
        column = rows[name]
        missing = int(column.isna().sum())
        if missing:
            about.append(f"{name} is unknown for {plural(f'{missing:,}', 'decision')}, counted as average in it")
        numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
        part = _number(column, name, table) if numeric else _category(column, name, about)
        if part is None:
            about.append(f"{name} is left out, since it does not vary")
        else:
            parts.append(part)
    return Design(tuple(parts), tuple(about))


def _number(column: pd.Series, name: str, table: str) -> Number | None:
    x = column.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(x).any():
        row = int(np.argmax(np.isinf(x))) + 1
        raise DataError("the number is infinite.", table=table, column=name, row=row, mend="Correct it or leave empty.")
    x = x[~np.isnan(x)]
    if len(x) == 0 or x.std() <= 1e-12 * max(1.0, np.abs(x).max()):
        return None
    return Number(name, float(x.mean()), float(x.std()))


def _category(column: pd.Series, name: str, about: list[str]) -> Category | None:
    text = _text(column)
    counts = pd.Series(text[text != ""]).value_counts().sort_index()
    kept = counts[counts >= FEWEST].sort_values(ascending=False, kind="stable")
    rare = counts[counts < FEWEST]
    if len(rare):
        about.append(
            f"{len(rare)} level{'s' * (len(rare) > 1)} of {name} with fewer than {FEWEST} decisions"
            f" ({', '.join(rare.index[:3])}{', …' * (len(rare) > 3)}) count as average in it"
        )
    if len(kept) < 2:
        return None
    levels = tuple(sorted(kept.index[1:]))
    return Category(name, levels, str(kept.index[0]), tuple(float(kept[level] / kept.sum()) for level in levels))


def _text(column: pd.Series) -> NDArray[np.object_]:
    """Return categories as text, empty where there is none."""
    return column.astype(object).where(column.notna(), "").astype(str).to_numpy(dtype=object)


def with_covariates(rows: pd.DataFrame, accounts: pd.DataFrame | None, covariates: Sequence[str]) -> pd.DataFrame:
    """Join the covariates of accounts to terms; an account that is not in the table has none."""
    wanted = [name for name in covariates if name not in ("value", "days")]
    if not wanted:
        return rows.copy()
    if accounts is None:
        raise DataError("covariates need the table of accounts.", table="accounts", mend="Give accounts=.")
    own = accounts.reset_index() if accounts.index.name == "account_id" else accounts
    for name in ("account_id", *wanted):
        if name not in own.columns:
            raise DataError("the column is missing.", table="accounts", column=name, mend="Join it, or leave it out.")
        if name in rows.columns and name != "account_id":
            raise SettingsError(f"{name!r} is a column of the terms.", mend="Rename the covariate.")
    ids = own["account_id"].astype(str)
    if ids.duplicated().any():
        at = int(np.argmax(ids.duplicated()))
        raise DataError(
            f"account {ids.iloc[at]!r} is there twice.", table="accounts", column="account_id", row=at + 1,
            mend="Give one row an account.",
        )  # fmt: skip
    values = own[wanted].set_axis(ids, axis="index").reindex(rows["account_id"].astype(str))
    joined = rows.join(values.set_axis(rows.index, axis="index"))
    joined.attrs.update(rows.attrs)
    return joined
