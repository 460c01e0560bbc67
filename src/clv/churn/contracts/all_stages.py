"""One stage an account, where some just buy, some have a contract, and some do both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.contracts.account_stages import count_stages
from clv.churn.severity import RULE_STAGES, STAGES
from clv.churn.stage_inputs import stake
from clv.churn.stage_text import spread_text
from clv.data.settings import StageRules
from clv.data.units import DAYS
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.churn.contracts.stages import ContractStages
    from clv.churn.stages import ChurnStages

_AT_RISK = STAGES.index("at risk")


@dataclass(frozen=True, eq=False)
class AllStages(Result):
    """One stage for each account of the book.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: stage, basis ("purchases", "contract" or "both"), purchase_stage, contract_stage (missing
        where it has none of them), p_alive (the larger of the two), silence_probability, silent, expected_purchases (of
        its purchases; of its contract where it has only that), rule_stage (the better of the two), sentence;
        expected_renewals, p_renew, days_to_end where it has a contract; p_no_purchase of `clv.churn_stages`; value if a
        value was given.
    by_stage : pandas.DataFrame
        As that of `clv.churn_stages`.
    """

    by_stage: pd.DataFrame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the stage map: how many accounts, and how much of the value, are in each stage."""
        from clv.churn.pictures import stage_map

        return stage_map(self.by_stage, ax)


def all_stages(
    transactional: ChurnStages,
    contractual: ContractStages,
    *,
    rules: StageRules | None = None,
    value: pd.Series | None = None,
    currency: str = "",
) -> AllStages:
    """Join the stages of purchases and of contracts to one stage an account.

    Where an account has both, it is as far along as either says, as far as *at risk*: a contract about to be lost is a
    warning whatever is bought beside it, and so is falling silent under a running contract. It is *lapsed* or *lost*
    only if both say at least *lapsed*: who still buys, or still has a contract, is a customer. A lost contract no
    longer counts once the account has bought for ``rules.inactive_months`` months after its end.

    Neither a further day without a purchase nor one without a renewal moves an account up.

    Parameters
    ----------
    transactional : ChurnStages
        From `clv.churn_stages`.
    contractual : ContractStages
        From `clv.contract_stages`, as of the same day.
    rules : StageRules, optional
    value : pandas.Series, optional
        Money at stake, indexed by account_id; accounts that it lacks are an error.
    currency : str
        Written after money in the text.

    Returns
    -------
    AllStages

    Raises
    ------
    clv.errors.DataError
        The two are of different days, or an account has no value.
    """
    rules = StageRules() if rules is None else rules
    bought, signed = transactional.table, contractual.table
    about, other = bought.attrs.get("clv", {}), signed.attrs["clv"]
    days = (about.get("as_of"), other["as_of"])
    if days[0] is not None and pd.Timestamp(days[0]).date() != pd.Timestamp(days[1]).date():
        raise DataError(
            f"purchases are staged as of {pd.Timestamp(days[0]):%Y-%m-%d}, contracts as of {days[1]}.",
            mend="Stage both as of the same day.",
        )
    ids = bought.index.union(signed.index).rename("account_id")
    a, b = bought.reindex(ids), signed.reindex(ids)
    buys, signs = ids.isin(bought.index), ids.isin(signed.index)
    silent_for = a["silent"].to_numpy(float) * DAYS[about.get("unit", "W")]
    over_for = b["silent"].to_numpy(float) * DAYS[other["unit"]]
    outlived = buys & signs & (over_for - silent_for >= rules.inactive_months * DAYS["M"])
    t, c = _place(a["stage"], STAGES), _place(b["stage"], STAGES)
    both = buys & signs & ~outlived
    found = np.where(both, joined(t, c), np.where(buys, t, c))
    first = {name: a[name].where(buys, b[name]) for name in ("silence_probability", "expected_purchases")}
    silent = np.where(buys, silent_for, over_for) / DAYS[about.get("unit", "W")]
    rule = np.minimum(np.where(buys, _place(a["rule_stage"], RULE_STAGES), 9),
                      np.where(signs, _place(b["rule_stage"], RULE_STAGES), 9))  # fmt: skip
    text = [
        f"{said} Contract: {signed_text[0].lower()}{signed_text[1:]}" if x and y else said if x else signed_text
        for x, y, said, signed_text in zip(buys, signs, a["sentence"], b["sentence"], strict=True)
    ]
    table = pd.DataFrame(
        {
            "stage": np.array(STAGES, dtype=object)[found],
            "basis": np.select([buys & signs, buys], ["both", "purchases"], "contract").astype(object),
            "purchase_stage": a["stage"],
            "contract_stage": b["stage"],
            "p_alive": np.fmax(a["p_alive"].to_numpy(float), b["p_alive"].to_numpy(float)),
            "silence_probability": first["silence_probability"],
            "silent": silent,
            "expected_purchases": first["expected_purchases"],
            "rule_stage": np.array(RULE_STAGES, dtype=object)[rule],
            "sentence": text,
            "expected_renewals": b["expected_purchases"],
            "p_renew": b["p_renew"],
            "days_to_end": b["days_to_end"],
        },
        index=ids,
    )
    if "p_no_purchase" in bought:
        table["p_no_purchase"] = a["p_no_purchase"]
    if value is not None:
        table["value"] = stake(value, table.index)
    table.attrs["clv"] = dict(about) | {"as_of": other["as_of"]}
    by_stage = count_stages(table)
    moved = int((both & (found != t)).sum())
    text_ = spread_text(by_stage, "that buy or have a contract", currency)
    text_ += (
        f"\n\n{int((buys & ~signs).sum()):,} only buy, {int((signs & ~buys).sum()):,} only have a contract, and"
        f" {int((buys & signs).sum()):,} do both."
    )
    if moved:
        text_ += f" For {moved:,} of those that do both the contract changes the stage."
    return AllStages(table, text_, by_stage)


def joined(purchases: NDArray[np.intp], contract: NDArray[np.intp]) -> NDArray[np.intp]:
    """Join two severities (places in `STAGES`): the worse as far as at risk, the better beyond; rises with both."""
    worse = np.minimum(np.maximum(purchases, contract), _AT_RISK)
    return np.maximum(worse, np.minimum(purchases, contract))


def _place(stage: pd.Series, names: tuple[str, ...]) -> NDArray[np.intp]:
    """Return places in a scale; 0 where there is no stage."""
    codes = pd.Index(names).get_indexer(pd.Index(stage.to_numpy(dtype=object)))
    return np.maximum(codes, 0).astype(np.intp)
