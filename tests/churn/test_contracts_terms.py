"""Contract tables as they come: every odd row is named with its mend, and every row is accounted for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clv
from clv.churn.contracts.terms import REASONS, contract_terms, current_terms
from clv.data.simulate import draw
from clv.errors import DataError, SettingsError


def table(*rows):
    names = ["contract_id", "account_id", "start", "end", "renewed", "reason"]
    found = pd.DataFrame([(*row, *[None] * (6 - len(row))) for row in rows], columns=names)
    found["start"], found["end"] = pd.to_datetime(found["start"]), pd.to_datetime(found["end"])
    return found.assign(renewed=found["renewed"].astype("boolean"), value=100.0)


MESSY = table(
    ("K1", "A", "2020-01-01", "2020-12-31", True),
    ("K2", "A", "2021-01-01", "2021-12-31", False, "Not-Listened_to "),
    ("K3", "B", "2021-06-30", "2020-07-01", True),  # ends before it starts
    ("K4", "C", "2020-01-01", "2020-12-31", False, "moon phase"),  # unknown reason
    ("K5", "C", "2020-12-15", "2021-12-14", True),  # said not to be renewed, yet a term follows
    ("K6", "D", "2020-01-01", "2020-12-31", True),
    ("K7", "D", "2020-06-01", "2021-05-31"),  # beside K6
    ("K8", "E", "2030-01-01", "2030-12-31"),  # starts later
    ("K9", "F", "2020-01-01", "2020-12-31", False),  # no reason
    ("K10", "G", "2020-01-01", "2020-12-31", True, "quality"),  # renewed, with a reason, and no term follows
    ("K10", "H", "2020-01-01", "2020-12-31", True),  # id twice
    ("K11", None, "2020-01-01", "2020-12-31", True),  # no account
    ("K12", "I", "2020-01-01", "2021-03-31", True),
    ("K13", "I", "2021-03-15", "2022-03-14"),  # begins early
)


def test_each_oddity_is_listed_with_its_row_and_mend():
    found = contract_terms(MESSY, as_of="2022-06-30", faults="set_aside")
    issues = {(row.row, row.column, row.treatment) for row in found.issues.itertuples()}
    assert {row for row, _, treatment in issues if treatment == "set aside"} == {3, 8, 11, 12}
    for expected in (
        (3, "end", "set aside"),
        (8, "start", "set aside"),
        (11, "contract_id", "set aside"),
        (12, "account_id", "set aside"),
        (4, "reason", "counts as unknown"),
        (9, "reason", "counts as unknown"),
        (10, "reason", "reason not used"),
        (10, "renewed", "counts as renewed by a term as long"),
        (6, "start", "each counts as a relation of its own"),
        (7, "start", "each counts as a relation of its own"),
        (13, "end", "counts as renewed on time"),
    ):
        assert expected in issues
    assert found.issues["mend"].str.len().gt(3).all()
    assert len(found.table) + found.set_aside == found.read == len(MESSY)
    assert sorted(found.table["row"]) == [1, 2, 4, 5, 6, 7, 9, 10, 13, 14]
    assert "4 set aside" in found.text
    assert "14 contract rows" in found.text


def test_ids_of_the_table_belong_to_the_rows_that_were_given():
    found = contract_terms(MESSY, as_of="2022-06-30", faults="set_aside").table
    assert (MESSY["contract_id"].iloc[found["row"] - 1].to_numpy() == found.index.to_numpy()).all()


def test_reasons_are_read_whatever_their_spelling():
    found = contract_terms(MESSY, as_of="2022-06-30", faults="set_aside").table
    lost = found[found["outcome"] == "lost"]
    assert lost["cause"].to_dict() == {"K2": "not listened to", "K4": "unknown", "K9": "unknown"} | {
        k: "unknown" for k in lost.index if k not in ("K2", "K4", "K9")
    }
    assert found.loc[found["outcome"] != "lost", "cause"].isna().all()


@pytest.mark.parametrize(("row", "column"), [(3, "end"), (11, "contract_id"), (12, "account_id")])
def test_unusable_rows_stop_the_analysis_unless_set_aside(row, column):
    kept = [i for i in range(len(MESSY)) if i + 1 == row or i + 1 not in (3, 11, 12)]
    with pytest.raises(DataError) as raised:
        contract_terms(MESSY.iloc[kept], as_of="2022-06-30")
    assert (raised.value.table, raised.value.column) == ("contracts", column)
    assert raised.value.row == kept.index(row - 1) + 1
    assert "Mend:" in str(raised.value)


@pytest.mark.parametrize("reasons", [("service", "Service"), ("", "quality"), ("unknown",)])
def test_reasons_must_differ(reasons):
    with pytest.raises(SettingsError, match="reasons"):
        contract_terms(MESSY, as_of="2022-06-30", reasons=reasons, faults="set_aside")


def test_a_renewal_that_is_only_said_is_assumed_to_be_as_long():
    one = table(("K1", "A", "2020-01-01", "2020-12-31", True))
    running = current_terms(contract_terms(one, as_of="2021-06-01")).iloc[0]
    assert (running["outcome"], running["term"], running["days_to_end"]) == ("running", 2, 214)
    due = current_terms(contract_terms(one, as_of="2022-01-20")).iloc[0]
    assert (due["outcome"], due["late"]) == ("due", 19)
    assert current_terms(contract_terms(one, as_of="2022-03-01")).iloc[0]["outcome"] == "lost"


days = st.integers(0, 2000).map(lambda n: pd.Timestamp("2018-01-01") + pd.Timedelta(days=n))
rows = st.tuples(
    st.integers(0, 30).map("K{}".format), st.sampled_from(["A", "B", "C", None]), days | st.none(), days | st.none(),
    st.sampled_from([True, False, None]), st.sampled_from([*REASONS, "odd", None]),
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(st.lists(rows, min_size=1, max_size=15))
def test_whatever_comes_every_row_is_used_or_set_aside_once(given):
    messy = table(*given)
    kept = messy.dropna(subset=["contract_id", "account_id", "start", "end"])
    first = kept[kept["start"] <= kept["end"]].drop_duplicates("contract_id")
    if not (first["start"] <= "2021-01-01").any():
        return  # nothing to analyse: an error of its own
    found = contract_terms(messy, as_of="2021-01-01", faults="set_aside")
    aside = set(found.issues.loc[found.issues["treatment"] == "set aside", "row"])
    used = set(found.table["row"])
    assert not aside & used
    assert aside | used == set(range(1, len(messy) + 1))
    assert (current_terms(found)["relation_id"].value_counts() == 1).all()
    assert set(found.table["relation_id"]) == set(current_terms(found)["relation_id"])


def test_losses_by_reason_add_up_and_unknown_is_a_reason():
    found = clv.loss_reasons(MESSY, as_of="2022-06-30", faults="set_aside")
    lost = int((found.terms.table["outcome"] == "lost").sum())
    assert found.counts.sum() == found.codes["lost"].sum() == found.table["lost"].sum() == lost
    assert found.codes.loc["moon phase", "counted_as"] == "unknown"
    assert found.codes.loc["", "counted_as"] == "unknown"
    assert "moon phase" in found.text
    last = found.table[found.table["term"] == found.table["term"].max()]
    survival = found.retention["survival"].iloc[-1]
    assert last["incidence"].sum() + survival == pytest.approx(1.0)


def test_a_known_reason_can_be_added():
    found = clv.loss_reasons(MESSY, as_of="2022-06-30", faults="set_aside", reasons=(*REASONS, "moon phase"))
    assert found.counts["moon phase"] == 1
    assert found.codes.loc["moon phase", "counted_as"] == "moon phase"


def test_reasons_of_the_simulated_book_are_drawn_at_their_rates():
    """The universe draws reasons with shares .24 .18 .14 .20 .24: incidences are these shares of all losses."""
    book = draw(accounts=2500, seed=4, years=5).tables["contracts"]
    found = clv.loss_reasons(book, as_of="2027-12-31", confidence=0.99)
    last = found.table[found.table["term"] == found.table["term"].max()].set_index("reason")
    lost = 1 - found.retention["survival"].iloc[-1]
    for reason, share in zip(REASONS, (0.24, 0.18, 0.14, 0.20, 0.24), strict=True):
        assert last.loc[reason, "lower"] <= share * lost <= last.loc[reason, "upper"]
    assert last["lost"].index.tolist() == list(REASONS)
    assert np.isfinite(found.table["variance"]).all()
    found.plot()


def test_nobody_left_yet():
    quiet = table(("K1", "A", "2020-01-01", "2020-12-31", True), ("K2", "A", "2021-01-01", "2021-12-31"))
    found = clv.loss_reasons(quiet, as_of="2021-06-01")
    assert "none was lost" in found.text
    assert found.table.empty
    found.plot()
