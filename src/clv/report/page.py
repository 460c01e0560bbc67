"""Turns executed notebooks and what is known of a study into self-contained HTML pages."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined
from markupsafe import Markup
from nbconvert.exporters.templateexporter import TemplateExporter
from traitlets import default

from clv.report.blocks import Page, read_page

if TYPE_CHECKING:
    from jinja2 import Environment
    from nbformat import NotebookNode

_TEMPLATES = Path(__file__).parent / "templates"


class PageExporter(TemplateExporter):
    """Exports a notebook through the template of this package: no scripts, no outside address, one stylesheet."""

    export_from_notebook = "clv report"
    output_mimetype = "text/html"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".html"

    @default("template_name")
    def _template_name_default(self) -> str:
        return "clv"

    @default("extra_template_basedirs")
    def _default_extra_template_basedirs(self) -> list[str]:
        return [str(_TEMPLATES)]

    def _create_environment(self) -> Environment:
        environment = super()._create_environment()
        environment.autoescape = True
        environment.undefined = StrictUndefined
        environment.trim_blocks = environment.lstrip_blocks = True
        environment.globals.update(policy=content_policy(), stylesheet=Markup(stylesheet()))
        environment.filters["safe_blocks"] = lambda parts: Markup("\n".join(parts))
        return environment

    def from_notebook_node(  # type: ignore[override]  # as nbconvert's own
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """Export one notebook; ``resources["clv"]`` holds the context of the page."""
        given = dict(resources or {})
        context = given.setdefault("clv", {})
        context["page"] = read_page(nb, context.get("name", "notebook"))
        return super().from_notebook_node(nb, given, **options)


@cache
def stylesheet() -> str:
    """Return the one stylesheet of all pages."""
    css = (_TEMPLATES / "clv" / "style.css").read_text("utf-8")
    return "\n".join(line.strip() for line in css.splitlines() if line.strip())


@cache
def content_policy() -> str:
    """Return the content-security policy: nothing but embedded pictures and our own stylesheet, by its hash."""
    digest = base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def _exporter() -> PageExporter:
    return PageExporter()


def render_notebook(nb: NotebookNode, name: str, context: dict[str, Any]) -> tuple[str, Page]:
    """Render the page of an executed notebook.

    Parameters
    ----------
    nb : nbformat.NotebookNode
        Executed and tidied.
    name : str
        Name of the notebook.
    context : dict
        What the template shows beside the notebook: ``study``, ``pages``, ``provenance``.

    Returns
    -------
    str, Page
        The page as HTML, and what it was made from.
    """
    html, resources = _exporter().from_notebook_node(nb, {"clv": {**context, "name": name}})
    return html.rstrip() + "\n", resources["clv"]["page"]


def render(template: str, **context: Any) -> str:
    """Render a page that belongs to no notebook; everything in `context` is escaped."""
    return _exporter().environment.get_template(template).render(**context).strip() + "\n"
