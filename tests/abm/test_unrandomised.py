"""Programmes that nobody randomised: flagged where the choice misleads, close to the truth where it does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.looks import experiment_looks
from clv.abm.lot import against_the_lot
from clv.abm.unrandomised import unrandomised_evidence
from clv.abm.verdict import programme_verdict, unrandomised_verdict
from clv.errors import DataError, SettingsError

START = pd.Timestamp("2025-01-01")


def book(seed, *, chosen="chance", effect=0.0, accounts=160):
    """Monthly buyers of lognormal size over three years; treatment by chance, to the best, or to the momentary best."""
    g = np.random.default_rng(seed)
    level = np.exp(g.normal(6, 0.6, accounts))
    noise = np.exp(g.normal(0, 0.7, (accounts, 36)))
    amount = level[:, None] * noise
    past, last = amount[:, :24].sum(axis=1), amount[:, 21:24].sum(axis=1)
    score = {"chance": g.random(accounts), "best": past * np.exp(g.normal(0, 0.4, accounts)), "momentary": last}[chosen]
    treated = score >= np.quantile(score, 0.75)
    amount[treated, 24:] *= 1 + effect
    ids = np.array([f"A{i:03d}" for i in range(accounts)])
    months = pd.date_range("2023-01-01", periods=36, freq="MS") + pd.Timedelta(days=10)
    lines = pd.DataFrame(
        {"account_id": np.repeat(ids, 36), "date": np.tile(months, accounts), "amount": amount.ravel()}
    )
    return lines, pd.DataFrame({"account_id": ids[treated], "start": START, "cost": 50.0})


def test_a_choice_by_chance_is_recovered_by_every_method():
    lines, treated = book(3, effect=0.3)
    found = unrandomised_evidence(treated, lines, margin=1.0, as_of="2025-12-31")
    table = found.table.set_index("method")
    assert list(table["evidence"].unique()) == ["not randomised"]
    mine = lines[lines["account_id"].isin(treated["account_id"]) & (lines["date"] >= START)]
    truth = mine["amount"].sum() * 0.3 / 1.3 / len(treated)
    assert len(found.usable) >= 3
    for row in found.usable.itertuples():
        assert row.lower < truth < row.upper
        assert row.roi == pytest.approx(row.effect / 50 - 1)
    assert found.text.startswith("Not randomised")
    assert found.plot().get_title().endswith("(not randomised)")


def test_chosen_for_a_good_quarter_they_fall_back_and_that_is_named():
    lines, treated = book(5, chosen="momentary")
    found = unrandomised_evidence(treated, lines, margin=1.0, as_of="2025-12-31")
    verdict = found.selection.table.set_index("check")["verdict"]
    assert verdict["best accounts chosen"] == "broken"
    assert found.selection.naive > 0
    # No programme did anything: no method that passes its checks may be sure of one.
    assert all(row.lower < 0 < row.upper for row in found.usable.itertuples())
    assert "which is no effect" in found.text


@pytest.mark.slow
def test_checks_keep_most_of_the_illusion_out():
    """No programme did anything. Plain differences are off by thousands; methods that pass their checks by little."""
    rows = []
    for chosen in ("chance", "best", "momentary"):
        for seed in range(30):
            lines, treated = book(seed, chosen=chosen)
            found = unrandomised_evidence(treated, lines, margin=1.0, as_of="2025-12-31", seed=seed)
            if chosen != "chance":
                assert ("narrower than they should be" in found.text) == (len(found.usable) > 0)
            rows += [(chosen, row.verdict, row.lower < 0 < row.upper, row.effect, found.selection.naive)
                     for row in found.table.itertuples()]  # fmt: skip
    table = pd.DataFrame(rows, columns=["chosen", "verdict", "held", "effect", "naive"])
    passed = table[table["verdict"] == "passes its checks"]
    by = passed.groupby("chosen")
    assert by.get_group("chance")["held"].mean() >= 0.93
    misled = table[table["chosen"] != "chance"]
    assert (misled["verdict"] == "do not use").mean() > 0.5
    assert misled["naive"].mean() > 5000
    kept = passed[passed["chosen"] != "chance"]
    assert abs(kept["effect"].mean()) < 0.15 * misled["naive"].mean()
    # Before placebos were scaled by how much the best vary, 75 % of these held 0.
    assert kept["held"].mean() >= 0.84


def test_a_method_that_was_not_checked_does_not_pass():
    """With more treated than controls the synthetic version has no placebo: it is not to be counted on."""
    lines, treated = book(7, accounts=80)
    others = sorted(set(lines["account_id"]) - set(treated["account_id"]))[:15]
    found = unrandomised_evidence(treated, lines, controls=others, margin=1.0, as_of="2025-12-31")
    row = found.table.set_index("method").loc["synthetic difference-in-differences"]
    assert row["verdict"] == "could not be checked"
    assert "synthetic difference-in-differences" not in set(found.usable["method"])


def test_who_cannot_be_compared_is_left_out_and_counted():
    lines, treated = book(9)
    lines = lines[(lines["account_id"] != treated["account_id"].iloc[0]) | (lines["date"] >= START)]
    late = treated.iloc[[1, 2]].assign(start=pd.Timestamp("2025-08-01"))
    future = treated.iloc[[3]].assign(start=pd.Timestamp("2026-08-01"))
    mixed = pd.concat([treated.iloc[[0]], late, future, treated.iloc[4:]])
    found = unrandomised_evidence(mixed, lines, margin=1.0, as_of="2025-12-31")
    assert (found.data["arm"] == "treatment").sum() == len(treated) - 4
    said = " ".join(found.left_out)
    assert "1 account that had bought nothing before" in said
    assert "2 accounts that began at another time" in said
    assert "1 account whose start is yet to come" in said
    # Nobody of them is a control either.
    assert not set(found.data.loc[found.data["arm"] == "control", "account_id"]) & set(mixed["account_id"])


def staggered(seed):
    """Two starts with effects that grow at different speeds, and accounts that were never treated."""
    g = np.random.default_rng(seed)
    amount = np.exp(g.normal(6, 0.5, 200))[:, None] * np.exp(g.normal(0, 0.4, (200, 36)))
    group, month = g.permutation(np.repeat([0, 1, 2], [80, 50, 70])), np.arange(36)
    plain = amount.copy()
    amount[group == 1] *= 1 + 0.08 * np.clip(month - 15, 0, None)
    amount[group == 2] *= 1 + 0.02 * np.clip(month - 23, 0, None)
    ids = np.array([f"A{i:03d}" for i in range(200)])
    months = pd.date_range("2023-01-01", periods=36, freq="MS") + pd.Timedelta(days=10)
    lines = pd.DataFrame({"account_id": np.repeat(ids, 36), "date": np.tile(months, 200), "amount": amount.ravel()})
    starts = pd.Series(group).map({1: pd.Timestamp("2024-05-01"), 2: START})
    treated = pd.DataFrame({"account_id": ids, "start": starts}).dropna()
    on = np.where(group[:, None] == 1, month >= 16, (group[:, None] == 2) & (month >= 24)).astype(float)
    sweep, y = (a - a.mean(axis=1, keepdims=True) - a.mean(axis=0) + a.mean() for a in (on, amount))
    both = 12 * float((sweep * y).sum() / (sweep**2).sum())
    return lines, treated, float((amount - plain)[group == 2, 24:].sum(axis=1).mean()), both


def test_accounts_with_another_start_do_not_pass_on_their_effect():
    """Two-way fixed effects over all starts, twelve months of it, are off by far; one start against the rest is not."""
    off, naive, truths = [], [], []
    for seed in range(8):
        lines, treated, truth, both = staggered(seed)
        found = unrandomised_evidence(treated, lines, margin=1.0, as_of="2025-12-31").table.set_index("method")
        off.append(found["effect"] - truth)
        naive.append(both - truth)
        truths.append(truth)
    assert np.mean(naive) > np.mean(truths)
    mean, error = pd.DataFrame(off).mean(), pd.DataFrame(off).std() / np.sqrt(8)
    assert (mean.abs() < 3.5 * error).all()
    assert (mean.abs() < 0.3 * np.mean(truths)).all()


def test_starts_within_a_month_are_counted_from_the_last_and_are_no_illusion():
    lines, treated = book(4, effect=0.3)
    late = treated["account_id"].iloc[::2]
    spread = treated.assign(start=treated["start"].where(~treated["account_id"].isin(late), "2025-01-29"))
    found = unrandomised_evidence(spread, lines, margin=1.0, as_of="2025-12-31")
    assert found.spread == 28
    assert found.window == 337
    assert "They began within 28 days" in found.text
    # Everybody is counted from one day, whatever the mean start of the treated.
    assert found.selection.table.set_index("check").loc["immortal time", "verdict"] == "fine"
    same = unrandomised_evidence(treated, lines, margin=1.0, as_of="2025-01-14")
    assert "Only 14 days have passed" in same.text
    assert same.spread == 0
    assert "They began" not in same.text


def test_who_only_became_a_customer_is_not_said_to_fall_back():
    """Half of the treated were won in the year before the earlier window ended: they grew, and no luck goes by."""
    lines, treated = book(8)
    young = treated["account_id"].iloc[::2]
    lines = lines[~lines["account_id"].isin(young) | (lines["date"] >= "2023-11-01")]
    found = unrandomised_evidence(treated, lines, margin=1.0, as_of="2025-12-31")
    row = found.selection.table.set_index("check").loc["regression to the mean"]
    assert row["verdict"] == "fine"
    assert f"({len(treated) - len(young)} of them known in both)" in row["says"]


def test_costs_of_an_account_add_up_and_a_missing_one_is_not_nought():
    lines, treated = book(3, effect=0.3)
    one = unrandomised_evidence(treated, lines, margin=1.0, as_of="2025-12-31").table
    again = treated.iloc[:10].assign(start=pd.Timestamp("2025-06-01"), cost=500.0)
    both = pd.concat([treated, again])
    more = unrandomised_evidence(both, lines, margin=1.0, as_of="2025-12-31").table
    pd.testing.assert_series_equal(one["effect"], more["effect"])
    spent = 50.0 * len(treated)
    assert (more["roi"] + 1).to_numpy() == pytest.approx((one["roi"] + 1).to_numpy() * spent / (spent + 5000))
    holes = both.assign(cost=both["cost"].where(np.arange(len(both)) < len(treated)))
    assert unrandomised_evidence(holes, lines, margin=1.0, as_of="2025-12-31").table["roi"].isna().all()
    nameless = treated.assign(start=treated["start"].where(np.arange(len(treated)) > 0))
    found = unrandomised_evidence(nameless, lines, margin=1.0, as_of="2025-12-31")
    assert "1 account without a start" in found.left_out


def test_parts_of_a_treated_company_are_no_controls():
    lines, treated = book(6)
    others = sorted(set(lines["account_id"]) - set(treated["account_id"]))
    firms = pd.DataFrame({"account_id": [*treated["account_id"], *others], "parent_id": None})
    firms.loc[firms["account_id"] == others[0], "parent_id"] = treated["account_id"].iloc[0]  # a daughter of one
    firms.loc[firms["account_id"].isin([others[1], treated["account_id"].iloc[1]]), "parent_id"] = "HOLDING"  # a sister
    firms.loc[firms["account_id"].isin(others[2:4]), "parent_id"] = "ELSEWHERE"
    found = unrandomised_evidence(treated, lines, accounts=firms, margin=1.0, as_of="2025-12-31")
    controls = set(found.data.loc[found.data["arm"] == "control", "account_id"])
    assert controls == set(others[2:])
    assert "2 accounts of companies to which treated accounts belong" in " ".join(found.left_out)


def test_what_cannot_be_compared_at_all_is_refused():
    lines, treated = book(1)
    with pytest.raises(DataError, match="before the treatment"):
        unrandomised_evidence(treated.assign(start=pd.Timestamp("2026-06-01")), lines)
    with pytest.raises(DataError, match="nothing to compare"):
        unrandomised_evidence(treated, lines, controls=[])
    with pytest.raises(DataError, match="no such column"):
        unrandomised_evidence(treated.drop(columns="start"), lines)


def test_the_same_twice():
    lines, treated = book(2, accounts=80)
    one, two = (unrandomised_evidence(treated, lines, as_of="2025-12-31", seed=3).table for _ in "ab")
    pd.testing.assert_frame_equal(one, two)


@pytest.fixture(scope="module")
def demo():
    study = clv.load_study("demo")
    return {name: study.read(name).table for name in ("programmes", "transactions", "accounts", "opportunities")}


@pytest.fixture(scope="module")
def data(demo):
    return clv.experiment_outcomes(demo["programmes"], demo["transactions"], margin=0.35, as_of="2026-01-01")


@pytest.fixture(scope="module")
def evidence(demo):
    programmes, lines = demo["programmes"], demo["transactions"]
    outside = set(lines["account_id"]) - set(programmes["account_id"])
    return unrandomised_evidence(
        programmes[programmes["arm"] == "treatment"], lines, controls=outside, accounts=demo["accounts"], margin=0.35,
        as_of="2026-01-01",
    )  # fmt: skip


def test_the_lesson_of_the_sample(data, evidence):
    """Against accounts outside, methods mislead by more than the lot's whole effect, and their checks say so."""
    lot = clv.analyse_experiment(data, by="tier", block="block", permutations=199)
    found = against_the_lot(lot, evidence)
    table = found.table.set_index("method")
    assert table.loc["the lot", "off"] == 0
    assert table.loc["treated less all others", "effect"] == pytest.approx(evidence.selection.naive)
    assert table.loc["treated less all others", "off"] > table.loc["the lot", "effect"]
    warned = table[table["verdict"] == "do not use"]
    assert warned.loc["doubly robust", "off"] > table.loc["the lot", "effect"]
    assert not found.table.loc[found.table["evidence"] == "not randomised", "verdict"].eq("what counts").any()
    assert "Neither is evidence" in found.text
    ax = found.plot()
    assert "lot" in ax.get_title()
    said = [label.get_text() for label in ax.get_xticklabels()]
    assert "2,000" in said  # thousands are told apart
    assert len(said) <= 9


