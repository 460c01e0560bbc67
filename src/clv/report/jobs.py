"""Makes several reports, side by side where there are processors for it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from clv.errors import ClvError, RunError, SettingsError
from clv.report.catalogue import find_notebooks
from clv.report.execute import import_nbformat
from clv.report.fault import Fault, from_exception
from clv.report.lock import clear_write_errors
from clv.report.run import Outcome, Request, run_study
from clv.report.staging import recover_all

#: called with ("begin" or "end", study, notebook).
Watch = Callable[[Literal["begin", "end"], str, str], None]

_PATIENCE = 15.0


def run_studies(
    requests: Sequence[Request], *, jobs: int | None = None, watch: Watch = lambda *_: None
) -> list[Outcome]:
    """Make the reports of several studies into one folder.

    Parameters
    ----------
    requests : sequence of Request
        All with the same `out`.
    jobs : int, optional
        How many at once; None: as many as there are processors, at most one a study.
    watch : callable
        Told when a notebook begins and ends.

    Returns
    -------
    list of Outcome
        In the order of the requests. A study that fails does not keep others from being made.

    Raises
    ------
    ClvError
        The settings of any study are wrong (then nothing has run), or the folder cannot be written to.
    """
    import_nbformat()
    names = check(requests)
    out = requests[0].out
    if out.is_dir():
        recover_all(out)
    at_once = min(jobs or _processors(), len(requests))
    if at_once == 1:
        outcomes = [_run_here(request, name, watch) for request, name in zip(requests, names, strict=True)]
    else:
        outcomes = _run_apart(requests, names, at_once, watch)
    if out.is_dir():
        from clv.report.overview import write_overview

        with clear_write_errors(out):
            write_overview(out)
    return outcomes


def check(requests: Sequence[Request]) -> list[str]:
    """Check the settings of all studies and the choice of notebooks.

    Returns
    -------
    list of str
        Names of the studies.

    Raises
    ------
    ClvError
        With every study that is wrong named.
    """
    from clv.data.study import load_study

    names: list[str] = []
    wrong: list[str] = []
    for request in requests:
        try:
            names.append(load_study(request.study, request.overrides).settings.name)
            find_notebooks(request.notebooks, only=request.only)
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n".join(wrong))
    twice = sorted({name for name in names if [n.casefold() for n in names].count(name.casefold()) > 1})
    if twice:
        raise RunError(f"Two studies are called {twice[0]!r}.", mend="Give one of them another name in its study.yml.")
    return names


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_here(request: Request, name: str, watch: Watch) -> Outcome:
    running: list[str] = []

    def progress(notebook: str | None) -> None:
        if notebook is None:
            watch("end", name, running.pop() if running else "")
        else:
            running.append(notebook)
            watch("begin", name, notebook)

    try:
        return run_study(request, progress)
    except ClvError as error:
        return Outcome(name, None, 0, (from_exception(error),))


def _run_apart(requests: Sequence[Request], names: Sequence[str], at_once: int, watch: Watch) -> list[Outcome]:
    """Run each study in a process of its own: a kernel's death or a leak in one does not reach another."""
    context = multiprocessing.get_context("spawn")
    waiting = list(zip(requests, names, strict=True))
    running: dict[Any, tuple[str, BaseProcess]] = {}
    done: dict[str, Outcome] = {}
    ready: Any  # the end of a pipe: a Connection, or what Windows has in its place
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                request, name = waiting.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                process: BaseProcess = context.Process(target=_work, args=(request, name, theirs), name=f"clv-{name}")
                with _ctrl_c_is_ours():
                    process.start()
                theirs.close()
                running[ours] = (name, process)
            for ready in wait(list(running)):
                name, process = running[ready]
                try:
                    message = ready.recv()
                except EOFError:
                    message = None
                if isinstance(message, tuple):
                    watch(*message)
                    continue
                process.join()
                ready.close()
                del running[ready]
                done[name] = message if message is not None else _died(name, process)
    finally:
        _stop([process for _, process in running.values()])
    return [done[name] for name in names]


def _died(name: str, process: BaseProcess) -> Outcome:
    message = f"The process that made the report ended before it was finished (exit status {process.exitcode})."
    return Outcome(name, None, 0, (Fault("", "killed", message, "Most often memory ran out: try --jobs 1."),))


def _stop(processes: Sequence[BaseProcess]) -> None:
    """End processes; they shut down their kernels and remove what they staged."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


@contextlib.contextmanager
def _ctrl_c_is_ours() -> Iterator[None]:
    """Start a child that ignores Ctrl-C: we hear it, and end the child in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(request: Request, name: str, connection: Connection) -> None:
    """Make one report in this process and send what happens to the parent."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        connection.send(_run_here(request, name, lambda *event: connection.send(event)))
    except KeyboardInterrupt:
        # What was staged is gone by now; the parent knows why.
        os._exit(130)
    except Exception as error:
        connection.send(Outcome(name, None, 0, (from_exception(error),)))
        if request.debug:
            raise


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def page_of(outcome: Outcome) -> Path | None:
    """Return the page at which to begin reading."""
    return None if outcome.folder is None else outcome.folder / "index.html"
