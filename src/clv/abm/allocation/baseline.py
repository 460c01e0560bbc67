"""Rank-and-cut: what everybody does, accounts by their best return, the best tier that still fits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.abm.allocation.book import Book
from clv.abm.allocation.rows import Rules


def rank_and_cut(book: Book, rules: Rules) -> pd.DataFrame:
    """Go through the accounts by their best net value, and give each the best tier that fits what is left.

    It looks at limits of money, hours and "at most" counts as they stand, and at nothing else: fewest counts, clusters
    and shares may be missed, which `compare_allocations` says.

    Returns
    -------
    pandas.DataFrame
        account_id, tier.
    """
    gain = np.where(rules.has, book.net, -np.inf)
    order = np.lexsort((np.arange(len(gain)), -gain.max(axis=1)))
    rows = [family for family in rules.families if family.sense > 0 and family.kind != "share"]
    uses = [np.ones(gain.shape) if f.use is None else f.use for f in rows]
    touched = [np.isin(np.arange(gain.shape[1]), f.tiers) if f.tiers is not None else None for f in rows]
    left = [f.amounts - f.constant for f in rows]
    slack = [1e-9 * np.maximum(1.0, np.abs(one)) for one in left]
    tier_of = np.full(len(gain), -1)
    for account in order:
        if gain[account].max() <= 0:
            break
        for tier in np.argsort(-gain[account], kind="stable"):
            if gain[account, tier] <= 0:
                break
            if _fits(account, int(tier), rows, uses, touched, left, slack):
                tier_of[account] = tier
                break
    names = np.array([*book.tiers, "none"], dtype=object)
    return pd.DataFrame({"account_id": book.accounts.astype(str), "tier": names[tier_of]})


def _fits(account: int, tier: int, rows: list, uses: list, touched: list, left: list, slack: list) -> bool:
    """Take the option if it fits every limit."""
    change = []
    for family, use, tiers, rest, dust in zip(rows, uses, touched, left, slack, strict=True):
        row = 0 if family.group is None else int(family.group[account])
        if row < 0 or (tiers is not None and not tiers[tier]):
            continue
        if use[account, tier] > rest[row] + dust[row]:
            return False
        change.append((rest, row, use[account, tier]))
    for rest, row, amount in change:
        rest[row] -= amount
    return True
