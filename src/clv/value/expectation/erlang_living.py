"""Purchases still to come from a regular buyer that is alive: as `clv.value.expectation.living`, with Erlang-k waits.

With m = k − j steps to go to the next purchase, q = 1 − p, and steps at rate λ, purchases come at s ahead at rate
(partial fractions of the Laplace transform λᵐ(λ+z)^(k−m) / ((λ+z)ᵏ − q λᵏ))

    Σ_i (λ/k) u_i^(1−m) e^(−λ(1−u_i)s),   u_i = the k-th roots of q,

so that λ ~ Gamma(R, A) leaves Σ_i u_i^(1−m) / (k (1−u_i)) · [1 − (1 + (1−u_i)s/A)^−R] purchases by s. Where q or s is
so small that roots cancel, the sum over the n-th purchase, Σ_n q^(n−1) P(N ≥ nk − j), is short, and used instead.
"""

from __future__ import annotations

import numpy as np

from clv.errors import SettingsError
from clv.value.estimation.checks import Floats
from clv.value.expectation.living import beta_nodes, discounted_times, purchases_while_alive
from clv.value.likelihood.erlang import step_tails

_TERMS = 9
#: q below which, and size of the last term (relative to the first) below which, the short sum is exact.
_SMALL_Q, _LAST = 0.01, 1e-17
_BLOCK = 400_000
_FADED = 40.0


def _by_roots(R: Floats, A: Floats, times: Floats, p: Floats, k: int) -> Floats:
    """Return expected purchases by each time given p, for every phase: shape (phases, rows, times, nodes).

    A phase more is a factor 1/(1 + (1−u)s/A) more: logarithms and powers are taken once a root, not once a phase.
    """
    log_u = np.log1p(-np.minimum(p, 1 - 1e-6)) / k
    scaled, power = (times / A[:, None])[:, :, None], -R[:, None, None]
    total = np.zeros((k, *times.shape, p.shape[1]))
    for i in range(k // 2 + 1):
        real = i == 0 or 2 * i == k
        u = np.exp(log_u) * (np.cos(np.pi * round(2 * i / k)) if real else np.exp(2j * np.pi * i / k))
        away = -np.expm1(log_u) if i == 0 else 1 - u
        further = np.log1p(away[:, None, :] * scaled)
        kept, shrink = power * further, np.exp(-further)
        if real:
            bought = -np.expm1(kept)  # the root next to 1 is where this matters
            fall = -np.expm1(-further)
        else:
            bought, fall = 1 - np.exp(kept), 1 - shrink
        factor = ((1.0 if real else 2.0) * u ** (1 - k) / (k * away))[:, None, :]
        up = u[:, None, :]
        for phase in range(k):
            total[phase] += factor * bought if real else (factor * bought).real
            bought = bought + (1 - bought) * fall  # 1 − (1 − bought) · shrink, without a difference
            factor = factor * up
    return total


def _rows(R: Floats, A: Floats, a: Floats, B: Floats, k: int, horizon: float, rate: float) -> Floats:
    """Integrate a block of rows over p at each of some times, then over time; shape (rows, phases)."""
    p, weight = beta_nodes((R + k) * horizon / A, a, B)
    times, share = discounted_times(R + (k - 1), A, horizon, rate)
    stays = 1 - p
    powers = stays[..., None] ** np.arange(_TERMS)
    long = None
    out = np.empty((len(R), k))
    for phase in range(k):
        w = times / (A[:, None] + times)
        tails = step_tails((R + phase)[:, None], w, _TERMS * k - phase)[..., k - phase :: k]
        value = np.einsum("rtn,rpn->rtp", tails, powers)
        brief = tails[..., -1] <= _LAST * tails[..., 0]
        if not brief.all():
            long = _by_roots(R, A, times, p, k) if long is None else long
            value = np.where(brief[:, :, None] | (stays < _SMALL_Q)[:, None, :], value, long[phase])
        out[:, phase] = (share * np.einsum("rtp,rp->rt", value, weight)).sum(axis=1)
    return out


def erlang_purchases(
    R: Floats, A: Floats, a: Floats | float, B: Floats, *, k: int, horizon: float, rate: float = 0.0
) -> Floats:
    """Integrate discounted purchases of living accounts, by the phase in which they are.

    Parameters
    ----------
    R, A : ndarray, shape (rows,)
        r + kx and α + T: in phase j the rate of steps is Gamma(R + j, A).
    a, B : ndarray or float
        Parameters of the beta posterior of the dropout probability.
    k : int
        Steps from one purchase to the next.
    horizon : float
        In the unit of A; infinite is allowed.
    rate : float
        Continuous discount rate per unit.

    Returns
    -------
    ndarray, shape (rows, k)
        A column is a phase, 0 … k − 1 steps done since the last purchase.

    Raises
    ------
    clv.errors.SettingsError
        If neither horizon nor rate ends the sum and a ≤ 1, so that it is infinite.
    """
    if k == 1:
        return purchases_while_alive(R, A, a, B, horizon=horizon, rate=rate)[:, None]
    R, A, a, B = (np.ascontiguousarray(v, dtype=float) for v in np.broadcast_arrays(R, A, a, B))
    if horizon == 0 or not R.size:
        return np.zeros((len(R), k))
    if np.isinf(horizon) and rate == 0:
        if a.min() <= 1:
            raise SettingsError(
                f"purchases without end and without discounting have no finite mean (a = {a.min():.4g} ≤ 1).",
                mend="Give a horizon or a discount rate above 0.",
            )
        return np.repeat(((a + B - 1) / (a - 1))[:, None], k, axis=1)
    end = min(horizon, _FADED / rate) if rate else horizon
    rows = max(1, _BLOCK // (80 * k * (24 if rate else 1)))
    out = np.empty((len(R), k))
    for start in range(0, len(R), rows):
        block = slice(start, start + rows)
        out[block] = _rows(R[block], A[block], a[block], B[block], k, end, rate)
    return out
