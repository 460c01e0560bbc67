"""Forecast purchases by pymc-marketing's MAP with its own default priors, in an environment of its own.

::

    peers/bin/python benchmarks/peers/map_forecast.py jobs.json

`jobs.json` lists objects with model, table (a Parquet summary with account_id, frequency, recency, T), horizon and out
(where the forecasts go, as Parquet). clv is not imported here. Printed is one line of JSON: what failed.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd


def forecast(model: str, table: pd.DataFrame, horizon: float) -> np.ndarray:
    """Fit by MAP; return the expected purchases of each account within the horizon."""
    from pymc_marketing import clv

    data = table.rename(columns={"account_id": "customer_id"})[["customer_id", "frequency", "recency", "T"]]
    fitted = {"BG/NBD": clv.BetaGeoModel, "Pareto/NBD": clv.ParetoNBDModel}[model]()
    fitted.fit(data, method="map", progressbar=False)
    return np.asarray(fitted.expected_purchases(data, future_t=horizon)).ravel()


def main(path: str) -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    failed = {}
    for job in json.loads(Path(path).read_text(encoding="utf-8")):
        table = pd.read_parquet(job["table"])
        try:
            ahead = forecast(job["model"], table, float(job["horizon"]))
        except Exception as error:  # a peer may raise anything
            failed[job["out"]] = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
            continue
        pd.DataFrame({"account_id": table["account_id"], "purchases": ahead}).to_parquet(job["out"])
    print(json.dumps(failed))


if __name__ == "__main__":
    main(sys.argv[1])
