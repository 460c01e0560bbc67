"""Win-back: lapses and returns counted by hand, hazards with known truth, second lives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import clv
from clv.churn.episodes import by_account, cut_episodes
from clv.churn.purchases import purchases_until
from clv.churn.returning.hazard import fit_hazard, hazard_table
from clv.churn.returning.lapses import find_lapses, months_at_risk, own_limits
from clv.churn.returning.own_hazard import fit_own_hazard
from clv.churn.returning.second_life import expected_second, second_life_table
from clv.errors import DataError, SettingsError

MONTH = 365.25 / 12
ORIGIN = pd.Timestamp("2020-01-01")


def book(histories: dict[str, list[float]], amount: float = 100.0) -> pd.DataFrame:
    """Make lines from days since 2020-01-01."""
    rows = [(name, ORIGIN + pd.Timedelta(days=int(day)), amount) for name, days in histories.items() for day in days]
    return pd.DataFrame(rows, columns=["account_id", "date", "amount"])


def day(n: float) -> pd.Timestamp:
    return ORIGIN + pd.Timedelta(days=int(n))


# --- lapses


def test_lapses_are_counted_by_hand():
    """Limit of 100 days, end at day 400. Months since the lapse are counted in whole ones."""
    lines = book(
        {
            "back": [0, 150],  # lapses on day 100, back 50 days later: month 2; lapses again on day 250
            "gone": [0],  # lapses on day 100, silent for 300 days: nine whole months
            "late": [290],  # lapses on day 390: no whole month yet
            "here": [350],  # not lapsed
        }
    )
    purchases = purchases_until(lines, as_of=day(400))
    lapses, episodes = find_lapses(purchases, 100.0)
    assert list(lapses["account_id"]) == ["back", "back", "gone", "late"]
    assert lapses["follow_up"].to_numpy() == pytest.approx([300 / MONTH, 150 / MONTH, 300 / MONTH, 10 / MONTH])
    assert list(episodes.groupby("account_id").size()) == [2, 1, 1, 1]
    counts = months_at_risk(lapses, 10)
    assert list(counts["at_risk"]) == [3, 3, 2, 2, 1, 1, 1, 1, 1, 0]
    assert list(counts["returned"]) == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_a_month_cut_short_counts_neither_returns_nor_silences():
    lines = book({"a": [0, 150], "b": [0]})
    lapses, _ = find_lapses(purchases_until(lines, as_of=day(155)), 100.0)  # 55 days since the lapse: one whole month
    counts = months_at_risk(lapses, 3)
    assert list(counts["at_risk"]) == [2, 0, 0]
    assert counts["returned"].sum() == 0


def test_months_before_the_watch_began_do_not_count():
    lines = book({"a": [0, 400], "b": [0], "c": [0, 130]})
    lapses, _ = find_lapses(purchases_until(lines, as_of=day(700)), 100.0)
    entry = float(np.datetime64(day(200), "D").astype("int64"))
    counts = months_at_risk(lapses[lapses["episode"] == 1], 12, entry=entry)
    # 100 days after the lapse lie in the fourth month: watched from the fifth on; c was back long before.
    assert list(counts["at_risk"].to_numpy()[:5]) == [0, 0, 0, 0, 2]
    assert counts.loc[10, "returned"] == 1
    assert counts["returned"].sum() == 1


def test_an_own_limit_uses_only_what_was_known():
    histories = {"a": [0, 10, 20, 30, 400, 410], "b": [0, 20, 40]}
    purchases = purchases_until(book(histories))
    limits = own_limits(purchases, 4.0)
    gaps = np.log([10, 10, 10, 370, 10, 20, 20])
    two = 2 * gaps.mean()
    own = [0, 1, 2, 3, 4, 5]
    expected = [4 * np.exp((np.log([10, 10, 10, 370, 10])[:n].sum() + two) / (n + 2)) for n in own]
    assert limits[:6] == pytest.approx(expected)
    assert limits[6:] == pytest.approx([4 * np.exp((np.log([20] * n).sum() + two) / (n + 2)) for n in (0, 1, 2)])
    lapses, _ = find_lapses(purchases, limits)
    assert list(lapses["account_id"])[:1] == ["a"]
    assert lapses["limit"].iloc[0] == pytest.approx(limits[3])


def test_episodes_of_one_limit_are_those_of_equal_limits():
    rng = np.random.default_rng(1)
    lines = book({f"A{i}": list(np.sort(rng.integers(0, 900, 1 + i % 7))) for i in range(60)})
    purchases = purchases_until(lines)
    scalar, gaps = cut_episodes(purchases, 120.0)
    each, gaps_each = cut_episodes(purchases, np.full(len(by_account(purchases)), 120.0))
    pd.testing.assert_frame_equal(scalar, each)
    pd.testing.assert_frame_equal(gaps, gaps_each)


# --- the hazard


def drawn_counts(rng: np.random.Generator, hazard: np.ndarray, lapses: int = 600) -> pd.DataFrame:
    """Draw returns month by month, silences censored after a random whole number of months."""
    follow = rng.integers(1, len(hazard) + 1, lapses)
    back = rng.random((lapses, len(hazard))) < hazard
    event = np.where(back.any(axis=1), back.argmax(axis=1) + 1, 10**6)
    month = np.arange(1, len(hazard) + 1)
    at_risk = (month <= np.minimum(follow, event)[:, None]).sum(axis=0)
    seen = event[event <= follow]
    returned = np.bincount(seen, minlength=len(hazard) + 1)[1 : len(hazard) + 1]
    return pd.DataFrame({"at_risk": at_risk, "returned": returned}, index=pd.Index(month, name="month"))


def test_a_falling_hazard_is_found_and_its_interval_holds():
    month = np.arange(1, 19)
    true = expit(-1.5 - 0.7 * np.log(month))
    within = 1 - np.prod(1 - true[:12])
    held, falling, estimates = [], [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        counts = drawn_counts(rng, true)
        fit = fit_hazard(counts)
        table = hazard_table(counts, fit, 0.9, rng)
        row = table.loc[12]
        held.append(row["back_lower"] <= within <= row["back_upper"])
        falling.append(fit.p_falling < 0.05)
        estimates.append(row["back_within"])
    assert np.mean(estimates) == pytest.approx(within, abs=0.01)
    assert 0.82 < np.mean(held) < 0.97  # 90 % of 150: three standard errors are 7 points
    assert np.mean(falling) > 0.95


def test_a_constant_hazard_is_called_falling_as_often_as_the_level_says():
    month = np.arange(1, 13)
    called = [
        fit_hazard(drawn_counts(np.random.default_rng(seed), np.full(12, 0.08))).p_falling < 0.05 for seed in range(200)
    ]
    assert np.mean(called) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert len(month) == 12


def test_a_rising_hazard_is_not_made_to_fall():
    counts = pd.DataFrame({"at_risk": [100, 90, 75, 50], "returned": [2, 8, 15, 20]}, index=pd.Index([1, 2, 3, 4]))
    fit = fit_hazard(counts)
    assert fit.slope == 0
    assert fit.p_falling > 0.95
    assert fit.at([1, 4]) == pytest.approx([45.5 / 316] * 2)


def test_the_falling_curve_never_rises_and_keeps_the_returns():
    counts = drawn_counts(np.random.default_rng(3), expit(-1.5 - 0.5 * np.log(np.arange(1, 13))), 150)
    table = hazard_table(counts, fit_hazard(counts), 0.9, np.random.default_rng(0))
    assert (np.diff(table["falling"].dropna()) <= 1e-12).all()
    assert (table["falling"] * table["at_risk"]).sum() == pytest.approx(counts["returned"].sum())
    seen = table[table["at_risk"] > 0]
    assert ((seen["lower"] <= seen["hazard"]) & (seen["hazard"] <= seen["upper"])).all()
    assert (np.diff(table["back_within"]) >= 0).all()


def test_a_steadily_falling_hazard_takes_the_other_scale():
    month = np.arange(1, 13)
    scales = {
        scale: [fit_hazard(drawn_counts(np.random.default_rng(s), true, 2000)).scale for s in range(20)]
        for scale, true in (("linear", expit(-2 - 0.25 * (month - 1))), ("log", expit(-1 - 1.0 * np.log(month))))
    }
    assert scales["linear"].count("linear") >= 18
    assert scales["log"].count("log") >= 18


def test_returns_in_one_month_only_have_an_optimum():
    counts = pd.DataFrame({"at_risk": [40, 34, 30, 20], "returned": [6, 0, 0, 0]}, index=pd.Index([1, 2, 3, 4]))
    fit = fit_hazard(counts)
    assert fit.slope < 0
    assert fit.at(1) == pytest.approx(0.15, abs=0.02)
    assert fit.p_falling < 0.01


def test_who_bought_often_comes_back_more_often():
    """The loading is found: two kinds of accounts whose monthly hazards differ by a known factor of odds."""
    rng = np.random.default_rng(6)
    bought = np.repeat([1, 8], 800)
    hazard = expit(-3 + 0.6 * np.log(bought))
    back = np.ceil(rng.exponential(1, 1600) / -np.log1p(-hazard))
    lapses = pd.DataFrame({"bought": bought, "since": 0.0, "returned": back * MONTH - 1, "follow_up": 12.0})
    lapses.loc[back > 12, "returned"] = np.nan
    fit = fit_own_hazard(lapses, 24, fit_hazard(months_at_risk(lapses, 24)))
    assert fit.loading == pytest.approx(0.6, abs=0.1)
    assert fit.at(1, 8) == pytest.approx(expit(-3 + 0.6 * np.log(8)), rel=0.15)
    few = fit_own_hazard(lapses.iloc[:20], 24, fit_hazard(months_at_risk(lapses.iloc[:20], 24)))
    assert few.loading == 0


@pytest.mark.parametrize("returned", [0, 3])
def test_few_returns_give_a_level_and_no_curve(returned):
    counts = pd.DataFrame({"at_risk": [40, 38, 35], "returned": [returned, 0, 0]}, index=pd.Index([1, 2, 3]))
    fit = fit_hazard(counts)
    assert (fit.slope, np.isnan(fit.p_falling)) == (0.0, True)
    assert 0 < fit.at(1) < 0.05


# --- the second life


def test_second_lives_are_added_up_in_whole_and_discounted():
    lines = pd.DataFrame(
        {
            "account_id": ["a"] * 5 + ["b"] * 2,
            "date": [day(n) for n in (0, 30, 300, 320, 700, 0, 650)],
            "amount": [10.0, 20.0, 100.0, 50.0, 999.0, 7.0, 70.0],
        }
    )
    result = clv.win_back(lines, as_of=day(760), inactive_months=6, horizon_months=4, margin=0.5, discount_rate=0.1)
    lives = result.lives.set_index("account_id")
    force = np.log(1.1) / 365.25
    assert lives.loc["a", "value"] == pytest.approx(0.5 * (100 + 50 * np.exp(-20 * force)))
    assert lives.loc["a", "first_value"] == pytest.approx(0.5 * (10 + 20 * np.exp(-30 * force)))
    assert not lives.loc["b", "complete"]  # back on day 650: 110 days are not four months
    assert np.isnan(lives.loc["b", "value"])
    row = result.second_life.iloc[0]
    assert (row["returned"], row["complete"]) == (2, 1)
    assert np.isnan(row["lower"])
    assert "too few for an interval" in result.text


def test_the_interval_of_second_lives_is_honest_about_small_numbers():
    """Gamma-spread values: 90 % intervals of 8 lives hold the mean 85 % of the time or more, of 40 lives about 90 %."""
    rng = np.random.default_rng(7)
    for n, least in ((8, 0.83), (40, 0.86)):
        held = 0
        for _ in range(300):
            value = rng.gamma(2, 50, n)
            lives = pd.DataFrame({"complete": True, "value": value, "first_value": rng.gamma(2, 60, n)})
            row = second_life_table(lives, 0.9).iloc[0]
            held += row["lower"] <= 100 <= row["upper"]
        assert held / 300 > least - 0.02


def test_a_second_life_follows_the_first_where_enough_were_seen():
    rng = np.random.default_rng(2)
    first = rng.lognormal(5, 1, 400)
    value = 20 * first**0.5 * rng.lognormal(0, 0.4, 400)
    lives = pd.DataFrame({"complete": True, "value": value, "first_value": first})
    expected = expected_second(lives, np.array([50.0, 800.0, 0.0]))
    truth = 20 * np.array([50.0, 800.0]) ** 0.5 * np.exp(0.08)
    assert expected[:2] == pytest.approx(truth, rel=0.1)
    assert expected[2] == pytest.approx(value.mean())
    assert expected_second(lives.iloc[:5], np.array([50.0, 800.0])) == pytest.approx([value[:5].mean()] * 2)
    assert expected_second(lives, first).sum() == pytest.approx(value.sum())


# --- the whole


@pytest.fixture(scope="module")
def regulars():
    """Accounts that buy, fall silent for a random time and mostly come back."""
    rng = np.random.default_rng(4)
    histories = {}
    for i in range(150):
        start, days = rng.integers(0, 300), []
        while start < 1800:
            run = start + np.cumsum(rng.integers(10, 40, rng.integers(2, 9)))
            days += list(run)
            start = run[-1] + 180 + rng.exponential(150)
        histories[f"A{i:03d}"] = [int(d) for d in days if d <= 1800]
    return book({name: days for name, days in histories.items() if days})


@pytest.mark.parametrize("lapse", ["months", "rhythm"])
def test_every_lapsed_account_gets_a_chance_and_a_worth(regulars, lapse):
    result = clv.win_back(regulars, as_of=day(1800), lapse=lapse, inactive_months=5, margin=0.4, currency="EUR")
    assert result.accounts["p_return"].between(0, 1).all()
    assert result.accounts["expected_value"].to_numpy() == pytest.approx(
        (result.accounts["p_return"] * result.accounts["second_value"]).to_numpy()
    )
    last = regulars.groupby("account_id")["date"].max()
    silent = (day(1800) - last).dt.days
    assert (result.accounts["silent"] == silent.reindex(result.accounts.index)).all()
    assert (result.accounts["silent"] > result.accounts["limit"]).all()
    assert "EUR of margin" in result.text
    assert result.plot().get_xlabel() == "months since the lapse"


def test_the_chance_within_a_year_is_the_product_of_its_months(regulars):
    result = clv.win_back(regulars, as_of=day(1800), inactive_months=5)
    row = result.accounts.iloc[0]
    month = np.floor(row["months"]) + 1 + np.arange(12)
    assert row["p_return"] == pytest.approx(1 - np.prod(1 - result.own_hazard.at(month, row["bought"])))


def test_returns_on_cdnow_are_as_many_as_expected_and_by_whom():
    """Of accounts silent for three months at the end of 1997, who bought in the next six.

    Measured in 2026: 260.7 expected of 1,953, 279 came; by quarters of the expected chance .06 .07 .10 .30 against
    .06 .08 .10 .33. Without how often they had bought: .14 .14 .14 .18.
    """
    transactions = clv.load_study("cdnow").read("transactions").table
    cut = pd.Timestamp("1997-12-31")
    result = clv.win_back(transactions, as_of=cut, inactive_months=3, horizon_months=6)
    later = transactions[(transactions["date"] > cut) & (transactions["date"] <= cut + pd.Timedelta(days=182))]
    accounts = result.accounts
    came = pd.Series(accounts.index.isin(later["account_id"]), index=accounts.index)
    assert accounts["p_return"].sum() == pytest.approx(came.sum(), rel=0.15)
    quarter = pd.qcut(accounts["p_return"].rank(method="first"), 4, labels=False)
    expected, share = accounts["p_return"].groupby(quarter).mean(), came.groupby(quarter).mean()
    assert (expected - share).abs().max() < 0.05
    assert share.is_monotonic_increasing


def test_plays_fade_with_the_time_since_the_lapse(regulars):
    summary = clv.summarise(regulars, as_of=day(1800))
    model, spend = clv.BetaGeoModel(prior="weak").fit(summary), clv.GammaGammaModel(prior="weak").fit(summary)
    value = clv.lifetime_value(model, spend, summary, horizon=52, discount_rate=0.1, margin=0.4)
    stages = clv.churn_stages(model, summary, 52)
    back = clv.win_back(regulars, as_of=day(1800), inactive_months=5)
    chance = pd.Series(back.relative_chance(summary), index=summary.index)
    assert (chance[~chance.index.isin(back.accounts.index)] == 1).all()
    assert (chance <= 1).all()
    options = {"purchases": model, "spend": spend, "summary": summary, "draws": 50}
    plays = [clv.data.settings.Play(name="win back", reactivation=0.1, doubt=0)]
    with_, without = (clv.assign_plays(stages, value, plays, win_back=w, **options).options for w in (back, None))
    assert with_["gain"].to_numpy() == pytest.approx(without["gain"].to_numpy() * chance.to_numpy())
    with pytest.raises(DataError, match="'new' is not among"):
        back.relative_chance(summary.rename(index={summary.index[0]: "new"}))


def test_nobody_has_lapsed_and_few_have():
    none = clv.win_back(book({"a": [0, 20], "b": [5]}), as_of=day(60))
    assert "No account has lapsed yet" in none.text
    assert none.accounts.empty
    assert (none.table["at_risk"] == 0).all()
    few = clv.win_back(book({"a": [0, 500], "b": [5]}), as_of=day(900))
    assert "too few to say how the chance changes" in few.text


@pytest.mark.parametrize(
    "options",
    [
        {"lapse": "days"}, {"inactive_months": 0}, {"times": float("nan")}, {"months": 2.5}, {"margin": 1.2},
        {"confidence": 1.0}, {"discount_rate": -1}, {"horizon_months": "12"},
    ],
    ids=str,
)  # fmt: skip
def test_impossible_settings_are_named(options):
    with pytest.raises(SettingsError, match=next(iter(options))):
        clv.win_back(book({"a": [0, 20]}), **options)


def test_faults_of_the_data_are_named():
    with pytest.raises(DataError, match="nobody bought twice"):
        clv.win_back(book({"a": [0], "b": [3]}), lapse="rhythm")
    with pytest.raises(DataError, match="account_id"):
        clv.win_back(book({"a": [0]}).drop(columns="account_id"))
    late = clv.win_back(book({"a": [0], "b": [900]}), as_of=day(700))
    assert "first bought after" in late.text


def test_same_inputs_same_bytes(regulars):
    one, two = (clv.win_back(regulars.sample(frac=1, random_state=s), as_of=day(1800)) for s in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
    pd.testing.assert_frame_equal(one.accounts, two.accounts, check_exact=True)
    assert one.text == two.text


def test_where_nobody_has_lapsed_yet_the_picture_says_so():
    dates = pd.to_datetime(["2011-01-05", "2011-03-01", "2011-06-01", "2011-02-10", "2011-09-01"])
    lines = pd.DataFrame({"account_id": ["a", "a", "a", "b", "b"], "date": dates, "amount": 10.0})
    result = clv.win_back(lines, as_of="2011-12-09")
    assert not (result.table["at_risk"] > 0).any()
    assert [text.get_text() for text in result.plot().texts] == ["Nobody has lapsed yet"]
