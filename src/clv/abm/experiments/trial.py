"""Two arms side by side, in arrays: who was randomised with whom, and the effect that follows from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clv.abm.experiments.linear import Codes, Fit, Floats, fit_cr2

Adjustment = Literal["none", "cuped", "lin"]


@dataclass(frozen=True)
class Comparison:
    """Treated and control rows of one experiment, sorted by block and cluster.

    Attributes
    ----------
    treated : numpy.ndarray of bool, shape (rows,)
    block : numpy.ndarray of int
        Accounts of one block were randomised among themselves; all 0 where there were no blocks.
    cluster : numpy.ndarray of int
        What was randomised: codes of accounts, or of groups of accounts that went together.
    covariates : numpy.ndarray, shape (rows, covariates)
        Known before the start; standardised.
    adjustment : {"none", "cuped", "lin"}
        "lin" only where both arms tell every slope.
    order : numpy.ndarray of int
        Position of each row in the table that it came from.
    small : numpy.ndarray of bool, shape (blocks,)
        Blocks with a single unit in an arm (pairs, triplets), of which only others like them tell the variation; none
        where there are no blocks.
    of_treated : bool
        The effect is that on the treated: `estimate` and the bootstrap weight blocks with their treated rows, not with
        all of them.
    """

    treated: NDArray[np.bool_]
    block: Codes
    cluster: Codes
    covariates: Floats
    adjustment: Adjustment
    order: Codes
    small: NDArray[np.bool_]
    of_treated: bool = False

    @classmethod
    def of(
        cls,
        treated: NDArray[np.bool_],
        *,
        block: Codes | None = None,
        cluster: Codes | None = None,
        covariates: Floats | None = None,
        adjustment: Adjustment = "none",
    ) -> Comparison:
        """Sort rows and standardise covariates; without a cluster every row is its own."""
        rows = len(treated)
        block = np.zeros(rows, dtype=np.int64) if block is None else np.unique(block, return_inverse=True)[1]
        cluster = np.arange(rows) if cluster is None else np.unique(cluster, return_inverse=True)[1]
        order = np.lexsort((cluster, block))
        x = np.empty((rows, 0)) if covariates is None or adjustment == "none" else covariates
        codes = np.cumsum(np.diff(cluster[order], prepend=cluster[order[:1]]) != 0)
        # A covariate that does not vary explains nothing; on one scale none drowns in another's rounding.
        x = x[:, np.ptp(x, axis=0) > 1e-12 * np.abs(x).max(axis=0, initial=0.0)]
        x = (x[order] - x.mean(axis=0)) / x.std(axis=0)
        if adjustment == "lin" and not _slopes_known(x, treated[order], block[order]):
            adjustment = "cuped"
        small = _single_units(treated[order], block[order], codes)
        return cls(treated[order], block[order], codes.astype(np.int64), x, adjustment, order, small)

    @property
    def units(self) -> NDArray[np.int64]:
        """First row of each unit of randomisation."""
        return np.flatnonzero(np.diff(self.cluster, prepend=-1))

    @property
    def blocks(self) -> NDArray[np.int64]:
        """First row of each block."""
        return np.flatnonzero(np.diff(self.block, prepend=-1))

    @property
    def small_blocks(self) -> bool:
        """Whether some block has a single unit in an arm."""
        return bool(self.small.any())

    @property
    def firsts(self) -> NDArray[np.int64]:
        """First row of each part whose variation tells the error: units of randomisation; small blocks as a whole."""
        if not self.small_blocks:
            return self.units
        return np.flatnonzero(np.diff(np.where(self.small[self.block], -2 - self.block, self.cluster), prepend=-1))

    @property
    def fewest_units(self) -> int:
        """Units in the smaller arm; small blocks count as one in each."""
        units = self.units[~self.small[self.block[self.units]]]
        treated = int(self.treated[units].sum())
        return int(self.small.sum()) + min(treated, len(units) - treated)

    @property
    def clustered(self) -> bool:
        """Whether groups of rows were randomised together."""
        return len(self.units) < len(self.treated)


def estimate(comparison: Comparison, outcomes: Floats) -> Fit:
    """Estimate the mean effect of treatment in several outcomes.

    Parameters
    ----------
    outcomes : numpy.ndarray, shape (rows, outcomes)
        In the order of the comparison.

    Returns
    -------
    Fit
        CR2 over what was randomised: accounts, clusters, or small blocks.

    Notes
    -----
    Within blocks the arms are compared; blocks are weighted with their accounts, whatever shares they were treated in,
    or with the treated ones.
    "cuped" (Deng et al. 2013) takes off what the covariates explain with one slope for both arms, "lin" (Lin 2013,
    *Annals of Applied Statistics* 7) with a slope an arm, which never loses precision in large samples. In blocks
    with a single unit in an arm only differences between blocks carry the variance (Imai 2008; Fogarty 2018), so that
    such blocks are the clusters, and one slope is used; beside them, larger blocks keep the variance of their units
    (Pashley & Miratrix 2021).
    """
    z = comparison.treated.astype(float)
    x = comparison.covariates
    if comparison.small_blocks:
        weights = _block_weights(comparison)
        both = np.column_stack([z, x, outcomes])
        level = np.add.reduceat(both * weights[:, None], comparison.blocks, axis=0)
        level /= np.add.reduceat(weights, comparison.blocks)[:, None]
        both -= level[comparison.block]
        k = 1 + x.shape[1]
        clusters = np.repeat(np.arange(len(comparison.firsts)), np.diff(np.append(comparison.firsts, len(z))))
        return fit_cr2(both[:, :k], both[:, k:], column=0, weights=weights, clusters=clusters)
    dummies = np.eye(len(comparison.blocks))[comparison.block]
    share = dummies[comparison.treated].mean(axis=0) if comparison.of_treated else dummies.mean(axis=0)
    parts = [z[:, None], dummies, z[:, None] * (dummies - share)[:, 1:], x]
    if comparison.adjustment == "lin":
        level = np.add.reduceat(x, comparison.blocks, axis=0) / dummies.sum(axis=0)[:, None]
        parts.append(z[:, None] * (x - share @ level))
    together = comparison.cluster if comparison.clustered else None
    return fit_cr2(np.column_stack(parts), outcomes, column=0, clusters=together)


def block_means(comparison: Comparison, outcome: Floats) -> tuple[float, float]:
    """Mean of treated and of control rows, blocks weighted with their accounts whatever shares of them were treated.

    Without covariates the one less the other is the effect of `estimate`.
    """
    share = np.bincount(comparison.block) / len(comparison.block)

    def mean(inside: NDArray[np.bool_]) -> float:
        n = np.add.reduceat(inside.astype(float), comparison.blocks)
        return float(share @ (np.add.reduceat(np.where(inside, outcome, 0.0), comparison.blocks) / n))

    return mean(comparison.treated), mean(~comparison.treated)


def _block_weights(comparison: Comparison) -> Floats:
    """Weights with which the fixed-effects estimate gives each block the weight of its accounts, or treated ones."""
    z = comparison.treated.astype(float)
    treated = np.add.reduceat(z, comparison.blocks)
    size = np.diff(np.append(comparison.blocks, len(z)))
    share = np.where(comparison.treated, treated[comparison.block], (size - treated)[comparison.block])
    return (treated if comparison.of_treated else size)[comparison.block] / share


def _slopes_known(x: Floats, treated: NDArray[np.bool_], block: Codes) -> bool:
    """Whether covariates vary within the blocks of each arm, each in its own way: else an arm lacks a slope."""
    group = np.unique(2 * block + treated, return_inverse=True)[1]
    size = np.bincount(group)
    means = np.column_stack([np.bincount(group, weights=column) / size for column in x.T]) if x.size else x
    rest = x - means[group] if x.size else x
    return all(np.linalg.matrix_rank(rest[treated == arm], tol=1e-8 * len(x)) == x.shape[1] for arm in (True, False))


def _single_units(treated: NDArray[np.bool_], block: Codes, cluster: Codes) -> NDArray[np.bool_]:
    """Say of each of several blocks whether it has fewer than two units in an arm."""
    first = np.flatnonzero(np.diff(cluster, prepend=-1))
    counts = np.zeros((int(block.max()) + 1, 2))
    np.add.at(counts, (block[first], treated[first].astype(int)), 1)
    return np.asarray((counts < 2).any(axis=1) & (len(counts) > 1))
