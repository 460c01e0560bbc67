"""What a report says about itself: study, data, settings, software; nothing of the machine, no time of day."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from clv.data.units import in_words

if TYPE_CHECKING:
    from clv.data.settings import Settings
    from clv.data.study import Study

_PACKAGES = (
    "duckdb", "lifetimes", "matplotlib", "nbclient", "nbconvert", "numpy", "pandas", "papermill", "pyarrow",
    "scikit-learn", "scipy", "seaborn", "statsmodels",
)  # fmt: skip
# Shown in places of their own.
_SAID_ELSEWHERE = {"name", "title", "description", "provenance", "licence", "synthetic", "tables"}
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python, clv and the libraries that have a say in the numbers."""
    from clv import __version__

    found = {"python": platform.python_version(), "clv": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def shareable(settings: Settings) -> dict[str, Any]:
    """Return all settings as JSON values, without passwords in addresses of databases and without absolute paths."""
    values = _named_only(settings.model_dump(mode="json"))
    for table in values["tables"].values():
        if table.get("url"):
            table["url"] = shareable_url(table["url"])
        if table.get("path"):
            table["path"] = shareable_path(table["path"])
    return values


def _named_only(values: dict[str, Any]) -> dict[str, Any]:
    """Cut the places of earlier runs down to what may be shared."""
    for part, key in ((values, "response"), (values.get("selection", {}), "last_run")):
        if part.get(key):
            part[key] = shareable_path(part[key])
    return values


def shareable_url(url: str) -> str:
    """Return the address of a database without user, password and the folders of a file."""
    scheme, found, rest = _PASSWORD.sub("…", url).partition("://")
    return f"{scheme}:///{PurePosixPath(rest).name}" if found and rest.startswith("/") else f"{scheme}{found}{rest}"


def shareable_path(path: str) -> str:
    """Return a path as it was written, an absolute one cut down to the file's name."""
    pure = PurePosixPath(path)
    return pure.name if pure.is_absolute() or path.startswith("~") else path


def shareable_overrides(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the settings given for one run, without passwords and absolute paths."""
    return {
        key: shareable_url(value) if "://" in value else shareable_path(value)
        for key, value in sorted(overrides.items())
    }


def changed_settings(settings: Settings, overrides: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the settings that differ from their defaults, and which of them were given for this run only."""
    changed = _named_only(settings.model_dump(mode="json", exclude_defaults=True))
    rows = []
    for key, value in sorted(_flat({k: v for k, v in changed.items() if k not in _SAID_ELSEWHERE})):
        given = any(key == o or key.startswith(f"{o}.") or o.startswith(f"{key}.") for o in overrides)
        rows.append({"key": key, "value": _said(value), "overridden": given})
    return rows


def describe(
    study: Study, overrides: Mapping[str, Any], run_folder: Path, *, with_inputs: bool = True
) -> dict[str, Any]:
    """Collect what the box on every page says.

    Parameters
    ----------
    study : Study
    overrides : mapping
        Settings given for this run.
    run_folder : pathlib.Path
        Its summary knows the as-of date where the settings leave it to the data.
    with_inputs : bool
        False where the files cannot be read.

    Returns
    -------
    dict
    """
    settings = study.settings
    as_of = str(settings.as_of) if settings.as_of is not None else _as_of_summary(run_folder)
    return {
        "as_of": as_of,
        "horizon": in_words(settings.horizon, settings.unit),
        "currency": settings.currency,
        "settings": changed_settings(settings, overrides),
        "inputs": inputs(study) if with_inputs else [],
        "versions": versions(),
    }


def inputs(study: Study) -> list[dict[str, Any]]:
    """Return name, place, hash and size of every file of a study."""
    rows = study.inputs().to_dict(orient="records")
    return [{str(k): _json(v) for k, v in row.items()} | {"path": shareable_path(str(row["path"]))} for row in rows]


def _json(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _as_of_summary(run_folder: Path) -> str | None:
    import pyarrow.parquet as pq

    path = run_folder / "tables" / "summary.parquet"
    if not path.exists():
        return None
    metadata = json.loads((pq.read_schema(path).metadata or {}).get(b"pandas", b"{}"))
    found = metadata.get("attributes", {}).get("clv", {}).get("as_of")
    return str(found)[:10] if found else None


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for i, item in enumerate(value):
                yield f"{prefix}{key}.{i}", item
        else:
            yield f"{prefix}{key}", value


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_said(item) for item in value) or "none"
    return f"{value:,g}" if isinstance(value, float) else str(value)
