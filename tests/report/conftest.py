"""Small studies and small notebooks, so that a run takes the time of its kernels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

PARAMETERS = 'study = "x"\nrun_folder = None\noverrides = {}'

Writer = Callable[..., Path]


@pytest.fixture
def write_notebook(tmp_path: Path) -> Writer:
    """Write a notebook: cells that begin with ``# `` or ``## `` are prose, a tuple is code with tags."""

    def write(name: str, *cells: str | tuple[str, ...], folder: str = "notebooks") -> Path:
        node = nbformat.v4.new_notebook()
        for cell in cells:
            source, *tags = (cell,) if isinstance(cell, str) else cell
            if source.startswith(("# ", "## ")):
                node.cells.append(nbformat.v4.new_markdown_cell(source, metadata={"tags": tags}))
            else:
                node.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
        node.cells.insert(1, nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}))
        path = tmp_path / folder / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(node, path)
        return path

    return write


@pytest.fixture
def write_study(tmp_path: Path) -> Writer:
    """Write a study of three purchases."""

    def write(name: str = "tiny", *lines: str, title: str = "Tiny study") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "tx.csv").write_text("account_id,date,amount\na,2020-01-01,10\na,2020-02-01,12\nb,2020-01-05,7\n")
        text = "\n".join(
            [f"name: {name}", f"title: {title!r}", "tables:", "  transactions:", "    path: tx.csv", *lines]
        )
        (folder / "study.yml").write_text(text + "\n")
        return folder

    return write
