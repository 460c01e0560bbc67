"""Cells as text, whatever type their source gave them; work on text is done once for each distinct one."""

from __future__ import annotations

import datetime as dt
import decimal as decimals
import math
import numbers
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

_NO_VALUE = frozenset({"na", "n/a", "#n/a", "null", "none", "nan", "nat", "-", "–"})


class Coded:
    """A column as distinct texts and, for each row, which of them it holds.

    Parameters
    ----------
    cells : pandas.Series
        Text or native values.
    """

    def __init__(self, cells: pd.Series) -> None:
        self.cells = cells

    @cached_property
    def _parts(self) -> tuple[np.ndarray, list[str]]:
        codes, distinct = pd.factorize(to_text(self.cells), use_na_sentinel=True)
        return codes, np.asarray(distinct, dtype=object).tolist()

    @property
    def codes(self) -> np.ndarray:
        """Position in `texts` for each row, -1 where there is no value."""
        return self._parts[0]

    @property
    def texts(self) -> list[str]:
        """Distinct texts, in the order in which they appear."""
        return self._parts[1]

    @property
    def is_number(self) -> bool:
        """Whether the source itself says that these are numbers."""
        return pd.api.types.is_numeric_dtype(self.cells.dtype) and not pd.api.types.is_bool_dtype(self.cells.dtype)

    @property
    def is_date(self) -> bool:
        """Whether the source itself says that these are points in time."""
        return pd.api.types.is_datetime64_any_dtype(self.cells.dtype)

    @cached_property
    def numbers(self) -> np.ndarray:
        """Mark rows that hold a number already, as cells of a workbook do among texts."""
        if not pd.api.types.is_object_dtype(self.cells.dtype):
            return np.full(len(self.cells), self.is_number)
        values = self.cells.tolist()
        return np.array([isinstance(v, numbers.Real | decimals.Decimal) and not isinstance(v, bool) for v in values])

    @cached_property
    def empty(self) -> np.ndarray:
        """Mark rows that are empty, blank or null."""
        if self.is_number or self.is_date:
            return self.cells.isna().to_numpy(dtype=bool, copy=True)
        return (self.codes < 0) | self.where(lambda text: not text or text.isspace())

    @cached_property
    def silent(self) -> np.ndarray:
        """Mark rows that are empty or say that there is no value, where a number, date or flag is expected."""
        if self.is_number or self.is_date:
            return self.empty
        return self.empty | self.where(lambda text: len(text) < 9 and text.strip().lower() in _NO_VALUE)

    def evidence(self, sound: np.ndarray) -> list[str]:
        """List the distinct texts, not the native numbers, of the rows marked."""
        if self.is_number or self.is_date:
            return []
        if sound.all() and not self.numbers.any():
            return self.texts
        used = np.zeros(len(self.texts) + 1, dtype=bool)
        used[self.codes[sound & ~self.numbers]] = True
        return [text for text, seen in zip(self.texts, used[:-1], strict=True) if seen]

    def each(self, function: Callable[[str], Any], filled: np.ndarray) -> np.ndarray:
        """Apply a function to each distinct text; objects, None where a row is not filled."""
        results = np.empty(len(self.texts) + 1, dtype=object)
        results[:-1] = [function(text) for text in self.texts]
        values: np.ndarray = results[self.codes]
        values[~filled] = None
        return values

    def where(self, test: Callable[[str], bool]) -> np.ndarray:
        """Mark rows whose text passes a test."""
        passed: np.ndarray = np.array([*map(test, self.texts), False], dtype=bool)
        return passed[self.codes]


def to_text(cells: pd.Series) -> pd.Series:
    """Write native values as text: whole floats without ``.0``, dates as ISO; strings stay; missing is null."""
    if isinstance(cells.dtype, pd.StringDtype):
        return cells
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if pd.api.types.is_integer_dtype(cells.dtype):
        return cells.astype("string").astype(object).where(cells.notna(), None)
    return pd.Series([_text(value) for value in cells.tolist()], index=cells.index, dtype=object)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return None
        whole = math.isfinite(number) and abs(number) < 1e15 and number == int(number)
        return str(int(number)) if whole else repr(number)
    if isinstance(value, decimals.Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return str(value)
