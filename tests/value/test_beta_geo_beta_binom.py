"""BG/BB: likelihood, derivatives, predictions against enumeration, closed forms and simulation; bad input."""

from __future__ import annotations

from math import comb

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clv
from clv.errors import DataError, FitError, SettingsError
from clv.value.beta_geo_beta_binom import BetaGeoBetaBinomModel, opportunity_history
from clv.value.estimation.patterns import compress
from clv.value.likelihood.beta_geo_beta_binom_alive import alive_by_draw
from clv.value.likelihood.beta_geo_beta_binom_likelihood import BetaGeoBetaBinomLikelihood

MODEL = BetaGeoBetaBinomModel.from_parameters(alpha=1.2, beta=0.75, gamma=0.66, delta=2.8)
logs = st.tuples(*[st.floats(-3.0, 3.0)] * 4)


def histories(n):
    """Every history of n opportunities, with the number of ways to have it."""
    rows = [(0, 0, n, 1)]
    rows += [(x, last, n, comb(last - 1, x - 1)) for last in range(1, n + 1) for x in range(1, last + 1)]
    return pd.DataFrame(rows, columns=["frequency", "recency", "n_periods", "ways"])


def likelihood(table):
    return BetaGeoBetaBinomLikelihood(compress(opportunity_history(table)))


@given(logs)
def test_probabilities_of_all_histories_sum_to_one(at):
    table = histories(6)
    total = sum(
        row.ways * np.exp(likelihood(table.iloc[[place]])(np.array(at))[0])
        for place, row in enumerate(table.itertuples())
    )
    assert total == pytest.approx(1.0, rel=1e-11)


