"""Tables as a reader wants them: few rows, plain headings, money and shares written as such, everything escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from clv.errors import ClvError
from clv.result import Missing, Result

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["text", "count", "money", "cents", "share", "number", "figure", "date", "flag"]

_NOTHING = "–"


def _number(digits: int) -> Callable[[Any], str]:
    return lambda value: f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}", 1)


def _significant(value: Any) -> str:
    """Four significant digits, thousands marked, no exponent for everyday sizes; whole numbers without decimals."""
    size = 0.0 if abs(value) < _NOUGHT else abs(value)
    if 1 <= size < 1e9 and float(value).is_integer():
        return _number(0)(value)
    if size and (size < 1e-4 or size >= 1e9):
        return f"{value:.3g}"
    return _number(max(0, 3 - math.floor(math.log10(size))))(value) if size else "0"


def _percent(value: Any) -> str:
    """Whole per cent; a decimal where that would say none, or all, and there is some, or some missing."""
    near = 0 < abs(value) < 0.01 or 0.99 < abs(value) < 1
    return f"{value:,.{1 if near else 0}%}".replace("-", "\N{MINUS SIGN}", 1)


_FORMATS: dict[Format, Callable[[Any], str]] = {
    "text": str,
    "count": _number(0),
    "money": _number(0),
    "cents": _number(2),
    "share": _percent,
    "number": _significant,
    "figure": str,
    "date": lambda value: f"{value:%Y-%m-%d}",
    "flag": lambda value: "yes" if value else "no",
}
_NUMERIC = {"count", "money", "cents", "share", "number", "figure"}
#: a column of money whose largest amount is below this is shown with cents.
_SMALL_MONEY = 100.0
#: a number below this is rounding of nought.
_NOUGHT = 1e-12


@dataclass(frozen=True)
class Shown:
    """A table ready to be read; a notebook shows it as HTML.

    Attributes
    ----------
    frame : pandas.DataFrame
        The rows that are shown, unformatted.
    caption : str
    headings : dict
        Column -> heading.
    formats : dict
        Column -> format.
    total : int
        How many rows the whole table has.
    """

    frame: pd.DataFrame
    caption: str
    headings: dict[str, str]
    formats: dict[str, Format]
    total: int = field(default=0)

    def _cell(self, column: str, value: Any) -> str:
        import pandas as pd

        if not isinstance(value, str) and pd.isna(value):
            return _NOTHING
        return html.escape(_FORMATS[self.formats[column]](value))

    def _repr_html_(self) -> str:
        if self.frame.shape[1] == 0:
            return ""
        columns = [str(c) for c in self.frame.columns]
        kinds = {c: ' class="number"' if self.formats[c] in _NUMERIC else "" for c in columns}
        head = "".join(f'<th scope="col"{kinds[c]}>{html.escape(self.headings[c])}</th>' for c in columns)
        body = "".join(
            "<tr>"
            + "".join(f"<td{kinds[c]}>{self._cell(c, v)}</td>" for c, v in zip(columns, row, strict=True))
            + "</tr>"
            for row in self.frame.itertuples(index=False, name=None)
        )
        caption = html.escape(self.caption)
        if len(self.frame) < self.total:
            caption += f" The first {len(self.frame):,} of {self.total:,} rows; the report's tables have all."
        return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True)
class Remarks:
    """Sentences that qualify what a notebook shows, as a list."""

    sentences: tuple[str, ...]

    def _repr_html_(self) -> str:
        return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.sentences) + "</ul>"


def show(
    frame: pd.DataFrame,
    columns: Mapping[str, tuple[str, Format]] | None = None,
    *,
    caption: str,
    rows: int = 15,
) -> Shown:
    """Choose columns, headings and formats of a table for a report.

    Parameters
    ----------
    frame : pandas.DataFrame
        A named index is shown as the first column. One without any column, as a `Missing` result has, shows nothing.
    columns : mapping, optional
        Column -> (heading, format), in the order wanted; None shows every column, formatted by its type.
    caption : str
        What the table is, units included.
    rows : int
        At most this many rows are shown, from the top.

    Returns
    -------
    Shown

    Raises
    ------
    ClvError
        A column is not in the table.
    """
    if frame.shape == (0, 0):
        return Shown(frame, caption, {}, {})
    flat = frame.reset_index() if frame.index.name is not None else frame
    chosen = dict(columns) if columns is not None else {str(c): (str(c), _guess(flat[c])) for c in flat.columns}
    missing = [c for c in chosen if c not in flat.columns]
    if missing:
        raise ClvError(
            f"the table has no column {missing[0]!r}", mend=f"choose from {', '.join(map(str, flat.columns))}"
        )
    return Shown(
        frame=flat[list(chosen)].head(rows),
        caption=caption,
        headings={c: heading for c, (heading, _) in chosen.items()},
        formats={c: _cents(flat[c].head(rows)) if kind == "money" else kind for c, (_, kind) in chosen.items()},
        total=len(flat),
    )


def draw(result: Result) -> None:
    """Draw a finding, unless it is that there is nothing to find."""
    if not isinstance(result, Missing):
        result.plot()


def _cents(column: pd.Series) -> Format:
    """Decide on cents for a whole column, so that its digits line up."""
    largest = column.abs().max()
    return "cents" if largest < _SMALL_MONEY else "money"


def _guess(column: pd.Series) -> Format:
    from pandas.api import types

    if types.is_bool_dtype(column):
        return "flag"
    if types.is_integer_dtype(column):
        return "count"
    if types.is_numeric_dtype(column):
        return "number"
    return "date" if types.is_datetime64_any_dtype(column) else "text"
