"""What a planner has seen of each account, and what he forecasts from it: refreshed by every quarter's purchases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.loop.shrinkage import Floats

if TYPE_CHECKING:
    from clv.data.simulate import Universe

#: weeks in a quarter of a year.
WEEKS = 13
#: standard deviations from what is expected beyond which a margin counts as no farther off.
TAIL = 2.5


@dataclass(frozen=True)
class Quarter:
    """What came of each account in one quarter; arrays of shape (N,).

    Attributes
    ----------
    purchases : numpy.ndarray of int
    sales : numpy.ndarray
        Money of them.
    last : numpy.ndarray
        Weeks into the quarter of the last one; 0 where there was none.
    """

    purchases: NDArray[np.int64]
    sales: Floats
    last: Floats


@dataclass(frozen=True)
class Records:
    """Purchases up to today, as the value models take them.

    Attributes
    ----------
    summary : pandas.DataFrame
        Index account_id; frequency, recency, T (weeks of an account outside any programme), monetary_value.
    margin : float
        Of sales.
    """

    summary: pd.DataFrame
    margin: float

    @classmethod
    def of(cls, universe: Universe, margin: float, *, before: float = 0) -> tuple[Records, pd.Series]:
        """Read a universe's purchases up to `before` weeks from its end, and each account's sales after that day."""
        from clv.data.summary import summarise

        lines = universe.tables["transactions"]
        lines = lines.loc[lines["amount"] > 0, ["account_id", "date", "amount"]]
        day = pd.Timestamp(universe.as_of) - pd.Timedelta(weeks=before)
        known = lines["date"] < day
        summary = summarise(lines[known] if before else lines, as_of=day, unit="W")
        later = lines[~known].groupby("account_id")["amount"].sum()
        return cls(summary, margin), later.reindex(summary.index, fill_value=0.0)

    def forecast(self, weeks: float = WEEKS) -> Floats:
        """Margin expected of each account in so many weeks without a programme (BG/NBD and Gamma-Gamma, refitted).

        Returns
        -------
        numpy.ndarray, shape (N,)
        """
        from clv.value.beta_geo import BetaGeoModel
        from clv.value.gamma_gamma import GammaGammaModel

        purchases, spend = BetaGeoModel(prior="auto").fit(self.summary), GammaGammaModel(prior="auto").fit(self.summary)
        expected = purchases.expected_purchases(self.summary, weeks).to_numpy(float)
        return self.margin * expected * spend.expected_spend(self.summary).to_numpy(float)

    def after(self, quarter: Quarter, faster: Floats) -> Records:
        """Add a quarter's purchases.

        Parameters
        ----------
        quarter : Quarter
        faster : numpy.ndarray, shape (N,)
            How many times as many purchases the account's tier is believed to have made of it: its quarter counts as
            so many more weeks, or else what a programme bought would be forecast as if it came by itself.
        """
        old, new = self.summary, quarter.purchases
        count = old["frequency"].to_numpy() + new
        recency = np.where(new > 0, old["T"] + faster * quarter.last, old["recency"])
        sales = old["monetary_value"] * old["frequency"] + quarter.sales
        summary = old.assign(
            frequency=count, recency=recency, T=old["T"] + faster * WEEKS,
            monetary_value=np.where(count > 0, sales / np.maximum(count, 1), 0.0),
        )  # fmt: skip
        return replace(self, summary=summary)


@dataclass(frozen=True)
class Noise:
    """Variance of an account's quarterly margin about what is expected of it: ``orders·v + error·v²``.

    The first part is the luck of few orders, the second the error of the forecast itself.
    """

    orders: float
    error: float

    def variance(self, expected: Floats) -> Floats:
        """Variance where `expected` is forecast."""
        return self.orders * expected + self.error * expected**2

    def moderate(self, expected: Floats, margin: Floats) -> Floats:
        """Bring margins within `TAIL` standard deviations of what is expected: a giant order decides nothing alone."""
        reach = TAIL * np.sqrt(self.variance(expected))
        return np.clip(margin, expected - reach, expected + reach)

    @classmethod
    def of(cls, expected: Floats, margin: Floats, *, rounds: int = 12) -> Noise:
        """Estimate it from the whole book, by pseudo-likelihood (Davidian & Carroll 1987, *JASA* 82, section 3.1).

        Squared residuals are regressed on v and v² with weights 1/variance², no coefficient below 0, round after round,
        residuals of more than `TAIL` standard deviations counted as such (Huber 1964, proposal 2). Accounts of which
        less than half the mean is expected are left out: nearly all of them order nothing, and none gets a lot.
        """
        from scipy.optimize import nnls

        seen = expected > 0.5 * expected.mean() if len(expected) else np.zeros(0, dtype=bool)
        v, square = expected[seen], (margin - expected)[seen] ** 2
        if not len(v) or not square.any():
            return cls(1.0, 1.0)
        middle = float(np.median(v))
        sides, size = np.column_stack([v * middle, v**2]), v * middle + v**2
        for _ in range(rounds):
            tamed = np.minimum(square, TAIL**2 * size)
            found, _ = nnls(sides / size[:, None], tamed / size)
            size = np.maximum(sides @ found, 1e-3 * v * middle)
        return cls(float(found[0]) * middle, float(found[1]))
