"""Renewals foretold and come: on held-out time, against the truth of simulated books, and whether intervals cover."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import clv
from clv.churn.contracts.calibration import RULE, _as_known, renewal_calibration
from clv.churn.contracts.hazard import renewal_hazard
from clv.churn.contracts.stages import contract_stages
from clv.churn.severity import STAGES
from clv.data.simulate import draw
from clv.errors import DataError, FitError, SettingsError

DEMO = Path(__file__).resolve().parents[2] / "data" / "samples" / "demo"


@pytest.fixture(scope="module")
def universe():
    """3,000 accounts, six years: some 1,600 terms with the truth about each account."""
    return draw(accounts=3000, seed=5, years=6)


def test_the_demos_renewals_are_those_of_its_truth():
    """90 running contracts: foretold on average as their true probabilities, term by term, within sampling error.

    The forecast knows the term only, so that it should equal the mean of 1 − θ of those who came so far.
    """
    contracts = clv.load_study(DEMO).read("contracts").table
    truth = pd.read_csv(DEMO / "truth" / "accounts.csv", dtype={"account_id": str}).set_index("account_id")
    for method in ("logit", "sbg"):
        running = renewal_hazard(contracts, as_of="2026-01-01", method=method).running
        real = 1 - truth["contract_churn"].reindex(running["account_id"]).to_numpy()
        for _, part in running.assign(real=real).groupby("term"):
            own = part["real"].std(ddof=1) / np.sqrt(len(part))
            fit = (part["upper"] - part["lower"]).iloc[0] / 2 / 1.645
            assert abs(part["p_renew"].mean() - part["real"].mean()) < 3 * np.hypot(own, fit)
        assert running["p_renew"].mean() == pytest.approx(real.mean(), abs=0.07)


def test_the_demos_held_out_quarters_come_as_foretold():
    """69 decisions of 2025, foretold a quarter ahead: as many renewals as expected, within sampling error."""
    contracts = clv.load_study(DEMO).read("contracts").table
    cutoffs = ["2024-12-31", "2025-03-31", "2025-06-30", "2025-09-30"]
    found = renewal_calibration(contracts, as_of="2026-01-01", cutoffs=cutoffs, window=91)
    for method in ("logit", "sbg"):
        p = found.forecasts[method]
        assert len(p) == 69
        assert abs(p.sum() - found.forecasts["renewed"].sum()) < 3 * np.sqrt((p * (1 - p)).sum())
        assert found.table.loc[method, "ece"] < 0.06 + found.table.loc[method, "ece_by_chance"]
    assert found.by_stage["accounts"].sum() == 376
    assert found.by_stage.loc["steady", "share"] < 0.1 < 0.9 < found.by_stage.loc["lost", "share"]


def test_the_universes_renewals_are_those_of_its_truth(universe):
    """As above with five times as many: within sampling error at each term, and within .02 over all."""
    running = renewal_hazard(universe.tables["contracts"], as_of="2028-12-31").running
    truth = universe.truth["accounts"].set_index("account_id")["contract_churn"]
    running = running.assign(real=1 - truth.reindex(running["account_id"]).to_numpy())
    assert running["term"].value_counts().ge(50).sum() >= 4
    for _, part in running.groupby("term"):
        own = part["real"].std() / np.sqrt(len(part)) if len(part) > 5 else 0.2
        fit = (part["upper"] - part["lower"]).iloc[0] / 2 / 1.645
        assert abs(part["p_renew"].mean() - part["real"].mean()) < 3 * np.hypot(own, fit)
    assert running["p_renew"].mean() == pytest.approx(running["real"].mean(), abs=0.02)


def test_held_out_renewals_come_as_foretold(universe):
    """A year ahead, 900 decisions: calibrated within .03 beyond chance, and better than the book's rate."""
    found = clv.renewal_calibration(
        universe.tables["contracts"], as_of="2028-12-31", cutoffs=["2025-12-31", "2026-12-31", "2027-11-30"]
    )
    table = found.table
    assert table["decisions"].iloc[0] > 700
    for method in ("logit", "sbg"):
        n, p = table.loc[method, "decisions"], found.forecasts[method]
        assert abs(table.loc[method, "expected"] - table.loc[method, "renewed"]) < 3 * np.sqrt((p * (1 - p)).sum())
        assert table.loc[method, "ece"] < 0.03 + table.loc[method, "ece_by_chance"]
        assert table.loc[method, "brier"] < table.loc[RULE, "brier"]
        assert table.loc[method, "log_loss"] < table.loc[RULE, "log_loss"]
        assert n == len(found.forecasts)
    assert found.bins.groupby("method")["accounts"].sum().eq(n).all()
    assert f"{n:,.0f} renewals were expected" in found.text
    found.plot()


def test_covariates_that_matter_make_forecasts_better(contract_book):
    contracts, accounts = contract_book(800, seed=21, years=6, by_x=1.0)
    cutoffs = ["2018-06-30", "2019-06-30"]
    plain = renewal_calibration(contracts, as_of="2020-12-28", cutoffs=cutoffs, methods=("logit",)).table
    known = renewal_calibration(
        contracts, as_of="2020-12-28", cutoffs=cutoffs, accounts=accounts, covariates=["x"],
        methods=("logit", "boosted"),
    ).table  # fmt: skip
    assert known.loc["logit", "brier"] < 0.95 * plain.loc["logit", "brier"]
    assert known.loc["logit", "ece"] < 0.02 + known.loc["logit", "ece_by_chance"]
    assert known.loc["boosted", "brier"] < plain.loc["logit", "brier"]


