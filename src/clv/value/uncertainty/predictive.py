"""What may really come in: purchases of single accounts drawn one by one, and the money of each.

A credible interval bounds an account's own *expectation*. What it will in fact buy scatters around that; the predictive
interval holds this chance as well. Given the hidden state, purchases ahead are a Poisson process that ends when the
account drops out, so that counts and times are drawn exactly, without steps in time:

- M ~ Poisson(λH) purchases would be made within the horizon H, at times that are uniform;
- where dropping out takes a purchase, the K-th one is the last, K ~ Geometric(p): N = min(M, K) are made, the last at
  the K-th of M ordered uniform times, H · Beta(K, M − K + 1), the others uniform before it;
- where an account can drop out at any time, H becomes min(H, τ), τ ~ Exponential(μ).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.errors import SettingsError
from clv.value.estimation.checks import Floats
from clv.value.expectation.hidden import hidden_states
from clv.value.uncertainty.credible import DrawsPurchases, DrawsSpend

Counts = NDArray[np.int64]
#: purchases of each cell (account, draw), and when: one entry a purchase, cell after cell; None if not asked for.
Future = tuple[Counts, Floats | None]

_CELLS = 250_000
#: without a horizon purchases are drawn until a discount factor of e^−20.
_FADED = 20.0
#: expected purchases within a horizon above this are cut: no account makes them.
_MOST = 1e9


class DrawsFuture(DrawsPurchases, Protocol):
    """A purchase model that can draw purchases."""

    def draw_future(
        self,
        alive: NDArray[np.bool_],
        rate: Floats,
        hazard: Floats,
        *,
        horizon: float,
        rng: np.random.Generator,
        times: bool = False,
    ) -> Future:
        """Draw purchases ahead from drawn hidden states."""


class DrawsMoney(DrawsSpend, Protocol):
    """A spend model that can draw the money of purchases."""

    def draw_money(
        self, parameters: Floats, mean: Floats, count: NDArray[Any], draw: NDArray[np.intp], rng: np.random.Generator
    ) -> Floats:
        """Draw the money of `count` purchases of accounts with a given mean spend."""


def leaving_with_a_purchase(
    alive: NDArray[np.bool_], rate: Floats, hazard: Floats, *, horizon: float, rng: np.random.Generator, times: bool
) -> Future:
    """Draw purchases of accounts that may drop out after each of them, with probability hazard / rate.

    Parameters
    ----------
    alive : ndarray of bool
    rate, hazard : ndarray
        λ and λp, of one shape.
    horizon : float
        Finite.
    rng : numpy.random.Generator
    times : bool
        Whether to draw the times too.

    Returns
    -------
    count : ndarray of int
        The purchase after which the account is gone is counted.
    times : ndarray or None
    """
    possible = rng.poisson(np.minimum(rate * alive * horizon, _MOST))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        dropout = np.where(rate > 0, np.minimum(hazard / rate, 1.0), 0.0)
        last = np.ceil(rng.standard_exponential(rate.shape) / -np.log1p(-dropout))
    last = np.maximum(np.nan_to_num(last, nan=1.0, posinf=2 * _MOST), 1.0)
    gone = last <= possible
    count = np.where(gone, last, possible).astype(np.int64)
    if not times:
        return count, None
    end = np.full(rate.shape, horizon)
    end[gone] *= rng.beta(last[gone], possible[gone] - last[gone] + 1)
    return count, _times(count, end, gone, rng)


def leaving_any_time(
    alive: NDArray[np.bool_], rate: Floats, hazard: Floats, *, horizon: float, rng: np.random.Generator, times: bool
) -> Future:
    """Draw purchases of accounts that drop out at rate `hazard`, whether they buy or not.

    Parameters and returns as `leaving_with_a_purchase`; λ and μ.
    """
    with np.errstate(divide="ignore", over="ignore"):
        end = np.minimum(rng.standard_exponential(rate.shape) / hazard, horizon)
    count = rng.poisson(np.minimum(rate * alive * end, _MOST)).astype(np.int64)
    return count, _times(count, end, np.zeros(count.shape, dtype=bool), rng) if times else None


def _times(count: Counts, end: Floats, last_at_end: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Draw times: uniform before `end`, but the last one at `end` where that is so."""
    flat = count.ravel()
    out = np.repeat(end.ravel(), flat)
    drawn = rng.random(len(out))
    drawn[np.cumsum(flat)[last_at_end.ravel()] - 1] = 1.0
    out *= drawn
    return out


