"""Margins by account: from firms, from lines, else the study's; and what they do to value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.errors import DataError, SettingsError

INDEX = pd.Index(["A", "B", "C"], name="account_id")
LINES = pd.DataFrame(
    {
        "account_id": ["A", "A", "B", "B", "C"],
        "date": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-01-05", "2020-03-01", "2020-01-07"]),
        "amount": [100.0, 300.0, 50.0, 50.0, 10.0],
        "margin_share": [0.4, 0.2, -0.5, 0.1, np.nan],
    }
)


def test_margins_of_lines_are_weighted_with_money():
    found = clv.account_margins(INDEX, margin=0.3, by="transactions", transactions=LINES)
    assert found.margins.to_dict() == pytest.approx({"A": 0.25, "B": -0.2, "C": 0.3})
    assert found.table["source"].tolist() == ["transactions", "transactions", "study"]
    for part in ("2 of 3 accounts", "-20.0% to 30.0%", "the study's, 30.0%", "Below 0 it is for 1"):
        assert part in found.text
    early = clv.account_margins(INDEX, margin=0.3, by="transactions", transactions=LINES, as_of="2020-01-31")
    assert early.margins["A"] == pytest.approx(0.4)
    credits_only = LINES.assign(amount=-LINES["amount"])
    assert clv.account_margins(INDEX, margin=0.3, by="transactions", transactions=credits_only).margins.eq(0.3).all()


def test_margins_of_firms_and_of_the_study():
    firms = pd.DataFrame({"account_id": ["B", "A", "Z"], "margin_share": [0.5, np.nan, 0.9]})
    found = clv.account_margins(INDEX, margin=0.3, by="accounts", firms=firms)
    assert found.margins.to_dict() == {"A": 0.3, "B": 0.5, "C": 0.3}
    same = clv.account_margins(INDEX, margin=0.3)
    assert same.margins.eq(0.3).all()
    assert "30.0% of sales, for every account" in same.text
    for ask, error, match in (
        ({"by": "accounts"}, DataError, "no such table"),
        ({"by": "accounts", "firms": firms.drop(columns="margin_share")}, DataError, "margin_share"),
        ({"by": "accounts", "firms": pd.concat([firms, firms])}, DataError, "occurs twice"),
        ({"by": "products"}, SettingsError, "by is"),
        ({"margin": 0.0}, SettingsError, "margin is"),
    ):
        with pytest.raises(error, match=match):
            clv.account_margins(INDEX, **{"margin": 0.3, **ask})


def test_the_reader_takes_margins_as_shares():
    read = clv.read_transactions(LINES.assign(margin_share=["40%", "20%", "-0.5", "0.1", ""]))
    assert read.table["margin_share"].tolist()[:4] == pytest.approx([0.4, 0.2, -0.5, 0.1])
    money = clv.read_transactions(LINES.assign(margin_share=[40.0, 0.2, 0.1, 0.1, 0.1]))
    assert money.errors["row"].tolist() == [1]  # money is no share: the row is named, not used


def test_value_by_account_is_value_times_its_margin(drawn):
    some = drawn.head(50)
    models = (
        clv.BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=6.0, a=0.7, b=3.0),
        clv.GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0),
    )
    ask = {"horizon": 52, "discount_rate": 0.1, "draws": 100, "seed": 2}
    own = pd.Series(np.linspace(-0.1, 0.6, 50), index=some.index).sample(frac=1, random_state=np.random.default_rng(1))
    for interval in ("credible", "predictive"):
        mine = clv.lifetime_value(*models, some, margin=own, interval=interval, **ask)
        whole = clv.lifetime_value(*models, some, margin=1.0, interval=interval, **ask)
        share = own.loc[some.index]
        np.testing.assert_allclose(mine.table["clv"], share * whole.table["clv"])
        np.testing.assert_allclose(mine.draws, share.to_numpy()[:, None] * whole.draws, rtol=1e-5, atol=1e-6)
        assert (mine.table["lower"] <= mine.table["upper"]).all()
        assert mine.margin == pytest.approx(mine.table["clv"].sum() / whole.table["clv"].sum())
        assert "own margin" in mine.text
        assert "Below 0 it is for" in mine.text
    one = clv.lifetime_value(*models, some, margin=0.25, **ask)
    many = clv.lifetime_value(*models, some, margin=pd.Series(0.25, index=some.index), **ask)
    np.testing.assert_allclose(one.table, many.table, rtol=1e-12)
    with pytest.raises(DataError, match=r"nan \(1 such"):
        clv.lifetime_value(*models, some, margin=own.drop(some.index[3]), **ask)
    with pytest.raises(DataError, match="margin of account"):
        clv.lifetime_value(*models, some, margin=own + 0.9, **ask)
    with pytest.raises(DataError, match="two margins"):
        clv.lifetime_value(*models, some, margin=pd.concat([own, own]), **ask)
