"""Is an experiment what it was meant to be? Checks that alarm when they should, and only then."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.experiments import checks
from clv.abm.experiments.analysis_text import finding
from clv.abm.experiments.arms import check_arms
from clv.abm.experiments.registration import Registration
from clv.errors import DataError


def frame(arm, **columns):
    n = len(arm)
    rng = np.random.default_rng(n)
    return pd.DataFrame(
        {"account_id": [f"A{i:03d}" for i in range(n)], "arm": arm, "margin": rng.normal(5, 1, n), **columns}
    )


def lot(rng, treated, controls):
    return rng.permutation(["treatment"] * treated + ["control"] * controls)


def tiers(seed=0):
    """Two tiers with unlike holdouts: half of the few large accounts are controls, a tenth of the many small ones."""
    rng = np.random.default_rng(seed)
    tier = np.repeat(["A", "B"], [100, 300])
    arm = np.concatenate([lot(rng, 50, 50), lot(rng, 270, 30)])
    size = np.where(tier == "A", 1000.0, 100.0) * np.exp(0.1 * rng.normal(size=400))
    return frame(arm, tier=tier, margin_pre=size).assign(margin=size * np.where(arm == "treatment", 1.2, 1.0))


def verdicts(found):
    return found.checks.set_index("check")["verdict"].to_dict()


def test_a_relative_effect_is_one_of_the_same_mix_of_accounts():
    """Every account gains a fifth; controls are mostly large ones, which must not make of it a tenth."""
    table = clv.analyse_experiment(tiers(), by="tier", covariates=[], permutations=199).table.set_index("group")
    both = table.loc["all"]
    assert table["relative"].between(0.17, 0.23).all()
    assert both["relative_lower"] < 0.2 < both["relative_upper"]
    assert both["mean_treated"] - both["mean_control"] == pytest.approx(both["effect"])
    assert both["mean_control"] == pytest.approx(
        0.25 * table.loc["A", "mean_control"] + 0.75 * table.loc["B", "mean_control"]
    )


def test_money_of_a_factor_is_of_the_same_mix_of_accounts():
    """All gain by the same factor: the limits in money are those in shares of what the treated would have had."""
    row = clv.analyse_experiment(
        tiers(), by="tier", covariates=[], effect_model="multiplicative", permutations=499
    ).table.iloc[-1]  # fmt: skip
    assert row["relative_lower"] < 0.2 < row["relative_upper"]
    assert row["lower"] < row["effect"] < row["upper"]
    for end in ("lower", "upper"):
        factor = 1 + row[f"relative_{end}"]
        assert row[end] == pytest.approx(row["mean_treated"] * (1 - 1 / factor))


@pytest.mark.slow
def test_the_error_of_a_relative_effect_in_pairs_is_its_spread():
    rng = np.random.default_rng(3)
    found, errors = [], []
    for _ in range(200):
        block = np.repeat(np.arange(30), 2)
        arm = np.concatenate([rng.permutation(["treatment", "control"]) for _ in range(30)])
        y = (
            np.exp(0.5 * rng.normal(size=30))[block]
            * np.exp(0.3 * rng.normal(size=60))
            * (1 + 0.4 * (arm == "treatment"))
        )
        row = clv.analyse_experiment(
            frame(arm, pair=block).assign(margin=y), block="pair", inference="t", permutations=99
        ).table.iloc[0]
        found.append(row["relative"])
        errors.append(row["relative_se"])
    assert np.mean(found) == pytest.approx(0.4, abs=0.03)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(found, ddof=1), rel=0.15)


def test_outcomes_missing_manager_by_manager_are_no_sign_of_the_arm():
    """Where a manager's accounts are missing together, counting them each for itself alarms four times too often."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(250):
        manager = np.repeat(np.arange(20), 15)
        arm = lot(rng, 10, 10)[manager]
        y = np.where(rng.random(300) < rng.beta(0.5, 4.5, 20)[manager], np.nan, 1.0)
        arms = check_arms(frame(arm, manager=manager), cluster="manager")
        alarms += checks.attrition(arms, y)[1] == "broken"
    assert alarms / 250 <= 0.09
    gone = np.where((arm == "treatment") & (rng.random(300) < 0.3), np.nan, 1.0)
    assert checks.attrition(arms, gone)[1] == "broken"


def test_tiers_with_unlike_holdouts_are_compared_within():
    """The large tier is missing more often and was always larger: neither is a sign that the lot was broken."""
    data = tiers()
    rng = np.random.default_rng(4)
    data["margin"] = data["margin"].where(rng.random(400) > np.where(data["tier"] == "A", 0.3, 0.02))
    found = clv.analyse_experiment(data, by="tier", permutations=199)
    assert verdicts(found)["missing outcomes"] == "mind"
    assert verdicts(found)["balance before the start"] == "fine"
    # Without the tiers it looks like a broken lot.
    assert verdicts(clv.analyse_experiment(data, permutations=199))["balance before the start"] == "mind"


