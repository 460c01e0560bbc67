"""Files for other software: text stays text, numbers stay numbers, and the bytes do not move."""

from __future__ import annotations

import time

import openpyxl
import pandas as pd
import pytest

from clv.report.export import write_exports

FRAME = pd.DataFrame(
    {
        "account_id": ["=1+1", "A2", "@SUM(A1)", " -x", "\tx", 'Müller; "Söhne", GmbH'],
        "net": [-1.5, 2.0, None, 4.0, 5.0, 6.0],
        "=evil": ["ok"] * 6,
        "taken": [True, False, True, False, True, False],
    }
)


@pytest.fixture
def files(tmp_path):
    return write_exports(FRAME, tmp_path / "exports", "plan")


def test_no_cell_is_a_formula(files):
    csv = pd.read_csv(files[0], keep_default_na=False)
    assert csv["account_id"].tolist() == ["'=1+1", "A2", "'@SUM(A1)", "' -x", "'\tx", FRAME["account_id"].iloc[5]]
    assert "'=evil" in csv.columns
    sheet = openpyxl.load_workbook(files[1]).active
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    assert sheet["A2"].value == "'=1+1"


def test_numbers_stay_numbers(files):
    back = pd.read_excel(files[1])
    assert back["net"].tolist()[:2] == [-1.5, 2.0]
    assert back["net"].isna().sum() == 1
    assert pd.read_csv(files[0])["net"].iloc[0] == -1.5


def test_the_same_bytes_another_time(files, tmp_path):
    first = [path.read_bytes() for path in files]
    time.sleep(2.1)  # a zip file counts in two seconds
    again = write_exports(FRAME, tmp_path / "again", "plan")
    assert [path.read_bytes() for path in again] == first
    assert {path.name for path in (tmp_path / "again").iterdir()} == {"plan.csv", "plan.xlsx"}
