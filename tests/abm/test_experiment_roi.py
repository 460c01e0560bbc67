"""`incremental_roi`: sums before ratios, Fieller's interval, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.experiments.fieller import fieller
from clv.errors import DataError


def draw(seed=1, n=60, gain=500.0, cost=200.0, arms=("control", "treatment")):
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.arange(n * len(arms)) % len(arms))
    own = rng.normal(size=len(arm))
    spent = np.where(arm > 0, cost * np.exp(0.4 * rng.normal(size=len(arm)) - 0.08), 0.0)
    return pd.DataFrame(
        {
            "account_id": [f"A{i:03d}" for i in range(len(arm))],
            "arm": np.array(arms)[arm],
            "tier": np.where(np.arange(len(arm)) % 4 == 0, "1:1", "1:few"),
            "margin_pre": 3000 + 500 * own + 200 * rng.normal(size=len(arm)),
            "margin": 3000 + 500 * own + 200 * rng.normal(size=len(arm)) + gain * (arm > 0),
            "cost": spent,
        }
    )


def test_it_is_the_ratio_of_sums():
    data = draw()
    row = clv.incremental_roi(data, covariates=[]).table.iloc[0]
    treated = data[data["arm"] == "treatment"]
    control = data[data["arm"] == "control"]
    margin = len(treated) * (treated["margin"].mean() - control["margin"].mean())
    assert row["margin"] == pytest.approx(margin)
    assert row["cost"] == pytest.approx(treated["cost"].sum())
    assert row["roi"] == pytest.approx(margin / treated["cost"].sum() - 1)
    assert row["profit"] == pytest.approx(margin - treated["cost"].sum())
    # A mean of ratios would be another number.
    assert abs((margin / len(treated) / treated["cost"]).mean() - 1 - row["roi"]) > 0.1


def test_the_two_intervals_agree_where_the_cost_is_well_known():
    row = clv.incremental_roi(draw(n=150)).table.iloc[0]
    assert row["interval"] == "bounded"
    width = row["upper"] - row["lower"]
    assert abs(row["lower"] - row["lower_bootstrap"]) < 0.12 * width
    assert abs(row["upper"] - row["upper_bootstrap"]) < 0.12 * width
    assert row["p_positive"] > 0.99


def test_groups_sum_to_the_total():
    found = clv.incremental_roi(draw(n=80), by="tier", currency="EUR")
    parts = found.table[found.table["group"] != "all"]
    whole = found.table.set_index("group").loc["all"]
    for name in ("margin", "cost", "profit", "accounts"):
        assert whole[name] == pytest.approx(parts[name].sum())
    assert whole["margin_se"] == pytest.approx(np.sqrt((parts["margin_se"] ** 2).sum()))
    assert found.text.splitlines()[0].endswith("controls).")
    assert "randomised" in found.text
    found.plot()


def test_arms_that_share_controls_err_together():
    table = clv.incremental_roi(draw(arms=("control", "a", "b"), n=50)).table
    parts, whole = table.iloc[:2], table.iloc[2]
    assert whole["margin_se"] > 1.1 * np.sqrt((parts["margin_se"] ** 2).sum())
    spread = (whole["upper"] - whole["lower"]) / (whole["upper_bootstrap"] - whole["lower_bootstrap"])
    assert spread == pytest.approx(1, abs=0.2)


def test_blocks_are_respected():
    data = draw(n=60)
    data = data.sort_values("margin_pre").reset_index(drop=True)
    rng = np.random.default_rng(0)
    data["arm"] = np.concatenate([rng.permutation(["treatment", "control"]) for _ in range(60)])
    data["cost"] = np.where(data["arm"] == "treatment", 200.0, 0.0)
    data["pair"] = np.arange(120) // 2
    paired = clv.incremental_roi(data, block="pair", covariates=[]).table.iloc[0]
    plain = clv.incremental_roi(data, covariates=[]).table.iloc[0]
    assert paired["margin_se"] < 0.8 * plain["margin_se"]
    assert paired["upper_bootstrap"] - paired["lower_bootstrap"] < 0.85 * (
        plain["upper_bootstrap"] - plain["lower_bootstrap"]
    )


@pytest.mark.parametrize(
    ("top", "bottom", "variances", "kind"),
    [(10.0, 5.0, (1.0, 0.25), "bounded"), (10.0, 0.5, (1.0, 1.0), "outside"), (0.1, 0.1, (1.0, 1.0), "unbounded")],
)
def test_fieller_holds_exactly_the_ratios_that_a_t_test_does_not_reject(top, bottom, variances, kind):
    covariance = np.array([[variances[0], 0.1], [0.1, variances[1]]])
    low, high, found = fieller(top, bottom, covariance, 1.96)
    assert found == kind
    for ratio in np.linspace(-60, 60, 2001):
        spread = covariance[0, 0] - 2 * ratio * covariance[0, 1] + ratio**2 * covariance[1, 1]
        accepted = (top - ratio * bottom) ** 2 <= 1.96**2 * spread
        inside = low <= ratio <= high if kind != "outside" else not low < ratio < high
        assert accepted == inside


def test_fieller_covers():
    rng = np.random.default_rng(3)
    covariance = np.array([[4.0, 0.5], [0.5, 0.6]])
    held = 0
    for top, bottom in rng.multivariate_normal([3.0, 2.0], covariance, 4000):
        low, high, kind = fieller(top, bottom, covariance, 1.959964)
        held += kind == "unbounded" or (low <= 1.5 <= high if kind == "bounded" else not low < 1.5 < high)
    assert held / 4000 == pytest.approx(0.95, abs=0.012)


def test_money_spent_on_controls_is_flagged_and_taken_off():
    data = draw()
    control = data.index[data["arm"] == "control"]
    data.loc[control, "cost"] = 50.0
    found = clv.incremental_roi(data)
    assert "in the control arm had money" in found.text
    treated = data[data["arm"] == "treatment"]["cost"]
    assert found.table["cost"].iloc[0] == pytest.approx(treated.sum() - 50 * len(treated))
    dearer = data.assign(cost=np.where(data["arm"] == "control", 900.0, data["cost"]))
    assert "no return to speak of" in clv.incremental_roi(dearer).text


def test_what_is_refused():
    data = draw()
    with pytest.raises(DataError, match="without cost there is no return"):
        clv.incremental_roi(data.drop(columns="cost"))
    missing = data.assign(cost=data["cost"].where(data.index != data.index[data["arm"] == "treatment"][3]))
    with pytest.raises(DataError, match="is empty for 1 treated"):
        clv.incremental_roi(missing)
    with pytest.raises(DataError, match="return on nothing"):
        clv.incremental_roi(data.assign(cost=0.0))
    with pytest.raises(DataError, match="negative"):
        clv.incremental_roi(data.assign(cost=-1.0))
    with pytest.raises(DataError, match="without a control"):
        clv.incremental_roi(data[data["arm"] == "treatment"])
    with pytest.raises(DataError, match="'a' has no treated account"):
        clv.incremental_roi(data.assign(tier=np.where(data["arm"] == "control", "a", "b")).iloc[1:], by="tier")
    empty = clv.incremental_roi(data.assign(cost=data["cost"].where(data["arm"] == "treatment")))
    assert empty.table["cost"].iloc[0] == pytest.approx(data["cost"].sum())


def test_the_same_twice():
    data = draw()
    pd.testing.assert_frame_equal(clv.incremental_roi(data, seed=4).table, clv.incremental_roi(data, seed=4).table)


def responders(seed, n=800, gain=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    z = rng.permutation(np.arange(n) % 2)
    y = x[:, 0] + rng.normal(size=n) + z * gain * (0.5 + x[:, 1])
    return pd.DataFrame({"account_id": np.arange(n).astype(str), "arm": np.where(z, "treatment", "control"),
                         "x0": x[:, 0], "x1": x[:, 1], "x2": x[:, 2], "margin": y})  # fmt: skip


def test_who_gains_is_found_and_only_where_somebody_does():
    found = clv.uplift(responders(1), features=["x0", "x1", "x2"])
    assert found.p_value < 0.001
    assert found.slope == pytest.approx(1, abs=0.25)
    assert found.qini_lower > 0
    assert found.table["effect"].is_monotonic_decreasing
    assert "Accounts differ in what they gain" in found.text
    found.plot()
    same = responders(2)
    same["margin"] = np.random.default_rng(3).normal(size=len(same)) + (same["arm"] == "treatment")
    none = clv.uplift(same, features=["x0", "x1", "x2"])
    assert none.p_value > 0.025
    assert none.text.startswith("Who gains cannot be told")


def test_held_out_groups_are_honest():
    """With thirty features of noise and no effect the top group gains nothing, however well the model fits."""
    gains, alarms = [], 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        data = pd.DataFrame(rng.normal(size=(240, 30)), columns=[f"x{j}" for j in range(30)])
        data["arm"] = np.where(rng.permutation(np.arange(240) % 2), "treatment", "control")
        data["margin"] = np.exp(rng.normal(size=240))
        found = clv.uplift(data, features=[f"x{j}" for j in range(30)], seed=seed)
        gains.append(found.table["effect"].iloc[0])
        alarms += found.p_value < 0.05
    assert abs(np.mean(gains)) < 3 * np.std(gains, ddof=1) / 4
    assert alarms <= 3


def test_uplift_refuses_few_accounts():
    with pytest.raises(DataError, match="cannot be told from luck"):
        clv.uplift(responders(1, n=150), features=["x1"])
