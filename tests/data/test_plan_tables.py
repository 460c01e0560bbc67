"""The tables `team_tiers` and `managers`: what they take, what they refuse, and how `clv init` knows them."""

from __future__ import annotations

import pandas as pd

import clv
from clv.data.coverage import coverage
from clv.data.start.init import init_study


def test_team_tiers_are_read_and_faults_are_named():
    frame = pd.DataFrame({"account_id": ["007", "8", "8", "9", None], "tier": ["1:1", "none", "1:few", None, "1:1"]})
    read = clv.read_team_tiers(frame)
    assert read.table.to_dict("list") == {"account_id": ["007", "8"], "tier": ["1:1", "none"]}
    assert read.rejected["row"].tolist() == [3, 4, 5]
    assert read.rejected["reason"].str.contains("tier|account_id").all()


def test_managers_are_read_with_what_is_not_limited_left_empty():
    frame = pd.DataFrame({"manager": ["Ann", "Bob", "Cy"], "hours": ["40.5", "", "-1"], "at_most": ["3", "", "2"]})
    read = clv.read_managers(frame)
    assert read.table["manager"].tolist() == ["Ann", "Bob"]
    assert read.table["hours"].tolist()[0] == 40.5
    assert read.table[["hours", "at_most"]].isna().iloc[1].all()
    assert read.rejected["row"].tolist() == [3]
    assert "hours" in read.rejected["reason"].iloc[0]


def test_init_knows_them(tmp_path):
    (tmp_path / "sales.csv").write_text("customer,date,amount\na,2025-01-03,10\nb,2025-02-04,20\na,2025-03-05,30\n")
    (tmp_path / "target account list.csv").write_text("account id,abm tier\na,1:1\nb,1:few\n")
    (tmp_path / "account managers.csv").write_text("account manager,spare hours,max accounts\nAnn,40,3\nBob,20,5\n")
    init_study(tmp_path)
    study = clv.load_study(tmp_path)
    assert study.read("team_tiers").table["tier"].tolist() == ["1:1", "1:few"]
    assert study.read("managers").table.to_dict("list") == {
        "manager": ["Ann", "Bob"], "hours": [40.0, 20.0], "at_most": [3, 5],
    }  # fmt: skip
    table = coverage(study).table.set_index("table")
    assert table.loc[["team_tiers", "managers"], "present"].all()


def test_limits_that_init_proposes_can_be_used(tmp_path):
    (tmp_path / "sales.csv").write_text("customer,date,amount\na,2025-01-03,10\nb,2025-02-04,20\na,2025-03-05,30\n")
    file = init_study(tmp_path)
    head, block = file.read_text(encoding="utf-8").split("# limits:\n")
    assert clv.load_study(tmp_path).settings.limits.must_have is None
    lines = [line.removeprefix("# ") for line in ["# limits:", *block.splitlines()]]
    file.write_text(head.replace("# hours: 2000", "hours: 2000") + "\n".join(lines), encoding="utf-8")
    limits = clv.load_study(tmp_path).settings.limits
    assert set(limits.model_fields_set) == set(type(limits).model_fields)
    assert limits.clusters.cost == 500
    assert limits.must_have == ["some account"]
