"""Difference-in-differences, with its pre-trend check, a start that never was, and bounds where trends part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from clv.abm.experiments.checks import check_table, variation
from clv.abm.experiments.linear import Fit, Floats, fit_cr2
from clv.abm.experiments.observational import ObservationalEffect, observational_result
from clv.abm.experiments.panel import Panel, read_panel
from clv.errors import DataError

#: below this p-value the trends before the start are not parallel.
PRETREND = 0.05
#: the same for a start that never was: a second look at the same periods, hence stricter.
_PLACEBO = 0.01
#: multiples of the largest step apart before the start that are tried after it.
_BENDS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
#: such a multiple below which the sign hangs on little.
_SLIGHT = 0.5


def difference_in_differences(
    data: pd.DataFrame,
    *,
    start: Any,
    outcome: str = "margin",
    period: str = "period",
    treated: str = "treated",
    confidence: float = 0.95,
    currency: str = "",
) -> ObservationalEffect:
    """Compare how treated and untreated accounts changed from before to after a start that nobody randomised.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account and period; see `clv.abm.experiments.panel.read_panel`.
    start
        First treated period. Programmes that started at several times are analysed one start after the other, accounts
        with another start left out: as controls they would pass on their own effect (Goodman-Bacon 2021).

    Returns
    -------
    ObservationalEffect
        ``sensitivity``: bend (how far trends may part after the start, as a multiple of the largest step apart before
        it), lower, upper.

    Notes
    -----
    Assumes parallel trends: without the programme the treated would have changed as the controls did. The check is a
    joint test of the differences before the start, and of a linear one; it cannot prove the assumption (Roth 2022), so
    that the trend it could have missed is said with the bias that would bring. Sensitivity: relative magnitudes as
    Rambachan & Roth (2023, section 2.4.1): the difference moves each period by at most `bend` times the largest step
    that was seen before the start; the interval is the estimate's, widened by the bias at most. Variance: accounts as
    clusters, HC2. It is also taken for granted that the programme changed nothing before its start, which would show
    as a trend, and nothing for the controls, which no check can see.
    """
    panel = read_panel(data, outcome=outcome, start=start, period=period, treated=treated)
    if panel.treated.sum() < 2:
        raise DataError(
            "there is one treated account: its luck cannot be told from an effect.",
            table="panel", column=treated, mend="Use clv.synthetic_difference_in_differences, with placebos.",
        )  # fmt: skip
    main = _effect(panel)
    effect, se = float(main.effect[0]), float(main.se[0])
    rows = variation(panel.outcome.ravel(), multiplicative=False)
    rows += _pretrend(panel, effect)
    rows.append(_placebo(panel))
    bends, last = _sensitivity(panel, effect, se, main.dof, confidence)
    says = "Already with parallel trends the interval holds 0."
    if np.isinf(last):
        says = "Before the start the two moved exactly alike: nothing says how far they may part after it."
    elif last > 0:
        says = f"The sign holds if trends part each period by up to {last:.2g} times the largest step apart before it."
    if 0 < last < _SLIGHT:
        rows.append(("sensitivity", "mind", "A slight parting of the trends would undo the sign."))
    return observational_result(
        method="difference-in-differences", outcome=outcome, treated=int(panel.treated.sum()),
        assumption="without the programme the treated would have changed as the controls did",
        controls=int((~panel.treated).sum()), effect=effect, se=se, dof=main.dof, checks=check_table(rows),
        sensitivity=bends, path=_event_study(panel, confidence), confidence=confidence, currency=currency, bends=says,
    )  # fmt: skip


def _difference(panel: Panel, values: Floats) -> Fit:
    """Treated less controls, HC2, of one number or several an account; the first is the one tested."""
    design = np.column_stack([panel.treated.astype(float), np.ones(len(panel.treated))])
    return fit_cr2(design, values if values.ndim == 2 else values[:, None], column=0)


def _effect(panel: Panel) -> Fit:
    y = panel.outcome
    return _difference(panel, y[:, panel.before :].mean(axis=1) - y[:, : panel.before].mean(axis=1))


def _event_study(panel: Panel, confidence: float) -> pd.DataFrame:
    """Effect by period, against the last one before the start."""
    from scipy import stats

    fit = _difference(panel, panel.outcome - panel.outcome[:, [panel.before - 1]])
    half = float(stats.t.ppf((1 + confidence) / 2, max(fit.dof, 1.0))) * fit.se
    time = np.arange(len(panel.periods)) - panel.before
    return pd.DataFrame(
        {
            "time": time,
            "period": panel.periods,
            "effect": fit.effect,
            "lower": fit.effect - half,
            "upper": fit.effect + half,
        }
    )


def _pretrend(panel: Panel, effect: float) -> list[tuple[str, str, str]]:
    """Joint test of the differences before the start, and of a straight line through them."""
    from scipy import stats

    before = panel.outcome[:, : panel.before]
    moved = before[:, :-1] - before[:, [-1]]
    fit = _difference(panel, moved)
    k, n = moved.shape[1], len(before)
    # Hotelling's scaling of Wald's test: with few accounts chi² rejects far too often.
    dof = max(min(fit.dof, n - 2.0) - k + 1, 1.0)
    rank = int(np.linalg.matrix_rank(fit.covariance)) if np.isfinite(fit.covariance).all() else 0
    wald = float(fit.effect @ np.linalg.pinv(fit.covariance, hermitian=True) @ fit.effect)
    joint = float(stats.f.sf(wald / max(rank, 1) * dof / (dof + k - 1), max(rank, 1), dof)) if rank else 1.0
    t = np.arange(panel.before) - (panel.before - 1) / 2
    line = _difference(panel, before @ t / float(t @ t))
    slope, error = float(line.effect[0]), float(line.se[0])
    p_line = float(2 * stats.t.sf(abs(slope) / error, max(line.dof, 1.0))) if error > 0 else float(slope == 0)
    apart = (len(panel.periods) - 1) / 2 + 0.5  # from the middle of the periods before to that of those after
    # What is found four times in five at half the level, since there are two tests.
    sharp = max(line.dof, 1.0)
    missed = float(error * (stats.t.ppf(1 - PRETREND / 4, sharp) + stats.t.ppf(0.8, sharp)) * apart)
    p = min(1.0, 2 * min(joint, p_line))
    bias = slope * apart
    if p < PRETREND:
        return [
            (
                "trends before the start",
                "broken",
                f"Treated and controls were drifting apart before the start (p = {p:.2g}): going on like that alone"
                f" makes {bias:,.4g} of the difference.".replace("-", "\N{MINUS SIGN}"),
            )
        ]
    verdict = "mind" if missed > abs(effect) else "fine"
    return [
        (
            "trends before the start",
            verdict,
            f"No sign of different trends over {panel.before} periods before the start (p = {p:.2f}); a steady drift"
            f" worth {missed:,.4g} would have been missed one time in five.",
        )
    ]


def _placebo(panel: Panel) -> tuple[str, str, str]:
    """Pretend that the treatment began in the middle of the periods before it."""
    from scipy import stats

    fake = panel.earlier(max(1, panel.before // 2))
    fit = _effect(fake)
    found, se = float(fit.effect[0]), float(fit.se[0])
    p = float(2 * stats.t.sf(abs(found) / se, max(fit.dof, 1.0))) if se > 0 else float(found == 0)
    said = f"A start that never was shows {found:,.4g} (p = {p:.2g})".replace("-", "\N{MINUS SIGN}")
    if p < _PLACEBO:
        return ("placebo", "broken", f"{said}: the method finds effects where there are none.")
    return ("placebo", "fine", f"{said}, no effect, as it should.")


def _sensitivity(
    panel: Panel, effect: float, se: float, dof: float, confidence: float
) -> tuple[pd.DataFrame, float]:  # fmt: skip
    """Intervals if trends part by a multiple of the largest step before the start, and the one that brings 0 in."""
    from scipy import stats

    gap = panel.mean_treated - panel.controls.mean(axis=0)
    step = float(np.abs(np.diff(gap[: panel.before])).max())
    after = len(panel.periods) - panel.before
    # A step each period adds up; the reference is the mean of the periods before, half of them back.
    worst = step * ((after + 1) / 2 + (panel.before - 1) / 2)
    half = float(stats.t.ppf((1 + confidence) / 2, max(dof, 1.0))) * se
    rows = [{"bend": b, "lower": effect - half - b * worst, "upper": effect + half + b * worst} for b in _BENDS]
    spare = max(abs(effect) - half, 0.0)
    return pd.DataFrame(rows), spare / worst if worst > 0 else np.inf if spare > 0 else 0.0
