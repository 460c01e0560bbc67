"""Markov values against simulation and brute force; plays that pay, and those that do not."""

from __future__ import annotations

from itertools import product

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import clv
from clv.churn.markov_play import MarkovPlay, changed_rows
from clv.churn.stays import make_history
from clv.errors import DataError, SettingsError

STATES = ["good", "middling", "gone"]
P = pd.DataFrame([[0.8, 0.15, 0.05], [0.3, 0.5, 0.2], [0.02, 0.0, 0.98]], STATES, STATES)
REWARD = {"good": 100.0, "middling": 30.0, "gone": 0.0}
QUICK = settings(max_examples=40, deadline=None, derandomize=True)


def test_value_is_the_discounted_mean_of_simulated_accounts():
    g, n, months = np.random.default_rng(3), 40_000, 60
    found = clv.markov_value(P, reward=REWARD, discount_rate=0.3, horizon=months).table["value"]
    for start, name in enumerate(STATES):
        at, total = np.full(n, start), np.zeros(n)
        for month in range(months + 1):
            total += np.array(list(REWARD.values()))[at] * 1.3 ** (-month / 12)
            at = (g.random(n)[:, None] > np.cumsum(P.to_numpy(), axis=1)[at]).sum(axis=1)
        assert abs(total.mean() - found[name]) < 4 * total.std() / np.sqrt(n)


def test_long_horizon_is_for_ever():
    for_ever = clv.markov_value(P, reward=REWARD, discount_rate=0.5).table["value"]
    long = clv.markov_value(P, reward=REWARD, discount_rate=0.5, horizon=1200).table["value"]
    assert long.to_numpy() == pytest.approx(for_ever.to_numpy(), rel=1e-10)
    now = clv.markov_value(P, reward=REWARD, discount_rate=0.5, horizon=0).table
    assert now["value"].tolist() == now["reward"].tolist() == list(REWARD.values())


def test_no_discount_over_a_horizon_adds_up():
    found = clv.markov_value(P, reward=REWARD, discount_rate=0.0, horizon=2).table["value"].to_numpy()
    A, R = P.to_numpy(), np.array(list(REWARD.values()))
    assert found == pytest.approx(R + A @ R + A @ A @ R)


chains = st.integers(0, 2**32 - 1)


@QUICK
@given(chains, st.one_of(st.none(), st.integers(0, 6)), st.floats(0.02, 3))
def test_the_best_policy_beats_every_other(seed, horizon, rate):
    g = np.random.default_rng(seed)
    leave, act = (pd.DataFrame(g.dirichlet([0.5] * 3, 3), STATES, STATES) for _ in range(2))
    reward, cost = dict(zip(STATES, g.normal(0, 50, 3), strict=True)), dict(zip(STATES, g.gamma(1, 20, 3), strict=True))
    given_ = {"discount_rate": rate, "periods_per_year": 1, "horizon": horizon}
    best = clv.markov_value(leave, reward=reward, play=MarkovPlay("p", cost, matrix=act), **given_).table["value_best"]
    fixed = []
    for chosen in product([False, True], repeat=3):
        Q = pd.DataFrame(np.where(np.array(chosen)[:, None], act, leave), STATES, STATES)
        paid = {s: reward[s] - cost[s] * c for s, c in zip(STATES, chosen, strict=True)}
        fixed.append(clv.markov_value(Q, reward=paid, **given_).table["value"].to_numpy())
    assert (best.to_numpy() >= np.max(fixed, axis=0) - 1e-6).all()
    if horizon is None:  # a stationary policy is best for ever, and it is one of these
        assert best.to_numpy() == pytest.approx(np.max(fixed, axis=0), abs=1e-6)


@QUICK
@given(chains, st.floats(-1, 5))
def test_a_lift_moves_one_probability_and_keeps_rows(seed, lift):
    Q = np.random.default_rng(seed).dirichlet([0.5] * 3, (4, 3))
    play = MarkovPlay("p", {"middling": 1.0, "gone": 2.0}, to="good", lift=lift)
    rows, paid = changed_rows(play, tuple(STATES), np.zeros(3))
    changed = rows(Q)
    assert changed.sum(axis=-1) == pytest.approx(1.0)
    assert changed.min() >= 0
    assert changed[:, 0] == pytest.approx(Q[:, 0])
    assert changed[:, 1:, 0] == pytest.approx(np.minimum(Q[:, 1:, 0] * (1 + lift), 1))
    assert paid.tolist() == [0, -1, -2]


