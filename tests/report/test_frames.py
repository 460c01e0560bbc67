"""Tables from pandas and elsewhere become tables that read well."""

from __future__ import annotations

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from clv.report.frames import with_tables


def shown(frame_or_html) -> BeautifulSoup:
    html = frame_or_html if isinstance(frame_or_html, str) else frame_or_html._repr_html_()
    return BeautifulSoup(with_tables(html, about="The book", prefix="t"), "html.parser")


def grid(soup: BeautifulSoup) -> list[list[str]]:
    return [[cell.get_text(strip=True) for cell in row.find_all(["th", "td"])] for row in soup.find_all("tr")]


def test_pandas_decoration_is_gone():
    soup = shown(pd.DataFrame({"a": [1.5]}))
    assert soup.find("style") is None
    table = soup.find("table")
    assert "border" not in table.attrs
    assert "class" not in table.attrs


def test_an_index_that_only_counts_is_dropped():
    assert grid(shown(pd.DataFrame({"a": ["x", "y"]}))) == [["a"], ["x"], ["y"]]


def test_a_truncated_counting_index_is_dropped_too():
    with pd.option_context("display.max_rows", 4):
        soup = shown(pd.DataFrame({"a": range(100, 200)}))
    assert grid(soup) == [["a"], ["100"], ["101"], ["..."], ["198"], ["199"]]


@pytest.mark.parametrize("index", [[3, 4], ["a", "b"], [1, 0]])
def test_an_index_that_says_something_is_kept(index):
    soup = shown(pd.DataFrame({"a": ["x", "y"]}, index=index))
    assert [row[0] for row in grid(soup)] == ["", *map(str, index)]


def test_the_name_of_an_index_heads_its_column():
    soup = shown(pd.DataFrame({"v": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="account_id")))
    assert grid(soup) == [["account_id", "v"], ["a", "1.0"], ["b", "2.0"]]
    assert len(soup.find("thead").find_all("tr")) == 1


def test_numbers_are_marked_and_text_is_not():
    frame = pd.DataFrame({"id": ["007", "x1"], "money": ["1,200.50", "−3"], "share": ["12%", "–"], "why": ["a", "b"]})
    rows = shown(frame).find_all("tr")
    for row in rows:
        classes = [cell.get("class") for cell in row.find_all(["th", "td"])]
        text = None if row.find_parent("thead") else ["short"]
        assert classes == [text, ["number"], ["number"], text]


def test_sentences_and_names_are_told_apart():
    soup = shown(pd.DataFrame({"stage": ["at risk"], "why": ["A sentence " * 5], "between": ["x" * 30]}))
    assert [cell.get("class") for cell in soup.find_all("td")] == [["short"], ["long"], None]


def test_headings_carry_a_scope_and_the_table_a_name():
    soup = shown(pd.DataFrame({"v": [1.0]}, index=pd.Index(["a"], name="account_id")))
    assert [cell["scope"] for cell in soup.find_all("th")] == ["col", "col", "row"]
    assert soup.find("table")["aria-label"] == "The book"
    box = soup.find("div", class_="scroll")
    assert box["tabindex"] == "0"
    assert box["role"] == "region"


def test_a_caption_stands_outside_the_scroll_box_and_names_the_table():
    soup = shown("<table><caption>Money &amp; <b>rows</b></caption><tr><td>x</td></tr></table>")
    caption = soup.find("figcaption")
    assert caption.get_text() == "Money & rows"
    assert soup.find("table")["aria-labelledby"] == caption["id"]
    assert soup.find("caption") is None


def test_an_account_called_script_stays_text():
    soup = shown(pd.DataFrame({"account": ["<script>alert(1)</script>", "=cmd()"], "v": [1, 2]}))
    assert soup.find("script") is None
    assert "<script>alert(1)</script>" in soup.get_text()


def test_marks_of_our_own_in_foreign_text_move_nothing():
    html = "<p>\ue0000\ue001 first</p><table><tr><td>x</td></tr></table>"
    soup = shown(html)
    assert soup.find("p").get_text() == "0 first"
    assert soup.find("p").find_next_sibling("figure") is not None


def test_spanned_cells_survive():
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=pd.MultiIndex.from_product([["a"], ["x", "y"]]))
    assert shown(frame).find("th", colspan="2") is not None
