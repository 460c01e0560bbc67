"""Damped Newton ascent with an exact Hessian: few evaluations, each of them useful."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv.value.estimation.checks import Floats

#: value, gradient (k,), Hessian (k, k)
Evaluation = tuple[float, Floats, Floats]
Objective = Callable[[Floats], Evaluation]

#: A step may change a parameter by a factor of e² at most: the quadratic model holds no further.
_LONGEST = 2.0
#: A predicted rise below this is statistically nothing: an optimum is good enough where rounding ends the ascent.
_HIDDEN = 1e-6


@dataclass(frozen=True)
class Optimum:
    """Where the ascent ended.

    Attributes
    ----------
    at : ndarray, shape (k,)
    value : float
    gradient : ndarray, shape (k,)
    hessian : ndarray, shape (k, k)
    evaluations : int
    converged : bool
        The next step would raise the value by less than the tolerance, and the Hessian is negative definite.
    bounded : tuple of int
        Coordinates at their bound with the value still rising outwards.
    """

    at: Floats
    value: float
    gradient: Floats
    hessian: Floats
    evaluations: int
    converged: bool
    bounded: tuple[int, ...] = ()


def _ascent(gradient: Floats, hessian: Floats, free: NDArray[np.bool_] | None) -> tuple[Floats, bool]:
    """Return the Newton direction of the free coordinates (None: all), made to ascend where the Hessian would not."""
    if free is not None:
        step = np.zeros(len(gradient))
        if not free.any():
            return step, True
        step[free], definite = _ascent(gradient[free], hessian[np.ix_(free, free)], None)
        return step, definite
    size, basis = np.linalg.eigh(-hessian)
    curved = np.abs(size)
    floor = 1e-10 * max(1e-300, float(curved.max()))
    definite = bool(size[0] > floor)
    step = basis @ ((gradient @ basis) / np.maximum(curved, floor))
    longest = np.abs(step).max()
    if longest > _LONGEST:
        step *= _LONGEST / longest
    return step, definite


def _room(at: Floats, step: Floats, lower: float | Floats, upper: float | Floats) -> float:
    """Return the share of a step up to the box, in a straight line: clipping would leave a narrow ridge."""
    there = at + step
    if ((there >= lower) & (there <= upper)).all():
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step > 0, (upper - at) / step, np.where(step < 0, (lower - at) / step, np.inf))
    return min(1.0, float(room.min()))


def maximise(
    objective: Objective,
    start: Floats,
    *,
    lower: float | Floats = -np.inf,
    upper: float | Floats = np.inf,
    hold: bool = False,
    tolerance: float = 1e-12,
    evaluations: int = 200,
) -> Optimum:
    """Climb to the nearest maximum of a smooth function inside a box.

    Parameters
    ----------
    objective : callable
        Value, gradient and Hessian at a point.
    start : ndarray, shape (k,)
    lower, upper : float or ndarray
        The box.
    hold : bool
        What to do with a coordinate that reaches the box with the value still rising: False, end the ascent there,
        not converged; True, hold it and go on with the others.
    tolerance : float
        Newton's predicted rise of the value below which the ascent has converged.
    evaluations : int
        Most evaluations of the objective.

    Returns
    -------
    Optimum
        Never raises for want of convergence: that is said in `Optimum.converged` and `Optimum.bounded`.

    Notes
    -----
    Newton with eigenvalues of the Hessian made positive and backtracking (Nocedal & Wright 2006, sections 3.3-3.5).
    """
    at = np.clip(start, lower, upper)
    value, gradient, hessian = objective(at)
    used = 1
    while True:
        bounded: tuple[int, ...] = ()
        if ((at > lower) & (at < upper)).all():
            step, definite = _ascent(gradient, hessian, None)
        else:
            stuck = ((at <= lower) & (gradient < 0)) | ((at >= upper) & (gradient > 0))
            bounded = tuple(int(i) for i in np.flatnonzero(stuck))
            step, definite = _ascent(gradient, hessian, ~stuck)
            outwards = ((at <= lower) & (step < 0)) | ((at >= upper) & (step > 0))
            if outwards.any():  # pulled along by others: held for this step
                step, definite = _ascent(gradient, hessian, ~(stuck | outwards))
        rise = float(gradient @ step)
        converged = definite and rise < 2 * tolerance
        if converged or used >= evaluations or (bounded and not hold):
            return Optimum(at, value, gradient, hessian, used, converged and (hold or not bounded), bounded)
        noise = 1e-13 * abs(value)  # below this a difference of values is rounding
        share = _room(at, step, lower, upper)
        while True:
            there = np.minimum(np.maximum(at + share * step, lower), upper)
            new = objective(there)
            used += 1
            if np.isfinite(new[0]) and new[0] >= value + 1e-4 * share * rise - noise:
                break
            share *= 0.5
            if used >= evaluations or share < 1e-8:
                # No step helps: rounding hides what is left to gain, if that is next to nothing.
                return Optimum(at, value, gradient, hessian, used, definite and rise < _HIDDEN, bounded)
        at, (value, gradient, hessian) = there, new