def future_of(model: Any) -> DrawsFuture:
    """Check that a model can draw purchases."""
    if not hasattr(model, "draw_future"):
        raise SettingsError(
            f"{type(model).__name__} cannot draw single purchases.", mend='Use interval="credible" with this model.'
        )
    return model


def count_draws(
    purchases: DrawsFuture, summary: pd.DataFrame, *, horizon: float, draws: int, rng: np.random.Generator
) -> Iterator[tuple[slice, Counts]]:
    """Draw the purchases that each account makes within a horizon, a block of accounts at a time.

    Parameters
    ----------
    purchases : fitted model
    summary : pandas.DataFrame
    horizon : float
        In the summary's unit, finite.
    draws : int
    rng : numpy.random.Generator

    Yields
    ------
    rows : slice
    counts : ndarray of int, shape (accounts in the block, draws)
    """
    buying = purchases.sample_posterior(draws, rng).to_numpy()
    for rows in _blocks(len(summary), draws):
        hidden = hidden_states(purchases, buying, summary.iloc[rows], rng)
        yield rows, purchases.draw_future(*hidden, horizon=horizon, rng=rng)[0]


def predictive_draws(
    purchases: DrawsPurchases,
    spend: DrawsSpend,
    summary: pd.DataFrame,
    *,
    horizon: float,
    discount: float,
    margin: float,
    draws: int,
    seed: int,
) -> Iterator[tuple[slice, Floats]]:
    """Draw the discounted margin that each account will in fact bring, a block of accounts at a time.

    Parameters and yields as `clv.value.uncertainty.credible.margin_draws`.

    Raises
    ------
    clv.errors.SettingsError
        If a model cannot draw single purchases, or if there is neither horizon nor discounting.
    """
    model, rng = future_of(purchases), np.random.default_rng(seed)
    if not hasattr(spend, "draw_money"):
        raise SettingsError(
            f"{type(spend).__name__} cannot draw the money of a purchase.", mend='Use interval="credible".'
        )
    if np.isinf(horizon) and discount == 0:
        raise SettingsError("purchases without end cannot be drawn.", mend="Give a horizon or a discount rate above 0.")
    end = min(horizon, _FADED / discount) if discount else horizon
    buying = model.sample_posterior(draws, rng).to_numpy()
    paying = spend.sample_posterior(draws, rng).to_numpy()
    for rows in _blocks(len(summary), draws):
        hidden = hidden_states(model, buying, summary.iloc[rows], rng)
        mean = spend.draw_spend(paying, summary.iloc[rows], rng)
        count, when = model.draw_future(*hidden, horizon=end, rng=rng, times=discount > 0)
        flat, which = count.ravel(), np.tile(np.arange(draws), len(count))
        if when is None:
            value = spend.draw_money(paying, mean.ravel(), flat, which, rng)
        else:
            cell = np.repeat(np.arange(len(flat)), flat)
            paid = spend.draw_money(paying, mean.ravel()[cell], np.ones(len(cell)), which[cell], rng)
            value = np.bincount(cell, paid * np.exp(-discount * when), minlength=len(flat))
        yield rows, margin * value.reshape(count.shape)


def _blocks(accounts: int, draws: int) -> Iterator[slice]:
    size = max(1, _CELLS // draws)
    for start in range(0, accounts, size):
        yield slice(start, start + size)
