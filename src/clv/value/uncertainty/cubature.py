"""Posterior means of predictions from a handful of parameter points, where one point would mislead.

In a small book the parameters are so uncertain that the prediction of the mean parameters is not the mean prediction.
With k parameters the average over 2k points, √k standard deviations from the mean along either side of each axis of the
posterior, is exact for polynomials of degree three under a normal posterior of the log-parameters: the third-degree
spherical-radial rule (Stroud 1971; Arasaratnam & Haykin 2009, IEEE Transactions on Automatic Control 54(6), eq. 13).
All weights are equal and positive, so that an average of probabilities is one. `benchmarks/README.md` shows how near
book totals come to averages over draws of the exact posterior.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from clv.value.estimation.checks import Floats

Method = TypeVar("Method", bound=Callable[..., Any])


def cubature_points(centre: Floats, covariance: Floats) -> Floats:
    """Return points of equal weight with a given mean and covariance.

    Parameters
    ----------
    centre : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
        Rows of zeros belong to coordinates that are held.

    Returns
    -------
    ndarray, shape (2f, k)
        f is the rank of the covariance; the centre alone where it is 0.
    """
    size, basis = np.linalg.eigh(covariance)
    free = size > 1e-12 * max(float(size[-1]), np.finfo(float).tiny)
    if not free.any():
        return centre[None, :]
    away = (basis[:, free] * np.sqrt(size[free] * free.sum())).T
    return np.concatenate([centre + away, centre - away])


def plausible(model: Any) -> list[Any]:
    """Return the models whose predictions are averaged: the model alone, unless its estimate is a posterior mean."""
    if getattr(model, "estimate_", "") != "posterior mean":
        return [model]
    points = cubature_points(np.log(model.params_.to_numpy()), model.log_covariance_)
    members = []
    for point in np.exp(points):
        member = copy(model)
        member.estimate_, member.params_ = "given", pd.Series(point, model.params_.index, name=model.params_.name)
        members.append(member)
    return members


def averaged(method: Method) -> Method:
    """Make a prediction of a model with parameters the posterior mean of that prediction, in small books.

    Parameters
    ----------
    method : callable
        Returns a Series, a DataFrame, a number or an array: expectations or probabilities.
    """

    @wraps(method)
    def answer(self: Any, *args: Any, **kwargs: Any) -> Any:
        members = plausible(self)
        if len(members) == 1:
            return method(self, *args, **kwargs)
        found = [method(member, *args, **kwargs) for member in members]
        mean = np.mean([np.asarray(each, dtype=float) for each in found], axis=0)
        first = found[0]
        if isinstance(first, pd.Series):
            return pd.Series(mean, index=first.index, name=first.name)
        if isinstance(first, pd.DataFrame):
            return pd.DataFrame(mean, index=first.index, columns=first.columns)
        return float(mean) if np.ndim(mean) == 0 else mean

    return answer  # type: ignore[return-value]
