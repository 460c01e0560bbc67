"""Contracts become relations: how many renewals each has seen, whether it ended, and from which age on we saw it."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np
import pandas as pd

from clv.errors import DataError
from clv.value.contract_summary import summarise_contracts
from clv.value.estimation.checks import Floats, fault, number_column


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
    """Chain contract terms into relations, as known on a date: `clv.summarise_contracts`, one row a relation.

    Parameters
    ----------
    contracts, as_of, observed_from, grace
        See `clv.value.contract_summary.summarise_contracts`, which also says how terms are chained. Relations that
        were over before `observed_from` are left out; older ones that lived to see it count from the age they had
        then (left truncation), since those lost earlier are not in the table.

    Returns
    -------
    pandas.DataFrame
        Index relation_id (the contract_id of the first term); account_id, duration, churned, entry, to_renewal (share
        of the running term that is left; 0 where the term is over and its renewal is due, 1 where the relation is
        lost), first, last (days), terms, value and days (money and length of the last term).
        ``attrs["clv"]["unit"]`` is the unit that the median term is one of (Y, M or W), None if there is no such unit:
        all later times are counted in terms.

    Raises
    ------
    clv.errors.DataError, clv.errors.SettingsError
        As `clv.summarise_contracts`.
    """
    return relations_of(summarise_contracts(contracts, as_of, observed_from=observed_from, grace=grace))


def relations_of(terms: pd.DataFrame) -> pd.DataFrame:
    """Gather contract terms into relations.

    Parameters
    ----------
    terms : pandas.DataFrame
        From `clv.summarise_contracts`.

    Returns
    -------
    pandas.DataFrame
        As `contract_relations`.
    """
    own = terms.groupby("relation_id", sort=False)
    first = own.head(1).set_index("relation_id")
    last = own.tail(1).set_index("relation_id").loc[first.index]  # relations side by side end in another order
    seen = own["observed"].sum().loc[first.index]
    table = pd.DataFrame({"account_id": last["account_id"]})
    decided = last["outcome"].isin(["renewed", "lost"])
    table["duration"] = (last["age"] + decided).astype("int64")
    table["churned"] = last["outcome"] == "lost"
    table["entry"] = (table["duration"] - seen).astype("int64")
    today = pd.Timestamp(terms.attrs["clv"]["as_of"])
    # A term that was renewed, by its flag only, is followed by one as long that is not in the table.
    unseen = 1 - ((today - last["end"]).dt.days - 1) / last["days"]
    wait = last["to_renewal"].where(last["outcome"] != "renewed", unseen.clip(0.0, 1.0))
    table["to_renewal"] = wait.where(~table["churned"], 1.0)
    table["first"], table["last"] = first["start"], last["end"]
    table["terms"] = own.size().loc[first.index].astype("int64")
    table["value"], table["days"] = last["value"], last["days"]
    table = table[~(table["churned"] & (seen == 0))]
    about = terms.attrs["clv"]
    table.attrs["clv"] = {"unit": about["unit"], "grain": None, "as_of": about["as_of"]}
    return table
