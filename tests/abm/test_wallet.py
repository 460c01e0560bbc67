"""Wallets: the demo against its truth, held-out coverage, and data that cannot be true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.wallet.quantile import in_logarithms, pinball, potential_quantiles
from clv.abm.wallet.surveys import calibrate, latest_wallets
from clv.errors import DataError, SettingsError

DEMO = Path(__file__).parents[2] / "data" / "samples" / "demo"


@pytest.fixture(scope="module")
def demo():
    study = clv.load_study("demo")
    truth = pd.read_csv(DEMO / "truth" / "accounts.csv").set_index("account_id")
    tables = {name: study.read(name).table for name in ("accounts", "transactions", "wallets")}
    found = clv.wallet_potential(
        tables["accounts"], tables["transactions"], wallets=tables["wallets"], as_of="2026-01-01", currency="EUR"
    )
    return tables, truth, found


def firms(n: int, seed: int = 1, *, spread: float = 0.5) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    """Accounts whose log sales are normal around industry and size; returns the true mean too."""
    g = np.random.default_rng(seed)
    industry = g.choice(["a", "b", "c"], n)
    employees = np.exp(g.normal(4, 1, n)).round() + 1
    mean = 5 + pd.Series(industry).map({"a": 0.0, "b": 1.0, "c": -1.0}).to_numpy() + 0.8 * (np.log(employees) - 4)
    ids = [f"A{i:04d}" for i in range(n)]
    frame = pd.DataFrame({"account_id": ids, "industry": industry, "employees": employees})
    return frame, pd.Series(np.exp(mean + spread * g.standard_normal(n)), index=ids, name="sales"), mean


def test_demo_against_truth(demo):
    _, truth, found = demo
    estimated = found.table[found.table["source"] == "estimate"]
    wallet = truth["wallet"].reindex(estimated.index)
    # The generator draws a factor exp(.6 z) that no attribute tells: a perfect model of size and industry ranks at .8.
    assert estimated["potential"].corr(wallet, method="spearman") > 0.5
    assert estimated["potential"].corr(wallet, method="spearman") > estimated["sales"].corr(wallet, method="spearman")
    inside = ((wallet >= estimated["lower"]) & (wallet <= estimated["upper"])).mean()
    assert 0.85 <= inside <= 0.97
    assert 0.7 < (estimated["potential"] / wallet).median() < 1.4
    assert (found.table["potential"] >= found.table["sales"] - 1e-9).all()
    assert (found.table["share"].dropna() <= 1 + 1e-9).all()
    assert (found.table[["lower", "upper"]].diff(axis=1)["upper"] >= 0).all()


def test_surveyed_wallets_come_first_and_set_the_level(demo):
    tables, _, found = demo
    asked = found.table[found.table["source"] == "survey"]
    given = tables["wallets"].sort_values("date").groupby("account_id")["wallet"].last()
    pd.testing.assert_series_equal(asked["potential"], given.reindex(asked.index), check_names=False)
    assert found.calibration is not None
    assert f"{found.calibration.ratio:.2g} times" in found.text
    assert found.plot().get_title() == "Potential and sales"


def test_quantile_covers_held_out_customers_and_firmographics_are_used():
    frame, sales, mean = firms(600)
    found = clv.wallet_potential(frame, sales, quantile=0.9)
    assert found.coverage.loc["all customers", "loss"] > 1.2 * found.coverage.loc["linear", "loss"]
    assert found.below_lower <= 0.9 <= found.below_upper
    true = np.exp(mean + 0.5 * 1.2815515655446004)
    estimate = found.table["estimate"].to_numpy()
    assert np.median(np.abs(np.log(estimate / true))) < 0.12
    again = clv.wallet_potential(frame, sales, quantile=0.9)
    pd.testing.assert_frame_equal(found.table, again.table)


@pytest.mark.slow
def test_bounds_cover_the_true_quantile():
    inside = []
    for seed in range(1, 13):
        frame, sales, mean = firms(300, seed)
        own = in_logarithms(frame.set_index("account_id"))
        found = potential_quantiles(
            own, np.log(sales.to_numpy()), np.ones(300, bool), quantile=0.9, confidence=0.9, seed=0
        )
        true = mean + 0.5 * 1.2815515655446004
        inside.append(((found.log_quantiles[:, 0] <= true) & (true <= found.log_quantiles[:, 2])).mean())
    assert 0.8 < np.mean(inside) < 0.99


def test_noise_attributes_fall_back_to_all_customers():
    g = np.random.default_rng(3)
    frame, sales, _ = firms(200)
    noise = pd.DataFrame({"account_id": frame["account_id"], "industry": g.permutation(frame["industry"].to_numpy())})
    flat = pd.Series(np.exp(g.normal(5, 1, 200)), index=sales.index)
    found = clv.wallet_potential(noise, flat)
    assert found.coverage.index[found.coverage["chosen"]].tolist() == ["all customers"]
    assert "firmographics do not foretell more" in found.text


def test_wallet_smaller_than_sales_is_an_error_of_the_data():
    frame, sales, _ = firms(80)
    wallets = pd.DataFrame({"account_id": ["A0000", "A0001", "A0002"], "date": pd.Timestamp("2025-01-01"),
                            "wallet": [sales["A0000"] / 2, sales["A0001"] * 3, 0.0]})  # fmt: skip
    found = clv.wallet_potential(frame, sales, wallets=wallets)
    assert found.errors["account_id"].tolist() == ["A0000", "A0002"]
    assert found.errors["share"].iloc[0] == pytest.approx(2)
    assert found.table.loc["A0000", "source"] == "estimate"
    assert found.table.loc["A0000", "error"]
    assert found.table.loc["A0001", "source"] == "survey"
    assert found.table.loc["A0001", "share"] == pytest.approx(1 / 3)
    assert found.errors["reason"].iloc[0] == "share of wallet 200%: above 100%"
    assert "2 surveyed wallets cannot be true" in found.text


def test_unknown_and_new_industries_have_an_estimate():
    frame, sales, _ = firms(300)
    frame["industry"] = frame["industry"].astype(object)
    frame.loc[:40, "industry"] = None
    prospects = pd.DataFrame(
        {"account_id": ["P1", "P2"], "industry": [None, "never seen"], "employees": [50.0, np.nan]}
    )
    found = clv.wallet_potential(pd.concat([frame, prospects], ignore_index=True), sales)
    assert np.isfinite(found.table.loc[["P1", "P2"], "potential"]).all()
    assert found.table.loc["P1", "growth_room"] == found.table.loc["P1", "potential"]


def test_too_few_customers_only_surveys_are_known():
    frame, sales, _ = firms(30)
    few = sales.head(10)
    wallets = pd.DataFrame({"account_id": ["A0001"], "date": pd.Timestamp("2025-01-01"), "wallet": [1e6]})
    found = clv.wallet_potential(frame, few, wallets=wallets)
    assert found.table.loc["A0001", "source"] == "survey"
    assert (found.table["source"] == "unknown").sum() == 29
    assert found.table["potential"].notna().sum() == 1
    assert "Potential is not estimated" in found.text


def test_without_firmographics_all_get_the_same():
    frame, sales, _ = firms(100)
    found = clv.wallet_potential(frame[["account_id"]], sales)
    assert found.table["estimate"].nunique() == 1
    assert (found.table["at_ceiling"]).sum() <= 11


def test_calibration_covers_new_surveys():
    g = np.random.default_rng(8)
    hits = []
    for _ in range(150):
        estimate = g.normal(10, 1, 61)
        wallet = estimate + 0.7 + 0.4 * g.standard_t(5, 61)
        seen = np.where(np.arange(61) < 60, wallet, np.nan)
        found = calibrate(estimate, np.full(61, np.nan), seen, confidence=0.9)
        hits.append(found.log_potential[60] + found.lower <= wallet[60] <= found.log_potential[60] + found.upper)
    assert 0.83 <= np.mean(hits) <= 0.97
    none = calibrate(estimate, np.full(61, np.nan), np.full(61, np.nan), confidence=0.9)
    assert none.method == "none"


def test_latest_survey_counts_and_old_ones_do_not():
    ids = pd.Index(["a", "b"])
    rows = pd.DataFrame({"account_id": ["a", "a", "b"],
                         "date": pd.to_datetime(["2024-01-01", "2025-01-01", "2015-01-01"]),
                         "wallet": [1.0, 2.0, 3.0]})  # fmt: skip
    found = latest_wallets(rows, pd.Timestamp("2025-06-01"), ids)
    assert found["a"] == 2
    assert np.isnan(found["b"])
    assert latest_wallets(rows, pd.Timestamp("2024-06-01"), ids)["a"] == 1
    with pytest.raises(DataError, match="no amount of money"):
        latest_wallets(rows.assign(wallet=[1, -1, 2]), None, ids)


def test_textbook_shares_above_100_are_flagged(data_home):
    table = pd.read_csv(data_home / "smcrm" / "acquisitionRetention.csv")
    won = table[(table["acquisition"] == 1) & (table["sow"] > 0)]
    ids = won["customer"].astype(int).astype(str)
    sales = pd.Series(won["profit"].clip(lower=1).to_numpy(), index=ids)
    frame = pd.DataFrame({"account_id": ids.to_numpy(), "industry": won["industry"].astype(str).to_numpy(),
                          "revenue": won["revenue"].to_numpy(), "employees": won["employees"].to_numpy()})  # fmt: skip
    wallets = pd.DataFrame({"account_id": ids.to_numpy(), "date": pd.Timestamp("2012-01-01"),
                            "wallet": sales.to_numpy() / (won["sow"].to_numpy() / 100)})  # fmt: skip
    found = clv.wallet_potential(frame, sales, wallets=wallets)
    assert len(found.errors) == (table["sow"] > 100).sum() == 5
    np.testing.assert_allclose(np.sort(found.errors["share"] * 100), np.sort(won.loc[won["sow"] > 100, "sow"]))


def test_bad_arguments():
    frame, sales, _ = firms(40)
    with pytest.raises(SettingsError, match="quantile"):
        clv.wallet_potential(frame, sales, quantile=1.0)
    with pytest.raises(DataError, match="twice"):
        clv.wallet_potential(pd.concat([frame, frame]), sales)
    with pytest.raises(DataError, match="colour"):
        clv.wallet_potential(frame, sales, attributes=["colour"])
    with pytest.raises(DataError, match="account_id"):
        clv.wallet_potential(frame.drop(columns="account_id"), sales)
    with pytest.raises(DataError, match="wallet"):
        clv.wallet_potential(frame, sales, wallets=pd.DataFrame({"account_id": ["A0000"]}))
    assert pinball(np.array([1.0, -1.0]), np.zeros(2), 0.9) == pytest.approx(0.5)
