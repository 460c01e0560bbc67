"""`design_experiment`: arms by lot, what can be shown, and no promise beyond that."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.experiments.assign import _lot, assign_arms
from clv.abm.experiments.history import outcome_history, sales_cycle
from clv.abm.experiments.power import accounts_needed, accounts_needed_for_shares, smallest_detectable_effect
from clv.abm.experiments.registration import Registration
from clv.errors import DataError, SettingsError


def accounts(n=100, seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "account_id": [f"A{i:03d}" for i in range(n)],
            "tier": rng.choice(["1:1", "1:few"], n, p=[0.2, 0.8]),
            "manager": [f"M{i % 12:02d}" for i in range(n)],
            "size": np.exp(rng.normal(size=n)),
        }
    )


def history(frame, seed=2, sigma=0.8, zeros=0.2, r=0.8):
    rng = np.random.default_rng(seed)
    n = len(frame)
    own = rng.normal(size=n)
    out = {}
    for name in ("before", "latest"):
        noise = np.sqrt(r) * own + np.sqrt(1 - r) * rng.normal(size=n)
        out[name] = np.where(rng.random(n) < zeros, 0.0, 1000 * np.exp(sigma * noise))
    return pd.DataFrame(out, index=pd.Index(frame["account_id"]))


@pytest.mark.parametrize("n", [40, 41, 100])
@pytest.mark.parametrize(
    "arms", [{"treatment": 1, "control": 1}, {"treatment": 2, "control": 1}, {"a": 1, "b": 1, "control": 2}]
)
@pytest.mark.parametrize(
    "how", [{}, {"stratify": ["tier"]}, {"match": "size"}, {"match": ["size"], "stratify": ["tier"]}]
)
def test_shares_are_kept_within_blocks(n, arms, how):
    drawn = assign_arms(accounts(n), arms=arms, seed=3, **how)
    assert set(drawn["arm"]) == set(arms)
    total = sum(arms.values())
    for _, rows in drawn.groupby("block"):
        for arm, share in arms.items():
            count = (rows["arm"] == arm).sum()
            assert abs(count - share / total * len(rows)) < 1
            assert count >= 1
    if "match" in how:
        assert drawn.groupby("block").size().max() <= 2 * total


def test_neighbours_are_matched():
    frame = accounts(80)
    drawn = assign_arms(frame, arms={"treatment": 1, "control": 1}, match="size", seed=1).assign(size=frame["size"])
    within = drawn.groupby("block")["size"].apply(np.ptp)
    ranked = np.sort(frame["size"].to_numpy())
    np.testing.assert_allclose(np.sort(within), np.sort(ranked[1::2] - ranked[::2]))
    two = assign_arms(
        frame.assign(other=frame["size"] ** 2), arms={"treatment": 1, "control": 1}, match=["size", "other"]
    )
    assert (two.groupby("block").size() == 2).all()
    apart = two.assign(size=np.log(frame["size"])).groupby("block")["size"].apply(np.ptp)
    assert apart.mean() < 0.4 * np.abs(np.diff(np.log(frame["size"]))).mean()


def test_clusters_go_together_and_the_order_of_rows_does_not_matter():
    frame = accounts(100)
    drawn = assign_arms(frame, arms={"treatment": 1, "control": 1}, cluster="manager", seed=4)
    assert (drawn.assign(m=frame["manager"]).groupby("m")["arm"].nunique() == 1).all()
    assert (drawn.groupby("arm")["cluster"].nunique() == 6).all()
    shuffled = assign_arms(
        frame.sample(frac=1, random_state=1), arms={"treatment": 1, "control": 1}, cluster="manager", seed=4
    )
    both = drawn.merge(shuffled, on="account_id")
    assert (both["arm_x"] == both["arm_y"]).all()
    alone = frame.assign(manager=frame["manager"].where(frame.index > 5))
    assert assign_arms(alone, arms={"t": 1, "control": 1}, cluster="manager")["cluster"].nunique() == 12 + 6


def test_every_account_is_treated_as_often_as_meant():
    frame = accounts(31)
    share = np.mean(
        [
            assign_arms(frame, arms={"treatment": 2, "control": 1}, match="size", seed=s)["arm"] == "treatment"
            for s in range(300)
        ],
        axis=0,
    )
    assert np.abs(share - 2 / 3).max() < 4.5 * np.sqrt(2 / 9 / 300)


@pytest.mark.parametrize(("shares", "size"), [((2, 2, 1), 4), ((9, 1), 7), ((5, 3, 2), 9)])
def test_what_no_share_divides_goes_to_each_arm_as_often_as_meant(shares, size):
    rng = np.random.default_rng(7)
    part = np.array(shares, dtype=float)
    drawn = np.mean([np.bincount(_lot(size, part, rng), minlength=len(part)) for _ in range(20000)], axis=0)
    assert drawn / size == pytest.approx(np.array(shares) / sum(shares), abs=0.005)


def test_strata_too_small_for_every_arm_are_joined():
    """A holdout of a tenth in a stratum of four would most often leave it without a control."""
    frame = accounts(60).assign(region=["N"] * 4 + ["E"] * 5 + ["S"] * 21 + ["W"] * 30)
    for seed in range(20):
        drawn = assign_arms(frame, arms={"treatment": 9, "control": 1}, stratify=["region"], seed=seed)
        assert drawn.groupby("block")["arm"].nunique().eq(2).all()
        assert (drawn["arm"] == "control").sum() == pytest.approx(6, abs=1)


def test_what_pairs_leave_over_is_of_the_smallest():
    frame = accounts(31)
    drawn = assign_arms(frame, arms={"t": 1, "control": 1}, match="size", seed=2).assign(size=frame["size"])
    three = drawn[drawn.groupby("block")["arm"].transform("size") == 3]
    assert sorted(three["size"]) == sorted(frame["size"])[:3]


def test_odd_inputs_to_the_lot():
    frame = accounts(3)
    assert set(assign_arms(frame.head(1), arms={"t": 1, "control": 1}, match=["size", "size"])["arm"]) <= {
        "t",
        "control",
    }
    with pytest.raises(SettingsError, match="shares above 0"):
        assign_arms(frame, arms={"a": "2", "control": 1})
    with pytest.raises(DataError, match="is empty for 1 rows"):
        assign_arms(frame.assign(account_id=frame["account_id"].where(frame.index > 0)), arms={"a": 1, "control": 1})


@pytest.mark.parametrize(("share", "effect"), [(0.1, 0.6), (0.3, 0.45), (0.7, 0.17)])
def test_a_share_is_seen_as_often_as_two_proportions_are(share, effect):
    """An effect on a share makes ones of zeros; it does not make ones larger."""
    n = accounts_needed_for_shares(share, share * (1 + effect))
    frame = accounts(2 * n)
    past = pd.DataFrame({"w": (np.arange(2 * n) < share * 2 * n) * 1.0}, index=frame["account_id"])
    found = clv.design_experiment(frame, history=past, outcome="bought", effect=effect, draws=4000)
    # The randomisation test counts ties against an effect, which costs it some points beside the formula's 80 %.
    assert 0.68 <= found.power_at_effect <= 0.83
    assert found.smallest["simulated_relative"].iloc[0] == pytest.approx(effect, rel=0.12)


def test_no_share_beyond_one_is_promised():
    frame = accounts(20)
    past = pd.DataFrame({"w": (np.arange(20) < 17) * 1.0}, index=frame["account_id"])
    found = clv.design_experiment(frame, history=past, outcome="bought", effect=0.1)
    assert found.can_show is False
    assert "larger than any that could be believed" in found.text


def test_formulas_invert_each_other():
    effect = smallest_detectable_effect(200, 100, sd=3.0, correlation=0.6, comparisons=2)
    assert accounts_needed(effect, sd=3.0, correlation=0.6, comparisons=2, ratio=2.0) == 100
    alone = smallest_detectable_effect(60, 60)
    assert smallest_detectable_effect(60, 60, cluster_size=5, intraclass=0.25) == pytest.approx(alone * np.sqrt(2))
    with pytest.raises(SettingsError):
        smallest_detectable_effect(0, 10)
    with pytest.raises(SettingsError):
        accounts_needed(0.0)


def test_simulated_power_agrees_with_the_formula_where_the_formula_is_right():
    """Normal outcomes, no zeros, a constant effect would be the formula's; a relative one of small variation nearly."""
    frame = accounts(400)
    rng = np.random.default_rng(5)
    own = rng.normal(size=400)
    past = pd.DataFrame(
        {k: 1000 + 200 * (np.sqrt(0.6) * own + np.sqrt(0.4) * rng.normal(size=400)) for k in ("before", "latest")},
        index=pd.Index(frame["account_id"]),
    )
    found = clv.design_experiment(frame, history=past, draws=4000).smallest.iloc[0]
    assert found["correlation"] == pytest.approx(0.6, abs=0.08)
    assert found["simulated"] == pytest.approx(found["formula"], rel=0.08)


