"""Lifetime value: closed forms, discounting, and what the intervals mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

from clv.data.tables import RUN_TABLES
from clv.data.units import days_per_unit, in_words
from clv.errors import DataError, NotFittedError, SettingsError, UnitError
from clv.value import BetaGeoModel, GammaGammaModel, lifetime_value
from clv.value.discount import continuous_rate
from clv.value.uncertainty.credible import discounted_rate

SETTINGS = {"horizon": 52.0, "discount_rate": 0.1, "margin": 0.3}


@pytest.fixture(scope="module")
def known():
    """Parameters without uncertainty of their own, so that only accounts' hidden values are drawn."""
    return (
        BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=6.0, a=0.7, b=3.0),
        GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0),
    )


@pytest.fixture(scope="module")
def some(drawn):
    return drawn.head(300)


def test_table_follows_its_schema(buying, paying, cdnow_spend):
    value = lifetime_value(buying, paying, cdnow_spend, **SETTINGS, draws=50, seed=1)
    RUN_TABLES["customer_value"].validate(value.table.reset_index(), lazy=True)
    assert list(value.table.columns) == ["p_alive", "expected_purchases", "expected_spend", "clv", "lower", "upper"]
    pd.testing.assert_index_equal(value.table.index, cdnow_spend.index)
    assert value.draws.shape == (2357, 50)
    assert value.draws.dtype == np.float32


def test_columns_are_the_models_answers(buying, paying, cdnow_spend):
    value = lifetime_value(buying, paying, cdnow_spend, **SETTINGS)
    table = value.table
    np.testing.assert_array_equal(table["p_alive"], buying.probability_alive(cdnow_spend))
    np.testing.assert_array_equal(table["expected_purchases"], buying.expected_purchases(cdnow_spend, 52))
    np.testing.assert_array_equal(table["expected_spend"], paying.expected_spend(cdnow_spend))
    rate = np.log(1.1) * 7 / 365.25
    discounted = buying.discounted_expected_purchases(cdnow_spend, rate, 52)
    np.testing.assert_allclose(table["clv"], 0.3 * table["expected_spend"] * discounted, rtol=1e-12)
    assert table[["lower", "upper"]].isna().all(axis=None)
    assert value.draws is None


def test_value_is_the_discounted_stream_of_margin(buying, paying, cdnow_spend):
    """Week by week: margin × spend × the increments of expected purchases, each discounted; for one account."""
    one = cdnow_spend.iloc[[0]]
    value = lifetime_value(buying, paying, one, horizon=104, discount_rate=0.2, margin=0.5).table["clv"].iloc[0]
    spend = paying.expected_spend(one).iloc[0]
    edges = np.linspace(0, 104, 1041)
    bought = np.diff([buying.expected_purchases(one, t).iloc[0] for t in edges])
    moments = (edges[1:] + edges[:-1]) / 2
    stream = 0.5 * spend * (bought * 1.2 ** (-moments * 7 / 365.25)).sum()
    assert value == pytest.approx(stream, rel=1e-6)


def test_without_discount_value_is_margin_times_purchases(known, some):
    table = lifetime_value(*known, some, horizon=52, discount_rate=0, margin=0.3).table
    np.testing.assert_allclose(table["clv"], 0.3 * table["expected_spend"] * table["expected_purchases"], rtol=1e-12)


def test_unit_of_time_does_not_change_money(buying, paying, cdnow_spend):
    weeks = lifetime_value(buying, paying, cdnow_spend, **SETTINGS).table["clv"]
    daily = BetaGeoModel.from_parameters(unit="D", **(buying.params_ * [1, 7, 1, 1]))
    days = cdnow_spend.assign(recency=cdnow_spend["recency"] * 7, T=cdnow_spend["T"] * 7)
    days.attrs["clv"] = {"unit": "D"}
    spend = GammaGammaModel.from_parameters(unit="D", **paying.params_)
    again = lifetime_value(daily, spend, days, horizon=364, discount_rate=0.1, margin=0.3).table["clv"]
    np.testing.assert_allclose(again, weeks, rtol=1e-7)


def test_for_ever(known, some):
    never = lifetime_value(*known, some, horizon=None, discount_rate=0.1, margin=0.3, draws=20)
    long = lifetime_value(*known, some, horizon=52 * 200, discount_rate=0.1, margin=0.3)
    np.testing.assert_allclose(never.table["clv"], long.table["clv"], rtol=1e-6)
    assert np.isinf(never.table["expected_purchases"]).all()
    assert np.isfinite(never.draws).all()
    assert "without end" in never.text
    with pytest.raises(SettingsError, match="no finite mean"):
        lifetime_value(*known, some, horizon=None, discount_rate=0, margin=0.3)


