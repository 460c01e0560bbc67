"""A score taken apart into what each of its drivers adds to the average account; the parts sum to the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from clv.abm.selecting.incremental import IncrementalValue

#: part -> how a sentence calls it.
DRIVERS = {
    "alive": "how sure it still buys",
    "purchases": "how much it buys",
    "spend": "the money of a purchase",
    "contracts": "its contracts",
    "value": "its value",
    "chance": "the chance to win it",
    "once won": "what it brings once won",
}


def value_contributions(table: pd.DataFrame, cost: np.ndarray) -> pd.DataFrame:
    """Take scores of customers apart.

    Parameters
    ----------
    table : pandas.DataFrame
        Index account_id: clv and, where they are known, p_alive, expected_spend and clv_transactions.
    cost : numpy.ndarray, shape (accounts,)
        Cost to serve.

    Returns
    -------
    pandas.DataFrame
        Index of `table`: ``average`` (the mean clv), then alive, purchases, spend and contracts, or value alone where
        the factors are not known, and cost; a row sums to clv − cost.

    Notes
    -----
    clv = P(alive) × discounted margin of purchases per unit of spend, if alive × spend + contracts. The three factors
    are compared with those of the average account by Shapley values (1953), which are closed for a product of three.
    """
    clv = table["clv"].to_numpy(float)
    parts, average = _parts(table, clv)
    parts.insert(0, "average", average)
    return parts.assign(cost=-cost)


def incremental_contributions(value: IncrementalValue) -> pd.DataFrame:
    """Take incremental values apart.

    Parameters
    ----------
    value : IncrementalValue

    Returns
    -------
    pandas.DataFrame
        Index account_id: ``average`` (what the tier changes about the average customer or prospect), then the parts
        of `value_contributions` times the tier's uplift, or chance and once won of prospects, and cost (of the tier);
        a row sums to net. Parts that an account does not have are 0.
    """
    table = value.table
    customer = (table["kind"] == "customer").to_numpy()
    uplift = {effect.name: effect.uplift for effect in value.effects}
    found: list[pd.DataFrame] = []
    if customer.any():
        some, drivers = table[customer], value.drivers
        clv = np.maximum(drivers["clv"].to_numpy(float), 0.0)
        parts, average = _parts(drivers, clv)
        u = some["tier"].map(uplift).to_numpy(float)
        parts = parts.mul(u, axis=0)
        parts.insert(0, "average", average * u)
        found.append(parts)
    if not customer.all():
        some = table[~customer]
        lift = (some["chance_with"] - some["chance"]).to_numpy(float)
        won = some["once_won"].to_numpy(float)
        lift0, won0 = _means(lift, some["tier"]), float(won.mean())
        found.append(
            pd.DataFrame(
                {
                    "average": lift0 * won0,
                    "chance": (lift - lift0) * (won + won0) / 2,
                    "once won": (won - won0) * (lift + lift0) / 2,
                },
                index=some.index,
            )
        )
    whole = pd.concat(found) if found else pd.DataFrame({"average": []}, index=table.index)
    return whole.reindex(table.index).fillna(0.0).assign(cost=-table["cost"].to_numpy(float))


def _means(values: np.ndarray, groups: pd.Series) -> np.ndarray:
    return pd.Series(values).groupby(groups.to_numpy()).transform("mean").to_numpy(float)


def _parts(table: pd.DataFrame, clv: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Differences from the average clv, by driver; and that average."""
    average = float(clv.mean()) if len(clv) else 0.0
    if not {"p_alive", "expected_spend"} <= set(table.columns) or not len(clv):
        return pd.DataFrame({"value": clv - average}, index=table.index), average
    bought = table["clv_transactions"].to_numpy(float) if "clv_transactions" in table else clv
    # A value that was raised to 0 has no parts.
    bought = np.where(table["clv"].to_numpy(float) == clv, np.nan_to_num(bought), 0.0)
    rest = clv - bought
    alive, spend = (table[name].to_numpy(dtype=float, na_value=np.nan) for name in ("p_alive", "expected_spend"))
    base = float(bought.mean())
    with np.errstate(invalid="ignore"):
        usable = (
            np.isfinite(alive) & np.isfinite(spend) & ((alive * spend > 0) | ((alive * spend == 0) & (bought == 0)))
        )
    if not usable.any() or alive[usable].mean() * spend[usable].mean() == 0:
        return pd.DataFrame({"value": clv - average}, index=table.index), average
    alive0, spend0 = float(alive[usable].mean()), float(spend[usable].mean())
    rate0 = base / (alive0 * spend0)
    # Where a factor is not known, all of the difference is put down to how much is bought.
    alive, spend = np.where(usable, alive, alive0), np.where(usable, spend, spend0)
    product = alive * spend
    rate = np.where(product > 0, bought / np.where(product > 0, product, 1.0), rate0)
    found = {
        "alive": _shapley(alive, alive0, rate, rate0, spend, spend0),
        "purchases": _shapley(rate, rate0, alive, alive0, spend, spend0),
        "spend": _shapley(spend, spend0, alive, alive0, rate, rate0),
    }
    if "clv_transactions" in table:
        found["contracts"] = rest - (average - base)
    return pd.DataFrame(found, index=table.index), average


def _shapley(a: np.ndarray, a0: float, b: np.ndarray, b0: float, c: np.ndarray, c0: float) -> np.ndarray:
    """Return what factor a adds to the product a·b·c against a0·b0·c0, averaged over the six orders."""
    return np.asarray((a - a0) * ((b * c + b0 * c0) / 3 + (b * c0 + b0 * c) / 6))
