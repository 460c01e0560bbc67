"""Where nobody randomised: right where the assumption holds, flagged where it does not, and labelled everywhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.experiments.did import _pretrend
from clv.abm.experiments.panel import Panel, read_panel
from clv.abm.experiments.sensitivity import e_value, rosenbaum_bounds, tolerated_gamma
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


def by_the_paper(panel: Panel):
    """Arkhangelsky et al. (2021), algorithm 1, another way: quadratic programmes with intercepts, then equation 1."""
    from scipy.optimize import minimize

    y, before, flag = panel.outcome, panel.before, panel.treated
    controls, after = y[~flag], y.shape[1] - before
    sigma = np.diff(controls[:, :before], axis=1).std(ddof=1)

    def solve(a, b, zeta):
        n, ridge = a.shape[1], zeta**2 * len(b)
        found = minimize(
            lambda v: ((v[0] + a @ v[1:] - b) ** 2).sum() + ridge * (v[1:] ** 2).sum(),
            np.r_[0, np.full(n, 1 / n)], method="SLSQP", bounds=[(None, None)] + [(0, None)] * n,
            jac=lambda v: np.r_[2 * (v[0] + a @ v[1:] - b).sum(),
                                2 * a.T @ (v[0] + a @ v[1:] - b) + 2 * ridge * v[1:]],
            constraints=[{"type": "eq", "fun": lambda v: v[1:].sum() - 1}], options={"maxiter": 2000, "ftol": 1e-14},
        )  # fmt: skip
        return found.x[1:]

    omega = solve(controls[:, :before].T, y[flag][:, :before].mean(axis=0), (flag.sum() * after) ** 0.25 * sigma)
    lam = solve(controls[:, :before], controls[:, before:].mean(axis=1), 1e-6 * sigma)
    own = np.full(len(y), 1 / flag.sum())
    own[~flag] = omega
    root = np.sqrt(np.outer(own, np.r_[lam, np.full(after, 1 / after)]).ravel().clip(min=0))
    n, t = y.shape
    on = np.outer(flag, np.arange(t) >= before).ravel()
    x = np.column_stack([on, np.kron(np.eye(n), np.ones((t, 1))), np.kron(np.ones((n, 1)), np.eye(t))])
    return float(np.linalg.lstsq(x * root[:, None], y.ravel() * root, rcond=None)[0][0]), omega


@pytest.mark.parametrize(("treated", "controls"), [(1, 20), (3, 8), (12, 40)])
def test_synthetic_did_is_what_the_paper_says(treated, controls):
    data = panel(6, treated=treated, controls=controls, factor=0.2)
    effect, omega = by_the_paper(read_panel(data, outcome="margin", start=START))
    found = clv.synthetic_difference_in_differences(data, start=START, placebos=20)
    assert found.table["effect"][0] == pytest.approx(effect, abs=2e-4)
    assert weights(read_panel(data, outcome="margin", start=START))[0] == pytest.approx(omega, abs=2e-4)


def test_treated_accounts_that_vary_more_get_wider_intervals_and_no_false_alarm():
    """Placebos of calm controls say too little of restless accounts: unscaled, 64 % of the intervals held the truth."""
    held, flagged = [], []
    for seed in range(25):
        data = panel(seed)
        noise = np.random.default_rng(1000 + seed).normal(0, 2.0, len(data))
        data["margin"] += noise * data["treated"]
        found = clv.synthetic_difference_in_differences(data, start=START, placebos=30)
        held.append(found.table["lower"][0] <= 1 <= found.table["upper"][0])
        flagged.append(found.flagged)
    assert np.mean(held) >= 0.88
    assert np.mean(flagged) <= 0.16
    assert "times as much as the controls" in found.text
    calm = clv.synthetic_difference_in_differences(panel(1), start=START, placebos=30)
    assert "alike variation" not in set(calm.checks["check"])


def test_the_drift_that_is_said_to_be_missed_is_missed_one_time_in_five():
    g = np.random.default_rng(1)

    def drawn(drift):
        flag = np.arange(62) < 12
        y = g.normal(size=(62, 12)) + drift * flag[:, None] * np.arange(12)
        return _pretrend(Panel(y, flag, 8, pd.RangeIndex(62), pd.RangeIndex(12)), 1.0)[0]

    quiet = [drawn(0.0) for _ in range(200)]
    missed = np.mean(
        [float(says.partition("worth ")[2].split()[0]) for _, verdict, says in quiet if verdict != "broken"]
    )
    # Half of the 12 periods lie between the middles of before and after.
    found = np.mean([drawn(missed / 6)[1] == "broken" for _ in range(300)])
    assert found == pytest.approx(0.8, abs=0.07)


def test_anticipation_is_flagged():
    """What begins two periods before the start shows as a trend."""
    found = []
    for seed in range(20):
        data = panel(seed, effect=2.0)
        early = data["period"].isin(pd.to_datetime(["2024-07-01", "2024-08-01"]))
        data.loc[early & data["treated"], "margin"] += 2.0
        found.append(clv.difference_in_differences(data, start=START).flagged)
    assert np.mean(found) >= 0.9


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
    assert rosenbaum_bounds(-difference, np.array([1.0, 2.0]), sign=-1) == pytest.approx(bounds[[0, 2]])
    gamma = tolerated_gamma(difference)
    at = rosenbaum_bounds(difference, np.array([gamma, gamma + 0.05]))
    assert at[0] <= 0.025 < at[1]
    assert np.isnan(tolerated_gamma(difference, sign=-1))
    # The interval of few clusters is wider than the normal one: it holds 0 here, so that nothing is left to explain.
    assert e_value(2.1, 1.0, 5.0)[1] > 1
    assert e_value(2.1, 1.0, 5.0, dof=5)[1] == 1


def test_bounds_are_those_that_rosenbaum_published():
    """Lead in the blood of children of exposed fathers and of their neighbours (Rosenbaum 2002, section 4.3.3)."""
    exposed = [38, 23, 41, 18, 37, 36, 23, 62, 31, 34, 24, 14, 21, 17, 16, 20, 15, 10, 45, 39, 22, 35, 49, 48, 44, 35,
               43, 39, 34, 13, 73, 25, 27]  # fmt: skip
    control = [16, 18, 18, 24, 19, 11, 10, 15, 16, 18, 18, 13, 19, 10, 16, 16, 24, 13, 9, 14, 21, 19, 7, 18, 19, 12,
               11, 22, 25, 16, 13, 11, 13]  # fmt: skip
    difference = np.array(exposed, dtype=float) - np.array(control)
    found = rosenbaum_bounds(difference, np.array([1, 2, 3, 4, 4.25, 5]))
    assert found == pytest.approx([0.0000, 0.0018, 0.0136, 0.0388, 0.0468, 0.0740], abs=0.00005)
    assert tolerated_gamma(difference, confidence=0.9) == pytest.approx(4.3)


def test_bounds_of_pairs_are_about_the_sign_of_the_effect():
    """Pairs differ in what they are matched on; that difference hides the effect from their plain differences."""
    g = np.random.default_rng(3)
    x = np.repeat(np.arange(40.0), 2)
    z = np.tile([True, False], 40)
    x[z] -= g.uniform(0.1, 0.3, 40)
    data = pd.DataFrame({"account_id": np.arange(80).astype(str), "arm": np.where(z, "treatment", "control"), "x": x})
    data["margin"] = 10 * x + 2.0 * z + 0.2 * g.normal(size=80)
    found = clv.matched_comparison(data, covariates=["x"])
    assert found.table["effect"][0] == pytest.approx(2.0, abs=0.3)
    assert "The sign stands if" in found.text
    assert found.sensitivity["p_value"].iloc[0] < 0.001


@pytest.mark.parametrize("method", ["doubly_robust", "matched_comparison"])
def test_who_is_left_out_or_filled_in_is_said(method):
    data = chosen(2)
    data.loc[data.index[:30], "x0"] = np.nan
    gone = (data["arm"] == "treatment") & (np.arange(len(data)) % 3 == 0)
    found = getattr(clv, method)(data.assign(margin=data["margin"].mask(gone)), covariates=["x0", "x1"])
    checks = found.checks.set_index("check")
    assert "x0 was unknown for 30 accounts" in checks.loc["filled", "says"]
    assert checks.loc["missing outcomes", "verdict"] == "broken"
    assert found.flagged


def test_an_effect_on_all_needs_a_like_for_the_controls_too():
    """Every treated account has its like, but most controls have none among the treated."""
    g = np.random.default_rng(5)
    x = np.r_[g.normal(0, 1, 300), g.normal(7, 1, 500)]
    z = np.r_[g.random(300) < 0.5, np.zeros(500, dtype=bool)]
    data = pd.DataFrame({"account_id": np.arange(800).astype(str), "arm": np.where(z, "treatment", "control"), "x": x})
    data["margin"] = x + z + g.normal(size=800)
    assert not clv.doubly_robust(data, covariates=["x"]).flagged
    both = clv.doubly_robust(data, covariates=["x"], target="all")
    assert both.checks.set_index("check").loc["overlap", "verdict"] == "broken"
    assert "of the controls have hardly a like" in both.text


def test_without_an_effect_the_e_value_asks_for_nothing_more():
    data = chosen(3)
    g = np.random.default_rng(0)
    assert (
        "its interval holds 0 already"
        in clv.doubly_robust(data.assign(margin=g.normal(size=len(data))), covariates=["x0", "x1"]).text
    )


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
    late = data.assign(counted_from=pd.Timestamp("2024-06-01"))
    assert "had to last" in clv.selection_checks(late).text
    other = data.assign(start=np.where(data["arm"] == "control", pd.Timestamp("2024-01-01"), data["start"]))
    assert "not counted from the same days" in clv.selection_checks(other).text


def chosen_by(rule, seed):
    """Three windows alike; the best fifth by the last one, by both or by what they lastingly are; no effect."""
    g = np.random.default_rng(seed)
    lasting = g.normal(size=400)
    windows = 1000 + 200 * (lasting[:, None] + g.normal(size=(400, 3)))
    score = {"last": windows[:, 1], "both": windows[:, 0] + windows[:, 1], "lasting": lasting}[rule]
    data = pd.DataFrame(windows, columns=["earlier", "margin_pre", "margin"]).assign(
        account_id=np.arange(400).astype(str), start=pd.Timestamp("2025-01-01"),
        arm=np.where(score > np.quantile(score, 0.8), "treatment", "control"),
    )  # fmt: skip
    means = data.groupby("arm")[["margin_pre", "margin"]].mean().diff(axis=1)["margin"]
    row = clv.selection_checks(data, earlier="earlier").table.set_index("check").loc["regression to the mean"]
    return row, float(means["treatment"] - means["control"])


def test_a_fall_is_told_from_lasting_quality():
    rows = {rule: [chosen_by(rule, seed) for seed in range(40)] for rule in ("last", "both", "lasting")}
    assert all(row["verdict"] == "broken" for row, _ in rows["last"])
    bias, fall = np.mean([[row["bias"], fall] for row, fall in rows["last"]], axis=0)
    assert bias == pytest.approx(fall, rel=0.12)
    # The best for good do not fall back: no alarm, but for chance.
    assert np.mean([row["verdict"] == "broken" for row, _ in rows["lasting"]]) <= 0.15
    assert abs(np.mean([fall for _, fall in rows["lasting"]])) < 15
    # Whether both windows chose them or what they are cannot be told: the most that luck can have made is said.
    said = [float(row["says"].partition("up to ")[2].split()[0]) for row, _ in rows["both"] if row["verdict"] == "mind"]
    assert len(said) > 30
    assert np.mean(said) == pytest.approx(-np.mean([fall for _, fall in rows["both"]]), rel=0.15)


def test_nothing_is_named_where_chance_decided():
    rng = np.random.default_rng(4)
    data = pd.DataFrame(1000 + 300 * rng.normal(size=(300, 3)), columns=["earlier", "margin_pre", "margin"])
    data = data.assign(account_id=np.arange(300).astype(str), arm=np.where(np.arange(300) % 2, "treatment", "control"),
                       start=pd.Timestamp("2025-01-01"))  # fmt: skip
    found = clv.selection_checks(data, earlier="earlier")
    assert (found.table["verdict"] == "fine").all()


def test_what_cannot_vary_is_no_evidence():
    same = panel(1).assign(margin=5.0)
    single = chosen(1).assign(margin=5.0)
    for found in (
        clv.difference_in_differences(same, start=START),
        clv.synthetic_difference_in_differences(same, start=START, placebos=20),
        clv.doubly_robust(single, covariates=["x0"]),
        clv.matched_comparison(single, covariates=["x0"]),
    ):
        assert found.flagged
        assert "there is nothing to compare" in found.text
        assert "inf" not in found.text
    data = panel(1)
    still = data.assign(margin=data["margin"].where(data["treated"], 0.0))
    found = clv.synthetic_difference_in_differences(still, start=START, placebos=20)
    assert found.flagged
    assert "did not change at all" in found.text
    assert found.table["lower"].isna().all()


def test_a_placebo_that_is_known_for_some_is_tested_on_these():
    data = chosen(1)
    some = data.assign(margin_pre=data["margin_pre"].where(data.index > 60))
    found = clv.matched_comparison(some, covariates=["x0", "x1"], placebo="margin_pre").checks.set_index("check")
    assert found.loc["placebo", "verdict"] == "fine"
    none = data.assign(margin_pre=data["margin_pre"].where(data.index < 2))
    found = clv.matched_comparison(none, covariates=["x0", "x1"], placebo="margin_pre").checks.set_index("check")
    assert "was not tested" in found.loc["placebo", "says"]


def test_the_bend_that_is_said_is_the_one_that_brings_nought_in():
    found = clv.difference_in_differences(panel(3, effect=4.0), start=START)
    said = float(found.text.partition("by up to ")[2].split()[0])
    ends = found.sensitivity.set_index("bend")["lower"]
    exact = ends[0.0] / (ends[0.0] - ends[1.0])  # the ends are straight lines in the bend
    assert said == pytest.approx(exact, rel=0.05)


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
    with pytest.raises(DataError, match="does not hold numbers"):
        clv.difference_in_differences(data.assign(margin="much"), start=START)
    with pytest.raises(DataError, match=r"row 3.*is infinite"):
        clv.difference_in_differences(data.assign(margin=data["margin"].where(data.index != 2, np.inf)), start=START)
    with pytest.raises(DataError, match=r"account_id.*row 1.*is empty"):
        clv.difference_in_differences(data.assign(account_id=data["account_id"].mask(data.index == 0)), start=START)
    with pytest.raises(DataError, match="treated in some periods"):
        clv.difference_in_differences(data.assign(treated=data["treated"] & (data["period"] >= START)), start=START)
    with pytest.raises(SettingsError, match="no standard error"):
        clv.synthetic_difference_in_differences(panel(1, treated=1), start=START, error="jackknife")
    with pytest.raises(SettingsError, match="'boot' is not known"):
        clv.synthetic_difference_in_differences(data, start=START, error="boot")
    with pytest.raises(SettingsError, match="folds = 1"):
        clv.doubly_robust(chosen(1), covariates=["x0"], folds=1)
    with pytest.raises(DataError, match=r"'exactly'.*no such column"):
        clv.matched_comparison(chosen(1), covariates=["x0"], exact=["exactly"])
    dated = chosen(1).assign(start=START, margin_pre=lambda d: d["margin_pre"].where(d["arm"] == "control"))
    with pytest.raises(DataError, match="fewer than two treated accounts"):
        clv.selection_checks(dated)
    for wrong in (
        lambda: clv.difference_in_differences(data, start=START, confidence=95),
        lambda: clv.doubly_robust(chosen(1), covariates=["x0"], confidence=0),
    ):
        with pytest.raises(SettingsError, match="probability between 0 and 1"):
            wrong()
    with pytest.raises(SettingsError, match="no covariates"):
        clv.doubly_robust(chosen(1), covariates=[])
