"""Where nobody randomised: right where the assumption holds, flagged where it does not, and labelled everywhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.experiments.panel import read_panel
from clv.abm.experiments.sensitivity import e_value, rosenbaum_bounds
from clv.abm.experiments.simplex import onto_simplex, simplex_least_squares
from clv.abm.experiments.synthetic_did import weights
from clv.errors import DataError, SettingsError


def panel(seed, *, drift=0.0, factor=0.0, treated=12, controls=50, effect=1.0):
    """Draw 12 periods, 8 before: levels, a common season, a common factor with own loads, a drift of the treated."""
    rng = np.random.default_rng(seed)
    n = treated + controls
    flag = np.arange(n) < treated
    load = 0.3 * rng.normal(size=n) + factor * flag
    common = np.cumsum(0.5 + rng.normal(size=12))
    y = (
        2 * rng.normal(size=n)[:, None]
        + np.sin(np.arange(12))
        + load[:, None] * common
        + 0.7 * rng.normal(size=(n, 12))
    )
    y += drift * flag[:, None] * np.arange(12)
    y[flag, 8:] += effect
    return pd.DataFrame(
        {
            "account_id": np.repeat([f"A{i:03d}" for i in range(n)], 12),
            "period": np.tile(pd.date_range("2024-01-01", periods=12, freq="MS"), n),
            "margin": y.ravel(),
            "treated": np.repeat(flag, 12),
        }
    )


START = pd.Timestamp("2024-09-01")


def test_did_is_the_difference_of_differences():
    data = panel(1)
    row = clv.difference_in_differences(data, start=START).table.iloc[0]
    after = data["period"] >= START
    means = data.groupby(["treated", after])["margin"].mean()
    by_hand = means[True, True] - means[True, False] - means[False, True] + means[False, False]
    assert row["effect"] == pytest.approx(by_hand)
    assert row["evidence"] == "not randomised"


def test_did_is_unbiased_with_parallel_trends_and_seldom_flagged():
    found = [clv.difference_in_differences(panel(s), start=START) for s in range(80)]
    effect = np.array([f.table["effect"][0] for f in found])
    held = np.mean([f.table["lower"][0] <= 1 <= f.table["upper"][0] for f in found])
    assert abs(effect.mean() - 1) < 3 * effect.std(ddof=1) / np.sqrt(80)
    assert held >= 0.88
    assert np.mean([f.flagged for f in found]) <= 0.15


def test_did_is_flagged_where_trends_differ():
    found = [clv.difference_in_differences(panel(s, drift=0.3), start=START) for s in range(30)]
    assert np.mean([f.table["effect"][0] for f in found]) > 2
    assert np.mean([f.flagged for f in found]) >= 0.9
    text = next(f.text for f in found if f.flagged)
    assert text.startswith("Do not use this number")
    assert "drifting apart before the start" in text


def test_synthetic_did_is_unbiased_where_its_factors_hold():
    found = [clv.synthetic_difference_in_differences(panel(s), start=START, placebos=40) for s in range(40)]
    effect = np.array([f.table["effect"][0] for f in found])
    assert abs(effect.mean() - 1) < 3 * effect.std(ddof=1) / np.sqrt(40)
    assert np.mean([f.table["lower"][0] <= 1 <= f.table["upper"][0] for f in found]) >= 0.82
    assert np.mean([f.flagged for f in found]) <= 0.2


def test_synthetic_did_is_closer_than_did_where_a_factor_pulls_apart():
    error = np.array(
        [
            [
                clv.difference_in_differences(panel(s, factor=0.25), start=START).table["effect"][0] - 1,
                clv.synthetic_difference_in_differences(
                    panel(s, factor=0.25), start=START, error="jackknife", placebos=20
                ).table["effect"][0] - 1,
            ]
            for s in range(12)
        ]
    )  # fmt: skip
    did, synthetic = np.sqrt((error**2).mean(axis=0))
    assert synthetic < 0.6 * did


def test_synthetic_did_is_flagged_where_no_mix_of_controls_runs_parallel():
    found = [clv.synthetic_difference_in_differences(panel(s, drift=0.45), start=START, placebos=40) for s in range(12)]
    assert np.mean([f.flagged for f in found]) >= 0.9
    assert "Not randomised" in found[0].text


def test_sensitivity_widens_and_labels_are_everywhere():
    found = clv.difference_in_differences(panel(3, effect=2.0), start=START, currency="EUR")
    bends = found.sensitivity
    assert bends["lower"].is_monotonic_decreasing
    assert bends["upper"].is_monotonic_increasing
    assert bends.iloc[0]["lower"] == pytest.approx(found.table["lower"][0])
    assert not found.randomised
    assert "Not randomised" in found.text
    assert "not randomised" in found.plot().get_title()
    synthetic = clv.synthetic_difference_in_differences(panel(3), start=START, placebos=20)
    assert "not randomised" in synthetic.plot().get_title()
    assert set(synthetic.table["evidence"]) == {"not randomised"}


def test_the_same_twice():
    one, two = (clv.synthetic_difference_in_differences(panel(4), start=START, placebos=20, seed=2).table for _ in "ab")
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("size", [5, 40, 350])
def test_simplex_weights_are_optimal(size):
    """No direction within the simplex improves: the Karush-Kuhn-Tucker conditions, by both algorithms."""
    rng = np.random.default_rng(size)
    a, b = rng.normal(size=(20, size)), rng.normal(size=20)
    w = simplex_least_squares(a, b, ridge=0.3)
    assert w.min() >= 0
    assert w.sum() == pytest.approx(1)
    gradient = a.T @ (a @ w - b) + 0.3 * w
    assert gradient @ w - gradient.min() < 1e-5 * (b @ b)


def test_projection_onto_the_simplex():
    assert onto_simplex(np.array([0.5, 0.5])) == pytest.approx([0.5, 0.5])
    assert onto_simplex(np.array([2.0, 0.0, -1.0])) == pytest.approx([1, 0, 0])
    assert onto_simplex(np.array([1.0, 0.8, 0.0])) == pytest.approx([0.6, 0.4, 0])


def test_weights_find_the_control_that_is_a_copy():
    data = panel(5, treated=1, controls=20, effect=0.0)
    wide = data.pivot_table(index="account_id", columns="period", values="margin")
    copy = wide.loc["A007"] + 3.0
    data.loc[data["account_id"] == "A000", "margin"] = copy.to_numpy()
    omega, lam = weights(read_panel(data, outcome="margin", start=START))
    assert int(np.argmax(omega)) == 6
    assert omega[6] > 2.5 / 20  # the ridge spreads the rest
    assert lam.sum() == pytest.approx(1)


def chosen(seed, hidden=0.0, n=400):
    """Draw accounts chosen by what is seen (and by what is not, where hidden is not 0)."""
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=(n, 2)), rng.normal(size=n)
    z = rng.random(n) < 1 / (1 + np.exp(1.0 - 0.8 * x[:, 0] - 0.4 * x[:, 1] - hidden * u))
    base = 2 + x[:, 0] + 0.5 * x[:, 1] + hidden * u
    return pd.DataFrame(
        {
            "account_id": [f"A{i}" for i in range(n)], "arm": np.where(z, "treatment", "control"), "x0": x[:, 0],
            "x1": x[:, 1], "margin_pre": base + rng.normal(size=n), "margin": base + rng.normal(size=n) + 1.0 * z,
        }
    )  # fmt: skip


@pytest.mark.parametrize("method", ["doubly_robust", "matched_comparison"])
def test_right_where_the_choice_is_seen_and_flagged_where_it_is_not(method):
    function, options = getattr(clv, method), {"covariates": ["x0", "x1"], "placebo": "margin_pre"}
    seen = [function(chosen(s), **options) for s in range(16)]
    effect = np.array([f.table["effect"][0] for f in seen])
    assert abs(effect.mean() - 1) < 3 * effect.std(ddof=1) / 4 + 0.02
    assert np.mean([f.table["lower"][0] <= 1 <= f.table["upper"][0] for f in seen]) >= 0.8
    assert np.mean([f.flagged for f in seen]) <= 0.2
    naive = chosen(0).groupby("arm")["margin"].mean()
    assert naive["treatment"] - naive["control"] > 1.4
    blind = [function(chosen(s, hidden=1.0), **options) for s in range(8)]
    assert np.mean([f.flagged for f in blind]) >= 0.9
    assert "Not randomised" in blind[0].text
    blind[0].plot()


def test_doubly_robust_survives_one_wrong_model():
    """A choice that is not logistic, with outcomes that are linear: the outcome model carries it."""
    effects = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(500, 2))
        z = rng.random(500) < np.where(np.abs(x[:, 0]) > 0.8, 0.6, 0.15)
        data = pd.DataFrame({"x0": x[:, 0], "x1": x[:, 1], "margin": x @ [1.0, 1.0] + z + rng.normal(size=500)})
        data = data.assign(account_id=np.arange(500).astype(str), arm=np.where(z, "treatment", "control"))
        effects.append(clv.doubly_robust(data, covariates=["x0", "x1"], target="all").table["effect"][0])
    assert abs(np.mean(effects) - 1) < 3 * np.std(effects, ddof=1) / 4


def test_no_overlap_is_broken():
    data = chosen(1).assign(x0=lambda d: d["x0"] + 8 * (d["arm"] == "treatment"))
    assert clv.doubly_robust(data, covariates=["x0"]).flagged
    with pytest.raises(DataError, match="have a control like them"):
        clv.matched_comparison(data, covariates=["x0"], caliper=0.2)


def test_sensitivity_measures():
    # VanderWeele & Ding (2017): a risk ratio of 3.9 has the E-value 7.26.
    d = np.log(3.9) / 0.91
    assert e_value(d, 1e-9, 1.0)[0] == pytest.approx(7.26, abs=0.005)
    assert e_value(0.1, 1.0, 1.0)[1] == 1
    rng = np.random.default_rng(2)
    difference = rng.normal(0.5, 1, 100)
    from scipy import stats

    bounds = rosenbaum_bounds(difference, np.array([1.0, 1.5, 2.0, 4.0]))
    plain = stats.wilcoxon(difference, alternative="greater", method="asymptotic", correction=False).pvalue
    assert bounds[0] == pytest.approx(plain, rel=1e-6)
    assert (np.diff(bounds) > 0).all()


def test_the_three_illusions_are_named():
    rng = np.random.default_rng(3)
    own = rng.normal(size=300)
    windows = 1000 + 300 * own[:, None] + 300 * rng.normal(size=(300, 3))
    data = pd.DataFrame(windows, columns=["earlier", "margin_pre", "margin"])
    data["account_id"] = np.arange(300).astype(str)
    # The best of the last window are chosen, and nothing is done to them.
    data["arm"] = np.where(data["margin_pre"] > data["margin_pre"].quantile(0.8), "treatment", "control")
    data["start"] = pd.Timestamp("2025-01-01")
    found = clv.selection_checks(data, earlier="earlier", currency="EUR")
    verdict = found.table.set_index("check")["verdict"]
    assert verdict["best accounts chosen"] == "broken"
    assert verdict["regression to the mean"] == "broken"
    assert verdict["immortal time"] == "fine"
    assert found.naive > 100
    fall = data.loc[data["arm"] == "treatment", ["margin_pre", "margin"]].mean().diff().iloc[-1]
    expected = found.table.set_index("check").loc["regression to the mean", "bias"]
    assert np.sign(expected) == np.sign(fall)
    assert 0.3 < expected / fall < 1.5
    late = data.assign(counted_from=pd.Timestamp("2024-06-01"))
    assert "had to last" in clv.selection_checks(late).text
    other = data.assign(start=np.where(data["arm"] == "control", pd.Timestamp("2024-01-01"), data["start"]))
    assert "not counted from the same days" in clv.selection_checks(other).text


def test_nothing_is_named_where_chance_decided():
    rng = np.random.default_rng(4)
    data = pd.DataFrame(1000 + 300 * rng.normal(size=(300, 3)), columns=["earlier", "margin_pre", "margin"])
    data = data.assign(account_id=np.arange(300).astype(str), arm=np.where(np.arange(300) % 2, "treatment", "control"),
                       start=pd.Timestamp("2025-01-01"))  # fmt: skip
    found = clv.selection_checks(data, earlier="earlier")
    assert (found.table["verdict"] == "fine").all()


def test_what_is_refused():
    data = panel(1)
    with pytest.raises(DataError, match="no control"):
        clv.difference_in_differences(data[data["treated"]], start=START)
    with pytest.raises(DataError, match="one treated account"):
        clv.difference_in_differences(panel(1, treated=1), start=START)
    with pytest.raises(DataError, match="cannot be compared"):
        clv.difference_in_differences(data, start=5)
    with pytest.raises(DataError, match="lacks a period"):
        clv.difference_in_differences(data.iloc[1:], start=START)
    with pytest.raises(DataError, match="At least two before"):
        clv.difference_in_differences(data, start=pd.Timestamp("2024-02-01"))
    with pytest.raises(DataError, match="after it"):
        clv.difference_in_differences(data, start=pd.Timestamp("2030-01-01"))
    with pytest.raises(DataError, match="twice in one period"):
        clv.difference_in_differences(pd.concat([data, data.head(1)]), start=START)
    with pytest.raises(DataError, match="treated in some periods"):
        clv.difference_in_differences(data.assign(treated=data["treated"] & (data["period"] >= START)), start=START)
    with pytest.raises(SettingsError, match="no standard error"):
        clv.synthetic_difference_in_differences(panel(1, treated=1), start=START, error="jackknife")
    with pytest.raises(SettingsError, match="no covariates"):
        clv.doubly_robust(chosen(1), covariates=[])
