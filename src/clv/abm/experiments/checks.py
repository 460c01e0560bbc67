"""Is the experiment what it was meant to be? Sizes of the arms, missing outcomes, contamination, balance, dominance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.experiments.arms import Arms, shared_blocks
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.trial import estimate
from clv.abm.wording import accounts, listed
from clv.errors import SettingsError

if TYPE_CHECKING:
    from clv.abm.experiments.registration import Registration

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


def attrition(arms: Arms, outcome: Floats, *, exploratory: str = "") -> tuple[str, str, str]:
    """Test whether outcomes are missing more often in one arm.

    Fisher's exact test (chi² with several arms or above 5,000 rows); where blocks or groups were drawn, Mantel and
    Haenszel's within the blocks and over the groups, since outcomes of a group are often missing together. The name of
    an exploratory outcome makes of what would break the experiment a thing to mind.
    """
    name = f"missing {exploratory.replace('_', ' ')}" if exploratory else "missing outcomes"
    gone = np.isnan(outcome)
    if not gone.any():
        return (name, "fine", "Every account has its outcome.")
    table = pd.crosstab(arms.arm, gone).reindex(columns=[False, True], fill_value=0)
    cells = table.to_numpy()
    p = _gone_within(arms, gone) if arms.blocked or arms.clustered else _independent(cells)
    rates = listed([f"{row[1] / row.sum():.1%} in {arm}" for arm, row in zip(table.index, cells, strict=True)])
    said = f"{exploratory.replace('_', ' ').capitalize()} is missing" if exploratory else "Outcomes are missing"
    if p < ATTRITION:
        return (
            name,
            "mind" if exploratory else "broken",
            f"{said} for {rates} (p = {p:.2g}): who has one depends on the arm, so that those who do"
            f" not compare. The effect{' on it' if exploratory else ' below'} is of the accounts that have one.",
        )
    return (name, "mind", f"{said} for {rates}; no sign that it depends on the arm (p = {p:.2f}).")


def _independent(cells: np.ndarray) -> float:
    """p-value of a table of arms × (known, missing) whose rows were drawn each by itself."""
    from scipy import stats

    small = cells.shape[0] == 2 and cells.sum() <= 5000
    return float(stats.fisher_exact(cells).pvalue if small else stats.chi2_contingency(cells).pvalue)


def _gone_within(arms: Arms, gone: NDArray[np.bool_]) -> float:
    """Smallest p-value over the arms, times their number, that outcomes are missing as often as in the control.

    Mantel & Haenszel (1959) with their continuity correction; groups that were drawn together count as one draw.
    """
    from scipy import stats

    found = []
    for treatment in arms.treatments:
        rows = shared_blocks(arms, arms.rows(treatment))
        comparison = arms.comparison(treatment, rows, None, "none")
        block, units = comparison.block, comparison.units
        missing = gone[rows][comparison.order].astype(float)
        more = missing - (np.bincount(block, weights=missing) / np.bincount(block))[block]
        # Variance over all assignments within the blocks, of which each is as likely.
        each, n = block[units], np.bincount(block[units])
        treated = np.bincount(each, weights=comparison.treated[units])
        squares = np.bincount(each, weights=np.add.reduceat(more, units) ** 2)
        variance = float((treated * (n - treated) / (n * (n - 1)) * squares).sum())
        excess = max(abs(float(more[comparison.treated].sum())) - (0.0 if comparison.clustered else 0.5), 0.0)
        found.append(2 * float(stats.norm.sf(excess / np.sqrt(variance))) if variance > 0 else 1.0)
    return min(1.0, min(found) * len(found))


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


def left_out(count: int, total: int) -> list[tuple[str, str, str]]:
    """Say how many accounts are in blocks that hold one arm only."""
    if not count:
        return []
    return [
        (
            "blocks of one arm",
            "mind",
            f"{accounts(count)} of {total:,} {'is' if count == 1 else 'are'} left out, in blocks in which the other arm"
            " has nobody with a known outcome: the effect is that on the others.",
        )
    ]


def unmeasured(outcome: str, too_few: list[str]) -> list[tuple[str, str, str]]:
    """Name groups with too few accounts for an effect of their own."""
    if not too_few:
        return []
    name = outcome.replace("_", " ")
    return [(f"too few for {name}", "mind", f"Nothing can be said alone on {name} where {'; '.join(too_few)}.")]


def undeclared_groups(arms: Arms) -> list[tuple[str, str, str]]:
    """Look for a column ``cluster``, as `clv.design_experiment` writes it, that the analysis was not told of."""
    if arms.clustered or "cluster" not in arms.frame.columns:
        return []
    drawn = arms.frame["cluster"].dropna().astype(str)
    groups, split = drawn.nunique(), arms.arm[drawn.index].groupby(drawn).nunique()
    if groups == len(drawn) or (split > 1).any():
        return []
    return [
        (
            "drawn in groups",
            "broken",
            f"By the column cluster {accounts(len(drawn))} were drawn as {groups:,} groups, but here they count as if"
            " each had been drawn alone: intervals are too narrow. Give cluster='cluster'.",
        )
    ]


def planned_window(plan: Registration, about: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Compare the window and lag of the outcome with the registered ones, where both are known."""
    window, lag = float(about.get("window", math.nan)), float(about.get("lag", math.nan))
    if not math.isfinite(window) or not math.isfinite(plan.window):
        return []
    if abs(window - plan.window) <= 1 and abs(lag - plan.lag) <= 1:
        return [("window", "fine", f"Outcomes are counted over {window:.0f} days, as registered.")]
    after = (f" after {days:.0f}" if days else "" for days in (lag, plan.lag))
    return [
        (
            "window",
            "mind",
            f"Outcomes are counted over {window:.0f} days{next(after)}, registered were {plan.window:.0f}{next(after)}:"
            " this is another look than the one that was planned. Looks on the way need monitor_experiment.",
        )
    ]


