"""Did it work? Treated accounts against their controls, as they were drawn, with every way to be fooled looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from clv.abm.experiments import checks
from clv.abm.experiments.analysis_text import analysis_text
from clv.abm.experiments.arms import (
    Arms,
    check_arms,
    chosen_adjustment,
    covariate_table,
    filled,
    numbers,
    shared_blocks,
    too_few,
    units_of,
)
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.multiplicity import Contrast, adjust
from clv.abm.experiments.outcomes import notes_of
from clv.abm.experiments.randomisation import Draws, EffectModel
from clv.abm.experiments.registration import Registration
from clv.abm.experiments.relative import relative_effect
from clv.abm.experiments.trial import Adjustment, block_means, estimate
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: rows up to which intervals come from randomisation; above, the normal approximation is exact enough and fast.
RANDOMISED_ROWS = 2000


@dataclass(frozen=True, eq=False)
class ExperimentAnalysis(Result):
    """What an experiment shows.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an outcome, group and arm: outcome, role (main or exploratory), group, arm, accounts, controls,
        mean_treated, mean_control (blocks weighted by their accounts, as in the effect), effect, se, dof, lower, upper,
        relative (effect ÷ mean_control), relative_se, relative_lower, relative_upper, p_value, p_adjusted, adjustment,
        inference. What is relative is empty where mean_control is not above 0, its limits also where it cannot be told
        from 0.
    checks : pandas.DataFrame
        check, verdict (fine, mind or broken), says.
    notes : list of str
    confidence : float
    currency : str
    randomised : bool
        Always true: what is not randomised comes from other functions.
    """

    checks: pd.DataFrame
    notes: list[str]
    confidence: float
    currency: str
    randomised: bool = True

    @property
    def sound(self) -> bool:
        """No check is broken."""
        return not bool((self.checks["verdict"] == "broken").any())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effects of the main outcome with their intervals."""
        from clv.abm.experiments.pictures import effects

        main = self.table[self.table["role"] == "main"]
        labels = [
            str(g) if a == "treatment" else " · ".join(p for p in (str(g), str(a)) if p not in ("", "all"))
            for g, a in zip(main["group"], main["arm"], strict=True)
        ]
        title = f"Effect on {main['outcome'].iloc[0]} an account, {self.confidence:.0%} interval"
        return effects(main.assign(label=labels), title, self.currency, ax)


