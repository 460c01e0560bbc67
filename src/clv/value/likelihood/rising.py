"""Sums of ln[Γ(a+x)/Γ(a)] over accounts: x counts purchases, so every one of them is a sum of x logarithms."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln, zeta

from clv.value.estimation.checks import Floats

#: beyond this many terms gamma functions are less work.
_LONGEST = 50_000


def rising(at: float, x: Floats, count: Floats) -> tuple[float, float, float]:
    """Return Σ count · [lnΓ(at+x) − lnΓ(at)] and its first two derivatives by `at`."""
    return (
        float(count @ (gammaln(at + x) - gammaln(at))),
        float(count @ (digamma(at + x) - digamma(at))),
        float(count @ (zeta(2.0, at + x) - zeta(2.0, at))),
    )


class RisingSum:
    """Σ count · ln[Γ(at+x)/Γ(at)] as a function of `at`, with its first two derivatives.

    ln[Γ(at+x)/Γ(at)] = Σ_{j<x} ln(at+j), so that the sum over accounts is one over j, each term as often as there are
    accounts with x > j: no gamma function, and none of the digits that differences of gamma functions lose.

    Parameters
    ----------
    x : ndarray, shape (values,)
        Distinct whole numbers of 0 or more, ascending.
    count : ndarray, shape (values,)
        Weight behind each.
    """

    def __init__(self, x: Floats, count: Floats) -> None:
        self._x, self._count = x, count
        most = int(min(x[-1], _LONGEST + 1)) if len(x) else 0
        self._short = most <= _LONGEST
        if self._short:
            self._step = np.arange(float(most))
            beyond = np.append(np.cumsum(count[::-1])[::-1], 0.0)
            self._beyond = beyond[np.searchsorted(x, self._step, side="right")]

    def __call__(self, at: float) -> tuple[float, float, float]:
        """Return the sum and its first two derivatives."""
        if not self._short:
            return rising(at, self._x, self._count)
        place = self._step + at
        value = float(self._beyond @ np.log(place))
        inverse = 1.0 / place
        part = self._beyond * inverse
        return value, float(part.sum()), -float(part @ inverse)
