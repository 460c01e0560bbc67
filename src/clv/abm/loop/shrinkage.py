"""Hierarchical shrinkage of uplifts over tiers, segments and periods: normal given its scales, on a grid of scales.

The uplift of tier t in segment s and period p, in units of what was assumed of the tier (m_t the assumption, u_t its
size), is

    m_t + u_t (g + a_t + b_ts + c_tp),  g ~ N(0, d²), a ~ N(0, τ_a²), b ~ N(0, τ_b²), c ~ N(0, τ_c²).

g is how far all assumptions are off together, a a tier's own part, b a segment's, c what held in one period only. The
scales τ have half-normal priors and are integrated out over the equally probable midpoints of these (Gelman 2006,
*Bayesian Analysis* 1, on half-normal and half-t scales; Gelman et al. 2013, *Bayesian Data Analysis*, section 5.4, on
integrating over a grid). Measurements are normal about the uplift with their own standard errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv.abm.loop.evidence import Measurement

Floats = NDArray[np.float64]
#: points a scale; doubling them moves no posterior mean by more than some thousandths of its standard deviation.
POINTS = 12
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Scales:
    """What is thought of assumptions before anything is measured, in units of the assumption itself.

    Attributes
    ----------
    common : float
        Standard deviation of the part that all tiers share.
    tier, segment, period : float
        Scales of the half-normal priors of τ_a, τ_b, τ_c: the standard deviations of what tiers, segments and periods
        have of their own are thought to be of this size.
    least : float
        Unit of a tier whose assumed uplift is smaller than this.
    """

    common: float = 0.5
    tier: float = 0.5
    segment: float = 0.3
    period: float = 0.2
    least: float = 0.02


@dataclass(frozen=True)
class Posterior:
    """Uplifts of cells: a mixture of normals, one for each point of the grid.

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
        """Joint draws, shape (draws, C): points of the grid by systematic resampling, then normals."""
        at = np.searchsorted(np.cumsum(self.weight), (np.arange(draws) + rng.random()) / draws, side="right")
        at = np.minimum(at, len(self.weight) - 1)
        normal = rng.standard_normal((draws, self.mean.shape[1]))
        out = np.empty_like(normal)
        for point in np.unique(at):
            rows = at == point
            values, vectors = np.linalg.eigh(self.covariance[point])
            out[rows] = self.mean[point] + normal[rows] @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
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
        Grid points a scale.
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
    parts = [shape @ part @ shape.T for part in (outer, outer * same_tier, outer * same_segment, outer * same_period)]
    grid = _grid(scales, segments=bool((segment != "").any()), periods=bool(at), points=points)
    error = np.array([m.standard_error for m in measurements]) ** 2
    middle = shape @ np.array([assumed[t] for t, _, _ in rows])
    residual = np.array([m.uplift for m in measurements]) - middle[n:]
    block = max(1, _BLOCK // size**2)
    found = [_given(grid[k : k + block], parts, scales.common, error, residual, n) for k in range(0, len(grid), block)]
    log, shift, covariance = (np.concatenate(one) for one in zip(*found, strict=True))
    weight = np.exp(log - log.max())
    return Posterior(weight / weight.sum(), middle[:n] + shift, covariance, grid)


def _grid(scales: Scales, *, segments: bool, periods: bool, points: int) -> Floats:
    """Points of τ_a, τ_b, τ_c of equal prior probability; one point where a scale plays no part."""
    from scipy.special import ndtri

    level = (np.arange(points) + 0.5) / points
    half_normal = ndtri((1 + level) / 2)
    axes = [scales.tier * half_normal]
    axes += [size * half_normal if used else np.zeros(1)
             for size, used in ((scales.segment, segments), (scales.period, periods))]  # fmt: skip
    return np.stack([one.ravel() for one in np.meshgrid(*axes, indexing="ij")], axis=1)


def _given(
    grid: Floats, parts: list[Floats], common: float, error: Floats, residual: Floats, cells: int
) -> tuple[Floats, Floats, Floats]:
    """Log marginal likelihood, shift and covariance of the cells at points of the grid."""
    square = grid**2
    prior = common**2 * parts[0] + np.tensordot(square, np.stack(parts[1:]), axes=1)
    if not len(error):
        return np.zeros(len(grid)), np.zeros((len(grid), cells)), prior[:, :cells, :cells]
    cross, own = prior[:, cells:, :cells], prior[:, cells:, cells:] + np.diag(error)
    root = np.linalg.cholesky(own)
    white = np.linalg.solve(root, residual[:, None])[..., 0]
    log = -0.5 * (white**2).sum(axis=1) - np.log(np.einsum("gnn->gn", root)).sum(axis=1)
    half = np.linalg.solve(root, cross)
    shift = np.einsum("gnc,gn->gc", half, white)
    return log, shift, prior[:, :cells, :cells] - np.swapaxes(half, 1, 2) @ half
