"""Is the experiment what it was meant to be? Sizes of the arms, missing outcomes, contamination, balance, dominance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from clv.abm.experiments.arms import Arms
from clv.abm.experiments.linear import Floats
from clv.abm.wording import accounts, listed
from clv.errors import SettingsError

#: below this p-value the shares of the arms are not what was drawn (Fabijan et al. 2019 use 5e-4 to 1e-2).
MISMATCH = 0.001
#: below this p-value outcomes are missing more often in one arm than in another.
ATTRITION = 0.05
#: a standardised difference before the start above which luck of the draw is mentioned (Austin 2009 uses .1; small
#: experiments exceed that by chance, hence the test beside it).
IMBALANCE = 0.1
#: share of the variance of the effect that one unit may have.
DOMINANCE = 0.25

COLUMNS = ["check", "verdict", "says"]


def check_table(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    """Make the table of checks; verdicts are "fine", "mind" and "broken"."""
    return pd.DataFrame(rows, columns=COLUMNS).astype(str)


def sample_ratio(arms: Arms, shares: Mapping[str, float] | None) -> tuple[str, str, str]:
    """Test the sizes of the arms against the shares that were drawn (chi², exact binomial for two arms)."""
    from scipy import stats

    name = "arm sizes"
    units = arms.arm.groupby(arms.cluster).first().value_counts()
    counts = {arm: int(units[arm]) for arm in (arms.control, *arms.treatments)}
    said = listed([f"{n:,} in {arm}" for arm, n in counts.items()])
    if shares is None:
        return (name, "fine", f"{said}; the shares that were meant are not given, so that they were not tested.")
    if set(shares) != set(counts):
        raise SettingsError(
            f"shares are given for {listed(sorted(shares))}, the arms are {listed(sorted(counts))}.",
            mend="Give the intended share of every arm.",
        )
    total, meant = sum(counts.values()), sum(shares.values())
    if min(shares.values()) <= 0:
        raise SettingsError("an intended share is not above 0.", mend="Give shares such as {'treatment': 2, ...}.")
    expected = np.array([shares[arm] / meant * total for arm in counts])
    if len(counts) == 2:
        p = float(stats.binomtest(counts[arms.control], total, shares[arms.control] / meant).pvalue)
    else:
        p = float(stats.chisquare(list(counts.values()), expected).pvalue)
    wanted = listed([f"{e:,.0f}" for e in expected])
    if p < MISMATCH:
        return (
            name,
            "broken",
            f"{said} where {wanted} were meant (p = {p:.2g}): accounts were lost or added after the draw, and those"
            " that remain no longer compare. Find out how before using any result.",
        )
    return (name, "fine", f"{said}, as meant ({wanted}; p = {p:.2f}).")


def attrition(arms: Arms, outcome: Floats) -> tuple[str, str, str]:
    """Test whether outcomes are missing more often in one arm (Fisher's exact test, chi² above 5,000 rows)."""
    from scipy import stats

    name = "missing outcomes"
    gone = np.isnan(outcome)
    if not gone.any():
        return (name, "fine", "Every account has its outcome.")
    table = pd.crosstab(arms.arm, gone).reindex(columns=[False, True], fill_value=0)
    cells = table.to_numpy()
    small = cells.shape[0] == 2 and cells.sum() <= 5000
    p = float(stats.fisher_exact(cells).pvalue if small else stats.chi2_contingency(cells).pvalue)
    rates = listed([f"{row[1] / row.sum():.1%} in {arm}" for arm, row in zip(table.index, cells, strict=True)])
    if p < ATTRITION:
        return (
            name,
            "broken",
            f"Outcomes are missing for {rates} (p = {p:.2g}): who stayed depends on the arm, so that those who stayed"
            " do not compare. The effect below is of the accounts that stayed.",
        )
    return (name, "mind", f"Outcomes are missing for {rates}; no sign that it depends on the arm (p = {p:.2f}).")


def variation(outcome: Floats, *, multiplicative: bool) -> list[tuple[str, str, str]]:
    """Look for an outcome that is the same for everybody; refuse factors where there is something below 0."""
    known = outcome[~np.isnan(outcome)]
    if multiplicative and (known < 0).any():
        raise SettingsError(
            "the outcome is negative for some accounts, where a multiplicative effect has no meaning.",
            mend="Use effect_model='additive'.",
        )
    if len(known) and np.ptp(known) == 0:
        return [("outcome", "broken", f"The outcome is {known[0]:g} for every account: there is nothing to compare.")]
    return []


def contamination(arms: Arms) -> list[tuple[str, str, str]]:
    """Look for controls that were treated and treated accounts that were not, by cost and hours."""
    found = []
    frame, is_control = arms.frame, (arms.arm == arms.control).to_numpy()
    spent = np.zeros(len(frame), dtype=bool)
    known = [name for name in ("cost", "hours") if name in frame.columns]
    for name in known:
        spent |= frame[name].fillna(0).to_numpy(dtype=float) > 0
    if known:
        wrong = int((spent & is_control).sum())
        if wrong:
            found.append(
                (
                    "treated controls",
                    "mind",
                    f"{accounts(wrong)} of {int(is_control.sum()):,} in the control arm had money or hours spent on"
                    " them. They stay controls, as drawn: the effect below is that of being chosen, and smaller than"
                    " that of being treated.",
                )
            )
        idle = int((~spent & ~is_control).sum())
        if idle:
            found.append(
                (
                    "untreated treatments",
                    "mind",
                    f"{accounts(idle)} of {int((~is_control).sum()):,} in treatment had nothing spent on them; they"
                    " count as treated, as drawn.",
                )
            )
        if not found:
            found.append(("treated as drawn", "fine", "Money was spent on the treated and on nobody else."))
    return found


def balance(arms: Arms, covariates: Floats | None, names: list[str]) -> tuple[str, str, str] | None:
    """Compare the arms before the start: largest standardised difference, joint test by Hotelling's T²."""
    from scipy import stats

    if covariates is None or len(names) != covariates.shape[1]:
        return None
    worst, which, smallest = 0.0, "", 1.0
    for arm in arms.treatments:
        a, b = covariates[(arms.arm == arm).to_numpy()], covariates[(arms.arm == arms.control).to_numpy()]
        sd = np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2)
        gap = np.divide(a.mean(axis=0) - b.mean(axis=0), sd, out=np.zeros(len(sd)), where=sd > 0)
        j = int(np.argmax(np.abs(gap)))
        if abs(gap[j]) >= abs(worst):
            worst, which = float(gap[j]), names[j]
        n, k = len(a) + len(b), covariates.shape[1]
        if n - k - 1 > 0:
            pooled = ((len(a) - 1) * np.cov(a.T) + (len(b) - 1) * np.cov(b.T)) / (n - 2)
            d = a.mean(axis=0) - b.mean(axis=0)
            t2 = len(a) * len(b) / n * float(d @ np.linalg.pinv(np.atleast_2d(pooled)) @ d)
            smallest = min(smallest, float(stats.f.sf(t2 * (n - k - 1) / ((n - 2) * k), k, n - k - 1)))
    said = f"Largest difference before the start: {worst:+.2f} SD in {which} (all together p = {smallest:.2f})"
    if smallest < 0.01:
        return (
            "balance before the start",
            "mind",
            f"{said}: unlikely by the luck of the draw. Check that the assignment was random.",
        )
    more = ", taken off by the adjustment" if abs(worst) > IMBALANCE else ""
    return ("balance before the start", "fine", f"{said}{more}.")


def dominance(influence: Floats, labels: np.ndarray) -> tuple[str, str, str]:
    """See whether one account carries the result: its share of the variance of the effect."""
    share = influence**2 / max(float((influence**2).sum()), 1e-300)
    j = int(np.argmax(share))
    if share[j] > DOMINANCE:
        return (
            "one account decides",
            "mind",
            f"{labels[j]} alone makes {share[j]:.0%} of the uncertainty: with outcomes so uneven the interval is as"
            " good as that account's luck.",
        )
    return ("one account decides", "fine", f"No account makes more than {max(share[j], 0.001):.1%} of the uncertainty.")
