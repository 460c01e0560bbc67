"""Which estimate a book deserves: maximum likelihood where it is sharp, the posterior mean where data leave a gap.

A book of a hundred accounts often cannot tell two parameters apart: the likelihood rises along a ridge to infinity, or
is so flat that its top means nothing. The mean of the logarithms of the parameters under the weak prior then sits where
the posterior's mass is, not at the edge of it; and what is predicted is not what these parameters predict, but the mean
prediction over the posterior (`clv.value.uncertainty.cubature`). ``benchmarks/studies.py`` compares this with other
estimates over eleven designs of simulated small books.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from clv.errors import FitError, SettingsError
from clv.value.estimation.best_fit import Likelihood, best_fit
from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Optimum
from clv.value.estimation.priors import Prior, WeakPrior
from clv.value.uncertainty.posterior import explore

Kind = Literal["maximum likelihood", "penalised likelihood", "posterior mode", "posterior mean"]

#: A standard error of a log-parameter above this leaves a parameter open: the 95 % interval spans a factor of 19.
OPEN = 0.75
#: Draws and seed of the posterior mean: it is a statistic of the data, the same in every run.
_DRAWS, _SEED = 1_000, 0


@dataclass(frozen=True)
class Estimate:
    """What was found of the parameters.

    Attributes
    ----------
    at : ndarray, shape (k,)
        Scaled log-parameters.
    covariance : ndarray, shape (k, k)
        Inverse Hessian at an optimum, posterior covariance around a mean.
    kind : str
    note : str
        What the reader must know: which parameter the data do not identify; empty where there is nothing to say.
    prior : WeakPrior or None
        The prior that was used.
    optimum : Optimum
        Of likelihood or posterior.
    laplace : ndarray, shape (k, k)
        Inverse Hessian at the optimum.
    log_likelihood : float
        At `at`, without the constant of scaling.
    """

    at: Floats
    covariance: Floats
    kind: Kind
    note: str
    prior: WeakPrior | None
    optimum: Optimum
    laplace: Floats
    log_likelihood: float


def estimate(
    likelihood: Likelihood, weak: WeakPrior, setting: Prior, *, model: str, names: tuple[str, ...]
) -> Estimate:
    """Estimate parameters as the setting says.

    Parameters
    ----------
    likelihood : Likelihood
    weak : WeakPrior
    setting : {None, "weak", "auto"}
        "auto": maximum likelihood, unless it does not exist or leaves a parameter open (standard error of the
        logarithm above 0.75); then the posterior mean of the log-parameters under the weak prior.
    model : str
        Name of the model, for messages.
    names : tuple of str
        Names of the parameters.

    Returns
    -------
    Estimate

    Raises
    ------
    clv.errors.FitError
        If the data do not identify a parameter and no prior is allowed.
    """
    if setting not in (None, "weak", "auto"):
        raise SettingsError(f"prior is {setting!r}.", mend='Use None, "weak" or "auto".')
    if setting == "weak":
        optimum, covariance = best_fit(likelihood, weak, model=model, names=names)
        value = optimum.value - weak(optimum.at)[0]
        return Estimate(optimum.at, covariance, "posterior mode", "", weak, optimum, covariance, value)
    try:
        optimum, covariance = best_fit(likelihood, None, model=model, names=names)
    except FitError as error:
        if setting is None:
            raise
        return _mean(likelihood, weak, error.message, model=model, names=names)
    vague = np.flatnonzero(np.diag(covariance) > OPEN**2)
    if setting == "auto" and len(vague):
        which = ", ".join(names[i] for i in vague)
        why = f"{model}: the data hardly identify {which}; a 95% interval spans more than a factor of 19."
        return _mean(likelihood, weak, why, model=model, names=names)
    return Estimate(optimum.at, covariance, "maximum likelihood", "", None, optimum, covariance, optimum.value)


def _mean(likelihood: Likelihood, weak: WeakPrior, why: str, *, model: str, names: tuple[str, ...]) -> Estimate:
    """Return the posterior mean, and say why it is used."""
    optimum, laplace = best_fit(likelihood, weak, model=model, names=names)
    rng = np.random.default_rng(_SEED)
    sample = explore(likelihood, weak, optimum.at, laplace, draws=_DRAWS, rng=rng)
    at, covariance = sample.mean(), sample.covariance()
    held = np.diag(laplace) == 0
    covariance[held], covariance[:, held] = 0.0, 0.0
    note = f"{why} Its estimates are posterior means under weak priors."
    return Estimate(at, covariance, "posterior mean", note, weak, optimum, laplace, float(likelihood(at)[0]))
