"""The public readers: a source becomes a checked table, its rejected rows and a reconciliation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

import pandas as pd
from pydantic import ValidationError

from clv.data.accounting.booking import settle
from clv.data.accounting.ledger import Read
from clv.data.reading.cells import did_you_mean, nearest_first
from clv.data.reading.sources import frame_cells, read_cells
from clv.data.settings import Rules, TableSource
from clv.data.tables import INPUTS
from clv.errors import DataError, SettingsError

Source: TypeAlias = str | Path | pd.DataFrame | TableSource


class Options(TypedDict, total=False):
    """How a source is written, where that is not to be detected; the fields of `clv.data.settings.TableSource`.

    `columns` maps our names to the source's. `rules` is a `Rules` or a mapping of its fields.
    """

    columns: Mapping[str, str] | None
    rules: Rules | Mapping[str, Any] | None
    sheet: str | int | None
    header: list[str] | None
    encoding: str | None
    separator: str | None
    decimal: Literal[".", ","] | None
    thousands: Literal[".", ",", " ", "'"] | None
    date_format: str | None
    dayfirst: bool | None
    timezone: str | None


def read_table(
    table: str, source: Source, *, folder: Path | None = None, hint: str = "", **options: Unpack[Options]
) -> Read:
    """Read one table.

    Parameters
    ----------
    table : str
        Which: a key of `clv.data.tables.INPUTS`.
    source : str, pathlib.Path, pandas.DataFrame or TableSource
        A file (CSV, Parquet, Excel), a frame (its index is ignored), or a full description, which may be a
        query.
    folder : pathlib.Path, optional
        What relative paths count from; the working directory if None.
    hint : str
        Where the data can be had, for messages.
    **options
        See `Options`; not together with a TableSource, except `rules`.

    Returns
    -------
    Read
        Rows in error are in `Read.rejected`, not raised: call `Read.check` to stop at them.

    Raises
    ------
    DataError
        The source as a whole cannot be used: not there, empty, without a required column, undecidable.
    SettingsError
        An option is unknown or impossible.
    """
    if table not in INPUTS:
        raise SettingsError(
            f"{table!r} is no table{did_you_mean(table, INPUTS)}.", mend=f"Known are {', '.join(INPUTS)}."
        )
    rules = _rules(options.pop("rules", None))
    given = {key: value for key, value in options.items() if value is not None}
    if isinstance(source, pd.DataFrame):
        described = _described({"path": "-", **given})
        cells = frame_cells(source, table=table)
    elif isinstance(source, TableSource):
        if given:
            raise SettingsError(f"{sorted(given)[0]!r} belongs into the TableSource.", mend="Give it there.")
        described = source
        cells = read_cells(described, folder=folder or Path(), table=table, hint=hint)
    else:
        described = _described({"path": str(source), **given})
        cells = read_cells(described, folder=folder or Path(), table=table, hint=hint)
    columns = match_columns(table, list(cells.frame.columns), described.columns, name=cells.name)
    return settle(table, cells, columns, described, rules)


def match_columns(table: str, found: list[str], mapping: Mapping[str, str], *, name: str) -> dict[str, str]:
    """Match our columns to those of a source; our name -> its name.

    Raises
    ------
    DataError
        A column that is mapped or required is not there; the columns that are come with the nearest first.
    SettingsError
        The mapping names a column that this table does not have.
    """
    schema = INPUTS[table]
    for ours in mapping:
        if ours not in schema.columns:
            raise SettingsError(
                f"tables.{table}.columns: {ours!r} is no column of {table}{did_you_mean(ours, schema.columns)}.",
                mend=f"Known are {', '.join(schema.columns)}.",
            )
    matched = {
        ours: mapping.get(ours, ours) for ours in schema.columns if mapping.get(ours, ours) in found or ours in mapping
    }
    derivable = table == "transactions" and {"quantity", "unit_price"} <= set(matched)
    for ours, column in schema.columns.items():
        wanted = mapping.get(ours, ours)
        lacking = ours in mapping or (column.required and not (ours == "amount" and derivable))
        if wanted not in found and lacking:
            also = " (nor quantity and unit_price, from which it could be computed)" if ours == "amount" else ""
            raise DataError(
                f"{name} has no such column{also}. It has {', '.join(nearest_first(wanted, found))}.",
                table=table,
                column=wanted,
                mend=f"Say which one it is: 'columns: {{{ours}: …}}'.",
            )
    return matched


def _rules(given: Rules | Mapping[str, Any] | None) -> Rules:
    from clv.data.settings_errors import explain

    if isinstance(given, Rules):
        return given
    try:
        return Rules.model_validate(dict(given or {}))
    except ValidationError as faults:
        raise SettingsError(explain(faults, Rules)) from None


def _described(given: dict[str, Any]) -> TableSource:
    from clv.data.settings_errors import explain

    try:
        return TableSource.model_validate({**given, "columns": dict(given.get("columns", {}))})
    except ValidationError as faults:
        raise SettingsError(explain(faults, TableSource)) from None


def read_transactions(source: Source, **options: Unpack[Options]) -> Read:
    """Read invoice lines or payments: who, when, how much (or quantity and price of one); see `read_table`."""
    return read_table("transactions", source, **options)


def read_accounts(source: Source, **options: Unpack[Options]) -> Read:
    """Read accounts, customers and prospects; further columns are kept as text; see `read_table`."""
    return read_table("accounts", source, **options)


def read_contacts(source: Source, **options: Unpack[Options]) -> Read:
    """Read people at accounts; see `read_table`."""
    return read_table("contacts", source, **options)


def read_touches(source: Source, **options: Unpack[Options]) -> Read:
    """Read contacts between us and accounts; see `read_table`."""
    return read_table("touches", source, **options)


def read_opportunities(source: Source, **options: Unpack[Options]) -> Read:
    """Read deals won, lost and open; see `read_table`."""
    return read_table("opportunities", source, **options)


def read_programmes(source: Source, **options: Unpack[Options]) -> Read:
    """Read which account was in which programme, tier and arm; see `read_table`."""
    return read_table("programmes", source, **options)


def read_contracts(source: Source, **options: Unpack[Options]) -> Read:
    """Read contract terms; see `read_table`."""
    return read_table("contracts", source, **options)


def read_offers(source: Source, **options: Unpack[Options]) -> Read:
    """Read when which account could buy at a discount; see `read_table`."""
    return read_table("offers", source, **options)


def read_wallets(source: Source, **options: Unpack[Options]) -> Read:
    """Read what accounts need in a year, from a survey; see `read_table`."""
    return read_table("wallets", source, **options)


def read_assessments(source: Source, **options: Unpack[Options]) -> Read:
    """Read what account teams answered about their accounts; see `read_table`."""
    return read_table("assessments", source, **options)


def read_costs(source: Source, **options: Unpack[Options]) -> Read:
    """Read what was spent on winning accounts, on programmes and on service; see `read_table`."""
    return read_table("costs", source, **options)


def read_deal_stages(source: Source, **options: Unpack[Options]) -> Read:
    """Read when deals entered the stages of the sales process; see `read_table`."""
    return read_table("deal_stages", source, **options)


def read_team_tiers(source: Source, **options: Unpack[Options]) -> Read:
    """Read the tiers that the team itself would give its accounts; see `read_table`."""
    return read_table("team_tiers", source, **options)


def read_managers(source: Source, **options: Unpack[Options]) -> Read:
    """Read what each manager can take on: spare hours, accounts at most; see `read_table`."""
    return read_table("managers", source, **options)
