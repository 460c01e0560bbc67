"""Synthetic difference-in-differences: controls and periods weighted so that the past runs parallel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from clv.abm.experiments.checks import check_table, variation
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.observational import ObservationalEffect, observational_result
from clv.abm.experiments.panel import Panel, read_panel
from clv.abm.experiments.simplex import simplex_least_squares
from clv.errors import SettingsError

#: share of the placebo estimates that must be as large before a misfit counts as ordinary.
ORDINARY = 0.05
#: times the usual misfit from which there is no comparison.
APART = 3.0
#: times as much as the controls vary from which it is said that the treated do.
RESTLESS = 1.5


def synthetic_difference_in_differences(
    data: pd.DataFrame,
    *,
    start: Any,
    outcome: str = "margin",
    period: str = "period",
    treated: str = "treated",
    error: Literal["auto", "placebo", "jackknife"] = "auto",
    placebos: int = 100,
    confidence: float = 0.95,
    seed: int = 0,
    currency: str = "",
) -> ObservationalEffect:
    """Compare treated accounts with a weighted mean of controls that ran parallel to them before the start.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account and period; see `clv.abm.experiments.panel.read_panel`.
    start
        First treated period.
    error : {"auto", "placebo", "jackknife"}
        "placebo" needs more controls than treated accounts; where the treated vary more than the controls did before
        the start, it is widened by as much. "jackknife" needs two treated accounts or more. "auto": placebo where it
        can be had.
    placebos : int

    Returns
    -------
    ObservationalEffect
        ``sensitivity``: the effect with each of the five heaviest controls left out.

    Notes
    -----
    Arkhangelsky, Athey, Hirshberg, Imbens & Wager (2021, *American Economic Review* 111, algorithms 1, 3 and 4). The
    assumption is that outcomes follow some few factors in common, which the weighted past catches; it is checked by a
    start that never was and by how far the weighted controls are from the treated before the start, each against the
    same for controls chosen at random as if they had been treated. Placebos take it that all accounts vary alike, which
    large accounts do not: misfit, fake start and error are scaled by how much more the treated vary (as Ferman & Pinto
    2019, *Review of Economics and Statistics* 101, do in difference-in-differences).
    """
    panel = read_panel(data, outcome=outcome, start=start, period=period, treated=treated)
    many, pool = int(panel.treated.sum()), int((~panel.treated).sum())
    chosen = error if error != "auto" else "placebo" if pool > many + 1 else "jackknife"
    if error not in ("auto", "placebo", "jackknife"):
        raise SettingsError(f"error = {error!r} is not known.", mend="Use 'auto', 'placebo' or 'jackknife'.")
    if (chosen == "placebo" and pool <= many + 1) or (chosen == "jackknife" and many < 2) or placebos < 20:
        raise SettingsError(
            f"no standard error by {chosen} with {many} treated, {pool} controls and {placebos} placebos.",
            mend="Placebo needs more controls than treated accounts, the jackknife two treated ones.",
        )
    omega, lam = weights(panel)
    effect = _effect(panel, omega, lam)
    rng = np.random.default_rng(seed)
    rows = variation(panel.outcome.ravel(), multiplicative=False)
    fits, spread, restless = _misfit(panel, omega), np.nan, _restlessness(panel)
    if not np.isfinite(restless):
        says = "The controls did not change at all before the start: they say nothing of accounts that do."
        rows.append(("alike variation", "broken", says))
    elif pool > many + 1:
        drawn, misfits, fakes = restless * _placebos(panel, placebos, rng)
        spread = float(drawn.std(ddof=1))
        rows += _checks(panel, omega, fits, misfits, fakes)
        if restless >= RESTLESS:
            wider = ", and the interval is as much wider" if chosen == "placebo" else ""
            rows.append(
                ("alike variation", "mind", f"Before the start the treated varied {restless:.1f} times as much as the"
                 f" controls: what is usual for the controls says less of them{wider}.")
            )  # fmt: skip
    se = spread if chosen == "placebo" else _jackknife(panel, omega, lam)
    left_out = _leave_out(panel, omega)
    reach = f"{left_out['effect'].min():,.4g} to {left_out['effect'].max():,.4g}".replace("-", "\N{MINUS SIGN}")
    return observational_result(
        method="synthetic difference-in-differences", outcome=outcome, treated=many, controls=pool, effect=effect,
        se=se, dof=1e9, checks=check_table(rows), sensitivity=left_out, path=_path(panel, omega, lam, se, confidence),
        assumption="controls weighted to run parallel before the start would have gone on parallel to the treated",
        confidence=confidence, currency=currency,
        bends=f"Without any one of its five heaviest controls the effect is {reach}.",
    )  # fmt: skip


def weights(panel: Panel) -> tuple[Floats, Floats]:
    """Weights of the controls and of the periods before the start (Arkhangelsky et al. 2021, eq. 4 and 6)."""
    y, t0 = panel.controls, panel.before
    before, after = y[:, :t0], y[:, t0:]
    sigma = float(np.diff(before, axis=1).std(ddof=1))
    zeta2 = float(np.sqrt(panel.treated.sum() * after.shape[1])) * sigma**2
    target = panel.mean_treated[:t0]
    # The intercept is taken out by centring over periods, and over accounts.
    omega = simplex_least_squares(
        (before - before.mean(axis=1, keepdims=True)).T, target - target.mean(), ridge=zeta2 * t0
    )
    later = after.mean(axis=1)
    lam = simplex_least_squares(
        before - before.mean(axis=0), later - later.mean(), ridge=(1e-6 * sigma) ** 2 * len(before)
    )
    return omega, lam


def _effect(panel: Panel, omega: Floats, lam: Floats) -> float:
    gap = panel.mean_treated - omega @ panel.controls
    return float(gap[panel.before :].mean() - lam @ gap[: panel.before])


def _misfit(panel: Panel, omega: Floats) -> float:
    """Root mean square of the gap before the start, its level taken out."""
    gap = (panel.mean_treated - omega @ panel.controls)[: panel.before]
    return float(gap.std())


def _restlessness(panel: Panel) -> float:
    """How many times as much as the controls the treated vary between periods before the start; at least 1."""
    steps = np.diff(panel.outcome[:, : panel.before], axis=1)
    steps = steps - steps[~panel.treated].mean(axis=0)
    own, others = float(steps[panel.treated].std()), float(steps[~panel.treated].std())
    return max(1.0, own / others) if others > 0 else np.inf if own > 0 else 1.0


def _fake(panel: Panel) -> float:
    """Effect of a start that never was, two thirds into the periods before the true one; NaN if there are too few."""
    start = (2 * panel.before) // 3
    if start < 2:
        return np.nan
    earlier = panel.earlier(start)
    return _effect(earlier, *weights(earlier))


def _placebos(panel: Panel, many: int, rng: np.random.Generator) -> Floats:
    """Effects, misfits and fake starts of controls that were never treated, drawn as if they had been."""
    y, n = panel.controls, int(panel.treated.sum())
    out = np.empty((3, many))
    for b in range(many):
        flag = np.zeros(len(y), dtype=bool)
        flag[rng.choice(len(y), size=n, replace=False)] = True
        fake = Panel(y, flag, panel.before, panel.accounts[~panel.treated], panel.periods)
        omega, lam = weights(fake)
        out[:, b] = _effect(fake, omega, lam), _misfit(fake, omega), _fake(fake)
    return out


def _jackknife(panel: Panel, omega: Floats, lam: Floats) -> float:
    """Compute the standard error with the weights as they are (algorithm 3)."""
    y0, y1 = panel.controls, panel.outcome[panel.treated]
    before = panel.before

    def after_less_before(y: Floats) -> Floats:
        return y[..., before:].mean(axis=-1) - y[..., :before] @ lam

    d0, d1 = after_less_before(y0), after_less_before(y1)
    own, whole = float(omega @ d0), float(d1.mean())
    without_treated = (len(d1) * whole - d1) / (len(d1) - 1) - own
    rest = 1 - omega
    kept = rest > 1e-12
    without_control = whole - np.where(kept, (own - omega * d0) / np.where(kept, rest, 1.0), own)
    each = np.concatenate([without_treated, without_control])
    n = len(each)
    return float(np.sqrt((n - 1) / n * ((each - (whole - own)) ** 2).sum()))


def _checks(panel: Panel, omega: Floats, misfit: float, misfits: Floats, fakes: Floats) -> list[tuple[str, str, str]]:
    rows = []
    usual, times = float(np.mean(misfits >= misfit)), misfit / max(float(np.median(misfits)), 1e-300)
    said = f"Before the start the weighted controls miss the treated by {misfit:,.4g} a period (root mean square)"
    if usual < ORDINARY:
        rows.append(
            (
                "fit before the start",
                "broken" if times > APART else "mind",
                f"{said}, {times:.1f} times as much as accounts taken at random: no mix of controls runs parallel.",
            )
        )
    else:
        rows.append(("fit before the start", "fine", f"{said}, as for accounts taken at random."))
    found = _fake(panel)
    if np.isfinite(found):
        rare = float(np.mean(np.abs(fakes) >= abs(found)))
        said = f"A start that never was shows {found:,.4g}".replace("-", "\N{MINUS SIGN}")
        if rare < ORDINARY:
            rows.append(("placebo", "broken", f"{said}, more than for {1 - rare:.0%} of untreated accounts."))
        else:
            rows.append(("placebo", "fine", f"{said}, as for untreated accounts."))
    most = 1 / float(omega @ omega)
    if most < 3:
        rows.append(("few controls", "mind", f"The comparison rests on the equivalent of {most:.1f} controls."))
    return rows


def _leave_out(panel: Panel, omega: Floats) -> pd.DataFrame:
    """Effect without each of the five heaviest controls."""
    names = panel.accounts[~panel.treated]
    rows = []
    for j in np.argsort(-omega, kind="stable")[: min(5, len(omega) - 1)]:
        keep = np.ones(len(panel.treated), dtype=bool)
        keep[np.flatnonzero(~panel.treated)[j]] = False
        less = Panel(panel.outcome[keep], panel.treated[keep], panel.before, panel.accounts[keep], panel.periods)
        rows.append({"without": str(names[j]), "weight": float(omega[j]), "effect": _effect(less, *weights(less))})
    return pd.DataFrame(rows)


def _path(panel: Panel, omega: Floats, lam: Floats, se: float, confidence: float) -> pd.DataFrame:
    """Gap by period, its weighted level before the start taken out; the band is that of the mean effect."""
    from scipy import stats

    gap = panel.mean_treated - omega @ panel.controls
    gap = gap - lam @ gap[: panel.before]
    half = float(stats.norm.ppf((1 + confidence) / 2)) * se * (np.arange(len(gap)) >= panel.before)
    time = np.arange(len(gap)) - panel.before
    return pd.DataFrame(
        {"time": time, "period": panel.periods, "effect": gap, "lower": gap - half, "upper": gap + half}
    )
