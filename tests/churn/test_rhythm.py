from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution

import clv
from clv.churn import churn_stages
from clv.data.settings import StageRules
from clv.errors import DataError, SettingsError
from clv.value import BetaGeoModel


def lines(days_of, start="2020-01-01"):
    """One purchase a day listed, by account."""
    accounts = np.repeat(np.array(list(days_of), dtype=object), [len(days) for days in days_of.values()])
    days = np.concatenate([np.asarray(days, dtype="int64") for days in days_of.values()])
    dates = pd.Timestamp(start) + pd.to_timedelta(days, unit="D")
    return pd.DataFrame({"account_id": accounts, "date": dates, "amount": 10.0})


def drawn(accounts, *, k, seed, turn=None, factor=1.0, span=1_095.0):
    """Accounts with rates of their own and Erlang-like waits; waits after day `turn` are `factor` times as long."""
    rng = np.random.default_rng(seed)
    days = {}
    for number in range(accounts):
        mean = 1 / (rng.gamma(2.0, 1 / 100) + 0.004)
        wait = rng.gamma(k, mean / k, 400)
        when = np.cumsum(wait)
        if turn is not None:
            when = np.where(when > turn, turn + (when - turn) * factor, when)
        end = rng.uniform(span / 3, span) if turn is None else span
        days[f"A{number:05d}"] = np.unique(np.floor(np.append(0.0, when[when < end])) + rng.integers(0, 20))
    return lines(days)


def test_equals_the_f_test_of_two_exponential_means():
    table = clv.rhythm_change(lines({"a": [0, 7, 14, 20, 28, 35, 49, 70, 99]}), regularity=1.0).table
    row = table.loc["a"]
    # eight intervals, the last three of them lately: 64 days; the five before: 35.
    assert (row["intervals"], row["recent"]) == (8, 3)
    assert row["earlier_interval"] == pytest.approx(35 / 5 / 7)
    assert row["recent_interval"] == pytest.approx(64 / 3 / 7)
    assert row["p_value"] == pytest.approx(f_distribution.sf((64 / 3) / (35 / 5), 6, 10))


@pytest.fixture(scope="module")
def slowing():
    """A book in which intervals became three times as long a year ago, with its summary and a model."""
    table = drawn(1_000, k=1.0, seed=8, turn=730.0, factor=3.0)
    summary = clv.summarise(table)
    return table, summary, BetaGeoModel(prior="weak").fit(summary)


@pytest.mark.parametrize(("x", "recent"), [(4, 2), (9, 3), (16, 4), (25, 5), (36, 6), (400, 6)])
def test_how_many_intervals_count_as_lately_hangs_on_their_number_alone(x, recent):
    assert clv.rhythm_change(lines({"a": np.arange(x + 1) * 3})).table["recent"].item() == recent


def test_too_few_intervals_are_not_judged():
    found = clv.rhythm_change(lines({"one": [0], "three": [0, 1, 2, 300], "four": [0, 1, 2, 150, 300]}))
    assert found.table["p_value"].isna().to_dict() == {"four": False, "one": True, "three": True}
    assert not found.table.loc[["one", "three"], "slowed"].any()
    assert found.table.loc["four", "slowed"]


@pytest.mark.parametrize("k", [1.0, 3.0])
def test_one_in_twenty_unchanged_accounts_seems_to_have_slowed(k):
    found = clv.rhythm_change(drawn(3_000, k=k, seed=int(k)))
    tested = found.table.dropna()
    assert len(tested) > 2_000
    assert found.regularity == pytest.approx(k, rel=0.15)
    n = len(tested)
    assert abs(tested["slowed"].sum() - 0.05 * n) < 3 * np.sqrt(0.05 * 0.95 * n) + 0.01 * n
    for few in (tested["intervals"] <= 6, tested["intervals"].between(7, 15), tested["intervals"] > 15):
        assert 0.02 < tested.loc[few, "slowed"].mean() < 0.08
    # exact throughout, not at one level only
    for level in (0.01, 0.2, 0.5):
        assert (tested["p_value"] < level).mean() == pytest.approx(level, abs=0.035)


def test_bursts_do_not_set_off_twice_the_alarms():
    """Waits more uneven than a Poisson process's: whole days hide the shortest, so that the level is not exact."""
    table = drawn(2_500, k=0.6, seed=4)
    tested = clv.rhythm_change(table).table.dropna()
    assert tested["slowed"].mean() < 0.10
    assert clv.rhythm_change(table, regularity=1.0).table.dropna()["slowed"].mean() > tested["slowed"].mean()


