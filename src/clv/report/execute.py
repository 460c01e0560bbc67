"""Runs one notebook through papermill, in a fresh kernel of this interpreter."""

from __future__ import annotations

import contextvars
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from clv.report.catalogue import Notebook
from clv.report.fault import Fault
from clv.report.verdict import judge

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: longest time that one cell may take, in seconds.
TIMEOUT = 1800.0


@dataclass(frozen=True)
class Executed:
    """A notebook after its run.

    Attributes
    ----------
    notebook : Notebook
    node : nbformat.NotebookNode or None
        With outputs as far as it came; None where it could not be read.
    fault : Fault or None
        None where every cell ran without an error.
    """

    notebook: Notebook
    node: NotebookNode | None
    fault: Fault | None


def execute(
    notebook: Notebook, parameters: Mapping[str, Any], *, timeout: float = TIMEOUT, debug: bool = False
) -> Executed:
    """Run a notebook in a fresh kernel of this interpreter.

    Parameters
    ----------
    notebook : Notebook
    parameters : mapping
        Injected after the cell tagged ``parameters``.
    timeout : float
        Seconds that one cell may take before its kernel counts as hung.
    debug : bool
        Let the kernel write to this process's stderr.

    Returns
    -------
    Executed
        Never raises for what happens inside the notebook.
    """
    import_nbformat()
    import nbformat
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

    from clv.report.kernel import kernel_class

    held: list[NotebookNode] = []

    class Engine(NBClientEngine):
        """Keeps hold of the notebook, which papermill lets go when a kernel dies."""

        @classmethod
        def execute_notebook(cls, nb: NotebookNode, *args: Any, **options: Any) -> NotebookNode:
            held.append(nb)
            return super().execute_notebook(nb, *args, **options)

    papermill_engines.register("clv", Engine)
    error: Exception | None = None
    try:
        source = nbformat.read(notebook.path, as_version=4)
        # As a node, not as a path: papermill formats paths, and a folder may hold a brace.
        with kernel_class(debug=debug) as manager, _quiet(debug):
            run = partial(
                papermill.execute_notebook,
                source,
                None,
                parameters=dict(parameters),
                engine_name="clv",
                kernel_name="python3",
                language="python",
                progress_bar=False,
                kernel_manager_class=manager,
                execution_timeout=timeout,
                iopub_timeout=60,
                shutdown_kernel="immediate",
                record_timing=False,
            )
            _in_own_loop(run)
    except Exception as raised:
        error = raised
    node = held[0] if held else None
    if node is not None:
        node.cells = [cell for cell in node.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
    return Executed(notebook, node, judge(notebook, node, error, timeout))


def import_nbformat() -> None:
    """Import nbformat without a grammar of international addresses that takes 1.7 s to compile and is of no use here.

    Its validator, jsonschema, takes the grammar for optional; formats of addresses occur in no notebook.
    """
    if "nbformat" in sys.modules or "rfc3987_syntax" in sys.modules:
        return
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    try:
        import nbformat  # noqa: F401
    finally:
        del sys.modules["rfc3987_syntax"]


@contextmanager
def _quiet(debug: bool) -> Iterator[None]:
    """Keep papermill's own log off the terminal: what it would say is in the fault."""
    logger = logging.getLogger("papermill")
    before = logger.level
    if not debug:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _in_own_loop(work: Callable[[], Any]) -> None:
    """Run in an event loop of our own, and leave no task of it pending when a kernel dies or Ctrl-C comes."""
    import asyncio

    from jupyter_core.utils import ensure_event_loop

    def run() -> None:
        loop = ensure_event_loop()
        if loop.is_running():  # called from JupyterLab: its loop is not ours
            work()
            return
        # A task that a dead kernel leaves behind complains when it is collected; its fault is told in our words.
        loop.set_exception_handler(lambda *_: None)
        try:
            work()
        finally:
            for task in (pending := asyncio.all_tasks(loop)):
                task.cancel()
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True) if pending else asyncio.sleep(0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            asyncio.set_event_loop(None)
            loop.close()

    # jupyter_core keeps its loop in a context variable: an empty context has none yet.
    contextvars.Context().run(run)
