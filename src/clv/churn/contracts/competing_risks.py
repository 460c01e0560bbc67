"""How many have left by each age, and for which reason: Kaplan-Meier and Aalen-Johansen with late entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from clv.errors import DataError, SettingsError

Floats = NDArray[np.float64]


class CompetingRisks(NamedTuple):
    """Survival and cumulative incidence by time.

    Attributes
    ----------
    survival : pandas.DataFrame
        Index time (the times of losses, ascending): at_risk, lost, hazard (lost ÷ at risk), survival (Kaplan-Meier),
        variance (Greenwood), lower, upper.
    incidence : pandas.DataFrame
        One row a time and cause, times ascending, causes in their order: time, cause, at_risk, lost,
        incidence (probability of having left for this cause by then), variance, lower, upper.
    """

    survival: pd.DataFrame
    incidence: pd.DataFrame


def competing_risks(
    exit: ArrayLike,  # noqa: A002
    *,
    cause: ArrayLike,
    causes: Sequence[str],
    entry: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    confidence: float = 0.9,
) -> CompetingRisks:
    """Estimate survival and the cumulative incidence of each cause of loss.

    Parameters
    ----------
    exit : array-like, shape (n,)
        Time at which each was lost or last seen, above its entry.
    cause : array-like of str or None, shape (n,)
        Why it was lost; None (or NaN) where it was not (right-censored: those censored at a time at which others
        are lost count as at risk then).
    causes : sequence of str
        Every cause, in the order of the tables; one that nobody left for has incidence 0.
    entry : array-like, shape (n,), optional
        Time from which each was under observation (left truncation): it is at risk at t if entry < t ≤ exit.
        None: all from 0 on.
    weight : array-like, shape (n,), optional
        How many cases a row stands for (frequencies, whole or not).
    confidence : float
        Of the pointwise intervals.

    Returns
    -------
    CompetingRisks

    Raises
    ------
    clv.errors.DataError
        A time is no number, an exit is not after its entry, or a cause is not in `causes`.
    clv.errors.SettingsError
        The confidence is not between 0 and 1.

    Notes
    -----
    Assumes that late entry and censoring tell nothing of the loss to come, and that rows are independent.
    Kaplan & Meier (1958) with Greenwood's (1926) variance; Aalen & Johansen (1978). The variance of the incidence is
    the Greenwood-type one for competing risks (Andersen, Borgan, Gill & Keiding 1993, section IV.4; Allignol,
    Schumacher & Beyersmann 2010, A note on variance estimation of the Aalen-Johansen estimator, Biometrical Journal
    52), which treats the losses of one time as multinomial: right for ages counted in terms, where ties are the rule.
    Intervals are symmetric on the scale of ln(−ln(1 − F)), so that they stay within 0 and 1.
    """
    leaves, enters, count, code = _checked(exit, cause, causes, entry, weight)
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence!r}.", mend="Give a share between 0 and 1, such as 0.9.")
    lost = code >= 0
    time = np.unique(leaves[lost])
    place = np.searchsorted(time, leaves[lost])
    by_cause = np.zeros((len(time), len(causes)))
    np.add.at(by_cause, (place, code[lost]), count[lost])
    at_risk = _weight_below(enters, count, time, strict=True) - _weight_below(leaves, count, time, strict=True)
    events = by_cause.sum(axis=1)
    hazard = events / at_risk
    survival = np.cumprod(1.0 - hazard)
    before = np.concatenate([[1.0], survival[:-1]])
    incidence = np.minimum(np.cumsum(before[:, None] * by_cause / at_risk[:, None], axis=0), 1.0)
    left = at_risk - events
    # Where the last ones at risk leave, what comes after has weight 0: the term drops out.
    step = np.divide(events, at_risk * left, out=np.zeros(len(time)), where=left > 1e-9 * at_risk)
    greenwood = survival**2 * np.cumsum(step)
    z = float(ndtri((1 + confidence) / 2))
    low, high = _interval(1 - survival, greenwood, z)
    index = pd.Index(time, name="time")
    curve = pd.DataFrame(
        {
            "at_risk": at_risk,
            "lost": events,
            "hazard": hazard,
            "survival": survival,
            "variance": greenwood,
            "lower": 1 - high,
            "upper": 1 - low,
        },
        index=index,
    )
    parts = []
    for j, name in enumerate(causes):
        variance = _variance(incidence[:, j], by_cause[:, j], before, at_risk, step)
        lower, upper = _interval(incidence[:, j], variance, z)
        parts.append(
            pd.DataFrame(
                {
                    "time": time,
                    "cause": name,
                    "at_risk": at_risk,
                    "lost": by_cause[:, j],
                    "incidence": incidence[:, j],
                    "variance": variance,
                    "lower": lower,
                    "upper": upper,
                }
            )
        )
    table = pd.concat(parts).sort_values("time", kind="stable", ignore_index=True)
    return CompetingRisks(curve, table)


def _variance(incidence: Floats, lost: Floats, before: Floats, at_risk: Floats, step: Floats) -> Floats:
    """Variance of one cause's incidence F at each time t, from sums over the times s up to t.

    Σ (F(t) − F(s))² d/(Y(Y−d)) + Σ S(s−)² d_j(Y−d_j)/Y³ − 2 Σ (F(t) − F(s)) S(s−) d_j/Y², each square multiplied
    out, so that running sums are enough.
    """
    own = before**2 * lost * (at_risk - lost) / at_risk**3
    both = before * lost / at_risk**2
    total = incidence**2 * np.cumsum(step) - 2 * incidence * np.cumsum(incidence * step)
    total += np.cumsum(incidence**2 * step) + np.cumsum(own)
    total -= 2 * (incidence * np.cumsum(both) - np.cumsum(incidence * both))
    return np.maximum(total, 0.0)


def _interval(share: Floats, variance: Floats, z: float) -> tuple[Floats, Floats]:
    """Interval of a share on the complementary log-log scale; where the share is 0 or 1 it is only that."""
    inside = (share > 1e-12) & (share < 1 - 1e-12)  # sums of steps end at 1 up to rounding
    p = np.where(inside, share, 0.5)
    log_stay = np.log1p(-p)
    factor = np.exp(z * np.sqrt(variance) / ((1 - p) * -log_stay))
    lower, upper = -np.expm1(log_stay / factor), -np.expm1(log_stay * factor)
    return np.where(inside, lower, share), np.where(inside, upper, share)


def _weight_below(values: Floats, weight: Floats, at: Floats, *, strict: bool) -> Floats:
    """Sum the weights of values below each of `at`."""
    order = np.argsort(values, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    return total[np.searchsorted(values[order], at, side="left" if strict else "right")]


def _checked(
    exit: ArrayLike,  # noqa: A002
    cause: ArrayLike,
    causes: Sequence[str],
    entry: ArrayLike | None,
    weight: ArrayLike | None,
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    leaves = np.asarray(exit, dtype=float).reshape(-1)
    enters = np.zeros(len(leaves)) if entry is None else np.asarray(entry, dtype=float).reshape(-1)
    count = np.ones(len(leaves)) if weight is None else np.asarray(weight, dtype=float).reshape(-1)
    named = pd.Series(np.asarray(cause, dtype=object).reshape(-1), dtype=object)
    for name, values in (("entry", enters), ("weight", count), ("cause", named)):
        if len(values) != len(leaves):
            raise DataError(f"{len(values)} values for {len(leaves)} exits.", column=name, mend="Give one for each.")
    known = pd.Index(causes).get_indexer(pd.Index(named)).astype("int64")
    wrong = (
        (~np.isfinite(leaves), "exit", "the time is no number", "Leave the row out or give its time."),
        (~np.isfinite(enters), "entry", "the time is no number", "Give 0 for those seen from the start."),
        (~(leaves > enters), "exit", "it is not after the entry", "Leave out what was over before it was seen."),
        (~((count >= 0) & (count < np.inf)), "weight", "it is no weight", "Give 0 or more."),
        ((known < 0) & named.notna().to_numpy(), "cause", "the cause is not among the causes", "Add it, or rename it."),
    )
    for bad, column, what, mend in wrong:
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(f"{what} ({int(bad.sum())} in all).", column=column, row=row + 1, mend=mend)
    held = count > 0
    return leaves[held], enters[held], count[held], known[held]
