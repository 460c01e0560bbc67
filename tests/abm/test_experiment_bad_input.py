"""What a study may get wrong about an experiment, through every function that is offered for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.experiments.programme_check import programme_faults
from clv.errors import DataError
from clv.report.checking import check_study

LOOKS = ["m0", "m1"]


def trial(n: int = 40, seed: int = 1) -> pd.DataFrame:
    """One row an account: what it was, what was spent on it, what came of it."""
    rng = np.random.default_rng(seed)
    treated = rng.permutation(np.arange(2 * n) % 2).astype(bool)
    before, now = np.exp(rng.normal(size=(2, 2 * n)))
    return pd.DataFrame(
        {
            "account_id": [f"A{i:03d}" for i in range(2 * n)], "arm": np.where(treated, "treatment", "control"),
            "margin_pre": before, "margin": now, "m0": now / 2, "m1": now,
            "cost": np.where(treated, 0.2, 0.0), "employees": rng.integers(5, 500, 2 * n).astype(float),
        }
    )  # fmt: skip


def panel(data: pd.DataFrame) -> pd.DataFrame:
    """Give the same accounts over six periods, treated from the fourth on."""
    periods = [data[["account_id", "arm"]].assign(period=t, margin=data["margin"] + 0.1 * t) for t in range(6)]
    return pd.concat(periods, ignore_index=True).assign(treated=lambda d: d["arm"] == "treatment")


ANALYSES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "analyse_experiment": clv.analyse_experiment,
    "incremental_roi": clv.incremental_roi,
    "monitor_experiment": lambda d: clv.monitor_experiment(d, looks=LOOKS, permutations=199),
    "doubly_robust": lambda d: clv.doubly_robust(d, covariates=["employees"]),
    "matched_comparison": lambda d: clv.matched_comparison(d, covariates=["employees"]),
    "difference_in_differences": lambda d: clv.difference_in_differences(panel(d), start=3),
    "synthetic_difference_in_differences": lambda d: clv.synthetic_difference_in_differences(panel(d), start=3),
}


def left(data: pd.DataFrame, arm: str, keep: int) -> pd.DataFrame:
    """Keep so many accounts of an arm, and all of the other."""
    mine = data["arm"] == arm
    return data[~mine | (mine.cumsum() <= keep)].reset_index(drop=True)


@pytest.mark.parametrize("analysis", ANALYSES)
def test_treated_accounts_without_a_control_are_refused(analysis: str) -> None:
    with pytest.raises(DataError) as refused:
        ANALYSES[analysis](left(trial(), "control", 0))
    assert "control" in str(refused.value)
    assert refused.value.mend


@pytest.mark.parametrize("analysis", ANALYSES)
def test_nobody_treated_is_refused(analysis: str) -> None:
    with pytest.raises(DataError) as refused:
        ANALYSES[analysis](left(trial(), "treatment", 0))
    assert refused.value.mend


@pytest.mark.parametrize("arm", ["control", "treatment"])
@pytest.mark.parametrize("analysis", list(ANALYSES)[:6])
def test_an_arm_of_one_account_is_refused(analysis: str, arm: str) -> None:
    with pytest.raises(DataError) as refused:
        ANALYSES[analysis](left(trial(), arm, 1))
    assert refused.value.mend


def test_controls_that_were_treated_are_flagged_wherever_cost_is_known() -> None:
    data = trial()
    spent = data.index[data["arm"] == "control"][:5]
    data.loc[spent, "cost"] = 0.2
    for found in (clv.analyse_experiment(data), clv.incremental_roi(data)):
        row = found.checks.set_index("check").loc["treated controls"]
        assert row["verdict"] == "mind"
        assert row["says"].startswith("5 accounts of 40")
        assert "5 accounts of 40 in the control arm" in found.text
    # They stay controls, and what they cost is taken off.
    assert found.table["controls"].iloc[0] == 40
    assert found.table["cost"].iloc[0] == pytest.approx(40 * (0.2 - 0.2 * 5 / 40))


def test_an_account_that_is_treated_and_a_control_is_refused() -> None:
    data = trial()
    again = data.head(1).assign(arm=np.where(data["arm"].iloc[0] == "control", "treatment", "control"))
    twice = pd.concat([data, again], ignore_index=True)
    for name in ("analyse_experiment", "incremental_roi", "monitor_experiment", "doubly_robust", "matched_comparison"):
        with pytest.raises(DataError, match="in two arms"):
            ANALYSES[name](twice)


def test_an_outcome_from_before_the_treatment_is_refused() -> None:
    data = trial().assign(start="2025-03-01", measured_from="2025-03-01")
    clv.analyse_experiment(data, permutations=199)
    early = data.assign(measured_from=data["measured_from"].where(data.index != 7, "2025-02-01"))
    for name in ("analyse_experiment", "incremental_roi", "monitor_experiment", "doubly_robust", "matched_comparison"):
        with pytest.raises(DataError, match="1 outcomes were measured before the treatment began") as refused:
            ANALYSES[name](early)
        assert refused.value.row == 8
        assert refused.value.column == "measured_from"


def test_a_programme_that_began_after_the_data_end_is_refused() -> None:
    programmes = trial(5).assign(start="2025-06-01")[["account_id", "arm", "start"]]
    bought = pd.DataFrame({"account_id": ["A000"], "date": pd.to_datetime(["2025-05-01"]), "amount": [10.0]})
    with pytest.raises(DataError, match="before the treatment can have worked"):
        clv.experiment_outcomes(programmes, bought)


def test_a_cost_that_is_missing_is_refused_only_where_a_return_is_asked_for() -> None:
    data = trial()
    treated = data.index[data["arm"] == "treatment"]
    gap = data.assign(cost=data["cost"].where(data.index != treated[2]))
    with pytest.raises(DataError, match="is empty for 1 treated account") as refused:
        clv.incremental_roi(gap)
    assert refused.value.row == treated[2] + 1
    with pytest.raises(DataError, match="without cost there is no return"):
        clv.incremental_roi(data.drop(columns="cost"))
    with pytest.raises(DataError, match="negative"):
        clv.incremental_roi(data.assign(cost=-data["cost"] - 1))
    # What an account gained does not hang on what it cost.
    effect = clv.analyse_experiment(data, permutations=199).table["effect"].iloc[0]
    assert clv.analyse_experiment(gap, permutations=199).table["effect"].iloc[0] == effect
    without = clv.analyse_experiment(data.drop(columns="cost"), permutations=199)
    assert without.table["effect"].iloc[0] == effect


def programme() -> pd.DataFrame:
    arm = np.array(["treatment", "control"])[np.arange(40) % 2]
    return pd.DataFrame(
        {
            "account_id": [f"A{i:02d}" for i in range(40)], "tier": np.where(np.arange(40) < 8, "1:1", "1:few"),
            "arm": arm, "start": pd.Timestamp("2025-03-03"), "cost": np.where(arm == "treatment", 5.0, 0.0),
        }
    )  # fmt: skip


def without(frame: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    return frame[~rows]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: d[d["arm"] == "treatment"], "The programme has no control:"),
        (lambda d: d[d["arm"] == "control"], "The programme has no treated account:"),
        (
            lambda d: without(d, (d["tier"] == "1:1") & (d["arm"] == "control") & (d.index > 1)),
            "1:1 (1 control, 4 treated)",
        ),
        (lambda d: pd.concat([d, d.head(1).assign(arm="control")]), "1 account is there in both arms."),
        (lambda d: pd.concat([d, d.head(2)]), "2 accounts are there more than once."),
        (
            lambda d: d.assign(start=pd.Timestamp("2026-03-03")),
            "40 accounts start after 2025-12-31, the last day known",
        ),
        (lambda d: d.assign(cost=5.0), "20 of 20 accounts in control had money or hours spent on them"),
        (lambda d: d.assign(cost=d["cost"].where(d.index != 2)), "spent on 1 of 20 treated accounts is not known"),
        (lambda d: d.drop(columns="cost"), "spent on 20 of 20 treated accounts is not known"),
    ],
)
def test_what_a_programme_cannot_show_is_said_before_it_is_measured(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    assert programme_faults(programme(), as_of=pd.Timestamp("2025-12-31")) == []
    found = programme_faults(spoil(programme()), as_of=pd.Timestamp("2025-12-31"))
    assert any(said in one for one in found), found


def test_programmes_are_judged_one_by_one_and_costs_may_stand_elsewhere() -> None:
    two = pd.concat(
        [programme().assign(programme="A"), programme().assign(programme="B", arm="treatment", cost=np.nan)]
    )
    found = programme_faults(two, as_of=pd.Timestamp("2025-12-31"), costs=True)
    assert found == ["B has no control: what it changed cannot be told from a lot."]


def test_clv_check_says_what_a_programme_lacks(tmp_path: Path) -> None:
    bought = pd.DataFrame({"account_id": [f"A{i:02d}" for i in range(40)], "date": "2025-05-01", "amount": 10.0})
    bought.to_csv(tmp_path / "transactions.csv", index=False)
    programme().assign(arm="treatment").to_csv(tmp_path / "programmes.csv", index=False)
    (tmp_path / "study.yml").write_text(
        "name: small\ntitle: Small\ncurrency: EUR\ntables:\n  transactions: {path: transactions.csv}\n"
        "  programmes: {path: programmes.csv}\n",
        encoding="utf-8",
    )
    checked = check_study(str(tmp_path))
    assert not checked.faults
    assert checked.text.endswith("to mind:\n- The programme has no control: what it changed cannot be told from a lot.")


def test_deals_whose_end_is_not_known_are_left_out() -> None:
    bought = pd.DataFrame({"account_id": ["A00"], "date": pd.to_datetime(["2025-05-01"]), "amount": [10.0]})
    deals = pd.DataFrame({"account_id": ["A00"], "created": pd.to_datetime(["2025-04-01"])})
    found = clv.experiment_outcomes(programme(), bought, opportunities=deals)
    assert "wins" not in found
