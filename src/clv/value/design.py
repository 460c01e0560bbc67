"""Covariates by formula become numbers, the same way for the accounts of a fit and for any that come later.

What a formula leaves to the data (levels of a kind, which of them is the reference, means to centre by) is learnt once
and kept as plain values, so that a saved model reads new accounts as it read the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from clv.errors import DataError, SettingsError
from clv.value.estimation.checks import Floats, fault, number_column
from clv.value.formula import Factor, Term, compute, level_name, parse


@dataclass(frozen=True)
class Design:
    """A formula with what was learnt from the data.

    Attributes
    ----------
    formula : str
    levels : dict of str to list of str
        Factor -> its levels, the reference first.
    moments : dict of str to (float, float)
        Factor of center or scale -> what is subtracted and what it is divided by.
    """

    formula: str
    levels: dict[str, list[str]] = field(default_factory=dict)
    moments: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def learn(cls, formula: str, accounts: pd.DataFrame) -> Design:
        """Learn levels and means from accounts.

        Raises
        ------
        clv.errors.SettingsError
            If the formula cannot be understood, or names a reference that no account has.
        clv.errors.DataError
            If a column is missing, or a value is.
        """
        levels: dict[str, list[str]] = {}
        moments: dict[str, tuple[float, float]] = {}
        for factor in {factor.label: factor for term in parse(formula) for factor in term}.values():
            if factor.kind == "levels" or (factor.kind == "column" and _of_kinds(accounts, factor.columns[0])):
                levels[factor.label] = _learn_levels(factor, accounts)
            elif factor.kind in ("center", "scale"):
                values = _numbers(factor, accounts)
                spread = float(values.std()) if factor.kind == "scale" else 1.0
                moments[factor.label] = (float(values.mean()), spread if spread > 0 else 1.0)
        return cls(formula, levels, moments)

    @classmethod
    def restore(cls, formula: str, record: dict[str, Any]) -> Design:
        """Read back what `record` wrote."""
        levels = {str(name): [str(level) for level in known] for name, known in dict(record["levels"]).items()}
        moments = {str(name): (float(a), float(b)) for name, (a, b) in dict(record["moments"]).items()}
        parse(formula)
        return cls(formula, levels, moments)

    def record(self) -> dict[str, Any]:
        """Write it as plain values."""
        return {"levels": self.levels, "moments": {name: list(pair) for name, pair in self.moments.items()}}

    def columns(self) -> tuple[str, ...]:
        """Name the columns of the design: ``size``, ``industry[T.retail]``, ``industry[T.retail]:size``."""
        return tuple(name for names in self.terms().values() for name in names)

    def terms(self) -> dict[str, tuple[str, ...]]:
        """Name the columns of each term of the formula."""
        return {
            ":".join(factor.label for factor in term): tuple(
                ":".join(names) for names in _product([self._names(factor) for factor in term])
            )
            for term in parse(self.formula)
        }

    def _names(self, factor: Factor) -> list[str]:
        if factor.label not in self.levels:
            return [factor.label]
        return [f"{factor.label}[T.{level}]" for level in self.levels[factor.label][1:]]

    def transform(self, accounts: pd.DataFrame) -> dict[str, Floats]:
        """Turn accounts into numbers, a column of the design each.

        Raises
        ------
        clv.errors.DataError
            If a column is missing, a value is missing or not finite, or a level was not there in the fit.
        """
        terms = parse(self.formula)
        parts = {factor.label: self._values(factor, accounts) for term in terms for factor in term}
        out: dict[str, Floats] = {}
        for term in terms:
            out |= self._crossed(term, parts)
        return out

    def _crossed(self, term: Term, parts: dict[str, list[Floats]]) -> dict[str, Floats]:
        names = _product([self._names(factor) for factor in term])
        values = _product([parts[factor.label] for factor in term])
        return {":".join(name): np.prod(np.stack(each), axis=0) for name, each in zip(names, values, strict=True)}

    def _values(self, factor: Factor, accounts: pd.DataFrame) -> list[Floats]:
        """Return one array for each column of a factor."""
        if factor.label in self.levels:
            known = self.levels[factor.label]
            given = _level_column(accounts, factor.columns[0])
            strange = ~np.isin(given, known)
            if strange.any():
                first = str(given[np.flatnonzero(strange)[0]])
                raise fault(
                    accounts, strange, factor.columns[0], f"the level {first!r} was not there in the fit",
                    f"Known are {', '.join(known)}: put it with one of them, or fit anew.",
                )  # fmt: skip
            return [(given == level).astype(float) for level in known[1:]]
        values = _numbers(factor, accounts)
        middle, spread = self.moments.get(factor.label, (0.0, 1.0))
        return [(values - middle) / spread]


def _product(parts: list[list[Any]]) -> list[tuple[Any, ...]]:
    """List every choice of one from each, the last changing slowest, as in a formula's usual order."""
    out: list[tuple[Any, ...]] = [()]
    for part in reversed(parts):
        out = [(each, *rest) for rest in out for each in part]
    return out


def _of_kinds(accounts: pd.DataFrame, column: str) -> bool:
    """Say whether a column holds kinds rather than numbers; true and false are the numbers 1 and 0."""
    return column in accounts.columns and not pd.api.types.is_numeric_dtype(accounts[column].dtype)


def _level_column(accounts: pd.DataFrame, column: str) -> np.ndarray:
    """Read a column of kinds as text without gaps."""
    if column not in accounts.columns:
        raise DataError(
            f"the column is missing; there are: {', '.join(map(str, accounts.columns)) or 'none'}.",
            mend="Join it to the summary, or leave it out of the formula.", table="summary", column=column,
        )  # fmt: skip
    values = accounts[column]
    if values.isna().any():
        raise fault(
            accounts, values.isna().to_numpy(dtype=bool), column, "it is missing",
            'Fill it in, with a level of its own ("unknown") if nothing better is known.',
        )  # fmt: skip
    return np.array([level_name(value) for value in values], dtype=object)


def _learn_levels(factor: Factor, accounts: pd.DataFrame) -> list[str]:
    """List the levels in order, the reference first: the one that is named, else the first by its name."""
    known = sorted(set(_level_column(accounts, factor.columns[0])))
    if factor.reference is None:
        return known
    if factor.reference not in known:
        raise SettingsError(
            f"{factor.label}: no account has the level {factor.reference!r}.", mend=f"There are {', '.join(known)}."
        )
    return [factor.reference, *(level for level in known if level != factor.reference)]


def _numbers(factor: Factor, accounts: pd.DataFrame) -> Floats:
    """Compute a numeric factor; what comes out must be finite for every account."""
    columns = {name: number_column(accounts, name, least=-np.inf) for name in factor.columns}
    if factor.kind == "column":
        return columns[factor.columns[0]]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values = np.broadcast_to(compute(factor.expression, columns), len(accounts)).astype(float)
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        from_ = ", ".join(f"{name} {values_[first]:g}" for name, values_ in columns.items())
        raise fault(
            accounts, bad, factor.columns[0] if factor.columns else factor.label,
            f"{factor.label} is {values[first]} ({from_})", "Choose a function that these values have, such as log1p.",
        )  # fmt: skip
    return values
