from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

import clv
import clv.data.simulate
from clv.churn import STAGES
from clv.churn import calibration_scores as scores
from clv.errors import FitError, SettingsError
from clv.value import BetaGeoModel, GammaGammaModel

CUTOFFS = ["2024-06-30", "2024-12-31", "2025-06-30"]


@pytest.fixture(scope="module")
def lines():
    table = clv.data.simulate.draw(accounts=400, seed=3).tables["transactions"]
    return table.loc[table["amount"] > 0, ["account_id", "date", "amount"]]


@pytest.fixture(scope="module")
def study(lines):
    return clv.stage_calibration(lines, CUTOFFS, peers={"ten weeks": lambda s: (s["T"] - s["recency"]) < 10})


def test_scores_are_those_of_scikit_learn():
    g = np.random.default_rng(1)
    p = g.random(500)
    y = (g.random(500) < p).astype(float)
    assert scores.brier(y, p).mean() == pytest.approx(brier_score_loss(y, p))
    assert scores.log_loss(y, p).mean() == pytest.approx(log_loss(y, p))


def test_level_and_slope_are_those_of_a_logistic_regression():
    g = np.random.default_rng(2)
    p = g.random(2_000)
    z = np.log(p / (1 - p))
    y = (g.random(2_000) < 1 / (1 + np.exp(-(0.4 + 0.7 * z)))).astype(float)
    level, slope = scores.cox(y, p)
    offset = GLM(y, np.ones((2_000, 1)), family=Binomial(), offset=z).fit().params[0]
    free = GLM(y, np.column_stack([np.ones(2_000), z]), family=Binomial()).fit().params[1]
    assert (level, slope) == (pytest.approx(offset, abs=1e-5), pytest.approx(free, abs=1e-5))
    assert scores.cox(y, scores.moved(p, level))[0] == pytest.approx(0, abs=1e-5)


def test_calibration_error_of_right_forecasts_is_what_chance_gives():
    g = np.random.default_rng(3)
    errors, chances = [], []
    for _ in range(200):
        p = g.beta(0.7, 0.7, 400)
        error, chance = scores.expected_calibration_error(scores.reliability((g.random(400) < p).astype(float), p))
        errors.append(error)
        chances.append(chance)
    assert np.mean(errors) == pytest.approx(np.mean(chances), rel=0.05)
    biased = np.clip(p + 0.1, 0, 1)
    assert scores.expected_calibration_error(scores.reliability((g.random(400) < p).astype(float), biased))[0] > 0.06


def test_equal_forecasts_stay_in_one_class():
    p = np.repeat([0.2, 0.5, 0.9], [10, 500, 90])
    curve = scores.reliability(np.arange(600) % 2, p)
    assert curve["predicted"].tolist() == pytest.approx([0.2, 0.5, 0.9])
    assert curve["accounts"].tolist() == [10, 500, 90]
    assert len(scores.reliability(np.ones(50), np.full(50, 0.3))) == 1


@pytest.mark.parametrize(("p", "n"), [(0.05, 60), (0.5, 30), (0.97, 200)])
def test_intervals_of_shares_hold_the_share(p, n):
    events = np.random.default_rng(4).binomial(n, p, 4_000)
    lower, upper = scores.jeffreys(events, np.full(4_000, n), confidence=0.95)
    assert 0.92 < ((lower <= p) & (p <= upper)).mean() < 0.99


def test_intervals_of_ratios_hold_the_ratio():
    observed = np.random.default_rng(5).poisson(0.6 * 40, 4_000).astype(float)
    lower, upper = scores.ratio_interval(observed, np.full(4_000, 40.0), confidence=0.95)
    assert 0.945 < ((lower <= 0.6) & (upper >= 0.6)).mean() < 0.98


def test_errors_of_differences_know_that_dates_of_an_account_belong_together():
    g = np.random.default_rng(6)
    own = np.repeat(g.normal(size=(500, 200)), 3, axis=0)  # 200 samples of 500 accounts at three dates
    found = [scores.clustered_error(own[:, i], np.repeat(np.arange(500), 3)) for i in range(200)]
    assert np.mean(found) == pytest.approx(own.mean(axis=0).std(), rel=0.15)


def test_every_account_is_counted_at_every_cutoff(study, lines):
    n = [len(clv.summarise(lines, as_of=cutoff)) for cutoff in CUTOFFS]
    assert study.table["accounts"].sum() == sum(n) == len(study.forecasts)
    assert study.forecasts.groupby("cutoff").size().tolist() == n
    assert list(study.table.index) == list(STAGES)
    part = study.forecasts[study.forecasts["stage"] == "overdue"]
    row = study.table.loc["overdue"]
    assert row["silent"] == pytest.approx(part["silent"].mean())
    assert row["kept"] == pytest.approx((1 - part["silent"]).sum() / (1 - part["in_rhythm"]).sum())
    assert row["lower"] <= row["silent"] <= row["upper"]
    assert row["kept_lower"] <= row["kept"] <= row["kept_upper"]


