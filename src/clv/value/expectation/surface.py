"""A smooth function of (x, T) for very many accounts: integrated at some hundred points, interpolated at the rest.

What a living account will buy depends on its history through (x, T) only, and is analytic in ln(x) for x ≥ 1 and in
ln(α + T). Chebyshev interpolation of its logarithm converges geometrically; the last coefficients tell how far it got.
Where they are not small enough, or accounts are few, every account is integrated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from clv.value.estimation.checks import Floats
from clv.value.estimation.patterns import find_grid

#: value of accounts (x, T), arrays of one length
Function = Callable[[Floats, Floats], Floats]
Codes = NDArray[np.intp]

#: what the last three coefficients may amount to: the relative error of the result.
_SMALL = 1e-9
#: up to here accounts are simply integrated one by one.
_FEW = 300
_BLOCK = 8_192


class Places(NamedTuple):
    """Where accounts are among the distinct x and T; found once, it serves several functions of the same accounts."""

    counts: Floats
    times: Floats
    cell: Codes  # place of x times the number of times, plus place of T

    @classmethod
    def of(cls, x: Floats, T: Floats) -> Self | None:
        """Find the places; None where accounts are so few that each is evaluated."""
        if len(x) <= _FEW:
            return None
        counts, cell = _distinct(x, None)
        times, late = _distinct(T, find_grid(T))
        for start in range(0, len(x), _BLOCK):
            part = cell[start : start + _BLOCK]
            part *= len(times)
            part += late[start : start + _BLOCK]
        return cls(counts, times, cell)


def evaluate(function: Function, x: Floats, T: Floats, *, offset: float, places: Places | None = None) -> Floats:
    """Evaluate a positive, smooth function for all accounts.

    Parameters
    ----------
    function : callable
        Takes x and T, arrays of one length; costly.
    x, T : ndarray, shape (accounts,)
        Whole numbers, and times.
    offset : float
        α: the function is smooth in ln(α + T).
    places : Places, optional
        Of the same x and T, if known.

    Returns
    -------
    ndarray, shape (accounts,)
        Relative error below 1e-8 where interpolated.
    """
    places = places or Places.of(x, T)
    if places is None:
        return function(x, T)
    counts, times, cell = places
    low, high = np.log(offset + times[0]), np.log(offset + times[-1])
    half = max((high - low) / 2, 1e-9)
    abscissa = (np.log(offset + times) - (low + high) / 2) / half
    for degree in (int(8 + 4 * half), int(12 + 7 * half), int(18 + 12 * half)):
        nodes = np.exp((low + high) / 2 + half * chebyshev.chebpts1(degree + 1)) - offset
        if len(times) <= degree + 1 or min(len(counts), 20) * (degree + 1) > len(x):
            break
        series = _series(function, counts, np.maximum(nodes, 0.0))
        if np.abs(series[:, -3:]).max() < _SMALL:
            return _spread(series, abscissa, cell)
    if 2 * len(counts) * len(times) < len(x):
        return function(np.repeat(counts, len(times)), np.tile(times, len(counts)))[cell]
    return function(x, T)


def _series(function: Function, counts: Floats, times: Floats) -> Floats:
    """Return the Chebyshev series in T of the logarithm, one row for each x; interpolated over x if that serves."""
    again = counts[counts >= 1]
    half = np.log(max(again[-1], 2.0)) / 2 if len(again) else 0.0
    across = int(10 + 6 * half)
    if len(again) <= 1.3 * across:
        return _at(function, counts, times) @ _to_series(len(times))
    points = np.exp(half + half * chebyshev.chebpts1(across))
    rows = _to_series(across).T @ _at(function, points, times)
    if np.abs(rows[-3:]).max() > _SMALL:
        return _at(function, counts, times) @ _to_series(len(times))
    logs = chebyshev.chebvander(np.log(again) / half - 1, across - 1) @ rows
    if len(again) < len(counts):
        logs = np.concatenate([_at(function, counts[:1], times), logs])
    return logs @ _to_series(len(times))


def _at(function: Function, counts: Floats, times: Floats) -> Floats:
    """Return the logarithm on the grid counts × times."""
    values = function(np.repeat(counts, len(times)), np.tile(times, len(counts)))
    return np.log(np.maximum(values, np.finfo(float).tiny)).reshape(len(counts), len(times))


def _to_series(points: int) -> Floats:
    """Return the matrix that turns rows of values at Chebyshev points into rows of coefficients."""
    basis = chebyshev.chebvander(chebyshev.chebpts1(points), points - 1) * (2.0 / points)
    basis[:, 0] /= 2
    return np.asarray(basis, dtype=float)


def _distinct(values: Floats, steps: float | None) -> tuple[Floats, Codes]:
    """Return sorted distinct values, at least, and each account's place among them: by arithmetic if on a grid."""
    scale = 1.0 if steps is None else steps
    first = float(np.rint(values.min() * scale))
    width = float(values.max()) * scale - first
    if width < len(values) + 1000.0:
        code = np.empty(len(values), dtype=np.intp)
        away = 0.0
        for start in range(0, len(values), _BLOCK):  # blocks stay in the cache
            block = slice(start, start + _BLOCK)
            exact = values[block] * scale
            exact -= first
            near = np.rint(exact)
            code[block] = near
            exact -= near
            away = max(away, float(exact.max()), -float(exact.min()))
        if away < 1e-6:
            present = np.bincount(code) > 0
            kept = np.flatnonzero(present)
            if steps is None and 2 * len(kept) < len(present):  # rows of a table over x cost; columns over T are cheap
                place = np.cumsum(present) - 1
                for start in range(0, len(code), _BLOCK):
                    code[start : start + _BLOCK] = place.take(code[start : start + _BLOCK])
            else:
                kept = np.arange(len(present))
            return np.asarray((kept + first) / scale, dtype=float), code
    import pandas as pd

    code, distinct = pd.factorize(values, sort=True)
    return np.asarray(distinct, dtype=float), code


def _spread(series: Floats, abscissa: Floats, cell: Codes) -> Floats:
    """Give each account its value: from a table of all (x, T) if that is small, else from its own series."""
    degree = series.shape[1] - 1
    out = np.empty(len(cell))
    if len(series) * len(abscissa) <= max(4 * len(cell), 100_000):
        table = np.exp(series @ chebyshev.chebvander(abscissa, degree).T).ravel()
        for start in range(0, len(out), _BLOCK):
            block = slice(start, start + _BLOCK)
            out[block] = table.take(cell[block])
        return out
    for start in range(0, len(out), _BLOCK):
        block = slice(start, start + _BLOCK)
        x_code, T_code = np.divmod(cell[block], len(abscissa))
        basis = chebyshev.chebvander(abscissa[T_code], degree)
        out[block] = np.einsum("ij,ij->i", series[x_code], basis)
    return np.exp(out)
