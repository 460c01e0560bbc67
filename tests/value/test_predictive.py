"""Purchases drawn one by one: against closed forms and against a simulation event by event."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from clv.errors import SettingsError
from clv.value import BetaGeoModel, GammaGammaModel, lifetime_value
from clv.value.forecast import purchase_forecast
from clv.value.uncertainty.credible import discounted_rate
from clv.value.uncertainty.predictive import leaving_any_time, leaving_with_a_purchase

N = 40_000


def same(value):
    return np.full((N, 1), value)


def drawn(process, rate, hazard, horizon, seed=1):
    rng = np.random.default_rng(seed)
    alive = np.ones((N, 1), dtype=bool)
    count, times = process(alive, same(rate), same(hazard), horizon=horizon, rng=rng, times=True)
    return count.ravel(), times


def event_by_event(rate, dropout, horizon, rng):
    """The story itself: wait, buy, perhaps leave."""
    out = []
    for _ in range(N // 4):
        clock, mine = 0.0, []
        while True:
            clock += rng.exponential(1 / rate)
            if clock > horizon:
                break
            mine.append(clock)
            if rng.random() < dropout:
                break
        out.append(mine)
    return out


@given(
    st.floats(0.01, 3), st.floats(1e-4, 1), st.floats(0.5, 20), st.floats(0, 0.3),
    st.sampled_from([leaving_with_a_purchase, leaving_any_time]),
)  # fmt: skip
@settings(max_examples=25)
def test_means_are_the_closed_form(rate, share, horizon, discount, process):
    count, times = drawn(process, rate, rate * share, horizon)
    assert len(times) == count.sum()
    assert ((times >= 0) & (times <= horizon)).all()
    cell = np.repeat(np.arange(N), count)
    value = np.bincount(cell, np.exp(-discount * times), minlength=N)
    for got, delta in ((count, 0.0), (value, discount)):
        truth = float(discounted_rate(rate, rate * share, horizon=horizon, discount=delta))
        assert got.mean() == pytest.approx(truth, abs=5 * got.std() / np.sqrt(N) + 1e-12)


@pytest.mark.parametrize(("rate", "dropout", "horizon"), [(0.8, 0.3, 6.0), (2.0, 0.05, 10.0), (0.1, 0.9, 20.0)])
def test_counts_and_times_are_those_of_the_story(rate, dropout, horizon):
    count, times = drawn(leaving_with_a_purchase, rate, rate * dropout, horizon)
    story = event_by_event(rate, dropout, horizon, np.random.default_rng(2))
    length = np.array([len(mine) for mine in story])
    most = int(max(count.max(), length.max()))
    ours, theirs = (np.bincount(c, minlength=most + 1) / len(c) for c in (count, length))
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    spread = [np.bincount(np.repeat(np.arange(N), count), np.exp(-0.2 * times), minlength=N)]
    spread.append(np.array([np.exp(-0.2 * np.array(mine)).sum() for mine in story]))
    assert spread[0].mean() == pytest.approx(spread[1].mean(), rel=0.05)
    assert spread[0].std() == pytest.approx(spread[1].std(), rel=0.05)
    np.testing.assert_allclose(
        np.quantile(times, [0.1, 0.5, 0.9]), np.quantile(np.concatenate(story), [0.1, 0.5, 0.9]), rtol=0.1
    )


def test_extremes():
    count, _ = drawn(leaving_with_a_purchase, 0.7, 0.0, 5.0)  # never leaves: Poisson
    np.testing.assert_allclose(np.bincount(count)[:6] / N, poisson.pmf(range(6), 3.5), atol=0.01)
    assert drawn(leaving_with_a_purchase, 0.7, 0.7, 5.0)[0].max() == 1  # leaves with the first
    assert drawn(leaving_with_a_purchase, 0.0, 0.0, 5.0)[0].max() == 0
    assert drawn(leaving_any_time, 0.7, 0.0, 5.0)[0].mean() == pytest.approx(3.5, rel=0.02)
    assert drawn(leaving_any_time, 5.0, 1e6, 5.0)[0].max() <= 1
    gone = np.zeros((3, 4), dtype=bool)
    for process in (leaving_with_a_purchase, leaving_any_time):
        rng = np.random.default_rng(1)
        ones = np.ones((3, 4))
        count, times = process(gone, ones, ones, horizon=9.0, rng=rng, times=True)
        assert count.shape == (3, 4)
        assert not count.any()
        assert len(times) == 0


def test_new_accounts_buy_as_the_probability_mass_says(make_book):
    model = BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=5.0, a=0.8, b=2.5)
    forecast = purchase_forecast(model, make_book([0] * 40, [0.0] * 40, [0.0] * 40), 30, draws=2_000, seed=3)
    share = np.bincount(forecast.draws.astype(int).ravel(), minlength=8)[:8] / forecast.draws.size
    np.testing.assert_allclose(share, model.purchase_probability(np.arange(8), 30.0), atol=0.005)
    assert set(forecast.table["upper"]) <= set(map(float, range(100)))


def test_forecast_means_agree_with_the_closed_form(make_book):
    model = BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=5.0, a=0.8, b=2.5)
    summary = make_book([0, 1, 4, 12], [0.0, 3.0, 20.0, 29.0], [30.0, 30.0, 30.0, 30.0])
    expected = model.expected_purchases(summary, 40)
    for interval in ("credible", "predictive"):
        forecast = purchase_forecast(model, summary, 40, interval=interval, draws=60_000, seed=2)
        np.testing.assert_allclose(forecast.table["expected_purchases"], expected, rtol=0.04)
        assert forecast.interval == interval
        assert f"{interval} interval" in forecast.text
        assert forecast.total[1] <= forecast.total[0] <= forecast.total[2]


def test_the_predictive_interval_holds_more(buying, paying, cdnow_spend):
    summary = cdnow_spend.iloc[:300]
    found = {
        interval: lifetime_value(
            buying, paying, summary, horizon=52, discount_rate=0.1, margin=0.4, draws=400, seed=1, interval=interval
        )
        for interval in ("credible", "predictive")
    }
    credible, predictive = found["credible"], found["predictive"]
    np.testing.assert_array_equal(credible.table["clv"], predictive.table["clv"])
    assert predictive.draws.std(axis=1).mean() > 1.1 * credible.draws.std(axis=1).mean()
    assert predictive.draws.sum(axis=0).mean() == pytest.approx(credible.draws.sum(axis=0).mean(), rel=0.03)
    assert "90% predictive interval" in predictive.text
    assert "and the chance in single purchases" in predictive.text
    assert "not the chance in single purchases" in credible.text
    assert (predictive.interval, credible.interval) == ("predictive", "credible")


@pytest.mark.parametrize(("horizon", "rate"), [(52, 0.0), (52, 0.3), (None, 0.5)])
def test_predictive_money_averages_to_the_value(make_book, horizon, rate):
    buying = BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=5.0, a=0.8, b=2.5)
    paying = GammaGammaModel.from_parameters(unit="W", p=6.0, q=4.0, v=15.0)
    summary = make_book([1, 4, 12], [3.0, 20.0, 29.0], [30.0] * 3, [20.0, 40.0, 30.0])
    found = lifetime_value(
        buying, paying, summary, horizon=horizon, discount_rate=rate, margin=0.5, draws=40_000, interval="predictive"
    )
    np.testing.assert_allclose(found.draws.mean(axis=1), found.table["clv"], rtol=0.05)


def test_what_cannot_be_drawn_is_refused(buying, paying, cdnow_spend):
    with pytest.raises(SettingsError, match="interval"):
        purchase_forecast(buying, cdnow_spend, 10, interval="wide")
    with pytest.raises(SettingsError, match="interval"):
        lifetime_value(buying, paying, cdnow_spend, horizon=9, discount_rate=0.1, margin=0.3, interval="wide")
    for wrong in ({"draws": 0}, {"draws": 1.5}, {"confidence": 1.0}):
        with pytest.raises(SettingsError):
            purchase_forecast(buying, cdnow_spend, 10, **wrong)
    with pytest.raises(SettingsError, match="t is"):
        purchase_forecast(buying, cdnow_spend, -1)


def test_forecast_is_the_same_for_the_same_seed_and_can_be_drawn(buying, cdnow_spend):
    import matplotlib.pyplot as plt

    some = cdnow_spend.iloc[:40]
    first, again = (purchase_forecast(buying, some, 39, draws=100, seed=4) for _ in range(2))
    assert first.table.equals(again.table)
    assert first.text == again.text
    ax = first.plot()
    assert "39 weeks" in ax.get_xlabel()
    plt.close(ax.figure)
