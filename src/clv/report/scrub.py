"""Keeps what belongs to one machine or one moment out of what is shared: paths, process ids, addresses."""

from __future__ import annotations

import re
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

# A warning names the cell's file: /tmp/ipykernel_<process>/<hash>.py
# Bounded, because an output may hold megabytes without a blank.
_CELL_FILE = re.compile(r"[^\s:'\"<>]{0,300}/ipykernel_\d+/\d+\.py")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
_ABSOLUTE = re.compile(r"(?<![\w.:/~…<])/(?:[\w.@+\- ]*[\w.@+\-]/)+(?=[\w.@+\-])")


class Scrubber:
    """Replaces known folders by words, and what changes from run to run by nothing.

    Parameters
    ----------
    known : mapping
        Absolute folder -> what stands in its place.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        pairs = {
            folder.rstrip("/"): word
            for folder, word in known.items()
            if folder.count("/") >= 2 or folder == "/root" or folder.startswith("~/")
        }
        self._words = pairs
        longest_first = sorted(pairs, key=len, reverse=True)
        self._known = re.compile("|".join(f"{re.escape(f)}(?![\\w\\-])" for f in longest_first)) if pairs else None

    def __call__(self, text: str) -> str:
        """Scrub text that is shown as it is otherwise."""
        # Half a character (a lone surrogate) can be printed, but not written.
        text = text.encode("utf-8", "replace").decode()
        if "/ipykernel_" in text:
            text = _CELL_FILE.sub("<cell>", text)
        text = _ADDRESS.sub("0x…", text)
        if self._known is not None:
            text = self._known.sub(lambda found: self._words[found.group()], text)
        return text

    def strictly(self, text: str) -> str:
        """Scrub the text of an error: every absolute path is cut down to its last name."""
        return _ABSOLUTE.sub("…/", self(text))


def scrubber(*, run_folder: Path, study: str, name: str) -> Scrubber:
    """Make the scrubber of one study's run.

    Parameters
    ----------
    run_folder : pathlib.Path
        Where the run keeps its tables for now.
    study : str
        The study as the user typed it.
    name : str
        The study's name, which stands for both.
    """
    import clv

    known: dict[str, str] = {}
    for folder, word in (
        (Path(tempfile.gettempdir()), "<temporary>"),
        (Path.home(), "~"),
        (Path(sys.prefix), "<python>"),
        (Path(sys.base_prefix), "<python>"),
        (Path(sysconfig.get_paths()["stdlib"]), "<python>"),
        (Path(sysconfig.get_paths()["purelib"]), "<python>"),
        (Path.cwd(), "."),
        (Path(clv.__file__).parent, "clv"),
        (Path(study), name),
        (run_folder, name),
    ):
        for path in (folder.absolute(), folder.resolve()):
            known[str(path)] = word
            # IPython shortens paths under the home folder before we see them.
            if path != Path.home() and path.is_relative_to(Path.home()):
                known[f"~/{path.relative_to(Path.home())}"] = word
    return Scrubber(known)
