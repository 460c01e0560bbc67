"""What a forecast hangs on: how far the net return moves when one input alone does."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.abm.forecast.simulate import Draws
from clv.abm.loop.shrinkage import Floats


def tornado(draws: Draws, confidence: float) -> pd.DataFrame:
    """Swing of the net present value by input, the largest first.

    Each input runs over its draws while all others stay at their means: values of the accounts (with how differently
    they respond), the uplift of each tier (and of the odds to win prospects), the cost of each tier.

    Returns
    -------
    pandas.DataFrame
        input, low, high (quantiles of the net present value), swing, variance_share: variance that the input alone
        makes over the whole one (first-order index, Sobol 1993); the row "inputs together" is what is left: products
        of inputs, and inputs that move together such as uplifts.
    """
    worth, uplift, cost = (one.mean(axis=1, keepdims=True) for one in (draws.worth, draws.uplift, draws.cost))
    middle = float((worth * uplift).sum() - cost.sum())
    alone: dict[str, Floats] = {"values of the accounts": ((draws.worth - worth) * uplift).sum(axis=0)}
    effect = draws.effect if draws.effect is not None else np.array([f"uplift of {tier}" for tier in draws.tier])
    for name in dict.fromkeys(effect):
        alone[name] = ((draws.uplift - uplift) * worth)[effect == name].sum(axis=0)
    for tier in dict.fromkeys(draws.tier):
        own = draws.tier == tier
        alone[f"cost of {tier}"] = (cost - draws.cost)[own].sum(axis=0)
    total = float((draws.margin - draws.cost).sum(axis=0).var())
    rows = []
    for name, moved in alone.items():
        low, high = middle + np.quantile(moved, [(1 - confidence) / 2, (1 + confidence) / 2])
        rows.append((name, low, high, high - low, float(moved.var()) / total if total > 0 else 0.0))
    table = pd.DataFrame(rows, columns=["input", "low", "high", "swing", "variance_share"])
    table = table.sort_values("swing", ascending=False, kind="stable")
    table = table[table["swing"] > 1e-9 * max(1.0, abs(middle))]
    rest = 1 - float(table["variance_share"].sum()) if total > 0 else 0.0
    last = pd.DataFrame([("inputs together", np.nan, np.nan, np.nan, rest)], columns=table.columns)
    return (pd.concat([table, last]) if len(table) else last).reset_index(drop=True)
