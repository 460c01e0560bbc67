"""Prices of large books: the dual of the allocation, smoothed, then solved by Newton's method on ever fewer accounts.

``L(λ)`` has kinks. With the maximum over an account's choices replaced by μ log Σ exp(· / μ) it is smooth and convex
(Nesterov 2005), its gradient and Hessian are sums over accounts, and a projected Newton method (Bertsekas 1982) follows
its minimum as μ falls. Prices are first found on a sample of the accounts; then every account is fixed whose best
choice is far from changing, and only those near a tie are kept (a box around the prices, which is moved and widened
if a fixed account turns out to change).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clv.abm.allocation.prices import Priced, place_prices, price
from clv.abm.allocation.program import Program, starts_of

#: classes that a sample, and the accounts near a tie, hold at first.
_SAMPLE = 20_000
_NEAR = 60_000
#: with more rows than this a sample says too little of each: all classes are used.
_MANY_ROWS = 64
#: up to so many rows a table with all its zeros is faster than a sparse one.
_FEW_ROWS = 16
#: how often a sample's limits are corrected, the smoothing at which that begins (beside the mean gain), and the share
#: of the bound that a correction has to gain for another to follow.
_CORRECTIONS = 5
_CORRECTED = 0.003
_SETTLED = 1e-6


@dataclass(frozen=True, eq=False)
class Flat:
    """A program without clusters: what the smoothed dual sees."""

    gain: np.ndarray
    owner: np.ndarray
    first: np.ndarray
    size: np.ndarray
    floor: np.ndarray
    side: Any
    limit: np.ndarray


def approximate(program: Program, end: float) -> Priced:
    """Find prices that are nearly the best, and price the program at them.

    Parameters
    ----------
    program : Program
    end : float
        Moment (`time.monotonic`) after which no further round is begun.
    """
    k, groups = len(program.limit), len(program.size)
    if k == 0:
        return price(program, np.zeros(0))
    if len(program.fewest):
        return _with_clusters(program, end)
    everyone = np.ones(groups, dtype=bool)
    if k > _MANY_ROWS or groups <= 2 * _SAMPLE:
        return price(program, descend(_flat(program, everyone, program.gain, program.reachable), np.zeros(k), end))
    best = _by_sample(program, end)
    return min(best, _by_nearest(program, best, end), key=lambda one: one.bound)


def _by_sample(program: Program, end: float) -> Priced:
    """Find prices on a sample whose limits are corrected by what all accounts use at the prices found so far.

    A sample's own prices are off by the chance in what it uses. At prices λ both uses are known: the sample's limit
    becomes its use at λ plus its share of what all accounts leave of the limit at λ (a control variate: Johnson & Zhang
    2013). The best prices of all accounts are a fixed point, approached by the sample's error in curvature alone.
    """
    # Accounts without an option that could be taken are no part of the sample, nor of what it stands for.
    able = program.starts[1]
    some = np.zeros(len(program.size), dtype=bool)
    step = max(1, len(able) // _SAMPLE)
    some[able[step // 2 :: step]] = True
    share = program.size[some].sum() / program.size[able].sum()
    flat = _flat(program, some, program.gain, program.reachable * share)
    at = np.flatnonzero(some[program.owner])
    best = price(program, descend(flat, np.zeros(len(program.limit)), end))
    latest = best
    for _ in range(_CORRECTIONS):
        if time.monotonic() > end:
            break
        taken = np.zeros(len(program.gain))
        chosen = latest.best[latest.best >= 0]
        taken[chosen] = program.size[program.owner[chosen]]
        left = program.reachable - program.side.T @ taken
        flat = replace(flat, limit=program.side[at].T @ taken[at] + share * left)
        latest = price(program, descend(flat, latest.prices, end, mu=_CORRECTED * usual(flat.gain)))
        gained = best.bound - latest.bound
        best = min(best, latest, key=lambda one: one.bound)
        if gained <= _SETTLED * abs(best.bound):
            break
    return best


def _by_nearest(program: Program, best: Priced, end: float) -> Priced:
    """Descend on the classes nearest to a tie, of all accounts; the others are fixed."""
    near, fixed, width = near_tie(program, best, _NEAR)
    flat = _flat(program, near, program.gain, program.reachable - program.side.T @ fixed)
    return price(program, descend(flat, best.prices, end, mu=width / 8))


def near_tie(program: Program, priced: Priced, many: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Choose the classes nearest to a tie, and fix the others.

    Returns
    -------
    near : numpy.ndarray
        (G,) flags.
    fixed : numpy.ndarray
        (E,) counts of the options of all other classes.
    width : float
        Regret up to which a second choice counts as near.
    """
    second = second_regret(program, priced)
    if many >= len(second):
        return np.ones(len(second), dtype=bool), np.zeros(len(program.gain)), float(second.max(initial=0.0))
    width = float(np.partition(second, many)[many])
    near = second <= width
    fixed = np.zeros(len(program.gain))
    at = priced.best[~near & (priced.best >= 0)]
    fixed[at] = program.size[program.owner[at]]
    return near, fixed, width


