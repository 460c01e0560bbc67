"""From cells to books: convert every column, check the schema, apply the rules, balance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.data.accounting.bookkeeping import Ledger
from clv.data.accounting.faults import reject_by_schema, reject_repeated, reject_unreadable
from clv.data.accounting.ledger import MICRO, Read, money_column, to_micros
from clv.data.accounting.set_aside import set_aside
from clv.data.reading.cell_text import Coded
from clv.data.reading.cells import Cells
from clv.data.reading.columns import Converted, Fault, Format
from clv.data.reading.convert import LARGEST, convert, date_reading
from clv.data.reading.dates import Reading
from clv.data.reading.numerals import Decimal, decide_decimal
from clv.data.settings import Rules, TableSource
from clv.data.tables import INPUTS

#: dates of what has happened; contracts and programmes may end in the future.
_PAST = {"date", "created"}


def settle(table: str, cells: Cells, columns: dict[str, str], source: TableSource, rules: Rules) -> Read:
    """Turn cells into accepted and rejected rows.

    A row that cannot be read is rejected with all that is wrong with it. Of the others, each is booked under the
    first rule that it meets (`clv.data.accounting.rules`).

    Parameters
    ----------
    table : str
        A key of `clv.data.tables.INPUTS`.
    cells : Cells
        What was read.
    columns : dict of str to str
        Our name -> the source's.
    source : TableSource
        How numbers and dates are written, where that is told.
    rules : Rules
        The study's choices.

    Raises
    ------
    DataError
        A column as a whole can be read in two ways.
    """
    values, faults = _convert(table, cells, columns, source, rules)
    if table == "transactions" and "amount" not in values:
        values["amount"], more = _amounts(values, faults)
        faults.extend(more)
    money = (
        values[money_column(table)].to_numpy(dtype=float)
        if money_column(table) in values
        else np.full(len(values), np.nan)
    )
    ledger = Ledger(table, cells, money)
    frame = _ordered(table, values, cells, columns)
    reject_unreadable(ledger, faults)
    reject_by_schema(ledger, frame, table)
    taken = np.zeros(len(frame), dtype="int64")
    duplicated = cells.frame.duplicated().to_numpy()
    if table == "transactions":
        frame, taken = set_aside(ledger, frame, duplicated, rules)
    elif rules.duplicates == "drop":
        ledger.reject("duplicates", "rule", duplicated, "equal to an earlier row in every column")
    reject_repeated(ledger, frame, table)
    accepted = INPUTS[table].validate(frame[ledger.open].reset_index(drop=True), lazy=True)
    return ledger.close(accepted, taken, max_rejected=rules.max_rejected)


def _convert(
    table: str, cells: Cells, columns: dict[str, str], source: TableSource, rules: Rules
) -> tuple[pd.DataFrame, list[Fault]]:
    """Convert every matched column; broken rows are skipped, they have no columns to speak of."""
    schema = INPUTS[table]
    kinds = {ours: (schema.columns[ours].metadata or {})["kind"] for ours in columns}
    coded = {ours: Coded(cells.frame[theirs]) for ours, theirs in columns.items()}
    sound = np.ones(len(cells.frame), dtype=bool)
    sound[list(cells.broken)] = False  # shifted cells are no evidence of how a column is written
    texts = [text for ours in columns if kinds[ours] in ("number", "integer") for text in coded[ours].evidence(sound)]
    decimal: Decimal | None = source.decimal
    if decimal is None and source.thousands in (".", ","):
        decimal = "," if source.thousands == "." else "."
    if decimal is None:
        decimal = decide_decimal(texts, table=table, semicolon=cells.semicolon)
    told = Reading(source.dayfirst, source.date_format, source.timezone)
    converted: dict[str, Converted] = {}
    for ours, theirs in columns.items():
        column, reading = coded[ours], told
        if kinds[ours] == "date":
            reading = date_reading(column, told, table=table, column=theirs, sound=sound)
        form = Format(
            decimal=decimal,
            thousands=source.thousands,
            dates=reading,
            past=ours in _PAST,
        )
        required = schema.columns[ours].required
        if table == "transactions" and ours == "account_id":
            required = rules.missing_account == "error"
        converted[ours] = convert(column, kinds[ours], column=theirs, required=required, form=form, rules=rules)
    faults = [fault for column in converted.values() for fault in column.faults]
    return pd.DataFrame({ours: column.values for ours, column in converted.items()}), faults  # noqa: PD011


def _amounts(values: pd.DataFrame, faults: list[Fault]) -> tuple[pd.Series, list[Fault]]:
    """Multiply quantity and price, to whole millionths."""
    product = values["quantity"] * values["unit_price"]
    large = (product.abs() > LARGEST).to_numpy()
    amount = pd.Series(to_micros(product.where(~large).to_numpy()) / MICRO, index=values.index)
    known = (product.notna() & ~large).to_numpy()
    unread = np.zeros(len(values), dtype=bool)
    for fault in faults:
        unread |= fault.mask
    empty = ~known & ~large & ~unread
    more = [
        Fault("missing", "quantity × unit_price", empty, "cannot be computed", "fill in both"),
        Fault("too_large", "quantity × unit_price", large, f"is larger than {LARGEST:g}", "give money in thousands"),
    ]
    return amount.where(known), [fault for fault in more if fault.mask.any()]


def _ordered(table: str, values: pd.DataFrame, cells: Cells, columns: dict[str, str]) -> pd.DataFrame:
    """Put columns into the schema's order; accounts keep further columns, which models may use, as text."""
    frame = values[[name for name in INPUTS[table].columns if name in values]].copy()
    if table == "accounts":
        used = set(columns.values())
        for name in cells.frame.columns:
            if name not in used and name not in frame:
                frame[name] = cells.frame[name].mask(Coded(cells.frame[name]).empty)
    return frame
