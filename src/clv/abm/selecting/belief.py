"""Joint draws of what each tier changes about each account: one belief behind selection, tiers and forecast."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from clv.abm.selecting.effects import TierEffect, odds_raised
from clv.errors import DataError

if TYPE_CHECKING:
    from clv.abm.loop.response import Response
    from clv.abm.selecting.once_won import Prospects


@dataclass(frozen=True, eq=False)
class Belief:
    """Draws of accounts' values and of tiers' effects, from which the draws of any option follow.

    Attributes
    ----------
    customers : int
        Accounts that bought; prospects come after them.
    effects : list of TierEffect
    uplift, win : numpy.ndarray, shape (draws, tiers)
        Relative increase of a customer's margin, and of the odds that a prospect is won.
    serve : float
        Cost to serve an account over the horizon.
    """

    customers: int
    effects: list[TierEffect]
    uplift: np.ndarray
    win: np.ndarray
    serve: float
    _own: np.ndarray | None = field(repr=False)
    _prospects: Prospects | None = field(repr=False)

    @property
    def draws(self) -> int:
        """How many draws there are."""
        return len(self.uplift)

    def settled(self) -> Belief:
        """Return the same with effects as they are believed in every draw: only accounts differ."""
        uplift, win = (np.broadcast_to(one.mean(axis=0), one.shape) for one in (self.uplift, self.win))
        return replace(self, uplift=uplift, win=win)

    def gain(self, place: int, rows: np.ndarray) -> np.ndarray:
        """Draws of what tier number `place` adds to some accounts, by their rows; float32 of shape (rows, draws)."""
        out = np.empty((len(rows), self.draws), dtype=np.float32)
        old = rows < self.customers
        if old.any():
            assert self._own is not None
            out[old] = np.maximum(self._own[rows[old]], 0) * self.uplift[:, place].astype(np.float32)
        if not old.all():
            assert self._prospects is not None
            assert self._prospects.chances is not None
            assert self._prospects.worth is not None
            at = rows[~old] - self.customers
            chance = self._prospects.chances[at]
            moved = odds_raised(chance, self.win[:, place].astype(np.float32)) - chance
            out[~old] = moved * (self._prospects.worth[at] - np.float32(self.serve))
        return out

    def net(self, best: np.ndarray) -> np.ndarray:
        """Draws of gain less cost of each account in one tier each, by its number; float32."""
        out = np.empty((len(best), self.draws), dtype=np.float32)
        for place, effect in enumerate(self.effects):
            rows = np.flatnonzero(best == place)
            out[rows] = self.gain(place, rows) - np.float32(effect.cost)
        return out


def draw_belief(
    own: np.ndarray | None,
    prospects: Prospects | None,
    effects: list[TierEffect],
    response: Response | None,
    *,
    customers: int,
    serve: float,
    seed: int,
) -> Belief | None:
    """Draw effects beside the draws of values; None unless customers and prospects, where there are any, have draws.

    Raises
    ------
    DataError
        Draws of both do not fit.
    """
    ahead = 0 if prospects is None else len(prospects.table)
    sizes = [] if not customers else [None if own is None else own.shape]
    if ahead:
        assert prospects is not None
        sizes.append(None if prospects.chances is None else prospects.chances.shape)
    if not sizes or any(size is None for size in sizes):
        return None
    shapes = [size for size in sizes if size is not None]
    fits = own is None or not customers or len(own) == customers
    if len({shape[1] for shape in shapes}) > 1 or not fits or shapes[0][1] == 0:
        raise DataError(
            f"draws of customers and prospects have the shapes {shapes} for {customers:,} and {ahead:,} accounts.",
            mend="Draw as many times for both.", table="value",
        )  # fmt: skip
    many = shapes[0][1]
    rng = np.random.default_rng(seed)
    pairs = [effect.drawn(many, rng) for effect in effects]
    uplift = np.column_stack([one for one, _ in pairs])
    if response is not None:
        uplift = _joint(response, effects, many, seed)
    return Belief(customers, effects, uplift, np.column_stack([two for _, two in pairs]), serve, own, prospects)


def _joint(response: Response, effects: list[TierEffect], draws: int, seed: int) -> np.ndarray:
    """Draw the uplifts of all tiers together, about their means, at least −1; shape (draws, tiers)."""
    drawn = response.draw(draws, seed=seed)[:, response.cell([effect.name for effect in effects])]
    # The mean is that of the belief, not of the luck of the draws.
    return np.asarray(np.maximum(drawn - drawn.mean(axis=0) + [effect.uplift for effect in effects], -1.0))