def test_a_play_that_does_nothing_costs_what_it_costs():
    play = MarkovPlay("idle", {"gone": 5.0}, to="good", lift=0.0)
    found = clv.markov_value(P, reward=REWARD, discount_rate=0.1, play=play)
    assert (found.table["gain"] < 0).all()
    assert not found.table["play_pays"].any()
    assert found.table["value_best"].to_numpy() == pytest.approx(found.table["value"].to_numpy())
    assert "an assumption, not measured" in found.text
    assert "It pays in no stage." in found.text


def codes(accounts, months, seed):
    g = np.random.default_rng(seed)
    grid = np.zeros((accounts, months), dtype=np.int8)
    for m in range(1, months):
        grid[:, m] = (g.random(accounts)[:, None] > np.cumsum(P.to_numpy(), axis=1)[grid[:, m - 1]]).sum(axis=1)
    return grid


def history(grid):
    dates = pd.date_range("2023-01-31", periods=grid.shape[1], freq="ME").as_unit("ns")
    return make_history(grid, pd.Index([f"A{i:04d}" for i in range(len(grid))]), dates, tuple(STATES))


def test_intervals_hold_the_truth_and_narrow_with_data():
    true = clv.markov_value(P, reward=REWARD, discount_rate=0.2).table["value"]
    width, held = [], []
    for accounts in (60, 2000):
        moves = clv.transition_matrix(history(codes(accounts, 24, 1)), draws=1, confidence=0.99)
        found = clv.markov_value(moves, reward=REWARD, discount_rate=0.2, draws=400).table
        held.append(((found["lower"] <= true) & (true <= found["upper"])).all())
        width.append(found["upper"] - found["lower"])
    assert all(held)
    assert (width[1] < width[0]).all()


def test_play_on_a_posterior_has_an_interval_for_the_gain():
    moves = clv.transition_matrix(history(codes(400, 18, 2)), draws=1)
    play = MarkovPlay("win back", {"gone": 1.0}, to="good", lift=1.0, evidence="measured")
    found = clv.markov_value(moves, reward=REWARD, discount_rate=0.2, play=play, draws=300, currency="EUR")
    table = found.table
    assert ((table["gain_lower"] <= table["gain"]) & (table["gain"] <= table["gain_upper"])).all()
    assert "as an experiment measured it" in found.text
    assert "EUR" in found.text
    again = clv.markov_value(moves, reward=REWARD, discount_rate=0.2, play=play, draws=300)
    pd.testing.assert_frame_equal(table, again.table)
    assert found.plot().get_title() == "What an account is worth, by stage"
    assert clv.markov_value(moves, reward=REWARD, discount_rate=0.2).plot() is not None


def test_margins_by_stage_from_the_data():
    grid = np.array([[0, 0, 1, 1], [-1, 1, 0, 2]], dtype=np.int8)  # month-ends January to April 2023
    lines = pd.DataFrame(
        [
            ("A0000", "2023-01-15", 1000.0),  # before the first month-end
            ("A0000", "2023-02-10", 10.0),  # after a month-end in good
            ("A0000", "2023-03-31", 20.0),  # good
            ("A0000", "2023-04-01", 40.0),  # middling
            ("A0001", "2023-02-28", 999.0),  # not there in January
            ("A0001", "2023-03-05", 80.0),  # middling
            ("A0001", "2023-05-02", 777.0),  # May is cut short
            ("B", "2023-03-05", 555.0),  # no account of the history
        ],
        columns=["account_id", "date", "amount"],
    ).assign(date=lambda t: pd.to_datetime(t["date"]))
    found = clv.stage_margins(history(grid), lines, margin=0.5, as_of="2023-05-15")
    assert found.table["account_months"].tolist() == [3, 2, 0]
    assert found.table["margin"].to_numpy() == pytest.approx([0.5 * 30 / 3, 0.5 * 120 / 2, 0])
    assert "4 of 8 lines" in found.text
    # good: A0000 brought 15 in two months, A0001 nothing in one; the mean is 5.
    assert found.table["standard_error"].iloc[0] == pytest.approx(np.sqrt(5.0**2 + 5.0**2) / 3)
    assert np.isnan(found.table["standard_error"].iloc[2])
    may = clv.stage_margins(history(grid), lines, margin=0.5, as_of="2023-05-31").table
    assert may["account_months"].tolist() == [3, 3, 1]
    assert may["margin"].to_numpy() == pytest.approx([5, 20, 0.5 * 777])
    with pytest.raises(SettingsError, match="margin"):
        clv.stage_margins(history(grid), lines, margin=2)
    with pytest.raises(DataError, match="complete"):
        clv.stage_margins(history(grid), lines, as_of="2023-02-10")


