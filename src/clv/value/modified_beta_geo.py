"""The MBG/NBD model: as BG/NBD, but an account may be gone after its very first purchase."""

from __future__ import annotations

from typing import ClassVar

from clv.value.beta_geo_family import BetaGeoFamily
from clv.value.estimation.priors import Prior


class ModifiedBetaGeoModel(BetaGeoFamily):
    """Modified beta-geometric / negative binomial model of purchases (MBG/NBD).

    While alive, an account buys at rate λ ~ Gamma(r, alpha); after each purchase, the first included, it drops out with
    probability p ~ Beta(a, b); λ and p are independent. Unlike under BG/NBD an account that never came back may be
    gone.

    Parameters
    ----------
    prior : {None, "weak", "auto"}
        See `clv.value.estimation.base.Estimator`; weak priors as for `BetaGeoModel`.

    Attributes
    ----------
    params_ : pandas.Series
        r, alpha (in the summary's unit), a, b.

    Notes
    -----
    The likelihood may have several maxima; the fit starts from five places and keeps the highest.

    References
    ----------
    Batislam, E. P., Denizel, M. & Filiztekin, A. (2007). Empirical validation and comparison of models for customer
    base analysis. International Journal of Research in Marketing 24(3), 201-209.
    Hoppe, D. & Wagner, U. (2007). Customer base analysis: the case for a central variant of the betageometric/NBD
    model. Marketing - Journal of Research and Management 3(2), 75-90.
    """

    _modified: ClassVar[int] = 1

    def __init__(self, *, prior: Prior = None) -> None:
        super().__init__(prior=prior)

    @property
    def _steps(self) -> int:
        return 1
