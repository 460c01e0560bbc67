"""What a source yields before anything is interpreted: cells, and the row numbers a person would count."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from clv.errors import DataError


@dataclass(frozen=True, eq=False)
class Cells:
    """The rows of one source as read.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row a record, the source's own column names. Text sources give strings only; Parquet, Excel and
        databases keep their types. Nothing is interpreted: ``007`` and ``NA`` are what they are.
    rows : numpy.ndarray
        Row numbers in the source: the first row under the header is 2 in a text file or a sheet, 1 in
        Parquet, a database, a DataFrame or a file without header. A quoted line break begins no new row.
    name : str
        What the source is called in messages; never an absolute path.
    broken : dict of int to list of str
        Position -> fields, for rows that do not fit the header (too many or too few fields).
    semicolon : bool
        The fields are separated by semicolons, as software does where the comma is the decimal sign.
    """

    frame: pd.DataFrame
    rows: np.ndarray
    name: str
    broken: dict[int, list[str]] = field(default_factory=dict)
    semicolon: bool = False

    def __post_init__(self) -> None:
        if len(self.frame) != len(self.rows):
            raise AssertionError("every record needs its row number")


def check_header(names: Sequence[object], *, name: str, table: str | None) -> list[str]:
    """Check that columns are named, and named once.

    Parameters
    ----------
    names : sequence
        Names as read; outer blanks are dropped. A nameless column becomes ``column N``.
    name, table : str
        For messages.

    Raises
    ------
    DataError
        No column has a name, or two have the same.
    """
    found = ["" if value is None else str(value).strip() for value in names]
    if not any(found):
        raise DataError(f"{name} has no header: its first row is empty.", table=table, mend="Name the columns.")
    seen: set[str] = set()
    for column in found:
        if column and column in seen:
            raise DataError(
                f"{name} has two columns with this name.",
                table=table,
                column=column,
                mend="Rename one of them in the source.",
            )
        seen.add(column)
    return [column or f"column {number}" for number, column in enumerate(found, start=1)]


def require_rows(
    frame: pd.DataFrame, *, name: str, table: str | None, mend: str = "Export it again, with its rows."
) -> None:
    """Raise a DataError for a source that has a header and nothing under it."""
    if frame.empty:
        columns = ", ".join(map(str, frame.columns))
        raise DataError(f"{name} has a header and no rows ({columns}).", table=table, mend=mend)


def plain_values(frame: pd.DataFrame) -> pd.DataFrame:
    """Make every value one that can be compared and written: lists and bytes become text, half characters escapes."""
    plain = frame.copy(deep=False)
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_complex_dtype(column.dtype):
            plain[name] = column.astype(str)
        elif pd.api.types.is_object_dtype(column.dtype):
            plain[name] = pd.Series([_plain(value) for value in column.tolist()], index=column.index, dtype=object)
    return plain


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list | dict | set | np.ndarray | complex):
        return str(value.tolist() if isinstance(value, np.ndarray) else value)
    return value


def nearest_first(wanted: str, names: Iterable[str]) -> list[str]:
    """Sort names by likeness to `wanted`, the most alike first."""

    def unlikeness(name: str) -> float:
        left, right = (text.casefold().replace("_", "").replace(" ", "") for text in (wanted, name))
        return -difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()

    return sorted(names, key=unlikeness)


def did_you_mean(wanted: str, names: Iterable[str]) -> str:
    """Say `` (did you mean 'x'?)`` where a name is like enough, else nothing."""
    known = list(names)
    folded = {name.casefold(): name for name in reversed(known)}
    close = difflib.get_close_matches(wanted.casefold(), folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[close[0]]!r}?)" if close else ""