def test_the_verdict_follows_the_interval_and_not_the_middle(data):
    roi = clv.incremental_roi(data, by="tier", block="block", bootstrap=99)
    response = clv.response_prior(clv.load_study("demo").settings.tiers)
    found = programme_verdict(roi, response, p_next={"1:1": 0.9, "1:few": 0.6, "1:many": 0.2}, held_out=10)
    table = found.table.set_index("group")
    assert (table["verdict"] == "not proven").all()
    assert table.loc["1:1", "next"].startswith("go on as planned, with a holdout")
    assert table.loc["1:few", "next"].startswith("hold its size")
    assert table.loc["1:many", "next"].startswith("cut to what")
    assert "not proven" in found.text
    assert "10 accounts" in found.text
    # A dear lot of overheads turns the whole, and is said; a broken comparison leaves no verdict.
    found = clv.incremental_roi(data, by="tier", block="block", bootstrap=99, shared=500_000.0)
    dear = programme_verdict(found, response)
    assert "500,000 on no account" in dear.text
    assert dear.table["verdict"].iloc[-1] == "did not pay"
    assert dear.table["next"].iloc[0].startswith("decide with the next plan")
    broken = programme_verdict(roi, response, sound=False)
    assert (broken.table["verdict"] == "comparison broken").all()
    assert "not at all" in broken.text


