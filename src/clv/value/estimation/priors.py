"""Weak priors: log-normal on each parameter, so that an optimum exists whatever the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation

#: None: maximum likelihood. "weak": maximum of the posterior under the model's `WeakPrior`. "auto": maximum likelihood
#: where it is sharp, else the posterior mean (`clv.value.estimation.small_books`).
Prior = Literal["weak", "auto"] | None


@dataclass(frozen=True)
class WeakPrior:
    """Independent normal densities on the logarithms of the scaled parameters.

    Attributes
    ----------
    centre : tuple of float
        Medians of the parameters, in units in which the data have scale 1 (mean T, or mean spend).
    spread : tuple of float
        Standard deviations of the logarithms: 1.5 says "within a factor of 19 either way, with 95 %".

    Notes
    -----
    The optimum is that of the density of the *log-parameters*, which unlike that of the parameters does not move
    when a parameter is replaced by its reciprocal or measured in another unit.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]

    def values(self, points: Floats) -> Floats:
        """Return the log-density up to the same constant at many points, shape (n, k)."""
        away = (points - np.log(self.centre)) / np.asarray(self.spread)
        return np.asarray(-0.5 * np.sum(away**2, axis=1))

    def __call__(self, at: Floats) -> Evaluation:
        """Return the log-density up to a constant, its gradient and its Hessian at log-parameters `at`."""
        precision = np.asarray(self.spread) ** -2.0
        away = at - np.log(self.centre)
        return float(-0.5 * np.sum(precision * away**2)), -precision * away, np.diag(-precision)