@pytest.mark.parametrize("horizon", [52.0, None])
def test_mean_of_draws_is_the_closed_form(known, some, horizon):
    """At known parameters, account by account, within Monte-Carlo error."""
    value = lifetime_value(*known, some, horizon=horizon, discount_rate=0.1, margin=0.3, draws=4000, seed=3)
    draws = value.draws.astype(float)
    error = draws.std(axis=1) / np.sqrt(draws.shape[1])
    z = (draws.mean(axis=1) - value.table["clv"])[error > 0] / error[error > 0]
    assert np.abs(z).max() < 5.5
    assert z.std() == pytest.approx(1, abs=0.15)
    assert z.mean() == pytest.approx(0, abs=0.25)
    assert (value.table["p_alive"][error == 0] < 10 / draws.shape[1]).all()  # dead in every draw


def test_intervals_hold_the_truth_as_often_as_they_say(known):
    """Accounts with hidden values drawn from the model: their own expected margin lies inside, 9 times of 10."""
    purchases, spend = known
    rng = np.random.default_rng(4)
    n, T, rate = 4000, 60.0, continuous_rate(0.1, unit="W")
    lam, p = rng.standard_gamma(0.6, n) / 6.0, rng.beta(0.7, 3.0, n)
    mean_spend = 6.0 * 15.0 / rng.standard_gamma(4.0, n)
    clock, x, recency, alive = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, dtype=bool)
    while (moving := alive & (clock <= T)).any():
        clock[moving] += rng.standard_exponential(moving.sum()) / np.maximum(lam[moving], 1e-300)
        bought = moving & (clock <= T)
        x[bought] += 1
        recency[bought] = clock[bought]
        alive[bought] = rng.random(bought.sum()) >= p[bought]
    paid = np.where(x > 0, rng.standard_gamma(6.0 * np.maximum(x, 1)) * mean_spend / (6.0 * np.maximum(x, 1)), 0.0)
    book = pd.DataFrame({"frequency": x.astype(int), "recency": recency, "T": T, "monetary_value": paid})
    book.attrs["clv"] = {"unit": "W"}
    truth = 0.3 * mean_spend * alive * lam * -np.expm1(-(rate + lam * p) * 52) / (rate + lam * p)
    table = lifetime_value(purchases, spend, book, **SETTINGS, draws=500, seed=5).table
    inside = (truth >= table["lower"]) & (truth <= table["upper"])
    # An interval that starts at 0 holds all accounts that are gone, so coverage cannot be below what it says.
    assert inside[x > 0].mean() > 0.88
    assert inside[x == 0].mean() == pytest.approx(0.9, abs=0.015)
    assert truth.sum() == pytest.approx(table["clv"].sum(), rel=0.1)


def test_parameter_uncertainty_is_in_the_draws(buying, paying, cdnow_spend, known):
    """The total is surer with known parameters than with estimated ones, and the interval of the total is in words."""
    estimated = lifetime_value(buying, paying, cdnow_spend, **SETTINGS, draws=300, seed=1)
    certain = (
        BetaGeoModel.from_parameters(unit="W", **buying.params_),
        GammaGammaModel.from_parameters(unit="W", **paying.params_),
    )
    sure = lifetime_value(*certain, cdnow_spend, **SETTINGS, draws=300, seed=1)
    assert estimated.draws.sum(axis=0).std() > 1.5 * sure.draws.sum(axis=0).std()
    low, high = np.quantile(estimated.draws.sum(axis=0, dtype=float), [0.05, 0.95])
    assert f"{low:,.0f} to {high:,.0f}" in estimated.text


def test_same_seed_same_draws_whatever_the_block(known, some, monkeypatch):
    one = lifetime_value(*known, some, **SETTINGS, draws=40, seed=7)
    two = lifetime_value(*known, some, **SETTINGS, draws=40, seed=7)
    np.testing.assert_array_equal(one.draws, two.draws)
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
    other = lifetime_value(*known, some, **SETTINGS, draws=40, seed=8)
    assert not np.array_equal(one.draws, other.draws)
    monkeypatch.setattr("clv.value.uncertainty.credible._CELLS", 2000)
    blocks = lifetime_value(*known, some, **SETTINGS, draws=40, seed=7)
    assert blocks.draws.shape == one.draws.shape
    assert blocks.draws.sum() == pytest.approx(one.draws.sum(), rel=0.2)


def test_quantiles_follow_the_confidence(known, some):
    narrow = lifetime_value(*known, some, **SETTINGS, draws=300, seed=7, confidence=0.5)
    wide = lifetime_value(*known, some, **SETTINGS, draws=300, seed=7, confidence=0.95)
    assert (narrow.table["lower"] >= wide.table["lower"]).all()
    assert (narrow.table["upper"] <= wide.table["upper"]).all()
    np.testing.assert_allclose(
        narrow.table["upper"], np.quantile(narrow.draws.astype(float), 0.75, axis=1), rtol=1e-5, atol=1e-30
    )


@pytest.mark.parametrize("discount", [0.0, 1e-14, 0.002, 3.0])
@pytest.mark.parametrize("hazard", [0.0, 1e-15, 0.1, 50.0])
def test_discounted_rate(discount, hazard):
    got = discounted_rate(np.array([2.0]), np.array([hazard]), horizon=52.0, discount=discount)[0]
    points = sorted({min(51.0, 1 / max(hazard + discount, 0.02)), 1.0})
    want = quad(lambda s: 2 * np.exp(-(discount + hazard) * s), 0, 52, points=points, epsabs=0)[0]
    assert got == pytest.approx(want, rel=1e-9)


