"""What to ask the account teams, by account, the answers that are worth most first (rule A4, F1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.classes.leads import ASK_GATE, ASK_LEAD
from clv.abm.wording import accounts, listed, money
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.classes.leads import Gate
    from clv.abm.classes.stalled import StalledDeals
    from clv.abm.selecting.learning import LearningValue
    from clv.abm.selection import Selection
    from clv.abm.wallet.potential import WalletPotential

#: topics in the order in which they are asked, the ones that can undo a choice first.
TOPICS = ("faults in the data", "one company or two", "need, means, authority", "contact, wish, budget",
          "stalled deal", "wallet", "family")  # fmt: skip

_WALLET = "How much do they buy in a year in all, from us and from others?"


@dataclass(frozen=True, eq=False)
class Questions(Result):
    """Questions to the account teams.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account with a question, the answers that are worth most first: account_id, selected, p_selected,
        worth (at most, to the choice whom to take; NaN where it cannot be told), topics, question.
    by_topic : pandas.DataFrame
        Index topic: accounts, of them selected.
    currency : str
    """

    by_topic: pd.DataFrame
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many accounts there is something to ask about, by topic."""
        from clv.abm.selecting.pictures import asked_by_topic

        return asked_by_topic(self, ax)


def questions_for_teams(
    selection: Selection,
    *,
    learning: LearningValue | None = None,
    gate: Gate | None = None,
    leads: Gate | None = None,
    wallet: WalletPotential | None = None,
    stalled: StalledDeals | None = None,
    parents: Mapping[str, str] | None = None,
) -> Questions:
    """Gather what is not known of accounts that are taken or could be, as questions.

    Parameters
    ----------
    selection : Selection
        Its pairs of possible duplicates are asked about.
    learning : LearningValue, optional
        What an answer is worth at most: that of knowing the account's worth exactly. None: it cannot be told.
    gate, leads : Gate, optional
        Of `clv.gate_of_three` and `clv.lead_status`.
    wallet : WalletPotential, optional
        Surveys that cannot be true are asked about again; accounts that are taken without a survey are asked for one.
    stalled : StalledDeals, optional
        Accounts all of whose open deals are stalled are asked for a date.
    parents : mapping, optional
        account_id -> account_id of its owner.

    Returns
    -------
    Questions
        Of the gate, the leads and the wallet, only accounts that are taken or unsure are asked about; faults,
        duplicates and families concern all.
    """
    known = selection.table.set_index("account_id")
    near = known[known["selected"] | (known["p_selected"] > 0.2)].index
    # A lead is who may buy for the first time: customers are past that.
    ahead = near[(selection.about["kind"].reindex(near) != "customer").to_numpy()]
    asked = _wallets(selection, wallet, near[known.loc[near, "selected"].to_numpy(bool)])
    for row in selection.duplicates.itertuples():
        asked.append(
            (str(row.account_id), "one company or two", f"Is {row.other_id} the same company ({row.because})?")
        )
    dark: list[str] = []
    for topic, found, whom, words in (
        ("need, means, authority", gate, near, ASK_GATE), ("contact, wish, budget", leads, ahead, ASK_LEAD)
    ):  # fmt: skip
        if found is not None:
            asked += _conditions(topic, found, whom, words, dark)
    if wallet is not None and not (wallet.table["source"] == "survey").any():
        dark.append(_WALLET)
    if stalled is not None:
        late = stalled.accounts[stalled.accounts["false"].fillna(False).astype(bool)]
        asked += [(str(a), "stalled deal", "All its open deals wait longer than won ones do: when will it sign?")
                  for a in late.index]  # fmt: skip
    asked += _families(known, parents or {})
    table, by_topic = _tables(asked, known, learning)
    return Questions(table, _words(table, by_topic, selection, learning, dark), by_topic, selection.currency)


def _wallets(selection: Selection, wallet: WalletPotential | None, taken: pd.Index) -> list[tuple[str, str, str]]:
    """Ask again about surveys that cannot be true, and for one where an account that is taken has none."""
    if wallet is None:
        return []
    found = [
        (
            str(row["account_id"]),
            "faults in the data",
            f"The surveyed wallet ({money(float(row['wallet']), selection.currency)}) is smaller than our sales"
            f" ({money(float(row['sales']), selection.currency)}): how much do they buy in all?",
        )
        for row in wallet.errors.to_dict("records")
    ]
    source = wallet.table["source"]
    if (source == "survey").any():
        faulty = set(wallet.errors["account_id"])
        found += [(str(a), "wallet", _WALLET) for a in taken if source.get(a) != "survey" and a not in faulty]
    return found


