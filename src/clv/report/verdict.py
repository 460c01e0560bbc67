"""Decides from the kernel's own answers whether a notebook ran, and says what went wrong if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.report.catalogue import Notebook
from clv.report.fault import Fault, explain, is_ours, plain, split_mend

if TYPE_CHECKING:
    from nbformat import NotebookNode


def judge(notebook: Notebook, node: NotebookNode | None, error: Exception | None, timeout: float) -> Fault | None:
    """Say what is wrong with a notebook that was run.

    Outputs and execution counts decide, which come from the kernel: metadata of a killed kernel says "completed".

    Parameters
    ----------
    notebook : Notebook
    node : nbformat.NotebookNode or None
        As far as it came.
    error : Exception or None
        What stopped it, if that was no error in a cell.
    timeout : float
        Seconds that a cell was given.

    Returns
    -------
    Fault or None
        None where every code cell ran without an error.
    """
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    if node is None:
        return Fault(
            notebook.name,
            "error",
            f"The notebook cannot be read or prepared: {error}",
            "Open it in JupyterLab, or restore the file.",
            type(error).__name__,
        )
    cells = [(i, cell) for i, cell in enumerate(node.cells) if cell.cell_type == "code" and cell.source.strip()]
    for i, cell in cells:
        for output in cell.outputs:
            if output.output_type == "error":
                return _from_output(notebook, output, _heading_before(node, i))
    started = [i for i, cell in cells if cell.execution_count is not None]
    # Which cell was sent last is papermill's to know; what came of it is not.
    sent = [i for i, cell in cells if cell.metadata.get("papermill", {}).get("start_time")]
    heading = _heading_before(node, sent[-1]) if sent else None
    if isinstance(error, CellTimeoutError):
        message = f"A cell took longer than {timeout:g} seconds; its kernel was stopped."
        return Fault(notebook.name, "timeout", message, "Give it more time with --timeout.", heading=heading)
    if isinstance(error, DeadKernelError):
        message = "The kernel was killed before the notebook was finished."
        mend = "Most often memory ran out: run fewer studies at once (--jobs 1) or on a larger machine."
        return Fault(notebook.name, "killed", message, mend, heading=heading)
    if error is not None:
        return Fault(notebook.name, "error", *explain(type(error).__name__, str(error)), type(error).__name__, heading)
    if len(started) < len(cells):
        message = f"Only {len(started)} of {len(cells)} code cells ran."
        return Fault(
            notebook.name, "unfinished", message, "Take what ends the kernel early out of it.", heading=heading
        )
    return None


def _from_output(notebook: Notebook, output: NotebookNode, heading: str | None) -> Fault:
    text, name = plain(output.evalue), output.ename
    message, mend = split_mend(text) if is_ours(name) else explain(name, text)
    return Fault(notebook.name, "error", message, mend, name, heading, plain("\n".join(output.traceback)))


def _heading_before(node: NotebookNode, index: int) -> str | None:
    """Return the text of the last heading above a cell, None where there is none."""
    found = None
    for cell in node.cells[:index]:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("#") and line.lstrip("#").strip():
                    found = line.lstrip("#").strip()
    return found
