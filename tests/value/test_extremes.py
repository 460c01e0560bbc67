"""Likelihoods at the extremes: 5,000 purchases, times to 10,000, parameters from a thousandth to a thousand.

Each is written down here once more, from the process, in 50 digits. (BG/NBD, its relatives and Gamma-Gamma: see
`test_likelihoods` and `test_beta_geo_family`, over the same ranges.)
"""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clv.value.beta_geo_beta_binom import BetaGeoBetaBinomModel
from clv.value.estimation.checks import History
from clv.value.likelihood import beta_geo_rows, pareto_nbd_rows
from clv.value.pareto_nbd import ParetoNBDModel
from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

powers = st.tuples(*[st.floats(-3, 3)] * 4)
counts = st.sampled_from([0, 1, 2, 17, 300, 5_000])
spans = st.sampled_from([0.01, 1.0, 40.0, 10_000.0])


def log_beta(a, b):
    return mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)


def log_sum(logs):
    top = max(logs)
    return top + mpmath.log(mpmath.fsum(mpmath.exp(each - top) for each in logs))


def beta_geo(r, alpha, a, b, x, t, T):
    """λ and p integrated over what was seen, alive and gone apart."""
    ln = mpmath.log
    common = mpmath.loggamma(r + x) - mpmath.loggamma(r) + r * ln(alpha) - log_beta(a, b)
    ways = [common + log_beta(a, b + x) - (r + x) * ln(alpha + T)]
    if x:
        ways.append(common + log_beta(a + 1, b + x - 1) - (r + x) * ln(alpha + t))
    return log_sum(ways)


def pareto_nbd(r, alpha, s, beta, x, t, T):
    """The same with the time of the dropout integrated numerically, in the logarithm of what it is past the start."""
    ln, R = mpmath.log, r + x
    common = mpmath.loggamma(R) - mpmath.loggamma(r) + r * ln(alpha) + s * ln(beta)
    alive = common - R * ln(alpha + T) - s * ln(beta + T)
    if t == T:
        return alive
    near = min(alpha, beta)

    def rate(v):
        y = near * mpmath.exp(v) - near
        return y, s * near * mpmath.exp(v)

    low, high = ln(1 + t / near), ln(1 + T / near)

    def fall(v):
        y, jacobian = rate(v)
        return ln(jacobian) - R * ln((alpha + y) / (alpha + t)) - (s + 1) * ln((beta + y) / (beta + t))

    # pieces over each of which the integrand falls by some ten nepers, until nothing is left
    edges, steep = [low], R + s + 1
    step = 10 / steep
    while edges[-1] < high and (len(edges) < 2 or fall(edges[-1]) > fall(low) - 130):
        edges.append(min(edges[-1] + step, high))
        step *= mpmath.mpf("1.5")
    area = mpmath.quad(lambda v: mpmath.exp(fall(v) - fall(low)), edges)
    gone = common + fall(low) + ln(area) - R * ln(alpha + t) - (s + 1) * ln(beta + t)
    return log_sum([alive, gone])


@settings(max_examples=15)
@given(powers, st.sampled_from([0, 1, 132, 5_000]), st.floats(0, 1), spans)
@example((3.0, -3.0, 3.0, 3.0), 5_000, 0.999, 10_000.0)
@example((-3.0, -3.0, -3.0, 3.0), 5_000, 0.2, 10_000.0)
@example((-3.0, 3.0, 3.0, -3.0), 0, 0.0, 10_000.0)
def test_pareto_nbd(at, x, share, T):
    values = 10.0 ** np.array(at)
    t = share * T if x else 0.0
    with mpmath.workdps(50):
        want = float(pareto_nbd(*(mpmath.mpf(float(v)) for v in values), x, mpmath.mpf(t), mpmath.mpf(T)))
    history = History(np.array([float(x)]), np.array([t]), np.array([T]))
    logs = np.log(values)[None, :]
    assert pareto_nbd_rows.log_likelihood(logs, history)[0][0] == pytest.approx(want, rel=1e-9, abs=1e-10)
    assert pareto_nbd_rows.log_values(logs[None], history)[0, 0] == pytest.approx(want, rel=1e-9, abs=1e-10)
    plain = ParetoNBDModel()._likelihood(pd.DataFrame({"frequency": [x], "recency": [t], "T": [T]}), None)
    assert plain(logs[0] - plain.shift)[0] + plain.constant == pytest.approx(want, rel=1e-9, abs=1e-10)


