"""Matching: each treated account beside the untreated one most like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from clv.abm.experiments.arms import check_arms, covariate_matrix, need, numbers
from clv.abm.experiments.checks import attrition, check_table, variation
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.observational import ObservationalEffect, observational_result
from clv.abm.experiments.sensitivity import rosenbaum_bounds, tolerated_gamma
from clv.errors import DataError, SettingsError

_FEWEST = 5
_GAMMAS = (1.0, 1.25, 1.5, 2.0, 3.0)


def matched_comparison(
    data: pd.DataFrame,
    *,
    covariates: Sequence[str],
    outcome: str = "margin",
    placebo: str | None = None,
    exact: Sequence[str] = (),
    arm: str = "arm",
    control: str = "control",
    caliper: float = 1.0,
    confidence: float = 0.95,
    currency: str = "",
) -> ObservationalEffect:
    """Compare treated accounts with their nearest controls, each used once.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account: arm, outcome, what was known when the accounts were chosen.
    covariates : sequence of str
        Numbers in which pairs are alike, by Mahalanobis distance.
    exact : sequence of str
        Columns in which pairs are equal.
    placebo : str, optional
        An outcome from before the choice, not among the covariates: its difference must be 0.
    caliper : float
        Largest distance of a pair, in standard deviations a covariate; treated accounts beyond are left out, and said.

    Returns
    -------
    ObservationalEffect
        ``sensitivity``: gamma, p_value: Rosenbaum's bounds for the pairs' differences, adjusted as the effect is.

    Notes
    -----
    Pairs have the least total distance (Hungarian algorithm); what difference is left is taken off by regression within
    pairs (Abadie & Imbens 2011; Rubin 1979). The standard error is that of the pairs' differences. Accounts whose
    outcome is not known are left out, which a check says.
    """
    arms = check_arms(data, arm=arm, control=control)
    if len(arms.treatments) != 1 or caliper <= 0:
        raise SettingsError("arms or caliper are impossible.", mend="Give two arms and a caliper above 0.")
    y = numbers(arms.frame, outcome)
    x, notes = covariate_matrix(arms.frame, covariates)
    if x is None:
        raise SettingsError("no covariates are given.", mend="Name what the choice went by.")
    known = ~np.isnan(y)
    z = (arms.arm == arms.treatments[0]).to_numpy()
    for name in exact:
        need(arms.frame, name)
    labels = (
        arms.frame[list(exact)].astype("str").agg("\x1f".join, axis=1) if exact else pd.Series("", arms.frame.index)
    )
    pairs = _pairs(x, z, known, labels.to_numpy(dtype=str), caliper)
    wanted = int((z & known).sum())
    if len(pairs) < _FEWEST:
        raise DataError(
            f"{len(pairs)} of {wanted} treated accounts have a control like them.",
            table="experiment", mend="Widen the caliper, match on less, or say that there is no comparison.",
        )  # fmt: skip
    gap, apart = y[pairs[:, 0]] - y[pairs[:, 1]], x[pairs[:, 0]] - x[pairs[:, 1]]
    effect, se, alike = _adjusted(gap, apart)
    rows = [*variation(y, multiplicative=False), _kept(len(pairs), wanted), _left(x, z, known, apart)]
    rows += [("filled", "mind", f"{note}.") for note in notes]
    rows += [attrition(arms, y)] if not known.all() else []
    if placebo is not None:
        before = numbers(arms.frame, placebo)
        rows.append(_placebo(before[pairs[:, 0]] - before[pairs[:, 1]], apart))
    bounds = rosenbaum_bounds(alike, np.array(_GAMMAS), sign=effect)
    gamma = tolerated_gamma(alike, confidence=confidence, sign=effect)
    return observational_result(
        method="matching", outcome=outcome, treated=len(pairs), controls=len(pairs), effect=effect, se=se,
        assumption=f"of two accounts alike in {', '.join([*exact, *covariates])} chance decided which was treated",
        dof=float(len(pairs) - 1), checks=check_table(rows),
        sensitivity=pd.DataFrame({"gamma": _GAMMAS, "p_value": bounds}), path=pd.DataFrame(), confidence=confidence,
        currency=currency,
        bends=_bends(gamma),
    )  # fmt: skip


def _pairs(x: Floats, z: np.ndarray, known: np.ndarray, label: np.ndarray, caliper: float) -> np.ndarray:
    """Pairs (treated, control) of least total distance, within the caliper."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    spread = np.linalg.pinv(np.atleast_2d(np.cov(x.T)), hermitian=True)
    limit = caliper * np.sqrt(x.shape[1])
    out = []
    for value in np.unique(label[z & known]):
        mine = known & (label == value)
        treated, pool = np.flatnonzero(mine & z), np.flatnonzero(mine & ~z)
        if not len(pool):
            continue
        distance = cdist(x[treated], x[pool], "mahalanobis", VI=spread)
        # Beyond the caliper a pair costs more than any number of good ones, so that it is taken last and then dropped.
        cost = np.where(distance <= limit, distance, 1e6 + distance)
        row, column = linear_sum_assignment(cost)
        good = distance[row, column] <= limit
        out.append(np.column_stack([treated[row[good]], pool[column[good]]]))
    return np.concatenate(out) if out else np.empty((0, 2), dtype=np.int64)