def test_a_past_that_is_unknown_of_some_is_compared_all_the_same():
    data = frame(lot(np.random.default_rng(5), 40, 40)).assign(
        margin_pre=lambda d: d["margin"] + 2.0 * (d["arm"] == "treatment")
    )
    data.loc[3, "margin_pre"] = np.nan
    row = clv.analyse_experiment(data, permutations=199).checks.set_index("check").loc["balance before the start"]
    assert row["verdict"] == "mind"
    assert "SD in margin_pre" in row["says"]


def test_a_covariate_that_varies_in_one_arm_only_takes_nothing_away():
    """One account of unknown past, or a past that is the tier's own, leave an arm without a slope of its own."""
    data = frame(np.tile(["treatment", "control"], 50), tier=np.repeat(["a", "b"], 50))
    data["margin_pre"] = np.random.default_rng(10).normal(size=100)
    plain = clv.analyse_experiment(data, permutations=199).table.iloc[0]
    assert plain["adjustment"] == "lin"
    data.loc[7, "margin_pre"] = np.nan
    row = clv.analyse_experiment(data, permutations=199).table.iloc[0]
    assert row["adjustment"] == "cuped"
    assert row["effect"] == pytest.approx(plain["effect"], abs=plain["se"] / 2)
    assert row["lower"] < row["effect"] < row["upper"]
    level = data.assign(level=(data["tier"] == "a") * 1.0)
    both = [
        clv.analyse_experiment(level, block="tier", covariates=names, permutations=199).table["effect"].iloc[0]
        for names in ([], ["level"])
    ]
    assert both[0] == pytest.approx(both[1])


def test_accounts_in_blocks_of_one_arm_are_not_dropped_in_silence():
    data = frame(np.tile(["treatment", "control"], 30), region=np.repeat(["N", "S"], [54, 6]))
    data.loc[54:, "arm"] = "treatment"
    found = clv.analyse_experiment(data, block="region", permutations=199)
    assert found.table["accounts"].iloc[0] == 27
    assert "6 accounts of 60 are left out" in found.text


def test_one_tier_with_a_single_control_does_not_silence_the_others():
    rng = np.random.default_rng(6)
    tier = np.repeat(["1:1", "1:few"], [8, 60])
    data = frame(np.concatenate([lot(rng, 7, 1), lot(rng, 30, 30)]), tier=tier, cost=1.0)
    data["cost"] = (data["arm"] == "treatment") * 1.0
    data["wins"] = data["margin"].where(np.arange(68) >= 8)
    found = clv.analyse_experiment(data, by="tier", secondary=["wins"], permutations=199)
    assert list(found.table[found.table["role"] == "main"]["group"]) == ["1:few", "all"]
    assert "Nothing can be said alone on margin where 1:1 has 7 accounts in treatment and 1 in control." in found.text
    # In the whole the tier counts, as a small block.
    assert found.table.set_index("group").loc["all", "accounts"].iloc[0] == 37
    roi = clv.incremental_roi(data, by="tier")
    assert set(roi.table["group"]) == {"1:few"}
    assert "1:1 has 7 accounts in treatment and 1 in control" in roi.text


def test_a_secondary_outcome_that_few_accounts_have_breaks_nothing():
    data = frame(np.tile(["treatment", "control"], 50))
    data["cycle_time"] = data["margin"].where(
        (np.arange(100) < 30) & ((np.arange(100) % 2 == 0) | (np.arange(100) < 8))
    )
    found = clv.analyse_experiment(data, secondary=["cycle_time"], permutations=199)
    assert found.sound
    assert verdicts(found)["missing cycle time"] == "mind"
    assert "who has one depends on the arm" in found.text
    assert "compare wins, which every account has" in found.text


def test_accounts_drawn_in_groups_are_not_taken_for_single_ones():
    plan = clv.design_experiment(
        frame(["x"] * 60, manager=np.repeat(np.arange(12), 5)).drop(columns="arm"), cluster="manager",
        history=pd.DataFrame({"a": 1.0 * np.arange(60), "b": 2.0 * np.arange(60)},
                             index=[f"A{i:03d}" for i in range(60)]),
    ).table.assign(margin=1.0 * np.arange(60))  # fmt: skip
    found = clv.analyse_experiment(plan, permutations=199)
    assert not found.sound
    assert "Give cluster='cluster'" in found.text
    assert "drawn in groups" not in verdicts(clv.analyse_experiment(plan, cluster="cluster", permutations=199))


def test_any_arm_in_which_one_account_decides_is_named():
    data = frame(np.tile(["control", "mail", "visit"], 20))
    data.loc[1, "margin"] = 1e4
    row = clv.analyse_experiment(data, permutations=199).checks.set_index("check").loc["one account decides"]
    assert row["verdict"] == "mind"
    assert row["says"].startswith("A001 alone")


