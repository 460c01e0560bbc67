"""Parquet and Arrow tables become cells with their own types, none of them guessed again."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.data.reading.cells import Cells, check_header, plain_values, require_rows
from clv.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(data: bytes, *, name: str, table: str | None = None) -> Cells:
    """Read a Parquet file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name, table : str
        For messages.

    Raises
    ------
    DataError
        The file is no whole Parquet file, has no rows, or has a column twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        arrow = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as fault:
        raise DataError(
            f"{name} is no whole Parquet file ({str(fault).splitlines()[0][:120]}).",
            table=table,
            mend="Write or copy it again.",
        ) from None
    names = check_header(arrow.column_names, name=name, table=table)
    frame = to_frame(arrow.rename_columns(names))
    require_rows(frame, name=name, table=table)
    return Cells(frame, np.arange(1, len(frame) + 1, dtype="int64"), name)


def to_frame(arrow: pa.Table) -> pd.DataFrame:
    """Turn an Arrow table into a frame in which whole numbers stay whole, whatever cells are empty.

    A pandas index that was written as a nameless column is left out: it is no data.
    """
    import pyarrow as pa

    keep = [name for name in arrow.column_names if not _PANDAS_INDEX.fullmatch(name)]
    arrow = arrow.select(keep) if len(keep) < len(arrow.column_names) else arrow
    for at, column in enumerate(arrow.schema):
        if pa.types.is_dictionary(column.type):
            arrow = arrow.set_column(at, column.name, arrow.column(at).cast(column.type.value_type))
        elif pa.types.is_decimal(column.type):
            arrow = arrow.set_column(at, column.name, arrow.column(at).cast(pa.float64()))
    return plain_values(arrow.to_pandas(types_mapper=_types().get, ignore_metadata=True))


def _types() -> dict[Any, Any]:
    import pyarrow as pa

    return {
        **{getattr(pa, f"{sign}int{bits}")(): pd.Int64Dtype() for bits in (8, 16, 32, 64) for sign in ("", "u")},
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
