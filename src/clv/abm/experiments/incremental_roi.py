"""What the money returned: incremental margin less cost over cost, against controls, summed before it is divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.experiments import checks
from clv.abm.experiments.arms import (
    Arms,
    check_arms,
    chosen_adjustment,
    codes,
    covariate_matrix,
    filled,
    numbers,
    shared_blocks,
    too_few,
)
from clv.abm.experiments.fieller import fieller
from clv.abm.experiments.linear import Fit, Floats
from clv.abm.experiments.outcomes import notes_of
from clv.abm.experiments.resample import resampled_counts, resampled_effects
from clv.abm.experiments.roi_text import roi_text
from clv.abm.experiments.trial import Comparison, estimate
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class IncrementalROI(Result):
    """Return of a programme, measured.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a group and arm, and one row "all" over several: group, arm, accounts, controls, margin (Σ incremental),
        margin_se, cost (Σ incremental; of "all" with what is shared), profit (margin − cost), roi (empty where no more
        was spent on the treated than on controls), lower, upper, interval (bounded, outside or unbounded),
        lower_bootstrap, upper_bootstrap (empty where the cost of a sample is not above 0), p_positive (share of
        bootstrap samples in which margin exceeds cost).
    checks : pandas.DataFrame
        check, verdict, says.
    notes : list of str
    confidence : float
    currency : str
    shared : float
        Money on no account, in the cost of "all".
    window : float or None
        Days over which the margin was counted, where that is known (`clv.experiment_outcomes`); it is not discounted.
    randomised : bool
    """

    checks: pd.DataFrame
    notes: list[str]
    confidence: float
    currency: str
    shared: float = 0.0
    window: float | None = None
    randomised: bool = True

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the return of each group with its interval."""
        from clv.abm.experiments.pictures import effects

        bounded = self.table["interval"] == "bounded"
        shown = self.table.assign(
            effect=100 * self.table["roi"],
            lower=np.where(bounded, 100 * self.table["lower"], -np.inf),
            upper=np.where(bounded, 100 * self.table["upper"], np.inf),
            label=[
                " · ".join(p for p in (g, a) if p) for g, a in zip(self.table["group"], self.table["arm"], strict=True)
            ],
        )
        ax = effects(shown, f"Return on the programme's cost, {self.confidence:.0%} interval", "%", ax)
        ax.set_xlabel("incremental margin less cost, % of cost")
        return ax


