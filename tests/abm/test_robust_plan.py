"""What a plan rests on: draws from one belief, what to learn first, how wrong beliefs may be, spends, other plans."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from clv.abm import Clusters, Holdout, TierShare, allocate_tiers, compare_allocations, verify
from clv.abm.options import with_hours
from clv.abm.response.adbudg import adbudg_from_judgement
from clv.abm.response.study import stated_curves, study_spend
from clv.abm.robust.draws import incremental_draws
from clv.abm.robust.learn_first import learn_first
from clv.abm.robust.sensitivity import tier_sensitivity
from clv.abm.selecting.incremental import incremental_value
from clv.abm.selecting.once_won import Prospects
from clv.data.settings import Tier
from clv.errors import DataError, SettingsError
from clv.result import Missing

TIERS = [
    Tier(name="few", cost=100, hours=4, uplift=0.2, curve={"half_more": 1.2, "saturation": 1.7}),
    Tier(name="many", cost=10, hours=0.5, uplift=0.04),
]


def believed(n=12, many=400, seed=3, ahead=6):
    """What a programme changes about some customers and prospects, with draws."""
    g = np.random.default_rng(seed)
    clv = g.gamma(2, 500, n)
    table = pd.DataFrame({"clv": clv}, index=pd.Index([f"C{k:02d}" for k in range(n)], name="account_id"))
    value = SimpleNamespace(table=table, draws=(clv[:, None] * g.gamma(4, 0.25, (n, many))).astype(np.float32))
    chance, won = g.uniform(0.1, 0.6, ahead), g.gamma(2, 2000, ahead)
    index = pd.Index([f"P{k:02d}" for k in range(ahead)], name="account_id")
    known = pd.DataFrame({"chance": chance, "once_won": won, "expected": chance * won}, index=index)
    odds = np.log(chance / (1 - chance))[:, None] + 0.3 * g.standard_normal((ahead, many))
    worth = won[:, None] * g.gamma(3, 1 / 3, (ahead, many))
    prospects = Prospects(known, "", (1 / (1 + np.exp(-odds))).astype(np.float32), worth.astype(np.float32), ("x",), "")
    return incremental_value(value, TIERS, prospects=prospects, seed=seed)


def options_of(found):
    return with_hours(found.tiers, TIERS)


def test_draws_of_options_are_those_behind_the_selection():
    found = believed()
    options = options_of(found)
    raw = incremental_draws(options, found, centred=False)
    best = options.merge(found.table["tier"].rename("best"), left_on="account_id", right_index=True)
    at = best.index[best["tier"] == best["best"]]
    net = raw.drawn[at] - options.loc[at, "cost"].to_numpy()[:, None]
    own = found.draws[found.table.index.get_indexer(options.loc[at, "account_id"])]
    assert net == pytest.approx(own, rel=1e-5, abs=1e-3)
    # The mean of some hundred draws is not what is expected; centred, it is.
    assert raw.drawn.mean(axis=1) != pytest.approx(options["value"].to_numpy(), rel=1e-4)
    centred = incremental_draws(options, found)
    assert centred.drawn.mean(axis=1) == pytest.approx(options["value"].to_numpy(), rel=1e-6)
    assert list(centred.parameters) == [
        "uplift of few", "rise of the odds to win in few", "uplift of many", "rise of the odds to win in many",
    ]  # fmt: skip
    assert centred.parameters["uplift of few"].mean() == pytest.approx(0.2, abs=0.005)
    few = incremental_draws(options, found, centred=False, most=7)
    assert (few.drawn == raw.drawn[:, :7]).all()
    assert len(few.parameters) == 7
    customers = incremental_draws(options[options["account_id"].str.startswith("C")], found)
    assert list(customers.parameters) == ["uplift of few", "uplift of many"]


def test_with_effects_settled_only_accounts_differ():
    found = believed()
    options = options_of(found)
    settled = incremental_draws(options, found, effects="believed")
    assert settled.parameters.shape == (400, 0)
    rows = options[options["account_id"] == "C03"].index
    few, many = settled.drawn[rows]
    assert few / many == pytest.approx(np.full(400, 0.2 / 0.04), rel=1e-4)
    assert np.ptp(incremental_draws(options, found).drawn[rows][0] / many) > 1


def test_draws_that_cannot_be_are_told():
    found = believed()
    options = options_of(found)
    with pytest.raises(DataError, match=r"row 1.*'C99' in tier 'few' is no option"):
        incremental_draws(options.iloc[:1].assign(account_id="C99"), found)
    plain = incremental_value(pd.DataFrame({"clv": [5.0]}, index=pd.Index(["a"], name="account_id")), TIERS)
    with pytest.raises(DataError, match="there are no draws"):
        incremental_draws(with_hours(plain.tiers, TIERS), plain)


def test_worth_of_knowing_one_account_is_that_of_choosing_for_it_alone():
    found = believed(ahead=0)
    options = options_of(found)
    draws = incremental_draws(options, found, effects="believed").drawn
    told = learn_first(allocate_tiers(options), options, draws)
    for account, rows in options.groupby("account_id").groups.items():
        net = np.vstack([draws[rows] - options.loc[rows, "cost"].to_numpy()[:, None], np.zeros(draws.shape[1])])
        worth = net.max(axis=0).mean() - net.mean(axis=1).max()
        row = told.table.set_index("account_id").loc[account]
        assert row["worth"] == pytest.approx(worth, abs=1e-9)
        own = {"few": 0, "many": 1, "none": 2}[row["tier"]]
        assert row["share"] == pytest.approx((net.argmax(axis=0) != own).mean())
    assert told.table["worth"].is_monotonic_decreasing
    assert told.table["account_id"].iloc[0] in told.text
    certain = np.repeat(options["value"].to_numpy()[:, None], 3, axis=1)
    same = learn_first(allocate_tiers(options), options, certain)
    assert same.table["worth"].max() < 1e-9
    assert "would stay the same" in same.text
    with pytest.raises(DataError, match="Give one row an option"):
        learn_first(allocate_tiers(options), options, draws[:3])


def test_scarce_hours_charge_what_an_account_could_get():
    found = believed(ahead=0)
    options = options_of(found)
    draws = incremental_draws(options, found, effects="believed").drawn
    plan = allocate_tiers(options, hours=10, limits=[Holdout(0.2, seed=1)])
    told = learn_first(plan, options, draws).table
    assert not set(told["account_id"]) & set(plan.holdout["account_id"])
    price = float(plan.limits["price"].iloc[0])
    assert price > 0
    rows = options[options["account_id"] == told["account_id"].iloc[0]].index
    charged = options.loc[rows, "cost"] + price * options.loc[rows, "hours"]
    net = np.vstack([draws[rows] - charged.to_numpy()[:, None], np.zeros(draws.shape[1])])
    assert told["worth"].iloc[0] == pytest.approx(net.max(axis=0).mean() - net.mean(axis=1).max(), rel=1e-6)


def test_regret_of_wrong_beliefs_equals_enumeration():
    options = options_of(believed(n=4, ahead=0))
    plan = allocate_tiers(options, budget=220, hours=9)
    found = tier_sensitivity(plan, [0.0, 0.5, 2.0])
    rows = {pair: k for k, pair in enumerate(zip(options["account_id"], options["tier"], strict=True))}
    ids = list(dict.fromkeys(options["account_id"]))
    own = plan.table.set_index("account_id")["tier"]
    for tier, factor in itertools.product(["few", "many", "all tiers"], [0.0, 0.5, 1.0, 2.0]):
        moved = (options["tier"] == tier) | (tier == "all tiers")
        value = options["value"] * np.where(moved, factor, 1.0)
        nets = []
        for tiers in itertools.product(["few", "many", "none"], repeat=len(ids)):
            at = [rows[a, t] for a, t in zip(ids, tiers, strict=True) if t != "none"]
            if options["cost"].iloc[at].sum() <= 220 and options["hours"].iloc[at].sum() <= 9:
                nets.append((value - options["cost"]).iloc[at].sum())
        at = [rows[a, t] for a, t in own.items() if t != "none"]
        kept = (value - options["cost"]).iloc[at].sum()
        row = found.table[(found.table["tier"] == tier) & (found.table["factor"] == factor)].iloc[0]
        assert row["kept"] == pytest.approx(kept)
        assert row["best"] == pytest.approx(max(nets), rel=1e-4)
        assert row["regret"] >= 0
    assert (found.table.loc[found.table["factor"] == 1, ["changed", "regret"]] == 0).all(axis=None)


def test_how_far_beliefs_may_be_off():
    # Ten accounts alike: at 0.8 of the belief the tier costs what it brings, and all of them drop it at once.
    ids = [f"a{k}" for k in range(10)]
    options = pd.DataFrame({"account_id": ids, "tier": "t", "value": 100.0, "cost": 80.0})
    found = tier_sensitivity(allocate_tiers(options, currency="EUR"), [0.7, 0.9, 1.5], change=0.5)
    assert found.breaks.set_index("tier").loc["t", "down"] == pytest.approx(0.9 - 0.2 * 0.5)
    assert np.isnan(found.breaks.set_index("tier").loc["t", "up"])
    assert "t adds 20% less" in found.text
    assert found.table.set_index(["tier", "factor"]).loc[("t", 0.7), "regret"] == pytest.approx(100.0)
    assert "Nowhere in the range" in tier_sensitivity(allocate_tiers(options), [0.95, 1.05]).text
    plt.close(found.plot().figure)
    for factors, said in (([-1.0], "multiples of 0 or more"), ([], "multiples of 0 or more")):
        with pytest.raises(SettingsError, match=said):
            tier_sensitivity(allocate_tiers(options), factors)
    with pytest.raises(SettingsError, match="share between 0 and 1"):
        tier_sensitivity(allocate_tiers(options), change=0)


def test_a_judged_curve_becomes_spends_within_the_plan():
    curve = stated_curves(TIERS)["few"]
    assert curve == adbudg_from_judgement(without=0, present=1, half_more=1.2, saturation=1.7, spend=1)
    assert float(curve(1.0)) == pytest.approx(1.0)
    options = options_of(believed(ahead=0))
    plan = allocate_tiers(options, budget=500, hours=30, counts={"few": (1, 6)}, currency="EUR")
    found = study_spend(TIERS, plan, options)
    assert found.objective >= plan.objective - 1e-6
    assert found.table["spend"].sum() <= 500 + 1e-6
    assert found.table["hours"].sum() <= 30
    assert (found.table["tier"] == "few").sum() <= 6
    assert found.table.loc[found.table["tier"] == "few", "spend"].max() <= 300 + 1e-9
    none = study_spend([tier.model_copy(update={"curve": None}) for tier in TIERS], plan, options)
    assert isinstance(none, Missing)


@pytest.mark.parametrize("limit", [Clusters("few", "group", 30.0, 2), TierShare("few", "group", "g1", least=0.4)])
def test_limits_on_whole_tiers_keep_the_tiers(limit):
    options = options_of(believed(ahead=0))
    about = pd.DataFrame(
        {"group": np.tile(["g1", "g2"], 6)}, index=pd.Index(sorted(set(options["account_id"])), name="account_id")
    )
    limits = [limit, Holdout(0.1, seed=2)]
    plan = allocate_tiers(options, budget=500, limits=limits, accounts=about)
    assert verify(plan.table, options, budget=500, limits=limits, accounts=about).faults == ()
    found = study_spend(TIERS, plan, options, accounts=about)
    pd.testing.assert_series_equal(found.table["tier"], plan.table["tier"])
    assert found.table["spend"].sum() + plan.clusters["cost"].sum() <= 500 + 1e-6
    assert found.objective - plan.clusters["cost"].sum() >= plan.objective - 1e-6
    few = pd.DataFrame({"account_id": ["a"], "tier": ["many"], "value": [50.0], "cost": [10.0]})
    alone = allocate_tiers(
        few, limits=[Clusters("many", "g")], accounts=pd.DataFrame({"account_id": ["a"], "g": ["x"]})
    )
    assert "No account of the plan" in study_spend(TIERS, alone, few).text


def test_other_plans_may_treat_accounts_that_the_plan_was_not_made_from():
    options = options_of(believed(ahead=0))
    some = options[options["account_id"] < "C06"].reset_index(drop=True)
    plan = allocate_tiers(some, budget=300, currency="EUR")
    team = {"C01": "few", "C08": "few", "C09": "none", "X1": "many", "X2": "none"}
    found = compare_allocations(plan, {"team": team}, options=options)
    table = found.table.set_index("plan")
    value = options.set_index(["account_id", "tier"])
    net = sum(value.loc[(a, "few"), "value"] - value.loc[(a, "few"), "cost"] for a in ("C01", "C08"))
    assert table.loc["team", "net"] == pytest.approx(net)
    assert table.loc["team", "unvalued"] == 1
    assert table.loc["best", "net"] == pytest.approx(plan.objective)
    assert table.loc["rank and cut", "net"] <= plan.objective + 1e-9
    assert "1 account of it is left out: nothing is known" in found.text
    narrow = compare_allocations(plan, {"team": team}).table.set_index("plan")
    assert narrow.loc["team", "accounts"] == 1
    assert narrow.loc["team", "unvalued"] == 2
    with pytest.raises(DataError, match="do not hold those of the plan"):
        compare_allocations(plan, {"team": team}, options=options[options["account_id"] > "C02"])
