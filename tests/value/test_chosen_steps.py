"""The choice of k by the likelihood of all waits, and what regular waits do to intervals where rates drift."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.value import BetaGeoCNBDModel, BetaGeoModel, ModifiedBetaGeoCNBDModel


def regular(kind, k: int, accounts: int, seed: int) -> pd.DataFrame:
    known = kind.from_parameters(unit="W", r=0.8, alpha=6.0 / k, a=0.6, b=3.0, k=k)
    return known.simulate(np.random.default_rng(seed).uniform(20, 60, accounts), seed=100 + seed)


def hits(kind, ks: tuple[int, ...], books: int, accounts: int = 250) -> tuple[int, int]:
    """Count books in which k is found with the sum of log waits, and without it."""
    full = part = 0
    for k in ks:
        for seed in range(books):
            book = regular(kind, k, accounts, seed)
            full += kind(prior="weak").fit(book).k_ == k
            part += kind(prior="weak").fit(book.drop(columns="log_waits")).k_ == k
    return full, part


def test_all_waits_tell_k_far_better_than_the_last_purchase_does():
    full, part = hits(BetaGeoCNBDModel, (1, 2, 3), 6)
    assert full >= 17
    assert part <= full - 3


@pytest.mark.slow
def test_k_is_found_in_nearly_every_book():
    for kind, ks in ((BetaGeoCNBDModel, (1, 2, 3, 5)), (ModifiedBetaGeoCNBDModel, (2,))):
        full, part = hits(kind, ks, 12)
        assert full >= 0.95 * 12 * len(ks)
        assert part <= 0.8 * 12 * len(ks)


def transactions(seed: int, *, k: int, accounts: int = 400, days: int = 420) -> pd.DataFrame:
    """Invoices by day of accounts that buy on average every month, Erlang-k, without dropout."""
    rng = np.random.default_rng(seed)
    rows = []
    for account, rate in enumerate(rng.gamma(2.0, k / 60.0, accounts)):
        moments = rng.uniform(0, 100) + np.cumsum(rng.gamma(k, 1 / rate, 200))
        rows += [(f"A{account:04d}", moment, 10.0) for moment in moments[moments < days]]
    table = pd.DataFrame(rows, columns=["account_id", "date", "amount"])
    return table.assign(date=pd.Timestamp("2020-01-01") + pd.to_timedelta(table["date"], unit="D").dt.floor("s"))


@pytest.mark.parametrize("k", [1, 3])
def test_k_is_found_from_invoices(k):
    summary = clv.summarise(transactions(5, k=k), as_of="2021-02-23", log_waits=True)
    found = BetaGeoCNBDModel(prior="weak").fit(summary)
    assert found.k_ == k
    # What is chosen among is the density of all purchase times, in the summary's unit.
    daily = clv.summarise(transactions(5, k=k), as_of="2021-02-23", log_waits=True, unit="D")
    again = BetaGeoCNBDModel(prior="weak").fit(daily)
    purchases = summary["frequency"].sum()
    assert again.k_ == k
    assert again.log_likelihood_ == pytest.approx(found.log_likelihood_ - purchases * np.log(7), rel=1e-6)


def drifting(drift: float, seed: int, *, accounts: int = 2_000, span: float = 26.0, ahead: float = 13.0):
    """Regular buyers (k = 2) whose rates wander: an autoregression of the log-rate every six weeks, deviation `drift`.

    Returns the summary at `span` and the purchases in the time `ahead`.
    """
    rng = np.random.default_rng(seed)
    steps = int(np.ceil((span + ahead) / 6)) + 1
    wander = np.zeros((accounts, steps))
    for step in range(1, steps):
        wander[:, step] = 0.8 * wander[:, step - 1] + 0.6 * rng.standard_normal(accounts)
    speed = np.exp(drift * wander - drift**2 / 2)
    clock = np.concatenate([np.zeros((accounts, 1)), np.cumsum(6 * speed, axis=1)], axis=1)
    rate, leaves = rng.gamma(0.77, 1 / 4.0, accounts), rng.beta(0.03, 1.0, accounts)
    rows, later = [], np.zeros(accounts)
    for account in range(accounts):
        most = 4 + int(3 * rate[account] * clock[account, -1])
        times = np.cumsum(rng.gamma(2, 1, most)) / max(rate[account], 1e-12)
        times = np.interp(times[times < clock[account, -1]], clock[account], 6.0 * np.arange(steps + 1))
        times = times[: rng.geometric(max(leaves[account], 1e-12))]
        known = times[times <= span]
        logs = np.log(np.diff(known, prepend=0.0)).sum()
        rows.append((len(known), known[-1] if len(known) else 0.0, span, logs))
        later[account] = ((times > span) & (times <= span + ahead)).sum()
    book = pd.DataFrame(rows, columns=["frequency", "recency", "T", "log_waits"])
    book.attrs["clv"] = {"unit": "W"}
    return book, later


def spread(model, book: pd.DataFrame, later: np.ndarray, ahead: float = 13.0) -> float:
    """Squared errors of a forecast, as a share of the variance that it predicts."""
    forecast = clv.purchase_forecast(model, book, ahead, draws=200, seed=1)
    error = later - forecast.table["expected_purchases"].to_numpy()
    return float((error**2).sum() / forecast.draws.astype(float).var(axis=1).sum())


def test_regular_buyers_are_forecast_as_surely_as_they_buy_unless_their_rates_drift():
    """Why k > 1 may cover less on real data than k = 1, although waits are regular; see `BetaGeoCNBDModel`."""
    share = {}
    for drift in (0.0, 0.6):
        book, later = drifting(drift, 4)
        regular_, plain = BetaGeoCNBDModel(prior="weak").fit(book), BetaGeoModel(prior="weak").fit(book)
        assert regular_.k_ == 2
        assert regular_.log_likelihood_ > plain.log_likelihood_ + 100
        share[drift] = spread(regular_, book, later), spread(plain, book, later)
    assert share[0.0][0] == pytest.approx(1.0, abs=0.12)  # right, where k = 1 takes rhythm for chance
    assert share[0.0][1] < 0.85
    assert share[0.6][0] > 1.35  # drift shows
    assert share[0.6][0] > share[0.6][1] + 0.25  # and shows less under k = 1, whose intervals are too wide


@pytest.mark.slow
def test_online_retail_is_regular_and_drifts_before_christmas(data_home):
    study = clv.load_study("online_retail")
    lines = study.read("transactions").table
    share = {}
    for cut in ("2011-06-30", "2011-08-31"):
        book = clv.summarise(lines, as_of=cut, log_waits=True)
        end = clv.summarise(lines, as_of=pd.Timestamp(cut) + pd.Timedelta(days=91))
        later = (end["frequency"].reindex(book.index) - book["frequency"]).to_numpy()
        model = BetaGeoCNBDModel(prior="weak").fit(book)
        assert model.k_ == 2
        share[cut] = spread(model, book, later)
    assert share["2011-06-30"] == pytest.approx(1.04, abs=0.08)
    assert share["2011-08-31"] > 1.6