def incremental_roi(
    data: pd.DataFrame,
    *,
    outcome: str = "margin",
    cost: str = "cost",
    arm: str = "arm",
    control: str = "control",
    by: str | None = None,
    block: str | Sequence[str] | None = None,
    cluster: str | None = None,
    covariates: Sequence[str] | None = None,
    adjustment: Literal["auto", "none", "cuped", "lin"] = "auto",
    shared: float = 0.0,
    confidence: float = 0.95,
    bootstrap: int = 999,
    seed: int = 0,
    currency: str = "",
) -> IncrementalROI:
    """Measure the return on a programme's cost against its controls.

    ``ROI = (Σ incremental margin − Σ incremental cost) / Σ incremental cost``, sums over the treated accounts: a block
    counts with its treated accounts, whatever share of it they are.

    Parameters
    ----------
    data : pandas.DataFrame
        As for `clv.analyse_experiment`, with the cost of every treated account; an empty cost of a control is 0.
    outcome : str
        Contribution margin over the window; cost to acquire and of the programme are not in it (rules B1, B2).
    by : str, optional
        Column of groups (tiers); their sums are added for the row "all".
    shared : float
        Money of the programme that is on none of its accounts, 0 or more: it counts in the row "all" only.
    bootstrap : int
        Samples of what was randomised, within blocks and arms.

    Returns
    -------
    IncrementalROI

    Raises
    ------
    DataError
        A treated account has no cost, nothing was spent, or there is no control.

    Notes
    -----
    The interval is Fieller's, from the joint variance of margin and cost; it is never a mean of the accounts' ratios,
    which does not exist where a cost is 0 and is dominated by the cheapest accounts. Where the cost cannot be told
    from 0 it is unbounded, and said to be. Beside it stands the expanded percentile interval of a bootstrap
    (Hesterberg 2015, *The American Statistician* 69).
    """
    if not 0 < confidence < 1 or bootstrap < 99:
        raise SettingsError("confidence or bootstrap are out of range.", mend="Use .95 and 999.")
    if not (np.isfinite(shared) and shared >= 0):
        raise SettingsError(f"shared = {shared!r}.", mend="Give an amount of 0 or more.")
    arms = check_arms(data, arm=arm, control=control, block=block, cluster=cluster)
    spent = _costs(arms, cost)
    margins = numbers(arms.frame, outcome)
    said: Any = data.attrs.get("clv")
    about = said if isinstance(said, dict) else {}
    window = about.get("window")
    notes = notes_of(data)
    if window is not None and _runs_on(arms.frame, float(window) + float(about.get("lag", 0.0))):
        notes.append("the programme runs on after the days counted: if its cost is that of the whole term, the return"
                     " is understated")  # fmt: skip
    names = [f"{outcome}_pre"] if covariates is None and f"{outcome}_pre" in arms.frame else list(covariates or ())
    x, gaps = covariate_matrix(arms.frame, names)
    values = np.column_stack([margins, spent])
    groups = pd.Series("all", index=arms.frame.index)
    if by is not None:
        filled(arms.frame, by)
        groups = arms.frame[by].astype(str)
    within = arms if by is None else replace(arms, block=groups + "\x1f" + arms.block, blocked=True)
    found = [checks.attrition(within, margins), *checks.variation(margins, multiplicative=False)]
    found += checks.contamination(arms)
    rng = np.random.default_rng(seed)
    work = _Work(arms, values, x, adjustment, bootstrap, rng)
    parts, left = [], []
    for group in sorted(groups.unique()):
        inside = (groups == group).to_numpy()
        if by is not None:
            few = [too_few(arms, arms.rows(t, inside & ~np.isnan(margins)), t, str(group)) for t in arms.treatments]
            if all(few):
                left.append(few[0])
                continue
        parts += work.group(str(group), inside & ~np.isnan(margins))
    if not parts:
        raise DataError(f"nothing can be compared: {'; '.join(left)}.", table="experiment", column=by,
                        mend="Two treated and two controls are the least.")  # fmt: skip
    found += checks.left_out(work.left_out, len(arms.frame))
    if left:
        found += checks.unmeasured("return", left)
        notes.append("accounts of such groups are in no sum")
    rows = [_row(p.group, p.arm, [p], confidence) for p in parts]
    if len(parts) > 1 or shared > 0:
        whole = _row("all", "" if len(arms.treatments) > 1 else arms.treatments[0], parts, confidence, shared)
        rows = [whole] if by is None and len(parts) == 1 else [*rows, whole]
    table = checks.check_table(found)
    draft = IncrementalROI(pd.DataFrame(rows), "", table, notes + gaps, confidence, currency, shared, window)
    return IncrementalROI(**{**draft.__dict__, "text": roi_text(draft)})


@dataclass(frozen=True)
class _Part:
    """Totals of one group and arm: incremental margin and cost, what each unit adds to their error, and samples."""

    group: str
    arm: str
    treated: int
    controls: int
    totals: Floats
    influence: pd.DataFrame
    dof: float
    smallest: int
    samples: Floats

    @property
    def variance(self) -> float:
        """Variance of the total margin."""
        return float((self.influence[0] ** 2).sum())


