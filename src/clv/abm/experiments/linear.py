"""Least squares with the CR2 sandwich and Satterthwaite degrees of freedom: intervals that hold with few clusters.

statsmodels has HC2 and the CR1 sandwich, but neither CR2 nor its degrees of freedom, on which everything rests when a
programme has a dozen accounts an arm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv.errors import FitError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

#: an eigenvalue of I − H below this is one of a cluster that alone determines a coefficient: it has no residual.
_SINGULAR = 1e-9


@dataclass(frozen=True)
class Fit:
    """One coefficient in several outcomes, with their joint sandwich.

    Attributes
    ----------
    effect : numpy.ndarray, shape (outcomes,)
    covariance : numpy.ndarray, shape (outcomes, outcomes)
    dof : float
        Satterthwaite degrees of freedom of the coefficient.
    influence : numpy.ndarray, shape (clusters, outcomes)
        What each cluster (each row, without clusters) adds to the error of the effect.
    """

    effect: Floats
    covariance: Floats
    dof: float
    influence: Floats

    @property
    def se(self) -> Floats:
        """Standard errors, one an outcome."""
        return np.sqrt(np.diag(self.covariance))


def fit_cr2(
    design: Floats, outcomes: Floats, *, column: int, weights: Floats | None = None, clusters: Codes | None = None
) -> Fit:
    """Fit outcomes on a design and return one coefficient with its CR2 variance.

    Parameters
    ----------
    design : numpy.ndarray, shape (rows, columns)
    outcomes : numpy.ndarray, shape (rows, outcomes)
    column : int
        The coefficient of interest.
    weights : numpy.ndarray, shape (rows,), optional
        Inverse of the working variance.
    clusters : numpy.ndarray of int, shape (rows,), optional
        Codes 0, 1, …; None: each row is its own (CR2 is then HC2).

    Raises
    ------
    FitError
        The coefficient cannot be told from the other columns.

    Notes
    -----
    Bell & McCaffrey (2002); Pustejovsky & Tipton (2018, eq. 6–8, with the identity as working model): residuals of
    cluster g are multiplied by (I − H_gg)^(−1/2), the sandwich is unbiased where the working model holds, and its
    degrees of freedom are 2 E(V)² / var(V) under that model. Without clusters, covariates and blocks the variance is
    Neyman's s₁²/n₁ + s₀²/n₀.
    """
    root = np.ones(len(design)) if weights is None else np.sqrt(weights)
    x, y = design * root[:, None], outcomes * root[:, None]
    q, r = np.linalg.qr(x)
    size = np.abs(np.diag(r))
    if x.shape[0] < x.shape[1] or (size <= 1e-10 * max(1.0, size.max())).any():
        x, column = _independent(x, column)
        q, r = np.linalg.qr(x)
    bread = np.linalg.solve(r, np.eye(len(r)))  # (X'X)^-1 = bread bread'
    lever = bread[column]
    residual = y - q @ (q.T @ y)
    effect = (lever @ (q.T @ y)).astype(float)
    weight = q @ lever  # the row of (X'X)^-1 X' that belongs to the coefficient
    if clusters is None:
        h = np.einsum("ij,ij->i", q, q)
        adjust = np.where(1 - h > _SINGULAR, 1 / np.sqrt(np.maximum(1 - h, _SINGULAR)), 0.0)
        g = adjust * weight
        influence, own, u = g[:, None] * residual, g**2, q * g[:, None]
    else:
        influence, own, u = _by_cluster(q, weight, residual, clusters)
    # Under the working model the variance is a quadratic form with the matrix diag(own) − U U'.
    inside = np.einsum("ij,ij->i", u, u)
    cross = u.T @ u
    mean = own.sum() - inside.sum()
    spread = (own**2).sum() - 2 * (own * inside).sum() + (cross * cross).sum()
    dof = float(mean**2 / spread) if spread > 0 else 0.0
    return Fit(effect, influence.T @ influence, dof, influence)


def _by_cluster(q: Floats, weight: Floats, residual: Floats, clusters: Codes) -> tuple[Floats, Floats, Floats]:
    """Influence, own variance and loading of every cluster."""
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    influence = np.empty((len(starts), residual.shape[1]))
    own, u = np.empty(len(starts)), np.empty((len(starts), q.shape[1]))
    for g, rows in enumerate(np.split(order, starts[1:])):
        basis, s, _ = np.linalg.svd(q[rows], full_matrices=False)
        left = 1 - s**2
        factor = np.where(left > _SINGULAR, 1 / np.sqrt(np.maximum(left, _SINGULAR)), 0.0) - 1
        adjusted = weight[rows] + basis @ (factor * (basis.T @ weight[rows]))
        influence[g], own[g], u[g] = adjusted @ residual[rows], adjusted @ adjusted, q[rows].T @ adjusted
    return influence, own, u


def _independent(x: Floats, column: int) -> tuple[Floats, int]:
    """Leave out columns that others already hold; the one of interest must not be among them."""
    others = np.delete(np.arange(x.shape[1]), column)
    kept: list[int] = []
    basis = np.empty((len(x), 0))
    for j in [*others, column]:
        rest = x[:, j] - basis @ (basis.T @ x[:, j])
        rest -= basis @ (basis.T @ rest)
        length, whole = float(np.linalg.norm(rest)), float(np.linalg.norm(x[:, j]))
        if length > 1e-8 * max(whole, 1e-300):
            basis = np.column_stack([basis, rest / length])
            kept.append(int(j))
    if column not in kept:
        raise FitError(
            "the effect cannot be told from the covariates and blocks.",
            mend="Leave out a covariate or block that treated and control accounts never share.",
        )
    return x[:, kept], kept.index(column)