@pytest.mark.slow
def test_stages_tell_who_is_gone_a_quarter_later(contract_book):
    """Late renewals, few losses told: of each stage further down more accounts have no contract a quarter later."""
    contracts, accounts = contract_book(5000, seed=22, years=6, level=-0.9, by_x=1.0, late=0.5, told=0.0)
    cutoffs = [f"2019-{month:02d}-15" for month in (2, 5, 8, 11)]
    found = renewal_calibration(
        contracts, as_of="2020-12-28", cutoffs=cutoffs, window=91, accounts=accounts, covariates=["x"],
        methods=("logit",),
    )  # fmt: skip
    share = found.by_stage["share"]
    assert found.by_stage["accounts"].sum() > 8000
    assert list(share.index) == list(STAGES)
    seen = share[found.by_stage["accounts"] >= 20]
    assert len(seen) >= 5
    assert seen.is_monotonic_increasing
    assert share["steady"] < 0.10
    assert share["lapsed"] > 0.5
    assert share["lost"] > 0.95


@pytest.mark.slow
def test_p_alive_of_the_late_is_calibrated(contract_book):
    """Terms over and not renewed: as many renew after all as the table says, in each third of the probabilities."""
    contracts, accounts = contract_book(3000, seed=23, years=6, level=-0.9, by_x=1.0, late=0.6, told=0.0)
    hazard = renewal_hazard(contracts, as_of="2019-01-01", accounts=accounts, covariates=["x"])
    first = contracts.groupby("account_id")["start"]
    said, came = [], []
    for day in pd.date_range("2019-01-05", "2020-06-01", freq="45D"):
        known = _as_known(contracts, day, 31)
        stages = contract_stages(known, as_of=day, hazard=hazard, accounts=accounts).contracts
        due = stages[(stages["days_to_end"] < 0) & (stages["stage"] != "lost") & (stages["p_alive"] > 0)]
        said.append(due["p_alive"].to_numpy())
        came.append((first.max().reindex(due["account_id"]) > day).to_numpy())
    p, y = np.concatenate(said), np.concatenate(came)
    assert len(p) > 350
    thirds = pd.qcut(p, 3, labels=False, duplicates="drop")
    for third in range(thirds.max() + 1):
        own = thirds == third
        error = np.sqrt((p[own] * (1 - p[own])).sum()) / own.sum()
        assert y[own].mean() == pytest.approx(p[own].mean(), abs=3 * error + 0.03)


def test_what_was_not_known_is_cleared(contract_book):
    contracts, _ = contract_book(100, seed=24, late=0.5)
    day = pd.Timestamp("2018-03-01")
    known = _as_known(contracts, day, 31)
    young = contracts["end"] >= day - pd.Timedelta(days=31)
    assert known.loc[young, "renewed"].isna().all()
    assert known.loc[~young, "renewed"].equals(contracts.loc[~young, "renewed"])
    assert _as_known(contracts.drop(columns="renewed"), day, 31).columns.tolist()[-1] == "value"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"cutoffs": []}, SettingsError), ({"methods": ()}, SettingsError),
        ({"cutoffs": ["2021-01-01"]}, SettingsError),
        ({"cutoffs": ["2015-03-01"]}, FitError), ({"cutoffs": ["2020-12-20"]}, DataError),
    ],
)  # fmt: skip
def test_impossible_requests_are_named(contract_book, given, kind):
    contracts, _ = contract_book(80, seed=25)
    with pytest.raises(kind):
        renewal_calibration(contracts, **({"as_of": "2020-12-28", "cutoffs": ["2018-06-30"]} | given))


def cover(contract_book, accounts, books, **given):
    """Share of 95 % intervals that hold the true P(renewal), and of the sums of true probabilities in theirs."""
    held, hits = [], []
    for seed in range(books):
        contracts, firms = contract_book(accounts, seed=1000 + seed, by_x=0.6, **given)
        found = renewal_hazard(
            contracts, as_of="2020-12-28", accounts=firms, covariates=["x"], confidence=0.95
        ).running  # fmt: skip
        x = firms.set_index("account_id")["x"].reindex(found["account_id"]).to_numpy()
        truth = expit(-(-1.2 - 0.5 * np.log(found["term"].to_numpy()) + 0.6 * x))
        held.append(((found["lower"] <= truth) & (truth <= found["upper"])).mean())
        hits.append(np.array([truth.mean(), found["p_renew"].mean()]))
    return np.array(held), np.array(hits)


@pytest.mark.slow
@pytest.mark.parametrize("accounts", [60, 300])
def test_intervals_of_renewal_probabilities_cover(contract_book, accounts):
    """120 books of 60 or 300 accounts: 95 % intervals hold 95 % of the true probabilities; the mean is unbiased."""
    held, hits = cover(contract_book, accounts, 120)
    assert held.mean() == pytest.approx(0.95, abs=3 * held.std() / np.sqrt(120) + 0.01)
    gap = hits[:, 1] - hits[:, 0]
    assert gap.mean() == pytest.approx(0, abs=3 * gap.std() / np.sqrt(120) + 0.003)


def test_intervals_of_renewal_probabilities_cover_roughly(contract_book):
    held, _ = cover(contract_book, 150, 12)
    assert held.mean() > 0.85