def test_slowing_is_found_before_silence_shows_it(slowing):
    table, summary, model = slowing
    with_rhythm = churn_stages(model, summary, 52, transactions=table, sentences=False)
    without = churn_stages(model, summary, 52, sentences=False).table
    tested = with_rhythm.table[with_rhythm.table["rhythm_p_value"].notna()]
    assert tested["slowed"].mean() > 0.3  # six times what chance would flag
    early = (without.loc[tested.index, "stage"] == "steady") & tested["slowed"]
    assert early.sum() > 50
    assert (with_rhythm.table.loc[early[early].index, "stage"] == "slowing").all()


def test_rhythm_moves_an_account_one_stage_and_at_most_to_overdue(slowing):
    table, summary, model = slowing
    found = churn_stages(model, summary, 52, transactions=table, sentences=False)
    plain = churn_stages(model, summary, 52, sentences=False).table["stage"]
    slowed = found.table["slowed"]
    pd.testing.assert_series_equal(found.table.loc[~slowed, "stage"], plain[~slowed])
    moves = pd.crosstab(plain[slowed], found.table.loc[slowed, "stage"])
    assert {(a, b) for a in moves.index for b in moves.columns if moves.loc[a, b]} <= {
        ("steady", "slowing"), ("slowing", "overdue"), ("overdue", "overdue"), ("at risk", "at risk"),
        ("lapsed", "lapsed"), ("lost", "lost"),
    }  # fmt: skip
    moved = int((plain != found.table["stage"]).sum())
    assert moved > 0
    assert f"that alone moved {moved:,} of them one stage down" in found.text
    off = churn_stages(model, summary, 52, transactions=table, rules=StageRules(rhythm=0), sentences=False).table
    pd.testing.assert_series_equal(off["stage"], plain)


def test_silence_since_the_last_purchase_does_not_change_the_test():
    table = drawn(100, k=1.0, seed=5)
    end = table["date"].max()
    now, later = (clv.rhythm_change(table, as_of=end + pd.Timedelta(days=days)).table for days in (0, 500))
    pd.testing.assert_frame_equal(now, later)


def test_sentence_says_what_has_changed():
    days = {"a": [0, 21, 42, 63, 84, 105, 126, 168, 210, 252]} | {f"b{n}": np.arange(0, 252, 21) for n in range(30)}
    table = lines(days)
    summary = clv.summarise(table)
    model = BetaGeoModel(prior="weak").fit(summary)
    said = churn_stages(model, summary, 52, transactions=table).table["sentence"]
    assert "; was every 3 weeks, now every 6; ordered on the closing day" in said["a"]
    assert "was every" not in said["b1"]
    monthly = churn_stages(
        BetaGeoModel(prior="weak").fit(clv.summarise(table, unit="Y")), clv.summarise(table, unit="Y"), 1,
        transactions=table,
    )  # fmt: skip
    assert "was every 21 days, now every 42;" in monthly.table["sentence"]["a"]


def test_text_says_how_many_chance_alone_would_flag():
    found = clv.rhythm_change(drawn(200, k=1.0, seed=6))
    tested = int(found.table["p_value"].notna().sum())
    assert f"of {tested} accounts with at least 4 intervals" in found.text
    assert f"some {0.05 * tested:.0f} would seem to" in found.text
    assert "no account has the 4 intervals" in clv.rhythm_change(lines({"a": [0, 9]})).text


def test_order_of_rows_does_not_matter_and_lines_of_a_day_are_one_purchase():
    table = drawn(60, k=1.0, seed=3)
    twice = pd.concat([table, table]).sample(frac=1, random_state=1)
    found, again = clv.rhythm_change(table), clv.rhythm_change(twice)
    pd.testing.assert_frame_equal(found.table, again.table)
    assert found.regularity == again.regularity


def test_transactions_that_are_not_those_of_the_summary_are_an_error():
    table = drawn(60, k=1.0, seed=3)
    summary = clv.summarise(table)
    model = BetaGeoModel(prior="weak").fit(summary)
    with pytest.raises(DataError, match=r"'A000\d\d' .*accounts differ"):
        churn_stages(model, summary, 52, transactions=table[table["date"] < "2020-09-01"])
    with pytest.raises(DataError, match=r"A00059.*is not"):
        churn_stages(model, summary.drop(index="A00059"), 52, transactions=table)
    for wrong in ({"level": 1.0}, {"level": -0.1}, {"regularity": 0}, {"regularity": np.nan}):
        with pytest.raises(SettingsError):
            clv.rhythm_change(table, **wrong)


def test_picture_marks_those_that_have_slowed():
    found = clv.rhythm_change(drawn(300, k=1.0, seed=2, turn=500.0, factor=4.0))
    axes = found.plot()
    slowed = int(found.table["slowed"].sum())
    assert [text.get_text() for text in axes.get_legend().get_texts()][1] == f"slowed ({slowed:,})"
    assert len(axes.lines[1].get_xdata()) == slowed
    clv.rhythm_change(lines({"a": [0, 9]})).plot()
