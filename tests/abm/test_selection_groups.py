"""Children with their parents, and one company under two ids."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from clv.abm.selecting.groups import possible_duplicates, roll_up, topmost_parents
from clv.abm.selection import select_accounts
from clv.errors import DataError, SettingsError


def accounts(**parents):
    return pd.DataFrame({"account_id": list(parents), "parent_id": list(parents.values())})


FAMILY = accounts(a=None, b="a", c="b", d=None, e="outside")


def test_topmost_parents_are_found_over_many_steps():
    assert topmost_parents(FAMILY).to_dict() == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "outside"}
    long = accounts(**{f"n{i}": (f"n{i + 1}" if i < 3000 else None) for i in range(3001)})
    assert set(topmost_parents(long)) == {"n3000"}
    assert topmost_parents(accounts(x="x")).to_dict() == {"x": "x"}


def test_a_circle_is_an_error_that_names_it():
    with pytest.raises(DataError, match="own one another in a circle") as error:
        topmost_parents(accounts(a="b", b="c", c="b"))
    assert "b, c, b" in str(error.value)
    with pytest.raises(DataError, match="parent_id"):
        topmost_parents(pd.DataFrame({"account_id": ["a"]}))


def test_values_and_draws_add_up_by_parent():
    g = np.random.default_rng(1)
    draws = g.gamma(2, 10, (5, 200)).astype(np.float32)
    table = pd.DataFrame({"clv": draws.mean(axis=1)}, index=pd.Index(list("edcba"), name="account_id"))
    found = roll_up(SimpleNamespace(table=table, draws=draws), FAMILY)
    assert found.table["clv"].to_dict() == pytest.approx(
        {"a": table["clv"][["a", "b", "c"]].sum(), "d": table["clv"]["d"], "outside": table["clv"]["e"]}
    )
    assert found.table["members"].to_dict() == {"a": 3, "d": 1, "outside": 1}
    at = found.table.index.get_loc("a")
    np.testing.assert_allclose(found.draws[at], draws[2:].sum(axis=0), rtol=1e-5)
    assert found.table.loc["a", "lower"] == pytest.approx(np.quantile(draws[2:].sum(axis=0), 0.05), rel=1e-4)
    assert "3 accounts belong to 1 parent" in found.text


def test_a_selection_by_parents_takes_one_place_and_pays_for_every_child():
    table = pd.DataFrame({"clv": [50.0, 40.0, 30.0, 100.0]}, index=pd.Index(list("abcd"), name="account_id"))
    apart = select_accounts(table, capacity=1, cost_to_serve=10.0, accounts=FAMILY).table
    assert apart["account_id"].iloc[0] == "d"
    found = select_accounts(table, capacity=1, cost_to_serve=10.0, accounts=FAMILY, parents=True)
    assert found.table["account_id"].tolist() == ["a", "d", "outside"]
    assert found.table["score"].tolist()[:2] == [90.0, 90.0]
    assert "3 accounts belong to 1 parent" in found.text
    assert found.members["c"] == "a"
    more = select_accounts(
        table, cost_to_serve=pd.Series({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}), accounts=FAMILY, parents=True
    )
    assert more.table.set_index("account_id")["score"][["a", "d"]].tolist() == [114.0, 96.0]
    with pytest.raises(SettingsError, match="parents"):
        select_accounts(table, parents=True)


def named(*names, **columns):
    return pd.DataFrame({"account_id": [f"A{i}" for i in range(len(names))], "name": names, **columns})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Müller GmbH", "MUELLER GmbH & Co. KG"),
        ("Acme Inc.", "ACME Ltd"),
        ("Bolt & Nut Ltd.", "Nut and Bolt Limited"),
        ("Société Générale d'Acier", "Societe Generale dAcier SA"),
        ("Northern Fasteners", "Northern Fastners AG"),
        ("Завод Восток ООО", "завод восток"),
    ],
)
def test_names_that_differ_by_writing_only_are_a_pair(one, two):
    found = possible_duplicates(named(one, two, "Something else entirely", "Third company"))
    assert found.table[["account_id", "other_id"]].to_numpy().tolist() == [["A0", "A1"]]
    assert "A0 and A1" in found.text


def test_numbers_places_and_relatives_tell_companies_apart():
    assert not len(possible_duplicates(named(*(f"Company {i:04d}" for i in range(300)))).table)
    assert not len(possible_duplicates(named("Plant 2 Steel", "Plant 3 Steel")).table)
    assert not len(possible_duplicates(named("Acme", "Acme", parent_id=[None, "A0"])).table)
    assert not len(possible_duplicates(named("Acme", "Acme", "Holding", parent_id=["A2", "A2", None])).table)
    assert not len(possible_duplicates(named(None, None)).table)


def test_without_names_equal_attributes_are_a_question():
    frame = pd.DataFrame(
        {
            "account_id": ["p", "q", "r", "s"],
            "industry": ["food", "food", "food", None],
            "region": ["n", "n", "n", None],
            "revenue": [1_234_567.0, 1_234_567.0, 7_654_321.0, None],
        }
    )
    found = possible_duplicates(frame)
    assert found.table[["account_id", "other_id"]].to_numpy().tolist() == [["p", "q"]]
    coarse = frame.assign(revenue=1.0)
    assert not len(possible_duplicates(coarse).table)


def test_a_selection_reports_pairs_and_merges_nothing():
    table = pd.DataFrame({"clv": [5.0, 4.0, 3.0]}, index=pd.Index(["A0", "A1", "A2"], name="account_id"))
    found = select_accounts(table, accounts=named("Acme Ltd", "ACME", "Other"))
    assert len(found.table) == 3
    assert found.duplicates[["account_id", "other_id"]].to_numpy().tolist() == [["A0", "A1"]]
    assert "one company under two ids" in found.text
