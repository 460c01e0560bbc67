"""Takes an executed notebook apart into what its page shows: title, decision, contents, prose, code, tables, charts."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Literal

from clv.report.catalogue import short_name
from clv.report.fault import plain
from clv.report.frames import with_tables
from clv.report.sanitise import sanitise, text_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

Kind = Literal["prose", "output", "messages"]

_HIDDEN = {"hide", "parameters", "injected-parameters"}
_HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_SUMMARY = 420


@dataclass(frozen=True)
class Block:
    """One piece of a page; `html` is safe to be written as it is."""

    kind: Kind
    html: str


@dataclass
class Page:
    """What a page shows.

    Attributes
    ----------
    title : str
    blocks : list of Block
        In the order of the notebook.
    decision : list of str
        Safe HTML of the cells tagged ``decision``.
    contents : list of (int, str, str)
        Level (2 or 3), id and text of each heading.
    code : list of (str, str)
        Heading under which a cell stands, and its highlighted source.
    """

    title: str = ""
    blocks: list[Block] = field(default_factory=list)
    decision: list[str] = field(default_factory=list)
    contents: list[tuple[int, str, str]] = field(default_factory=list)
    code: list[tuple[str, str]] = field(default_factory=list)

    @property
    def decision_text(self) -> str:
        """The decision in one paragraph of plain text, for an index."""
        text = next((t for part in self.decision for p in _paragraphs(part) if (t := text_of(p))), "")
        return shorten(text)


def shorten(text: str, limit: int = _SUMMARY) -> str:
    """Cut a text after the last whole sentence within `limit`, or after a word."""
    if len(text) <= limit:
        return text
    sentences = _SENTENCE_END.split(text)
    kept = ""
    for sentence in sentences:
        if len(kept) + len(sentence) >= limit:
            break
        kept = f"{kept} {sentence}".strip()
    return kept or text[:limit].rsplit(" ", 1)[0] + " …"


def read_page(nb: NotebookNode, name: str) -> Page:
    """Take an executed notebook apart.

    Parameters
    ----------
    nb : nbformat.NotebookNode
    name : str
        Name of the notebook; its title where it has no heading.

    Returns
    -------
    Page
    """
    page = Page()
    ids: set[str] = set()
    for number, cell in enumerate(nb.cells):
        tags = set(cell.metadata.get("tags", []))
        if tags & _HIDDEN or not (cell.source.strip() or cell.get("outputs")):
            continue
        hoisted = "decision" in tags
        if cell.cell_type == "markdown":
            html = _prose(cell.source, page, ids)
            if html.strip():
                page.decision.append(html) if hoisted else page.blocks.append(Block("prose", html))
        elif cell.cell_type == "code":
            about = page.contents[-1][2] if page.contents else page.title or name
            if cell.source.strip():
                _append_code(page, about, _code(cell.source))
            for block in _outputs(cell, about=about, prefix=f"t{number}"):
                page.decision.append(block.html) if hoisted and block.kind == "output" else page.blocks.append(block)
    page.title = page.title or short_name(name)
    return page


def _append_code(page: Page, about: str, html: str) -> None:
    """Keep code for the end of the page: readers come for what it found. Cells under one heading stand together."""
    if page.code and page.code[-1][0] == about:
        html = f"{page.code.pop()[1]}\n{html}"
    page.code.append((about, html))


def _paragraphs(html: str) -> Iterator[str]:
    found = re.findall(r"<p(?: [^>]*)?>.*?</p>", html, re.DOTALL)
    yield from found or [html]


def _prose(source: str, page: Page, ids: set[str]) -> str:
    """Render Markdown with raw HTML shown as text; the first heading of all becomes the page's title."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    renderer = IPythonRenderer(escape=True, exclude_anchor_links=True, allow_harmful_protocols=False)
    about = page.contents[-1][2] if page.contents else page.title
    html = with_tables(MarkdownWithMath(renderer=renderer).render(source), about=about, prefix=f"m{len(page.blocks)}")

    def head(found: re.Match[str]) -> str:
        level, inner = int(found.group(1)), found.group(2)
        text = text_of(inner)
        if level == 1 and not page.title:
            page.title = text
            return ""
        level = min(max(level, 2), 4)
        slug = _slug(text, ids)
        if level <= 3:
            page.contents.append((level, slug, text))
        return f'<h{level} id="{slug}">{inner}</h{level}>'

    return _HEADING.sub(head, html)


def _slug(text: str, taken: set[str]) -> str:
    base = re.sub(r"[^\w]+", "-", text.lower()).strip("-") or "part"
    slug, n = base, 2
    while slug in taken:
        slug, n = f"{base}-{n}", n + 1
    taken.add(slug)
    return slug


def _code(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))


def _outputs(cell: NotebookNode, *, about: str, prefix: str) -> Iterator[Block]:
    for number, output in enumerate(cell.outputs):
        if output.output_type == "stream":
            kind: Kind = "messages" if output.name == "stderr" else "output"
            if text := plain(output.text).strip("\n"):
                yield Block(kind, f"<pre>{escape(text, quote=False)}</pre>")
        elif output.output_type in {"display_data", "execute_result"}:
            if html := _shown(output.data, about=about, prefix=f"{prefix}-{number}"):
                yield Block("output", html)
        elif output.output_type == "error":
            text = f"{output.ename}: {plain(output.evalue)}"
            yield Block("output", f'<pre class="bad">{escape(text, quote=False)}</pre>')


def _shown(data: NotebookNode, *, about: str, prefix: str) -> str:
    """Choose the form of an output that a page can show."""
    if "image/svg+xml" in data:
        return _picture(
            "svg+xml", base64.b64encode(data["image/svg+xml"].encode()).decode(), data["image/svg+xml"], about
        )
    for kind in ("png", "jpeg", "gif"):
        if f"image/{kind}" in data:
            return _picture(kind, "".join(data[f"image/{kind}"].split()), None, about)
    if "text/html" in data:
        return with_tables(data["text/html"], about=about, prefix=prefix)
    if "text/markdown" in data:
        return _prose(data["text/markdown"], Page(title=about), set())
    text = plain(data.get("text/plain", ""))
    return f"<pre>{escape(text, quote=False)}</pre>" if text.strip() else ""


def _picture(kind: str, encoded: str, svg: str | None, about: str) -> str:
    title, size = _svg_head(svg) if svg is not None else (None, "")
    alt = escape(f"Chart: {title or about}")
    picture = sanitise(f'<img src="data:image/{kind};base64,{encoded}" alt="{alt}">')
    if not picture.startswith("<img"):
        return ""
    return f'<figure class="chart">{picture[:-1]}{size}></figure>'


def _svg_head(svg: str) -> tuple[str | None, str]:
    """Read title and size of a chart (matplotlib writes points)."""
    try:
        root = ET.fromstring(svg)
    except ET.ParseError:
        return None, ""
    title = root.findtext("{http://www.w3.org/2000/svg}title")
    points = [re.fullmatch(r"([\d.]+)pt", root.get(side, "")) for side in ("width", "height")]
    width, height = (round(float(p.group(1)) * 96 / 72) if p else None for p in points)
    return title, f' width="{width}" height="{height}"' if width and height else ""
