"""Posterior draws: against posteriors in closed form, against Markov chains, from data, from file, from nothing."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma, polygamma
from scipy.stats import gamma

import clv
from clv.errors import SettingsError
from clv.value import (
    BetaGeoBetaBinomModel,
    BetaGeoCNBDModel,
    BetaGeoModel,
    GammaGammaModel,
    ModifiedBetaGeoCNBDModel,
    ModifiedBetaGeoModel,
    ParetoNBDModel,
    ShiftedBetaGeoModel,
)
from clv.value.estimation.best_fit import best_fit
from clv.value.estimation.priors import WeakPrior
from clv.value.uncertainty.posterior import Target, Weighted, explore
from clv.value.uncertainty.sampler import metropolis


class Counts:
    """Independent Poisson counts in known times; flat in ln λ their posterior is Gamma(count, time)."""

    def __init__(self, count, time, rows=10):
        self.count, self.time = np.asarray(count, dtype=float), np.asarray(time, dtype=float)
        self.accounts, self.constant, self.rows = 1.0, 0.0, rows
        self.start, self.shift = np.zeros(len(self.count)), np.zeros(len(self.count))
        self.calls = 0

    def __len__(self):
        return self.rows

    def thinned(self, rows):
        return self

    def unidentified(self):
        return None

    def __call__(self, at):
        self.calls += 1
        rate = self.time * np.exp(at)
        return float(self.count @ at - rate.sum()), self.count - rate, np.diag(-rate)


def posterior(likelihood, prior=None, *, draws=2_000, seed=1):
    names = tuple("abcdef"[: len(likelihood.start)])
    optimum, covariance = best_fit(likelihood, prior, model="counts", names=names)
    return explore(likelihood, prior, optimum.at, covariance, draws=draws, rng=np.random.default_rng(seed))


@given(st.integers(1, 60), st.floats(0.1, 50), st.integers(0, 5))
@settings(max_examples=15)
def test_a_skewed_posterior_is_exact(count, time, seed):
    sample = posterior(Counts([count], [time]), seed=seed)
    error = np.sqrt(float(polygamma(1, count)) / sample.about["effective_sample_size"])
    assert sample.mean()[0] == pytest.approx(digamma(count) - np.log(time), abs=5 * error)
    assert sample.covariance()[0, 0] == pytest.approx(float(polygamma(1, count)), rel=0.4)
    assert sample.weight.sum() == pytest.approx(1)


def test_draws_have_the_quantiles_of_the_posterior():
    sample = posterior(Counts([3, 40], [2.0, 5.0]), draws=8_000)
    drawn = np.exp(sample.resampled(8_000, np.random.default_rng(2)))
    for column, (count, time) in enumerate([(3, 2.0), (40, 5.0)]):
        share = gamma.cdf(np.quantile(drawn[:, column], [0.025, 0.25, 0.5, 0.75, 0.975]), count, scale=1 / time)
        np.testing.assert_allclose(share, [0.025, 0.25, 0.5, 0.75, 0.975], atol=0.015)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.05


def test_a_polynomial_stands_in_for_many_rows():
    exact, many = Counts([2_000, 900], [2.0, 5.0]), Counts([2_000, 900], [2.0, 5.0], rows=10**6)
    samples = [posterior(likelihood) for likelihood in (exact, many)]
    assert [sample.about["polynomial"] for sample in samples] == [False, True]
    assert many.calls < 250 < 4_000 < exact.calls
    for sample in samples:
        np.testing.assert_allclose(sample.mean(), digamma([2_000, 900]) - np.log([2.0, 5.0]), atol=2e-3)


def test_no_polynomial_where_it_does_not_fit():
    likelihood = Counts([1, 1], [2.0, 5.0], rows=10**6)
    assert posterior(likelihood).about["polynomial"] is False
    assert likelihood.calls > 4_000


class Funnel(Counts):
    """ln σ ~ N(0, 3), ln x ~ N(0, σ): no t distribution covers it."""

    def __init__(self):
        super().__init__([1.0, 1.0], [1.0, 1.0])

    def __call__(self, at):
        wide, x = at
        precision = np.exp(-2 * wide)
        value = -0.5 * (wide / 1.5) ** 2 - wide - 0.5 * precision * x**2
        gradient = np.array([-wide / 2.25 - 1 + precision * x**2, -precision * x])
        hessian = np.array([[-1 / 2.25 - 2 * precision * x**2, 2 * precision * x], [2 * precision * x, -precision]])
        return float(value), gradient, hessian


def test_markov_chains_take_over_where_k_hat_is_too_large():
    sample = posterior(Funnel(), draws=500)
    assert sample.about["method"] == "metropolis"
    assert sample.about["k_hat"] > 0.7
    assert {"r_hat", "converged", "effective_sample_size"} <= set(sample.about)
    # The mode, where Laplace sits, is at −2.25; the mean is at 0.
    assert sample.mean()[0] == pytest.approx(0, abs=0.35)


def test_flat_means_flat_within_the_range_searched():
    # One purchase in 10,000 units: the posterior reaches below 1e-4, where the range ends.
    sample = posterior(Counts([1], [2_000.0]), draws=4_000)
    drawn = sample.resampled(4_000, np.random.default_rng(1))
    assert drawn.min() >= np.log(1e-4)
    inside = gamma.cdf(np.median(np.exp(drawn)), 1, scale=1 / 2_000)
    below = gamma.cdf(1e-4, 1, scale=1 / 2_000)
    assert (inside - below) / (1 - below) == pytest.approx(0.5, abs=0.03)


def test_a_held_parameter_stays():
    likelihood = Counts([5, 7], [1.0, 1.0])
    covariance = np.diag([0.2, 0.0])
    sample = explore(likelihood, None, np.log([5.0, 7.0]), covariance, draws=50, rng=np.random.default_rng(1))
    assert (sample.at[:, 1] == np.log(7.0)).all()
    assert sample.at[:, 0].std() > 0.1


def test_systematic_resampling_gives_each_draw_its_share():
    weight = np.array([0.5, 0.3, 0.2])
    drawn = Weighted(np.arange(3.0)[:, None], weight, {}).resampled(10, np.random.default_rng(1))
    assert np.bincount(drawn[:, 0].astype(int)).tolist() == [5, 3, 2]
    assert drawn[:, 0].tolist() != sorted(drawn[:, 0])


def test_importance_and_chains_agree_on_a_small_book():
    model = BetaGeoModel.from_parameters(unit="W", r=0.4, alpha=5.0, a=0.8, b=3.0)
    summary = model.simulate(np.random.default_rng(3).uniform(10, 50, 80), seed=4)
    likelihood = BetaGeoModel()._likelihood(summary, None)
    prior = BetaGeoModel._weak
    optimum, covariance = best_fit(likelihood, prior, model="", names=BetaGeoModel._names)
    rng = np.random.default_rng(5)
    sample = explore(likelihood, prior, optimum.at, covariance, draws=2_000, rng=rng)
    assert sample.about["method"] == "importance"
    target = Target(likelihood, prior, optimum.at, covariance)
    starts = target.places(1.5 * rng.standard_normal((4, 4)))
    chains = metropolis(target.exact, starts, covariance, rng, effective=400)
    assert chains.converged
    spread = np.sqrt(np.diag(sample.covariance()))
    np.testing.assert_allclose((chains.at.mean(axis=0) - sample.mean()) / spread, 0, atol=0.2)
    np.testing.assert_allclose(chains.at.std(axis=0) / spread, 1, atol=0.15)


def test_same_seed_same_draws(buying, paying):
    for model in (buying, paying):
        first, again, other = (model.sample_posterior(50, seed) for seed in (1, 1, 2))
        assert first.equals(again)
        assert not first.equals(other)
        assert list(first.columns) == list(model.params_.index)
        about = first.attrs["clv"]
        assert about["method"] == "importance"
        assert about["prior"] == "flat in log-parameters"
        assert about["k_hat"] < 0.7
        assert about["draws"] == 50


def test_draws_are_around_the_estimate(buying):
    logs = np.log(buying.sample_posterior(1_000, 3))
    spread = np.sqrt(np.diag(buying.log_covariance_))
    assert (np.abs(logs.mean() - np.log(buying.params_)) < 0.25 * spread).all()
    np.testing.assert_allclose(logs.std(), spread, rtol=0.15)


@pytest.mark.parametrize("draws", [0, -1, 2.5])
def test_impossible_draws(buying, draws):
    with pytest.raises(SettingsError, match="draws"):
        buying.sample_posterior(draws)


def test_a_saved_model_draws_from_what_was_saved(tmp_path, buying):
    buying.save(tmp_path / "with.json", draws=200)
    buying.save(tmp_path / "without.json")
    rich, poor = clv.load_model(tmp_path / "with.json"), clv.load_model(tmp_path / "without.json")
    kept = buying.sample_posterior(200, 0)
    drawn = rich.sample_posterior(150, 9)
    assert drawn.attrs["clv"]["method"] == "saved importance"
    assert drawn.attrs["clv"]["k_hat"] == kept.attrs["clv"]["k_hat"]
    known = set(kept["r"].round(12))
    assert set(drawn["r"].round(12)) <= known
    assert drawn["r"].is_unique
    assert set(rich.sample_posterior(500, 1)["r"].round(12)) == known
    assert rich.sample_posterior(50, 1).equals(rich.sample_posterior(50, 1))
    about = poor.sample_posterior(20).attrs["clv"]
    assert about["method"] == "laplace"
    assert "neither data nor draws" in about["reason"]
    rich.save(tmp_path / "again.json", draws=200)
    again = clv.load_model(tmp_path / "again.json").sample_posterior(10).attrs["clv"]
    assert again["method"] == "saved importance"
    assert rich.estimate_ == buying.estimate_ == "maximum likelihood"


def test_given_parameters_do_not_vary():
    drawn = GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0).sample_posterior(5)
    assert (drawn.nunique() == 1).all()
    assert drawn.attrs["clv"]["method"] == "given"


def test_the_weak_prior_alone_is_sampled_where_data_say_nothing(make_book):
    summary = make_book([0] * 5, [0.0] * 5, [0.0] * 5)  # bought today: no time, no information
    model = BetaGeoModel(prior="weak").fit(summary)
    logs = np.log(model.sample_posterior(4_000, 1))
    prior: WeakPrior = BetaGeoModel._weak
    np.testing.assert_allclose(logs.mean(), np.log(prior.centre), atol=0.12)
    np.testing.assert_allclose(logs.std(), prior.spread, rtol=0.06)


BOOK = pd.DataFrame(
    {
        "frequency": [0, 0, 1, 2, 3, 3],
        "recency": [0, 0, 1, 6, 4, 9],
        "T": [2, 9, 9, 8, 9, 9],
        "monetary_value": [0, 0, 20.0, 31.5, 7.25, 30.0],
        "size": [0.5, -1.0, 1.0, 0.0, 2.0, 0.0],
        "duration": [1, 2, 2, 5, 9, 3],
        "churned": [True, False, True, True, False, False],
        "entry": [0, 0, 1, 0, 4, 0],
    }
)


@pytest.mark.parametrize(
    "model",
    [
        BetaGeoModel(), ModifiedBetaGeoModel(), BetaGeoCNBDModel(k=3), ModifiedBetaGeoCNBDModel(k=2), ParetoNBDModel(),
        BetaGeoBetaBinomModel(), ShiftedBetaGeoModel(), GammaGammaModel(),
        BetaGeoModel(covariates=["size"], penalty=0.5), ParetoNBDModel(covariates=["size"]),
    ],
    ids=lambda model: f"{type(model).__name__}{' with covariates' if getattr(model, 'covariates', None) else ''}",
)  # fmt: skip
def test_values_alone_are_the_values(model):
    """The short way to the likelihood's value, on which posteriors rest, is the long one, also in many small blocks."""
    model = model.set_params(prior="weak").fit(BOOK, sample_weight=[1.5, 2.0, 1.0, 0.25, 3.0, 1.0])
    likelihood = model._source.likelihood
    points = likelihood.start + np.random.default_rng(2).normal(0, 2, (60, len(likelihood.start)))
    single = [likelihood(at)[0] for at in points]
    np.testing.assert_allclose(likelihood.values(points), single, rtol=1e-10)
    module = sys.modules[type(likelihood).__module__]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CELLS", 11)
        np.testing.assert_allclose(likelihood.values(points), single, rtol=1e-10)
    prior = model._weak
    np.testing.assert_allclose(prior.values(points), [prior(at)[0] for at in points], rtol=1e-12)