def assignment(plan: Registration, found: Mapping[str, str]) -> tuple[str, str, str]:
    """Compare the arms with the registered ones, and test whether accounts are gone more often from one of them."""
    differs = plan.compare(found)
    if differs is None:
        return ("assignment", "fine", "Every account is in the arm that was registered.")
    drawn = pd.Series(plan.assignment)
    gone = ~drawn.index.isin(list(found))
    moved = any(found.get(account, arm) != arm for account, arm in plan.assignment.items())
    new = any(account not in plan.assignment for account in found)
    said = f"Against the registered assignment {differs}."
    if gone.any():
        cells = pd.crosstab(drawn, gone).reindex(columns=[False, True], fill_value=0)
        p = _independent(cells.to_numpy())
        if p < ATTRITION:
            rates = listed([f"{int(row[True]):,} of {int(row.sum()):,} in {arm}" for arm, row in cells.iterrows()])
            said += f" Who is gone depends on the arm ({rates}; p = {p:.2g}): those who stayed do not compare."
            moved = True
    return ("assignment", "broken" if moved or new else "mind", said)


def balance(arms: Arms, covariates: pd.DataFrame, known: NDArray[np.bool_]) -> tuple[str, str, str] | None:
    """Compare the arms before the start, within blocks: largest standardised difference, joint test (Hotelling's T²).

    Parameters
    ----------
    covariates : pandas.DataFrame
        One row an account, as in `arms`.
    known : numpy.ndarray of bool
        Accounts whose outcome is known.
    """
    from scipy import stats

    columns = covariates.loc[:, (covariates[known].max() > covariates[known].min()).to_numpy()]
    if columns.empty:
        return None
    worst, which, smallest = 0.0, "", 1.0
    for treatment in arms.treatments:
        rows = shared_blocks(arms, arms.rows(treatment, known))
        comparison = arms.comparison(treatment, rows, None, "none")
        values = columns.to_numpy(dtype=float)[rows][comparison.order]
        fit = estimate(comparison, values)
        sd = np.sqrt((values[comparison.treated].var(axis=0) + values[~comparison.treated].var(axis=0)) / 2)
        gap = np.divide(fit.effect, sd, out=np.zeros(len(sd)), where=sd > 0)
        j = int(np.argmax(np.abs(gap)))
        if abs(gap[j]) >= abs(worst):
            worst, which = float(gap[j]), str(columns.columns[j])
        k, dof = values.shape[1], fit.dof
        if dof - k + 1 > 0:
            t2 = float(fit.effect @ np.linalg.pinv(fit.covariance, hermitian=True) @ fit.effect)
            smallest = min(smallest, float(stats.f.sf(t2 * (dof - k + 1) / (dof * k), k, dof - k + 1)))
    # The smallest of several arms' is counted as such.
    smallest = min(1.0, smallest * len(arms.treatments))
    said = f"Largest difference before the start: {worst:+.2f} SD in {which} (all together p = {smallest:.2f})"
    if smallest < 0.01:
        return (
            "balance before the start",
            "mind",
            f"{said}: unlikely by the luck of the draw. Check that the assignment was random.",
        )
    more = ", taken off by the adjustment" if abs(worst) > IMBALANCE else ""
    return ("balance before the start", "fine", f"{said}{more}.")


def dominance(contrasts: list[pd.Series]) -> tuple[str, str, str]:
    """See whether one account carries a result: its share of the variance of an effect, the largest of all effects.

    Parameters
    ----------
    contrasts : list of pandas.Series
        What each account, group or small block adds to the error of an effect; index: its name.
    """
    most, label = 0.0, ""
    for influence in contrasts:
        share = influence.to_numpy() ** 2 / max(float((influence.to_numpy() ** 2).sum()), 1e-300)
        j = int(np.argmax(share))
        if share[j] > most:
            most, label = float(share[j]), str(influence.index[j])
    if most > DOMINANCE:
        return (
            "one account decides",
            "mind",
            f"{label} alone makes {most:.0%} of the uncertainty: with outcomes so uneven the interval is as"
            " good as that account's luck.",
        )
    return ("one account decides", "fine", f"No account makes more than {max(most, 0.001):.1%} of the uncertainty.")
