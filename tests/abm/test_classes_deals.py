"""Stalled deals, leads, the gate of three: oracles, no look-ahead, and unknown that is never no."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.data.settings import ClassRules
from clv.errors import DataError

DAY = pd.Timestamp("2025-12-31")


def deals(won: list[int], lost: list[int] = (), open_: list[int] = ()) -> pd.DataFrame:
    """Deals opened on 2024-01-01, closed after so many days; open ones of such ages on the last day."""
    rows = []
    for outcome, days in (("won", won), ("lost", lost)):
        for d in days:
            rows.append((outcome, pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-01") + pd.Timedelta(days=d)))
    rows += [("open", DAY - pd.Timedelta(days=d), pd.NaT) for d in open_]
    frame = pd.DataFrame(rows, columns=["outcome", "created", "closed"])
    frame["opportunity_id"] = [f"D{i}" for i in range(len(frame))]
    frame["account_id"] = [f"A{i}" for i in range(len(frame))]
    return frame.assign(amount=100.0)


def test_without_losses_it_is_the_distribution_of_won_deals():
    found = clv.stalled_deals(deals(list(range(1, 101)), open_=[0, 50, 97, 99]), as_of=DAY)
    # 4 deals are still open at each of their ages: Kaplan-Meier by hand for the last two.
    ages = found.table.set_index("age")["p_longer"]
    assert ages[0] == pytest.approx(1)
    assert ages[97] < 0.05 < ages[50]
    assert found.table["stalled"].sum() == 2
    assert found.accounts["false"].sum() == 2


def test_conditional_chance_by_hand():
    # 20 deals: 10 won on day 10, 5 lost on day 20, 5 won on day 30; one open at 15, one at 25 (censored).
    frame = deals([10] * 10 + [30] * 5, [20] * 5, [15, 25])
    found = clv.stalled_deals(frame, as_of=DAY).table.set_index("age")
    s10 = 12 / 22
    s20 = s10 * (1 - 5 / 11)
    first, rest = 10 / 22, s20 * 5 / 5
    assert found.loc[15, "p_win"] == pytest.approx(rest / s10)
    assert found.loc[25, "p_win"] == pytest.approx(rest / s20)
    assert found.loc[15, "p_longer"] == pytest.approx(1 - first / (first + rest))
    assert found["p_win_new"].iloc[0] == pytest.approx(first + rest)


def test_simulated_stalls_are_found():
    g = np.random.default_rng(3)
    took = g.gamma(4, 12, 400).round().astype(int)
    won = g.random(400) < 0.4
    frame = deals(took[won].tolist(), took[~won].tolist(), [200] * 10 + [20] * 40)
    found = clv.stalled_deals(frame, as_of=DAY)
    assert found.table.loc[found.table["age"] == 200, "stalled"].all()
    assert not found.table.loc[found.table["age"] == 20, "stalled"].any()
    assert "10 of 50 open deals are stalled" in found.text
    assert "1,000" in found.text
    assert found.plot().get_title()


def test_nothing_is_seen_of_what_came_later():
    frame = deals([5] * 20, open_=[3])
    late = pd.DataFrame({"outcome": "won", "created": DAY - pd.Timedelta(days=90), "closed": DAY + pd.Timedelta(days=9),
                         "opportunity_id": ["later"], "account_id": ["Z"], "amount": 1.0})  # fmt: skip
    new = late.assign(opportunity_id="new", created=DAY + pd.Timedelta(days=1))
    found = clv.stalled_deals(pd.concat([frame, late, new], ignore_index=True), as_of=DAY)
    assert set(found.table.index) == {"D20", "later"}
    assert found.table.loc["later", "stalled"]
    assert found.left_out["rows"].sum() == 1


def test_few_won_deals_say_nothing():
    found = clv.stalled_deals(deals([5] * 9, open_=[500]), as_of=DAY)
    assert found.table["stalled"].isna().all()
    assert found.accounts["false"].isna().all()
    assert "cannot be told" in found.text
    assert clv.stalled_deals(deals([5] * 9), as_of=DAY).text.startswith("No deal is open")
    with pytest.raises(DataError, match="outcome"):
        clv.stalled_deals(deals([5]).drop(columns="outcome"))
    with pytest.raises(DataError, match="twice"):
        clv.stalled_deals(pd.concat([deals([5]), deals([5])]))
    backwards = deals([5] * 12, open_=[1])
    backwards.loc[0, "closed"] = pd.Timestamp("2023-01-01")
    assert "closed before they were opened" in clv.stalled_deals(backwards, as_of=DAY).text


def test_time_in_stage_where_there_is_a_log():
    frame = deals([40] * 20, open_=[100, 100])
    rows = [(f"D{i}", "offer", pd.Timestamp("2024-01-01")) for i in range(20)]
    rows += [(f"D{i}", "contract", pd.Timestamp("2024-01-31")) for i in range(20)]
    opened = DAY - pd.Timedelta(days=100)
    rows += [("D20", "offer", opened), ("D21", "offer", opened), ("D21", "contract", DAY - pd.Timedelta(days=5))]
    log = pd.DataFrame(rows, columns=["opportunity_id", "stage", "entered"])
    found = clv.stalled_deals(frame, stage_log=log, as_of=DAY).table
    assert found.loc["D20", ["stage", "age"]].tolist() == ["offer", 100]
    assert found.loc["D21", ["stage", "age"]].tolist() == ["contract", 5]
    assert found["stalled"].to_dict() == {"D20": True, "D21": False}


def answers(**columns: object) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    flags = {k: pd.array(v, dtype="boolean") for k, v in columns.items()}
    return pd.DataFrame({"account_id": list("abcdefgh")[:n], "date": pd.Timestamp("2025-06-01"), **flags})


def test_a_lead_needs_contact_wish_and_budget_and_wish_outranks_budget():
    contacts = pd.DataFrame({"contact_id": list("123456"), "account_id": list("abcdef")})
    said = answers(wish=[True, True, None, None, False, True], budget=[True, None, True, None, True, False])
    found = clv.lead_status(list("abcdef"), contacts=contacts, assessments=said, as_of=DAY)
    assert found.table["status"].tolist() == ["lead", "open", "open", "open", "no lead", "no lead"]
    assert found.table["rank"].tolist() == [1, 2, 3, 4, 5, 5]
    assert found.table.loc["d", "question"] == "Do they wish to buy? Is there a budget for it?"
    assert found.table.loc["e", "question"] == ""
    assert found.counts.loc["budget"].tolist() == [3, 1, 2]
    assert found.plot().get_title() == "Leads: 1 of 6 accounts"


def test_without_tables_everything_is_unknown_and_refused_consent_is_no_contact():
    found = clv.lead_status(["a", "b"], as_of=DAY)
    assert found.table[["contact", "wish", "budget"]].isna().all().all()
    assert (found.table["status"] == "open").all()
    refused = pd.DataFrame({"contact_id": ["1", "2"], "account_id": ["a", "b"],
                            "consent": pd.array([False, None], dtype="boolean")})  # fmt: skip
    found = clv.lead_status(["a", "b"], contacts=refused, as_of=DAY)
    assert found.table["contact"].tolist() == [False, True]
    assert found.table["status"].tolist() == ["no lead", "open"]


def test_latest_answer_counts_column_by_column_and_behaviour_is_evidence():
    said = pd.DataFrame({"account_id": ["a", "a", "a"],
                         "date": pd.to_datetime(["2025-01-01", "2025-02-01", "2026-05-01"]),
                         "wish": pd.array([True, False, True], dtype="boolean"),
                         "budget": pd.array([True, None, None], dtype="boolean")})  # fmt: skip
    lines = pd.DataFrame({"account_id": ["b"], "date": [DAY], "amount": [5.0]})
    touches = pd.DataFrame({"account_id": ["b", "c"], "date": [DAY, DAY - pd.Timedelta(days=300)],
                            "inbound": pd.array([True, True], dtype="boolean")})  # fmt: skip
    found = clv.lead_status(list("abc"), assessments=said, transactions=lines, touches=touches, as_of=DAY).table
    assert found["wish"].tolist()[:2] == [False, True]
    assert found["budget"].tolist()[:2] == [True, True]
    assert pd.isna(found.loc["c", "wish"])
    wide = clv.lead_status(list("abc"), touches=touches, as_of=DAY, rules=ClassRules(recent_days=400)).table
    assert wide.loc["c", "wish"]


def test_gate_of_three():
    said = answers(need=[True, True, True], ability_to_pay=[True, False, None], authority=[True, None, None])
    contacts = pd.DataFrame({"contact_id": ["1", "2"], "account_id": ["c", "b"], "role": ["decider", "user"]})
    found = clv.gate_of_three(list("abc"), assessments=said, contacts=contacts, as_of=DAY)
    assert found.table["status"].tolist() == ["pass", "excluded", "ask"]
    assert found.table.loc["c", "question"] == "Are they able to pay?"
    assert found.table.loc["c", "authority"]
    assert pd.isna(found.table.loc["b", "authority"])  # a user is no proof that nobody decides
    with pytest.raises(DataError, match="neither yes, no nor empty"):
        clv.gate_of_three(["a"], assessments=pd.DataFrame({"account_id": ["a"], "date": [DAY], "need": ["maybe"]}))


def test_demo_in_words():
    study = clv.load_study("demo")
    tables = {name: study.read(name).table for name in ("contacts", "touches", "opportunities", "transactions")}
    accounts = study.read("accounts").table
    gate = clv.gate_of_three(accounts, as_of="2026-01-01", **tables)
    lead = clv.lead_status(accounts, as_of="2026-01-01", **tables)
    assert len(gate.table) == len(lead.table) == 600
    assert not (gate.table["status"] == "excluded").any()  # nobody answered anything
    stalled = clv.stalled_deals(tables["opportunities"], as_of="2026-01-01")
    assert len(stalled.table) == (tables["opportunities"]["outcome"] == "open").sum()


def test_assessments_are_read_with_unknown_kept_apart_from_no():
    source = pd.DataFrame({"account_id": ["a", "b"], "date": ["2025-06-01", "2025-06-02"], "wish": ["yes", ""],
                           "budget": ["no", "yes"], "complaints": ["3", ""]})  # fmt: skip
    said = clv.read_assessments(source).table
    found = clv.lead_status(["a", "b"], assessments=said, as_of=DAY).table
    assert found["budget"].tolist() == [False, True]
    assert found.loc["a", "wish"]
    assert pd.isna(found.loc["b", "wish"])
