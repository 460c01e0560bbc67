"""The polynomial in place of a log-posterior: exact where it can be, refused where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from clv.value.uncertainty.surrogate import _exponents, _monomials, fit_surrogate


def paraboloid(cubic, quartic=0.0):
    """Value, gradient and Hessian of −|u|²/2 + cubic u₀²u₁ − quartic u₁⁴."""

    def target(u):
        value = -0.5 * u @ u + cubic * u[0] ** 2 * u[1] - quartic * u[1] ** 4
        gradient = -u.copy()
        gradient[0] += 2 * cubic * u[0] * u[1]
        gradient[1] += cubic * u[0] ** 2 - 4 * quartic * u[1] ** 3
        hessian = -np.eye(len(u))
        hessian[0, 0] += 2 * cubic * u[1]
        hessian[0, 1] = hessian[1, 0] = 2 * cubic * u[0]
        hessian[1, 1] -= 12 * quartic * u[1] ** 2
        return float(value), gradient, hessian

    return target


@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_polynomials_are_reproduced(size):
    target = paraboloid(0.03, 0.002)
    found = fit_surrogate(target, size, np.random.default_rng(1))
    u = np.random.default_rng(2).normal(0, 1.5, (50, size))
    u *= np.minimum(1, found.radius / np.linalg.norm(u, axis=1))[:, None]
    assert found.radius == 6
    np.testing.assert_allclose(found(u), [target(point)[0] for point in u], atol=1e-8)


def test_what_is_no_polynomial_is_refused():
    def kinked(u):
        value, gradient, hessian = paraboloid(0)(u)
        return value - 3 * abs(u[0]), gradient - 3 * np.sign(u) * np.eye(len(u))[0], hessian

    def cut(u):
        return (-np.inf, np.zeros(2), np.zeros((2, 2))) if u[0] > 2 else paraboloid(0)(u)

    assert fit_surrogate(kinked, 2, np.random.default_rng(1)) is None
    assert fit_surrogate(cut, 2, np.random.default_rng(1)) is None


def test_the_radius_shrinks_until_the_polynomial_serves():
    def late(u):  # bends beyond a distance of 5
        value, gradient, hessian = paraboloid(0)(u)
        return value - 20 * max(0.0, np.linalg.norm(u) - 5) ** 3, gradient, hessian

    assert fit_surrogate(late, 2, np.random.default_rng(1)).radius == 4.5


def test_derivatives_of_monomials():
    powers = _exponents(3, 4)
    assert len(powers) == 35
    at = np.random.default_rng(3).normal(0, 1, (7, 3))
    step = 1e-5
    for i in range(3):
        move = step * np.eye(3)[i]
        numeric = (_monomials(at + move, powers) - _monomials(at - move, powers)) / (2 * step)
        np.testing.assert_allclose(_monomials(at, powers, (i,)), numeric, atol=1e-7)
        for j in range(3):
            numeric = (_monomials(at + move, powers, (j,)) - _monomials(at - move, powers, (j,))) / (2 * step)
            np.testing.assert_allclose(_monomials(at, powers, (i, j)), numeric, atol=1e-6)
