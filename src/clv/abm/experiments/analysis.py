"""Did it work? Treated accounts against their controls, as they were drawn, with every way to be fooled looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.experiments import checks
from clv.abm.experiments.analysis_text import analysis_text
from clv.abm.experiments.arms import (
    Arms,
    check_arms,
    check_group,
    chosen_adjustment,
    covariate_matrix,
    need,
    numbers,
    shared_blocks,
)
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.multiplicity import Contrast, adjust
from clv.abm.experiments.outcomes import notes_of
from clv.abm.experiments.randomisation import Draws, EffectModel
from clv.abm.experiments.registration import Registration
from clv.abm.experiments.relative import relative_effect
from clv.abm.experiments.trial import Adjustment, estimate
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
        mean_treated, mean_control, effect, se, dof, lower, upper, relative (effect ÷ mean of the controls),
        relative_se, relative_lower, relative_upper, p_value, p_adjusted, adjustment, inference. What is relative is
        empty where the mean of the controls is not above 0, its limits also where that mean cannot be told from 0.
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
        Column of groups (tiers) with their own controls; each gets an effect, and all together one (row "all").
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
        No control, an arm of one account, an account in two arms, an outcome from before the treatment.
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
    found = _check_plan(arms, registration, main, notes)
    if shares is None and registration is not None:
        shares = registration.arms
    found.append(checks.sample_ratio(arms, shares))
    found.append(checks.attrition(arms, numbers(arms.frame, main)))
    found.extend(checks.variation(numbers(arms.frame, main), multiplicative=effect_model == "multiplicative"))
    found.extend(checks.contamination(arms))
    if registration is not None and covariates is None and registration.covariates:
        covariates = registration.covariates
        adjustment = registration.adjustment  # type: ignore[assignment]
    groups = _groups(arms, by)
    rng = np.random.default_rng(seed)
    work = _Work(arms, adjustment, inference, effect_model, multiplicity, confidence, permutations)
    tables = []
    for name in dict.fromkeys([main, *secondary]):
        names = [f"{name}_pre"] if covariates is None and f"{name}_pre" in arms.frame else list(covariates or ())
        x, filled = covariate_matrix(arms.frame, names)
        y = numbers(arms.frame, name)
        rows = work.outcome(name, y, x, groups, rng)
        table = rows.assign(role="main" if name == main else "exploratory")
        tables.append(table)
        if name == main:
            notes += filled
            known = ~np.isnan(y)
            seen = checks.balance(_kept(arms, known), None if x is None else x[known], names)
            found += [seen] if seen else []
            found.append(work.dominance)
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
    dominance: tuple[str, str, str] = ("", "", "")

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
        for label, arms, inside in groups:
            for treatment in arms.treatments:
                keep = arms.rows(treatment, inside & known)
                units = [arms.cluster.iloc[keep][arms.arm.iloc[keep] == a].nunique() for a in (treatment, arms.control)]
                if min(units) < 2:
                    raise DataError(
                        f"{label!r}: {treatment!r} has {units[0]} and the control {units[1]} with a known outcome.",
                        table="experiment", column=name, mend="At least two are needed in each arm.",
                    )  # fmt: skip
                keep = shared_blocks(arms, keep)
                chosen = chosen_adjustment(self.adjustment, x, min(units))
                row, contrast = self._contrast(arms, treatment, keep, y, x, chosen, rng)
                rows.append({"outcome": name, "group": label, "arm": treatment, **row})
                contrasts.append(contrast)
        table = pd.DataFrame(rows)
        # The row "all" repeats what its groups say; it is no further chance to be lucky.
        family = [i for i, r in enumerate(rows) if r["group"] != "all" or len(groups) == 1]
        how = self.multiplicity
        randomised = bool((table["inference"] == "randomisation").all())
        if how == "auto":
            how = "max-t" if randomised else "holm"
        raw = table["p_value"].to_numpy()
        adjusted = raw.copy()
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
        means = [float(sorted_y[comparison.treated == t].mean()) for t in (True, False)]
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
        row |= {"p_value": p, "adjustment": chosen, "inference": "randomisation" if by_draw else "t"}
        labels = (arms.block if comparison.small_blocks else arms.cluster).iloc[keep].to_numpy()[comparison.order]
        firsts = comparison.blocks if comparison.small_blocks else comparison.units
        self.dominance = checks.dominance(fit.influence[:, 0], np.char.replace(labels.astype(str), "\x1f", " ")[firsts])
        return row, Contrast(arms, treatment, keep, y, x, chosen, comparison, effect, se)


def _groups(arms: Arms, by: str | None) -> list[tuple[str, Arms, np.ndarray]]:
    """List groups with their arms; with several, all of them together come last, compared within each."""
    everything = np.ones(len(arms.frame), dtype=bool)
    if by is None:
        return [("all", arms, everything)]
    need(arms.frame, by)
    labels = arms.frame[by].astype(str)
    out = []
    for label in sorted(labels.unique()):
        inside = (labels == label).to_numpy()
        check_group(arms, by, label, inside)
        present = set(arms.arm[inside])
        own = tuple(t for t in arms.treatments if t in present)
        out.append((label, Arms(**{**arms.__dict__, "treatments": own}), inside))
    whole = Arms(**{**arms.__dict__, "block": labels + "\x1f" + arms.block})
    return [*out, ("all", whole, everything)] if len(out) > 1 else [(out[0][0], arms, everything)]


def _kept(arms: Arms, known: np.ndarray) -> Arms:
    return Arms(**{**arms.__dict__, "frame": arms.frame[known], "arm": arms.arm[known]})


def _check_plan(arms: Arms, plan: Registration | None, main: str, notes: list[str]) -> list[tuple[str, str, str]]:
    if plan is None:
        notes.append("the main outcome was not registered before the start: had it been chosen after looking, nothing"
                     " here would show it")  # fmt: skip
        return []
    if plan.outcome != main:
        raise SettingsError(
            f"the registered main outcome is {plan.outcome!r}, not {main!r}.",
            mend=f"Analyse {plan.outcome!r}, and give {main!r} as a secondary outcome: it is exploratory.",
        )
    if "account_id" not in arms.frame.columns:
        return []
    found = plan.compare(dict(zip(arms.frame["account_id"], arms.arm, strict=True)))
    if found is None:
        return [("assignment", "fine", "Every account is in the arm that was registered.")]
    return [("assignment", "broken" if "arms" in found or "never" in found else "mind",
             f"Against the registered assignment {found}.")]  # fmt: skip


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
