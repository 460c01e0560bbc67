"""The smallest change that would put an account on the other side of the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

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
        As `value_flips`; drivers: value and effect (customers: both move the gain alike, so value stands for both),
        chance and once won (prospects), programme cost. The tier stays as it is.
    """
    table = value.table.loc[ids]
    customer = (table["kind"] == "customer").to_numpy()
    uplift = table["tier"].map({e.name: e.uplift for e in value.effects}).to_numpy(float)
    odds = table["tier"].map({e.name: e.win for e in value.effects}).to_numpy(float)
    cost, gain = table["cost"].to_numpy(float), table["gain"].to_numpy(float)
    base, won = table["base"].to_numpy(float), table["once_won"].to_numpy(float)
    chance = table["chance"].to_numpy(float)
    lift = (table["chance_with"] - table["chance"]).to_numpy(float)
    need = bar + cost
    with np.errstate(divide="ignore", invalid="ignore"):
        drivers = {
            "value": (base, need / uplift, customer & (uplift > 0) & (base > 0)),
            "chance": (chance, _chance(need / won, odds, chance), ~customer & (won > 0) & (chance > 0)),
            "once won": (won, need / lift, ~customer & (lift > 0) & (won > 0)),
            "programme cost": (cost, gain - bar, cost > 0),
        }
    return _smallest(ids, drivers)


def _chance(target: np.ndarray, odds: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Solve o p (1 − p) / (1 + o p) = target for the p nearest to now; NaN where there is none."""
    half = (1 - target) / 2
    root = np.sqrt(half**2 - target / odds)
    one, two = half - root, half + root
    near = np.where(np.abs(one - now) <= np.abs(two - now), one, two)
    return np.where((near > 0) & (near < 1) & (odds > 0), near, np.nan)


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
