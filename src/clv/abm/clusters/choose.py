"""How many clusters: the number whose resamples agree most, beyond what they would for accounts of one kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from clv.abm.clusters.consensus import Consensus, consensus
from clv.abm.clusters.embedding import Block
from clv.abm.clusters.related import columns_of, related_attributes
from clv.abm.clusters.structure import gap_statistic, one_kind

#: clouds of one kind whose resamples are compared.
_CLOUDS = 8


@dataclass(frozen=True)
class Choice:
    """What was tried.

    Attributes
    ----------
    table : pandas.DataFrame
        Index clusters: pac, pac_one_kind (geometric mean over clouds of accounts of one kind), stability (log of the
        second over the first, the relative cluster stability index), gap, gap_error.
    p_value : float
        Of the gap statistic.
    best : int
        Number of clusters with the highest stability.
    found : Consensus
        For that number, on points[:, columns].
    columns : numpy.ndarray of int
        Columns of the attributes that go with others.
    related : tuple of str
        Their names.
    """

    table: pd.DataFrame
    p_value: float
    best: int
    found: Consensus
    columns: np.ndarray
    related: tuple[str, ...]


def choose_number(
    points: np.ndarray,
    blocks: tuple[Block, ...],
    ks: list[int],
    *,
    resamples: int,
    references: int,
    seed: int,
) -> Choice:
    """Try every number of clusters.

    The proportion of ambiguous clustering falls with the number of clusters where there are none; so it is compared
    with that of accounts of one kind (John et al. 2020, M3C, Scientific Reports 10:1816, equations 2–4).

    Parameters
    ----------
    points : numpy.ndarray, shape (n, width)
    blocks : tuple of Block
    ks : list of int
    resamples, references : int
        Of the consensus; of the gap statistic.
    seed : int

    Returns
    -------
    Choice
    """
    rng = np.random.default_rng(seed)
    # The matrices are small: threads would only wait for one another.
    with threadpool_limits(1):
        gap = gap_statistic(points, blocks, ks, references=references, rng=rng)
        clouds = [one_kind(points, blocks, rng) for _ in range(_CLOUDS)]
        # The test is on all attributes; who belongs together is told by those that go with others.
        related = related_attributes(points, blocks, rng)
        columns = columns_of(related)
        clouds = [cloud[:, columns] for cloud in clouds]
        points = points[:, columns]
        found = {k: consensus(points, k, resamples=resamples, rng=rng) for k in ks}
        floor = 0.5 / (len(points) * (len(points) - 1) / 2)
        pac = np.array([max(found[k].pac, floor) for k in ks])
        cloud = np.array([[max(consensus(c, k, resamples=resamples, rng=rng).pac, floor) for k in ks] for c in clouds])
    usual = np.exp(np.log(cloud).mean(axis=0))
    table = pd.DataFrame(
        {
            "pac": pac,
            "pac_one_kind": usual,
            "stability": np.log(usual / pac),
            "gap": gap.gap,
            "gap_error": gap.error,
        },
        index=pd.Index(ks, name="clusters"),
    )
    best = ks[int(table["stability"].to_numpy().argmax())]
    return Choice(table, gap.p_value, best, found[best], columns, tuple(block.name for block in related))
