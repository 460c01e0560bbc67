"""The book at a glance, and what a study lacks."""

from __future__ import annotations

import pandas as pd
import pytest

import clv
from clv.data.book import describe_book
from clv.data.coverage import UNLOCKS, coverage
from clv.data.settings import TABLE_NAMES
from clv.errors import DataError


def purchases(**amounts: float) -> pd.DataFrame:
    rows = [(account, pd.Timestamp("2025-01-15") + pd.DateOffset(months=i), amount)
            for i, (account, amount) in enumerate(amounts.items())]  # fmt: skip
    return pd.DataFrame(rows, columns=["account_id", "date", "amount"])


def test_months_accounts_and_newcomers():
    frame = pd.concat([purchases(a=100.0, b=50.0), purchases(a=25.0)])
    table = describe_book(frame).table
    assert table["amount"].tolist() == [125.0, 50.0]
    assert table["accounts"].tolist() == [1, 1]
    assert table["new"].tolist() == [1, 1]
    assert table["amount"].sum() == frame["amount"].sum()


@pytest.mark.parametrize(("largest", "said"), [(9.0, None), (15.0, "key account"), (40.0, "depends on one account")])
def test_concentration_is_an_alert(largest, said):
    rest = {f"r{i:02d}": (100.0 - largest) / 19 for i in range(19)}
    book = describe_book(purchases(big=largest, **rest), currency="GBP")
    assert book.largest_share == pytest.approx(largest / 100)
    assert book.top_share == pytest.approx((largest + (100 - largest) / 19) / 100)
    assert "GBP" in book.text
    for words in ("key account", "depends on one account"):
        assert (words in book.text) == (words == said)


def test_an_empty_book_is_an_error_with_a_mend():
    with pytest.raises(DataError, match=r"transactions.*holds no purchase.*Mend"):
        describe_book(purchases())


def test_picture():
    assert describe_book(purchases(a=1.0, b=2.0)).plot().get_title() == "Purchases by month"


def test_coverage_names_every_table_and_what_is_missing():
    assert set(UNLOCKS) == set(TABLE_NAMES)
    found = coverage(clv.load_study("cdnow"))
    assert found.table["table"].tolist() == list(UNLOCKS)
    assert found.table.set_index("table")["present"].to_dict() == {t: t == "transactions" for t in UNLOCKS}
    assert f"1 of {len(TABLE_NAMES)} tables" in found.text
    assert "renewals" in found.text
    everything = coverage(clv.load_study("demo")).table
    assert set(everything.loc[~everything["present"], "table"]) == {"offers", "assessments", "team_tiers", "managers"}
    assert (everything["read"] == everything[["accepted", "errors", "set_aside"]].sum(axis=1)).all()
