"""Poisson pseudo-maximum likelihood with account and period effects, and standard errors clustered by account.

E[y] = exp(account + period + xβ), estimated by iteratively reweighted least squares in which the effects of both kinds
are projected out of each step exactly (Correia, Guimarães & Zylkin 2020, with a direct solve in place of alternating
projections). Consistent whenever the mean is right, whatever the distribution (Gourieroux, Monfort & Trognon 1984).
statsmodels fits the same model with one dummy an account, and so serves as the test's reference: its cost grows with
the square of the number of accounts, this one's does not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clv.errors import DataError, FitError

Floats = NDArray[np.float64]

_STEPS, _TOLERANCE = 60, 1e-10
#: share of a regressor's variation that must be left when the effects are taken out of it.
_LEFT = 1e-8


class PoissonFit(NamedTuple):
    """Coefficients, their clustered covariance, and what was used."""

    beta: Floats
    covariance: Floats
    accounts: int
    observations: int


def fit_poisson(y: Floats, x: Floats, seen: NDArray[np.bool_]) -> PoissonFit:
    """Fit the model.

    Parameters
    ----------
    y : ndarray, shape (accounts, periods)
        0 or more.
    x : ndarray, shape (k, accounts, periods)
    seen : ndarray of bool, shape (accounts, periods)
        Which cells are observed. Accounts and periods that hold nothing above 0 say nothing and are left out.

    Returns
    -------
    PoissonFit
        The covariance is the sandwich over accounts, times G/(G − 1).

    Raises
    ------
    clv.errors.DataError
        A regressor cannot be told from the effects, or fewer than two accounts are left.
    clv.errors.FitError
        There is no optimum: nothing was bought wherever some regressor is not 0.
    """
    y, x, seen = _informative(y, x, seen)
    if len(y) < 2:
        raise DataError(
            f"{len(y)} accounts that bought more than once are too few.", table="transactions",
            mend="Use a longer time.",
        )  # fmt: skip
    mean = (y.sum(axis=1) / seen.sum(axis=1))[:, None]
    mu = np.where(seen, (y + mean) / 2, 0.0)
    eta = np.log(np.where(seen, mu, 1.0))
    deviance, beta = np.inf, np.zeros(len(x))
    for _ in range(_STEPS):
        safe = np.where(seen, mu, 1.0)
        z = np.where(seen, eta + (y - mu) / safe, 0.0)
        left = _without_effects(np.concatenate([x, z[None]]), mu)
        design = left[:-1]
        bread = np.einsum("kit,it,lit->kl", design, mu, design)
        if _collinear(bread, x, mu):
            raise DataError(
                "the offers cannot be told from the calendar: all accounts had them at the same times.", table="offers",
                mend="It takes periods in which some accounts have an offer and others have none.",
            )  # fmt: skip
        beta = np.linalg.solve(bread, np.einsum("kit,it,it->k", design, mu, left[-1]))
        eta = np.where(seen, z - left[-1] + np.einsum("k,kit->it", beta, design), 0.0)
        # What is removed with the effects is put back: z − (z̃ − x̃β) is the linear predictor with its effects.
        mu = np.where(seen, np.exp(np.clip(eta, -50.0, 50.0)), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            now = 2 * float(np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / np.where(seen, mu, 1.0)), 0.0).sum())
        now -= 2 * float((y - mu).sum())
        if abs(now - deviance) <= _TOLERANCE * (abs(now) + 1):
            break
        deviance = now
    else:
        raise FitError(
            "the discount effect has no estimate: the search did not settle.",
            mend="Look at fewer periods after the offer, or at longer ones.",
        )
    if np.abs(beta).max(initial=0.0) > 15:
        raise FitError(
            "the discount effect has no finite estimate: nothing was bought at some distance from an offer.",
            mend="Look at fewer periods after the offer, or at longer ones.",
        )
    left = _without_effects(x, mu)
    bread = np.linalg.inv(np.einsum("kit,it,lit->kl", left, mu, left))
    scores = np.einsum("kit,it->ik", left, np.where(seen, y - mu, 0.0))
    meat = scores.T @ scores * len(y) / (len(y) - 1)
    return PoissonFit(beta, bread @ meat @ bread, len(y), int(seen.sum()))


def _informative(y: Floats, x: Floats, seen: NDArray[np.bool_]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Leave out accounts and periods without anything bought, again and again until all have something."""
    y = np.where(seen, y, 0.0)
    while True:
        rows, columns = y.sum(axis=1) > 0, y.sum(axis=0) > 0
        if rows.all() and columns.all():
            return y, np.where(seen, x, 0.0), seen
        y, x, seen = y[rows][:, columns], x[:, rows][:, :, columns], seen[rows][:, columns]


def _without_effects(v: Floats, w: Floats) -> Floats:
    """Take weighted account and period means out of arrays (k, accounts, periods), exactly."""
    row = w.sum(axis=1)
    share = w / row[:, None]
    sums = v * w
    by_row, by_column = sums.sum(axis=2), sums.sum(axis=1)
    system = np.diag(w.sum(axis=0)) - w.T @ share
    right = by_column - by_row @ share
    column = np.linalg.lstsq(system, right.T, rcond=1e-12)[0].T
    own = by_row / row - column @ share.T
    return np.where(w > 0, v - own[:, :, None] - column[:, None, :], 0.0)


def _collinear(bread: Floats, x: Floats, w: Floats) -> bool:
    """Tell whether nothing is left of a regressor, or regressors repeat one another."""
    raw = np.einsum("kit,it,kit->k", x, w, x)
    kept = np.diag(bread)
    if (raw <= 0).any() or (kept <= _LEFT * raw).any():
        return True
    scale = np.sqrt(kept)
    return bool(np.linalg.eigvalsh(bread / np.outer(scale, scale))[0] < _LEFT)