@pytest.mark.parametrize(
    ("matrix", "what"),
    [
        (P * 1.1, "row 1: stage 'good'"),
        (P - 0.5, "no probabilities"),
        (P.rename(index={"good": "bad"}), "not the same stages"),
        (P.where(P != 0.5), "row 2: stage 'middling'"),
        (P.to_numpy(), "no table"),
    ],
)
def test_matrices_that_are_none(matrix, what):
    with pytest.raises(DataError, match=what):
        clv.markov_value(matrix, reward=REWARD, discount_rate=0.1)


def test_stages_that_do_not_match():
    with pytest.raises(DataError, match="column 'reward': unknown stage 'bad'"):
        clv.markov_value(P, reward=REWARD | {"bad": 1.0}, discount_rate=0.1)
    with pytest.raises(DataError, match="stage 'gone' has none"):
        clv.markov_value(P, reward={"good": 1.0, "middling": 1.0}, discount_rate=0.1)
    with pytest.raises(DataError, match="no finite money"):
        clv.markov_value(P, reward=REWARD | {"gone": np.inf}, discount_rate=0.1)
    for play in (MarkovPlay("p", {"bad": 1.0}, to="good"), MarkovPlay("p", {"gone": 1.0}, to="bad")):
        with pytest.raises(DataError, match="unknown stage 'bad' in the play"):
            clv.markov_value(P, reward=REWARD, discount_rate=0.1, play=play)
    for play in (MarkovPlay("p", {"gone": 1.0}), MarkovPlay("p", {"gone": 1.0}, to="good", matrix=P)):
        with pytest.raises(SettingsError, match="one of them"):
            clv.markov_value(P, reward=REWARD, discount_rate=0.1, play=play)
    with pytest.raises(SettingsError, match="lift"):
        clv.markov_value(P, reward=REWARD, discount_rate=0.1, play=MarkovPlay("p", {"gone": 1.0}, to="good", lift=-2))


@pytest.mark.parametrize(
    "wrong",
    [{"discount_rate": 0.0}, {"discount_rate": 0.1, "horizon": -1}, {"discount_rate": 0.1, "periods_per_year": 0}],
)
def test_arguments_out_of_range(wrong):
    with pytest.raises(SettingsError, match=list(wrong)[-1]):
        clv.markov_value(P, reward=REWARD, **wrong)


def test_values_that_rest_on_the_prior_say_so():
    moves = clv.transition_matrix(history(np.array([[0, 1, 0, 0]], dtype=np.int8)), draws=1)
    found = clv.markov_value(moves, reward=REWARD, discount_rate=0.1, horizon=12)
    assert found.table["account_months"].tolist() == [2, 1, 0]
    assert "Nothing was seen of moves from gone: these values rest on the prior." in found.text


@pytest.mark.parametrize("lift", [-0.5, 0.0, 3.0])
def test_a_lift_of_what_is_certain_changes_nothing(lift):
    rows, _ = changed_rows(MarkovPlay("p", {"gone": 1.0}, to="gone", lift=lift), tuple(STATES), np.zeros(3))
    assert rows(np.eye(3)).tolist() == np.eye(3).tolist()
