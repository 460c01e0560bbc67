"""Stochastic acceptability: closed forms for two accounts, and what strategy costs in money."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from clv.abm.selecting.smaa import stochastic_acceptability
from clv.abm.selection import select_accounts
from clv.errors import DataError, SettingsError


def chosen(scores, capacity=None, draws=None):
    table = pd.DataFrame({"clv": scores}, index=pd.Index([f"A{i}" for i in range(len(scores))], name="account_id"))
    return select_accounts(table if draws is None else SimpleNamespace(table=table, draws=draws), capacity=capacity)


def criteria(n, **columns):
    return pd.DataFrame(columns, index=[f"A{i}" for i in range(n)])


def test_two_accounts_and_two_criteria_have_the_closed_form():
    """Money 10, 5, 0 and strategy 0, .8, 1: with weight w on money utilities are w, .8 − .3w and 1 − w."""
    found = stochastic_acceptability(
        chosen([10.0, 5.0, 1e-12], capacity=1), criteria(3, strategy=[0.0, 0.8, 1.0]), draws=20_000, seed=2
    )
    table = found.table.set_index("account_id")
    # A0 is best where w > .8 − .3w, w > 8/13; A2 where 1 − w > .8 − .3w, w < 2/7.
    shares = {"A0": 5 / 13, "A1": 8 / 13 - 2 / 7, "A2": 2 / 7}
    for account, share in shares.items():
        assert table.loc[account, "acceptability"] == pytest.approx(share, abs=0.012)
        assert table.loc[account, "first"] == table.loc[account, "acceptability"]
    middle = {"A0": (1 + 8 / 13) / 2, "A1": (8 / 13 + 2 / 7) / 2, "A2": 1 / 7}
    for account, weight in middle.items():
        assert found.central_weights.loc[account, "money"] == pytest.approx(weight, abs=0.012)
    np.testing.assert_allclose(found.central_weights.sum(axis=1), 1)
    # With w in these three parts the money given up is 0, 5 and 10.
    assert found.costs["cost"].mean() == pytest.approx(5 * shares["A1"] + 10 * shares["A2"], abs=0.12)
    assert found.cost == 0.0  # the set by acceptability is that by money here


def test_rank_acceptabilities_sum_to_one_by_rank_and_to_acceptability_by_account():
    g = np.random.default_rng(1)
    draws = g.gamma(2, 50, (12, 1)) * g.gamma(5, 0.2, (12, 300))
    found = stochastic_acceptability(
        chosen(draws.mean(axis=1), 4, draws), criteria(12, fit=g.random(12), room=g.random(12)), draws=700, seed=3
    )
    np.testing.assert_allclose(found.ranks.sum(axis=0), 1)
    by_account = found.ranks.sum(axis=1).loc[found.table["account_id"]]
    np.testing.assert_allclose(by_account, found.table["acceptability"])
    assert found.table["acceptability"].sum() == pytest.approx(4)
    assert found.table["selected"].sum() == found.table["by_money"].sum() == 4
    assert found.table["mean_rank"].mean() == pytest.approx(6.5)
    found.plot()


def test_all_weight_on_money_is_the_selection_itself_and_costs_nothing():
    g = np.random.default_rng(5)
    score = g.gamma(2, 50, 30)
    base = chosen(score, 8)
    found = stochastic_acceptability(base, criteria(30, fit=g.random(30)), bounds={"money": (1.0, 1.0)}, draws=50)
    assert found.cost == 0
    assert (found.costs["cost"] == 0).all()
    pd.testing.assert_series_equal(found.table["selected"], found.table["by_money"], check_names=False)
    assert "change nothing" in found.text


def test_what_strategy_costs_is_the_money_between_the_two_sets():
    score = np.array([100.0, 90.0, 80.0, 70.0])
    found = stochastic_acceptability(
        chosen(score, 2), criteria(4, status=[0, 0, 0, 1]), bounds={"money": (0.3, 0.35)}, draws=200
    )
    assert set(found.table.loc[found.table["selected"], "account_id"]) == {"A0", "A3"}
    assert found.cost == pytest.approx(20.0)
    assert "1 account of 2" in found.text
    assert "20.00" in found.text
    assert "10.5%" in found.text


def test_order_of_importance_and_bounds_hold_in_every_draw():
    base, what = chosen([5.0, 4.0, 3.0], 1), criteria(3, fit=[1, 2, 3], room=[3, 1, 2])
    plain = stochastic_acceptability(base, what, importance=["fit", "money", "room"], draws=300).costs
    assert ((plain["fit"] >= plain["money"]) & (plain["money"] >= plain["room"])).all()
    # The largest of three even weights is 11/18 on average (spacings of the simplex).
    assert plain["fit"].mean() == pytest.approx(11 / 18, abs=0.03)
    both = stochastic_acceptability(
        base, what, importance=["money", "fit", "room"], bounds={"money": (0.0, 0.6), "room": (0.1, 1.0)}, draws=300
    ).costs
    assert both["money"].between(0, 0.6).all()
    assert (both["room"] >= 0.1).all()
    assert ((both["money"] >= both["fit"]) & (both["fit"] >= both["room"])).all()
    np.testing.assert_allclose(both[["money", "fit", "room"]].sum(axis=1), 1)


def test_unknown_cells_are_neither_good_nor_bad():
    n = 60
    fit = np.linspace(0, 1, n)
    fit[10] = np.nan
    found = stochastic_acceptability(
        chosen(np.full(n, 5.0) + np.arange(n)[::-1] * 1e-6, 20),
        criteria(n, fit=fit),
        bounds={"money": (0, 0.01)},
        draws=900,
    ).table.set_index("account_id")
    assert found.loc["A10", "acceptability"] == pytest.approx(1 / 3, abs=0.06)


def test_ranks_instead_of_ranges_are_not_moved_by_one_giant():
    score = [1e6, 50.0, 40.0, 30.0, 20.0]
    what = criteria(5, fit=[0.0, 0.1, 0.2, 0.3, 0.4])
    half = {"money": (0.6, 0.7)}
    linear = stochastic_acceptability(chosen(score, 2), what, bounds=half).table.set_index("account_id")
    ranked = stochastic_acceptability(chosen(score, 2), what, bounds=half, scale="rank").table.set_index("account_id")
    assert linear.loc["A4", "acceptability"] == 1.0
    assert ranked.loc["A1", "acceptability"] == 1.0


def test_seeds_repeat_and_bad_input_is_named():
    base, what = chosen([5.0, 4.0, 3.0], 1), criteria(3, fit=[1, 2, 3])
    one, two = (stochastic_acceptability(base, what, draws=50, seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(one.costs, two.costs)
    with pytest.raises(DataError, match="A2"):
        stochastic_acceptability(base, what.head(2))
    with pytest.raises(DataError, match="same for all"):
        stochastic_acceptability(base, what.assign(fit=1))
    with pytest.raises(DataError, match="no number"):
        stochastic_acceptability(base, what.assign(fit=["a", "b", "c"]))
    with pytest.raises(DataError, match="money"):
        stochastic_acceptability(base, what.rename(columns={"fit": "money"}))
    with pytest.raises(SettingsError, match="no criterion 'size'"):
        stochastic_acceptability(base, what, bounds={"size": (0, 1)})
    with pytest.raises(SettingsError, match="no weights"):
        stochastic_acceptability(base, what, bounds={"money": (0.8, 1), "fit": (0.5, 1)})
    with pytest.raises(SettingsError, match="order"):
        stochastic_acceptability(base, what, importance=["money"])
    with pytest.raises(SettingsError, match="places"):
        stochastic_acceptability(base, what, places=9)
