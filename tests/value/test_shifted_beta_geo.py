"""sBG: likelihood, derivatives, predictions against sums and simulation, left truncation; bad input."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clv
from clv.errors import DataError, FitError, SettingsError
from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

MODEL = ShiftedBetaGeoModel.from_parameters(alpha=0.7, beta=2.5)
logs = st.tuples(*[st.floats(-4.0, 4.0)] * 2)


def relations(rows):
    return pd.DataFrame(rows, columns=["duration", "churned", "entry"])


BOOK = relations([(1, True, 0), (3, True, 0), (4, False, 0), (2, False, 1), (5, True, 3), (0, False, 0)])


@given(logs)
def test_gradient_and_hessian_are_finite_differences(at):
    work, at, step = ShiftedBetaGeoModel()._likelihood(BOOK, None), np.array(at), 1e-5
    _, gradient, hessian = work(at)
    for i in range(2):
        away = step * np.eye(2)[i]
        up, down = work(at + away), work(at - away)
        assert gradient[i] == pytest.approx((up[0] - down[0]) / 2 / step, rel=1e-5, abs=1e-6)
        assert hessian[i] == pytest.approx((up[1] - down[1]) / 2 / step, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("parameters", [(1e-3, 1e3), (1e3, 1e-3), (1e3, 1e3), (1e-3, 1e-3), (0.7, 1.2)])
@pytest.mark.parametrize("row", [(1, True, 0), (500, True, 0), (500, False, 0), (500, True, 499), (300, False, 200)])
def test_likelihood_has_all_digits_at_the_extremes(parameters, row):
    duration, churned, entry = row
    with mpmath.workdps(50):
        a, b = map(mpmath.mpf, parameters)
        survival = lambda t: mpmath.beta(a, b + t) / mpmath.beta(a, b)  # noqa: E731
        value = survival(duration - 1) - survival(duration) if churned else survival(duration)
        exact = float(mpmath.log(value / survival(entry)))
    likelihood = ShiftedBetaGeoModel()._likelihood(relations([row]), None)
    assert likelihood(np.log(parameters))[0] == pytest.approx(exact, rel=1e-9)


@given(logs)
def test_predictions_are_sums_of_survival(at):
    alpha, beta = np.exp(at)
    model = ShiftedBetaGeoModel.from_parameters(alpha=alpha, beta=beta)
    running = relations([(0, False, 0), (3, False, 0), (3, True, 0)])
    survival = model.survival(np.arange(40))
    expected = [survival[1:11].sum(), survival[4:14].sum() / survival[3], 0.0]
    assert model.expected_purchases(running, 10).to_numpy() == pytest.approx(expected, rel=1e-9)
    assert model.expected_purchases_new(10) == pytest.approx(expected[0], rel=1e-9)
    mass = model.purchase_probability(np.arange(12), 10)
    assert mass.sum() == pytest.approx(1.0, rel=1e-9)
    assert mass @ np.arange(12) == pytest.approx(expected[0], rel=1e-9)
    assert model.renewal_probability(3) == pytest.approx(survival[4] / survival[3], rel=1e-9)
    curve = model.retention_curve(6)
    assert curve["survival"].to_numpy() == pytest.approx(curve["retention"].fillna(1).cumprod().to_numpy(), rel=1e-9)
    assert curve["retention"].iloc[1:].is_monotonic_increasing
    assert model.discounted_expected_purchases(running, 0.2, 10).le(expected).all()


def test_discounted_lifetimes_are_the_papers():
    a, b, rate = 0.7, 2.5, np.log(1.1)
    with mpmath.workdps(30):
        new = float(mpmath.hyp2f1(1, b, a + b, 1 / mpmath.mpf(1.1)))
        old = float((b + 3) / (a + b + 3) * mpmath.hyp2f1(1, b + 4, a + b + 4, 1 / mpmath.mpf(1.1)))
    assert MODEL.discounted_lifetime(rate) == pytest.approx(new, rel=1e-10)
    assert MODEL.discounted_lifetime(rate, renewals=3) == pytest.approx(old, rel=1e-10)
    # A term after the last renewal the next one is a term away; the day before, it is not discounted.
    running = relations([(3, False, 0)]).assign(to_renewal=1.0)
    assert MODEL.discounted_expected_purchases(running, rate).iloc[0] == pytest.approx(old / 1.1, rel=1e-10)
    soon = running.assign(to_renewal=0.0)
    assert MODEL.discounted_expected_purchases(soon, rate).iloc[0] == pytest.approx(old, rel=1e-10)


def test_the_share_of_the_term_that_is_left_counts():
    running = relations([(0, False, 0)] * 3).assign(to_renewal=[1.0, 0.25, 0.25])
    survival = MODEL.survival(np.arange(5))
    expected = MODEL.expected_purchases(running, 1.2).to_numpy()
    assert expected == pytest.approx([survival[1], survival[1], survival[1]])
    assert MODEL.expected_purchases(running, 1.25).iloc[1] == pytest.approx(survival[1] + survival[2])
    assert MODEL.expected_purchases(running, 0.2).iloc[1] == 0


def test_tenure():
    running = relations([(0, False, 0), (4, False, 0), (4, True, 0)]).assign(to_renewal=[1.0, 0.5, 1.0])
    assert np.isinf(MODEL.expected_tenure(running).iloc[0])
    sure = ShiftedBetaGeoModel.from_parameters(alpha=3.0, beta=4.0)
    survival = sure.survival(np.arange(200_000))
    expected = [1 + survival[1:].sum(), 0.5 + survival[5:].sum() / survival[4], 0.0]
    assert sure.expected_tenure(running).to_numpy() == pytest.approx(expected, rel=1e-6)
    half = sure.tenure_quantile(running, 0.5)
    decisions = int(half.iloc[0])
    assert sure.survival(decisions) <= 0.5 < sure.survival(decisions - 1)
    assert half.iloc[2] == 0
    assert half.iloc[1] > half.iloc[0]
    assert (MODEL.purchase_interval(running, 0.9) == 1).all()
    assert list(MODEL.silence_probability(running)) == [1, 1, 0]
    assert list(MODEL.probability_alive(running)) == [1, 1, 0]


def test_cohorts_and_their_members_say_the_same():
    cohorts = pd.DataFrame(
        {"cohort": ["old"] * 3 + ["new"] * 2, "period": [1, 2, 3, 0, 1], "alive": [80, 60, 50, 100, 75]}
    )
    table = clv.cohort_relations(cohorts)
    assert table["weight"].sum() == 180
    members = table.loc[np.repeat(table.index, table["weight"])].drop(columns="weight")
    one = ShiftedBetaGeoModel().fit(table, sample_weight=table["weight"])
    each = ShiftedBetaGeoModel().fit(members)
    assert one.log_likelihood_ == pytest.approx(each.log_likelihood_, rel=1e-12)
    assert one.params_.to_numpy() == pytest.approx(each.params_.to_numpy(), rel=1e-8)
    a, b = one.params_
    exact = sum(
        n * np.log(rate)
        for n, rate in [
            (20, a / (a + b + 1)), (60, (b + 1) / (a + b + 1)), (10, a / (a + b + 2)), (50, (b + 2) / (a + b + 2)),
            (25, a / (a + b)), (75, b / (a + b)),
        ]
    )  # fmt: skip
    assert one.log_likelihood_ == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"alive": [80, 90, 50]}, "grow"),
        ({"period": [0, 1, 3]}, "one after the other"),
        ({"period": [0, 1, 1]}, "one after the other"),
        ({"alive": [80, np.nan, 50]}, "nan"),
    ],
)
def test_impossible_cohorts_are_named(change, match):
    cohorts = pd.DataFrame({"cohort": "a", "period": [0, 1, 2], "alive": [80.0, 60.0, 50.0]}).assign(**change)
    with pytest.raises(DataError, match=match):
        clv.cohort_relations(cohorts)


def test_left_truncation_takes_the_bias_away():
    drawn = MODEL.simulate(np.full(40_000, 9), seed=1)
    entry = np.random.default_rng(2).integers(0, 6, len(drawn))
    seen = drawn.assign(entry=entry)[lambda t: t["entry"] + t["churned"] <= t["duration"]]
    found = ShiftedBetaGeoModel().fit(seen)
    away = (np.log(found.params_) - np.log(MODEL.params_)) / np.sqrt(np.diag(found.log_covariance_))
    assert np.abs(away).max() < 4
    blind = ShiftedBetaGeoModel(prior="weak").fit(seen.drop(columns="entry"))
    assert blind.renewal_probability(0) > found.renewal_probability(0) + 0.05


def test_draws_agree_with_the_closed_forms():
    running = relations([(0, False, 0), (5, False, 0), (2, True, 0)]).assign(to_renewal=[1.0, 0.25, 1.0])
    rng, n = np.random.default_rng(4), 60_000
    hidden = MODEL.draw_account_latent(np.tile(MODEL.params_, (n, 1)), running, rng)
    for rate, horizon in ((0.0, 6), (0.1, 6), (0.1, np.inf)):
        drawn = hidden[0] * MODEL.discounted_latent(*hidden[1:], horizon=horizon, discount=rate)
        mean = MODEL.discounted_expected_purchases(running, rate, None if np.isinf(horizon) else horizon)
        assert drawn.mean(axis=1) == pytest.approx(mean.to_numpy(), abs=5 * drawn.std() / np.sqrt(n))
    count, when = MODEL.draw_future(*hidden, horizon=6, rng=rng, times=True)
    assert count.mean(axis=1) == pytest.approx(MODEL.expected_purchases(running, 6).to_numpy(), abs=0.05)
    assert when.min() == 0.25
    assert when.max() <= 6
    assert len(when) == count.sum()
    assert not count[2].any()


def test_lifetime_value_of_contracts_with_draws():
    drawn = MODEL.simulate(np.full(200, 6), seed=1).assign(frequency=1, monetary_value=100.0)
    drawn.attrs["clv"] = {"unit": "Y"}
    model = ShiftedBetaGeoModel.from_parameters(unit="Y", alpha=0.7, beta=2.5)  # known: draws average to the value
    spend = clv.GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0)
    for interval in ("credible", "predictive"):
        value = clv.lifetime_value(
            model, spend, drawn, horizon=5, discount_rate=0.1, margin=0.5, draws=400, interval=interval
        )
        assert value.draws.sum(axis=0).mean() == pytest.approx(value.table["clv"].sum(), rel=0.05)
        assert (value.table.loc[drawn["churned"].to_numpy(), "upper"] == 0).all()


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        ([(1.5, False, 0)], "duration"),
        ([(0, True, 0)], "duration"),
        ([(2, 2, 0)], "churned"),
        ([(2, True, 2)], "entry"),
        ([(2, False, 3)], "entry"),
        ([(2, False, 0.5)], "entry"),
        ([(np.nan, False, 0)], "duration"),
    ],
)
def test_impossible_relations_are_named(rows, column):
    with pytest.raises(DataError) as error:
        ShiftedBetaGeoModel().fit(relations(rows))
    assert error.value.column == column


@pytest.mark.parametrize(
    "rows",
    [
        [(3, False, 0)] * 10,
        [(1, True, 0)] * 10,
        [(1, True, 0)] * 5 + [(1, False, 0)] * 5,
        [(0, False, 0)] * 5,
    ],
)
def test_what_data_leave_open_is_said_and_a_prior_mends_it(rows):
    with pytest.raises(FitError, match="not identified"):
        ShiftedBetaGeoModel().fit(relations(rows))
    found = ShiftedBetaGeoModel(prior="weak").fit(relations(rows))
    assert 0 < found.renewal_probability(0) < 1


def test_saved_models_predict_the_same(tmp_path):
    model = ShiftedBetaGeoModel().fit(MODEL.simulate(np.full(500, 6), seed=2))
    model.save(tmp_path / "m.json")
    again = clv.load_model(tmp_path / "m.json")
    assert type(again) is ShiftedBetaGeoModel
    assert again.expected_purchases(BOOK, 5).equals(model.expected_purchases(BOOK, 5))
    assert len(model.sample_posterior(50, 1)) == 50
    for ask in (lambda: model.survival(1.5), lambda: model.purchase_interval(BOOK, 1.0)):
        with pytest.raises(SettingsError):
            ask()
