"""Posterior means of predictions from a few points: the points, and predictions against the exact posterior."""

from __future__ import annotations

import numpy as np
import pytest

import clv
from clv.value import BetaGeoModel, ModifiedBetaGeoCNBDModel, ParetoNBDModel, ShiftedBetaGeoModel, purchase_forecast
from clv.value.uncertainty.cubature import cubature_points


def sparse(seed, accounts=100):
    true = BetaGeoModel.from_parameters(unit="W", r=0.25, alpha=4.4, a=0.8, b=2.4)
    return true.simulate(np.random.default_rng(seed).uniform(5, 39, accounts), seed=seed + 1)


@pytest.mark.parametrize("held", [(), (1,), (0, 2)])
def test_points_have_mean_and_covariance(held):
    rng = np.random.default_rng(1)
    root = rng.normal(size=(4, 4))
    root[list(held)] = 0
    centre, covariance = rng.normal(size=4), root @ root.T
    points = cubature_points(centre, covariance)
    assert points.shape == (2 * (4 - len(held)), 4)
    np.testing.assert_allclose(points.mean(axis=0), centre, rtol=1e-12)
    np.testing.assert_allclose(np.cov(points.T, bias=True), covariance, atol=1e-12)
    # the rule is exact to the third degree: odd moments of a normal distribution are 0
    np.testing.assert_allclose(((points - centre) ** 3).mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(cubature_points(centre, np.zeros((4, 4))), centre[None, :])


@pytest.mark.parametrize("kind", [BetaGeoModel, ParetoNBDModel])
def test_predictions_are_posterior_means(kind):
    """Totals over 400 draws of the exact posterior, by the model with each draw's parameters."""
    for seed in (3, 4):
        book = sparse(seed)
        model = kind(prior="auto").fit(book)
        assert model.estimate_ == "posterior mean"
        drawn = model.sample_posterior(400, seed=1)
        known = [kind.from_parameters(unit="W", **row) for row in drawn.to_dict("records")]
        totals = np.array([each.expected_purchases(book, 52).sum() for each in known])
        error = totals.std() / np.sqrt(len(totals))
        assert model.expected_purchases(book, 52).sum() == pytest.approx(totals.mean(), abs=4 * error, rel=0.02)
        alive = np.mean([each.probability_alive(book) for each in known], axis=0)
        np.testing.assert_allclose(model.probability_alive(book), alive, atol=0.04)
        new = np.mean([each.expected_purchases_new(52) for each in known])
        assert model.expected_purchases_new(52) == pytest.approx(new, rel=0.1)


def test_answers_belong_together(tmp_path):
    """One posterior behind all of them: forecasts, values and files say what the model says."""
    book = sparse(5)
    for model in (BetaGeoModel(prior="auto"), ModifiedBetaGeoCNBDModel(k=2, prior="auto")):
        model.fit(book)
        assert model.estimate_ == "posterior mean"
        outlook = model.outlook(book, 0.002, 52)
        np.testing.assert_allclose(outlook["p_alive"], model.probability_alive(book))
        np.testing.assert_allclose(outlook["expected_purchases"], model.expected_purchases(book, 52))
        worth = model.discounted_expected_purchases(book, 0.002, 52)
        np.testing.assert_allclose(outlook["discounted_expected_purchases"], worth)
        assert (worth < outlook["expected_purchases"]).all()
        chances = model.purchase_probability(np.arange(500), 10)
        assert chances.sum() == pytest.approx(1, abs=1e-6)
        assert chances @ np.arange(500) == pytest.approx(model.expected_purchases_new(10), rel=1e-3)
        forecast = purchase_forecast(model, book, 52, draws=2_000, seed=1, interval="credible")
        assert forecast.total[0] == pytest.approx(outlook["expected_purchases"].sum(), rel=0.08)
        model.save(tmp_path / "model.json")
        again = clv.load_model(tmp_path / "model.json")
        assert again.expected_purchases(book, 52).equals(model.expected_purchases(book, 52))


def test_contracts_are_averaged_too():
    relations = ShiftedBetaGeoModel.from_parameters(alpha=0.7, beta=2.5).simulate(np.full(25, 3), seed=1)
    model = ShiftedBetaGeoModel(prior="auto").fit(relations)
    assert model.estimate_ == "posterior mean"
    logs, root = np.log(model.params_.to_numpy()), np.linalg.cholesky(model.log_covariance_) * np.sqrt(2)
    points = [logs + sign * root[:, j] for sign in (1, -1) for j in range(2)]  # another root: the same to second order
    each = [
        ShiftedBetaGeoModel.from_parameters(alpha=a, beta=b).expected_purchases(relations, 5)
        for a, b in np.exp(np.array(points))
    ]
    np.testing.assert_allclose(model.expected_purchases(relations, 5), np.mean(each, axis=0), rtol=0.03)
    assert model.expected_purchases_new(5) == pytest.approx(model.purchase_probability(range(6), 5) @ np.arange(6))


def test_where_likelihood_is_sharp_nothing_is_averaged(buying, cdnow):
    known = BetaGeoModel.from_parameters(unit="W", **buying.params_)
    assert buying.expected_purchases(cdnow, 39).equals(known.expected_purchases(cdnow, 39))