def second_regret(program: Program, priced: Priced) -> np.ndarray:
    """(G,) regret of the second best choice of each class, infinite where there is none."""
    regret = priced.regret.copy()
    chosen = priced.best[priced.best >= 0]
    regret[chosen] = np.inf
    second = np.full(len(program.size), np.inf)
    first, groups = program.starts
    if len(first):
        second[groups] = np.minimum.reduceat(regret, first)
    return np.where(priced.best >= 0, np.minimum(second, priced.left_out), second)


def _with_clusters(program: Program, end: float) -> Priced:
    """Descend with clusters: a smoothed choice between open and closed for each of them."""
    everyone = np.ones(len(program.size), dtype=bool)
    flat = _flat(program, everyone, program.gain, program.reachable)
    zero = np.zeros(len(program.limit))
    if not len(flat.gain):
        return price(program, zero)
    best = price(program, zero)
    found = price(program, descend(flat, zero, end, blocks=Blocks(program, flat)))
    return found if found.bound < best.bound else best


def _flat(program: Program, some: np.ndarray, gain: np.ndarray, limit: np.ndarray) -> Flat:
    """Keep some classes, of these the ones that have an option."""
    at = slice(None) if some.all() else np.flatnonzero(some[program.owner])
    first, groups = starts_of(program.owner[at])
    owner = np.repeat(np.arange(len(first)), np.diff(first, append=len(program.owner[at])))
    floor = np.where(program.must[groups], -np.inf, 0.0)
    side = program.side[at]
    return Flat(
        gain[at],
        owner,
        first,
        program.size[groups].astype(float),
        floor,
        side.toarray() if side.shape[1] <= _FEW_ROWS else side,
        limit,
    )


def _best(flat: Flat, net: np.ndarray) -> np.ndarray:
    return np.maximum(flat.floor, np.maximum.reduceat(net, flat.first)) if len(flat.first) else flat.floor


def _plain(flat: Flat, prices: np.ndarray) -> float:
    return float(prices @ flat.limit + flat.size @ _best(flat, flat.gain - flat.side @ prices))


@dataclass(frozen=True, eq=False)
class Point:
    """Smoothed dual: value, gradient (K,), shares (E,) of each class's options, and what clusters change."""

    value: float
    gradient: np.ndarray
    share: np.ndarray
    between: Any = None


