"""Query results become cells: DuckDB files, or any database that SQLAlchemy reaches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clv.data.reading.cells import Cells, check_header, plain_values, require_rows
from clv.errors import DataError


def read_query(sql: str, url: str, *, folder: Path, name: str = "the query", table: str | None = None) -> Cells:
    """Run a query and return its rows.

    Parameters
    ----------
    sql : str
        One query. What it would change is never committed.
    url : str
        ``duckdb:///file.duckdb`` (opened read-only; ``duckdb://`` alone: no file, for queries over CSV and
        Parquet), or an SQLAlchemy address. Relative file names count from `folder`; environment variables are
        expanded, so that passwords need not be written down.
    folder : pathlib.Path
        The study's folder.
    name, table : str
        For messages.

    Raises
    ------
    DataError
        No such database, no connection, a query that fails, no rows.
    """
    address = os.path.expandvars(url)
    kind = address.split(":", 1)[0]
    run = _duckdb if kind == "duckdb" else _sqlalchemy
    frame = run(sql, address, folder=folder, name=name, table=table)
    frame.columns = pd.Index(check_header(list(frame.columns), name=name, table=table))
    require_rows(frame, name=name, table=table, mend="Write a SELECT that finds rows.")
    return Cells(frame, np.arange(1, len(frame) + 1, dtype="int64"), name)


def _duckdb(sql: str, address: str, *, folder: Path, name: str, table: str | None) -> pd.DataFrame:
    import duckdb

    from clv.data.reading.columnar import to_frame

    file = address.removeprefix("duckdb:").removeprefix("//").removeprefix("/")
    in_memory = file in {"", ":memory:"}
    path = Path("/" + file) if address.startswith("duckdb:////") else folder / file
    if not in_memory and not path.is_file():
        raise DataError(f"there is no database file {file!r}.", table=table, mend="Correct 'url:'.")
    # Nothing is fetched from elsewhere: what a query needs must be installed.
    config: dict[str, Any] = {"autoinstall_known_extensions": "false"}
    try:
        with duckdb.connect(
            ":memory:" if in_memory else str(path), read_only=not in_memory, config=config
        ) as connection:
            # Only here: before 2.0 duckdb does not take it as an option of the connection.
            connection.execute("SET file_search_path = '{}'".format(str(folder.resolve()).replace("'", "''")))
            relation = connection.sql(sql)
            if relation is not None:
                arrow = relation.to_arrow_table()
                return to_frame(arrow.rename_columns(check_header(arrow.column_names, name=name, table=table)))
    except duckdb.Error as fault:
        raise _failed(fault, name=name, table=table, folder=folder) from None
    raise DataError(f"{name} returns no columns.", table=table, mend="Write a SELECT.")


def _sqlalchemy(sql: str, address: str, *, folder: Path, name: str, table: str | None) -> pd.DataFrame:
    import sqlalchemy

    try:
        url = sqlalchemy.make_url(address)
    except sqlalchemy.exc.ArgumentError:
        raise DataError(
            "'url' is no database address.",
            table=table,
            mend="Write e.g. duckdb:///file.duckdb, sqlite:///file.db or postgresql://user:$PASSWORD@host/base.",
        ) from None
    if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
        path = folder / str(url.database)
        if not path.is_file():  # sqlite would create it
            raise DataError(f"there is no database file {url.database!r}.", table=table, mend="Correct 'url:'.")
        url = url.set(database=str(path))
    try:
        engine = sqlalchemy.create_engine(url)
        try:
            with engine.connect() as connection:
                result = connection.exec_driver_sql(sql)
                names = list(result.keys()) if result.returns_rows else []
                rows: list[Any] = [tuple(row) for row in result] if result.returns_rows else []
        finally:
            engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as fault:
        raise _failed(getattr(fault, "orig", None) or fault, name=name, table=table, folder=folder) from None
    if not names:
        raise DataError(f"{name} returns no columns.", table=table, mend="Write a SELECT.")
    columns = {at: [row[at] for row in rows] for at in range(len(names))}
    frame = pd.DataFrame({at: pd.Series(values, dtype=object) for at, values in columns.items()})
    return plain_values(frame).set_axis(names, axis=1)


def _failed(fault: BaseException, *, name: str, table: str | None, folder: Path) -> DataError:
    """Say in one line what the database said, without paths of this machine."""
    said = " ".join(str(fault).split()).replace(str(folder.resolve()), "…")
    return DataError(f"{name} failed: {said[:500]}", table=table, mend="Correct 'sql:' or 'url:'.")
