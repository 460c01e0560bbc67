"""Steps that look back on a programme: bad input is refused or flagged with its reason, and the report lives on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import clv
from clv.abm.experiments.sequential import Monitoring
from clv.abm.unrandomised import UnrandomisedEvidence
from clv.data.simulate import draw
from clv.errors import DataError, SettingsError
from clv.report.steps.data import reason
from clv.result import Missing

TIERS = [{"name": "1:1", "cost": 4000, "hours": 60, "uplift": 0.35}, {"name": "1:few", "cost": 800, "uplift": 0.15},
         {"name": "1:many", "cost": 80, "uplift": 0.03}]  # fmt: skip


@pytest.fixture(scope="module")
def tables():
    return draw(accounts=240, seed=11).tables


@pytest.fixture
def study(tables, tmp_path):
    """Write a study with another table of programmes, other settings and without some tables."""

    def write(programmes: pd.DataFrame | None, *, without: tuple[str, ...] = (), **settings) -> Path:
        folder = tmp_path / "study"
        folder.mkdir(exist_ok=True)
        kept = {name: table for name, table in tables.items() if name not in ("wallets", "contacts", *without)}
        kept |= {"programmes": programmes}
        if programmes is None:
            del kept["programmes"]
        for name, table in kept.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        document = {
            "name": "drawn", "title": "Drawn", "synthetic": True, "as_of": "2026-01-01", "margin": 0.35,
            "tables": {name: {"path": f"{name}.csv"} for name in kept}, "tiers": TIERS, "draws": 60, **settings,
        }  # fmt: skip
        (folder / "study.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
        return folder

    return write


def spoiled(tables, how: str) -> pd.DataFrame:
    rows = tables["programmes"].copy()
    treated = rows["arm"] == "treatment"
    if how == "no control":
        return rows[treated].drop(columns="block")
    if how == "starts later":
        return rows.assign(start=pd.Timestamp("2026-02-01"), end=pd.NaT)
    if how == "no cost":
        return rows.drop(columns="cost")
    if how == "a cost is missing":
        return rows.assign(cost=rows["cost"].where(rows.index != rows.index[treated][0]))
    if how == "arm of one":
        one = rows[(rows["tier"] == "1:1") & ~treated].index[1:]
        return rows.drop(index=one).drop(columns="block")
    if how == "account twice":
        return pd.concat([rows, rows.iloc[[0]].assign(cost=1.0)])
    if how == "controls treated":
        return rows.assign(cost=np.where(~treated, 500.0, rows["cost"]))
    raise ValueError(how)


@pytest.mark.parametrize(
    ("how", "without", "said"),
    [
        ("no control", (), "no programme with a control group"),
        ("starts later", (), "any outcome would be from before the treatment"),
        ("no cost", ("costs",), "cost is not known"),
        ("a cost is missing", ("costs",), "cannot be told: cost is empty for 1 treated"),
        ("account twice", (), "is there 2 times"),
    ],
)
def test_a_return_that_cannot_be_told_says_why(tables, study, how, without, said):
    run = clv.open_run(study(spoiled(tables, how), without=without))
    assert isinstance(run.roi, Missing)
    assert said in run.roi.text
    assert "table '" not in run.roi.text
    assert "Mend:" not in run.roi.text
    assert run.roi.table.empty
    if how != "a cost is missing" and how != "no cost":
        assert isinstance(run.experiment, Missing)
        assert run.response.version == 0, "nothing is learnt from it"
    assert isinstance(run.monitoring, Missing)
    assert isinstance(run.gains, Missing)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            DataError("is empty for 3 rows.", table="experiment", column="margin_pre", row=2),
            "margin pre is empty for 3",
        ),
        (DataError("there is no such column: why.", table="costs", column="date"), "there is no column 'date': why."),
        (DataError("has no rows.", table="experiment"), "the table experiment has no rows."),
        (DataError("all are controls.", table="experiment", column="arm", mend="Give more."), "all are controls."),
        (DataError("does not hold numbers.", column="a"), "a does not hold numbers."),
        (SettingsError("x = 3.", mend="Give 2."), "x = 3."),
    ],
)
def test_readers_of_a_page_are_told_the_fault_and_not_its_place(error, said):
    assert reason(error).startswith(said)


def test_an_account_without_a_block_was_drawn_among_all_of_its_tier(tables, study):
    rows = tables["programmes"]
    some = rows.assign(block=rows["block"].where(rows["tier"] != "1:many"))
    run = clv.open_run(study(some))
    assert set(run.outcomes.loc[run.outcomes["tier"] == "1:many", "block"]) == {"all of 1:many"}
    mine, full = (clv.open_run(study(one)).experiment.table for one in (some, rows))
    kept = (full["role"] == "main") & (full["group"] == "1:few")
    columns = ["accounts", "controls", "effect", "se"]
    pd.testing.assert_frame_equal(mine.loc[kept, columns], full.loc[kept, columns])
    none = clv.open_run(study(rows.drop(columns="block")))
    assert set(none.outcomes["block"]) == {"all of " + tier for tier in rows["tier"]}


def test_a_tier_with_one_control_is_in_no_sum_and_its_money_is_said(tables, study):
    run = clv.open_run(study(spoiled(tables, "arm of one")))
    assert "1:1" not in set(run.roi.table["group"])
    spent = tables["programmes"].groupby("tier")["cost"].sum()
    counted = spent.drop("1:1").sum()
    first, _, rest = run.verdict.text.partition("\n\n")
    assert first.startswith(f"Spent: {counted:,.0f} EUR on ")
    six = int(tables["programmes"].query("tier == '1:1' and arm == 'treatment'").shape[0])
    assert f"In all {spent.sum():,.0f} EUR went to 63 accounts; {six} of them have no controls" in first
    assert rest.startswith("How sure")
    assert any("1:1 has" in says for says in run.experiment_checks["says"])
    whole = clv.open_run(study(tables["programmes"].drop(columns="block"))).verdict.text
    assert f"Spent: {spent.sum():,.0f} EUR on 63 accounts" in whole
    assert "In all" not in whole


def test_treated_controls_are_flagged_and_stay_controls(tables, study):
    run = clv.open_run(study(spoiled(tables, "controls treated")))
    controls = int((tables["programmes"]["arm"] == "control").sum())
    checks = run.experiment_checks.set_index("check")
    flagged = checks[checks["verdict"] != "fine"]
    assert any("control arm had money or hours spent" in says for says in flagged["says"])
    assert run.experiment.table["controls"].max() <= controls
    assert "They stay controls, as drawn" in run.experiment.text


def test_cost_of_a_programme_comes_from_the_bookings_where_its_table_is_silent(tables, study):
    run = clv.open_run(study(spoiled(tables, "no cost")))
    assert not isinstance(run.roi, Missing)
    whole = tables["programmes"]["cost"].sum()
    assert run.outcomes["cost"].sum() == pytest.approx(whole)
    assert run.spent.filled > 0


def test_without_a_lot_everything_says_so_and_nothing_is_learnt(tables, study):
    run = clv.open_run(study(spoiled(tables, "no control")))
    found = run.unrandomised
    assert isinstance(found, UnrandomisedEvidence)
    assert set(found.table["evidence"]) == {"not randomised"}
    assert "nobody drew lots" in run.verdict.text
    assert run.tier_verdicts.shape == (0, 0)
    assert run.response.version == 0
    assert {"best accounts chosen", "regression to the mean", "immortal time"} == set(
        run.unrandomised_selection["check"]
    )


def test_controls_that_no_lot_has_drawn_are_not_passed_off_as_such(tables, study):
    folder = study(tables["programmes"], programme={"randomised": False})
    run = clv.open_run(folder)
    assert isinstance(run.experiment, Missing)
    assert "were not drawn by lot" in run.experiment.text
    drawn = set(tables["programmes"].loc[tables["programmes"]["arm"] == "control", "account_id"])
    used = run.unrandomised.data
    assert set(used.loc[used["arm"] == "control", "account_id"]) <= drawn
    assert isinstance(run.lesson, Missing)


def test_who_was_treated_in_another_programme_is_no_control(tables, study):
    rows = tables["programmes"]
    treated = rows[rows["arm"] == "treatment"]
    first, second = treated.iloc[::2], treated.iloc[1::2]
    both = pd.concat([first.assign(programme="OLD", start=pd.Timestamp("2024-03-04"), end=pd.Timestamp("2024-09-30")),
                      second.assign(programme="NEW")])  # fmt: skip
    run = clv.open_run(study(both.drop(columns="block")))
    used = run.unrandomised.data
    assert set(used.loc[used["arm"] == "treatment", "account_id"]) <= set(second["account_id"])
    assert not set(used.loc[used["arm"] == "control", "account_id"]) & set(first["account_id"])
    without = both.drop(columns="block")
    drawn = rows[rows["arm"] == "control"].assign(programme="NEW").drop(columns="block")
    # Controls that were named, but treated in the programme before.
    named = pd.concat([without, drawn, drawn.iloc[:5].assign(arm="treatment", programme="OLD",
                                                             start=pd.Timestamp("2024-03-04"))])  # fmt: skip
    run = clv.open_run(study(named, programme={"randomised": False}))
    used = run.unrandomised.data
    assert not set(used.loc[used["arm"] == "control", "account_id"]) & set(drawn["account_id"].iloc[:5])


def test_where_nothing_was_measured_the_plan_is_what_there_is(tables, study):
    run = clv.open_run(study(None, without=("costs", "opportunities", "deal_stages", "touches")))
    first, _, rest = run.verdict.text.partition("\n\n")
    assert first.startswith("This study has no programme:")
    assert rest.startswith("Next: by what is assumed, not measured, the present plan spends")
    total = run.forecast.table.iloc[0]
    assert f"{total['npv']:,.0f}" in rest
    assert "that the lot has drawn" in rest
    assert first not in run.how_to_read.text
    assert set(run.claims_table.loc[run.claims_table["own"] == "not measured here", "claim_id"]) >= {
        "roi_97",
        "leads_1",
    }


def test_a_running_programme_is_looked_at_with_valid_intervals(tables, study):
    run = clv.open_run(study(tables["programmes"].assign(end=pd.NaT), as_of="2025-09-30"))
    assert isinstance(run.monitoring, Monitoring)
    assert run.monitoring.table["look"].tolist() == ["after 91 days", "after 182 days"]
    ended = clv.open_run(study(tables["programmes"]))
    assert isinstance(ended.monitoring, Missing)
    assert "is over" in ended.monitoring.text


def test_of_several_programmes_the_last_with_controls_is_analysed(tables, study):
    old = tables["programmes"].assign(programme="OLD", start=pd.Timestamp("2024-01-08"), end=pd.Timestamp("2024-06-30"))
    only = tables["programmes"].query("arm == 'treatment'").assign(programme="NEW", start=pd.Timestamp("2025-06-02"))
    run = clv.open_run(study(pd.concat([old, tables["programmes"], only])))
    assert set(run.programme["programme"]) == {"ABM2025"}
    assert not isinstance(run.experiment, Missing)
    assert any("Of 3 programmes" in note for note in run.notes)
    swapped = (
        tables["programmes"]
        .query("arm == 'control'")
        .assign(programme="NEW", arm="treatment", start=pd.Timestamp("2025-06-02"))
    )
    both = clv.open_run(study(pd.concat([tables["programmes"], swapped])))
    assert both.programme["programme"].unique().tolist() == ["ABM2025"]
    assert any("were treated in another programme" in note for note in both.notes)


def test_what_was_learnt_is_handed_on_and_counted_once(tables, study, tmp_path):
    first = clv.open_run(study(tables["programmes"]), tmp_path / "run")
    assert first.response.version == 1
    file = tmp_path / "study" / "response.json"
    file.write_bytes((tmp_path / "run" / "response.json").read_bytes())
    again = clv.open_run(study(tables["programmes"], response="response.json"))
    assert again.response.version == 1, "the same programme is not counted twice"
    other = tables["programmes"].assign(programme="ABM2026")
    later = clv.open_run(study(other, response="response.json"))
    assert later.response.version == 2
    assert set(later.response_evidence["experiment"]) == {"ABM2025", "ABM2026"}


def test_the_way_to_accounts(tables, study):
    run = clv.open_run(study(tables["programmes"]))
    assert run.channel_table["channel"].iloc[-1] == "all"
    won = tables["transactions"].query("amount > 0")["account_id"].nunique()
    assert run.channel_table["won"].iloc[-1] == won
    assert run.channel_stages["cost"].sum() == pytest.approx(
        tables["costs"].query("kind == 'acquisition'")["amount"].sum()
    )
    steps = run.channel_steps
    assert steps["all steps"].sum() == pytest.approx(run.channel_stages["cost"].sum())
    assert steps["all steps"].is_monotonic_decreasing
    assert steps["education"].sum() == pytest.approx(run.channel_stages.set_index("stage").loc["education", "cost"])
    assert not np.isinf(run.velocity_table.select_dtypes(float)).any(axis=None)
    stages = run.deal_stages
    assert (stages["reached"] == stages[["passed", "stopped", "open"]].sum(axis=1)).all()
    assert stages.loc[stages["reached"] > 20, "median"].notna().all()
    wide = run.deal_steps
    assert wide.index.is_unique
    assert set(wide.index) == set(stages["group"])
    first = stages.iloc[0]
    assert wide.loc[first["group"], first["stage"]].startswith(f"{first['share']:.0%} ({first['lower']:.0%} to ")
    assert {"all tiers, treatment", "all tiers, control", "no programme"} <= set(run.funnel_table["group"])
    treated = run.funnel_table.set_index("group").loc["all tiers, treatment"]
    own = run.claims.table.set_index("claim_id")["own"]
    won, lost = int(treated["won"]), int(treated["lost"])
    assert f"won {won} of {won + lost} " in own["closed_30"]
    assert "a return of" in own["roi_97"]
    bare = clv.open_run(study(tables["programmes"], without=("costs", "deal_stages", "opportunities", "touches")))
    assert all(isinstance(one, Missing) for one in (bare.channels, bare.funnel, bare.velocity, bare.spent))
    assert (
        bare.channel_table.shape
        == bare.funnel_table.shape
        == bare.velocity_table.shape
        == bare.deal_steps.shape
        == (0, 0)
    )
