"""Forecasts of return: closed forms, an independent Monte Carlo, and what must be refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clv.abm.forecast.compare import compare_roi
from clv.abm.forecast.engine import Accounts, group_sums
from clv.abm.forecast.inputs import Costs
from clv.abm.forecast.roi import forecast_roi
from clv.abm.forecast.timing import Timing
from clv.abm.loop.evidence import Measurement
from clv.abm.loop.response import response_prior, update_response
from clv.abm.loop.shrinkage import Scales
from clv.data.settings import Tier
from clv.errors import DataError, SettingsError
from clv.value.lifetime import LifetimeValue

TIERS = [
    Tier(name="1:1", cost=1000, hours=10, uplift=0.35),
    Tier(name="1:few", cost=200, hours=5, uplift=0.15),
    Tier(name="1:many", cost=20, hours=1, uplift=0.03),
]
SURE = Scales(common=0, tier=0, segment=0, period=0)
YEAR = {"horizon": 52, "unit": "W", "discount_rate": 0.1}


def book(n, seed=1, error=0.6):
    g = np.random.default_rng(seed)
    clv = np.exp(g.normal(7.3, 1.2, n))
    ids = [f"A{i:05d}" for i in range(n)]
    value = pd.DataFrame({"clv": clv, "sd": error * clv}, index=pd.Index(ids, name="account_id"))
    rank = np.argsort(np.argsort(-clv))
    tier = np.where(rank < 0.05 * n, "1:1", np.where(rank < 0.3 * n, "1:few", "1:many"))
    cost = pd.Series({t.name: t.cost for t in TIERS})
    return pd.DataFrame({"account_id": ids, "tier": tier, "cost": cost[tier].to_numpy()}), value


def test_certain_inputs_give_the_sum_that_one_works_out_by_hand():
    plan, value = book(40)
    sure = response_prior(TIERS, scales=SURE)
    found = forecast_roi(plan, value[["clv"]], sure, costs=Costs(sd=0), spread=0, draws=100, **YEAR)
    uplift = plan["tier"].map({t.name: t.uplift for t in TIERS}).to_numpy()
    margin, cost = float(uplift @ value["clv"]), plan["cost"].sum()
    total = found.table.iloc[0]
    assert total["margin"] == pytest.approx(margin)
    assert total["cost"] == pytest.approx(cost)
    assert total["roi"] == pytest.approx(margin / cost - 1)
    assert total["npv_lower"] == pytest.approx(total["npv_upper"]) == pytest.approx(margin - cost)
    assert total["p_positive"] == float(margin > cost)
    # Payback: D(t)/D(H) = cost/margin with D(t) = (1 − e^{−δt})/δ.
    delta = np.log(1.1) * 7 / 365.25
    weeks = -np.log1p(-cost / margin * -np.expm1(-delta * 52)) / delta
    assert total["payback"] == pytest.approx(weeks * 7 / (365.25 / 12))
    tiers = found.scope("tier")
    assert tiers[["accounts", "cost", "margin", "npv"]].sum().to_numpy() == pytest.approx(
        total[["accounts", "cost", "margin", "npv"]].to_numpy(float)
    )
    assert found.tornado["input"].tolist() == ["inputs together"]


def test_moments_of_the_forecast_match_their_closed_form():
    plan, value = book(60)
    response = response_prior(TIERS)
    found = forecast_roi(plan, value, response, costs=Costs(sd=0.3), spread=0.5, draws=40_000, seed=1, **YEAR)
    at = {t.name: (plan["tier"] == t.name).to_numpy() for t in TIERS}
    clv = value["clv"].to_numpy()
    total = np.array([clv[at[t.name]].sum() for t in TIERS])
    noise = np.array([(clv[at[t.name]] ** 2).sum() for t in TIERS]) * ((1 + 0.6**2) * (1 + 0.5**2) - 1)
    mean, cover = response.posterior.covariances()
    second = cover + np.outer(mean, mean)
    spent = np.array([t.cost * at[t.name].sum() for t in TIERS])
    variance = total @ cover @ total + np.diag(second) @ noise + ((0.3 * spent) ** 2).sum()
    npv = found.draws["npv"].to_numpy()
    assert npv.mean() == pytest.approx(mean @ total - spent.sum(), abs=4 * npv.std() / 200)
    # The tails are heavy: a single draw in 40,000 may move the variance by some per cent.
    assert npv.var() == pytest.approx(variance, rel=0.06)


@pytest.mark.parametrize("n", [300, 1500])
def test_matched_moments_agree_with_every_account_drawn(n):
    plan, value = book(n, seed=n)
    exact, fast = (
        forecast_roi(plan, value, TIERS, spread=0.8, draws=8000, seed=2, method=m, **YEAR) for m in ("exact", "moments")
    )
    assert exact.drawn == n
    assert fast.drawn == sum(min(200, count) for count in plan["tier"].value_counts())
    columns = ["npv", "npv_lower", "npv_upper", "p_positive"]
    sd = exact.draws["npv"].std()
    gap = (exact.table[columns[:3]].to_numpy() - fast.table[columns[:3]].to_numpy()) / sd
    assert np.abs(gap).max() < 0.05
    assert np.abs(exact.table["p_positive"] - fast.table["p_positive"]).max() < 0.02


def test_a_small_tier_of_a_large_plan_is_drawn_in_full():
    """Its sum is far from any gamma: moments alone gave the single account here a chance of 1 in the place of .24."""
    _, value = book(600, error=3.0)
    ids = value.index
    cheap = int(np.argsort(value["clv"].to_numpy())[250])
    tier = np.where(np.arange(600) == cheap, "1:1", "1:many")
    cost = np.where(tier == "1:1", 0.3, 0.02) * value["clv"].to_numpy()
    plan = pd.DataFrame({"account_id": ids, "tier": tier, "cost": cost})
    sure = response_prior(TIERS, scales=SURE)
    found = forecast_roi(plan, value, sure, costs=Costs(sd=0), draws=4000, method="moments", **YEAR).scope("tier")
    log = np.sqrt(np.log1p(3.0**2) + np.log1p(0.5**2))
    exactly = stats.norm.cdf((np.log(0.35 / 0.3) - log**2 / 2) / log)
    assert found["p_positive"].iloc[0] == pytest.approx(exactly, abs=4 * np.sqrt(0.25 / 4000))


def test_one_account_has_the_return_of_a_log_normal():
    sure = response_prior(TIERS, scales=SURE)
    margin = np.log1p(0.6**2) + np.log1p(0.5**2)
    spent = np.log1p(0.3**2)
    for clv in (2000.0, 3500.0, 8000.0):
        value = pd.DataFrame({"clv": [clv], "sd": [0.6 * clv]}, index=pd.Index(["a"], name="account_id"))
        plan = pd.DataFrame({"account_id": ["a"], "tier": "1:1", "cost": 1000.0})
        row = forecast_roi(plan, value, sure, costs=Costs(sd=0.3), seed=5, **YEAR).table.iloc[0]
        middle, width = np.log(0.35 * clv / 1000) - (margin - spent) / 2, np.sqrt(margin + spent)
        assert row["p_positive"] == pytest.approx(stats.norm.cdf(middle / width), abs=4 * np.sqrt(0.25 / 10_000))
        ends = np.log1p(row[["roi_lower", "roi_upper"]].to_numpy(float))
        # A quantile's own error is √(q(1−q)/n) over the density there.
        assert ends == pytest.approx(middle + width * stats.norm.ppf([0.05, 0.95]), abs=4 * width * 0.0211)


def test_an_interval_gives_the_spread_of_the_log_normal_that_has_it():
    plan, value = book(1)
    sigma, clv = 1.0, 1000.0
    low, high = clv * np.exp(sigma * stats.norm.ppf([0.05, 0.95]) - sigma**2 / 2)
    ends = value.assign(clv=clv, lower=low, upper=high).drop(columns="sd")
    known = value.assign(clv=clv, sd=clv * np.sqrt(np.expm1(sigma**2)))
    a, b = (forecast_roi(plan, one, TIERS, draws=500, **YEAR).table for one in (ends, known))
    pd.testing.assert_frame_equal(a, b, rtol=1e-4)


def test_rest_by_moments_has_the_right_mean_variance_and_skewness(monkeypatch):
    monkeypatch.setattr("clv.abm.forecast.engine.EXACT_ACCOUNTS", 5)
    n, draws = 2000, 60_000
    g = np.random.default_rng(3)
    mean = np.exp(g.normal(0, 0.3, n))
    accounts = Accounts([f"a{i}" for i in range(n)], mean, 1.5 * mean, None, 0.0)
    # 40 small groups, so that the rest of each is visibly skewed.
    group = np.arange(n) % 40
    column = np.zeros(draws, dtype=np.int64)
    sums, drawn = group_sums(accounts, group, 40, column=column, seed=1, exact=False)
    assert drawn == 200
    noise = np.log1p(1.5**2)
    first, ratio = np.expm1(noise), []
    for k in range(40):
        own = mean[group == k]
        third = first**2 * (first + 3) * (own**3).sum()
        z = sums[k] - own.sum()
        assert abs(z.mean()) < 5 * z.std() / np.sqrt(draws)
        assert z.var() == pytest.approx(first * (own**2).sum(), rel=0.1)
        ratio.append((z**3).mean() / third)
    assert np.mean(ratio) == pytest.approx(1, abs=0.15)


def test_joint_draws_of_values_are_used_as_they_are():
    plan, value = book(30)
    g = np.random.default_rng(5)
    shared = np.exp(g.normal(0, 0.5, 400))
    draws = (value["clv"].to_numpy()[:, None] * shared).astype(np.float32)
    table = value[["clv"]].assign(lower=np.nan, upper=np.nan)
    joint = LifetimeValue(
        table=table, text="", draws=draws, horizon=52, unit="W", discount_rate=0.1, margin=0.3, confidence=0.9
    )
    sure = response_prior(TIERS, scales=SURE)
    found = forecast_roi(plan, joint, sure, costs=Costs(sd=0), spread=0, draws=4000)
    # Values move together: the spread of the margin is that of the shared factor, not its root-n'th part.
    assert found.draws["margin"].std() / found.draws["margin"].mean() == pytest.approx(
        shared.std() / shared.mean(), rel=0.01
    )
    with pytest.raises(SettingsError, match="discount_rate"):
        forecast_roi(plan, joint, sure, discount_rate=0.2)


def test_plans_are_compared_with_the_same_luck():
    plan, value = book(200)
    other = plan.copy()
    move = other.index[other["tier"] == "1:many"][:5]
    other.loc[move, "tier"], other.loc[move, "cost"] = "1:few", 200.0
    found = compare_roi({"ours": plan, "same": plan, "theirs": other}, value, TIERS, draws=4000, **YEAR)
    rows = found.table.set_index("plan")
    assert rows.loc["same", "difference"] == rows.loc["same", "difference_upper"] == 0
    assert rows.loc["theirs", "error"] < 0.1 * rows.loc["theirs", "error_unpaired"]
    # Only five accounts move: their expected difference is known.
    clv = value.loc[plan.loc[move, "account_id"], "clv"].sum()
    expected = (0.15 - 0.03) * clv - 5 * 180
    assert rows.loc["theirs", "difference"] == pytest.approx(expected, abs=4 * rows.loc["theirs", "error"])
    nothing = compare_roi({"ours": plan, "nothing": plan.assign(tier="none")}, value, TIERS, draws=500, **YEAR).table
    assert nothing.loc[1, ["accounts", "cost", "npv"]].tolist() == [0, 0, 0]
    assert nothing.loc[1, "difference"] == pytest.approx(-nothing.loc[0, "npv"])
    alone = [forecast_roi(p, value, TIERS, draws=4000, **YEAR).draws["npv"] for p in (plan, other)]
    assert (alone[1] - alone[0]).mean() == pytest.approx(rows.loc["theirs", "difference"], rel=1e-3)


def test_forecasts_do_not_depend_on_the_order_of_rows_and_repeat_to_the_bit():
    plan, value = book(150)
    first = forecast_roi(plan, value, TIERS, draws=500, seed=3, **YEAR)
    again = forecast_roi(plan.sample(frac=1, random_state=1), value.iloc[::-1], TIERS, draws=500, seed=3, **YEAR)
    pd.testing.assert_frame_equal(first.table, again.table, check_exact=True)
    other = forecast_roi(plan, value, TIERS, draws=500, seed=4, **YEAR)
    assert not np.array_equal(first.draws["npv"], other.draws["npv"])


def test_cost_to_acquire_is_counted_once_and_for_those_in_the_plan_only():
    plan, value = book(30)
    paid = Costs(sd=0, acquisition={"A00003": 500.0, "not there": 9e9})
    with_cac, without = (
        forecast_roi(plan, value, TIERS, costs=c, draws=500, **YEAR).table for c in (paid, Costs(sd=0))
    )
    assert (with_cac["cost"] - without["cost"]).iloc[0] == pytest.approx(500)
    assert (with_cac["margin"] - without["margin"]).abs().max() == 0


def test_a_programme_cannot_take_more_than_accounts_bring():
    plan, value = book(5)
    wild = [Tier(name="1:1", cost=1.0, uplift=2.0)]
    found = forecast_roi(plan.assign(tier="1:1"), value[["clv"]], wild, spread=0, draws=4000, **YEAR)
    assert found.draws["margin"].min() == pytest.approx(-value["clv"].sum())


def test_value_already_in_the_plan_is_not_counted_again():
    plan, value = book(30)
    a, b = (forecast_roi(p, value, TIERS, draws=200, **YEAR) for p in (plan, plan.assign(value=1e9)))
    pd.testing.assert_frame_equal(a.table, b.table)


def test_measured_responses_replace_assumptions_and_the_text_says_which():
    plan, value = book(60)
    prior = response_prior(TIERS)
    assert "is assumed, not measured" in forecast_roi(plan, value, prior, draws=500, **YEAR).text
    # Twice: once might be what held in that period only.
    found = [Measurement(t.name, 0.0, 0.001, f"E{k}") for t in TIERS for k in (1, 2)]
    learnt = forecast_roi(plan, value, update_response(prior, found), draws=500, **YEAR)
    assert "was measured against a control group, which took away" in learnt.text
    assert "assumed, not measured" not in learnt.text
    assert learnt.table["p_positive"].iloc[0] < 0.15
    assert "does not pay for itself" in learnt.text


def test_tornado_finds_the_input_that_matters():
    plan, value = book(100, error=0.02)
    plan = plan[plan["tier"] != "1:many"]
    certain = Scales(common=0, tier=0)
    dear = forecast_roi(
        plan, value, response_prior(TIERS, scales=certain), costs=Costs(sd={"1:1": 2.0}), spread=0, draws=4000, **YEAR
    )
    assert dear.tornado["input"].iloc[0] == "cost of 1:1"
    doubtful = forecast_roi(plan, value, TIERS, costs=Costs(sd=0.01), draws=4000, **YEAR).tornado
    assert doubtful["input"].iloc[0].startswith("uplift of")
    assert doubtful["variance_share"].sum() == pytest.approx(1)


def test_segments_add_up():
    plan, value = book(90)
    segments = pd.Series(np.where(np.arange(90) % 2, "north", "south"), index=value.index)
    found = forecast_roi(plan, value, TIERS, segments=segments, draws=500, **YEAR)
    for scope in ("segment", "tier and segment"):
        assert found.scope(scope)["npv"].sum() == pytest.approx(found.table["npv"].iloc[0])
    gaps = forecast_roi(plan, value, TIERS, segments=segments.replace("north", None), draws=500, **YEAR)
    assert gaps.scope("segment")["segment"].tolist() == ["", "south"]


@pytest.mark.parametrize(("cost", "lag"), [("start", 0.0), ("start", 8.0), ("even", 8.0)])
def test_payback_is_where_the_cumulated_money_crosses_nought(cost, lag):
    timing = Timing(52, "W", 0.1, cost, lag)
    steps = np.linspace(0, 52, 52_001)
    rate = np.exp(-timing.delta * steps)
    margin = np.where(steps > lag, rate, 0.0)
    came = np.cumsum(margin) / margin.sum() * 1000.0
    spent = np.full(len(steps), 400.0) if cost == "start" else np.cumsum(rate) / rate.sum() * 400.0
    after = steps[np.flatnonzero(came - spent < 0)[-1]]
    months = timing.payback(np.array([1000.0, 399.0]), np.array([400.0, 400.0]))
    assert months[0] == pytest.approx(after * 7 / (365.25 / 12), abs=0.002)
    assert np.isinf(months[1])
    assert timing.payback(np.array([5.0]), np.array([0.0])) == 0


def test_even_costs_are_discounted():
    plan, value = book(20)
    start, even = (
        forecast_roi(plan, value, TIERS, cost_timing=t, costs=Costs(sd=0), draws=200, **YEAR).table["cost"].iloc[0]
        for t in ("start", "even")
    )
    delta = np.log(1.1) * 7 / 365.25
    assert even / start == pytest.approx(-np.expm1(-delta * 52) / delta / 52)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.assign(cost=np.nan), "cost"),
        (lambda p: p.assign(cost=-1.0), "cost"),
        (lambda p: p.drop(columns="cost"), "cost"),
        (lambda p: pd.concat([p, p.iloc[:1]]), "there twice"),
        (lambda p: p.assign(tier="gold"), "gold"),
        (lambda p: p.assign(tier="none"), "nobody gets a tier"),
        (lambda p: p.assign(account_id="X" + p["account_id"]), "no value"),
    ],
)
def test_bad_plans_are_refused_by_name(spoil, said):
    plan, value = book(10)
    with pytest.raises(DataError, match=said):
        forecast_roi(spoil(plan), value, TIERS, **YEAR)


@pytest.mark.parametrize(
    "wrong",
    [{"horizon": np.inf}, {"horizon": None}, {"lag": 52.0}, {"spread": -1}, {"draws": 10}, {"confidence": 1.0},
     {"method": "fast"}, {"cost_timing": "later"}, {"shared_sd": np.nan}, {"discount_rate": -0.1}],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong):
    plan, value = book(10)
    with pytest.raises(SettingsError):
        forecast_roi(plan, value, TIERS, **(YEAR | wrong))


def test_pictures_can_be_drawn():
    import matplotlib as mpl

    mpl.use("Agg")
    plan, value = book(60)
    found = forecast_roi(plan, value, TIERS, draws=500, currency="EUR", **YEAR)
    assert len(found.plot().get_yticklabels()) == 4
    assert found.plot_tornado().get_title() == "What the forecast hangs on"
    pair = compare_roi({"a": plan, "b": plan.iloc[:30]}, value, TIERS, draws=500, **YEAR)
    assert "the chance that it is the better one" in pair.text
    assert pair.plot().get_title().startswith("Net return against a")


def drawn_belief(prospects: bool = True):
    """Values with draws, prospects with draws, and what tiers do to both."""
    from clv.abm.selecting.incremental import incremental_value

    g = np.random.default_rng(3)
    ids = pd.Index([f"A{i:02d}" for i in range(30)], name="account_id")
    own = np.exp(g.normal(7, 1, 30))[:, None] * np.exp(g.normal(0, 0.3, (30, 300)))
    value = SimpleNamespace(table=pd.DataFrame({"clv": own.mean(axis=1)}, index=ids), draws=own.astype(np.float32))
    new = pd.Index([f"P{i:02d}" for i in range(12)], name="account_id")
    chances, worth = g.beta(2, 6, (12, 300)), np.exp(g.normal(8, 0.3, (12, 300)))
    table = pd.DataFrame({"chance": chances.mean(axis=1), "once_won": worth.mean(axis=1)}, index=new)
    table["expected"] = table["chance"] * table["once_won"]
    ahead = SimpleNamespace(table=table, chances=chances, worth=worth, tell_apart=("size",))
    found = incremental_value(value, TIERS, prospects=ahead if prospects else None, seed=1)
    plan = found.tiers.sort_values("value", kind="stable").drop_duplicates("account_id", keep="last")
    return found, plan


SPAN = {"horizon": 12, "unit": "M", "discount_rate": 0.0}


def test_a_forecast_of_what_is_believed_adds_up_to_the_plan():
    """Customers and prospects, each margin once: the expected margin is that of the plan's options."""
    found, plan = drawn_belief()
    made = forecast_roi(plan, found, TIERS, draws=6000, seed=2, costs=Costs(sd=0.0), **SPAN)
    total = made.table.iloc[0]
    assert total["accounts"] == 42
    assert total["margin"] == pytest.approx(plan["value"].sum(), rel=0.04)
    assert total["cost"] == pytest.approx(plan["cost"].sum())
    assert any("odds to win" in name for name in made.tornado["input"])
    assert "odds to win a prospect is assumed" in made.text
    # The draws of the belief itself, account by account, have the same spread.
    from clv.abm.robust.draws import incremental_draws

    direct = incremental_draws(plan, found).drawn.sum(axis=0)
    assert made.draws["margin"].std() == pytest.approx(direct.std(), rel=0.15)


