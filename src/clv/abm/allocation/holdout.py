"""Accounts left out at random, so that the next allocation knows what a tier adds (rule F4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from clv.abm.allocation.book import Book
from clv.abm.allocation.limits import Holdout, KeepLast, Limits, MustHave, MustNot


def draw_holdout(book: Book, holdout: Holdout, eligible: np.ndarray) -> np.ndarray:
    """Draw the holdout: in each stratum its share, the rest by largest remainders.

    Parameters
    ----------
    book : Book
    holdout : Holdout
    eligible : numpy.ndarray
        (N,) accounts that could be in the plan and need not be.

    Returns
    -------
    numpy.ndarray
        (N,) flags. The draw hangs on ids, strata and the seed, not on the order of rows.
    """
    g = np.random.default_rng(holdout.seed)
    stratum = np.zeros(len(eligible), dtype=np.int64)
    for column in holdout.by:
        codes, names = book.column(column)
        stratum = stratum * (len(names) + 1) + codes + 1
    at = np.flatnonzero(eligible)
    _, group = np.unique(stratum[at], return_inverse=True)
    size = np.bincount(group)
    wanted = holdout.share * size
    take = np.floor(wanted + 1e-9).astype(int)
    short = round(holdout.share * len(at)) - int(take.sum())
    remainder = wanted - take
    order = np.lexsort((g.permutation(len(size)), -remainder))
    take[order[: max(0, short)]] += 1
    # A random order within each stratum: the first ones are held out.
    order = np.lexsort((g.permutation(len(at)), group))
    first = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(int)
    place = np.arange(len(at)) - first[group[order]]
    held = np.zeros(len(eligible), dtype=bool)
    held[at[order[place < np.minimum(take, size)[group[order]]]]] = True
    return held


def eligible_accounts(book: Book, limits: Limits) -> np.ndarray:
    """(N,) accounts that may be drawn: those with an option of whom no other limit says what they get."""
    eligible = np.asarray(book.has.any(axis=1), dtype=bool)
    for limit in limits.declared:
        named: list[str] = []
        match limit:
            case MustHave():
                named = [str(account) for account in limit.accounts]
            case MustNot(accounts=Mapping() as barred):
                named = [str(account) for account, tiers in barred.items() if set(book.tiers) <= set(tiers)]
            case MustNot():
                named = [str(account) for account in limit.accounts]
            case KeepLast(switching_cost=None):
                named = [str(account) for account in limit.last]
            case Holdout(among=among) if among is not None:
                eligible &= book.accounts.isin([str(account) for account in among])
        at = book.accounts.get_indexer(pd.Index(named, dtype=object))
        eligible[at[at >= 0]] = False
    return eligible
