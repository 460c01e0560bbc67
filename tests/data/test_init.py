"""`clv init`: guesses from people's own files, written as a study that loads."""

from __future__ import annotations

import shutil
from pathlib import Path

import openpyxl
import pytest

from clv.data.places import samples_folder
from clv.data.start.init import init_study, propose_study
from clv.data.study import load_study
from clv.errors import DataError, RunError, SettingsError


def test_canonical_names_need_no_mapping(tmp_path: Path) -> None:
    for file in (samples_folder() / "demo").glob("*.csv"):
        shutil.copy(file, tmp_path)
    study = load_study(init_study(tmp_path).parent)
    assert list(study.settings.tables) == [
        "transactions", "accounts", "contacts", "touches", "opportunities", "programmes", "contracts", "wallets",
        "costs", "deal_stages",
    ]  # fmt: skip
    assert not any(source.columns for source in study.settings.tables.values())
    for table in study.settings.tables:
        study.read(table).check()


def test_german_files(tmp_path: Path) -> None:
    folder = tmp_path / "Müller & Söhne"
    folder.mkdir()
    (folder / "Rechnungen 2023.csv").write_bytes(
        "Kundennummer;Rechnungsdatum;Rechnungs-Nr;Artikelnummer;Menge;Betrag\n"
        "007;13.01.2023;R1;4711;2;1.234,50 €\n008;14.02.2023;R2;4712;1;12,00 €\n".encode("cp1252")
    )
    (folder / "Kunden.csv").write_text(
        "Kundennummer;Firmenname;Branche;Mitarbeiterzahl\n007;Müller;Bau;12\n008;Öz;IT;40\n"
    )
    study = load_study(init_study(folder).parent)
    assert study.name == "M-ller-S-hne"
    assert study.settings.currency == "EUR"
    table = study.read("transactions").check().table
    assert table["account_id"].tolist() == ["007", "008"]
    assert table["amount"].tolist() == [1234.5, 12.0]
    assert table["invoice"].tolist() == ["R1", "R2"]
    assert study.read("accounts").check().table["industry"].tolist() == ["Bau", "IT"]


def test_russian_files(tmp_path: Path) -> None:
    (tmp_path / "продажи.csv").write_bytes(
        "Клиент;Дата;Сумма\nООО Ромашка;13.01.2023;1 234,50 руб.\nЗавод;14.02.2023;12,00 руб.\n".encode("cp1251")
    )
    study = load_study(init_study(tmp_path).parent)
    assert study.settings.currency == "RUB"
    assert study.read("transactions").check().table["amount"].tolist() == [1234.5, 12.0]


def test_a_workbook_with_a_table_a_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Customers"
    for row in (["CustomerID", "Company name", "Country"], ["007", "X", "DE"], ["008", "Y", "FR"]):
        book["Customers"].append(row)
    orders = book.create_sheet("Orders 2023")
    for row in (["OrderNo", "CustomerID", "OrderDate", "Qty", "UnitPrice"], ["1", "007", "2023-01-01", 2, 1.5]):
        orders.append(row)
    book.save(tmp_path / "export.xlsx")
    study = load_study(init_study(tmp_path).parent)
    assert study.settings.tables["transactions"].sheet == "Orders 2023"
    assert study.read("transactions").check().table["amount"].tolist() == [3.0]
    assert study.read("accounts").check().table["region"].tolist() == ["DE", "FR"]


def test_what_is_open_is_said_and_left_to_the_person(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("customer,order date,total\na,01/02/2023,5\n,03/04/2023,6\n")
    (tmp_path / "notes.txt").write_text("nothing that is a table\n")
    (tmp_path / "x.csv").write_text("colour;size\nred;5\n")
    proposal = propose_study(tmp_path)
    for part in (
        "'01/02/2023' can be read day first or month first",
        "1 rows have no account",
        "not used, no table was recognised in it: x.csv",
        "not read: notes.txt has one column only",
    ):
        assert part in proposal.text
        assert part in proposal.yaml
    assert "# dayfirst: true" in proposal.yaml
    assert not (tmp_path / "study.yml").exists()
    init_study(tmp_path)
    with pytest.raises(DataError, match="dayfirst:"):
        load_study(tmp_path).read("transactions")


def test_an_account_column_that_cannot_be_named_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("wer,date,amount\na,2023-01-01,5\nb,2023-01-02,6\n")
    proposal = propose_study(tmp_path)
    assert "which column is account_id? There are wer" in proposal.text
    init_study(tmp_path)
    with pytest.raises(DataError, match=r"column 'account_id'.*It has .*wer"):
        load_study(tmp_path).read("transactions")


def test_names_that_yaml_would_misread(tmp_path: Path) -> None:
    (tmp_path / "on: sales #1.csv").write_text("customer,date,amount: net # EUR\n1,2023-01-01,5\n1,2023-01-02,6\n")
    study = load_study(init_study(tmp_path).parent)
    assert study.settings.tables["transactions"].columns["amount"] == "amount: net # EUR"
    assert study.read("transactions").check().table["amount"].sum() == 11


@pytest.mark.parametrize("name", ["007", "no", "1e5", "2023-01-01", "-x", "___", "Köln", "a" * 90])
def test_folders_whose_names_are_no_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "orders.csv").write_text("customer,date,amount\na,2023-01-01,5\na,2023-01-02,5\n")
    assert load_study(init_study(tmp_path / name).parent).settings.title == name


def test_an_id_column_that_repeats_is_who_bought_and_one_that_does_not_is_the_row(tmp_path: Path) -> None:
    (tmp_path / "trans.csv").write_text("Id,Date,Price\n1,2023-01-01,5.5\n1,2023-02-01,6.5\n")
    assert load_study(init_study(tmp_path).parent).settings.tables["transactions"].columns["account_id"] == "Id"
    (tmp_path / "study.yml").unlink()
    (tmp_path / "trans.csv").write_text("Id,Date,Price\n1,2023-01-01,5.5\n2,2023-02-01,6.5\n")
    assert "which column is account_id?" in propose_study(tmp_path).text


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no folder"):
        init_study(tmp_path / "no")
    with pytest.raises(DataError, match="There is no CSV, Excel or Parquet file"):
        init_study(tmp_path)
    (tmp_path / "x.csv").write_text("colour;size\nred;5\n")
    with pytest.raises(DataError, match=r"no file here can be taken for transactions.*\n  x.csv: colour, size"):
        init_study(tmp_path)
    (tmp_path / "study.yml").write_text("mine")
    with pytest.raises(SettingsError, match="is there already"):
        init_study(tmp_path)
    assert (tmp_path / "study.yml").read_text() == "mine"


def test_no_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders.csv").write_text("customer,date,amount\na,2023-01-01,5\na,2023-01-02,5\n")
    real = Path.open

    def deny(self: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        if "x" in mode or "w" in mode:
            raise PermissionError(13, "Permission denied")
        return real(self, mode, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(RunError, match=r"study\.yml cannot be written \(Permission denied\)"):
        init_study(tmp_path)
