"""Fieller's interval for a ratio of two estimates, which says so where the denominator could be nought."""

from __future__ import annotations

import math
from typing import Literal

from clv.abm.experiments.linear import Floats

Kind = Literal["bounded", "outside", "unbounded"]


def fieller(top: float, bottom: float, covariance: Floats, quantile: float) -> tuple[float, float, Kind]:
    """Interval of ``top / bottom`` (Fieller 1954).

    Parameters
    ----------
    covariance : numpy.ndarray, shape (2, 2)
        Of (top, bottom).
    quantile : float
        Of the t distribution, such as 1.96.

    Returns
    -------
    lower, upper : float
    kind : {"bounded", "outside", "unbounded"}
        "outside": all ratios except those between lower and upper; "unbounded": every ratio, because the denominator
        cannot be told from nought.

    Examples
    --------
    >>> import numpy as np
    >>> fieller(3.0, 1.5, np.zeros((2, 2)), 1.96)
    (2.0, 2.0, 'bounded')
    """
    q = quantile**2
    a = bottom**2 - q * float(covariance[1, 1])
    b = top * bottom - q * float(covariance[0, 1])
    c = top**2 - q * float(covariance[0, 0])
    under = b * b - a * c
    if a > 0:
        root = math.sqrt(max(under, 0.0))
        return (b - root) / a, (b + root) / a, "bounded"
    if under <= 0 or a == 0:
        return -math.inf, math.inf, "unbounded"
    root = math.sqrt(under)
    return (b + root) / a, (b - root) / a, "outside"