def shares(flat: Flat, net: np.ndarray, mu: float) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed best (G,) and share of each option (E,); `net` is used up."""
    best = _best(flat, net)
    net -= best[flat.owner]
    net /= mu
    np.maximum(net, -700.0, out=net)
    share = np.exp(net, out=net)
    total = np.exp(np.maximum((flat.floor - best) / mu, -700.0)) + np.add.reduceat(share, flat.first)
    share /= total[flat.owner]
    return best + mu * np.log(total), share


def _evaluate(flat: Flat, prices: np.ndarray, mu: float, blocks: Blocks | None = None) -> Point:
    if blocks is not None:
        return blocks.evaluate(prices, mu)
    best, share = shares(flat, flat.gain - flat.side @ prices, mu)
    value = float(prices @ flat.limit + flat.size @ best)
    return Point(value, flat.limit - flat.side.T @ (share * flat.size[flat.owner]), share)


class Blocks:
    """Clusters in the smoothed dual: open or closed by a logistic share; prices of places are kept for a stage."""

    def __init__(self, program: Program, flat: Flat) -> None:
        self.program, self.flat = program, flat
        self.inside = np.flatnonzero(program.cluster >= 0)
        self.home = np.full(len(flat.size), -1)
        self.home[flat.owner[self.inside]] = program.cluster[self.inside]
        self.member = np.flatnonzero(self.home >= 0)
        self.level = np.zeros(len(program.fewest))
        held = np.bincount(program.cluster[self.inside], program.size[program.owner[self.inside]], len(self.level))
        self.small = held < program.fewest

    def refresh(self, prices: np.ndarray) -> float:
        """Price the places anew; return the bound."""
        found = price(self.program, prices)
        self.level = place_prices(self.program, prices)
        return found.bound

    def evaluate(self, prices: np.ndarray, mu: float) -> Point:
        """Value, gradient and shares."""
        program, flat = self.program, self.flat
        c, inside, home = len(program.fewest), self.inside, program.cluster[self.inside]
        net = flat.gain - flat.side @ prices
        shut = net.copy()
        shut[inside] = -1e9
        net[inside] -= self.level[home]
        best0, share0 = shares(flat, shut, mu)
        best1, share1 = shares(flat, net, mu)
        fee = program.open_gain - (prices[program.budget] if program.budget >= 0 else 0.0) * program.open_side
        fee = fee + np.where(self.level > 0, self.level * program.most, self.level * program.fewest)
        more = flat.size[self.member] * (best1[self.member] - best0[self.member])
        gain = fee + np.bincount(self.home[self.member], weights=more, minlength=c)
        gain = np.where(self.small, -1e9, gain)
        wide = 10.0 * mu
        opening = 1.0 / (1.0 + np.exp(-np.clip(gain / wide, -500, 500)))
        extra = np.where(gain > 0, gain, 0.0) + wide * np.log1p(np.exp(-np.minimum(np.abs(gain) / wide, 500)))
        weight = np.where(self.home >= 0, opening[self.home], 0.0)[flat.owner]
        change = (share1 - share0) * flat.size[flat.owner]
        share = share0 + weight * (share1 - share0)
        value = float(prices @ flat.limit + flat.size @ best0 + extra.sum())
        gradient = flat.limit - flat.side.T @ (share * flat.size[flat.owner])
        if program.budget >= 0:
            gradient[program.budget] -= float(opening @ program.open_side)
        return Point(value, gradient, share, (change, opening * (1 - opening) / wide))

    def between(self, point: Point) -> Any:
        """(K, K) what opening and closing add to the Hessian: the squared change of use by each cluster."""
        from scipy.sparse import csr_array, diags_array

        change, weight = point.between
        at = np.flatnonzero((self.home[self.flat.owner] >= 0) & (change != 0))
        open_rows = csr_array((change[at], (self.home[self.flat.owner[at]], at)), shape=(len(weight), len(change)))
        moved = csr_array(open_rows @ csr_array(self.flat.side))
        return moved.T @ (diags_array(weight) @ moved)


def usual(gain: np.ndarray) -> float:
    """Mean size of a gain."""
    return float(np.abs(gain[gain > -1e8]).mean()) or 1.0


def _scale(flat: Flat) -> np.ndarray:
    """(K,) a usual size of each price: mean gain by mean use."""
    each = np.maximum(abs(flat.side).sum(axis=0), 1e-300) / len(flat.gain)
    return usual(flat.gain) / np.asarray(each).ravel()


def descend(
    flat: Flat, prices: np.ndarray, end: float, *, mu: float | None = None, blocks: Blocks | None = None
) -> np.ndarray:
    """Minimise the smoothed dual for falling μ; return the prices with the smallest L(λ) met at a stage's end."""
    k = len(prices)
    if not len(flat.gain):
        return np.zeros(k)
    typical = usual(flat.gain)
    mu = min(mu, typical) if mu else typical
    least = typical * 1e-8
    scale = _scale(flat)

    def bound(at: np.ndarray) -> float:
        return _plain(flat, at) if blocks is None else blocks.refresh(at)

    best, lowest = prices, bound(prices)
    while True:
        prices = _newton(flat, prices, mu, scale, blocks)
        value = bound(prices)
        if value < lowest:
            best, lowest = prices, value
        point = _evaluate(flat, prices, mu, blocks)
        between = int(np.count_nonzero((point.share > 0.02) & (point.share < 0.98)))
        if between <= 4 * k + 100 or mu <= least or time.monotonic() > end:
            return best
        mu *= 0.2


