"""Bytes to text cells: encodings, separators, quotes, ragged rows, row numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.reading.delimited import read_delimited
from clv.data.reading.encodings import CANDIDATES, decode, infer
from clv.errors import DataError

TEXTS = {
    "german": "Kunde;Umsatz\nMüller GmbH;5\nGroße Straße;4\nÄrzte AG;1\nKöln;2\n",
    "russian": "Клиент;Сумма\nИванов;5\nООО Ромашка;4\nзавод металл;1\n",
    "lower": "иванов;1\nзавод;2\n",
    "french": "client;montant\nSociété générale;5\nHôtel à Lyon;2\nFrançois;1\n",
    "polish": "klient;kwota\nŁódź;1\nKraków;2\nSpółka Żywiec;3\nPrzedsiębiorstwo;3\n",
    "czech": "Dvořák;1\nŠkoda;2\nPříbram;2\nČeské Budějovice;1\n",
    "hungarian": "Győr;1\nSzékesfehérvár;2\n",
    "danish": "Sønderborg;1\nÅrhus;2\nKøbenhavn;3\n",
    "spanish": "Peña;1\nEspaña S.A.;2\nCádiz;1\n",
    "swedish": "Malmö;1\nGöteborg;2\n",
    "blanks": "a;1\u00a0234,50\nb;2\u00a0500\n",
}


def _writable(text: str, encoding: str) -> bool:
    try:
        return bool(text.encode(encoding))
    except UnicodeError:
        return False


@pytest.mark.parametrize(
    ("language", "encoding"),
    [(name, encoding) for name, text in TEXTS.items() for encoding in CANDIDATES if _writable(text, encoding)],
)
def test_an_inferred_encoding_is_never_a_wrong_one(language: str, encoding: str) -> None:
    data = TEXTS[language].encode(encoding)
    try:
        found = infer(data, name="x")
    except DataError:
        return  # to ask is always right; test_usual_exports_are_inferred says what must not be asked
    assert data.decode(found) == TEXTS[language]


@pytest.mark.parametrize(
    ("language", "encoding"),
    [("german", "cp1252"), ("german", "mac_roman"), ("german", "cp850"), ("russian", "cp1251"), ("russian", "koi8_r"),
     ("russian", "cp866"), ("lower", "cp1251"), ("lower", "koi8_r"), ("french", "cp1252"), ("polish", "cp1250"),
     ("polish", "iso8859_2"), ("czech", "cp1250"), ("danish", "cp1252"), ("spanish", "cp1252"), ("swedish", "cp1252")],
)  # fmt: skip
def test_usual_exports_are_inferred(language: str, encoding: str) -> None:
    data = TEXTS[language].encode(encoding)
    assert decode(data, encoding=None, name="x") == TEXTS[language]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_recognised_for_certain(encoding: str) -> None:
    text = "account_id,amount\nŁódź–Ромашка 漢字,1\n"
    assert decode(text.encode(encoding), encoding=None, name="x") == text


def test_a_mark_does_not_get_into_the_first_name_even_if_utf8_is_told() -> None:
    cells = read_delimited("account_id,amount\nx,1\n".encode("utf-8-sig"), name="x", encoding="utf-8")
    assert list(cells.frame.columns) == ["account_id", "amount"]


@pytest.mark.parametrize(
    ("data", "encoding", "said"),
    [
        ("Müller,1\n".encode("cp1252"), "utf-8", "row 1: x.csv cannot be read as utf-8"),
        (b"a,b\n1,\x81\n", "cp1252", "row 2"),
        (b"a,b\n1,2\n", "klingon", "'klingon' is no encoding"),
        ("a,b\n1,2\n".encode("utf-16-le"), None, "utf-16-le"),
        (b"PK\x03\x04rest", None, ".xlsx"),
        (b"PAR1rest", None, ".parquet"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(data: bytes, encoding: str | None, said: str) -> None:
    with pytest.raises(DataError, match=said) as refusal:
        decode(data, encoding=encoding, name="x.csv")
    assert refusal.value.mend


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_separators_are_detected_with_quotes_and_line_breaks(sign: str) -> None:
    text = sign.join(["id", "note", "n"]) + "\r\n" + sign.join(["007", '"a, b; c | d\te\r\n""f"""', "1e5"]) + "\r\n"
    cells = read_delimited(text.encode(), name="x")
    assert cells.frame.iloc[0].tolist() == ["007", 'a, b; c | d\te\r\n"f"', "1e5"]
    assert cells.rows.tolist() == [2]


