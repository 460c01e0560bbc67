"""Takes out of an executed notebook what belongs to one machine or one moment, so that two runs give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import nbformat
from nbformat import NotebookNode

from clv.report.scrub import Scrubber

# pandas' Styler names its rules after a random number.
_STYLER = re.compile(r"\bT_[0-9a-f]{5}(?=[\s\"'_{#.,]|\Z)")
_TEXTS = ("text/plain", "text/html", "text/markdown", "text/latex")


def tidy(nb: NotebookNode, scrub: Scrubber, parameters: Mapping[str, Any]) -> NotebookNode:
    """Return an executed notebook without times, paths, process ids and random ids.

    Parameters
    ----------
    nb : nbformat.NotebookNode
    scrub : Scrubber
    parameters : mapping
        What the injected cell shall say: parameters with which a reader can run the notebook again.

    Returns
    -------
    nbformat.NotebookNode
        A new notebook.
    """
    from papermill.translators import PythonTranslator

    cells = []
    for number, cell in enumerate(nb.cells):
        tags = cell.metadata.get("tags", [])
        kept = NotebookNode(
            cell_type=cell.cell_type, id=f"cell-{number:03d}", metadata=NotebookNode(), source=cell.source
        )
        if tags:
            kept.metadata["tags"] = list(tags)
        if cell.get("attachments"):
            kept["attachments"] = cell.attachments
        if cell.cell_type == "code":
            if "injected-parameters" in tags:
                kept["source"] = PythonTranslator.codify(dict(parameters), "Parameters of the run").rstrip("\n")
            kept["execution_count"] = cell.execution_count
            kept["outputs"] = [_output(output, scrub) for output in _joined(cell.outputs)]
        cells.append(kept)
    metadata = {key: nb.metadata[key] for key in ("kernelspec", "language_info") if key in nb.metadata}
    metadata.get("kernelspec", {}).update(display_name="Python 3", language="python", name="python3")
    return nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join what a cell printed: in how many pieces, and in which order print and warning arrive, is chance.

    nbclient's own `coalesce_streams` takes time that grows with the square of a line's length.
    """
    streams = {
        name: "".join(o.text for o in outputs if o.output_type == "stream" and o.name == name)
        for name in ("stdout", "stderr")
    }
    joined = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in streams.items() if text]
    return joined + [output for output in outputs if output.output_type != "stream"]


def _output(output: NotebookNode, scrub: Scrubber) -> NotebookNode:
    new = nbformat.from_dict(dict(output))
    if output.output_type == "stream":
        new["text"] = scrub(output.text)
    elif output.output_type == "error":
        new["evalue"] = scrub.strictly(output.evalue)
        new["traceback"] = [scrub.strictly(line) for line in output.traceback]
    else:
        new["metadata"] = NotebookNode()
        for kind in _TEXTS:
            if kind in output.data:
                new.data[kind] = scrub(output.data[kind])
        if "text/html" in new.data:
            new.data["text/html"] = _numbered_styles(new.data["text/html"])
    return new


def _numbered_styles(html: str) -> str:
    seen: dict[str, str] = {}
    return _STYLER.sub(lambda found: seen.setdefault(found.group(), f"T_{len(seen):05x}"), html)
