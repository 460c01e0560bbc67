"""From a study's tables to incremental values: what is used, and what is said where tables are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.abm.propensity.win_propensity import win_propensity
from clv.abm.selecting.study import first_deals, study_incremental
from clv.abm.selection import select_accounts
from clv.data.settings import Settings
from clv.data.summary import summarise
from clv.value.beta_geo import BetaGeoModel
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.lifetime import lifetime_value

AS_OF = pd.Timestamp("2022-01-01")
SETTINGS = Settings(name="s", title="S", tables={"transactions": {"path": "x"}}, draws=60, currency="EUR")


@pytest.fixture(scope="module")
def study() -> dict:
    """Sixty customers, forty prospects; mills are won far more often."""
    g = np.random.default_rng(1)
    ids = [f"A{i:03d}" for i in range(100)]
    kind = g.choice(["mill", "shop"], 100)
    accounts = pd.DataFrame({"account_id": ids, "industry": kind, "employees": g.integers(5, 500, 100).astype(float)})
    rows = [
        (ids[i], AS_OF - pd.Timedelta(days=int(d)), g.gamma(4, 100))
        for i in range(60)
        for d in np.sort(g.integers(1, 900, g.integers(2, 12)))
    ]
    transactions = pd.DataFrame(rows, columns=["account_id", "date", "amount"])
    summary = summarise(transactions, as_of=AS_OF, unit="W")
    models = (BetaGeoModel(prior="weak").fit(summary), GammaGammaModel(prior="weak").fit(summary))
    value = lifetime_value(*models, summary, horizon=52, discount_rate=0.1, margin=0.3, draws=60, seed=1)
    who = g.integers(0, 100, 300)
    opened = AS_OF - pd.to_timedelta(g.integers(950, 1500, 300), unit="D")
    won = g.random(300) < np.where(kind[who] == "mill", 0.8, 0.2)
    opportunities = pd.DataFrame(
        {
            "opportunity_id": [f"O{i}" for i in range(300)], "account_id": np.array(ids)[who], "created": opened,
            "closed": opened + pd.Timedelta(days=30), "outcome": np.where(won, "won", "lost"),
        }
    )  # fmt: skip
    tables = {"transactions": transactions, "accounts": accounts, "opportunities": opportunities}
    win = win_propensity(
        first_deals(opportunities, accounts, transactions, as_of=AS_OF), features=["industry", "employees"],
        group="account_id", opened="date", decided="decided",
    )  # fmt: skip
    return {"models": models, "value": value, "tables": tables, "win": win}


def incremental(study: dict, **changes):
    tables = {name: table for name, table in {**study["tables"], **changes}.items() if table is not None}
    return study_incremental(study["value"], *study["models"], settings=SETTINGS, as_of=AS_OF, **tables)


def test_prospects_are_told_apart_by_what_deals_show(study: dict) -> None:
    found = incremental(study, win=study["win"])
    assert found.table["kind"].value_counts().to_dict() == {"customer": 60, "prospect": 40}
    ahead = found.table[found.table["kind"] == "prospect"]
    kind = study["tables"]["accounts"].set_index("account_id")["industry"][ahead.index]
    assert ahead.loc[kind == "mill", "chance"].min() > ahead.loc[kind == "shop", "chance"].max()
    assert "chance" in found.tell_apart
    assert "deals were won" in found.text
    chosen = select_accounts(found, capacity=10, accounts=study["tables"]["accounts"])
    assert len(chosen.table) == 100
    np.testing.assert_allclose(chosen.contributions.sum(axis=1), chosen.table["score"], atol=1e-9)


def test_a_deal_counts_only_until_the_account_has_bought_and_as_known_then(study: dict) -> None:
    tables = study["tables"]
    late = tables["opportunities"].assign(created=AS_OF - pd.Timedelta(days=2), closed=AS_OF - pd.Timedelta(days=1))
    both = pd.concat([tables["opportunities"], late], ignore_index=True)
    both["opportunity_id"] = [f"O{i}" for i in range(len(both))]
    deals = first_deals(both, tables["accounts"], tables["transactions"], as_of=AS_OF)
    bought = set(tables["transactions"]["account_id"])
    recent = deals[deals["date"] == AS_OF - pd.Timedelta(days=2)]
    assert len(recent)
    assert not set(recent["account_id"]) & bought
    assert "spent_before" not in deals.columns
    assert "lost_before" in deals.columns
    with pytest.raises(KeyError):
        deals["won_before"]
    # The last day counts as a whole: who bought in its morning had bought when a deal was opened at noon.
    new = deals["account_id"].iloc[-1]
    buys = pd.DataFrame({"account_id": [new], "date": [AS_OF + pd.Timedelta(hours=9)], "amount": [1.0]})
    noon = late[late["account_id"] == new].assign(
        created=AS_OF + pd.Timedelta(hours=12), closed=AS_OF + pd.Timedelta(hours=13), opportunity_id="noon"
    )
    lines = pd.concat([tables["transactions"], buys], ignore_index=True)
    for known, there in ((tables["transactions"], True), (lines, False)):
        found = first_deals(pd.concat([both, noon]), tables["accounts"], known, as_of=AS_OF)
        assert ("noon" in set(found["opportunity_id"])) is there


def test_an_unknown_industry_is_average_and_no_error(study: dict) -> None:
    accounts = study["tables"]["accounts"].copy()
    accounts.loc[95, "industry"], accounts.loc[96, "industry"] = "never seen", None
    table = incremental(study, accounts=accounts, win=study["win"]).table
    assert table.loc[["A095", "A096"], "chance"].between(0.05, 0.95).all()


def test_without_accounts_value_alone_decides_and_the_text_says_so(study: dict) -> None:
    found = incremental(study, accounts=None)
    assert (found.table["kind"] == "customer").all()
    assert "value alone decides" in found.text
    assert found.tell_apart is None
    chosen = select_accounts(found, capacity=5)
    assert chosen.table["selected"].sum() <= 5


def test_without_firmographics_prospects_are_all_the_same(study: dict) -> None:
    accounts = study["tables"]["accounts"][["account_id"]]
    found = incremental(study, accounts=accounts, opportunities=None)
    ahead = found.table[found.table["kind"] == "prospect"]
    assert ahead["chance"].nunique() == ahead["once_won"].nunique() == 1
    assert "There are no firmographics" in found.text
    assert "nothing that tells prospects apart" in found.text


def test_too_few_or_no_decided_deals_are_said(study: dict) -> None:
    whole = incremental(study)  # learnt within
    assert whole.table["chance"].dropna().nunique() > 10
    few = incremental(study, opportunities=study["tables"]["opportunities"].head(12))
    assert few.table["chance"].dropna().nunique() == 1
    assert "nothing is ranked" in few.text
    none = incremental(study, opportunities=None)
    assert "one half stands for not knowing" in none.text
    empty = incremental(study, opportunities=study["tables"]["opportunities"].assign(outcome="open"))
    assert "cannot be learnt" in empty.text
    everybody = study["tables"]["accounts"].head(60)
    assert "All accounts have bought" in incremental(study, accounts=everybody).text
