"""Tables in reports: formats a reader expects, and nothing of the data becomes markup."""

from __future__ import annotations

import pandas as pd
import pytest

from clv.errors import ClvError
from clv.report.show import Remarks, show


def page(*args, **kwargs) -> str:
    return show(*args, **kwargs)._repr_html_()


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1234567.891, "money", "1,234,568"),
        (12.345, "money", "12.35"),
        (-2500.0, "money", "\N{MINUS SIGN}2,500"),
        (0.256, "share", "26%"),
        (0.0042, "share", "0.4%"),
        (0.996, "share", "99.6%"),
        (1.0, "share", "100%"),
        (0.0, "share", "0%"),
        (4.41368, "number", "4.414"),
        (0.0, "number", "0"),
        (123456.0, "number", "123,456"),
        (4.0, "number", "4"),
        (716.5, "number", "716.5"),
        (3.2e-7, "number", "3.2e-07"),
        (-7.02e-17, "number", "0"),
        (17, "count", "17"),
        (float("nan"), "money", "–"),
        (None, "text", "–"),
        (pd.NaT, "date", "–"),
        (pd.Timestamp("2025-03-01"), "date", "2025-03-01"),
        (True, "flag", "yes"),
        (pd.NA, "count", "–"),
    ],
)
def test_formats(value, kind, text):
    html = page(pd.DataFrame({"a": [value]}, dtype=object), {"a": ("A", kind)}, caption="c")
    assert f">{text}</td>" in html


def test_a_column_of_money_has_cents_throughout_or_nowhere():
    html = page(pd.DataFrame({"a": [1500.0, 0.5, 80.0]}), {"a": ("A", "money")}, caption="c")
    assert [f">{text}<" in html for text in ("1,500", "0", "80")] == [True] * 3
    html = page(pd.DataFrame({"a": [15.0, 0.5]}), {"a": ("A", "money")}, caption="c")
    assert [f">{text}<" in html for text in ("15.00", "0.50")] == [True] * 2


def test_everything_is_escaped():
    nasty = "<script>alert(1)</script>"
    html = page(pd.DataFrame({nasty: [nasty]}), {nasty: (nasty, "text")}, caption=nasty)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 3
    assert "<script" not in Remarks((nasty,))._repr_html_()


def test_named_index_is_the_first_column_and_the_rest_is_counted():
    frame = pd.DataFrame({"x": range(20)}, index=pd.Index([f"a{i}" for i in range(20)], name="account_id"))
    shown = show(frame, caption="All.", rows=3)
    assert list(shown.frame.columns) == ["account_id", "x"]
    assert shown.formats == {"account_id": "text", "x": "count"}
    assert "The first 3 of 20 rows" in shown._repr_html_()


def test_unknown_column_is_named():
    with pytest.raises(ClvError, match=r"no column 'y'.*choose from x"):
        show(pd.DataFrame({"x": [1]}), {"y": ("Y", "text")}, caption="c")
