"""Spend independent of frequency, purchases independent of the calendar, values against the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.errors import DataError
from clv.value import load_model
from clv.value.dependent_spend import DependentSpendModel
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.lifetime import lifetime_value
from clv.value.validation.independence import independence_test
from clv.value.validation.seasonality import seasonality
from clv.value.validation.truth_check import check_truth


def spenders(count: int, seed: int, *, elasticity: float = 0.0, q: float = 5.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frequency = rng.negative_binomial(0.8, 0.2, count)
    spend = GammaGammaModel.from_parameters(p=6.0, q=q, v=15.0).simulate(frequency, seed=seed)
    frame = pd.DataFrame({"frequency": frequency, "monetary_value": spend * (1.0 + frequency) ** elasticity})
    frame.index = pd.Index([f"A{i}" for i in range(count)], name="account_id")
    return frame


def test_independence_keeps_its_size_under_gamma_gamma():
    """Among 300 books without dependence, some 5 % are found significant; hardly any is said to fail."""
    found = [independence_test(spenders(800, seed)) for seed in range(300)]
    assert 0.02 <= np.mean([test.p_value < 0.05 for test in found]) <= 0.10
    assert np.mean([test.lower <= 0 <= test.upper for test in found]) >= 0.90
    assert np.mean([not test.holds for test in found]) <= 0.04


@pytest.mark.parametrize("elasticity", [0.3, -0.3])
def test_dependence_is_found_and_said(elasticity):
    test = independence_test(spenders(2_000, 1, elasticity=elasticity))
    assert not test.holds
    assert np.sign(test.correlation) == np.sign(elasticity)
    assert ("pay more" if elasticity > 0 else "pay less") in test.text
    assert test.lower < test.correlation < test.upper
    assert test.plot().get_xlim() == (-1, 1)


@pytest.mark.parametrize(
    "frame",
    [
        spenders(5, 1),
        spenders(300, 1).assign(frequency=2),
        spenders(300, 1).assign(monetary_value=7.0),
        spenders(300, 1).assign(frequency=0),
    ],
    ids=["few", "one frequency", "one spend", "no repeats"],
)
def test_what_cannot_be_told_is_not_a_failure(frame):
    test = independence_test(frame)
    assert test.holds
    assert np.isnan(test.correlation)
    assert "cannot be told" in test.text


def test_fallback_recovers_the_elasticity_and_mends_the_forecast():
    book = spenders(6_000, 3, elasticity=0.4)
    plain, model = GammaGammaModel().fit(book), DependentSpendModel().fit(book)
    assert model.slope_ == pytest.approx(0.4, abs=0.05)
    assert model.score(book) > plain.score(book) + 0.01
    once = book["frequency"] == 0
    # New purchases of those who never came back are of the level 1, mean p v / (q - 1), / (p - 0): 6 * 15 / 4.
    assert model.expected_spend(book)[once].mean() == pytest.approx(22.5, rel=0.06)
    assert plain.expected_spend(book)[once].mean() > 1.3 * model.expected_spend(book)[once].mean()


def test_fallback_with_no_slope_is_gamma_gamma():
    book = spenders(1_500, 4)
    plain, model = GammaGammaModel().fit(book), DependentSpendModel().fit(book)
    model.slope_ = 0.0
    model.params_ = plain.params_
    np.testing.assert_allclose(model.expected_spend(book), plain.expected_spend(book), rtol=1e-12)
    assert model.score(book) == pytest.approx(plain.score(book), rel=1e-12)
    rng = [np.random.default_rng(1) for _ in range(2)]
    draws = [
        m.draw_spend(plain.params_.to_numpy()[None, :], book.head(9), r)
        for m, r in zip((plain, model), rng, strict=True)
    ]
    np.testing.assert_allclose(*draws, rtol=1e-12)


def test_fallback_saves_draws_and_says_so(tmp_path, buying, cdnow_spend):
    model = DependentSpendModel().fit(cdnow_spend)
    model.save(tmp_path / "spend.json")
    again = load_model(tmp_path / "spend.json")
    pd.testing.assert_series_equal(again.expected_spend(cdnow_spend), model.expected_spend(cdnow_spend), rtol=1e-12)
    value = lifetime_value(buying, model, cdnow_spend, horizon=52, discount_rate=0.1, margin=0.3, draws=200, seed=1)
    assert "Spend depends on frequency" in value.text
    assert "independent of frequency" not in value.text
    assert value.draws.mean(axis=1, dtype=float).sum() == pytest.approx(value.table["clv"].sum(), rel=0.05)


def visits(months: int, *, swing: float, seed: int = 1, trend: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = pd.date_range("2018-01-01", periods=int(months * 30.4375), freq="D")
    mean = 20 * np.exp(
        swing * np.cos(2 * np.pi * (days.day_of_year - 15) / 365.25) + trend * np.arange(len(days)) / 365.25
    )
    count = rng.poisson(mean)
    return pd.DataFrame(
        {"account_id": [f"A{i}" for i in range(count.sum())], "date": np.repeat(days, count), "amount": 1.0}
    )


def test_a_season_is_found_with_its_size_and_its_months():
    found = seasonality(visits(60, swing=0.4, trend=0.5), horizon=52, unit="W")
    assert found.matters
    assert found.strength > 0.8
    index = found.table.set_index("name")["index"]
    assert index["Jan"] == pytest.approx(np.exp(0.4), rel=0.08)
    assert index["Jul"] == pytest.approx(np.exp(-0.4), rel=0.08)
    assert np.log(index).sum() == pytest.approx(0, abs=1e-9)
    assert "every month equally often" in found.text
    assert "not a whole number of years" in seasonality(visits(60, swing=0.4), horizon=26, unit="W").text
    assert "from" in found.text
    assert found.plot().get_title(loc="center") or found.plot().get_title(loc="left")


def test_no_season_is_seldom_found_and_a_trend_is_none():
    wrong = [seasonality(visits(48, swing=0.0, seed=seed, trend=0.6)).matters for seed in range(40)]
    assert np.mean(wrong) <= 0.15


def test_intervals_of_the_index_hold():
    inside = []
    for seed in range(30):
        table = seasonality(visits(60, swing=0.0, seed=seed)).table
        inside.append(((table["lower"] <= 1) & (table["upper"] >= 1)).mean())
    assert np.mean(inside) > 0.9


def test_short_books_are_not_given_an_index():
    found = seasonality(visits(18, swing=0.5), horizon=52)
    assert np.isnan(found.strength)
    assert found.table["index"].isna().all()
    assert found.table["observed"].notna().any()
    assert "it takes 24" in found.text
    found.plot()
    with pytest.raises(DataError, match="no purchase"):
        seasonality(visits(1, swing=0).head(0))


def test_truth_check_counts_intervals_and_bias():
    index = pd.Index(list("abcdefghij"), name="account_id")
    values = pd.DataFrame(
        {"clv": np.arange(10.0), "lower": np.arange(10.0) - 1, "upper": np.arange(10.0) + 1}, index=index
    )
    truth = pd.Series(np.arange(10.0) + np.array([0, 0, 0, 0, 0, 0, 0, 0, 2, 3]), index=index)
    found = check_truth(values, truth)
    assert found.bias == pytest.approx(45 / 50 - 1)
    assert found.coverage == pytest.approx(0.8)
    assert found.gini == pytest.approx(1)
    assert "80% of the accounts" in found.text
    found.plot()
    without = check_truth(values[["clv"]], truth)
    assert np.isnan(without.coverage)
    with pytest.raises(DataError, match="'j' has no truth"):
        check_truth(values, truth.drop("j"))
