"""What went wrong in a notebook, in words that a reader can act on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from clv.errors import ClvError

Kind = Literal["error", "killed", "timeout", "unfinished", "skipped", "study"]

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MEND = " Mend: "
_SYSTEM = (
    (re.compile(r"\[Errno 28\]|No space left on device|Disk quota exceeded"), "No space is left on the disk.",
     "Free some space, or give another folder with --out."),
    (re.compile(r"\AMemoryError"), "Memory ran out.", "Run fewer studies at once (--jobs 1) or on a larger machine."),
    (re.compile(r"\ASystemExit"), "The notebook ended itself before its last cell.",
     "Take exit() or quit() out of it."),
    (re.compile(r"\AKeyboardInterrupt"), "The kernel was interrupted.", "Run it again."),
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Why a page could not be made.

    Attributes
    ----------
    notebook : str
        Name of the notebook; empty where the study itself cannot be used.
    kind : {"error", "killed", "timeout", "unfinished", "skipped", "study"}
    name : str
        Class of the exception; empty where there was none.
    message : str
        What is wrong.
    mend : str or None
        What the reader can do about it.
    heading : str or None
        Heading of the notebook under which it happened.
    traceback : str
        Plain text; empty where there is none.
    """

    notebook: str
    kind: Kind
    message: str
    mend: str | None = None
    name: str = ""
    heading: str | None = None
    traceback: str = ""

    @property
    def line(self) -> str:
        """The fault in one line, for a terminal."""
        place = f"{self.notebook}: " if self.notebook else ""
        mend = f"{_MEND}{self.mend}" if self.mend else ""
        return " ".join(f"{place}{self.message}{mend}".split())


def split_mend(text: str) -> tuple[str, str | None]:
    """Take the text of a `ClvError` apart into message and mend."""
    message, found, mend = text.partition(_MEND)
    return message, mend if found else None


def explain(name: str, text: str) -> tuple[str, str]:
    """Say in words what an exception of the system or of a library means, and what to do.

    Returns
    -------
    str, str
        Message and mend.
    """
    whole = f"{name}: {text}" if text else name
    for pattern, message, mend in _SYSTEM:
        if pattern.search(whole):
            return message, mend
    return whole, "This is a fault of the notebook or of clv itself, not of your data: the technical detail says where."


def plain(text: str) -> str:
    """Drop terminal colours and control characters that are no white space."""
    return "".join(c for c in _ANSI.sub("", text) if c.isprintable() or c in "\n\t")


def from_exception(error: Exception, *, notebook: str = "", kind: Kind = "study") -> Fault:
    """Describe an exception that was raised outside a notebook."""
    if isinstance(error, ClvError):
        # str(error) names table, column and row; .message does not.
        return Fault(notebook, kind, *split_mend(str(error)), type(error).__name__)
    message, mend = explain(type(error).__name__, str(error))
    return Fault(notebook, kind, message, mend, type(error).__name__)


def is_ours(name: str) -> bool:
    """Tell whether `name` is a class of `clv.errors`, so that its text carries a mend."""
    import clv.errors

    found = getattr(clv.errors, name, None)
    return isinstance(found, type) and issubclass(found, ClvError)
