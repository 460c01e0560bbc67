"""Leads and the gate of three: who can be sold to now, and what must be asked first (rules A3 and A4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.classes.evidence import behaviour, last_day, latest_answers, merge_flags
from clv.abm.classes.shares import known_accounts
from clv.churn.purchases import Date
from clv.data.settings import ClassRules
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: condition -> what the account team is asked where it is unknown.
ASK_LEAD = {
    "contact": "Whom may we contact?",
    "wish": "Do they wish to buy?",
    "budget": "Is there a budget for it?",
}
ASK_GATE = {
    "need": "Do they need it?",
    "ability_to_pay": "Are they able to pay?",
    "authority": "Who decides?",
}


@dataclass(frozen=True, eq=False)
class Gate(Result):
    """Accounts that must meet three conditions, each known to hold, known to fail, or unknown.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: the three conditions as nullable booleans, status, rank (of leads: 1 before 2, see
        `lead_status`), question (what is to be asked, the most decisive first; empty where nothing is).
    counts : pandas.DataFrame
        Index condition: yes, no, unknown.
    """

    counts: pd.DataFrame
    title: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many accounts meet each condition."""
        from clv.abm.classes.pictures import counted_bars

        return counted_bars(self.counts, self.title, ax)


def lead_status(
    accounts: Iterable[str] | pd.DataFrame | None = None,
    *,
    contacts: pd.DataFrame | None = None,
    assessments: pd.DataFrame | None = None,
    touches: pd.DataFrame | None = None,
    opportunities: pd.DataFrame | None = None,
    transactions: pd.DataFrame | None = None,
    as_of: Date | None = None,
    rules: ClassRules | None = None,
) -> Gate:
    """Tell leads: contact data and the wish to buy and a budget.

    Parameters
    ----------
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts; None: those of the other tables.
    contacts, touches, opportunities, transactions : pandas.DataFrame, optional
        What is known of people and of what accounts did.
    assessments : pandas.DataFrame, optional
        Answers of the account teams (wish, budget), which outrank what is concluded from behaviour.
    as_of : date, optional
        None: the latest date in the tables.
    rules : ClassRules, optional
        recent_days.

    Returns
    -------
    Gate
        status: lead, open (something is unknown, nothing known to fail) or no lead. rank, 1 first: 1 all three known,
        2 wish known, 3 budget known but not the wish, 4 neither, 5 no lead: wish outranks budget, since a wish may
        find money, and money no wish.

    Raises
    ------
    clv.errors.DataError
        A table is not what it should be.

    Notes
    -----
    *Contact*: a person whose consent is not refused. *Wish*: as answered; else an enquiry within `recent_days` or an
    open deal, the absence of which proves nothing. *Budget*: as answered; else a purchase within a year.
    """
    rules = rules or ClassRules()
    tables = {"contacts": contacts, "touches": touches, "opportunities": opportunities, "transactions": transactions,
              "assessments": assessments}  # fmt: skip
    ids, did, said, end = _gather(accounts, tables, as_of, rules)
    yes = _only_yes
    table = pd.DataFrame(
        {
            "contact": did["reachable"],
            "wish": merge_flags(said["wish"], yes(did["open_deal"]), yes(did["enquired_recently"])),
            "budget": merge_flags(said["budget"], yes(did["bought_recently"])),
        },
        index=ids,
    )
    status, question = _judge(table, ASK_LEAD, ("wish", "contact", "budget"), "lead", "no lead")
    wish, budget = table["wish"].fillna(False).to_numpy(bool), table["budget"].fillna(False).to_numpy(bool)
    rank = np.select([status == "lead", status == "no lead", wish, budget], [1, 5, 2, 3], 4)
    counts = _counts(table)
    leads, open_ = int((status == "lead").sum()), int((status == "open").sum())
    refused = int((status == "no lead").sum())
    unknown = {str(name): int(n) for name, n in counts["unknown"].items()}
    text = (
        f"As of {end:%Y-%m-%d}: {leads:,} of {len(ids):,} accounts are leads (contact data, wish and budget), "
        f"{refused:,} are none, and of {open_:,} something is unknown. Of {unknown['budget']:,} the "
        f"budget is not known, of {unknown['wish']:,} the wish: ask {int((rank == 2).sum()):,} with a known wish first."
    )
    table = table.assign(status=status, rank=rank, question=question)
    return Gate(table, text, counts, f"Leads: {leads:,} of {len(ids):,} accounts")


