"""Why accounts leave, and how many by when: competing reasons of loss, Aalen-Johansen (rule C6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from clv.churn.contracts.competing_risks import competing_risks
from clv.churn.contracts.terms import REASONS, UNKNOWN, ContractTerms, Date, contract_terms, decisions, tenures
from clv.churn.contracts.wording import in_hundred
from clv.errors import FitError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class LossReasons(Result):
    """Cumulative incidence of each reason of loss.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a term and reason: term, reason, at_risk, lost, incidence (probability that a contract has been lost
        for this reason by the end of that term), variance, lower, upper.
    retention : pandas.DataFrame
        Index term: at_risk, lost, hazard, survival (Kaplan-Meier), variance, lower, upper. Survival and the incidences
        of a term add up to 1.
    counts : pandas.Series
        Losses by reason, all that were observed.
    codes : pandas.DataFrame
        Index code (reason as it was written, empty if none was): lost, counted_as.
    terms : ContractTerms
    """

    retention: pd.DataFrame
    counts: pd.Series
    codes: pd.DataFrame
    terms: ContractTerms

    def plot(self, ax: Axes | None = None) -> Axes:
        """Stack the incidences over terms."""
        from clv.churn.contracts.pictures import reasons_area

        return reasons_area(self.table, ax)


def loss_reasons(
    contracts: pd.DataFrame,
    *,
    as_of: Date,
    reasons: Sequence[str] = REASONS,
    observed_from: Date | None = None,
    grace: int = 31,
    faults: Literal["error", "set_aside"] = "error",
    confidence: float = 0.9,
) -> LossReasons:
    """Estimate how many contracts are lost by each term's end, and for which reason.

    Reasons compete: who left for the service cannot leave for the quality any more. One minus Kaplan-Meier of a single
    reason would overstate it, since it treats the others' losses as if they were still to come.

    Parameters
    ----------
    contracts : pandas.DataFrame
        contract_id, account_id, start, end, renewed, reason; term_number if known. One row a term.
    as_of : date
        What is known on this day is used, nothing later.
    reasons : sequence of str
        Known reasons. Losses with another code, or none, are counted as "unknown", which is a reason like the others;
        the codes themselves are in `codes`.
    observed_from, grace
        See `clv.summarise_contracts`; relations that were older when observation began enter at their age.
    faults : {"error", "set_aside"}
        Whether unusable rows stop the analysis or are listed in ``terms.issues``.
    confidence : float
        Of the pointwise intervals.

    Returns
    -------
    LossReasons

    Raises
    ------
    clv.errors.DataError
        A row cannot be used.
    clv.errors.FitError
        No renewal decision was observed.
    clv.errors.SettingsError
        A reason is empty, there twice, or "unknown".

    Notes
    -----
    See `clv.churn.contracts.competing_risks`. Time is the number of the term. Relations are taken as independent; the
    reason as the account told it.
    """
    terms = contract_terms(
        contracts, as_of=as_of, observed_from=observed_from, grace=grace, reasons=reasons, faults=faults
    )
    decided, open_since = decisions(terms)
    relations = tenures(decided)
    if relations.empty:
        raise FitError("no renewal decision was observed.", mend="Wait until the first term ends, or widen the dates.")
    lost = terms.table[(terms.table["outcome"] == "lost") & terms.table["observed"]]
    names = [*reasons, *([UNKNOWN] if (lost["cause"] == UNKNOWN).any() else [])]
    found = competing_risks(
        relations["duration"], entry=relations["entry"], cause=relations["cause"], causes=names,
        confidence=confidence,
    )  # fmt: skip
    table = found.incidence.rename(columns={"time": "term", "cause": "reason"})
    retention = found.survival.rename_axis(index="term")
    table["term"], retention.index = table["term"].astype("int64"), retention.index.astype("int64")
    counts = lost["cause"].value_counts().reindex(names, fill_value=0).rename_axis(index="reason").rename("lost")
    written = lost["reason"].where(lost["reason"].notna(), "").astype(str)
    codes = lost.groupby(written)["cause"].agg(["size", "first"]).set_axis(["lost", "counted_as"], axis="columns")
    text = _text(table, counts, codes, len(relations), confidence)
    late = len(lost) - int(decided["lost"].sum())
    if late and open_since is not None:
        text += f" {late:,} of them ended on {open_since:%Y-%m-%d} or later, since when other renewals are still due:"
        text += " they are counted, and not in the incidence yet."
    if terms.text:
        text += f"\n\n{terms.text}"
    return LossReasons(table, text, retention, counts, codes.rename_axis(index="code"), terms)


def _text(table: pd.DataFrame, counts: pd.Series, codes: pd.DataFrame, relations: int, confidence: float) -> str:
    total = int(counts.sum())
    if not total:
        return f"Of {relations:,} contracts that came to a renewal none was lost."
    last = table[table["term"] == table["term"].max()].set_index("reason")
    order = last["incidence"].sort_values(ascending=False, kind="stable").index
    term = int(table["term"].max())
    said = [f"{name} {counts[name]:,}" for name in order if counts[name]]
    text = f"{total:,} of {relations:,} contracts that came to a renewal were lost: {', '.join(said)}."
    told = [name for name in order if name != UNKNOWN and counts[name]]
    if told:
        top = last.loc[told[0]]
        share, low, high = (f"{100 * top[column]:.0f}" for column in ("incidence", "lower", "upper"))
        text += (
            f" Of 100 that sign, {share} ({low} to {high} with {confidence:.0%} confidence) are lost for {told[0]!r}"
        )
        text += f" by the end of term {term}, the first of the reasons"
        if len(told) > 1:
            second = last.loc[told[1]]
            clear = top["lower"] > second["upper"]
            text += f"; {'clearly more' if clear else 'not surely more'} than for {told[1]!r}"
            text += f" ({in_hundred(float(second['incidence']))})"
        text += "."
    unknown = codes[codes["counted_as"] == UNKNOWN]
    if len(unknown):
        none = int(unknown["lost"].get("", 0))
        others = unknown[unknown.index != ""]
        parts = [f"{none:,} give no reason"] if none else []
        parts += [f"{int(n):,} say {code!r}" for code, n in others["lost"].head(5).items()]
        text += f" {int(unknown['lost'].sum()):,} count as unknown: {', '.join(parts)}{', …' * (len(others) > 5)}."
    return text
