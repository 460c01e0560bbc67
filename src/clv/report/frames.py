"""Makes a table out of a notebook fit for a page: caption, scopes, right-aligned numbers, its own scroll box."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from clv.report.sanitise import parse, rebuild

if TYPE_CHECKING:
    from bs4 import Tag

_MONEY = r"[$€£₽]"
_NUMBER = re.compile(
    rf"[\s<>≥≤~]*[+\-\N{{MINUS SIGN}}]?(?:{_MONEY}\s?)?"
    rf"\d[\d,.\s\N{{NO-BREAK SPACE}}']*(?:e[+\-]?\d+)?\s?(?:%|{_MONEY}|[A-Z]{{3}})?\Z"
)
# Private-use characters that mark where a rewritten table goes.
_OPEN, _SHUT = "\ue000", "\ue001"
#: letters up to which the text of a cell is a name, and beyond which it is a sentence.
_NAME, _SENTENCE = 26, 40
_NOTHING = {"", "–", "-", "—", "...", "…", "nan", "NaN", "NaT", "None", "<NA>", "inf", "-inf"}


def with_tables(html: str, *, about: str, prefix: str) -> str:
    """Sanitise the HTML of an output, with every table in it made readable.

    Parameters
    ----------
    html : str
    about : str
        What the tables are called where they have no caption: the nearest heading.
    prefix : str
        Makes the ids of captions unique on the page.

    Returns
    -------
    str
    """
    root = parse(html.replace(_OPEN, "").replace(_SHUT, ""))
    tables = [table for table in root.find_all("table") if table.find_parent("table") is None]
    if not tables:
        return rebuild(root)
    # The rewritten tables hold ids and attributes that foreign markup may not bring along: they are put in afterwards.
    written = {}
    for i, table in enumerate(tables):
        mark = f"{_OPEN}{i}{_SHUT}"
        written[mark] = _figure(table, about=about, name=f"{prefix}-{i}")
        table.replace_with(mark)
    clean = rebuild(root)
    for mark, figure in written.items():
        clean = clean.replace(mark, figure, 1)
    return clean


def _figure(table: Tag, *, about: str, name: str) -> str:
    _merge_index_names(table)
    _drop_counting_index(table)
    _add_scopes(table)
    _mark_numbers(table)
    _mark_texts(table)
    captioned = table.find("caption")
    if captioned is not None:
        caption = f'<figcaption id="{name}">{rebuild(captioned.extract())}</figcaption>'
        label = f' aria-labelledby="{name}"'
    else:
        caption, label = "", f' aria-label="{escape(about)}"'
    return (
        f'<figure class="table">{caption}<div class="scroll" role="region" tabindex="0"{label}>'
        f"<table{label}>{rebuild(table)}</table></div></figure>"
    )


def _rows(table: Tag) -> list[Tag]:
    return [row for row in table.find_all("tr") if row.find_parent("table") is table]


def _cells(row: Tag) -> list[Tag]:
    return row.find_all(["th", "td"], recursive=False)


def _plain(cell: Tag) -> str:
    return " ".join(cell.get_text().split())


def _merge_index_names(table: Tag) -> None:
    """Pandas writes the names of the index into a second header row that is empty otherwise: fold it into the first."""
    head = table.find("thead")
    rows = head.find_all("tr", recursive=False) if head is not None else []
    if len(rows) != 2:
        return
    upper, lower = _cells(rows[0]), _cells(rows[1])
    if len(upper) != len(lower) or any(cell.get("colspan") for cell in upper):
        return
    if all(not _plain(a) or not _plain(b) for a, b in zip(upper, lower, strict=True)):
        for a, b in zip(upper, lower, strict=True):
            if not _plain(a):
                a.string = _plain(b)
        rows[1].extract()


def _drop_counting_index(table: Tag) -> None:
    """Drop an index without a name that counts 0, 1, 2 …: it says nothing to a reader."""
    if "dataframe" not in (table.get("class") or []):
        return
    rows = _rows(table)
    if len(rows) < 2 or any(cell.get("colspan") or cell.get("rowspan") for row in rows for cell in _cells(row)):
        return
    first = [cells[0] for row in rows if (cells := _cells(row))]
    labels = [_plain(cell) for cell in first]
    counts = [label for label in labels[1:] if label not in {"...", "…"}]
    if labels[0] or not all(label.isdecimal() for label in counts):
        return
    numbers = [int(label) for label in counts]
    whole = len(counts) == len(labels) - 1
    if numbers[:1] == [0] and numbers == (list(range(len(numbers))) if whole else sorted(set(numbers))):
        for cell in first:
            cell.extract()


def _add_scopes(table: Tag) -> None:
    head = table.find("thead")
    for row in _rows(table):
        in_head = head is not None and row.find_parent("thead") is head
        for cell in _cells(row):
            if cell.name == "th" and not cell.get("scope"):
                cell["scope"] = "col" if in_head else "row"


def _mark_numbers(table: Tag) -> None:
    """Align a column of numbers to the right, its heading too."""
    rows = _rows(table)
    if any(cell.get("colspan") or cell.get("rowspan") for row in rows for cell in _cells(row)):
        return
    grid = [_cells(row) for row in rows]
    if any("number" in (cell.get("class") or []) for row in grid for cell in row):
        return
    for column in range(max((len(row) for row in grid), default=0)):
        cells = [row[column] for row in grid if len(row) > column]
        values = [text for cell in cells if cell.name == "td" and (text := _plain(cell)) not in _NOTHING]
        if values and all(_NUMBER.match(value) for value in values):
            for cell in cells:
                cell["class"] = "number"


def _mark_texts(table: Tag) -> None:
    """Keep names on one line, and give sentences a width in which they can be read."""
    for row in _rows(table):
        for cell in _cells(row):
            if row.find_parent("thead") is None and not cell.get("class"):
                length = len(_plain(cell))
                if length > _SENTENCE or length <= _NAME:
                    cell["class"] = "long" if length > _SENTENCE else "short"
