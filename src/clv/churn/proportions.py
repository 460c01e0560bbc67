"""Intervals of proportions: k of n."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def proportion_interval(k: ArrayLike, n: ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    """Return the modified Jeffreys interval of a proportion (Brown, Cai & DasGupta 2001).

    Parameters
    ----------
    k, n : array-like
        How many of how many; need not be whole.
    confidence : float

    Returns
    -------
    lower, upper : ndarray
        Quantiles of Beta(k + ½, n − k + ½). Where none were found, from 0 to 1 − (α/2)^(1/n), α = 1 − `confidence`;
        where all were, likewise. NaN where n is 0.
    """
    from scipy.stats import beta

    k, n = np.broadcast_arrays(np.asarray(k, dtype=float), np.asarray(n, dtype=float))
    tail = (1 - confidence) / 2
    edge = tail ** (1 / np.maximum(n, 1e-12))
    low = np.where(k > 0, beta.ppf(tail, k + 0.5, np.maximum(n - k, 0) + 0.5), 0.0)
    high = np.where(k < n, beta.ppf(1 - tail, k + 0.5, np.maximum(n - k, 0) + 0.5), 1.0)
    low, high = np.where((k >= n) & (n > 0), edge, low), np.where((k <= 0) & (n > 0), 1 - edge, high)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)
