"""Compression keeps every account: equal histories become one, with the right weight."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.value.estimation.checks import History
from clv.value.estimation.patterns import compress, find_grid, pack, systematic


def counted(history: History, weight=None) -> pd.Series:
    """The slow, obvious way."""
    frame = pd.DataFrame(dict(zip(("x", "t", "T"), history, strict=True)))
    frame["w"] = 1.0 if weight is None else weight
    return frame.groupby(["x", "t", "T"])["w"].sum().sort_index()


def same(history: History, weight=None) -> None:
    patterns = compress(history, weight=weight)
    got = counted(History(patterns.frequency, patterns.recency, patterns.T), patterns.weight)
    want = counted(history, weight)
    if weight is not None:
        want = want[want > 0]
    assert (np.diff(patterns.frequency) >= 0).all()
    assert len(got) == len(want)
    np.testing.assert_allclose(np.array(got.index.tolist()), np.array(want.index.tolist()), rtol=1e-12)
    np.testing.assert_allclose(got.to_numpy(), want.to_numpy(), rtol=1e-12)


def random_history(seed: int, n: int, divisor: float, most: int = 5) -> History:
    g = np.random.default_rng(seed)
    T = g.integers(0, 40, n)
    x = g.integers(0, most, n).astype(float)
    return History(x, np.where(x > 0, g.integers(0, T + 1), 0) / divisor, T / divisor)


@pytest.mark.parametrize("divisor", [1.0, 7.0, 365.25 / 12, 365.25, 10.0, 100.0, np.pi])
def test_equal_to_grouping(divisor):
    same(random_history(1, 3000, divisor))


@pytest.mark.parametrize("divisor", [7.0, np.pi])
def test_weights_are_summed_and_zeros_dropped(divisor):
    history = random_history(2, 800, divisor)
    weight = np.random.default_rng(3).choice([0.0, 0.5, 2.0], 800)
    same(history, weight)


def test_real_times_stay_as_they_are():
    g = np.random.default_rng(4)
    T = g.uniform(1, 100, 500)
    history = History(g.integers(0, 4, 500).astype(float), T * 0.5, T)
    patterns = compress(history)
    assert len(patterns) == 500
    assert patterns.weight.sum() == 500
    assert sorted(patterns.T) == sorted(T)


def test_values_off_the_grid_beyond_the_first_ones_are_noticed():
    T = np.append(np.tile(np.arange(1.0, 9.0), 200), 3.4567891)
    history = History(np.ones_like(T), T / 2, T)
    assert pack(history, steps=1.0) is None
    same(History(np.ones_like(T), np.floor(T), T))


def test_large_frequencies_and_times_still_pack():
    history = History(np.array([5000.0, 5000.0, 0.0]), np.array([9999.0, 9999.0, 0.0]), np.array([10_000.0] * 3))
    patterns = compress(history)
    assert patterns.frequency.tolist() == [0.0, 5000.0]
    assert patterns.weight.tolist() == [1.0, 2.0]


def test_numbers_too_large_to_pack_are_grouped_all_the_same():
    T = np.tile([1e9, 2e9], 500)
    same(History(np.tile([1e5, 3.0, 0.0, 2.0], 250), np.tile([1e8, 7.0, 0.0, 5.0], 250), T))


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([1.0, 7.0, 100.0, 3.3]))
def test_any_small_book(seed, n, divisor):
    same(random_history(seed, n, divisor, most=3))


def test_order_of_rows_does_not_matter():
    history = random_history(5, 1000, 7.0)
    order = np.random.default_rng(6).permutation(1000)
    one, two = compress(history), compress(History(*(column[order] for column in history)))
    for name in ("frequency", "recency", "T", "weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_find_grid_prefers_whole_units():
    assert find_grid(np.array([1.0, 2.0])) == 1.0
    assert find_grid(np.array([1 / 7, 2.0])) == 7.0
    assert find_grid(np.array([12 / 365.25, 700 / 365.25])) == 365.25
    assert find_grid(np.array([12 * 12 / 365.25, 5 * 12 / 365.25])) == 365.25 / 12
    assert find_grid(np.array([38.86, 30.43])) == 100.0
    assert find_grid(np.array([np.pi])) is None


@pytest.mark.parametrize("rows", [1, 7, 400, 3_000])
def test_a_systematic_sample_keeps_every_share(rows):
    """The sum of weights is kept, and up to any pattern the sample is off by one of its steps at most."""
    weight = np.random.default_rng(4).pareto(1.2, 500) + 0.1
    part, count = systematic(weight, rows)
    assert (np.diff(part) > 0).all()
    assert count.sum() == pytest.approx(weight.sum(), rel=1e-12)
    taken = np.zeros(500)
    taken[part] = count
    assert np.abs(np.cumsum(taken) - np.cumsum(weight)).max() <= weight.sum() / rows