@given(logs)
def test_gradient_and_hessian_are_finite_differences(at):
    work, at, step = likelihood(histories(7)), np.array(at), 1e-5
    _, gradient, hessian = work(at)
    for i in range(4):
        away = step * np.eye(4)[i]
        up, down = work(at + away), work(at - away)
        assert gradient[i] == pytest.approx((up[0] - down[0]) / 2 / step, rel=1e-5, abs=1e-5)
        assert hessian[i] == pytest.approx((up[1] - down[1]) / 2 / step, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("parameters", [(1e-3, 1e3, 1e-3, 1e3), (1e3, 1e-3, 1e3, 1e-3), (1e3,) * 4, (1e-3,) * 4])
@pytest.mark.parametrize("row", [(0, 0, 300), (3, 290, 300), (300, 300, 300), (150, 200, 250), (1, 1, 1)])
def test_likelihood_has_all_digits_at_the_extremes(parameters, row):
    x, last, n = row
    with mpmath.workdps(50):
        a, b, g, d = map(mpmath.mpf, parameters)
        beta = mpmath.beta
        value = beta(a + x, b + n - x) / beta(a, b) * beta(g, d + n) / beta(g, d)
        for i in range(n - last):
            value += beta(a + x, b + last - x + i) / beta(a, b) * beta(g + 1, d + last + i) / beta(g, d)
        exact = float(mpmath.log(value))
    table = pd.DataFrame([row], columns=["frequency", "recency", "n_periods"])
    assert likelihood(table)(np.log(parameters))[0] == pytest.approx(exact, rel=1e-9, abs=1e-12)


@given(logs)
def test_conditional_expectations_average_to_the_unconditional_one(at):
    a, b, g, d = np.exp(at)
    model, table = BetaGeoBetaBinomModel.from_parameters(alpha=a, beta=b, gamma=g, delta=d), histories(5)
    chance = table["ways"] * np.exp([likelihood(table.iloc[[i]])(np.array(at))[0] for i in range(len(table))])
    ahead = float(chance @ model.expected_purchases(table, 4))
    assert ahead == pytest.approx(
        model.expected_purchases_new(9) - model.expected_purchases_new(5), rel=1e-9, abs=1e-12
    )
    alive = float(chance @ model.probability_alive(table))
    assert alive == pytest.approx(np.prod([(d + k) / (g + d + k) for k in range(6)]), rel=1e-9)
    assert model.probability_alive(table).between(0, 1).all()
    mass = model.purchase_probability(np.arange(8), 7)
    assert mass.sum() == pytest.approx(1.0, rel=1e-10)
    assert mass @ np.arange(8) == pytest.approx(model.expected_purchases_new(7), rel=1e-9)


def test_closed_forms_of_the_paper():
    table, (a, b, g, d) = histories(6), (1.2, 0.75, 0.66, 2.8)
    rate = 0.1
    v = np.exp(-rate)
    for place, row in enumerate(table.itertuples()):
        x, n = row.frequency, row.n_periods
        with mpmath.workdps(30):
            like = mpmath.exp(likelihood(table.iloc[[place]])(np.log([a, b, g, d]))[0])
            base = mpmath.beta(a + x, b + n - x) / mpmath.beta(a, b) / mpmath.beta(g, d) / like
            more = mpmath.beta(a + x + 1, b + n - x) / mpmath.beta(a, b) / like
            gone = mpmath.gammaprod([g + d, 1 + d + n], [1 + d, g + d + n])
            gone -= mpmath.gammaprod([g + d, 1 + d + n + 10], [1 + d, g + d + n + 10])
            ten = more * mpmath.mpf(d) / (g - 1) * gone
            dert = more * mpmath.beta(g, d + n + 1) / mpmath.beta(g, d) * v
            dert *= mpmath.hyp2f1(1, d + n + 1, g + d + n + 1, v)
        one = table.iloc[[place]]
        assert MODEL.probability_alive(one).iloc[0] == pytest.approx(float(base * mpmath.beta(g, d + n + 1)), rel=1e-10)
        assert MODEL.expected_purchases(one, 10).iloc[0] == pytest.approx(float(ten), rel=1e-10)
        assert MODEL.discounted_expected_purchases(one, rate).iloc[0] == pytest.approx(float(dert), rel=1e-10)


def test_expectations_rise_with_time_and_fall_with_discounting():
    table = histories(6)
    spans = [MODEL.expected_purchases(table, t).to_numpy() for t in (0, 1, 2, 5, 50, 5000)]
    assert (np.diff(spans, axis=0) > 0).all()
    assert (spans[0] == 0).all()
    assert (spans[1] <= MODEL.probability_alive(table) + 1e-12).all()
    discounted = MODEL.discounted_expected_purchases(table, 0.1, horizon=5)
    assert (discounted < spans[3]).all()
    assert (discounted < MODEL.discounted_expected_purchases(table, 0.1)).all()
    with pytest.raises(SettingsError, match="no finite mean"):
        MODEL.discounted_expected_purchases(table, 0.0)


def test_silence_and_interval():
    table = pd.DataFrame({"frequency": [4, 4, 0], "recency": [6, 4, 0], "n_periods": [6, 6, 3]})
    silence = MODEL.silence_probability(table)
    # A rate Beta(a + x, b + t_x − x); two opportunities passed over: (B/(A+B)) · ((B+1)/(A+B+1)).
    assert silence.iloc[0] == 1
    assert silence.iloc[1] == pytest.approx(0.75 / 5.95 * 1.75 / 6.95, rel=1e-12)
    assert silence.iloc[2] == pytest.approx(np.prod([(0.75 + k) / (1.95 + k) for k in range(3)]), rel=1e-12)
    assert (MODEL.purchase_interval(table, 0.5) >= 1).all()
    assert (MODEL.purchase_interval(table, 0.9) >= MODEL.purchase_interval(table, 0.5)).all()


def test_simulated_histories_give_the_parameters_back():
    drawn = MODEL.simulate(np.random.default_rng(3).integers(3, 12, 20_000), seed=4)
    found = BetaGeoBetaBinomModel().fit(drawn)
    away = (np.log(found.params_) - np.log(MODEL.params_)) / np.sqrt(np.diag(found.log_covariance_))
    assert found.converged_
    assert np.abs(away).max() < 4
    assert MODEL.simulate([5, 5], seed=1).equals(MODEL.simulate([5, 5], seed=1))


def test_weights_are_repetitions():
    drawn = MODEL.simulate(np.full(300, 6), seed=2)
    count = np.arange(300) % 3
    once = BetaGeoBetaBinomModel().fit(drawn, sample_weight=count)
    again = BetaGeoBetaBinomModel().fit(drawn.loc[np.repeat(drawn.index, count)])
    assert once.params_.to_numpy() == pytest.approx(again.params_.to_numpy(), rel=1e-6)
    assert once.log_likelihood_ == pytest.approx(again.log_likelihood_, rel=1e-12)
    assert once.n_accounts_ == count.sum()


def test_draws_agree_with_the_closed_forms():
    table = pd.DataFrame({"frequency": [0, 3, 6], "recency": [0, 4, 6], "n_periods": 6})
    rng, tiled = np.random.default_rng(5), np.tile(MODEL.params_, (40_000, 1))
    hidden = MODEL.draw_account_latent(tiled[:1], table.loc[np.repeat(table.index, 40_000)], rng)
    alive, p, theta = (each.reshape(3, -1) for each in hidden)
    for rate, horizon in ((0.0, 10), (0.1, 10), (0.1, np.inf)):
        drawn = alive * MODEL.discounted_latent(p, theta, horizon=horizon, discount=rate)
        mean = MODEL.discounted_expected_purchases(table, rate, None if np.isinf(horizon) else horizon)
        assert drawn.mean(axis=1) == pytest.approx(mean.to_numpy(), abs=5 * drawn.std() / 200)
    count, _ = MODEL.draw_future(alive, p, theta, horizon=10, rng=rng)
    assert count.mean(axis=1) == pytest.approx(
        MODEL.expected_purchases(table, 10).to_numpy(), abs=5 * count.std() / 200
    )
    assert count.max() <= 10
    count, when = MODEL.draw_future(alive, p, theta, horizon=10, rng=rng, times=True)
    cell = np.repeat(np.arange(count.size), count.ravel())
    value = np.bincount(cell, np.exp(-0.1 * when), minlength=count.size).reshape(count.shape)
    mean = MODEL.discounted_expected_purchases(table, 0.1, 10).to_numpy()
    assert value.mean(axis=1) == pytest.approx(mean, abs=5 * value.std() / 200)
    assert MODEL.draw_latent(tiled[:2], opportunity_history(table), rng)[0].shape == (3, 2)


def test_lifetime_value_with_draws():
    drawn = MODEL.simulate(np.full(400, 6), seed=2)
    model = BetaGeoBetaBinomModel.from_parameters(unit="Y", **MODEL.params_)  # known: draws average to the value
    drawn["monetary_value"] = clv.GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0).simulate(drawn["frequency"], 1)
    spend = clv.GammaGammaModel().fit(drawn)
    drawn.attrs["clv"] = {"unit": "Y"}
    arguments = {"horizon": 5, "discount_rate": 0.1, "margin": 0.5, "seed": 1}
    for interval in ("credible", "predictive"):
        value = clv.lifetime_value(model, spend, drawn, draws=300, interval=interval, **arguments)
        assert (value.table["lower"] <= value.table["upper"]).all()
        assert value.draws.sum(axis=0).mean() == pytest.approx(value.table["clv"].sum(), rel=0.05)


