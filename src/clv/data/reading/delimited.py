"""Text files with separators: CSV and its cousins become text cells."""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections.abc import Iterator

import numpy as np
import pandas as pd

from clv.data.reading.cells import Cells, check_header, require_rows
from clv.data.reading.encodings import decode
from clv.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
#: what `separator:` may say in words.
NAMED = {"whitespace": "whitespace", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}

_SAYS_SEPARATOR = re.compile(r'"?sep=(?P<sign>[^\w\s"]|\t)"?(?:\r\n|\r|\n)')


def read_delimited(
    data: bytes,
    *,
    name: str,
    table: str | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    header: list[str] | None = None,
) -> Cells:
    """Read a text file with separated fields.

    Parameters
    ----------
    data : bytes
        The whole file.
    name, table : str
        For messages.
    encoding : str, optional
        See `clv.data.reading.encodings.decode`.
    separator : str, optional
        One character, or ``whitespace``; None: the one of ``, ; tab |`` that gives most lines the same
        number of fields, more than one.
    header : list of str, optional
        Names of the columns of a file without header row.

    Returns
    -------
    Cells
        Strings only. Empty lines are no rows. Rows with too many or too few fields are in `Cells.broken`.

    Raises
    ------
    DataError
        Empty file, header only, twice the same column, undecidable separator or encoding, quote never closed.
    """
    text = decode(data, encoding=encoding, name=name, table=table)
    if not text.strip():
        raise DataError(f"{name} is empty.", table=table, mend="Export it again, with header and rows.")
    skipped = 0
    if said := _SAYS_SEPARATOR.match(text):  # Excel's own first line
        text, separator, skipped = text[said.end() :], separator or said["sign"], 1
    sign = _separator(text, separator, header=header, name=name, table=table)
    raw = _parse(text, sign, columns=header, name=name, table=table)
    broken: dict[int, list[str]] = {}
    if isinstance(raw, pd.DataFrame) and sign != "whitespace" and (raw.iloc[:, -1] == "").any():
        # A row that is too short ends in empty cells; only then is it worth counting fields one by one.
        raw = _records(text, sign, name=name, table=table)
    if not isinstance(raw, pd.DataFrame):
        raw, broken = _rectangle(raw, width=len(header) if header else None)
    if header is None:
        names, body, first = check_header(list(raw.iloc[0]), name=name, table=table), raw.iloc[1:], 2
    else:
        names, body, first = check_header(header, name=name, table=table), raw, 1
    if len(names) != body.shape[1]:
        raise DataError(
            f"{name} has {body.shape[1]} fields a row, 'header' names {len(names)}.",
            table=table,
            mend="Name every field of the file, in order.",
        )
    frame = body.set_axis(names, axis=1)
    filled = (frame != "").any(axis=1).to_numpy(copy=True)
    shift = 0 if header else 1
    filled[[position - shift for position in broken]] = True
    kept = np.flatnonzero(filled)
    place = {int(position) + shift: new for new, position in enumerate(kept)}
    frame = frame.iloc[kept].reset_index(drop=True)
    require_rows(frame, name=name, table=table)
    return Cells(
        frame,
        kept.astype("int64") + first + skipped,
        name,
        broken={place[position]: fields for position, fields in broken.items()},
        semicolon=sign == ";",
    )


def _separator(text: str, told: str | None, *, header: list[str] | None, name: str, table: str | None) -> str:
    """Return the separator as told, or the one that the first lines agree on."""
    if told is not None:
        sign = NAMED.get(told, told)
        if len(sign) != 1 and sign != "whitespace":
            raise DataError(
                f"{told!r} cannot separate fields.",
                table=table,
                mend="Say one character, 'tab' or 'whitespace'.",
            )
        return sign
    sample = text[:200_000]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or sample
    best: list[tuple[float, int, str]] = []
    for sign in SEPARATORS:
        widths = [len(row) for row in _csv(sample, sign) if row][:1000]
        usual = statistics.mode(widths) if widths else 1
        first = len(header) if header else (widths[0] if widths else 1)
        if usual > 1 and first > 1:
            best.append((sum(width == first for width in widths) / len(widths), usual, sign))
    if not best:
        raise DataError(
            f"{name} has one column only: no separator among , ; tab | is found in it.",
            table=table,
            mend="Say 'separator:', or check that the right file was given.",
        )
    return max(best)[2]


def _parse(
    text: str, sign: str, *, columns: list[str] | None, name: str, table: str | None
) -> pd.DataFrame | list[list[str]]:
    """Parse quickly where every row fits; else record by record."""
    if sign == "whitespace":
        rows = [line.split() for line in text.splitlines()]
        width = len(columns) if columns else len(next(row for row in rows if row))
        return rows if any(row and len(row) != width for row in rows) else _frame(rows, width)
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=sign,
            header=None,  # so that a trailing separator is a column and not taken for an index
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        return _records(text, sign, name=name, table=table)


def _records(text: str, sign: str, *, name: str, table: str | None) -> list[list[str]]:
    """Parse record by record; slower, and says where a quote is left open."""
    try:
        return list(_csv(text, sign, strict=True))
    except csv.Error:
        return _lenient(text, sign, name=name, table=table)


def _csv(text: str, sign: str, *, strict: bool = False) -> Iterator[list[str]]:
    """Read records of any length; the library's limit is there to protect from what an open quote swallows."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=strict)
    finally:
        csv.field_size_limit(limit)


def _lenient(text: str, sign: str, *, name: str, table: str | None) -> list[list[str]]:
    """Parse text with loose quotes inside quoted fields; an unclosed quote stays an error."""
    rows: list[list[str]] = []
    for row in _csv(text, sign):
        rows.append(row)
        if any(field.count("\n") > 100 for field in row):
            break
    else:
        if text.count('"') % 2 == 0:
            return rows
    raise DataError(
        f"{name}: a quotation mark is never closed.",
        table=table,
        row=len(rows),
        mend='Close it, or double it ("") if it belongs to the text.',
    )


def _rectangle(rows: list[list[str]], width: int | None) -> tuple[pd.DataFrame, dict[int, list[str]]]:
    """Cut and fill rows to the header's width; those that did not fit are returned as they were."""
    if width is None:
        width = len(rows[0])
    broken = {at: row for at, row in enumerate(rows) if row and len(row) != width}
    return _frame(rows, width), broken


def _frame(rows: list[list[str]], width: int) -> pd.DataFrame:
    padding = [""] * width
    return pd.DataFrame([(row + padding)[:width] for row in rows], dtype=object)
