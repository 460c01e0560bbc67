"""What a program need not hold: options that no best plan needs, and accounts that are equal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.abm.allocation.rows import Rules


def useless_options(gain: np.ndarray, rules: Rules, scaled: list[np.ndarray | None]) -> np.ndarray:
    """Find options that some best plan does without.

    These are the options that gain nothing (leaving the account out uses less), and those that another option of the
    account matches or beats in gain and in every limited resource; both only in tiers of which no limit asks for more,
    the second only if no limit holds the other one's tier back. Of two options equal in all this the one whose tier's
    name comes first is kept.
    """
    m = gain.shape[1]
    droppable, free, open_ended = np.ones(m, dtype=bool), np.ones(m, dtype=bool), np.ones(m, dtype=bool)
    compare = []
    for family, use in zip(rules.families, scaled, strict=True):
        touched = list(range(m)) if family.tiers is None else list(family.tiers)
        mixed = use is not None and bool((use < 0).any())
        if family.sense < 0 or mixed:
            droppable[touched] = False
        if family.tiers is None:
            if use is not None:
                compare.append(family.sense * use)
        elif family.sense > 0:
            # A most count that covers every account with that option limits nothing.
            whole_book = use is None and family.group is None
            if not whole_book or rules.has[:, touched].any(axis=1).sum() > family.amounts[0]:
                open_ended[touched] = False
            if mixed:
                free[touched] = False
        else:
            free[touched] = False
            if use is not None:
                open_ended[touched] = False
    if rules.clusters is not None:
        droppable[rules.clusters.tier] = free[rules.clusters.tier] = open_ended[rules.clusters.tier] = False
    has = rules.has
    useless = has & (gain <= 0) & droppable & free & ~rules.must[:, None]
    worth, option = np.ascontiguousarray(gain.T), np.ascontiguousarray(has.T)
    compare = [np.ascontiguousarray(use.T) for use in compare]
    for j in np.flatnonzero(free):
        for i in np.flatnonzero(open_ended):
            if i == j:
                continue
            beats = option[i] & option[j]
            beats &= worth[i] >= worth[j]
            for use in compare:
                beats &= use[i] <= use[j]
            if i > j and open_ended[j] and free[i]:
                # Equal in everything and the other way round allowed as well: only one of the two may go.
                at = np.flatnonzero(beats)
                equal = worth[i, at] == worth[j, at]
                for use in compare:
                    equal &= use[i, at] == use[j, at]
                beats[at] = ~equal
            useless[:, j] |= beats
    return useless


def equal_accounts(
    gain: np.ndarray, keep: np.ndarray, rules: Rules, scaled: list[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Find accounts that are equal in all that counts: class of each account, and the first account of each class.

    Classes are in the order of their gains, the largest of each first, so that it does not hang on ids; equal gains are
    in the order of ids. Accounts without options are all alike.
    """
    n, m = gain.shape
    gains = np.where(keep, gain, 0.0)
    largest = np.ascontiguousarray(np.where(keep, gain, -np.inf).T).max(axis=0) if m else np.full(n, -np.inf)
    none = np.isneginf(largest)
    largest[none & rules.must] = -np.finfo(float).max
    order = np.argsort(largest, kind="stable")
    ranked = largest[order]
    same = ranked[1:] == ranked[:-1]
    tied = np.zeros(n, dtype=bool)
    tied[order[1:][same]] = True
    tied[order[:-1][same]] = True
    tied[none] = False
    some = np.flatnonzero(tied)
    # Only accounts whose largest gains are equal can be equal.
    code, first = _equal(gains, keep, rules, scaled, some)
    singles = np.flatnonzero(~tied & ~none)
    empty = [np.flatnonzero(none & flag) for flag in (~rules.must, rules.must)]
    empty = [at for at in empty if len(at)]
    firsts = np.concatenate([*(at[:1] for at in empty), first, singles])
    rank = np.argsort(largest[firsts], kind="stable")
    place = np.empty(len(rank), dtype=np.int64)
    place[rank] = np.arange(len(rank))
    member = np.empty(n, dtype=np.int64)
    for k, at in enumerate(empty):
        member[at] = place[k]
    member[some] = place[len(empty) + code]
    member[singles] = place[len(empty) + len(first) :]
    return member, firsts[rank]


def _equal(
    gains: np.ndarray, keep: np.ndarray, rules: Rules, scaled: list[np.ndarray | None], some: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of some accounts, the class of each and the first of each class, in the order of gains and then of ids."""
    m = gains.shape[1]
    columns = [gains[some, j] for j in range(m)]
    rest = [*(keep[some, j].astype(float) for j in range(m)), rules.must[some].astype(float)]
    for family, use in zip(rules.families, scaled, strict=True):
        if family.group is not None:
            rest.append(family.group[some].astype(float))
        if use is not None:
            at = range(m) if family.tiers is None else family.tiers
            rest += [np.where(keep[some, j], use[some, j], 0.0) for j in at]
    if rules.clusters is not None:
        rest.append(rules.clusters.code[some].astype(float))
    if rules.alone.any():
        rest.append(np.where(rules.alone[some], some, -1.0))
    mark = np.zeros(len(some), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in (*columns, *rest):
            mark = mark * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(column + 0.0)
    code, _ = pd.factorize(mark)
    first = np.empty(int(code.max(initial=-1)) + 1, dtype=np.int64)
    first[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    if len(first) < len(code) and any((column != column[first][code]).any() for column in (*columns, *rest)):
        first, code = np.arange(len(some)), np.arange(len(some))  # two rows with one mark: count each for itself
    order = np.lexsort((first, *(column[first] for column in reversed(columns))))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[code], some[first[order]]
