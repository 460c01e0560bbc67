"""Cells become the canonical kinds: id, text, date, number, integer, flag; a cell that cannot is a fault of its row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd

from clv.data.reading.cell_text import Coded
from clv.data.reading.columns import Converted, Fault, Format
from clv.data.reading.dates import Reading, decide_reading, parse_dates
from clv.data.reading.ids import convert_ids
from clv.data.reading.numerals import to_float
from clv.data.settings import Rules
from clv.data.tables import Kind

#: amounts are kept exactly to a millionth; beyond this a 64-bit whole number of millionths ends.
LARGEST = 9e12

_TRUE = frozenset(["true", "t", "yes", "y", "1", "ja", "да", "wahr", "oui", "si"])
_FALSE = frozenset(["false", "f", "no", "n", "0", "nein", "нет", "falsch", "non"])


def convert(cells: Coded, kind: Kind, *, column: str, required: bool, form: Format, rules: Rules) -> Converted:
    """Convert one column.

    Parameters
    ----------
    cells : Coded
        Text or native values.
    kind : str
        Kind of the canonical column.
    column : str
        Its canonical name.
    required : bool
        An empty cell is a fault.
    form : Format
        How numbers and dates are written.
    rules : Rules
        What is acceptable.

    Returns
    -------
    Converted
        `values` has the index of the column.
    """
    empty = cells.empty if kind in ("id", "text") else cells.silent
    values, faults = _KINDS[kind](cells, ~empty, column, form, rules)
    if required and empty.any():
        faults.append(Fault("missing", column, empty, "is empty", "fill it in, or correct the column mapping"))
    return Converted(values, faults)


def _plain(cells: Coded, filled: np.ndarray, column: str, form: Format, rules: Rules) -> tuple[pd.Series, list[Fault]]:
    return pd.Series(cells.each(str.strip, filled), index=cells.cells.index, dtype=object), []


def _number(cells: Coded, filled: np.ndarray, column: str, form: Format, rules: Rules) -> tuple[pd.Series, list[Fault]]:
    if cells.is_number:
        values = cells.cells.to_numpy(dtype=float, na_value=np.nan)
    else:
        texts = [to_float(text, decimal=form.decimal, thousands=form.thousands) for text in cells.texts]
        values = np.array([*texts, np.nan])[cells.codes]
        if cells.numbers.any():
            # A cell that is a number already (Excel) is not read again: its decimal sign is never in doubt.
            values[cells.numbers] = cells.cells[cells.numbers].astype(float)
    unread = filled & ~np.isfinite(values)
    large = np.abs(np.where(unread, 0, values)) > LARGEST
    faults = [
        Fault("not_a_number", column, unread, "is not a number", "correct it, or say 'decimal:' and 'thousands:'"),
        Fault("too_large", column, large, f"is larger than {LARGEST:g}", "give money in thousands or millions"),
    ]
    values = np.where(unread | large, np.nan, values)
    return pd.Series(values, index=cells.cells.index), [f for f in faults if f.mask.any()]


def _integer(
    cells: Coded, filled: np.ndarray, column: str, form: Format, rules: Rules
) -> tuple[pd.Series, list[Fault]]:
    values, faults = _number(cells, filled, column, form, rules)
    broken = (values.notna() & (values != values.round())).to_numpy()
    if broken.any():
        faults.append(Fault("not_whole", column, broken, "is not a whole number", "correct it"))
    return values.where(~broken).astype("Int64"), faults


def _flag(cells: Coded, filled: np.ndarray, column: str, form: Format, rules: Rules) -> tuple[pd.Series, list[Fault]]:
    words = cells.each(lambda text: text.strip().lower(), filled)
    known = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
    values = pd.Series([known.get(word) for word in words], index=cells.cells.index, dtype="boolean")
    unread = filled & values.isna().to_numpy()
    faults = (
        [Fault("not_a_flag", column, unread, "is neither yes nor no", "write true or false")] if unread.any() else []
    )
    return values, faults


def _date(cells: Coded, filled: np.ndarray, column: str, form: Format, rules: Rules) -> tuple[pd.Series, list[Fault]]:
    if cells.is_date:
        native = cells.cells
        if isinstance(native.dtype, pd.DatetimeTZDtype):
            native = native.dt.tz_convert(form.dates.timezone or "UTC").dt.tz_localize(None)
        moments = native.to_numpy(dtype="datetime64[us]")
    else:
        moments = np.append(parse_dates(cells.texts, form.dates), np.datetime64("NaT", "us"))[cells.codes]
        moments = np.where(filled, moments, np.datetime64("NaT", "us"))
    unread = filled & np.isnat(moments)
    earliest = np.datetime64(max(rules.earliest, dt.date(1678, 1, 1)), "us")
    last = rules.latest or dt.datetime.now().astimezone().date() if form.past else dt.date(2261, 12, 31)
    faults = [
        Fault("not_a_date", column, unread, "is not a date that exists", "correct it, or say 'date_format:'"),
        Fault("too_early", column, moments < earliest, f"is before {rules.earliest}",
              "correct it, or set rules.earliest"),
        Fault("too_late", column, moments >= np.datetime64(last + dt.timedelta(days=1), "us"), f"is after {last}",
              "correct it, or set rules.latest"),
    ]  # fmt: skip
    faults = [f for f in faults if f.mask.any()]
    for fault in faults:
        moments = np.where(fault.mask, np.datetime64("NaT", "us"), moments)
    return pd.Series(moments.astype("datetime64[ns]"), index=cells.cells.index), faults


_KINDS: dict[
    Literal["id", "text", "date", "number", "integer", "flag"], Callable[..., tuple[pd.Series, list[Fault]]]
] = {
    "id": lambda cells, filled, column, form, rules: convert_ids(cells, filled, column, rules),
    "text": _plain,
    "date": _date,
    "number": _number,
    "integer": _integer,
    "flag": _flag,
}


def date_reading(
    cells: Coded, told: Reading, *, table: str | None, column: str, sound: np.ndarray | None = None
) -> Reading:
    """Decide how a date column is written, from the rows marked; errors as in `decide_reading`."""
    rows = np.ones(len(cells.cells), dtype=bool) if sound is None else sound
    return decide_reading(cells.evidence(rows), told, table=table, column=column)
