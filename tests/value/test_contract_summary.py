"""Contract terms as renewal decisions, as known on a date."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clv
from clv.errors import DataError
from clv.value.relations import relations_of


def book(*terms: tuple) -> pd.DataFrame:
    """Rows of contract_id, account_id, start, end, renewed, value, reason."""
    names = ["contract_id", "account_id", "start", "end", "renewed", "value", "reason"]
    table = pd.DataFrame([(*term, *(None, 100.0, None)[len(term) - 4 :]) for term in terms], columns=names)
    return table.assign(
        start=pd.to_datetime(table["start"]), end=pd.to_datetime(table["end"]),
        renewed=table["renewed"].astype("boolean"),
    )  # fmt: skip


def year(name: str, account: str, first: int, *more: object) -> tuple:
    return (name, account, f"{first}-01-01", f"{first}-12-31", *more)


CHAIN = book(year("K1", "A", 2020), year("K2", "A", 2021), year("K3", "A", 2022))


def test_each_term_has_its_age_and_what_became_of_it():
    table = clv.summarise_contracts(CHAIN, "2022-07-02")
    assert list(table["age"]) == [0, 1, 2]
    assert list(table["outcome"]) == ["renewed", "renewed", "running"]
    assert list(table["observed"]) == [True, True, False]
    assert table["relation_id"].eq("K1").all()
    assert list(table["days"]) == [366, 365, 365]
    assert table["delay"].tolist()[:2] == [0.0, 0.0]
    assert table["to_renewal"].iloc[2] == pytest.approx(183 / 365)
    assert table["to_renewal"].iloc[:2].isna().all()
    assert table.attrs["clv"]["counts"] == {
        "read": 3, "later": 0, "renewed": 2, "lost": 0, "due": 0, "running": 1,
    }  # fmt: skip


def test_a_term_that_is_over_waits_its_days_of_grace():
    late = clv.summarise_contracts(CHAIN, "2023-01-20").loc["K3"]
    assert (late["outcome"], late["late"], late["to_renewal"], late["observed"]) == ("due", 20, 0.0, False)
    lost = clv.summarise_contracts(CHAIN, "2023-02-01").loc["K3"]
    assert (lost["outcome"], lost["late"], lost["observed"]) == ("lost", 32, True)
    said = clv.summarise_contracts(book(year("K1", "A", 2020, False, 9.0, "price")), "2021-01-01").loc["K1"]
    assert (said["outcome"], said["reason"], said["value"]) == ("lost", "price", 9.0)


def test_late_and_early_renewals_say_by_how_much():
    table = clv.summarise_contracts(
        book(
            year("K1", "A", 2020), ("K2", "A", "2021-01-13", "2022-01-12"), ("K3", "A", "2022-01-03", "2023-01-02"),
        ), "2022-06-01",
    )  # fmt: skip
    assert table["delay"].tolist()[:2] == [12.0, -10.0]


def test_nothing_is_lost_unsaid():
    table = book(
        year("K1", "A", 2019, False), year("K2", "A", 2020), year("P", "A", 2020), year("L", "B", 2018, True),
        year("N", "C", 2030),
    )  # fmt: skip
    found = clv.summarise_contracts(table, "2020-12-01")
    counts = found.attrs["clv"]["counts"]
    assert counts["read"] == 5
    assert counts["later"] == 1
    assert counts["read"] == counts["later"] + sum(counts[name] for name in ("renewed", "lost", "due", "running"))
    assert found.loc["K1", "remark"] == "said not to be renewed, yet a term follows"
    assert found.loc["L", "remark"] == "said to be renewed, yet no term follows"
    assert found.loc["L", "outcome"] == "renewed"
    assert found["parallel"].to_dict() == {"K1": False, "K2": True, "P": True, "L": False}
    assert (found["row"].map(table["contract_id"].to_dict().get) != "").all()
    assert [table["contract_id"].iloc[row - 1] for row in found["row"]] == list(found.index)


def test_who_was_seen_late_enters_at_its_age():
    old = clv.summarise_contracts(CHAIN.assign(term_number=[4, 5, 6]), "2022-07-02")
    assert list(old["age"]) == [3, 4, 5]
    row = relations_of(old).iloc[0]
    assert (row["duration"], row["entry"]) == (5, 3)
    cut = clv.summarise_contracts(CHAIN, "2022-07-02", observed_from="2021-06-01")
    assert list(cut["observed"]) == [False, True, False]
    jumps = clv.summarise_contracts(CHAIN.assign(term_number=[1, 3, None]), "2022-07-02")
    assert jumps["remark"].tolist() == ["", "its number does not follow that of the term before", ""]


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (book(year("K1", "A", 2020), year("K1", "A", 2021)), "column 'contract_id', row 2: it occurs a second time"),
        (book(("K1", "A", "2020-02-01", "2020-01-01")), "column 'end', row 1: the term ends before it starts"),
        (CHAIN.assign(value=[1.0, -1.0, 1.0]), "column 'value', row 2: value is -1.0"),
        (CHAIN.assign(value="much"), "not a column of numbers"),
        (CHAIN.assign(term_number=[1, 2.5, 3]), "column 'term_number', row 2: term_number is 2.5"),
        (CHAIN.assign(term_number=[0, 1, 2]), "column 'term_number', row 1: term_number is 0"),
    ],
)
def test_impossible_contracts_are_named(table, match):
    with pytest.raises(DataError, match=match) as error:
        clv.summarise_contracts(table, "2023-01-01")
    assert error.value.mend


DAYS = st.integers(0, 900)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("AB"), DAYS, st.integers(0, 400), st.sampled_from([None, True, False])),
                min_size=1, max_size=9), DAYS, st.integers(0, 60))  # fmt: skip
def test_relations_are_their_terms_whatever_the_book(rows, at, grace):
    def day(n):
        return str(np.datetime64("2020-01-01") + np.timedelta64(n, "D"))

    table = book(*((f"K{i}", a, day(s), day(s + d), flag) for i, (a, s, d, flag) in enumerate(rows)))
    as_of = day(at)
    if not (table["start"] <= as_of).any():
        with pytest.raises(DataError, match="begun"):
            clv.summarise_contracts(table, as_of, grace=grace)
        return
    terms = clv.summarise_contracts(table, as_of, grace=grace)
    counts = terms.attrs["clv"]["counts"]
    assert len(terms) + counts["later"] == counts["read"] == len(table)
    assert set(terms.index) == set(table.loc[table["start"] <= as_of, "contract_id"])
    own = terms.groupby("relation_id", sort=False)
    assert (own["age"].transform(lambda age: np.arange(len(age))) == terms["age"]).all()
    assert (terms["outcome"] != "renewed").groupby(terms["relation_id"]).sum().le(1).all()
    assert ((terms["outcome"] == "running") <= (terms["end"] >= pd.Timestamp(as_of))).all()
    relations = relations_of(terms)
    assert relations["terms"].sum() == len(terms)
    decided = terms["outcome"].isin(["renewed", "lost"]).groupby(terms["relation_id"]).sum()
    assert (relations["duration"] == decided.loc[relations.index]).all()
    assert relations["churned"].sum() == counts["lost"]
    assert relations["to_renewal"].between(0, 1).all()
