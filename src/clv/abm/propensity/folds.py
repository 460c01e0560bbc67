"""Who is held out with whom: rows that belong together never stand on both sides, and the future never teaches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

#: one fold: rows to learn from, rows to foretell.
Fold = tuple[np.ndarray, np.ndarray]


def alike(frame: pd.DataFrame, own: pd.Series | np.ndarray | None = None) -> np.ndarray:
    """Give rows that belong together the same number.

    Parameters
    ----------
    frame : pandas.DataFrame
        What a model sees of each row: rows equal in every column belong together, since a model that saw one of them
        knows the other.
    own : array-like, optional
        A further grouping, such as the account of a deal. Groupings are joined: rows linked through either share a
        number.

    Returns
    -------
    numpy.ndarray of int, shape (rows,)
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(frame)
    same: np.ndarray = np.arange(n)
    if frame.shape[1]:
        same = frame.groupby(list(frame.columns), sort=False, dropna=False, observed=True).ngroup().to_numpy()
    if own is None:
        return same
    # A graph of rows, kinds of rows and own groups: what hangs together is one group.
    codes = pd.factorize(np.asarray(own))[0]
    codes = np.where(codes < 0, codes.max(initial=-1) + 1 + np.arange(n), codes)
    row = np.concatenate([np.arange(n), np.arange(n)])
    node = np.concatenate([n + same, n + same.max(initial=0) + 1 + codes])
    size = int(node.max(initial=0)) + 1
    graph = coo_matrix((np.ones(2 * n, dtype=np.int8), (row, node)), shape=(size, size))
    return connected_components(graph, directed=False)[1][:n]


def grouped_folds(y: np.ndarray, groups: np.ndarray, *, folds: int, seed: int) -> Iterator[Fold]:
    """Cut into folds with like shares of wins, whole groups each.

    Yields
    ------
    (train, test) : arrays of row numbers
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    distinct, rows = len(np.unique(groups)), np.zeros((len(y), 1))
    fewest = int(np.unique(y, return_counts=True)[1].min())
    # Of three wins no more than three folds can have one.
    most = min(folds, distinct, max(2, fewest))
    if distinct == len(y):
        # Rows that all stand alone need no search for groups that fit, the longest part with 20,000 of them.
        yield from StratifiedKFold(most, shuffle=True, random_state=seed).split(rows, y)
        return
    yield from StratifiedGroupKFold(most, shuffle=True, random_state=seed).split(rows, y, groups)


def forward_folds(opened: pd.Series, decided: pd.Series, groups: np.ndarray, *, folds: int) -> Iterator[Fold]:
    """Cut by time: a block of deals is foretold from those decided before its first one was opened.

    Deals of a group that stands in the block are not learnt from.

    Parameters
    ----------
    opened, decided : pandas.Series of datetime, shape (rows,)
    groups : numpy.ndarray
    folds : int
        Blocks, of equal numbers of deals; the first has nothing before it and is not foretold.

    Yields
    ------
    (train, test) : arrays of row numbers
    """
    start, end = opened.to_numpy("datetime64[ns]"), decided.to_numpy("datetime64[ns]")
    order = np.argsort(start, kind="stable")
    for block in np.array_split(order, folds + 1)[1:]:
        before = (end < start[block].min()) & ~np.isin(groups, groups[block])
        yield np.flatnonzero(before), np.sort(block)
