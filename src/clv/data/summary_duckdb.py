"""The summary's counts and sums in DuckDB: for books that are too large for memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clv.data.settings import Grain
from clv.data.whole_logs import whole_logs
from clv.errors import DataError

_NUMBERS = (
    "DOUBLE",
    "DECIMAL",
    "FLOAT",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINY",
    "USMALL",
    "UINT",
    "UBIG",
)
_START = {
    "D": "day",
    "W": "CAST(date_trunc('week', day) AS DATE)",  # ISO: from Monday
    "M": "CAST(date_trunc('month', day) AS DATE)",
}

# Money is rounded to whole millionths before it is added, so that no order of adding can change a sum.
_QUERY = """
WITH lines AS (
    SELECT account_id, CAST(date AS DATE) AS day,
           CAST(round_even(CAST(amount AS DOUBLE) * 1000000, 0) AS HUGEINT) AS money
    FROM {table} WHERE CAST(date AS DATE) <= CAST($last AS DATE)
), purchases AS (
    SELECT account_id, {start} AS start, sum(money) AS money
    FROM lines GROUP BY ALL HAVING sum(money) > 0 OR min(money) >= 0
){waits}
SELECT CAST(account_id AS VARCHAR) AS account_id,
       date_diff('day', DATE '1970-01-01', min(start)) AS first,
       date_diff('day', DATE '1970-01-01', max(start)) AS last,
       count(*) AS purchases,
       CAST(sum(money) AS BIGINT) AS money,
       CAST(arg_min(money, start) AS BIGINT) AS first_money{logs}
FROM {source} GROUP BY account_id
"""

# With the logarithm of each wait, a whole number from a table: no engine's own logarithm, no order of adding.
_WAITS = """, waits AS (
    SELECT *, date_diff('day', lag(start) OVER (PARTITION BY account_id ORDER BY start), start) AS wait FROM purchases
)"""
_LOGS = ", CAST(coalesce(sum(logs), 0) AS BIGINT) AS logs"

_FAULTS = """
SELECT max(CAST(date AS DATE)) AS last, min(CAST(date AS DATE)) AS first,
       count(*) FILTER (account_id IS NULL) AS account_id,
       count(*) FILTER (date IS NULL) AS date,
       count(*) FILTER (amount IS NULL OR NOT isfinite(CAST(amount AS DOUBLE))
                        OR abs(CAST(amount AS DOUBLE)) > 9e12) AS amount
FROM {table}
"""


def aggregate(
    transactions: pd.DataFrame | str | Path, last: np.datetime64 | None, grain: Grain, *, log_waits: bool = False
) -> tuple[pd.DataFrame, np.datetime64]:
    """Count and add up by account.

    Parameters
    ----------
    transactions : pandas.DataFrame or path
        account_id, date, amount; or a Parquet file with these columns.
    last : numpy.datetime64 or None
        Last day that counts; None: the last one there is.
    grain : {"D", "W", "M"}
        Interval within which purchases count as one.
    log_waits : bool
        Whether to add up the logarithms of waits.

    Returns
    -------
    totals : pandas.DataFrame
        account_id, first and last (days since 1970-01-01, beginnings of intervals), purchases, money and
        first_money (millionths); logs (2⁻⁴⁰), if asked for.
    last : numpy.datetime64
        The last day that counts.

    Raises
    ------
    DataError
        No such file, a column is missing or a value is, or money is too large.
    """
    import duckdb
    import pyarrow as pa

    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as connection:
        if isinstance(transactions, pd.DataFrame):
            connection.register("lines_in", pa.Table.from_pandas(transactions, preserve_index=False))
            table = "lines_in"
        else:
            if not Path(transactions).is_file():
                raise DataError(f"there is no file {transactions}.", table="transactions", mend="Correct the path.")
            quoted = str(transactions).replace("'", "''")
            table = f"read_parquet('{quoted}')"
        try:
            described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
            if not connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]:
                raise DataError("has no rows.", table="transactions", mend="See what was rejected.")
            _check_columns(described)
            newest, oldest, *empty = connection.execute(_FAULTS.format(table=table)).fetchall()[0]
            for column, number in zip(("account_id", "date", "amount"), empty, strict=True):
                if number:
                    raise DataError(
                        f"is empty or impossible in {number:,} rows.",
                        table="transactions",
                        column=column,
                        mend="Read the table with clv.read_transactions, which sets such rows aside.",
                    )
            last = np.datetime64(newest, "D") if last is None else last
            parts = {"waits": "", "logs": "", "source": "purchases"}
            if log_waits:
                span = np.datetime64(newest, "D") - np.datetime64(oldest, "D")
                logs = whole_logs(int(span / np.timedelta64(1, "D")) + 31)
                connection.register("logs_in", pa.table({"days": np.arange(len(logs)), "logs": logs}))
                parts = {"waits": _WAITS, "logs": _LOGS, "source": "waits LEFT JOIN logs_in ON wait = days"}
            query = _QUERY.format(table=table, start=_START[grain], **parts)
            return connection.sql(query, params={"last": str(last)}).to_arrow_table().to_pandas(), last
        except duckdb.Error as fault:
            said = " ".join(str(fault).split())[:300]
            raise DataError(
                f"DuckDB cannot summarise the table: {said}",
                table="transactions",
                mend="It needs account_id, date and amount; money of one account may not exceed 9e12.",
            ) from None


def _check_columns(described: list[tuple[Any, ...]]) -> None:
    """Check the columns of a Parquet file as `summarise` checks those of a frame."""
    kinds = {row[0]: str(row[1]) for row in described}
    for column, wanted in (("account_id", ("VARCHAR",)), ("date", ("DATE", "TIMESTAMP")), ("amount", _NUMBERS)):
        if column not in kinds:
            raise DataError(
                f"is missing; there are {', '.join(kinds)}.", table="transactions", column=column, mend="Rename it."
            )
        if not kinds[column].startswith(wanted) or "TIME ZONE" in kinds[column]:
            raise DataError(
                f"is of type {kinds[column]}; {' or '.join(wanted[:2])} is needed.",
                table="transactions",
                column=column,
                mend="Read the table with clv.read_transactions.",
            )
