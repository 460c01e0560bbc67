"""Which attributes go with others: one that goes with none says nothing about kinds of accounts."""

from __future__ import annotations

import numpy as np

from clv.abm.clusters.embedding import Block

#: permutations of each attribute, and the p-value up to which it counts as related.
_PERMUTATIONS, _LEVEL = 199, 0.01


def related_attributes(points: np.ndarray, blocks: tuple[Block, ...], rng: np.random.Generator) -> tuple[Block, ...]:
    """Find the attributes that depend on the others.

    Where kinds of accounts differ in several attributes, these attributes depend on one another; one that does not
    would only cut every kind in halves.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, width)
    blocks : tuple of Block
    rng : numpy.random.Generator

    Returns
    -------
    tuple of Block
        All of them where fewer than two depend on others.

    Notes
    -----
    Permutation test of the sum of squared covariances between an attribute's columns and those of all others (the
    numerator of the RV coefficient, Robert & Escoufier 1976), at 1 %.
    """
    centred = points - points.mean(axis=0)
    kept = []
    for block in blocks:
        own = centred[:, block.at]
        others = np.delete(centred, np.arange(block.at.start, block.at.stop), axis=1)
        if not others.shape[1]:
            return blocks
        seen = float(((own.T @ others) ** 2).sum())
        as_high = sum(
            float(((own[rng.permutation(len(own))].T @ others) ** 2).sum()) >= seen for _ in range(_PERMUTATIONS)
        )
        if (1 + as_high) / (1 + _PERMUTATIONS) <= _LEVEL:
            kept.append(block)
    return tuple(kept) if len(kept) > 1 else blocks


def columns_of(blocks: tuple[Block, ...]) -> np.ndarray:
    """List the columns of attributes in the matrix of points."""
    return np.concatenate([np.arange(block.at.start, block.at.stop) for block in blocks])
