"""How far an account is along the six stages: thresholds on silence, on P(alive), and on its change of rhythm."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.stage_inputs import PurchaseModel
from clv.data.settings import StageRules, Unit
from clv.data.units import DAYS

#: from the healthiest to the worst.
STAGES = ("steady", "slowing", "overdue", "at risk", "lapsed", "lost")
#: what the rule of thumb says.
RULE_STAGES = ("active", "lapsing", "inactive")

Floats = NDArray[np.float64]

#: a silence that no account comes back from, in any unit; the largest whole number that all models take.
_ENDLESS = 100_000.0


def severity(
    p_alive: Floats,
    silence: Floats,
    *,
    rules: StageRules,
    once: NDArray[np.bool_],
    slowed: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """Count how many stages below steady each account is.

    Parameters
    ----------
    p_alive, silence : ndarray, shape (accounts,)
        P(alive), and the probability that a living account is silent this long or longer.
    rules : StageRules
    once : ndarray of bool
        Accounts of which the model cannot tell whether they are alive; see `undecided`.
    slowed : ndarray of bool, optional
        Accounts whose rhythm has slowed: one stage further if steady or slowing.

    Returns
    -------
    ndarray of int
        Place in `STAGES`. As silence grows both probabilities fall and `once` and `slowed` stay: it never falls.
    """
    by_silence = _steps_below(silence, rules.silence)
    at_risk, overdue = STAGES.index("at risk"), STAGES.index("overdue")
    found = np.maximum(
        np.where(once, by_silence, np.minimum(by_silence, at_risk)),
        np.array([0, STAGES.index("lapsed"), STAGES.index("lost")])[_steps_below(p_alive, rules.alive)],
    )
    if slowed is not None:
        found = np.where(slowed & (found < overdue), found + 1, found)
    return np.asarray(found, dtype=np.intp)


def undecided(purchases: PurchaseModel, summary: pd.DataFrame) -> NDArray[np.bool_]:
    """Find accounts that bought once under a model that lets nobody leave before a second purchase.

    What tells is the model's answer for one of them after a silence without end, not for each as it stands: a
    probability that only rounds to 1 would fall back among the others as silence grows.
    """
    once = summary["frequency"].to_numpy() == 0
    if not once.any():
        return once
    probe = summary.iloc[np.flatnonzero(once)[:1]].assign(T=_ENDLESS)
    probe.attrs = dict(summary.attrs)
    return once & (float(np.asarray(purchases.probability_alive(probe), dtype=float).reshape(-1)[0]) == 1)


def _steps_below(values: Floats, thresholds: tuple[float, ...]) -> NDArray[np.intp]:
    """Count the thresholds that each value is below."""
    steps = np.zeros(len(values), dtype=np.intp)
    for threshold in thresholds:
        steps += values < threshold
    return steps


def rule_of_thumb(summary: pd.DataFrame, rules: StageRules, unit: Unit) -> NDArray[np.intp]:
    """Stage by what sales teams use without a model; place in `RULE_STAGES`."""
    frequency, recency, T = (summary[name].to_numpy(float) for name in ("frequency", "recency", "T"))
    silent = np.maximum(T - recency, 0.0)
    inactive = rules.inactive_months * DAYS["M"] / DAYS[unit]
    # Nobody came back: no interval is known, and only the months decide.
    book = recency.sum() / frequency.sum() if frequency.sum() > 0 else inactive
    own = np.divide(recency, frequency, out=np.full(len(recency), book), where=frequency > 0)
    return np.where(silent > inactive, 2, np.where(silent > own, 1, 0)).astype(np.intp)