def test_saved_models_predict_the_same(tmp_path):
    drawn = MODEL.simulate(np.full(500, 6), seed=2)
    model = BetaGeoBetaBinomModel(prior="weak").fit(drawn)
    model.save(tmp_path / "m.json")
    again = clv.load_model(tmp_path / "m.json")
    assert type(again) is BetaGeoBetaBinomModel
    assert again.expected_purchases(drawn, 5).equals(model.expected_purchases(drawn, 5))
    assert len(model.sample_posterior(50, 1)) == 50


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ((2, 1, 6), "frequency"),
        ((0, 2, 6), "recency"),
        ((1, 7, 6), "recency"),
        ((1, 2.5, 6), "recency"),
        ((1, 2, 6.5), "n_periods"),
        ((1, 2, np.nan), "n_periods"),
        ((-1, 2, 6), "frequency"),
        ((1, 2, 1e6), "n_periods"),
    ],
)
def test_impossible_histories_are_named(row, column):
    table = pd.DataFrame([(1, 2, 6), row], columns=["frequency", "recency", "n_periods"], index=["A", "B"])
    with pytest.raises(DataError) as error:
        BetaGeoBetaBinomModel().fit(table)
    assert error.value.column == column


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 0, 6)] * 20,
        [(6, 6, 6)] * 20,
        [(1, 1, 1)] * 10 + [(0, 0, 1)] * 10,
        [(2, 4, 6)] * 20,
    ],
)
def test_what_data_leave_open_is_said_and_a_prior_mends_it(rows):
    table = pd.DataFrame(rows, columns=["frequency", "recency", "n_periods"])
    with pytest.raises(FitError, match="not identified"):
        BetaGeoBetaBinomModel().fit(table)
    found = BetaGeoBetaBinomModel(prior="weak").fit(table)
    assert np.isfinite(found.expected_purchases(table, 10)).all()


def test_opportunities_are_whole_numbers():
    table = histories(3)
    for ask in (lambda: MODEL.expected_purchases(table, 1.5), lambda: MODEL.expected_purchases_new(0.5)):
        with pytest.raises(SettingsError, match="whole"):
            ask()
    assert MODEL.expected_purchases_new([0, 1, 2]).shape == (3,)
    assert MODEL.purchase_probability(9, 3) == 0
    named = histories(3).rename(columns={"n_periods": "T"})
    assert MODEL.probability_alive(named).equals(MODEL.probability_alive(table))


def test_alive_by_draw_is_alive_of_each_draw():
    """One table for all draws, against the likelihood of each draw: parameters from 1e-3 to 1e3."""
    rng = np.random.default_rng(0)
    draws = np.exp(rng.uniform(np.log(1e-3), np.log(1e3), (25, 4)))
    n = rng.integers(1, 70, 600)
    x = rng.integers(0, n + 1)
    last = np.where(x > 0, rng.integers(np.maximum(x, 1), n + 1), 0)
    table = pd.DataFrame({"frequency": x, "recency": last, "n_periods": n})
    found = alive_by_draw(draws, opportunity_history(table))
    assert found.shape == (600, 25)
    for place, row in enumerate(draws):
        one = BetaGeoBetaBinomModel.from_parameters(**dict(zip(MODEL.params_.index, row, strict=True)))
        np.testing.assert_allclose(found[:, place], one.probability_alive(table), rtol=1e-10)
    assert np.isfinite(found).all()
    assert alive_by_draw(draws[:1], opportunity_history(table.iloc[:1])).shape == (1, 1)
