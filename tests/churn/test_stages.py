from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.churn import STAGES, churn_stages
from clv.data.settings import StageRules
from clv.data.tables import RUN_TABLES
from clv.errors import DataError, SettingsError, UnitError


class Says:
    """A model that answers what a test wants."""

    def __init__(self, alive, silence, low=3.2, high=5.1):
        self.alive, self.silence, self.ends = alive, silence, {0.25: low, 0.75: high}

    def probability_alive(self, s):
        return np.broadcast_to(self.alive, len(s))

    def silence_probability(self, s):
        return np.broadcast_to(self.silence, len(s))

    def purchase_interval(self, s, q):
        return np.full(len(s), self.ends[q])

    def expected_purchases(self, s, t):
        return np.full(len(s), 2.0)


def accounts(n=1, frequency=5, recency=20.0, T=31.0, unit="W"):
    frame = pd.DataFrame(
        {"frequency": frequency, "recency": recency, "T": T},
        index=pd.Index([f"A{i}" for i in range(n)], name="account_id"),
    )
    frame.attrs["clv"] = {"unit": unit}
    return frame


@pytest.mark.parametrize(
    ("silence", "alive", "stage"),
    [
        (0.50, 1.0, "steady"),
        (0.49, 1.0, "slowing"),
        (0.20, 1.0, "slowing"),
        (0.19, 1.0, "overdue"),
        (0.09, 1.0, "at risk"),
        (0.049, 1.0, "at risk"),
        (0.0099, 1.0, "at risk"),
        (0.90, 0.50, "steady"),
        (0.90, 0.49, "lapsed"),
        (0.90, 0.099, "lost"),
        (0.009, 0.49, "lapsed"),
        (0.30, 0.10, "lapsed"),
    ],
)
def test_stage_is_the_worse_of_two_scales(silence, alive, stage):
    found = churn_stages(Says(alive, silence), accounts(), 52)
    assert found.table["stage"].tolist() == [stage]


@pytest.mark.parametrize(("silence", "stage"), [(0.06, "at risk"), (0.049, "lapsed"), (0.0099, "lost")])
def test_silence_alone_decides_where_the_model_cannot_tell(silence, stage):
    once = accounts(frequency=0, recency=0.0)
    assert churn_stages(Says(1.0, silence), once, 52).table["stage"].tolist() == [stage]
    assert churn_stages(Says(0.99, silence), once, 52).table["stage"].tolist() == ["at risk"]


def test_thresholds_come_from_the_rules():
    rules = StageRules(silence=(0.9, 0.8, 0.7, 0.6, 0.5), alive=(0.3, 0.2))
    assert churn_stages(Says(0.4, 0.75), accounts(), 52, rules=rules).table["stage"].item() == "overdue"
    assert churn_stages(Says(0.25, 0.75), accounts(), 52, rules=rules).table["stage"].item() == "lapsed"


def test_one_more_day_without_a_purchase_never_moves_an_account_up(model, summary):
    order = {stage: i for i, stage in enumerate(STAGES)}
    rule_order = {"active": 0, "lapsing": 1, "inactive": 2}
    before = churn_stages(model, summary, 52, sentences=False)
    seen = set()
    for _ in range(120):
        later = summary.copy()
        later["T"] += 1 / 7
        later.attrs = summary.attrs
        after = churn_stages(model, later, 52, sentences=False)
        assert (after.table["stage"].map(order) >= before.table["stage"].map(order)).all()
        assert (after.table["rule_stage"].map(rule_order) >= before.table["rule_stage"].map(rule_order)).all()
        seen |= set(after.table["stage"])
        summary, before = later, after
    assert seen == set(STAGES), "the property was not put to the test in every stage"


def test_table_holds_its_schema_and_keeps_the_order_and_ids(model, summary):
    shuffled = summary.sample(frac=1, random_state=np.random.RandomState(3))
    shuffled.attrs = summary.attrs
    found = churn_stages(model, shuffled, 52)
    assert found.table.index.equals(shuffled.index)
    RUN_TABLES["churn_stages"].validate(found.table.reset_index(), lazy=True)
    assert found.by_stage["accounts"].sum() == len(summary)
    assert list(found.by_stage.index) == list(STAGES)
    straight = churn_stages(model, summary, 52)
    pd.testing.assert_frame_equal(found.table.sort_index(), straight.table)


def test_silent_and_usual_interval_are_in_the_unit(model, summary):
    table = churn_stages(model, summary, 52).table
    np.testing.assert_allclose(table["silent"], summary["T"] - summary["recency"])
    np.testing.assert_allclose(table["usual_low"], model.purchase_interval(summary, 0.25))
    assert (table["usual_low"] <= table["usual_high"]).all()


