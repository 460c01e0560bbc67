"""The BG/CNBD-k model: as BG/NBD, for accounts that buy more regularly than at random."""

from __future__ import annotations

from typing import ClassVar

from clv.value.estimation.chosen_steps import ChosenSteps
from clv.value.estimation.priors import Prior


class BetaGeoCNBDModel(ChosenSteps):
    """BG/CNBD-k model of regular purchases.

    While alive, an account's waits between purchases are Erlang-k: k steps at rate λ ~ Gamma(r, alpha) each; after each
    repeat purchase it drops out with probability p ~ Beta(a, b). Waits are the more regular the larger k is
    (coefficient of variation 1/√k); k = 1 is BG/NBD exactly (`BetaGeoModel`).

    Parameters
    ----------
    k : int, optional
        Steps from one purchase to the next, 1 to 50; None: that with the highest likelihood.
    prior : {None, "weak", "auto"}
        See `clv.value.estimation.base.Estimator`; weak priors as for `BetaGeoModel`.

    Attributes
    ----------
    k_ : int
        k of the fit.
    params_ : pandas.Series
        r, alpha (in the summary's unit), a, b. λ is the rate of steps: purchases come at λ/k.
    log_likelihoods_ : pandas.Series
        By k, if it was chosen.

    Notes
    -----
    Parameters need frequency, recency and T only. To compare likelihoods over k the summary may carry a column
    ``log_waits``, the sum of the logarithms of an account's waits; without it the likelihood is that of (x, t_x), to
    the measure by which k = 1 is the likelihood of BG/NBD (see `clv.value.likelihood.beta_geo_cnbd_likelihood`).

    Expectations are those of the model itself, by averaging over the phase in which each account is; not the
    approximation by an NBD with rate λ/k.

    References
    ----------
    Platzer, M. & Reutterer, T. (2016). Ticking away the moments: timing regularity helps to better predict customer
    activity. Marketing Science 35(5), 779-799.
    Reutterer, T., Platzer, M. & Schröder, N. (2021). Leveraging purchase regularity for predicting customer behavior
    the easy way. International Journal of Research in Marketing 38(1), 194-215.
    """

    _modified: ClassVar[int] = 0

    def __init__(self, *, k: int | None = None, prior: Prior = None) -> None:
        super().__init__(prior=prior)
        self.k = k
