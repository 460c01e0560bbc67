"""Surveyed wallets: the latest of each account, those that cannot be true, and what they say of the estimated ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.errors import DataError

Floats = NDArray[np.float64]

#: surveys from which the estimates are set to their level, and from which own sales are learnt from as well.
FEWEST_RATIO, FEWEST_LINE = 5, 20
#: surveys older than this say nothing of today.
OLD = pd.Timedelta(days=3 * 365)


class Calibration(NamedTuple):
    """How surveyed wallets relate to estimated ones.

    Attributes
    ----------
    log_potential : numpy.ndarray, shape (accounts,)
        Estimates set to the surveys' level.
    lower, upper : float
        Added to it for an interval: quantiles of the errors on surveys left out one at a time. NaN with too few.
    method : str
    ratio : float
        Median surveyed wallet ÷ estimate before.
    left_out_error : float
        Median absolute error in logarithms, on surveys left out.
    """

    log_potential: Floats
    lower: float
    upper: float
    method: str
    ratio: float
    left_out_error: float


def latest_wallets(wallets: pd.DataFrame | None, as_of: pd.Timestamp | None, accounts: pd.Index) -> pd.Series:
    """Return each account's latest surveyed wallet; missing where there is none.

    Raises
    ------
    clv.errors.DataError
        A column is missing, or a wallet is negative or no number.
    """
    none = pd.Series(np.nan, index=accounts)
    if wallets is None or wallets.empty:
        return none
    for name in ("account_id", "wallet"):
        if name not in wallets.columns:
            raise DataError("the column is missing.", table="wallets", column=name, mend="Rename the column.")
    rows = wallets.reset_index(drop=True)
    values = rows["wallet"].to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise DataError(
            f"holds a wallet that is no amount of money ({int(bad.sum()):,} such).", table="wallets", column="wallet",
            row=int(np.argmax(bad)) + 1, mend="Give the yearly demand, 0 or more.",
        )  # fmt: skip
    if "date" in rows.columns:
        rows = rows.sort_values("date", kind="stable")
        if as_of is not None:
            day = rows["date"].dt.normalize()
            rows = rows[((day <= as_of) & (day > as_of - OLD)).to_numpy()]
    latest = rows.groupby(rows["account_id"].astype(str))["wallet"].last().astype(float)
    return latest.reindex(accounts)


def calibrate(estimate: Floats, log_sales: Floats, log_wallet: Floats, *, confidence: float) -> Calibration:
    """Set estimates to the level of the surveys.

    Parameters
    ----------
    estimate : numpy.ndarray, shape (accounts,)
        Logarithm of the estimated potential.
    log_sales : numpy.ndarray, shape (accounts,)
        NaN where there are none.
    log_wallet : numpy.ndarray, shape (accounts,)
        NaN where it was not surveyed or cannot be true.
    confidence : float

    Notes
    -----
    With five surveys, the estimates are moved by the median difference of the logarithms. With twenty, a line in the
    estimate and own sales is tried (least squares with a weak ridge, so that few surveys cannot turn it far), and
    taken where it foretells surveys that were left out better. The interval is made of left-out errors, with the
    ranks of conformal prediction (Vovk et al. 2005; the jackknife of Barber et al. 2021): it covers a new survey of
    an account like the surveyed ones with that probability, nearly whatever the errors look like.
    """
    known = np.isfinite(log_wallet) & np.isfinite(estimate)
    n = int(known.sum())
    if n < FEWEST_RATIO:
        return Calibration(estimate, np.nan, np.nan, "none", float("nan"), float("nan"))
    gap = log_wallet[known] - estimate[known]
    left_out = np.array([gap[i] - np.median(np.delete(gap, i)) for i in range(n)])
    moved, method, error = estimate + np.median(gap), "ratio", left_out
    if n >= FEWEST_LINE:
        x = _design(estimate, log_sales, known)
        line, inner = _ridge(x[known], log_wallet[known])
        if np.mean(np.abs(inner)) < np.mean(np.abs(left_out)):
            moved, method, error = x @ line, "line", inner
    tail = (1 - confidence) / 2
    ranked = np.sort(error)
    low = int(np.floor(tail * (n + 1))) - 1
    high = int(np.ceil((1 - tail) * (n + 1))) - 1
    # With fewer surveys than the tails need, the largest errors seen stand for them.
    lower, upper = ranked[max(low, 0)], ranked[min(high, n - 1)]
    return Calibration(
        moved, float(lower), float(upper), method, float(np.exp(np.median(gap))), float(np.median(np.abs(error)))
    )


def _design(estimate: Floats, log_sales: Floats, known: NDArray[np.bool_]) -> Floats:
    """Stack a constant, the estimate, own sales (the mean where there are none) and whether there are any."""
    has = np.isfinite(log_sales)
    seen = has & known
    middle = float(np.mean(log_sales[seen])) if seen.any() else 0.0
    sales = np.where(has, log_sales, middle) - middle
    centre = float(np.mean(estimate[known]))
    return np.column_stack([np.ones(len(estimate)), estimate - centre, sales, has.astype(float) - 1.0])


def _ridge(x: Floats, y: Floats, strength: float = 1.0) -> tuple[Floats, Floats]:
    """Least squares with a ridge on all but the constant, and the errors with each row left out."""
    penalty = strength * np.diag([0.0, *np.ones(x.shape[1] - 1)])
    inverse = np.linalg.inv(x.T @ x + penalty)
    line = inverse @ (x.T @ y)
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    return line, (y - x @ line) / (1 - np.minimum(leverage, 0.999))
