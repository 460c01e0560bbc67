"""About which accounts to learn more before a plan is carried out: what knowing the worth of one would be worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation.explain import priced_worth
from clv.abm.robust.draws import OptionDraws, by_cell, read_draws
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from clv.abm.tiers import Allocation


def learn_first(plan: Allocation, options: pd.DataFrame, draws: np.ndarray | pd.DataFrame | OptionDraws) -> Result:
    """Say for each account what it would be worth to know, before the plan is made, what it would bring.

    At the prices of the limits an account takes the tier in which its value less cost and charges is largest. If its
    values were known, it would take the best one draw by draw; the mean gain of that is what knowing them is worth.
    Prices are held: one account hardly moves them.

    Parameters
    ----------
    plan : Allocation
    options : pandas.DataFrame
        That the plan was made from: account_id, tier.
    draws : array
        (options, draws) values in each draw, in the order of the options: best with the effects of tiers held at what
        is believed (`incremental_draws(..., effects="believed")`), so that what is learnt is the account's own.

    Returns
    -------
    Result
        ``.table``: account_id, tier, worth (money, expected), other (the tier that it would get most often if it were
        not this one), share (of draws in which another tier is better); the most valuable to know first.

    Raises
    ------
    DataError
        Draws do not fit the options, or the plan was not priced in time.
    """
    given = read_draws(options, draws)
    work = plan.work
    if not np.isfinite(work.solution.prices).all():
        raise DataError("the limits of the plan have no prices.", mend="Allow more time.", table="plan")
    worth = priced_worth(plan, work.solution.prices)[1]
    values = by_cell(options, work.book, given.drawn)
    drawn = worth[:, :, None] + (values - work.book.parts["value"][:, :, None])
    drawn = np.where(work.rules.has[:, :, None], drawn, -np.inf)
    out = np.where(work.rules.must[:, None], -np.inf, 0.0)[:, None, :]
    every = np.concatenate([drawn, np.broadcast_to(out, (len(worth), 1, drawn.shape[2]))], axis=1)
    best = every.argmax(axis=1)
    m = len(work.book.tiers)
    chosen = np.where(work.tier_of < 0, m, work.tier_of)
    with np.errstate(invalid="ignore"):
        mean = every.mean(axis=2)
        gain = every.max(axis=1).mean(axis=1) - mean.max(axis=1)
    counts = np.stack([(best == k).mean(axis=1) for k in range(m + 1)], axis=1)
    row = np.arange(len(worth))
    share = 1 - counts[row, chosen]
    counts[row, chosen] = -1
    names = np.array([*work.book.tiers, "none"], dtype=object)
    free = ~work.rules.held_out
    table = pd.DataFrame(
        {
            "account_id": work.book.accounts.astype(str),
            "tier": names[chosen].astype(str),
            "worth": np.maximum(0.0, gain),
            "other": names[counts.argmax(axis=1)].astype(str),
            "share": share,
        }
    )[free]
    table = table[table["worth"].notna()].sort_values(["worth", "account_id"], ascending=[False, True], kind="stable")
    from clv.abm.robust.wording import learn_text

    table = table.reset_index(drop=True)
    return Result(table, learn_text(table, plan.currency))
