"""Outcomes from a study's tables, and the demo's programme measured against its truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clv
from clv.data import simulate
from clv.errors import DataError, SettingsError


def tables():
    programmes = pd.DataFrame(
        {
            "account_id": ["a", "b", "c"],
            "arm": ["treatment", "control", "control"],
            "start": pd.Timestamp("2025-01-11"),
            "cost": [5.0, 0, 0],
        }
    )
    lines = pd.DataFrame(
        [
            ("a", "2025-01-10", 100.0), ("a", "2025-01-11", 10.0), ("a", "2025-01-11", 5.0), ("a", "2025-01-20", 7.0),
            ("a", "2025-01-21", 900.0), ("b", "2025-01-01", 20.0), ("b", "2024-12-31", 800.0), ("x", "2025-01-12", 1.0),
            ("b", "2025-01-15", -4.0),
        ],
        columns=["account_id", "date", "amount"],
    )  # fmt: skip
    return programmes, lines.assign(date=pd.to_datetime(lines["date"]))


def test_windows_are_counted_exactly():
    programmes, lines = tables()
    found = clv.experiment_outcomes(programmes, lines, window=10, margin=0.5).set_index("account_id")
    assert found["revenue"].tolist() == [22.0, -4.0, 0.0]
    assert found["margin"].tolist() == [11.0, -2.0, 0.0]
    assert found["purchases"].tolist() == [2, 0, 0]
    assert found["bought"].tolist() == [1, 0, 0]
    assert found["revenue_pre"].tolist() == [100.0, 20.0, 0.0]
    assert found["cost"].tolist() == [5.0, 0.0, 0.0]
    later = clv.experiment_outcomes(programmes, lines, window=1, lag=10).set_index("account_id")
    assert later["revenue"].tolist() == [900.0, 0.0, 0.0]


def test_short_windows_are_told():
    programmes, lines = tables()
    deals = pd.DataFrame(
        {
            "account_id": ["a", "a", "b", "c"],
            "created": pd.to_datetime(["2025-01-12", "2025-01-13", "2025-01-01", "2024-11-01"]),
            "closed": pd.to_datetime(["2025-01-18", "2025-01-19", "2025-01-15", "2025-01-02"]),
            "outcome": ["won", "lost", "won", "won"],
        }
    )
    found = clv.experiment_outcomes(programmes, lines, opportunities=deals, window=10, follow=7)
    notes = " ".join(found.attrs["clv"]["notes"])
    assert "nothing is worth measuring before a month" in notes
    assert "short against a sales cycle of 14 days" in notes
    assert found["wins"].tolist() == [1, 0, 0]
    assert found["win_rate"].tolist()[0] == 0.5
    assert np.isnan(found["win_rate"].tolist()[1])
    assert found["cycle_time"].tolist()[0] == 6
    two = found.assign(arm=["treatment", "control", "control"])
    two = pd.concat([two, two.iloc[[0]].assign(account_id="z")], ignore_index=True)
    two.attrs = found.attrs
    assert "Only 10 days have passed" in clv.analyse_experiment(two, covariates=[]).text


def test_deals_that_began_in_the_days_left_out_are_of_the_programme():
    """A lag leaves out what is won in it, not what is opened in it and won later."""
    programmes, lines = tables()
    deals = pd.DataFrame(
        {
            "account_id": ["a", "a", "b", "a"],
            "created": pd.to_datetime(["2025-01-11", "2025-01-12", "2025-01-12", "2025-01-10"]),
            "closed": pd.to_datetime(["2025-01-13", "2025-01-20", None, "2025-01-20"]),
            "outcome": ["won", "won", "open", "won"],
        }
    )
    found = clv.experiment_outcomes(programmes, lines, opportunities=deals, window=6, lag=5).set_index("account_id")
    assert found["wins"].tolist() == [1, 0, 0]
    # Watched for half of eleven days, of which the last one is the 21st.
    assert found.loc["a", "win_rate"] == 0.5
    assert found.loc["a", "cycle_time"] == 2
    assert found.loc["b", "win_rate"] == 0
    assert np.isnan(found.loc["b", "cycle_time"])
    with pytest.raises(SettingsError, match="Watch deals for fewer days"):
        clv.experiment_outcomes(programmes, lines, opportunities=deals, window=6, follow=6)


def test_deals_still_open_bend_neither_win_rate_nor_cycle_time():
    """Half of the accounts open more deals late, of the same fate: counting what is decided, they would win fewer,
    and sooner."""
    rng = np.random.default_rng(5)
    start, rows = pd.Timestamp("2025-01-01"), []
    for i in range(3000):
        opened = rng.uniform(0, 180, 2)
        if i % 2:
            opened = np.append(opened, rng.uniform(90, 180, 3))
        won = rng.random(len(opened)) < 0.3
        days = np.where(won, rng.gamma(4, 20, len(opened)), rng.gamma(2, 20, len(opened)))
        created = start + pd.to_timedelta(opened, "D")
        closed = created + pd.to_timedelta(days, "D")
        known = closed < start + pd.Timedelta(days=180)
        fate = np.where(known, np.where(won, "won", "lost"), "open")
        rows.append(pd.DataFrame({"account_id": f"A{i:04d}", "created": created, "closed": closed.where(known),
                                  "outcome": fate}))  # fmt: skip
    deals = pd.concat(rows, ignore_index=True)
    programmes = pd.DataFrame({"account_id": [f"A{i:04d}" for i in range(3000)], "start": start})
    programmes["arm"] = np.where(np.arange(3000) % 2, "treatment", "control")
    lines = pd.DataFrame({"account_id": ["A0000"], "date": [start], "amount": [1.0]})
    data = clv.experiment_outcomes(programmes, lines, opportunities=deals, as_of="2025-06-29")
    mean, error = (getattr(data.groupby("arm")[["win_rate", "cycle_time"]], how)() for how in ("mean", "sem"))
    apart = (mean.loc["treatment"] - mean.loc["control"]) / np.sqrt((error**2).sum())
    assert (apart.abs() < 2.6).all()
    # As a count of what is decided says it, they are apart.
    decided = deals[deals["outcome"] != "open"].merge(programmes, on="account_id", validate="m:1")
    days = (decided["closed"] - decided["created"]).dt.days[decided["outcome"] == "won"].groupby(decided["arm"])
    gap = days.mean()["treatment"] - days.mean()["control"]
    assert gap < -4 * np.sqrt((days.sem() ** 2).sum())


def test_what_is_refused():
    programmes, lines = tables()
    both = pd.concat([programmes, programmes.head(1).assign(arm="control")])
    with pytest.raises(DataError, match="'a' is there 2 times, in two arms") as refused:
        clv.experiment_outcomes(both, lines)
    assert refused.value.row == 4
    assert "in the arm it was drawn into" in str(refused.value.mend)
    with pytest.raises(DataError, match="before the treatment can have worked"):
        clv.experiment_outcomes(programmes.assign(start=pd.Timestamp("2026-01-01")), lines)
    with pytest.raises(SettingsError, match="days have passed"):
        clv.experiment_outcomes(programmes, lines, window=500)
    with pytest.raises(DataError, match="there 2 times"):
        clv.experiment_outcomes(pd.concat([programmes, programmes]), lines)
    with pytest.raises(DataError, match="is empty"):
        clv.experiment_outcomes(programmes.assign(start=pd.NaT), lines)
    with pytest.raises(DataError, match="no such column"):
        clv.experiment_outcomes(programmes.drop(columns="arm"), lines)


def measured(universe):
    """Outcomes of a universe's programme with the blocks in which it was drawn, and each account's true gain."""
    truth = universe.truth
    start = universe.tables["programmes"]["start"].iloc[0]
    data = clv.experiment_outcomes(
        universe.tables["programmes"], universe.tables["transactions"], margin=0.35, as_of=universe.as_of
    )
    rows = truth["programmes"]
    data = data.merge(rows[["account_id", "treated"]], on="account_id", validate="1:1")
    # What the tier adds over the window, in expectation, to an account that is alive at the start: exact for BG/NBD.
    weeks = data.attrs.get("clv", {"window": 361.0})["window"] / 7
    own = data[["account_id", "tier"]].merge(truth["accounts"], on="account_id", validate="1:1")
    factors = data[["account_id", "tier"]].merge(truth["tiers"], on=["account_id", "tier"], validate="1:1")
    dropped = pd.to_datetime(own["dropped"])
    alive = (dropped.isna() | (dropped >= start)).to_numpy()

    def purchases(rate, dropout):
        return (1 - np.exp(-rate * dropout * weeks)) / dropout

    rate, dropout = own["rate"].to_numpy(), own["dropout"].to_numpy()
    more = purchases(rate * factors["rate_factor"].to_numpy(), dropout * factors["dropout_factor"].to_numpy())
    data["gain"] = 0.35 * own["spend"].to_numpy() * (more - purchases(rate, dropout)) * alive
    return data


def test_the_demo_holds_its_truth():
    home = Path(__file__).resolve().parents[2] / "data" / "samples" / "demo"
    study = clv.load_study(home)
    tables_ = {name: study.read(name).table for name in ("programmes", "transactions")}
    truth = {name: pd.read_csv(home / "truth" / f"{name}.csv") for name in ("accounts", "tiers", "programmes")}
    universe = simulate.Universe(tables_, truth, pd.Timestamp("2026-01-01"))
    data = measured(universe)
    assert (data["treated"] == (data["arm"] == "treatment")).all()
    found = clv.analyse_experiment(
        data, by="tier", block="block", shares={"treatment": 2, "control": 1}, permutations=999, currency="EUR"
    )
    assert found.sound
    gain = data[data["treated"]].groupby("tier")["gain"].mean()
    table = found.table.set_index("group")
    for tier, true in gain.items():
        assert table.loc[tier, "lower"] < true < table.loc[tier, "upper"]
    assert table.loc["all", "lower"] < data.loc[data["treated"], "gain"].mean() < table.loc["all", "upper"]
    roi = clv.incremental_roi(data, by="tier", block="block", bootstrap=199).table.set_index("group").loc["all"]
    treated = data[data["treated"]]
    assert roi["lower"] < treated["gain"].sum() / treated["cost"].sum() - 1 < roi["upper"]


@pytest.mark.slow
def test_measured_effects_are_those_of_the_truth_over_many_universes():
    error, held = [], []
    for seed in range(25):
        data = measured(simulate.draw(accounts=400, seed=100 + seed, years=2))
        row = clv.analyse_experiment(
            data, by="tier", block="block", permutations=399, seed=seed
        ).table.set_index("group").loc["all"]  # fmt: skip
        true = data.loc[data["treated"], "gain"].mean()
        error.append((row["effect"] - true) / row["se"])
        held.append(row["lower"] <= true <= row["upper"])
    assert abs(np.mean(error)) < 3 / np.sqrt(25)
    assert np.std(error, ddof=1) == pytest.approx(1, abs=0.35)
    assert np.mean(held) >= 0.8
