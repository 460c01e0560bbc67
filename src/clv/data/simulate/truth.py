"""What an account is truly worth: expected margins in closed form from the latent truth."""

from __future__ import annotations

import numpy as np


def discounted_purchases(rate: np.ndarray, dropout: np.ndarray, *, horizon: float, delta: float = 0.0) -> np.ndarray:
    """Discounted purchases expected of a living account over a horizon, exponential waits.

    A living account buys at rate λ and stops at rate λp, so the value is
    ∫₀ᴴ λ e^{−(δ + λp)s} ds = λ (1 − e^{−(δ + λp)H}) / (δ + λp).

    Parameters
    ----------
    rate, dropout : numpy.ndarray
        λ (a week) and p.
    horizon, delta : float
        H (weeks) and continuous discount rate δ (a week).

    Returns
    -------
    numpy.ndarray
        Broadcast of `rate` and `dropout`.
    """
    hazard = (delta + rate * dropout) * horizon
    # expm1(−h)/−h is 1 at h = 0: no discount, no dropout.
    safe = np.where(hazard > 1e-300, hazard, 1.0)
    return rate * horizon * np.where(hazard > 1e-300, -np.expm1(-safe) / safe, 1.0)


def discounted_purchases_regular(
    rate: np.ndarray,
    dropout: np.ndarray,
    elapsed: np.ndarray,
    *,
    regularity: int,
    horizon: float,
    delta: float = 0.0,
) -> np.ndarray:
    """Discounted purchases expected of a living account over a horizon, Erlang-k waits.

    A wait is k exponential phases of rate kλ. Of a wait that has lasted e units of operational time, j phases are over
    with probability ∝ (ke)^j / j!, j = 0 … k − 1; the n-th next purchase then comes after nk − j phases, and is reached
    with probability (1 − p)^{n−1}. The sum over n of E[e^{−δS}; S ≤ H], S ~ Gamma(nk − j, kλ), is
    Σ (1 − p)^{n−1} (kλ/(kλ + δ))^{nk−j} P(nk − j, (kλ + δ)H), P the regularised incomplete gamma function.
    For k = 1 it equals `discounted_purchases`.

    Parameters
    ----------
    elapsed : numpy.ndarray
        Operational time (∫ rate) since the last purchase.
    """
    from scipy.special import gammainc, gammaln

    rate, dropout, elapsed = np.broadcast_arrays(rate, dropout, elapsed)
    k = regularity
    phases = np.arange(k)
    log_weight = phases * np.log(np.maximum(k * elapsed, 1e-300))[..., None] - gammaln(phases + 1)
    weight = np.exp(log_weight - log_weight.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    pace = (k * rate + delta) * horizon
    shrink = np.log(np.where(rate > 0, k * rate / (k * rate + delta), 1.0))
    most = float(np.max(rate, initial=0.0)) * horizon
    total = np.zeros(rate.shape)
    for n in range(1, int(most + 12 * np.sqrt(most) + 20)):
        for j in phases:
            reached = gammainc(n * k - j, pace) * np.exp((n * k - j) * shrink)
            total += weight[..., j] * (1 - dropout) ** (n - 1) * reached
    return total
