"""Rebuilds foreign HTML from a short list of what a page may hold; all else becomes text or nothing.

Account ids, names and error messages are other people's text, and a notebook shows what it likes: nothing of that is
passed through. The tree is read once and written anew, every text escaped, so that two parsers' different views of
broken markup have nothing to differ about.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import Tag

_VOID = {"br", "hr", "img"}
_BLOCKS = {
    "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "hr",
    "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "figure", "figcaption", "details", "summary",
}  # fmt: skip
_INLINE = {
    "a",
    "abbr",
    "b",
    "br",
    "code",
    "em",
    "i",
    "img",
    "kbd",
    "s",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "u",
}
_ALLOWED = _BLOCKS | _INLINE
#: elements whose content is no text for a reader.
_SILENT = {
    "script", "style", "template", "iframe", "object", "embed", "noscript", "noembed", "noframes", "svg", "math",
    "head", "title", "textarea", "select", "xmp", "plaintext", "audio", "video", "canvas", "form", "input", "button",
}  # fmt: skip
_CLASSES = {"number", "long", "short", "finding", "total", "muted", "good", "bad"}
_SPAN = re.compile(r"[1-9]\d{0,2}\Z")
_CELL = {"scope": re.compile(r"(?:row|col|rowgroup|colgroup)\Z"), "colspan": _SPAN, "rowspan": _SPAN}
_ATTRIBUTES = {"th": _CELL, "td": _CELL, "img": {"alt": re.compile(r".*\Z", re.DOTALL)}}
_LINK = re.compile(r"(?:#[\w\-]+|(?:[\w\-]+/)*[\w\-]+\.(?:html|ipynb|parquet|json)(?:#[\w\-]+)?)\Z", re.ASCII)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|svg\+xml);base64,[A-Za-z0-9+/=\s]+\Z")


def sanitise(html: str) -> str:
    """Rebuild HTML so that it can only show text, tables and embedded pictures.

    Parameters
    ----------
    html : str
        Anything.

    Returns
    -------
    str
        Markup without scripts, styles, ids, event handlers, forms and addresses outside the report.
    """
    return rebuild(parse(html))


def parse(html: str) -> Tag:
    """Parse HTML leniently."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(html, "html.parser")


def rebuild(node: Tag) -> str:
    """Write the children of a parsed element anew."""
    from bs4 import NavigableString, Tag

    parts: list[str] = []
    for child in node.children:
        if isinstance(child, Tag):
            parts.append(_element(child))
        # Exactly text: comments, doctypes, CDATA and the content of <script> are its subclasses.
        elif type(child) is NavigableString:
            parts.append(escape(str(child), quote=False))
    return "".join(parts)


def text_of(html: str) -> str:
    """Return what a person reads in HTML, on one line."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for block in soup.find_all(sorted(_BLOCKS | {"br"})):
        block.insert_after(" ")
    return " ".join(soup.get_text().split())


def _element(tag: Tag) -> str:
    name = tag.name.lower()
    if name in _SILENT:
        return ""
    if name not in _ALLOWED:
        return rebuild(tag)
    attributes = _attributes(tag, name)
    if name == "img" and "src" not in attributes:
        return escape(attributes.get("alt", ""))
    if name == "a" and "href" not in attributes:
        return rebuild(tag)
    written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{rebuild(tag)}</{name}>"


def _attributes(tag: Tag, name: str) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in tag.attrs.items():
        text = " ".join(value) if isinstance(value, list) else str(value)
        if key == "class":
            classes = [word for word in text.split() if word in _CLASSES]
            if classes:
                kept["class"] = " ".join(classes)
        elif key == "href" and name == "a" and _LINK.match(text):
            kept["href"] = text
        elif key == "src" and name == "img" and _PICTURE.match(text):
            kept["src"] = "".join(text.split())
        elif key in _ATTRIBUTES.get(name, {}) and _ATTRIBUTES[name][key].match(text):
            kept[key] = text
    return dict(sorted(kept.items()))