def test_heavy_tails_and_zeros_cost_power_that_the_formula_does_not_see():
    frame = accounts(200)
    found = clv.design_experiment(frame, history=history(frame, sigma=1.3, zeros=0.4)).smallest.iloc[0]
    assert found["simulated"] > 1.3 * found["formula"]
    assert found["zeros"] == pytest.approx(0.4, abs=0.12)


@pytest.mark.slow
def test_the_power_it_promises_is_the_power_it_has():
    """Draw the future anew, treat by the design, analyse: the smallest effect is seen in 80 % of experiments."""
    frame = accounts(120)
    promised = clv.design_experiment(frame, history=history(frame, seed=9), draws=4000).smallest["simulated_relative"][
        0
    ]
    seen = 0
    for seed in range(200):
        past = history(frame, seed=1000 + seed)
        plan = clv.design_experiment(frame, history=past[["before"]], draws=200, seed=seed)
        data = plan.table.assign(margin_pre=past["before"].to_numpy(), margin=past["latest"].to_numpy())
        data["margin"] *= 1 + promised * (data["arm"] == "treatment")
        row = clv.analyse_experiment(data, permutations=399, seed=seed).table.iloc[0]
        seen += row["lower"] > 0
    assert seen / 200 == pytest.approx(0.8, abs=0.1)