@pytest.mark.parametrize(("factor", "verdict", "what"), [(30.0, "paid", "keep"), (-30.0, "did not pay", "stop")])
def test_a_clear_return_is_called_so(factor, verdict, what):
    g = np.random.default_rng(1)
    data = pd.DataFrame({"account_id": [f"A{i}" for i in range(120)], "arm": ["treatment", "control"] * 60,
                         "tier": "1:1", "margin": g.normal(100, 10, 120)})  # fmt: skip
    data["cost"] = np.where(data["arm"] == "treatment", 10.0, 0.0)
    data.loc[data["arm"] == "treatment", "margin"] += factor
    roi = clv.incremental_roi(data, by="tier", bootstrap=99)
    found = programme_verdict(roi, clv.response_prior(clv.load_study("demo").settings.tiers))
    assert found.table["verdict"].iloc[0] == verdict
    assert found.table["next"].iloc[0].startswith(what)


def test_a_verdict_without_a_lot_promises_nothing(evidence):
    found = unrandomised_verdict(evidence, spent=119_094.0, held_out=3)
    assert "cannot be measured" in found.text
    assert "not proven" in found.text
    assert "nothing is learnt of the tiers" in found.text
    assert "not randomised" in found.plot().get_title()


def test_looks_at_a_running_programme(demo):
    programmes = demo["programmes"].assign(end=pd.NaT)
    looks = experiment_looks(programmes, demo["transactions"], margin=0.35, as_of="2025-08-01", planned=361)
    assert looks.running
    assert looks.looks == ["after 91 days", "after 182 days"]
    assert looks.times == pytest.approx([91 / 361, 182 / 361])
    wide = looks.data[looks.looks]
    assert (wide["after 182 days"] >= wide["after 91 days"] - 1e-9).all()
    found = clv.monitor_experiment(looks.data, looks=looks.looks, times=looks.times, block="block", permutations=999)
    assert np.isfinite(found.table[["effect", "se", "lower", "upper"]]).all(axis=None)
    assert (found.table["lower"] <= found.table["effect"]).all()
    over = experiment_looks(demo["programmes"], demo["transactions"], margin=0.35, as_of="2026-01-01")
    assert not over.running
    with pytest.raises(DataError, match="first look"):
        experiment_looks(programmes, demo["transactions"], as_of="2025-02-10")
    with pytest.raises(SettingsError, match="every"):
        experiment_looks(programmes, demo["transactions"], every=7)
