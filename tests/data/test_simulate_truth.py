"""The truth's closed forms against a plain simulation of the process, path by path."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from clv.data.simulate import Process, draw
from clv.data.simulate.parameters import TIERS
from clv.data.simulate.purchases import Journeys
from clv.data.simulate.truth import discounted_purchases, discounted_purchases_regular

PROCESS = Process()


def paths(rng, rate, dropout, *, horizon, delta, regularity=1, elapsed=0.0, count=60_000):
    """Discounted purchases of `count` independent futures of one living account, in calendar time, event by event."""
    first = rng.gamma(regularity, 1 / regularity, 40 * count) - elapsed
    clock = first[first > 0][:count] / rate  # the wait, given that it has already lasted `elapsed`
    assert len(clock) == count
    total = np.zeros(count)
    alive = clock < horizon
    while alive.any():
        total[alive] += np.exp(-delta * clock[alive])
        alive &= rng.random(count) >= dropout
        clock = clock + rng.gamma(regularity, 1 / regularity, count) / rate
        alive &= clock < horizon
    return total


@pytest.mark.parametrize(
    ("rate", "dropout", "delta"),
    [(0.05, 0.2, 0.0), (0.4, 0.03, PROCESS.delta), (1.5, 0.002, PROCESS.delta), (0.8, 0.4, 0.01)],
)
def test_closed_form_equals_brute_force(rate, dropout, delta):
    total = paths(np.random.default_rng(5), rate, dropout, horizon=52.0, delta=delta)
    expected = discounted_purchases(np.array(rate), np.array(dropout), horizon=52.0, delta=delta)
    assert abs(total.mean() - expected) < 3.5 * total.std() / np.sqrt(len(total))


@pytest.mark.parametrize(("k", "elapsed"), [(2, 0.0), (3, 0.7), (5, 1.3)])
def test_regular_buyers_equal_brute_force(k, elapsed):
    rate, dropout, delta = 0.3, 0.05, PROCESS.delta
    total = paths(
        np.random.default_rng(k), rate, dropout, horizon=52.0, delta=delta, regularity=k, elapsed=elapsed, count=40_000
    )
    expected = discounted_purchases_regular(
        np.array(rate), np.array(dropout), np.array(elapsed), regularity=k, horizon=52.0, delta=delta
    )
    assert abs(total.mean() - expected) < 3.5 * total.std() / np.sqrt(len(total))


def test_the_series_for_regular_buyers_at_k_one_is_the_closed_form():
    rng = np.random.default_rng(0)
    rate, dropout, elapsed = rng.gamma(1.0, 0.4, 50), rng.beta(0.6, 8.0, 50), rng.exponential(1.0, 50)
    series = discounted_purchases_regular(rate, dropout, elapsed, regularity=1, horizon=52.0, delta=PROCESS.delta)
    assert series == pytest.approx(discounted_purchases(rate, dropout, horizon=52.0, delta=PROCESS.delta), rel=1e-10)


@pytest.mark.parametrize(
    ("rate", "dropout", "delta"), [(0.3, 0.0, 0.0), (0.3, 1e-14, 0.0), (0.0, 0.5, 0.0), (2, 1, 0.1)]
)
def test_closed_form_holds_at_the_edges(rate, dropout, delta):
    integral, _ = quad(lambda s: rate * np.exp(-(delta + rate * dropout) * s), 0, 52)
    value = discounted_purchases(np.array(rate), np.array(dropout), horizon=52.0, delta=delta)
    assert float(value) == pytest.approx(integral, rel=1e-9)


def test_delta_is_the_yearly_rate_made_continuous():
    assert np.exp(-PROCESS.delta * 365.25 / 7) == pytest.approx(1 / (1 + PROCESS.discount_rate))


@pytest.mark.parametrize("regularity", [1, 3])
def test_what_the_process_does_next_is_what_the_truth_expects(regularity):
    """The simulator's own engine, run on for 52 weeks from where it stood, buys as the formula says."""
    rng = np.random.default_rng(2)
    count = 20_000
    rate, dropout = rng.gamma(1.0, 0.25, count), rng.beta(0.6, 8.0, count)
    journeys = Journeys(rng.uniform(0, 60, count), rate, dropout, regularity, np.random.default_rng(3))
    journeys.advance(80.0)
    alive = np.isnan(journeys.dropped)
    elapsed = journeys.operational(80.0) - journeys.last
    account, _ = journeys.advance(132.0)
    bought = np.bincount(account, minlength=count)
    assert (bought[~alive] == 0).all()
    expected = (
        discounted_purchases(rate, dropout, horizon=52.0)
        if regularity == 1
        else discounted_purchases_regular(rate, dropout, elapsed, regularity=regularity, horizon=52.0)
    )
    error = (bought - expected)[alive]
    assert abs(error.mean()) < 3.5 * error.std() / np.sqrt(len(error))


