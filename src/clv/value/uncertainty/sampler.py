"""A Markov chain for posteriors that importance sampling cannot reach: four adaptive Metropolis chains.

Slow but sure, and independent of the shape that importance sampling assumes. The proposal adapts to the covariance of
the warm-up (Haario, Saksman & Tamminen 2001, Bernoulli 7(2)) and is frozen afterwards, so that what is kept comes from
one fixed, exact kernel. The chains move in step, so that the density is asked for all of their places at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from clv.value.estimation.checks import Floats

#: log-densities of points, shape (n, k) to (n,)
Density = Callable[[Floats], Floats]

_CHAINS = 4
_WARM = 2_000
_ROUND = 2_000
#: steps of one chain after which it is given up, converged or not.
_LONGEST = 32_000
_MIXED = 1.01
#: share of proposals accepted to which the step length is tuned (Roberts, Gelman & Gilks 1997, small dimensions).
_ACCEPTED = 0.3


class Chains(NamedTuple):
    """What the chains found.

    Attributes
    ----------
    at : ndarray, shape (chains × steps, k)
    r_hat : float
        Largest rank-normalised split R-hat over the coordinates.
    effective_size : float
        Smallest effective sample size over the coordinates.
    converged : bool
        R-hat below 1.01 and the effective size reached.
    """

    at: Floats
    r_hat: float
    effective_size: float
    converged: bool


def _split(chains: Floats) -> Floats:
    """Halve each chain, shape (2 × chains, steps // 2), and replace values by normal scores of their ranks."""
    half = chains.shape[1] // 2
    parts = np.concatenate([chains[:, :half], chains[:, -half:]])
    rank = rankdata(parts).reshape(parts.shape)
    return np.asarray(ndtri((rank - 0.375) / (parts.size + 0.25)), dtype=float)


def split_r_hat(chains: Floats) -> float:
    """Return the rank-normalised split R-hat of one coordinate.

    Parameters
    ----------
    chains : ndarray, shape (chains, steps)

    Returns
    -------
    float
        The larger one of the bulk and the folded statistic (Vehtari et al. 2021, Bayesian Analysis 16(2), eqs. 3, 4).
    """

    def ratio(parts: Floats) -> float:
        steps = parts.shape[1]
        within = parts.var(axis=1, ddof=1).mean()
        if within == 0:
            return 1.0
        return float(np.sqrt((steps - 1) / steps + parts.mean(axis=1).var(ddof=1) / within))

    return max(ratio(_split(chains)), ratio(_split(np.abs(chains - np.median(chains)))))


def effective_size(chains: Floats) -> float:
    """Return the effective sample size of one coordinate, of rank-normalised split chains.

    Parameters
    ----------
    chains : ndarray, shape (chains, steps)

    Returns
    -------
    float
        Autocorrelations are summed in pairs while positive and falling (Geyer 1992; Vehtari et al. 2021, section 3.2).
    """
    parts = _split(chains)
    steps = parts.shape[1]
    centred = parts - parts.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, n=2 * steps, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :steps].mean(axis=0) / steps
    within = covariance[0] * steps / (steps - 1)
    total = within * (steps - 1) / steps + parts.mean(axis=1).var(ddof=1)
    if total == 0:
        return float(parts.size)
    correlation = 1 - (within - covariance * steps / (steps - 1)) / total
    correlation[0] = 1.0
    pairs = correlation[: steps // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs < 0)
    pairs = np.minimum.accumulate(pairs[: negative[0] if len(negative) else len(pairs)])
    return float(parts.size / max(2 * pairs.sum() - 1, 1 / np.log10(parts.size)))


def metropolis(
    density: Density, starts: Floats, covariance: Floats, rng: np.random.Generator, *, effective: float = 400.0
) -> Chains:
    """Draw from a density by adaptive Metropolis chains until they have mixed.

    Parameters
    ----------
    density : callable
        Logarithm of the density up to a constant, of several points at a time; −∞ outside its support.
    starts : ndarray, shape (4, k)
        Where the chains begin, spread wider than the density.
    covariance : ndarray, shape (k, k)
        First guess of the covariance.
    rng : numpy.random.Generator
    effective : float
        Effective sample size to reach in each coordinate.

    Returns
    -------
    Chains
    """
    size = starts.shape[1]
    walk = _Walk(density, starts[:_CHAINS], covariance, rng)
    pooled = walk.warm_up(_WARM)[_WARM // 2 :].reshape(-1, size)
    walk.root[:] = np.linalg.cholesky(np.cov(pooled.T).reshape(size, size) + 1e-12 * np.eye(size))
    walk.warm_up(_WARM // 2, shape=False)
    kept = np.empty((len(walk.at), 0, size))
    while True:
        kept = np.concatenate([kept, walk.run(_ROUND).swapaxes(0, 1)], axis=1)
        r_hat = max(split_r_hat(kept[:, :, i]) for i in range(size))
        reached = min(effective_size(kept[:, :, i]) for i in range(size))
        good = r_hat < _MIXED and reached >= effective
        if good or kept.shape[1] >= _LONGEST:
            return Chains(kept.reshape(-1, size), r_hat, reached, good)


class _Walk:
    """Random-walk Metropolis chains side by side, each with a step length and shape of its own."""

    def __init__(self, density: Density, starts: Floats, covariance: Floats, rng: np.random.Generator) -> None:
        chains, size = starts.shape
        self._density, self._rng = density, rng
        self.at, self._value = starts.copy(), density(starts)
        self._scale = np.full(chains, 2.38 / np.sqrt(size))
        self.root = np.tile(np.linalg.cholesky(covariance), (chains, 1, 1))

    def _step(self) -> Floats:
        """Move once, and return the probabilities with which the moves were accepted."""
        away = np.einsum("cij,cj->ci", self.root, self._rng.standard_normal(self.at.shape))
        there = self.at + self._scale[:, None] * away
        value = self._density(there)
        rise = np.where(np.isfinite(value), np.minimum(0.0, value - self._value), -np.inf)
        chance = np.exp(rise)
        moved = self._rng.random(len(chance)) < chance
        self.at[moved], self._value[moved] = there[moved], value[moved]
        return np.asarray(chance)

    def warm_up(self, steps: int, *, shape: bool = True) -> Floats:
        """Tune the length of steps, and their shape in three rounds; return the places, shape (steps, chains, k)."""
        size = self.at.shape[1]
        seen = np.empty((steps, *self.at.shape))
        for i in range(steps):
            self._scale *= np.exp((self._step() - _ACCEPTED) / np.sqrt(i + 4))
            seen[i] = self.at
            if shape and i in (steps // 8, steps // 4, steps // 2):
                for chain in range(len(self.at)):
                    spread = np.cov(seen[i // 2 : i, chain].T).reshape(size, size)
                    if np.linalg.eigvalsh(spread)[0] > 0:
                        self.root[chain] = np.linalg.cholesky(spread)
        return seen

    def run(self, steps: int) -> Floats:
        """Return the next `steps` places, shape (steps, chains, k)."""
        out = np.empty((steps, *self.at.shape))
        for i in range(steps):
            self._step()
            out[i] = self.at
        return out
