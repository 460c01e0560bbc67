"""By how much what tiers are believed to add may be wrong before the plan is another, and what that would cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.robust.replan import SMALL, Replanner
from clv.abm.robust.wording import ALL, sensitivity_text
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.tiers import Allocation

#: what tiers add, as multiples of what is believed; fewer in a large book.
FACTORS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0, 3.0)
_FEW_FACTORS = (0.5, 0.75, 0.9, 1.1, 1.25, 1.5)
_LARGE = 20_000
#: gap of the plans in books with more options than `SMALL`; smaller ones are solved exactly.
_GAP = 1e-3


@dataclass(frozen=True, eq=False)
class Sensitivity(Result):
    """What becomes of a plan if tiers add more or less than is believed.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a tier (and all of them together) and factor: tier, factor (what it adds, as a multiple of what is
        believed), changed (accounts to which the best plan would then give another tier), share (of the accounts that
        have a tier), kept (net return of this plan), best (of the best plan then), regret (best − kept, ≥ 0: what
        keeping to this plan would cost).
    breaks : pandas.DataFrame
        One row a tier: tier, down, up: the multiples nearest to 1 at which the plan changes for more than `change` of
        its accounts, on straight lines between the factors; NaN where it does at none of them.
    change : float
    currency : str
    """

    breaks: pd.DataFrame
    change: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what keeping to the plan would cost, against what each tier truly adds."""
        from clv.abm.robust.pictures import sensitivity_lines

        return sensitivity_lines(self, ax)


def tier_sensitivity(plan: Allocation, factors: Sequence[float] | None = None, *, change: float = 0.1) -> Sensitivity:
    """Plan again where a tier adds a multiple of what is believed, one tier at a time and all together.

    Parameters
    ----------
    plan : Allocation
    factors : sequence of float, optional
        Multiples of 0 or more; by default from 0 to 3.
    change : float
        Share of the accounts with a tier from which on a plan counts as another one.

    Returns
    -------
    Sensitivity

    Raises
    ------
    SettingsError
        A factor is negative or no number, or the share is not between 0 and 1.

    Notes
    -----
    All limits stay. Plans are those of `Replanner`: near the best in a large book, so that regrets there are a little
    too small; which accounts change is told against the plan that the same search finds for what is believed.
    """
    if not 0 < change < 1:
        raise SettingsError(f"change = {change!r}.", mend="Give a share between 0 and 1.")
    work = plan.work
    replanner = Replanner(work.book, work.rules, 0.0 if work.book.has.sum() <= SMALL else _GAP)
    if factors is None:
        factors = FACTORS if replanner.options <= _LARGE else _FEW_FACTORS
    if not len(factors) or any(not np.isfinite(f) or f < 0 for f in factors):
        raise SettingsError(f"factors = {list(factors)!r}.", mend="Give multiples of 0 or more.")
    believed = replanner.value
    start = replanner.best(believed)
    base = work.tier_of if start is None else start.tier_of
    held = max(1, int((work.tier_of >= 0).sum()))
    rows = []
    for number, name in [*enumerate(work.book.tiers), (-1, ALL)]:
        if number >= 0 and not (replanner.tier == number).any():
            continue
        at = np.ones(len(believed), dtype=bool) if number < 0 else replanner.tier == number
        for factor in sorted({*map(float, factors), 1.0}):
            values = np.where(at, factor * believed, believed)
            found = start if factor == 1 else replanner.best(values)
            kept = float(replanner.worth(work.tier_of, values))
            tier_of = base if found is None else found.tier_of
            best = max(kept, float(replanner.worth(tier_of, values)))
            changed = int((tier_of != base).sum())
            rows.append((name, factor, changed, changed / held, kept, best, best - kept))
    table = pd.DataFrame(rows, columns=["tier", "factor", "changed", "share", "kept", "best", "regret"])
    parts = [(name, *_breaks(some, change)) for name, some in table.groupby("tier", sort=False)]
    breaks = pd.DataFrame(parts, columns=["tier", "down", "up"])
    draft = Sensitivity(table, "", breaks, change, plan.currency)
    return replace(draft, text=sensitivity_text(draft, plan.objective))


def _breaks(some: pd.DataFrame, change: float) -> tuple[float, float]:
    """Multiples below and above 1 nearest to it at which the share that changes passes `change`."""
    ends = []
    for side in (some[some["factor"] <= 1][::-1], some[some["factor"] >= 1]):
        factor, share = side["factor"].to_numpy(), side["share"].to_numpy()
        over = np.flatnonzero(share > change)
        if not len(over):
            ends.append(float("nan"))
            continue
        k = int(over[0])
        before = share[k - 1]
        ends.append(float(factor[k - 1] + (factor[k] - factor[k - 1]) * (change - before) / (share[k] - before)))
    return ends[0], ends[1]
