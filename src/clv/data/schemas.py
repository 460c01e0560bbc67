"""Columns and schemas as the tables of clv declare them: what kind a column is of, and what it means."""

from __future__ import annotations

from typing import Any, Literal

import pandera.pandas as pa

Kind = Literal["id", "text", "date", "number", "integer", "flag"]

_DTYPES: dict[str, Any] = {
    "id": str,
    "text": str,
    "date": "datetime64[ns]",
    "number": float,
    "integer": "int64",
    "flag": bool,
}
#: what may be empty needs a type that knows "unknown": a plain bool would read an empty cell as true.
_NULLABLE: dict[str, Any] = {"integer": "Int64", "flag": "boolean"}


def column(kind: Kind, about: str, *checks: pa.Check, required: bool = True, unique: bool = False) -> pa.Column:
    """Describe one column; what is not required may be absent, and may be empty where it is present."""
    return pa.Column(
        _DTYPES[kind] if required else _NULLABLE.get(kind, _DTYPES[kind]),
        checks=list(checks),
        required=required,
        nullable=not required,
        unique=unique,
        coerce=True,
        description=about,
        metadata={"kind": kind},
    )


def schema_of(name: str, about: str, columns: dict[str, pa.Column], **kwargs: Any) -> pa.DataFrameSchema:
    """Describe one table; further columns are kept."""
    return pa.DataFrameSchema(columns, name=name, description=about, strict=False, **kwargs)


SHARE = pa.Check.in_range(0, 1)
NOT_NEGATIVE = pa.Check.ge(0)
#: below 0 where serving costs more than it brings.
MARGIN = pa.Check.le(1)
ACCOUNT = column("id", "The account: a company that buys or may buy. A string, whatever it looks like.")


def broken(check: pa.Check) -> str:
    """Say what a value that breaks a check of a schema is, and what would be allowed."""
    limits = check.statistics or {}
    match check.name:
        case "isin":
            return f"is none of {', '.join(map(repr, limits['allowed_values']))}"
        case "greater_than_or_equal_to":
            return f"is below {limits['min_value']:g}"
        case "less_than_or_equal_to":
            return f"is above {limits['max_value']:g}"
        case "in_range":
            return f"is not between {limits['min_value']:g} and {limits['max_value']:g}"
    raise NotImplementedError(f"no words for the check {check.name!r}")


def describe(schema: pa.DataFrameSchema) -> list[tuple[str, str, bool, str]]:
    """List a schema's columns for the data dictionary: name, kind, required, meaning."""
    return [
        (str(name), str((column.metadata or {})["kind"]), bool(column.required), column.description or "")
        for name, column in schema.columns.items()
    ]
