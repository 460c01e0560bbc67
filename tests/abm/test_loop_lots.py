"""The value of a sample among linear plans: against its closed form, and what sizes of lots follow from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import gamma, norm

from clv.abm.loop.lots import Belief, Comparison, Worth, best_sizes, reach, standard_normals, standardised
from clv.abm.loop.shrinkage import Posterior, Scales, posterior

NORMAL, ERROR = standard_normals(np.random.default_rng(1), 20_000, 2).T[:, :, None]


def worth(mean=0.1, sd=0.1, use=10_000.0, cost=1500.0) -> Worth:
    """One uncertain uplift, and two plans: to use the tier, or to let it be."""
    sure = Posterior(np.ones(1), np.array([[mean]]), np.array([[[sd**2]]]), np.zeros((1, 3)))
    plans = np.array([[0.0], [use]]), np.array([0.0, cost])
    return Worth(Belief(sure, np.zeros(1)), *plans, mean + sd * NORMAL, ERROR)


def closed_form(mean, sd, error, use, cost):
    """Raiffa & Schlaifer (1961), section 5.4: unit normal loss of the distance to the break-even."""
    spread = use * sd**2 / np.sqrt(sd**2 + error**2)
    at = use * mean - cost
    away = abs(at) / spread
    return spread * (norm.pdf(away) - away * norm.sf(away))


@pytest.mark.parametrize(("mean", "error"), [(0.1, 0.05), (0.1, 0.3), (0.25, 0.1), (0.15, 0.02)])
def test_value_of_a_sample_is_the_closed_form(mean, error):
    found = worth(mean).sample(np.ones((1, 1)), np.array([[error**2]]))
    assert found == pytest.approx(closed_form(mean, 0.1, error, 10_000, 1500), rel=0.03, abs=1.0)


def test_more_precise_samples_are_worth_more_and_none_more_than_to_know():
    one = worth()
    values = [one.sample(np.ones((1, 1)), np.array([[e**2]])) for e in (1.0, 0.3, 0.1, 0.03, 1e-6)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(closed_form(0.1, 0.1, 0.0, 10_000, 1500), rel=0.03)
    assert one.sample(np.empty((0, 1)), np.empty((0, 0))) == 0.0


def pairs(loss, precision=20.0, count=50) -> Comparison:
    at = np.arange(count)
    return Comparison(0, -1, at, at + count, np.zeros(count, dtype=int), np.full(count, float(loss)),
                      np.full(count, precision))  # fmt: skip


def test_lots_are_as_large_as_they_pay():
    one = worth()
    free, dear, ruinous = (best_sizes(one, [pairs(loss)], 8, 1)[0] for loss in (0.0, 20.0, 5000.0))
    assert free >= 30
    assert 0 < dear < free
    assert ruinous == 0
    # In the last quarter nothing can be learnt for later; of what is known nothing at all.
    assert best_sizes(one, [pairs(0.0)], 1, 1) == [0]
    assert best_sizes(worth(sd=1e-9), [pairs(1.0)], 8, 1) == [0]
    # The more quarters are left, the more is worth learning.
    assert best_sizes(one, [pairs(60.0)], 3, 1)[0] <= best_sizes(one, [pairs(60.0)], 20, 1)[0]


def test_a_design_is_worth_its_quarters_less_what_it_costs():
    one, part = worth(), pairs(10.0)
    contrast, error, _ = part.design(8, 1, 1)
    assert error == pytest.approx(4 / (8 * 20))
    after = [one.sample(contrast, np.diag(error) / t) for t in (1, 2)]
    # Three quarters left: measured in the first alone, or in the first two.
    expected = max(2 * after[0] - 80, after[0] + after[1] - 160)
    assert one.design([part], [8], 3, 1) == pytest.approx(expected)


def test_normals_have_the_moments_that_they_should():
    draws = standard_normals(np.random.default_rng(3), 64, 9)
    assert draws.shape == (64, 9)
    assert draws.mean(axis=0) == pytest.approx(np.zeros(9), abs=1e-12)
    assert draws.T @ draws / 64 == pytest.approx(np.eye(9), abs=1e-9)


def test_skewed_beliefs_keep_their_skew_and_their_moments():
    """Uplifts that may be many times what is assumed, and hardly less than nothing: as the belief is, no normal."""
    found = posterior([("1:1", "")], {"1:1": 0.1}, Scales(0.9, 0, 0, 0), [])
    drawn = found.draw(4000, np.random.default_rng(2))
    one = Worth(Belief(found, np.zeros(1)), np.zeros((1, 1)), np.zeros(1), drawn, ERROR[:4000])
    assert one.apart.mean() == pytest.approx(0, abs=1e-12)
    assert one.apart.std() == pytest.approx(found.moments()[1][0], rel=1e-9)
    # Of a gamma: twice the coefficient of variation.
    assert (one.apart**3).mean() == pytest.approx(1.8 * one.apart.std() ** 3, rel=0.15)
    assert standardised(np.ones((5, 2))) == pytest.approx(0)


def test_a_low_guess_is_worth_testing():
    """At 0.4 of the break-even, nearly all the worth of knowing lies where the effect is 2.5 times what is assumed."""
    found = posterior([("1:1", "")], {"1:1": 0.06}, Scales(0.5, 0, 0, 0), [])
    use, cost = np.array([[0.0], [10_000.0]]), np.array([0.0, 1500.0])
    normals = standard_normals(np.random.default_rng(1), 4000, 1)
    skewed = Worth(Belief(found, np.zeros(1)), use, cost, found.draw(4000, np.random.default_rng(2)), normals)
    sd = found.moments()[1][0]
    flat = Worth(Belief(found, np.zeros(1)), use, cost, 0.06 + sd * NORMAL[:4000], normals)
    sharp = np.ones((1, 1)), np.array([[1e-6]])
    # E max(0, use·u − cost) of a gamma, by its partial expectation: E[F; F > k] is the tail of the next shape.
    shape, at = 1 / 0.5**2, 1500 / 600
    known = 600 * gamma(shape + 1, scale=1 / shape).sf(at) - 1500 * gamma(shape, scale=1 / shape).sf(at)
    assert skewed.sample(*sharp) == pytest.approx(known, rel=0.3)
    assert skewed.sample(*sharp) > 2 * flat.sample(*sharp)


def test_what_the_largest_lots_tell_is_the_error_of_the_factor():
    """m of each tier measured to e: the factor is known to (Σ m²/e²)^−½; trials beyond the plan do not count."""
    belief, part = worth().belief, pairs(10.0)
    error = 4 / (50 * 20)
    assert reach([part], belief, 1) == pytest.approx(error**0.5 / 0.1)
    assert reach([part, part], belief, 1) == pytest.approx(error**0.5 / 0.1 / 2**0.5)
    assert reach([part, replace(part, pilot=True)], belief, 1) == reach([part], belief, 1)
    assert reach([], belief, 1) == float("inf")