def test_several_arms_are_counted_in_the_row_of_all_groups_too():
    rng = np.random.default_rng(8)
    arm = rng.permutation(np.tile(["control", "a", "b", "c"], 30))
    data = frame(arm, tier=np.where(np.arange(120) % 2, "1:few", "1:many"))
    table = clv.analyse_experiment(data, by="tier", permutations=499).table
    whole = table[table["group"] == "all"]
    assert (whole["p_adjusted"] >= whole["p_value"]).all()
    assert (whole["p_adjusted"] > whole["p_value"]).any()


def test_a_win_that_the_number_of_comparisons_explains_is_none():
    row = SimpleNamespace(
        outcome="margin", group="all", arm="mail", accounts=50, controls=50, effect=3.0, lower=0.1, upper=5.9,
        relative=0.1, p_value=0.04, p_adjusted=0.16,
    )  # fmt: skip
    said = finding(row, 0.95, "EUR")
    assert said.startswith("mail: no effect on margin can be told from chance.")
    assert "of all comparisons made here chance would show one so large 16 times in 100" in said
    row.p_adjusted = 0.045
    assert finding(row, 0.95, "EUR").startswith("mail raised margin")


def test_the_row_of_all_tiers_is_named_as_such_and_shares_are_of_no_account():
    text = clv.analyse_experiment(tiers(), by="tier", permutations=199, currency="EUR").text
    assert "All together raised margin by" in text
    bought = frame(np.tile(["treatment", "control"], 30)).assign(bought=lambda d: (d["margin"] > 5) * 1.0)
    text = clv.analyse_experiment(bought, outcome="bought", permutations=199).text
    assert "no effect on the share that bought can be told" in text
    assert "points an account" not in text


def test_pairs_share_one_slope_and_say_so():
    data = frame(np.tile(["treatment", "control"], 60), pair=np.repeat(np.arange(60), 2))
    data["margin_pre"] = np.random.default_rng(9).normal(size=120)
    assert clv.analyse_experiment(data, block="pair", permutations=99 * 3).table["adjustment"].tolist() == ["cuped"]


def registered(data, **more):
    assignment = dict(zip(data["account_id"], data["arm"], strict=True))
    return Registration("margin", "control", {"treatment": 1.0, "control": 1.0}, assignment=assignment, **more)


def test_accounts_that_vanished_from_one_arm_break_the_experiment():
    data = frame(np.tile(["treatment", "control"], 100))
    plan = registered(data)
    few = data[(data["arm"] == "control") | (np.arange(200) % 20 > 1)]
    found = clv.analyse_experiment(few, registration=plan, permutations=199)
    assert verdicts(found)["assignment"] == "broken"
    assert "Who is gone depends on the arm" in found.text
    both = data[np.arange(200) % 20 > 1]
    assert verdicts(clv.analyse_experiment(both, registration=plan, permutations=199))["assignment"] == "mind"
    one = clv.analyse_experiment(data.iloc[1:], registration=plan, permutations=199)
    assert "1 account is missing" in one.text


def test_another_window_than_the_registered_one_is_told():
    data = frame(np.tile(["treatment", "control"], 30))
    data.attrs["clv"] = {"window": 120.0, "lag": 0.0, "notes": []}
    plan = registered(data, window=182.0)
    found = clv.analyse_experiment(data, registration=plan, permutations=199)
    assert verdicts(found)["window"] == "mind"
    assert "counted over 120 days, registered were 182" in found.text
    lower = clv.analyse_experiment(data, registration=plan, confidence=0.8, permutations=199)
    assert "Registered was a confidence of 95%, not of 80%" in lower.text
    assert "confidence of" not in found.text
    data.attrs["clv"]["window"] = 182.0
    assert verdicts(clv.analyse_experiment(data, registration=plan, permutations=199))["window"] == "fine"


def refused(data, match, **options):
    with pytest.raises(DataError, match=match) as fault:
        clv.analyse_experiment(data, permutations=199, **options)
    assert fault.value.mend
    return fault.value


def test_what_is_refused():
    data = frame(np.tile(["treatment", "control"], 20))
    odd = data.assign(arm=data["arm"].where(data.index != 5, "Control "))
    assert refused(odd, "look like one arm written in two ways").row == 6
    assert refused(data.assign(tier=np.where(data.index < 38, "x", None)), "is empty for 2 rows", by="tier").row == 39
    assert refused(data.assign(account_id=data["account_id"].where(data.index != 4)), "is empty for 1 rows").row == 5
    early = data.assign(start="2025-03-01", measured_from="first of May")
    assert refused(early, "'first of May' is no date").column == "measured_from"
    managed = data.assign(manager=data["arm"].str[0] + (data.index // 4).astype(str))
    twice = pd.concat([managed, managed.iloc[[0]].assign(arm="control", manager="c0")], ignore_index=True)
    assert refused(twice, "'A000' is in two arms", cluster="manager").column == "account_id"
    nobody = data.assign(margin=np.nan)
    assert "0 accounts in treatment" in str(refused(nobody, "nothing can be compared"))
