"""Tables to CSV with fixed formats: equal tables give equal bytes on any machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

#: decimals of money and the like; floats without an entry are measures of the truth, six significant digits.
_DECIMALS = {
    "employees": 0, "revenue": 0, "quantity": 0, "cost": 2, "hours": 1, "wallet": 0, "value": 0, "discount": 2,
    "influence": 2, "attitude": 2, "sentiment": 2, "unit_price": 2, "amount": 2, "billed": 2, "net": 2,
    "past_revenue": 2, "week": 5, "margin_52": 2, "incremental_margin": 2, "margin_if_won": 2, "mean_cost": 0,
}  # fmt: skip


_ROWS = 200_000


def as_text(name: str, column: pd.Series) -> np.ndarray:
    """Format one column: ISO dates, true and false, fixed decimals; what is missing is empty."""
    missing = column.isna().to_numpy()
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        days = column.to_numpy(dtype="datetime64[D]")
        text = np.where(missing, "", np.datetime_as_string(days)).astype(object)
    elif pd.api.types.is_bool_dtype(column.dtype):
        text = np.where(column.fillna(False).to_numpy(dtype=bool), "true", "false").astype(object)
    elif pd.api.types.is_float_dtype(column.dtype):
        text = np.char.mod(f"%.{_DECIMALS[name]}f" if name in _DECIMALS else "%.6g", column.to_numpy()).astype(object)
    else:
        text = column.astype(object).to_numpy(dtype=object, copy=True)
    text[missing] = ""
    return text


def write_tables(tables: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write one CSV a table (UTF-8, LF) and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in tables.items():
        file = folder / f"{name}.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            # In parts, so that the text of a large table is never whole in memory.
            for begin in range(0, max(len(table), 1), _ROWS):
                part = table.iloc[begin : begin + _ROWS]
                text = pd.DataFrame({column: as_text(column, part[column]) for column in table.columns})
                text.to_csv(out, index=False, header=begin == 0, lineterminator="\n")
        files.append(file)
    return files
