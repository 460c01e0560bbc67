"""Kaplan-Meier and Aalen-Johansen: closed forms, statsmodels, simulation with late entries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.churn.contracts.competing_risks import competing_risks
from clv.errors import DataError, SettingsError

NAMES = ["a", "b"]


def incidence(found, cause, column="incidence"):
    rows = found.incidence[found.incidence["cause"] == cause]
    return rows.set_index("time")[column]


def test_two_constant_hazards_in_discrete_time():
    """Expected counts as weights: incidence is h_j / h · (1 − (1 − h)^t), to the last digit."""
    h, t = {"a": 0.10, "b": 0.25}, np.arange(1, 9)
    stay = 1 - sum(h.values())
    rows = [(age, cause, stay ** (age - 1) * rate) for age in t for cause, rate in h.items()]
    rows.append((8, None, stay**8))
    time, cause, weight = zip(*rows, strict=True)
    found = competing_risks(time, cause=cause, causes=NAMES, weight=weight)
    assert found.survival["survival"].to_numpy() == pytest.approx(stay**t, rel=1e-12)
    for name, rate in h.items():
        exact = rate / (1 - stay) * (1 - stay**t)
        assert incidence(found, name).to_numpy() == pytest.approx(exact, rel=1e-12)


def test_late_entries_change_nothing_when_hazards_do_not():
    """As many again are seen from age 3 on only: the closed form still holds exactly."""
    h, t = {"a": 0.10, "b": 0.25}, np.arange(1, 9)
    stay = 1 - sum(h.values())
    rows = [(age, 0, cause, stay ** (age - 1) * rate) for age in t for cause, rate in h.items()]
    rows += [(age, 3, cause, stay ** (age - 4) * rate) for age in t[3:] for cause, rate in h.items()]
    rows += [(8, 0, None, stay**8), (8, 3, None, stay**5)]
    time, entry, cause, weight = zip(*rows, strict=True)
    found = competing_risks(time, entry=entry, cause=cause, causes=NAMES, weight=weight)
    for name, rate in h.items():
        assert incidence(found, name).to_numpy() == pytest.approx(rate / (1 - stay) * (1 - stay**t), rel=1e-12)
    assert found.survival.loc[4, "at_risk"] == pytest.approx(stay**3 + 1)


def test_two_exponential_hazards_with_late_entry_and_censoring():
    """Rates 0.2 and 0.1: incidence λ_j / λ · (1 − e^(−λt)) within four standard errors at every decile."""
    g = np.random.default_rng(3)
    n = 40_000
    time = g.exponential(1 / 0.3, n)
    cause = np.where(g.random(n) < 2 / 3, "a", "b").astype(object)
    entry, censor = np.maximum(g.uniform(-2, 4, n), 0), g.uniform(2, 15, n)
    seen = entry < np.minimum(time, censor)
    cause[time > censor] = None
    found = competing_risks(np.minimum(time, censor)[seen], entry=entry[seen], cause=cause[seen], causes=NAMES)
    for name, rate in (("a", 0.2), ("b", 0.1)):
        rows = found.incidence[found.incidence["cause"] == name].set_index("time")
        at = rows.iloc[np.searchsorted(rows.index, np.arange(0.5, 8.0, 0.5))]
        exact = rate / 0.3 * -np.expm1(-0.3 * at.index.to_numpy())
        assert (np.abs(at["incidence"] - exact) < 4 * np.sqrt(at["variance"])).all()
        assert np.sqrt(at["variance"]).max() < 0.005


def drawn(seed, n=400, ties=True):
    g = np.random.default_rng(seed)
    time = g.exponential(5, n)
    time = np.ceil(time) if ties else time
    code = g.integers(0, 3, n)
    return time, code, np.array([None, "a", "b"], dtype=object)[code], np.floor(time * g.random(n) * 0.9)


@pytest.mark.parametrize("ties", [True, False])
def test_incidence_and_its_variance_are_statsmodels(ties):
    from statsmodels.duration.survfunc import CumIncidenceRight

    time, code, cause, _ = drawn(1, ties=ties)
    code[time == time.max()], cause[time == time.max()] = 0, None  # theirs divides by zero where nobody is left
    theirs = CumIncidenceRight(time, code)
    found = competing_risks(time, cause=cause, causes=NAMES)
    for j, name in enumerate(NAMES):
        at = np.searchsorted(theirs.times, incidence(found, name).index)
        assert incidence(found, name).to_numpy() == pytest.approx(theirs.cinc[j][at], rel=1e-10)
        error = np.sqrt(incidence(found, name, "variance").to_numpy())
        assert error == pytest.approx(theirs.cinc_se[j][at], rel=1e-7, abs=1e-9)


def test_survival_with_late_entries_is_statsmodels():
    from statsmodels.duration.survfunc import SurvfuncRight

    time, code, cause, entry = drawn(2)
    theirs = SurvfuncRight(time, (code > 0).astype(int), entry=entry)
    ours = competing_risks(time, cause=cause, causes=NAMES, entry=entry).survival
    at = np.isin(theirs.surv_times, ours.index)
    assert ours["survival"].to_numpy() == pytest.approx(theirs.surv_prob[at], rel=1e-12)
    assert ours["at_risk"].to_numpy() == pytest.approx(theirs.n_risk[at])
    held = theirs.surv_prob[at] > 0
    assert np.sqrt(ours["variance"].to_numpy())[held] == pytest.approx(theirs.surv_prob_se[at][held], rel=1e-9)


def test_variances_and_intervals_are_right_under_late_entry():
    """Over 300 books of 150 contracts: the mean variance is the variance, and 90 % intervals hold 90 %."""
    g = np.random.default_rng(11)
    truth = {name: rate / 0.3 * (1 - 0.7**4) for name, rate in (("a", 0.2), ("b", 0.1))}
    estimates, variances, held = {n: [] for n in NAMES}, {n: [] for n in NAMES}, dict.fromkeys(NAMES, 0)
    for _ in range(300):
        time = g.geometric(0.3, 150).astype(float)
        cause = np.where(g.random(150) < 2 / 3, "a", "b").astype(object)
        entry, censor = g.integers(0, 3, 150).astype(float), g.integers(3, 8, 150).astype(float)
        seen = entry < time
        cause[time > censor] = None
        found = competing_risks(np.minimum(time, censor)[seen], entry=entry[seen], cause=cause[seen], causes=NAMES)
        for name in NAMES:
            row = found.incidence[(found.incidence["cause"] == name) & (found.incidence["time"] <= 4)].iloc[-1]
            estimates[name].append(row["incidence"])
            variances[name].append(row["variance"])
            held[name] += row["lower"] <= truth[name] <= row["upper"]
    for name in NAMES:
        assert np.mean(estimates[name]) == pytest.approx(truth[name], abs=0.008)
        assert np.mean(variances[name]) == pytest.approx(np.var(estimates[name]), rel=0.2)
        assert held[name] / 300 == pytest.approx(0.9, abs=0.05)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 5), st.sampled_from(["a", "b", None]), st.integers(1, 3)),
        min_size=1,
        max_size=25,
    )
)
def test_nothing_is_lost_and_shares_stay_shares(rows):
    entry, longer, cause, weight = zip(*rows, strict=True)
    found = competing_risks(np.add(entry, longer), entry=entry, cause=cause, causes=NAMES, weight=weight)
    total = found.incidence.groupby("time")["incidence"].sum().to_numpy() + found.survival["survival"].to_numpy()
    assert total == pytest.approx(np.ones(len(total)), abs=1e-12)
    assert found.incidence["lost"].sum() == sum(w for c, w in zip(cause, weight, strict=True) if c is not None)
    numbers = found.incidence[["incidence", "variance", "lower", "upper"]].to_numpy()
    assert np.isfinite(numbers).all()
    assert (found.incidence["lower"] <= found.incidence["incidence"] + 1e-12).all()
    assert (found.incidence["upper"] >= found.incidence["incidence"] - 1e-12).all()
    assert found.incidence["lower"].between(0, 1).all()
    assert found.incidence["upper"].between(0, 1).all()


@pytest.mark.parametrize(
    ("given", "column"),
    [
        ({"exit": [1, np.nan]}, "exit"),
        ({"exit": [1, 2], "entry": [0, 2]}, "exit"),
        ({"exit": [1, 2], "entry": [0, np.inf]}, "entry"),
        ({"exit": [1, 2], "weight": [1, -1]}, "weight"),
        ({"exit": [1, 2], "cause": ["a", "c"]}, "cause"),
        ({"exit": [1, 2], "entry": [0]}, "entry"),
    ],
)
def test_faults_are_named(given, column):
    given = {"cause": ["a", None], "causes": NAMES} | given
    with pytest.raises(DataError) as raised:
        competing_risks(given.pop("exit"), **given)
    assert raised.value.column == column


def test_confidence_is_a_share():
    with pytest.raises(SettingsError, match="confidence"):
        competing_risks([1.0], cause=["a"], causes=["a"], confidence=1.0)


def test_nobody_left():
    found = competing_risks([1, 2], cause=[None, None], causes=NAMES)
    assert found.survival.empty
    assert found.incidence.empty
    assert isinstance(found.incidence, pd.DataFrame)
