"""Strategic criteria of accounts as a study has them, for weighing them against money (rule D3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from clv.abm.classes.evidence import latest_answers
from clv.abm.classes.relationship import mean_attitude
from clv.churn.stages import STAGES
from clv.result import Result

#: criterion -> what it is, and what it needs.
CRITERIA = {
    "fit": ("fit to the ideal-customer profile", "a profile that can rank"),
    "growth room": ("yearly demand that is not ours", "wallets"),
    "relationship": ("attitude of its people towards us", "contacts with an attitude"),
    "intent": ("enquiries lately", "touches that say who came to whom"),
    "stage": ("how healthy a customer it is", "churn stages"),
    "status": ("its name is worth showing, or it adapts our products first", "answers of the account teams"),
}


def strategic_criteria(
    accounts: Iterable[str],
    *,
    as_of: pd.Timestamp,
    fit: pd.Series | None = None,
    growth_room: pd.Series | None = None,
    contacts: pd.DataFrame | None = None,
    touches: pd.DataFrame | None = None,
    stages: pd.Series | None = None,
    assessments: pd.DataFrame | None = None,
    recent_days: int = 90,
    only: Iterable[str] | None = None,
) -> Result:
    """Gather what a study knows of each account beside money; more is better in every column.

    Parameters
    ----------
    accounts : iterable of str
    as_of : pandas.Timestamp
        What happened later does not count.
    fit, growth_room : pandas.Series, optional
        By account_id: of `clv.ideal_customer_profile`, of `clv.wallet_potential`.
    contacts, touches, assessments : pandas.DataFrame, optional
        Tables of the study.
    stages : pandas.Series, optional
        Churn stage by account_id.
    recent_days : int
        Within which an enquiry counts.
    only : iterable of str, optional
        Criteria asked for; None: all.

    Returns
    -------
    Result
        Index account_id, a column a criterion that tells accounts apart; an empty cell is not known. The text names
        those that are looked at, and those that are not, with what they would need.
    """
    ids = pd.Index([str(account) for account in accounts], name="account_id")
    asked = list(CRITERIA) if only is None else [name for name in CRITERIA if name in set(only)]
    answers = latest_answers(assessments, ids, as_of)
    status = answers["status_name"].fillna(False) | answers["lead_user"].fillna(False)
    sources: Mapping[str, Any] = {
        "fit": fit,
        "growth room": growth_room,
        "relationship": mean_attitude(contacts, ids),
        "intent": _enquiries(touches, ids, as_of, recent_days),
        "stage": None if stages is None else -stages.map({str(s): float(k) for k, s in enumerate(STAGES)}),
        "status": status.astype(float).where(answers["status_name"].notna() | answers["lead_user"].notna()),
    }
    found, lacking = {}, []
    for name in asked:
        source = sources[name]
        values = np.full(len(ids), np.nan)
        if source is not None:
            column = source.set_axis(source.index.astype(str))
            values = column[~column.index.duplicated()].reindex(ids).to_numpy(dtype=float, na_value=np.nan)
        known = values[np.isfinite(values)]
        if len(known) and np.ptp(known) > 0:
            found[name] = values
        else:
            lacking.append(name)
    table = pd.DataFrame(found, index=ids)
    said = [f"{name} ({CRITERIA[name][0]})" for name in found]
    text = f"Looked at beside money: {'; '.join(said)}." if said else "There is no criterion beside money."
    if lacking:
        text += f" Not looked at: {'; '.join(f'{name} (needs {CRITERIA[name][1]})' for name in lacking)}."
    return Result(table, text)


def _enquiries(touches: pd.DataFrame | None, ids: pd.Index, as_of: pd.Timestamp, recent_days: int) -> pd.Series | None:
    """Count each account's enquiries of the last days; 0 where there is none."""
    if touches is None or "inbound" not in touches.columns or not touches["inbound"].notna().any():
        return None
    day = touches["date"].dt.normalize()
    came = touches["inbound"].fillna(False).astype(bool)
    recent = touches[came & (day <= as_of) & (day > as_of - pd.Timedelta(days=recent_days))]
    return recent["account_id"].astype(str).value_counts().reindex(ids, fill_value=0).astype(float)
