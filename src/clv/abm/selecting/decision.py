"""A selection in the few sentences that a hurried reader sees, and one account as an example of what makes a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.selecting.contributions import DRIVERS
from clv.abm.wording import accounts, listed, money, money_range
from clv.result import Missing, Result

if TYPE_CHECKING:
    from clv.abm.selecting.changes import SelectionChanges
    from clv.abm.selection import Selection

#: accounts that are named.
_NAMED = 3


def decision_text(
    selection: Selection, changes: SelectionChanges | Missing, *, names: pd.Series, confidence: float, horizon: str,
    value_alone: bool = False,
) -> str:  # fmt: skip
    """Say whom to take and what that brings, how sure it is, and what changed.

    Parameters
    ----------
    selection : Selection
    changes : SelectionChanges or Missing
    names : pandas.Series
        What each row of the selection's table is called.
    confidence : float
    horizon : str
        In words.
    value_alone : bool
        Nothing is known of the accounts but what they bought.

    Returns
    -------
    str
    """
    table, currency = selection.table, selection.currency
    taken = table[table["selected"]]
    known = int(table["score"].notna().sum())
    if taken.empty:
        return (
            f"Take nobody: for none of {accounts(known)} is the programme expected to bring more than its place costs"
            f" over {horizon}. Cheaper tiers, or effects that are measured and turn out larger, would change that."
        )
    kinds = selection.about["kind"].reindex(taken["account_id"])
    prospects = int((kinds == "prospect").sum())
    who = f"{len(taken) - prospects:,} customers and {prospects:,} prospects" if prospects else "all of them customers"
    first = listed([str(name) for name in names[taken.index][:_NAMED]])
    text = (
        f"Take {len(taken):,} of {accounts(known)} into the programme, {who}. Over {horizon} they are expected to bring"
        f" {money(selection.expected, currency)} more than it costs{_doubt(selection, confidence)}. First come {first}."
    )
    if selection.capacity is not None and len(taken) == selection.capacity:
        share = selection.expected / selection.total
        text += (
            f" There is room for no more; all accounts that pay for themselves would bring {1 / share - 1:.0%} more."
        )
    if value_alone:
        text += " Nothing is known of them but what they bought: the choice rests on their value alone."
    said = [text]
    if np.isfinite(selection.regret):
        said.append(
            f"The cut is soft: {accounts(selection.unsure)} could as well be on its other side. If every account's true"
            f" worth were known, {selection.agreement:.0%} of those taken would be taken again, and the best list would"
            f" bring {money(selection.regret, currency)} more."
            if selection.agreement < 0.8
            else f"The cut is firm: if every account's true worth were known, {selection.agreement:.0%} of those taken"
            f" would be taken again, and the best list would bring {money(selection.regret, currency)} more."
        )
    if not isinstance(changes, Missing):
        said.append(changes.text.split(" Why ")[0])
    return "\n\n".join(said)


def _doubt(selection: Selection, confidence: float) -> str:
    if not np.isfinite(selection.p_pays):
        return ""
    ends = money_range(selection.expected_lower, selection.expected_upper, selection.currency)
    chance = "over 99%" if selection.p_pays > 0.99 else f"{selection.p_pays:.0%}"
    return f" ({confidence:.0%} interval {ends}; it pays with probability {chance})"


def example_account(selection: Selection, table: pd.DataFrame) -> Result:
    """Take the score of the first account apart.

    Parameters
    ----------
    selection : Selection
    table : pandas.DataFrame
        As `selection_list` gives it; a column ``account`` with names is used where it is there.

    Returns
    -------
    Result
        One row a part: part (in words), money; the last row is their sum, the score.
    """
    if selection.contributions.empty:
        return Missing.because("There is no account to show as an example.")
    row = table.iloc[0]
    parts = selection.contributions.loc[str(row["account_id"])]
    told = (parts.abs() >= 0.005).to_numpy() | (parts.index == "average")
    shown = parts[told]
    words = {
        "average": "the average account's share"
        if row["tier"] is None
        else f"what {row['tier']} changes about the average",
        "cost": "its cost",
        **DRIVERS,
    }
    found = pd.DataFrame({"part": [words[str(name)] for name in shown.index], "money": shown.to_numpy(float)})
    whole = pd.DataFrame({"part": ["score: the sum"], "money": [float(row["score"])]})
    name = row.get("account", row["account_id"])
    return Result(pd.concat([found, whole], ignore_index=True), f"{name}: {row['reason']}")
