"""The rules behind the labels loyal, retained and superconsumer (rules A2 and C5); see `clv.churn.loyalty.loyalty`."""

from __future__ import annotations

import numpy as np
import pandas as pd


def labels(
    discount: pd.DataFrame, season: pd.DataFrame, wallet: pd.DataFrame, count: np.ndarray, gone: np.ndarray,
    majority: float, least_orders: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Label each account and say by which rule; comparisons with what is unknown are false."""
    told = (wallet["wallet"].notna() & ~wallet["error"]).to_numpy()
    reasons = {
        "on discount": ((discount["lower"] > majority) & (discount["of"] >= least_orders)).to_numpy(),
        "in season": ((season["lower"] > majority) & (season["of"] >= least_orders)).to_numpy(),
        "small share of wallet": told & (wallet["upper"] < majority).to_numpy(),
    }
    full = (discount["upper"] < majority).to_numpy() & (season["upper"] < majority).to_numpy()
    most = ~told | (wallet["lower"] > majority).to_numpy()
    loyal = full & most & (count >= least_orders) & ~gone
    retained = np.logical_or.reduce(list(reasons.values())) & ~gone
    label = np.select([retained, loyal], ["retained", "loyal"], "unknown").astype(object)
    named = [
        ", ".join(name for name, flags in reasons.items() if flags[i]) if retained[i] else "" for i in range(len(count))
    ]
    no_season, no_discount = season["share"].isna().to_numpy(), discount["share"].isna().to_numpy()
    why = np.select(
        [gone, retained, loyal, count < least_orders, no_discount, no_season],
        ["gone, or silent too long", named, "at full price, all year", "too few orders", "discounts are not known",
         "less than two years with orders"],
        "the counts do not decide",
    )  # fmt: skip
    return label, why.astype(object)


def superconsumer(
    orders: pd.DataFrame, discount: pd.DataFrame, wallet: pd.DataFrame, ids: pd.Index, last: pd.Timestamp, top: float,
    majority: float,
) -> np.ndarray:  # fmt: skip
    """Tell who buys much, often and at full price; unknown where discounts are not."""
    year = orders[orders["day"] > last - pd.Timedelta(days=365)]
    often = year.groupby("account_id").size().reindex(ids, fill_value=0).to_numpy(float)
    much = wallet["money"].to_numpy(float)
    active = often > 0
    if not active.any():
        return np.full(len(ids), "no", dtype=object)
    high = active & (much >= np.quantile(much[active], 1 - top)) & (often >= np.quantile(often[active], 1 - top))
    full, reduced = (discount["upper"] < majority).to_numpy(), (discount["lower"] > majority).to_numpy()
    return np.select([~high, full, reduced], ["no", "yes", "no"], "unknown").astype(object)
