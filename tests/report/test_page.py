"""A page is one file that shows and does nothing else, and says the decision first."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import pairwise

import nbformat
import pytest
from bs4 import BeautifulSoup

from clv.report.blocks import read_page, shorten
from clv.report.page import content_policy, render, render_notebook

EVIL = "<script>alert(1)</script>"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"><title>Sales &amp; a month</title>'
    "<script>alert(1)</script></svg>"
)


def code(source: str, *tags: str, **data: str) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, execution_count=1)
    if data:
        named = {key.replace("__", "/").replace("_xml", "+xml"): value for key, value in data.items()}
        cell.outputs = [nbformat.v4.new_output("display_data", data=named)]
    return cell


def prose(source: str, *tags: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def notebook(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=list(cells))


def context(**study: object) -> dict[str, object]:
    about = {"name": "demo", "title": "Demo", "description": "", "provenance": "", "licence": "", "synthetic": False}
    return {
        "study": about | study,
        "pages": [{"name": "value", "short": "Value", "fault": None}],
        "provenance": {
            "as_of": "2020-02-01",
            "horizon": "52 weeks",
            "currency": "EUR",
            "settings": [{"key": "margin", "value": "0.2", "overridden": True}],
            "inputs": [{"table": "transactions", "path": "tx.csv", "sha256": "ab" * 32}],
            "versions": {"python": "3.11.0"},
        },
    }


def rendered(*cells: nbformat.NotebookNode, **study: object) -> BeautifulSoup:
    html, _ = render_notebook(notebook(*cells), "value", context(**study))
    return BeautifulSoup(html, "html.parser")


@pytest.fixture
def page() -> BeautifulSoup:
    return rendered(
        prose(
            f"# Title {EVIL}\n\nIntro [outside](https://example.org), ![picture](http://example.org/x.png) and {EVIL}."
        ),
        code("study = 'secret'", "parameters"),
        code("study = 'demo'", "injected-parameters"),
        code("import pandas as pd"),
        code("decide()", "decision", text__html=f'<p class="finding">Take 12 accounts.</p><p>{EVIL}</p>'),
        code("hidden()", "hide", text__plain="hidden output"),
        prose("## Part\n\nText.\n\n### Detail\n\n## Part\n\n| a | b |\n|---|---|\n| x | 1 |"),
        code("plot()", image__svg_xml=SVG),
        code("table()", text__html=f"<table><tr><td>{EVIL}</td><td onclick='x()'>1</td></tr></table>"),
        code("text()", text__plain=EVIL),
        synthetic=True,
        title=f"Study {EVIL}",
        provenance=f"From {EVIL}",
    )


def test_nothing_on_a_page_acts_or_loads(page):
    assert page.find("script") is None
    assert page.find(["iframe", "object", "embed", "form", "link", "base"]) is None
    for tag in page.find_all(True):
        assert not [key for key in tag.attrs if key.startswith("on") or key in {"style", "srcset", "action"}]
        for key in ("src", "href"):
            if key in tag.attrs:
                assert not re.match(r"\s*(?:[a-z]+:)?//|javascript:|/", tag[key]), tag
    assert "url(" not in page.find("style").string
    assert "@import" not in page.find("style").string


def test_foreign_markup_is_shown_as_text(page):
    assert page.get_text().count(EVIL) >= 6


def test_the_policy_allows_the_one_stylesheet_and_nothing_else(page):
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy == content_policy()
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    (style,) = page.find_all("style")
    digest = base64.b64encode(hashlib.sha256(style.string.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    before = [tag.name for tag in page.head.find_all(True)]
    assert before.index("meta") < before.index("style")


def test_the_decision_stands_before_everything_but_title_and_banner(page):
    main = page.find("main")
    blocks = list(main.find_all(recursive=False))
    assert [tag.name for tag in blocks[:3]] == ["h1", "p", "section"]
    assert "banner" in blocks[1]["class"]
    assert "Synthetic" in blocks[1].get_text()
    assert blocks[2]["class"] == ["decision"]
    assert "Take 12 accounts." in blocks[2].get_text()
    assert page.get_text().count("Take 12 accounts.") == 1


def test_code_is_folded_and_parameters_and_hidden_cells_are_left_out(page):
    (fold,) = page.find_all("details", class_="code")
    assert "open" not in fold.attrs
    text = page.get_text()
    assert "secret" not in text
    assert "injected" not in text
    assert "hidden" not in text
    assert fold.find_parent("main").find_all(recursive=False)[-1] is fold, "code comes last"
    told = [(p.get_text(), p.find_next("pre").get_text(" ", strip=True)) for p in fold.find_all("p")]
    assert [heading for heading, _ in told] == [f"Title {EVIL}", "Part"]
    assert "import pandas" in told[0][1].replace("  ", "")
    assert "plot" in told[1][1]


def test_contents_lead_to_headings(page):
    for nav in page.find_all("nav", class_="contents"):
        targets = [a["href"].removeprefix("#") for a in nav.find_all("a")]
        assert targets == ["part", "detail", "part-2", "data-and-settings"]
        assert all(page.find(id=target) is not None for target in targets)
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))


def test_a_chart_is_a_picture_with_words(page):
    picture = page.find("figure", class_="chart").find("img")
    assert picture["src"].startswith("data:image/svg+xml;base64,")
    assert base64.b64decode(picture["src"].partition(",")[2]).decode() == SVG
    assert picture["alt"] == "Chart: Sales & a month"
    assert (picture["width"], picture["height"]) == ("96", "48")


def test_a_chart_without_a_title_is_called_after_its_heading():
    page = rendered(
        prose("# T\n\n## Sales"), code("plot()", image__svg_xml="<svg xmlns='http://www.w3.org/2000/svg'/>")
    )
    assert page.find("img")["alt"] == "Chart: Sales"


def test_a_page_has_its_landmarks(page):
    assert page.html["lang"] == "en"
    assert len(page.find_all("main")) == 1
    assert len(page.find_all("h1")) == 1
    assert page.find("a", class_="skip")["href"] == "#main"
    assert all(nav.get("aria-label") for nav in page.find_all("nav"))
    assert page.find("a", attrs={"aria-current": "page"}).get_text() == "Value"
    levels = [int(tag.name[1]) for tag in page.find_all(re.compile(r"h[1-6]\Z"))]
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_the_box_says_where_the_numbers_come_from(page):
    box = page.find("section", class_="provenance").get_text(" ", strip=True)
    for part in ("demo", "2020-02-01", "52 weeks", "EUR", "margin", "given for this run", "tx.csv", "python 3.11.0"):
        assert part in box
    assert f"From {EVIL}" in box


def test_real_data_carry_no_banner():
    assert "Synthetic" not in rendered(prose("# T")).get_text()


def test_warnings_and_prints_are_shown_plainly():
    cell = code("run()")
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text=f"\x1b[31mred\x1b[0m {EVIL}\x00\n"),
        nbformat.v4.new_output("stream", name="stderr", text="careful\n"),
    ]
    page = rendered(prose("# T"), cell)
    assert page.find("div", class_="output").get_text(strip=True) == f"red {EVIL}"
    assert "careful" in page.find("details", class_="messages").get_text()


def test_a_failed_cell_shows_its_error_as_text():
    cell = code("run()")
    cell.outputs = [nbformat.v4.new_output("error", ename="ValueError", evalue=EVIL, traceback=[])]
    assert f"ValueError: {EVIL}" in rendered(cell).get_text()


def test_a_notebook_without_a_heading_is_called_after_its_file():
    page = read_page(notebook(code("1", text__plain="1")), "tier_allocation")
    assert page.title == "Tier allocation"
    assert page.decision_text == ""


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<p class="finding">One.</p><p>Two.</p>', "One."),
        ("<p> </p><p>Two <b>bold</b>.</p>", "Two bold."),
        ("<pre>plain &lt;b&gt;</pre>", "plain <b>"),
    ],
)
def test_the_first_paragraph_of_a_decision_goes_to_the_index(html, text):
    assert read_page(notebook(code("x", "decision", text__html=html)), "x").decision_text == text


def test_a_decision_in_prose_is_hoisted_too():
    page = read_page(notebook(prose("# T"), prose("Take **all**.", "decision"), prose("Rest.")), "x")
    assert page.decision_text == "Take all."
    assert len(page.blocks) == 1


def test_long_decisions_end_after_a_sentence():
    assert shorten("One. Two. " + "x" * 500, 20) == "One. Two."
    assert shorten("word " * 100, 22) == "word word word word …"
    assert shorten("short", 20) == "short"


def test_templates_escape_what_they_are_given():
    html = render(
        "reports.html.j2",
        studies=[context()["study"] | {"title": EVIL, "description": EVIL, "pages": [], "failed": True}],
    )
    assert "<script>" not in html
    assert BeautifulSoup(html, "html.parser").get_text().count(EVIL) == 2
