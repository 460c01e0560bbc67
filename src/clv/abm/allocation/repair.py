"""A plan from prices: best choices, then the cheapest changes until all limits hold, then what still fits."""

from __future__ import annotations

import numpy as np

from clv.abm.allocation.draft import Draft
from clv.abm.allocation.prices import Priced
from clv.abm.allocation.program import Program


def drafted(program: Program, priced: Priced) -> Draft | None:
    """Make a plan that keeps all limits, if changes account by account lead to one; None proves nothing."""
    if not len(program.gain):
        return None
    opened = priced.closed > 0
    for _ in range(4):
        draft = Draft(program, priced, opened)
        draft.mend()
        if draft.holds():
            draft.fill()
            return draft
        wrong = draft.wrong_clusters()
        if not wrong.any():
            return None
        opened = opened & ~wrong
    return None


def repair(program: Program, priced: Priced) -> tuple[np.ndarray, np.ndarray] | None:
    """Make a plan that keeps all limits.

    Returns
    -------
    tuple of numpy.ndarray or None
        Counts of options (E,) and open clusters (C,); None if none was found, which proves nothing.
    """
    draft = drafted(program, priced)
    return None if draft is None else (draft.count, draft.opened.astype(float))
