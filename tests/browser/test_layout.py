"""Pages in a real browser: nothing sticks out, nothing is blocked, nothing is asked from outside, text can be read."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from clv.report.fault import Fault
from clv.report.overview import write_overview
from clv.report.pages import write_pages
from clv.report.show import show
from clv.report.style import draw_svg

pytestmark = pytest.mark.browser

EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
LONG = "Aktiengesellschaft" * 12
PAGES = [
    "index.html",
    "tiny/index.html",
    "tiny/data_quality.html",
    "tiny.failed/index.html",
    "tiny.failed/customer_value.html",
]


def notebook() -> nbformat.NotebookNode:
    def cell(source: str, data: dict[str, str], *tags: str) -> nbformat.NotebookNode:
        made = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, execution_count=1)
        made.outputs = [nbformat.v4.new_output("display_data", data=data)]
        return made

    wide = pd.DataFrame(
        np.random.default_rng(1).normal(1e6, 1e5, size=(30, 16)),
        columns=[f"a rather long heading {i}" for i in range(16)],
        index=pd.Index([f"{LONG}-{i}" for i in range(30)], name="account_id"),
    )
    reasons = pd.DataFrame({"account": [EVIL, LONG], "why": ["A sentence that says why, at some length. " * 6] * 2})
    fig, ax = plt.subplots(figsize=(12, 4))
    ax.plot([1, 3, 2])
    ax.set_title("Sales a month")
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(f"# A title with {EVIL} and {LONG}\n\nIntro `{'code' * 60}` and {LONG}."),
            cell("decide()", {"text/html": "<p>Take 12 accounts.</p>"}, "decision"),
            nbformat.v4.new_markdown_cell(
                "## A part\n\n" + "Prose. " * 60 + f"\n\n```\n{'x' * 300}\n```\n\n### A detail"
            ),
            cell("wide()" + "  # a long line" * 30, {"text/html": wide._repr_html_()}),
            cell("show()", {"text/html": show(reasons, caption=f"Reasons {LONG}")._repr_html_()}),
            cell("plot()", {"image/svg+xml": draw_svg(fig)}),
            cell("text()", {"text/plain": "y" * 400}),
        ]
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from clv.data.study import load_study

    folder = tmp_path_factory.mktemp("browser")
    (folder / "tx.csv").write_text("account_id,date,amount\na,2020-01-01,10\n")
    (folder / "study.yml").write_text(
        f"name: tiny\ntitle: {json.dumps(EVIL)}\ndescription: {LONG}\nprovenance: {LONG}\nsynthetic: true\n"
        "horizon: 26\ntables:\n  transactions:\n    path: tx.csv\n"
    )
    study = load_study(folder)
    nodes = {"data_quality": notebook()}
    fault = Fault(
        "customer_value", "error", f"{EVIL} {LONG}", "Mend it.", "DataError", "Part", "line\n" * 3 + "z" * 500
    )
    for name, faults in (("tiny", []), ("tiny.failed", [fault])):
        target = folder / "reports" / name
        target.mkdir(parents=True)
        names = ["data_quality", *(["customer_value"] if faults else [])]
        write_pages(
            study, target, names, executed=nodes, faults=faults, overrides={"horizon": "26"}, wrote={}, titles={}
        )
    write_overview(folder / "reports")
    return folder / "reports"


@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("page", PAGES)
def test_no_page_scrolls_sideways_or_is_blocked(browser, reports, page, width):
    browser.open(reports / page, width=width)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("window.innerWidth") == width, "the browser shrank the page to make something fit"
    outside = browser.ask(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, pre, .pages, .skip') &&"
        " e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 90))"
    )
    assert outside == []
    assert browser.complaints() == []
    assert browser.ask("document.title") != "owned"
    # The stylesheet is in force: the policy names its hash.
    assert browser.ask("getComputedStyle(document.querySelector('.skip')).position") == "absolute"


def test_a_policy_that_is_broken_would_be_noticed(browser, tmp_path):
    """The check above can fail."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\"><style>p{color:red}</style>"
        "<p style='width:3000px'>x</p><img src='http://example.org/x.png'>"
    )
    browser.open(page, width=390)
    assert browser.complaints() != []


def test_contents_stand_beside_the_text_where_there_is_room_and_are_folded_where_not(browser, reports):
    visible = "[...document.querySelectorAll('nav.contents')].filter(e => e.offsetHeight).map(e => e.className)"
    browser.open(reports / "tiny/data_quality.html", width=1280)
    assert browser.ask(visible) == ["contents beside"]
    left, right = (
        browser.ask(f"document.querySelector('{selector}').getBoundingClientRect().{edge}")
        for selector, edge in (("main", "left"), ("nav.beside", "right"))
    )
    assert right <= left
    assert browser.ask("getComputedStyle(document.querySelector('nav.beside')).position") == "sticky"
    browser.open(reports / "tiny/data_quality.html", width=390)
    assert browser.ask(visible) == ["contents folded"]
    assert browser.ask("document.querySelector('nav.folded').offsetHeight") < 80


def test_print_shows_no_code_and_whole_tables(browser, reports):
    browser.open(reports / "tiny/data_quality.html", width=794, media="print")
    assert browser.ask("[...document.querySelectorAll('details.code, nav')].filter(e => e.offsetHeight).length") == 0
    assert browser.ask("[...document.querySelectorAll('.scroll')].every(e => getComputedStyle(e).maxHeight === 'none')")
    pdf = browser.call("Page.printToPDF", preferCSSPageSize=True)["data"]
    assert len(pdf) > 10_000


CONTRAST = """
(() => {
  const rgb = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const lum = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; }
    return [255, 255, 255, 1]; };
  const poor = [];
  for (const d of document.querySelectorAll('details')) d.open = true;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.getClientRects().length) continue;
    const [a, b] = [lum(rgb(getComputedStyle(e).color)), lum(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.push([ratio.toFixed(2), e.className, walker.currentNode.data.slice(0, 40)].join(' '));
  }
  return poor;
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_text_has_contrast_enough(browser, reports, page, dark):
    browser.open(reports / page, width=1280, dark=dark)
    ground = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)")
    assert browser.ask(CONTRAST) == []
    if "chart" in browser.ask("document.body.innerHTML"):
        assert (
            browser.ask("getComputedStyle(document.querySelector('figure.chart')).backgroundColor")
            == "rgb(255, 255, 255)"
        )


def test_the_keyboard_reaches_skip_link_tables_and_folds(browser, reports):
    browser.open(reports / "tiny/data_quality.html", width=1280)
    reached = []
    for _ in range(40):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(
            browser.ask(
                "(e => [e.className || e.tagName, getComputedStyle(e).outlineStyle,"
                " e.getBoundingClientRect().top >= 0])(document.activeElement)"
            )
        )
    assert reached[0][0] == "skip"
    assert reached[0][2], "the skip link shows itself when it has the focus"
    assert {"scroll", "SUMMARY"} <= {name for name, _, _ in reached}
    assert all(outline != "none" for name, outline, _ in reached if name != "BODY")
