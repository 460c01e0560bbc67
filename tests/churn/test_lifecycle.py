"""Stages of life: non-buyers, histories as stays, and dates that know nothing of what came later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.churn.rfm_segments import LIFE_STAGES
from clv.churn.stages import STAGES
from clv.churn.stays import make_history, make_stays
from clv.errors import DataError, FitError, SettingsError, UnitError


@pytest.fixture(scope="module")
def study():
    demo = clv.load_study("demo")
    return {name: demo.read(name).table for name in ("transactions", "accounts", "touches", "opportunities")}


@pytest.fixture(scope="module")
def life(study):
    return clv.lifecycle(study["transactions"], as_of="2025-12-20", **others(study))


def others(study):
    return {name: study[name] for name in ("accounts", "touches", "opportunities")}


def at(history, date):
    """Stage of each account at a month-end."""
    stays, date = history.table, pd.Timestamp(date)
    return stays[(stays["from"] <= date) & (stays["to"] >= date)].set_index("account_id")["stage"].sort_index()


def test_everybody_has_a_stage_and_a_segment_of_it(life):
    stage_of = {segment: stage for stage, names in LIFE_STAGES.items() for segment in names}
    assert (life.table["segment"].map(stage_of) == life.table["stage"]).all()
    assert life.by_stage["accounts"].sum() == life.by_segment["accounts"].sum() == len(life.table)
    assert ((life.table["stage"] == "acquisition") == (life.table["purchases"] == 0)).all()
    assert life.plot().get_title() == f"Stages of life of {len(life.table)} accounts"
    assert life.history.plot().get_title() == "Stages, month by month"


def test_buyers_have_the_segment_of_their_scores(life, study):
    scores = clv.rfm_scores(study["transactions"], as_of="2025-12-20")
    assert life.cuts == scores.cuts
    buyers = life.table[life.table["purchases"] > 0]
    assert buyers["segment"].to_dict() == scores.table["segment"].to_dict()
    assert buyers["rfm"].to_dict() == scores.table["rfm"].to_dict()


@pytest.mark.parametrize("date", ["2023-08-31", "2024-02-29", "2025-06-30"])
def test_a_past_month_end_is_judged_by_what_was_known_then(life, study, date):
    limit = pd.Timestamp(date)
    cut = {
        "accounts": study["accounts"][study["accounts"]["created"] <= limit],
        "touches": study["touches"][study["touches"]["date"] <= limit],
        "opportunities": study["opportunities"][study["opportunities"]["created"] <= limit],
    }
    deals = cut["opportunities"].copy()
    later = deals["closed"] > limit
    deals.loc[later, "outcome"] = "open"
    deals.loc[later, "closed"] = pd.NaT
    cut["opportunities"] = deals
    lines = study["transactions"]
    then = clv.lifecycle(lines[lines["date"] <= limit], as_of=date, cuts=life.cuts, **cut)
    assert at(life.history, date).to_dict() == then.table["stage"].to_dict()
    assert at(life.segments, date).to_dict() == then.table["segment"].to_dict()


def test_stays_neither_overlap_nor_leave_gaps(life):
    for history in (life.history, life.segments):
        stays = history.table
        assert (stays["from"] <= stays["to"]).all()
        month = stays["from"].dt.year * 12 + stays["from"].dt.month
        end = stays["to"].dt.year * 12 + stays["to"].dt.month
        same = stays["account_id"].eq(stays["account_id"].shift())
        assert (month[same] == end.shift()[same] + 1).all()
        assert (stays["stage"][same] != stays["stage"].shift()[same]).all()
        assert stays.loc[~same.shift(-1, fill_value=False), "to"].eq(pd.Timestamp("2025-11-30")).all()
        for date, row in history.by_month.iterrows():
            assert at(history, date).value_counts().reindex(row.index, fill_value=0).to_list() == row.to_list()
        assert len(history.moves) == same.sum()


def test_once_a_buyer_never_back_in_acquisition(life):
    moves = life.history.moves
    assert (moves["after"] != "acquisition").all()
    assert (life.table["since"] <= pd.Timestamp("2025-12-20")).all()


def contact(**columns):
    return pd.DataFrame(columns)


def test_segments_of_those_who_never_bought():
    lines = contact(account_id=["buyer"], date=pd.to_datetime(["2024-01-10"]), amount=[5.0])
    touches = pd.DataFrame(
        [
            ("visitor", "2024-05-01", None, True),
            ("asked", "2024-05-20", "C1", True),
            ("dropped", "2024-01-20", "C2", True),
            ("called", "2024-01-20", "C3", False),
            ("nurtured", "2024-06-01", "C4", False),
            ("future", "2024-09-01", "C5", True),
        ],
        columns=["account_id", "date", "contact_id", "inbound"],
    ).assign(date=lambda t: pd.to_datetime(t["date"]))
    deals = pd.DataFrame(
        [
            ("quoted", "2024-06-01", None, "open"),
            ("stalled", "2024-01-15", None, "open"),
            ("nurtured", "2024-01-15", None, "open"),
            ("refused", "2024-06-01", "2024-06-20", "lost"),
            ("refused later", "2024-06-01", "2024-07-20", "lost"),
        ],
        columns=["account_id", "created", "closed", "outcome"],
    ).assign(created=lambda t: pd.to_datetime(t["created"]), closed=lambda t: pd.to_datetime(t["closed"]))
    found = clv.lifecycle(
        lines, as_of="2024-06-30", accounts=["listed", "buyer"], touches=touches, opportunities=deals, quiet_days=90
    )
    no, yes = "Identified Non-buyer", "Abandoned Enquiry"
    assert found.table["segment"].drop("buyer").to_dict() == {
        "visitor": "Visitor", "asked": no, "dropped": yes, "called": no, "quoted": no, "stalled": yes, "nurtured": no,
        "refused": yes, "refused later": no, "listed": no,
    }  # fmt: skip
    assert found.left_out.to_dict("records") == [
        {"account_id": "future", "reason": "touches after 2024-06-30", "rows": 1}
    ]


def test_make_stays():
    dates = pd.date_range("2024-01-31", periods=4, freq="ME").as_unit("ns")
    codes = np.array([[-1, 0, 0, 1], [1, 1, 1, 1], [-1, -1, -1, -1], [0, 1, 0, 0]], dtype=np.int8)
    stays = make_stays(codes, pd.Index(list("abcd")), dates, ("x", "y"))
    shown = [(a, f.month, t.month, s) for a, f, t, s in stays.itertuples(index=False)]
    assert shown == [
        ("a", 2, 3, "x"), ("a", 4, 4, "y"), ("b", 1, 4, "y"), ("d", 1, 1, "x"), ("d", 2, 2, "y"), ("d", 3, 4, "x"),
    ]  # fmt: skip
    history = make_history(codes, pd.Index(list("abcd")), dates, ("x", "y"))
    assert history.by_month["x"].tolist() == [1, 1, 2, 1]
    assert "3 accounts at 4 month-ends" in history.text


def test_bad_input(study):
    lines = study["transactions"]
    with pytest.raises(SettingsError, match="no month ends"):
        clv.lifecycle(lines, as_of="2025-06-30", since="2025-07-01")
    with pytest.raises(SettingsError, match="quiet_days"):
        clv.lifecycle(lines, quiet_days=0)
    with pytest.raises(DataError, match="table 'touches', column 'date'"):
        clv.lifecycle(lines, touches=study["touches"].drop(columns="date"))
    holed = study["opportunities"].copy()
    holed.loc[2, "created"] = pd.NaT
    with pytest.raises(DataError, match="table 'opportunities', column 'created', row 3"):
        clv.lifecycle(lines, opportunities=holed)


@pytest.fixture(scope="module")
def fitted(study):
    return clv.BetaGeoModel(prior="auto").fit(clv.summarise(study["transactions"]))


@pytest.mark.parametrize("refit", ["never", "each date"])
def test_churn_stages_of_the_past(study, fitted, refit):
    lines, dates = study["transactions"], ["2024-12-31", "2025-01-31", "2025-03-31"]
    history = clv.stage_history(fitted, lines, dates=dates, refit=refit)
    assert history.states == STAGES
    for date in dates:
        summary = clv.summarise(lines, as_of=date)
        model = fitted if refit == "never" else clv.BetaGeoModel(prior="auto").fit(summary)
        assert at(history, date).to_dict() == clv.churn_stages(model, summary, 52).table["stage"].to_dict()


def test_default_dates_and_text(study, fitted):
    lines = study["transactions"]
    history = clv.stage_history(fitted, lines, months=3, as_of="2025-10-15")
    assert history.by_month.index.strftime("%Y-%m-%d").tolist() == ["2025-07-31", "2025-08-31", "2025-09-30"]
    after = int((lines["date"] > "2025-09-30").sum())
    assert f"The model was fitted once, for all dates. {after:,} lines after 2025-09-30 not used." in history.text


@pytest.mark.parametrize("dates", [["2025-01-15"], ["2025-02-28", "2025-01-31"], ["2030-01-31"], []])
def test_dates_that_cannot_be(study, fitted, dates):
    with pytest.raises(SettingsError, match="dates"):
        clv.stage_history(fitted, study["transactions"], dates=dates)


def test_history_needs_a_fitted_model_with_enough_data(study, fitted):
    with pytest.raises(UnitError):
        clv.stage_history(clv.BetaGeoModel(), study["transactions"])
    with pytest.raises(SettingsError, match="refit"):
        clv.stage_history(fitted, study["transactions"], refit="always")
    model = clv.BetaGeoModel().fit(clv.summarise(study["transactions"]))
    with pytest.raises(FitError, match="as of 2023-01-31"):
        clv.stage_history(model, study["transactions"], dates=["2023-01-31"], refit="each date")


def test_dates_that_are_text(study):
    touches = pd.DataFrame({"account_id": ["q"], "date": ["frog"]})
    with pytest.raises(DataError, match="column 'date': does not hold dates"):
        clv.lifecycle(study["transactions"], touches=touches)
