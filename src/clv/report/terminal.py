"""Shows on a terminal which notebook is running."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Literal

from tqdm import tqdm

from clv.report.catalogue import find_notebooks
from clv.report.run import Request


class Progress:
    """A progress bar over the notebooks of all studies, on stderr; nothing where that is no terminal.

    Parameters
    ----------
    requests : sequence of Request
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        total = sum(len(find_notebooks(request.notebooks, only=request.only)) for request in requests)
        # The rate that tqdm would show by default is of no use for steps of seconds.
        layout = "{desc}: {n_fmt}/{total_fmt} |{bar}| {elapsed}"
        self._bar = tqdm(total=total, file=sys.stderr, disable=None, leave=False, bar_format=layout, desc="clv")
        self._running: dict[str, str] = {}

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def __call__(self, event: Literal["begin", "end"], study: str, notebook: str) -> None:
        """Take note that a notebook began or ended."""
        if event == "begin":
            self._running[study] = notebook
        else:
            self._running.pop(study, None)
            self._bar.update(1)
        self._bar.set_description_str(", ".join(f"{s} {n}" for s, n in sorted(self._running.items())) or "clv")
