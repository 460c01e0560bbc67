"""Acquisition status: precedence, episodes, and what is not known."""

from __future__ import annotations

import pandas as pd
import pytest

import clv
from clv.errors import DataError, SettingsError


def bought(**dates: list[str]) -> pd.DataFrame:
    rows = [(account, pd.Timestamp(day), 10.0) for account, days in dates.items() for day in days]
    return pd.DataFrame(rows, columns=["account_id", "date", "amount"])


BOOK = bought(
    steady=["2023-06-01", "2023-09-01", "2023-12-01", "2024-03-01", "2024-06-01"],
    quiet=["2024-01-01", "2024-01-08", "2024-01-15"],
    gone=["2022-01-01", "2022-02-01"],
    back=["2022-01-01", "2022-02-01", "2024-05-01", "2024-06-20"],
    back_quiet=["2022-01-01", "2024-01-01", "2024-01-10"],
    once=["2024-06-01"],
    later=["2024-12-01"],
)
ACCOUNTS = pd.DataFrame(
    {
        "account_id": ["steady", "open", "free", "unborn", "later"],
        "created": pd.to_datetime(["2023-01-01", "2023-01-01", None, "2025-01-01", "2023-01-01"]),
        "greenfield": pd.array([None, False, True, True, None], dtype="boolean"),
    }
)


@pytest.fixture(scope="module")
def found():
    return clv.acquisition_status(BOOK, as_of="2024-06-30", accounts=ACCOUNTS)


def test_precedence(found):
    assert found.table["status"].to_dict() == {
        "steady": "active", "quiet": "lapsing", "gone": "inactive", "back": "reacquired", "back_quiet": "lapsing",
        "once": "active", "later": "prospect", "open": "prospect", "free": "greenfield",
    }  # fmt: skip
    assert found.by_status["accounts"].sum() == len(found.table) == 9
    assert "2 that never bought it is not known" not in found.text
    assert "Of 1 that never bought it is not known" in found.text
    assert found.plot().get_title() == "Acquisition status of 9 accounts"


def test_episodes(found):
    back = found.episodes[found.episodes["account_id"] == "back"]
    assert back["episode"].tolist() == [1, 2]
    assert back["from"].tolist() == [pd.Timestamp("2022-01-01"), pd.Timestamp("2024-05-01")]
    assert back["to"].tolist() == [pd.Timestamp("2022-02-01"), pd.Timestamp("2024-06-20")]
    assert back["purchases"].tolist() == [2, 2]
    assert back["money"].tolist() == [20.0, 20.0]
    assert back["ended"].tolist() == [True, False]
    assert found.episodes.set_index("account_id").loc["gone", "ended"]
    assert found.table.loc["back", "interval"] == (31 + 50) / 2  # the silence between episodes is no interval
    per = found.episodes.groupby("account_id")["purchases"].sum()
    assert per.to_dict() == found.table.loc[found.table["purchases"] > 0, "purchases"].to_dict()


def test_a_single_purchase_waits_as_long_as_the_book_does(found):
    gaps = [92, 91, 91, 92, 7, 7, 31, 31, 50, 9]
    assert found.table.loc["once", "interval"] == pytest.approx(sum(gaps) / len(gaps))


def test_nothing_is_lost(found):
    out = found.left_out.set_index("account_id")["reason"].to_dict()
    assert out == {"later": "first bought after 2024-06-30", "unborn": "created after 2024-06-30"}
    assert set(found.table.index) | set(out) == set(BOOK["account_id"]) | set(ACCOUNTS["account_id"])


def test_the_past_does_not_know_the_future():
    known = BOOK[BOOK["date"] <= "2024-03-31"]
    a = clv.acquisition_status(BOOK, as_of="2024-03-31")
    b = clv.acquisition_status(known, as_of="2024-03-31")
    both = a.table.index.intersection(b.table.index)
    pd.testing.assert_frame_equal(a.table.loc[both], b.table.loc[both])
    assert a.table.drop(both)["status"].tolist() == ["prospect"] * 2
    assert a.table.loc["back", "status"] == "inactive"


def test_without_a_list_only_buyers_are_there():
    table = clv.acquisition_status(BOOK).table
    assert set(table["status"]) <= {"active", "lapsing", "inactive", "reacquired"}


def test_longer_silence_only_moves_towards_inactive():
    order = {"active": 0, "reacquired": 0, "lapsing": 1, "inactive": 2}
    ago = pd.Series(0, index=BOOK["account_id"].unique())
    for day in pd.date_range("2024-12-01", "2026-02-01", freq="28D"):
        now = clv.acquisition_status(BOOK, as_of=day).table["status"].map(order).reindex(ago.index)
        assert (now >= ago).all()
        ago = now
    assert (ago == 2).all()


def test_bad_input():
    with pytest.raises(SettingsError, match="inactive_months"):
        clv.acquisition_status(BOOK, inactive_months=0)
    with pytest.raises(DataError, match="twice"):
        clv.acquisition_status(BOOK, greenfield=pd.Series([True, False], index=["x", "x"]))
    with pytest.raises(SettingsError, match="grain"):
        clv.acquisition_status(BOOK, grain="Q")