def analyse_experiment(
    data: pd.DataFrame,
    *,
    outcome: str | None = None,
    secondary: Sequence[str] = (),
    arm: str = "arm",
    control: str = "control",
    by: str | None = None,
    block: str | Sequence[str] | None = None,
    cluster: str | None = None,
    covariates: Sequence[str] | None = None,
    adjustment: Literal["auto", "none", "cuped", "lin"] = "auto",
    inference: Literal["auto", "randomisation", "t"] = "auto",
    effect_model: EffectModel = "additive",
    multiplicity: Literal["auto", "max-t", "holm", "none"] = "auto",
    confidence: float = 0.95,
    shares: Mapping[str, float] | None = None,
    registration: Registration | None = None,
    permutations: int = 1999,
    seed: int = 0,
    currency: str = "",
) -> ExperimentAnalysis:
    """Estimate what each arm changed against the control, by the rules under which the arms were drawn.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account: arm, outcomes, what was known before. `clv.abm.experiments.outcomes.experiment_outcomes`
        makes it from a study's tables. Rows of deals or recipients need `cluster`.
    outcome : str, optional
        The main outcome; None: the registered one, else ``margin``.
    secondary : sequence of str
        Exploratory outcomes.
    by : str, optional
        Column of groups (tiers) with their own controls; each with two accounts an arm gets an effect, and all together
        one (row "all").
    block : str or sequence of str, optional
        Randomisation blocks: strata, pairs or triplets.
    cluster : str, optional
        What was randomised, if not the row (manager, parent company).
    covariates : sequence of str, optional
        Known before the start; None: the outcome's own value before it (``<outcome>_pre``), if there.
    adjustment : {"auto", "none", "cuped", "lin"}
        How covariates are taken off; "auto" by size alone: a slope an arm from 20 accounts an arm and covariate.
    inference : {"auto", "randomisation", "t"}
        Intervals by inverting the randomisation test, or by CR2 with Satterthwaite degrees of freedom; "auto":
        randomisation up to 2,000 rows. The p-value goes with the interval.
    effect_model : {"additive", "multiplicative"}
        For which effects the randomisation interval is exact. The limits of the relative effect are the factors that
        the test does not reject, or, additive, Fieller's.
    multiplicity : {"auto", "max-t", "holm", "none"}
        Adjustment of the p-values over arms and groups: Westfall & Young's step-down max-T by re-randomisation,
        or Holm.
    shares : mapping of str to float, optional
        Intended share of each arm, for the sample-ratio test; None: the registered one.
    registration : Registration, optional
        The plan from before the start.
    permutations : int
    seed : int

    Returns
    -------
    ExperimentAnalysis

    Raises
    ------
    DataError
        No control, an arm of one account in all groups, an account in two arms, arms that differ by a capital or a
        blank, an outcome from before the treatment.
    SettingsError
        An option is not known, or it contradicts the registration.

    Notes
    -----
    The estimand is the mean effect on the accounts of the experiment (blocks weighted by their accounts). The only
    assumptions are that arms were drawn as stated and that an account's outcome depends on its own arm alone.
    Sources: Neyman (1923); Lin (2013); Deng et al. (2013, CUPED); Pustejovsky & Tipton (2018, CR2); Wu & Ding (2021,
    studentised randomisation tests); Westfall & Young (1993).
    """
    _check_options(inference, multiplicity, effect_model, confidence, permutations)
    main = outcome or (registration.outcome if registration else "margin")
    arms = check_arms(data, arm=arm, control=control, block=block, cluster=cluster)
    notes = notes_of(data)
    found = _check_plan(arms, registration, main, notes, data.attrs.get("clv"), confidence)
    found += checks.undeclared_groups(arms)
    if shares is None and registration is not None:
        shares = registration.arms
    found.append(checks.sample_ratio(arms, shares))
    groups = _groups(arms, by)
    whole = groups[-1][1]
    found.append(checks.attrition(whole, numbers(arms.frame, main)))
    found.extend(checks.variation(numbers(arms.frame, main), multiplicative=effect_model == "multiplicative"))
    found.extend(checks.contamination(arms))
    if registration is not None and covariates is None and registration.covariates:
        covariates = registration.covariates
        adjustment = registration.adjustment  # type: ignore[assignment]
    rng = np.random.default_rng(seed)
    work = _Work(arms, adjustment, inference, effect_model, multiplicity, confidence, permutations)
    tables: list[pd.DataFrame] = []
    unmeasured: list[str] = []
    for name in dict.fromkeys([main, *secondary]):
        names = [f"{name}_pre"] if covariates is None and f"{name}_pre" in arms.frame else list(covariates or ())
        columns, gaps = covariate_table(arms.frame, names)
        x = columns.to_numpy(dtype=float) if len(columns.columns) else None
        y = numbers(arms.frame, name)
        rows = work.outcome(name, y, x, groups, rng)
        table = rows.assign(role="main" if name == main else "exploratory")
        tables.append(table)
        if name == main:
            notes += gaps
            seen = checks.balance(whole, columns, ~np.isnan(y))
            found += [seen] if seen else []
            found += [*checks.left_out(work.left_out, len(arms.frame)), checks.dominance(work.influence)]
        elif np.isnan(y).any():
            found.append(checks.attrition(whole, y, exploratory=name))
        if work.too_few != unmeasured:
            unmeasured = work.too_few
            found += checks.unmeasured(name, unmeasured)
    if {"win_rate", "cycle_time"} & {main, *secondary}:
        notes.append("win rate and cycle time are known of accounts with a deal only, and which have one may depend on"
                     " the arm: compare wins, which every account has")  # fmt: skip
    table = pd.concat(tables, ignore_index=True)
    lead = ["outcome", "role", "group", "arm"]
    table = table[lead + [c for c in table.columns if c not in lead]]
    draft = ExperimentAnalysis(table, "", checks.check_table(found), notes, confidence, currency)
    return ExperimentAnalysis(**{**draft.__dict__, "text": analysis_text(draft, registered=registration is not None)})


