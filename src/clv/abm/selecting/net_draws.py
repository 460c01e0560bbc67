"""Draws of scores, and how often each account is in the best set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.errors import DataError

#: cells of the draws that are looked at in one go: bounds the memory to some tens of megabytes.
CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class NetDraws:
    """Draws of every account's score, seen in another order and net of costs without being copied.

    Attributes
    ----------
    values : numpy.ndarray, shape (accounts, draws)
    order : numpy.ndarray of int
        Row of `values` of each account.
    cost : numpy.ndarray, shape (accounts,)
        In that order.
    """

    values: np.ndarray
    order: np.ndarray
    cost: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Accounts and draws."""
        return len(self.order), int(self.values.shape[1])

    def of(self, rows: slice) -> np.ndarray:
        """Scores of some accounts, shape (accounts, draws)."""
        return np.asarray(self.values[self.order[rows]].astype(float) - self.cost[rows, None])

    def at(self, draws: slice) -> np.ndarray:
        """Scores of all accounts in some draws, shape (accounts, draws)."""
        return np.asarray(self.values[self.order, draws].astype(float) - self.cost[:, None])

    def sorted_by(self, order: np.ndarray) -> NetDraws:
        """Return the same draws with the accounts in another order."""
        return NetDraws(self.values, self.order[order], self.cost[order])


def belonging(
    draws: NetDraws, capacity: int | None, chosen: np.ndarray, *, chunk: int | None = None
) -> tuple[np.ndarray, float]:
    """Count in how many draws each account is in the draw's best set, and what more that set brings.

    Parameters
    ----------
    draws : NetDraws
        In the order that settles ties.
    capacity : int or None
    chosen : numpy.ndarray of bool, shape (accounts,)
    chunk : int, optional
        Cells in one go.

    Returns
    -------
    share : numpy.ndarray, shape (accounts,)
    regret : float
        Mean over draws of what the best set brings more than the chosen one.
    """
    n, many = draws.shape
    hits, more = np.zeros(n), 0.0
    step = max(1, (CHUNK if chunk is None else chunk) // n)
    for start in range(0, many, step):
        net = draws.at(slice(start, start + step))
        if np.isnan(net).any():
            raise DataError("a draw is no number.", mend="Draw the values again.", table="value", column="draws")
        inside = best_set(net, capacity)
        hits += inside.sum(axis=1)
        more += float(net[inside].sum() - net[chosen].sum())
    return hits / many, max(0.0, more / many)


def best_set(net: np.ndarray, capacity: int | None) -> np.ndarray:
    """Mark the best positive rows of every column, up to a capacity; of equal ones the first.

    Parameters
    ----------
    net : numpy.ndarray, shape (accounts, columns)
    capacity : int or None

    Returns
    -------
    numpy.ndarray of bool
    """
    inside = net > 0
    n = len(net)
    if capacity is not None and capacity < n:
        least = np.partition(net, n - capacity, axis=0)[n - capacity]
        above = net > least
        level = net == least
        room = capacity - above.sum(axis=0)
        inside &= above | (level & (np.cumsum(level, axis=0) <= room))
    return np.asarray(inside)
