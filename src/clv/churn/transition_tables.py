"""The tables of a transition matrix: moves with their intervals, time in stage, and the path ahead."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.transition_counts import Counts


def draw_matrices(concentration: NDArray[np.float64], draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw matrices with Dirichlet rows, shape (draws, states, states)."""
    rows = [rng.dirichlet(row, size=draws) for row in concentration]
    return np.stack(rows, axis=1)


def _tails(a: NDArray[np.float64], b: NDArray[np.float64], confidence: float) -> tuple[NDArray, NDArray]:
    from scipy.special import betaincinv

    low, high = (betaincinv(a, b, (1 + side * confidence) / 2) for side in (-1, 1))
    # A tail of a move never seen, in a row of little weight, is 0 but for the exponent.
    return np.where(low < 1e-12, 0.0, low), np.where(high < 1e-12, 0.0, high)


def moves(counts: Counts, posterior: NDArray[np.float64], confidence: float) -> pd.DataFrame:
    """Table the moves with their intervals."""
    total = posterior.sum(axis=2, keepdims=True)
    low, high = _tails(posterior, total - posterior, confidence) if len(counts.states) > 1 else (posterior / total,) * 2
    keys = pd.MultiIndex.from_product([counts.groups, counts.states, counts.states], names=["group", "from", "to"])
    columns = {"count": counts.moves, "probability": posterior / total, "lower": low, "upper": high}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=keys).reset_index()


def time_in_stage(counts: Counts, posterior: NDArray[np.float64], confidence: float) -> pd.DataFrame:
    """Table how long a stay lasts: geometric, with the exact interval of its parameter carried over."""
    own = np.diagonal(posterior, axis1=1, axis2=2)
    other = posterior.sum(axis=2) - own
    keys = pd.MultiIndex.from_product([counts.groups, counts.states], names=["group", "stage"])
    with np.errstate(divide="ignore"):
        low, high = _tails(own, other, confidence) if len(counts.states) > 1 else (np.ones_like(own),) * 2
        months = {"months": (own + other) / other, "lower": 1 / (1 - low), "upper": 1 / (1 - high)}
    columns = {"stays": counts.stays[..., 0], "ended": counts.stays[..., 1]} | months
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=keys).reset_index()


def path(
    counts: Counts, posterior: NDArray[np.float64], months: int, confidence: float, draws: int, seed: int
) -> pd.DataFrame:
    """Carry the accounts of the last month-end forward, under every drawn matrix."""
    rng = np.random.default_rng(seed)
    parts = []
    for place, group in enumerate(counts.groups):
        matrices = draw_matrices(posterior[place], draws, rng)
        here = np.repeat(counts.now[place][None, :].astype(float), draws, axis=0)
        for month in range(months + 1):
            low, high = np.quantile(here, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
            columns = {"group": group, "month": month, "stage": list(counts.states), "accounts": here.mean(axis=0)}
            parts.append(pd.DataFrame(columns | {"lower": low, "upper": high}))
            here = np.einsum("di,dij->dj", here, matrices)
    return pd.concat(parts, ignore_index=True)
