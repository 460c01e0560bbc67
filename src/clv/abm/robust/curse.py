"""The optimiser's curse: a plan by raw estimates promises too much, since it takes what was overestimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.allocation.limits import Counts, Hours, Limit
from clv.abm.robust.draws import OptionDraws, by_cell, read_draws
from clv.abm.robust.replan import SMALL, Replanner
from clv.abm.tiers import allocate_tiers
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Curse(Result):
    """What planning by raw and by shrunk estimates promises and brings.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a way of planning ("raw estimates", "shrunk estimates", "true values"): plan, promised, realised (mean
        net return over rounds), error (standard error of realised − promised), share (of what true values would bring).
    rounds : int
    runs : pandas.DataFrame
        One row a round: <way>_promised and <way>_realised.
    currency : str
    """

    rounds: int
    runs: pd.DataFrame
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each way of planning promises and brings."""
        from clv.abm.robust.pictures import promises

        return promises(self, ax)


def optimisers_curse(
    options: pd.DataFrame,
    draws: np.ndarray | pd.DataFrame | OptionDraws,
    budget: float | None = None,
    hours: Hours | None = None,
    counts: Counts | None = None,
    *,
    standard_errors: np.ndarray | pd.Series | None = None,
    shrink: Literal["model", "tier"] = "model",
    limits: Sequence[Limit] | None = None,
    accounts: pd.DataFrame | None = None,
    rounds: int = 100,
    seed: int = 0,
    gap: float | None = None,
    time_limit: float = 60.0,
    currency: str = "",
) -> Curse:
    """Simulate what a plan promises and realises, when its estimates are raw and when they are shrunk.

    In each round a draw is the truth; estimates are it plus normal errors; a plan is made by the estimates, and by
    shrunk estimates; both are then paid by the truth.

    Parameters
    ----------
    options, draws, budget, hours, counts, limits, accounts, time_limit, currency
        As in `allocate_under_uncertainty`.
    standard_errors : array, optional
        Of the estimate of each row of the options; by default the standard deviation of its draws.
    shrink : {"model", "tier"}
        Whether estimates are shrunk to what the draws say of each option, or, as if nothing were known but the
        estimates themselves, to the mean of their tier.
    rounds : int
        Rounds; draws are used over and over if there are fewer.
    seed : int
        Of the errors.
    gap : float, optional
        As in `allocate_under_uncertainty`.

    Returns
    -------
    Curse

    Raises
    ------
    DataError
        Draws or standard errors do not match the options.
    SettingsError
        Fewer than two rounds.

    Notes
    -----
    Smith & Winkler (2006). By the model, the shrunk estimate of an option is its posterior mean under
    estimateᵢ ~ Normal(θᵢ, sᵢ²), θᵢ ~ Normal(mᵢ, vᵢ), with the mean and variance of its draws. By the tier it is that
    under θᵢ ~ Normal(μ, τ²), with μ and τ² of the tier by the method of moments from the estimates alone (Efron &
    Morris 1975): this fits where errors have nothing to do with values, and can do harm where the largest values have
    the largest errors. The errors of different options are independent.
    """
    if shrink not in ("model", "tier"):
        raise SettingsError(f"shrink = {shrink!r}.", mend="Give 'model' or 'tier'.")
    if rounds < 2 or int(rounds) != rounds:
        raise SettingsError(f"rounds = {rounds!r}.", mend="Give 2 or more.")
    given = read_draws(options, draws)
    error = (
        given.drawn.std(axis=1, ddof=1, dtype=float)
        if standard_errors is None
        else np.asarray(standard_errors, dtype=float)
    )
    if error.shape != (len(options),) or not (np.isfinite(error) & (error >= 0)).all():
        raise DataError(
            "standard errors are not one number of 0 or more for each row of the options.",
            mend="Give one for each row.",
            table="options",
            column="standard_error",
        )
    plan = allocate_tiers(
        options.assign(value=given.drawn.mean(axis=1, dtype=float)),
        budget,
        hours,
        counts,
        limits=limits,
        accounts=accounts,
        gap=gap if gap is not None else (None if len(options) <= SMALL else 1e-3),
        time_limit=time_limit,
    )
    replanner = Replanner(plan.work.book, plan.work.rules, gap)
    at = (replanner.account, replanner.tier)
    truths = by_cell(options, plan.work.book, given.drawn)[at]
    spread = by_cell(options, plan.work.book, error[:, None].astype(float))[at][:, 0]
    middle, variance = truths.mean(axis=1, dtype=float), truths.var(axis=1, ddof=1, dtype=float)
    total = variance + spread**2
    keep = np.divide(variance, total, out=np.ones(len(total)), where=total > 0)

    def mended(raw: np.ndarray) -> np.ndarray:
        return middle + keep * (raw - middle) if shrink == "model" else _shrunk(raw, spread, replanner.tier)

    rng = np.random.default_rng(seed)
    ways = {"raw": "raw estimates", "shrunk": "shrunk estimates", "true": "true values"}
    rows = []
    for k in range(int(rounds)):
        truth = np.asarray(truths[:, k % truths.shape[1]], dtype=float)
        raw = truth + spread * rng.standard_normal(len(truth))
        row = {}
        for way, values in (("raw", raw), ("shrunk", mended(raw)), ("true", truth)):
            found = replanner.best(values)
            tier_of = plan.work.tier_of if found is None else found.tier_of
            row[f"{way}_promised"] = float(replanner.worth(tier_of, values))
            row[f"{way}_realised"] = float(replanner.worth(tier_of, truth))
        rows.append(row)
    runs = pd.DataFrame(rows)
    best = float(runs["true_realised"].mean())
    table = pd.DataFrame(
        [
            {
                "plan": name,
                "promised": float(runs[f"{way}_promised"].mean()),
                "realised": float(runs[f"{way}_realised"].mean()),
                "error": float((runs[f"{way}_realised"] - runs[f"{way}_promised"]).std(ddof=1) / np.sqrt(len(runs))),
                "share": float(runs[f"{way}_realised"].mean()) / best if best > 0 else float("nan"),
            }
            for way, name in ways.items()
        ]
    )
    from clv.abm.robust.wording import curse_text

    draft = Curse(table, "", int(rounds), runs, currency)
    return replace(draft, text=curse_text(draft))


def _shrunk(raw: np.ndarray, error: np.ndarray, tier: np.ndarray) -> np.ndarray:
    """Posterior means of options given their estimates, tier by tier."""
    out = raw.copy()
    for t in np.unique(tier):
        rows = np.flatnonzero(tier == t)
        y, variance = raw[rows], error[rows] ** 2
        if len(rows) < 3:
            continue
        # μ and τ² by moments, weighted by what τ² makes of the errors: a fixed point, reached in a few steps.
        tau, mu = float(np.var(y, ddof=1)), float(y.mean())
        for _ in range(50):
            weight = 1 / np.maximum(tau + variance, 1e-300)
            weight /= weight.sum()
            mu = float(weight @ y)
            new = max(0.0, float(weight @ ((y - mu) ** 2 * len(rows) / (len(rows) - 1) - variance)))
            if abs(new - tau) <= 1e-9 * max(tau, 1e-300):
                break
            tau = new
        total = tau + variance
        keep = np.divide(tau, total, out=np.ones(len(rows)), where=total > 0)
        out[rows] = keep * y + (1 - keep) * mu
    return out
