"""What was known of an account on a date: counted by hand, and blind to the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.abm.propensity.known import decided_deals, known_at
from clv.errors import DataError


def _day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


@pytest.fixture
def tables():
    return {
        "accounts": pd.DataFrame(
            {"account_id": ["A", "B"], "name": ["a", "b"], "industry": ["steel", None], "employees": [10.0, np.nan]}
        ),
        "transactions": pd.DataFrame(
            {
                "account_id": ["A", "A", "A", "B"],
                "date": [_day("2024-01-10"), _day("2024-02-10"), _day("2024-03-01"), _day("2024-05-01")],
                "amount": [100.0, 50.0, 7.0, 9.0],
            }
        ),
        "opportunities": pd.DataFrame(
            {
                "opportunity_id": ["1", "2", "3"],
                "account_id": ["A", "A", "B"],
                "created": [_day("2023-12-01"), _day("2024-03-01"), _day("2024-01-01")],
                "closed": [_day("2024-01-05"), _day("2024-06-01"), pd.NaT],
                "outcome": ["won", "lost", "open"],
            }
        ),
        "touches": pd.DataFrame(
            {
                "account_id": ["A", "A"],
                "date": [_day("2023-06-01"), _day("2024-02-20")],
                "inbound": pd.array([True, None], dtype="boolean"),
                "sentiment": [0.5, -0.1],
            }
        ),
    }


def test_counts_by_hand(tables):
    points = pd.DataFrame({"account_id": ["A", "B"], "date": [_day("2024-03-01")] * 2}, index=["x", "y"])
    known = known_at(points, **tables)
    assert list(known.index) == ["x", "y"]
    a, b = known.loc["x"], known.loc["y"]
    assert (a["purchases_before"], a["days_since_purchase"], a["spent_before"]) == (2, 20, 150)
    assert (a["deals_before"], a["won_before"], a["lost_before"]) == (1, 1, 0)
    assert (a["touches_recent"], a["touches_before"], a["inbound_share"]) == (1, 2, 1.0)
    assert a["sentiment"] == pytest.approx(0.2)
    assert (b["purchases_before"], b["deals_before"], b["touches_before"]) == (0, 1, 0)
    assert np.isnan(b["days_since_purchase"])
    assert np.isnan(b["sentiment"])
    assert "name" not in known.columns


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_future_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    ids = np.array(["A", "B", "C"])

    def log(n: int) -> pd.DataFrame:
        days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
        return pd.DataFrame({"account_id": rng.choice(ids, n), "date": days, "amount": rng.random(n)})

    bought, points = log(40), log(5)[["account_id", "date"]]
    whole = known_at(points, transactions=bought)
    for at, point in points.iterrows():
        past = bought[bought["date"] < point["date"]]
        alone = known_at(points.loc[[at]], transactions=past)
        pd.testing.assert_frame_equal(whole.loc[[at]], alone)
        own = past[past["account_id"] == point["account_id"]]
        assert whole.loc[at, "purchases_before"] == len(own)
        assert whole.loc[at, "spent_before"] == pytest.approx(own["amount"].sum())


def test_an_outcome_counts_once_it_is_known(tables):
    deals = decided_deals(tables["opportunities"], as_of=_day("2024-05-31"))
    assert list(deals["opportunity_id"]) == ["1"]
    assert list(decided_deals(tables["opportunities"], as_of=_day("2024-06-01"))["won"]) == [True, False]
    # The last day counts as a whole, whatever the hour.
    afternoon = tables["opportunities"].assign(closed=lambda t: t["closed"] + pd.Timedelta(hours=15))
    assert list(decided_deals(afternoon, as_of=_day("2024-06-01"))["won"]) == [True, False]
    assert list(decided_deals(afternoon, as_of=_day("2024-05-31"))["opportunity_id"]) == ["1"]


def test_unknown_and_doubled_accounts_are_named(tables):
    points = pd.DataFrame({"account_id": ["A", "Z"], "date": [_day("2024-03-01")] * 2})
    with pytest.raises(DataError, match=r"'accounts'.*'Z' is not in the table \(1 such\)"):
        known_at(points, accounts=tables["accounts"])
    twice = pd.concat([tables["accounts"]] * 2)
    with pytest.raises(DataError, match="row 3: account 'A' is there twice"):
        known_at(points.head(1), accounts=twice)
    with pytest.raises(DataError, match="column 'outcome': the column is missing"):
        decided_deals(tables["opportunities"].drop(columns="outcome"), as_of=_day("2024-06-01"))