def _newton(
    flat: Flat, prices: np.ndarray, mu: float, scale: np.ndarray, blocks: Blocks | None, turns: int = 4
) -> np.ndarray:
    """Projected Newton steps at one μ; the damping vanishes with the gradient."""
    point = _evaluate(flat, prices, mu, blocks)
    size = np.maximum(np.abs(flat.limit), 1.0)
    for _ in range(turns):
        free = (prices > 0) | (point.gradient < 0)
        if not free.any() or (np.abs(point.gradient[free]) <= 1e-5 * size[free]).all():
            break
        step = np.zeros(len(prices))
        hessian = _hessian(flat, point.share, mu)
        if blocks is not None:
            more = blocks.between(point)
            hessian = hessian + (more.toarray() if isinstance(hessian, np.ndarray) else more)
        step[free] = _solve(hessian, point.gradient, scale, free)
        length, moved = 1.0, None
        for _ in range(12):
            trial = np.maximum(0.0, prices + length * step)
            at = _evaluate(flat, trial, mu, blocks)
            if at.value <= point.value + 1e-4 * float(point.gradient @ (trial - prices)):
                moved = (trial, at)
                break
            length *= 0.35
        if moved is None:
            break
        gained = point.value - moved[1].value
        prices, point = moved
        if gained <= 1e-10 * abs(point.value):
            break
    return prices


def _hessian(flat: Flat, share: np.ndarray, mu: float) -> Any:
    """(K, K) Hessian: the variance of use under the shares, from accounts that are between choices."""
    from scipy.sparse import csr_array, diags_array

    at = np.flatnonzero((share > 1e-9) & (share < 1 - 1e-9))
    first, groups = starts_of(flat.owner[at])
    row = np.repeat(np.arange(len(first)), np.diff(first, append=len(at)))
    size = flat.size[groups]
    some = flat.side[at]
    taken = share[at] * size[row]
    if isinstance(some, np.ndarray):
        if not len(at):
            return np.zeros((some.shape[1], some.shape[1]))
        weighted = some * taken[:, None]
        mean = np.add.reduceat(weighted, first)
        return (some.T @ weighted - mean.T @ (mean / size[:, None])) / mu
    mean = csr_array((taken, (row, np.arange(len(at)))), shape=(len(groups), len(at))) @ some
    square = some.T @ (diags_array(taken) @ some)
    return (square - mean.T @ (diags_array(1.0 / size) @ mean)) / mu


def _solve(hessian: Any, gradient: np.ndarray, scale: np.ndarray, free: np.ndarray) -> np.ndarray:
    from scipy.sparse import csc_array, diags_array
    from scipy.sparse.linalg import spsolve

    damping = np.abs(gradient[free]) / scale[free]
    at = np.flatnonzero(free)
    if len(at) <= 300:
        dense = hessian if isinstance(hessian, np.ndarray) else hessian.toarray()
        dense = dense[np.ix_(at, at)]
        floor = 1e-12 * max(float(np.abs(np.diag(dense)).max(initial=0.0)), 1e-300)
        return np.linalg.solve(dense + np.diag(damping + floor), -gradient[free])
    part = csc_array(hessian)[at][:, at]
    floor = 1e-12 * max(float(np.abs(part.diagonal()).max(initial=0.0)), 1e-300)
    return np.atleast_1d(spsolve(csc_array(part + diags_array(damping + floor)), -gradient[free]))
