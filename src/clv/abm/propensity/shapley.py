"""Additive contributions of columns to a score, by sampled Shapley values that sum exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

#: cells of the tables that are scored in one go.
_CHUNK = 2_000_000


def shapley_values(
    score: Callable[[pd.DataFrame], np.ndarray],
    rows: pd.DataFrame,
    background: pd.DataFrame,
    *,
    draws: int = 32,
    seed: int = 0,
) -> pd.DataFrame:
    """Split each row's score into what each of its columns adds.

    Parameters
    ----------
    score : callable
        Table -> array of scores, one a row.
    rows : pandas.DataFrame, shape (rows, columns)
        To be explained.
    background : pandas.DataFrame
        The book that they are compared with, same columns.
    draws : int
        Orders of the columns that are tried a row, in pairs of an order and its reverse; rounded up to an even number.
    seed : int

    Returns
    -------
    pandas.DataFrame, shape (rows, 1 + columns)
        Index of `rows`. ``(average)``, the mean score of the book's drawn rows, then each column's part. A row's
        parts sum to its score exactly, whatever the number of draws; single parts are estimates.

    Notes
    -----
    Shapley values of the interventional kind, by permutation sampling (Štrumbelj & Kononenko 2014, algorithm 1) with
    antithetic orders (Mitchell et al. 2022). All rows share the orders and the drawn rows of the book, so that two
    accounts differ by what they are and not by what was drawn.
    """
    rng = np.random.default_rng(seed)
    names, pairs = list(rows.columns), max(1, (draws + 1) // 2)
    base = background.iloc[rng.integers(0, len(background), pairs)]
    parts = np.zeros((len(rows), len(names)))
    if not len(rows):
        return _labelled(parts, float(np.mean(score(base))), rows)
    step = max(1, _CHUNK // (len(names) + 1) ** 2)
    for pair in range(pairs):
        order = rng.permutation(len(names))
        for way in (order, order[::-1]):
            for start in range(0, len(rows), step):
                some = rows.iloc[start : start + step]
                found = _along(score, some, base.iloc[pair : pair + 1], way)
                parts[start : start + step, way] += np.diff(found, axis=1)
    return _labelled(parts / (2 * pairs), float(np.mean(score(base))), rows)


def _along(
    score: Callable[[pd.DataFrame], np.ndarray], rows: pd.DataFrame, base: pd.DataFrame, order: np.ndarray
) -> np.ndarray:
    """Score rows that turn from the book's row into their own, column by column; shape (rows, columns + 1)."""
    names = list(rows.columns)
    n, steps = len(rows), len(names) + 1
    turned = np.empty(len(names), dtype=int)
    turned[order] = np.arange(len(names))
    step = np.tile(np.arange(steps), n)
    mixed = {
        name: np.where(
            turned[at] < step, np.repeat(rows[name].to_numpy(), steps), np.repeat(base[name].to_numpy(), n * steps)
        )
        for at, name in enumerate(names)
    }
    return np.asarray(score(pd.DataFrame(mixed))).reshape(n, steps)


def _labelled(parts: np.ndarray, average: float, rows: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame(parts, index=rows.index, columns=list(rows.columns))
    table.insert(0, "(average)", average)
    return table