def test_nothing_is_taken_for_a_number_or_for_missing() -> None:
    cells = read_delimited(b"id,b\nNA,null\n007,1e5\nTrue,\n", name="x")
    assert cells.frame["id"].tolist() == ["NA", "007", "True"]
    assert cells.frame["b"].tolist() == ["null", "1e5", ""]


def test_empty_lines_are_no_rows_but_count() -> None:
    cells = read_delimited(b"id,b\n\na,1\n,\n\nb,2\n\n", name="x")
    assert cells.rows.tolist() == [3, 6]


def test_ragged_rows_are_kept_as_they_were() -> None:
    cells = read_delimited(b"id,amount\na,1\nb,1,5\nc\nd,2\n", name="x")
    assert cells.broken == {1: ["b", "1", "5"], 2: ["c"]}
    assert cells.rows.tolist() == [2, 3, 4, 5]
    assert cells.frame["id"].tolist() == ["a", "b", "c", "d"]


def test_a_trailing_separator_in_every_row_is_a_column_and_no_index() -> None:
    cells = read_delimited(b"id,amount,\na,1,\nb,2,\n", name="x")
    assert list(cells.frame.columns) == ["id", "amount", "column 3"]
    assert cells.frame["id"].tolist() == ["a", "b"]


def test_rows_longer_than_the_header_are_not_shifted_into_an_index() -> None:
    cells = read_delimited(b"id,amount\na,1,\nb,2,\n", name="x")
    assert set(cells.broken) == {0, 1}


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\n'])
def test_the_line_in_which_excel_says_its_separator_is_no_row(line: str) -> None:
    cells = read_delimited((line + "id;amount\r\na;1,5\r\n").encode(), name="x")
    assert cells.frame.to_numpy().tolist() == [["a", "1,5"]]
    assert cells.rows.tolist() == [3]


def test_whitespace_and_no_header() -> None:
    data = b" 00004 0001 19970101  2   29.33\n 00004 0001 19970118  2   29.73\n"
    cells = read_delimited(data, name="x", separator="whitespace", header=["m", "id", "day", "n", "usd"])
    assert cells.frame.iloc[1].tolist() == ["00004", "0001", "19970118", "2", "29.73"]
    assert cells.rows.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"  \n\n", "is empty"),
        (b"id,amount\n", r"has a header and no rows \(id, amount\)"),
        (b"id,amount,id\na,1,b\n", "column 'id': x has two columns with this name"),
        (b"just text\nand more\n", "one column only"),
        (b",\n,\n", "no header"),
        (b'id,amount\na,"1\nb,2\n', "quotation mark is never closed"),
        (b'id,amount\na,"' + b"x\n" * 300, "quotation mark is never closed"),
    ],
)
def test_files_that_are_no_tables_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as refusal:
        read_delimited(data, name="x")
    assert refusal.value.mend


def test_header_must_name_every_field() -> None:
    with pytest.raises(DataError, match="2 fields a row, 'header' names 3"):
        read_delimited(b"a,1\nb,2\n", name="x", header=["id", "amount", "more"])


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8))
def test_what_csv_writes_is_what_is_read(rows: list[tuple[str, str, str]]) -> None:
    import csv
    import io

    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    kept = [row for row in rows if any(row)]
    if not kept:
        return
    cells = read_delimited(file.getvalue().encode("utf-8"), name="x")
    assert cells.frame.astype(object).to_numpy().tolist() == [list(row) for row in kept]
    assert cells.rows.tolist() == (np.flatnonzero([any(row) for row in rows]) + 2).tolist()
    assert not cells.broken
