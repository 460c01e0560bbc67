"""Are there clusters at all? The gap statistic against accounts of one kind, with a p-value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clv.abm.clusters.consensus import k_means
from clv.abm.clusters.embedding import Block


class Gap(NamedTuple):
    """The gap statistic.

    Attributes
    ----------
    gap, error : numpy.ndarray, shape (numbers of clusters,)
        How much lower the log of the squares within is than for accounts of one kind, and the standard deviation of
        the latter.
    p_value : float
        Of the largest standardised gap, over all numbers of clusters at once.
    """

    gap: np.ndarray
    error: np.ndarray
    p_value: float


def gap_statistic(
    points: np.ndarray,
    blocks: tuple[Block, ...],
    ks: list[int],
    *,
    references: int,
    rng: np.random.Generator,
) -> Gap:
    """Compare clusters with those that k-means finds where there are none.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, width)
    blocks : tuple of Block
    ks : list of int
    references : int
    rng : numpy.random.Generator

    Returns
    -------
    Gap

    Notes
    -----
    Tibshirani, Walther & Hastie (2001), J. R. Stat. Soc. B 63: gap_k = mean log W*_k − log W_k, reference (b), uniform
    along the principal components of the numbers, with their variances. Categories, and numbers with few values, are
    permuted each on its own (local independence within one class, as in latent class analysis with one class). The
    p-value is a Monte-Carlo one (Davison & Hinkley 1997, equation 4.11) of max_k gap_k ÷ spread_k, with the points
    themselves among the references when centres and spreads are found, so that all are treated alike.
    """
    log_w = np.empty((references + 1, len(ks)))
    for row in range(references + 1):
        drawn = points if row == 0 else one_kind(points, blocks, rng)
        total = float(((drawn - drawn.mean(axis=0)) ** 2).sum())
        for column, k in enumerate(ks):
            within = k_means(drawn, k, int(rng.integers(2**31)))[2]
            log_w[row, column] = np.log(max(within, 1e-9 * total) / total)
    error = log_w[1:].std(axis=0, ddof=1)
    gap = log_w[1:].mean(axis=0) - log_w[0]
    spread = np.maximum(log_w.std(axis=0, ddof=1), 1e-12)
    largest = ((log_w.mean(axis=0) - log_w) / spread).max(axis=1)
    p_value = float(np.sum(largest >= largest[0] * (1 - 1e-12)) / (references + 1))
    return Gap(gap, error, p_value)


def one_kind(points: np.ndarray, blocks: tuple[Block, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw accounts of one kind: the same attributes one by one, with no more in common than one cloud has."""
    n, out = len(points), points.copy()
    scaled = [block.at.start for block in blocks if block.scaled]
    if scaled:
        known = points[:, scaled]
        centre = known.mean(axis=0)
        values, axes = np.linalg.eigh(np.atleast_2d(np.cov(known, rowvar=False)))
        box = rng.uniform(-np.sqrt(3), np.sqrt(3), (n, len(scaled))) * np.sqrt(np.maximum(values, 0.0))
        out[:, scaled] = centre + box @ axes.T
    for block in blocks:
        order = rng.permutation(n)
        if not block.scaled:
            out[:, block.at] = points[order][:, block.at]
        else:
            flag = block.at.start + 1
            out[:, flag] = points[order, flag]
            out[out[:, flag] > 0, block.at.start] = 0.0
    return out
