"""Simulated books for the benchmarks: known parameters, up to two years of history, times in days or in weeks."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from clv.value import BetaGeoModel, GammaGammaModel

Grid = Literal["days", "weeks"]

SPARSE = {"r": 0.45, "alpha": 7.0, "a": 0.8, "b": 2.5}  # two repeat purchases on average
DENSE = {"r": 1.5, "alpha": 5.0, "a": 0.8, "b": 6.0}  # nine
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}


def book(accounts: int, grid: Grid = "days", *, dense: bool = False, seed: int = 3) -> pd.DataFrame:
    """Draw a summary in weeks, all of whose times lie on a grid of days or of weeks.

    Parameters
    ----------
    accounts : int
    grid : {"days", "weeks"}
    dense : bool
        Nine repeat purchases an account in place of two.
    seed : int

    Returns
    -------
    pandas.DataFrame
        frequency, recency, T, monetary_value.
    """
    step = 1 if grid == "days" else 7
    T = np.random.default_rng(seed).integers(180 // step, 730 // step, accounts) * step / 7.0
    drawn = BetaGeoModel.from_parameters(unit="W", **(DENSE if dense else SPARSE)).simulate(T, seed + 1)
    on_grid = np.ceil(drawn["recency"] * 7 / step - 1e-9) * step / 7
    drawn["recency"] = np.minimum(on_grid, drawn["T"])
    money = GammaGammaModel.from_parameters(**SPEND).simulate(drawn["frequency"], seed + 2).round(2)
    drawn["monetary_value"] = np.where(drawn["frequency"] > 0, np.maximum(money, 0.01), 0.0)
    drawn.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": None}
    return drawn


def distinct_rows(summary: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the distinct purchase histories and how often each occurs: what our fit makes for itself."""
    counted = summary.groupby(["frequency", "recency", "T"], sort=True).size()
    return counted.index.to_frame(index=False), counted.to_numpy(dtype=float)
