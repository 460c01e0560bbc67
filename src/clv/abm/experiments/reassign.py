"""The experiment as it might have been drawn: other assignments by the same rule, and the statistic under each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from clv.abm.experiments.linear import Codes, Floats
from clv.abm.experiments.moments import UnitSums
from clv.abm.experiments.trial import Comparison

#: numbers held at a time, some tens of megabytes.
_CELLS = 2_000_000


def reassign(
    arm: Codes, *, block: Codes, units: Codes, cluster: Codes, draws: int, rng: np.random.Generator
) -> NDArray[np.int8]:
    """Draw assignments as the experiment did: arms shuffled among the units of each block.

    Parameters
    ----------
    arm, block, cluster : numpy.ndarray of int, shape (rows,)
        Sorted by block and cluster; arm is constant within a cluster.
    units : numpy.ndarray of int
        First row of each cluster.
    draws : int

    Returns
    -------
    numpy.ndarray of int8, shape (draws, rows)
    """
    of_unit, place = arm[units].astype(np.int8), block[units]
    out = np.empty((draws, len(arm)), dtype=np.int8)
    step = max(1, _CELLS // max(1, len(units)))
    for start in range(0, draws, step):
        count = min(step, draws - start)
        # Units are sorted by block, so that sorting block + noise shuffles within each block.
        order = np.argsort(place + rng.random((count, len(units))), axis=1)
        out[start : start + count] = of_unit[order][:, cluster]
    return out


def log_assignments(arm: Codes, *, block: Codes, units: Codes) -> float:
    """Logarithm of the number of different assignments that could have been drawn."""
    _, counts = np.unique(np.stack([block[units], arm[units]]), axis=1, return_counts=True)
    sizes = np.unique(block[units], return_counts=True)[1]
    return float(special.gammaln(sizes + 1).sum() - special.gammaln(counts + 1).sum())


def statistics(
    comparison: Comparison, outcomes: Floats, treated: NDArray[Any], control: NDArray[Any] | None = None
) -> tuple[Floats, Floats]:
    """Effect and its variance under many assignments at once.

    Parameters
    ----------
    outcomes : numpy.ndarray, shape (rows, outcomes) or (draws, rows, outcomes)
        In the order of the comparison; with three axes they differ from draw to draw.
    treated : numpy.ndarray of {0, 1}, shape (draws, rows)
        Each with at least one treated and one control row a block.
    control : numpy.ndarray of {0, 1}, optional
        Who the control is; None: everybody else. Rows in neither (of other arms) are left out, draw by draw.

    Returns
    -------
    effect : numpy.ndarray, shape (draws, outcomes)
        As `clv.abm.experiments.trial.estimate` gives it.
    covariance : numpy.ndarray, shape (draws, outcomes, outcomes)
        The sandwich without leverage (CR0): the draws themselves calibrate what it is short of.
    """
    rows, m = outcomes.shape[-2:]
    x = comparison.covariates
    parts = []
    if outcomes.ndim == 2 and not comparison.small_blocks:
        sums = UnitSums(comparison, outcomes)
        step = max(1, _CELLS // max(rows, len(comparison.blocks) * sums.width**2))
        for start in range(0, len(treated), step):
            other = None if control is None else control[start : start + step]
            parts.append(sums.statistics(treated[start : start + step], other))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    step = max(1, _CELLS // (rows * (m + x.shape[1])))
    for start in range(0, len(treated), step):
        t = treated[start : start + step].astype(float)
        c = 1 - t if control is None else control[start : start + step].astype(float)
        y = outcomes if outcomes.ndim == 2 else outcomes[start : start + step]
        columns = np.concatenate([y, np.broadcast_to(x, (*y.shape[:-1], x.shape[1]))], axis=-1)
        parts.append(_chunk(comparison, columns, m, t, c))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _chunk(comparison: Comparison, columns: Floats, m: int, t: Floats, c: Floats) -> tuple[Floats, Floats]:
    starts, block = comparison.blocks, comparison.block
    means, within, count = [], [], []
    for inside in (t, c):
        n = np.add.reduceat(inside, starts, axis=1)
        mean = np.add.reduceat(inside[:, :, None] * columns, starts, axis=1) / n[:, :, None]
        means.append(mean)
        count.append(n)
        within.append((columns - mean[:, block]) * inside[:, :, None])
    size = count[0] + count[1]  # draws × blocks
    share = size / size.sum(axis=1, keepdims=True)
    difference = means[0] - means[1]  # draws × blocks × columns
    if comparison.small_blocks:
        return _between_blocks(comparison, difference, within, (t, c), count, size, share, m)
    slopes = _slopes(within, m, comparison.adjustment == "lin")
    effect = np.einsum("bk,bkm->bm", share, difference[:, :, :m])
    scores = np.zeros((*t.shape, m))
    # How far the covariates of an arm are from those of both, block by block.
    gap = difference[:, :, m:] / size[:, :, None]
    for sign, other, rest, n, slope in zip((1, -1), (1, 0), within, count, slopes, strict=True):
        if slope is not None:
            shift = np.einsum("bk,bkx->bx", share * count[other], gap)
            effect -= np.einsum("bx,bxm->bm", shift, slope)
            rest = rest[:, :, :m] - np.einsum("bnx,bxm->bnm", rest[:, :, m:], slope)
        scores += sign * (share / n)[:, block, None] * rest[:, :, :m]
    if comparison.clustered:
        scores = np.add.reduceat(scores, comparison.units, axis=1)
    return effect, np.einsum("bgm,bgl->bml", scores, scores)


def _slopes(within: list[Floats], m: int, separate: bool) -> list[Floats | None]:
    """Slopes of the outcomes on the covariates inside arms and blocks."""
    if within[0].shape[2] == m:
        return [None, None]
    xx = [np.einsum("bnx,bnw->bxw", w[:, :, m:], w[:, :, m:]) for w in within]
    xy = [np.einsum("bnx,bnm->bxm", w[:, :, m:], w[:, :, :m]) for w in within]
    if not separate:
        xx, xy = [xx[0] + xx[1]] * 2, [xy[0] + xy[1]] * 2
    return [np.linalg.pinv(a, hermitian=True) @ b for a, b in zip(xx, xy, strict=True)]


def _between_blocks(
    comparison: Comparison, difference: Floats, within: list[Floats], arms: tuple[Floats, Floats],
    count: list[Floats], size: Floats, share: Floats, m: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Effect from the blocks' differences, with one slope for all; see `clv.abm.experiments.trial.estimate`."""
    block = comparison.block
    mean = np.einsum("bk,bkc->bc", share, difference)
    apart = difference - mean[:, None, :]
    within_y = [rest[:, :, :m] for rest in within]
    if difference.shape[2] > m:
        moments = np.einsum("bk,bkx,bkc->bxc", size / 2, apart[:, :, m:], apart)
        for rest, n in zip(within, count, strict=True):
            moments += np.einsum("bn,bnx,bnc->bxc", (size / n)[:, block], rest[:, :, m:], rest)
        slope = np.linalg.pinv(moments[:, :, m:], hermitian=True) @ moments[:, :, :m]
        apart = apart[:, :, :m] - apart[:, :, m:] @ slope
        mean = mean[:, :m] - np.einsum("bx,bxm->bm", mean[:, m:], slope)
        within_y = [rest[:, :, :m] - np.einsum("bnx,bxm->bnm", rest[:, :, m:], slope) for rest in within]
    scores = share[:, :, None] * apart
    if not comparison.small.all():
        # Half of what a block is apart falls to each of its arms; what its rows are apart stays with their units.
        scores = np.zeros_like(within_y[0])
        for sign, inside, rest, n in zip((1, -1), arms, within_y, count, strict=True):
            level = inside[:, :, None] * apart[:, block] / 2
            scores += (share / n)[:, block, None] * (level + sign * rest)
        scores = np.add.reduceat(scores, comparison.firsts, axis=1)
    return mean[:, :m], np.einsum("bkm,bkl->bml", scores, scores)
