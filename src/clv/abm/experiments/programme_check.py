"""A programme as a table, before it is measured: what in it will stand in the way of saying what it returned."""

from __future__ import annotations

import pandas as pd

from clv.abm.wording import accounts, listed


def programme_faults(programmes: pd.DataFrame, *, as_of: pd.Timestamp, costs: bool = False) -> list[str]:
    """Say what of each programme cannot be measured, or only with care, and why.

    Parameters
    ----------
    programmes : pandas.DataFrame
        account_id, tier, arm ("treatment" or "control") and start; programme, end, cost and hours, where known.
    as_of : pandas.Timestamp
        The last day known.
    costs : bool
        A table of costs is there, from which empty costs are filled.

    Returns
    -------
    list of str
        A sentence a fault; empty where there is none.
    """
    if "programme" not in programmes or programmes["programme"].isna().all():
        return _faults("The programme", programmes, as_of, costs)
    named = programmes.assign(programme=programmes["programme"].fillna("not named").astype(str))
    return [said for name, rows in named.groupby("programme") for said in _faults(str(name), rows, as_of, costs)]


def _faults(name: str, rows: pd.DataFrame, as_of: pd.Timestamp, costs: bool) -> list[str]:
    treated = rows["arm"] == "treatment"
    said = []
    if not treated.any() or treated.all():
        lacks = "control" if treated.any() else "treated account"
        said.append(f"{name} has no {lacks}: what it changed cannot be told from a lot.")
    else:
        units = rows.groupby(["tier", "arm"])["account_id"].nunique().unstack(fill_value=0)  # noqa: PD010, a Series
        few = [f"{tier} ({row['control']} control{'' if row['control'] == 1 else 's'}, {row['treatment']} treated)"
               for tier, row in units.iterrows() if row.min() < 2]  # fmt: skip
        if few:
            said.append(f"{name}: too few accounts to say anything alone of {listed(few)}; two an arm are the least.")
    arms = rows.groupby("account_id")["arm"].agg(["size", "nunique"])
    for which, where in (
        (arms["nunique"] > 1, "in both arms"),
        (arms["size"] > arms["nunique"], "more than once"),
    ):
        if which.any():
            count = int(which.sum())
            said.append(f"{name}: {accounts(count)} {'is' if count == 1 else 'are'} there {where}.")
    late = int((rows["start"] > as_of).sum())
    if late:
        said.append(
            f"{name}: {accounts(late)} {'starts' if late == 1 else 'start'} after {as_of:%Y-%m-%d}, the last day known:"
            " any outcome would be from before the treatment."
        )
    spent = rows.reindex(columns=["cost", "hours"]).fillna(0).astype(float).gt(0).any(axis=1)
    wrong = int((spent & ~treated).sum())
    if wrong:
        said.append(
            f"{name}: {wrong:,} of {accounts(int((~treated).sum()))} in control had money or hours spent on them; they"
            " stay controls."
        )
    empty = treated & (rows["cost"].isna() if "cost" in rows else True)
    if empty.any() and not costs:
        said.append(
            f"{name}: what was spent on {int(empty.sum()):,} of {int(treated.sum()):,} treated accounts is not known:"
            " its return cannot be told."
        )
    return said
