"""Pareto smoothing: tails of known shape, weights that keep their order and sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import genpareto

from clv.value.uncertainty.pareto_smoothing import fit_tail, reliable_below, smooth


@pytest.mark.parametrize("k", [-0.3, 0.01, 0.3, 0.7, 1.2])
def test_shape_and_scale_of_a_known_tail_are_found(k):
    n = 4_000
    excess = genpareto.ppf((np.arange(1, n + 1) - 0.5) / n, k, scale=2.5)
    shape, scale = fit_tail(excess)
    assert shape == pytest.approx(k, abs=0.02)
    assert scale == pytest.approx(2.5, rel=0.03)


@pytest.mark.parametrize("rate", [1.25, 2.0, 4.0])
def test_k_hat_of_exponentials_is_what_theory_says(rate):
    # Target Exp(1), proposal Exp(rate): weights e^((rate − 1) x) have a Pareto tail of shape (rate − 1) / rate.
    rng = np.random.default_rng(2)
    k_hats = [smooth((rate - 1) * rng.exponential(1 / rate, 20_000)).k_hat for _ in range(10)]
    assert np.mean(k_hats) == pytest.approx((rate - 1) / rate, abs=0.05)


def test_smoothing_lowers_the_error_of_a_heavy_tailed_estimate():
    rng = np.random.default_rng(3)
    raw, smoothed = [], []
    for _ in range(300):
        x = rng.exponential(1 / 2.5, 1_000)
        weight = np.exp(1.5 * x)
        raw.append(weight @ x / weight.sum())
        smoothed.append(smooth(1.5 * x).weight @ x)
    error = [np.sqrt(np.mean((np.array(found) - 1.0) ** 2)) for found in (raw, smoothed)]
    assert error[1] < error[0]


@given(st.integers(30, 400), st.floats(-200, 200), st.floats(0.01, 30), st.integers(0, 1_000))
def test_weights_are_a_distribution_whatever_the_constant(size, constant, spread, seed):
    logs = np.random.default_rng(seed).normal(0, spread, size)
    found, moved = smooth(logs), smooth(logs + constant)
    assert found.weight.sum() == pytest.approx(1)
    assert (found.weight >= 0).all()
    assert 1 - 1e-9 <= found.effective_size <= size + 1e-6
    np.testing.assert_allclose(moved.weight, found.weight, rtol=1e-6, atol=1e-12)
    order = np.argsort(logs, kind="stable")
    assert (np.diff(found.weight[order]) >= -1e-15).all()


def test_equal_impossible_and_few_weights():
    equal = smooth(np.zeros(500))
    assert equal.k_hat == 0
    assert equal.effective_size == pytest.approx(500)
    some = smooth(np.where(np.arange(500) % 2, 0.0, -np.inf))
    assert some.weight[::2].sum() == 0
    assert some.weight.sum() == pytest.approx(1)
    assert smooth(np.zeros(10)).k_hat == np.inf


def test_few_draws_are_trusted_less():
    assert reliable_below(100) == pytest.approx(0.5)
    assert reliable_below(10**6) == 0.7
