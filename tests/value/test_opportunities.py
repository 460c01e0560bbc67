"""Geometric sums over a beta-distributed loss, against 40-digit sums and hypergeometric functions."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln, digamma, gammaln, polygamma

from clv.errors import SettingsError
from clv.value.likelihood.opportunities import geometric_sum, rising, silence_quantile, whole

EXTREMES = [(a, b, rate) for a in (1e-3, 0.5, 1.0, 1e3) for b in (1e-3, 2.0, 1e3) for rate in (0.0, 1e-4, 0.1, 3.0)]


@pytest.mark.parametrize(("a", "b", "rate"), EXTREMES)
def test_geometric_sum_has_all_digits(a, b, rate):
    with mpmath.workdps(40):
        v, term, total = mpmath.exp(-mpmath.mpf(rate)), mpmath.mpf(1), mpmath.mpf(0)
        for k in range(300):
            total += term
            term *= v * (mpmath.mpf(b) + k) / (mpmath.mpf(a) + mpmath.mpf(b) + k)
        assert float(geometric_sum(a, b, count=300.0, rate=rate)) == pytest.approx(float(total), rel=1e-10)
        if rate > 0:
            endless = mpmath.hyp2f1(1, b, mpmath.mpf(a) + mpmath.mpf(b), v)
            assert float(geometric_sum(a, b, count=np.inf, rate=rate)) == pytest.approx(float(endless), rel=1e-10)


def test_what_does_not_end_is_refused_or_closed():
    with pytest.raises(SettingsError, match="no finite mean"):
        geometric_sum(1.0, 2.0, count=np.inf, rate=0.0)
    assert float(geometric_sum(3.0, 2.0, count=np.inf, rate=0.0)) == pytest.approx(4 / 2, rel=1e-14)
    assert float(geometric_sum(3.0, 2.0, count=1e7, rate=0.0)) == pytest.approx(2.0, rel=1e-9)
    assert geometric_sum(0.5, 2.0, count=np.array([0.0, 1.0, 2.0]), rate=0.0) == pytest.approx([0, 1, 1.8])
    assert geometric_sum(np.empty(0), 2.0, count=1.0, rate=0.0).shape == (0,)


@given(st.floats(1e-2, 1e2), st.floats(1e-2, 1e2), st.floats(0.0, 0.999))
def test_silence_quantile_is_the_smallest(a, b, q):
    m = float(silence_quantile(np.array([a]), np.array([b]), q)[0])
    above = lambda k: np.exp(betaln(a, b + k) - betaln(a, b))  # noqa: E731 - P(M > k)
    assert m >= 1
    if np.isfinite(m):
        assert above(m) <= (1 - q) * (1 + 1e-9)
        assert m == 1 or above(m - 1) > (1 - q) * (1 - 1e-9)
    else:
        assert above(2.0**53) > 1 - q


def test_rising_factorials_keep_their_digits():
    value, first, second = rising(0.7, 30)
    k = np.arange(31)
    assert value == pytest.approx(gammaln(0.7 + k) - gammaln(0.7), abs=1e-12)
    assert first == pytest.approx(digamma(0.7 + k) - digamma(0.7), abs=1e-12)
    assert second == pytest.approx(polygamma(1, 0.7 + k) - polygamma(1, 0.7), abs=1e-12)
    assert rising(1e9, 2)[0][2] == pytest.approx(np.log(1e9) + np.log(1e9 + 1), rel=1e-15)


def test_opportunities_are_whole():
    assert whole(np.inf, "t") == np.inf
    with pytest.raises(SettingsError, match=r"t is 2\.5"):
        whole(2.5, "t")
