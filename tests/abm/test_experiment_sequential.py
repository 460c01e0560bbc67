"""`monitor_experiment`: ten looks, one error probability."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import clv
from clv.abm.experiments.sequential import _limits, _spent
from clv.errors import DataError, SettingsError

LOOKS = [f"m{k}" for k in range(10)]


def courses(seed, n, effect=0.0, entering=False):
    """Draw margins that accumulate over ten periods, log-normal with zeros, accounts of unlike size."""
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.arange(2 * n) % 2)
    size = np.exp(0.8 * rng.normal(size=2 * n))[:, None]

    def ten():
        return np.where(rng.random((2 * n, 10)) < 0.6, 0, size * np.exp(0.6 * rng.normal(size=(2 * n, 10))))

    past, now = ten().sum(axis=1), ten() * (1 + effect * arm[:, None])
    values = now.cumsum(axis=1)
    if entering:
        first = rng.permutation(np.arange(2 * n) % 10)
        values = np.where(first[:, None] <= np.arange(10), now.sum(axis=1)[:, None], np.nan)
    data = pd.DataFrame(values, columns=LOOKS)
    return data.assign(
        account_id=[f"A{i}" for i in range(2 * n)], arm=np.where(arm == 1, "treatment", "control"), margin_pre=past
    )


def test_what_was_said_at_earlier_looks_does_not_change():
    data = courses(1, 30)
    four = clv.monitor_experiment(data, looks=LOOKS[:4], times=[0.1, 0.2, 0.3, 0.4], permutations=999).table
    ten = clv.monitor_experiment(data, looks=LOOKS, permutations=999).table
    pd.testing.assert_frame_equal(four, ten.head(4))


def test_a_strong_effect_is_seen_early_and_stays_seen():
    found = clv.monitor_experiment(courses(2, 60, effect=2.0), looks=LOOKS, permutations=999, currency="EUR")
    assert found.stopped is not None
    assert found.stopped != LOOKS[-1]
    assert "may be stopped" in found.text
    assert found.table["lower"].iloc[-1] > 0
    quiet = clv.monitor_experiment(courses(3, 60), looks=LOOKS, permutations=999)
    assert quiet.stopped is None
    assert "no effect can be told from chance" in quiet.text
    found.plot()


def test_limits_are_wide_early_and_spend_what_they_may():
    rng = np.random.default_rng(4)
    t = np.abs(rng.normal(size=(60_000, 5)).cumsum(axis=1) / np.sqrt(np.arange(1, 6)))
    when = np.arange(1, 6) / 5
    limits = _limits(t, _spent(when, 0.05, "obrien-fleming"))
    assert 0.049 <= (t >= limits).any(axis=1).mean() <= 0.05
    # Independent increments: the limits of Lan & DeMets' O'Brien-Fleming spending at five equal steps, as in their
    # tables (4.877, 3.357, 2.680, 2.290, 2.031); the first two are too rare for so few courses.
    assert limits[2:] == pytest.approx([2.680, 2.290, 2.031], abs=0.04)
    assert limits[0] > limits[1] > 3.2
    pocock = _limits(t, _spent(when, 0.05, "pocock"))
    assert pocock[0] < limits[0]
    assert (t >= pocock).any(axis=1).mean() <= 0.05


def test_one_look_is_the_plain_randomisation_test():
    t = np.abs(np.random.default_rng(5).normal(size=(1000, 1)))
    assert _limits(t, np.array([0.05]))[0] == pytest.approx(np.sort(t[:, 0])[::-1][49])


def test_looks_at_which_nothing_has_happened_yet_cross_nothing():
    found = clv.monitor_experiment(courses(8, 20).assign(m0=0.0), looks=LOOKS[:3], permutations=399)
    assert not found.table["crossed"].iloc[0]


def test_limits_do_not_let_ties_through():
    t = np.ones((100, 1))
    assert (t >= _limits(t, np.array([0.05]))).mean() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "method", "spending", "repeats"),
    [
        (13, "spending", "obrien-fleming", 2000),
        (50, "spending", "pocock", 1000),
        (60, "confidence_sequence", "obrien-fleming", 300),
    ],
)
def test_ten_looks_keep_the_error_below_five_and_a_half_per_cent(n, method, spending, repeats):
    entering = method == "confidence_sequence"
    looks = LOOKS[1:] if entering else LOOKS
    alarms = sum(
        clv.monitor_experiment(
            courses(10_000 + s, n, entering=entering), looks=looks, method=method, spending=spending,
            permutations=399, seed=s,
        ).stopped
        is not None
        for s in range(repeats)
    )  # fmt: skip
    assert alarms / repeats <= 0.055


def test_looking_ten_times_without_care_would_not():
    """The reason for all of it: plain tests at ten looks are wrong more than twice as often as they say."""
    alarms = 0
    for seed in range(120):
        data = courses(seed, 25)
        z = (data["arm"] == "treatment").to_numpy()
        y = data[LOOKS].to_numpy()
        gap = y[z].mean(axis=0) - y[~z].mean(axis=0)
        t = gap / np.sqrt(y[z].var(axis=0, ddof=1) / z.sum() + y[~z].var(axis=0, ddof=1) / (~z).sum())
        alarms += bool((np.abs(t) > 2.01).any())
    assert alarms / 120 > 0.1


def test_accounts_that_enter_over_time():
    data = courses(6, 80, effect=1.5, entering=True)
    found = clv.monitor_experiment(data, looks=LOOKS[2:], method="confidence_sequence")
    assert found.table["accounts"].is_monotonic_increasing
    # Narrower than no statement, wider than a single look.
    assert (found.table["limit"] > 2.5).all()
    with pytest.raises(DataError, match="method='confidence_sequence'"):
        clv.monitor_experiment(data, looks=LOOKS)
    nobody = data.assign(m2=data["m2"].where(data["arm"] == "control"))
    with pytest.raises(DataError, match="fewer than two accounts of an arm have entered"):
        clv.monitor_experiment(nobody, looks=LOOKS[2:], method="confidence_sequence")


def entering(seed, each, looks, sigma=1.0):
    """So many accounts enter before each look, log-normal with zeros, without any effect."""
    rng = np.random.default_rng(seed)
    arm = np.concatenate([rng.permutation(np.arange(each) % 2) for _ in range(looks)])
    y = np.where(rng.random(len(arm)) < 0.3, 0.0, np.exp(sigma * rng.normal(size=len(arm))))
    first = np.repeat(np.arange(looks), each)
    values = np.where(first[:, None] <= np.arange(looks), y[:, None], np.nan)
    data = pd.DataFrame(values, columns=[f"m{k}" for k in range(looks)])
    return data.assign(account_id=[f"A{i}" for i in range(len(y))], arm=np.where(arm, "treatment", "control"))


def test_a_confidence_sequence_knows_that_few_accounts_tell_their_spread_badly():
    """By limits of the normal distribution 8 % of courses that begin with two accounts an arm would cross one."""
    table = clv.monitor_experiment(
        entering(1, 4, 60), looks=[f"m{k}" for k in (0, 1, 9, 59)], times=[1 / 60, 1 / 30, 1 / 6, 1.0],
        method="confidence_sequence", covariates=[],
    ).table  # fmt: skip
    alpha, n = 0.05, np.array([4, 8, 40, 240])
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / 240
    normal = np.sqrt((n * rho2 + 1) / (n * rho2) * np.log((n * rho2 + 1) / alpha**2))
    assert table["limit"].to_numpy() == pytest.approx(stats.t.isf(stats.norm.sf(normal), n - 2))
    assert table["limit"].iloc[0] > 100
    assert table["limit"].iloc[-1] == pytest.approx(normal[-1], rel=0.04)


def test_limits_of_a_confidence_sequence_do_not_hang_on_later_looks():
    data = entering(1, 10, 6)
    looks = [f"m{k}" for k in range(6)]
    one, other = (
        clv.monitor_experiment(data, looks=looks, times=times, method="confidence_sequence", covariates=[]).table[
            "limit"
        ]
        for times in ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.1, 0.12, 0.14, 0.3, 0.8, 1.0])
    )
    assert one.tolist() == other.tolist()


def test_looks_of_a_programme_that_goes_on_for_longer_than_planned():
    """What was said at the looks that were planned does not change because the programme is not over yet."""
    programmes = pd.DataFrame({"account_id": ["a", "b"], "arm": ["treatment", "control"]})
    programmes["start"] = pd.Timestamp("2025-01-01")
    lines = pd.DataFrame({"account_id": ["a"], "date": pd.to_datetime(["2025-02-01"]), "amount": [10.0]})
    early, late = (
        clv.experiment_looks(programmes, lines, every=91, planned=365, as_of=day)
        for day in ("2025-11-01", "2026-08-01")
    )
    assert early.times == late.times[:3] == [91 / 365, 182 / 365, 273 / 365]
    assert late.looks[-1] == "after 364 days"
    assert late.running


def test_what_is_refused():
    data = courses(7, 10)
    with pytest.raises(SettingsError, match="do not fit"):
        clv.monitor_experiment(data, looks=LOOKS[:2], times=[0.5, 0.4])
    with pytest.raises(SettingsError, match="do not fit"):
        clv.monitor_experiment(data, looks=[])
    with pytest.raises(SettingsError, match="is not known"):
        clv.monitor_experiment(data, looks=LOOKS, spending="all at once")
    three = data.assign(arm=np.where(np.arange(20) % 3 == 0, "other", data["arm"]))
    with pytest.raises(SettingsError, match="2 treatments"):
        clv.monitor_experiment(three, looks=LOOKS)
