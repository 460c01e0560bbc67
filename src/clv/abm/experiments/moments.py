"""Effects and variances under many assignments from sums alone: a product of matrices in place of every row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv.abm.experiments.linear import Floats
from clv.abm.experiments.trial import Comparison

#: a variance below this share of the outcome's own is rounding of sums, and stands for none.
_ROUNDING = 1e-14


class UnitSums:
    """What each unit of randomisation adds to the sums of its arm.

    Parameters
    ----------
    comparison : Comparison
        Without small blocks.
    outcomes : numpy.ndarray, shape (rows, outcomes)
        In the order of the comparison; the same in every draw.
    """

    def __init__(self, comparison: Comparison, outcomes: Floats) -> None:
        self.comparison = comparison
        self.outcomes = outcomes.shape[1]
        columns = np.column_stack([outcomes, comparison.covariates])
        rows, starts = len(columns), comparison.blocks
        size = np.diff(np.append(starts, rows))[:, None]
        # Sums of squares lose digits where the mean is large: nothing below hangs on a block's level.
        largest = np.abs(columns).max(axis=0)
        columns = columns - (np.add.reduceat(columns, starts, axis=0) / size)[comparison.block]
        columns[:, np.ptp(columns, axis=0) <= 1e-13 * largest] = 0.0
        with_one = np.column_stack([np.ones(rows), columns])
        self.width = with_one.shape[1]
        self.pairs = np.triu_indices(self.width)
        own = with_one[:, self.pairs[0]] * with_one[:, self.pairs[1]]
        units = comparison.units
        self.clustered = len(units) < rows
        if self.clustered:
            total = np.add.reduceat(with_one, units, axis=0)
            # Beside the sums over rows, from which slopes come, those over units, from which errors do.
            own = np.hstack([np.add.reduceat(own, units, axis=0), total[:, self.pairs[0]] * total[:, self.pairs[1]]])
        self.features = own
        block = comparison.block[units]
        self.starts = np.flatnonzero(np.diff(block, prepend=-1))

    def statistics(self, treated: NDArray[Any], control: NDArray[Any] | None = None) -> tuple[Floats, Floats]:
        """Effect and CR0 covariance under each assignment; see `clv.abm.experiments.reassign.statistics`.

        Parameters
        ----------
        treated, control : numpy.ndarray of {0, 1}, shape (draws, rows)
            Without a control it is everybody else. Larger whole numbers stand for as many copies of a row.
        """
        m = self.outcomes
        first = self._flat(treated)
        second = self._flat(np.ones((1, treated.shape[1]))) - first if control is None else self._flat(control)
        arms = [self._sums(flat) for flat in (first, second)]
        count = [rows[:, :, 0, 0] for rows, _ in arms]
        # A block that a bootstrap sample left out has no mean, and no share in anything.
        present = [np.where(n > 0, n, 1.0) for n in count]
        mean = [rows[:, :, 0, 1:] / n[:, :, None] for (rows, _), n in zip(arms, present, strict=True)]
        size = count[0] + count[1]
        weight = count[0] if self.comparison.of_treated else size
        share = weight / weight.sum(axis=1, keepdims=True)
        difference = mean[0] - mean[1]
        effect = np.einsum("bk,bkm->bm", share, difference[:, :, :m])
        slopes = self._slopes([rows for rows, _ in arms], mean)
        covariance = np.zeros((len(effect), m, m))
        # How far the covariates of an arm are from those of both, block by block.
        gap = difference[:, :, m:] / np.where(size > 0, size, 1.0)[:, :, None]
        for other, (_, squares), average, n, slope in zip((1, 0), arms, mean, present, slopes, strict=True):
            # A unit's residual is (its rows, its outcomes, its covariates) times these weights.
            level = -average[:, :, :m]
            weights = np.zeros((*n.shape, self.width, m))
            weights[:, :, 1 : m + 1] = np.eye(m)
            if slope is not None:
                shift = np.einsum("bk,bkx->bx", share * count[other], gap)
                effect -= np.einsum("bx,bxm->bm", shift, slope)
                level = level + np.einsum("bkx,bxm->bkm", average[:, :, m:], slope)
                weights[:, :, m + 1 :] = -slope[:, None]
            weights[:, :, 0] = level
            squared = np.swapaxes(weights, 2, 3) @ squares @ weights
            covariance += np.einsum("bk,bkml->bml", (share / n) ** 2, squared)
        nothing = np.einsum("bmm->bm", covariance) <= _ROUNDING * self._typical(size)
        covariance[nothing[:, :, None] | nothing[:, None, :]] = 0.0
        return effect, covariance

    def _typical(self, size: Floats) -> Floats:
        """Variance that an effect would have from each outcome's own squares, shape (1, outcomes)."""
        at = [int(np.flatnonzero((self.pairs[0] == j) & (self.pairs[1] == j))[0]) for j in range(1, self.outcomes + 1)]
        return self.features[:, at].sum(axis=0)[None] / float(size[0].sum()) ** 2

    def _flat(self, inside: NDArray[Any]) -> Floats:
        """Add up the features of one arm: draws × blocks × features."""
        units = (inside[:, self.comparison.units] if self.clustered else inside).astype(float)
        ends = np.append(self.starts[1:], units.shape[1])
        return np.stack([units[:, a:b] @ self.features[a:b] for a, b in zip(self.starts, ends, strict=True)], axis=1)

    def _sums(self, flat: Floats) -> tuple[Floats, Floats]:
        """Put sums of products over rows, and over units, into squares: draws × blocks × width × width."""
        rows = self._square(flat[:, :, : len(self.pairs[0])])
        return rows, self._square(flat[:, :, len(self.pairs[0]) :]) if self.clustered else rows

    def _square(self, flat: Floats) -> Floats:
        out = np.empty((*flat.shape[:2], self.width, self.width))
        out[:, :, self.pairs[0], self.pairs[1]] = flat
        out[:, :, self.pairs[1], self.pairs[0]] = flat
        return out

    def _slopes(self, rows: list[Floats], mean: list[Floats]) -> list[Floats | None]:
        """Slopes of the outcomes on the covariates inside arms and blocks."""
        m = self.outcomes
        if self.width == m + 1:
            return [None, None]
        products = []
        for sums, average in zip(rows, mean, strict=True):
            n = sums[:, :, :1, :1]
            within = sums[:, :, 1:, 1:] - n * average[:, :, :, None] * average[:, :, None, :]
            products.append(within[:, :, m:].sum(axis=1))
        if self.comparison.adjustment != "lin":
            products = [products[0] + products[1]] * 2
        return [np.linalg.pinv(p[:, :, m:], hermitian=True) @ p[:, :, :m] for p in products]
