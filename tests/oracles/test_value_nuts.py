"""Posterior draws against an independent NUTS run of pymc-marketing (benchmarks/peers/nuts_cdnow.py).

Both sides have the same data and the same log-normal priors. Tolerances are Monte-Carlo errors: with 3,000 to 8,000
effective draws a mean is known within 0.02 standard deviations, a 2.5 % quantile within 0.04.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv.value import BetaGeoModel, GammaGammaModel

REFERENCE = json.loads(Path(__file__).with_name("nuts_cdnow.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cdnow():
    wheel = Path(find_spec("lifetimes").origin).parent
    data = pd.read_csv(wheel / "datasets" / "cdnow_customers_summary_with_transactions.csv").set_index("ID")
    return data.set_axis(["frequency", "recency", "T", "monetary_value"], axis=1)


@pytest.mark.parametrize(("name", "model"), [("beta_geo", BetaGeoModel), ("gamma_gamma", GammaGammaModel)])
def test_posterior_is_that_of_nuts(cdnow, name, model):
    drawn = model(prior="weak").fit(cdnow).sample_posterior(4_000, seed=1)
    assert drawn.attrs["clv"]["method"] == "importance"
    for parameter, peer in REFERENCE[name]["parameters"].items():
        assert peer["r_hat"] < 1.01
        logs = np.log(drawn[parameter])
        scale = peer["log_sd"]
        assert (logs.mean() - peer["log_mean"]) / scale == pytest.approx(0, abs=0.08), parameter
        assert logs.std() / scale == pytest.approx(1, abs=0.05), parameter
        for level, value in peer["quantiles"].items():
            away = (logs.quantile(float(level)) - np.log(value)) / scale
            assert away == pytest.approx(0, abs=0.15), (parameter, level)
