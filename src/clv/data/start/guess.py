"""Which file is which table, and which of its columns is which: names first, values as evidence."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import pandas as pd

from clv.data.reading.cell_text import Coded, to_text
from clv.data.reading.cells import Cells
from clv.data.reading.dates import Reading, parse_date
from clv.data.reading.numerals import to_float
from clv.data.settings import TableSource
from clv.data.start.synonyms import COLUMNS, TABLES
from clv.data.tables import COST_KINDS, INPUTS

_SAMPLE = 2000
_MOST = 0.9
_YES_NO = {"true", "false", "yes", "no", "1", "0", "ja", "nein", "да", "нет"}
#: columns whose values say whether a guess can be right.
_WORDS = {
    "outcome": {"won", "lost", "open"},
    "arm": {"treatment", "control"},
    "consent": _YES_NO,
    "inbound": _YES_NO,
    "need": _YES_NO,
    "ability_to_pay": _YES_NO,
    "authority": _YES_NO,
    "wish": _YES_NO,
    "budget": _YES_NO,
    "greenfield": _YES_NO,
    "buys_elsewhere": _YES_NO,
    "lead_user": _YES_NO,
    "status_name": _YES_NO,
    "fan": _YES_NO,
    "price_switcher": _YES_NO,
    "many_demands": _YES_NO,
    "bad_reputation": _YES_NO,
    "renewed": _YES_NO,
    "kind": set(COST_KINDS),
}
#: columns that several tables share and that therefore say little about which table a file is.
_COMMON = {"account_id", "date", "name", "created", "start", "end"}


@dataclass(frozen=True, eq=False)
class Match:
    """A file taken for a table.

    Attributes
    ----------
    table : str
        The table.
    source : TableSource
        The file, or the sheet in it, with the columns found.
    unknown : list of str
        Required columns that no column of the file could be taken for.
    unused : list of str
        Columns of the file that nothing was found for.
    cells : Cells
        What was read.
    score : float
        How much speaks for it.
    """

    table: str
    source: TableSource
    unknown: list[str]
    unused: list[str]
    cells: Cells
    score: float


@dataclass(frozen=True, eq=False)
class Sheet:
    """A file, or one sheet of a workbook, that may be a table."""

    source: TableSource
    cells: Cells

    @property
    def label(self) -> str:
        """The words that name it."""
        stem = str(self.source.path).rsplit(".", 1)[0]
        return f"{stem} {self.source.sheet}" if isinstance(self.source.sheet, str) else stem


def match_tables(sheets: Iterable[Sheet]) -> list[Match]:
    """Take each sheet for at most one table and each table from at most one sheet, the best match first."""
    candidates = [match for sheet in sheets for table in INPUTS if (match := match_table(table, sheet)) is not None]
    chosen: list[Match] = []
    for match in sorted(candidates, key=lambda m: (-m.score, list(INPUTS).index(m.table), str(m.source.path))):
        taken = [(str(m.source.path), m.source.sheet) for m in chosen]
        if match.table not in {m.table for m in chosen} and (str(match.source.path), match.source.sheet) not in taken:
            chosen.append(match)
    return sorted(chosen, key=lambda m: list(INPUTS).index(m.table))


def match_table(table: str, sheet: Sheet) -> Match | None:
    """Match one sheet with one table; None where too little speaks for it."""
    columns = match_columns(table, sheet)
    schema = INPUTS[table].columns
    if table == "transactions" and "amount" not in columns and "quantity" not in columns and "unit_price" in columns:
        columns["amount"] = columns.pop("unit_price")  # with no quantity beside it, a price is what was paid
    unknown = [name for name, column in schema.items() if column.required and name not in columns]
    if table == "transactions" and {"quantity", "unit_price"} <= set(columns) and "amount" in unknown:
        unknown.remove("amount")
    named = any(_likeness(sheet.label, word) >= 0.7 for word in TABLES[table])
    own = len(set(columns) - _COMMON - {"amount", "quantity"})
    needed = sum(column.required for column in schema.values())
    if table == "transactions":
        likely = not unknown or (named and len(unknown) < 2)
    elif table == "accounts":
        likely = not unknown and (named or own >= 2)
    else:
        likely = not unknown and (named or own >= 1)
    if not likely:
        return None
    score = 2.0 * named + (needed - len(unknown)) + 0.25 * len(columns)
    mapping = {ours: theirs for ours, theirs in columns.items() if ours != theirs}
    unused = [name for name in map(str, sheet.cells.frame.columns) if name not in columns.values()]
    source = sheet.source.model_copy(update={"columns": mapping})
    return Match(table, source, unknown, unused, sheet.cells, score)


def match_columns(table: str, sheet: Sheet) -> dict[str, str]:
    """Match our columns with those of a sheet: our name -> its name."""
    pairs = []
    for at, (ours, words) in enumerate(COLUMNS[table].items()):
        for theirs in map(str, sheet.cells.frame.columns):
            likeness = 1.1 if theirs == ours else max(_likeness(theirs, word) for word in words)
            if likeness >= 0.6 and _fits(table, ours, sheet, theirs):
                pairs.append((-likeness, at, ours, theirs))
    matched: dict[str, str] = {}
    for _, _, ours, theirs in sorted(pairs):
        if ours not in matched and theirs not in matched.values():
            matched[ours] = theirs
    return matched


def _fits(table: str, ours: str, sheet: Sheet, theirs: str) -> bool:
    """Whether the values can be what the column must hold."""
    column = INPUTS[table].columns[ours]
    kind = (column.metadata or {})["kind"]
    cells = sheet.cells.frame[theirs].iloc[:_SAMPLE]
    filled = to_text(cells[~Coded(cells).empty]).astype(str)
    if filled.empty:
        return not column.required
    if ours in _WORDS:
        return bool(filled.str.strip().str.lower().isin(_WORDS[ours]).mean() >= _MOST)
    if table == "transactions" and _tokens(theirs) == ["id"] and not filled.duplicated().any():
        return False  # the id of the row, not of who bought
    if column.unique and filled.duplicated().mean() > 0.01:
        return False
    if kind == "date":
        return pd.api.types.is_datetime64_any_dtype(cells.dtype) or _share(filled, _is_date) >= _MOST
    if kind in ("number", "integer"):
        return _share(filled, _is_number) >= _MOST
    # An id is not a point in time, nor money with cents.
    return kind != "id" or (_share(filled, _is_written_date) < _MOST and _share(filled, _has_cents) < 0.5)


def _share(texts: pd.Series, test: Callable[[str], bool]) -> float:
    distinct = set(texts)
    return sum(map(test, distinct)) / len(distinct)


def _is_number(text: str) -> bool:
    return not (math.isnan(to_float(text, decimal=".")) and math.isnan(to_float(text, decimal=",")))


def _has_cents(text: str) -> bool:
    return bool(re.fullmatch(r"\s*-?[\d.,\s]*\d[.,]\d{2}\s*", text))


def _is_date(text: str) -> bool:
    return any(parse_date(text, Reading(dayfirst=first)) is not None for first in (True, False))


def _is_written_date(text: str) -> bool:
    return not text.strip().isdigit() and _is_date(text)


@cache
def _likeness(name: str, word: str) -> float:
    """Compare a name with a word people use for it: 1 equal, 0.8 contains it, less for a misspelling."""
    left, right = _tokens(name), _tokens(word)
    if "".join(left) == "".join(right):
        return 1.0
    if set(right) <= set(left) and not (len(left) > 1 and right == ["id"]):
        return 0.7 + 0.1 * len(right) / len(left) if len(right) < len(left) else 0.95
    ratio = difflib.SequenceMatcher(None, "".join(left), "".join(right), autojunk=False).ratio()
    return 0.6 if ratio >= 0.87 and len(name) > 4 else 0.0


def _tokens(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[^\W\d_])(?=[A-ZА-ЯÄÖÜ][a-zа-яäöü])|(?<=[a-zа-яäöü])(?=[A-ZА-ЯÄÖÜ])", " ", name)
    return re.findall(r"[^\W_]+", spaced.casefold().replace("ё", "е"))