@dataclass
class _Work:
    """Totals of groups, one after the other."""

    arms: Arms
    values: Floats
    covariates: Floats | None
    adjustment: str
    bootstrap: int
    rng: np.random.Generator
    #: rows in blocks of one arm, of the groups measured so far.
    left_out: int = 0

    def group(self, group: str, inside: np.ndarray) -> list[_Part]:
        """Totals of each arm of a group; arms that share controls are drawn together."""
        arms, chosen, kept = self.arms, {}, {}
        every: set[int] = set()
        for treatment in arms.treatments:
            rows = arms.rows(treatment, inside)
            if treatment not in set(arms.arm.iloc[rows]):
                continue
            every.update(rows)
            rows = shared_blocks(arms, rows)
            units = arms.cluster.iloc[rows].groupby(arms.arm.iloc[rows]).nunique()
            if len(units) < 2 or int(units.min()) < 2:
                raise DataError(
                    f"{group!r} has too few accounts in an arm to measure a return.",
                    table="experiment", column=str(arms.arm.name), mend="Two treated and two controls are the least.",
                )  # fmt: skip
            kept[treatment] = rows
            chosen[treatment] = chosen_adjustment(self.adjustment, self.covariates, int(units.min()))
        self.left_out += len(every.difference(*kept.values()))
        drawn = {t: arms.comparison(t, rows, self.covariates, chosen[t]) for t, rows in kept.items()}
        # Small blocks are units as a whole, for all arms if they are so for one: inside of them errors cancel.
        block = arms.block.to_numpy(dtype=str)
        whole = np.zeros(len(block), dtype=bool)
        for t, comparison in drawn.items():
            inside_small = comparison.small[comparison.block]
            whole |= np.isin(block, np.unique(block[kept[t][comparison.order][inside_small]]))
        key = np.where(whole, np.char.add("\x1f", block), arms.cluster.to_numpy(dtype=str))
        fits = {}
        for t, comparison in drawn.items():
            small = whole[kept[t][comparison.order][comparison.blocks]]
            if small.all() and len(small) == 1:
                raise DataError(
                    f"{group!r}: only one block holds both {t!r} and {arms.control!r}, and another arm has a single"
                    " account there.",
                    table="experiment", column=str(arms.arm.name), mend="Measure the arms one at a time.",
                )  # fmt: skip
            fits[t] = self._fit(replace(comparison, small=small, of_treated=True), kept[t])
        samples = self._samples(fits, kept, key, whole)
        parts = []
        for k, (treatment, (comparison, totals, margin, cost)) in enumerate(fits.items()):
            n = int(comparison.treated.sum())
            influence = pd.DataFrame(n * np.column_stack([margin.influence[:, 0], cost.influence[:, 0]]))
            influence = influence.groupby(key[kept[treatment]][comparison.order][comparison.firsts]).sum()
            parts.append(
                _Part(
                    group,
                    treatment,
                    n,
                    len(comparison.treated) - n,
                    n * totals,
                    influence,
                    margin.dof,
                    comparison.fewest_units,
                    n * samples[:, k],
                )
            )
        return parts

    def _fit(self, comparison: Comparison, rows: np.ndarray) -> tuple[Comparison, Floats, Fit, Fit]:
        values = self.values[rows][comparison.order]
        margin, cost = estimate(comparison, values[:, :1]), estimate(_plain(comparison), values[:, 1:])
        return comparison, np.array([margin.effect[0], cost.effect[0]]), margin, cost

    def _samples(
        self, fits: dict[str, tuple[Comparison, Floats, Fit, Fit]], kept: dict[str, np.ndarray], key: np.ndarray,
        whole: NDArray[np.bool_],
    ) -> Floats:  # fmt: skip
        """Mean incremental margin and cost of each arm, with units (blocks, where small) drawn with replacement."""
        out = np.empty((self.bootstrap, len(fits), 2))
        if not kept:
            return out
        rows = np.unique(np.concatenate(list(kept.values())))
        _, firsts, unit = np.unique(key[rows], return_index=True, return_inverse=True)
        arm, block = codes(self.arms.arm)[rows[firsts]], codes(self.arms.block)[rows[firsts]]
        strata = np.where(whole[rows[firsts]], -1, arm * (int(block.max()) + 1) + block)
        counts = resampled_counts(strata, samples=self.bootstrap, rng=self.rng)
        for k, (treatment, (comparison, *_)) in enumerate(fits.items()):
            own = kept[treatment][comparison.order]
            drawn = counts[:, unit[np.searchsorted(rows, own)]]
            out[:, k, :1] = resampled_effects(comparison, self.values[own, :1], drawn)
            out[:, k, 1:] = resampled_effects(_plain(comparison), self.values[own, 1:], drawn)
        return out


def _plain(comparison: Comparison) -> Comparison:
    """Leave the covariates out: what was spent does not depend on what they say of the margin."""
    return replace(comparison, covariates=np.empty((len(comparison.treated), 0)))


