"""What a programme changes: the arithmetic, prospects on the same scale, reasons that are true."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from clv.abm.loop.evidence import Measurement
from clv.abm.loop.response import response_prior, update_response
from clv.abm.options import tier_options
from clv.abm.selecting.effects import odds_raised, tier_effects
from clv.abm.selecting.incremental import incremental_value
from clv.abm.selecting.level import firmographic_level
from clv.abm.selecting.once_won import Prospects, value_prospects
from clv.abm.selection import select_accounts
from clv.abm.tiers import allocate_tiers
from clv.churn.plays.measured import MeasuredUplift
from clv.data.settings import Tier
from clv.data.tables import RUN_TABLES
from clv.errors import DataError, SettingsError
from clv.value.beta_geo import BetaGeoModel
from clv.value.gamma_gamma import GammaGammaModel

TIERS = [
    Tier(name="1:1", cost=4000, hours=60, uplift=0.35),
    Tier(name="1:few", cost=800, hours=20, uplift=0.15),
    Tier(name="1:many", cost=80, hours=0.5, uplift=0.03),
]


def customers(n=40, many=300, seed=3):
    g = np.random.default_rng(seed)
    alive, spend, rate = g.random(n), g.gamma(4, 500, n), g.gamma(2, 2, n)
    clv = 0.35 * alive * spend * rate
    draws = (clv[:, None] * g.gamma(6, 1 / 6, (n, many))).astype(np.float32)
    index = pd.Index([f"C{i:02d}" for i in g.permutation(n)], name="account_id")
    table = pd.DataFrame(
        {"p_alive": alive, "expected_purchases": rate, "expected_spend": spend, "clv": clv}, index=index
    )
    return SimpleNamespace(table=table, draws=draws)


def prospects(n=30, many=300, seed=4):
    g = np.random.default_rng(seed)
    chance, won = g.uniform(0.05, 0.6, n), g.gamma(2, 20_000, n)
    index = pd.Index([f"P{i:02d}" for i in range(n)], name="account_id")
    table = pd.DataFrame({"chance": chance, "once_won": won, "expected": chance * won}, index=index)
    odds = np.log(chance / (1 - chance))[:, None] + 0.3 * g.standard_normal((n, many))
    worth = won[:, None] * g.gamma(3, 1 / 3, (n, many))
    return Prospects(
        table, "", (1 / (1 + np.exp(-odds))).astype(np.float32), worth.astype(np.float32), ("chance", "value"), ""
    )


def test_gains_are_the_stated_arithmetic_in_the_best_tier():
    value, ahead = customers(), prospects()
    found = incremental_value(value, TIERS, prospects=ahead, cost_to_serve=250.0).table
    for account, clv in value.table["clv"].items():
        nets = {t.name: t.uplift * clv - t.cost for t in TIERS}
        best = max(nets, key=nets.get)
        assert found.loc[account, "tier"] == best
        assert found.loc[account, "net"] == pytest.approx(nets[best])
    for account, row in ahead.table.iterrows():
        nets = {}
        for tier in TIERS:
            odds = (1 + tier.uplift) * row["chance"] / (1 - row["chance"])
            nets[tier.name] = (odds / (1 + odds) - row["chance"]) * (row["once_won"] - 250) - tier.cost
        best = max(nets, key=nets.get)
        assert found.loc[account, "tier"] == best
        assert found.loc[account, "net"] == pytest.approx(nets[best])
    assert (found["gain"] - found["cost"]).to_numpy() == pytest.approx(found["net"].to_numpy())


def test_draws_are_about_the_expected_net_and_share_the_effect():
    value, ahead = customers(many=4000), prospects(many=4000)
    found = incremental_value(value, TIERS, prospects=ahead, seed=2)
    old = (found.table["kind"] == "customer").to_numpy()
    away = found.draws[old].mean(axis=1) - found.table["net"].to_numpy()[old]
    assert np.abs(away / found.table["gain"].to_numpy()[old]).max() < 0.06
    assert found.table["p_worth"].to_numpy() == pytest.approx((found.draws > 0).mean(axis=1))
    assert (found.table["lower"] <= found.table["upper"]).all()
    # Two customers of one tier have nothing in common but the effect, and so are correlated.
    tier = found.table["tier"].to_numpy()
    few = np.flatnonzero(old & (tier == "1:many"))[:2]
    assert np.corrcoef(found.draws[few])[0, 1] > 0.2
    sure = incremental_value(value, TIERS, prospects=ahead, doubt=0.0)
    np.testing.assert_allclose(
        sure.draws[:40], value.draws * sure.table["gain"].to_numpy()[:40, None] / value.table["clv"].to_numpy()[:, None]
        - sure.table["cost"].to_numpy()[:40, None], rtol=1e-4, atol=0.1,
    )  # fmt: skip


def test_a_measured_effect_overrules_the_assumption_as_far_as_it_is_sharp():
    sharp = tier_effects(TIERS, measured={"1:1": MeasuredUplift(0.08, 0.001, "trial")})
    assert sharp[0].uplift == pytest.approx(0.08, abs=1e-4)
    assert (sharp[0].evidence, sharp[1].evidence) == ("measured", "assumed")
    vague = tier_effects(TIERS, measured={"1:1": MeasuredUplift(-3.0, 50.0, "trial")})
    assert vague[0].uplift == pytest.approx(0.35, abs=1e-3)
    assert vague[0].evidence == "partly measured"
    assert "which is vague" in incremental_value(customers(), TIERS, measured={"1:1": MeasuredUplift(0, 9, "x")}).text
    half = tier_effects(TIERS, measured={"1:1": MeasuredUplift(0.05, 0.175, "trial")})
    assert half[0].uplift == pytest.approx(0.20)
    assert half[0].error == pytest.approx(0.175 / np.sqrt(2))
    assert tier_effects(TIERS, doubt=0, measured={"1:1": MeasuredUplift(0.1, 0.2, "x")})[0].uplift == 0.1
    text = incremental_value(customers(), TIERS, measured={"1:1": MeasuredUplift(0.1, 0.02, "trial")}).text
    assert "(measured)" in text
    assert "(assumed)" in text
    everything = {tier.name: MeasuredUplift(0.1, 0.02, "trial") for tier in TIERS}
    assert "Assumed effects" not in incremental_value(customers(), TIERS, measured=everything).text


def test_a_response_stands_in_for_measurements_and_is_drawn_jointly():
    believed = response_prior(TIERS)
    learnt = update_response(believed, [Measurement(TIERS[0].name, 0.5, 0.02, "trial")])
    found = incremental_value(customers(), TIERS, response=learnt, seed=5)
    whole = learnt.table.set_index("tier")
    for effect in found.effects:
        assert (effect.uplift, effect.error) == (whole.loc[effect.name, "mean"], whole.loc[effect.name, "sd"])
    assert [effect.evidence for effect in found.effects] == ["measured", *["assumed"] * (len(TIERS) - 1)]
    assert found.effects[0].source == "trial"
    # Uplifts are believed in together: what is drawn for one tier goes with what is drawn for another.
    prior = incremental_value(customers(), TIERS, response=believed, seed=5)
    table = prior.table
    uplift = (prior.draws + table["cost"].to_numpy()[:, None]) / customers().draws
    first, second = (int(np.argmax(table["tier"].to_numpy() == name)) for name in ("1:few", "1:many"))
    assert table["tier"].iloc[[first, second]].tolist() == ["1:few", "1:many"]
    assert np.corrcoef(uplift[first], uplift[second])[0, 1] > 0.3
    with pytest.raises(SettingsError, match="both given"):
        incremental_value(
            customers(), TIERS, response=learnt, measured={TIERS[0].name: MeasuredUplift(0.1, 0.1, "trial")}
        )
    with pytest.raises(SettingsError, match="says nothing of tier"):
        incremental_value(customers(), [Tier(name="gold", cost=1, uplift=0.1)], response=learnt)


def test_contributions_sum_to_the_score():
    value = customers()
    value.table["clv_transactions"] = value.table["clv"] * np.linspace(0.2, 1, 40)
    for found in (
        select_accounts(incremental_value(value, TIERS, prospects=prospects(), cost_to_serve=99.0), capacity=20),
        select_accounts(value, capacity=20, cost_to_serve=123.0),
        select_accounts(value.table[["clv"]], capacity=20, cost_to_serve=123.0),
    ):
        parts = found.contributions
        assert parts.index.tolist() == found.table["account_id"].tolist()
        score = found.table["score"].to_numpy()
        np.testing.assert_allclose(parts.sum(axis=1), score, rtol=1e-10, atol=1e-8)


def test_contributions_of_odd_accounts_sum_too():
    table = pd.DataFrame(
        {
            "p_alive": [0.9, 0.0, np.nan, 0.5, 1.0],
            "expected_spend": [100.0, 50.0, np.nan, 0.0, -20.0],
            "clv_transactions": [90.0, 0.0, 0.0, 0.0, -20.0],
            "clv": [90.0, 500.0, 300.0, 0.0, -20.0],
        },
        index=pd.Index(list("abcde"), name="account_id"),
    )
    found = select_accounts(table)
    np.testing.assert_allclose(found.contributions.sum(axis=1), found.table["score"], atol=1e-10)
    change = select_accounts(incremental_value(table, TIERS))
    np.testing.assert_allclose(change.contributions.sum(axis=1), change.table["score"], atol=1e-10)
    assert change.table.set_index("account_id").loc["e", "score"] == -80.0


def test_equal_factors_get_equal_parts():
    """An account that differs from the average in one factor owes its difference to that factor alone."""
    table = pd.DataFrame(
        {"p_alive": [0.2, 0.8], "expected_spend": 100.0, "clv": [20.0, 80.0]},
        index=pd.Index(["a", "b"], name="account_id"),
    )
    parts = select_accounts(table).contributions
    assert parts.loc["b"].to_dict() == pytest.approx(
        {"average": 50.0, "alive": 30.0, "purchases": 0.0, "spend": 0.0, "cost": 0.0}
    )


def best_net(plan, row, flip, to: float) -> float:
    """What the best tier would add if one driver were another; a cost changes that of the one tier that is meant."""
    nets = []
    for effect in plan.effects:
        cost, base, won, chance = effect.cost, row["base"], row["once_won"], row["chance"]
        if flip["driver"] == "programme cost" and cost == flip["now"]:
            cost = to
        base = to if flip["driver"] == "value" else base
        won = to if flip["driver"] == "once won" else won
        chance = to if flip["driver"] == "chance" else chance
        gain = effect.uplift * max(base, 0.0) if row["kind"] == "customer" else (
            (float(odds_raised(chance, effect.win)) - chance) * won
        )  # fmt: skip
        nets.append(gain - cost)
    return max(nets)


@pytest.mark.parametrize("capacity", [None, 12])
def test_the_smallest_change_flips_and_a_little_less_does_not(capacity):
    value, ahead = customers(), prospects()
    plan = incremental_value(value, TIERS, prospects=ahead, win_uplift=0.6)
    base = select_accounts(plan, capacity=capacity)
    before = base.table.set_index("account_id")["selected"]
    drivers = set()
    for account, flip in base.flips.iterrows():
        if not isinstance(flip["driver"], str):
            continue
        drivers.add(flip["driver"])
        row = plan.table.loc[account]
        for by, turns in ((1 - 1e-6, False), (1 + 1e-6, True)):
            to = flip["now"] * (flip["then"] / flip["now"]) ** by if flip["driver"] != "chance" else (
                flip["now"] + (flip["then"] - flip["now"]) * by
            )  # fmt: skip
            net = best_net(plan, row, flip, to)
            scores = base.table.set_index("account_id")["score"].to_dict() | {account: net}
            table = pd.DataFrame({"clv": scores}).rename_axis("account_id")
            after = select_accounts(table, capacity=capacity).table.set_index("account_id")["selected"]
            assert (after[account] != before[account]) == turns, (account, flip)
    assert {"programme cost", "value"} & drivers
    assert {"chance", "once won"} & drivers


def test_value_flips_are_true_and_say_when_nothing_helps():
    table = customers().table
    base = select_accounts(table, capacity=10, cost_to_serve=300.0)
    before = base.table.set_index("account_id")["selected"]
    for account, flip in base.flips.iterrows():
        for by, turns in ((1 - 1e-6, False), (1 + 1e-6, True)):
            to = flip["now"] + (flip["then"] - flip["now"]) * by
            changed, cost = table.copy(), pd.Series(300.0, table.index)
            if flip["driver"] == "value":
                changed.loc[account, "clv"] = to
            else:
                cost[account] = to
            after = select_accounts(changed, capacity=10, cost_to_serve=cost).table.set_index("account_id")["selected"]
            assert (after[account] != before[account]) == turns
    dead = incremental_value(pd.DataFrame({"clv": [0.0, 9e5]}, index=["x", "y"]), TIERS)
    reason = select_accounts(dead).table.set_index("account_id")["reason"]
    assert "no change of one thing alone" in reason["x"]


def test_reasons_have_the_numbers_of_the_table():
    value, ahead = customers(), prospects()
    plan = incremental_value(value, TIERS, prospects=ahead, win_uplift=0.6, currency="EUR")
    found = select_accounts(plan, capacity=25, currency="EUR", stages=pd.Series({"C00": "at risk"}))
    RUN_TABLES["account_selection"].validate(found.table, lazy=True)
    reason = found.table.set_index("account_id")["reason"]
    first = found.table["account_id"].iloc[0]
    assert reason[first].startswith("In: rank 1 of 70: ")
    assert plan.table.loc[first, "tier"] in reason[first]
    assert "(assumed)" in reason[first]
    assert "stage: at risk" in reason["C00"]
    some = plan.table[plan.table["kind"] == "prospect"].index[0]
    assert f"instead of {plan.table.loc[some, 'chance']:.0%}" in reason[some]
    assert reason.str.count(r"\. ").max() <= 1  # two sentences at most
    assert "prospect" in found.text or "did not" in found.text
    assert "assumed" in found.text.lower()
    found.plot()
    plan.plot()
    ahead.plot()


def test_prospects_and_customers_compete_on_one_scale():
    clv = pd.DataFrame({"clv": [10_000.0, 1000.0]}, index=["big", "small"])
    ahead = {"chance": [0.5, 0.5], "once_won": [60_000.0, 500.0], "expected": [30_000.0, 250.0]}
    new = Prospects(pd.DataFrame(ahead, index=["P", "Q"]), "", None, None, ("value",), "")
    plan = incremental_value(clv, [Tier(name="t", cost=100, uplift=0.2)], prospects=new)
    order = select_accounts(plan).table
    assert order["account_id"].tolist() == ["P", "big", "small", "Q"]
    assert order["selected"].tolist() == [True, True, True, False]
    assert order["p_selected"].isna().all()


def test_options_go_straight_into_the_allocation():
    value = customers()
    plan = incremental_value(value, TIERS, prospects=prospects())
    mine = plan.tiers[plan.tiers["account_id"].str.startswith("C")].reset_index(drop=True)
    theirs = tier_options(value, TIERS)[["account_id", "tier", "value", "cost"]]
    pd.testing.assert_frame_equal(mine, theirs, check_dtype=False)
    best = allocate_tiers(plan.tiers, budget=1e9)
    assert best.objective == pytest.approx(plan.table["net"].clip(lower=0).sum())


def test_without_prospects_the_text_says_that_value_alone_decides():
    plan = incremental_value(customers(), TIERS)
    assert "value of customers alone" in plan.text
    plain = select_accounts(customers(), capacity=5)
    assert "value alone" in plain.text
    bare = select_accounts(customers(), accounts=pd.DataFrame({"account_id": ["C00"], "name": ["x"]}))
    assert "value alone" in bare.text
    known = select_accounts(customers(), accounts=pd.DataFrame({"account_id": ["C00"], "industry": ["x"]}))
    assert "value alone" not in known.text


def test_bad_input_is_named():
    value = customers()
    with pytest.raises(DataError, match="customer and a prospect"):
        incremental_value(value, TIERS, prospects=_renamed(prospects(), "P00", "C00"))
    with pytest.raises(DataError, match="shapes"):
        incremental_value(value, TIERS, prospects=prospects(many=7))
    with pytest.raises(SettingsError, match="no tier '1:9'"):
        incremental_value(value, TIERS, win_uplift={"1:9": 0.1})
    with pytest.raises(SettingsError, match="cost_to_serve"):
        incremental_value(value, TIERS, cost_to_serve=-1.0)
    with pytest.raises(SettingsError, match="net of the cost"):
        select_accounts(incremental_value(value, TIERS), cost_to_serve=5.0)
    with pytest.raises(SettingsError, match="tier"):
        incremental_value(value, [])


def _renamed(found: Prospects, old: str, new: str) -> Prospects:
    return Prospects(
        found.table.rename(index={old: new}), "", found.chances, found.worth, found.tell_apart, found.currency
    )


BUYING = {"r": 0.9, "alpha": 6.0, "a": 0.6, "b": 12.0}


def models():
    """Models fitted to a simulated book of 800 accounts."""
    true = BetaGeoModel.from_parameters(unit="W", **BUYING)
    summary = true.simulate(np.random.default_rng(1).integers(20, 150, 800).astype(float), 2)
    money = GammaGammaModel.from_parameters(p=5.0, q=3.4, v=580.0).simulate(summary["frequency"], 3)
    summary["monetary_value"] = np.where(summary["frequency"] > 0, money, 0.0)
    summary.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": None}
    return BetaGeoModel().fit(summary), GammaGammaModel().fit(summary)


def test_value_once_won_is_that_of_new_accounts_drawn_and_watched():
    """Simulate fresh accounts over the horizon from the fitted models: the mean margin is the closed form."""
    buying, paying = models()
    names = pd.DataFrame(index=pd.Index(["P1", "P2"], name="account_id"))
    found = value_prospects(
        names, buying, paying, win=None, horizon=52, discount_rate=0.0, margin=0.4, draws=4000, seed=1, currency="EUR"
    )
    n = 60_000
    fresh = buying.simulate(np.full(n, 52.0), 9)
    spend = paying.expected_spend(pd.DataFrame({"frequency": [0], "monetary_value": [0.0]})).iloc[0]
    watched = 0.4 * spend * (1 + fresh["frequency"].mean())
    assert found.table["once_won"].iloc[0] == pytest.approx(watched, rel=0.03)
    assert found.worth.mean() == pytest.approx(watched, rel=0.12)
    assert "one half stands for not knowing" in found.text
    assert "Nothing is known that tells prospects apart" in found.text
    assert found.tell_apart == ()
    assert found.chances.mean() == pytest.approx(0.5, abs=0.02)


def level_book(slope: float, n=400, seed=5):
    g = np.random.default_rng(seed)
    kind = g.choice(["mill", "shop", None], n, p=[0.4, 0.5, 0.1])
    mean = 1000 * np.exp(slope * (kind == "mill"))
    ids = [f"A{i:03d}" for i in range(n)]
    accounts = pd.DataFrame({"account_id": ids, "kind": kind, "noise": g.random(n), "name": ids})
    start = pd.Timestamp("2023-01-01")
    rows = pd.DataFrame({"account_id": np.tile(ids, 2), "amount": np.r_[g.gamma(2, mean / 4), g.gamma(2, mean / 4)]})
    rows["date"] = np.repeat([start, start + pd.Timedelta(days=100)], n)
    late = pd.DataFrame({"account_id": ids[:5], "amount": 1e7, "date": start + pd.Timedelta(days=900)})
    return pd.concat([rows, late], ignore_index=True), accounts


def test_levels_find_what_is_there_and_only_that():
    transactions, accounts = level_book(1.0)
    found = firmographic_level(transactions, accounts, horizon=52, unit="W")
    assert found.tells
    assert len(found.table) == 400
    assert found.table["first"].max() < 1e6  # what came after the first horizon is not in it
    new = pd.DataFrame({"kind": ["mill", "shop", "never seen", None], "noise": 0.5})
    told = found.predict(new).to_numpy()
    assert told[0] / told[1] == pytest.approx(np.e, rel=0.15)
    assert told[1] < told[2] < told[0]  # an unknown industry lies between
    drawn = found.draws(new, draws=2000, seed=1)
    np.testing.assert_allclose(drawn.mean(axis=1)[:2], told[:2], rtol=0.05)
    assert found.table["level"].mean() == pytest.approx(1, abs=0.05)
    found.plot()
    flat = firmographic_level(*level_book(0.0), horizon=52, unit="W")
    assert not flat.tells
    assert (flat.predict(new) == 1).all()
    assert "no better than none" in flat.text
    few = firmographic_level(transactions[transactions["account_id"] < "A020"], accounts, horizon=52, unit="W")
    assert not few.tells
    assert "only 20 customers" in few.text
    none = firmographic_level(transactions, accounts[["account_id", "name"]], horizon=52, unit="W")
    assert "no attributes" in none.text


def test_books_of_nobody_and_effects_that_take_everything_away():
    nobody = pd.DataFrame({"clv": pd.Series(dtype=float)}, index=pd.Index([], name="account_id", dtype=str))
    plan = incremental_value(nobody, TIERS)
    assert "no account" in plan.text
    assert select_accounts(plan).table.empty
    ahead = prospects(3)
    ahead.table.loc[:, "chance"] = [0.0, 0.5, 1.0]
    only = select_accounts(incremental_value(nobody, TIERS, prospects=ahead))
    assert len(only.table) == 3
    np.testing.assert_allclose(only.contributions.sum(axis=1), only.table["score"], atol=1e-8)
    np.testing.assert_array_equal(odds_raised(np.array([0.0, 0.5, 1.0]), -1.0), [0.0, 0.0, 1.0])
    worse = incremental_value(customers(), [Tier(name="t", cost=0, uplift=-0.5)])
    assert not select_accounts(worse).table["selected"].any()
