"""Log-likelihoods against 50-digit arithmetic, gradients and Hessians against finite differences."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clv.value.estimation.checks import History
from clv.value.estimation.newton import maximise
from clv.value.estimation.patterns import compress
from clv.value.likelihood.beta_geo_likelihood import BetaGeoLikelihood
from clv.value.likelihood.gamma_gamma_likelihood import GammaGammaLikelihood
from clv.value.likelihood.rising import RisingSum

logs = st.floats(-3, 3)


def beta_geo(x, recency, T, weight=None) -> BetaGeoLikelihood:
    history = History(*(np.atleast_1d(np.asarray(column, dtype=float)) for column in (x, recency, T)))
    return BetaGeoLikelihood(compress(history, weight=weight))


def exact_beta_geo(r, alpha, a, b, x, recency, T) -> float:
    """Fader, Hardie & Lee (2005), eq. 6, as it is printed."""
    with mpmath.workdps(50):
        r, alpha, a, b, t, T = (mpmath.mpf(float(value)) for value in (r, alpha, a, b, recency, T))
        log = mpmath.loggamma
        common = log(r + x) - log(r) + r * mpmath.log(alpha)
        beta_ab = log(a) + log(b) - log(a + b)
        stays = common + log(a) + log(b + x) - log(a + b + x) - beta_ab - (r + x) * mpmath.log(alpha + T)
        if x == 0:
            return float(stays)
        went = common + log(a + 1) + log(b + x - 1) - log(a + b + x) - beta_ab - (r + x) * mpmath.log(alpha + t)
        top = max(stays, went)
        return float(top + mpmath.log(mpmath.exp(stays - top) + mpmath.exp(went - top)))


@given(
    st.tuples(logs, logs, logs, logs),
    st.sampled_from([0, 1, 2, 17, 300, 5000]),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.01, 1.0, 40.0, 10_000.0]),
)
@example((-3.0, -3.0, -3.0, -3.0), 0, 0.0, 0.01)
@example((3.0, 3.0, 3.0, 3.0), 5000, 1.0, 10_000.0)
@example((-3.0, 3.0, -3.0, -3.0), 1, 0.0, 10_000.0)
def test_beta_geo_equals_fifty_digits(powers, x, share, T):
    parameters = 10.0 ** np.array(powers)
    recency = share * T if x else 0.0
    likelihood = beta_geo([x], [recency], [T])
    history = likelihood._again if x else likelihood._once
    got = likelihood(np.log(parameters) - likelihood.shift)[0] + likelihood.constant
    scale = np.exp(likelihood.shift[1])
    # times on a grid are put on it exactly: compare at the times that were used
    want = exact_beta_geo(*parameters, x, history.recency[0] * scale, history.T[0] * scale)
    assert got == pytest.approx(want, rel=1e-9, abs=1e-11)


def exact_gamma_gamma(p, q, v, x, m) -> float:
    """Fader & Hardie (2013), eq. 1a."""
    with mpmath.workdps(50):
        p, q, v, m = (mpmath.mpf(float(value)) for value in (p, q, v, m))
        log, ln = mpmath.loggamma, mpmath.log
        return float(
            log(p * x + q) - log(p * x) - log(q) + q * ln(v) + (p * x - 1) * ln(m) + p * x * ln(x)
            - (p * x + q) * ln(x * m + v)
        )  # fmt: skip


@given(st.tuples(logs, logs, logs), st.sampled_from([1, 2, 30, 5000]), st.floats(-6, 6))
@example((3.0, 3.0, -3.0), 5000, 6.0)
def test_gamma_gamma_equals_fifty_digits(powers, x, power):
    p, q, v = 10.0 ** np.array(powers)
    m = 10.0**power
    likelihood = GammaGammaLikelihood(np.array([float(x)]), np.array([m]), np.ones(1))
    got = likelihood(np.log([p, q, v]) - likelihood.shift)[0] + likelihood.constant
    assert got == pytest.approx(exact_gamma_gamma(p, q, v, x, m), rel=1e-9, abs=1e-9)


def check_derivatives(likelihood, at) -> None:
    """Central differences of the value give the gradient, of the gradient the Hessian."""
    step = 1e-5
    _, gradient, hessian = likelihood(at)
    turn = np.eye(len(at)) * step
    slope = np.array([(likelihood(at + d)[0] - likelihood(at - d)[0]) / (2 * step) for d in turn])
    curve = np.array([(likelihood(at + d)[1] - likelihood(at - d)[1]) / (2 * step) for d in turn])
    size = max(1.0, np.abs(gradient).max(), np.abs(hessian).max())
    np.testing.assert_allclose(gradient, slope, atol=3e-6 * size)
    np.testing.assert_allclose(hessian, curve, atol=3e-7 * size)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12 * size)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.tuples(*[st.floats(-2, 2)] * 4), st.booleans())
def test_beta_geo_derivatives(seed, powers, weighted):
    g = np.random.default_rng(seed)
    n = 60
    T = g.integers(0, 300, n) / 7
    x = g.choice([0, 0, 1, 2, 5, 40], n).astype(float)
    weight = g.uniform(0, 3, n) if weighted else None
    recency = np.where(x > 0, np.floor(T * 7 * g.random(n)) / 7, 0)
    check_derivatives(beta_geo(x, recency, T, weight), np.log(10.0) * np.array(powers))


@settings(max_examples=25)
@given(st.integers(0, 1000), st.tuples(*[st.floats(-1.5, 1.5)] * 3))
def test_gamma_gamma_derivatives(seed, powers):
    g = np.random.default_rng(seed)
    x, m = g.integers(1, 30, 60).astype(float), g.lognormal(3, 1, 60)
    check_derivatives(GammaGammaLikelihood(x, m, g.uniform(0.1, 3, 60)), np.log(10.0) * np.array(powers))


def test_blocks_add_up(drawn, monkeypatch):
    """More rows than one block holds give what the rows give one at a time."""
    history = History(*(drawn[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T")))
    likelihood = BetaGeoLikelihood(compress(history))
    at = np.log([0.4, 0.7, 0.9, 2.0])
    whole = likelihood(at)
    monkeypatch.setattr("clv.value.likelihood.beta_geo_likelihood._BLOCK", 37)
    for one, other in zip(whole, BetaGeoLikelihood(compress(history))(at), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-9)
    used = drawn[drawn["frequency"] > 0]
    spend = GammaGammaLikelihood(
        used["frequency"].to_numpy(dtype=float), used["monetary_value"].to_numpy(), np.ones(len(used))
    )
    whole = spend(at[:3])
    monkeypatch.setattr("clv.value.likelihood.gamma_gamma_likelihood._BLOCK", 37)
    for one, other in zip(whole, spend(at[:3]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-9)


def test_a_thinned_likelihood_has_its_maximum_nearby(drawn):
    """Every tenth pattern is enough to start from: ten times fewer rows, at most eight standard errors of the whole."""
    history = History(*(drawn[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T")))
    likelihood = BetaGeoLikelihood(compress(history))
    thin = likelihood.thinned(len(likelihood) // 20)  # which keeps twice as many
    assert len(thin) < len(likelihood) / 8
    whole, rough = (maximise(part, likelihood.start) for part in (likelihood, thin))
    errors = np.sqrt(np.diag(np.linalg.inv(-whole.hessian)))
    assert (np.abs(rough.at - whole.at) < 8 * errors).all()
    assert thin.accounts == likelihood.accounts


@settings(max_examples=40)
@given(st.floats(-3, 3), st.lists(st.integers(0, 3_000), min_size=1, max_size=12, unique=True), st.integers(0, 99))
def test_rising_sum_equals_fifty_digits(power, counts, seed):
    x = np.sort(np.array(counts, dtype=float))
    weight = np.random.default_rng(seed).uniform(0.1, 5, len(x))
    at = 10.0**power
    with mpmath.workdps(50):
        base, w = mpmath.mpf(at), [mpmath.mpf(float(one)) for one in weight]
        want = [
            sum(one * (f(base + int(n)) - f(base)) for one, n in zip(w, x, strict=True))
            for f in (mpmath.loggamma, mpmath.digamma, lambda z: mpmath.psi(1, z))
        ]
    for got, true in zip(RisingSum(x, weight)(at), want, strict=True):
        assert got == pytest.approx(float(true), rel=1e-12, abs=1e-300)


def test_rising_sum_of_very_many_purchases_needs_no_sum(monkeypatch):
    """Beyond a number of terms gamma functions take over, with the same answer and without the memory."""
    x, weight = np.array([0.0, 3.0, 900.0]), np.array([2.0, 1.5, 0.5])
    short = RisingSum(x, weight)(0.7)
    monkeypatch.setattr("clv.value.likelihood.rising._LONGEST", 100)
    np.testing.assert_allclose(RisingSum(x, weight)(0.7), short, rtol=1e-12)
    assert all(np.isfinite(RisingSum(np.array([1e9]), np.ones(1))(0.7)))
