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
        How often each row is in each sample: the same number for all rows of a unit (of a block, where it is small).

    Returns
    -------
    numpy.ndarray, shape (samples, outcomes)
        As `clv.abm.experiments.trial.estimate` gives them for the rows copied so often.
    """
    if comparison.small_blocks:
        return _between_blocks(comparison, outcomes, counts)
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
    # Sums of squares lose digits where the mean is large: nothing below hangs on a block's level.
    size = np.diff(np.append(starts, len(columns)))[:, None]
    columns = columns - (np.add.reduceat(columns, starts, axis=0) / size)[comparison.block]
    z = comparison.treated.astype(float)
    products = (columns[:, :, None] * columns[:, None, :]).reshape(len(z), -1)
    both = np.column_stack([np.ones(len(z)), columns, products if columns.shape[1] > m else np.empty((len(z), 0))])
    ends = [*starts[1:], len(z)]
    out = np.empty((len(counts), m))
    step = max(1, _CELLS // max(counts.shape[1], len(starts) * both.shape[1]))
    for start in range(0, len(counts), step):
        drawn = counts[start : start + step]
        # Samples × blocks × sums, arm by arm.
        arms = [
            np.stack([(drawn * inside)[:, a:b] @ both[a:b] for a, b in zip(starts, ends, strict=True)], axis=1)
            for inside in (z, 1 - z)
        ]
        out[start : start + step] = _from_sums(arms, columns.shape[1], m, of_treated=comparison.of_treated)
    return out


def _from_sums(arms: list[Floats], k: int, m: int, *, of_treated: bool) -> Floats:
    """Effect of m outcomes from the sums of k columns, and of their products, in both arms of each block."""
    count = [np.where(sums[:, :, :1] > 0, sums[:, :, :1], 1.0) for sums in arms]
    mean = [sums[:, :, 1 : k + 1] / n for sums, n in zip(arms, count, strict=True)]
    size = arms[0][:, :, 0] if of_treated else arms[0][:, :, 0] + arms[1][:, :, 0]
    total = size.sum(axis=1, keepdims=True)
    difference = mean[0] - mean[1]
    effect = np.einsum("bk,bkc->bc", size / total, difference)
    if k == m:
        return effect
    apart = difference - effect[:, None, :]
    moments = np.einsum("bk,bki,bkj->bij", size / 2, apart, apart)
    for sums, n, average in zip(arms, count, mean, strict=True):
        square = average[:, :, :, None] * average[:, :, None, :]
        within = sums[:, :, k + 1 :].reshape(*size.shape, k, k) - n[:, :, :, None] * square
        moments += np.einsum("bk,bkij->bij", size / n[:, :, 0], within)
    slope = np.linalg.pinv(moments[:, m:, m:], hermitian=True) @ moments[:, m:, :m]
    return effect[:, :m] - np.einsum("bx,bxm->bm", effect[:, m:], slope)
