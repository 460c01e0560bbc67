"""Tables for other people's software: CSV and Excel files that hold text as text, and the same bytes each time."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: what a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: the oldest date that a zip file can hold: no clock is in the bytes.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def write_exports(frame: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Write a table as ``<name>.csv`` (UTF-8, comma) and ``<name>.xlsx``.

    Text that a spreadsheet would run as a formula gets an apostrophe before it, in both; numbers stay numbers.

    Parameters
    ----------
    frame : pandas.DataFrame
        A named index is written as the first column.
    folder : pathlib.Path
        Made if it is not there.
    name : str

    Returns
    -------
    list of pathlib.Path
    """
    flat = frame.reset_index() if frame.index.name is not None else frame
    safe = flat.apply(_safe_column)
    safe.columns = [_safe(str(column)) for column in flat.columns]
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        f"{name}.csv": safe.to_csv(index=False, lineterminator="\n").encode("utf-8-sig"),
        f"{name}.xlsx": _excel(safe),
    }
    written = []
    for file, content in files.items():
        unfinished = folder / f"{file}.unfinished"
        try:
            unfinished.write_bytes(content)
            written.append(unfinished.replace(folder / file))
        finally:
            unfinished.unlink(missing_ok=True)
    return written


def _safe(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _safe_column(column: pd.Series) -> pd.Series:
    from pandas.api import types

    if types.is_numeric_dtype(column) or types.is_bool_dtype(column) or types.is_datetime64_any_dtype(column):
        return column
    return column.map(lambda value: _safe(value) if isinstance(value, str) else value)


def _excel(frame: pd.DataFrame) -> bytes:
    """Make an Excel file without a clock in it."""
    raw, clean = io.BytesIO(), io.BytesIO()
    frame.to_excel(raw, index=False, engine="openpyxl")
    with zipfile.ZipFile(raw) as given, zipfile.ZipFile(clean, "w", zipfile.ZIP_DEFLATED) as made:
        for entry in sorted(given.namelist()):
            content = given.read(entry)
            if entry == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:(created|modified)[^>]*>)[^<]*", rb"\g<1>1980-01-01T00:00:00Z", content)
            made.writestr(zipfile.ZipInfo(entry, _NO_DATE), content, zipfile.ZIP_DEFLATED)
    return clean.getvalue()