@dataclass
class _Work:
    """The analysis of one outcome after the other, under the same options."""

    arms: Arms
    adjustment: str
    inference: str
    model: EffectModel
    multiplicity: str
    confidence: float
    permutations: int
    influence: list[pd.Series] = field(default_factory=list)
    left_out: int = 0
    too_few: list[str] = field(default_factory=list)

    def outcome(
        self,
        name: str,
        y: Floats,
        x: Floats | None,
        groups: list[tuple[str, Arms, np.ndarray]],
        rng: np.random.Generator,
    ) -> pd.DataFrame:
        """One row a group and arm."""
        known = ~np.isnan(y)
        rows, contrasts = [], []
        self.left_out, self.too_few = 0, []
        for label, arms, inside in groups:
            # What one account does to the effect in a group, it does less to that in all: the last is judged.
            self.influence = []
            for treatment in arms.treatments:
                every = arms.rows(treatment, inside & known)
                few = too_few(arms, every, treatment, label)
                if few:
                    self.too_few.append(few)
                    continue
                keep = shared_blocks(arms, every)
                self.left_out = len(every) - len(keep)
                chosen = chosen_adjustment(self.adjustment, x, min(units_of(arms, keep, treatment)))
                row, contrast = self._contrast(arms, treatment, keep, y, x, chosen, rng)
                rows.append({"outcome": name, "group": label, "arm": treatment, **row})
                contrasts.append(contrast)
        if not rows:
            raise DataError(
                f"nothing can be compared: {'; '.join(self.too_few)}.",
                table="experiment", column=name, mend="At least two accounts are needed in each arm, better twenty.",
            )  # fmt: skip
        table = pd.DataFrame(rows)
        # The rows "all" repeat what their groups say: a family of their own, as large as there are arms.
        together = [i for i, r in enumerate(rows) if r["group"] == "all"]
        families = [together, [i for i in range(len(rows)) if i not in together]]
        how = self.multiplicity
        randomised = bool((table["inference"] == "randomisation").all())
        if how == "auto":
            how = "max-t" if randomised else "holm"
        raw = table["p_value"].to_numpy()
        adjusted = raw.copy()
        for family in families:
            adjusted[family] = adjust(
                [contrasts[i] for i in family], raw[family], how=how, draws=self.permutations, rng=rng
            )
        return table.assign(p_adjusted=adjusted)

    def _contrast(
        self, arms: Arms, treatment: str, keep: np.ndarray, y: Floats, x: Floats | None, chosen: Adjustment,
        rng: np.random.Generator,
    ) -> tuple[dict[str, object], Contrast]:  # fmt: skip
        from scipy import stats

        comparison = arms.comparison(treatment, keep, x, chosen)
        sorted_y = y[keep][comparison.order]
        fit = estimate(comparison, sorted_y[:, None])
        effect, se = float(fit.effect[0]), float(fit.se[0])
        means = block_means(comparison, sorted_y)
        treated = arms.arm.iloc[keep] == treatment
        row: dict[str, object] = {
            "accounts": int(treated.sum()), "controls": int((~treated).sum()),
            "mean_treated": means[0], "mean_control": means[1], "effect": effect, "se": se, "dof": fit.dof,
        }  # fmt: skip
        by_draw = self.inference == "randomisation" or (self.inference == "auto" and len(keep) <= RANDOMISED_ROWS)
        ratio = relative_effect(comparison, sorted_y, fit, confidence=self.confidence)
        if by_draw:
            said = Draws(comparison, draws=self.permutations, rng=rng).analyse(
                sorted_y, confidence=self.confidence, model=self.model
            )
            low, high, p = said.lower, said.upper, said.p_value
            if self.model == "multiplicative":
                ratio |= {"relative_lower": said.relative_lower, "relative_upper": said.relative_upper}
        else:
            half = float(stats.t.ppf((1 + self.confidence) / 2, max(fit.dof, 1.0))) * se
            low, high = effect - half, effect + half
            p = float(2 * stats.t.sf(abs(effect) / se, max(fit.dof, 1.0))) if se > 0 else float(effect == 0)
        row |= {"lower": low, "upper": high, **ratio}
        # Small blocks share one slope.
        slopes = "cuped" if comparison.adjustment == "lin" and comparison.small_blocks else comparison.adjustment
        row |= {"p_value": p, "adjustment": slopes, "inference": "randomisation" if by_draw else "t"}
        firsts = keep[comparison.order][comparison.firsts]
        small = comparison.small[comparison.block[comparison.firsts]]
        labels = np.where(small, arms.block.to_numpy(str)[firsts], arms.cluster.to_numpy(str)[firsts])
        self.influence.append(pd.Series(fit.influence[:, 0], index=np.char.replace(labels, "\x1f", " ")))
        return row, Contrast(arms, treatment, keep, y, x, chosen, comparison, effect, se)


