"""A report is built beside its place and moved there only when it is whole: what was there is never half gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clv.errors import RunError
from clv.report.lock import clear_write_errors, lock

#: says in a manifest that a folder is ours to replace.
MADE_BY = "clv report"


@dataclass(frozen=True)
class Place:
    """Where one study's report lives, and where it is built.

    Attributes
    ----------
    out : pathlib.Path
        Folder of all reports.
    name : str
        Name of the study.
    """

    out: Path
    name: str

    @property
    def published(self) -> Path:
        """The report that readers see."""
        return self.out / self.name

    @property
    def failed(self) -> Path:
        """What a failed run leaves to be read."""
        return self.out / f"{self.name}.failed"

    @property
    def staging(self) -> Path:
        """Where a run builds; the name is the same on every run, so that no output can differ by it."""
        return self.out / f".staging-{self.name}"

    @property
    def previous(self) -> Path:
        """Where the published report waits while it is being replaced."""
        return self.out / f".previous-{self.name}"

    @property
    def lock(self) -> Path:
        """Held by the process that builds."""
        return self.out / f".lock-{self.name}"

    def publish(self) -> None:
        """Move the staged report into its place; on any interruption the old or the new one is there, whole."""
        check_ours(self.published)
        check_ours(self.failed)
        try:
            if self.published.exists():
                self.published.rename(self.previous)
            self.staging.rename(self.published)
        finally:
            self.recover()
        _remove(self.failed)

    def publish_failure(self) -> None:
        """Move what a failed run made beside the published report, which stays as it is."""
        check_ours(self.failed)
        _remove(self.failed)
        self.staging.rename(self.failed)

    def recover(self) -> None:
        """Finish or take back a replacement that was interrupted."""
        if self.previous.exists():
            if self.published.exists():
                _remove(self.previous)
            else:
                self.previous.rename(self.published)


@contextmanager
def claim(out: Path, name: str) -> Iterator[Place]:
    """Take hold of a study's place in `out` for one run, with an empty staging folder.

    Parameters
    ----------
    out : pathlib.Path
        Made if it is not there.
    name : str
        Name of the study.

    Yields
    ------
    Place
        Its staging folder is removed in the end, whatever happens, unless it was published.

    Raises
    ------
    RunError
        Another run holds the place, it cannot be written to, the disk is full, or something that is no report of
        ours stands there.
    """
    place = Place(out, name)
    with clear_write_errors(out):
        try:
            out.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise RunError(f"{str(out)!r} is a file, not a folder.", mend="Give another folder with --out.") from None
        busy = f"Another run is writing the report {name!r} in {str(out)!r}."
        with lock(place.lock, busy=busy):
            place.recover()
            check_ours(place.published)
            check_ours(place.failed)
            # We hold the lock: whoever made this staging folder is gone.
            _remove(place.staging)
            try:
                place.staging.mkdir()
                yield place
            finally:
                _remove(place.staging)


def check_ours(folder: Path) -> None:
    """Refuse to replace a folder that clv did not make.

    Raises
    ------
    RunError
    """
    if not folder.exists() and not folder.is_symlink():
        return
    mend = "Move it away, or give another folder with --out."
    if folder.is_symlink() or not folder.is_dir():
        raise RunError(f"{str(folder)!r} is not a folder that clv made.", mend=mend)
    if any(folder.iterdir()) and read_manifest(folder) is None:
        raise RunError(f"{str(folder)!r} holds something that is not a report of clv.", mend=mend)


def read_manifest(folder: Path) -> dict[str, object] | None:
    """Return the manifest of a report, None where there is none of ours."""
    try:
        found = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("made_by") == MADE_BY else None


def recover_all(out: Path) -> None:
    """Finish interrupted replacements of every study in `out` that no run is working on."""
    for left in sorted(out.glob(".previous-*")):
        place = Place(out, left.name.removeprefix(".previous-"))
        try:
            with lock(place.lock, busy=""):
                place.recover()
        except (RunError, OSError):
            continue


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
