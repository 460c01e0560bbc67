"""Why there is no plan: an irreducible set of limits that clash, and what would settle it."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from clv.abm.highs import Found, search
from clv.abm.limits import Limits
from clv.abm.program import Program
from clv.errors import InfeasibleError


def explain(program: Program, limits: Limits, *, time_limit: float) -> InfeasibleError:
    """Name a set of limits that cannot hold together though each of its parts can.

    The deletion filter (Chinneck & Dravnieks 1991): limits are taken away one at a time, and one stays away if the
    rest still clash. What is left has a plan as soon as any one of them is dropped.

    Returns
    -------
    InfeasibleError
        With the limits, what the first of them would have to be, and the mend.
    """
    end = time.monotonic() + time_limit
    clash = list(range(len(limits.resources) + len(limits.least)))
    for row in list(clash):
        rest = [other for other in clash if other != row]
        if _status(program, rest, end) == "infeasible":
            clash = rest
    names = [limits.names[row] for row in clash]
    amounts = limits.amounts
    quoted = [
        f"{name} of {amounts[row]:,.10g}" if row < len(limits.resources) else name
        for row, name in zip(clash, names, strict=True)
    ]
    if not quoted:
        return InfeasibleError("The limits clash, though none of them can be named.", mend="Widen the limits.")
    first = clash[0]
    if first < len(limits.resources):
        need = _least_use(program, first, [row for row in clash if row != first], end)
        others = " and ".join(names[1:])
        needs, to = "", ""
        if need is not None:
            needs = f": {others} need{'s' if len(names) == 2 else ''} at least {need:,.10g}"
            to = f" to {_up(need):,.10g}"
        return InfeasibleError(
            f"No plan satisfies {quoted[0]} together with {' and '.join(quoted[1:])}{needs}.",
            mend=f"Raise {names[0]}{to}, or change: {others}.",
        )
    tiers = list(limits.least)
    able = {tier: _members(program, tiers=[tier]) for tier in tiers}
    clashing = [tiers[row - len(limits.resources)] for row in clash]
    together = _members(program, tiers=clashing)
    have = f"{together:,} account{' has' if together == 1 else 's have'}"
    which = f"an option in {clashing[0]}" if len(clashing) == 1 else f"an option in any of {', '.join(clashing)}"
    shares = "" if len(clashing) == 1 else f" ({', '.join(f'{able[t]:,} in {t}' for t in clashing)})"
    return InfeasibleError(
        f"No plan satisfies {' and '.join(quoted)}: {have} {which}{shares}, and each account can be in one tier only.",
        mend="Lower the fewest count, or offer the tier to more accounts.",
    )


def _up(need: float) -> float:
    """Round up to what a person would type, a ten-thousandth at most above."""
    if need <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(need)) - 5)
    return math.ceil(need / step - 1e-6) * step


def _status(program: Program, rows: list[int], end: float) -> str:
    """Find out whether there is any plan under these limits alone."""
    some = replace(
        program,
        gain=np.zeros_like(program.gain),
        side=program.side[rows],
        limit=program.limit[rows],
        whole=program.whole[rows],
    )
    return _all(some, end).status


def _least_use(program: Program, row: int, rest: list[int], end: float) -> float | None:
    """Least that any plan under the other limits uses of one, in its own units."""
    cheap = replace(
        program,
        gain=-program.side[[row]].toarray().ravel(),
        side=program.side[rest],
        limit=program.limit[rest],
        whole=program.whole[rest],
    )
    found = _all(cheap, end)
    return None if found.count is None else float(-(cheap.gain @ found.count) * program.row_unit[row])


def _all(program: Program, end: float) -> Found:
    everything = np.ones(len(program.gain), dtype=bool)
    held = np.bincount(program.owner, minlength=len(program.size)) > 0
    return search(program, everything, held, max(0.1, end - time.monotonic()))


def _members(program: Program, *, tiers: list[str]) -> int:
    """How many accounts have an option in any of these tiers."""
    wanted = np.isin(np.array(program.tiers, dtype=str)[program.tier], tiers)
    return int(program.size[np.unique(program.owner[wanted])].sum())
