"""What a regular buyer does whose rate of steps, dropout probability and phase are known: expected and drawn purchases.

Hidden states are passed on in two numbers: the rate of steps λ, and *state* = phase + p, whose whole part is the steps
done since the last purchase and whose fraction is the dropout probability.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clv.value.estimation.checks import Floats
from clv.value.uncertainty.predictive import Future

#: the largest p that leaves the phase readable.
_SURE = 1 - 1e-12
_MOST = 1e9


def pack_state(phase: Floats, dropout: Floats) -> Floats:
    """Put phase and dropout probability into one number."""
    return phase + np.minimum(dropout, _SURE)


def unpack_state(state: Floats) -> tuple[Floats, Floats]:
    """Return phase and dropout probability."""
    phase = np.floor(state)
    return phase, state - phase


def known_purchases(rate: Floats, dropout: Floats, togo: Floats, *, k: int, horizon: float, discount: float) -> Floats:
    """Return discounted purchases of a living account whose rate of steps, dropout probability and phase are known.

    Parameters
    ----------
    rate, dropout : ndarray
        λ and p.
    togo : ndarray of int
        Steps to the next purchase, 1 … k.
    k : int
    horizon, discount : float
        In the unit of 1/λ; the horizon may be infinite if something is discounted.

    Returns
    -------
    ndarray
    """
    log_u = np.log(np.maximum(1 - dropout, 1e-9)) / k  # below that the next purchase is the last one all the same
    total = np.zeros(np.shape(rate))
    for i in range(k // 2 + 1):
        turn = 2 * np.pi * i / k
        u = np.exp(log_u + 1j * turn) if 0 < 2 * i < k else np.cos(turn) * np.exp(log_u)
        away = 1 - u if i else -np.expm1(log_u)
        force = discount + rate * away
        force = np.where(np.abs(force) > 0, force, np.finfo(float).tiny)
        lasting = 1 / force if np.isinf(horizon) else -np.expm1(-force * horizon) / force
        part = rate / k * u ** (1.0 - togo) * lasting
        total += 2 * part.real if 0 < 2 * i < k else part
    return np.maximum(total, 0.0)


def draw_regular(
    alive: NDArray[np.bool_],
    rate: Floats,
    state: Floats,
    *,
    k: int,
    horizon: float,
    rng: np.random.Generator,
    times: bool,
) -> Future:
    """Draw purchases of regular buyers within a finite horizon.

    Parameters
    ----------
    alive : ndarray of bool
    rate, state : ndarray
        λ of the steps, and phase + p.
    k : int
    horizon : float
    rng : numpy.random.Generator
    times : bool
        Whether to draw the times too.

    Returns
    -------
    count : ndarray of int
        The purchase after which the account is gone is counted.
    times : ndarray or None
        One entry a purchase, cell after cell.
    """
    phase, dropout = unpack_state(state)
    if not times:
        steps = rng.poisson(np.minimum(rate * alive * horizon, _MOST))
        possible = np.where(alive, np.floor((steps + phase) / k), 0.0)
        with np.errstate(divide="ignore"):
            last = np.ceil(rng.standard_exponential(rate.shape) / -np.log1p(-dropout))
        return np.minimum(possible, np.maximum(last, 1.0)).astype(np.int64), None
    count, clock = np.zeros(rate.size, dtype=np.int64), np.zeros(rate.size)
    lam, p, togo = rate.ravel(), dropout.ravel(), (k - phase).ravel()
    going = np.flatnonzero(alive.ravel() & (lam > 0))
    cells, when = [going[:0]], [clock[:0]]
    while going.size:
        clock[going] += rng.standard_gamma(togo[going]) / lam[going]
        going = going[clock[going] <= horizon]
        count[going] += 1
        cells.append(going)
        when.append(clock[going])
        togo[going] = k
        going = going[rng.random(going.size) >= p[going]]
    order = np.argsort(np.concatenate(cells), kind="stable")
    return count.reshape(rate.shape), np.concatenate(when)[order]
