"""Arithmetic of chains with rewards: discounted values, and the best of two ways in each stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.errors import DataError

Floats = NDArray[np.float64]


def checked_matrix(P: Any, name: str = "transitions") -> pd.DataFrame:
    """Return the matrix with rows and columns in the same order; its rows must be probabilities."""
    if not isinstance(P, pd.DataFrame):
        raise DataError("it is no table.", table=name, mend="Use clv.transition_matrix, or give a square DataFrame.")
    twice = P.index.has_duplicates or P.columns.has_duplicates
    if P.shape[0] == 0 or twice or set(P.index) != set(P.columns):
        raise DataError("rows and columns are not the same stages.", table=name, mend="Give a square table.")
    P = P[list(P.index)]
    cells = P.to_numpy(float)
    bad = ~(np.isfinite(cells) & (cells >= 0)).all(axis=1)
    bad |= ~(np.abs(np.where(np.isfinite(cells), cells, 0).sum(axis=1) - 1) < 1e-6)
    if bad.any():
        raise DataError(
            f"stage {P.index[bad][0]!r}: the moves from it are no probabilities that sum to 1.",
            table=name, row=int(np.argmax(bad)) + 1, mend="Use clv.transition_matrix.",
        )  # fmt: skip
    return P


def checked_money(given: Mapping[str, float] | pd.Series, states: tuple[str, ...], name: str) -> Floats:
    """Return the money of each stage; a stage too many or too few is named."""
    if not hasattr(given, "items"):
        raise DataError(f"found {given!r}.", column=name, mend="Give a mapping from stage to money.")
    money = {str(stage): float(value) for stage, value in given.items()}
    unknown, missing = sorted(set(money) - set(states)), [stage for stage in states if stage not in money]
    if unknown or missing:
        what = f"unknown stage {unknown[0]!r} ({len(unknown)} in all)" if unknown else f"stage {missing[0]!r} has none"
        raise DataError(f"{what}.", column=name, mend=f"Give money for each of {', '.join(states)}.")
    values = np.array([money[stage] for stage in states])
    if not np.isfinite(values).all():
        raise DataError(f"stage {states[int(np.argmax(~np.isfinite(values)))]!r}: no finite money.", column=name)
    return values


def values(P: Floats, R: Floats, factor: float, horizon: int | None) -> Floats:
    """Discount the rewards R of chains P, shape (..., states, states), by `factor` a period; shape (..., states)."""
    if horizon is None:
        rewards = np.broadcast_to(R[:, None], (*P.shape[:-1], 1))
        solved: Any = np.linalg.solve(np.eye(len(R)) - factor * P, rewards)[..., 0]
        return np.asarray(solved, dtype=np.float64)
    value: Any = np.broadcast_to(R, P.shape[:-1])
    for _ in range(horizon):
        value = np.add(R, factor * np.einsum("...ij,...j->...i", P, value))
    return np.asarray(value, dtype=np.float64)


def best_policy(
    leave: tuple[Floats, Floats], act: tuple[Floats, Floats], factor: float, horizon: int | None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Choose in each stage between two (matrix, rewards): Howard's policy iteration, or backward induction.

    Returns
    -------
    value : numpy.ndarray, shape (states,)
    play : numpy.ndarray of bool, shape (states,)
        Whether acting is worth more in the present period; a tie is left alone.
    """

    def gain(value: Floats) -> Floats:
        difference: Floats = (act[1] + factor * act[0] @ value) - (leave[1] + factor * leave[0] @ value)
        return difference

    if horizon is not None:
        value = np.zeros_like(leave[1])
        chosen = np.zeros(len(value), dtype=bool)
        for _ in range(horizon + 1):
            chosen = gain(value) > 1e-12
            value = np.where(chosen, act[1] + factor * act[0] @ value, leave[1] + factor * leave[0] @ value)
        return value, chosen
    chosen = np.zeros(len(leave[1]), dtype=bool)
    for _ in range(2 ** len(chosen) + 1):
        P, R = np.where(chosen[:, None], act[0], leave[0]), np.where(chosen, act[1], leave[1])
        value = values(P, R, factor, None)
        scale = 1e-12 * max(1.0, float(np.abs(value).max()))
        # A tie keeps what is chosen: without that, rounding could make it go round in circles.
        difference = gain(value)
        better = np.where(np.abs(difference) <= scale, chosen, difference > 0)
        if (better == chosen).all():
            break
        chosen = better
    return value, chosen
