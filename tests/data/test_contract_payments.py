"""A contract's payment is no purchase: by the study's rules, and looked for where it has none."""

from __future__ import annotations

import pandas as pd
import pytest

import clv
from clv.errors import DataError, SettingsError

LINES = pd.DataFrame(
    {
        "account_id": ["A", "A", "A", "A", "B", "B"],
        "date": pd.to_datetime(["2020-01-03", "2020-02-01", "2020-02-01", "2022-06-01", "2020-05-05", "2020-06-05"]),
        "amount": [1200.0, 60.0, 40.0, 1200.0, 100.0, 33.0],
        "invoice": ["I1", "I2", "I2", "I3", "S-4", "I5"],
        "product": ["SERVICE", "P1", "P2", "P1", "P1", "P1"],
    }
)
TERMS = pd.DataFrame(
    {
        "contract_id": ["K1", "K2"], "account_id": ["A", "B"], "value": [1200.0, 400.0],
        "start": pd.to_datetime(["2020-01-01", "2020-01-01"]), "end": pd.to_datetime(["2020-12-31", "2020-12-31"]),
    }
)  # fmt: skip


def test_what_looks_like_a_payment_is_listed():
    found = clv.contract_payments(LINES, TERMS)
    assert found.table[["account_id", "invoice", "contract_id", "part"]].to_numpy().tolist() == [
        ["A", "I1", "K1", 1], ["A", "I2", "K1", 12], ["B", "S-4", "K2", 4],
    ]  # fmt: skip
    assert "3 of 5 invoices, of 2 accounts and 1,400 in all" in found.text
    without = clv.contract_payments(LINES.drop(columns="invoice"), TERMS)
    assert len(without.table) == 3
    assert "None of 5 invoices" in clv.contract_payments(LINES, TERMS.assign(value=7.0)).text
    with pytest.raises(DataError, match="'value'"):
        clv.contract_payments(LINES, TERMS.drop(columns="value"))


def test_what_the_study_names_is_set_aside_and_counted():
    read = clv.read_transactions(LINES, rules={"contract_items": ["SERV.*"], "contract_invoices": "^S-"})
    assert read.table["invoice"].tolist() == ["I2", "I2", "I3", "I5"]
    line = read.reconciliation.set_index("line").loc["contract_payments"]
    assert (line["rows"], line["amount"]) == (2, 1300.0)
    assert set(read.rejected["rule"]) == {"contract_payments"}
    assert "payments of contracts 2" in read.text
    assert len(clv.read_transactions(LINES).table) == 6  # the default: no line is a contract's payment
    left = clv.contract_payments(read.table, TERMS).table
    assert left["invoice"].tolist() == ["I2"]


def test_a_credit_of_a_payment_is_no_credit_of_a_purchase():
    credit = LINES.iloc[[0]].assign(amount=-1200.0, date=pd.Timestamp("2020-03-01"), invoice="I9")
    read = clv.read_transactions(pd.concat([LINES, credit], ignore_index=True), rules={"contract_items": ["SERVICE"]})
    assert read.reconciliation.set_index("line").loc["contract_payments", "rows"] == 2
    assert "credits_netted" not in set(read.rejected["rule"])


def test_rules_that_cannot_be_applied_are_named():
    with pytest.raises(SettingsError, match="no column 'product'"):
        clv.read_transactions(LINES.drop(columns="product"), rules={"contract_items": ["SERVICE"]})
    with pytest.raises(SettingsError, match=r"rules\.contract_invoices"):
        clv.read_transactions(LINES, rules={"contract_invoices": "("})