def gate_of_three(
    accounts: Iterable[str] | pd.DataFrame | None = None,
    *,
    contacts: pd.DataFrame | None = None,
    assessments: pd.DataFrame | None = None,
    touches: pd.DataFrame | None = None,
    opportunities: pd.DataFrame | None = None,
    transactions: pd.DataFrame | None = None,
    as_of: Date | None = None,
    rules: ClassRules | None = None,
) -> Gate:
    """Pass accounts with need, ability to pay and authority; exclude on a known "no"; ask where it is unknown.

    Parameters
    ----------
    accounts, contacts, assessments, touches, opportunities, transactions, as_of, rules
        As in `lead_status`; of assessments need, ability_to_pay, authority.

    Returns
    -------
    Gate
        status: pass, ask or excluded.

    Raises
    ------
    clv.errors.DataError
        A table is not what it should be.

    Notes
    -----
    *Need*: as answered; else a purchase within a year or an open deal. *Ability to pay*: as answered; else a purchase
    within a year. *Authority*: as answered; else a person who decides is among the contacts. Only an answer excludes.
    """
    rules = rules or ClassRules()
    tables = {"contacts": contacts, "touches": touches, "opportunities": opportunities, "transactions": transactions,
              "assessments": assessments}  # fmt: skip
    ids, did, said, end = _gather(accounts, tables, as_of, rules)
    yes = _only_yes
    table = pd.DataFrame(
        {
            "need": merge_flags(said["need"], yes(did["bought_recently"]), yes(did["open_deal"])),
            "ability_to_pay": merge_flags(said["ability_to_pay"], yes(did["bought_recently"])),
            "authority": merge_flags(said["authority"], yes(did["decider"])),
        },
        index=ids,
    )
    status, question = _judge(table, ASK_GATE, ("need", "ability_to_pay", "authority"), "pass", "excluded")
    status = np.where(status == "open", "ask", status).astype(object)
    counts = _counts(table)
    passed, asked = int((status == "pass").sum()), int((status == "ask").sum())
    text = (
        f"As of {end:%Y-%m-%d}: {passed:,} of {len(ids):,} accounts pass need, ability to pay and authority; "
        f"{int((status == 'excluded').sum()):,} are excluded by a known no; for {asked:,} there is a question to the "
        "account team."
    )
    table = table.assign(status=status, question=question)
    return Gate(table, text, counts, f"Gate of three: {passed:,} of {len(ids):,} accounts pass")


def _only_yes(flag: pd.Series) -> pd.Series:
    """Keep a yes; that nothing was seen is no proof of the contrary."""
    return flag.where(flag.fillna(False).astype(bool))


def _gather(
    accounts: Iterable[str] | pd.DataFrame | None, tables: dict[str, pd.DataFrame | None], as_of: Date | None,
    rules: ClassRules,
) -> tuple[pd.Index, pd.DataFrame, pd.DataFrame, pd.Timestamp]:  # fmt: skip
    more: set[str] = set()
    if accounts is None:
        for table in tables.values():
            if table is not None and "account_id" in table.columns:
                more |= set(table["account_id"].dropna().astype(str))
    ids = known_accounts(accounts, more)
    end = last_day(tables, as_of)
    return ids, behaviour(ids, tables, end, rules.recent_days), latest_answers(tables["assessments"], ids, end), end


def _judge(
    table: pd.DataFrame, questions: dict[str, str], order: tuple[str, ...], good: str, bad: str
) -> tuple[np.ndarray, np.ndarray]:
    """Combine the conditions (Kleene's logic) and list what to ask, in order; nothing is asked of the excluded."""
    both = pd.Series(True, index=table.index, dtype="boolean")
    for name in order:
        both = both & table[name]
    status = np.select(
        [both.fillna(False).to_numpy(bool), (~both).fillna(False).to_numpy(bool)], [good, bad], "open"
    ).astype(object)
    asked = [np.where(table[name].isna().to_numpy() & (status == "open"), questions[name], "") for name in order]
    question = [" ".join(part for part in parts if part) for parts in zip(*asked, strict=True)]
    return status, np.array(question, dtype=object)


def _counts(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "yes": (table == True).sum().astype(int),  # noqa: E712  a missing flag is neither
            "no": (table == False).sum().astype(int),  # noqa: E712
            "unknown": table.isna().sum(),
        }
    ).rename_axis("condition")