def _adjusted(gap: Floats, apart: Floats) -> tuple[float, float, Floats]:
    """Mean difference of pairs that are exactly alike, by regression on what is left between them; each pair's own."""
    from clv.abm.experiments.linear import fit_cr2

    use = apart[:, np.abs(apart).max(axis=0) > 0]
    design = np.column_stack([np.ones(len(gap)), use]) if len(gap) > 5 * (use.shape[1] + 1) else np.ones((len(gap), 1))
    fit = fit_cr2(design, gap[:, None], column=0)
    effect = float(fit.effect[0])
    slopes = np.linalg.lstsq(design, gap, rcond=None)[0][1:]
    return effect, float(fit.se[0]), gap - design[:, 1:] @ slopes


def _bends(gamma: float) -> str:
    if not gamma >= 1:
        return "Even had chance alone chosen within pairs, their differences would not settle the sign (Rosenbaum)."
    if gamma == 1:
        return "The sign stands only if nothing unseen made one account of a pair likelier to be chosen (Rosenbaum)."
    return (
        f"The sign stands if something unseen made one account of a pair up to {gamma:g} times as likely to be chosen"
        " as the other (Rosenbaum)."
    )


def _kept(pairs: int, wanted: int) -> tuple[str, str, str]:
    share = pairs / wanted
    said = f"{pairs:,} of {wanted:,} treated accounts have a control like them"
    if share < 0.5:
        return ("pairs found", "broken", f"{said}: the result is of a minority.")
    return ("pairs found", "fine" if share > 0.9 else "mind", f"{said}; the result is of these.")


def _left(x: Floats, z: np.ndarray, known: np.ndarray, apart: Floats) -> tuple[str, str, str]:
    sd = x[known].std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    before = float((np.abs(x[z & known].mean(axis=0) - x[~z & known].mean(axis=0)) / sd).max())
    after = float((np.abs(apart.mean(axis=0)) / sd).max())
    said = f"The largest difference between treated and controls was {before:.2f} SD; between pairs it is {after:.2f}"
    return ("balance", "fine" if after <= 0.1 else "mind" if after <= 0.3 else "broken", f"{said}.")


def _placebo(gap: Floats, apart: Floats) -> tuple[str, str, str]:
    """Difference before the choice of the pairs of which it is known."""
    from scipy import stats

    both = ~np.isnan(gap)
    if both.sum() < _FEWEST:
        says = f"Only for {int(both.sum())} pairs is the outcome before the choice known; it was not tested."
        return ("placebo", "mind", says)
    found, error, _ = _adjusted(gap[both], apart[both])
    p = float(2 * stats.norm.sf(abs(found) / error)) if error > 0 else float(found == 0)
    said = f"Before the choice the pairs differ by {found:,.4g} (p = {p:.2g})".replace("-", "\N{MINUS SIGN}")
    if not p >= 0.05:
        return ("placebo", "broken", f"{said}: they were not alike.")
    return ("placebo", "fine", f"{said}, as they should.")
