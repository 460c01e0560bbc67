"""Writes all pages of one report: a page a notebook, a page for each failure, the study's index, the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.report import manifest
from clv.report.catalogue import short_name
from clv.report.fault import Fault
from clv.report.page import render, render_notebook
from clv.report.provenance import describe

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from clv.data.study import Study


def write_pages(
    study: Study,
    folder: Path,
    names: Sequence[str],
    *,
    executed: Mapping[str, NotebookNode],
    faults: Sequence[Fault],
    overrides: Mapping[str, str],
    wrote: Mapping[str, Sequence[str]],
    titles: Mapping[str, str],
) -> None:
    """Write pages, index and manifest into a staged report.

    Parameters
    ----------
    study : Study
    folder : pathlib.Path
        Staged report: its tables, models and notebooks are there.
    names : sequence of str
        Notebooks in the order of the pages; each is in `executed` or has a fault.
    executed : mapping
        Name -> executed, tidied notebook.
    faults : sequence of Fault
    overrides : mapping
        Settings given for the run.
    wrote : mapping
        Notebook -> tables and models that it left.
    titles : mapping
        Notebook -> title of the page that says why it failed.
    """
    failed = {fault.notebook: fault for fault in faults}
    about = _study(study)
    provenance = describe(study, overrides, folder, with_inputs="" not in failed)
    links = [{"name": name, "short": short_name(name), "fault": failed.get(name)} for name in names]
    pages: list[dict[str, Any]] = []
    for name in names:
        fault = failed.get(name)
        if fault is None:
            html, page = render_notebook(
                executed[name], name, {"study": about, "pages": links, "provenance": provenance}
            )
            title, decision = page.title, page.decision_text
        else:
            title, decision = titles.get(name, short_name(name)), ""
            html = render(
                "error.html.j2",
                title=title,
                name=name,
                fault=fault,
                study=about,
                pages=links,
                provenance=provenance,
            )
        (folder / f"{name}.html").write_text(html, "utf-8")
        pages.append({"name": name, "title": title, "decision": decision, "fault": fault})
    index = render(
        "study.html.j2",
        study=about,
        pages=pages,
        failing=sum(page["fault"] is not None for page in pages),
        study_faults=[failed[""]] if "" in failed else [],
        tables=_tables(folder),
        provenance=provenance,
    )
    (folder / "index.html").write_text(index, "utf-8")
    made = [{key: page[key] for key in ("name", "title", "decision")} for page in pages if page["fault"] is None]
    manifest.write(manifest.build(study, folder, overrides=overrides, pages=made, wrote=wrote, faults=faults), folder)


def _study(study: Study) -> dict[str, Any]:
    settings = study.settings
    return {
        key: getattr(settings, key) for key in ("name", "title", "description", "provenance", "licence", "synthetic")
    }


def _tables(folder: Path) -> list[dict[str, Any]]:
    from clv.data.tables import INPUTS, RUN_TABLES

    known = {**INPUTS, **RUN_TABLES}
    return [
        {
            "name": path.stem,
            "path": path.relative_to(folder).as_posix(),
            "rows": manifest.table_rows(path),
            "about": known[path.stem].description if path.stem in known else "",
        }
        for path in sorted((folder / "tables").glob("*.parquet"))
    ]
