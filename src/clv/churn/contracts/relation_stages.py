"""The stage of each contract: how likely it is renewed, how late that is, and whether it is still to come."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.churn.contracts.delays import RenewalDelays, still_customer
from clv.churn.contracts.forecast import expected_within
from clv.churn.contracts.hazard import RenewalHazard
from clv.churn.contracts.hazard_tables import renewal_of_like
from clv.churn.contracts.models import loss_probability
from clv.churn.contracts.terms import Date
from clv.churn.rhythm import rhythm_change
from clv.churn.severity import RULE_STAGES, STAGES, severity
from clv.data.settings import StageRules, Unit
from clv.data.units import DAYS


def slowed_accounts(transactions: pd.DataFrame | None, as_of: Date, account: pd.Series, level: float) -> pd.Series:
    """Say whose purchases come more slowly; missing where that is not known.

    Parameters
    ----------
    transactions : pandas.DataFrame or None
    as_of : date
    account : pandas.Series
        Account of each relation.
    level : float
        See `clv.churn.rhythm.rhythm_change`.
    """
    none = pd.Series(pd.NA, index=account.index, dtype="boolean")
    if transactions is None:
        return none
    change = rhythm_change(transactions, as_of=as_of, level=level).table
    known = change.loc[change["p_value"].notna(), "slowed"].astype("boolean")
    return known.reindex(account.to_numpy()).set_axis(account.index)


def relation_stages(
    rows: pd.DataFrame,
    hazard: RenewalHazard,
    delays: RenewalDelays,
    rules: StageRules,
    *,
    slowed: pd.Series,
    horizon_days: float,
    unit: Unit,
) -> pd.DataFrame:
    """Stage each relation; see `clv.contract_stages` for the scales.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `current_terms`, with the hazard's covariates.
    hazard : RenewalHazard
    delays : RenewalDelays
    rules : StageRules
    slowed : pandas.Series
        From `slowed_accounts`.
    horizon_days : float
    unit : {"D", "W", "M", "Y"}
        Of `silent`.

    Returns
    -------
    pandas.DataFrame
        Index contract_id; the columns of `ContractStages.contracts`, the sentence still empty, and severity.
    """
    over, gone = (rows["days_to_end"] < 0).to_numpy(), (rows["outcome"] == "lost").to_numpy()
    late = rows["late"].to_numpy(float)
    p_renew = 1 - loss_probability(hazard.model, rows)
    like = renewal_of_like(hazard.decisions, rows["term"], hazard.model)
    later = delays.later(late)
    p_alive = np.where(gone, 0.0, np.where(over, still_customer(p_renew, later), 1.0))
    found = severity(p_alive, later, rules=rules, once=np.zeros(len(rows), dtype=bool))
    found = np.maximum(found, _while_running(rows, p_renew, like, rules, slowed.fillna(False).to_numpy(bool)))
    first = np.divide(p_alive, p_renew, out=np.zeros(len(rows)), where=over & (p_renew > 0))
    expected = expected_within(hazard.model, rows, horizon_days=horizon_days) * np.where(over, first, 1.0)
    inactive = late > rules.inactive_months * DAYS["M"]
    return pd.DataFrame(
        {
            "account_id": rows["account_id"],
            "relation_id": rows["relation_id"],
            "stage": np.array(STAGES, dtype=object)[found],
            "p_alive": p_alive,
            "silence_probability": later,
            "silent": late / DAYS[unit],
            "expected_purchases": expected,
            "rule_stage": np.array(RULE_STAGES, dtype=object)[np.where(inactive, 2, np.where(over, 1, 0))],
            "sentence": "",
            "term": rows["term"],
            "days_to_end": rows["days_to_end"],
            "p_renew": p_renew,
            "p_renew_like": like,
            "slowed": slowed,
            "severity": found,
        },
        index=rows.index,
    )


def _while_running(
    rows: pd.DataFrame, p_renew: np.ndarray, like: np.ndarray, rules: StageRules, slowed: np.ndarray
) -> np.ndarray:
    """Count the stages that a doubtful renewal moves an account; it keeps them once the term is over."""
    slowing, at_risk = STAGES.index("slowing"), STAGES.index("at risk")
    unusual = (1 - p_renew) >= rules.renewal_ratio * (1 - like)
    near = rows["days_to_end"].to_numpy() <= rules.renewal_notice
    doubtful = near & (p_renew < rules.renewal[0])
    found = np.where(unusual | slowed | doubtful, slowing, 0)
    return np.where(near & (p_renew < rules.renewal[1]), at_risk, found)
