"""The models and rules that a backtest compares when nobody asks for others, in order of preference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def contenders(*, covariates: Sequence[str] = ()) -> dict[str, Any]:
    """Return unfitted models by name, the ones preferred among equals first.

    Purchase models have weak priors, so that small books are fitted too; where data are many these change nothing.

    Parameters
    ----------
    covariates : sequence of str
        Columns that the boosted challenger may learn from beside the history.

    Returns
    -------
    dict
    """
    from clv.value.beta_geo import BetaGeoModel
    from clv.value.beta_geo_cnbd import BetaGeoCNBDModel
    from clv.value.boosted import BoostedModel
    from clv.value.modified_beta_geo import ModifiedBetaGeoModel
    from clv.value.pareto_nbd import ParetoNBDModel
    from clv.value.validation.rules import LastYearRule, RecencyRule

    return {
        "BG/NBD": BetaGeoModel(prior="weak"),
        "Pareto/NBD": ParetoNBDModel(prior="weak"),
        "MBG/NBD": ModifiedBetaGeoModel(prior="weak"),
        "BG/CNBD-k": BetaGeoCNBDModel(prior="weak"),
        "boosted trees": BoostedModel(covariates=tuple(covariates)),
        "last year": LastYearRule(),
        "recency": RecencyRule(),
    }
