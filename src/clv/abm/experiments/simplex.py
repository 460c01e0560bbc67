"""Least squares over weights that are positive and sum to one."""

from __future__ import annotations

import numpy as np

from clv.abm.experiments.linear import Floats

_STEPS = 20_000
#: weights up to which the active set is faster.
_ACTIVE = 300


def onto_simplex(v: Floats) -> Floats:
    """Project onto the simplex (Duchi et al. 2008, figure 1)."""
    u = np.sort(v)[::-1]
    above = np.cumsum(u) - 1
    k = int(np.flatnonzero(u - above / np.arange(1, len(u) + 1) > 0)[-1])
    return np.maximum(v - above[k] / (k + 1), 0.0)


def simplex_least_squares(a: Floats, b: Floats, *, ridge: float, tolerance: float = 1e-10) -> Floats:
    """Minimise ``|A w − b|² + ridge |w|²`` over the simplex.

    Parameters
    ----------
    a : numpy.ndarray, shape (rows, weights)
    b : numpy.ndarray, shape (rows,)
    ridge : float
    tolerance : float
        Of the duality gap, relative to ``|b|²``.

    Notes
    -----
    Up to some hundreds of weights Lawson & Hanson's active set, with the sum as a row of great weight; above,
    accelerated projected gradient (Beck & Teboulle 2009) with restarts (O'Donoghue & Candès 2015); the Frank-Wolfe gap
    bounds how far the result is from the optimum.
    """
    scale = float(np.linalg.norm(a, 2)) ** 2 + ridge
    if scale == 0:
        return np.full(a.shape[1], 1 / a.shape[1])
    if a.shape[1] <= _ACTIVE:
        return _by_active_set(a, b, ridge, scale)
    w = np.full(a.shape[1], 1 / a.shape[1])
    look, momentum = w, 1.0
    worth = max(float(b @ b), scale * 1e-12)
    for step in range(_STEPS):
        slope = a.T @ (a @ look - b) + ridge * look
        new = onto_simplex(look - slope / scale)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        if (look - new) @ (new - w) > 0:
            following, look = 1.0, new
        else:
            look = new + (momentum - 1) / following * (new - w)
        w, momentum = new, following
        if step % 20 == 0:
            g = a.T @ (a @ w - b) + ridge * w
            if g @ w - g.min() <= tolerance * worth:
                break
    return w


def _by_active_set(a: Floats, b: Floats, ridge: float, scale: float) -> Floats:
    """Solve with `scipy.optimize.nnls`."""
    from scipy.optimize import nnls

    n = a.shape[1]
    great = 1e4 * np.sqrt(scale)
    rows: list[Floats] = [a, np.full((1, n), great)]
    target: list[Floats] = [b, np.array([great])]
    if ridge > 0:
        rows.insert(1, np.sqrt(ridge) * np.eye(n))
        target.insert(1, np.zeros(n))
    w, _ = nnls(np.concatenate(rows), np.concatenate(target), maxiter=50 * n)
    return w / w.sum()
