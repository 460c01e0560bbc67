"""Excel workbooks become cells; formulas as the values that Excel last computed."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from clv.data.reading.cells import Cells, check_header, did_you_mean, require_rows
from clv.errors import DataError


def read_workbook(
    data: bytes, *, name: str, table: str | None = None, sheet: str | int | None = None, header: list[str] | None = None
) -> Cells:
    """Read one sheet of an ``.xlsx`` workbook.

    Parameters
    ----------
    data : bytes
        The whole file.
    name, table : str
        For messages.
    sheet : str or int, optional
        Name, or number from 1; None: the first sheet that is not empty.
    header : list of str, optional
        Names of the columns of a sheet without header row.

    Returns
    -------
    Cells
        Cells with Excel's types (text, number, date, yes or no), empty rows left out, numbered as Excel does.

    Raises
    ------
    DataError
        No workbook, no such sheet, an empty sheet, header only, twice the same column.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which are not read
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            found = _rows(book, sheet, name=name, table=table)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, OSError, ValueError, SyntaxError) as fault:
        raise DataError(
            f"{name} is no whole Excel workbook ({type(fault).__name__}).",
            table=table,
            mend="Open it in Excel and save it again as .xlsx, or save it as CSV.",
        ) from None
    used = [(number, row) for number, row in enumerate(found, start=1) if any(_filled(v) for v in row)]
    if not used:
        raise DataError(f"{name} is empty.", table=table, mend="Name the right 'sheet:', with header and rows.")
    width = max(max(at for at, value in enumerate(row, start=1) if _filled(value)) for _, row in used)
    rows = [(*row, *[None] * width)[:width] for _, row in used]
    names: list[Any] = list(header) if header is not None else list(rows.pop(0))
    numbers = [number for number, _ in used][-len(rows) :] if rows else []
    if len(names) != width:
        raise DataError(
            f"{name} has {width} columns, 'header' names {len(names)}.",
            table=table,
            mend="Name every column, in order.",
        )
    frame = pd.DataFrame(rows, columns=check_header(names, name=name, table=table), dtype=object)
    require_rows(frame, name=name, table=table)
    return Cells(frame, np.array(numbers, dtype="int64"), name)


def _filled(value: object) -> bool:
    return value is not None and value != ""


def _rows(book: Any, sheet: str | int | None, *, name: str, table: str | None) -> list[tuple[Any, ...]]:
    """Return all rows of the sheet that was asked for."""
    names = book.sheetnames
    if isinstance(sheet, int) and not 1 <= sheet <= len(names):
        raise DataError(f"{name} has {len(names)} sheets, none is number {sheet}.", table=table, mend=_choose(names))
    if isinstance(sheet, str) and sheet not in names:
        raise DataError(f"{name} has no sheet {sheet!r}{did_you_mean(sheet, names)}.", table=table, mend=_choose(names))
    wanted = names if sheet is None else [names[sheet - 1] if isinstance(sheet, int) else sheet]
    for title in wanted:
        page = book[title]
        if not hasattr(page, "iter_rows"):
            continue  # a chart sheet
        if hasattr(page, "reset_dimensions"):
            page.reset_dimensions()  # the size that a file claims may be wrong
        rows = list(page.iter_rows(values_only=True))
        if any(any(_filled(value) for value in row) for row in rows):
            return rows
    return []


def _choose(names: list[str]) -> str:
    return f"Say 'sheet:', one of {', '.join(map(repr, names))}."
