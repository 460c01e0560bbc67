"""Fit BG/NBD by another package, in an environment of its own (clv is not imported here).

::

    python -m venv peers && peers/bin/pip install pymc-marketing clvkit pyarrow
    python benchmarks/value.py --peer-python peers/bin/python

Prints one line of JSON: seconds (the faster of two fits: the first one compiles), params and a note; or what is
missing.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pandas as pd

#: `value.py` says which clock counts.
clock = time.process_time if os.environ.get("CLV_BENCHMARK_CLOCK") == "processor" else time.perf_counter


def log_normal(median: float, spread: float):
    from pymc_extras.prior import Prior

    return Prior("LogNormal", mu=float(np.log(median)), sigma=spread)


def pymc_marketing(data: pd.DataFrame) -> dict:
    """Maximum of the posterior under the weak priors that clv documents."""
    from pymc_marketing import clv

    table = data.rename(columns={"account_id": "customer_id"})[["customer_id", "frequency", "recency", "T"]]
    priors = {
        "r": log_normal(1.0, 1.5),
        "alpha": log_normal(float(table["T"].mean()), 2.0),
        "a": log_normal(1.0, 1.5),
        "b": log_normal(3.0, 1.5),
    }
    spent = []
    for _ in range(2):
        start = clock()
        model = clv.BetaGeoModel(model_config=priors)
        model.fit(table, method="map", progressbar=False)
        spent.append(clock() - start)
    found = model.idata["posterior"]
    params = {name: float(np.asarray(found[name]).ravel()[0]) for name in ("r", "alpha", "a", "b")}
    note = f"pymc-marketing {version('pymc-marketing')}, the faster of {spent[0]:.1f} and {spent[1]:.1f} s"
    return {"seconds": min(spent), "params": params, "note": note}


def clvkit(data: pd.DataFrame) -> dict:
    """Maximum likelihood; one fit, since nothing is compiled."""
    from clvkit import BGNBD, CustomerBase

    base = CustomerBase(
        data.set_index("account_id")[["frequency", "recency", "T", "monetary_value"]],
        time_unit="W", observation_period_end=pd.Timestamp("2024-01-01"), has_monetary=True, on_negative="net",
    )  # fmt: skip
    start = clock()
    model = BGNBD().fit(base)
    spent = clock() - start
    params = {name: float(model.params_[name]) for name in ("r", "alpha", "a", "b")}
    return {"seconds": spent, "params": params, "note": f"clvkit {version('clvkit')}"}


def main(peer: str, path: str) -> None:
    warnings.simplefilter("ignore")
    try:
        version(peer)
    except PackageNotFoundError:
        print(json.dumps({"missing": f"{peer} is not installed"}))
        return
    fit = {"pymc-marketing": pymc_marketing, "clvkit": clvkit}[peer]
    print(json.dumps(fit(pd.read_parquet(path))))


if __name__ == "__main__":
    main(*sys.argv[1:3])
