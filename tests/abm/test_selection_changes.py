"""Who came in and who went out: the parts of a change sum to it, and each is put down to what moved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.abm.selecting.changes import selection_changes
from clv.abm.selecting.incremental import incremental_value
from clv.abm.selection import select_accounts
from clv.data.settings import Tier
from clv.errors import DataError

TIERS = [
    Tier(name="1:1", cost=4000, hours=60, uplift=0.35),
    Tier(name="1:few", cost=800, hours=20, uplift=0.15),
    Tier(name="1:many", cost=80, hours=0.5, uplift=0.03),
]
PARTS = ["value", "won", "effect", "cost", "bar", "book"]


def book(seed=1, n=60):
    g = np.random.default_rng(seed)
    return pd.Series(g.lognormal(8, 1.2, n), index=[f"C{i:02d}" for i in range(n)]).to_frame("clv")


def choose(values, tiers=TIERS, capacity=None):
    return select_accounts(incremental_value(values, tiers), capacity=capacity)


def summed(changes):
    np.testing.assert_allclose(changes.parts[PARTS].sum(axis=1), changes.parts["change"], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("capacity", [None, 12])
def test_parts_sum_to_the_change_and_counts_are_those_of_the_sets(capacity):
    g = np.random.default_rng(5)
    old = book()
    new = old * g.lognormal(0, 0.5, old.shape)
    new.loc["C99"] = 40_000.0  # new in the book
    dearer = [tier.model_copy(update={"cost": tier.cost * 1.3, "uplift": tier.uplift * 0.8}) for tier in TIERS]
    before, now = choose(old.drop("C07"), capacity=capacity), choose(new.drop("C08"), dearer, capacity)
    found = selection_changes(before, now)
    summed(found)
    was = set(before.table.loc[before.table["selected"], "account_id"])
    are = set(now.table.loc[now.table["selected"], "account_id"])
    assert (found.came_in, found.went_out, found.stayed) == (len(are - was), len(was - are), len(are & was))
    assert set(found.table.loc[found.table["now"] == "in", "account_id"]) == are - was
    assert set(found.table.loc[found.table["now"] == "out", "account_id"]) == was - are
    assert found.parts.loc["C99", "book"] == found.parts.loc["C99", "change"]
    assert found.parts.loc["C08", ["value", "effect", "cost", "bar"]].tolist() == [0, 0, 0, 0]
    # Who is in is at or above the bar at its date, and who is out is below it.
    inside = found.parts["now"] == "in"
    assert (found.parts.loc[inside, "score_now"] >= found.bar_now).all()
    assert (found.parts.loc[~inside, "score_now"].dropna() <= found.bar_now).all()
    found.plot()


def test_what_alone_moved_has_all_of_the_change():
    """Values alone, effects alone, costs alone: the part of the others is nought, through every change of tier."""
    old = book()
    doubled = selection_changes(choose(old), choose(old * 2)).parts
    assert np.abs(doubled[["effect", "cost"]]).to_numpy().max() < 1e-6
    assert (doubled["value"] > 0).all()
    stronger = [tier.model_copy(update={"uplift": tier.uplift * 2}) for tier in TIERS]
    stronger = selection_changes(choose(old), choose(old, stronger)).parts
    assert np.abs(stronger[["value", "cost"]]).to_numpy().max() < 1e-6
    assert (stronger["effect"] > 0).all()
    dear = [tier.model_copy(update={"cost": tier.cost * 2}) for tier in TIERS]
    dear = selection_changes(choose(old), choose(old, dear)).parts
    assert np.abs(dear[["value", "effect"]]).to_numpy().max() < 1e-6
    assert (dear["cost"] < 0).all()
    # Only the bar moves where others are worth more and places are short.
    new = old.copy()
    new.loc["C00":"C29"] *= 5
    short = selection_changes(choose(old, capacity=10), choose(new, capacity=10))
    rest = short.parts.loc["C30":]
    assert np.abs(rest[["value", "effect", "cost"]]).to_numpy().max() < 1e-6
    assert (rest["bar"] == short.bar_before - short.bar_now).all()
    assert short.bar_now > short.bar_before > 0
    assert "the bar rose" in short.text


def test_a_prospect_that_was_won_is_said_to_be_won():
    before = choose(book()).table.join(choose(book()).about, on="account_id")
    now = before.copy()
    out = before.loc[~before["selected"], "account_id"].iloc[0]
    here = now["account_id"] == out
    before.loc[before["account_id"] == out, "kind"] = "prospect"
    now.loc[here, ["score", "base", "gain", "selected"]] = [500.0, 20_000.0, 580.0, True]
    found = selection_changes(before, now, since="spring")
    row = found.table.iloc[0]
    assert (row["account_id"], row["now"], row["why"]) == (out, "in", "won since then")
    assert row["won"] == row["change"]
    assert "Since spring, 1 account came in and 0 went out" in found.text


def test_a_table_as_an_older_run_kept_it_is_enough():
    """Only account, score and whether it was taken: the change is there, its parts are not known."""
    now = choose(book(2))
    before = choose(book()).table[["account_id", "score", "selected"]]
    found = selection_changes(before, now)
    assert found.table["value"].isna().all()
    assert found.table["change"].notna().all()
    assert found.came_in + found.went_out == len(found.table) > 0
    found.plot()


def test_nothing_moved_and_faults():
    same = selection_changes(choose(book()), choose(book()))
    assert "Nobody came in or went out" in same.text
    assert same.table.empty
    same.plot()
    with pytest.raises(DataError, match="selected"):
        selection_changes(pd.DataFrame({"account_id": ["a"], "score": [1.0]}), choose(book()))
    twice = pd.DataFrame({"account_id": ["a", "a"], "score": 1.0, "selected": True})
    with pytest.raises(DataError, match="'a' is there twice"):
        selection_changes(twice, choose(book()))


def test_a_close_call_both_times_is_said():
    value = book()
    draws = np.random.default_rng(3).lognormal(np.log(value["clv"].to_numpy())[:, None], 0.6, (60, 200))

    class Value:
        table, draws = value, None

    Value.draws = draws.astype(np.float32)
    before = select_accounts(incremental_value(Value, TIERS))
    bar = before.table.loc[~before.table["selected"]].iloc[0]
    assert 0.2 < bar["p_selected"] < 0.8
    moved = value.copy()
    moved.loc[bar["account_id"]] *= 1.5
    Value.table = moved
    found = selection_changes(before, select_accounts(incremental_value(Value, TIERS)))
    assert found.table["account_id"].tolist() == [bar["account_id"]]
    assert found.table["unsure"].all()
    assert "close call both times" in found.text
