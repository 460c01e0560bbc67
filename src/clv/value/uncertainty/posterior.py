"""The posterior of a model's parameters without a Markov chain: importance sampling from a heavy-tailed Laplace.

Draws come from a multivariate t distribution around the mode, with the covariance of Laplace's approximation, and are
weighted by the exact posterior; the weights are Pareto-smoothed, and their shape k-hat says whether the result can be
trusted. Where it cannot, the proposal is moved to the mean and covariance found so far and tried once more; where that
does not help either, Markov chains take over. Nothing approximate is left but the number of draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.value.estimation.best_fit import RANGE, Likelihood
from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.priors import WeakPrior
from clv.value.uncertainty.pareto_smoothing import reliable_below, smooth
from clv.value.uncertainty.sampler import metropolis
from clv.value.uncertainty.surrogate import fit_surrogate

#: degrees of freedom of the proposal: tails heavier than the posterior's, with a finite fourth moment.
_FREEDOM = 5.0
#: draws from the proposal for each one asked for, and at least so many.
_EACH, _LEAST = 2, 1_000
#: from so many rows of work on a polynomial is tried in place of the log-posterior; sooner where every evaluation
#: brings gradient and Hessian along, or where a row is an integral (`costly`).
_MANY, _COSTLY = 2_000, 500
_SPARE = 1e-10


@dataclass(frozen=True)
class Weighted:
    """A weighted sample of a posterior.

    Attributes
    ----------
    at : ndarray, shape (size, k)
        Scaled log-parameters.
    weight : ndarray, shape (size,)
        Sum to 1.
    about : dict
        How it came about: method, k_hat, effective_sample_size, and for Markov chains r_hat and converged.
    """

    at: Floats
    weight: Floats
    about: dict[str, Any]

    def mean(self) -> Floats:
        """Return the mean, shape (k,)."""
        return self.weight @ self.at

    def covariance(self) -> Floats:
        """Return the covariance, shape (k, k)."""
        away = self.at - self.mean()
        return np.asarray((away * self.weight[:, None]).T @ away)

    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        """Return draws of equal weight, shape (draws, k), in random order: systematic resampling."""
        edges = np.cumsum(self.weight)
        marks = (rng.random() + np.arange(draws)) / draws * edges[-1]
        chosen = np.minimum(np.searchsorted(edges, marks), len(edges) - 1)
        return self.at[rng.permutation(chosen)]


class Target:
    """A log-posterior as a function of the free log-parameters, standardised around a centre.

    Parameters
    ----------
    likelihood : Likelihood
    prior : WeakPrior or None
        None: flat in the log-parameters, within the range that the fit searches.
    centre : ndarray, shape (k,)
        Scaled log-parameters.
    covariance : ndarray, shape (k, k)
        A parameter with variance 0 stays at the centre.
    """

    def __init__(self, likelihood: Likelihood, prior: WeakPrior | None, centre: Floats, covariance: Floats) -> None:
        self._likelihood, self._prior, self.centre = likelihood, prior, centre
        self.free = np.flatnonzero(np.diag(covariance) > 0)
        part = covariance[np.ix_(self.free, self.free)]
        self.root = np.linalg.cholesky(part + _SPARE * np.diag(np.diag(part)))
        self._lower, self._upper = np.log(RANGE)
        self._peak = self._raw(centre)[0]

    def moved(self, centre: Floats, covariance: Floats) -> Target:
        """Standardise around another centre."""
        return Target(self._likelihood, self._prior, centre, covariance)

    def __len__(self) -> int:
        return len(self.free)

    def _raw(self, at: Floats) -> Evaluation:
        value, gradient, hessian = self._likelihood(at)
        if self._prior is None:
            return value, gradient, hessian
        density, slope, curve = self._prior(at)
        return value + density, gradient + slope, hessian + curve

    def places(self, u: Floats) -> Floats:
        """Turn standardised coordinates, shape (n, free), into scaled log-parameters, shape (n, k)."""
        out = np.tile(self.centre, (len(u), 1))
        out[:, self.free] += u @ self.root.T
        return out

    def exact(self, at: Floats) -> Floats:
        """Return the log-posterior at scaled log-parameters, shape (n, k), relative to the centre; −∞ off the range."""
        out = np.full(len(at), -np.inf)
        inside = np.flatnonzero((at.min(axis=1) >= self._lower) & (at.max(axis=1) <= self._upper))
        many = getattr(self._likelihood, "values", None)  # a likelihood may know a shorter way to values alone
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = many(at[inside]) if many else np.array([self._likelihood(at[i])[0] for i in inside], dtype=float)
            if self._prior is not None:
                found = found + self._prior.values(at[inside])
        out[inside] = np.where(np.isfinite(found), found - self._peak, -np.inf)
        return out

    def evaluation(self, u: Floats) -> Evaluation:
        """Return value, gradient and Hessian by standardised coordinates."""
        at = self.places(u[None, :])[0]
        if at.min() < self._lower or at.max() > self._upper:
            return -np.inf, np.zeros(len(u)), np.zeros((len(u), len(u)))
        value, gradient, hessian = self._raw(at)
        curve = self.root.T @ hessian[np.ix_(self.free, self.free)] @ self.root
        return value - self._peak, self.root.T @ gradient[self.free], curve

    def values(self, u: Floats, rng: np.random.Generator) -> tuple[Floats, bool]:
        """Return the log-posterior at many points, and whether a polynomial stood in for most of them."""
        at = self.places(u)
        quick = hasattr(self._likelihood, "values") and not getattr(self._likelihood, "costly", False)
        enough = _MANY if quick else _COSTLY
        polynomial = fit_surrogate(self.evaluation, len(self), rng) if len(self._likelihood) >= enough else None
        if polynomial is None:
            return self.exact(at), False
        near = np.linalg.norm(u, axis=1) <= polynomial.radius
        out = np.empty(len(u))
        out[near] = polynomial(u[near])
        out[~near] = self.exact(at[~near])
        return out, True


def _importance(target: Target, size: int, rng: np.random.Generator) -> Weighted:
    """Sample from the t proposal around the target's centre, and weigh."""
    k = len(target)
    u = rng.standard_normal((size, k)) * np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, (size, 1)))
    proposed = -0.5 * (_FREEDOM + k) * np.log1p((u**2).sum(axis=1) / _FREEDOM)
    values, polynomial = target.values(u, rng)
    weight, k_hat, effective = smooth(values - proposed)
    about = {"method": "importance", "k_hat": k_hat, "effective_sample_size": effective, "polynomial": polynomial}
    return Weighted(target.places(u), weight, about)


