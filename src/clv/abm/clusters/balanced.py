"""A cluster cut into groups of a size that people can work on: neighbours stay together."""

from __future__ import annotations

import math

import numpy as np


def equal_groups(points: np.ndarray, most: int) -> np.ndarray:
    """Cut points into as few groups as hold at most so many, of sizes that differ little.

    Halved again and again across the longest axis, each half with its share of the groups (a k-d tree along principal
    axes; Sproull 1991).

    Parameters
    ----------
    points : numpy.ndarray, shape (n, width)
    most : int

    Returns
    -------
    numpy.ndarray of int, shape (n,)
        Groups from 0 on.
    """
    out = np.zeros(len(points), dtype=np.int64)
    rest = [(np.arange(len(points)), math.ceil(len(points) / most), 0)]
    while rest:
        some, groups, first = rest.pop()
        if groups <= 1:
            out[some] = first
            continue
        left = groups // 2
        cut = round(len(some) * left / groups)
        order = np.argsort(_along(points[some]), kind="stable")
        rest.append((some[order[:cut]], left, first))
        rest.append((some[order[cut:]], groups - left, first + left))
    return out


def _along(points: np.ndarray) -> np.ndarray:
    """Place points along their longest axis; its direction does not depend on the sign that the solver returns."""
    centred = points.astype(float) - points.mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    at = np.argmax(np.abs(axis))
    return np.round(centred @ (axis * np.sign(axis[at])), 9)
