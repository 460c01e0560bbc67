"""The smallest change that would put an account on the other side of the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.selecting.effects import odds_raised

if TYPE_CHECKING:
    from clv.abm.selecting.incremental import IncrementalValue


def bars(score: np.ndarray, size: int, capacity: int | None) -> np.ndarray:
    """Return the score that each ranked account has to pass to change sides.

    Parameters
    ----------
    score : numpy.ndarray, shape (accounts,)
        Falling.
    size : int
        Accounts that are in.
    capacity : int or None

    Returns
    -------
    numpy.ndarray
        The first score outside, or 0, for those in; the last one inside, or 0 where there is room, for those out.
    """
    out = max(0.0, float(score[size])) if size < len(score) else 0.0
    into = float(score[size - 1]) if capacity is not None and size and size == capacity else 0.0
    return np.where(np.arange(len(score)) < size, out, into)


def value_flips(ids: pd.Index, clv: np.ndarray, cost: np.ndarray, bar: np.ndarray) -> pd.DataFrame:
    """Find the smallest relative change of value or of the cost to serve that flips each account.

    Parameters
    ----------
    ids : pandas.Index
    clv, cost, bar : numpy.ndarray, shape (accounts,)

    Returns
    -------
    pandas.DataFrame
        Index `ids`: driver, now, then (its value just at the bar), change (then ÷ now − 1). Empty where no change of
        one driver is enough.
    """
    return _smallest(ids, {"value": (clv, bar + cost, clv > 0), "cost to serve": (cost, clv - bar, cost > 0)})


def incremental_flips(value: IncrementalValue, ids: pd.Index, bar: np.ndarray) -> pd.DataFrame:
    """Find the smallest change of one driver that flips each account of an incremental value.

    Parameters
    ----------
    value : IncrementalValue
    ids : pandas.Index
        Order of the ranking.
    bar : numpy.ndarray

    Returns
    -------
    pandas.DataFrame
        As `value_flips`; drivers: value (customers), chance and once won (prospects), programme cost. An account is in
        as long as any tier is worth its place: a fall from one tier to the next flips nothing.
    """
    table = value.table.loc[ids]
    customer = (table["kind"] == "customer").to_numpy()[:, None]
    up, win, cost = (np.array([getattr(e, name) for e in value.effects]) for name in ("uplift", "win", "cost"))
    base, won, chance = (table[name].to_numpy(float)[:, None] for name in ("base", "once_won", "chance"))
    lift = odds_raised(chance, win) - chance
    gain = np.where(customer, up * np.maximum(base, 0.0), lift * won)
    inside = (gain - cost).max(axis=1) > bar
    need = bar[:, None] + cost
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = _least(np.where(up > 0, need / up, np.nan))
        won_then = _least(np.where(lift > 0, need / lift, np.nan))
    chance_then = _chance(need / np.where(won > 0, won, np.nan), win, chance)
    cost_now, cost_then = _costs(gain - bar[:, None], cost, inside)
    base, won, chance, known = base[:, 0], won[:, 0], chance[:, 0], customer[:, 0]
    return _smallest(
        ids,
        {
            "value": (base, worth, known & (base > 0)),
            "chance": (chance, chance_then, ~known & (won > 0) & (chance > 0)),
            "once won": (won, won_then, ~known & (won > 0)),
            "programme cost": (cost_now, cost_then, cost_now > 0),
        },
    )


def _least(values: np.ndarray) -> np.ndarray:
    """Return the least number of each row; NaN where there is none."""
    least = np.where(np.isnan(values), np.inf, values).min(axis=1)
    return np.where(np.isfinite(least), least, np.nan)


def _costs(spare: np.ndarray, cost: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Say from what to what the cost of one tier has to go: up where the account is in by that tier alone, else down.

    Parameters
    ----------
    spare : numpy.ndarray, shape (accounts, tiers)
        Cost at which the tier would be just at the bar.
    cost : numpy.ndarray, shape (tiers,)
    inside : numpy.ndarray of bool, shape (accounts,)
    """
    over = spare - cost > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.where(cost > 0, spare / cost, -np.inf)
    best, rows = near.argmax(axis=1), np.arange(len(spare))
    only = over.argmax(axis=1)
    at = np.where(inside, only, best)
    then = spare[rows, at]
    return cost[at], np.where(inside & (over.sum(axis=1) != 1), np.nan, then)


def _chance(target: np.ndarray, odds: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Find the nearest chance at which some tier is just worth its place; NaN where there is none.

    Solves o p (1 − p) / (1 + o p) = target for each tier, shape (accounts, tiers). Between its two roots a tier is
    worth it, beyond them not, and the roots of all tiers surround nearly the same chance, so that an account is in
    between the least and the largest root of all.
    """
    half = (1 - target) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(half**2 - target / odds)
    low, high = _least(half - root), -_least(-(half + root))
    now = now[:, 0]
    low, high = (np.where((x > 0) & (x < 1), x, np.nan) for x in (low, high))
    near = np.where(np.isnan(high) | (np.abs(low - now) <= np.abs(high - now)), low, high)
    return np.asarray(near)


def _smallest(ids: pd.Index, drivers: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Choose the driver with the smallest relative change, of those that can move at all and stay above 0."""
    names = np.array(list(drivers), dtype=object)
    now = np.column_stack([np.where(can, a, np.nan) for a, _, can in drivers.values()])
    then = np.column_stack([np.where(can & (b > 0), b, np.nan) for _, b, can in drivers.values()])
    with np.errstate(divide="ignore", invalid="ignore"):
        change = then / now - 1
    size = np.where(np.isfinite(change), np.abs(change), np.inf)
    best, rows = size.argmin(axis=1), np.arange(len(size))
    there = np.isfinite(size[rows, best])
    return pd.DataFrame(
        {
            "driver": pd.array(np.where(there, names[best], None), dtype="object"),
            "now": np.where(there, now[rows, best], np.nan),
            "then": np.where(there, then[rows, best], np.nan),
            "change": np.where(there, change[rows, best], np.nan),
        },
        index=ids,
    )
