"""Limits, bad input, edges, words and pictures of the allocation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.abm import allocate_tiers, tier_options, verify
from clv.abm.allocation import solver
from clv.data.settings import Tier
from clv.data.tables import RUN_TABLES
from clv.errors import ClvError, DataError, InfeasibleError, SettingsError


@pytest.fixture
def options():
    return pd.DataFrame(
        {
            "account_id": ["x", "x", "y", "y", "z"],
            "tier": ["big", "small", "big", "small", "small"],
            "value": [100.0, 30.0, 90.0, 40.0, 12.0],
            "cost": [40.0, 5.0, 45.0, 5.0, 10.0],
            "hours": [10.0, 1.0, 12.0, 1.0, 1.0],
        }
    )


def plan(found):
    return found.table.set_index("account_id")["tier"].to_dict()


def test_without_limits_each_gets_its_best(options):
    found = allocate_tiers(options)
    assert plan(found) == {"x": "big", "y": "big", "z": "small"}
    assert (found.objective, found.bound, found.gap, found.status) == (107.0, 107.0, 0.0, "optimal")
    assert found.shadow_prices.empty
    RUN_TABLES["tier_allocation"].validate(found.table, lazy=True)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"budget": 0}, {"x": "none", "y": "none", "z": "none"}),
        ({"budget": 45}, {"x": "big", "y": "small", "z": "none"}),
        ({"budget": 44.99}, {"x": "small", "y": "small", "z": "small"}),
        ({"hours": 0}, {"x": "none", "y": "none", "z": "none"}),
        ({"hours": 12}, {"x": "big", "y": "small", "z": "small"}),
        ({"counts": {"big": (0, 0)}}, {"x": "small", "y": "small", "z": "small"}),
        ({"counts": {"big": (2, 2), "small": (0, 0)}}, {"x": "big", "y": "big", "z": "none"}),
        ({"counts": {"small": (3, None)}}, {"x": "small", "y": "small", "z": "small"}),
        ({"counts": {"big": (None, 99)}, "hours": 1e9}, {"x": "big", "y": "big", "z": "small"}),
    ],
)
def test_each_kind_of_limit(options, limits, expected):
    assert plan(allocate_tiers(options, **limits)) == expected


def test_a_limit_that_is_met_exactly_in_decimals_is_kept():
    table = pd.DataFrame({"account_id": ["a", "b", "c"], "tier": "t", "value": 1.0, "cost": [0.1, 0.2, 0.3]})
    found = allocate_tiers(table, budget=0.3)
    assert found.table["cost"].sum() == pytest.approx(0.3)
    assert set(found.table.loc[found.table["tier"] == "t", "account_id"]) == {"a", "b"}


def test_hours_by_role(options):
    roles = options.drop(columns="hours").assign(hours_seller=options["hours"], hours_writer=[1.0, 1, 1, 1, 5])
    found = allocate_tiers(roles, hours={"seller": 12, "writer": 5})
    assert plan(found) == {"x": "big", "y": "small", "z": "none"}
    assert list(found.limits["limit"]) == ["hours of seller", "hours of writer"]
    assert found.table["hours"].sum() == 11 + 2, "hours without their own column are the sum over roles"
    with pytest.raises(DataError, match="hours are limited, but the column"):
        allocate_tiers(options.drop(columns="hours"), hours=3.0)
    with pytest.raises(DataError, match="hours_lawyer"):
        allocate_tiers(roles, hours={"lawyer": 3})


def test_a_fewest_count_can_force_a_loss(options):
    found = allocate_tiers(options.assign(cost=options["cost"] + 200), counts={"small": (1, None)})
    assert plan(found) == {"x": "none", "y": "small", "z": "none"}
    assert found.objective == -165.0
    assert found.shadow_prices["at least 1 in small"] == pytest.approx(-165.0)


@pytest.mark.parametrize(
    ("limits", "named", "not_named"),
    [
        (
            {"budget": 10, "hours": 1000, "counts": {"big": (1, None)}},
            ["budget of 10", "at least 1 in big", "40"],
            ["hours"],
        ),
        (
            {"budget": 1000, "hours": 9, "counts": {"big": (1, None)}},
            ["hours of 9", "big", "10"],
            ["budget"],
        ),
        ({"budget": 1000, "counts": {"big": (3, None)}}, ["at least 3 in big", "2 accounts"], ["budget", "small"]),
        ({"counts": {"big": (2, None), "small": (2, None)}}, ["big", "small", "3 accounts"], []),
        ({"budget": 84, "counts": {"big": (2, 2), "small": (0, 1)}}, ["budget of 84", "85"], ["small"]),
    ],
)
def test_limits_that_clash_are_named_and_only_those(options, limits, named, not_named):
    with pytest.raises(InfeasibleError) as caught:
        allocate_tiers(options, **limits)
    for text in named:
        assert text in str(caught.value)
    for text in not_named:
        assert text not in str(caught.value)


def test_following_the_mend_mends_it(options):
    with pytest.raises(InfeasibleError, match="Raise budget to 85"):
        allocate_tiers(options, budget=84, counts={"big": (2, None)})
    assert allocate_tiers(options, budget=85, counts={"big": (2, None)}).objective == 105.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda o: o.iloc[:0], "no option"),
        (lambda o: o.drop(columns="value"), "column 'value'"),
        (lambda o: o.assign(value=[1, 2, np.nan, 4, 5]), "column 'value', row 3"),
        (lambda o: o.assign(value=[1, 2, 3, np.inf, 5]), "column 'value', row 4"),
        (lambda o: o.assign(value=["1", "2", "many", "4", "5"]), "'many'"),
        (lambda o: o.assign(cost=[1, -2, 3, 4, 5]), "column 'cost', row 2"),
        (lambda o: o.assign(hours=[1, 2, 3, 4, -0.5]), "column 'hours', row 5"),
        (lambda o: o.assign(account_id=["x", None, "y", "y", "z"]), "column 'account_id', row 2"),
        (lambda o: o.assign(tier=["big", "big", "big", "small", "small"]), "row 2.*twice"),
        (lambda o: o.assign(tier=["big", "none", "big", "small", "small"]), "row 2.*'none'"),
    ],
)
def test_bad_options_are_named_by_column_and_row(options, change, told):
    with pytest.raises(DataError, match=told):
        allocate_tiers(change(options), budget=10)


@pytest.mark.parametrize(
    "limits",
    [
        {"budget": -1},
        {"budget": float("nan")},
        {"budget": "1000"},
        {"budget": True},
        {"hours": float("inf")},
        {"counts": {"giant": (1, None)}},
        {"counts": {"big": (3, 1)}},
        {"counts": {"big": (-1, None)}},
        {"counts": {"big": (0.5, None)}},
        {"counts": {"big": 3}},
        {"time_limit": 0},
    ],
)
def test_impossible_limits_are_refused(options, limits):
    with pytest.raises(SettingsError):
        allocate_tiers(options, **limits)


def test_a_time_limit_returns_a_plan_with_an_honest_gap():
    g = np.random.default_rng(2)
    n = 400
    cost = g.uniform(1, 2, (n, 3)) * [1, 2, 4]
    table = pd.DataFrame(
        {
            "account_id": np.repeat([f"A{i:03d}" for i in range(n)], 3),
            "tier": np.tile(["a", "b", "c"], n),
            "value": (2 * cost + 1 + g.uniform(0, 1e-3, (n, 3))).ravel(),
            "cost": cost.ravel(),
            "hours": g.uniform(1, 2, 3 * n),
        }
    )
    limits = {"budget": 400.0, "hours": 250.0}
    found = allocate_tiers(table, **limits, time_limit=0.05)
    assert verify(found.table, table, **limits).faults == ()
    assert found.objective > 0
    assert found.status == "time limit"
    assert found.gap > 0
    assert "time limit" in found.text
    longer = allocate_tiers(table, **limits, time_limit=1)
    assert longer.objective >= found.objective
    assert longer.objective <= found.bound + 1e-6


def test_no_time_at_all_and_fewest_counts_say_so(options, monkeypatch):
    from clv.abm.allocation import highs

    monkeypatch.setattr(highs, "search", lambda *_: highs.Found("time limit", None, None, np.inf))
    rounded = allocate_tiers(options, budget=50)
    assert rounded.status == "time limit"
    assert rounded.objective == 95.0 <= rounded.bound, "repaired from prices, without a search"
    forced = allocate_tiers(options, counts={"big": (1, None)})
    assert forced.status == "time limit" or forced.gap == 0.0
    monkeypatch.setattr(solver, "repair", lambda *_: None)
    with pytest.raises(InfeasibleError, match="not been proven"):
        allocate_tiers(options, counts={"big": (1, None)})


def test_an_overrun_by_rounding_is_mended_not_reported(options, monkeypatch):
    calls = []

    def first_overruns(program, *, time_limit, gap, **_):
        found = real(program, time_limit=time_limit, gap=gap)
        calls.append(program.limit[0])
        if len(calls) == 1:
            count = (np.array(program.tiers)[program.tier] == "big").astype(int)
            return solver.Solution(count, found.opened, found.bound, found.prices, "optimal")
        return found

    real = solver.solve
    monkeypatch.setattr(solver, "solve", first_overruns)
    found = allocate_tiers(options, budget=84.9)
    assert len(calls) == 2
    assert calls[1] < calls[0]
    assert found.table["cost"].sum() <= 84.9


def test_a_plan_that_stays_wrong_is_never_reported(options, monkeypatch):
    def wrong(program, *, time_limit, gap, **_):
        return solver.Solution(program.size[program.owner], np.zeros(0), 0.0, np.zeros(len(program.limit)), "optimal")

    monkeypatch.setattr(solver, "solve", wrong)
    with pytest.raises((ClvError, ValueError)):
        allocate_tiers(options, budget=1.0)


def test_verify_sees_every_fault(options):
    good = allocate_tiers(options, budget=45).table
    assert verify(good, options, budget=45) == ((), 95.0)
    assert "budget" in verify(good, options, budget=44).faults[0]
    assert "hours" in verify(good, options, hours=5).faults[0]
    assert "at least 2" in verify(good, options, counts={"big": (2, None)}).faults[0]
    assert "at most 0" in verify(good, options, counts={"big": (None, 0)}).faults[0]
    assert "missing" in verify(good.iloc[1:], options).faults[0]
    assert "twice" in verify(pd.concat([good, good.iloc[:1]]), options).faults[0]
    assert "no option 'big'" in verify(good.assign(tier="big"), options).faults[0]


def test_extreme_numbers():
    table = pd.DataFrame(
        {"account_id": list("abcd"), "tier": "t", "value": [1e9, 3e8, 10.0, 0.0], "cost": [1e6, 1e6, 0.0, 0.0]}
    )
    assert plan(allocate_tiers(table, budget=1e6)) == {"a": "t", "b": "none", "c": "t", "d": "none"}
    assert allocate_tiers(table.assign(value=0.0), budget=5).objective == 0
    tiny = allocate_tiers(table.assign(value=1.0, cost=1e-300), budget=1e300)
    assert (tiny.objective, tiny.shadow_prices["budget"]) == (4.0, 0.0)
    with pytest.raises(DataError, match="row 1"):
        allocate_tiers(table.assign(value=1e300))
    assert allocate_tiers(table.assign(value=0.0, cost=0.0, hours=0.0), hours=5).text


def test_tables_of_the_result(options):
    found = allocate_tiers(options, budget=50, hours=100, counts={"small": (1, 2)}, currency="EUR")
    by_tier = found.by_tier
    assert list(by_tier["tier"]) == ["big", "small", "none"]
    assert by_tier["accounts"].sum() == 3
    assert by_tier["net"].sum() == pytest.approx(found.objective)
    net = found.ranked["value"] - found.ranked["cost"]
    assert net.is_monotonic_decreasing
    assert "none" not in set(found.ranked["tier"])
    limits = found.limits.set_index("limit")
    assert list(limits.index) == ["budget", "hours", "at least 1 in small", "at most 2 in small"]
    assert limits.loc["budget", "used"] == 45
    assert limits.loc["budget", "allowed"] == 50


def test_text_says_the_decision_its_proof_and_what_binds(options):
    found = allocate_tiers(options, budget=45, hours=100, currency="EUR")
    assert "2 accounts of 3 get a tier: 1 in big and 1 in small." in found.text
    assert "95.00 EUR net" in found.text
    assert "proven" in found.text
    assert "What binds: budget" in found.text
    assert "Hours would bring nothing if widened." in found.text
    assert "assumption" not in found.text
    assert "No account of 3 gets a tier" in allocate_tiers(options, budget=0).text


def test_nothing_of_the_solver_reaches_the_page(capfd):
    g = np.random.default_rng(1)
    clv = g.lognormal(8.5, 1.6, 2400)
    parts = [
        np.outer(clv, [0.3, 0.12, 0.03]),
        np.tile([8000.0, 1500, 100], (2400, 1)),
        np.tile([120.0, 20, 1], (2400, 1)),
    ]
    value, cost, hours = (part * g.uniform(0.7, 1.4, part.shape) for part in parts)
    table = pd.DataFrame(
        {
            "account_id": np.repeat(np.arange(2400).astype(str), 3),
            "tier": np.tile(["1:1", "1:few", "1:many"], 2400),
            "value": value.ravel(),
            "cost": cost.ravel(),
            "hours": hours.ravel(),
        }
    )
    print("before")
    allocate_tiers(table, budget=900_000, hours=9_000)
    print("after")
    captured = capfd.readouterr()
    assert captured.out == "before\nafter\n"
    assert captured.err == ""


def test_picture(options):
    import matplotlib.pyplot as plt

    found = allocate_tiers(options, budget=45, currency="EUR")
    _, ax = plt.subplots()
    assert found.plot(ax) is ax
    assert "EUR" in ax.get_xlabel()
    assert [bar.get_width() for bar in ax.containers[0]] == list(found.by_tier["net"][:-1])
    assert "budget" in ax.get_title()
    allocate_tiers(options, budget=0).plot()


def test_tier_options_multiply_the_value_by_the_uplift():
    value = pd.DataFrame({"clv": [1000.0, 10.0]}, index=pd.Index(["b", "007"], name="account_id"))
    made = tier_options(value, [Tier(name="big", cost=5, hours=2, uplift=0.3), Tier(name="small", cost=1, uplift=0.1)])
    assert made.to_dict("list") == {
        "account_id": ["b", "b", "007", "007"],
        "tier": ["big", "small", "big", "small"],
        "value": [300.0, 100.0, 3.0, 1.0],
        "cost": [5.0, 1.0, 5.0, 1.0],
        "hours": [2.0, 0.0, 2.0, 0.0],
    }
    assert "assumption" in allocate_tiers(made).text
    some = tier_options(value, [Tier(name="big", cost=5, uplift=0.3)], accounts=["007", "prospect", "007"])
    assert list(some["account_id"]) == ["007"]
    assert some.attrs["clv"]["without_value"] == 1


@pytest.mark.parametrize(
    ("table", "accounts", "told"),
    [
        (pd.DataFrame({"worth": [1.0]}, index=["a"]), None, "clv"),
        (pd.DataFrame({"clv": [np.nan]}, index=pd.Index(["a"], name="account_id")), None, "'a'"),
        (pd.DataFrame({"clv": [1.0, 2.0]}, index=["a", "a"]), None, "twice"),
        (pd.DataFrame({"clv": [1.0]}, index=["a"]), ["b"], "no account"),
        (pd.DataFrame({"clv": [1.0]}, index=["a"]), "abc", "not a list"),
    ],
)
def test_tier_options_refuse_what_is_no_value(table, accounts, told):
    with pytest.raises(DataError, match=told):
        tier_options(table, [Tier(name="big", cost=5, uplift=0.3)], accounts=accounts)
    with pytest.raises((SettingsError, DataError)):
        tier_options(table, [])
