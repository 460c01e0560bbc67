"""Consensus clustering: which accounts stay together when the clustering is repeated on resamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: share of the accounts in a resample (Monti et al. 2003, §3.2).
SHARE = 0.8
#: consensus between these counts as ambiguous (Șenbabaoğlu et al. 2014).
_AMBIGUOUS = (0.1, 0.9)
#: accounts that are assigned in one go.
_CHUNK = 20_000


@dataclass(frozen=True)
class Consensus:
    """What the resamples say for one number of clusters.

    Attributes
    ----------
    matrix : numpy.ndarray of float32, shape (n, n)
        How often two accounts were in one cluster, of the resamples that had both; NaN where none had.
    labels : numpy.ndarray of int, shape (n,)
        Average-linkage cut of 1 − matrix into the number of clusters.
    pac : float
        Proportion of ambiguous clustering: pairs with a consensus between .1 and .9.
    centres : list of numpy.ndarray, shape (k, width)
        Of each resample.
    """

    matrix: np.ndarray
    labels: np.ndarray
    pac: float
    centres: list[np.ndarray]


def k_means(points: np.ndarray, k: int, seed: int, starts: int = 2) -> tuple[np.ndarray, np.ndarray, float]:
    """Cluster by k-means (Lloyd 1982, started by k-means++): labels, centres, sum of squares within."""
    from sklearn.cluster import KMeans

    found = KMeans(k, n_init=starts, max_iter=100, random_state=seed).fit(points)
    return found.labels_, found.cluster_centers_, float(found.inertia_)


def consensus(points: np.ndarray, k: int, *, resamples: int, rng: np.random.Generator) -> Consensus:
    """Repeat k-means on resamples of 80 % without replacement, and count who stays together.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, width)
    k, resamples : int
    rng : numpy.random.Generator

    Returns
    -------
    Consensus

    Notes
    -----
    Monti, Tamayo, Mesirov & Golub (2003), Machine Learning 52, equation 1 and §3.2: the connectivity matrices' sum over
    that of the indicators; then hierarchical clustering with average linkage of the consensus matrix. PAC: Șenbabaoğlu,
    Michailidis & Li (2014), Scientific Reports 4:6207.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    n, size = len(points), max(k, round(SHARE * len(points)))
    together, both = np.zeros((n, n), dtype=np.float32), np.zeros((n, n), dtype=np.float32)
    centres = []
    for _ in range(resamples):
        some = rng.choice(n, size, replace=False)
        labels, found, _ = k_means(points[some], k, int(rng.integers(2**31)), starts=1)
        centres.append(found.astype(np.float32))
        inside = np.zeros((n, k), dtype=np.float32)
        inside[some, labels] = 1
        together += inside @ inside.T
        there = inside.sum(axis=1)
        both += np.outer(there, there)
    matrix = np.divide(together, both, out=np.full((n, n), np.nan, dtype=np.float32), where=both > 0)
    apart = 1 - np.where(np.isnan(matrix), 0.5, matrix)
    np.fill_diagonal(apart, 0.0)
    apart = (apart + apart.T) / 2
    labels = fcluster(linkage(squareform(apart, checks=False), "average"), k, "maxclust") - 1
    pairs = matrix[np.triu_indices(n, 1)]
    pairs = pairs[~np.isnan(pairs)]
    pac = float(np.mean((pairs > _AMBIGUOUS[0]) & (pairs < _AMBIGUOUS[1]))) if len(pairs) else np.nan
    return Consensus(matrix, labels, pac, centres)


def item_consensus(found: Consensus, sample: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Say how far every account belongs to every cluster, without a matrix of all pairs.

    An account goes to the nearest centre of each resample; of a cluster's members, the share that goes there too,
    averaged over resamples, is the account's consensus with the cluster (item consensus, Monti et al. 2003, equation 5,
    with assignment in place of membership, which extends it to accounts outside the sample).

    Parameters
    ----------
    found : Consensus
    sample : numpy.ndarray, shape (n, width)
        The points that it was found on.
    points : numpy.ndarray, shape (accounts, width)

    Returns
    -------
    numpy.ndarray, shape (accounts, clusters)
    """
    clusters = int(found.labels.max()) + 1
    member = np.eye(clusters, dtype=np.float32)[found.labels]
    member /= member.sum(axis=0)
    shares = []
    for centres in found.centres:
        goes = np.eye(len(centres), dtype=np.float32)[_nearest(sample, centres)]
        shares.append(goes.T @ member)
    out = np.zeros((len(points), clusters), dtype=np.float32)
    for start in range(0, len(points), _CHUNK):
        some = points[start : start + _CHUNK]
        for centres, share in zip(found.centres, shares, strict=True):
            out[start : start + _CHUNK] += share[_nearest(some, centres)]
    return np.clip(out / len(found.centres), 0.0, 1.0)


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    # |x − c|² without |x|², which is the same for all centres.
    return np.argmin((centres**2).sum(axis=1) - 2 * points @ centres.T, axis=1)
