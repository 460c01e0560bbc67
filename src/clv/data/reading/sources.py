"""Where a table is: a file, a file inside an installed package, a query or a DataFrame becomes cells."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from clv.data.reading.cells import Cells, check_header, nearest_first, plain_values, require_rows
from clv.data.settings import TableSource
from clv.errors import DataError

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_WORKBOOKS = {".xlsx", ".xlsm"}
_PARQUET = {".parquet", ".pq"}


def read_cells(source: TableSource, *, folder: Path, table: str | None = None, hint: str = "") -> Cells:
    """Read a source as cells, uninterpreted.

    Parameters
    ----------
    source : TableSource
        Where it is, and how it is written.
    folder : pathlib.Path
        What relative paths count from.
    table, hint : str
        The table's name, and where its data can be had, for messages.

    Raises
    ------
    DataError
        The source is not there, cannot be opened, is empty, or is not what it seems.
    """
    from clv.data.reading.columnar import read_parquet
    from clv.data.reading.database import read_query
    from clv.data.reading.delimited import read_delimited
    from clv.data.reading.workbook import read_workbook

    if source.sql is not None:
        return read_query(source.sql, str(source.url), folder=folder, table=table)
    written = str(source.path)
    path, data = read_bytes(written, folder=folder, table=table, hint=hint)
    name = path.name
    if path.suffix.lower() in _PARQUET:
        return read_parquet(data, name=name, table=table)
    if path.suffix.lower() in _WORKBOOKS:
        return read_workbook(data, name=name, table=table, sheet=source.sheet, header=source.header)
    return read_delimited(
        data, name=name, table=table, encoding=source.encoding, separator=source.separator, header=source.header
    )


def read_bytes(written: str, *, folder: Path, table: str | None = None, hint: str = "") -> tuple[Path, bytes]:
    """Find a file as a study writes its path and read it; errors as in `read_cells`."""
    path = locate(written, folder=folder, table=table, hint=hint)
    try:
        data = path.read_bytes()
    except PermissionError:
        raise DataError(
            f"{path.name} may not be read: this user has no right to.", table=table, mend=f"chmod u+r {path.name}"
        ) from None
    except OSError as fault:
        raise DataError(
            f"{path.name} cannot be read ({fault.strerror}).", table=table, mend="Copy it to a sound disk."
        ) from None
    if not data:
        raise DataError(f"{path.name} is empty (0 bytes).", table=table, mend="Export it again.")
    return path, data


def locate(written: str, *, folder: Path, table: str | None = None, hint: str = "") -> Path:
    """Turn a path as written in a study into one that exists.

    Parameters
    ----------
    written : str
        Relative to `folder`, or absolute, with ``~`` and variables; or ``package:NAME/FILE`` for a file that
        an installed package carries (the package is not imported).
    folder, table, hint
        As in `read_cells`.
    """
    if written.startswith("package:"):
        return _in_package(written, table=table)
    for braced, bare in _VARIABLE.findall(written):
        if not os.environ.get(braced or bare):
            raise DataError(
                f"{written} needs the environment variable {braced or bare}, which is not set.",
                table=table,
                mend=f"Set {braced or bare} to the folder that holds the data."
                + (f" Where they come from: {hint}" if hint else ""),
            )
    path = folder / Path(os.path.expandvars(written)).expanduser()
    if path.is_dir():
        inside = sorted(entry.name for entry in path.iterdir() if entry.is_file())
        raise DataError(
            f"{written} is a folder, not a file.",
            table=table,
            mend=f"Name a file in it{': ' + ', '.join(inside[:5]) if inside else ' (it has none)'}.",
        )
    if not path.is_file():
        raise DataError(f"there is no file {written}.", table=table, mend=_similar(path, hint))
    return path


def _similar(path: Path, hint: str) -> str:
    """Say which files are there instead."""
    if not path.parent.is_dir():
        mend = "Its folder is not there either: correct the path."
    else:
        beside = nearest_first(path.name, sorted(e.name for e in path.parent.iterdir() if e.is_file()))
        mend = f"Correct the path; there are {', '.join(beside[:5])}." if beside else "Its folder is empty."
    return mend + (f" Where the data come from: {hint}" if hint else "")


def _in_package(written: str, *, table: str | None) -> Path:
    package, _, rest = written.removeprefix("package:").partition("/")
    # A dotted name would make find_spec import its parent.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    roots = list(spec.submodule_search_locations or []) if spec else []
    if not roots or not rest or ".." in Path(rest).parts:
        raise DataError(
            f"{written} names no file in an installed package.",
            table=table,
            mend=f"Write package:NAME/FOLDER/FILE, and install {package!r} if it is missing.",
        )
    path = Path(roots[0]) / rest
    if not path.is_file():
        raise DataError(f"the package {package!r} has no file {rest}.", table=table, mend=_similar(path, ""))
    return path


def frame_cells(frame: pd.DataFrame, *, name: str = "the DataFrame", table: str | None = None) -> Cells:
    """Take a DataFrame as cells; its index is ignored, its first row is row 1."""
    names = check_header(list(frame.columns), name=name, table=table)
    frame = plain_values(frame.set_axis(names, axis=1).reset_index(drop=True))
    require_rows(frame, name=name, table=table)
    return Cells(frame, np.arange(1, len(frame) + 1, dtype="int64"), name)
