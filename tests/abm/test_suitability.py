"""Suitability: each answer from its data, asked where there are none."""

from __future__ import annotations

import pandas as pd
import pytest

import clv
from clv.data.settings import SuitabilityRules, Tier
from clv.errors import DataError, SettingsError

DAY = pd.Timestamp("2025-12-31")
TIERS = [Tier(name="1:1", cost=1000, hours=50, uplift=0.5), Tier(name="mail", cost=1, hours=0, uplift=0.1)]


def tables(**more: pd.DataFrame) -> dict[str, pd.DataFrame]:
    lines = pd.DataFrame({"account_id": [f"A{i}" for i in range(12)], "date": DAY, "amount": [10_000.0] * 11 + [10.0]})
    return {"transactions": lines, **more}


def test_only_transactions_ask_for_the_rest():
    found = clv.suitability(tables(), tiers=TIERS, margin=0.5, years=1, as_of=DAY)
    assert found.table["answer"].to_dict() == {
        "deal size": "yes", "number of deciders": "asked", "cycle length": "asked",
        "number of target accounts": "asked", "growth room": "asked", "sales-marketing alignment": "asked",
        "data": "no",
    }  # fmt: skip
    assert found.table.loc["deal size", "figure"] == 11  # 10,000 × .5 × .5 pays 1,000
    assert (found.overall, found.at_best, found.at_worst) == ("partly", "partly", "not")
    assert "To be asked: How many people" in found.text
    assert found.plot().get_title().endswith("partly")


def test_each_answer_follows_its_data():
    people = pd.DataFrame({"contact_id": list("123456"), "account_id": ["a", "a", "a", "b", "b", "b"],
                           "role": ["x", "y", "z"] * 2})  # fmt: skip
    created = pd.Timestamp("2025-01-01")
    deals = pd.DataFrame(
        {
            "opportunity_id": [str(i) for i in range(12)],
            "account_id": "a",
            "created": created,
            "closed": created + pd.to_timedelta(range(95, 107), "D"),
            "outcome": "won",
            "amount": 1.0,
        }
    )
    firms = pd.DataFrame({"account_id": [f"A{i}" for i in range(12)], "industry": "x"})
    touches = pd.DataFrame({"account_id": ["a"], "date": [DAY]})
    wallets = pd.DataFrame({"account_id": [f"A{i}" for i in range(6)], "date": DAY, "wallet": 20_000.0})
    full = tables(contacts=people, opportunities=deals, accounts=firms, touches=touches, wallets=wallets)
    options = {"tiers": TIERS, "margin": 0.5, "years": 1, "as_of": DAY}
    found = clv.suitability(full, rules=SuitabilityRules(alignment="yes"), **options)
    assert (found.table["answer"] == "yes").all()
    assert found.overall == found.at_best == found.at_worst == "suitable"
    assert found.table.loc["cycle length", "figure"] == 100
    assert found.table.loc["growth room", "figure"] == pytest.approx(0.5)
    many = firms.loc[firms.index.repeat(100)].assign(account_id=[str(i) for i in range(1200)])
    assert (
        clv.suitability(full | {"accounts": many}, **options).table.loc["number of target accounts", "answer"]
        == "partly"
    )
    dear = [Tier(name="1:1", cost=1e6, hours=50, uplift=0.5)]
    assert clv.suitability(full, **(options | {"tiers": dear})).overall == "not"
    cheap = [Tier(name="mail", cost=1, hours=0, uplift=0.1)]
    assert clv.suitability(full, **(options | {"tiers": cheap})).table.loc["deal size", "answer"] == "asked"


def test_open_deals_do_not_shorten_the_cycle():
    created = pd.Timestamp("2025-01-01")
    won = pd.DataFrame(
        {
            "opportunity_id": [str(i) for i in range(20)],
            "account_id": "a",
            "created": created,
            "closed": created + pd.to_timedelta([10] * 10 + [200] * 10, "D"),
            "outcome": "won",
        }
    )
    early = created + pd.Timedelta(days=60)
    found = clv.suitability(tables(opportunities=won), tiers=TIERS, margin=0.5, as_of=DAY)
    assert found.table.loc["cycle length", "figure"] == 10
    late = won.assign(closed=created + pd.to_timedelta([10] * 10 + [30] * 10, "D"))
    open_ = pd.DataFrame({"opportunity_id": [f"o{i}" for i in range(30)], "account_id": "a", "created": early,
                          "closed": pd.NaT, "outcome": "open"})  # fmt: skip
    both = pd.concat([late, open_], ignore_index=True).astype({"closed": "datetime64[ns]"})
    short = clv.suitability(tables(opportunities=late), tiers=TIERS, margin=0.5, as_of=DAY)
    longer = clv.suitability(tables(opportunities=both), tiers=TIERS, margin=0.5, as_of=DAY)
    assert short.table.loc["cycle length", "figure"] <= longer.table.loc["cycle length", "figure"]


def test_the_last_day_counts_as_a_whole():
    deals = pd.DataFrame(
        {
            "opportunity_id": [str(i) for i in range(20)], "account_id": "a", "amount": 100.0, "outcome": "won",
            "created": [DAY] * 5 + [DAY - pd.Timedelta(days=40)] * 15,
            "closed": DAY,
        }
    )  # fmt: skip
    asked = {"tiers": TIERS, "margin": 0.5, "years": 1, "as_of": DAY}
    morning = clv.suitability(tables(opportunities=deals), **asked)
    hours = deals.assign(**{name: deals[name] + pd.Timedelta(hours=15) for name in ("created", "closed")})
    pd.testing.assert_frame_equal(clv.suitability(tables(opportunities=hours), **asked).table, morning.table)
    today = deals.assign(created=hours["closed"])[:1]
    assert "the middle deal won is worth 100" in clv.suitability(tables(opportunities=today), **asked).text


def test_study_and_settings():
    found = clv.suitability(clv.load_study("demo"))
    assert found.table.loc["sales-marketing alignment", "answer"] == "asked"
    assert found.at_best == "suitable"
    told = clv.suitability(clv.load_study("demo", {"suitability.alignment": "yes"}))  # in YAML, yes is true
    assert told.table.loc["sales-marketing alignment", "answer"] == "yes"
    assert told.overall == "suitable"


def test_bad_input():
    with pytest.raises(DataError, match="transactions"):
        clv.suitability({})
    with pytest.raises(SettingsError, match="tiers or margin"):
        clv.suitability(tables())
    with pytest.raises(DataError, match="int"):
        clv.suitability(3)
    with pytest.raises(SettingsError, match="cycle_days"):
        clv.load_study("demo", {"suitability.cycle_days": [90, 30]})
