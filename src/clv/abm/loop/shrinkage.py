"""Hierarchical shrinkage of uplifts over tiers, segments and periods, with a factor that all assumptions share.

The uplift of tier t in segment s and period p, m_t what was assumed of the tier and u_t its size, is

    F (m_t + u_t (a_t + b_ts + c_tp)),  F ~ Gamma(1/d², 1/d²), a ~ N(0, τ_a²), b ~ N(0, τ_b²), c ~ N(0, τ_c²).

F is how many times too low all assumptions are together, 1 on average with standard deviation d. It may be many, so
that a low guess does not count as a sure one, and it may be nearly nought, for programmes that do nothing; a normal
would give the first no more room than effects below nought, a log-normal the second none. a is a tier's own part, b a
segment's, c what held in one period only.
The scales τ have half-normal priors (Gelman 2006, *Bayesian Analysis* 1, on half-normal and half-t scales). F and the
scales are integrated out over points of low discrepancy (Sobol 1967), as over a grid (Gelman et al. 2013, *Bayesian
Data Analysis*, section 5.4); given them all else is normal. At each point F keeps a narrow normal of its own, so that
precise measurements fall between no points. Measurements are normal about the uplift with their own standard errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv.abm.loop.evidence import Measurement

Floats = NDArray[np.float64]
#: base-2 logarithm of the number of points; four times as many move no posterior mean by a fiftieth of its standard
#: deviation.
POINTS = 11
#: share of F's standard deviation that each point keeps, in proportion to its F.
_KERNEL = 0.1
#: power of the levels at which scales are taken: more points where scales are small, with less weight each, since
#: precise measurements tell small scales apart.
_CROWDING = 1.5
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Scales:
    """What is thought of assumptions before anything is measured, in units of the assumption itself.

    The defaults are those with which the simulated loop (`clv.simulate_loop`) did best on the whole where assumptions
    are right, too low, too high and off by chance: few and noisy measurements serve best where tiers and segments are
    taken to differ little from one another.

    Attributes
    ----------
    common : float
        d, standard deviation of the factor that all tiers share: at 0.5, nine times in ten the truth is between a
        third and twice what was assumed.
    tier, segment, period : float
        Scales of the half-normal priors of τ_a, τ_b, τ_c: the standard deviations of what tiers, segments and periods
        have of their own are thought to be of this size.
    least : float
        Unit of a tier whose assumed uplift is smaller than this.
    """

    common: float = 0.5
    tier: float = 0.2
    segment: float = 0.1
    period: float = 0.2
    least: float = 0.02


@dataclass(frozen=True)
class Posterior:
    """Uplifts of cells: a mixture of normals, one for each point.

    Attributes
    ----------
    weight : numpy.ndarray, shape (G,)
    mean : numpy.ndarray, shape (G, C)
    covariance : numpy.ndarray, shape (G, C, C)
    scales : numpy.ndarray, shape (G, 3)
        τ_a, τ_b, τ_c at each point.
    """

    weight: Floats
    mean: Floats
    covariance: Floats
    scales: Floats

    def moments(self) -> tuple[Floats, Floats]:
        """Means and standard deviations of the cells."""
        mean = self.weight @ self.mean
        variance = np.einsum("gcc->gc", self.covariance) + (self.mean - mean) ** 2
        return mean, np.sqrt(self.weight @ variance)

    def covariances(self) -> tuple[Floats, Floats]:
        """Means of the cells and their covariances, (C, C): what a normal with the mixture's moments has."""
        mean = self.weight @ self.mean
        apart = self.mean - mean
        return mean, np.tensordot(self.weight, self.covariance, axes=1) + (self.weight[:, None] * apart).T @ apart

    def quantile(self, level: float) -> Floats:
        """Quantile of each cell, by bisection of the mixture's distribution function."""
        from scipy.special import ndtr

        mean, sd = self.moments()
        own = np.sqrt(np.maximum(np.einsum("gcc->gc", self.covariance), 1e-300))
        low, high = mean - 40 * sd - 1e-12, mean + 40 * sd + 1e-12
        for _ in range(70):
            middle = (low + high) / 2
            below = self.weight @ ndtr((middle - self.mean) / own) < level
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def draw(self, draws: int, rng: np.random.Generator) -> Floats:
        """Joint draws, shape (draws, C): points by systematic resampling, then normals."""
        at = np.searchsorted(np.cumsum(self.weight), (np.arange(draws) + rng.random()) / draws, side="right")
        at = np.minimum(at, len(self.weight) - 1)
        normal = rng.standard_normal((draws, self.mean.shape[1]))
        used, own = np.unique(at, return_inverse=True)
        values, vectors = np.linalg.eigh(self.covariance[used])
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        out = np.empty_like(normal)
        block = max(1, _BLOCK // normal.shape[1] ** 2)
        for k in range(0, draws, block):
            rows = slice(k, k + block)
            out[rows] = self.mean[at[rows]] + np.einsum("dcn,dn->dc", root[own[rows]], normal[rows])
        # In random order, so that the draws of a point do not stand together.
        return out[rng.permutation(draws)]


def posterior(
    cells: Sequence[tuple[str, str]],
    assumed: dict[str, float],
    scales: Scales,
    measurements: Sequence[Measurement],
    *,
    points: int = POINTS,
) -> Posterior:
    """Posterior of the uplift of cells (tier, segment; an empty segment is the tier as a whole).

    Parameters
    ----------
    cells : sequence of (str, str)
    assumed : dict of str to float
        Tier -> assumed uplift.
    scales : Scales
    measurements : sequence of Measurement
    points : int
        Base-2 logarithm of the number of points.
    """
    tiers, unit = list(assumed), {t: max(abs(u), scales.least) for t, u in assumed.items()}
    at = [(m.tier, m.segment, m.when) for m in measurements]
    other = [k for k, m in enumerate(measurements) if m.against]
    rows: list[tuple[str, str, str]] = [(t, s, "") for t, s in cells] + at
    rows += [(measurements[k].against, measurements[k].segment, measurements[k].when) for k in other]
    tier = np.array([tiers.index(t) for t, _, _ in rows])
    scale = np.array([unit[t] for t, _, _ in rows])
    outer = np.outer(scale, scale)
    same_tier = tier[:, None] == tier
    segment = np.array([s for _, s, _ in rows], dtype=object)
    same_segment = same_tier & (segment[:, None] == segment) & (segment != "")
    period = np.array([p for _, _, p in rows], dtype=object)
    same_period = same_tier & (period[:, None] == period) & (period != "")
    # A comparison of two tiers measures the difference of their rows.
    n, size = len(cells), len(cells) + len(at)
    shape = np.eye(size, len(rows))
    shape[n + np.array(other, dtype=np.int64), np.arange(size, len(rows))] = -1.0
    parts = [shape @ part @ shape.T for part in (outer * same_tier, outer * same_segment, outer * same_period)]
    factor, tau, chance = _points(scales, segments=bool((segment != "").any()), periods=bool(at), points=points)
    error = np.array([m.standard_error for m in measurements]) ** 2
    middle = shape @ np.array([assumed[t] for t, _, _ in rows])
    measured = np.array([m.uplift for m in measurements])
    block = max(1, _BLOCK // size**2)
    found = [
        _given(factor[k : k + block], tau[k : k + block], parts, _own(scales), error, middle, measured)
        for k in range(0, len(tau), block)
    ]
    log, mean, covariance = (np.concatenate(one) for one in zip(*found, strict=True))
    weight = chance * np.exp(log - log.max())
    return Posterior(weight / weight.sum(), mean, covariance, tau)


def _own(scales: Scales) -> float:
    """Relative variance that F keeps at a point."""
    return float((_KERNEL * scales.common) ** 2)


def _points(scales: Scales, *, segments: bool, periods: bool, points: int) -> tuple[Floats, Floats, Floats]:
    """Means of F, (G,), τ_a, τ_b, τ_c, (G, 3; 0 for a scale that plays no part), and prior probabilities, (G,)."""
    from scipy.special import gammaincinv, ndtri
    from scipy.stats.qmc import Sobol

    level = Sobol(d=4, scramble=False).random_base2(points) + 0.5 / 2**points
    # All of F's variance but what its points keep.
    spread = (scales.common**2 - _own(scales)) / (1 + _own(scales))
    # Of hardly any doubt the inverse has no digits left.
    factor = gammaincinv(1 / spread, level[:, 0]) if spread > 1e-8 else np.ones(len(level))
    sizes = np.array([scales.tier, scales.segment * segments, scales.period * periods])
    used, even = sizes > 0, level[:, 1:]
    tau = np.where(used, sizes * ndtri((1 + even**_CROWDING) / 2), 0.0)
    weight = np.where(used, even ** (_CROWDING - 1), 1.0).prod(axis=1)
    weight /= weight.sum()
    return factor / (weight @ factor), tau, weight


def _given(
    factor: Floats, tau: Floats, parts: list[Floats], own: float, error: Floats, middle: Floats, measured: Floats
) -> tuple[Floats, Floats, Floats]:
    """Log marginal likelihood, and mean and covariance of the cells at points: the first rows are cells, then data."""
    cells = len(middle) - len(error)
    # About F's mean f: F = f(1 + e) with Var e = own, and E F² = f²(1 + own) times all else.
    prior = own * np.outer(middle, middle) + (1 + own) * np.tensordot(tau**2, np.stack(parts), axes=1)
    prior *= (factor**2)[:, None, None]
    mean = factor[:, None] * middle
    if not len(error):
        return np.zeros(len(factor)), mean, prior
    cross, seen = prior[:, cells:, :cells], prior[:, cells:, cells:] + np.diag(error)
    root = np.linalg.cholesky(seen)
    white = np.linalg.solve(root, (measured - mean[:, cells:])[..., None])[..., 0]
    log = -0.5 * (white**2).sum(axis=1) - np.log(np.einsum("gnn->gn", root)).sum(axis=1)
    half = np.linalg.solve(root, cross)
    shift = np.einsum("gnc,gn->gc", half, white)
    return log, mean[:, :cells] + shift, prior[:, :cells, :cells] - np.swapaxes(half, 1, 2) @ half
