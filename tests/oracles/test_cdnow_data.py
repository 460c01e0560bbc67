"""CDNOW: the summary that its authors published, out of the transactions that they published.

Fader, P. S. and Hardie, B. G. S. (2001, 2005); both files are read from inside the lifetimes wheel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv.data.reading.sources import locate
from clv.data.study import load_study
from clv.data.summary import summarise


@pytest.fixture(scope="module")
def transactions() -> pd.DataFrame:
    return load_study("cdnow").read("transactions").check().table


def published(name: str) -> pd.DataFrame:
    return pd.read_csv(locate(f"package:lifetimes/datasets/{name}", folder=Path()))


def test_all_rows_and_all_money_are_read(transactions: pd.DataFrame) -> None:
    assert len(transactions) == 6919
    assert transactions["account_id"].nunique() == 2357
    assert round(transactions["amount"].sum(), 2) == 244091.94
    assert transactions["date"].agg(["min", "max"]).astype(str).tolist() == ["1997-01-01", "1998-06-30"]


@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
def test_the_published_summary(transactions: pd.DataFrame, engine: str) -> None:
    ours = summarise(transactions, as_of="1997-09-30", grain="D", unit="W", engine=engine)  # type: ignore[arg-type]
    theirs = published("cdnow_customers_summary.csv")
    assert ours.index.astype(int).tolist() == theirs["ID"].tolist()
    assert ours["frequency"].tolist() == theirs["frequency"].tolist()
    for name in ("recency", "T"):  # printed to two decimals
        assert np.abs(ours[name].to_numpy() - theirs[name].to_numpy()).max() <= 0.005 + 1e-9


def test_the_published_mean_spend(transactions: pd.DataFrame) -> None:
    ours = summarise(transactions, as_of="1997-09-30")
    theirs = published("cdnow_customers_summary_with_transactions.csv")
    assert np.abs(ours["monetary_value"].to_numpy() - theirs["zbar"].to_numpy()).max() <= 0.005 + 1e-9
    assert (ours["frequency"] > 0).sum() == 946
