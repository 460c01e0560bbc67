"""Grades, bad accounts, relationship labels: known cases, coverage of growth, unknown that is never no."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.classes.pioneers import pioneers
from clv.data.settings import ClassRules
from clv.errors import DataError, SettingsError

DAY = pd.Timestamp("2025-12-31")


def orders(account: str, money: float, days: list[int], **more: object) -> pd.DataFrame:
    """Orders so many days before the last day."""
    return pd.DataFrame(
        {"account_id": account, "date": [DAY - pd.Timedelta(days=d) for d in days], "amount": money, **more}
    )


def test_grades_by_cumulative_contribution():
    lines = pd.concat(
        [orders("big", 80, [10]), orders("mid", 15, [20]), orders("low", 5, [30]), orders("old", 9, [900])]
    )
    found = clv.account_grade(lines, margin=0.5, as_of=DAY)
    assert found.table["grade"].to_dict() == {"big": "gold", "mid": "silver", "low": "bronze", "old": "bronze"}
    assert found.table.loc["big", "contribution"] == 40
    assert found.threshold == 40
    costly = clv.account_grade(
        lines, margin=0.5, cost_to_serve=pd.Series({"low": 4.0, "big": 0.0, "mid": 0.0}), as_of=DAY
    )
    assert costly.table.loc["low", "contribution"] == -1.5
    assert costly.table.loc["low", "grade"] == "bronze"
    assert costly.by_grade["share"].sum() == pytest.approx(1)
    assert costly.by_grade["share"].between(0, 1).all()


def compound(g: np.random.Generator, accounts: int, before: float, last: float) -> pd.DataFrame:
    """Two years of orders at two rates, lognormal amounts."""
    parts = []
    for year, rate in ((1, before), (0, last)):
        n = g.poisson(rate, accounts)
        owner = np.repeat(np.arange(accounts), n)
        day = g.integers(0, 365, n.sum()) + 365 * year
        parts.append(pd.DataFrame({"account_id": [f"A{i:04d}" for i in owner], "date": DAY - pd.to_timedelta(day, "D"),
                                   "amount": np.exp(g.normal(0, 0.7, n.sum()))}))  # fmt: skip
    first = pd.DataFrame({"account_id": [f"A{i:04d}" for i in range(accounts)], "date": DAY - pd.Timedelta(days=740),
                          "amount": 1e-6})  # fmt: skip
    return pd.concat([first, *parts], ignore_index=True)


@pytest.mark.parametrize(("before", "last"), [(30, 30), (12, 12), (15, 30)])
def test_interval_of_growth_covers(before, last):
    lines = compound(np.random.default_rng(6), 1500, before, last)
    found = clv.account_grade(lines, as_of=DAY).table
    known = found["growth_lower"].notna()
    inside = (found["growth_lower"] <= last / before) & (last / before <= found["growth_upper"])
    assert known.mean() > 0.95
    assert 0.86 <= inside[known].mean() <= 0.95


def test_future_gold_is_silver_that_grows_beyond_luck():
    week = list(range(1, 729, 7))
    lines = pd.concat(
        [
            orders("gold", 1000, [d for d in week if d < 730]),
            orders("rise", 150, [d for d in week if d < 365] + [500, 550, 600, 650, 735]),
            orders("flat", 100, [*week, 735]),
            orders("new", 100, [d for d in week if d < 300]),
            orders("gold", 1000, [740]),
        ]
    )
    found = clv.account_grade(lines, as_of=DAY, rules=ClassRules(cumulative=(0.6, 0.999)))
    assert found.table.loc["rise", "future_gold"]
    assert found.table.loc["rise", "years_to_gold"] > 0
    assert not found.table.loc["flat", "future_gold"]
    assert pd.isna(found.table.loc["new", "future_gold"])
    assert not found.table.loc["gold", "future_gold"]
    assert "By chance alone" in found.text
    assert found.plot().get_title() == "Grades and growth"


def bad(lines: pd.DataFrame, **options: object):
    return clv.bad_accounts(lines, as_of=DAY, **options)


def test_bad_by_a_negative_margin_or_two_other_criteria():
    lines = pd.concat([orders(name, 1000, [10, 50, 90]) for name in "abcd"])
    said = pd.DataFrame({"account_id": list("abc"), "date": DAY, "days_late": [90, 90, 0.0], "complaints": [9, 0, 0.0],
                         "service_hours": [1, 1, 60.0],
                         "price_switcher": pd.array([None, False, False], dtype="boolean"),
                         "many_demands": False, "bad_reputation": False})  # fmt: skip
    found = bad(lines, assessments=said, margin=0.3, rules=ClassRules(service_hour=20.0))
    assert found.table["bad"].dtype == "boolean"
    assert found.table["bad"].reindex(list("abc")).tolist() == [True, False, True]
    assert pd.isna(found.table.loc["d", "bad"])
    assert found.table.loc["a", "criteria"] == "late payer and complaints"
    # c: 60 h at 20 cost 1,200 against 900 of margin; repriced by 10 % at elasticity 2 it is (.3 + .1) 3000 / 1.21.
    assert found.table.loc["c", "keep"] == pytest.approx(900 - 1200)
    assert found.table.loc["c", "reprice"] == pytest.approx(3000 / 1.21 * 0.4 - 1200)
    assert found.table.loc["c", "best"] == "leave"
    assert found.counts.loc["late payer"].tolist() == [2, 1, 1]
    assert found.plot().get_title().startswith("Bad accounts")


def test_repricing_saves_an_account_on_thin_margins_and_lateness_costs_interest():
    lines = orders("thin", 10_000, [10])
    found = bad(lines, margin=0.04, cost_to_serve=500.0)
    assert found.table.loc["thin", "keep"] == pytest.approx(-100)
    assert found.table.loc["thin", "best"] == "reprice"
    late = pd.DataFrame({"account_id": ["thin"], "date": [DAY], "days_late": [365.0]})
    assert bad(lines, margin=0.04, assessments=late, discount_rate=0.1).table.loc["thin", "keep"] == pytest.approx(
        400 - 1000
    )


def test_nothing_known_is_not_no():
    found = bad(orders("a", 10, [5, 9]))
    assert found.table["bad"].isna().all()
    assert "Nothing is known at all on" in found.text
    with pytest.raises(SettingsError, match="years"):
        bad(orders("a", 10, [5]), years=0)


def test_labels_without_tables_are_unknown():
    found = clv.relationship_labels(["a", "b"], as_of=DAY)
    assert found.table.drop(columns=["labels", "unknown"]).isna().all().all()
    assert (found.table["unknown"] == 14).all()
    with pytest.raises(DataError, match="no account"):
        clv.relationship_labels([], as_of=DAY)


def test_labels_by_rule():
    lines = pd.concat([orders("gold", 900, [10, 40]), orders("small", 5, [20])])
    touches = pd.DataFrame({"account_id": ["ask", "gold"], "date": DAY, "channel": ["web", "visit"],
                            "inbound": pd.array([True, True], dtype="boolean")})  # fmt: skip
    deals = pd.DataFrame({"opportunity_id": ["1"], "account_id": ["near"], "created": DAY - pd.Timedelta(days=99),
                          "closed": DAY - pd.Timedelta(days=9), "outcome": ["lost"]})  # fmt: skip
    people = pd.DataFrame({"contact_id": ["1", "2"], "account_id": ["small", "small"], "influence": [0.9, 0.1],
                           "attitude": [0.8, -1.0]})  # fmt: skip
    said = pd.DataFrame({"account_id": ["green", "gold"], "date": DAY,
                         "greenfield": pd.array([True, None], dtype="boolean"),
                         "status_name": pd.array([None, True], dtype="boolean")})  # fmt: skip
    ids = ["ask", "gold", "green", "near", "small", "none"]
    found = clv.relationship_labels(
        ids, transactions=lines, touches=touches, opportunities=deals, contacts=people, assessments=said, as_of=DAY
    )
    flags = found.table
    assert flags["labels"].to_dict() == {
        "ask": "enquirer", "gold": "gold, status", "green": "potential", "near": "near customer",
        "small": "small, fan", "none": "",
    }  # fmt: skip
    assert flags.loc["gold", "enquirer"] == False  # noqa: E712  it is ours
    assert flags.loc["green", "competitors"] == False  # noqa: E712  it buys from nobody
    assert pd.isna(flags.loc["none", "potential"])
    assert pd.isna(flags.loc["gold", "loyal"])
    assert flags.loc["none", "loyal"] == False  # noqa: E712  it never bought
    assert found.counts.loc["lead_user", "unknown"] == 6
    assert (found.counts[["yes", "no", "unknown"]].sum(axis=1) == 6).all()
    assert found.plot().get_title() == "Relationship of 6 accounts"


def test_labels_from_loyalty_and_wallets():
    lines = orders("a", 10, [5])
    loyalty = pd.DataFrame({"label": ["loyal"], "sleeping": ["unknown"], "superconsumer": ["yes"]}, index=["a"])
    wallet = pd.DataFrame({"share": [0.5], "source": ["survey"]}, index=["a"])
    flags = clv.relationship_labels(["a"], transactions=lines, loyalty=loyalty, wallet=wallet, as_of=DAY).table
    assert flags.loc["a", ["loyal", "superconsumer", "competitors"]].tolist() == [True, True, True]
    assert pd.isna(flags.loc["a", "sleeping"])
    guess = wallet.assign(source="estimate")
    assert clv.relationship_labels(["a"], transactions=lines, wallet=guess, as_of=DAY).table["competitors"].isna().all()


def test_pioneers_are_found_and_chance_is_not():
    g = np.random.default_rng(1)
    ids = [f"A{i:03d}" for i in range(60)]
    rows = [(a, pd.Timestamp("2023-01-01"), "old") for a in ids]
    for launch in range(8):
        start = pd.Timestamp("2023-09-01") + pd.Timedelta(days=60 * launch)
        for i, a in enumerate(ids):
            delay = int(g.integers(0, 3)) if i < 4 else int(g.integers(0, 200))
            rows.append((a, start + pd.Timedelta(days=delay), f"new{launch}"))
    lines = pd.DataFrame(rows, columns=["account_id", "date", "product"]).assign(amount=1.0)
    found = pioneers(lines, pd.Index(ids), 0.16)
    assert found["pioneer"].iloc[:4].all()
    assert found["pioneer"].iloc[4:].mean() < 0.06
    assert found["lag"].iloc[:4].max() < 3
    few = pioneers(lines[lines["product"].isin(["old", "new0"])], pd.Index(ids), 0.16)
    assert few["pioneer"].isna().all()
