"""Notebooks are committed clean, hold no code of their own, and run on their defaults and under plain papermill."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
EXPECTED = ["abm_roi", "account_selection", "churn_stages", "customer_value", "data_quality", "tier_allocation", "validation"]


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_the_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == EXPECTED


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_committed_without_outputs(path):
    for cell in code(path):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_imports_parameters_calls_and_prose_only(path):
    banned = (
        ast.FunctionDef,
        ast.ClassDef,
        ast.Lambda,
        ast.For,
        ast.While,
        ast.If,
        ast.Try,
        ast.With,
        ast.comprehension,
    )
    for cell in code(path):
        found = [type(node).__name__ for node in ast.walk(ast.parse(cell.source)) if isinstance(node, banned)]
        assert not found, f"{path.stem}: {found} in {cell.source!r}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_declares_parameters_and_one_decision(path):
    tags = [tag for cell in code(path) for tag in cell.metadata.get("tags", [])]
    assert tags.count("parameters") == 1
    assert tags.count("decision") == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_alone_on_its_defaults_from_the_notebooks_folder(path, tmp_path):
    """As JupyterLab runs it: the kernel starts in the notebook's own folder, nothing is injected."""
    papermill = pytest.importorskip("papermill")
    done = papermill.execute_notebook(
        str(path), str(tmp_path / "out.ipynb"), cwd=str(path.parent), progress_bar=False, kernel_name="python3"
    )
    executed = [cell for cell in done.cells if cell.cell_type == "code" and cell.source.strip()]
    assert all(cell.execution_count for cell in executed)
    assert any(output.output_type in ("execute_result", "display_data") for cell in executed for output in cell.outputs)
    assert not [o for cell in executed for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]


def test_plain_papermill_command(tmp_path):
    import subprocess
    import sys

    root = NOTEBOOKS[0].parents[1]
    out = tmp_path / "out.ipynb"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "papermill",
            "notebooks/tier_allocation.ipynb",
            str(out),
            "-p",
            "study",
            "data/samples/demo",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "decision" in out.read_text(encoding="utf-8")