@given(powers, counts, st.floats(0, 1), spans)
@example((-3.0, -3.0, -3.0, -3.0), 5_000, 1.0, 10_000.0)
@example((3.0, 3.0, 3.0, 3.0), 5_000, 0.0, 10_000.0)
def test_beta_geo_of_single_accounts(at, x, share, T):
    values = 10.0 ** np.array(at)
    t = share * T if x else 0.0
    with mpmath.workdps(50):
        want = float(beta_geo(*(mpmath.mpf(float(v)) for v in values), x, mpmath.mpf(t), mpmath.mpf(T)))
    history = History(np.array([float(x)]), np.array([t]), np.array([T]))
    logs = np.log(values)[None, :]
    assert beta_geo_rows.log_likelihood(logs, history)[0][0] == pytest.approx(want, rel=1e-9, abs=1e-10)
    assert beta_geo_rows.log_values(logs[None], history)[0, 0] == pytest.approx(want, rel=1e-9, abs=1e-10)


@settings(max_examples=12)
@given(powers, st.sampled_from([(0, 0, 10_000), (5_000, 9_500, 10_000), (5_000, 5_000, 5_000), (1, 1, 400)]))
@example((-3.0, 3.0, -3.0, 3.0), (5_000, 9_500, 10_000))
@example((3.0, -3.0, 3.0, -3.0), (5_000, 9_500, 10_000))
@example((3.0, 3.0, 3.0, 3.0), (0, 0, 10_000))
def test_beta_geo_beta_binom(at, row):
    values, (x, last, n) = 10.0 ** np.array(at), row
    with mpmath.workdps(50):
        a, b, g, d = (mpmath.mpf(float(v)) for v in values)
        # from one possibility to the next by ratios of gamma functions, which are ratios of whole steps
        each = log_beta(a + x, b + last - x) - log_beta(a, b) + log_beta(g, d + last) - log_beta(g, d)
        ratio, total = mpmath.mpf(1), mpmath.mpf(0)
        for m in range(last, n):
            total += ratio * g / (g + d + m)
            ratio *= (b + m - x) / (a + b + m) * (d + m) / (g + d + m)
        want = float(each + mpmath.log(total + ratio))
    table = pd.DataFrame([row], columns=["frequency", "recency", "n_periods"])
    likelihood = BetaGeoBetaBinomModel()._likelihood(table, None)
    at = np.log(values)
    assert likelihood(at)[0] == pytest.approx(want, rel=1e-9, abs=1e-12)
    assert likelihood.values(at[None, :])[0] == pytest.approx(want, rel=1e-9, abs=1e-12)


@given(
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    st.sampled_from([(1, True, 0), (5_000, True, 0), (10_000, False, 0), (10_000, True, 9_999), (9_000, False, 20)]),
)
@example((-3.0, 3.0), (10_000, True, 0))
@example((3.0, -3.0), (10_000, False, 0))
def test_shifted_beta_geo(at, row):
    values, (duration, churned, entry) = 10.0 ** np.array(at), row
    with mpmath.workdps(50):
        a, b = (mpmath.mpf(float(v)) for v in values)
        kept = duration - churned
        want = log_beta(a, b + kept) - log_beta(a, b + entry)
        if churned:
            want += mpmath.log(a / (a + b + kept))
        want = float(want)
    table = pd.DataFrame([row], columns=["duration", "churned", "entry"])
    likelihood = ShiftedBetaGeoModel()._likelihood(table, None)
    at = np.log(values)
    assert likelihood(at)[0] == pytest.approx(want, rel=1e-9, abs=1e-12)
    assert likelihood.values(at[None, :])[0] == pytest.approx(want, rel=1e-9, abs=1e-12)
