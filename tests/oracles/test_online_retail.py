"""Online Retail: counts and money as known of the file, and the published selection of accounts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from clv.data.accounting.ledger import Read
from clv.data.study import load_study
from clv.data.summary import summarise

#: lines with an account, no cancellations, quantity × unit price > 0; nothing else is done.
PLAIN = {"rules.credits": "drop", "rules.duplicates": "keep", "rules.pseudo_items": []}


@pytest.fixture(scope="module")
def read(data_home: Path) -> Read:
    return load_study("online_retail").read("transactions")


@pytest.fixture(scope="module")
def plain(data_home: Path) -> Read:
    return load_study("online_retail", PLAIN).read("transactions")


def test_what_the_file_is_known_to_hold(read: Read) -> None:
    found = read.reconciliation.set_index("line")["found"]
    assert found[["read", "missing_account", "duplicates", "credits", "negative_prices", "zero_prices"]].to_dict() == {
        "read": 541_909, "missing_account": 135_080, "duplicates": 5_268, "credits": 9_288,
        "negative_prices": 2, "zero_prices": 2_515,
    }  # fmt: skip
    assert read.reconciliation.set_index("line").loc["read", "amount"] == 9_747_747.934


def test_rows_and_money_reconcile_exactly(read: Read, plain: Read) -> None:
    for reading in (read, plain):
        lines = reading.reconciliation
        micros = (lines["amount"] * 1e6).round().astype("int64")
        assert lines["rows"].iloc[0] == lines["rows"].iloc[1:].sum() == len(reading.table) + len(reading.rejected)
        assert micros.iloc[0] == 9_747_747_934_000 == micros.iloc[1:].sum()
        of_tables = (reading.table["amount"] * 1e6).round().sum() + (reading.rejected["amount"] * 1e6).round().sum()
        netted = micros[lines["line"] == "netting"].sum()
        assert int(of_tables) + netted == 9_747_747_934_000
        assert reading.errors.empty
        assert sorted([*reading.rows, *reading.rejected["row"]]) == list(range(1, 541_910))


def test_bought_and_cancelled_by_the_thousand(read: Read) -> None:
    rule = read.rejected.set_index("row")["rule"]
    assert rule[[540_422, 540_423]].tolist() == ["purchases_cancelled", "credits_netted"]  # 80,995 units


def test_netting_leaves_no_negative_money(read: Read) -> None:
    assert (read.table["amount"] > 0).all()
    assert (read.table["quantity"] * read.table["unit_price"] - read.table["amount"]).abs().max() < 1e-6


def test_accounts_at_the_cut_and_over_the_whole_time(plain: Read) -> None:
    # The cut 2011-07-01 is the first day that does not count.
    before = summarise(plain.table, as_of="2011-06-30")
    assert len(before) == 2_960
    assert len(summarise(plain.table)) == 4_338
    later = plain.table[plain.table["date"] >= "2011-07-01"]
    assert round(before.index.isin(later["account_id"]).mean(), 3) == 0.672


def _shares(table: pd.DataFrame, accounts: pd.Index) -> tuple[float, float]:
    """Share of later money with the top tenth by past money, and with the best possible tenth."""
    is_past = table["date"] < "2011-07-01"
    past, later = (
        table[rows].groupby("account_id")["amount"].sum().reindex(accounts, fill_value=0.0)
        for rows in (is_past, ~is_past)
    )
    count = round(len(accounts) / 10)
    return later[past.nlargest(count).index].sum() / later.sum(), later.nlargest(count).sum() / later.sum()


def test_the_top_tenth_by_past_spend(plain: Read) -> None:
    accounts = summarise(plain.table, as_of="2011-06-30").index
    by_past, best = _shares(plain.table, accounts)
    assert by_past == pytest.approx(0.560, abs=0.0005)
    assert best == pytest.approx(0.667, abs=0.0005)


def test_the_top_tenth_with_cancellations_as_negative_money(plain: Read, data_home: Path) -> None:
    accounts = summarise(plain.table, as_of="2011-06-30").index
    kept = load_study("online_retail", {**PLAIN, "rules.credits": "keep"}).read("transactions")
    by_past, best = _shares(kept.table, accounts)
    assert by_past == pytest.approx(0.584, abs=0.0005)
    assert best == pytest.approx(0.649, abs=0.0005)


def test_both_engines_give_equal_summaries(read: Read) -> None:
    for grain, unit in (("D", "W"), ("W", "W"), ("M", "M")):
        one = summarise(read.table, grain=grain, unit=unit)  # type: ignore[arg-type]
        two = summarise(read.table, grain=grain, unit=unit, engine="duckdb")  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_a_second_reading_is_equal(read: Read) -> None:
    again = load_study("online_retail").read("transactions")
    pd.testing.assert_frame_equal(read.table, again.table)
    pd.testing.assert_frame_equal(read.rejected, again.rejected)
