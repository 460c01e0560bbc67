"""Allocation over draws: against enumeration of all plans in small books, and what must hold in any book."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from clv.abm import Clusters, GroupLimit, Holdout, KeepLast, MarginCap, MustHave, MustNot, tier_options, verify
from clv.abm.loop.evidence import Measurement
from clv.abm.loop.response import response_prior, update_response
from clv.abm.robust.curse import optimisers_curse
from clv.abm.robust.draws import OptionDraws, option_draws
from clv.abm.robust.shortfall import expected_shortfall
from clv.abm.robust.uncertainty import allocate_under_uncertainty
from clv.data.settings import Tier
from clv.errors import DataError, InfeasibleError, SettingsError


def book(seed: int, accounts: int = 5, draws: int = 12) -> tuple[pd.DataFrame, np.ndarray, dict]:
    """A small book of two tiers whose values differ between draws, a budget, hours and a count."""
    g = np.random.default_rng(seed)
    options = pd.DataFrame(
        {
            "account_id": np.repeat([f"A{i}" for i in range(accounts)], 2),
            "tier": np.tile(["few", "one"], accounts),
            "cost": g.uniform(1, 3, 2 * accounts) * np.tile([1.0, 2.5], accounts),
            "hours": g.uniform(1, 3, 2 * accounts),
            "segment": np.repeat(["x", "y"], [2 * (accounts // 2), 2 * (accounts - accounts // 2)]),
        }
    )
    middle = g.uniform(0, 12, 2 * accounts)
    drawn = middle[:, None] + 5 * g.standard_normal((2 * accounts, draws))
    options["value"] = drawn.mean(axis=1)
    limits = {"budget": 0.5 * options["cost"].sum(), "hours": 7.0, "counts": {"one": (0, 2)}}
    return options, drawn, limits


def every_plan(options: pd.DataFrame, drawn: np.ndarray, limits: dict) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """All plans within the limits, and their net return in each draw (plans, draws)."""
    ids = list(dict.fromkeys(options["account_id"]))
    row = {(a, t): k for k, (a, t) in enumerate(zip(options["account_id"], options["tier"], strict=True))}
    plans, net = [], []
    for tiers in itertools.product(["few", "none", "one"], repeat=len(ids)):
        at = [row[a, t] for a, t in zip(ids, tiers, strict=True) if t != "none"]
        some = options.iloc[at]
        if some["cost"].sum() > limits["budget"] or some["hours"].sum() > limits["hours"]:
            continue
        if tiers.count("one") > limits["counts"]["one"][1]:
            continue
        plans.append(tiers)
        net.append(drawn[at].sum(axis=0) - some["cost"].sum())
    return plans, np.array(net)


@pytest.mark.parametrize("seed", range(8))
def test_perfect_information_and_shortfall_equal_enumeration(seed: int) -> None:
    options, drawn, limits = book(seed)
    plans, net = every_plan(options, drawn, limits)
    found = allocate_under_uncertainty(options, drawn, **limits, level=0.75)
    assert found.plan.objective == pytest.approx(net.mean(axis=1).max(), rel=1e-9)
    assert found.evpi == pytest.approx(net.max(axis=0).mean() - net.mean(axis=1).max(), rel=1e-7, abs=1e-9)
    assert found.evpi_bound == pytest.approx(found.evpi, rel=1e-5, abs=1e-7)
    assert found.expected_regret == pytest.approx(found.evpi, rel=1e-7, abs=1e-9)
    # Worst quarter of twelve draws: the three lowest.
    tails = np.sort(net, axis=1)[:, :3].mean(axis=1)
    assert found.averse_measure == pytest.approx(tails.max(), rel=1e-7)
    assert found.averse_bound == pytest.approx(tails.max(), rel=1e-5)
    assert found.plans.set_index("plan").loc["risk-averse", "shortfall"] == pytest.approx(tails.max(), rel=1e-7)
    share = np.zeros((5, 3))
    for best in net.argmax(axis=0):
        for account, tier in enumerate(plans[best]):
            share[account, ["few", "one", "none"].index(tier)] += 1 / drawn.shape[1]
    assert found.tier_probability.to_numpy() == pytest.approx(share)


@pytest.mark.parametrize("seed", range(4))
def test_mixture_of_mean_and_shortfall_equals_enumeration(seed: int) -> None:
    options, drawn, limits = book(seed + 50, draws=11)
    _, net = every_plan(options, drawn, limits)
    found = allocate_under_uncertainty(options, drawn, **limits, level=0.8, risk_weight=0.4)
    best = max(0.6 * one.mean() + 0.4 * expected_shortfall(one, 0.8) for one in net)
    assert found.averse_measure == pytest.approx(best, rel=1e-7)
    assert found.averse_bound >= best - 1e-7 * abs(best)


def test_shortfall_counts_the_last_draw_in_part() -> None:
    # Worst quarter of six: one whole draw and half of the next.
    assert expected_shortfall(np.array([5.0, 1.0, 2.0, 9.0, 7.0, 8.0]), 0.75) == pytest.approx((1 + 0.5 * 2) / 1.5)


@pytest.mark.parametrize("seed", range(2))
def test_partial_information_on_all_accounts_is_perfect_information(seed: int) -> None:
    options, drawn, limits = book(seed + 20)
    names = sorted(set(options["account_id"]))
    found = allocate_under_uncertainty(options, drawn, **limits, groups={"everyone": names}, risk_weight=0)
    assert found.information["value"].iloc[0] == pytest.approx(found.evpi, rel=1e-7, abs=1e-9)


def test_partial_information_on_a_group_equals_enumeration() -> None:
    """With independent draws, what is learnt of a group leaves the others at their means."""
    options, _, limits = book(3)
    g = np.random.default_rng(8)
    inside = (options["segment"] == "x").to_numpy()
    # A full factorial of two independent sets of draws: independence holds in the sample, not only on average.
    x = options["value"].to_numpy()[inside, None] + 6 * g.standard_normal((inside.sum(), 7))
    y = options["value"].to_numpy()[~inside, None] + 6 * g.standard_normal((len(inside) - inside.sum(), 7))
    drawn = np.empty((len(options), 49))
    drawn[inside], drawn[~inside] = np.repeat(x, 7, axis=1), np.tile(y, 7)
    found = allocate_under_uncertainty(
        options, drawn, **limits, groups="segment", risk_weight=0, information_draws=49
    ).information.set_index("learn")["value"]
    for name, rows in (("x", inside), ("y", ~inside)):
        told = np.where(rows[:, None], drawn, drawn.mean(axis=1, keepdims=True))
        _, net = every_plan(options, told, limits)
        assert found[name] == pytest.approx(net.max(axis=0).mean() - net.mean(axis=1).max(), rel=1e-6)
        assert found[name] > 0


def test_partial_information_on_a_parameter() -> None:
    """One uplift that all accounts share and that decides all: learning it is worth what all is; noise is worth 0."""
    g = np.random.default_rng(5)
    n, draws = 80, 300
    clv = g.lognormal(3, 0.5, n)
    uplift = g.normal(0.3, 0.25, draws)
    options = pd.DataFrame({"account_id": [f"A{i}" for i in range(n)], "tier": "one", "value": clv * 0.3, "cost": 5.0})
    chance = g.standard_normal(draws)
    drawn = OptionDraws(np.outer(clv, uplift), pd.DataFrame({"uplift": uplift, "chance": chance}))
    found = allocate_under_uncertainty(options, drawn, 200.0, risk_weight=0)
    known = found.information.set_index("learn")["value"]
    assert known["uplift"] == pytest.approx(found.evpi, rel=0.05)
    assert known["chance"] <= 0.02 * found.evpi
    assert "uplift" in found.text


def medium(seed: int = 1, n: int = 120, draws: int = 40) -> tuple[pd.DataFrame, np.ndarray, dict]:
    g = np.random.default_rng(seed)
    clv = g.lognormal(9, 1, n)
    options = pd.DataFrame(
        {
            "account_id": np.repeat([f"A{i:04d}" for i in range(n)], 3),
            "tier": np.tile(["1:1", "1:few", "1:many"], n),
            "value": (clv[:, None] * [0.3, 0.15, 0.05]).ravel(),
            "cost": np.tile([3000.0, 700.0, 100.0], n),
            "hours": np.tile([80.0, 12.0, 1.0], n),
            "manager": np.repeat(g.choice(["m1", "m2", "m3"], n), 3),
        }
    )
    factor = np.exp(0.5 * g.standard_normal((n, draws)) - 0.125) * (1 + 0.2 * g.standard_normal(draws))
    drawn = options["value"].to_numpy()[:, None] * np.repeat(factor, 3, axis=0)
    limits = {"budget": 40_000.0, "hours": 900.0, "limits": [GroupLimit("manager", most=9, tiers=["1:few"])]}
    return options, drawn, limits


def test_what_must_hold_in_any_book() -> None:
    options, drawn, limits = medium()
    found = allocate_under_uncertainty(options, drawn, **limits, groups="manager", level=0.8)
    out, plans = found.outcomes, found.plans.set_index("plan")
    assert (out["perfect"] >= out["expected"]).all()
    assert (out["bound"] >= out["perfect"]).all()
    assert 0 < found.evpi <= found.evpi_bound <= found.evpi * 1.2
    assert (plans["regret"] >= 0).all()
    assert plans.loc["expected", "expected"] >= plans.loc["risk-averse", "expected"] - 1e-3 * found.plan.objective
    assert plans.loc["risk-averse", "shortfall"] >= plans.loc["expected", "shortfall"]
    assert found.averse_bound >= found.averse_measure
    assert (found.averse_bound - found.averse_measure) <= 0.01 * found.averse_bound
    assert found.tier_probability.sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert (found.information["value"] >= 0).all()
    assert (found.information["value"] <= found.evpi_bound).all()
    for column in ("tier", "averse"):
        plan = found.table[["account_id"]].assign(tier=found.table[column])
        assert not verify(plan, options, **limits).faults
    row = {k: v for v, k in enumerate(zip(options["account_id"], options["tier"], strict=True))}
    taken = found.table[found.table["averse"] != "none"]
    at = [row[pair] for pair in zip(taken["account_id"], taken["averse"], strict=True)]
    net = drawn[at].sum(axis=0) - options["cost"].to_numpy()[at].sum()
    assert out["risk-averse"].to_numpy() == pytest.approx(net)


def test_same_whatever_the_order_and_the_currency() -> None:
    options, drawn, limits = medium(2, n=40, draws=15)
    first = allocate_under_uncertainty(options, drawn, **limits, groups="manager")
    again = allocate_under_uncertainty(options, drawn, **limits, groups="manager")
    pd.testing.assert_frame_equal(first.table, again.table)
    pd.testing.assert_frame_equal(first.outcomes, again.outcomes)
    assert first.text == again.text
    order = np.random.default_rng(0).permutation(len(options))
    mixed = allocate_under_uncertainty(options.iloc[order], drawn[order], **limits, groups="manager")
    pd.testing.assert_frame_equal(first.table, mixed.table)
    assert first.evpi == pytest.approx(mixed.evpi, rel=1e-9)
    coins = options.assign(value=options["value"] * 90, cost=options["cost"] * 90)
    dear = allocate_under_uncertainty(coins, drawn * 90, **(limits | {"budget": 90 * 40_000.0}), groups="manager")
    assert (dear.table["tier"] == first.table["tier"]).all()
    assert dear.evpi == pytest.approx(90 * first.evpi, rel=1e-6)
    assert dear.averse_measure == pytest.approx(90 * first.averse_measure, rel=1e-4)


def test_every_kind_of_limit_holds_in_every_plan() -> None:
    options, drawn, _ = medium(7, n=60, draws=8)
    ids = list(dict.fromkeys(options["account_id"]))
    g = np.random.default_rng(2)
    options["cluster"] = np.repeat(g.choice(["k1", "k2", "k3", "k4"], 60), 3)
    last = dict(zip(ids, g.choice(["1:1", "1:few", "1:many", "none"], 60), strict=True))
    limits = {
        "budget": 25_000.0,
        "counts": {"1:1": (2, 5)},
        "limits": [
            Clusters("1:few", column="cluster", cost=900.0, fewest=2, most=6),
            MustHave([ids[0]]),
            MustNot({ids[1]: ["1:1"]}),
            KeepLast(last, switching_cost=50.0),
            MarginCap(0.3),
            Holdout(0.1, by=("manager",), seed=1),
        ],
    }
    found = allocate_under_uncertainty(options, drawn, **limits, level=0.7)
    mean = options.assign(value=drawn.mean(axis=1))
    for column, name in (("tier", "expected"), ("averse", "risk-averse")):
        checked = verify(found.table[["account_id"]].assign(tier=found.table[column]), mean, **limits)
        assert not checked.faults
        # Opening of clusters and switching are in every draw's return.
        assert found.outcomes[name].mean() == pytest.approx(checked.objective, rel=1e-9)
    assert (found.outcomes["bound"] >= found.outcomes["perfect"]).all()
    assert found.evpi >= 0
    assert found.averse_bound >= found.averse_measure


def test_unit_normal_loss() -> None:
    """One account, normal values: EVPI is s · ψ(|m| ÷ s), EVPPI of a part of them s₁ · ψ(|m| ÷ s₁)."""
    many = 40
    level = norm.ppf((np.arange(many) + 0.5) / many)
    first, second = (one.ravel() for one in np.meshgrid(3 * level, 4 * level))
    m, cost = 2.0, 10.0
    options = pd.DataFrame({"account_id": ["A"], "tier": ["one"], "value": [m + cost], "cost": [cost]})
    drawn = OptionDraws((m + cost + first + second)[None, :], pd.DataFrame({"first": first, "second": second}))
    found = allocate_under_uncertainty(options, drawn, risk_weight=0)
    known = found.information.set_index("learn")["value"]

    def loss(sd: float) -> float:
        return float(sd * (norm.pdf(m / sd) - m / sd * norm.sf(m / sd)))

    assert found.evpi == pytest.approx(loss(5.0), rel=0.02)
    assert known["first"] == pytest.approx(loss(3.0), rel=0.05)
    assert known["second"] == pytest.approx(loss(4.0), rel=0.05)
    assert known["all parameters"] == pytest.approx(loss(5.0), rel=0.25)


@pytest.mark.slow
def test_curse_over_many_books() -> None:
    """Raw plans promise too much in every book; shrinking realises more on average."""
    gained = []
    for seed in range(8):
        options, _, limits = medium(seed, n=80)
        g = np.random.default_rng(seed)
        scale = options["tier"].map({"1:1": 2_000.0, "1:few": 900.0, "1:many": 200.0}).to_numpy()
        truth = 2 * scale[:, None] + scale[:, None] * g.standard_normal((len(options), 40))
        error = scale * g.uniform(0.2, 2.5, len(options))
        table = optimisers_curse(
            options, truth, **limits, standard_errors=error, shrink="tier", rounds=40
        ).table.set_index("plan")
        raw, shrunk = table.loc["raw estimates"], table.loc["shrunk estimates"]
        assert raw["promised"] > raw["realised"]
        assert abs(shrunk["promised"] / shrunk["realised"] - 1) < 0.2 * abs(raw["promised"] / raw["realised"] - 1)
        gained.append(shrunk["realised"] / raw["realised"] - 1)
    assert np.mean(gained) > 3 * np.std(gained, ddof=1) / np.sqrt(len(gained)) > 0


def test_no_uncertainty_no_value_of_information() -> None:
    options, drawn, limits = medium(3, n=40)
    certain = np.repeat(drawn.mean(axis=1, keepdims=True), 5, axis=1)
    found = allocate_under_uncertainty(options, certain, **limits)
    assert found.evpi == pytest.approx(0.0, abs=1e-3 * found.plan.objective)
    assert found.plans["shortfall"].iloc[0] == pytest.approx(found.plan.objective)


def test_stated_values_that_promise_too_much() -> None:
    options, drawn, limits = medium(4, n=60)
    found = allocate_under_uncertainty(options.assign(value=options["value"] * 1.5), drawn, **limits, risk_weight=0)
    stated = found.plans.set_index("plan").loc["as stated"]
    assert stated["promised"] > 1.3 * stated["expected"]
    assert "would promise" in found.text
    assert set(found.plans["plan"]) == {"expected", "as stated"}
    assert np.isnan(found.averse_measure)
    assert found.table["averse"].isna().all()


def test_optimisers_curse_and_its_cure() -> None:
    options, _, limits = medium(6, n=80)
    g = np.random.default_rng(1)
    scale = options["tier"].map({"1:1": 2_000.0, "1:few": 900.0, "1:many": 200.0}).to_numpy()
    truth = 2 * scale[:, None] + scale[:, None] * g.standard_normal((len(options), 60))
    # Some estimates are good and others are hardly worth anything: it is these that look best.
    error = scale * g.choice([0.2, 2.5], len(options))
    found = optimisers_curse(options, truth, **limits, standard_errors=error, shrink="tier", rounds=40)
    ways = ("raw estimates", "shrunk estimates", "true values")
    raw, shrunk, true = (found.table.set_index("plan").loc[way] for way in ways)
    assert raw["promised"] - raw["realised"] > 5 * raw["error"] > 0
    assert abs(shrunk["promised"] - shrunk["realised"]) < 0.25 * (raw["promised"] - raw["realised"])
    assert shrunk["realised"] > 1.05 * raw["realised"]
    assert true["promised"] == true["realised"] >= shrunk["realised"]
    again = optimisers_curse(options, truth, **limits, standard_errors=error, shrink="tier", rounds=40)
    pd.testing.assert_frame_equal(found.runs, again.runs)
    assert "too much" in found.text


def test_shrinking_to_the_model_helps_where_the_largest_values_are_the_least_sure() -> None:
    options, drawn, limits = medium(1, n=60)
    found = optimisers_curse(options, drawn, **limits, rounds=40).table.set_index("plan")
    raw, shrunk = found.loc["raw estimates"], found.loc["shrunk estimates"]
    assert raw["promised"] > 1.2 * raw["realised"]
    assert abs(shrunk["promised"] - shrunk["realised"]) < 0.4 * (raw["promised"] - raw["realised"])
    assert shrunk["realised"] > raw["realised"]


def test_exact_estimates_know_no_curse() -> None:
    options, drawn, limits = book(1)
    found = optimisers_curse(options, drawn, **limits, standard_errors=np.zeros(len(options)), rounds=5)
    assert found.table["promised"].to_numpy() == pytest.approx(found.table["realised"].to_numpy())


TIERS = [Tier(name="1:1", cost=500.0, uplift=0.3), Tier(name="1:few", cost=100.0, uplift=0.1)]


def test_draws_of_options_are_uplift_times_value() -> None:
    g = np.random.default_rng(3)
    value = pd.DataFrame(g.lognormal(8, 1, (40, 60)), index=pd.Index([f"A{i}" for i in range(40)], name="account_id"))
    options = tier_options(value.mean(axis=1).to_frame("clv"), TIERS)
    fixed = option_draws(options, value, {"1:1": 0.3, "1:few": 0.1})
    assert fixed.drawn.mean(axis=1) == pytest.approx(options["value"].to_numpy())
    learnt = update_response(response_prior(TIERS), [Measurement("1:1", 0.2, 0.05, experiment="e1")])
    found = option_draws(options, value, learnt, seed=4)
    assert list(found.parameters.columns) == ["uplift of 1:1", "uplift of 1:few"]
    at = (options["tier"] == "1:1").to_numpy()
    assert found.drawn[at] == pytest.approx(value.to_numpy() * found.parameters["uplift of 1:1"].to_numpy())
    plan = allocate_under_uncertainty(options, found, 2_000.0)
    assert {"uplift of 1:1", "uplift of 1:few", "all parameters"} == set(plan.information["learn"])


def test_errors_say_what_and_where() -> None:
    options, drawn, limits = book(0)
    with pytest.raises(DataError, match="shape"):
        allocate_under_uncertainty(options, drawn[:-1], **limits)
    with pytest.raises(DataError, match="row 3"):
        allocate_under_uncertainty(options, np.where(np.arange(len(drawn))[:, None] == 2, np.nan, drawn), **limits)
    with pytest.raises(SettingsError, match="level"):
        allocate_under_uncertainty(options, drawn, level=1.0)
    with pytest.raises(DataError, match="group 'g'"):
        allocate_under_uncertainty(options, drawn, **limits, groups={"g": ["nobody"]})
    with pytest.raises(InfeasibleError):
        allocate_under_uncertainty(options, drawn, 0.0, counts={"one": (1, None)})
    with pytest.raises(SettingsError, match="rounds"):
        optimisers_curse(options, drawn, rounds=1)
    with pytest.raises(SettingsError, match="shrink"):
        optimisers_curse(options, drawn, shrink="none")
    with pytest.raises(DataError, match="standard errors"):
        optimisers_curse(options, drawn, standard_errors=[-1.0] * len(options))
    with pytest.raises(SettingsError, match="tier 'one'"):
        option_draws(options, pd.DataFrame(drawn[::2], index=sorted(set(options["account_id"]))), {"few": 0.1})


def test_pictures() -> None:
    options, drawn, limits = book(2)
    ax = allocate_under_uncertainty(options, drawn, **limits, currency="EUR").plot()
    assert len(ax.get_lines()) == 4
    assert "EUR" in ax.get_xlabel()
    ax = optimisers_curse(options, drawn, **limits, rounds=3).plot()
    assert len(ax.patches) == 6


def test_what_accounts_share_is_learnt_from_any_group() -> None:
    """If one factor moves all accounts, the values of a few tell those of all; if each moves alone, they do not."""
    g = np.random.default_rng(9)
    n, draws = 60, 80
    clv = g.lognormal(3, 0.6, n)
    options = pd.DataFrame({"account_id": [f"A{i}" for i in range(n)], "tier": "one", "value": clv, "cost": 20.0})
    few = {"few": [f"A{i}" for i in range(6)]}
    shared = clv[:, None] * np.exp(0.6 * g.standard_normal(draws))
    alone = clv[:, None] * np.exp(0.6 * g.standard_normal((n, draws)))
    common = allocate_under_uncertainty(options, shared, 500.0, groups=few, risk_weight=0, information_draws=draws)
    assert common.information["value"].iloc[0] == pytest.approx(common.evpi, rel=0.03)
    apart = allocate_under_uncertainty(options, alone, 500.0, groups=few, risk_weight=0, information_draws=draws)
    assert 0 < apart.information["value"].iloc[0] < 0.3 * apart.evpi
