"""Nothing that a notebook shows can become markup that acts."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.report.sanitise import sanitise, text_of

ALLOWED_ATTRIBUTES = {"class", "scope", "colspan", "rowspan", "alt", "src", "href"}


class Inspector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//x>1</sCrIpT>",
    '<img src=x onerror="alert(1)">',
    '<img src="http://example.org/x.png" alt="x">',
    '<img src="data:text/html;base64,PHNjcmlwdD4=">',
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" java\nscript:alert(1)">x</a>',
    '<a href="https://example.org">x</a>',
    '<a href="//example.org/a.html">x</a>',
    '<a href="/etc/a.html">x</a>',
    "<svg><script>alert(1)</script></svg>",
    "<svg onload=alert(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<style>*{background:url(http://example.org)}</style>",
    '<p style="background:url(http://example.org)" onclick="alert(1)" id="main">x</p>',
    '<iframe src="http://example.org"></iframe>',
    '<form action="http://example.org"><button>x</button></form>',
    '<meta http-equiv="refresh" content="0;url=http://example.org">',
    '<base href="http://example.org/">',
    '<link rel="stylesheet" href="http://example.org">',
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<textarea></textarea><script>alert(1)</script>",
    '<td colspan="99999999">x</td>',
    '<p class="banner decision">x</p>',
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_become_harmless(attack):
    check(sanitise(f"<div>before {attack} after</div>"))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(ATTACKS),
            st.text(alphabet="<>/\"'=& abcdeiprst!-\x00\n", max_size=20),
            st.sampled_from(
                ["<table><tr><td>", "</td>", "<p>", "</div>", "<b", "<!--", "-->", "<!DOCTYPE", "&lt;script&gt;"]
            ),
        ),
        max_size=6,
    )
)
def test_any_mixture_of_attacks_becomes_harmless(parts):
    check(sanitise("".join(parts)))


def check(html: str) -> None:
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()
    forbidden = {
        "script",
        "style",
        "svg",
        "math",
        "iframe",
        "form",
        "meta",
        "base",
        "link",
        "button",
        "object",
        "template",
    }
    assert not forbidden & set(inspector.tags)
    for key, value in inspector.attributes:
        assert key in ALLOWED_ATTRIBUTES
        if key == "src":
            assert value is not None
            assert value.startswith("data:image/")
        if key == "href":
            assert value is not None
            assert re.fullmatch(r"[\w\-/#.]+", value)
            assert not value.startswith("/")
        if key in {"colspan", "rowspan"}:
            assert int(value or 0) < 1000
        if key == "class":
            assert not {"banner", "decision"} & set((value or "").split())


def test_an_escaped_id_stays_text():
    assert (
        sanitise("<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>") == "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>"
    )


def test_what_a_page_needs_is_kept():
    html = (
        '<p class="finding">1 &lt; 2 &amp; <strong>3</strong></p><table><tbody><tr><th scope="row">a</th>'
        '<td class="number" colspan="2">1</td></tr></tbody></table><a href="customer_value.html#top">x</a>'
    )
    inspector = Inspector()
    inspector.feed(sanitise(html))
    assert inspector.tags == ["p", "strong", "table", "tbody", "tr", "th", "td", "a"]
    assert ("href", "customer_value.html#top") in inspector.attributes
    assert text_of(sanitise(html)).startswith("1 < 2 & 3")


def test_text_of_keeps_words_apart():
    assert text_of("<p>one</p><p>two</p><ul><li>three</li></ul>") == "one two three"