def _conditions(
    topic: str, found: Gate, whom: pd.Index, words: Mapping[str, str], dark: list[str]
) -> list[tuple[str, str, str]]:
    """Ask about conditions that are unknown; what is unknown of everybody is a matter of data, asked once."""
    table = found.table
    open_ = table.index[table["question"] != ""]
    asked = []
    for name, question in words.items():
        unknown = table[name].isna()
        if unknown.all():
            dark.append(question)
            continue
        some = unknown.reindex(whom).fillna(False).to_numpy(bool) & whom.isin(open_)
        asked += [(str(account), topic, question) for account in whom[some]]
    return asked


def _families(known: pd.DataFrame, parents: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Ask about parents and children that are chosen apart, one of them at least."""
    children: dict[str, list[str]] = {}
    for child, owner in sorted(parents.items()):
        if child in known.index and owner in known.index and child != owner:
            children.setdefault(str(owner), []).append(str(child))
    found = []
    for owner, members in children.items():
        if known.loc[[owner, *members], "selected"].any():
            few = listed([*members[:3], *([f"{len(members) - 3} more"] if len(members) > 3 else [])])
            found.append((owner, "family", f"It owns {few}, chosen apart from it: does one team serve them together?"))
    return found


def _tables(
    asked: list[tuple[str, str, str]], known: pd.DataFrame, learning: LearningValue | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row an account, and the counts by topic."""
    flat = pd.DataFrame(asked, columns=["account_id", "topic", "question"]).astype(object)
    flat["place"] = flat["topic"].map({topic: k for k, topic in enumerate(TOPICS)}).astype(float)
    flat = flat.sort_values(["account_id", "place"], kind="stable")
    selected = known["selected"].reindex(flat["account_id"]).fillna(False).to_numpy(bool)
    counts = pd.DataFrame({"topic": flat["topic"].to_numpy(), "account": flat["account_id"].to_numpy(), "in": selected})
    by_topic = counts.groupby("topic").agg(accounts=("account", "nunique"), selected=("in", "sum"))
    order = [topic for topic in TOPICS if topic in by_topic.index]
    by_topic = by_topic.reindex(pd.Index(order, name="topic"))
    rows = flat.groupby("account_id", sort=True).agg(
        topics=("topic", lambda values: ", ".join(dict.fromkeys(values))),
        question=("question", lambda values: " ".join(dict.fromkeys(values))),
    )
    table = rows.join(known[["selected", "p_selected"]]).rename_axis("account_id")
    table["selected"] = table["selected"].astype("boolean").fillna(False).astype(bool)
    table["worth"] = np.nan
    if learning is not None:
        table["worth"] = learning.table.set_index("account_id")["worth"].reindex(table.index)
    table = table.sort_values(["worth", "selected"], ascending=[False, False], kind="stable", na_position="last")
    names = ["account_id", "selected", "p_selected", "worth", "topics", "question"]
    return table.reset_index()[names], by_topic


def _words(
    table: pd.DataFrame, by_topic: pd.DataFrame, selection: Selection, learning: LearningValue | None, dark: list[str]
) -> str:
    once = (
        " Of no account is it known, so that it is no question to single teams but one of data:"
        f" {' '.join(dict.fromkeys(dark))}"
        if dark else ""
    )  # fmt: skip
    if table.empty:
        return f"There is nothing to ask the account teams one by one.{once}"
    inside = int(table["selected"].sum())
    topics = [f"{topic} ({int(n):,})" for topic, n in by_topic["accounts"].items()]
    text = (
        f"There is something to ask about {accounts(len(table))}, {inside:,} of which {'is' if inside == 1 else 'are'}"
        f" taken: {listed(topics)}."
    )
    if learning is not None and table["worth"].notna().any():
        first = table.iloc[0]
        text += (
            f" Begin with {first['account_id']}: to know its true worth would be worth"
            f" {money(float(first['worth']), selection.currency)} to the choice; answers about it are worth no more."
        )
    return text + once
