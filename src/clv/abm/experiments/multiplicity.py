"""Several arms, several chances to be lucky: p-values that count them (Holm; Westfall & Young's step-down max-T)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clv.abm.experiments.arms import Arms
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.reassign import reassign, statistics
from clv.abm.experiments.trial import Adjustment, Comparison


@dataclass(frozen=True)
class Contrast:
    """One arm against the control, with what is needed to draw it again."""

    arms: Arms
    treatment: str
    rows: np.ndarray
    outcome: Floats
    covariates: Floats | None
    adjustment: Adjustment
    comparison: Comparison
    effect: float
    se: float


def adjust(contrasts: list[Contrast], p_values: Floats, *, how: str, draws: int, rng: np.random.Generator) -> Floats:
    """Adjust p-values for their number.

    Parameters
    ----------
    contrasts : list of Contrast
        The family.
    p_values : numpy.ndarray
        Unadjusted.
    how : {"max-t", "holm", "none"}
    """
    if how == "none" or len(contrasts) < 2:
        return p_values
    if how == "holm":
        from statsmodels.stats.multitest import multipletests

        return multipletests(p_values, method="holm")[1]
    # Re-randomise all arms of a group at once, so that arms that share controls stay dependent as they are.
    drawn = np.empty((len(contrasts), draws + 1))
    shared: dict[tuple[int, ...], list[int]] = {}
    for i, contrast in enumerate(contrasts):
        controls = contrast.rows[(contrast.arms.arm.iloc[contrast.rows] == contrast.arms.control).to_numpy()]
        key = tuple(controls.tolist())
        shared.setdefault(key, []).append(i)
    for members in shared.values():
        drawn[members] = _joint([contrasts[i] for i in members], draws, rng)
    return _step_down(np.abs(drawn), p_values)


def _joint(contrasts: list[Contrast], draws: int, rng: np.random.Generator) -> Floats:
    """Statistics of contrasts with the same controls under common assignments; the first is the one that took place."""
    first = contrasts[0]
    rows = np.unique(np.concatenate([c.rows for c in contrasts]))
    names = [first.arms.control, *(c.treatment for c in contrasts)]
    out = np.empty((len(contrasts), draws + 1))
    labels = first.arms.arm.iloc[rows].to_numpy()
    arm = np.array([names.index(label) for label in labels], dtype=np.int64)
    base = first.arms.comparison(first.treatment, rows, first.covariates, first.adjustment)
    arm = arm[base.order]
    assignments = reassign(arm, block=base.block, units=base.units, cluster=base.cluster, draws=draws, rng=rng)
    assignments = np.concatenate([arm[None].astype(np.int8), assignments])
    sorted_rows = rows[base.order]
    for k, contrast in enumerate(contrasts):
        # Blocks in which one of the two arms was never drawn say nothing of this contrast.
        blocks = set(contrast.arms.block.iloc[contrast.rows])
        inside = contrast.arms.block.iloc[sorted_rows].isin(blocks).to_numpy()
        own = sorted_rows[inside]
        mine = contrast.arms.comparison(contrast.treatment, own, contrast.covariates, contrast.adjustment)
        # Small blocks are judged by the two arms at hand, not by all of them.
        one = replace(mine, small=contrast.comparison.small, adjustment=contrast.comparison.adjustment)
        now, y = assignments[:, inside], contrast.outcome[own]
        effect, variance = statistics(one, y[:, None], now == k + 1, now == 0)
        root = np.sqrt(np.maximum(variance[:, 0, 0], 1e-12 * max(float(np.median(variance)), 1e-300)))
        out[k] = effect[:, 0] / root
    return out


def _step_down(t: Floats, p_values: Floats) -> Floats:
    """Westfall & Young (1993, algorithm 2.8) with studentised statistics; never below the unadjusted p-value."""
    order = np.argsort(-t[:, 0], kind="stable")
    largest = np.maximum.accumulate(t[order][::-1], axis=0)[::-1]
    raw = np.array([np.mean(largest[i] >= t[j, 0] * (1 - 1e-9)) for i, j in enumerate(order)])
    out = np.empty(len(raw))
    out[order] = np.maximum.accumulate(raw)
    return np.maximum(out, p_values)
