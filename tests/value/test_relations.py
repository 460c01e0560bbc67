"""Contract terms chained into relations, as known on a date."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.errors import DataError, SettingsError


def book(*terms):
    table = pd.DataFrame(terms, columns=["contract_id", "account_id", "start", "end", "renewed"])
    table["renewed"] = table["renewed"].astype("boolean")
    return table.assign(start=pd.to_datetime(table["start"]), end=pd.to_datetime(table["end"]), value=1.0)


def year(name, account, first, renewed=None):
    return (name, account, f"{first}-01-01", f"{first}-12-31", renewed)


CHAIN = book(year("K1", "A", 2020), year("K2", "A", 2021), year("K3", "A", 2022))


def only(table, **given):
    found = clv.contract_relations(table, **given)
    assert len(found) == 1
    return found.iloc[0]


def test_terms_one_after_the_other_are_one_relation():
    found = clv.contract_relations(CHAIN, as_of="2022-07-02")
    row = found.loc["K1"]
    assert (row["account_id"], row["duration"], row["churned"], row["entry"], row["terms"]) == ("A", 2, False, 0, 3)
    assert row["to_renewal"] == pytest.approx(183 / 365)
    assert row["first"] == pd.Timestamp("2020-01-01")
    assert found.attrs["clv"]["unit"] == "Y"
    assert found["duration"].dtype == "int64"


def test_what_is_not_known_on_the_day_is_not_used():
    assert only(CHAIN, as_of="2021-06-01")["duration"] == 1
    later = book(year("K1", "A", 2020, False))
    row = only(later, as_of="2020-06-01")  # that it will not be renewed is not known yet
    assert (row["duration"], row["churned"]) == (0, False)


def test_a_relation_ends_by_word_or_by_silence():
    gone = only(CHAIN, as_of="2023-06-01")
    assert (gone["duration"], gone["churned"]) == (3, True)
    waiting = only(CHAIN, as_of="2023-01-20")  # within the days of grace
    assert (waiting["duration"], waiting["churned"], waiting["to_renewal"]) == (2, False, 0.0)
    assert only(CHAIN, as_of="2023-01-20", grace=5)["churned"]
    said = only(book(year("K1", "A", 2020, False)), as_of="2021-01-02")
    assert (said["duration"], said["churned"]) == (1, True)
    kept = only(book(year("K1", "A", 2020, True)), as_of="2021-06-01")
    assert (kept["duration"], kept["churned"]) == (1, False)


def test_who_returns_later_begins_anew():
    found = clv.contract_relations(book(year("K1", "A", 2018), year("K2", "A", 2020)), as_of="2020-06-01")
    assert list(found["churned"]) == [True, False]
    assert list(found["duration"]) == [1, 0]
    ended = book(year("K1", "A", 2018, False), year("K2", "A", 2019))  # a new contract, not a renewal
    assert len(clv.contract_relations(ended, as_of="2019-06-01")) == 2


def test_terms_side_by_side_are_two_relations():
    table = book(
        year("K1", "A", 2020), ("P1", "A", "2020-06-01", "2021-05-31", None), year("K2", "A", 2021),
        ("P2", "A", "2021-06-10", "2022-05-31", None), year("X", "B", 2021),
    )  # fmt: skip
    found = clv.contract_relations(table, as_of="2021-12-01")
    assert list(found.index) == ["K1", "P1", "X"]
    assert list(found["terms"]) == [2, 2, 1]
    shuffled = clv.contract_relations(table.sample(frac=1, random_state=np.random.default_rng(1)), as_of="2021-12-01")
    assert shuffled.equals(found)


def test_older_relations_enter_at_the_age_they_had():
    row = only(CHAIN, as_of="2022-06-01", observed_from="2021-06-01")
    assert (row["duration"], row["entry"]) == (2, 1)
    lost = only(CHAIN, as_of="2023-06-01", observed_from="2022-06-01")
    assert (lost["duration"], lost["entry"], lost["churned"]) == (3, 2, True)
    assert not len(clv.contract_relations(CHAIN, as_of="2024-06-01", observed_from="2024-01-01"))


def test_units_come_from_the_usual_term():
    months = book(*[(f"K{m}", "A", f"2021-{m:02d}-01", f"2021-{m:02d}-28", None) for m in range(1, 7)])
    assert clv.contract_relations(months, as_of="2021-06-10", grace=5).attrs["clv"]["unit"] == "M"
    odd = book(("K1", "A", "2020-01-01", "2021-12-31", None))
    assert clv.contract_relations(odd, as_of="2020-06-10").attrs["clv"]["unit"] is None


def test_impossible_contracts_are_named():
    with pytest.raises(DataError, match="ends before"):
        clv.contract_relations(book(("K1", "A", "2020-02-01", "2020-01-01", None)), as_of="2021-01-01")
    with pytest.raises(DataError, match="begun"):
        clv.contract_relations(CHAIN, as_of="2019-01-01")
    with pytest.raises(DataError, match="column 'end'"):
        clv.contract_relations(CHAIN.drop(columns="end"), as_of="2021-01-01")
    with pytest.raises(DataError, match="no value"):
        clv.contract_relations(CHAIN.assign(account_id=[None, "A", "A"]), as_of="2021-01-01")
    with pytest.raises(DataError, match="column of dates"):
        clv.contract_relations(CHAIN.assign(start="soon"), as_of="2021-01-01")
    with pytest.raises(DataError, match="neither true nor false"):
        clv.contract_relations(CHAIN.assign(renewed=["no", "yes", None]), as_of="2021-01-01")
    with pytest.raises(SettingsError, match="grace"):
        clv.contract_relations(CHAIN, as_of="2021-01-01", grace=-1)
    with pytest.raises(SettingsError, match="observed_from"):
        clv.contract_relations(CHAIN, as_of="2021-01-01", observed_from="2022-01-01")


def test_the_demo_book_can_be_fitted():
    from clv.data.simulate import draw

    contracts = draw(accounts=600, seed=1).tables["contracts"]
    found = clv.contract_relations(contracts, as_of=contracts["start"].max())
    assert found["terms"].sum() == len(contracts)
    assert found.attrs["clv"]["unit"] == "Y"
    model = clv.ShiftedBetaGeoModel(prior="weak").fit(found)
    assert 0.5 < model.renewal_probability(0) < 0.95