def test_plans_by_belief_share_their_luck():
    found, plan = drawn_belief()
    same = compare_roi({"ours": plan, "theirs": plan.sample(frac=1, random_state=1)}, found, TIERS, draws=500, **SPAN)
    assert same.table["difference"].abs().max() < 1e-6
    less = compare_roi({"ours": plan, "fewer": plan.iloc[:20]}, found, TIERS, draws=2000, **SPAN).table
    assert less["error"].iloc[1] < less["error_unpaired"].iloc[1]
    twice = forecast_roi(plan, found, TIERS, draws=500, seed=4, **SPAN)
    pd.testing.assert_frame_equal(twice.table, forecast_roi(plan, found, TIERS, draws=500, seed=4, **SPAN).table)


def test_what_belief_does_not_know_is_refused():
    found, plan = drawn_belief(prospects=False)
    assert not any(
        "odds to win" in name for name in forecast_roi(plan, found, TIERS, draws=200, **SPAN).tornado["input"]
    )
    with pytest.raises(DataError, match="has no value"):
        forecast_roi(pd.concat([plan, plan.iloc[[0]].assign(account_id="X")]), found, TIERS, **SPAN)
    with pytest.raises(DataError, match="nothing is known or assumed of tier 'golf'"):
        forecast_roi(plan.assign(tier="golf"), found, TIERS, **SPAN)
    with pytest.raises(SettingsError, match="horizon"):
        forecast_roi(plan, found, TIERS)
    with pytest.raises(DataError, match="nothing is known or assumed of tier '1:"):
        forecast_roi(plan, found, [Tier(name="golf", cost=1.0, uplift=0.1)], **SPAN)
    with pytest.raises(SettingsError, match="names the tier '1:2'"):
        forecast_roi(plan, found, TIERS, costs=Costs(sd={"1:2": 0.2}), **SPAN)


