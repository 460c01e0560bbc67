"""Reads every table of a study and says whether its rows and money add up; writes nothing by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.errors import ClvError, RunError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Checked:
    """What reading a study gave.

    Attributes
    ----------
    text : str
        Table by table: read, set aside, accepted; then what to mind about programmes, if anything.
    rejected : pandas.DataFrame
        Rows that were not used, of all tables.
    faults : tuple of str
        Why the study cannot be used; empty where it can.
    """

    text: str
    rejected: pd.DataFrame
    faults: tuple[str, ...]


def check_study(study: str, overrides: Mapping[str, Any] | None = None) -> Checked:
    """Read every table of a study.

    Parameters
    ----------
    study : str
        A study's folder, or the name of a sample.
    overrides : mapping, optional
        Settings that replace those of ``study.yml``.

    Returns
    -------
    Checked

    Raises
    ------
    ClvError
        The settings are wrong.
    """
    import pandas as pd

    from clv.data.study import load_study

    loaded = load_study(study, overrides)
    settings = loaded.settings
    parts = [f"{settings.title} ({settings.name})" + (", synthetic data" if settings.synthetic else "")]
    rejected: list[pd.DataFrame] = []
    faults: list[str] = []
    tables: dict[str, pd.DataFrame] = {}
    for table in settings.tables:
        try:
            read = loaded.read(table)
        except ClvError as error:
            faults.append(str(error))
            continue
        tables[table] = read.table
        parts.append(_lines(table, read.reconciliation, settings.currency))
        if len(read.rejected):
            rejected.append(read.rejected)
        try:
            read.check(settings.rules.max_rejected)
        except ClvError as error:
            faults.append(str(error))
    if not faults and {"programmes", "transactions"} <= set(tables):
        from clv.abm.experiments.programme_check import programme_faults

        found = programme_faults(
            tables["programmes"], as_of=loaded.as_of(tables["transactions"]), costs="costs" in tables
        )
        if found:
            parts.append("\n".join(["to mind:", *(f"- {said}" for said in found)]))
    return Checked("\n\n".join(parts), pd.concat(rejected) if rejected else pd.DataFrame(), tuple(faults))


def _lines(table: str, reconciliation: pd.DataFrame, currency: str) -> str:
    columns = (reconciliation[name].tolist() for name in ("line", "rows", "amount"))
    rows = [
        (str(line), f"{count:,}", "" if math.isnan(amount) else f"{amount:,.2f}")
        for line, count, amount in zip(*columns, strict=True)
    ]
    money = any(amount for _, _, amount in rows)
    head = (table, "rows", currency if money else "")
    wide = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]
    return "\n".join(
        f"{line:<{wide[0]}}  {count:>{wide[1]}}  {amount:>{wide[2]}}".rstrip() for line, count, amount in [head, *rows]
    )


def write_rejected(rejected: pd.DataFrame, path: Path) -> None:
    """Write rows that were not used to a CSV or Parquet file.

    Raises
    ------
    RunError
        The ending is neither, or the file cannot be written.
    """
    writers = {
        ".csv": lambda: rejected.to_csv(path, index=False),
        ".parquet": lambda: rejected.to_parquet(path, index=False),
    }
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise RunError(f"{str(path)!r} ends neither in .csv nor in .parquet.", mend="Choose one of these endings.")
    try:
        writer()
    except OSError as error:
        raise RunError(f"{str(path)!r} cannot be written: {error.strerror}.", mend="Choose another file.") from error
