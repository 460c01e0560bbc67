"""Win propensity: what it finds where there is something, and that it says so where there is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from clv.abm.propensity.auc import area_under_curve
from clv.abm.propensity.calibrate import recalibration
from clv.abm.propensity.columns import UNKNOWN, describe_columns
from clv.abm.propensity.folds import alike, forward_folds, grouped_folds
from clv.abm.propensity.shapley import shapley_values
from clv.abm.propensity.win_propensity import win_propensity
from clv.errors import DataError


def _deals(n: int, *, effect: float = 1.5, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    industry = rng.choice(["steel", "food", "paper"], n)
    size = rng.lognormal(4, 1.5, n)
    odds = effect * ((industry == "steel") * 1.0 - (industry == "food")) + effect / 2 * (np.log(size) - 4) / 1.5
    size[rng.random(n) < 0.15] = np.nan
    frame = pd.DataFrame({"industry": industry, "employees": size, "region": rng.choice(["n", "s"], n)})
    return frame.assign(won=rng.random(n) < 1 / (1 + np.exp(-odds)), true=1 / (1 + np.exp(-odds)))


@pytest.fixture(scope="module")
def learnt():
    deals = _deals(400)
    return deals, win_propensity(deals, exclude=["true"], repeats=1, folds=5)


def test_finds_what_is_there_and_says_how_well(learnt):
    deals, found = learnt
    assert found.ranks
    assert found.evidence.auc_lower < roc_auc_score(deals["won"], deals["true"]) + 0.02
    assert found.evidence.auc > 0.7
    assert 0.7 < found.evidence.slope < 1.4
    assert "one above a lost one" in found.text


def test_chances_of_new_accounts_are_near_the_truth(learnt):
    _, found = learnt
    fresh = _deals(2000, seed=9)
    told = found.predict(fresh)
    # The interval holds what is unknown of the model; employees that are hidden stay unknown.
    assert np.abs(told["chance"] - fresh["true"]).mean() < 0.1
    full = fresh["employees"].notna()
    inside = (told["lower"] < fresh["true"]) & (fresh["true"] < told["upper"])
    assert inside[full].mean() > 0.7
    assert (told["lower"] <= told["chance"]).all()
    assert (told["chance"] <= told["upper"]).all()


def test_fit_is_a_share_of_the_book_and_graded(learnt):
    deals, found = learnt
    told = found.predict(deals)
    assert told["fit"].between(0, 100).all()
    assert abs(told["fit"].mean() - 50) < 1
    assert (told.loc[told["fit"] > 80, "grade"] == "strong").all()
    assert (told.loc[told["fit"] < 50, "grade"] == "weak").all()


def test_draws_agree_with_the_interval(learnt):
    deals, found = learnt
    told, drawn = found.predict(deals.head(20)), found.draws(deals.head(20), draws=4000, seed=3)
    assert drawn.shape == (20, 4000)
    np.testing.assert_allclose(np.quantile(drawn, 0.05, axis=1), told["lower"], atol=0.03)
    np.testing.assert_allclose(np.quantile(drawn, 0.95, axis=1), told["upper"], atol=0.03)
    np.testing.assert_array_equal(drawn, found.draws(deals.head(20), draws=4000, seed=3))


def test_contributions_sum_to_the_score(learnt):
    deals, found = learnt
    parts = found.contributions(deals.head(15), draws=8)
    odds = parts.sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), found.predict(deals.head(15))["chance"], rtol=1e-9)
    # What has no effect gets next to nothing.
    assert parts["region"].abs().mean() < parts["industry"].abs().mean() / 3


def test_shuffled_outcomes_rank_nobody(learnt):
    deals, _ = learnt
    rng = np.random.default_rng(4)
    for _ in range(2):
        noise = win_propensity(deals.assign(won=rng.permutation(deals["won"])), exclude=["true"], repeats=1, folds=5)
        told = noise.predict(deals)
        assert not noise.ranks
        assert told["chance"].nunique() == 1
        assert told["fit"].isna().all()
        assert "no better than chance" in noise.text
        assert list(noise.contributions(deals.head(2)).columns) == ["(average)"]


@pytest.mark.slow
def test_false_alarms_are_rare():
    rng = np.random.default_rng(5)
    alarms = sum(
        win_propensity(
            _deals(150, effect=0.0, seed=int(rng.integers(1 << 30))), exclude=["true"], repeats=1, folds=5
        ).ranks
        for _ in range(40)
    )
    # Each of the two conditions alone is met by chance 2.5 to 5 times in 100; both together were never in 67 books.
    assert alarms <= 2


def test_a_dozen_wins_teach_nothing():
    deals = _deals(400).head(200).assign(won=lambda frame: np.arange(len(frame)) < 12)
    found = win_propensity(deals, exclude=["true"])
    assert not found.ranks
    assert "12 of 200 deals were won. At least 20" in found.text
    told = found.predict(deals)
    assert told["chance"].iloc[0] == pytest.approx(0.06)
    assert told["lower"].iloc[0] < 0.06 < told["upper"].iloc[0]


def test_copies_do_not_stand_on_both_sides():
    deals = _deals(60)
    twice = pd.concat([deals, deals.iloc[:30]], ignore_index=True)
    seen = describe_columns(twice, exclude=["won", "true"]).take(twice, table="deals")
    groups = alike(seen)
    assert (groups[60:] == groups[:30]).all()
    joined = alike(seen, np.r_[np.arange(60), np.arange(30) + 100])
    assert (joined[60:] == joined[:30]).all()
    by_account = alike(seen, np.repeat([0, 1], 45))
    assert len(np.unique(by_account)) == 1  # the copies link both accounts
    for train, test in grouped_folds(twice["won"].to_numpy(), groups, folds=5, seed=0):
        assert not set(groups[train]) & set(groups[test])


def test_rows_that_stand_alone_are_cut_with_like_shares_and_quickly(monkeypatch):
    rng = np.random.default_rng(6)
    won = rng.random(20_000) < 0.3
    alone = rng.permutation(20_000) + 7
    # Twenty thousand groups are not searched one by one for a place.
    monkeypatch.setattr("sklearn.model_selection.StratifiedGroupKFold.split", None)
    cut = list(grouped_folds(won, alone, folds=5, seed=1))
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in cut])), np.arange(20_000))
    for train, test in cut:
        assert len(np.intersect1d(train, test)) == 0
        assert len(test) == 4_000
        assert won[test].sum() == pytest.approx(won.sum() / 5, abs=1)
    again = list(grouped_folds(won, alone, folds=5, seed=1))
    assert all((a[1] == b[1]).all() for a, b in zip(cut, again, strict=True))
    assert any((a[1] != b[1]).any() for a, b in zip(cut, grouped_folds(won, alone, folds=5, seed=2), strict=True))


def test_a_few_wins_that_stand_alone_are_cut_all_the_same():
    won = np.arange(30) < 3
    cut = list(grouped_folds(won, np.arange(30), folds=5, seed=0))
    assert [won[test].sum() for _, test in cut] == [1, 1, 1]
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in cut])), np.arange(30))


def test_the_future_teaches_nothing():
    opened = pd.Series(pd.date_range("2024-01-01", periods=100, freq="D"))
    decided = opened + pd.Timedelta(days=20)
    told = 0
    for train, test in forward_folds(opened, decided, np.arange(100), folds=4):
        assert len(train) == max(0, test.min() - 20)
        assert not len(train) or decided.iloc[train].max() < opened.iloc[test].min()
        told += len(test)
    assert told == 80


def test_area_agrees_with_scikit_learn_and_its_error_with_a_simulation():
    rng = np.random.default_rng(0)
    areas, errors = [], []
    for _ in range(300):
        won = rng.random(120) < 0.4
        score = np.round(rng.normal(size=120) + won, 1)
        found = area_under_curve(won, score, np.arange(120))
        assert found.value == pytest.approx(roc_auc_score(won, score), abs=1e-12)
        areas.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.1)


def test_copied_rows_do_not_sharpen_the_area():
    rng = np.random.default_rng(1)
    won = rng.random(100) < 0.5
    score = rng.normal(size=100) + won
    once = area_under_curve(won, score, np.arange(100))
    thrice = area_under_curve(np.tile(won, 3), np.tile(score, 3), np.tile(np.arange(100), 3))
    assert thrice.value == pytest.approx(once.value)
    assert thrice.error == pytest.approx(once.error, rel=0.02)


def test_recalibration_finds_the_line_and_stays_put_without_evidence():
    rng = np.random.default_rng(2)
    odds = rng.normal(size=20_000)
    won = rng.random(20_000) < 1 / (1 + np.exp(-(0.3 + 0.6 * odds)))
    line = recalibration(won, odds, plain=True)
    assert line.intercept == pytest.approx(0.3, abs=0.06)
    assert line.slope == pytest.approx(0.6, abs=0.06)
    few = recalibration(won[:8], odds[:8])
    assert abs(few.slope - 1) < 0.3
    apart = recalibration(np.array([False, True]), np.array([-1.0, 1.0]), plain=True)
    assert np.isfinite(apart.slope)


def test_shapley_values_of_a_sum_are_its_terms():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(rng.normal(size=(50, 3)), columns=["a", "b", "c"])
    parts = shapley_values(lambda x: 2 * x["a"].to_numpy() - x["b"].to_numpy(), rows, rows, draws=64, seed=1)
    np.testing.assert_allclose(parts.sum(axis=1), 2 * rows["a"] - rows["b"], atol=1e-12)
    np.testing.assert_allclose(parts["c"], 0, atol=1e-12)
    slope = np.polyfit(rows["a"], parts["a"], 1)[0]
    assert slope == pytest.approx(2, rel=1e-9)


def test_columns_that_name_the_row_are_left_out_with_the_reason():
    frame = pd.DataFrame(
        {
            "name": [f"Company {i}" for i in range(40)],
            "since": pd.date_range("2020-01-01", periods=40),
            "same": "x",
            "empty": np.nan,
            "size": [np.nan, *range(39)],
            "industry": [None, *["steel", "food", "paper"] * 13],
            "flag": [True, False] * 20,
        }
    )
    columns = describe_columns(frame)
    assert columns.numbers == ("size",)
    assert columns.categories == ("industry", "flag")
    assert columns.left_out == {
        "name": "a name: 40 different texts in 40 rows",
        "since": "a date",
        "same": "one value in all rows",
        "empty": "empty",
    }
    assert columns.take(frame, table="accounts")["industry"].iloc[0] == UNKNOWN


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"won": ["maybe"] + [True] * 59}, r"table 'deals', column 'won', row 1: 'maybe' is no outcome"),
        ({"employees": [np.inf] + [1.0] * 59}, r"column 'employees', row 1: 'inf' is no finite number"),
    ],
)
def test_bad_cells_are_named(change, says):
    with pytest.raises(DataError, match=says):
        win_propensity(_deals(60).assign(**change))


def test_a_missing_column_is_named(learnt):
    deals, found = learnt
    with pytest.raises(DataError, match="column 'industry': the column is missing"):
        found.predict(deals.drop(columns="industry"))
    with pytest.raises(DataError, match="column 'account': the column is missing"):
        win_propensity(deals, group="account")
    with pytest.raises(DataError, match="no column to learn from"):
        win_propensity(deals[["won"]])


def test_levels_never_seen_are_foretold_all_the_same(learnt):
    deals, found = learnt
    strange = deals.head(3).assign(industry="unheard of", employees=np.nan)
    assert found.predict(strange)["chance"].between(0, 1).all()


def test_the_picture_shows_tenths(learnt):
    _, found = learnt
    axes = found.plot()
    assert axes.get_title() == "Chances foretold, and deals won"
