"""The steps of the plan of tiers: from `study.yml` and the tables to the plan, its lot, its doubts and its exports."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

import clv
from clv.data.samples import sample_folder
from clv.data.simulate import draw
from clv.errors import DataError, InfeasibleError, SettingsError
from clv.result import Missing


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give a small study with managers, a past programme, and the team's own list."""
    folder = tmp_path_factory.mktemp("study")
    draw(accounts=150, seed=5, years=2).write(folder)
    document = yaml.safe_load((sample_folder("demo") / "study.yml").read_text(encoding="utf-8"))
    accounts = pd.read_csv(folder / "accounts.csv")
    team = pd.DataFrame({"account_id": [*accounts["account_id"][:20], "A9999"], "tier": ["1:1", "1:few", "none"] * 7})
    team.to_csv(folder / "team.csv", index=False)
    managers = sorted(accounts["manager"].unique())
    pd.DataFrame({"manager": managers, "hours": 25.0, "at_most": 3}).to_csv(folder / "managers.csv", index=False)
    names = ("transactions", "accounts", "programmes", "managers")
    tables = {**{name: {"path": f"{name}.csv"} for name in names}, "team_tiers": {"path": "team.csv"}}
    document.update(name="small", as_of=None, draws=60, tables=tables, budget=9000, hours=250, rules={})
    document["limits"] = {"holdout": {"share": 0.2}}
    (folder / "study.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def kept(folder, tmp_path_factory):
    """Give a run that has left its tables."""
    where = tmp_path_factory.mktemp("run")
    run = clv.open_run(folder, where)
    assert len(run.allocation.table)
    return run


@pytest.fixture
def again(folder, kept, tmp_path):
    """Open the study with other limits; what comes before the plan is taken from the run that is there."""

    def opened(limits, **more):
        (tmp_path / "tables").mkdir(exist_ok=True)
        for name in ("customer_value", "tier_options", "account_selection", "summary"):
            # Written anew without the mark of its study: a table that somebody else put there.
            table = pd.read_parquet(kept.store.folder / "tables" / f"{name}.parquet")
            table.to_parquet(tmp_path / "tables" / f"{name}.parquet")
        return clv.open_run(folder, tmp_path, {"limits": limits, **more})

    return opened


def test_the_plan_leaves_its_list_with_arms(kept):
    table = pd.read_parquet(kept.store.folder / "tables" / "tier_allocation.parquet")
    exported = pd.read_csv(kept.store.folder / "exports" / "tier_allocation.csv")
    assert (kept.store.folder / "exports" / "tier_allocation.xlsx").exists()
    assert list(exported["account_id"]) == list(table["account_id"])
    assert {"arm", "stratum", "manager", "net", "account"} <= set(exported)
    held = table[table["arm"] == "holdout"]
    assert len(held) == len(kept.left_out) > 0
    assert (held["tier"] == "none").all()
    assert (held["stratum"] != "none").all()
    assert (table.loc[table["tier"] != "none", "arm"] == "treatment").all()
    assert f"{len(held)} account" in kept.tier_decision.text
    assert "left out by lot" in kept.tier_decision.text
    assert "nine of ten draws" in kept.tier_decision.text


def test_managers_keep_to_what_they_can_take_on(kept):
    plan = kept.allocation.table[kept.allocation.table["tier"] != "none"]
    manager = plan["account_id"].map(kept.accounts.set_index("account_id")["manager"])
    assert plan["hours"].groupby(manager).sum().max() <= 25
    assert manager.value_counts().max() <= 3
    table = kept.by_manager
    assert {"spare hours", "accounts at most"} <= set(table.columns)
    assert table[["1:few", "1:many"]].to_numpy().sum() <= len(plan)
    assert int(table["hours"].sum()) == pytest.approx(plan["hours"].sum(), abs=len(table))


def test_other_plans_stand_beside_it(kept):
    table = kept.comparison.table.set_index("plan")
    assert list(table.index) == ["best", "rank and cut", "the team's list", "last period"]
    # Nobody is left out by lot in what is compared: a team's list has no lot either.
    assert table.loc["best", "net"] == pytest.approx(kept.randomised_plan.full.objective)
    assert table.loc["the team's list", "accounts"] <= 14
    assert table.loc["the team's list", "broken"]
    # Every account of the list counts, selected or not, as far as something is known of it.
    options = kept.incremental.tiers.set_index(["account_id", "tier"])
    team = pd.read_csv(kept.study.folder / "team.csv")
    treated = team[team["tier"] != "none"]
    named = [pair for pair in zip(treated["account_id"], treated["tier"], strict=True) if pair in options.index]
    net = (options.loc[named, "value"] - options.loc[named, "cost"]).sum()
    assert table.loc["the team's list", "net"] == pytest.approx(net)
    moves = kept.team_moves.set_index("account_id")
    assert len(moves) == table.loc["the team's list", "moved"]
    gain = table.loc["best", "net"] - table.loc["the team's list", "net"]
    assert (moves["net"] - moves["other_net"]).sum() == pytest.approx(gain)
    assert set(moves["other"]) <= {"1:1", "1:few", "none"}
    assert (moves["tier"] != moves["other"]).all()


def test_moves_since_the_last_programme(kept):
    last = kept._last_tiers()
    moves = kept.moves.table
    now = kept.allocation.table.set_index("account_id")["tier"]
    for account, row in moves.iterrows():
        assert row["before"] == last.get(account, "none")
        assert row["now"] == now.get(account, "none")
    assert len(kept.comers) + len(kept.leavers) == len(moves)
    assert set(kept.leavers["why"]) <= {"", "left out by lot", "not selected"}
    held = set(kept.left_out["account_id"]) & set(last.index)
    assert (moves.loc[sorted(held), "why"] == "left out by lot").all()


def test_doubt_is_that_of_the_same_plan(kept):
    robust = kept.robust
    pd.testing.assert_series_equal(robust.table["tier"], kept.allocation.table["tier"])
    assert robust.plans["expected"].iloc[0] == pytest.approx(kept.allocation.objective, rel=1e-6)
    held = set(kept.left_out["account_id"])
    assert (robust.tier_probability.loc[sorted(held), "none"] == 1).all()
    assert not held & set(kept.least_sure["account_id"])
    assert robust.evpi >= kept.effects_worth["value"].max() - 3 * robust.evpi_error
    assert set(kept.effects_worth["learn"]) >= {"uplift of 1:few", "all effects together"}
    assert "worth" in kept.lot_worth.text
    assert (kept.learn_first.table["worth"] >= 0).all()
    assert not held & set(kept.learn_first.table["account_id"])
    assert "raw estimates" in kept.shrunk.text
    assert set(kept.listed_plan["account_id"]) == set(kept.allocation.ranked["account_id"])
    assert kept.listed_plan["probability"].between(0, 1).all()
    assert {"manager", "probability", "hours"} <= set(kept.list_columns)
    assert (kept.closest_calls.table["distance"] > 0).all()


def test_spends_follow_the_judged_curves(kept):
    plan = kept.spending
    assert plan.bound >= plan.objective >= kept.allocation.objective - 1e-6
    assert plan.table["spend"].sum() <= 9000 + 1e-6
    spends = kept.spends
    many = spends[spends["tier"] == "1:many"]
    assert (many["spend"] == 80).all()
    assert (spends["lowest"] <= spends["spend"] + 1e-9).all()
    held = set(kept.left_out["account_id"])
    assert not held & set(spends["account_id"])
    assert "judgement" in plan.text


def test_every_limit_at_once(again, kept):
    chosen = kept.allocation.table["account_id"]
    outside = sorted(set(kept.value.table.index) - set(chosen))[0]
    limits = {
        "groups": [{"by": "industry", "at_most": 6}, {"by": "stage", "at_most": 10}],
        "mix": [{"tier": "1:1", "group": "customer", "at_least": 0.5}],
        "clusters": {"tier": "1:few", "by": "region", "cost": 50, "at_least": 2},
        "margin_cap": 0.6,
        "must_have": [outside],
        "must_not": [str(chosen.iloc[0])],
        "keep_last": {"switching_cost": 5},
        "reserved_hours": {"each": 0.1},
        "holdout": {"share": 0.3, "by": ["kind"]},
    }
    run = again(limits)
    plan = run.allocation
    table = plan.table.set_index("account_id")
    assert table.loc[outside, "tier"] != "none"
    assert table.loc[str(chosen.iloc[0]), "tier"] == "none"
    assert set(run._last_tiers().index) & set(kept.value.table.index) <= set(table.index)
    few = table[table["tier"] == "1:few"].index
    regions = run.accounts.set_index("account_id").loc[few, "region"].value_counts()
    assert (regions >= 2).all()
    assert plan.clusters["cost"].sum() == 50 * len(regions)
    assert len(run.randomised_plan.plan.holdout)
    # Shares of tiers, clusters and kept tiers hold for tiers: spends are then chosen within those of the plan.
    tiers = run.spending.table.set_index("account_id")["tier"]
    pd.testing.assert_series_equal(tiers, table.loc[tiers.index, "tier"])
    assert "Tiers are those of the plan" in run.spending.text


@pytest.mark.slow
def test_clusters_are_found_where_the_study_asks_for_them(again):
    run = again({"clusters": {"tier": "1:few", "cost": 10, "at_least": 1, "at_most": 4}, "holdout": None})
    assert "cluster" in run.about
    few = run.allocation.table[run.allocation.table["tier"] == "1:few"]["account_id"]
    assert run.about.loc[few, "cluster"].notna().all()
    assert run.about["cluster"].notna().any() or any("given to clusters only" in note for note in run.notes)
    assert "will not show what its tiers add" in run.lot_worth.text
    assert run.left_out.empty


def test_hours_by_role(again):
    tiers = [
        {"name": "1:1", "cost": 4000, "hours": {"seller": 40, "writer": 20}, "uplift": 0.35},
        {"name": "1:few", "cost": 800, "hours": {"seller": 15, "writer": 5}, "uplift": 0.15},
        {"name": "1:many", "cost": 80, "hours": {"seller": 0.5}, "uplift": 0.03},
    ]
    run = again({"managers": {"hours": 16, "role": "seller"}}, tiers=tiers, hours={"writer": 10})
    used = dict(zip(run.allocation.limits["limit"], run.allocation.limits["used"], strict=True))
    assert used["hours of writer"] <= 10
    assert run.tiers["hours"].tolist() == [60.0, 20.0, 0.5]


def test_what_cannot_be_is_told_with_its_mend(again, kept, folder, tmp_path):
    with pytest.raises(InfeasibleError, match=r"No plan satisfies .*must-have A\d+.*Widen or drop"):
        _ = again({"must_have": dict.fromkeys(kept.allocation.table["account_id"][:9], "1:1")}).allocation
    with pytest.raises(SettingsError, match=r"limits\.groups\.0\.by: 'regoin' is no column.*did you mean 'region'"):
        _ = again({"groups": [{"by": "regoin", "at_most": 1}]}).allocation
    with pytest.raises(SettingsError, match=r"limits\.holdout\.by\.0: 'regoin' is no column"):
        _ = again({"holdout": {"by": ["regoin"]}}).allocation
    with pytest.raises(SettingsError, match=r"must_have: there is no account 'A0O1'"):
        _ = again({"must_have": ["A0O1"]}).allocation
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("account_id,tier\nA0001,1:2\n")
    with pytest.raises(DataError, match=r"table 'team_tiers', column 'tier'.*'A0001' has tier '1:2'.*1:1, 1:few"):
        _ = again({}, **{"tables.team_tiers.path": str(wrong)}).comparison


def test_a_study_without_managers_programme_or_list_says_so():
    run = clv.open_run("cdnow", None, {"draws": 0})
    assert run.by_manager.shape == (0, 0)
    assert run.team_moves.shape == (0, 0)
    assert isinstance(run.moves, Missing)
    assert "nobody moves" in run.moves.text
    assert "does not say what more or less money" in run.spending.text
    assert isinstance(run.robust, Missing)
    assert isinstance(run.learn_first, Missing)
    assert run.plan_risks.shape == run.effects_worth.shape == run.least_sure.shape == (0, 0)
    assert "nine of ten" not in run.tier_decision.text
    assert "manager" not in run.list_columns
    assert np.isnan(run.listed_plan["probability"]).all()
