"""What each play is worth for each account: the margin that it changes, draw by draw, and its expectation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.plays.measured import MeasuredUplift
from clv.churn.plays.process import Process, State, process_of
from clv.churn.plays.strength import Effect, draw_strength, effect_at
from clv.data.settings import Play
from clv.value.estimation.checks import Floats
from clv.value.expectation.hidden import hidden_states

#: cells (accounts × draws) worked on at a time.
_CELLS = 400_000
#: accounts on which the uplift of an experiment is matched to a strength.
_MATCHED = 2_000


@dataclass(frozen=True)
class Book:
    """What plays are worked out from.

    Attributes
    ----------
    purchases, spend : fitted models
    summary : pandas.DataFrame
    horizon, discount : float
        In the summary's unit; continuous.
    margin : float
    buying, paying : ndarray, shape (draws, k)
        Draws of the models' parameters.
    chance : ndarray, shape (accounts,)
        Chance of a return relative to that of an account that has just lapsed; 1 where it is not known.
    """

    purchases: Any
    spend: Any
    summary: pd.DataFrame
    horizon: float
    discount: float
    margin: float
    buying: Floats
    paying: Floats
    chance: Floats

    @property
    def draws(self) -> int:
        """Number of draws."""
        return len(self.buying)

    @property
    def process(self) -> Process:
        """How its accounts buy."""
        return process_of(self.purchases)

    def as_if_back(self) -> pd.DataFrame:
        """Return the summary as it would be if every account bought again now: what a second life is expected from.

        The silence counts: an account that comes back after it is taken to be slower than it was. Expected from its
        rhythm before the silence instead, second lives on real books came out a quarter too long.
        """
        now = self.summary.assign(frequency=self.summary["frequency"] + 1, recency=self.summary["T"])
        now.attrs = dict(self.summary.attrs)
        return now


@dataclass(frozen=True)
class Expected:
    """Closed expectations, shape (accounts,): P(alive), margin of a purchase, and discounted purchases.

    `alive_purchases` includes that the account may be gone; `second_purchases` are those after a return, the returning
    one included.
    """

    p_alive: Floats
    margin: Floats
    alive_purchases: Floats
    second_purchases: Floats


def expectations(book: Book) -> Expected:
    """Return the closed expectations of all accounts."""
    outlook = book.purchases.outlook(book.summary, book.discount, book.horizon)
    again = book.purchases.outlook(book.as_if_back(), book.discount, book.horizon)
    return Expected(
        outlook["p_alive"].to_numpy(float),
        book.margin * book.spend.expected_spend(book.summary).to_numpy(float),
        outlook["discounted_expected_purchases"].to_numpy(float),
        1 + again["discounted_expected_purchases"].to_numpy(float),
    )


def strengths(
    book: Book, plays: list[Play], measured: Mapping[str, MeasuredUplift], rng: np.random.Generator
) -> list[Floats]:
    """Draw the strength of each play's effect, shape (draws,): the same for all accounts in a draw."""
    drawn = []
    for play in plays:
        found = measured.get(play.name)
        uplift = _uplift_of(book, play, found, rng) if found is not None else None
        drawn.append(draw_strength(play, book.draws, rng, measured=found, uplift=uplift))
    return drawn


def _uplift_of(book: Book, play: Play, found: MeasuredUplift, rng: np.random.Generator) -> Callable[[float], float]:
    """Return u(κ): the relative uplift of what living accounts buy at a strength, over the experiment's accounts."""
    rows = np.flatnonzero(book.summary.index.astype(str).isin(found.accounts))
    rows = rows if len(rows) else np.arange(len(book.summary))
    if len(rows) > _MATCHED:
        rows = np.sort(rng.choice(rows, _MATCHED, replace=False))
    few = slice(0, min(book.draws, max(1, _CELLS // len(rows))))
    alive, *hidden = hidden_states(book.purchases, book.buying[few], book.summary.iloc[rows], rng)
    state = State(*hidden)
    base = float((book.process.purchases(state, horizon=book.horizon, discount=0.0) * alive).sum())

    def uplift(strength: float) -> float:
        effect = effect_at(play, np.array([strength]))
        bought = _purchases(book.process, state, effect, book.horizon, 0.0)
        return float((bought * alive).sum() * effect.spend[0]) / base - 1 if base > 0 else 0.0

    return uplift


def _purchases(process: Process, state: State, effect: Effect, horizon: float, discount: float) -> Floats:
    """Return discounted purchases of living accounts under an effect, the money of each left as it is."""
    changed = process.changed(state, rate=effect.rate, dropout=effect.dropout)
    value = process.purchases(changed, horizon=horizon, discount=discount)
    if (effect.next_purchase != 1).any():
        value = value + process.sooner(changed, effect.next_purchase, horizon=horizon, discount=discount)
    return value


def gains(
    book: Book,
    plays: list[Play],
    drawn: list[Floats],
    eligible: NDArray[np.bool_],
    expected: Expected,
    rng: np.random.Generator,
) -> Iterator[tuple[slice, Floats, Floats]]:
    """Work out the margin that each play adds, before its cost, a block of accounts at a time.

    Parameters
    ----------
    book : Book
    plays : list of Play
    drawn : list of ndarray, shape (draws,)
        Strength of each play's effect.
    eligible : ndarray of bool, shape (accounts, plays)
        Which play can be made for whom; the others are not worked out.
    expected : Expected
    rng : numpy.random.Generator

    Yields
    ------
    rows : slice
    mean : ndarray, shape (accounts in the block, plays)
        NaN where the play cannot be made. The model's closed expectation times the relative change over the draws of
        living accounts: what is random in P(alive) and in spend does not add noise to it.
    draws : ndarray, shape (accounts in the block, plays, draws)
    """
    process, horizon, discount = book.process, book.horizon, book.discount
    back = book.as_if_back()
    made = [effect_at(play, strength) for play, strength in zip(plays, drawn, strict=True)]
    returns = any((effect.reactivation > 0).any() for effect in made)
    block = max(1, _CELLS // (book.draws * max(1, len(plays))))
    for start in range(0, len(book.summary), block):
        rows = slice(start, start + block)
        alive, *hidden = hidden_states(book.purchases, book.buying, book.summary.iloc[rows], rng)
        state = State(*hidden)
        unit = book.margin * book.spend.draw_spend(book.paying, book.summary.iloc[rows], rng)
        base = process.purchases(state, horizon=horizon, discount=discount)
        # Where nothing at all is expected there is nothing to change.
        level = np.maximum(base.mean(axis=1), np.finfo(float).tiny)
        second = np.zeros_like(base)
        if returns:
            stayed, *later = hidden_states(book.purchases, book.buying, back.iloc[rows], rng)
            second = 1 + stayed * process.purchases(State(*later), horizon=horizon, discount=discount)
        mean = np.full((len(base), len(plays)), np.nan)
        draws = np.zeros((len(base), len(plays), book.draws))
        value = expected.margin[rows] * expected.alive_purchases[rows]
        fading = book.chance[rows]
        gone = expected.margin[rows] * (1 - expected.p_alive[rows]) * expected.second_purchases[rows] * fading
        for place, effect in enumerate(made):
            at = np.flatnonzero(eligible[rows, place])
            there = State(state.first[at], state.second[at])
            change = effect.spend * _purchases(process, there, effect, horizon, discount) - base[at]
            mean[at, place] = value[at] * change.mean(axis=1) / level[at] + gone[at] * effect.reactivation.mean()
            regained = effect.reactivation * fading[at, None] * second[at]
            draws[at, place] = unit[at] * np.where(alive[at], change, regained)
        yield rows, mean, draws
