"""Regular buyers: an account counts k steps of a Poisson process between purchases, so its waits are Erlang-k.

Steps since the last purchase are its *phase*. Of an account with rate λ ~ Gamma(R, A) that has been silent from t_x to
T, R = r + kx, A = α + t_x, the probability of phase j < k *and* no purchase is, relative to that of no step at all,

    q_j = (R)_j / j! · wʲ,   w = (T − t_x) / (α + T),

and given it, λ ~ Gamma(R + j, α + T). The sum Q of all q_j replaces the 1 of the models with k = 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaincinv

from clv.value.estimation.checks import Floats


class Phases(NamedTuple):
    """Sums over phases: of q_j, j q_j, j² q_j; of its first derivative by R, also times j; of its second."""

    q: Floats
    jq: Floats
    jjq: Floats
    slope: Floats
    jslope: Floats
    curve: Floats


def phases(R: Floats, w: Floats, k: int) -> Phases:
    """Sum q_j, j = 0 … k−1, with derivatives by R; every term is positive.

    Parameters
    ----------
    R, w : ndarray
        Of one shape.
    k : int

    Returns
    -------
    Phases
    """
    term, slope, curve = np.ones_like(w), np.zeros_like(w), np.zeros_like(w)
    out = Phases(np.ones_like(w), *(np.zeros_like(w) for _ in range(5)))
    for j in range(1, k):
        step = w / j
        curve = step * ((R + (j - 1)) * curve + 2 * slope)
        slope = step * ((R + (j - 1)) * slope + term)
        term = step * (R + (j - 1)) * term
        for total, part in zip(out, (term, j * term, j * j * term, slope, j * slope, curve), strict=True):
            total += part
    return out


def phase_sum(R: Floats, w: Floats, k: int) -> Floats:
    """Sum q_j, j = 0 … k−1, without derivatives; R and w broadcast."""
    term = np.ones(np.broadcast_shapes(np.shape(R), np.shape(w)))
    total = term.copy()
    for j in range(1, k):
        term *= (R + (j - 1)) * (w / j)
        total += term
    return total


def phase_shares(R: Floats, w: Floats, k: int) -> Floats:
    """Return the probability of each phase, given that the account is alive and silent; phases are the last axis."""
    shape = np.broadcast_shapes(np.shape(R), np.shape(w))
    out = np.ones((*shape, k))
    for j in range(1, k):
        out[..., j] = out[..., j - 1] * (R + (j - 1)) * w / j
    return out / out.sum(axis=-1, keepdims=True)


def silence(R: Floats, early: Floats, late: Floats, k: int) -> Floats:
    """Return the probability of no purchase between α + t_x (`early`) and α + T (`late`), of a living account."""
    return betainc(R, k, early / late)


def silence_quantile(R: Floats, early: Floats, q: float, k: int) -> Floats:
    """Return the quantile of the wait for the next purchase: w/(1−w) of a beta quantile, times α + t_x."""
    w = betaincinv(k, R, q)
    stays = betaincinv(R, k, 1 - q)
    with np.errstate(divide="ignore", over="ignore"):
        return early * np.where(w < 0.5, w / np.maximum(1 - w, 0.25), (1 - stays) / stays)


def step_tails(R: Floats, w: Floats, most: int) -> Floats:
    """Return P(N ≥ n), n = 0 … `most`, of a negative binomial number N of steps; n is the last axis.

    Parameters
    ----------
    R, w : ndarray
        Shape, and t / (A + t), of shapes that broadcast.
    most : int
    """
    R, w = np.broadcast_arrays(R, w)
    out = np.empty((*w.shape, most + 1))
    out[..., most] = betainc(most, R, w) if most else 1.0
    single = np.exp(R * np.log1p(-w))
    for n in range(most):
        out[..., n] = single
        single = single * (R + n) * w / (n + 1)
    return np.cumsum(out[..., ::-1], axis=-1)[..., ::-1]
