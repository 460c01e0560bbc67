"""How late renewals come: the chance that an account that renews lets its term be over for so many days first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from clv.churn.contracts.terms import ContractTerms

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RenewalDelays:
    """Delays of the renewals that were seen.

    Attributes
    ----------
    days : ndarray of float
        Days between the end of a term and the start of the next, ascending; 0 where it followed at once or earlier.
    """

    days: Floats

    def later(self, late: ArrayLike) -> Floats:
        """Return the chance that a renewal comes `late` days or more after the end of the term.

        Parameters
        ----------
        late : array-like of float
            Days for which the term has been over, 0 or more.

        Returns
        -------
        ndarray
            (k + 1) / (n + 1), k of the n renewals seen being that late: the account itself counts as one more, so that
            a delay never seen is improbable and not impossible. 1 at 0 days; falls with `late`; 1 throughout where no
            renewal was seen.
        """
        n = len(self.days)
        k = n - np.searchsorted(self.days, np.asarray(late, dtype=float), side="left")
        return np.asarray((k + 1) / (n + 1), dtype=float)


def renewal_delays(terms: ContractTerms) -> RenewalDelays:
    """Collect the delays of renewals.

    Parameters
    ----------
    terms : ContractTerms

    Returns
    -------
    RenewalDelays
        Of terms that ended so long ago that even the latest renewal that still counts as one would be in the table: of
        younger ones only the punctual have been renewed, and they would make every delay look unusual.
    """
    table = terms.table
    settled = table["end"] + pd.Timedelta(days=terms.grace + 1) <= pd.Timestamp(table.attrs["clv"]["as_of"])
    delay = table.loc[settled & (table["outcome"] == "renewed"), "delay"].dropna().clip(lower=0.0)
    return RenewalDelays(np.sort(delay.to_numpy(float)))


def still_customer(p_renew: Floats, later: Floats) -> Floats:
    """Return P(an account whose term is over will still renew), given that it has not so far (Bayes' rule).

    Parameters
    ----------
    p_renew : ndarray
        Probability of renewal, before the end.
    later : ndarray
        Chance that a renewal is that late.
    """
    stays = p_renew * later
    return np.divide(stays, stays + 1 - p_renew, out=np.zeros(len(stays)), where=stays > 0)
