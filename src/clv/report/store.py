"""The run folder: the tables and models that one notebook leaves for the next, as Parquet and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.data.schemas import broken
from clv.data.tables import INPUTS, RUN_TABLES
from clv.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

_FINGERPRINT = b"clv.fingerprint"


@dataclass(frozen=True)
class Store:
    """Tables and models of one run, kept in a folder or, without one, in memory only.

    Parameters
    ----------
    folder : pathlib.Path or None
        The run folder; None keeps nothing between notebooks.
    fingerprint : str
        Hash of the study's settings and inputs. It is written into every table: one that carries another
        fingerprint is stale and not read, one that carries none was put there by somebody else and is read.
    """

    folder: Path | None
    fingerprint: str

    def keep_model(self, name: str, model: Any) -> None:
        """Leave a fitted model as JSON beside the tables, for whoever wants to predict with it."""
        if self.folder is not None:
            path = self.folder / "models" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            model.save(path)

    def put(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Check a table against its schema and keep it; an index named ``account_id`` becomes a column.

        Returns
        -------
        pandas.DataFrame
            The table as it was given.
        """
        flat = frame.reset_index() if frame.index.name == "account_id" else frame
        checked = _validated(name, flat)
        if self.folder is not None:
            _write(self.folder / "tables" / f"{name}.parquet", checked, self.fingerprint)
        return frame

    def export(self, name: str, frame: pd.DataFrame) -> None:
        """Leave a table as CSV and Excel files for other software; see `clv.report.export`."""
        if self.folder is not None:
            from clv.report.export import write_exports

            write_exports(frame, self.folder / "exports", name)

    def get(self, name: str) -> pd.DataFrame | None:
        """Return a kept table that is current, or somebody else's in its place; None where there is neither."""
        found = self._read(name)
        return None if found is None or found[1] not in (None, self.fingerprint) else found[0]

    def get_foreign(self, name: str) -> pd.DataFrame | None:
        """Return a table that somebody else put into the run folder, None where there is none."""
        found = self._read(name)
        return None if found is None or found[1] is not None else found[0]

    def _read(self, name: str) -> tuple[pd.DataFrame, str | None] | None:
        if self.folder is None:
            return None
        path = self.folder / "tables" / f"{name}.parquet"
        if not path.exists():
            return None
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_schema(path).metadata or {}
            frame = pd.read_parquet(path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{path.name} in the run folder cannot be read as Parquet ({error})",
                table=name,
                mend="remove the file, so that it is made anew, or put a readable one there",
            ) from error
        mark = metadata.get(_FINGERPRINT)
        return _validated(name, frame), None if mark is None else mark.decode()


def _validated(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Check against the schema, collecting every fault into one error."""
    import pandera.errors

    schema = RUN_TABLES.get(name, INPUTS.get(name))
    if schema is None:
        raise DataError(
            "is not a table that notebooks hand on", table=name, mend="declare its schema in clv.data.tables"
        )
    try:
        checked: pd.DataFrame = schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases: Any = error.failure_cases
        shown = "; ".join(f"column {case.column}: {_fault(schema, case)}" for case in cases.head(5).itertuples())
        raise DataError(
            f"{len(cases)} faults against its schema: {shown}",
            table=name,
            mend="give the table the columns and values listed in the data dictionary",
        ) from error
    checked.attrs = dict(frame.attrs)
    return checked


def _fault(schema: pa.DataFrameSchema, case: Any) -> str:
    """Say what is wrong with a value, in words where it breaks a check of its column."""
    if case.check_number is None or case.check_number != case.check_number or case.column not in schema.columns:
        return f"{case.check} fails for {case.failure_case!r}"
    return f"{case.failure_case!r} {broken(schema.columns[case.column].checks[int(case.check_number)])}"


def _write(path: Path, frame: pd.DataFrame, fingerprint: str) -> None:
    """Write Parquet whose bytes depend on the content alone, under a temporary name first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _FINGERPRINT: fingerprint.encode()})
    unfinished = path.with_suffix(".unfinished")
    try:
        pq.write_table(table, unfinished, compression="zstd")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
