"""Run a case in a process of its own, so that neither its memory nor its warm-up touches the next."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any


def in_own_process(case: Callable[..., None], *given: object) -> dict[str, Any]:
    """Call ``case(*given, pipe)`` in a fresh process; what it sends, or nothing where it ended without a word."""
    context = multiprocessing.get_context("spawn")
    there, here = context.Pipe()
    process = context.Process(target=case, args=(*given, here))
    process.start()
    here.close()
    try:
        found: dict[str, Any] = there.recv()
    except EOFError:
        found = {}
    process.join()
    return found
