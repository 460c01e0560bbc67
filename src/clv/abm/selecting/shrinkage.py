"""Raw estimates drawn towards one another, so that the best-looking are no longer partly the luckiest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.options import value_table
from clv.abm.wording import money
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: points at which the spread of the true values is tried.
_GRID = 121


@dataclass(frozen=True, eq=False)
class Shrunk(Result):
    """Estimates after shrinkage; `clv.select_accounts` takes this as values.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: estimate, standard_error, clv (the posterior mean), lower, upper, weight (what the account's
        own estimate counts for; the rest is the mean of all).
    draws : numpy.ndarray of float32, shape (accounts, draws), or None
        Of the true values; a column shares one draw of the mean and the spread.
    mean, spread : float
        Posterior means of the mean and of the standard deviation of the true values.
    reliability : float
        Spread² ÷ (spread² + mean squared standard error): the share of what differs that is real.
    confidence : float
    """

    draws: np.ndarray | None
    mean: float
    spread: float
    reliability: float
    confidence: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each estimate against what it is shrunk to."""
        from clv.abm.selecting.pictures import shrunk_estimates

        return shrunk_estimates(self, ax)


def shrink_estimates(
    estimates: pd.DataFrame,
    standard_errors: pd.Series | None = None,
    *,
    draws: int = 400,
    seed: int = 0,
    confidence: float = 0.9,
    currency: str = "",
) -> Shrunk:
    """Shrink raw estimates with standard errors towards their common mean.

    Parameters
    ----------
    estimates : pandas.DataFrame
        Index (or column) account_id: clv, the raw estimate, and standard_error unless given beside.
    standard_errors : pandas.Series, optional
        By account_id.
    draws : int
        Draws of the true values; 0: none.
    seed : int
    confidence : float
        Probability that lower and upper hold.
    currency : str
        Written after money in the text.

    Returns
    -------
    Shrunk

    Raises
    ------
    DataError
        Fewer than three accounts, or a standard error that is missing or not above 0.
    SettingsError
        A confidence or a number of draws that cannot be.

    Notes
    -----
    estimateᵢ ~ Normal(θᵢ, sᵢ²), θᵢ ~ Normal(μ, τ²), flat priors on μ and on τ (Gelman 2006). μ is integrated out
    exactly and τ on a grid (Gelman et al. 2013, equations 5.17–5.21), so that the doubt about both is in the intervals:
    empirical Bayes (Efron & Morris 1975) with its own error. Choosing by raw estimates overstates what is chosen
    (Smith & Winkler 2006); choosing by posterior means does not, as far as the normal shapes hold. It assumes that the
    errors of two accounts have nothing in common, and that all accounts come from one population: split a book of
    several kinds, or subtract what is known of each kind first.
    """
    if not 0 < confidence < 1 or draws < 0 or int(draws) != draws:
        raise SettingsError(
            f"confidence {confidence} or draws {draws} cannot be.", mend="Give a probability and a whole number."
        )
    table = value_table(estimates)
    given = table.get("standard_error") if standard_errors is None else standard_errors
    if given is None:
        raise DataError(
            "the column is missing.", mend="Give the standard error of each estimate.", table="estimates",
            column="standard_error",
        )  # fmt: skip
    given = given.set_axis(given.index.astype(str))
    y, s = table["clv"].to_numpy(float), given.reindex(table.index).to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.isfinite(s) & (s > 0))
    if bad.any():
        raise DataError(
            f"the standard error of account {table.index[bad][0]!r} is {s[bad][0]} ({int(bad.sum()):,} such in all).",
            mend="Give a number above 0 for every account.", table="estimates", column="standard_error",
        )  # fmt: skip
    if len(y) < 3:
        raise DataError(
            f"{len(y)} accounts cannot tell how far true values differ.", mend="Give three or more.", table="estimates"
        )
    tau, weight, centre, error = _grid(y, s)
    mean, second = np.zeros(len(y)), np.zeros(len(y))
    own = np.zeros(len(y))
    for t, w, m, v in zip(tau, weight, centre, error**2, strict=True):
        keep = t**2 / (t**2 + s**2)
        at = keep * y + (1 - keep) * m
        mean += w * at
        second += w * (keep * s**2 + (1 - keep) ** 2 * v + at**2)
        own += w * keep
    sd = np.sqrt(np.maximum(second - mean**2, 0.0))
    drawn = _draw(y, s, (tau, weight, centre, error), int(draws), np.random.default_rng(seed)) if draws else None
    if drawn is None:
        from scipy.special import ndtri

        reach = float(ndtri(0.5 + confidence / 2))
        lower, upper = mean - reach * sd, mean + reach * sd
    else:
        lower, upper = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    found = pd.DataFrame(
        {"estimate": y, "standard_error": s, "clv": mean, "lower": lower, "upper": upper, "weight": own},
        index=table.index,
    )
    spread = float(weight @ tau)
    real = float(weight @ (tau**2 / (tau**2 + np.mean(s**2))))
    text = (
        f"{len(y):,} estimates, of whose differences {real:.0%} are real and the rest is luck: the true values lie"
        f" about {money(float(weight @ centre), currency)} with a standard deviation of {money(spread, currency)}."
        f" The estimates are drawn towards that mean, those with large errors most; the highest falls from"
        f" {money(float(y.max()), currency)} to {money(float(mean[np.argmax(y)]), currency)}."
    )
    return Shrunk(found, text, drawn, float(weight @ centre), spread, real, float(confidence))


def _grid(y: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Posterior of τ on a grid: τ, its weight, and mean and standard error of μ given it."""
    low = float(s.min())
    top = max(float(np.std(y, ddof=1)), low)
    # Quadratic spacing: fine near 0, where a reliable mean of all and a spread of none are told apart.
    grid = 6 * top * np.linspace(0, 1, _GRID) ** 2
    for _ in range(2):  # once over all that could be, once over what is likely
        log, centre, error = np.empty(len(grid)), np.empty(len(grid)), np.empty(len(grid))
        for k, t in enumerate(grid):
            precision = 1 / (t**2 + s**2)
            error[k] = precision.sum() ** -0.5
            centre[k] = (precision @ y) * error[k] ** 2
            log[k] = np.log(error[k]) + 0.5 * np.log(precision).sum() - 0.5 * precision @ (y - centre[k]) ** 2
        likely = np.flatnonzero(log > log.max() - 20)
        low_at, high_at = grid[max(0, likely[0] - 1)], grid[min(len(grid) - 1, likely[-1] + 1)]
        nodes, grid = grid, np.linspace(low_at, high_at, _GRID)
    width = np.gradient(nodes)
    weight = np.exp(log - log.max()) * width
    return nodes, weight / weight.sum(), centre, error


def _draw(
    y: np.ndarray,
    s: np.ndarray,
    grid: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw true values: τ from the grid, μ given τ, then every account given both."""
    tau, weight, centre, error = grid
    # Evenly through the grid's distribution, in a shuffled order.
    at = np.searchsorted(np.cumsum(weight), (rng.permutation(draws) + rng.random(draws)) / draws).clip(max=len(tau) - 1)
    out = np.empty((len(y), draws), dtype=np.float32)
    for column, k in enumerate(at):
        mu = centre[k] + error[k] * rng.standard_normal()
        keep = tau[k] ** 2 / (tau[k] ** 2 + s**2)
        out[:, column] = keep * y + (1 - keep) * mu + np.sqrt(keep) * s * rng.standard_normal(len(y))
    return out
