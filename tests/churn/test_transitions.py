"""Transition matrices: counts, posterior, recovery of a known chain, and histories that cannot be."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from scipy import stats

import clv
from clv.churn.stays import make_history
from clv.errors import DataError, SettingsError

QUICK = settings(max_examples=30, deadline=None, derandomize=True)
STATES = ("good", "middling", "gone")


def history(codes, states=STATES):
    codes = np.asarray(codes, dtype=np.int8)
    dates = pd.date_range("2023-11-30", periods=codes.shape[1], freq="ME").as_unit("ns")
    ids = pd.Index([f"A{i:05d}" for i in range(len(codes))])
    return make_history(codes, ids, dates, states)


def simulate(P, accounts, months, seed):
    """Draw chains; a tenth of the accounts come in later."""
    g = np.random.default_rng(seed)
    codes = np.empty((accounts, months), dtype=np.int8)
    codes[:, 0] = g.integers(0, len(P), accounts)
    for m in range(1, months):
        codes[:, m] = (g.random(accounts)[:, None] > np.cumsum(P, axis=1)[codes[:, m - 1]]).sum(axis=1)
    born = np.where(g.random(accounts) < 0.1, g.integers(1, months, accounts), 0)
    codes[np.arange(months) < born[:, None]] = -1
    return codes


grids = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).integers(0, 3, (7, 6)))


@QUICK
@given(grids, st.floats(1e-3, 50), st.booleans())
def test_rows_sum_to_one_and_nothing_is_lost(codes, prior, grouped):
    book = history(codes)
    by = pd.Series(["x", "y"] * 3, index=[f"A{i:05d}" for i in range(6)]) if grouped else None
    found = clv.transition_matrix(book, by=by, prior=prior, draws=5)
    sums = found.table.groupby(["group", "from"])["probability"].sum()
    assert sums.to_numpy() == pytest.approx(1.0)
    for group in found.groups:
        assert found.matrix(group).sum(axis=1).to_numpy() == pytest.approx(1.0)
        assert found.sample(3, 1, group).sum(axis=2) == pytest.approx(1.0)
    assert found.table["count"].sum() == codes.shape[0] * (codes.shape[1] - 1)
    assert (found.table["lower"] <= found.table["upper"]).all()
    assert found.table[["lower", "upper"]].to_numpy().min() >= 0
    assert found.table[["lower", "upper"]].to_numpy().max() <= 1
    by_hand = np.zeros((3, 3), dtype=int)
    np.add.at(by_hand, (codes[:, :-1].ravel(), codes[:, 1:].ravel()), 1)
    counts = found.table.groupby(["from", "to"], sort=False)["count"].sum().unstack().loc[list(STATES), list(STATES)]
    assert counts.to_numpy().tolist() == by_hand.tolist()
    assert found.path.groupby(["month"])["accounts"].sum().to_numpy() == pytest.approx(len(codes))


def test_posterior_in_closed_form():
    found = clv.transition_matrix(history([[0, 0, 1, 1, 2], [0, 1, 0, 0, 0]]), prior=1.5, confidence=0.8)
    counts = np.array([[3, 2, 0], [1, 1, 1], [0, 0, 0]])
    a = counts + 0.5
    assert found.table["count"].tolist() == counts.ravel().tolist()
    assert found.concentration[0] == pytest.approx(a)
    assert found.matrix().to_numpy() == pytest.approx(a / a.sum(axis=1, keepdims=True))
    first = found.table.iloc[1]
    posterior = stats.beta(2.5, 4.0)
    assert (first["lower"], first["upper"]) == pytest.approx((posterior.ppf(0.1), posterior.ppf(0.9)))
    stay = found.time_in_stage.iloc[0]
    assert (stay["stays"], stay["ended"]) == (3, 2)
    assert stay["months"] == pytest.approx(6.5 / 3)
    own = stats.beta(3.5, 3.0)
    assert (stay["lower"], stay["upper"]) == pytest.approx((1 / (1 - own.ppf(0.1)), 1 / (1 - own.ppf(0.9))))
    assert "Nothing was seen of moves from gone: what is shown there is the prior." in found.text
    assert found.plot().get_title() == "Where accounts move, %"


P = np.array([[0.8, 0.15, 0.05], [0.3, 0.5, 0.2], [0.05, 0.0, 0.95]])


def test_a_known_chain_is_recovered_and_intervals_hold():
    inside = total = 0
    for seed in range(12):
        found = clv.transition_matrix(history(simulate(P, 400, 13, seed)), draws=1, confidence=0.9)
        assert found.matrix().to_numpy() == pytest.approx(P, abs=0.05)
        true = P.ravel()
        free = true > 0
        held = (found.table["lower"] <= true) & (true <= found.table["upper"])
        inside, total = inside + int(held[free].sum()), total + int(free.sum())
    # Of 96 intervals, some 86 hold; moves of a row depend on each other, so that the spread is wider than binomial.
    assert 0.82 <= inside / total <= 0.97


def test_the_path_is_the_power_of_the_matrix():
    codes = simulate(P, 5000, 24, 5)
    found = clv.transition_matrix(history(codes), months=12, draws=400)
    start = np.bincount(codes[:, -1], minlength=3)
    ahead = found.path[found.path["month"] == 12].set_index("stage")
    expected = start @ np.linalg.matrix_power(P, 12)
    assert ahead["accounts"].to_numpy() == pytest.approx(expected, rel=0.03)
    assert (ahead["lower"] < ahead["accounts"]).all()
    assert (ahead["upper"] > ahead["accounts"]).all()
    at_start = found.path[found.path["month"] == 0]
    assert at_start["accounts"].tolist() == start.tolist()
    assert sorted(found.path["month"].unique()) == list(range(13))


def test_same_seed_same_path():
    book = history(simulate(P, 50, 6, 1))
    pd.testing.assert_frame_equal(clv.transition_matrix(book, seed=4).path, clv.transition_matrix(book, seed=4).path)
    assert not clv.transition_matrix(book, seed=4).path.equals(clv.transition_matrix(book, seed=5).path)


def test_a_small_group_looks_like_the_book():
    codes = simulate(P, 600, 12, 2)
    tier = pd.Series("1:many", index=[f"A{i:05d}" for i in range(599)])
    tier.iloc[0] = "1:1"
    found = clv.transition_matrix(history(codes), by=tier, prior=500, draws=5)
    assert found.groups == ("(unknown)", "1:1", "1:many")
    whole = clv.transition_matrix(history(codes), prior=500, draws=5)
    assert found.matrix("1:1").to_numpy() == pytest.approx(whole.matrix().to_numpy(), abs=0.03)
    weak = clv.transition_matrix(history(codes), by=tier, prior=1e-6, draws=5)
    assert not np.allclose(weak.matrix("1:1"), whole.matrix(), atol=0.03)
    total = found.table.groupby(["from", "to"], sort=False)["count"].sum()
    assert total.tolist() == whole.table["count"].tolist()
    column = history(codes).table.assign(tier="all of them")
    assert clv.transition_matrix(column, by="tier", states=STATES, draws=1).groups == ("all of them",)


def stays(*rows):
    frame = pd.DataFrame(rows, columns=["account_id", "from", "to", "stage"])
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in ("from", "to")})


def test_missing_months_are_counted_and_not_taken_for_moves():
    found = clv.transition_matrix(
        stays(
            ("a", "2024-01-31", "2024-02-29", "steady"),
            ("a", "2024-05-31", "2024-06-30", "lost"),
            ("b", "2024-06-30", "2024-06-30", "steady"),
        )
    )
    assert found.states == ("steady", "slowing", "overdue", "at risk", "lapsed", "lost")
    assert found.table.set_index(["from", "to"])["count"].sum() == 2
    assert "1 move over missing months was not counted." in found.text


def test_only_one_month_is_the_prior():
    found = clv.transition_matrix(history([[0], [1]]))
    assert found.matrix().to_numpy() == pytest.approx(1 / 3)
    assert "No move was seen: the matrix is the prior." in found.text


def test_unknown_stages_are_named_and_counted():
    bad = stays(
        ("a", "2024-01-31", "2024-02-29", "steady"),
        ("b", "2024-01-31", "2024-02-29", "slwoing"),
        ("c", "2024-01-31", "2024-02-29", "slwoing"),
    )
    with pytest.raises(DataError, match=r"column 'stage', row 2: 1 unknown stage: 'slwoing' \(2\)"):
        clv.transition_matrix(bad)
    with pytest.raises(DataError, match=r"'steady' \(1\)"):
        clv.transition_matrix(bad, states=["slwoing"])
    assert clv.transition_matrix(bad, states=["steady", "slwoing"]).states == ("steady", "slwoing")


def test_histories_that_cannot_be():
    good = stays(("a", "2024-01-31", "2024-02-29", "x"), ("a", "2024-02-29", "2024-03-31", "y"))
    with pytest.raises(DataError, match=r"row 2: account 'a': two stays overlap \(1 in all\)"):
        clv.transition_matrix(good)
    with pytest.raises(DataError, match="ends before it begins"):
        clv.transition_matrix(stays(("a", "2024-03-31", "2024-02-29", "x")))
    with pytest.raises(DataError, match="column 'to', row 1: is empty"):
        clv.transition_matrix(stays(("a", "2024-03-31", None, "x")))
    with pytest.raises(DataError, match="column 'stage': is missing"):
        clv.transition_matrix(good.drop(columns="stage"))
    with pytest.raises(DataError, match="no stay"):
        clv.transition_matrix(good.iloc[:0])
    with pytest.raises(DataError, match="column 'tier'"):
        clv.transition_matrix(good, by="tier")
    with pytest.raises(SettingsError, match="group"):
        clv.transition_matrix(good.iloc[:1]).matrix("1:1")


@pytest.mark.parametrize("wrong", [{"prior": 0}, {"months": 0}, {"confidence": 1}, {"draws": 0}, {"months": 1.5}])
def test_arguments_out_of_range(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        clv.transition_matrix(history([[0, 1]]), **wrong)


def test_what_is_no_history():
    demo = clv.load_study("demo").read("transactions").table
    for wrong in ([1], clv.lifecycle(demo)):
        with pytest.raises(DataError, match="not a history"):
            clv.transition_matrix(wrong)
