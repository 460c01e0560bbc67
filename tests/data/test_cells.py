"""Numbers, dates and ids out of text."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.reading.cell_text import Coded
from clv.data.reading.columns import Format
from clv.data.reading.convert import convert
from clv.data.reading.dates import Reading, decide_reading, parse_date, parse_dates
from clv.data.reading.numerals import decide_decimal, to_float
from clv.data.settings import Rules
from clv.errors import DataError

RULES = Rules(latest=dt.date(2030, 1, 1))


@pytest.mark.parametrize(
    ("decimal", "text", "value"),
    [(".", "1,234.50", 1234.5), (".", "€1,234.50", 1234.5), (".", "-€5", -5), (".", "€-5", -5),
     (",", "1.234,50 €", 1234.5),
     (",", "1\u202f234,50", 1234.5), (".", "1'234.5", 1234.5), (".", "(12.50)", -12.5), (".", "($12.50)", -12.5),
     (".", "12.50-", -12.5), (".", "\u22123", -3), (".", "1e5", 1e5), (".", "12%", 0.12), (",", "12,5 %", 0.125),
     (".", "USD 5", 5), (",", "5 руб.", 5), (".", "5.", 5), (".", ".5", 0.5)],
)  # fmt: skip
def test_numbers(decimal: str, text: str, value: float) -> None:
    assert to_float(text, decimal=decimal) == pytest.approx(value, rel=1e-15)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["inf", "-Infinity", "nan", "abc", "", ".", "-", "12.34.56", "1,23", "0x1A", "1_000",
                                  "--5",
                                  "+-5", "1,2345", "(5", "5)", "1e999", "5 5€ x", "=1+1"])  # fmt: skip
def test_what_is_no_number(text: str) -> None:
    assert math.isnan(to_float(text, decimal="."))


@pytest.mark.parametrize(
    ("cells", "sign"),
    [(["1,234", "5"], "."), (["1.234"], "."), (["12,5"], ","), (["1.234,5", "7"], ","), (["1,234.5"], "."),
     (["0,125"], ","), (["1234,567"], ","), (["1.234.567"], ","), (["1,234", "7.5"], "."), (["1.234", "7,5"], ","),
     ([], "."), (["abc", "x.y"], ".")],
)  # fmt: skip
def test_decimal_sign_is_decided_by_cells_that_can_be_read_one_way(cells: list[str], sign: str) -> None:
    assert decide_decimal(cells) == sign


def test_contradicting_numbers_and_open_ones_with_semicolons_are_asked_about() -> None:
    with pytest.raises(DataError, match=r"contradict.*'1,234\.5'.*'1,5'.*decimal:"):
        decide_decimal(["1,234.5", "1,5"])
    with pytest.raises(DataError, match=r"a thousand times.*decimal:"):
        decide_decimal(["1.234"], semicolon=True)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(-(10**13), 10**13), st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (",", "\u00a0")])
)
def test_a_formatted_amount_is_read_back(cents: int, signs: tuple[str, str]) -> None:
    decimal, thousands = signs
    text = f"{cents / 100:,.2f}".translate({ord(","): thousands, ord("."): decimal})
    assert to_float(text, decimal=decimal) == cents / 100  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cells", "told", "expected"),
    [
        (["2011-01-02", "2011/1/3"], {}, ["2011-01-02", "2011-01-03"]),
        (["19970101"], {}, ["1997-01-01"]),
        (["01/02/2011", "13/02/2011"], {}, ["2011-02-01", "2011-02-13"]),
        (["01/02/2011", "01/13/2011"], {}, ["2011-01-02", "2011-01-13"]),
        (["01.02.2011 10:15"], {}, ["2011-02-01 10:15"]),
        (["01/02/2011"], {"dayfirst": False}, ["2011-01-02"]),
        (["1/2/11 3:05 PM", "13/2/11"], {}, ["2011-02-01 15:05", "2011-02-13"]),
        (["40544", "40544.5"], {}, ["2011-01-01", "2011-01-01 12:00"]),
        (["3 Jan 2011", "January 3, 2011", "3-jan-11"], {}, ["2011-01-03"] * 3),
        (["2011-01-02T10:00:00Z", "2011-01-02 10:00+00:00"], {}, ["2011-01-02 10:00"] * 2),
        (["2011-01-01T00:30+02:00"], {}, ["2010-12-31 22:30"]),
        (["2011-01-01T12:00+01:00", "2011-07-01T12:00+02:00"], {"timezone": "Europe/Berlin"},
         ["2011-01-01 12:00", "2011-07-01 12:00"]),
        (["2011-01-01T12:00Z", "2011-01-01 12:00"], {"timezone": "Europe/Berlin"},
         ["2011-01-01 13:00", "2011-01-01 12:00"]),
        (["31-12-11"], {"date_format": "%d-%m-%y"}, ["2011-12-31"]),
    ],
)  # fmt: skip
def test_dates(cells: list[str], told: dict[str, object], expected: list[str]) -> None:
    reading = decide_reading(cells, Reading(**told))  # type: ignore[arg-type]
    assert [parse_date(cell, reading) for cell in cells] == [dt.datetime.fromisoformat(text) for text in expected]


@pytest.mark.parametrize("text", ["2011-02-30", "2011-13-01", "99999", "abc", "2011-01-02 25:00", "32.01.2011",
                                  "3 Foo 2011",
                                  "10:15", "2011", "2011-0102"])  # fmt: skip
def test_what_is_no_date(text: str) -> None:
    assert parse_date(text, Reading(dayfirst=True)) is None


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["01/02/2011", "03/04/2011"], "day first or month first.*dayfirst:"),
        (["13/01/2011", "01/13/2011"], "'13/01/2011' has the day first, '01/13/2011' the month"),
        (["2011-01-02", "2011-01-02T10:00Z"], "different zones.*timezone:"),
        (["2011-01-02T10:00+01:00", "2011-07-02T10:00+02:00"], "different zones.*timezone:"),
    ],
)
def test_columns_that_can_be_read_two_ways_are_asked_about(cells: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        decide_reading(cells, Reading(), column="date")


def test_many_dates_at_once_are_read_as_one_by_one() -> None:
    texts = [
        "2011-01-02",
        "2011-01-02 03:04",
        "2011-01-02T03:04:05.678901",
        "3 Jan 2011",
        "x",
        "2011-01-02T00:00Z",
        "40544",
    ]
    for more in ([], ["2011-02-30"], ["2011-01-01 24:00"]):
        cells = texts + more
        one_by_one = [parse_date(cell, Reading()) for cell in cells]
        assert parse_dates(cells, Reading()).tolist() == one_by_one


def test_one_impossible_date_is_a_fault_of_its_row_not_of_the_column() -> None:
    assert decide_reading(["13/13/2011", "25/01/2011"], Reading()).dayfirst is True


def test_unknown_time_zone() -> None:
    with pytest.raises(DataError, match="'Mars/Base' is no time zone"):
        decide_reading([], Reading(timezone="Mars/Base"))


def _ids(cells: pd.Series, rules: Rules = RULES) -> tuple[list[object], dict[str, list[int]]]:
    done = convert(Coded(cells), "id", column="id", required=False, form=Format(), rules=rules)
    return done.values.tolist(), {fault.check: np.flatnonzero(fault.mask).tolist() for fault in done.faults}


def test_ids_stay_what_they_are() -> None:
    texts = ["007", "NA", "1e5", "  x ", "null", "True", "-12", "+49 30", "", "Ä"]
    values, faults = _ids(pd.Series([*texts, "A\u0308"]))
    assert values == ["007", "NA", "1e5", "x", "null", "True", "-12", "+49 30", None, "Ä", "Ä"]
    assert faults == {}


@pytest.mark.parametrize(
    "cells",
    [pd.Series([17850.0, np.nan]), pd.Series([17850, None], dtype="Int64"), pd.Series([17850, None], dtype=object),
     pd.Series(["17850", None]), pd.Series([17850.0, None], dtype=object)],
)  # fmt: skip
def test_numeric_ids_have_no_decimals(cells: pd.Series) -> None:
    assert _ids(cells)[0] == ["17850", None]


def test_large_numeric_ids_keep_every_digit() -> None:
    assert _ids(pd.Series([2**62 + 1, None], dtype="Int64"))[0] == [str(2**62 + 1), None]


def test_ids_that_could_do_harm_are_faults() -> None:
    cells = pd.Series(
        ["ok", "x" * 200, "x" * 201, "a\x07b", "a\u202eb", "<b>", "a>b", "=cmd()", "@x", "+x", "-x", "#REF!"]
    )
    _, faults = _ids(cells)
    assert faults == {
        "id_length": [2],
        "control_characters": [3, 4],
        "unsafe_ids": [5, 6, 7, 8, 9, 10],
        "excel_error": [11],
    }
    _, kept = _ids(cells, Rules(unsafe_ids="keep"))
    assert "unsafe_ids" not in kept


def _convert(cells: pd.Series, kind: str, **form: object) -> tuple[list[object], dict[str, list[int]]]:
    done = convert(Coded(cells), kind, column="c", required=True, form=Format(**form), rules=RULES)  # type: ignore[arg-type]
    return done.values.tolist(), {fault.check: np.flatnonzero(fault.mask).tolist() for fault in done.faults}


def test_flags() -> None:
    values, faults = _convert(pd.Series(["Yes", "да", "nein", "0", "maybe", "", "NA"]), "flag")
    assert values == [True, True, False, False, pd.NA, pd.NA, pd.NA]
    assert faults == {"not_a_flag": [4], "missing": [5, 6]}


def test_integers() -> None:
    values, faults = _convert(pd.Series(["5", "5.0", "5.5", "x"]), "integer")
    assert values[:2] == [5, 5]
    assert faults == {"not_a_number": [3], "not_whole": [2]}


def test_excel_numbers_are_not_read_again_in_a_column_with_decimal_commas() -> None:
    values, faults = _convert(pd.Series([1.5, "2,5", 3, None, "x"], dtype=object), "number", decimal=",")
    assert values[:3] == [1.5, 2.5, 3.0]
    assert faults == {"not_a_number": [4], "missing": [3]}


def test_infinite_and_enormous_numbers_are_faults() -> None:
    values, faults = _convert(pd.Series([np.inf, -np.inf, np.nan, 1e13, 5.0]), "number")
    assert faults == {"not_a_number": [0, 1], "too_large": [3], "missing": [2]}
    assert values[4] == 5


def test_dates_outside_the_years_a_study_can_mean_are_faults() -> None:
    texts = [
        "2011-01-02",
        "1899-12-30",
        "1969-12-31",
        "2030-01-01 23:59",
        "2030-01-02",
        "9999-12-31",
        "0001-01-01",
        "x",
    ]
    _, faults = _convert(pd.Series(texts), "date", past=True)
    assert faults == {"not_a_date": [7], "too_early": [1, 2, 6], "too_late": [4, 5]}
    _, future = _convert(pd.Series(texts), "date", past=False)
    assert future == {"not_a_date": [7], "too_early": [1, 2, 6], "too_late": [5]}


def test_native_dates_with_a_zone_are_put_on_one_clock() -> None:
    cells = pd.Series(pd.to_datetime(["2011-01-01T12:00+01:00"], utc=True))
    assert _convert(cells, "date")[0] == [pd.Timestamp("2011-01-01 11:00")]
    berlin = Reading(timezone="Europe/Berlin")
    assert _convert(cells, "date", dates=berlin)[0] == [pd.Timestamp("2011-01-01 12:00")]


def test_python_dates_and_excel_cells_are_understood() -> None:
    cells = pd.Series([dt.date(2011, 1, 2), dt.datetime(2011, 1, 2, 3), 40545, 40545.0, "2011-01-02"], dtype=object)
    expected = [pd.Timestamp("2011-01-02"), pd.Timestamp("2011-01-02 03:00"), *[pd.Timestamp("2011-01-02")] * 3]
    assert _convert(cells, "date")[0] == expected
