"""RFM scores: equal accounts are equal, frozen cuts stay frozen, nothing is lost."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import clv
from clv.churn.purchases import month_ends, purchases_until, snapshots
from clv.churn.rfm_cuts import RFMCuts
from clv.churn.rfm_segments import SEGMENT_CODES, SEGMENTS
from clv.errors import DataError, SettingsError, UnitError

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


def lines(accounts: int = 120, seed: int = 3, days: int = 700) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    n = g.geometric(0.12, accounts)
    frame = pd.DataFrame(
        {
            "account_id": np.repeat([f"A{i:03d}" for i in range(accounts)], n),
            "date": pd.Timestamp("2023-01-01") + pd.to_timedelta(g.integers(0, days, n.sum()), unit="D"),
            "amount": g.gamma(2, 60, n.sum()).round(2)
            * np.where((g.random(n.sum()) < 0.05) & (np.repeat(n, n) > 4), -1, 1),
        }
    )
    return frame.sample(frac=1, random_state=np.random.default_rng(seed)).reset_index(drop=True)


values = st.lists(
    st.tuples(st.integers(0, 900), st.integers(1, 60), st.integers(0, 100_000)), min_size=1, max_size=80
).map(lambda rows: pd.DataFrame(rows, columns=["recency", "frequency", "monetary"]))


@QUICK
@given(values)
def test_equal_accounts_have_equal_scores_and_better_ones_no_worse(frame):
    R, F, M = RFMCuts.quintiles(frame).score(frame["recency"], frame["frequency"], frame["monetary"])
    for value, score, sign in ((frame["recency"], R, -1), (frame["frequency"], F, 1), (frame["monetary"], M, 1)):
        assert set(score) <= {1, 2, 3, 4, 5}
        assert pd.Series(score).groupby(value.to_numpy()).nunique().max() == 1
        assert (np.diff(score[np.argsort(sign * value.to_numpy(), kind="stable")]) >= 0).all()


@QUICK
@given(values, st.integers(1, 400))
def test_days_without_a_purchase_never_raise_a_frozen_score(frame, later):
    cuts = RFMCuts.quintiles(frame)
    before = cuts.score(frame["recency"], frame["frequency"], frame["monetary"])
    after = cuts.score(frame["recency"] + later, frame["frequency"], frame["monetary"])
    assert (after[0] <= before[0]).all()
    assert (after[1:] == before[1:]).all()


@pytest.mark.parametrize("grain", ["D", "W", "M"])
def test_a_day_later_nobody_moves_up(grain):
    known = lines()
    start = clv.rfm_scores(known, as_of="2024-06-27", grain=grain)
    old = known[known["date"] <= "2024-06-27"]
    before = start.table
    for day in pd.date_range("2024-06-28", "2024-07-12"):
        after = clv.rfm_scores(old, as_of=day, cuts=start.cuts, grain=grain).table
        assert (after["R"] <= before["R"]).all()
        assert (after[["F", "M"]] == before[["F", "M"]]).all(axis=None)
        before = after


def test_quintiles_of_distinct_values_hold_a_fifth_each():
    n = 50
    frame = pd.DataFrame({"recency": np.arange(n), "frequency": np.arange(n), "monetary": np.arange(n)})
    for score in RFMCuts.quintiles(frame).score(frame["recency"], frame["frequency"], frame["monetary"]):
        assert np.bincount(score)[1:].tolist() == [10] * 5


def test_scores_follow_the_cuts_at_their_edges():
    cuts = RFMCuts(recency=(30, 60, 90, 180), frequency=(1, 2, 4, 8), monetary=(10, 10, 50, 100))
    R, F, M = cuts.score([0, 30, 31, 180, 181], [1, 2, 3, 8, 9], [-5, 10, 10.01, 100, 100.01])
    assert R.tolist() == [5, 5, 4, 2, 1]
    assert F.tolist() == [1, 2, 3, 4, 5]
    assert M.tolist() == [1, 1, 3, 4, 5]


@pytest.mark.parametrize("grain", ["D", "W", "M"])
def test_transactions_and_their_summary_agree(grain):
    known = lines()
    a = clv.rfm_scores(known, as_of="2024-06-18", grain=grain)
    b = clv.rfm_scores(clv.summarise(known, as_of="2024-06-18", grain=grain))
    pd.testing.assert_frame_equal(
        a.table[["recency", "frequency", "R", "F"]], b.table[["recency", "frequency", "R", "F"]]
    )
    assert (a.cuts.money, b.cuts.money) == ("total", "repeat")
    until = known[known["date"] <= "2024-06-18"]
    money = until.groupby("account_id")["amount"].sum().reindex(a.table.index)
    assert a.table["monetary"].to_numpy() == pytest.approx(money.to_numpy(), abs=1e-6)


def test_every_account_is_in_the_segment_of_its_code():
    found = clv.rfm_scores(lines())
    of_code = {code: name for name, codes in SEGMENT_CODES.items() for code in codes}
    assert (found.table["rfm"].map(of_code) == found.table["segment"]).all()
    assert list(found.by_segment.index) == list(SEGMENTS)
    assert found.by_segment["accounts"].sum() == len(found.table)
    assert found.by_segment["money"].sum() == pytest.approx(found.table["monetary"].sum())
    assert found.plot().get_title().startswith("RFM segments of")


def test_what_is_left_out_is_named_and_counted():
    known = lines()
    extra = pd.DataFrame(
        {
            "account_id": ["late", "late", "A000", "refund"],
            "date": pd.to_datetime(["2026-01-01", "2026-02-01", "2026-01-01", "2023-05-05"]),
            "amount": [10.0, 20.0, 5.0, -7.0],
        }
    )
    both = pd.concat([known, extra])
    found = clv.rfm_scores(both, as_of="2025-01-31", accounts=["A000", "never", "late"])
    assert found.left_out.to_dict("records") == [
        {"account_id": "late", "reason": "first bought after 2025-01-31", "rows": 2},
        {"account_id": "A000", "reason": "lines after 2025-01-31", "rows": 1},
        {"account_id": "refund", "reason": "no purchase, credits only", "rows": 1},
        {"account_id": "never", "reason": "never bought", "rows": 0},
    ]
    assert "first bought after 2025-01-31 (2 rows of 1 account)" in found.text
    scored, out = set(found.table.index), set(found.left_out["account_id"])
    assert scored | out == set(both["account_id"]) | {"never"}
    pd.testing.assert_frame_equal(found.table, clv.rfm_scores(known, as_of="2025-01-31").table)


def test_the_order_of_rows_does_not_matter():
    known = lines()
    turned = known.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(clv.rfm_scores(known).table, clv.rfm_scores(turned).table)


def test_cuts_survive_json(tmp_path):
    cuts = clv.rfm_scores(lines()).cuts
    assert RFMCuts.load(cuts.save(tmp_path / "cuts.json")) == cuts
    assert json.loads((tmp_path / "cuts.json").read_text())["recency"] == list(cuts.recency)
    assert clv.rfm_scores(lines(), cuts=cuts.to_dict()).cuts == cuts


def test_fixed_cuts_as_a_mapping():
    cuts = {"recency": (30, 90, 180, 365), "frequency": (1, 3, 6, 12), "monetary": (100, 500, 1000, 5000)}
    found = clv.rfm_scores(lines(), cuts=cuts)
    assert found.cuts.kind == "fixed"
    assert ((found.table["R"] == 5) == (found.table["recency"] <= 30)).all()
    assert "by fixed cuts" in found.text


@pytest.mark.parametrize(
    "cuts",
    [
        "deciles",
        {"recency": (1, 2, 3, 4)},
        {"recency": (4, 3, 2, 1), "frequency": (1, 2, 3, 4), "monetary": (1, 2, 3, 4)},
        {"recency": (1, 2, 3), "frequency": (1, 2, 3, 4), "monetary": (1, 2, 3, 4)},
        {"recency": (1, 2, 3, float("nan")), "frequency": (1, 2, 3, 4), "monetary": (1, 2, 3, 4)},
        {"recency": (1, 2, 3, 4), "frequency": (1, 2, 3, 4), "monetary": (1, 2, 3, 4), "recencies": 1},
    ],
)
def test_impossible_cuts(cuts):
    with pytest.raises(SettingsError, match="cuts"):
        clv.rfm_scores(lines(), cuts=cuts)


def test_cuts_for_another_measure_are_refused():
    known = lines()
    with pytest.raises(SettingsError, match=r"cuts\.money"):
        clv.rfm_scores(clv.summarise(known), cuts=clv.rfm_scores(known).cuts)
    with pytest.raises(SettingsError, match=r"cuts\.grain"):
        clv.rfm_scores(known, cuts=clv.rfm_scores(known, grain="M").cuts)


def test_bad_tables():
    known = lines()
    with pytest.raises(DataError, match="no purchase lies on or before 2020-01-01"):
        clv.rfm_scores(known, as_of="2020-01-01")
    with pytest.raises(SettingsError, match="as_of"):
        clv.rfm_scores(clv.summarise(known), as_of="2024-01-01")
    bad = clv.summarise(known)
    bad.loc[bad.index[4], "recency"] = bad["T"].iloc[4] + 1
    with pytest.raises(DataError, match=f"column 'T', row 5.*{bad.index[4]}"):
        clv.rfm_scores(bad)
    bare = clv.summarise(known)
    bare.attrs = {}
    with pytest.raises(UnitError):
        clv.rfm_scores(bare)


@pytest.mark.parametrize("grain", ["D", "W", "M"])
def test_looking_back_equals_looking_then(grain):
    """A date in the past is seen as it was seen on that date, whatever came later."""
    known = lines()
    whole = purchases_until(known, as_of="2024-11-17", grain=grain)
    dates = [*month_ends(pd.Timestamp("2022-11-01"), whole.as_of), pd.Timestamp("2024-11-13"), whole.as_of]
    for date, view in zip(dates, snapshots(known, dates, whole), strict=True):
        try:
            then = clv.summarise(known, as_of=date, grain=grain, unit="D")
        except DataError:
            assert (view.silent == -1).all()
            continue
        there = view.purchases > 0
        assert whole.accounts[there].tolist() == then.index.tolist()
        assert (view.purchases[there] - 1).tolist() == then["frequency"].tolist()
        assert view.silent[there].tolist() == (then["T"] - then["recency"]).tolist()
        money = known[known["date"] <= date].groupby("account_id")["amount"].sum().reindex(then.index)
        assert view.money[there] / 1e6 == pytest.approx(money.to_numpy(), abs=1e-6)


@pytest.mark.parametrize("dtype", ["category", "object", "string"])
def test_ids_of_any_text_type(dtype):
    known = lines()
    same = clv.rfm_scores(known.astype({"account_id": dtype}), as_of="2024-06-18")
    there = clv.rfm_scores(known, as_of="2024-06-18")
    pd.testing.assert_frame_equal(same.table, there.table)
    assert same.left_out.to_dict("records") == there.left_out.to_dict("records")


def test_one_account_and_a_book_without_money():
    one = pd.DataFrame({"account_id": ["a"], "date": [pd.Timestamp("2024-01-31")], "amount": [0.0]})
    found = clv.rfm_scores(one)
    assert found.table["rfm"].tolist() == ["511"]
    assert found.text == "1 account scored as of 2024-01-31 by quintiles of 2024-01-31: New 1."
    assert found.plot() is not None


@pytest.mark.parametrize("accounts", ["abc", pd.DataFrame({"id": ["a"]})])
def test_lists_of_accounts_that_are_none(accounts):
    with pytest.raises(DataError, match="table 'accounts'"):
        clv.rfm_scores(lines(), accounts=accounts)


def test_what_is_no_table():
    with pytest.raises(DataError, match="it is a list"):
        clv.rfm_scores([1])
