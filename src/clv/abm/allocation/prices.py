"""Prices of the limits: the bound that they prove, and what each option loses at them.

At prices λ ≥ 0 no plan is worth more than ``L(λ) = λ·limit + Σ_class size × max(0, max_option(gain − λ·use))`` (weak
duality: Fisher 1981), which any reader can recompute. The *regret* of an option is what its account loses by it against
its best choice at these prices: a plan with regrets of ρ in all is worth at most ``L(λ) − ρ``, so that once a plan
worth P is known, an option with a regret above ``L(λ) − P`` is in no better one (reduced-cost fixing: Nemhauser &
Wolsey 1988, II.5.3). A cluster is priced as a whole: open with its best members, or closed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.abm.allocation.program import Program


@dataclass(frozen=True, eq=False)
class Priced:
    """A program at prices.

    Attributes
    ----------
    prices : numpy.ndarray
        (K,) ≥ 0.
    bound : float
        L(λ): no plan is worth more.
    regret : numpy.ndarray
        (E,) at least so much is lost by a plan that takes the option.
    left_out : numpy.ndarray
        (G,) the same for leaving out an account of the class; infinite where it may not be.
    opened, closed : numpy.ndarray
        (C,) the same for opening a cluster, and for leaving it closed.
    best : numpy.ndarray
        (G,) the best choice of the class: an option, or −1 to leave it out.
    """

    prices: np.ndarray
    bound: float
    regret: np.ndarray
    left_out: np.ndarray
    opened: np.ndarray
    closed: np.ndarray
    best: np.ndarray


def net_of(program: Program, prices: np.ndarray) -> np.ndarray:
    """(E,) gain net of what the used limits cost at these prices."""
    return program.gain - program.side @ prices


def best_of(program: Program, net: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(G,) the largest of each class, not below `start`."""
    best = start.copy()
    first, groups = program.starts
    if len(first):
        best[groups] = np.maximum(best[groups], np.maximum.reduceat(net, first))
    return best


def price(program: Program, prices: np.ndarray) -> Priced:
    """Bound and regrets at given prices."""
    net = net_of(program, prices)
    floor = np.where(program.must, -np.inf, 0.0)
    money = float(prices @ program.reachable)
    if not len(program.fewest):
        best = best_of(program, net, floor)
        regret = best[program.owner] - net
        bound = money + float(program.size @ best)
        return Priced(prices, bound, regret, best - floor, np.zeros(0), np.zeros(0), _choice(program, regret))
    return _price_clusters(program, prices, net, floor, money)


def _price_clusters(program: Program, prices: np.ndarray, net: np.ndarray, floor: np.ndarray, money: float) -> Priced:
    """Price with clusters: each is a block, open or closed; sizes have prices of their own in an open one."""
    inside = program.cluster >= 0
    c = len(program.fewest)
    shut = best_of(program, np.where(inside, -np.inf, net), floor)
    home = np.full(len(program.size), -1)
    home[program.owner[inside]] = program.cluster[inside]
    at = np.flatnonzero(inside)
    with np.errstate(invalid="ignore"):
        benefit = net[at] - shut[program.owner[at]]
    level = _size_prices(program, at, benefit)
    reduced = net.copy()
    reduced[at] -= level[program.cluster[at]]
    wide = best_of(program, reduced, floor)
    member = home >= 0
    fee = program.open_gain - (prices[program.budget] if program.budget >= 0 else 0.0) * program.open_side
    sized = np.where(level > 0, level * program.most, level * program.fewest)
    held = np.bincount(program.cluster[at], weights=program.size[program.owner[at]], minlength=c)
    extra = np.zeros(len(wide))
    with np.errstate(invalid="ignore"):
        extra[member] = program.size[member] * (wide[member] - shut[member])
    # An account that must have a tier and has no other needs its cluster open: the closed block is impossible.
    forced = np.bincount(home[member & ~np.isfinite(shut)], minlength=c) > 0
    safe = np.where(member & ~np.isfinite(shut), 0.0, extra)
    opening = fee + sized + np.bincount(home[member], weights=safe[member], minlength=c)
    opening = np.where(held < program.fewest, -np.inf, opening)
    gain = np.where(forced, np.inf, opening)  # of opening, over leaving closed
    opened, closed = np.maximum(0.0, -gain), np.maximum(0.0, gain)
    block = money + float(np.sum(program.size * np.where(np.isfinite(shut), shut, wide)))
    finite = np.where(forced, opening, np.maximum(0.0, opening))
    bound = block + float(finite.sum())
    # Of an option: the smaller loss, in the open block or in the closed one.
    lost_open = np.where(member, opened[home], 0.0)[program.owner] + wide[program.owner] - reduced
    with np.errstate(invalid="ignore"):
        lost_closed = np.where(member, closed[home], 0.0)[program.owner] + shut[program.owner] - net
    lost_closed = np.where(inside, np.inf, lost_closed)
    regret = np.where(member[program.owner], np.minimum(lost_open, lost_closed), lost_closed)
    out_open = np.where(member, opened[home], np.inf) + wide - floor
    with np.errstate(invalid="ignore"):
        out_closed = np.where(member, closed[home], 0.0) + np.where(np.isfinite(shut), shut, np.inf) - floor
    left_out = np.minimum(out_open, out_closed)
    return Priced(prices, bound, regret, left_out, opened, closed, _choice(program, regret))


def place_prices(program: Program, prices: np.ndarray) -> np.ndarray:
    """(C,) price of a place in each cluster, were it open."""
    net = net_of(program, prices)
    inside = program.cluster >= 0
    floor = np.where(program.must, -np.inf, 0.0)
    shut = best_of(program, np.where(inside, -np.inf, net), floor)
    at = np.flatnonzero(inside)
    return _size_prices(program, at, net[at] - shut[program.owner[at]])


def _size_prices(program: Program, at: np.ndarray, benefit: np.ndarray) -> np.ndarray:
    """(C,) price of one more place in an open cluster: positive where it is full, negative below its fewest."""
    c = len(program.fewest)
    if not len(at):
        return np.zeros(c)
    cluster = program.cluster[at]
    order = np.lexsort((-benefit, cluster))
    weight = program.size[program.owner[at]][order]
    total = np.cumsum(weight)
    group = cluster[order]
    begin = np.searchsorted(group, np.arange(c))
    before = np.where(begin > 0, total[np.maximum(begin - 1, 0)], 0)
    within = total - before[group]
    level = np.zeros(c)
    sorted_benefit = np.where(np.isfinite(benefit[order]), benefit[order], 0.0)
    # The first account without a place, if it wants one: its benefit is the price.
    for bound, sign in ((program.most, 1), (program.fewest, -1)):
        reach = within > bound[group] if sign > 0 else within >= bound[group]
        marks = np.flatnonzero(reach)
        which, first = np.unique(group[marks], return_index=True)
        value = sorted_benefit[marks[first]]
        if sign > 0:
            level[which] = np.maximum(value, 0.0)
        else:
            level[which] = np.where(value < 0, value, level[which])
    return level


def _choice(program: Program, regret: np.ndarray) -> np.ndarray:
    """(G,) the option without regret, if any, the first of several; −1 to leave out."""
    best = np.full(len(program.size), -1)
    zero = np.flatnonzero(regret <= 0)[::-1]
    best[program.owner[zero]] = zero
    return best
