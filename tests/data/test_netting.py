"""Credits against purchases: the rule on small books, and its invariants on drawn ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.accounting.netting import net_credits
from clv.data.readers import read_transactions
from clv.data.settings import Rules


def book(*lines: tuple[str, str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(lines, columns=["account_id", "date", "product", "amount"])
    return frame.assign(date=pd.to_datetime(frame["date"]))


def net(frame: pd.DataFrame) -> tuple[list[int], list[int]]:
    money = (frame["amount"].to_numpy() * 1e6).astype("int64")
    result = net_credits(frame, money, money < 0, np.ones(len(frame), dtype=bool))
    return (result.taken // 10**6).tolist(), (result.used // 10**6).tolist()


def test_the_latest_earlier_purchase_gives_first_then_the_one_before() -> None:
    frame = book(
        ("a", "2011-01-01", "p", 10),
        ("a", "2011-01-02", "p", 20),
        ("a", "2011-01-03", "p", -25),
        ("a", "2011-01-04", "p", 30),
    )
    assert net(frame) == ([5, 20, 0, 0], [0, 0, 25, 0])


def test_other_accounts_products_and_later_purchases_give_nothing() -> None:
    frame = book(
        ("b", "2011-01-01", "p", 10),
        ("a", "2011-01-01", "q", 10),
        ("a", "2011-01-02", "p", -5),
        ("a", "2011-01-03", "p", 10),
    )
    assert net(frame) == ([0, 0, 0, 0], [0, 0, 0, 0])


def test_on_one_day_the_order_of_lines_does_not_matter() -> None:
    assert net(book(("a", "2011-01-01", "p", -5), ("a", "2011-01-01", "p", 10))) == ([0, 5], [5, 0])


def test_an_unknown_product_is_a_product_of_its_own() -> None:
    frame = book(("a", "2011-01-01", "p", 10), ("a", "2011-01-01", None, 10), ("a", "2011-01-02", None, -4))  # type: ignore[arg-type]
    assert net(frame) == ([0, 4, 0], [0, 0, 4])


LINE = st.tuples(st.sampled_from("ab"), st.integers(1, 9), st.sampled_from("pq"), st.integers(-6, 6))


@settings(max_examples=300, deadline=None)
@given(st.lists(LINE, max_size=14))
def test_invariants_and_a_second_way_of_computing(lines: list[tuple[str, int, str, int]]) -> None:
    frame = book(*((a, f"2011-01-{d:02}", p, float(m)) for a, d, p, m in lines))
    taken, used = net(frame)
    # Unit by unit: each unit of a credit, in the order of time, takes the youngest unit still there.
    stock: dict[tuple[str, str], list[int]] = {}
    expected = [0] * len(lines)
    for at in sorted(range(len(lines)), key=lambda i: (lines[i][1], lines[i][3] < 0, i)):
        account, _, product, money = lines[at]
        pile = stock.setdefault((account, product), [])
        if money >= 0:
            pile.extend([at] * money)
            continue
        for _ in range(-money):
            if pile:
                expected[pile.pop()] += 1
    assert taken == expected
    assert sum(taken) == sum(used)
    assert all(0 <= t <= max(m, 0) for t, (*_, m) in zip(taken, lines, strict=True))
    assert all(0 <= u <= max(-m, 0) for u, (*_, m) in zip(used, lines, strict=True))


CREDITS = pd.DataFrame(
    {
        "account_id": ["a", "a", "a", "a", "b", "b"],
        "date": ["2011-01-01", "2011-01-02", "2011-01-03", "2011-01-04", "2011-01-01", "2011-01-02"],
        "invoice": ["1", "2", "C3", "C4", "5", "C6"],
        "product": ["p", "p", "p", "q", "p", "p"],
        "quantity": [10, 4, -6, -1, 3, -3],
        "unit_price": [2.0, 2.0, 2.0, 5.0, 1.0, 1.0],
    }
)


def test_a_reading_shows_what_became_of_credits() -> None:
    read = read_transactions(CREDITS, rules={"credit_pattern": "^C"})
    assert read.table[["invoice", "quantity", "unit_price", "amount"]].to_numpy().tolist() == [["1", 8.0, 2.0, 16.0]]
    assert dict(zip(read.rejected["row"], read.rejected["rule"], strict=True)) == {
        2: "purchases_cancelled", 3: "credits_netted", 4: "credits_unmatched",
        5: "purchases_cancelled", 6: "credits_netted",
    }  # fmt: skip
    lines = read.reconciliation.set_index("line")
    assert lines.loc["read", "amount"] == 20 + 8 - 12 - 5 + 3 - 3
    assert lines.loc["netting", "amount"] == 4
    assert lines["amount"].iloc[1:].sum() == lines.loc["read", "amount"]
    assert lines["rows"].iloc[1:].sum() == 6
    assert lines.loc["credits", ["rows", "found"]].tolist() == [0, 3]


def test_a_credit_larger_than_its_purchases_says_how_much_is_left() -> None:
    read = read_transactions(book(("a", "2011-01-01", "p", 10), ("a", "2011-01-02", "p", -25)))
    reason = read.rejected.set_index("rule").loc["credits_unmatched", "reason"]
    assert "25.00, of which 15.00 finds no earlier purchase" in reason
    assert read.table.empty


@pytest.mark.parametrize(("choice", "rows", "money"), [("drop", 3, 31.0), ("keep", 6, 11.0)])
def test_other_choices(choice: str, rows: int, money: float) -> None:
    read = read_transactions(CREDITS, rules={"credits": choice})
    assert (len(read.table), read.table["amount"].sum()) == (rows, money)


def test_credits_that_are_written_as_positive_amounts_count_as_credits() -> None:
    frame = book(("a", "2011-01-01", "p", 10), ("a", "2011-01-02", "p", 4)).assign(invoice=["1", "C2"])
    assert read_transactions(frame, rules={"credit_pattern": "^C"}).table["amount"].tolist() == [6.0]
    kept = read_transactions(frame, rules={"credit_pattern": "^C", "credits": "keep"})
    assert kept.table["amount"].tolist() == [10.0, -4.0]
    assert kept.reconciliation["amount"].tolist()[-1] == 6.0


def test_a_cancelled_purchase_of_eighty_thousand_units_disappears() -> None:
    frame = pd.DataFrame(
        {"account_id": "16446", "date": ["2011-12-09 09:15", "2011-12-09 09:27"],
         "product": "23843", "invoice": ["581483", "C581484"],
         "quantity": [80995, -80995], "unit_price": 2.08}
    )  # fmt: skip
    read = read_transactions(frame, rules=Rules(credit_pattern="^C"))
    assert read.table.empty
    assert read.rejected["amount"].tolist() == [168469.6, -168469.6]
