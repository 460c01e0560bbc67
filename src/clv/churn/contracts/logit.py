"""A logit that always has an answer: maximum likelihood, or Firth's where the data separate, which is said."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from clv.churn.contracts.shrinkage import shrink
from clv.errors import FitError

Floats = NDArray[np.float64]
#: a log-odds beyond which maximum likelihood may be running away: e^10 is one in 22,000.
_FAR = 10.0
#: losses (or renewals, if fewer) an effect, from which maximum likelihood is trusted (Peduzzi et al. 1996).
ENOUGH = 10


@dataclass(frozen=True)
class LogitFit:
    """A fitted logit.

    Attributes
    ----------
    coefficients : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
        Cluster-robust by account under maximum likelihood; the inverse information under Firth's and where shrunk.
    estimate : {"maximum likelihood", "Firth", "shrunk"}
    separated : tuple of str
        Columns that, together, tell every loss from every renewal for some rows; empty where there are none.
    accounts : int
        Clusters.
    """

    coefficients: Floats
    covariance: Floats
    estimate: Literal["maximum likelihood", "Firth", "shrunk"]
    separated: tuple[str, ...]
    accounts: int


def fit_logit(
    design: Floats, lost: NDArray[np.bool_], *, account: NDArray[np.int64], names: list[str], free: int | None = None
) -> LogitFit:
    """Fit a logit of loss, by maximum likelihood if that exists and the data are enough for it.

    Parameters
    ----------
    design : ndarray, shape (rows, k)
        The first column is 1.
    lost : ndarray of bool, shape (rows,)
    account : ndarray of int, shape (rows,)
        Whose row it is: rows of one account may depend on one another.
    names : list of str
        Of the columns.
    free : int, optional
        Leading columns that are never shrunk; the others, effects, are where fewer than ten losses (or renewals) an
        effect were seen and nothing separates. None: all are free.

    Returns
    -------
    LogitFit

    Notes
    -----
    Maximum likelihood by statsmodels' generalised linear model; standard errors from the cluster sandwich (Liang &
    Zeger 1986). Where some combination of columns separates losses from renewals the maximum lies at infinity
    (Albert & Anderson 1984); whether one does is decided exactly, by a linear program (Konis 2007). Then Firth's
    (1993) penalised likelihood is used (Heinze & Schemper 2002), whose maximum is finite, with the intercept
    corrected so that expected losses equal those seen (FLIC; Puhr, Heinze, Nold, Lusa & Geroldinger 2017). The
    sandwich would be far too sure there, since residuals vanish in the separated direction.
    """
    y = lost.astype(float)
    clusters = len(np.unique(account))
    effects = 0 if free is None else design.shape[1] - free
    few = effects > 0 and min(int(lost.sum()), int((~lost).sum())) < ENOUGH * effects
    if few and free is not None and not separating_columns(design[:, :free], lost, names[:free]):
        shrunk = shrink(design, lost, free=free)
        if shrunk is not None:
            return LogitFit(shrunk.coefficients, shrunk.covariance, "shrunk", (), clusters)
    found = _maximum_likelihood(design, y, account)
    if found is not None and np.abs(design @ found[0]).max() < _FAR:
        return LogitFit(*found, "maximum likelihood", (), clusters)
    separated = separating_columns(design, lost, names)
    if found is not None and not separated:
        return LogitFit(*found, "maximum likelihood", (), clusters)
    return LogitFit(*_firth(design, y), "Firth", separated, clusters)


def separating_columns(design: Floats, lost: NDArray[np.bool_], names: list[str]) -> tuple[str, ...]:
    """Name the columns of a direction b that separates: x·b ≥ 0 for every loss, ≤ 0 for every renewal, not all 0.

    Solves max Σ z·b subject to z·b ≥ 0 and |b| ≤ 1, z being ±x: its optimum is 0 if and only if none separates.
    """
    from scipy.optimize import linprog

    z = np.unique(np.where(lost[:, None], design, -design), axis=0)
    done = linprog(-z.sum(axis=0), A_ub=-z, b_ub=np.zeros(len(z)), bounds=(-1, 1), method="highs")
    if done.status != 0:
        raise FitError(f"whether the data separate could not be decided: {done.message}.", mend="Use fewer covariates.")
    if -done.fun < 1e-7 * max(1.0, np.abs(z).max()):
        return ()
    return tuple(name for name, b in zip(names, done.x, strict=True) if abs(b) > 1e-7)


def _maximum_likelihood(design: Floats, y: Floats, account: NDArray[np.int64]) -> tuple[Floats, Floats] | None:
    """Fit by statsmodels; None if it did not converge."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationError, PerfectSeparationWarning

    model = sm.GLM(y, design, family=sm.families.Binomial())
    clustered = {"groups": account} if len(np.unique(account)) > 1 else None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Separation is looked for, and dealt with, by the caller.
        for known in (PerfectSeparationWarning, ConvergenceWarning, RuntimeWarning):
            warnings.simplefilter("ignore", category=known)
        try:
            if clustered is None:
                done = model.fit(maxiter=100)
            else:
                done = model.fit(maxiter=100, cov_type="cluster", cov_kwds=clustered)
        except (PerfectSeparationError, np.linalg.LinAlgError, ValueError):
            return None
    coefficients, covariance = np.asarray(done.params), np.asarray(done.cov_params())
    if not (done.converged and np.isfinite(coefficients).all() and np.isfinite(covariance).all()):
        return None
    return coefficients, covariance


def _firth(design: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Maximise ln L + ½ ln |I| by Newton steps on the modified score, halved until they climb."""
    at = np.zeros(design.shape[1])
    value, information = _penalised(design, y, at)
    for _ in range(200):
        p = expit(design @ at)
        weight = p * (1 - p)
        leverage = weight * np.einsum("ij,ji->i", design, np.linalg.solve(information, design.T))
        score = design.T @ (y - p + leverage * (0.5 - p))
        step = np.linalg.solve(information, score)
        step *= min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        for _ in range(40):
            new_value, new_information = _penalised(design, y, at + step)
            if new_value > value:
                break
            step /= 2
        else:  # no step climbs: this is the top, to the last digit
            break
        at, value, information = at + step, new_value, new_information
        if np.abs(step).max() < 1e-10:
            break
    else:
        raise FitError("Firth's likelihood found no maximum in 200 steps.", mend="Use fewer covariates.")
    return _recalibrated(design, y, at), np.asarray(np.linalg.inv(information), dtype=float)


def _penalised(design: Floats, y: Floats, at: Floats) -> tuple[float, Floats]:
    """Return the penalised log-likelihood and the information."""
    eta = design @ at
    p = expit(eta)
    information = design.T @ (design * (p * (1 - p))[:, None])
    sign, log_determinant = np.linalg.slogdet(information)
    if sign <= 0:
        return -np.inf, information
    return float(y @ eta - np.logaddexp(0, eta).sum() + 0.5 * log_determinant), information


def _recalibrated(design: Floats, y: Floats, at: Floats) -> Floats:
    """Move the intercept so that expected losses equal losses; where all or none were lost it stays."""
    if not 0 < y.sum() < len(y):
        return at
    rest, shift = design @ at, 0.0
    for _ in range(100):
        p = expit(rest + shift)
        step = float((y.sum() - p.sum()) / (p @ (1 - p)))
        shift += float(np.clip(step, -2, 2))
        if abs(step) < 1e-12:
            break
    moved = at.copy()
    moved[0] += shift
    return moved
