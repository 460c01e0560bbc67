"""Posterior of BG/NBD and Gamma-Gamma on CDNOW by NUTS: the reference in tests/oracles/nuts_cdnow.json.

Runs in an environment of its own with pymc-marketing (never a dependency of clv, and clv is not imported here)::

    python -m venv nuts && nuts/bin/pip install pymc-marketing
    nuts/bin/python benchmarks/peers/nuts_cdnow.py cdnow_customers_summary_with_transactions.csv out.json

The table is the one in the wheel of ``lifetimes`` (lifetimes/datasets). Priors are the weak ones that clv documents:
log-normal, medians r 1, alpha mean T, a 1, b 3 and p 4, q 3, v half the mean purchase; standard deviations of the
logarithms 1.5, of alpha 2.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

CHAINS, DRAWS, TUNE, SEED = 4, 4_000, 2_000, 20_240
LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)


def log_normal(median: float, spread: float):
    from pymc_extras.prior import Prior

    return Prior("LogNormal", mu=float(np.log(median)), sigma=spread)


def described(model, names: list[str]) -> dict:
    """Mean, standard deviation and quantiles of the parameters and of their logarithms."""
    import arviz as az

    out = {"priors": {n: str(model.model_config[n]) for n in names}, "parameters": {}}
    for name in names:
        values = np.asarray(model.idata["posterior"][name])
        logs = np.log(values)
        out["parameters"][name] = {
            "mean": values.mean(),
            "sd": values.std(ddof=1),
            "log_mean": logs.mean(),
            "log_sd": logs.std(ddof=1),
            "quantiles": dict(zip(map(str, LEVELS), np.quantile(values, LEVELS).tolist(), strict=True)),
            "r_hat": float(az.rhat(values)),
            "ess": float(az.ess(values)),
        }
    return out


def main(table: str, out: str) -> None:
    warnings.simplefilter("ignore")
    import pymc_marketing
    from pymc_marketing import clv

    columns = {"ID": "customer_id", "x": "frequency", "t_x": "recency", "zbar": "monetary_value"}
    data = pd.read_csv(table).rename(columns=columns)
    fit = {"chains": CHAINS, "draws": DRAWS, "tune": TUNE, "random_seed": SEED, "cores": 1, "progressbar": False}
    buying = clv.BetaGeoModel(
        model_config={
            "r": log_normal(1.0, 1.5),
            "alpha": log_normal(float(data["T"].mean()), 2.0),
            "a": log_normal(1.0, 1.5),
            "b": log_normal(3.0, 1.5),
        },
    )
    buying.fit(data[["customer_id", "frequency", "recency", "T"]], **fit)
    found = {"beta_geo": described(buying, ["r", "alpha", "a", "b"])}

    paid = data[(data["frequency"] > 0) & (data["monetary_value"] > 0)]
    mean = float((paid["frequency"] * paid["monetary_value"]).sum() / paid["frequency"].sum())
    spending = clv.GammaGammaModel(
        model_config={"p": log_normal(4.0, 1.5), "q": log_normal(3.0, 1.5), "v": log_normal(0.5 * mean, 1.5)},
    )
    spending.fit(paid[["customer_id", "frequency", "monetary_value"]], **fit)
    found["gamma_gamma"] = described(spending, ["p", "q", "v"])
    about = {"pymc_marketing": pymc_marketing.__version__, "chains": CHAINS, "draws": DRAWS, "tune": TUNE, "seed": SEED}
    Path(out).write_text(json.dumps({"about": about, **found}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
