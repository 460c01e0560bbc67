"""The chance of a return of a single account: by month since the lapse and by how often it had bought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from clv.churn.returning.hazard import ReturnHazard, Scale, elapsed
from clv.churn.returning.lapses import months_at_risk

Floats = NDArray[np.float64]

#: returns from which accounts are told apart at all.
FEWEST = 20
#: numbers of purchases above this are taken as it.
_MOST = 50


@dataclass(frozen=True)
class OwnHazard:
    """logit h = intercept + slope · `elapsed`(month) + loading · ln purchases.

    Attributes
    ----------
    intercept, slope, loading : float
        `slope` is not above 0: the chance is not let rise with time.
    scale : {"log", "linear"}
        As for the book.
    """

    intercept: float
    slope: float
    loading: float
    scale: Scale

    def at(self, month: ArrayLike, bought: ArrayLike) -> Floats:
        """Return the hazard in some months of accounts that had bought so often."""
        from scipy.special import expit

        often = np.log(np.clip(np.asarray(bought, dtype=float), 1, _MOST))
        return expit(self.intercept + self.slope * elapsed(month, self.scale) + self.loading * often)


def fit_own_hazard(
    lapses: pd.DataFrame, months: int, overall: ReturnHazard, *, entry: float | None = None
) -> OwnHazard:
    """Fit the hazard of single accounts to all months at risk.

    Parameters
    ----------
    lapses : pandas.DataFrame
        From `find_lapses`.
    months, entry
        As for `months_at_risk`.
    overall : ReturnHazard
        The book's, which stands for every account where returns are fewer than twenty.

    Notes
    -----
    A binomial model by statsmodels, one trial a month at risk. Trials at the mean rate are added at the ends of both
    scales, so that there is an optimum whatever the data. How often an account had bought is what tells those that come
    back from those that do not best, on the real books tried.
    """
    same = OwnHazard(overall.intercept, overall.slope, 0.0, overall.scale)
    kind = lapses["bought"].clip(upper=_MOST)
    parts = [months_at_risk(lapses[kind == n], months, entry=entry).assign(bought=n) for n in sorted(kind.unique())]
    if not parts:
        return same
    rows = pd.concat(parts).reset_index()
    rows = rows[rows["at_risk"] > 0]
    if rows["returned"].sum() < FEWEST or rows["bought"].min() == rows["bought"].max():
        return same
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    when, often = elapsed(rows["month"], overall.scale), np.log(rows["bought"].to_numpy(float))
    back, risk = rows["returned"].to_numpy(float), rows["at_risk"].to_numpy(float)
    rate = float(back.sum() / risk.sum())
    corners = np.array([[a, b] for a in (when.min(), when.max()) for b in (often.min(), often.max())])
    outcome = np.vstack([np.column_stack([back, risk - back]), [[rate, 1 - rate]] * 4])
    design = np.vstack([np.column_stack([when, often]), corners])
    design = np.column_stack([np.ones(len(design)), design])
    level, slope, loading = (float(value) for value in GLM(outcome, design, family=Binomial()).fit().params)
    if slope > 0 or when.min() == when.max():
        level, loading = (float(value) for value in GLM(outcome, design[:, [0, 2]], family=Binomial()).fit().params)
        slope = 0.0
    return OwnHazard(level, slope, loading, overall.scale)
