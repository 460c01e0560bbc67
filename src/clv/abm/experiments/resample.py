"""The bootstrap of an experiment: what was randomised is drawn with replacement, as counts instead of copies."""

from __future__ import annotations

import numpy as np

from clv.abm.experiments.linear import Codes, Floats
from clv.abm.experiments.moments import UnitSums
from clv.abm.experiments.trial import Comparison

#: numbers held at a time, some tens of megabytes.
_CELLS = 2_000_000


def resampled_counts(strata: Codes, *, samples: int, rng: np.random.Generator) -> Floats:
    """Draw how often each unit is in each bootstrap sample; every stratum keeps its size.

    Parameters
    ----------
    strata : numpy.ndarray of int, shape (units,)
        Units of one stratum (arm and block) are drawn among themselves.
    samples : int

    Returns
    -------
    numpy.ndarray, shape (samples, units)
        Whole numbers.
    """
    out = np.empty((samples, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        out[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=samples)
    return out


def resampled_effects(comparison: Comparison, outcomes: Floats, counts: Floats) -> Floats:
    """Estimate the effects in bootstrap samples.

    Parameters
    ----------
    outcomes : numpy.ndarray, shape (rows, outcomes)
        In the order of the comparison.
    counts : numpy.ndarray, shape (samples, rows)
        How often each row is in each sample: the same number for all rows of a unit (of a block, where the
        comparison has small blocks).

    Returns
    -------
    numpy.ndarray, shape (samples, outcomes)
        As `clv.abm.experiments.trial.estimate` gives them for the rows copied so often.
    """
    if comparison.small_blocks:
        return _between_blocks(comparison, outcomes, counts[:, comparison.blocks])
    sums = UnitSums(comparison, outcomes)
    step = max(1, _CELLS // max(counts.shape[1], len(comparison.blocks) * sums.width**2))
    z = comparison.treated.astype(float)
    parts = [
        sums.statistics(counts[start : start + step] * z, counts[start : start + step] * (1 - z))[0]
        for start in range(0, len(counts), step)
    ]
    return np.concatenate(parts)


def _between_blocks(comparison: Comparison, outcomes: Floats, counts: Floats) -> Floats:
    """Effect from the differences of blocks, with one slope for all; see `clv.abm.experiments.trial.estimate`."""
    m, starts = outcomes.shape[1], comparison.blocks
    columns = np.column_stack([outcomes, comparison.covariates])
    z = comparison.treated.astype(float)
    k = columns.shape[1]
    size = np.diff(np.append(starts, len(z))).astype(float)
    difference, moments = np.zeros((len(starts), k)), np.zeros((len(starts), k, k))
    for sign, inside in ((1, z), (-1, 1 - z)):
        n = np.add.reduceat(inside, starts)
        mean = np.add.reduceat(inside[:, None] * columns, starts, axis=0) / n[:, None]
        rest = (columns - mean[comparison.block]) * inside[:, None]
        products = np.add.reduceat(rest[:, :, None] * rest[:, None, :], starts, axis=0)
        difference += sign * mean
        moments += (size / n)[:, None, None] * products
    moments += (size / 2)[:, None, None] * difference[:, :, None] * difference[:, None, :]
    weight = counts * size
    total = weight.sum(axis=1, keepdims=True)
    mean = weight @ difference / total
    if k == m:
        return mean
    drawn = np.einsum("bk,kij->bij", counts, moments) - (total / 2)[:, :, None] * mean[:, :, None] * mean[:, None, :]
    slope = np.linalg.pinv(drawn[:, m:, m:], hermitian=True) @ drawn[:, m:, :m]
    return mean[:, :m] - np.einsum("bx,bxm->bm", mean[:, m:], slope)