def test_a_tier_believed_to_change_nothing_on_average_may_change_something():
    """By belief or by values and response, the forecast is the same: nought, with doubt."""
    from clv.abm.selecting.incremental import incremental_value

    g = np.random.default_rng(8)
    ids = pd.Index([f"A{i:02d}" for i in range(30)], name="account_id")
    own = (np.exp(g.normal(7, 1, 30))[:, None] * np.ones((30, 4000))).astype(np.float32)
    value = SimpleNamespace(table=pd.DataFrame({"clv": own.mean(axis=1)}, index=ids), draws=own)
    new = pd.Index([f"P{i:02d}" for i in range(5)], name="account_id")
    chances, worth = np.full((5, 4000), 0.2), np.full((5, 4000), 1e4)
    table = pd.DataFrame({"chance": 0.2, "once_won": 1e4, "expected": 2e3}, index=new)
    ahead = SimpleNamespace(table=table, chances=chances, worth=worth, tell_apart=("size",))
    tier = [Tier(name="test", cost=10, uplift=0.0)]
    response = response_prior(tier)
    found = incremental_value(value, tier, prospects=ahead, response=response, win_uplift=0.0, seed=1)
    customers = found.tiers[found.tiers["account_id"].isin(ids)]
    belief = forecast_roi(customers, found, response, draws=6000, **SPAN).table.iloc[0]
    plain = forecast_roi(customers, value.table, response, draws=6000, **SPAN).table.iloc[0]
    columns = ["npv_lower", "npv_upper"]
    width = plain["npv_upper"] - plain["npv_lower"]
    assert width > 500
    assert np.abs(belief[columns].to_numpy(float) - plain[columns].to_numpy(float)).max() < 0.1 * width
    # Of a prospect a unit of raised odds brings p(1 − p) of its worth, to first order.
    from clv.abm.forecast.believed import believed_accounts

    drawn, _ = believed_accounts({"plan": found.tiers}, list(new), found, 0.5)
    assert drawn.mean == pytest.approx(np.full(5, 0.2 * 0.8 * 1e4), rel=0.01)


def test_what_costs_nothing_has_nothing_to_pay_back():
    plan, value = book(20)
    free = forecast_roi(plan.assign(cost=0.0), value, TIERS, draws=500, **YEAR)
    assert "paid for itself" not in free.text
    assert "not within" not in free.text
    assert np.isnan(free.table["roi"].iloc[0])
