"""Purchases of living accounts against closed forms in many digits, plain quadrature, and limits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from clv.errors import SettingsError
from clv.value.expectation.living import purchases_while_alive
from clv.value.expectation.surface import evaluate

logs = st.floats(-3, 3)


def one(R, A, a, B, horizon, rate=0.0) -> float:
    return float(purchases_while_alive(np.array([R]), np.array([A]), a, np.array([B]), horizon=horizon, rate=rate)[0])


def closed(R, A, a, B, horizon) -> float:
    """Fader, Hardie & Lee (2005), eq. 10 without its denominator, in as many digits as cancellation takes."""
    with mpmath.workdps(120):
        R, A, a, B, H = (mpmath.mpf(float(value)) for value in (R, A, a, B, horizon))
        a += mpmath.mpf(10) ** -50 if a == 1 else 0  # 0/0 there: its neighbour
        shrunk = (A / (A + H)) ** R * mpmath.hyp2f1(R, B, a + B - 1, H / (A + H))
        return float((a + B - 1) / (a - 1) * (1 - shrunk))


@settings(max_examples=30)
@given(st.tuples(logs, logs, logs, logs), st.sampled_from([0, 1, 3, 30, 300, 5000]), st.floats(0, 4), st.floats(0, 4))
@example((0.05, 1.44, 0.525, -1.67), 300, 1.88, 3.74)  # slowest convergence found
@example((-3.0, -3.0, -3.0, -3.0), 0, 0.0, 4.0)  # a + b < 1 with x = 0
def test_closed_form(powers, x, time, ahead):
    r, alpha, a, b = 10.0 ** np.array(powers)
    R, A, B = r + x, alpha + 10.0**time, b + x
    assert one(R, A, a, B, 10.0**ahead) == pytest.approx(closed(R, A, a, B, 10.0**ahead), rel=1e-9)


@pytest.mark.parametrize("a", [1.0, 1.0 - 1e-12, 1.0 + 1e-9, 1.0 + 1e-4, 0.999, 1.004])
def test_a_near_one_is_no_exception(a):
    """The closed form divides 0 by 0 at a = 1; its neighbours in many digits say what to expect."""
    assert one(2.5, 30.0, a, 4.0, 40.0) == pytest.approx(closed(2.5, 30.0, a, 4.0, 40.0), rel=1e-10)


@pytest.mark.parametrize("rate", [1e-6, 0.0018, 0.5])
@pytest.mark.parametrize(
    ("case", "horizon"),
    [
        ((0.24, 43.0, 0.79, 2.43), 52.0),
        ((26.2, 35.4, 0.79, 28.4), 1000.0),
        ((0.01, 0.5, 0.2, 0.3), 10.0),
        ((5.0, 2.0, 9.0, 4.0), 52.0),
    ],
)
def test_discounting(case, rate, horizon):
    """The purchase rate at s ahead is R/A · 2F1(R+1, a; a+B; -s/A): integrated with the discount, by scipy's quad."""
    R, A, a, B = case

    def flow(s: float) -> float:
        return R / A * float(mpmath.hyp2f1(R + 1, a, a + B, -s / A)) * np.exp(-rate * s)

    points = [p for p in (0.01 / rate, 0.3 / rate, 3 / rate, A / 10, A / (R + 1)) if p < horizon]
    want, error = quad(flow, 0, horizon, points=points or None, limit=200, epsabs=0, epsrel=1e-9)
    assert one(R, A, a, B, horizon, rate) == pytest.approx(want, rel=2e-9, abs=10 * error)


def test_without_end():
    case = (2.2, 40.0, 0.8, 4.4)
    long = one(*case, 1e5, 0.0018)
    assert one(*case, np.inf, 0.0018) == pytest.approx(long, rel=1e-9)
    assert one(2.2, 40.0, 1.8, 4.4, np.inf) == pytest.approx((1.8 + 4.4 - 1) / 0.8, rel=1e-12)
    assert one(2.2, 40.0, 1.8, 4.4, 1e12) == pytest.approx((1.8 + 4.4 - 1) / 0.8, rel=1e-6)
    with pytest.raises(SettingsError, match=r"a = 0\.8"):
        one(*case, np.inf)


def test_rate_of_zero_is_the_limit():
    case = (2.2, 40.0, 0.8, 4.4, 52.0)
    assert one(*case, 1e-10) == pytest.approx(one(*case), rel=1e-8)


def test_no_time_no_purchases():
    assert one(2.2, 40.0, 0.8, 4.4, 0.0) == 0.0
    assert one(2.2, 40.0, 0.8, 4.4, 1e-9) == pytest.approx(2.2 / 40 * 1e-9, rel=1e-6)


@settings(max_examples=30)
@given(st.tuples(logs, logs, logs, logs), st.integers(0, 500), st.floats(0, 0.5))
def test_rises_with_the_horizon_and_falls_with_the_rate(powers, x, rate):
    r, alpha, a, b = 10.0 ** np.array(powers)
    spans = [0.1, 1.0, 10.0, 100.0, 1000.0]
    values = np.array([one(r + x, alpha + 10, a, b + x, span, rate) for span in spans])
    slack = 1e-9 * values[1:]
    assert np.isfinite(values).all()
    assert (np.diff(values) >= -slack).all()
    assert (values <= (r + x) / (alpha + 10) * np.array(spans) * (1 + 1e-9)).all()
    assert one(r + x, alpha + 10, a, b + x, 100.0, rate + 0.1) <= values[3] * (1 + 1e-9)


@settings(max_examples=10)
@given(
    st.tuples(*[st.floats(-2, 2)] * 4),
    st.sampled_from([0.0, 0.002, 0.3]),
    st.sampled_from([(5, 3), (60, 40), (3000, 900)]),
)
def test_interpolation_equals_integration(powers, rate, ranges):
    """For very many accounts, whatever frequencies and times occur."""
    r, alpha, a, b = 10.0 ** np.array(powers)
    g = np.random.default_rng(ranges[0])
    x = g.integers(0, ranges[0], 2500).astype(float)
    T = g.integers(0, 7 * ranges[1], 2500) / 7

    def function(some_x, some_T):
        return purchases_while_alive(r + some_x, alpha + some_T, a, b + some_x, horizon=52.0, rate=rate)

    got = evaluate(function, x, T, offset=alpha)
    some = g.integers(0, 2500, 60)
    np.testing.assert_allclose(got[some], function(x[some], T[some]), rtol=1e-8)


def test_interpolation_of_real_times_and_of_many_columns():
    g = np.random.default_rng(1)
    x, T = g.integers(0, 40, 5000).astype(float), g.uniform(0, 300, 5000)
    calls = 0

    def function(some_x, some_T):
        nonlocal calls
        calls += len(some_x)
        return purchases_while_alive(0.3 + some_x, 4.0 + some_T, 0.8, 2.4 + some_x, horizon=52.0)

    got = evaluate(function, x, T, offset=4.0)
    assert 0 < calls < 1500
    np.testing.assert_allclose(got[:200], function(x[:200], T[:200]), rtol=1e-9)


def test_interpolation_gives_up_on_what_is_not_smooth():
    g = np.random.default_rng(1)
    x, T = g.integers(0, 3, 5000).astype(float), g.uniform(0, 300, 5000)
    got = evaluate(lambda x, T: 1 + x + (T > 100), x, T, offset=1.0)
    np.testing.assert_array_equal(got, 1 + x + (T > 100))
