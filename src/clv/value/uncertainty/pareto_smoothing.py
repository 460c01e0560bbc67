"""Pareto smoothing of importance weights: tames the largest ones, and tells whether the others can be trusted.

Few large weights make an importance sample unreliable without saying so. Their upper tail is close to a generalised
Pareto distribution; its shape k says how many moments the weights have, and its quantiles replace the largest weights
(Vehtari, Simpson, Gelman, Yao & Gabry 2024, Pareto smoothed importance sampling, J. Machine Learning Research 25(72)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from clv.value.estimation.checks import Floats

#: fewer weights than this in the tail give no estimate of its shape.
_LEAST = 5
#: ln of the smallest weight that is told from 0, relative to the largest.
_NOTHING = -700.0


class Smoothed(NamedTuple):
    """Importance weights after smoothing.

    Attributes
    ----------
    weight : ndarray, shape (draws,)
        Sum to 1.
    k_hat : float
        Shape of the tail of the raw weights; 0 where they are all equal, infinite where there are too few.
    effective_size : float
        1 / Σ weight².
    """

    weight: Floats
    k_hat: float
    effective_size: float


def reliable_below(draws: int) -> float:
    """Return the k-hat up to which `draws` draws suffice: min(1 − 1/log10(draws), 0.7) (Vehtari et al. 2024)."""
    return float(min(1 - 1 / np.log10(max(draws, 2)), 0.7))


def fit_tail(excess: Floats) -> tuple[float, float]:
    """Estimate shape and scale of a generalised Pareto distribution.

    Parameters
    ----------
    excess : ndarray, shape (n,)
        Sorted, 0 or more, not all 0.

    Returns
    -------
    k, scale : float
        F(y) = 1 − (1 + k y / scale)^(−1/k).

    Notes
    -----
    The posterior mean of Zhang & Stephens (2009, Technometrics 51(3), section 3) for θ = −k/scale on their grid of
    quantiles, then drawn towards k = 1/2 with the weight of ten observations (Vehtari et al. 2024, appendix G).
    """
    n = len(excess)
    points = 20 + int(np.sqrt(n))
    quartile = max(excess[int(n / 4 + 0.5) - 1], np.finfo(float).tiny)
    theta = 1 / excess[-1] + (1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3 * quartile)
    k = np.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = n * (np.log(-theta / k) - k - 1)
    mass = np.exp(profile - logsumexp(profile))
    best = float(mass @ theta)
    shape = float(np.log1p(-best * excess).mean())
    scale = -shape / best
    return (n * shape + 5.0) / (n + 10.0), scale


def smooth(log_weight: Floats) -> Smoothed:
    """Smooth importance weights, given by their logarithms up to a constant.

    Parameters
    ----------
    log_weight : ndarray, shape (draws,)
        −∞ is allowed, NaN is not.

    Returns
    -------
    Smoothed
    """
    size = len(log_weight)
    log_weight = log_weight - log_weight.max()
    weight = np.exp(np.maximum(log_weight, _NOTHING))
    weight[log_weight < _NOTHING] = 0.0
    count = int(np.ceil(min(0.2 * size, 3 * np.sqrt(size))))
    k_hat = np.inf
    if count >= _LEAST:
        order = np.argsort(weight, kind="stable")
        tail, cut = order[-count:], weight[order[-count - 1]]
        excess = weight[tail] - cut
        if excess[-1] <= 1e-9 * weight[tail[-1]]:
            k_hat = 0.0
        else:
            k_hat, scale = fit_tail(excess)
            middle = (np.arange(1, count + 1) - 0.5) / count
            outside = -np.log1p(-middle)  # −ln(1 − F)
            quantile = scale * (np.expm1(k_hat * outside) / k_hat if abs(k_hat) > 1e-12 else outside)
            weight[tail] = np.minimum(cut + quantile, 1.0)  # never above the largest raw weight
    weight = weight / weight.sum()
    return Smoothed(weight, float(k_hat), float(1 / np.sum(weight**2)))
