"""Propensity on real and on made-up deals: published coefficients, goals, and a data set without any signal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from clv.abm.propensity.win_propensity import win_propensity


@pytest.fixture(scope="module")
def acquisition(data_home):
    return pd.read_csv(data_home / "smcrm" / "customerAcquisition.csv")


def test_published_logit_of_acquisition(acquisition):
    """Kumar & Petersen (2012), Statistical Methods in CRM, ch. 3: 500 prospects; −2LL 194.464."""
    names = ["acq_expense", "acq_expense_sq", "industry", "revenue", "employees"]
    fit = sm.Logit(acquisition["acquisition"], sm.add_constant(acquisition[names])).fit(disp=0)
    assert fit.params["acq_expense"] == pytest.approx(0.0672021, abs=5e-8)
    assert fit.params["acq_expense_sq"] == pytest.approx(-4.14e-5, abs=5e-8)
    assert fit.params["revenue"] == pytest.approx(0.031857, abs=5e-7)
    assert fit.params["employees"] == pytest.approx(0.0049591, abs=5e-8)
    assert -2 * fit.llf == pytest.approx(194.464, abs=5e-4)


def test_acquisition_is_foretold_on_prospects_held_out(acquisition):
    names = ["acq_expense", "industry", "revenue", "employees"]
    found = win_propensity(acquisition, won="acquisition", features=names, repeats=1)
    assert found.ranks
    # In sample the published logit reaches .975; it knows the square, held-out prospects do not flatter.
    assert 0.95 < found.evidence.auc < 0.98
    assert 0.8 < found.evidence.slope < 1.25


def test_real_deals(data_home):
    """Bohanec et al.: 448 deals, 22 answers of the sales team each; equal rows are held out together."""
    deals = pd.read_csv(data_home / "salvirt_b2b" / "Salvirt_B2B_ML_dataset.csv", sep=";", keep_default_na=False)
    deals["won"] = deals.pop("Status") == "Won"
    found = win_propensity(deals)
    assert found.evidence.groups == 346
    assert found.evidence.auc >= 0.82
    assert found.evidence.log_loss <= 0.51
    assert 0.8 <= found.evidence.slope <= 1.2


def _pipeline(data_home) -> pd.DataFrame:
    folder = data_home / "maven_crm"
    deals = pd.read_csv(folder / "sales_pipeline.csv", parse_dates=["engage_date", "close_date"])
    deals = deals[deals["deal_stage"].isin(["Won", "Lost"])].reset_index(drop=True)
    deals["product"] = deals["product"].replace("GTXPro", "GTX Pro")
    deals = deals.merge(pd.read_csv(folder / "accounts.csv"), on="account", how="left", validate="m:1")
    deals = deals.merge(pd.read_csv(folder / "products.csv"), on="product", validate="m:1")
    deals = deals.merge(pd.read_csv(folder / "sales_teams.csv"), on="sales_agent", validate="m:1")
    return deals.assign(won=deals["deal_stage"] == "Won").drop(columns=["deal_stage", "close_value", "opportunity_id"])


def test_where_there_is_no_signal_nothing_is_ranked(data_home):
    deals = _pipeline(data_home)
    assert len(deals) == 6711
    by_time = win_propensity(deals, opened="engage_date", decided="close_date", exclude=["account"])
    by_account = win_propensity(deals, group="account", exclude=["engage_date", "close_date", "account"])
    for found in (by_time, by_account):
        assert not found.ranks
        assert "no better than chance" in found.text
        assert np.isnan(found.predict(deals.head())["fit"]).all()
