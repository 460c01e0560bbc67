"""A log-posterior of very many accounts as a polynomial: some fifty exact evaluations stand for thousands.

Near the mode of a large book the log-posterior is a paraboloid with small higher terms. Each exact evaluation brings
value, gradient and Hessian, so that few of them determine all terms up to degree six; others, that the polynomial has
not seen, tell whether it may be used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation

Exponents = NDArray[np.intp]

#: distances from the mode, in posterior standard deviations, within which a polynomial is tried, one after the other.
_RADII = (6.0, 4.5, 3.5)
#: largest error in nepers at points that it has not seen: 3 per cent of a weight, at the far edge; a tenth of that
#: where the posterior is.
_TOLERANCE = 0.03
_POINTS, _HELD_OUT = 40, 12
_HIGHEST, _LOWEST = 6, 3


def _exponents(size: int, degree: int) -> Exponents:
    """Return all exponents of total degree up to `degree`, one row a monomial."""
    rows = [
        np.bincount(np.array(choice, dtype=int), minlength=size)
        for total in range(degree + 1)
        for choice in combinations_with_replacement(range(size), total)
    ]
    return np.array(rows, dtype=np.intp)


def _monomials(at: Floats, powers: Exponents, by: tuple[int, ...] = ()) -> Floats:
    """Evaluate monomials, or their derivatives by the coordinates `by`, at points: shape (points, monomials)."""
    left, factor = powers.copy(), np.ones(len(powers))
    for i in by:
        factor *= left[:, i]
        left[:, i] = np.maximum(left[:, i] - 1, 0)
    table = at[:, :, None] ** np.arange(powers.max() + 1)
    columns = [table[:, i, left[:, i]] for i in range(at.shape[1])]
    return np.asarray(factor * np.prod(columns, axis=0), dtype=float)


@dataclass(frozen=True)
class Surrogate:
    """A polynomial in standardised coordinates.

    Attributes
    ----------
    coefficients : ndarray
    powers : ndarray of int
    radius : float
        Distance from the mode up to which it serves.
    """

    coefficients: Floats
    powers: Exponents
    radius: float

    def __call__(self, at: Floats) -> Floats:
        """Evaluate at points, shape (points, k), within the radius."""
        return _monomials(at / self.radius, self.powers) @ self.coefficients


def _equations(at: Floats, powers: Exponents, evaluations: list[Evaluation], radius: float) -> tuple[Floats, Floats]:
    """Set up value, gradient and Hessian at each point as linear equations in the coefficients."""
    size = at.shape[1]
    first = [(i,) for i in range(size)]
    second: list[Any] = list(combinations_with_replacement(range(size), 2))
    left = [_monomials(at, powers), *(_monomials(at, powers, by) for by in (*first, *second))]
    right = [[e[0] for e in evaluations]]
    right += [[radius * e[1][i] for e in evaluations] for (i,) in first]
    right += [[radius**2 * e[2][i, j] for e in evaluations] for i, j in second]
    return np.concatenate(left), np.concatenate([np.asarray(column) for column in right])


def fit_surrogate(target: Callable[[Floats], Evaluation], size: int, rng: np.random.Generator) -> Surrogate | None:
    """Fit a polynomial to a log-density around its mode.

    Parameters
    ----------
    target : callable
        Value, gradient and Hessian in coordinates in which the mode is 0 and the covariance there the identity.
    size : int
        Number of coordinates.
    rng : numpy.random.Generator

    Returns
    -------
    Surrogate or None
        Within 6, 4.5 or 3.5 standard deviations, whichever is the first to err by less than 0.03 nepers at
        points that it has not seen; None if none does.
    """
    for radius in _RADII:
        if polynomial := _fit_within(target, size, rng, radius):
            return polynomial
    return None


def _fit_within(
    target: Callable[[Floats], Evaluation], size: int, rng: np.random.Generator, radius: float
) -> Surrogate | None:
    """Fit a polynomial within a radius, or find that it does not serve."""
    each = (size + 1) * (size + 2) // 2
    fitting = [d for d in range(_HIGHEST, _LOWEST - 1, -1) if 2 * comb(size + d, d) <= _POINTS * each]
    if not fitting:
        return None
    direction = rng.standard_normal((_POINTS + _HELD_OUT, size))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = np.concatenate([np.sqrt((np.arange(n) + 0.5) / n) for n in (_POINTS, _HELD_OUT)])
    at = direction * length[:, None]
    evaluations = [target(radius * point) for point in at]
    if not all(np.isfinite(e[0]) and np.isfinite(e[1]).all() and np.isfinite(e[2]).all() for e in evaluations):
        return None
    powers = _exponents(size, fitting[0])
    left, right = _equations(at[:_POINTS], powers, evaluations[:_POINTS], radius)
    solution = np.asarray(np.linalg.lstsq(left, right, rcond=None)[0], dtype=float)
    polynomial = Surrogate(solution, powers, radius)
    truth = np.array([e[0] for e in evaluations[_POINTS:]])
    error = np.abs(polynomial(radius * at[_POINTS:]) - truth).max()
    return polynomial if error < _TOLERANCE else None