def test_it_refuses_to_promise_what_the_sample_cannot_show():
    frame = accounts(26)
    found = clv.design_experiment(frame, history=history(frame), effect=0.1)
    assert found.can_show is False
    assert found.text.startswith("This experiment cannot show an effect of +10%")
    assert "no result of it should be promised" in found.text
    assert found.needed > 13
    assert f"It would take about {found.needed:,} accounts" in found.text
    assert found.power_at_effect < 0.8
    able = clv.design_experiment(
        frame, history=history(frame), effect=float(found.smallest["simulated_relative"][0]) * 1.05
    )
    assert able.can_show


def test_blocks_are_not_tried_on_the_outcome_that_made_them():
    """Matching on the last window must not look better than what the window before could have done."""
    frame = accounts(200)
    noise = history(frame, r=0.001, zeros=0.0)
    matched = clv.design_experiment(frame, history=noise, match="before", draws=2000).smallest.iloc[0]
    plain = clv.design_experiment(frame, history=noise, draws=2000).smallest.iloc[0]
    assert matched["simulated"] > 0.85 * plain["simulated"]


def test_several_arms_share_the_level_and_clusters_cost_power():
    frame = accounts(240)
    past = history(frame)
    two = clv.design_experiment(frame, history=past).smallest["formula"].max()
    three = clv.design_experiment(frame, history=past, arms={"a": 1, "b": 1, "control": 1}).smallest
    assert (three["formula"] > two).all()
    shared = past.mul(
        np.repeat(np.exp(np.random.default_rng(1).normal(size=12)), 20)[
            np.argsort(np.argsort(frame["manager"], kind="stable"), kind="stable")
        ],
        axis=0,
    )
    alone = clv.design_experiment(frame, history=shared).smallest.iloc[0]
    together = clv.design_experiment(frame, history=shared, cluster="manager").smallest.iloc[0]
    assert together["simulated"] > 1.3 * alone["simulated"]
    assert together["formula"] > 1.1 * alone["formula"]


def test_groups_of_unlike_size_cost_more_power_than_equal_ones():
    frame = accounts(200)
    past = pd.DataFrame({"w": 1000 + 300 * np.random.default_rng(3).normal(size=200)}, index=frame["account_id"])
    past["w"] += 300 * np.random.default_rng(4).normal(size=40)[np.arange(200) // 5]
    equal = frame.assign(manager=[f"M{i // 5}" for i in range(200)])
    # One manager has 81 of the 200 accounts.
    unlike = equal.assign(manager=equal["manager"].where(equal.index >= 80, "M0"))
    formula = [
        clv.design_experiment(one, history=past, cluster="manager").smallest["formula"].iloc[0]
        for one in (equal, unlike)
    ]
    assert formula[1] > 1.3 * formula[0]


def test_from_transactions_with_the_lag_of_the_sales_cycle():
    rng = np.random.default_rng(6)
    frame = accounts(50)
    lines = pd.DataFrame(
        {
            "account_id": rng.choice(frame["account_id"], 3000),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, 3000), "D"),
            "amount": np.exp(rng.normal(5, 1, 3000)),
        }
    )
    deals = pd.DataFrame(
        {"created": pd.Timestamp("2024-01-01"), "closed": pd.Timestamp("2024-03-01"), "outcome": ["won"] * 3}
    )
    found = clv.design_experiment(
        frame, lines, window=180, windows=(90,), opportunities=deals, as_of="2025-11-30", looks=3, currency="EUR"
    )
    assert found.lag == 60
    assert found.duration == 240
    assert set(found.smallest["window"]) == {180.0, 90.0}
    assert "must run 240 days" in found.text
    assert "3 looks are planned" in found.text
    assert found.registration.assignment == dict(zip(found.table["account_id"], found.table["arm"], strict=True))
    pd.testing.assert_frame_equal(
        found.table, clv.design_experiment(frame, lines, window=180, as_of="2025-11-30").table
    )
    found.plot()


