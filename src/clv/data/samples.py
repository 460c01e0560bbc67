"""The samples that come with clv."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from clv.data.places import samples_folder
from clv.data.reading.cells import did_you_mean
from clv.data.reading.sources import locate
from clv.errors import DataError, SettingsError


def sample_folder(name: str) -> Path:
    """Return a sample's folder.

    Raises
    ------
    SettingsError
        There is no such sample.
    """
    names = _names()
    if name not in names:
        raise SettingsError(
            f"there is no study folder and no sample {name!r}{did_you_mean(name, names)}.",
            mend=f"Give a folder with a study.yml, or one of the samples {', '.join(names)}.",
        )
    return samples_folder() / name


def list_samples() -> pd.DataFrame:
    """List the samples.

    Returns
    -------
    pandas.DataFrame
        name, title, synthetic, available (its data are on this machine), provenance, licence.
    """
    from clv.data.study import load_study

    rows = []
    for name in _names():
        study = load_study(name)
        settings = study.settings
        rows.append(
            {
                "name": name,
                "title": settings.title,
                "synthetic": settings.synthetic,
                "available": all(_is_there(source.path, study.folder) for source in settings.tables.values()),
                "provenance": settings.provenance.strip(),
                "licence": settings.licence.strip(),
            }
        )
    return pd.DataFrame(rows, columns=["name", "title", "synthetic", "available", "provenance", "licence"])


def _names() -> list[str]:
    return sorted(entry.parent.name for entry in samples_folder().glob("*/study.yml"))


def _is_there(path: str | None, folder: Path) -> bool:
    if path is None:
        return True  # a query: only running it would tell
    try:
        locate(path, folder=folder)
    except DataError:
        return False
    return True
