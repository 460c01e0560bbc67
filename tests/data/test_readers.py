"""The public readers: mapping, rules, schemas, and books that balance whatever comes."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clv.data.readers as readers
from clv.data.accounting.ledger import Read, exact_sum, to_micros
from clv.data.schemas import broken
from clv.data.settings import TableSource
from clv.data.tables import INPUTS, RUN_TABLES
from clv.errors import DataError, SettingsError

GOOD = pd.DataFrame({"account_id": ["007", "NA"], "date": ["2011-01-01", "2011-01-02"], "amount": ["10.5", "3"]})


def transactions(text: str, tmp_path: Path, **options: object) -> Read:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    return readers.read_transactions(tmp_path / "t.csv", **options)  # type: ignore[arg-type]


def test_a_plain_file(tmp_path: Path) -> None:
    read = transactions("account_id,date,amount,note\n007,2011-01-01,10.5,x\nNA,2011-01-02 10:15,3,y\n", tmp_path)
    assert read.table["account_id"].tolist() == ["007", "NA"]
    assert read.table["date"].tolist() == [pd.Timestamp("2011-01-01"), pd.Timestamp("2011-01-02 10:15")]
    assert list(read.table.columns) == ["account_id", "date", "amount"]
    assert str(read.table["date"].dtype) == "datetime64[ns]"
    assert read.rows.tolist() == [2, 3]
    assert read.check() is read
    INPUTS["transactions"].validate(read.table)
    RUN_TABLES["rejected"].validate(read.rejected)
    RUN_TABLES["reconciliation"].validate(read.reconciliation)


def test_columns_are_mapped_and_amount_is_computed(tmp_path: Path) -> None:
    text = "Kunde;Tag;Menge;Preis\n007;13.01.2011;3;1,10\n"
    columns = {"account_id": "Kunde", "date": "Tag", "quantity": "Menge", "unit_price": "Preis"}
    read = transactions(text, tmp_path, columns=columns)
    assert read.table["amount"].tolist() == [3.3]


def test_the_same_table_from_every_kind_of_source(tmp_path: Path) -> None:
    import duckdb
    import openpyxl
    import sqlalchemy

    tmp_path = tmp_path / "it's ours"
    tmp_path.mkdir()
    GOOD.to_csv(tmp_path / "a.csv", index=False)
    GOOD.to_parquet(tmp_path / "a.parquet")
    book = openpyxl.Workbook()
    book.create_sheet("sales")
    for row in [list(GOOD.columns), ["007", dt.datetime(2011, 1, 1), 10.5], ["NA", "2011-01-02", 3]]:
        book["sales"].append(row)
    book.save(tmp_path / "a.xlsx")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/a.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (account_id TEXT, date TEXT, amount REAL)")
        connection.exec_driver_sql("INSERT INTO t VALUES ('007', '2011-01-01', 10.5), ('NA', '2011-01-02', 3)")
    engine.dispose()
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT '007' AS account_id, DATE '2011-01-01' AS date, 10.5 AS amount")
        connection.execute("INSERT INTO t VALUES ('NA', DATE '2011-01-02', 3)")
    sources: dict[str, tuple[object, list[int]]] = {
        "csv": (tmp_path / "a.csv", [2, 3]),
        "parquet": (tmp_path / "a.parquet", [1, 2]),
        "excel": (tmp_path / "a.xlsx", [2, 3]),
        "frame": (GOOD.set_index(pd.Index([5, 5])), [1, 2]),
        "sqlite": (TableSource(sql="SELECT * FROM t", url="sqlite:///a.db"), [1, 2]),
        "duckdb": (TableSource(sql="SELECT * FROM t", url="duckdb:///a.duckdb"), [1, 2]),
        "duckdb over a file": (TableSource(sql="SELECT * FROM 'a.parquet'", url="duckdb://"), [1, 2]),
    }
    expected = readers.read_transactions(GOOD).table
    for kind, (source, rows) in sources.items():
        read = readers.read_table("transactions", source, folder=tmp_path)  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(read.table, expected, obj=kind)
        assert read.rows.tolist() == rows, kind


def test_types_of_parquet_are_kept(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "account_id": pa.array([2**62 + 1, None, 3]),
            "date": pa.array([dt.date(2011, 1, 1)] * 3).dictionary_encode(),
            "amount": pa.array([1, 2, 3], pa.decimal128(9, 2)),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    read = readers.read_transactions(tmp_path / "a.parquet", rules={"missing_account": "set_aside"})
    assert read.table["account_id"].tolist() == [str(2**62 + 1), "3"]
    assert read.rejected[["row", "rule", "amount"]].to_numpy().tolist() == [[2, "missing_account", 2.0]]


def test_a_pandas_index_in_parquet_is_no_data_and_a_named_one_is(tmp_path: Path) -> None:
    GOOD.set_index("account_id").to_parquet(tmp_path / "a.parquet")
    assert readers.read_transactions(tmp_path / "a.parquet").table["account_id"].tolist() == ["007", "NA"]
    GOOD[GOOD["amount"] != "3"].set_axis(["x"]).to_parquet(tmp_path / "b.parquet")
    assert len(readers.read_transactions(tmp_path / "b.parquet").table) == 1


def test_all_faults_of_a_row_are_told_at_once_and_it_is_counted_once() -> None:
    frame = pd.DataFrame({"account_id": ["=cmd()", "b"], "date": ["1899-12-30", "2011-01-01"], "amount": ["ten", "1"]})
    read = readers.read_transactions(frame)
    (reason,) = read.rejected["reason"]
    for part in (
        "account_id '=cmd()' could be read as markup or as a formula",
        "'1899-12-30' is before 1970-01-01",
        "'ten' is not a number",
    ):
        assert part in reason
    assert read.rejected["amount"].isna().all()
    lines = read.reconciliation.set_index("line")
    assert lines["rows"].to_dict() == {"read": 2, "unsafe_ids": 1, "too_early": 0, "not_a_number": 0, "accepted": 1}
    assert lines["found"].to_dict() == {"read": 2, "unsafe_ids": 1, "too_early": 1, "not_a_number": 1, "accepted": 1}
    assert json.loads(read.rejected["record"][0]) == {"account_id": "=cmd()", "date": "1899-12-30", "amount": "ten"}


def test_check_stops_above_the_share_and_lists_the_first_five() -> None:
    frame = pd.DataFrame(
        {"account_id": [f"a{i}" for i in range(10)], "date": "2011-01-01", "amount": ["x"] * 7 + ["1"] * 3}
    )
    read = readers.read_transactions(frame)
    with pytest.raises(DataError, match=r"7 of 10 rows \(70.00%\) cannot be read") as refusal:
        read.check()
    assert str(refusal.value).count("'x' is not a number") == 5
    assert "row 1: amount 'x'" in str(refusal.value)
    assert "… and 2 more" in str(refusal.value)
    assert "max_rejected" in str(refusal.value.mend)
    read.check(0.7)
    with pytest.raises(DataError):
        read.check(0.69)
    assert readers.read_transactions(frame, rules={"max_rejected": 0.7}).check().max_rejected == 0.7


def test_rows_that_rules_set_aside_do_not_stop_a_run() -> None:
    frame = pd.concat([GOOD, GOOD.assign(amount="0"), GOOD])
    read = readers.read_transactions(frame).check()
    assert read.rejected["rule"].tolist() == ["zero_prices", "zero_prices", "duplicates", "duplicates"]
    assert set(read.rejected["kind"]) == {"rule"}


RULED = pd.DataFrame(
    {
        "account_id": ["a", "a", "a", "a", "a", None, "a"],
        "date": "2011-01-01",
        "product": ["p", "p", "POST", "post", "r", "s", "BANK CHARGES"],
        "quantity": [1, 1, 1, 1, 1, 1, 1],
        "unit_price": [1.0, 1.0, 2.0, 0.0, -3.0, 4.0, 5.0],
    }
)


def test_rules_apply_in_their_order_and_can_be_overridden() -> None:
    read = readers.read_transactions(RULED, rules={"pseudo_items": ["POST", "BANK .*"], "missing_account": "set_aside"})
    assert dict(zip(read.rejected["row"], read.rejected["rule"], strict=True)) == {
        2: "duplicates", 3: "pseudo_items", 4: "zero_prices", 5: "negative_prices",
        6: "missing_account", 7: "pseudo_items",
    }  # fmt: skip
    kept = readers.read_transactions(
        RULED,
        rules={
            "duplicates": "keep",
            "zero_prices": "keep",
            "negative_prices": "keep",
            "credits": "keep",
            "missing_account": "set_aside",
        },
    )
    assert len(kept.table) == 6


def test_a_row_without_an_account_is_an_error_unless_set_aside() -> None:
    with pytest.raises(DataError, match="row 6: account_id is empty"):
        readers.read_transactions(RULED).check()


def test_a_negative_price_that_is_kept_pays_for_no_credit() -> None:
    frame = pd.DataFrame(
        {"account_id": "a", "date": "2011-01-01", "product": "p", "quantity": [1, -1], "unit_price": [-3.0, 3.0]}
    )
    read = readers.read_transactions(frame, rules={"negative_prices": "keep"})
    assert read.table["amount"].tolist() == [-3.0]
    assert read.rejected["rule"].tolist() == ["credits_unmatched"]


def test_values_out_of_range_are_all_found() -> None:
    frame = pd.DataFrame(
        {"account_id": ["a", "b", "c"], "date": "2011-01-01", "sentiment": [0.5, 7, -2], "inbound": ["yes", None, "no"]}
    )
    read = readers.read_touches(frame)
    assert read.rejected["row"].tolist() == [2, 3]
    assert read.rejected["reason"].tolist() == [
        f"sentiment '{value}' is not between -1 and 1 (correct it)" for value in ("7.0", "-2.0")
    ]
    assert read.table["inbound"].tolist() == [True]


@pytest.mark.parametrize(
    ("table", "column", "value", "said"),
    [
        ("programmes", "arm", "Test", "arm 'Test' is none of 'treatment', 'control' (correct it)"),
        ("programmes", "cost", "-5", "cost '-5.0' is below 0 (correct it)"),
        ("transactions", "margin_share", "1.5", "margin_share '1.5' is above 1 (correct it)"),
    ],
)
def test_values_that_are_not_allowed_are_said_in_words(table, column, value, said) -> None:
    row = {"account_id": "a", "date": "2011-01-01", "start": "2011-01-01", "amount": "1", "tier": "1:1",
           "arm": "control"}  # fmt: skip
    read = getattr(readers, f"read_{table}")(pd.DataFrame([row | {column: value}]))
    assert read.rejected["reason"].tolist() == [said]


def test_every_check_of_a_table_has_words() -> None:
    for schema in (*INPUTS.values(), *RUN_TABLES.values()):
        for column in schema.columns.values():
            assert all(broken(check).startswith("is ") for check in column.checks)


def test_an_unknown_flag_stays_unknown() -> None:
    frame = pd.DataFrame({"contact_id": ["1", "2"], "account_id": "a", "consent": ["yes", ""]})
    assert readers.read_contacts(frame).table["consent"].tolist() == [True, pd.NA]


def test_an_id_that_must_be_the_only_one() -> None:
    frame = pd.DataFrame({"account_id": ["a", "b", "a", "a"], "industry": ["x", "x", "y", "x"]})
    read = readers.read_accounts(frame)
    assert dict(zip(read.rejected["row"], read.rejected["rule"], strict=True)) == {3: "repeated_id", 4: "duplicates"}
    assert "account_id 'a' is in row 1 already" in read.rejected["reason"].iloc[0]
    assert read.table["account_id"].tolist() == ["a", "b"]


def test_accounts_keep_further_columns_and_transactions_do_not() -> None:
    frame = pd.DataFrame({"account_id": ["a"], "Gender": ["1"]})
    assert readers.read_accounts(frame).table["Gender"].tolist() == ["1"]
    assert "note" not in readers.read_transactions(GOOD.assign(note="x")).table


def test_dates_of_what_will_happen_may_lie_ahead_and_others_not() -> None:
    contract = pd.DataFrame(
        {"contract_id": ["1"], "account_id": "a", "start": "2011-01-01", "end": "2091-01-01", "value": 1}
    )
    assert len(readers.read_contracts(contract).table) == 1
    assert len(readers.read_wallets(pd.DataFrame({"account_id": ["a"], "date": "2091-01-01", "wallet": 1})).table) == 0


@pytest.mark.parametrize("table", sorted(INPUTS))
def test_every_table_has_a_reader_that_says_what_is_missing(table: str) -> None:
    read = getattr(readers, f"read_{table}")
    said = rf"table '{table}', column '\w+'.*has no such column.*It has (nothing, useful|useful, nothing)"
    with pytest.raises(DataError, match=said):
        read(pd.DataFrame({"nothing": ["x"], "useful": ["y"]}))


def test_a_missing_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        DataError, match=r"column 'account_id'.*It has Account ID, amount, date.*columns: \{account_id: …\}"
    ):
        readers.read_transactions(GOOD.rename(columns={"account_id": "Account ID"}))


def test_settings_that_cannot_be_meant() -> None:
    with pytest.raises(
        SettingsError, match=r"'acount_id' is no column of transactions \(did you mean 'account_id'\?\)"
    ):
        readers.read_transactions(GOOD, columns={"acount_id": "x"})
    with pytest.raises(SettingsError, match=r"duplicates: found 'never'; allowed are drop, keep"):
        readers.read_transactions(GOOD, rules={"duplicates": "never"})
    with pytest.raises(SettingsError, match=r"unknown key 'duplicate' \(did you mean 'duplicates'\?\)"):
        readers.read_transactions(GOOD, rules={"duplicate": "keep"})
    with pytest.raises(SettingsError, match=r"decimal: found 'x'; allowed are \., ,"):
        readers.read_transactions(GOOD, decimal="x")  # type: ignore[typeddict-item]
    with pytest.raises(SettingsError, match=r"rules\.credit_pattern: '\(' is no regular expression"):
        readers.read_transactions(GOOD.assign(invoice="1"), rules={"credit_pattern": "("})
    with pytest.raises(SettingsError, match=r"'transaction' is no table \(did you mean 'transactions'\?\)"):
        readers.read_table("transaction", GOOD)


def test_a_picture_and_a_text() -> None:
    read = readers.read_transactions(RULED, rules={"missing_account": "set_aside"})
    assert "3 of 7 rows of transactions are used: money 8.00 of 10.00." in read.text
    assert read.lines["line"].tolist()[0] == "read"
    assert "netting" not in set(read.lines["line"])
    assert read.plot().get_yticklabels()[0].get_text() == "without an account"


def test_rounding_follows_what_a_float_can_hold() -> None:
    frame = pd.DataFrame({"account_id": "a", "date": ["2011-01-01", "2011-01-02"], "amount": [8e12 + 0.37, -0.123457]})
    read = readers.read_transactions(frame)
    assert len(read.table) == 1


def test_sums_do_not_overflow() -> None:
    micros = to_micros(np.full(1000, 9e12))
    assert exact_sum(micros) == 1000 * 9 * 10**18


JUNK = st.one_of(
    st.sampled_from(
        [
            "",
            "NA",
            "a",
            "b",
            "0",
            "1",
            "-1",
            "2.5",
            "-2.5",
            "2011-01-01",
            "2011-06-01",
            "1899-12-30",
            "inf",
            "nan",
            "<b>",
            "C1",
            "x" * 201,
        ]
    ),
    st.text(max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(JUNK, JUNK, JUNK, JUNK), min_size=1, max_size=12),
    st.sampled_from(["net", "drop", "keep"]),
    st.booleans(),
)
def test_read_is_accepted_plus_rejected_whatever_comes(rows: list[tuple[str, ...]], credit: str, keep: bool) -> None:
    frame = pd.DataFrame(rows, columns=["account_id", "date", "amount", "invoice"])
    # A sure majority, so that no column as a whole is open to two readings.
    sure = pd.DataFrame(
        {"account_id": ["a"] * 3, "date": ["2011-03-01"] * 3, "amount": ["1.5", "-0.5", "1.25"], "invoice": "1"}
    )
    choice = "keep" if keep else "drop"
    try:
        read = readers.read_transactions(
            pd.concat([frame, sure]),
            decimal=".",
            dayfirst=True,
            timezone="UTC",
            rules={
                "credits": credit,
                "credit_pattern": "^C",
                "duplicates": choice,
                "zero_prices": choice,
                "missing_account": "set_aside",
            },
        )
    except DataError as refusal:  # nothing but a column that is open to two readings may stop a reading
        pytest.fail(str(refusal))
    lines = read.reconciliation
    micros = (lines["amount"] * 1e6).round().astype("int64")
    assert (
        lines["rows"].iloc[0] == len(rows) + 3 == lines["rows"].iloc[1:].sum() == len(read.table) + len(read.rejected)
    )
    assert micros.iloc[0] == micros.iloc[1:].sum()
    assert sorted([*read.rows, *read.rejected["row"]]) == list(range(1, len(rows) + 4))
    assert read.rejected["reason"].str.len().gt(0).all()
    INPUTS["transactions"].validate(read.table)
    RUN_TABLES["rejected"].validate(read.rejected)