def _row(group: str, arm: str, parts: list[_Part], confidence: float, shared: float = 0.0) -> dict[str, object]:
    """Sum the parts, then divide."""
    from scipy import stats

    margin, cost = np.sum([p.totals for p in parts], axis=0) + np.array([0.0, shared])
    # A control that serves two arms errs in both at once: what it adds is summed before it is squared.
    each = pd.concat([p.influence for p in parts])
    influence = each.groupby(each.index).sum().to_numpy()
    covariance = influence.T @ influence
    variances = np.array([p.variance for p in parts])
    # Satterthwaite's degrees of freedom of a sum.
    spread = float(sum(v**2 / max(p.dof, 1e-9) for v, p in zip(variances, parts, strict=True)))
    dof = float(variances.sum() ** 2 / spread) if spread > 0 else 1.0
    low, high, kind = fieller(margin, cost, covariance, float(stats.t.ppf((1 + confidence) / 2, max(dof, 1.0))))
    if cost <= 0:  # a ratio, but no return
        low, high, kind = -np.inf, np.inf, "unbounded"
    samples = np.sum([p.samples for p in parts], axis=0) + np.array([0.0, shared])
    tail = _expanded(confidence, [p.smallest for p in parts], variances)
    known = bool((samples[:, 1] > 0).all())
    ends = np.quantile(samples[:, 0] / samples[:, 1], [tail, 1 - tail]) if known else (np.nan, np.nan)
    return {
        "group": group, "arm": arm, "accounts": sum(p.treated for p in parts),
        "controls": sum(p.controls for p in parts), "margin": float(margin),
        "margin_se": float(np.sqrt(covariance[0, 0])), "cost": float(cost), "profit": float(margin - cost),
        "roi": float(margin / cost - 1) if cost > 0 else np.nan, "lower": low - 1, "upper": high - 1, "interval": kind,
        "lower_bootstrap": float(ends[0] - 1), "upper_bootstrap": float(ends[1] - 1),
        "p_positive": float(np.mean(samples[:, 0] > samples[:, 1])),
    }  # fmt: skip


def _expanded(confidence: float, smallest: list[int], variances: Floats) -> float:
    """Widen the tails of a percentile interval as a t interval is wider than a normal one (Hesterberg 2015, §4.2).

    Bootstrap samples of n units vary by (n − 1) / n too little, and take the spread seen as the true one; plain
    percentiles of 13 accounts an arm hold 91 % where they say 95 %. Several parts count as their sum does
    (Satterthwaite).
    """
    from scipy import stats

    free = np.array(smallest, dtype=float) - 1
    spread = float((variances**2 / free).sum())
    n = 1 + (float(variances.sum() ** 2) / spread if spread > 0 else float(free.min()))
    reach = np.sqrt(n / (n - 1)) * stats.t.ppf((1 + confidence) / 2, n - 1)
    return float(stats.norm.sf(reach))


def _runs_on(frame: pd.DataFrame, days: float) -> bool:
    """Whether less than nine tenths of the programme's term lie within so many days of its start."""
    if not {"start", "end"} <= set(frame.columns):
        return False
    term = (pd.to_datetime(frame["end"]) - pd.to_datetime(frame["start"])).dt.total_seconds() / 86_400
    return bool(days < 0.9 * term.mean())


def _costs(arms: Arms, cost: str) -> Floats:
    """Cost of each row; it may be empty for controls only."""
    if cost not in arms.frame.columns:
        raise DataError(
            "there is no such column: without cost there is no return.",
            table="experiment", column=cost, mend="Give what was spent on every treated account.",
        )  # fmt: skip
    spent = numbers(arms.frame, cost)
    is_control = (arms.arm == arms.control).to_numpy()
    missing = np.isnan(spent) & ~is_control
    if missing.any():
        raise DataError(
            f"is empty for {int(missing.sum())} treated accounts.",
            table="experiment", column=cost, row=int(np.argmax(missing)) + 1,
            mend="Give what was spent on each of them; 0 if nothing was.",
        )  # fmt: skip
    spent = np.nan_to_num(spent, nan=0.0)
    if (spent < 0).any():
        raise DataError(
            "is negative.",
            table="experiment",
            column=cost,
            row=int(np.argmax(spent < 0)) + 1,
            mend="Give a cost of 0 or more.",
        )
    if not (spent[~is_control] > 0).any():
        raise DataError(
            "is 0 for every treated account: a return on nothing is no number.",
            table="experiment", column=cost, mend="Give what was spent.",
        )  # fmt: skip
    return spent
