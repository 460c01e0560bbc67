"""From purchases to tiers with the fitted models: the rooms fit each other."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv.abm import allocate_tiers, select_accounts, tier_options, verify
from clv.churn import STAGES, churn_stages
from clv.data.settings import Tier
from clv.data.tables import RUN_TABLES
from clv.value.beta_geo import BetaGeoModel
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.lifetime import lifetime_value


@pytest.fixture(scope="module")
def book():
    spec = find_spec("lifetimes")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "cdnow_customers_summary_with_transactions.csv"
    if not path.exists():
        pytest.skip(f"this release of lifetimes carries no {path.name}")
    summary = pd.read_csv(path, dtype={"ID": str})
    summary.columns = ["account_id", "frequency", "recency", "T", "monetary_value"]
    summary = summary.set_index("account_id")
    summary.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": "1997-09-30"}
    return summary


@pytest.fixture(scope="module")
def model(book):
    return BetaGeoModel().fit(book)


@pytest.fixture(scope="module")
def value(model, book):
    spend = GammaGammaModel().fit(book)
    return lifetime_value(
        model, spend, book, horizon=52, discount_rate=0.1, margin=0.3, draws=200, seed=1, confidence=0.9
    )


def test_stages_follow_from_the_fitted_model_and_only_worsen(model, book, value):
    order = {stage: i for i, stage in enumerate(STAGES)}
    before = churn_stages(model, book, 52, value=value.table["clv"])
    RUN_TABLES["churn_stages"].validate(before.table.reset_index(), lazy=True)
    assert (before.table.loc[book["frequency"] == 0, "p_alive"] == 1).all()
    assert f"{(book['frequency'] == 0).sum():,} accounts bought once only" in before.text
    for days in (1, 30, 200):
        later = book.assign(T=book["T"] + days / 7)
        later.attrs = book.attrs
        after = churn_stages(model, later, 52)
        assert (after.table["stage"].map(order) >= before.table["stage"].map(order)).all()
        moved = (after.table["stage"] != before.table["stage"]).mean()
        assert days == 1 or moved > 0.05
        before = after


def test_selection_and_tiers_follow_from_the_fitted_value(model, book, value):
    stages = churn_stages(model, book, 52)
    chosen = select_accounts(value, capacity=200, cost_to_serve=1.0, stages=stages, currency="USD")
    assert chosen.table["selected"].sum() == 200
    np.testing.assert_allclose(
        chosen.table.set_index("account_id")["score"], value.table["clv"].loc[chosen.table["account_id"]] - 1.0
    )
    assert 0 < chosen.agreement < 1
    assert chosen.regret > 0
    assert chosen.table["p_selected"].sum() <= 200 + 1e-9
    tiers = [
        Tier(name="letter", cost=4, hours=0.1, uplift=0.3, at_most=20),
        Tier(name="e-mail", cost=0.05, hours=0.001, uplift=0.02),
    ]
    selected = chosen.table.loc[chosen.table["selected"], "account_id"]
    options = tier_options(value, tiers, accounts=selected)
    limits = {"budget": 90.0, "hours": 1.9, "counts": {"letter": (None, 20)}}
    plan = allocate_tiers(options, **limits, currency="USD")
    assert verify(plan.table, options, **limits).faults == ()
    assert plan.gap <= 1e-9
    assert plan.by_tier.set_index("tier")["accounts"]["letter"] > 5
    RUN_TABLES["tier_allocation"].validate(plan.table, lazy=True)
