"""A model of another package beside ours: anything that is fitted on frequency, recency and T.

The package itself is never imported here; whoever compares hands its object in.
"""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from clv.errors import FitError, NotFittedError
from clv.value.estimation.checks import check_unit, purchase_history, unit_of, weights


class PeerModel(BaseEstimator):
    """Adapter to the names that ``lifetimes`` made common, for comparisons only.

    Parameters
    ----------
    fitter : object
        Has ``fit(frequency, recency, T)`` and
        ``conditional_expected_number_of_purchases_up_to_time(t, frequency, recency, T)``. It is copied before it is
        fitted.

    Attributes
    ----------
    fitter_ : object
        The fitted copy.
    unit_ : str or None
    """

    def __init__(self, fitter: Any) -> None:
        self.fitter = fitter

    def fit(self, summary: pd.DataFrame, y: Any = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Fit a copy of the peer.

        Raises
        ------
        clv.errors.FitError
            With the peer's own words, where it fails.
        """
        history = purchase_history(summary)
        weight = weights(sample_weight, summary)
        fitter = copy.deepcopy(self.fitter)
        try:
            with silence():
                fitter.fit(*history, **({} if weight is None else {"weights": weight}))
        except Exception as error:  # a peer may raise anything
            said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(". ")
            raise FitError(f"{type(self.fitter).__name__}: {said}.") from error
        self.fitter_, self.unit_ = fitter, unit_of(summary)
        return self

    def expected_purchases(self, summary: pd.DataFrame, t: float) -> pd.Series:
        """Return the expected purchases of each account in time `t`, as the peer has them."""
        if not hasattr(self, "fitter_"):
            raise NotFittedError("this PeerModel is not fitted.", mend="Call PeerModel.fit(summary) first.")
        check_unit(self.unit_, summary)
        history = purchase_history(summary)
        with silence():
            ahead = self.fitter_.conditional_expected_number_of_purchases_up_to_time(t, *history)
        return pd.Series(np.asarray(ahead, dtype=float), index=summary.index, name="expected_purchases")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fitter_")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep what a peer prints and warns of out of our pages: what counts is its answer, or its error."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
