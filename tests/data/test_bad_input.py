"""Bad input: each gives one clear message with its mend, and nothing that was read is lost."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from clv.data.readers import read_table, read_transactions
from clv.data.reading.sources import locate
from clv.data.settings import TableSource
from clv.data.study import load_study
from clv.errors import DataError

HEAD = "account_id,date,amount\n"


def refused(source: object, folder: Path, said: str, mend: str) -> DataError:
    with pytest.raises(DataError) as refusal:
        read_table("transactions", source, folder=folder).check()  # type: ignore[arg-type]
    message = str(refusal.value)
    assert said in message
    assert mend in message
    assert "transactions" in message
    assert str(folder.resolve()) not in message
    return refusal.value


@pytest.mark.parametrize(
    ("content", "said", "mend"),
    [
        ("", "is empty (0 bytes)", "Export it again"),
        ("\n\n", "is empty", "Export it again"),
        (HEAD, "has a header and no rows", "Export it again"),
        (
            "account_id,date,value\na,2011-01-01,1\n",
            "column 'amount': t.csv has no such column",
            "columns: {amount: …}",
        ),
        (HEAD + "a,2011-01-01,ten\n", "row 2: amount 'ten' is not a number", "correct it"),
        (HEAD + "a,2011-01-01,inf\n", "row 2: amount 'inf' is not a number", "correct it"),
        (HEAD + "a,2091-01-01,1\n", "row 2: date '2091-01-01' is after", "rules.latest"),
        (HEAD + "a,1899-12-30,1\n", "row 2: date '1899-12-30' is before 1970-01-01", "rules.earliest"),
        (HEAD + "a,2011-01-01T10:00Z,1\nb,2011-01-01T10:00+02:00,1\n", "times are in different zones", "timezone:"),
        (HEAD + "a,2011-01-01T10:00Z,1\nb,2011-01-01,1\n", "times are in different zones", "timezone:"),
        (HEAD + "a,01/02/2011,1\n", "day first or month first", "dayfirst:"),
        (HEAD + "x" * 300 + ",2011-01-01,1\n", "is longer than 200 characters", "columns have not shifted"),
        (
            HEAD + "<script>alert(1)</script>,2011-01-01,1\n",
            "'<script>alert(1)</script>' could be read as markup",
            "unsafe_ids: keep",
        ),
        (HEAD + "=cmd(),2011-01-01,1\n", "'=cmd()' could be read as markup or as a formula", "unsafe_ids: keep"),
        (HEAD + ",2011-01-01,1\n", "row 2: account_id is empty", "fill it in"),
        (
            "account_id,date,amount,date\na,2011-01-01,1,x\n",
            "column 'date': t.csv has two columns with this name",
            "Rename one",
        ),
        (HEAD + "a,2011-01-01,1,5\nb,2011-01-01,1\n", "row 2: the row has 4 fields, the header 3", "quote fields"),
        (HEAD + 'a,2011-01-01,"1\n', "quotation mark is never closed", "Close it"),
        (
            HEAD.replace(",", ";") + "a;2011-01-01;1.234\n",
            "'1.234' can be read as a thousand times as much",
            "decimal:",
        ),
        (HEAD + 'a,2011-01-01,"1,5"\nb,2011-01-01,1.5\n', "numbers contradict each other", "decimal:"),
    ],
)
def test_text_files(tmp_path: Path, content: str, said: str, mend: str) -> None:
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    refused(TableSource(path="t.csv"), tmp_path, said, mend)


def test_a_mark_and_an_old_encoding_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "bom.csv").write_bytes((HEAD + "Ромашка,2011-01-01,1\n").encode("utf-8-sig"))
    (tmp_path / "old.csv").write_bytes((HEAD + "Ромашка,2011-01-01,1\n").encode("cp1251"))
    for name in ("bom.csv", "old.csv"):
        assert read_transactions(tmp_path / name).check().table["account_id"].tolist() == ["Ромашка"]


def test_an_encoding_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes((HEAD + "Gy\u0151r,2011-01-01,1\n").encode("cp1250"))
    refused(TableSource(path="t.csv"), tmp_path, "cp1250: Győr", "encoding:")
    told = read_table("transactions", TableSource(path="t.csv", encoding="cp1250"), folder=tmp_path)
    assert told.table["account_id"].tolist() == ["Győr"]


def test_a_folder_instead_of_a_file_and_no_file_at_all(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "2011.csv").touch()
    (tmp_path / "transactions.csv").touch()
    refused(TableSource(path="orders"), tmp_path, "orders is a folder, not a file", "Name a file in it: 2011.csv")
    refused(
        TableSource(path="transaction.csv"), tmp_path, "there is no file transaction.csv", "there are transactions.csv"
    )
    refused(TableSource(path="no/where.csv"), tmp_path, "there is no file no/where.csv", "correct the path")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_right_to_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(HEAD)
    (tmp_path / "t.csv").chmod(0)
    refused(TableSource(path="t.csv"), tmp_path, "may not be read", "chmod u+r t.csv")


def test_no_right_to_read_as_the_system_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text(HEAD)

    def deny(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", deny)
    refused(TableSource(path="t.csv"), tmp_path, "may not be read", "chmod u+r t.csv")


@pytest.mark.parametrize("name", ["t.parquet", "t.xlsx"])
def test_broken_files(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"account_id": ["a"], "date": ["2011-01-01"], "amount": [1]})
    frame.to_parquet(tmp_path / name) if name.endswith("t") else frame.to_excel(tmp_path / name, index=False)
    whole = (tmp_path / name).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"not at all", b"PK\x03\x04" + b"\0" * 50):
        (tmp_path / name).write_bytes(damaged)
        refused(TableSource(path=name), tmp_path, f"{name} is no whole", "again")


def test_a_workbook_without_the_sheet_an_empty_one_and_a_header_only(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.create_sheet("orders").append(["account_id", "date", "amount"])
    book.save(tmp_path / "t.xlsx")
    refused(
        TableSource(path="t.xlsx", sheet="order"),
        tmp_path,
        "no sheet 'order' (did you mean 'orders'?)",
        "'Sheet', 'orders'",
    )
    refused(TableSource(path="t.xlsx", sheet=3), tmp_path, "none is number 3", "'Sheet', 'orders'")
    refused(TableSource(path="t.xlsx", sheet="Sheet"), tmp_path, "t.xlsx is empty", "sheet:")
    refused(TableSource(path="t.xlsx"), tmp_path, "has a header and no rows", "Export it again")


def test_spreadsheet_errors_in_cells_are_faults_of_their_rows(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["account_id", "date", "amount"], ["#N/A", dt.datetime(2011, 1, 1), 1], [], ["b", "#REF!", "#DIV/0!"]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    read = read_transactions(tmp_path / "t.xlsx")
    assert dict(zip(read.rejected["row"], read.rejected["rule"], strict=True)) == {2: "excel_error", 4: "not_a_date"}


@pytest.mark.parametrize(
    ("source", "said", "mend"),
    [
        ({"sql": "SELECT * FROM nowhere", "url": "duckdb://"}, "nowhere", "Correct 'sql:' or 'url:'"),
        ({"sql": "SELEC 1", "url": "sqlite://"}, "syntax error", "Correct 'sql:' or 'url:'"),
        ({"sql": "SELECT 1", "url": "duckdb:///no.duckdb"}, "there is no database file 'no.duckdb'", "Correct 'url:'"),
        ({"sql": "SELECT 1", "url": "sqlite:///no.db"}, "there is no database file 'no.db'", "Correct 'url:'"),
        ({"sql": "SELECT 1", "url": "nonsense"}, "no database address", "duckdb:///file.duckdb"),
        ({"sql": "SELECT 1", "url": "oracle+nothing://h/b"}, "the query failed", "Correct 'sql:' or 'url:'"),
        ({"sql": "CREATE TABLE t (a INT)", "url": "sqlite://"}, "returns no columns", "SELECT"),
        ({"sql": "CREATE TABLE t (a INT)", "url": "duckdb://"}, "no rows", "SELECT"),
        ({"sql": "SELECT 1 AS account_id WHERE false", "url": "sqlite://"}, "header and no rows", "SELECT"),
        ({"sql": "SELECT 1 AS a, 2 AS a", "url": "sqlite://"}, "two columns with this name", "Rename"),
        ({"sql": "SELECT [1] AS a, [2] AS a", "url": "duckdb://"}, "two columns with this name", "Rename"),
    ],
)
def test_queries(tmp_path: Path, source: dict[str, str], said: str, mend: str) -> None:
    refused(TableSource(**source), tmp_path, said, mend)


def test_a_query_does_not_change_a_database(tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
    refused(TableSource(sql="DROP TABLE t", url="duckdb:///a.duckdb"), tmp_path, "read-only", "Correct")


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    source = TableSource(sql="SELECT 1", url="postgresql+nodriver://me:s3cret@host/base")
    assert "s3cret" not in str(refused(source, tmp_path, "failed", "Correct"))


def test_a_variable_that_is_not_set_says_where_the_data_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLV_DATA_HOME", raising=False)
    with pytest.raises(DataError, match=r"CLV_DATA_HOME, which is not set.*Set CLV_DATA_HOME.*UCI Machine Learning"):
        load_study("online_retail").read("transactions")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("package:lifetimes/datasets/CDNOW_simple.txt", "has no file datasets/CDNOW_simple.txt.*CDNOW_sample.txt"),
        ("package:lifetimes/../../x", "names no file in an installed package"),
        ("package:no_such_package/x.csv", "install 'no_such_package'"),
        ("package:lifetimes", "names no file"),
        ("package:os.path/x", "names no file"),
    ],
)
def test_files_in_packages(path: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        locate(path, folder=Path())


def test_a_package_is_not_imported_to_read_its_file() -> None:
    import subprocess
    import sys

    code = (
        "import sys, pathlib; from clv.data.reading.sources import locate\n"
        "locate('package:lifetimes/datasets/CDNOW_sample.txt', folder=pathlib.Path())\n"
        "sys.exit('lifetimes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(), pd.DataFrame({"account_id": []}), pd.DataFrame([[1, 2]], columns=["a", "a"])]
)
def test_frames_that_are_no_tables(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError):
        read_transactions(frame)


@pytest.mark.parametrize(
    ("ids", "found"),
    [([["a"], {"b": 1}], ["['a']", "{'b': 1}"]), ([b"a", b"\xff"], ["a", "\\xff"]), (["\ud800", "b"], ["\\ud800", "b"]),
     ([1j, 2j], ["1j", "2j"])],
)  # fmt: skip
def test_values_that_are_no_cells_become_text(ids: list[object], found: list[str]) -> None:
    frame = pd.DataFrame({"account_id": pd.Series(ids, dtype=object), "date": "2011-01-01", "amount": ["1", "x"]})
    read = read_transactions(frame)
    assert [*read.table["account_id"], *read.rejected["record"]] == [
        found[0],
        json.dumps({"account_id": found[1], "date": "2011-01-01", "amount": "x"}),
    ]


def test_nested_parquet_columns_are_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"account_id": ["a"], "date": ["2011-01-01"], "amount": [1], "tags": [["x", "y"]]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert len(read_transactions(tmp_path / "t.parquet").table) == 1


def test_garbage_everywhere_is_told_row_by_row_and_nothing_is_lost() -> None:
    frame = pd.DataFrame(
        {"account_id": ["a", None, "\x00"], "date": ["yesterday", "2011-01-01", None], "amount": [None, "-", "1e400"]}
    )
    read = read_transactions(frame)
    assert len(read.rejected) == 3
    assert read.table.empty
    with pytest.raises(DataError, match="3 of 3 rows"):
        read.check()