def _groups(arms: Arms, by: str | None) -> list[tuple[str, Arms, np.ndarray]]:
    """List groups with their arms; with several, all of them together come last, compared within each."""
    everything = np.ones(len(arms.frame), dtype=bool)
    if by is None:
        return [("all", arms, everything)]
    filled(arms.frame, by)
    labels = arms.frame[by].astype(str)
    out = []
    for label in sorted(labels.unique()):
        inside = (labels == label).to_numpy()
        present = set(arms.arm[inside])
        own = tuple(t for t in arms.treatments if t in present) or arms.treatments
        out.append((label, replace(arms, treatments=own), inside))
    whole = replace(arms, block=labels + "\x1f" + arms.block, blocked=True)
    return [*out, ("all", whole, everything)] if len(out) > 1 else [(out[0][0], arms, everything)]


def _check_plan(
    arms: Arms,
    plan: Registration | None,
    main: str,
    notes: list[str],
    about: Mapping[str, Any] | None,
    confidence: float,
) -> list[tuple[str, str, str]]:
    if plan is None:
        notes.append("the main outcome was not registered before the start: had it been chosen after looking, nothing"
                     " here would show it")  # fmt: skip
        return []
    if plan.outcome != main:
        raise SettingsError(
            f"the registered main outcome is {plan.outcome!r}, not {main!r}.",
            mend=f"Analyse {plan.outcome!r}, and give {main!r} as a secondary outcome: it is exploratory.",
        )
    if abs(plan.confidence - confidence) > 1e-9:
        notes.append(f"registered was a confidence of {plan.confidence:.0%}, not of {confidence:.0%}")
    rows = checks.planned_window(plan, about if isinstance(about, Mapping) else {})
    if "account_id" not in arms.frame.columns or not plan.assignment:
        return rows
    return [*rows, checks.assignment(plan, dict(zip(arms.frame["account_id"].astype(str), arms.arm, strict=True)))]


def _check_options(inference: str, multiplicity: str, model: str, confidence: float, permutations: int) -> None:
    known = {
        "inference": (inference, ("auto", "randomisation", "t")),
        "multiplicity": (multiplicity, ("auto", "max-t", "holm", "none")),
        "effect_model": (model, ("additive", "multiplicative")),
    }
    for name, (value, allowed) in known.items():
        if value not in allowed:
            raise SettingsError(f"{name} = {value!r} is not known.", mend=f"Use one of {', '.join(allowed)}.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    if permutations < 99 or permutations + 1 < 2 / (1 - confidence):
        raise SettingsError(f"permutations = {permutations} are too few.", mend="Use 999 or more.")
