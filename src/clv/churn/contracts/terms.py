"""Contract terms made ready for analysis: what is wrong with a row is listed with its mend, and no row is lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from clv.data.labels import plain
from clv.errors import DataError, SettingsError
from clv.value.contract_summary import summarise_contracts

#: Why accounts leave (rule C6).
REASONS = ("service", "quality", "broken promises", "not listened to", "forgotten")
#: What a loss without a known reason is counted under.
UNKNOWN = "unknown"

_COLUMNS = ["row", "column", "contract_id", "account_id", "issue", "treatment", "mend"]
Date = dt.date | str | pd.Timestamp


class ContractTerms(NamedTuple):
    """Terms and what is odd in them.

    Attributes
    ----------
    table : pandas.DataFrame
        As `clv.summarise_contracts` gives it, with term (its number, 1 for the first) and cause (one of the reasons or
        "unknown" where the term was lost, else missing); row is the row of the table that was given.
    issues : pandas.DataFrame
        row (in the table that was given, from 1), column, contract_id, account_id, issue, treatment, mend.
    read : int
        Rows given. Those in `table` and those that `issues` says were set aside add up to it.
    grace : int
        Days by which a renewal may be late.
    reasons : tuple of str
        Known reasons of loss.
    """

    table: pd.DataFrame
    issues: pd.DataFrame
    read: int
    grace: int
    reasons: tuple[str, ...]

    @property
    def set_aside(self) -> int:
        """Rows that were not used."""
        return int(self.issues.loc[self.issues["treatment"] == "set aside", "row"].nunique())

    @property
    def text(self) -> str:
        """What is odd, in words; empty where nothing is."""
        if self.issues.empty:
            return ""
        by = self.issues.groupby(["treatment", "issue"], sort=True)["row"].nunique().reset_index()
        said = [
            f"{count:,} row{'s' * (count > 1)} {issue} ({treatment})"
            for treatment, issue, count in by.itertuples(index=False)
        ]
        return f"Of {self.read:,} contract rows, {self.set_aside:,} set aside. Noted: {'; '.join(said)}."


def contract_terms(
    contracts: pd.DataFrame,
    *,
    as_of: Date,
    observed_from: Date | None = None,
    grace: int = 31,
    reasons: Sequence[str] = REASONS,
    faults: Literal["error", "set_aside"] = "error",
) -> ContractTerms:
    """Chain contract terms, name their reasons of loss, and list what is odd.

    Parameters
    ----------
    contracts, as_of, observed_from, grace
        See `clv.value.contract_summary.summarise_contracts`.
    reasons : sequence of str
        Known reasons of loss; capitals, hyphens, underscores and outer blanks do not matter. Any other counts as
        "unknown".
    faults : {"error", "set_aside"}
        What to do with rows that cannot be used (an id or date is missing, an id occurs twice, the end is before the
        start): stop at the first, or leave them out and list them.

    Returns
    -------
    ContractTerms

    Raises
    ------
    clv.errors.DataError
        As `clv.summarise_contracts`; not for the faults above if they are set aside.
    clv.errors.SettingsError
        A reason is empty, "unknown", or there twice; `faults` is neither of its options.
    """
    names = _known(reasons)
    if faults not in ("error", "set_aside"):
        raise SettingsError(f"faults is {faults!r}.", mend="Use 'error' or 'set_aside'.")
    given = contracts.reset_index(drop=True)
    issues: list[pd.DataFrame] = []
    usable = np.ones(len(given), dtype=bool)
    if faults == "set_aside":
        for bad, column, issue, mend in _faults(given):
            issues.append(_listed(given, bad & usable, column, issue, "set aside", mend))
            usable &= ~bad
        if "contract_id" in given.columns:
            # Looked for last: a row that cannot be used takes no id from one that can.
            ids = given["contract_id"].astype(str).where(usable, given.index.to_series().map("row {}".format))
            bad = ids.duplicated().to_numpy() & usable
            issue, mend = "with an id that an earlier row has", "Give each term an id of its own."
            issues.append(_listed(given, bad, "contract_id", issue, "set aside", mend))
            usable &= ~bad
    source = np.flatnonzero(usable)
    table = summarise_contracts(given[usable], as_of, observed_from=observed_from, grace=grace)
    table["row"] = source[table["row"].to_numpy() - 1] + 1
    table["term"] = table["age"] + 1
    later = usable.copy()
    later[table["row"].to_numpy() - 1] = False
    mend = "Nothing, if it was not signed by then; else choose a later as-of date."
    issues.append(_listed(given, later, "start", "starting after the as-of date", "set aside", mend))
    lost = (table["outcome"] == "lost").to_numpy()
    cause, unknown = _causes(table["reason"], names)
    table["cause"] = pd.Series(cause, index=table.index, dtype=object).where(lost, None)
    noted = given.loc[table["row"] - 1].reset_index(drop=True)
    noted["_row"] = table["row"].to_numpy()
    early = (table["delay"] < 0).to_numpy()
    for bad, column, issue, treatment, mend in (
        (table["parallel"].to_numpy(bool), "start", "running beside another contract of the account",
         "each counts as a relation of its own", "Join them if they are one contract."),
        (early, "end", "ending after the next term of the contract began", "counts as renewed on time",
         "End it the day before the next one starts, if that is what happened."),
        (lost & table["reason"].isna().to_numpy(), "reason", "lost without a reason", "counts as unknown",
         "Ask the account's manager."),
        (lost & unknown, "reason", "with a reason that is not among the known ones", "counts as unknown",
         "Use one of the known reasons, or add it to `reasons`."),
        ((table["outcome"] == "renewed").to_numpy() & table["reason"].notna().to_numpy(), "reason",
         "renewed, yet with a reason of loss", "reason not used", "Clear the reason, or correct `renewed`."),
    ):  # fmt: skip
        issues.append(_listed(noted, bad, column, issue, treatment, mend))
    for remark in sorted(set(table["remark"]) - {""}):
        bad = (table["remark"] == remark).to_numpy()
        treatment, mend = _CONTRADICTIONS.get(remark, ("kept", "Correct the row."))
        issues.append(_listed(noted, bad, "renewed", remark, treatment, mend))
    listed = pd.concat(issues, ignore_index=True).sort_values(["row", "issue"], kind="stable", ignore_index=True)
    return ContractTerms(table, listed, len(given), grace, tuple(reasons))


#: what `clv.summarise_contracts` remarks -> what is done with it, and the mend.
_CONTRADICTIONS = {
    "said not to be renewed, yet a term follows": (
        "counts as lost, and what follows as a new relation",
        "Set `renewed` to true if the next term renews this one.",
    ),
    "said to be renewed, yet no term follows": (
        "counts as renewed by a term as long",
        "Add the next term, or set `renewed` to false.",
    ),
    "its number does not follow that of the term before": (
        "counts as the next term after the one before",
        "Add the terms between, or correct `term_number`.",
    ),
}


def current_terms(terms: ContractTerms) -> pd.DataFrame:
    """Return the term that each relation is in, or ended with: one row a relation.

    Parameters
    ----------
    terms : ContractTerms

    Returns
    -------
    pandas.DataFrame
        As ``terms.table``, with days_to_end (negative where the term is over). Where the last term says that it was
        renewed and the next one is not in the table, that next one: as long, as dear, one renewal older; lost if it
        would be over for longer than the days of grace as well.
    """
    today = pd.Timestamp(terms.table.attrs["clv"]["as_of"])
    last = terms.table.groupby("relation_id", sort=False).tail(1).copy()
    assumed = last["outcome"] == "renewed"
    if assumed.any():
        length = pd.to_timedelta(last.loc[assumed, "days"], unit="D")
        last.loc[assumed, "start"] = last.loc[assumed, "end"] + pd.Timedelta(days=1)
        last.loc[assumed, "end"] = last.loc[assumed, "end"] + length
        last.loc[assumed, ["age", "term"]] += 1
    last["days_to_end"] = (last["end"] - today).dt.days
    over = -last.loc[assumed, "days_to_end"]
    last.loc[assumed, "outcome"] = np.select([over <= 0, over <= terms.grace], ["running", "due"], "lost")
    last["late"] = (-last["days_to_end"]).clip(lower=0).astype(float)
    last.attrs["clv"] = terms.table.attrs["clv"]
    return last


def decisions(terms: ContractTerms) -> tuple[pd.DataFrame, pd.Timestamp | None]:
    """Return the renewal decisions that can be learnt from, one row each, and the day from which they cannot.

    Parameters
    ----------
    terms : ContractTerms

    Returns
    -------
    decided : pandas.DataFrame
        Rows of ``terms.table`` whose decision was observed, with lost.
    open_since : pandas.Timestamp or None
        The first end of a term whose renewal is still due. Of what ended from then on the punctual renewals are known
        and the losses not yet: those decisions are left out, lost or renewed. None if nothing is due.
    """
    table = terms.table
    due = table.loc[table["outcome"] == "due", "end"]
    open_since = pd.Timestamp(due.min()) if len(due) else None
    decided = table[table["observed"] & (table["end"] < open_since if open_since is not None else True)].copy()
    decided["lost"] = decided["outcome"] == "lost"
    return decided, open_since


def tenures(decided: pd.DataFrame) -> pd.DataFrame:
    """Gather decisions into relations: index relation_id; entry, duration (ages before and after), churned, cause."""
    own = decided.groupby("relation_id", sort=False)
    table = pd.DataFrame({"entry": own["age"].min(), "duration": own["age"].max() + 1, "churned": own["lost"].any()})
    lost = decided[decided["lost"]].set_index("relation_id")["cause"]
    table["cause"] = lost.reindex(table.index)
    return table


def _known(reasons: Sequence[str]) -> dict[str, str]:
    names = {plain(reason): reason for reason in reasons}
    if len(names) != len(reasons) or "" in names or UNKNOWN in names:
        raise SettingsError(
            f"reasons are {', '.join(map(repr, reasons))}.", mend=f"Give each once; {UNKNOWN!r} and '' are taken."
        )
    return names


def _causes(reason: pd.Series, names: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the known reason of each row, or "unknown"; and whether a reason was given that is not known."""
    given = reason.notna().to_numpy()
    cause = np.array([names.get(plain(text), UNKNOWN) if known else UNKNOWN for text, known in zip(reason, given,
                     strict=True)], dtype=object)  # fmt: skip
    return cause, given & (cause == UNKNOWN)