def explore(
    likelihood: Likelihood,
    prior: WeakPrior | None,
    mode: Floats,
    covariance: Floats,
    *,
    draws: int,
    rng: np.random.Generator,
) -> Weighted:
    """Sample the posterior of scaled log-parameters.

    Parameters
    ----------
    likelihood : Likelihood
    prior : WeakPrior or None
        None: flat in log-parameters within the range that the fit searches.
    mode : ndarray, shape (k,)
        Of the posterior, in scaled log-parameters.
    covariance : ndarray, shape (k, k)
        Laplace's approximation there; a parameter with variance 0 is held.
    draws : int
        How many draws will be taken from the sample: it is made twice as large, 1,000 at least.
    rng : numpy.random.Generator

    Returns
    -------
    Weighted
    """
    if not (np.diag(covariance) > 0).any():
        return Weighted(mode[None, :], np.ones(1), {"method": "given"})
    target = Target(likelihood, prior, mode, covariance)
    size = max(_EACH * draws, _LEAST)
    enough = reliable_below(size)
    sample = _importance(target, size, rng)
    first = sample.about["k_hat"]
    if first > enough and sample.about["effective_sample_size"] > 10 * len(target):
        target = target.moved(sample.mean(), sample.covariance())
        sample = _importance(target, size, rng)
    if sample.about["k_hat"] <= enough:
        return sample
    wide = target.places(2.0 * rng.standard_normal((100, len(target))))
    inside = wide[np.isfinite(target.exact(wide))][:3]
    starts = np.concatenate([inside, np.tile(target.centre, (4 - len(inside), 1))])[:, target.free]

    def density(free: Floats) -> Floats:
        at = np.tile(target.centre, (len(free), 1))
        at[:, target.free] = free
        return target.exact(at)

    found = metropolis(density, starts, target.root @ target.root.T, rng, effective=float(min(max(draws, 400), 1_000)))
    at = np.tile(target.centre, (len(found.at), 1))
    at[:, target.free] = found.at
    about = {
        "method": "metropolis", "k_hat": first, "effective_sample_size": found.effective_size,
        "r_hat": found.r_hat, "converged": found.converged,
    }  # fmt: skip
    return Weighted(at, np.full(len(at), 1 / len(at)), about)
