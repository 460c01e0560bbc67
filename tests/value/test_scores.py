"""Scores of forecasts: known values, their limits, and what they must not reward."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import nbinom

from clv.value.validation import scores

counts = arrays(float, st.integers(2, 40), elements=st.integers(0, 30).map(float))


def test_losses_by_hand():
    found = scores.losses(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    assert found == pytest.approx([2.0, 2 * (2 * np.log(2) - 1)])


def test_a_forecast_of_nothing_is_floored_not_infinite():
    found = scores.losses(np.array([1.0, 1.0]), np.array([0.0, 2.0]))
    assert found[0] == pytest.approx(2 * (np.log(1e3) - 1 + 1e-3))


def test_expectation_minimises_the_loss_on_a_skewed_outcome():
    rng = np.random.default_rng(3)
    actual = rng.negative_binomial(0.4, 0.1, 20_000).astype(float)
    mean = actual.mean()
    at = {shift: scores.losses(actual, np.full(len(actual), mean * shift)).mean() for shift in (0.9, 1.0, 1.1)}
    assert at[1.0] < min(at[0.9], at[1.1])


@given(counts)
def test_a_perfect_order_has_gini_one_and_a_reversed_one_minus_one_or_more(actual):
    if np.ptp(actual) == 0:
        return
    assert scores.gini(actual, actual) == pytest.approx(1)
    assert -1 - 1e-9 <= scores.gini(actual, -actual) < 0
    assert scores.gini(actual, np.ones(len(actual))) == pytest.approx(0, abs=1e-12)


@given(counts, st.integers(0, 2**32 - 1))
def test_the_best_tenth_is_the_one_by_outcome(actual, seed):
    if actual.sum() == 0:
        return
    by_chance = np.random.default_rng(seed).integers(0, 4, len(actual)).astype(float)
    assert 0 <= scores.top_share(actual, by_chance) <= scores.top_share(actual, actual) + 1e-12
    assert scores.top_share(actual, np.zeros(len(actual))) == pytest.approx(
        np.ceil(len(actual) / 10 - 1e-9) / len(actual)
    )


def test_ties_at_the_border_share_the_places():
    actual, predicted = np.array([4.0, 0, 0, 0, 0, 0, 0, 0, 0, 0] * 2), np.array([1.0, 1, 0, 0, 0, 0, 0, 0, 0, 0] * 2)
    assert scores.top_share(actual, predicted) == pytest.approx(0.5)  # two places for four equals


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(1)
    actual, predicted = rng.poisson(1, 500).astype(float), rng.integers(0, 5, 500).astype(float)
    turn = rng.permutation(500)
    for score in (scores.gini, scores.top_share, scores.slope, scores.total_bias):
        assert score(actual[turn], predicted[turn]) == pytest.approx(score(actual, predicted), rel=1e-12)


def test_slope_tells_forecasts_that_are_spread_too_far():
    rng = np.random.default_rng(2)
    mean = rng.gamma(1, 2, 20_000)
    actual = rng.poisson(mean).astype(float)
    assert scores.slope(actual, mean) == pytest.approx(1, abs=0.03)
    assert scores.slope(actual, mean.mean() + 2 * (mean - mean.mean())) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("size", "prob"), [(0.3, 0.3), (3, 0.1), (1, 0.9)])
def test_coverage_is_nominal_where_the_distribution_is_right(size, prob):
    """Even where nine in ten buy nothing, and no interval of counts could hold 90 %."""
    rng = np.random.default_rng(4)
    actual = nbinom.rvs(size, prob, size=4_000, random_state=rng).astype(float)
    drawn = nbinom.rvs(size, prob, size=(4_000, 400), random_state=rng)
    assert scores.coverage(actual, drawn) == pytest.approx(0.9, abs=0.015)


def test_coverage_falls_where_the_distribution_is_too_narrow_or_misplaced():
    rng = np.random.default_rng(5)
    actual = rng.negative_binomial(1, 0.1, 3_000).astype(float)
    assert scores.coverage(actual, rng.poisson(9, (3_000, 200))) < 0.5
    assert scores.coverage(actual, rng.negative_binomial(1, 0.1, (3_000, 200)) + 40) < 0.2


def test_nothing_bought_is_not_scored_as_zero():
    nothing = np.zeros(20)
    for score in (scores.total_bias, scores.gini, scores.top_share):
        assert np.isnan(score(nothing, np.arange(20.0)))
    assert np.isnan(scores.slope(np.arange(20.0), np.ones(20)))
