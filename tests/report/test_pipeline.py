"""The steps from purchases to tiers: each runs alone, and takes what another left in the run folder."""

from __future__ import annotations

import pandas as pd
import pytest

import clv
from clv.errors import DataError, SettingsError
from clv.result import Missing

STEPS = ["customer_value", "churn_stages", "tier_options", "account_selection", "tier_allocation"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert clv.open_run("demo", folder).allocation.gap == pytest.approx(0, abs=1e-9)
    return folder


def test_every_step_leaves_its_table(folder):
    kept = {path.stem for path in (folder / "tables").glob("*.parquet")}
    assert kept == {"transactions", "rejected", "reconciliation", "summary", *STEPS}
    assert {path.name for path in (folder / "models").iterdir()} == {"purchases.json", "spend.json", "renewals.json"}
    model = clv.load_model(folder / "models" / "purchases.json")
    summary = clv.open_run("demo", folder).summary
    assert (model.probability_alive(summary) <= 1).all()


def test_value_holds_purchases_and_contracts_once(folder):
    run = clv.open_run("demo", folder)
    table = run.value.table
    assert (table["clv_contracts"] > 0).sum() == (run.contract_value.table["clv"] > 0).sum() > 50
    pd.testing.assert_series_equal(
        table["clv_transactions"], run.purchase_value.table["clv"].reindex(table.index).fillna(0.0), check_names=False
    )
    assert any("values are those without a programme" in said for said in run.remarks.sentences)


def test_churn_steps_leave_history_and_plays(tmp_path):
    run = clv.open_run("demo", tmp_path, {"draws": 50})
    worse = run.moved_down
    order = list(run.history.states)
    assert len(worse)
    assert (worse["stage"].map(order.index) > worse["before"].map(order.index)).all()
    assert worse["value"].is_monotonic_decreasing
    assert worse["play"].notna().all()
    assert (run.best_plays["cost"] > 0).all()
    assert {"stage_history", "plays"} <= {path.stem for path in (tmp_path / "tables").glob("*.parquet")}
    assert set(run.stages.table["basis"]) == {"both", "purchases"}


def test_a_study_without_contracts_says_so():
    run = clv.open_run("cdnow")
    for said in (run.renewals, run.contract_stages, run.loss_reasons):
        assert isinstance(said, Missing)
        assert "no contract" in said.text
    assert run.contract_value is None
    assert run.value is run.purchase_value
    assert run.stages is run.purchase_stages
    # Contracts that begin after the as-of date are no contracts yet.
    assert clv.open_run("demo", None, {"as_of": "2023-01-15"}).contract_value is None


def test_margins_of_accounts_are_used_where_the_study_says_so(tmp_path):
    rows = "".join(f"{who},2024-{month:02d}-1{day},{amount}\n" for who, amount in (("a", 10), ("b", 12))
                   for month in range(1, 13) for day in (1, 5))  # fmt: skip
    (tmp_path / "sales.csv").write_text("account_id,date,amount\n" + rows)
    (tmp_path / "firms.csv").write_text("account_id,margin_share\na,0.5\nb,\n")
    (tmp_path / "study.yml").write_text(
        "name: own\ntitle: Own\nmargin: 0.25\nmargin_by: accounts\n"
        "tables: {transactions: {path: sales.csv}, accounts: {path: firms.csv}}\n"
    )
    own = clv.open_run(tmp_path).value.table["clv"]
    all_alike = clv.open_run(tmp_path, None, {"margin_by": "study"}).value.table["clv"]
    assert own["a"] == pytest.approx(2 * all_alike["a"])
    assert own["b"] == pytest.approx(all_alike["b"])


def test_a_second_run_takes_what_the_first_left(folder, monkeypatch):
    run = clv.open_run("demo", folder)
    monkeypatch.setattr(type(run.study), "read", lambda *_: pytest.fail("the transactions were read again"))
    assert len(run.summary) == 390


def test_what_was_learnt_is_kept_and_believed_by_the_next_run(folder, tmp_path):
    run = clv.open_run("demo", folder)
    learnt = clv.load_response(folder / "response.json")
    assert learnt.version == 1
    pd.testing.assert_frame_equal(learnt.table, run.response.table)
    # The next run believes it, and does not count the same programme again.
    later = clv.open_run("demo", tmp_path, {"response": str(folder / "response.json")})
    assert later.response.version == 1
    pd.testing.assert_frame_equal(later.response.table, learnt.table)
    # Files of earlier runs are inputs: another one makes the tables of this run stale.
    assert later.study.inputs()["table"].tolist()[-1] == "response"
    place = tmp_path / "r.json"
    marks = []
    for response in (learnt, clv.response_prior(run.settings.tiers)):
        clv.save_response(response, place)
        marks.append(clv.load_study("demo", {"response": str(place)}).fingerprint())
    assert marks[0] != marks[1]
    with pytest.raises(DataError, match=r"nowhere is not there, or holds no response\.json"):
        _ = clv.open_run("demo", None, {"response": "nowhere"}).believed
    mean = learnt.table.set_index("tier")["mean"]
    options = run.incremental.tiers.assign(clv=lambda t: t["account_id"].map(run.value.table["clv"]))
    options = options[options["clv"] > 0]
    assert (options["value"] / options["clv"]).to_numpy() == pytest.approx(options["tier"].map(mean).to_numpy())
    unknown = [{"name": "gold", "cost": 1, "uplift": 0.1}]
    with pytest.raises(SettingsError, match="says nothing of tier 'gold'"):
        _ = clv.open_run("demo", None, {"response": str(folder / "response.json"), "tiers": unknown}).believed


def test_other_settings_do_not_take_stale_tables(folder, tmp_path):
    run = clv.open_run("demo", folder, {"as_of": "2025-06-30"})
    assert len(run.summary) < 390
    assert run.summary.attrs["clv"]["as_of"] == "2025-06-30"


def test_somebody_elses_values_are_used_and_said(tmp_path):
    values = pd.DataFrame({"account_id": ["A0001", "A0002"], "p_alive": [1.0, 0.5], "expected_purchases": [3.0, 1.0],
                           "expected_spend": [10.0, 20.0], "clv": [900.0, 100.0]})  # fmt: skip
    (tmp_path / "tables").mkdir()
    values.to_parquet(tmp_path / "tables" / "customer_value.parquet")
    run = clv.open_run("demo", tmp_path)
    assert run.value.table["clv"].tolist() == [900.0, 100.0]
    assert any("were not computed here" in sentence for sentence in run.remarks.sentences)


def test_bad_rows_stop_a_run_unless_the_study_allows_them(tmp_path):
    (tmp_path / "sales.csv").write_text("account_id,date,amount\na,2025-01-01,10\na,2025-02-01,ten\nb,2025-03-01,5\n")
    (tmp_path / "study.yml").write_text("name: own\ntitle: Own\ntables: {transactions: {path: sales.csv}}\n")
    with pytest.raises(DataError, match=r"(?s)1 of 3 rows.*row 3.*ten.*Mend"):
        _ = clv.open_run(tmp_path).transactions
    allowed = clv.open_run(tmp_path, None, {"rules.max_rejected": 0.5})
    assert len(allowed.transactions) == 2


def test_remarks_say_what_is_assumed():
    said = " ".join(clv.open_run("demo").remarks.sentences)
    assert all(words in said for words in ("synthetic", "35%", "10.0% a year", "52 weeks", "90%"))


def test_names_stand_beside_ids_where_the_study_has_them():
    assert clv.open_run("demo").named(pd.DataFrame({"account_id": ["A0001", "x"]}))["account"].tolist() == [
        "Company 0001 (A0001)", "x",
    ]  # fmt: skip
    assert clv.open_run("cdnow").named(pd.DataFrame({"account_id": ["0001"]}))["account"].tolist() == ["0001"]


def test_an_unknown_study_and_setting_are_named():
    with pytest.raises((DataError, SettingsError), match="nowhere"):
        clv.open_run("nowhere")
    with pytest.raises(SettingsError, match="horizon"):
        clv.open_run("demo", None, {"horizn": 3})


def test_offers_unlock_what_discounts_add(tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    offers, rows = ["account_id,start,end"], ["account_id,date,amount"]
    for number in range(60):
        offered = rng.random(52) < 0.1
        for week in range(52):
            day = pd.Timestamp("2024-01-01") + pd.Timedelta(weeks=week)
            if offered[week]:
                offers.append(f"a{number:02d},{day:%Y-%m-%d},{day + pd.Timedelta(days=6):%Y-%m-%d}")
            if rng.random() < 0.2 * (1 + offered[week]):
                rows.append(f"a{number:02d},{day + pd.Timedelta(days=int(rng.integers(7))):%Y-%m-%d},10")
    (tmp_path / "sales.csv").write_text("\n".join(rows))
    (tmp_path / "offers.csv").write_text("\n".join(offers))
    study = "name: own\ntitle: Own\nas_of: 2024-12-29\ntables: {transactions: {path: sales.csv}"
    (tmp_path / "study.yml").write_text(study + ", offers: {path: offers.csv}}\n")
    found = clv.open_run(tmp_path).discounts
    assert found.summary.loc["lift", "lower"] < 1 < found.summary.loc["lift", "upper"]
    (tmp_path / "study.yml").write_text(study + "}\n")
    assert "no offers are known" in clv.open_run(tmp_path).discounts.text


def test_the_plan_of_the_demo_brings_most_of_what_its_truth_allows(folder):
    """Selection, learnt effects and values without the last programme, together, against the truth and rank-and-cut."""
    from clv.abm.allocation.baseline import rank_and_cut

    run = clv.open_run("demo", folder)
    tiers = pd.DataFrame([tier.model_dump() for tier in run.settings.tiers]).set_index("name")
    truth = pd.read_csv(run.study.folder / "truth" / "tiers.csv", dtype={"account_id": str})
    options = truth[["account_id", "tier"]].assign(
        value=truth["incremental_margin"],
        cost=truth["tier"].map(tiers["cost"]),
        hours=truth["tier"].map(tiers["hours"]),
    )
    net = (options["value"] - options["cost"]).set_axis(pd.MultiIndex.from_frame(options[["account_id", "tier"]]))

    def realised(plan):
        treated = plan[plan["tier"] != "none"]
        return float(net.loc[pd.MultiIndex.from_frame(treated[["account_id", "tier"]])].sum())

    best = clv.allocate_tiers(options, budget=run.settings.budget, hours=run.settings.hours, counts={"1:1": (0, 8)})
    plan = run.randomised_plan.full
    assert realised(best.table) == pytest.approx(best.objective)
    share = realised(plan.table) / best.objective
    assert share > 0.85
    assert share > realised(rank_and_cut(plan.work.book, plan.work.rules)) / best.objective + 0.1
