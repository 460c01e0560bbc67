"""Looking before the end: estimates at every look whose intervals hold however often one looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.experiments.arms import check_arms, chosen_adjustment, covariate_matrix, numbers, shared_blocks
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.randomisation import Draws
from clv.abm.experiments.sequential_text import sequential_text
from clv.abm.experiments.trial import estimate
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Spending = Literal["obrien-fleming", "pocock"]


@dataclass(frozen=True, eq=False)
class Monitoring(Result):
    """An experiment at its looks so far.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a look: look, time (share of the planned end), accounts, controls, effect, se, limit (of |effect ÷ se|),
        lower, upper, crossed.
    stopped : str or None
        First look whose limit was crossed.
    method : str
    confidence : float
        All intervals hold together with this probability.
    currency : str
    """

    stopped: str | None
    method: str
    confidence: float
    outcome: str
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect at each look with the interval that holds for all of them."""
        from clv.abm.experiments.pictures import band

        unit = f", {self.currency}" if self.currency else ""
        shown = self.table.assign(time=100 * self.table["time"])
        title = f"Effect at each look; all intervals hold together ({self.confidence:.0%})"
        return band(shown, x="time", title=title, labels=("% of the planned time", f"effect{unit}"), ax=ax)


def monitor_experiment(
    data: pd.DataFrame,
    *,
    looks: Sequence[str],
    times: Sequence[float] | None = None,
    method: Literal["spending", "confidence_sequence"] = "spending",
    spending: Spending = "obrien-fleming",
    outcome: str = "margin",
    arm: str = "arm",
    control: str = "control",
    block: str | Sequence[str] | None = None,
    cluster: str | None = None,
    covariates: Sequence[str] | None = None,
    adjustment: Literal["auto", "none", "cuped", "lin"] = "auto",
    confidence: float = 0.95,
    permutations: int = 3999,
    seed: int = 0,
    currency: str = "",
) -> Monitoring:
    """Analyse an experiment at several looks.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account: arm, and one column a look with the outcome counted up to it (cumulative). Two arms.
    looks : sequence of str
        Those columns, in order. Later looks may be added any time; what was said at earlier ones does not change.
    times : sequence of float, optional
        Share of the planned duration at each look, rising to at most 1; None: equally spaced, the last is the end.
    method : {"spending", "confidence_sequence"}
        "spending": all accounts are in from the start. "confidence_sequence": accounts enter over time (their column is
        empty before), each with its own final outcome; then any number of looks, at any time, is covered.
    spending : {"obrien-fleming", "pocock"}
        How the error probability is spent over time.

    Returns
    -------
    Monitoring

    Notes
    -----
    "spending": Lan & DeMets (1983). Totals of the same accounts at successive looks are no independent increments, so
    that textbook limits do not apply; the limits come from re-randomising the whole course of all accounts. Under no
    effect on any account the probability to cross any limit is at most 1 − confidence, exactly, in arms of any size.
    Intervals are effect ± limit × standard error (repeated confidence intervals, Jennison & Turnbull 1989).

    "confidence_sequence": Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024, *Annals of Statistics*, eq. 7, with ρ
    chosen for the planned end, as the accounts and the time of the first look foretell it); asymptotic, with limits
    widened as those of t are over the normal's while few are in.
    """
    arms = check_arms(data, arm=arm, control=control, block=block, cluster=cluster)
    if len(arms.treatments) != 1:
        raise SettingsError(
            f"there are {len(arms.treatments)} treatments.", mend="Monitor one arm against the control at a time."
        )
    when = _times(looks, times)
    if method not in ("spending", "confidence_sequence") or spending not in ("obrien-fleming", "pocock"):
        raise SettingsError(f"method {method!r} or spending {spending!r} is not known.", mend="See the docstring.")
    if not 0 < confidence < 1 or permutations < 199:
        raise SettingsError("confidence or permutations are out of range.", mend="Use .95 and 3999.")
    names = [f"{outcome}_pre"] if covariates is None and f"{outcome}_pre" in arms.frame else list(covariates or ())
    x, _ = covariate_matrix(arms.frame, names)
    values = np.column_stack([numbers(arms.frame, name) for name in looks])
    treatment, rng = arms.treatments[0], np.random.default_rng(seed)
    rows = []
    if method == "spending":
        if np.isnan(values).any():
            gap = looks[int(np.isnan(values).any(axis=0).argmax())]
            raise DataError(
                "is empty for some accounts.", table="experiment", column=gap,
                mend="Where accounts enter over time use method='confidence_sequence'.",
            )  # fmt: skip
        everyone = shared_blocks(arms, np.arange(len(values)))
        units = arms.cluster.groupby(arms.arm).nunique()
        comparison = arms.comparison(treatment, everyone, x, chosen_adjustment(adjustment, x, int(units.min())))
        draws = Draws(comparison, draws=permutations, rng=rng)
        effect, covariance = draws.joint(values[everyone][comparison.order])
        se = np.sqrt(np.maximum(np.einsum("bkk->bk", covariance), 0.0))
        t = np.divide(effect, se, out=np.zeros_like(effect), where=se > 0)
        limits = _limits(np.abs(t), _spent(when, 1 - confidence, spending))
        sizes = [(int(comparison.treated.sum()), int((~comparison.treated).sum()))] * len(looks)
        found = list(zip(effect[0], se[0], limits, sizes, strict=True))
    else:
        # ρ must not change from look to look: the first one says how many are to be expected at the end.
        planned = arms.cluster[~np.isnan(values[:, 0])].nunique() / when[0]
        found = [_entered(arms, treatment, y, x, adjustment, planned, confidence) for y in values.T]
    for name, time, (estimated, error, limit, size) in zip(looks, when, found, strict=True):
        half = limit * error
        rows.append(
            {
                "look": name, "time": time, "accounts": size[0], "controls": size[1], "effect": float(estimated),
                "se": float(error), "limit": float(limit), "lower": float(estimated - half),
                "upper": float(estimated + half), "crossed": bool(abs(estimated) >= half and error > 0),
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    crossed = table.loc[table["crossed"], "look"]
    draft = Monitoring(
        table, "", None if crossed.empty else str(crossed.iloc[0]), method, confidence, outcome, currency
    )
    return Monitoring(**{**draft.__dict__, "text": sequential_text(draft)})


def _times(looks: Sequence[str], times: Sequence[float] | None) -> Floats:
    when = np.arange(1, len(looks) + 1) / len(looks) if times is None else np.asarray(times, dtype=float)
    if not len(looks) or len(when) != len(looks) or (np.diff(when, prepend=0.0) <= 0).any() or when[-1] > 1 + 1e-12:
        raise SettingsError(
            f"times {list(when)} do not fit {len(looks)} looks.", mend="Give one a look, rising, at most 1."
        )
    return when


def _spent(when: Floats, alpha: float, spending: str) -> Floats:
    """Error probability spent by each time (two-sided; Lan & DeMets 1983)."""
    from scipy import stats

    if spending == "pocock":
        return alpha * np.log1p((np.e - 1) * when)
    # Half of the level to each side, as in their tables.
    return 4 * stats.norm.sf(stats.norm.isf(alpha / 4) / np.sqrt(when))


def _limits(t: Floats, spent: Floats) -> Floats:
    """Limits of |t| by look, from the courses of all assignments; the first row is the one that took place."""
    from scipy import stats

    draws = len(t)
    alive = np.ones(draws, dtype=bool)
    out = np.empty(t.shape[1])
    used = 0
    for k, allowed in enumerate(np.floor(spent * draws + 1e-9).astype(int)):
        room = allowed - used
        ranked = np.sort(t[alive, k])[::-1]
        beyond_all = max(float(ranked[0]) * (1 + 1e-9), 1e-9) if len(ranked) else 1e-9
        step = max(float(spent[k] - (spent[k - 1] if k else 0.0)), 1e-300)
        if room < 1:
            # Too few draws to see so rare an event: beyond all of them, and at least where a normal course would cross.
            out[k] = max(beyond_all, float(stats.norm.isf(step / 2)))
            continue
        # The largest value that more than `room` courses reach is no limit; the next larger is.
        beyond = ranked[room] if room < len(ranked) else 0.0
        above = ranked[:room][ranked[:room] > beyond * (1 + 1e-12)]
        out[k] = float(above[-1]) if len(above) else beyond_all
        crossing = alive & (t[:, k] >= out[k])
        used += int(crossing.sum())
        alive &= ~crossing
    return out


def _entered(arms, treatment: str, y: Floats, x: Floats | None, adjustment: str, planned: float, confidence: float):  # type: ignore[no-untyped-def]
    """Effect among those who are in, and the limit of the asymptotic confidence sequence."""
    from scipy import stats

    known = np.flatnonzero(~np.isnan(y))
    if arms.arm.iloc[known].nunique() == 2:
        known = shared_blocks(arms, known)
    of = arms.arm.iloc[known]
    units = arms.cluster.iloc[known].groupby(of).nunique()
    if len(units) < 2 or int(units.min()) < 2:
        raise DataError(
            "fewer than two accounts of an arm have entered.", table="experiment", mend="Begin with a later look."
        )
    comparison = arms.comparison(treatment, known, x, chosen_adjustment(adjustment, x, int(units.min())))
    fit = estimate(comparison, y[known][comparison.order][:, None])
    n = len(comparison.units)
    # ρ makes the sequence narrowest at the planned end.
    alpha = 1 - confidence
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / planned
    limit = float(np.sqrt((n * rho2 + 1) / (n * rho2) * np.log((n * rho2 + 1) / alpha**2)))
    limit = float(stats.t.isf(stats.norm.sf(limit), max(fit.dof, 1.0)))
    size = int(comparison.treated.sum()), int((~comparison.treated).sum())
    return float(fit.effect[0]), float(fit.se[0]), limit, size
