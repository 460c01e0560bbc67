"""Real purchase histories from the lifetimes wheel (read as files), and books drawn from known parameters."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from clv.value import BetaGeoModel, GammaGammaModel

settings.register_profile("clv-value", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("clv-value")


def cdnow_file(name: str) -> Path:
    spec = find_spec("lifetimes")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "datasets" / name


@pytest.fixture(scope="session")
def cdnow() -> pd.DataFrame:
    """The 1/10 sample to 1997-09-30 in weeks; the file rounds days / 7 to two digits, which is undone here."""
    frame = pd.read_csv(cdnow_file("cdnow_customers_summary.csv"), dtype={"ID": str}).set_index("ID")
    frame.index.name = "account_id"
    for column in ("recency", "T"):
        days = (frame[column] * 7).round()
        assert (days - frame[column] * 7).abs().max() < 0.036
        frame[column] = days / 7
    frame.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": "1997-09-30"}
    return frame


@pytest.fixture(scope="session")
def cdnow_spend() -> pd.DataFrame:
    """The same sample with the mean money of repeat purchases, times rounded as in the file."""
    frame = pd.read_csv(cdnow_file("cdnow_customers_summary_with_transactions.csv"), dtype={"ID": str})
    frame = frame.set_index("ID").set_axis(["frequency", "recency", "T", "monetary_value"], axis=1)
    frame.index.name = "account_id"
    frame.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": "1997-09-30"}
    return frame


@pytest.fixture(scope="session")
def buying(cdnow: pd.DataFrame) -> BetaGeoModel:
    return BetaGeoModel().fit(cdnow)


@pytest.fixture(scope="session")
def paying(cdnow_spend: pd.DataFrame) -> GammaGammaModel:
    return GammaGammaModel().fit(cdnow_spend)


def book(frequency, recency, T, monetary_value=None, unit: str | None = "W") -> pd.DataFrame:
    """A summary from lists."""
    frame = pd.DataFrame({"frequency": frequency, "recency": recency, "T": T})
    frame["monetary_value"] = np.where(frame["frequency"] > 0, 10.0, 0.0) if monetary_value is None else monetary_value
    frame.index = pd.Index([f"A{i}" for i in range(len(frame))], name="account_id")
    if unit:
        frame.attrs["clv"] = {"unit": unit, "grain": "D", "as_of": "2024-01-01"}
    return frame


@pytest.fixture(scope="session")
def make_book():
    return book


@pytest.fixture(scope="session")
def drawn() -> pd.DataFrame:
    """4,000 accounts from known parameters, times rounded up to days, with spend."""
    model = BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=6.0, a=0.7, b=3.0)
    summary = model.simulate(np.random.default_rng(5).integers(100, 700, 4000) / 7, seed=6)
    summary["recency"] = np.minimum(np.ceil(summary["recency"] * 7) / 7, summary["T"])
    spend = GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0)
    summary["monetary_value"] = spend.simulate(summary["frequency"], seed=7)
    return summary
