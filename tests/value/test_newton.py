"""Damped Newton: reaches optima of known functions, and says when there is none."""

from __future__ import annotations

import numpy as np
import pytest

from clv.value.estimation.newton import maximise


def rosenbrock(at):
    x, y = at
    value = -((1 - x) ** 2 + 100 * (y - x * x) ** 2)
    gradient = np.array([2 * (1 - x) + 400 * x * (y - x * x), -200 * (y - x * x)])
    hessian = np.array([[-2 + 400 * (y - 3 * x * x), 400 * x], [400 * x, -200.0]])
    return value, gradient, hessian


@pytest.mark.parametrize("start", [(-1.2, 1.0), (0.0, 0.0), (5.0, -7.0), (-3.0, 4.0)])
def test_curved_valley(start):
    optimum = maximise(rosenbrock, np.array(start))
    assert optimum.converged
    assert optimum.at == pytest.approx([1, 1], abs=1e-6)


def test_leaves_a_saddle():
    def saddle(at):
        x, y = at
        return float(-(x**2) + y**2 - y**4), np.array([-2 * x, 2 * y - 4 * y**3]), np.diag([-2.0, 2 - 12 * y**2])

    optimum = maximise(saddle, np.array([0.5, 0.01]))
    assert optimum.converged
    assert optimum.at == pytest.approx([0, 0.5**0.5], abs=1e-7)


def test_rising_without_end_stops_at_the_box_and_says_where():
    def rising(at):
        return (
            float(-np.exp(-at[0]) - at[1] ** 2),
            np.array([np.exp(-at[0]), -2 * at[1]]),
            -np.diag([np.exp(-at[0]), 2.0]),
        )

    optimum = maximise(rising, np.array([0.0, 1.0]), lower=-5.0, upper=5.0)
    assert not optimum.converged
    assert optimum.bounded == (0,)
    held = maximise(rising, np.array([0.0, 1.0]), lower=-5.0, upper=5.0, hold=True)
    assert held.converged
    assert held.bounded == (0,)
    assert held.at == pytest.approx([5, 0], abs=1e-6)


def test_optimum_on_the_edge_along_a_narrow_ridge():
    """The best point of the box lies on its edge, where the ridge leaves it, not in the corner."""

    def ridge(at):
        u, v = at[0] - at[1], at[0] + at[1]
        gradient = np.array([-2e4 * (u - 1) + 1, 2e4 * (u - 1) + 1])
        return float(-1e4 * (u - 1) ** 2 + v), gradient, np.array([[-2e4, 2e4], [2e4, -2e4 - 1e-6]])

    optimum = maximise(ridge, np.zeros(2), lower=-3.0, upper=3.0, hold=True)
    assert optimum.at == pytest.approx([3, 2 + 5e-5], abs=1e-4)
    assert 0 in optimum.bounded


def test_runs_out_of_evaluations_without_claiming_success():
    assert not maximise(rosenbrock, np.array([-1.2, 1.0]), evaluations=5).converged


def test_infinite_values_are_stepped_around():
    def cliff(at):
        left = 1 - at
        if left[0] <= 0:
            return -np.inf, np.zeros(1), -np.eye(1)
        return float(np.log(left[0]) + 10 * at[0]), 10 - 1 / left, -1 / left[:, None] ** 2

    optimum = maximise(cliff, np.array([-3.0]))
    assert optimum.converged
    assert optimum.at == pytest.approx([0.9], abs=1e-6)
