"""Purchases after the as-of date, accounts without purchases: named, counted, nothing lost."""

from __future__ import annotations

import pandas as pd
import pytest

import clv
from clv.churn import churn_stages
from clv.value import BetaGeoModel


@pytest.fixture(scope="module")
def lines():
    rows = [(f"A{n:02d}", day) for n in range(30) for day in range(0, 400, 20 + n)]
    table = pd.DataFrame(rows, columns=["account_id", "day"])
    table["date"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(table.pop("day"), unit="D")
    more = pd.DataFrame(
        {
            "account_id": ["A00", "A00", "LATE", "CREDIT"],
            "date": pd.to_datetime(["2025-03-01", "2025-04-01", "2025-03-05", "2024-05-01"]),
            "amount": [5.0, 5.0, 7.0, -3.0],
        }
    )
    return pd.concat([table.assign(amount=10.0), more], ignore_index=True)


@pytest.fixture(scope="module")
def found(lines):
    summary = clv.summarise(lines, as_of="2025-02-03")
    model = BetaGeoModel(prior="weak").fit(summary)
    value = pd.Series(1.0, index=[*summary.index, "PROSPECT", "NOBODY"])
    return churn_stages(
        model, summary, 52, transactions=lines, accounts=["A01", "PROSPECT", "LATE", "CREDIT"], value=value
    )


def test_who_and_what_is_left_out_is_named_and_counted(found):
    assert found.left_out.values.tolist() == [
        ["LATE", "first bought after 2025-02-03", 1],
        ["A00", "lines after 2025-02-03", 2],
        ["CREDIT", "no purchase, credits only", 1],
        ["PROSPECT", "never bought", 0],
        ["NOBODY", "never bought, though it has a value", 0],
    ]
    for said in ("lines after 2025-02-03 (2 rows of 1 account)", "never bought (1 account)", "credits only"):
        assert said in found.text


def test_nothing_is_lost(found, lines):
    """Accounts: staged + left out = all; rows: counted in a stage + left out = all."""
    whole = set(lines["account_id"]) | {"PROSPECT", "NOBODY"}
    without = found.left_out[~found.left_out["account_id"].isin(found.table.index)]
    assert set(found.table.index) | set(without["account_id"]) == whole
    assert len(found.table) + len(without) == len(whole)
    used = lines["account_id"].isin(found.table.index) & (lines["date"] <= "2025-02-03")
    assert used.sum() + found.left_out["rows"].sum() == len(lines)
    assert found.by_stage["accounts"].sum() == len(found.table) == 30


def test_purchases_after_the_date_change_nothing(found, lines):
    known = lines[lines["date"] <= "2025-02-03"]
    summary = clv.summarise(known, as_of="2025-02-03")
    model = BetaGeoModel(prior="weak").fit(summary)
    again = churn_stages(model, summary, 52, transactions=known, value=pd.Series(1.0, index=summary.index))
    pd.testing.assert_frame_equal(found.table, again.table)
    assert again.left_out["reason"].tolist() == ["no purchase, credits only"]


def test_where_nothing_is_left_out_nothing_is_said(lines):
    known = lines[lines["account_id"].str.startswith("A") & (lines["date"] <= "2025-02-03")]
    summary = clv.summarise(known)
    model = BetaGeoModel(prior="weak").fit(summary)
    found = churn_stages(model, summary, 52, transactions=known, accounts=summary.index)
    assert found.left_out.empty
    assert "Left out" not in found.text
    assert churn_stages(model, summary, 52).left_out.empty


def test_probability_of_a_silent_quarter_is_that_of_the_model(found, lines):
    summary = clv.summarise(lines, as_of="2025-02-03")
    model = BetaGeoModel(prior="weak").fit(summary)
    expected = model.no_purchase_probability(summary, 365.25 / 4 / 7)
    pd.testing.assert_series_equal(found.table["p_no_purchase"], expected)


def test_sentences_can_be_left_away(lines):
    summary = clv.summarise(lines, as_of="2025-02-03")
    model = BetaGeoModel(prior="weak").fit(summary)
    quick, full = (churn_stages(model, summary, 52, sentences=want) for want in (False, True))
    assert (quick.table["sentence"] == "").all()
    assert (full.table["sentence"] != "").all()
    pd.testing.assert_frame_equal(quick.table.drop(columns="sentence"), full.table.drop(columns="sentence"))
    assert quick.text == full.text
