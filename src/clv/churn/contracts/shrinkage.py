"""Many effects, few losses: effects shrunk towards 0 by as much as the data themselves ask for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
#: standard deviations of effects (log-odds a standard deviation of the covariate) that are tried.
_SPREADS = tuple(float(s) for s in np.geomspace(0.02, 2.0, 21))


class Shrunk(NamedTuple):
    """Posterior mode and covariance of the coefficients, and the spread of effects that was chosen."""

    coefficients: Floats
    covariance: Floats
    spread: float


def shrink(design: Floats, lost: NDArray[np.bool_], *, free: int) -> Shrunk | None:
    """Fit a logit whose effects have a common normal prior around 0, its spread estimated from the data.

    Parameters
    ----------
    design : ndarray, shape (rows, k)
        Standardised columns.
    lost : ndarray of bool, shape (rows,)
    free : int
        Leading columns (intercept, age) that have no prior.

    Returns
    -------
    Shrunk or None
        None where the free columns alone have no maximum.

    Notes
    -----
    Empirical Bayes (Morris 1983): the spread maximises the marginal likelihood, by Laplace's approximation (Tierney &
    Kadane 1986), over a grid from 0.02 to 2. Where effects are noise it is small and they all but vanish.
    """
    y = lost.astype(float)
    best: tuple[float, Shrunk] | None = None
    at = np.zeros(design.shape[1])
    for spread in _SPREADS:
        weight = np.zeros(design.shape[1])
        weight[free:] = 1 / spread**2
        found = _mode(design, y, weight, at)
        if found is None:
            continue
        at, information = found
        eta = design @ at
        value = float(y @ eta - np.logaddexp(0, eta).sum() - 0.5 * weight @ at**2)
        evidence = value - (len(at) - free) * np.log(spread) - 0.5 * float(np.linalg.slogdet(information)[1])
        if best is None or evidence > best[0]:
            best = evidence, Shrunk(at, np.asarray(np.linalg.inv(information), dtype=float), spread)
    return None if best is None else best[1]


def _mode(design: Floats, y: Floats, weight: Floats, at: Floats) -> tuple[Floats, Floats] | None:
    """Find the posterior mode by damped Newton steps, and the information there."""
    value = -np.inf
    for _ in range(100):
        p = expit(design @ at)
        information = design.T @ (design * (p * (1 - p))[:, None]) + np.diag(weight)
        try:
            step = np.linalg.solve(information, design.T @ (y - p) - weight * at)
        except np.linalg.LinAlgError:
            return None
        if np.abs(step).max() < 1e-9:
            return at, information
        step *= min(1.0, 3.0 / np.abs(step).max())
        for _ in range(40):
            eta = design @ (at + step)
            new = float(y @ eta - np.logaddexp(0, eta).sum() - 0.5 * weight @ (at + step) ** 2)
            if new > value:
                break
            step = step / 2
        else:
            return at, information
        at, value = at + step, new
        if np.abs(at).max() > 50:
            return None
    return None