def _faults(given: pd.DataFrame) -> list[tuple[np.ndarray, str, str, str]]:
    """List what makes a row unusable: where, in which column, what it is, and the mend."""
    found = []
    for column in ("contract_id", "account_id", "start", "end"):
        if column in given.columns:
            found.append((given[column].isna().to_numpy(), column, f"without {column}", "Fill it."))
    if {"start", "end"} <= set(given.columns):
        try:
            start, end = (pd.to_datetime(given[column], format="ISO8601") for column in ("start", "end"))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"a column does not hold dates ({error}).", table="contracts", column="start",
                mend="Use clv.read_contracts.",
            ) from None  # fmt: skip
        found.append(((end < start).to_numpy(), "end", "ending before they start", "Exchange the dates, or correct."))
    return found


def _listed(given: pd.DataFrame, bad: np.ndarray, column: str, issue: str, treatment: str, mend: str) -> pd.DataFrame:
    part = given[bad]
    row = part["_row"].to_numpy() if "_row" in part else part.index.to_numpy() + 1
    ids = {name: part[name].to_numpy(dtype=object) for name in ("contract_id", "account_id")}
    table = pd.DataFrame({"row": row.astype("int64"), "column": column} | ids, index=range(len(part)))
    return table.assign(issue=issue, treatment=treatment, mend=mend)[_COLUMNS]
