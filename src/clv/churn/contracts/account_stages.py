"""From contracts to accounts: the stage of the contract that is best off, and the count of stages."""

from __future__ import annotations

import pandas as pd

from clv.churn.severity import STAGES


def account_stages(table: pd.DataFrame) -> pd.DataFrame:
    """Take each account's best relation, and say what the others are.

    Parameters
    ----------
    table : pandas.DataFrame
        From `relation_stages`.

    Returns
    -------
    pandas.DataFrame
        Index account_id; the columns of `ContractStages.table`.
    """
    order = table.reset_index().sort_values(
        ["account_id", "severity", "p_alive", "silent", "contract_id"], ascending=[True, True, False, True, True]
    )
    best = order.groupby("account_id", sort=True).head(1).set_index("account_id")
    lost = (order["stage"] == "lost").groupby(order["account_id"])
    best["lost_contracts"] = lost.sum().astype("int64")
    best["contracts"] = lost.size() - best["lost_contracts"]
    worse = order[order["account_id"].duplicated()]
    said = worse.groupby(["account_id", "stage"], sort=False).size().rename("n").reset_index()
    words = said["n"].astype(str) + " " + said["stage"]
    beside = words.groupby(said["account_id"]).agg(", ".join).to_dict()
    best["sentence"] = [
        f"{text} Its other contracts: {beside[account]}." if account in beside else text
        for account, text in best["sentence"].items()
    ]
    shown = ["stage", "p_alive", "silence_probability", "silent", "expected_purchases", "rule_stage", "sentence"]
    own = ["contract_id", "term", "days_to_end", "p_renew", "p_renew_like", "slowed", "contracts", "lost_contracts"]
    # Renewals of all relations, not of the best one only.
    best["expected_purchases"] = table.groupby("account_id")["expected_purchases"].sum()
    return best[[*shown, *own]]


def count_stages(table: pd.DataFrame) -> pd.DataFrame:
    """Accounts, expected purchases and money by stage; a stage without accounts holds zeros and no mean."""
    grouped = table.groupby("stage")
    counts = pd.DataFrame({"accounts": grouped.size()}).reindex(pd.Index(STAGES, name="stage"), fill_value=0)
    counts["share"] = counts["accounts"] / len(table)
    counts["p_alive"] = grouped["p_alive"].mean()
    for name in ("expected_purchases", "value"):
        if name in table:
            counts[name] = grouped[name].sum().reindex(counts.index, fill_value=0.0)
    return counts
