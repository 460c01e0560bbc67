"""Rows that cannot be read: cells in fault, values out of range, ids that should be the only one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa

from clv.data.accounting.bookkeeping import Ledger
from clv.data.accounting.ledger import to_micros
from clv.data.reading.columns import Fault
from clv.data.schemas import broken
from clv.data.tables import INPUTS


def reject_unreadable(ledger: Ledger, faults: list[Fault]) -> None:
    """Book rows that cannot be read, each once, with all that is wrong with it."""
    frame = ledger.cells.frame
    broken = np.zeros(len(frame), dtype=bool)
    broken[list(ledger.cells.broken)] = True
    width = frame.shape[1]
    if broken.any():
        reasons = {
            at: f"the row has {len(fields)} fields, the header {width}; quote fields that contain the separator"
            for at, fields in ledger.cells.broken.items()
        }
        ledger.amount = np.where(broken, np.nan, ledger.amount)
        ledger.micros = to_micros(ledger.amount)
        ledger.reject("fields", "error", broken, reasons)
    said: dict[int, list[str]] = {}
    for fault in faults:
        cells = frame.get(fault.column)
        for at in np.flatnonzero(fault.mask & ~broken).tolist():
            value = "" if cells is None or fault.check == "missing" else f" {_short(cells.iloc[at])}"
            said.setdefault(at, []).append(f"{fault.column}{value} {fault.reason} ({fault.mend})")
    reasons = {at: "; ".join(texts) for at, texts in said.items()}
    for check in dict.fromkeys(fault.check for fault in faults):
        mask = np.logical_or.reduce([fault.mask for fault in faults if fault.check == check]) & ~broken
        ledger.reject(check, "error", mask, reasons)


def _short(value: object) -> str:
    text = repr(str(value))
    return text if len(text) <= 62 else f"{text[:58]}…{text[0]}"


def reject_by_schema(ledger: Ledger, frame: pd.DataFrame, table: str) -> None:
    """Book rows that break a check of the schema, all of them (ranges, allowed values)."""
    schema = INPUTS[table]
    said: dict[int, list[str]] = {}
    columns = {
        name: pa.Column(None, checks=column.checks, nullable=True, required=False)
        for name, column in schema.columns.items()
        if column.checks and name in frame
    }
    if not columns:
        return
    try:
        pa.DataFrameSchema(columns).validate(frame[ledger.open], lazy=True)
    except pa.errors.SchemaErrors as faults:
        for fault in faults.failure_cases.to_dict("records"):
            check = columns[str(fault["column"])].checks[int(fault["check_number"])]
            said.setdefault(int(fault["index"]), []).append(
                f"{fault['column']} {_short(fault['failure_case'])} {broken(check)}"
            )
    mask = np.zeros(len(frame), dtype=bool)
    mask[list(said)] = True
    if mask.any():
        ledger.reject("schema", "error", mask, {at: "; ".join(texts) + " (correct it)" for at, texts in said.items()})


def reject_repeated(ledger: Ledger, frame: pd.DataFrame, table: str) -> None:
    """Book rows whose id, which must be the only one, has been seen in an earlier row."""
    for name, column in INPUTS[table].columns.items():
        if not column.unique or name not in frame:
            continue
        rows = pd.Series(ledger.cells.rows, index=frame.index)
        first = rows[ledger.open].groupby(frame.loc[ledger.open, name]).transform("first")
        repeated = np.zeros(len(frame), dtype=bool)
        repeated[ledger.open] = frame.loc[ledger.open, name].duplicated().to_numpy()
        if repeated.any():
            reasons = {
                at: f"{name} {_short(frame[name].iloc[at])} is in row {first.loc[at]} already (keep one of them)"
                for at in np.flatnonzero(repeated).tolist()
            }
            ledger.reject("repeated_id", "error", repeated, reasons)
