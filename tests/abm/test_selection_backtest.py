"""The selection backtest: shares by hand, its bootstrap, and that it tells better from equal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from clv.abm.selecting.backtest import _held, selection_backtest
from clv.errors import SettingsError


class Known(BaseEstimator):
    """A forecaster that is handed its forecasts: past sales raised to a power, or the account's number."""

    def __init__(self, kind: str = "past"):
        self.kind = kind

    def fit(self, summary, y=None):
        return self

    def expected_purchases(self, summary, t):
        return summary["frequency"].astype(float)

    def expected_sales(self, summary, t):
        number = summary.index.str[1:].astype(float)
        return {
            "past": summary["sales"],
            "number": pd.Series(np.asarray(number), summary.index),
            "backwards": pd.Series(1000 - np.asarray(number), summary.index),
        }[self.kind]


class NoSpend(BaseEstimator):
    def fit(self, summary):
        return self

    def expected_spend(self, summary):
        return pd.Series(1.0, summary.index)


def book(n=200, seed=1):
    """Past money is noise; what comes later is the account's number."""
    g = np.random.default_rng(seed)
    ids = [f"A{i:03d}" for i in range(n)]
    parts = [
        pd.DataFrame({"account_id": ids, "date": pd.Timestamp(day), "amount": amount})
        for day, amount in (
            ("2020-01-01", g.gamma(2, 50, n)),
            ("2020-06-01", g.gamma(2, 50, n)),
            ("2020-09-01", np.arange(n) ** 2.0 + 1),
            ("2020-12-31", np.full(n, 1e-3)),
        )
    ]
    return pd.concat(parts, ignore_index=True)


def test_shares_are_those_by_hand_and_a_better_way_is_found():
    transactions = book()
    found = selection_backtest(
        transactions, ["2020-07-01"], 26, models={"number": Known("number"), "same": Known("past")}, spend=NoSpend(),
        samples=300,
    )  # fmt: skip
    later = np.arange(200) ** 2.0 + 1
    past = transactions[transactions["date"] < "2020-07-01"].groupby("account_id")["amount"].sum()
    share = found.table.set_index("method")["share"]
    assert share["number"] == share["best possible"] == pytest.approx(later[180:].sum() / later.sum(), rel=1e-6)
    assert share["past spend"] == pytest.approx(later[np.argsort(-past.to_numpy())[:20]].sum() / later.sum(), rel=1e-6)
    row = found.table.set_index("method").loc["same"]
    assert row["difference"] == row["difference_lower"] == row["difference_upper"] == 0
    assert found.beats == ("number",)
    assert "number beats past spend beyond the interval" in found.text
    assert found.by_cutoff["places"].unique().tolist() == [20]
    found.plot()


def test_nothing_beats_past_spend_where_nothing_does_and_the_text_says_so():
    found = selection_backtest(
        book(), ["2020-05-01", "2020-07-01"], 20, models={"backwards": Known("backwards")}, spend=NoSpend(), samples=200
    )
    assert found.beats == ()
    assert "No way of choosing beats past spend beyond its interval" in found.text
    assert "at 2 dates" in found.text
    assert (found.table["lower"] <= found.table["upper"]).all()


def test_refunds_come_off_past_and_later_money():
    transactions = book()
    back = pd.DataFrame(
        {
            "account_id": ["A199", "A005"],
            "date": pd.to_datetime(["2020-09-15", "2020-06-15"]),
            "amount": [-(199.0**2), -1e4],
        }
    )
    plain = selection_backtest(transactions, ["2020-07-01"], 26, models={}, spend=NoSpend(), samples=100)
    net = selection_backtest(
        pd.concat([transactions, back]), ["2020-07-01"], 26, models={}, spend=NoSpend(), samples=100
    )
    later = np.arange(200) ** 2.0 + 1
    later[199] -= 199.0**2
    best = net.table.set_index("method").loc["best possible", "share"]
    assert best == pytest.approx(np.sort(later)[::-1][:20].sum() / later.sum(), rel=1e-6)
    assert best != plain.table.set_index("method").loc["best possible", "share"]
    assert "No model could be compared" in net.text


def test_the_weighted_share_is_that_of_the_resampled_accounts():
    g = np.random.default_rng(3)
    score, later = g.permutation(50).astype(float), g.gamma(1, 10, 50)
    order = np.argsort(-score)
    for _ in range(20):
        picked = g.integers(0, 50, 50)
        weight = np.bincount(picked, minlength=50).astype(float)
        best = picked[np.argsort(-score[picked], kind="stable")][:5]
        assert _held(weight[None], later, order, 0.1)[0] == pytest.approx(later[best].sum() / later[picked].sum())


def test_intervals_cover_the_share_of_a_large_book():
    """Books of 150 accounts from a population: 90 % intervals of the share by past spend cover about 90 %."""
    g = np.random.default_rng(8)
    held, many = 0, 60
    size = g.gamma(1.5, 100, 20_000)
    worth = size * g.gamma(2, 0.5, 20_000)
    truth = worth[np.argsort(-size)[:2000]].sum() / worth.sum()
    for _ in range(many):
        some = g.integers(0, 20_000, 150)
        order = np.argsort(-size[some])
        picked = g.integers(0, 150, (400, 150))
        weight = np.zeros((400, 150))
        np.add.at(weight, (np.arange(400)[:, None], picked), 1.0)
        low, high = np.quantile(_held(weight, worth[some], order, 0.1), [0.05, 0.95])
        held += low <= truth <= high
    assert 0.72 * many <= held <= many


def test_seeds_repeat_and_bad_input_is_named():
    kwargs = {"models": {"number": Known("number")}, "spend": NoSpend(), "samples": 100}
    one, two = (selection_backtest(book(), ["2020-07-01"], 26, **kwargs) for _ in range(2))
    pd.testing.assert_frame_equal(one.table, two.table)
    with pytest.raises(SettingsError, match="cutoff"):
        selection_backtest(book(), [], 26, **kwargs)
    with pytest.raises(SettingsError, match="share"):
        selection_backtest(book(), ["2020-07-01"], 26, share=1.5, **kwargs)
    with pytest.raises(SettingsError, match="data end"):
        selection_backtest(book(), ["2020-12-01"], 26, **kwargs)
