"""What an analysis did not use: account by account, with the reason, and in words. Nothing is lost unsaid."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from clv.errors import DataError

_COLUMNS = ["account_id", "reason", "rows"]


def left_out_table(*parts: tuple[str, pd.Series]) -> pd.DataFrame:
    """Make the table of what was left out from (reason, rows by account)."""
    frames = [
        pd.DataFrame(
            {"account_id": rows.index.to_numpy(dtype=object), "reason": reason, "rows": rows.to_numpy("int64")}
        )
        for reason, rows in parts
        if len(rows)
    ]
    if not frames:
        return pd.DataFrame(
            {"account_id": pd.Series(dtype=str), "reason": pd.Series(dtype=str), "rows": pd.Series(dtype="int64")}
        )
    table = pd.concat(frames, ignore_index=True).sort_values(["reason", "account_id"], kind="stable", ignore_index=True)
    return table[_COLUMNS]


def left_out_text(left_out: pd.DataFrame) -> str:
    """Say what was left out, by reason; nothing where nothing was."""
    by = left_out.groupby("reason").agg(accounts=("account_id", "size"), rows=("rows", "sum"))
    said = []
    for reason, accounts, rows in zip(by.index, by["accounts"], by["rows"], strict=True):
        of = f"{rows:,} row{'s' * (rows != 1)} of " if rows else ""
        said.append(f"{reason} ({of}{accounts:,} account{'s' * (accounts != 1)})")
    return f"Left out: {'; '.join(said)}." if said else ""


def without_purchases(accounts: Iterable[str] | pd.DataFrame | None, bought: Iterable[str]) -> pd.Series:
    """Return accounts of a list (or table with account_id) that are not among those that bought, with 0 rows."""
    if accounts is None:
        return pd.Series(0, index=pd.Index([], dtype=object), dtype="int64")
    if isinstance(accounts, pd.DataFrame) and "account_id" not in accounts.columns:
        raise DataError("is missing.", table="accounts", column="account_id", mend="Rename the column.")
    if isinstance(accounts, str):
        raise DataError(f"found the text {accounts!r}.", table="accounts", mend="Give a list of ids, or a table.")
    listed = accounts["account_id"] if isinstance(accounts, pd.DataFrame) else accounts
    ids = pd.Index(pd.Series(list(listed), dtype=object).dropna().astype(str).unique())
    return pd.Series(0, index=ids.difference(pd.Index(bought).astype(str)))
