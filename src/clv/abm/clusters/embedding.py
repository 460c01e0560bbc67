"""Accounts of mixed attributes as points, such that every attribute counts the same in their distances."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from clv.abm.propensity.columns import Columns

#: levels of a category that are told apart; rarer ones are one.
_LEVELS = 20
#: standard deviations beyond which a number is no farther away: one giant must not be a cluster of its own.
_FAR = 3.0
#: skewness of a number that is never negative from which its logarithm is taken.
_SKEWED = 1.0
#: an attribute in which nearly all agree is not blown up until it counts as much as the others.
_LEAST = 0.25
#: a number with no more different values than this has levels rather than a scale.
_FEW = 12


@dataclass(frozen=True)
class Block:
    """The columns of one attribute in the matrix of points.

    Attributes
    ----------
    name : str
    at : slice
    number, scaled : bool
        Whether it is a number, and whether one with many different values.
    """

    name: str
    at: slice
    number: bool
    scaled: bool


@dataclass(frozen=True)
class Embedding:
    """A map from the table of `Columns.take` to points.

    Attributes
    ----------
    columns : Columns
    blocks : tuple of Block
    """

    columns: Columns
    blocks: tuple[Block, ...]
    _numbers: dict[str, tuple[bool, float, float]] = field(repr=False)
    _levels: dict[str, tuple[list[str], float]] = field(repr=False)

    @property
    def width(self) -> int:
        """Columns of the matrix of points."""
        return self.blocks[-1].at.stop

    def points(self, frame: pd.DataFrame) -> np.ndarray:
        """Return points, float32, shape (accounts, width)."""
        out = np.zeros((len(frame), self.width), dtype=np.float32)
        for block in self.blocks:
            if block.number:
                log, centre, spread = self._numbers[block.name]
                x = frame[block.name].to_numpy(float)
                lost = np.isnan(x)
                x = np.log1p(np.maximum(x, 0.0)) if log else x
                scaled = np.clip((x - centre) / spread, -_FAR, _FAR) * np.sqrt(0.5)
                out[:, block.at.start] = np.where(lost, 0.0, scaled)
                # Not known is as far from known as two known ones are from each other.
                out[:, block.at.start + 1] = np.where(lost, np.sqrt(0.5), 0.0)
            else:
                levels, weight = self._levels[block.name]
                code = pd.Index(levels).get_indexer(pd.Index(frame[block.name].to_numpy(dtype=object)))
                code = np.where(code < 0, len(levels), code)
                out[np.arange(len(frame)), block.at.start + code] = weight
        return out


def embed(frame: pd.DataFrame, columns: Columns) -> Embedding:
    """Fit the map.

    Squared distances of two accounts are sums over attributes, and each attribute contributes 1 for two accounts
    drawn at random (as in the standardised form of Gower's 1971 coefficient; De Leeuw & Meulman 1986 for squared
    distances): distance² ÷ attributes is 0 for equal accounts and 1 on average. Numbers that are never negative and
    skewed are taken as logarithms; they are capped at 3 standard deviations. A category counts as alike or not alike;
    its weight is that of its mean squared distance, floored at ¼. What is missing is a level of its own.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `Columns.take` gives it.
    columns : Columns

    Returns
    -------
    Embedding
    """
    blocks, numbers, levels, start = [], {}, {}, 0
    for name in columns.names:
        if name in columns.numbers:
            x = frame[name].to_numpy(float)
            numbers[name] = _scale(x[~np.isnan(x)])
            many = len(np.unique(x[~np.isnan(x)])) > _FEW
            blocks.append(Block(name, slice(start, start + 2), True, many))
        else:
            counts = frame[name].value_counts()
            counts = counts[counts >= max(2, len(frame) // 500)]
            # By frequency, then by name: the order of the rows has no say.
            kept = [str(level) for level in counts.sort_index().sort_values(ascending=False, kind="stable").index]
            kept = kept[:_LEVELS]
            share = np.array([*(counts[level] for level in kept), 0.0]) / len(frame)
            share[-1] = 1 - share.sum()
            apart = max(float(1 - np.sum(share**2)), _LEAST)
            levels[name] = (kept, float(np.sqrt(0.5 / apart)))
            blocks.append(Block(name, slice(start, start + len(kept) + 1), False, False))
        start = blocks[-1].at.stop
    return Embedding(columns, tuple(blocks), numbers, levels)


def _scale(x: np.ndarray) -> tuple[bool, float, float]:
    """Decide on the logarithm; find centre and spread."""
    if not len(x):
        return False, 0.0, 1.0
    log = bool(x.min() >= 0 and x.std() > 0 and np.mean(((x - x.mean()) / x.std()) ** 3) > _SKEWED)
    x = np.log1p(x) if log else x
    low, high = np.quantile(x, [0.005, 0.995])
    kept = np.clip(x, low, high)
    spread = float(kept.std()) or float(x.std()) or 1.0
    return log, float(kept.mean()), spread
