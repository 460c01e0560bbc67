"""How strong something unseen would have to be to explain an effect away: E-values and Rosenbaum's bounds."""

from __future__ import annotations

import math

import numpy as np

from clv.abm.experiments.linear import Floats


def e_value(
    effect: float, se: float, sd: float, *, confidence: float = 0.95, dof: float = math.inf
) -> tuple[float, float]:
    """Compute the E-value of a difference in means, and of the end of its interval that is nearer to 0.

    Parameters
    ----------
    effect, se : float
    sd : float
        Standard deviation of the outcome.
    dof : float
        Degrees of freedom of the interval.

    Returns
    -------
    float, float
        Risk ratio that an unseen cause would need with both the treatment and the outcome; 1 where the interval
        already holds 0.

    Notes
    -----
    VanderWeele & Ding (2017, *Annals of Internal Medicine* 167), with RR ≈ exp(.91 d) for a standardised difference d.

    Examples
    --------
    >>> round(e_value(0.5, 0.1, 1.0)[0], 2)
    2.53
    """
    from scipy import stats

    t = float(stats.t.ppf((1 + confidence) / 2, dof))

    def needed(x: float) -> float:
        if x == 0:
            return 1.0
        ratio = math.exp(min(0.91 * abs(x) / sd, 700)) if sd > 0 else math.inf
        return ratio + math.sqrt(ratio * (ratio - 1)) if math.isfinite(ratio) else math.inf

    nearest = max(abs(effect) - t * se, 0.0)
    return needed(effect), needed(nearest)


def rosenbaum_bounds(differences: Floats, gammas: Floats, *, sign: float = 1.0) -> Floats:
    """Largest one-sided p-value of Wilcoxon's signed rank test if pairs were treated with odds up to Γ apart.

    Parameters
    ----------
    differences : numpy.ndarray
        Treated less control, one a pair.
    gammas : numpy.ndarray
        Γ ≥ 1; 1 is a randomised experiment.
    sign : float
        Direction of the effect that is tested: above 0 that the treated have more, below 0 that they have less.

    Notes
    -----
    Rosenbaum (2002, *Observational Studies*, section 4.3.3), large-sample form; pairs without a difference have their
    ranks, and add nothing.
    """
    from scipy import stats

    d = np.copysign(1.0, sign) * differences
    if not d.any():
        return np.ones(len(gammas))
    ranks = np.where(d != 0, stats.rankdata(np.abs(d)), 0.0)
    seen = float(ranks[d > 0].sum())
    share = gammas / (1 + gammas)
    mean, variance = share * ranks.sum(), share * (1 - share) * (ranks**2).sum()
    return stats.norm.sf((seen - mean) / np.sqrt(variance))


def tolerated_gamma(differences: Floats, *, confidence: float = 0.95, sign: float = 1.0) -> float:
    """Largest Γ up to 10 at which the effect still stands (p ≤ (1 − confidence) / 2); NaN if it does not even at 1."""
    grid = np.round(np.arange(1.0, 10.0001, 0.05), 2)
    stands = rosenbaum_bounds(differences, grid, sign=sign) <= (1 - confidence) / 2
    return float(grid[stands].max()) if stands.any() else math.nan