@pytest.mark.parametrize(("years", "within"), [(1, 0.1), (2, 0.04)])
def test_the_sales_cycle_is_not_that_of_the_quick_deals(years, within):
    """Of deals opened lately only the quick ones are won yet: in the first year they say a fifth too little."""
    rng = np.random.default_rng(3)
    days = rng.gamma(3, 50, 4000)
    created = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.uniform(0, 365 * years, 4000), "D")
    closed = created + pd.to_timedelta(days, "D")
    over = closed < pd.Timestamp("2024-01-01") + pd.Timedelta(days=365 * years)
    deals = pd.DataFrame({"created": created, "closed": closed.where(over), "outcome": np.where(over, "won", "open")})
    assert sales_cycle(deals) == pytest.approx(np.median(days), rel=within)
    assert np.median(days[over]) < (1 - 1.5 * within) * np.median(days)
    assert sales_cycle(deals.iloc[:0]) == 0
    assert sales_cycle(deals[deals["outcome"] == "open"]) == 0


def test_history_adds_up():
    lines = pd.DataFrame(
        {
            "account_id": ["a", "a", "b", "b", "x"],
            "date": pd.to_datetime(
                ["2025-01-01", "2025-01-11", "2025-01-10 23:00", "2025-01-20", "2025-01-20"], format="mixed"
            ),
            "amount": [100.0, 10.0, 20.0, -5.0, 7.0],
        }
    )
    wide = outcome_history(lines, pd.Index(["a", "b", "c"]), outcome="revenue", window=10, as_of="2025-01-20")
    assert wide.to_numpy().tolist() == [[100, 10], [20, -5], [0, 0]]
    bought = outcome_history(lines, pd.Index(["a", "b", "c"]), outcome="purchases", window=10, as_of="2025-01-20")
    assert bought.to_numpy().tolist() == [[1, 1], [1, 0], [0, 0]]
    with pytest.raises(DataError, match="less than the window"):
        outcome_history(lines, pd.Index(["a"]), window=60)


def test_the_plan_is_kept(tmp_path):
    frame = accounts(30)
    plan = clv.design_experiment(frame, history=history(frame), looks=4, seed=9).registration
    again = Registration.load(plan.save(tmp_path / "plan.json"))
    assert again.fingerprint == plan.fingerprint
    assert (tmp_path / "plan.json").read_bytes() == plan.save(tmp_path / "again.json").read_bytes()


def test_what_is_refused():
    frame = accounts(30)
    past = history(frame)
    with pytest.raises(SettingsError, match="is the control"):
        clv.design_experiment(frame, history=past, arms={"a": 1, "b": 1})
    with pytest.raises(SettingsError, match="a history is of one window"):
        clv.design_experiment(frame, history=past, windows=(90,))
    with pytest.raises(SettingsError, match="past, once"):
        clv.design_experiment(frame)
    with pytest.raises(DataError, match="nothing is known of 'A000'"):
        clv.design_experiment(frame, history=past.iloc[1:])
    with pytest.raises(DataError, match="luck cannot be told"):
        clv.design_experiment(frame.head(2), history=past)
    with pytest.raises(DataError, match="is there twice"):
        clv.design_experiment(pd.concat([frame, frame.head(1)]), history=past)
    with pytest.raises(SettingsError, match="shares above 0"):
        assign_arms(frame, arms={"a": 1, "control": 0})
    with pytest.raises(SettingsError, match="effect"):
        clv.design_experiment(frame, history=past, effect=-0.1)
    nothing = clv.design_experiment(frame, history=past * 0, effect=0.5)
    assert nothing.can_show is False
    assert "No number of such accounts can be named" in nothing.text
