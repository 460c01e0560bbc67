"""The manifest of a report: hashes of everything that went in and came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.report.fault import Fault
from clv.report.provenance import inputs, shareable, shareable_overrides, versions
from clv.report.staging import MADE_BY

if TYPE_CHECKING:
    from clv.data.study import Study


def sha256(path: Path) -> str:
    """Return the hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def snapshot(folder: Path) -> dict[str, str]:
    """Return path -> hash of what notebooks leave in a run folder beside pages; paths are relative, with ``/``."""
    files = [path for kind in ("tables", "models", "exports") for path in (folder / kind).rglob("*") if path.is_file()]
    files += [path for path in [folder / "response.json"] if path.is_file()]
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(files)}


def table_rows(path: Path) -> int:
    """Return the number of rows of a Parquet table."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def build(
    study: Study,
    folder: Path,
    *,
    overrides: Mapping[str, str],
    pages: Sequence[Mapping[str, Any]],
    wrote: Mapping[str, Sequence[str]],
    faults: Sequence[Fault] = (),
) -> dict[str, Any]:
    """Describe a report that stands in `folder`.

    Parameters
    ----------
    study : Study
    folder : pathlib.Path
        The staged report, pages written.
    overrides : mapping
        Settings given for the run.
    pages : sequence of mapping
        ``name``, ``title`` and ``decision`` of each page.
    wrote : mapping
        Notebook -> the tables, models and exports that it left.
    faults : sequence of Fault
        Why pages are missing.

    Returns
    -------
    dict
        Of JSON values; no times, no absolute paths.
    """
    files = snapshot(folder)
    html = {path.name: sha256(path) for path in sorted(folder.glob("*.html"))}
    settings = study.settings
    readable = not any(fault.kind == "study" for fault in faults)
    return {
        "made_by": MADE_BY,
        "format": 1,
        "study": settings.name,
        "title": settings.title,
        "description": settings.description,
        "synthetic": settings.synthetic,
        "fingerprint": study.fingerprint() if readable else None,
        "settings": shareable(settings),
        "overrides": shareable_overrides(overrides),
        "inputs": inputs(study) if readable else [],
        "tables": {
            path: {"sha256": digest, "rows": table_rows(folder / path)}
            for path, digest in files.items()
            if path.startswith("tables/") and path.endswith(".parquet")
        },
        "models": {path: digest for path, digest in files.items() if path.startswith("models/")},
        "exports": {path: digest for path, digest in files.items() if path.startswith("exports/")},
        "response": files.get("response.json"),
        "notebooks": {
            path.stem: {"sha256": sha256(path), "wrote": sorted(wrote.get(path.stem, []))}
            for path in sorted((folder / "notebooks").glob("*.ipynb"))
        },
        "pages": [dict(page) for page in pages],
        "html": html,
        "failures": [{"notebook": f.notebook, "kind": f.kind, "message": f.message, "mend": f.mend} for f in faults],
        "versions": versions(),
    }


def write(manifest: Mapping[str, Any], folder: Path) -> None:
    """Write a manifest with sorted keys."""
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / "manifest.json").write_text(text + "\n", "utf-8")
