"""From lines through the study's rules to the money of purchases: every amount is somewhere, under every rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clv
from clv.data.spend import Spend, reconcile_spend

#: (account, day, product, amount): an order netted in part, one netted to zero, credits without purchases, free orders.
ROWS = [
    ("part", 1, "x", 100.0), ("part", 20, "x", 80.0), ("part", 25, "x", -30.0), ("part", 40, "y", 50.0),
    ("zero", 1, "x", 60.0), ("zero", 15, "x", 40.0), ("zero", 18, "x", -40.0),
    ("none", 3, "x", 70.0), ("none", 9, "x", -70.0),
    ("minus", 5, "x", 20.0), ("minus", 8, "z", -90.0),
    ("free", 2, "x", 10.0), ("free", 12, "x", 0.0), ("free", 22, "x", 30.0),
]  # fmt: skip


def lines(rows: list[tuple[str, int, str, float]] = ROWS) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["account_id", "day", "product", "amount"])
    return table.assign(date=pd.Timestamp("2020-01-01") + pd.to_timedelta(table.pop("day"), unit="D"))


def money(rules: dict) -> tuple[pd.DataFrame, Spend]:
    read = clv.read_transactions(lines(), rules=rules)
    assert read.reconciliation["rows"].iloc[0] == read.reconciliation["rows"].iloc[1:].sum()
    return clv.summarise(read.table, unit="D"), reconcile_spend(read.table)


def test_netted_spend_is_what_is_left_of_orders():
    summary, spend = money({"credits": "net"})
    assert summary["frequency"].to_dict() == {"free": 1, "minus": 0, "part": 2, "zero": 0}
    assert summary.loc["part", "monetary_value"] == 50.0  # (80 − 30, 50)
    assert "none" not in summary.index  # its only order was cancelled in full: no purchase, no account
    assert summary.loc["minus", "T"] == 35.0  # the credit found nothing to be set against, and takes nothing
    amount = spend.table.set_index("line")["amount"]
    assert amount["repeat_purchases"] == (summary["frequency"] * summary["monetary_value"]).sum() == 130.0
    assert amount["credits_alone"] == amount["left_out"] == 0


def test_kept_credits_are_no_purchases_and_are_said():
    summary, spend = money({"credits": "keep"})
    assert summary["frequency"].to_dict() == {"free": 1, "minus": 0, "none": 0, "part": 2, "zero": 1}
    assert summary.loc["part", "monetary_value"] == 65.0  # the credit stands alone, on a day of its own
    table = spend.table.set_index("line")
    assert (table.loc["credits_alone", "intervals"], table.loc["credits_alone", "amount"]) == (4, -230.0)
    assert table.loc["accepted", "amount"] == table["amount"].iloc[1:].sum() == pytest.approx(230.0)
    assert "4 times credits took all" in spend.text
    same_day = clv.read_transactions(lines([("a", 1, "x", 5.0), ("a", 1, "x", -9.0)]), rules={"credits": "keep"})
    alone = reconcile_spend(same_day.table)
    assert alone.left_out.to_dict("records") == [{"account_id": "a", "rows": 2, "amount": -4.0}]
    assert "1 account has no purchase left" in alone.text


def test_dropped_credits_leave_orders_whole():
    summary, _ = money({"credits": "drop"})
    assert summary.loc["part", "monetary_value"] == 65.0
    assert summary["frequency"]["zero"] == 1


def test_free_orders_follow_the_rule():
    without, _ = money({"credits": "net"})
    assert without.loc["free", "monetary_value"] == 30.0
    kept, spend = money({"credits": "net", "zero_prices": "keep"})
    assert (kept.loc["free", "frequency"], kept.loc["free", "monetary_value"]) == (2, 15.0)
    assert spend.free == 1
    assert "Free of charge is 1 purchase" in spend.text


def test_money_of_no_purchase_reaches_no_model():
    """A book with free orders and accounts netted to nothing can be fitted, and its values are finite."""
    rng = np.random.default_rng(3)
    rows = []
    for account in range(120):
        for day in np.unique(np.cumsum(rng.integers(5, 60, rng.integers(1, 9)))):
            rows.append((f"A{account:03d}", int(day), "x", float(rng.choice([0.0, rng.gamma(3, 20)], p=[0.1, 0.9]))))
        if rng.random() < 0.3:
            rows.append((f"A{account:03d}", int(day) + 1, "x", -rows[-1][3]))
    for rules in ({"credits": "net", "zero_prices": "keep"}, {"credits": "keep"}, {"credits": "drop"}):
        read = clv.read_transactions(lines(rows), rules=rules)
        summary = clv.summarise(read.table)
        assert (summary["monetary_value"] >= 0).all()
        value = clv.lifetime_value(
            clv.BetaGeoModel(prior="weak").fit(summary), clv.GammaGammaModel(prior="weak").fit(summary), summary,
            horizon=52, discount_rate=0.1, margin=0.3,
        )  # fmt: skip
        assert np.isfinite(value.table["clv"]).all()
        amount = reconcile_spend(read.table).table.set_index("line")["amount"]
        assert amount["repeat_purchases"] == pytest.approx((summary["frequency"] * summary["monetary_value"]).sum())


ROW = st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.sampled_from("xy"), st.integers(-9, 9).map(float))


@settings(max_examples=20, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12), st.sampled_from("DWM"), st.integers(0, 60))
def test_spend_balances_whatever_the_book(rows, grain, end):
    table = lines(rows)
    as_of = pd.Timestamp("2020-01-01") + pd.Timedelta(days=end)
    spend = reconcile_spend(table, as_of=as_of, grain=grain)
    body = spend.table.iloc[1:]
    assert body["rows"].sum() == len(table)
    assert body["amount"].sum() == pytest.approx(table["amount"].sum())
    counted = spend.table.set_index("line")
    if counted.loc["first_purchases", "accounts"]:
        summary = clv.summarise(table, as_of=as_of, grain=grain)
        assert len(summary) == counted.loc["first_purchases", "intervals"]
        assert summary["frequency"].sum() == counted.loc["repeat_purchases", "intervals"]
        assert set(spend.left_out["account_id"]).isdisjoint(summary.index)
