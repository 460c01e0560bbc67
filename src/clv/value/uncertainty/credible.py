"""How sure is an account's value: draws of its own expected margin, from parameters and hidden state together.

Two things are unknown: the parameters of the book, and the account's own rate, dropout and spend. A draw takes both:
parameters from their posterior, then the account's hidden values from theirs, given its history. Its expected margin
is then closed, because purchases of a living account with rate λ and hazard μ fade as λ e^(−μs):

    alive · margin · spend · λ (1 − e^(−(δ+μ)H)) / (δ+μ).

What remains random, the purchases themselves, is left out: this is the credible interval of an expectation, not a
predictive interval of money that will come in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import pandas as pd

from clv.value.estimation.checks import Floats, History
from clv.value.expectation.hidden import hidden_states

#: cells (accounts × draws) worked on at a time; some 8 MB each in about ten arrays.
_CELLS = 1_000_000


class DrawsPurchases(Protocol):
    """A purchase model that can draw parameters and hidden states."""

    def sample_posterior(self, draws: int, seed: int | np.random.Generator = 0) -> pd.DataFrame:
        """Draw parameters."""

    def draw_latent(
        self, parameters: Floats, history: History, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw alive, rate and hazard of each account."""


class DrawsSpend(Protocol):
    """A spend model that can draw parameters and accounts' mean spend."""

    def sample_posterior(self, draws: int, seed: int | np.random.Generator = 0) -> pd.DataFrame:
        """Draw parameters."""

    def draw_spend(self, parameters: Floats, summary: pd.DataFrame, rng: np.random.Generator) -> Floats:
        """Draw each account's mean spend."""


def discounted_rate(rate: Floats, hazard: Floats, *, horizon: float, discount: float) -> Floats:
    """Return λ (1 − e^(−(δ+μ)H)) / (δ+μ), the discounted purchases of an account that is alive.

    Parameters
    ----------
    rate, hazard : ndarray
        λ and μ.
    horizon : float
        H; may be infinite if δ is above 0.
    discount : float
        δ, continuous.

    Returns
    -------
    ndarray
        λ H where δ + μ is 0.
    """
    force = discount + hazard
    if np.isinf(horizon):
        return rate / np.maximum(force, np.finfo(float).tiny)
    decay = force * horizon
    tiny = decay < 1e-12
    return rate * horizon * np.where(tiny, 1.0, -np.expm1(-decay) / np.where(tiny, 1.0, decay))


def margin_draws(
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
    """Draw each account's discounted expected margin, a block of accounts at a time.

    Parameters
    ----------
    purchases, spend : fitted models
    summary : pandas.DataFrame
    horizon : float
        In the summary's unit.
    discount : float
        Continuous rate per unit.
    margin : float
    draws, seed : int

    Yields
    ------
    rows : slice
        Which accounts.
    values : ndarray, shape (accounts in the block, draws)
        A column is one draw of the parameters, the same for every account and block.
    """
    rng = np.random.default_rng(seed)
    buying = purchases.sample_posterior(draws, rng).to_numpy()
    paying = spend.sample_posterior(draws, rng).to_numpy()
    discounted = getattr(purchases, "discounted_latent", discounted_rate)
    block = max(1, _CELLS // draws)
    for start in range(0, len(summary), block):
        rows = slice(start, start + block)
        alive, rate, hazard = hidden_states(purchases, buying, summary.iloc[rows], rng)
        value = discounted(rate, hazard, horizon=horizon, discount=discount)
        value *= margin * alive
        value *= spend.draw_spend(paying, summary.iloc[rows], rng)
        yield rows, value