@pytest.mark.parametrize(
    ("frequency", "recency", "T", "stage"),
    [
        (4, 20.0, 25.0, "active"),  # its mean interval is 5
        (4, 20.0, 25.1, "lapsing"),
        (4, 20.0, 20 + 12 * 365.25 / 12 / 7, "lapsing"),
        (4, 20.0, 20.01 + 12 * 365.25 / 12 / 7, "inactive"),
        (0, 0.0, 400 / 7, "inactive"),
    ],
)
def test_rule_of_thumb(frequency, recency, T, stage):
    found = churn_stages(Says(1.0, 1.0), accounts(1, frequency, recency, T), 52)
    assert found.table["rule_stage"].item() == stage


def test_rule_of_thumb_gives_one_time_buyers_the_rhythm_of_the_book():
    frame = accounts(3, [0, 0, 10], [0.0, 0.0, 60.0], [6.0, 6.1, 60.0])
    assert churn_stages(Says(1.0, 1.0), frame, 52).table["rule_stage"].tolist() == ["active", "lapsing", "active"]
    alone = accounts(2, 0, 0.0, [50.0, 60.0])
    assert churn_stages(Says(1.0, 1.0), alone, 52).table["rule_stage"].tolist() == ["active", "inactive"]


@pytest.mark.parametrize(("unit", "T"), [("D", 366.0), ("W", 52.3), ("M", 12.1), ("Y", 1.01)])
def test_inactive_months_are_counted_in_every_unit(unit, T):
    rule = churn_stages(Says(1.0, 1.0), accounts(1, 0, 0.0, T, unit), 1).table["rule_stage"]
    assert rule.item() == "inactive"
    rule = churn_stages(Says(1.0, 1.0), accounts(1, 0, 0.0, T * 0.98, unit), 1).table["rule_stage"]
    assert rule.item() == "active"


def test_value_at_stake_is_counted_by_stage(model, summary):
    value = pd.Series(np.arange(len(summary), dtype=float), index=summary.index)
    found = churn_stages(model, summary, 52, value=value.sample(frac=1, random_state=1), currency="EUR")
    assert found.by_stage["value"].sum() == pytest.approx(value.sum())
    middle = found.by_stage.loc[["slowing", "overdue", "at risk"], "value"].sum()
    assert f"{middle:,.0f} EUR" in found.text
    attention = found.attention
    assert set(attention["stage"]) <= {"overdue", "at risk", "lapsed"}
    assert attention["value"].is_monotonic_decreasing
    assert found.against_rule.to_numpy().sum() == len(summary)


def test_value_must_cover_every_account(model, summary):
    with pytest.raises(DataError, match="A0399"):
        churn_stages(model, summary, 52, value=pd.Series(1.0, index=summary.index[:-1]))


def test_bad_input_is_named(model, summary):
    with pytest.raises(DataError, match="recency"):
        churn_stages(model, summary.drop(columns="recency"), 52)
    with pytest.raises(DataError, match="no account"):
        churn_stages(model, summary.iloc[:0], 52)
    broken = summary.astype(float)
    broken.attrs = summary.attrs
    broken.iloc[2, 2] = np.nan
    with pytest.raises(DataError, match=r"row 3\b"):
        churn_stages(model, broken, 52)
    with pytest.raises(DataError, match="twice"):
        churn_stages(model, summary.rename(index={"A0001": "A0000"}), 52)
    with pytest.raises(DataError, match="A0"):
        churn_stages(Says(1.0, np.nan), accounts(), 52)
    for horizon in (0, -1, np.nan, np.inf, "52"):
        with pytest.raises(SettingsError, match="horizon"):
            churn_stages(model, summary, horizon)
    summary.attrs = {}
    with pytest.raises(UnitError, match="unit"):
        churn_stages(model, summary, 52)


def test_a_hundred_thousand_accounts_take_seconds(model):
    from time import process_time

    n = 100_000
    g = np.random.default_rng(1)
    frame = accounts(n, g.integers(0, 20, n), 20.0, 20 + g.integers(0, 60, n).astype(float))
    start = process_time()
    churn_stages(model, frame, 52)
    assert process_time() - start < 10


def test_picture_is_drawn_on_the_axes_given_and_labelled(model, summary):
    import matplotlib.pyplot as plt

    found = churn_stages(model, summary, 52, value=pd.Series(1.0, index=summary.index))
    _, ax = plt.subplots()
    assert found.plot(ax) is ax
    assert "%" in ax.get_xlabel()
    assert [t.get_text() for t in ax.get_yticklabels()] == list(STAGES)
    widths = [bar.get_width() for bar in ax.containers[0]]
    np.testing.assert_allclose(widths, found.by_stage["share"] * 100)
    assert len(churn_stages(model, summary, 52).plot().containers) == 1
