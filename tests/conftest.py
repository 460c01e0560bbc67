"""What every test shares: no global random generator, no screen, small studies and notebooks to run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pytest

mpl.use("Agg")

ROOT = Path(__file__).resolve().parent.parent


def _numpys_global_state() -> tuple[bytes, int]:
    _, words, position, *_ = np.random.get_state()  # noqa: NPY002
    return words.tobytes(), position


@pytest.fixture(autouse=True)
def _no_global_randomness():
    """Fail a test during which anything, ours or borrowed, drew from numpy's global generator."""
    before = _numpys_global_state()
    yield
    assert _numpys_global_state() == before, "the global generator was used: pass a seeded Generator instead"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder of the real data sets, which the project does not carry."""
    home = os.environ.get("CLV_DATA_HOME")
    if not home or not Path(home).is_dir():
        pytest.skip("CLV_DATA_HOME is not set to a folder with the real data sets (see data/README.md)")
    return Path(home)


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