def test_text_says_what_matters(buying, paying, cdnow_spend):
    value = lifetime_value(buying, paying, cdnow_spend, **SETTINGS, draws=100)
    top = value.table["clv"].nlargest(236).sum() / value.table["clv"].sum()
    for part in (
        f"{value.table['clv'].sum():,.0f}",
        "52 weeks",
        f"{top:.0%}",
        "90% credible",
        "10% effective",
        "30%",
        "0.11",
    ):
        assert part in value.text
    assert "<" not in value.text


def test_text_names_the_fallback_for_spend(some, known):
    heavy = GammaGammaModel(prior="weak").fit(
        some.assign(monetary_value=np.where(some["frequency"] > 0, np.random.default_rng(1).pareto(0.4, 300) + 1, 0))
    )
    assert not heavy.has_mean
    value = lifetime_value(known[0], heavy, some, **SETTINGS, draws=20)
    assert "q ≤ 1" in value.text
    assert np.isfinite(value.table.to_numpy()).all()
    assert np.isfinite(value.draws).all()


@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_smallest_books(known, some, n):
    value = lifetime_value(*known, some.head(n), **SETTINGS, draws=10)
    assert len(value.table) == n
    assert value.text
    value.plot()
    value.plot(kind="accounts")


def test_pictures(buying, paying, cdnow_spend):
    import matplotlib.pyplot as plt

    value = lifetime_value(
        buying, paying, cdnow_spend.rename(index={"1": "a$b$^{", "2": "x" * 300}), **SETTINGS, draws=50
    )
    ax = value.plot()
    assert "236" in ax.get_title(loc="left") or "top 10%" in " ".join(text.get_text() for text in ax.texts)
    ax = value.plot(plt.figure().subplots(), kind="accounts")
    ax.figure.canvas.draw()
    assert len(ax.get_yticklabels()) == 15
    assert all(len(label.get_text()) <= 30 for label in ax.get_yticklabels())
    best = value.table["clv"].nlargest(15)
    np.testing.assert_allclose(sorted(ax.collections[-1].get_offsets()[:, 0]), sorted(best))
    plain = lifetime_value(buying, paying, cdnow_spend, **SETTINGS)
    plain.plot(kind="accounts")
    with pytest.raises(SettingsError, match="pie"):
        plain.plot(kind="pie")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 0}, "horizon"), ({"horizon": -5}, "horizon"), ({"horizon": np.nan}, "horizon"),
        ({"margin": 0}, "margin"), ({"margin": 1.2}, "margin"), ({"margin": np.nan}, "margin"),
        ({"discount_rate": -0.1}, "discount_rate"), ({"discount_rate": np.inf}, "discount_rate"),
        ({"confidence": 1}, "confidence"), ({"draws": -1}, "draws"), ({"draws": 2.5}, "draws"),
    ],
)  # fmt: skip
def test_impossible_arguments(known, some, change, message):
    with pytest.raises(SettingsError, match=message):
        lifetime_value(*known, some, **{**SETTINGS, **change})


def test_refusals(known, some, make_book):
    with pytest.raises(DataError, match="no account"):
        lifetime_value(*known, some.head(0), **SETTINGS)
    other = some.copy()
    other.attrs["clv"] = {"unit": "M"}
    with pytest.raises(UnitError, match="'M'"):
        lifetime_value(*known, other, **SETTINGS)
    nameless = BetaGeoModel.from_parameters(r=0.6, alpha=6.0, a=0.7, b=3.0)
    plain = make_book([1], [2.0], [3.0], unit=None)
    with pytest.raises(UnitError, match="unit"):
        lifetime_value(nameless, known[1], plain, **SETTINGS)
    assert lifetime_value(nameless, known[1], plain, **{**SETTINGS, "discount_rate": 0}).table["clv"].iloc[0] > 0
    with pytest.raises(NotFittedError):
        lifetime_value(BetaGeoModel(), known[1], some, **SETTINGS)


def test_length_of_units():
    assert days_per_unit("M") == pytest.approx(30.4375)
    assert days_per_unit("Y") == 12 * days_per_unit("M")
    for unit in "DWMY":
        year = 365.25 / days_per_unit(unit)
        assert np.exp(-continuous_rate(0.1, unit=unit) * year) == pytest.approx(1 / 1.1, rel=1e-14)
    assert continuous_rate(0, unit="D") == 0
    with pytest.raises(SettingsError, match="fortnight"):
        days_per_unit("fortnight")


def test_spans_in_words():
    assert in_words(1, "W") == "1 week"
    assert in_words(52, "W") == "52 weeks"
    assert in_words(1.5, "M") == "1.5 months"
    assert in_words(3, None) == "3 time units"
