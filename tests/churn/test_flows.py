"""Flows between stages: every account counted once, at every date."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.churn.flows import NEW, stage_flows
from clv.churn.stages import STAGES
from clv.churn.stays import make_history
from clv.errors import DataError, SettingsError

#: rows: accounts; columns: month-ends; -1: had not bought.
CODES = np.array(
    [
        [0, 0, 0, 0, 0, 0, 3],
        [1, 1, 1, 0, 0, 0, 0],
        [2, 2, 2, 4, 4, 4, 5],
        [-1, -1, -1, 0, 0, 0, 2],
        [-1, -1, -1, -1, -1, 1, 1],
    ],
    dtype=np.int8,
)
ENDS = pd.date_range("2024-01-31", periods=7, freq="ME")


@pytest.fixture
def history():
    return make_history(CODES, pd.Index(list("abcde"), dtype=object), ENDS, STAGES, said="")


def test_flows_by_hand(history):
    flows = stage_flows(history)
    got = {(str(r.from_date.date()), r.before, r.after): r.accounts for r in flows.table.itertuples()}
    assert got == {
        ("2024-01-31", "steady", "steady"): 1,
        ("2024-01-31", "slowing", "steady"): 1,
        ("2024-01-31", "overdue", "lapsed"): 1,
        ("2024-01-31", NEW, "steady"): 1,
        ("2024-04-30", "steady", "steady"): 1,
        ("2024-04-30", "steady", "overdue"): 1,
        ("2024-04-30", "steady", "at risk"): 1,
        ("2024-04-30", "lapsed", "lost"): 1,
        ("2024-04-30", NEW, "slowing"): 1,
    }
    assert list(flows.moved_down.index) == ["a", "d", "c"]  # three steps, two, one
    assert "3 of 4 accounts moved to a worse stage, 0 to a better one, and 1 stayed" in flows.text
    assert "1 bought for the first time" in flows.text


def test_whoever_arrives_leaves_again():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, (200, 13)).astype(np.int8)
    codes[np.arange(13)[None, :] < rng.integers(0, 13, 200)[:, None]] = -1
    ends = pd.date_range("2023-12-31", periods=13, freq="ME")
    history = make_history(codes, pd.Index([f"{i:03d}" for i in range(200)], dtype=object), ends, STAGES, said="")
    table = stage_flows(history).table
    for date in table["to_date"].unique()[:-1]:
        arrived = table[table["to_date"] == date].groupby("after")["accounts"].sum()
        left = table[(table["from_date"] == date) & (table["before"] != NEW)].groupby("before")["accounts"].sum()
        pd.testing.assert_series_equal(arrived, left, check_names=False)
    assert table.loc[table["to_date"] == ends[-1], "accounts"].sum() == 200


def test_too_short_a_history_and_odd_steps_are_named(history):
    with pytest.raises(DataError, match="7 month-ends hold no step of 7 months"):
        stage_flows(history, months=7)
    with pytest.raises(SettingsError, match="dates is 1"):
        stage_flows(history, dates=1)


def test_the_picture_has_a_column_for_each_date(history):
    axes = stage_flows(history).plot()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["31 Jan 2024", "30 Apr 2024", "31 Jul 2024"]
