"""`analyse_experiment`: what it says, what it checks, what it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.experiments.analysis_text import between, quantity
from clv.abm.experiments.registration import Registration
from clv.errors import DataError, SettingsError


def draw(seed=1, n=60, effect=0.0, arms=("treatment", "control"), zeros=0.3, sigma=0.8):
    """Draw an experiment with margins that are log-normal with zeros, and a past that correlates."""
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.arange(n * len(arms)) % len(arms))
    size = rng.normal(size=len(arm))

    def margin():
        return np.where(rng.random(len(arm)) < zeros, 0, np.exp(sigma * (0.8 * size + 0.6 * rng.normal(size=len(arm)))))

    return pd.DataFrame(
        {
            "account_id": [f"A{i:03d}" for i in range(len(arm))],
            "arm": np.array(arms)[arm],
            "margin_pre": margin(),
            "margin": margin() * (1 + effect * (np.array(arms)[arm] != "control")),
        }
    )


def test_it_finds_a_large_effect_and_says_so():
    found = clv.analyse_experiment(draw(effect=1.5, n=150), currency="EUR")
    row = found.table.iloc[0]
    assert row["lower"] > 0
    assert row["p_value"] <= 0.01
    assert row["adjustment"] == "lin"
    assert row["inference"] == "randomisation"
    assert "raised margin by" in found.text
    assert "randomised" in found.text
    assert found.sound


def test_a_relative_effect_has_its_own_error():
    data = draw(effect=0.5, n=400)
    row = clv.analyse_experiment(data, covariates=[], inference="t").table.iloc[0]
    treated, control = (data.loc[data["arm"] == arm, "margin"] for arm in ("treatment", "control"))
    r = treated.mean() / control.mean()
    # Of two independent means: var(a / b) = (var(a) + r² var(b)) / b².
    by_hand = np.sqrt(treated.var() / 400 + r**2 * control.var() / 400) / control.mean()
    assert row["relative"] == pytest.approx(r - 1)
    assert row["relative_se"] == pytest.approx(by_hand)
    # Fieller's limits: of that width, and further above, where the controls may have had less.
    low, high = row["relative"] - row["relative_lower"], row["relative_upper"] - row["relative"]
    assert low + high == pytest.approx(2 * 1.96 * by_hand, rel=0.1)
    assert low < high
    # Where the controls bring nothing, or nothing that can be told from 0, there is no share of it.
    nobody = clv.analyse_experiment(draw(n=20).assign(margin=lambda d: 1.0 * (d["arm"] == "treatment"))).table.iloc[0]
    assert nobody[["relative", "relative_se", "relative_lower", "relative_upper"]].isna().all()
    wild = draw(n=5).assign(margin=[-9.0, 8.0, 7.0, -6.0, 3.0, 3.0, -4.0, 5.0, 1.0, -1.0])
    assert clv.analyse_experiment(wild, covariates=[]).table["relative_lower"].isna().all()
    factors = clv.analyse_experiment(data, effect_model="multiplicative").table.iloc[0]
    assert factors["relative_lower"] > 0
    assert factors["relative_se"] > 0


def test_it_does_not_report_a_win_where_there_is_none():
    found = clv.analyse_experiment(draw(n=13))
    assert "no effect on margin can be told from chance" in found.text
    assert "only large effects could have been seen" in found.text
    assert found.table["adjustment"].tolist() == ["cuped"]


def test_the_past_makes_it_sharper():
    data = draw(n=200, zeros=0.0, sigma=0.5)
    with_past = clv.analyse_experiment(data, inference="t").table.iloc[0]
    without = clv.analyse_experiment(data, inference="t", covariates=[]).table.iloc[0]
    assert with_past["se"] < 0.9 * without["se"]
    assert with_past["effect"] == pytest.approx(without["effect"], abs=2 * without["se"])


def test_same_inputs_same_numbers_whatever_the_order_of_rows():
    data = draw()
    first, again = (clv.analyse_experiment(data, seed=3).table for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    shuffled = clv.analyse_experiment(data.sample(frac=1, random_state=1), seed=3).table
    assert shuffled["effect"].iloc[0] == pytest.approx(first["effect"].iloc[0])
    assert shuffled["p_value"].iloc[0] == pytest.approx(first["p_value"].iloc[0], abs=0.04)


def test_units_of_money_do_not_matter():
    data = draw(effect=0.5)
    euros = clv.analyse_experiment(data, seed=1).table.iloc[0]
    cents = clv.analyse_experiment(
        data.assign(margin=100 * data["margin"], margin_pre=100 * data["margin_pre"]), seed=1
    ).table.iloc[0]
    for name in ("effect", "se", "lower", "upper"):
        assert cents[name] == pytest.approx(100 * euros[name], rel=1e-6)
    assert cents["p_value"] == euros["p_value"]


def test_scales_of_covariates_do_not_matter():
    data = draw(n=60).assign(size=lambda d: np.random.default_rng(3).normal(size=len(d)), constant=0.1)
    one = clv.analyse_experiment(data, covariates=["margin_pre", "size"], seed=1).table.iloc[0]
    scaled = data.assign(size=1e-9 * data["size"] + 5.0, margin_pre=1e9 * data["margin_pre"])
    other = clv.analyse_experiment(scaled, covariates=["margin_pre", "size", "constant"], adjustment="lin", seed=1)
    for name in ("effect", "se", "lower", "upper", "p_value"):
        assert other.table.iloc[0][name] == pytest.approx(one[name], rel=1e-4)


def test_several_arms_are_counted():
    data = draw(arms=("control", "mail", "visit", "both"), n=40)
    table = clv.analyse_experiment(data).table
    assert set(table["arm"]) == {"mail", "visit", "both"}
    assert (table["p_adjusted"] >= table["p_value"]).all()
    assert (table["p_adjusted"] > table["p_value"]).any()
    holm = clv.analyse_experiment(data, multiplicity="holm").table
    assert (holm["p_adjusted"] >= holm["p_value"]).all()


@pytest.mark.slow
def test_the_chance_of_any_false_alarm_over_three_arms_is_kept():
    alarms = {"max-t": 0, "holm": 0}
    for seed, how in itertools.product(range(80), alarms):
        data = draw(seed, arms=("control", "a", "b", "c"), n=12)
        inference = "randomisation" if how == "max-t" else "t"
        found = clv.analyse_experiment(
            data, multiplicity=how, inference=inference, permutations=199, seed=seed, confidence=0.9
        )
        alarms[how] += bool((found.table["p_adjusted"] <= 0.1).any())
    most = 8 + 2.6 * np.sqrt(80 * 0.1 * 0.9)
    assert alarms["max-t"] <= most
    assert alarms["holm"] <= most
    assert alarms["max-t"] >= 2


def test_several_arms_in_small_blocks_of_which_one_is_not_full():
    rng = np.random.default_rng(8)
    block = np.repeat(np.arange(30), 3)
    arm = np.concatenate([rng.permutation(["control", "a", "b"]) for _ in range(30)])
    data = pd.DataFrame({"account_id": [f"A{i}" for i in range(90)], "arm": arm, "trio": block})
    data["margin"] = 3 * rng.normal(size=30)[block] + 0.5 * rng.normal(size=90) + 2.0 * (arm == "a")
    # One trio has lost its b: it says something of a, nothing of b.
    data = data[(data["trio"] != 7) | (data["arm"] != "b")]
    table = clv.analyse_experiment(data, block="trio", permutations=499).table.set_index("arm")
    assert table["accounts"].to_dict() == {"a": 30, "b": 29}
    assert table.loc["a", "lower"] > 1.5
    assert table.loc["a", "p_adjusted"] <= 0.01
    assert table.loc["b", "p_adjusted"] >= table.loc["b", "p_value"] > 0.02


def test_win_rate_of_deals_is_clustered_by_account():
    rng = np.random.default_rng(9)
    account = np.repeat(np.arange(60), rng.integers(1, 6, 60))
    luck = rng.random(60)[account]
    data = pd.DataFrame({"account_id": [f"A{i:02d}" for i in account], "won": (luck > 0.5).astype(float)})
    data["arm"] = np.where(account % 2, "treatment", "control")
    with pytest.raises(DataError, match="cluster='account_id'"):
        clv.analyse_experiment(data, outcome="won")
    found = clv.analyse_experiment(data, outcome="won", cluster="account_id").table.iloc[0]
    gap = data.groupby("arm")["won"].mean()
    assert found["effect"] == pytest.approx(gap["treatment"] - gap["control"])
    assert found["dof"] < 60


def test_groups_have_their_own_effect_and_one_together():
    data = draw(n=90).assign(tier=lambda d: np.where(np.arange(len(d)) % 3 == 0, "1:1", "1:few"))
    table = clv.analyse_experiment(data, by="tier").table.set_index("group")
    assert list(table.index) == ["1:1", "1:few", "all"]
    # The pooled row is no further chance to be lucky.
    assert table.loc["all", "p_adjusted"] == table.loc["all", "p_value"]
    weight = data["tier"].value_counts(normalize=True)
    both = clv.analyse_experiment(data, by="tier", covariates=[]).table.set_index("group")["effect"]
    assert both["all"] == pytest.approx(weight["1:1"] * both["1:1"] + weight["1:few"] * both["1:few"])


def test_accounts_drawn_by_manager_are_not_counted_as_if_drawn_alone():
    rng = np.random.default_rng(2)
    manager = np.repeat(np.arange(16), 12)
    arm = np.where(rng.permutation(np.arange(16) < 8)[manager], "treatment", "control")
    own = rng.normal(size=16)[manager]
    data = pd.DataFrame(
        {"account_id": [f"A{i}" for i in range(192)], "arm": arm, "manager": [f"M{m}" for m in manager]}
    )
    data["margin"] = own + rng.normal(size=192)
    alone = clv.analyse_experiment(data, inference="t").table.iloc[0]
    together = clv.analyse_experiment(data, inference="t", cluster="manager").table.iloc[0]
    assert together["se"] > 2 * alone["se"]
    assert together["dof"] == pytest.approx(14)
    assert together["effect"] == pytest.approx(alone["effect"])


def test_sample_ratio_mismatch_is_broken():
    data = draw(n=200)
    lost = data[(data["arm"] == "control") | (np.arange(len(data)) % 3 > 0)]
    found = clv.analyse_experiment(lost, shares={"treatment": 1, "control": 1})
    assert not found.sound
    assert found.text.startswith("Do not use this result as it is.")
    assert clv.analyse_experiment(data, shares={"treatment": 1, "control": 1}).sound


def test_outcomes_missing_in_one_arm_are_broken_and_in_both_minded():
    data = draw(n=100)
    one = data.assign(margin=data["margin"].where((data["arm"] == "control") | (np.arange(200) % 4 > 0)))
    assert "missing outcomes" in set(clv.analyse_experiment(one).checks.query("verdict == 'broken'")["check"])
    both = data.assign(margin=data["margin"].where(np.arange(200) % 10 > 0))
    found = clv.analyse_experiment(both)
    assert found.sound
    assert found.table[["accounts", "controls"]].sum(axis=1).iloc[0] == 180


def test_treated_controls_are_flagged_and_stay_controls():
    data = draw(n=50).assign(cost=lambda d: np.where(d["arm"] == "treatment", 100.0, 0.0))
    control = data.index[data["arm"] == "control"][:7]
    data.loc[control, "cost"] = 80.0
    found = clv.analyse_experiment(data)
    says = found.checks.set_index("check").loc["treated controls", "says"]
    assert says.startswith("7 accounts of 50")
    assert found.table["controls"].iloc[0] == 50


def test_one_account_that_decides_is_named():
    data = draw(n=30)
    data.loc[4, "margin"] = 1e5
    row = clv.analyse_experiment(data, covariates=[]).checks.set_index("check").loc["one account decides"]
    assert row["verdict"] == "mind"
    assert row["says"].startswith("A004 alone makes")


def test_a_registered_outcome_cannot_be_exchanged(tmp_path):
    data = draw()
    plan = Registration("margin", "control", {"treatment": 1.0, "control": 1.0}, seed=5,
                        assignment=dict(zip(data["account_id"], data["arm"], strict=True)))  # fmt: skip
    again = Registration.load(plan.save(tmp_path / "plan.json"))
    assert again.fingerprint == plan.fingerprint
    assert again.assignment == plan.assignment
    found = clv.analyse_experiment(data, registration=again)
    assert "registered before the start" in found.text
    with pytest.raises(SettingsError, match="registered main outcome is 'margin'"):
        clv.analyse_experiment(data.assign(revenue=1.0), outcome="revenue", registration=again)
    moved = data.copy()
    moved.loc[0, "arm"] = "control" if moved.loc[0, "arm"] == "treatment" else "treatment"
    broken = clv.analyse_experiment(moved, registration=again)
    assert "changed arms" in broken.text
    assert not broken.sound


def test_a_changed_registration_is_refused(tmp_path):
    path = Registration("margin", "control", {"treatment": 1.0, "control": 1.0}).save(tmp_path / "plan.json")
    path.write_text(path.read_text().replace('"margin"', '"revenue"'))
    with pytest.raises(DataError, match="changed after it was registered"):
        Registration.load(path)
    path.write_text("{}")
    with pytest.raises(DataError, match="is no registration"):
        Registration.load(path)


def refused(change, match, **options):
    data = change(draw(n=20))
    with pytest.raises((DataError, SettingsError), match=match):
        clv.analyse_experiment(data, **options)


def test_what_is_refused():
    refused(lambda d: d[d["arm"] == "treatment"], "without a control")
    refused(lambda d: d[d["arm"] == "control"], "all accounts are controls")
    refused(lambda d: d[(d["arm"] == "control") | (d.index == d.index[d["arm"] == "treatment"][0])], "one account")
    refused(lambda d: pd.concat([d, d.iloc[[0]].assign(arm="control" if d["arm"][0] == "treatment" else "treatment")]),
            "in two arms")  # fmt: skip
    refused(lambda d: d.assign(arm=d["arm"].where(d.index > 0)), "is empty for 1 rows")
    refused(lambda d: d.drop(columns="margin"), "no such column")
    refused(lambda d: d.assign(margin="x"), "does not hold numbers")
    refused(lambda d: d.assign(margin=np.inf), "is infinite")
    refused(lambda d: d.iloc[:0], "has no rows")
    refused(lambda d: d.assign(start="2025-02-01", measured_from="2025-01-01"), "measured before the treatment began")
    refused(lambda d: d.assign(tier=np.where(d["arm"] == "control", "a", "b")), "a has 0 accounts in treat", by="tier")
    refused(lambda d: d.assign(manager="m"), "randomised as a whole", cluster="manager")
    refused(lambda d: d.assign(b=d.index, c=d["arm"]), "lies in 20 blocks", block="b", cluster="c")
    refused(lambda d: d.assign(margin=d["margin"] - 9), "no meaning", effect_model="multiplicative")
    refused(lambda d: d.assign(**{f"x{i}": d["margin_pre"] ** i for i in range(20)}), "would explain all",
            covariates=[f"x{i}" for i in range(20)])  # fmt: skip
    refused(lambda d: d, "is not known", adjustment="best")
    refused(lambda d: d, "is not known", inference="bayes")
    refused(lambda d: d, "too few", permutations=9)
    refused(lambda d: d, "shares are given", shares={"treatment": 1})
    refused(lambda d: d, "nothing can be compared", block="account_id")


def test_an_outcome_that_is_the_same_for_all_is_no_result():
    found = clv.analyse_experiment(draw(n=20).assign(margin=0.0))
    assert not found.sound
    assert "there is nothing to compare" in found.text


def test_it_draws():
    ax = clv.analyse_experiment(draw(n=13)).plot()
    assert "Effect on margin" in ax.get_title()
    tiny = draw(n=2)
    found = clv.analyse_experiment(tiny, covariates=[])
    assert "too small for an interval" in found.text
    found.plot()


def test_a_small_effect_has_no_more_digits_than_its_interval():
    assert between(-0.10206, 0.0829, "wins", "") == "−0.102 to 0.083"
    assert quantity(-0.0001691, "wins", "", beside=0.10206) == "0"
    assert quantity(-0.0001691, "wins", "") == "−0.000169"
    assert quantity(1234.5, "purchases", "") == "1,234"
    assert between(-16.97, 2672.97, "margin", "EUR") == "−17 to 2,673 EUR"
    assert between(2.5, 30, "cycle_time", "") == "2.5 days to 30 days"
