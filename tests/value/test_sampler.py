"""The fallback: it samples known densities, and its diagnostics are right where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from clv.value.uncertainty.sampler import effective_size, metropolis, split_r_hat


def autoregressive(phi, shape, rng):
    noise = rng.standard_normal(shape)
    return lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise, axis=1)[:, 500:]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_effective_size_of_an_autoregression(phi):
    chains = autoregressive(phi, (4, 10_500), np.random.default_rng(1))
    assert effective_size(chains) == pytest.approx(40_000 * (1 - phi) / (1 + phi), rel=0.15)


def test_r_hat_tells_chains_that_have_not_met():
    rng = np.random.default_rng(2)
    chains = rng.standard_normal((4, 2_000))
    assert split_r_hat(chains) < 1.01
    assert split_r_hat(chains + np.array([[0], [0], [0], [0.5]])) > 1.03
    assert split_r_hat(chains * np.array([[1], [1], [1], [3]])) > 1.05  # same centre, other spread: folded
    assert split_r_hat(chains + np.linspace(0, 1, 2_000)) > 1.03  # a drift that all chains share


def test_a_correlated_normal_is_sampled():
    covariance = np.array([[1.0, 1.8], [1.8, 4.0]])
    inverse = np.linalg.inv(covariance)
    rng = np.random.default_rng(3)
    starts = rng.normal(0, 3, (4, 2))
    found = metropolis(lambda at: -0.5 * np.einsum("ni,ij,nj->n", at, inverse, at), starts, np.eye(2), rng)
    assert found.converged
    assert found.r_hat < 1.01
    assert found.effective_size >= 400
    np.testing.assert_allclose(np.cov(found.at.T), covariance, rtol=0.2)
    np.testing.assert_allclose(found.at.mean(axis=0), 0, atol=0.2)


def test_an_edge_is_kept():
    rng = np.random.default_rng(4)
    starts = rng.exponential(1, (4, 1))
    found = metropolis(lambda at: np.where(at[:, 0] >= 0, -at[:, 0], -np.inf), starts, np.eye(1), rng)
    assert found.at.min() >= 0
    assert found.at.mean() == pytest.approx(1, abs=0.1)
    assert np.quantile(found.at, 0.95) == pytest.approx(-np.log(0.05), rel=0.1)


def test_chains_that_cannot_meet_say_so():
    rng = np.random.default_rng(5)
    far = np.array([[-60.0], [-60.0], [60.0], [60.0]])
    found = metropolis(lambda at: -0.5 * (np.abs(at[:, 0]) - 60) ** 2 * 400, far, 0.01 * np.eye(1), rng)
    assert not found.converged
    assert found.r_hat > 1.5
