"""Contracts become relations: how many renewals each has seen, whether it ended, and from which age on we saw it."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from clv.errors import DataError, SettingsError
from clv.value.estimation.checks import Floats, fault, number_column

_DAY = np.timedelta64(1, "D")
#: days of a term of one year, month, week: 364 days are a year's service, 28 a February.
_USUAL = {"Y": (358, 372), "M": (28, 32), "W": (7, 7)}


class Tenure(NamedTuple):
    """Relations in arrays; see `clv.value.shifted_beta_geo.ShiftedBetaGeoModel` for the meaning."""

    duration: Floats
    churned: Floats
    entry: Floats
    to_renewal: Floats


def tenure(summary: pd.DataFrame) -> Tenure:
    """Read duration, churned, entry (0 if missing) and to_renewal (1 if missing), and check them.

    Raises
    ------
    clv.errors.DataError
        If a value is missing or impossible; if a relation is observed from a later age than it reached.
    """
    duration = number_column(summary, "duration")
    churned = number_column(summary, "churned")
    entry = number_column(summary, "entry") if "entry" in summary.columns else np.zeros(len(duration))
    wait = number_column(summary, "to_renewal") if "to_renewal" in summary.columns else np.ones(len(duration))
    for column, values in (("duration", duration), ("entry", entry)):
        bad = values != np.rint(values)
        if bad.any():
            raise fault(summary, bad, column, f"{column} is no whole number", "It counts renewal decisions.")
    if duration.max() > 1_000_000:
        raise fault(summary, duration > 1_000_000, "duration", "duration exceeds a million", "Count terms, not days.")
    for bad, column, what, mend in (
        ((churned != 0) & (churned != 1), "churned", "churned is neither true nor false", "Use true and false."),
        ((churned == 1) & (duration < 1), "duration", "a lost contract has duration 0", "The first term counts as 1."),
        (entry + churned > duration, "entry", "entry is later than duration allows", "Leave out what ended unseen."),
        (wait > 1, "to_renewal", "to_renewal is above 1", "Give the share of a term that is left."),
    ):
        if bad.any():
            raise fault(summary, bad, column, what, mend)
    return Tenure(duration, churned, entry, wait)


def cohort_relations(cohorts: pd.DataFrame) -> pd.DataFrame:
    """Turn counts of accounts still alive into relations with weights.

    Parameters
    ----------
    cohorts : pandas.DataFrame
        Columns cohort (any label), period (whole numbers, without gaps) and alive (accounts still under contract after
        so many renewal decisions; in period 0 all that were acquired). A cohort whose first period is above 0 was
        observed from that age on.

    Returns
    -------
    pandas.DataFrame
        duration, churned, entry and weight, for ``fit(relations, sample_weight=relations["weight"])``.

    Raises
    ------
    clv.errors.DataError
        If a column is missing, a period is missing or occurs twice, or a count grows.
    """
    if not {"cohort", "period", "alive"} <= set(cohorts.columns):
        raise DataError("it needs the columns cohort, period and alive.", mend="Rename them.", table="cohorts")
    parts = []
    for label, cohort in cohorts.sort_values(["cohort", "period"], kind="stable").groupby("cohort", sort=True):
        period, alive = number_column(cohort, "period"), number_column(cohort, "alive")
        if (period != np.rint(period)).any() or (np.diff(period) != 1).any():
            raise DataError(
                f"cohort {label!r}: periods are not whole numbers one after the other.",
                mend="Give each period once.", table="cohorts", column="period",
            )  # fmt: skip
        if (np.diff(alive) > 0).any():
            raise DataError(
                f"cohort {label!r}: accounts alive grow from one period to the next.",
                mend="Count those acquired in period 0 only.", table="cohorts", column="alive",
            )  # fmt: skip
        weight = np.append(-np.diff(alive), alive[-1])
        duration = np.append(period[1:], period[-1])
        churned = np.arange(len(weight)) < len(weight) - 1
        part = pd.DataFrame({"duration": duration, "churned": churned, "entry": period[0], "weight": weight})
        parts.append(part.astype({"duration": "int64", "entry": "int64"}))
    if not parts:
        raise DataError("there is no cohort in it.", mend="Check the filters before it.", table="cohorts")
    table = pd.concat(parts, ignore_index=True)
    return table[table["weight"] > 0].reset_index(drop=True)


def contract_relations(
    contracts: pd.DataFrame,
    *,
    as_of: dt.date | str | pd.Timestamp,
    observed_from: dt.date | str | pd.Timestamp | None = None,
    grace: int = 31,
) -> pd.DataFrame:
    """Chain contract terms into relations, as known on a date.

    A term continues the account's relation that ended at most `grace` days before or after it starts; of several, the
    one that ended last. Terms that run side by side are relations of their own. A relation that is not continued
    within `grace` days is lost; who returns later begins a new one. `renewed` false ends a relation at once; true
    keeps it, even where the next term is not in the table.

    Parameters
    ----------
    contracts : pandas.DataFrame
        contract_id, account_id, start, end (last day of the term) and optionally renewed; one row a term.
    as_of : date
        What starts later is not known yet; what ends later is running (its `renewed` is not looked at).
    observed_from : date, optional
        The day from which the table is complete. Relations that were over before are left out; older ones that lived
        to see it count from the age they had then (left truncation), since those lost earlier are not in the table.
    grace : int
        Days by which a renewal may be late, or a new term start early.

    Returns
    -------
    pandas.DataFrame
        Index relation_id (the contract_id of the first term); account_id, duration, churned, entry, to_renewal (share
        of the running term that is left; 1 where it is over), first, last (days), terms. ``attrs["clv"]["unit"]`` is
        the unit that the median term is one of (Y, M or W), None if there is no such unit: all later times are
        counted in terms.

    Raises
    ------
    clv.errors.DataError
        If a column or value is missing, or a term ends before it starts.
    clv.errors.SettingsError
        If `grace` is negative or `observed_from` lies after `as_of`.
    """
    today = np.datetime64(pd.Timestamp(as_of), "D")
    since = None if observed_from is None else np.datetime64(pd.Timestamp(observed_from), "D")
    if grace < 0:
        raise SettingsError(f"grace is {grace}.", mend="Give 0 days or more.")
    if since is not None and since > today:
        raise SettingsError("observed_from lies after as_of.", mend="Exchange them.")
    terms = _terms(contracts, today)
    rows = []
    for chain in _chains(terms, np.timedelta64(int(grace), "D")):
        row = _relation(chain, today, since, np.timedelta64(int(grace), "D"))
        if row is not None:
            rows.append(row)
    columns = ["relation_id", "account_id", "duration", "churned", "entry", "to_renewal", "first", "last", "terms"]
    table = pd.DataFrame(rows, columns=columns).set_index("relation_id")
    dtypes: dict[str, Any] = {
        "duration": "int64",
        "entry": "int64",
        "terms": "int64",
        "churned": bool,
        "to_renewal": float,
    }
    table = table.astype(dtypes | {"first": "datetime64[ns]", "last": "datetime64[ns]"})
    table.attrs["clv"] = {"unit": _usual_unit(terms), "grain": None, "as_of": str(today)}
    return table


def _usual_unit(terms: list[_Term]) -> str | None:
    """Name the unit that the usual term is one of: yearly, monthly or weekly; None if it is another length."""
    days = float(np.median([(term.end - term.start + _DAY) / _DAY for term in terms]))
    return next((unit for unit, (low, high) in _USUAL.items() if low <= days <= high), None)


class _Term(NamedTuple):
    contract_id: str
    account_id: str
    start: np.datetime64
    end: np.datetime64
    renewed: bool | None


def _terms(contracts: pd.DataFrame, today: np.datetime64) -> list[_Term]:
    """Check the table and list the terms begun by `today`, in order of account and start."""
    for column in ("contract_id", "account_id", "start", "end"):
        if column not in contracts.columns:
            raise DataError("the column is missing.", mend="Rename or add it.", table="contracts", column=column)
        if contracts[column].isna().any():
            row = int(np.flatnonzero(contracts[column].isna())[0]) + 1
            raise DataError("there is no value.", mend="Fill it.", table="contracts", column=column, row=row)
    start, end = (_days(contracts[column]) for column in ("start", "end"))
    if (end < start).any():
        row = int(np.flatnonzero(end < start)[0]) + 1
        raise DataError("the term ends before it starts.", mend="Check it.", table="contracts", column="end", row=row)
    renewed: list[bool | None] = [None] * len(contracts)
    if "renewed" in contracts.columns:
        flags = contracts["renewed"]
        odd = ~(flags.isna() | flags.isin([True, False]))
        if odd.any():
            row = int(np.flatnonzero(odd)[0]) + 1
            raise DataError(
                f"{flags.iloc[row - 1]!r} is neither true nor false.",
                mend="Use true, false, or nothing while running.", table="contracts", column="renewed", row=row,
            )  # fmt: skip
        renewed = [None if pd.isna(flag) else bool(flag) for flag in flags]
    rows = zip(
        contracts["contract_id"].astype(str), contracts["account_id"].astype(str), start, end, renewed, strict=True
    )
    begun = [_Term(*row) for row in rows if row[2] <= today]
    if not begun:
        raise DataError("no contract had begun by then.", mend="Check as_of.", table="contracts", column="start")
    return sorted(begun, key=lambda term: (term.account_id, term.start, term.end, term.contract_id))


def _days(column: pd.Series) -> np.ndarray:
    """Read a column as days."""
    try:
        return pd.to_datetime(column, format="ISO8601").to_numpy(dtype="datetime64[ns]").astype("datetime64[D]")
    except (TypeError, ValueError) as error:
        raise DataError(
            f"it is not a column of dates ({error}).", mend="Use clv.read_contracts.", table="contracts",
            column=str(column.name),
        ) from None  # fmt: skip


def _chains(terms: list[_Term], grace: np.timedelta64) -> list[list[_Term]]:
    """Join each term to the relation it continues."""
    chains: list[list[_Term]] = []
    own: list[list[_Term]] = []
    for term in terms:
        if own and own[0][0].account_id != term.account_id:
            own = []
        near = [
            chain
            for chain in own
            if chain[-1].renewed is not False
            and abs(term.start - (chain[-1].end + _DAY)) <= grace
            and term.start > chain[-1].start
            and term.end > chain[-1].end
        ]
        if near:
            max(near, key=lambda chain: chain[-1].end).append(term)
        else:
            own.append([term])
            chains.append(own[-1])
    return chains


def _relation(
    chain: list[_Term], today: np.datetime64, since: np.datetime64 | None, grace: np.timedelta64
) -> tuple[object, ...] | None:
    """Count a relation's decisions; None if it was over before observation began."""
    last = chain[-1]
    passed, churned, share = len(chain) - 1, False, 1.0
    if last.end >= today:  # running on this day: the decision is ahead
        length = (last.end - last.start + _DAY) / _DAY
        share = max(float((last.end - today + _DAY) / _DAY / length), 1e-9)
    elif last.renewed is True:
        passed += 1
    elif last.renewed is False or last.end + grace < today:
        passed, churned = passed + 1, True
    entry = 0
    if since is not None:
        entry = sum(bool(term.end < since) for term in chain[:passed])
        if entry + churned > passed:
            return None
    head = (chain[0].contract_id, last.account_id, passed, churned, entry, min(share, 1.0))
    return (*head, chain[0].start, last.end, len(chain))
