"""An effect as a share of what the controls had, with the error of both."""

from __future__ import annotations

import numpy as np

from clv.abm.experiments.fieller import fieller
from clv.abm.experiments.linear import Fit, Floats
from clv.abm.experiments.trial import Comparison


def relative_effect(comparison: Comparison, outcome: Floats, fit: Fit, *, confidence: float) -> dict[str, float]:
    """Divide an effect by the mean that the controls had, each block with the weight of its accounts.

    Parameters
    ----------
    outcome : numpy.ndarray, shape (rows,)
        In the order of the comparison.
    fit : Fit
        Of that outcome alone, from `clv.abm.experiments.trial.estimate`.
    confidence : float

    Returns
    -------
    dict
        relative, relative_se, relative_lower, relative_upper; NaN where the mean of the controls is not above 0, the
        limits also where it cannot be told from 0.

    Notes
    -----
    The error is that of the delta method, the limits are Fieller's (1954), both from the joint variance of the effect
    and the mean over what was randomised: the two move together, since a lucky draw of controls lowers the one and
    raises the other.
    """
    from scipy import stats

    nothing = dict.fromkeys(("relative", "relative_se", "relative_lower", "relative_upper"), np.nan)
    # As in the effect, blocks count with all their accounts, whatever share of them were controls.
    controls, block = ~comparison.treated, comparison.block
    n = np.add.reduceat(controls.astype(float), comparison.blocks)
    share = np.bincount(block) / len(block)
    level = np.add.reduceat(np.where(controls, outcome, 0.0), comparison.blocks) / n
    mean, effect = float(share @ level), float(fit.effect[0])
    if mean <= 0:
        return nothing
    # As for the effect, residuals are enlarged for what the mean has taken of them (HC2).
    enlarged = 1 / np.sqrt(np.maximum(1 - 1 / n, 0.5))
    rest = np.where(controls, (share / n * enlarged)[block] * (outcome - level[block]), 0.0)
    if comparison.small_blocks:
        few = int(comparison.small.sum())
        apart = share * (level - mean) * np.sqrt(few / max(few - 1, 1))
        rest = np.where(comparison.small[block], (apart / np.bincount(block))[block], rest)
    moved = np.column_stack([fit.influence[:, 0], np.add.reduceat(rest, comparison.firsts)])
    covariance = moved.T @ moved
    ratio = effect / mean
    variance = covariance[0, 0] - 2 * ratio * covariance[0, 1] + ratio**2 * covariance[1, 1]
    quantile = float(stats.t.ppf((1 + confidence) / 2, max(fit.dof, 1.0)))
    low, high, kind = fieller(effect, mean, covariance, quantile)
    ends = (low, high) if kind == "bounded" else (np.nan, np.nan)
    return {
        "relative": ratio, "relative_se": float(np.sqrt(max(variance, 0.0)) / mean),
        "relative_lower": ends[0], "relative_upper": ends[1],
    }  # fmt: skip