def test_outcomes_are_purchases_within_the_quarter(study, lines):
    first = study.forecasts[study.forecasts["cutoff"] == "2024-06-30"].set_index("account_id")["silent"]
    after = lines[(lines["date"] > "2024-06-30") & (lines["date"] <= "2024-09-29")]  # 91 days
    bought = first.index.isin(after["account_id"])
    assert (first[bought] == 0).all()
    assert (first[~bought] == 1).all()


def test_nothing_is_learnt_from_the_future(study, lines):
    """What comes after a cutoff changes no forecast made at it; only the outcome."""
    gone = lines[(lines["date"] <= "2024-12-31") | (lines["account_id"] > "A0200")]
    again = clv.stage_calibration(
        gone, CUTOFFS[:2], peers={"ten weeks": lambda s: (s["T"] - s["recency"]) < 10}, as_of="2025-12-31"
    )
    for cutoff in CUTOFFS[:2]:
        before, after = (r.forecasts[r.forecasts["cutoff"] == cutoff] for r in (study, again))
        columns = [name for name in before.columns if name != "silent"]
        pd.testing.assert_frame_equal(before[columns].reset_index(drop=True), after[columns].reset_index(drop=True))
    late = again.forecasts[again.forecasts["cutoff"] == CUTOFFS[1]]
    assert (late.loc[late["account_id"] <= "A0200", "silent"] == 1).all()


def test_others_are_scored_on_the_same_account_dates(study):
    names = ["12-month rule", "ten weeks", "boosted trees on RFM"]
    assert list(study.differences.index) == names
    for name in names:
        one, other = study.scores.loc[("model", "all")], study.scores.loc[(name, "all")]
        assert study.differences.loc[name, "brier"] == pytest.approx(one["brier"] - other["brier"])
        assert study.differences.loc[name, "log_loss"] == pytest.approx(one["log_loss"] - other["log_loss"])
        assert f"Against the {name}" in study.text
    assert (study.differences[["brier", "log_loss"]] < 0).all().all()
    assert study.text.count("score −") == study.text.count("loss −") == len(names)
    assert set(study.forecasts["ten weeks"].groupby(study.forecasts["cutoff"]).nunique()) <= {1, 2}


def test_a_peer_that_fails_is_named_and_the_rest_goes_on(lines):
    def fails(summary):
        raise RuntimeError("no convergence")

    found = clv.stage_calibration(lines, CUTOFFS[-1:], peers={"peer": fails, "odd": lambda s: [np.nan] * len(s)})
    assert "peer, 2025-06-30: RuntimeError: no convergence" in found.notes
    assert any(note.startswith("odd, 2025-06-30: FitError") for note in found.notes)
    assert found.differences.loc["peer", "accounts"] == 0
    assert "peer, 2025-06-30" in found.text
    assert found.differences.loc["boosted trees on RFM", "accounts"] > 0


def test_without_an_earlier_date_the_others_are_left_out_and_said_so(lines):
    first = lines["date"].min() + pd.Timedelta(days=60)
    found = clv.stage_calibration(lines, [first], model=BetaGeoModel(prior="weak"))
    assert "there is no earlier date for rules to learn from" in found.text
    assert (found.differences["accounts"] == 0).all()
    assert list(found.scores.index.get_level_values("forecast").unique()) == ["model"]


def test_bad_arguments_are_named(lines):
    with pytest.raises(SettingsError, match="no list of dates"):
        clv.stage_calibration(lines, [])
    with pytest.raises(SettingsError, match="no list of dates"):
        clv.stage_calibration(lines, "2025-06-30")
    for name in ("model", "stage", "12-month rule"):
        with pytest.raises(SettingsError, match=f"{name}' is taken"):
            clv.stage_calibration(lines, CUTOFFS, peers={name: lambda s: s["T"]})
    with pytest.raises(FitError, match="BetaGeoModel does not tell"):
        clv.stage_calibration(lines, CUTOFFS, model=BetaGeoModel)
    with pytest.raises(SettingsError, match="the data end on"):
        clv.stage_calibration(lines, ["2025-12-31"])
    with pytest.raises(SettingsError, match="confidence"):
        clv.stage_calibration(lines, CUTOFFS, confidence=1.0)
    with pytest.raises(FitError, match="GammaGammaModel"):
        clv.stage_calibration(lines, CUTOFFS, model=GammaGammaModel())


def test_picture_has_the_diagonal_and_a_curve_a_forecast(study):
    axes = study.plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["model", "12-month rule", "ten weeks", "boosted trees on RFM"]
    model = study.reliability[study.reliability["forecast"] == "model"]
    np.testing.assert_allclose(axes.lines[1].get_xdata(), model["predicted"] * 100)
    assert "%" in axes.get_xlabel()