def test_a_programme_changes_the_clock_at_its_start_and_not_before():
    count = 4000
    rng = np.random.default_rng(8)
    acquired, rate, dropout = rng.uniform(0, 90, count), rng.gamma(2.0, 0.2, count), np.full(count, 0.02)
    plain, treated = (Journeys(acquired, rate, dropout, 1, np.random.default_rng(9)) for _ in range(2))
    for journeys in (plain, treated):
        before = journeys.advance(50.0)
        assert (before[1] < 50).all()
    assert np.array_equal(plain.last, treated.last)
    treated.treat(50.0, np.full(count, 2.0), np.full(count, 1.0))
    some = np.flatnonzero((acquired < 50) & np.isnan(plain.dropped))
    ahead = plain.calendar(some, plain.next[some]) - 50
    assert treated.calendar(some, treated.next[some]) - 50 == pytest.approx(ahead / 2)
    new = np.flatnonzero(acquired > 50)
    ahead = plain.calendar(new, plain.next[new]) - acquired[new]
    assert treated.calendar(new, treated.next[new]) - acquired[new] == pytest.approx(ahead / 2)
    # Operational time is the inverse of calendar time.
    assert treated.operational(77.0)[some] == pytest.approx((50 - acquired[some]) * rate[some] + 27 * rate[some] * 2)


def test_margins_in_the_tables_are_the_formula_on_the_latent_values():
    universe = draw(accounts=400, seed=6)
    accounts = universe.truth["accounts"].set_index("account_id")
    alive = accounts[accounts["alive"]]
    hazard = PROCESS.delta + alive["rate"] * alive["dropout"]
    purchases = alive["rate"] * (1 - np.exp(-hazard * 52)) / hazard
    assert alive["margin_52"].to_numpy() == pytest.approx((0.35 * alive["spend"] * purchases).to_numpy())
    gone = accounts[accounts["customer"] & ~accounts["alive"]]
    assert (gone["margin_52"] == 0).all()
    assert (gone["purchases_52"] == 0).all()
    prospects = accounts[~accounts["customer"]]
    assert prospects["margin_52"].isna().all()
    assert (prospects["margin_if_won"] > 0.35 * prospects["spend"]).all()

    tiers = universe.truth["tiers"].join(accounts[["rate", "dropout", "spend", "alive"]], on="account_id")
    assert list(tiers["tier"][:3]) == [tier.name for tier in TIERS]
    rate, dropout = tiers["rate"] * tiers["rate_factor"], tiers["dropout"] * tiers["dropout_factor"]
    hazard = PROCESS.delta + rate * dropout
    with_tier = 0.35 * tiers["spend"] * rate * (1 - np.exp(-hazard * 52)) / hazard * tiers["alive"]
    assert tiers["incremental_margin"].to_numpy() == pytest.approx(
        (with_tier - tiers["margin_52"]).to_numpy(), abs=1e-6
    )


def test_a_tiers_incremental_margin_equals_brute_force():
    universe = draw(accounts=400, seed=6)
    accounts = universe.truth["accounts"].set_index("account_id")
    tiers = universe.truth["tiers"].query("tier == '1:1'")
    best = tiers.nlargest(3, "incremental_margin")
    for row in best.itertuples():
        account = accounts.loc[row.account_id]
        rng = np.random.default_rng(12)
        with_tier = paths(
            rng,
            account["rate"] * row.rate_factor,
            account["dropout"] * row.dropout_factor,
            horizon=52,
            delta=PROCESS.delta,
        )
        without = paths(rng, account["rate"], account["dropout"], horizon=52, delta=PROCESS.delta)
        gain = 0.35 * account["spend"] * (with_tier.mean() - without.mean())
        error = 0.35 * account["spend"] * np.sqrt((with_tier.var() + without.var()) / len(without))
        assert abs(gain - row.incremental_margin) < 3.5 * error
