"""How many pairs of accounts to put to the lot: as many as what they teach is worth, and none where it is not.

A plan is worth ``Σ u_c A_c − cost`` with A_c the margin expected of the accounts that it puts into cell c (tier and
segment) and u_c the cell's uplift: linear in what is not known. Among finitely many plans the value of a sample is then
that of Raiffa & Schlaifer (1961, *Applied Statistical Decision Theory*, chapter 5A): ``E[max_p A_p m₁] − max_p A_p m``
in every quarter that follows, with m₁ the mean after it. m₁ is taken as the best linear estimate (Goldstein & Wooff
2007, *Bayes Linear Statistics*) over draws of u that are as skewed as the belief is, measured with normal errors. One
quarter's lot may teach too little to change any plan and three quarters' enough, so that designs are valued as repeated
for the best number of quarters (Frazier & Powell 2010, *Decision Analysis* 7, on the non-concave value of information).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from clv.abm.loop.planner import Codes, Planner
from clv.abm.loop.shrinkage import Floats, Posterior

#: numbers of pairs that are considered.
SIZES = (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300)
#: plans that knowledge may choose from, and normal draws that the value of a sample is averaged over.
PLANS, DRAWS = 16, 192
#: sizes of trials whose cost is worked out; between them it is interpolated.
TRIALS = (1, 3, 8, 20)
#: share of a quarter's return that a lot must bring in all quarters together.
LEAST = 1e-3


@dataclass(frozen=True)
class Belief:
    """What is believed of the uplifts of cells, tier by tier and segment by segment within: cell k·S + s.

    Attributes
    ----------
    posterior : Posterior
        Of the C cells.
    period : numpy.ndarray, shape (M,)
        Variance of what holds in one quarter only, of each tier.
    """

    posterior: Posterior
    period: Floats

    @cached_property
    def mean(self) -> Floats:
        """Means of the cells, (C,)."""
        return self.posterior.moments()[0]

    @cached_property
    def covariance(self) -> Floats:
        """Covariances of the cells, (C, C)."""
        return self.posterior.covariances()[1]


@dataclass(frozen=True)
class Comparison:
    """Pairs of accounts between which the lot could decide who gets `upper`, the others get or keep `lower` (−1: none).

    Attributes
    ----------
    upper, lower : int
    first, second : numpy.ndarray of int, shape (P,)
        Accounts of each pair, the cheapest pair for what it teaches first; the plan puts the first into `upper`, unless
        `pilot`.
    segment : numpy.ndarray of int, shape (P,)
    loss : numpy.ndarray, shape (P,)
        Return that a pair is expected to cost.
    precision : numpy.ndarray, shape (P,)
        v²/variance, of both accounts together.
    pilot : bool
        A trial of more of `upper` than the plan has: both are in `lower`, and one of them is raised.
    """

    upper: int
    lower: int
    first: Codes
    second: Codes
    segment: Codes
    loss: Floats
    precision: Floats
    pilot: bool = False

    def design(self, pairs: int, segments: int, tiers: int) -> tuple[Floats, Floats, Floats]:
        """Contrasts (R, C), error variances (R,) and contrasts of tiers (R, M) of the first pairs."""
        total = np.bincount(self.segment[:pairs], weights=self.precision[:pairs], minlength=segments)
        seen = np.flatnonzero(total > 0)
        contrast, whole = np.zeros((len(seen), segments * tiers)), np.zeros((len(seen), tiers))
        row = np.arange(len(seen))
        contrast[row, self.upper * segments + seen] = whole[row, self.upper] = 1.0
        if self.lower >= 0:
            contrast[row, self.lower * segments + seen] = whole[row, self.lower] = -1.0
        # Each arm has half of the precision: 1/(Σ/2) twice.
        return contrast, 4 / total[seen], whole


def comparisons(
    plan: Codes,
    planner: Planner,
    belief: Belief,
    expected: Floats,
    variance: Floats,
    segment: Codes,
    segments: int,
) -> list[Comparison]:
    """List what the lot could decide: neighbouring tiers of the plan at their margin, and trials of more of a tier.

    Parameters
    ----------
    plan : numpy.ndarray of int, shape (N,)
    planner : Planner
    belief : Belief
    expected, variance : numpy.ndarray, shape (N,)
        Margin of the quarter without a programme, and the variance about it.
    segment : numpy.ndarray of int, shape (N,)
    segments : int
        How many there are.
    """
    precision = np.where(variance > 0, expected**2 / np.maximum(variance, 1e-300), 0.0)
    value = belief.mean.reshape(-1, segments)[:, segment].T * expected[:, None]
    tiers = [int(k) for k in np.argsort(-planner.cost, kind="stable")]
    used = [k for k in tiers if (plan == k).any()]
    found = []
    for upper, lower in pairwise([*used, -1]):
        more, rows = _gain(value, upper, lower), []
        for s in range(segments):
            inside = np.flatnonzero((plan == upper) & (segment == s))
            outside = np.flatnonzero((plan == lower) & (segment == s) & (expected > 0))
            pairs = min(len(inside), len(outside))
            inside = inside[np.argsort(more[inside], kind="stable")[:pairs]]
            outside = outside[np.argsort(-more[outside], kind="stable")[:pairs]]
            rows.append(np.column_stack([inside, outside, np.full(pairs, s)]))
        first, second, at = np.concatenate(rows).T
        # Half of the pairs change places.
        found.append(_ordered(upper, lower, first, second, at, (more[first] - more[second]) / 2, precision))
    for upper in tiers:
        lower = next((k for k in used if planner.cost[k] < planner.cost[upper]), -1)
        one = _trial(upper, lower, plan, planner, value, expected, precision, segment, segments)
        found += [one] if one is not None else []
    return [one for one in found if len(one.first)]


def _gain(value: Floats, upper: int, lower: int) -> Floats:
    return value[:, upper] - (value[:, lower] if lower >= 0 else 0.0)


def _trial(
    upper: int,
    lower: int,
    plan: Codes,
    planner: Planner,
    value: Floats,
    expected: Floats,
    precision: Floats,
    segment: Codes,
    segments: int,
) -> Comparison | None:
    """Pairs of accounts in `lower`, one of each to be raised to `upper`; the rest of the plan pays for it."""
    more, rows = _gain(value, upper, lower), []
    extra = planner.cost[upper] - (planner.cost[lower] if lower >= 0 else 0.0)
    for s in range(segments):
        there = np.flatnonzero((plan == lower) & (segment == s) & (expected > 0))
        there = there[np.argsort(-more[there], kind="stable")]
        half = len(there) // 2
        rows.append(np.column_stack([there[: 2 * half : 2], there[1 : 2 * half : 2], np.full(half, s)]))
    first, second, at = np.concatenate(rows).T
    if not len(first):
        return None
    one = _ordered(upper, lower, first, second, at, extra - (more[first] + more[second]) / 2, precision, pilot=True)
    # What it costs, with what must give way for it, is that of the best plan that keeps to it.
    sizes, lost = [0], [0.0]
    base = max(planner.worth(plan, value), planner.worth(planner.quick(value), value))
    for size in TRIALS:
        if size > len(first):
            break
        kept = planner.kept(value, np.concatenate([one.first[:size], one.second[:size]]),
                            np.repeat([upper, lower], size))  # fmt: skip
        if kept is None:
            break
        sizes.append(size)
        lost.append(max(lost[-1], base - planner.worth(kept, value)))
    pairs = sizes[-1]
    loss = np.diff(np.interp(np.arange(pairs + 1), sizes, lost))
    return Comparison(upper, lower, one.first[:pairs], one.second[:pairs], one.segment[:pairs], loss,
                      one.precision[:pairs], True)  # fmt: skip


def _ordered(
    upper: int,
    lower: int,
    first: Codes,
    second: Codes,
    segment: Codes,
    loss: Floats,
    precision: Floats,
    pilot: bool = False,
) -> Comparison:
    both = precision[first] + precision[second]
    loss = np.maximum(loss, 0.0)
    order = np.argsort(loss / np.maximum(both, 1e-300), kind="stable")
    return Comparison(upper, lower, first[order], second[order], segment[order], loss[order], both[order], pilot)


@dataclass(frozen=True)
class Lots:
    """Accounts that were drawn: their positions, the two tiers that the lot decided between, who got the upper."""

    account: Codes
    upper: Codes
    lower: Codes
    treated: NDArray[np.bool_]


class Worth:
    """What designs are worth under a belief.

    Parameters
    ----------
    belief : Belief
    use, cost : numpy.ndarray, shapes (P, C) and (P,)
        Plans: margin expected of the accounts in each cell, and money spent.
    drawn : numpy.ndarray, shape (D, C)
        Uplifts as they may be.
    normal : numpy.ndarray, shape (D, C)
        Standard normals, for the errors of measurements.
    """

    def __init__(self, belief: Belief, use: Floats, cost: Floats, drawn: Floats, normal: Floats) -> None:
        self.belief, self.use, self.cost, self.normal = belief, use, cost, normal
        # With exactly the belief's own covariance, so that few draws do not change what is in doubt.
        self.apart = standardised(drawn) @ _root(belief.covariance).T
        self.now = float((use @ belief.mean - cost).max())

    def sample(self, contrast: Floats, error: Floats) -> float:
        """Value in every later quarter of measuring contrasts (R, C) with error covariance (R, R)."""
        if not len(contrast):
            return 0.0
        prior = self.belief.covariance
        cross = prior @ contrast.T
        gain = np.linalg.solve(contrast @ cross + error, cross.T).T
        shift = self.apart @ (gain @ contrast).T + self.normal @ _root(gain @ error @ gain.T).T
        worth = (self.use @ self.belief.mean - self.cost) + shift @ self.use.T
        return max(0.0, float(worth.max(axis=1).mean()) - self.now)

    def design(self, parts: Sequence[Comparison], sizes: Sequence[int], left: int, segments: int) -> float:
        """Return of a design over the quarters left, repeated for the best number of them, less what it costs."""
        tiers = len(self.belief.period)
        rows = [part.design(n, segments, tiers) for part, n in zip(parts, sizes, strict=True) if n]
        if not rows or left < 2:
            return 0.0
        contrast = np.concatenate([row[0] for row in rows])
        whole = np.concatenate([row[2] for row in rows])
        error = np.diag(np.concatenate([row[1] for row in rows])) + (whole * self.belief.period) @ whole.T
        loss = sum(float(part.loss[:n].sum()) for part, n in zip(parts, sizes, strict=True))
        best, gained = -np.inf, 0.0
        for times in range(1, left):
            now = self.sample(contrast, error / times)
            best = max(best, gained + now * (left - times) - times * loss)
            gained += now
        return best


def best_sizes(worth: Worth, parts: Sequence[Comparison], left: int, segments: int) -> list[int]:
    """Choose the number of pairs of each comparison: the best common size first, then one comparison at a time."""
    # What brings less than this is not worth the trouble.
    best, sizes = LEAST * abs(worth.now), [0] * len(parts)
    for size in SIZES[1:]:
        asked = [min(size, len(part.first)) for part in parts]
        value = worth.design(parts, asked, left, segments)
        if value > best:
            best, sizes = value, asked
        if asked == [len(part.first) for part in parts]:
            break
    for _ in range(2):
        before = list(sizes)
        for k, part in enumerate(parts):
            for size in sorted({min(size, len(part.first)) for size in SIZES} - {sizes[k]}):
                asked = [*sizes[:k], size, *sizes[k + 1 :]]
                value = worth.design(parts, asked, left, segments)
                if value > best:
                    best, sizes = value, asked
        if sizes == before:
            break
    return sizes


def reach(parts: Sequence[Comparison], belief: Belief, segments: int) -> float:
    """Find the standard error with which a quarter's largest lots show how many times as large as believed effects are.

    Every pair of the comparisons at the plan's margin counts, though an account of two of them can be drawn in one
    only, and nothing that held in one quarter only: at best.
    """
    whole = [part.design(len(part.first), segments, len(belief.period)) for part in parts if not part.pilot]
    known = sum(float((((contrast @ belief.mean) ** 2) / error).sum()) for contrast, error, _ in whole)
    return known**-0.5 if known > 0 else float("inf")


def standard_normals(rng: np.random.Generator, draws: int, cells: int) -> Floats:
    """Draw normals with exactly mean 0 and unit covariance, in pairs of opposite sign; shape (draws, cells)."""
    half = rng.standard_normal((max(draws // 2, cells), cells))
    return standardised(np.concatenate([half, -half]))


def standardised(draws: Floats) -> Floats:
    """Give draws, (D, C), exactly mean 0 and unit covariance; directions without any spread stay 0."""
    apart = draws - draws.mean(axis=0)
    values, vectors = np.linalg.eigh(apart.T @ apart / len(apart))
    size = np.where(values > 1e-12 * values.max(initial=0.0), values, np.inf)
    return np.asarray(apart @ (vectors / np.sqrt(size)) @ vectors.T)


def _root(covariance: Floats) -> Floats:
    """Symmetric square root."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def drawn(
    parts: Sequence[Comparison],
    sizes: Sequence[int],
    plan: Codes,
    planner: Planner,
    value: Floats,
    rng: np.random.Generator,
) -> tuple[Codes, Lots]:
    """Let the lot decide, and plan the rest around it where a trial takes means that the plan had used otherwise."""
    free, rows, trial = np.ones(len(plan), dtype=bool), [], False
    for part, size in zip(parts, sizes, strict=True):
        # An account can be in one comparison only; no dearer pair takes the place of one that is gone.
        can = np.flatnonzero(free[part.first[:size]] & free[part.second[:size]])
        if not len(can):
            continue
        first, second = part.first[can], part.second[can]
        free[first] = free[second] = False
        swap = rng.random(len(can)) < 0.5
        account = np.concatenate([np.where(swap, second, first), np.where(swap, first, second)])
        treated = np.repeat([True, False], len(can))
        rows.append((account, np.full(len(account), part.upper), np.full(len(account), part.lower), treated))
        trial = trial or part.pilot
    if not rows:
        none = np.empty(0, dtype=np.int64)
        return plan, Lots(none, none, none, none.astype(bool))
    lots = Lots(*(np.concatenate(column) for column in zip(*rows, strict=True)))
    got = np.where(lots.treated, lots.upper, lots.lower)
    given = planner.kept(value, lots.account, got) if trial else None
    if given is None:
        if trial:
            # Together the trials do not fit: without them.
            alone = [0 if part.pilot else size for part, size in zip(parts, sizes, strict=True)]
            return drawn(parts, alone, plan, planner, value, rng)
        given = plan.copy()
        given[lots.account] = got
    return given, lots
