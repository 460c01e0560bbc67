"""The best fit of a likelihood, and what the data say about it: how sharp it is, or which parameter they leave open."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from clv.errors import FitError
from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation, Optimum, maximise
from clv.value.estimation.priors import WeakPrior

#: A scaled parameter outside this range is taken to be on its way to 0 or infinity.
RANGE = (1e-4, 1e5)
#: A standard error of log-parameters above this says that not even their order of magnitude is known.
_VAGUE = 10.0
#: With more rows of work than this the ascent starts from the optimum of a thinned likelihood.
_MANY, _FEW = 20_000, 6_000

_MEND = 'Fit with prior="weak", or give more accounts or a longer history.'


class Likelihood(Protocol):
    """What a model hands to the estimator: the log-likelihood of scaled log-parameters, given the data.

    Attributes
    ----------
    accounts : float
        Sum of weights.
    start : ndarray
        Where to begin, in scaled log-parameters.
    shift : ndarray
        log(parameter) = scaled log-parameter + shift.
    constant : float
        What scaling the data took from the log-likelihood.
    """

    accounts: float
    start: Floats
    shift: Floats
    constant: float
    # starts: tuple of ndarray, optional: where else to begin, if there may be several maxima; `start` is the first

    def __call__(self, at: Floats) -> Evaluation:
        """Evaluate value, gradient and Hessian."""

    def __len__(self) -> int:
        """Count the rows of work in one evaluation."""

    def thinned(self, rows: int) -> Likelihood:
        """Approximate by about `rows` rows."""

    def unidentified(self) -> str | None:
        """Say which parameters no data of this kind can identify, and why; None if that cannot be told before."""


def _climb(likelihood: Likelihood, prior: WeakPrior | None) -> Optimum:
    """Find the maximum: first of a thinned likelihood if there are many rows, then of the whole."""

    def climb(part: Likelihood, start: Floats, tolerance: float) -> Optimum:
        def posterior(at: Floats) -> Evaluation:
            value, gradient, hessian = part(at)
            log_density, slope, curve = prior(at) if prior else (0.0, 0.0, 0.0)
            return value + log_density, gradient + slope, hessian + curve

        lowest, highest = np.log(RANGE)
        return maximise(posterior, start, lower=lowest, upper=highest, hold=prior is not None, tolerance=tolerance)

    start = likelihood.start
    starts = getattr(likelihood, "starts", (start,))
    if len(likelihood) > _MANY:
        thin = likelihood.thinned(_FEW)
        rough = max((climb(thin, begin, 1e-3) for begin in starts), key=lambda found: found.value)
        start = rough.at if rough.converged else start
    elif len(starts) > 1:  # several maxima: the highest of those found
        start = max((climb(likelihood, begin, 1e-6) for begin in starts), key=lambda found: found.value).at
    optimum = climb(likelihood, start, 1e-12)
    if not optimum.converged and start is not likelihood.start:
        optimum = climb(likelihood, likelihood.start, 1e-12)
    return optimum


def best_fit(
    likelihood: Likelihood, prior: WeakPrior | None, *, model: str, names: tuple[str, ...]
) -> tuple[Optimum, Floats]:
    """Maximise likelihood or posterior, and invert the Hessian there.

    Parameters
    ----------
    likelihood : Likelihood
    prior : WeakPrior or None
    model : str
        Name of the model, for errors.
    names : tuple of str
        Names of the parameters.

    Returns
    -------
    optimum : Optimum
    covariance : ndarray, shape (k, k)
        Of the log-parameters. Under a prior a parameter may come to rest at the edge of the range searched (all
        purchases of the same money, say); it is held there, with no uncertainty of its own.

    Raises
    ------
    clv.errors.FitError
        If the data do not identify a parameter; which one is said.
    """
    if prior is None and (why := likelihood.unidentified()):
        raise FitError(f"{model}: {why}.", mend=_MEND)
    optimum = _climb(likelihood, prior)
    if optimum.bounded and prior is None:
        runs = ", ".join(f"{names[i]} → {'∞' if optimum.gradient[i] > 0 else '0'}" for i in optimum.bounded)
        raise FitError(
            f"{model}: the data do not identify every parameter; the likelihood rises as {runs}.", mend=_MEND
        )
    free = np.array([i not in optimum.bounded for i in range(len(names))])
    size, basis = np.linalg.eigh(-optimum.hessian[np.ix_(free, free)])
    if prior is None and size[0] < _VAGUE**-2:
        vague = ", ".join(np.asarray(names)[np.abs(basis[:, 0]) > 0.3])
        raise FitError(f"{model}: the data do not identify {vague}; the likelihood is flat there.", mend=_MEND)
    if not optimum.converged:
        raise FitError(f"{model}: no optimum after {optimum.evaluations} evaluations.", mend=_MEND)
    covariance = np.zeros_like(optimum.hessian)
    covariance[np.ix_(free, free)] = (basis / size) @ basis.T
    return optimum, (covariance + covariance.T) / 2
