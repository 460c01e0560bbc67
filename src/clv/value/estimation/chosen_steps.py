"""The choice of k in (M)BG/CNBD-k: given, or by likelihood."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import pandas as pd
from numpy.typing import ArrayLike

from clv.errors import SettingsError
from clv.value.beta_geo_family import BetaGeoFamily
from clv.value.estimation.checks import Floats


class ChosenSteps(BetaGeoFamily):
    """The part of (M)BG/CNBD-k that is about k: given, or chosen by likelihood."""

    _extra: ClassVar[tuple[str, ...]] = ("k_",)
    #: the largest k tried, and how many in a row may be worse than the best before the search ends.
    _most: ClassVar[int] = 20
    _patience: ClassVar[int] = 2

    k: int | None
    k_: float

    @property
    def _steps(self) -> int:
        """Return the k in use: the fitted one, else the given one."""
        return int(self.k_) if hasattr(self, "k_") else int(self.k or 1)

    def fit(self, summary: pd.DataFrame, y: Any = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model; for every k in turn where k is None, until the likelihood falls.

        Parameters
        ----------
        summary : pandas.DataFrame
            Columns frequency, recency, T; log_waits (sum of the logarithms of an account's waits) if it is known.
        y : ignored
        sample_weight : array-like, shape (accounts,), optional

        Returns
        -------
        Self
        """
        if self.k is not None:
            if isinstance(self.k, bool) or int(self.k) != self.k or not 1 <= self.k <= 50:
                raise SettingsError(f"k is {self.k!r}.", mend="Give a whole number from 1 to 50, or None to choose it.")
            self.k_ = int(self.k)
            return super().fit(summary, y, sample_weight=sample_weight)
        best, values, worse = None, {}, 0
        for k in range(1, self._most + 1):
            self.k_ = k
            super().fit(summary, y, sample_weight=sample_weight)
            values[k] = self.log_likelihood_
            if best is None or values[k] > best["log_likelihood_"]:
                best, worse = dict(self.__dict__), 0
            else:
                worse += 1
            if worse == self._patience:
                break
        assert best is not None
        self.__dict__.update(best)
        self.log_likelihoods_ = pd.Series(values, name="log_likelihood").rename_axis("k")
        return self

    def _keep(self, parameters: Floats, covariance: Floats) -> None:
        super()._keep(parameters, covariance)
        if hasattr(self, "k_"):
            self.k_ = int(self.k_)  # a saved model's numbers are read as floats

    @classmethod
    def from_parameters(cls, *, unit: str | None = None, **parameters: float) -> Self:
        """Make a model with known parameters as if it had been fitted.

        Parameters
        ----------
        unit : str, optional
        **parameters : float
            r, alpha, a, b, and k (1 if it is left out).

        Returns
        -------
        Self
        """
        k = int(parameters.pop("k", 1))
        model = super().from_parameters(unit=unit, **parameters)
        model.k, model.k_ = k, k
        return model
