"""The index over all reports of a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from clv.report.staging import read_manifest

_FAILED = ".failed"


def write_overview(out: Path) -> None:
    """Write ``index.html`` over every report that stands in `out`, in one step."""
    from clv.report.page import render

    unfinished = out / f".index-{os.getpid()}.html"
    try:
        unfinished.write_text(render("reports.html.j2", studies=list_reports(out)), "utf-8")
        unfinished.replace(out / "index.html")
    finally:
        unfinished.unlink(missing_ok=True)


def list_reports(out: Path) -> list[dict[str, Any]]:
    """Return name, title, description and pages of every report in `out`, and whether its last run failed.

    Parameters
    ----------
    out : pathlib.Path
        Folder of all reports.

    Returns
    -------
    list of dict
        By name.
    """
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted(path for path in out.iterdir() if path.is_dir() and not path.name.startswith(".")):
        manifest: dict[str, Any] | None = read_manifest(folder)
        if manifest is None:
            continue
        failed = folder.name.endswith(_FAILED)
        name = folder.name.removesuffix(_FAILED)
        entry = found.setdefault(
            name,
            {
                "name": name,
                "title": manifest.get("title", name),
                "description": manifest.get("description", ""),
                "synthetic": manifest.get("synthetic", False),
                "pages": [],
                "failed": False,
            },
        )
        if failed:
            entry["failed"] = True
        else:
            entry["pages"] = manifest.get("pages", [])
    return list(found.values())
