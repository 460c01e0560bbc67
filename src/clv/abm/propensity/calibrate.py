"""Calibration of probabilities: how far they are off on held-out rows, and the mend."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: standard deviations of the intercept and the slope before the data are seen: a mend needs evidence.
_PRIOR = (0.5, 0.25)


class Recalibration(NamedTuple):
    """``log-odds → intercept + slope × log-odds``.

    Attributes
    ----------
    intercept, slope : float
    """

    intercept: float
    slope: float

    def __call__(self, log_odds: np.ndarray) -> np.ndarray:
        """Return the mended log-odds."""
        return self.intercept + self.slope * log_odds


def recalibration(won: np.ndarray, log_odds: np.ndarray, *, plain: bool = False) -> Recalibration:
    """Regress outcomes on held-out log-odds.

    Parameters
    ----------
    won : numpy.ndarray of bool, shape (rows,)
    log_odds : numpy.ndarray, shape (rows,)
        Of a model that did not see these rows.
    plain : bool
        True: maximum likelihood, to measure. False: drawn towards no change (normal priors with standard deviations
        .5 about intercept 0 and .25 about slope 1), to mend.

    Returns
    -------
    Recalibration

    Notes
    -----
    Cox (1958), Two further applications of a model for binary regression; Platt (1999) for the mend.
    """
    design = np.column_stack([np.ones(len(won)), log_odds])
    prior = np.zeros(2) if plain else np.array([1 / _PRIOR[0] ** 2, 1 / _PRIOR[1] ** 2])
    about = np.array([0.0, 1.0])
    beta = about.copy()
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ beta, -35, 35)))
        slope = design.T @ (won - chance) - prior * (beta - about)
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(prior + 1e-9)
        move = np.linalg.solve(curve, slope)
        # A step is capped: perfectly separated rows have no finite slope, and then a steep one is answer enough.
        beta = beta + move * min(1.0, 2.0 / max(1e-12, float(np.abs(move).max())))
        if np.abs(move).max() < 1e-10 or np.abs(beta).max() > 50:
            break
    return Recalibration(float(beta[0]), float(beta[1]))
