"""Contracts as renewal decisions: terms chained into relations, each with its age and what became of it on a date."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from clv.errors import DataError, SettingsError

#: days of a term of one year, month, week: 364 days are a year's service, 28 a February.
_USUAL = {"Y": (358, 372), "M": (28, 32), "W": (7, 7)}
#: what became of a term, as known on a date.
OUTCOMES: Final = ("renewed", "lost", "due", "running")

_GONE_ON = "said not to be renewed, yet a term follows"
_NOT_FOLLOWED = "said to be renewed, yet no term follows"
_JUMPS = "its number does not follow that of the term before"


def summarise_contracts(
    contracts: pd.DataFrame,
    as_of: dt.date | str | pd.Timestamp,
    *,
    observed_from: dt.date | str | pd.Timestamp | None = None,
    grace: int = 31,
) -> pd.DataFrame:
    """List contract terms with their age and outcome, as known on a date: one row a renewal decision, taken or ahead.

    A term continues the account's relation that ended at most `grace` days before or after it starts; of several, the
    one that ended last. Terms that run side by side are relations of their own. Who returns after more than `grace`
    days begins a new relation. `renewed` false ends a relation at once; true keeps it, even where the next term is not
    in the table.

    Parameters
    ----------
    contracts : pandas.DataFrame
        contract_id, account_id, start, end (last day of the term) and optionally value, renewed, reason, and
        term_number (1 for the first; a relation whose first row has a larger one was older when it was first seen).
        One row a term; a renewal is a new row.
    as_of : date
        What starts later is not known yet; what ends on it or later is running (its `renewed` is not looked at).
    observed_from : date, optional
        The day from which the table is complete. Decisions before it are not `observed`: relations that were lost then
        are not in the table, so those that lived count from the age that they had (left truncation).
    grace : int
        Days by which a renewal may be late, or a new term start early.

    Returns
    -------
    pandas.DataFrame
        Index contract_id, in order of account and start, with the columns

        - account_id, relation_id (contract_id of the relation's first term in the table);
        - age: renewals before this term, so 0 for a first one;
        - start, end, days (length), value (missing if there is none);
        - outcome: ``renewed``, ``lost``, ``due`` (over, nothing is known, and not longer ago than `grace`) or
          ``running``;
        - observed: the decision was taken, and under observation: a row at risk of a renewal hazard;
        - delay: days between the end of the term and the start of the next, 0 if it follows at once, negative if the
          next one began early; missing where no next term is known;
        - late: days that a term which is over has gone without the next one, 0 while running; missing if renewed;
        - to_renewal: share of the running term that is left, 0 if due; missing where the decision was taken;
        - reason: of loss, as given; missing where there is none;
        - parallel: it runs beside a term of another relation of its account;
        - remark: what contradicts in it, or an empty text;
        - row: which row of `contracts` it is, counted from 1.

        ``attrs["clv"]`` holds unit (Y, M or W, if the median term is one of these, else None), grain (None), as_of and
        counts: read, later (begun after `as_of`, and therefore not in the table), and one for each outcome.

    Raises
    ------
    clv.errors.DataError
        If a column or value is missing, an id occurs twice, a term ends before it starts, or none had begun.
    clv.errors.SettingsError
        If `grace` is negative, or `observed_from` lies after `as_of`.
    """
    today, since = _window(as_of, observed_from, grace)
    terms = _terms(contracts, today)
    rows: list[tuple[Any, ...]] = []
    for chain in _chains(terms, grace):
        rows.extend(_decisions(chain, today, since, grace))
    table = pd.DataFrame(rows, columns=[*_COLUMNS])
    for column in ("start", "end"):
        table[column] = table[column].to_numpy(dtype="datetime64[D]")
    table = table.astype(_COLUMNS).set_index("contract_id")
    table["parallel"] = _parallel(table)
    _mark_followed(table, grace)
    table = table.sort_values(["account_id", "start", "end", "row"], kind="stable")
    counts = {"read": len(contracts), "later": len(contracts) - len(table)}
    counts |= {outcome: int((table["outcome"] == outcome).sum()) for outcome in OUTCOMES}
    table.attrs["clv"] = {"unit": _usual_unit(table["days"]), "grain": None, "as_of": _date(today), "counts": counts}
    return table


_COLUMNS: dict[str, Any] = {
    "contract_id": str, "account_id": str, "relation_id": str, "age": "int64", "start": "datetime64[ns]",
    "end": "datetime64[ns]", "days": "int64", "value": float, "outcome": str, "observed": bool, "delay": float,
    "late": float, "to_renewal": float, "reason": object, "remark": str, "row": "int64",
}  # fmt: skip


class _Term(NamedTuple):
    """One row; dates count days since 1970-01-01."""

    account_id: str
    start: int
    end: int
    contract_id: str
    renewed: bool | None
    value: float
    reason: str | None
    number: int | None
    row: int


def _window(as_of: Any, observed_from: Any, grace: int) -> tuple[int, int | None]:
    """Check the dates between which we look, and the days of grace."""
    today = _day(as_of)
    since = None if observed_from is None else _day(observed_from)
    if grace < 0:
        raise SettingsError(f"grace is {grace}.", mend="Give 0 days or more.")
    if since is not None and since > today:
        raise SettingsError("observed_from lies after as_of.", mend="Exchange them.")
    return today, since


def _day(date: Any) -> int:
    return int(np.datetime64(pd.Timestamp(date), "D").astype("int64"))


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))


def _fault(what: str, mend: str, column: str, bad: np.ndarray) -> DataError:
    return DataError(what, mend=mend, table="contracts", column=column, row=int(np.flatnonzero(bad)[0]) + 1)


def _terms(contracts: pd.DataFrame, today: int) -> list[_Term]:
    """Check the table and list the terms begun by `today`, in order of account and start."""
    for column in ("contract_id", "account_id", "start", "end"):
        if column not in contracts.columns:
            raise DataError("the column is missing.", mend="Rename or add it.", table="contracts", column=column)
        if contracts[column].isna().any():
            raise _fault("there is no value.", "Fill it.", column, contracts[column].isna().to_numpy())
    ids = contracts["contract_id"].astype(str)
    if ids.duplicated().any():
        raise _fault(
            "it occurs a second time.", "A renewal needs an id of its own.", "contract_id", ids.duplicated().to_numpy()
        )
    start, end = (_days(contracts[column]) for column in ("start", "end"))
    if (end < start).any():
        raise _fault("the term ends before it starts.", "Check it.", "end", end < start)
    columns = zip(
        contracts["account_id"].astype(str), start.tolist(), end.tolist(), ids, _flags(contracts),
        _numbers(contracts, "value"), _reasons(contracts), _term_numbers(contracts), range(1, len(contracts) + 1),
        strict=True,
    )  # fmt: skip
    begun = sorted(_Term(*row) for row in columns if row[1] <= today)
    if not begun:
        raise DataError("no contract had begun by then.", mend="Check as_of.", table="contracts", column="start")
    return begun


def _days(column: pd.Series) -> np.ndarray:
    """Read a column as days since 1970-01-01."""
    try:
        return pd.to_datetime(column, format="ISO8601").to_numpy(dtype="datetime64[D]").astype("int64")
    except (TypeError, ValueError) as error:
        raise DataError(
            f"it is not a column of dates ({error}).", mend="Use clv.read_contracts.", table="contracts",
            column=str(column.name),
        ) from None  # fmt: skip


def _flags(contracts: pd.DataFrame) -> list[bool | None]:
    """Read whether each term was renewed; None where that is not said."""
    if "renewed" not in contracts.columns:
        return [None] * len(contracts)
    flags = contracts["renewed"]
    odd = ~(flags.isna() | flags.isin([True, False])).to_numpy()
    if odd.any():
        value = flags.iloc[int(np.flatnonzero(odd)[0])]
        raise _fault(
            f"{value!r} is neither true nor false.", "Use true, false, or nothing while running.", "renewed", odd
        )
    return [None if pd.isna(flag) else bool(flag) for flag in flags]


def _numbers(contracts: pd.DataFrame, column: str) -> list[float]:
    """Read a column of numbers of 0 or more that may be missing."""
    if column not in contracts.columns:
        return [np.nan] * len(contracts)
    try:
        values = contracts[column].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"it is not a column of numbers ({error}).", mend="Use clv.read_contracts.", table="contracts",
            column=column,
        ) from None  # fmt: skip
    bad = (values < 0) | np.isinf(values)
    if bad.any():
        raise _fault(f"{column} is {values[bad][0]}.", "It must be a finite number of 0 or more.", column, bad)
    return values.tolist()


def _term_numbers(contracts: pd.DataFrame) -> list[int | None]:
    """Read the number of each term, 1 for the first; None where that is not said."""
    numbers = np.array(_numbers(contracts, "term_number"))
    bad = ~np.isnan(numbers) & ((numbers < 1) | (numbers != np.rint(numbers)))
    if bad.any():
        raise _fault(f"term_number is {numbers[bad][0]:g}.", "It counts terms: 1 for the first.", "term_number", bad)
    return [None if np.isnan(number) else int(number) for number in numbers]


def _reasons(contracts: pd.DataFrame) -> list[str | None]:
    if "reason" not in contracts.columns:
        return [None] * len(contracts)
    return [None if pd.isna(reason) else str(reason) for reason in contracts["reason"]]


def _chains(terms: list[_Term], grace: int) -> list[list[_Term]]:
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
            and abs(term.start - (chain[-1].end + 1)) <= grace
            and term.start > chain[-1].start
            and term.end > chain[-1].end
        ]
        if near:
            max(near, key=lambda chain: chain[-1].end).append(term)
        else:
            own.append([term])
            chains.append(own[-1])
    return chains


def _decisions(chain: list[_Term], today: int, since: int | None, grace: int) -> list[tuple[Any, ...]]:
    """Describe each term of a relation; the last one may still be ahead of its decision."""
    rows = []
    before = (chain[0].number or 1) - 1
    for place, term in enumerate(chain):
        follower = chain[place + 1] if place + 1 < len(chain) else None
        outcome, share, remark = _outcome(term, follower, today, grace)
        if place and term.number is not None and term.number != before + place + 1:
            remark = _JUMPS
        delay = np.nan if follower is None else follower.start - term.end - 1
        late = np.nan if outcome == "renewed" else max(today - term.end, 0)
        seen = outcome in ("renewed", "lost") and (since is None or term.end >= since)
        length = term.end - term.start + 1
        rows.append((
            term.contract_id, term.account_id, chain[0].contract_id, before + place, term.start, term.end, length,
            term.value, outcome, seen, delay, late, share, term.reason, remark, term.row,
        ))  # fmt: skip
    return rows


def _outcome(term: _Term, follower: _Term | None, today: int, grace: int) -> tuple[str, float, str]:
    """Say what became of a term, the share of it that is left, and what contradicts."""
    if follower is not None:
        return "renewed", np.nan, ""
    if term.end >= today:  # running on this day: the decision is ahead
        return "running", min((term.end - today + 1) / (term.end - term.start + 1), 1.0), ""
    if term.renewed is True:
        return "renewed", np.nan, _NOT_FOLLOWED if term.end + grace < today else ""
    if term.renewed is False or term.end + grace < today:
        return "lost", np.nan, ""
    return "due", 0.0, ""


def _parallel(table: pd.DataFrame) -> np.ndarray:
    """Say which terms share a day or more with a term of another relation of their account."""
    several = table.groupby("account_id")["relation_id"].transform("nunique") > 1
    own = table.loc[several, ["account_id", "relation_id", "start", "end"]].reset_index()
    pairs = own.merge(own, on="account_id", suffixes=("", "_other"))
    both = (pairs["start"] <= pairs["end_other"]) & (pairs["start_other"] <= pairs["end"])
    beside = pairs.loc[both & (pairs["relation_id"] != pairs["relation_id_other"]), "contract_id"]
    return np.asarray(table.index.isin(beside.unique()))


def _mark_followed(table: pd.DataFrame, grace: int) -> None:
    """Remark terms that were said not to be renewed, after which a new relation begins within the days of grace."""
    lost = table[(table["outcome"] == "lost") & (table["remark"] == "")]
    firsts = table[table.index == table["relation_id"]]
    pairs = lost.reset_index().merge(firsts[["account_id", "start"]], on="account_id", suffixes=("", "_next"))
    gap = (pairs["start_next"] - pairs["end"]).dt.days - 1
    table.loc[pairs.loc[(gap >= 0) & (gap <= grace), "contract_id"].unique(), "remark"] = _GONE_ON


def _usual_unit(days: pd.Series) -> str | None:
    """Name the unit that the usual term is one of: yearly, monthly or weekly; None if it is another length."""
    median = float(days.median())
    return next((unit for unit, (low, high) in _USUAL.items() if low <= median <= high), None)
