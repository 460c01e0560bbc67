"""Makes the report of one study: notebooks, pages, manifest; published only when all of it is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.errors import ClvError, RunError
from clv.report.catalogue import Notebook, find_notebooks, in_order, title_of
from clv.report.execute import TIMEOUT, execute, import_nbformat
from clv.report.fault import Fault, from_exception
from clv.report.staging import Place, claim, read_manifest

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from clv.data.study import Study

#: called with the name of a notebook when it begins, and once more with None when it is done with.
Progress = Callable[[str | None], None]


@dataclass(frozen=True)
class Request:
    """What to make.

    Attributes
    ----------
    study : str
        A study's folder or a sample's name, as the user typed it.
    out : pathlib.Path
        Folder of all reports.
    only : tuple of str
        Notebooks to run; empty: all. Other pages are kept as they were published.
    overrides : mapping of str to str
        Settings for this run: dotted path -> value as YAML.
    notebooks : pathlib.Path, optional
        Folder of notebooks; None: those that ship.
    timeout : float
        Seconds that one cell may take.
    debug : bool
        Let kernels write to the terminal.
    """

    study: str
    out: Path
    only: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    notebooks: Path | None = None
    timeout: float = TIMEOUT
    debug: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a request.

    Attributes
    ----------
    name : str
        Name of the study.
    folder : pathlib.Path or None
        Where the report is, or what a failed run left; None where nothing could be written.
    pages : int
    faults : tuple of Fault
        Empty after success.
    """

    name: str
    folder: Path | None
    pages: int
    faults: tuple[Fault, ...] = ()


@dataclass
class _Work:
    """The state of one run."""

    study: Study
    request: Request
    place: Place
    executed: dict[str, NotebookNode] = field(default_factory=dict)
    wrote: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)


def run_study(request: Request, progress: Progress = lambda _: None) -> Outcome:
    """Make one report.

    Parameters
    ----------
    request : Request
    progress : callable
        Told the name of each notebook as it begins, and None as each is done with.

    Returns
    -------
    Outcome
        With faults where a notebook failed; the report that was published before is untouched then.

    Raises
    ------
    ClvError
        The study's settings are wrong, or nothing can be written.
    """
    from clv.data.study import load_study

    import_nbformat()
    study = load_study(request.study, request.overrides)
    notebooks = find_notebooks(request.notebooks, only=request.only)
    with claim(request.out.absolute(), study.settings.name) as place:
        work = _Work(study, request, place)
        try:
            study.inputs()
        except ClvError as error:
            return _publish_failure(work, [], [from_exception(error)])
        if request.only:
            _carry_over(work)
        _run_notebooks(work, notebooks, progress)
        names = in_order({*work.executed, *(notebook.name for notebook in notebooks)})
        if work.faults:
            return _publish_failure(work, names, [work.faults[n.name] for n in notebooks if n.name in work.faults])
        _render(work, names, [])
        place.publish()
        return Outcome(study.settings.name, request.out / study.settings.name, len(names))


def _run_notebooks(work: _Work, notebooks: Sequence[Notebook], progress: Progress) -> None:
    from clv.report.manifest import snapshot
    from clv.report.provenance import shareable_overrides
    from clv.report.scrub import scrubber
    from clv.report.tidy import tidy

    request, folder, name = work.request, work.place.staging, work.study.settings.name
    scrub = scrubber(run_folder=folder, study=request.study, name=name)
    parameters = {"study": request.study, "run_folder": str(folder), "overrides": dict(request.overrides)}
    shown_study = Path(request.study).name if Path(request.study).is_absolute() else request.study
    shown = {"study": shown_study, "run_folder": None, "overrides": shareable_overrides(request.overrides)}
    (folder / "notebooks").mkdir(exist_ok=True)
    for notebook in notebooks:
        work.titles[notebook.name] = title_of(notebook)
        missing = [need for need in notebook.needs if need in work.faults]
        if missing:
            message = f"It rests on {missing[0]!r}, which failed."
            mend = f"Mend {missing[0]!r} first."
            work.faults[notebook.name] = Fault(notebook.name, "skipped", message, mend)
            progress(None)
            continue
        progress(notebook.name)
        before = snapshot(folder)
        done = execute(notebook, parameters, timeout=request.timeout, debug=request.debug)
        if done.fault is None and done.node is not None:
            node = tidy(done.node, scrub, shown)
            _write_notebook(node, folder / "notebooks" / f"{notebook.name}.ipynb")
            work.executed[notebook.name] = node
            work.wrote[notebook.name] = [path for path, h in snapshot(folder).items() if before.get(path) != h]
        elif done.fault is not None:
            work.faults[notebook.name] = _scrubbed(done.fault, scrub.strictly)
        progress(None)


def _scrubbed(fault: Fault, scrub: Callable[[str], str]) -> Fault:
    return Fault(
        fault.notebook,
        fault.kind,
        scrub(fault.message),
        scrub(fault.mend) if fault.mend else None,
        fault.name,
        fault.heading,
        scrub(fault.traceback),
    )


def _write_notebook(node: NotebookNode, path: Path) -> None:
    import nbformat

    path.write_text(nbformat.writes(node) + "\n", "utf-8")


def _carry_over(work: _Work) -> None:
    """Take the published report along, but for what the chosen notebooks made.

    Raises
    ------
    RunError
        The published report was made from other data or settings: its pages would contradict the new ones.
    """
    import nbformat

    from clv.report.manifest import snapshot
    from clv.report.provenance import versions

    place, request = work.place, work.request
    manifest: dict[str, Any] | None = read_manifest(place.published)
    if manifest is None:
        return
    same = manifest.get("fingerprint") == work.study.fingerprint() and manifest.get("versions") == versions()
    others = [name for name in manifest.get("notebooks", {}) if name not in request.only]
    if not same and others:
        raise RunError(
            f"The published report {place.name!r} was made from other data, settings or software; "
            "its other pages would contradict the new ones.",
            mend="Run the whole study (leave out --only), or give another folder with --out.",
        )
    made = {path for name in request.only for path in manifest.get("notebooks", {}).get(name, {}).get("wrote", [])}
    for path in snapshot(place.published):
        (place.staging / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(place.published / path, place.staging / path)
    for path in made:
        (place.staging / path).unlink(missing_ok=True)
    (place.staging / "notebooks").mkdir(exist_ok=True)
    for name in others:
        source = place.published / "notebooks" / f"{name}.ipynb"
        shutil.copy2(source, place.staging / "notebooks" / source.name)
        work.executed[name] = nbformat.read(source, as_version=4)
        work.wrote[name] = list(manifest["notebooks"][name]["wrote"])


def _publish_failure(work: _Work, names: Sequence[str], faults: list[Fault]) -> Outcome:
    """Leave what succeeded, and a page that says what failed, beside the published report."""
    name = work.study.settings.name
    try:
        _render(work, names, faults)
        work.place.publish_failure()
    except OSError:
        # Most likely the disk that failed the notebook, too. The fault is told on the terminal all the same.
        return Outcome(name, None, len(work.executed), tuple(faults))
    return Outcome(name, work.request.out / work.place.failed.name, len(work.executed), tuple(faults))


def _render(work: _Work, names: Sequence[str], faults: Sequence[Fault]) -> None:
    from clv.report.pages import write_pages

    write_pages(
        work.study,
        work.place.staging,
        names,
        executed=work.executed,
        faults=faults,
        overrides=work.request.overrides,
        wrote=work.wrote,
        titles=work.titles,
    )
