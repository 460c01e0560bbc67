"""A folder with a `study.yml` becomes a study: settings that are sound, and tables that are read when asked for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from pydantic import ValidationError

from clv.data.accounting.ledger import Read
from clv.data.readers import read_table
from clv.data.reading.cells import Cells, did_you_mean
from clv.data.reading.sources import read_bytes, read_cells
from clv.data.settings import Settings, TableSource
from clv.data.settings_errors import explain
from clv.data.study_file import apply_overrides, read_study_file, take_literally
from clv.data.tables import INPUTS
from clv.errors import DataError, SettingsError


class Study:
    """Settings and tables of one study.

    Attributes
    ----------
    folder : pathlib.Path
        What relative paths count from.
    settings : Settings
        Checked settings, overrides included.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self._read: dict[str, Read] = {}

    def __repr__(self) -> str:
        return f"Study({self.name!r}, tables: {', '.join(self.settings.tables)})"

    @property
    def name(self) -> str:
        """Its name, which is also that of its reports."""
        return self.settings.name

    def has(self, table: str) -> bool:
        """Whether the study has this table."""
        return table in self.settings.tables

    def read(self, table: str) -> Read:
        """Read a table, once.

        Rows in error are in `Read.rejected`; ``study.read(table).check()`` stops at them.

        Raises
        ------
        DataError
            The study has no such table, or its source cannot be used.
        """
        if table not in self._read:
            self._read[table] = read_table(
                table, self._source(table), folder=self.folder, hint=self.settings.provenance.strip(),
                rules=self.settings.rules,
            )  # fmt: skip
        return self._read[table]

    def inputs(self) -> pd.DataFrame:
        """Say what the study is made from.

        Returns
        -------
        pandas.DataFrame
            table, path as written in `study.yml` (never a machine's), sha256, bytes; for a query the hash of
            its result, since a database has no bytes of its own.
        """
        rows = []
        for table, source in self.settings.tables.items():
            if source.path is not None:
                path, data = source.path, self._bytes(table, source.path)
            else:
                path, data = f"query to {_without_password(str(source.url))}", self._result(table, source)
            rows.append({"table": table, "path": path, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
        for setting, (place, file) in self.earlier().items():
            data = file.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            rows.append({"table": setting, "path": place, "sha256": digest, "bytes": len(data)})
        return pd.DataFrame(rows, columns=["table", "path", "sha256", "bytes"])

    def earlier(self) -> dict[str, tuple[str, Path]]:
        """Say which files of earlier runs the study builds on.

        Returns
        -------
        dict
            Setting (``response``, ``selection.last_run``) -> the place as written in `study.yml`, and the file; a run
            folder stands for the file in it. Settings that are not given are left out.

        Raises
        ------
        DataError
            There is no such file.
        """
        named = {
            "response": (self.settings.response, "response.json"),
            "selection.last_run": (self.settings.selection.last_run, "tables/account_selection.parquet"),
        }
        found = {}
        for setting, (place, inside) in named.items():
            if place is None:
                continue
            path = self.folder / Path(os.path.expandvars(place)).expanduser()
            file = path / inside if path.is_dir() else path
            if not file.is_file():
                raise DataError(
                    f"{place} is not there, or holds no {PurePosixPath(inside).name}.", table=setting,
                    mend=f"Give {setting!r} a run folder, or the file {PurePosixPath(inside).name} of one.",
                )  # fmt: skip
            found[setting] = (place, file)
        return found

    def fingerprint(self) -> str:
        """Return a hash over the settings and all inputs: equal fingerprints, equal results."""
        settings = json.dumps(self.settings.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        hashes = self.inputs()[["table", "sha256"]].to_csv(index=False, lineterminator="\n")
        return hashlib.sha256(f"{settings}\n{hashes}".encode()).hexdigest()

    def as_of(self, transactions: pd.DataFrame) -> pd.Timestamp:
        """Return the day up to which purchases count: the setting, or the day of the last purchase.

        Raises
        ------
        DataError
            No purchase lies on or before that day.
        """
        if transactions.empty:
            raise DataError("no purchases are left.", table="transactions", mend="See what the rules set aside.")
        if self.settings.as_of is None:
            return transactions["date"].max().normalize()
        day, first = pd.Timestamp(self.settings.as_of), transactions["date"].min()
        if first.normalize() > day:
            raise DataError(
                f"no purchase lies on or before as_of {day:%Y-%m-%d}; the first is of {first:%Y-%m-%d}.",
                table="transactions",
                mend="Correct 'as_of'.",
            )
        return day

    def references(self) -> pd.DataFrame:
        """Report ids that point to nothing: accounts, parents and contacts that their own table does not have.

        Returns
        -------
        pandas.DataFrame
            table, column, refers_to, rows (that point to nothing), ids (distinct), examples; a line for each
            pair of tables that the study has. Not an error: a report on what the tables say of each other.
        """
        from clv.data.references import find_lost

        return find_lost(self)

    def _source(self, table: str) -> TableSource:
        if table not in self.settings.tables:
            wrong = did_you_mean(table, INPUTS) if table not in INPUTS else ""
            raise DataError(
                f"the study {self.name!r} has no table {table!r}{wrong}.",
                mend=f"Describe it under 'tables:'; the study has {', '.join(self.settings.tables)}.",
            )
        return self.settings.tables[table]

    def _bytes(self, table: str, path: str) -> bytes:
        return read_bytes(path, folder=self.folder, table=table, hint=self.settings.provenance.strip())[1]

    def _result(self, table: str, source: TableSource) -> bytes:
        cells: Cells = read_cells(source, folder=self.folder, table=table)
        return cells.frame.to_csv(index=False, lineterminator="\n").encode()


def _without_password(url: str) -> str:
    """Leave out a password, if one is written into an address."""
    head, at, rest = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.split(':', 1)[0]}@{rest}" if at else url


def load_study(study: str | Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """Load a study: read its settings and check them; no table is read yet.

    Parameters
    ----------
    study : str or pathlib.Path
        A folder with a `study.yml`, that file, or the name of a sample (a folder of that name comes first).
    overrides : mapping, optional
        Settings that replace those in the file, by dotted path: ``{"horizon": 26, "tiers.0.cost": 9000}``. Text
        is read as YAML, so that ``"26"`` from a command line is a number.

    Raises
    ------
    SettingsError
        The file is not there or no YAML, or settings are unknown or impossible: all of them in one message.
    """
    file = _file(study)
    document = read_study_file(file)
    apply_overrides(document, overrides or {})
    for again in (True, False):
        try:
            settings = Settings.model_validate(document)
            break
        except ValidationError as faults:
            if again and take_literally(document, overrides or {}, faults):
                continue
            raise SettingsError(f"{file.parent.name}/{file.name}: {explain(faults, Settings)}") from None
    for table, source in settings.tables.items():
        for ours in source.columns:
            if ours not in INPUTS[table].columns:
                known = INPUTS[table].columns
                near = did_you_mean(ours, known)
                raise SettingsError(
                    f"{file.parent.name}/{file.name}: tables.{table}.columns: unknown key {ours!r}{near}.",
                    mend=f"Known are {', '.join(known)}.",
                )
    return Study(file.parent, settings)


def _file(study: str | Path) -> Path:
    from clv.data.samples import sample_folder

    path = Path(study).expanduser()
    if path.is_dir():
        file = path / "study.yml"
        if not file.is_file():
            raise SettingsError(
                f"the folder {path.name or str(study)!r} has no study.yml.",
                mend=f"Write one: clv init {study}",
            )
        return file
    if path.is_file():
        if path.suffix.lower() not in {".yml", ".yaml"}:
            raise SettingsError(
                f"{path.name} is no study.", mend="Give a folder with a study.yml; clv init FOLDER writes one."
            )
        return path
    return sample_folder(str(study)) / "study.yml"
