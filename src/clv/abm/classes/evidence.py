"""What is known of an account's wishes and means: answers of its team, and what it did. Unknown is never no."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from clv.abm.classes.shares import lines_until
from clv.churn.purchases import Date, day_of
from clv.data.tables import INPUTS
from clv.errors import DataError

#: ways of contact in which people met.
MEETINGS = ("visit", "fair", "meeting", "webinar", "demo", "event")
#: roles of people who may decide.
DECIDERS = ("decider", "decision maker", "owner", "ceo", "managing director", "director", "head")
YEAR = pd.Timedelta(days=365)


def latest_answers(assessments: pd.DataFrame | None, accounts: pd.Index, as_of: pd.Timestamp) -> pd.DataFrame:
    """Take the latest answer of each account to each question, up to a day.

    Parameters
    ----------
    assessments : pandas.DataFrame, optional
        The table `assessments`: account_id, date and any of its columns; without a date every row counts, the last
        one most.
    accounts : pandas.Index
        Ids, as text.
    as_of : pandas.Timestamp

    Returns
    -------
    pandas.DataFrame
        Index `accounts`; every column of the table, flags as nullable booleans, numbers as Float64; what was never
        answered is missing.

    Raises
    ------
    clv.errors.DataError
        The table has no account_id, or a flag holds something else.
    """
    columns = {
        str(name): "boolean" if (column.metadata or {})["kind"] == "flag" else "Float64"
        for name, column in INPUTS["assessments"].columns.items()
        if name not in ("account_id", "date")
    }
    empty = pd.DataFrame(
        {name: pd.Series(pd.NA, index=accounts, dtype=kind) for name, kind in columns.items()}, index=accounts
    )
    if assessments is None:
        return empty
    if "account_id" not in assessments.columns:
        raise DataError("is missing.", table="assessments", column="account_id", mend="Rename the column.")
    rows = assessments.reset_index(drop=True)
    if "date" in rows.columns:
        rows = rows[rows["date"].dt.normalize() <= as_of].sort_values("date", kind="stable")
    ids = rows["account_id"].astype(str)
    for name, kind in columns.items():
        if name not in rows.columns:
            continue
        answers = _answers(rows[name], kind, name)
        filled = answers[answers.notna()]
        last = filled.groupby(ids[filled.index]).last()
        empty[name] = pd.Series(last.reindex(accounts), dtype=kind)
    return empty


def _answers(values: pd.Series, kind: str, name: str) -> pd.Series:
    """Read a column of answers; what is no answer is refused, never taken for one."""
    if kind == "boolean":
        bad, what = values.notna() & ~values.isin([True, False]), "holds an answer that is neither yes, no nor empty"
        answers = values.where(~bad)
    else:
        answers = pd.to_numeric(values, errors="coerce")
        bad, what = values.notna() & answers.isna(), "is no number"
    if bad.any():
        raise DataError(
            f"{what}: found {values[bad].iloc[0]!r}.",
            table="assessments",
            column=name,
            row=int(values.index[bad.to_numpy(bool)][0]) + 1,
            mend="Read it with clv.read_assessments.",
        )
    return pd.Series(answers, dtype=kind)


def flags(yes: pd.Index, accounts: pd.Index, *, otherwise: bool | None) -> pd.Series:
    """Make a nullable flag: true for some accounts, for the others false or unknown."""
    inside = pd.Series(accounts.isin(yes), index=accounts, dtype="boolean")
    return inside if otherwise is False else inside.where(inside)


def merge_flags(*series: pd.Series) -> pd.Series:
    """Take the first answer that is known."""
    result = series[0]
    for other in series[1:]:
        result = result.fillna(other)
    return result


def behaviour(
    accounts: pd.Index, tables: Mapping[str, pd.DataFrame | None], as_of: Date, recent_days: int
) -> pd.DataFrame:
    """Tell what accounts did, up to a day.

    Parameters
    ----------
    accounts : pandas.Index
    tables : mapping
        transactions, contacts, touches, opportunities; any may be None.
    as_of : date
    recent_days : int

    Returns
    -------
    pandas.DataFrame
        Index `accounts`, nullable booleans: bought (ever), bought_recently (within a year), enquired (inbound touch
        ever), enquired_recently, met (a meeting, or a deal), open_deal, reachable (a person whose consent is not
        refused), decider (a person who may decide is known). Missing where the table is.
    """
    end = day_of(as_of)
    unknown = pd.Series(pd.array([pd.NA] * len(accounts), dtype="boolean"), index=accounts)
    names = ("bought", "bought_recently", "enquired", "enquired_recently", "met", "open_deal", "reachable", "decider")
    found = pd.DataFrame(dict.fromkeys(names, unknown), index=accounts)
    lines = _until(tables.get("transactions"), end)
    if lines is not None:
        bought = lines[lines["amount"] > 0]
        found["bought"] = flags(pd.Index(bought["account_id"]), accounts, otherwise=False)
        recent = bought[bought["date"] > end - YEAR]
        found["bought_recently"] = flags(pd.Index(recent["account_id"]), accounts, otherwise=False)
    touches = _until(tables.get("touches"), end)
    if touches is not None and "inbound" in touches.columns:
        came = touches[touches["inbound"].fillna(False).astype(bool)]
        found["enquired"] = flags(pd.Index(came["account_id"]), accounts, otherwise=False)
        recent = came[came["date"] > end - pd.Timedelta(days=recent_days)]
        found["enquired_recently"] = flags(pd.Index(recent["account_id"]), accounts, otherwise=False)
    if touches is not None and "channel" in touches.columns:
        meetings = touches[touches["channel"].astype(str).str.lower().isin(MEETINGS)]
        found["met"] = flags(pd.Index(meetings["account_id"]), accounts, otherwise=False)
    deals = tables.get("opportunities")
    if deals is not None:
        deals = deals[(deals["created"].dt.normalize() <= end).to_numpy()]
        ids = deals["account_id"].astype(str)
        had = flags(pd.Index(ids), accounts, otherwise=False)
        found["met"] = (found["met"] | had) if touches is not None else had
        found["open_deal"] = flags(pd.Index(ids[~_over(deals, end).to_numpy()]), accounts, otherwise=False)
    contacts = tables.get("contacts")
    if contacts is not None:
        ids = contacts["account_id"].astype(str)
        refused = pd.Series(False, index=contacts.index)
        if "consent" in contacts.columns:
            refused = ~contacts["consent"].astype("boolean").fillna(True).astype(bool)
        found["reachable"] = flags(pd.Index(ids[~refused.to_numpy()]), accounts, otherwise=False)
        if "role" in contacts.columns:
            role = contacts["role"].astype(str).str.strip().str.lower().isin(DECIDERS)
            found["decider"] = flags(pd.Index(ids[role.to_numpy()]), accounts, otherwise=None)
    return found


def last_day(tables: Mapping[str, pd.DataFrame | None], as_of: Date | None) -> pd.Timestamp:
    """Return the as-of date: as given, or the latest date in transactions, touches, opportunities or assessments."""
    if as_of is not None:
        return day_of(as_of)
    dates = []
    for name, column in (("transactions", "date"), ("touches", "date"), ("opportunities", "created"),
                         ("opportunities", "closed"), ("assessments", "date")):  # fmt: skip
        table = tables.get(name)
        if table is not None and column in table.columns and table[column].notna().any():
            dates.append(table[column].max())
    if not dates:
        raise DataError("no table has a date.", mend="Give as_of.")
    return pd.Timestamp(max(dates)).normalize()


def _over(deals: pd.DataFrame, end: pd.Timestamp) -> pd.Series:
    """Tell which deals were won or lost by a day; one that is decided, but not when, counts as over."""
    decided = pd.Series(False, index=deals.index)
    if "outcome" in deals.columns:
        decided = deals["outcome"].isin(["won", "lost"]).astype(bool)
    if "closed" not in deals.columns:
        return decided
    closed = deals["closed"].dt.normalize()
    return (closed <= end) | (decided & closed.isna())


def _until(table: pd.DataFrame | None, end: pd.Timestamp) -> pd.DataFrame | None:
    if table is None:
        return None
    if "amount" in table.columns:
        try:
            return lines_until(table, end)[0]
        except DataError:
            if len(table) and (table["date"] <= end + pd.Timedelta(days=1)).any():
                raise
            return table.iloc[:0].assign(account_id=pd.Series(dtype=str))
    kept = table[(table["date"].dt.normalize() <= end).to_numpy()]
    return kept.assign(account_id=kept["account_id"].astype(str))
