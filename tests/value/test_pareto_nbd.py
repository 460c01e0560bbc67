"""Pareto/NBD: likelihood against 60 digits, table against rows, predictions against closed forms and simulation."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clv.errors import FitError, SettingsError
from clv.value import (
    BetaGeoCNBDModel,
    GammaGammaModel,
    ModifiedBetaGeoModel,
    ParetoNBDModel,
    lifetime_value,
    load_model,
)
from clv.value.estimation.checks import History
from clv.value.estimation.patterns import compress
from clv.value.likelihood.dropout_integral import dropouts, log_odds_gone
from clv.value.likelihood.dropout_table import DropoutTable
from clv.value.likelihood.pareto_nbd_likelihood import ParetoNBDLikelihood
from clv.value.pareto_nbd import time_alive

logs = st.floats(-3, 3)


def likelihood_of(x, recency, T, weight=None) -> ParetoNBDLikelihood:
    history = History(*(np.atleast_1d(np.asarray(column, dtype=float)) for column in (x, recency, T)))
    return ParetoNBDLikelihood(compress(history, weight=weight))


def exact(r, alpha, s, beta, x, recency, T) -> float:
    """Fader & Hardie (2005), eqs. 17-19, with their Gauss hypergeometric functions, in as many digits as it takes."""
    with mpmath.workdps(60):
        r, alpha, s, beta, t, T = (mpmath.mpf(float(value)) for value in (r, alpha, s, beta, recency, T))
        power = r + s + x
        one, apart = (s + 1, alpha - beta) if alpha >= beta else (r + x, beta - alpha)
        near = max(alpha, beta)

        def part(at):
            # Pfaff's form: the argument lies in (0, 1) for all of this
            return mpmath.hyp2f1(power, one, power + 1, apart / (near + at)) / (near + at) ** power

        alive = (alpha + T) ** -(r + x) * (beta + T) ** -s
        log, ln = mpmath.loggamma, mpmath.log
        return float(
            log(r + x) - log(r) + r * ln(alpha) + s * ln(beta) + ln(alive + s / power * (part(t) - part(T)))
        )  # fmt: skip


@settings(max_examples=40)
@given(
    st.tuples(logs, logs, logs, logs),
    st.sampled_from([0, 1, 3, 40, 400]),
    st.floats(0, 1),
    st.sampled_from([0.01, 1.0, 40.0, 10_000.0]),
)
@example((-3.0, -3.0, -3.0, -3.0), 0, 0.0, 10_000.0)
@example((3.0, 3.0, 3.0, 3.0), 5000, 1.0, 10_000.0)
@example((3.0, -3.0, 3.0, 3.0), 5000, 0.999, 10_000.0)
@example((0.0, 3.0, -3.0, -3.0), 1, 0.0, 10_000.0)
@example((-0.2, 1.0, -0.2, 1.0), 132, 1.0, 200.0)
def test_log_likelihood_equals_sixty_digits(powers, x, share, T):
    parameters = 10.0 ** np.array(powers)
    likelihood = likelihood_of([x], [share * T if x else 0.0], [T])
    got = likelihood(np.log(parameters) - likelihood.shift)[0] + likelihood.constant
    scale = np.exp(likelihood.shift[1])
    want = exact(*parameters, x, likelihood._recency[0] * scale, likelihood._T[0] * scale)
    assert got == pytest.approx(want, rel=1e-9, abs=1e-10)


@given(st.tuples(logs, logs, logs, logs), st.sampled_from([0, 1, 132, 5000]), st.floats(0, 1))
def test_best_customers_are_alive_and_nothing_is_lost(powers, x, share):
    """P(alive) is a probability, 1 at t_x = T, and falls the longer an account is silent."""
    r, alpha, s, beta = 10.0 ** np.array(powers)
    T = np.linspace(share * 1000, 1000, 6) if x else np.linspace(0, 1000, 6)
    odds = log_odds_gone(r + x, s, alpha, beta, T[0], T)
    alive = 1 / (1 + np.exp(np.minimum(odds, 700)))
    assert np.isfinite(odds).all()
    assert alive[0] == 1.0
    assert (np.diff(odds) >= -1e-9 * np.abs(odds[1:])).all()


@given(st.tuples(logs, logs, logs, logs), st.sampled_from([0, 1, 132, 5000]), st.floats(0, 1))
def test_odds_alone_are_those_with_their_nodes(powers, x, share):
    """The short way to the odds keeps the digits of the long one, whichever of alpha and beta is the smaller."""
    r, alpha, s, beta = 10.0 ** np.array(powers)
    T = np.array([0.5, 30.0, 1000.0])
    long = dropouts(*np.broadcast_arrays(r + x, s, alpha, beta, share * T, T)).log_odds
    np.testing.assert_allclose(log_odds_gone(r + x, s, alpha, beta, share * T, T), long, rtol=1e-11, atol=2e-11)


def test_nodes_are_shares_of_the_dropouts():
    one = np.ones(3)
    found = dropouts(one * [0.5, 10, 3000], one, one * 2, one * 5, one * 3, one * 40)
    np.testing.assert_allclose(found.share.sum(axis=1), 1.0)
    assert (found.time >= 3).all()
    assert (found.time <= 40 + 1e-9).all()


def history_of(seed: int, n: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    g = np.random.default_rng(seed)
    T = g.integers(0, 300, n) / 7
    x = np.minimum(g.choice([0, 0, 1, 2, 5, 40], n), np.floor(T * 7))
    recency = np.where(x > 0, np.maximum(np.floor(T * 7 * g.random(n)), x) / 7, 0)
    return x, recency, T


@settings(max_examples=20)
@given(st.integers(0, 1000), st.tuples(*[st.floats(-1.5, 1.5)] * 4), st.booleans())
def test_derivatives_are_differences(seed, powers, weighted):
    weight = np.random.default_rng(seed).uniform(0, 3, 150) if weighted else None
    likelihood, at = likelihood_of(*history_of(seed), weight), np.log(10.0) * np.array(powers)
    _, gradient, hessian = likelihood(at)
    turn = np.eye(4) * 1e-5
    slope = np.array([(likelihood(at + d)[0] - likelihood(at - d)[0]) / 2e-5 for d in turn])
    curve = np.array([(likelihood(at + d)[1] - likelihood(at - d)[1]) / 2e-5 for d in turn])
    size = max(1.0, np.abs(gradient).max(), np.abs(hessian).max())
    np.testing.assert_allclose(gradient, slope, atol=3e-6 * size)
    np.testing.assert_allclose(hessian, curve, atol=3e-7 * size)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.tuples(*[st.floats(-1.2, 1.2)] * 4))
def test_table_equals_rows(seed, powers):
    """Value, gradient and Hessian from the table are those of the integrals row by row."""
    x, recency, T = history_of(seed)
    patterns = compress(History(x, recency, T))
    rows, tabled = ParetoNBDLikelihood(patterns), ParetoNBDLikelihood(patterns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clv.value.likelihood.dropout_table._FEWEST", 1)
        patch.setattr(DropoutTable, "pays", lambda *_: True)
        tabled._table = DropoutTable.of(patterns, float(np.exp(rows.shift[1])))
    assert rows._table is None
    assert tabled._table is not None
    at = np.log(10.0) * np.array(powers)
    for one, other in zip(tabled(at), rows(at), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-9 * np.abs(rows(at)[2]).max())


def test_table_of_frequent_buyers_does_not_overflow():
    """Thousands of purchases span thousands of nepers of the grid."""
    g = np.random.default_rng(3)
    T = np.full(200, 6000.0)
    x = g.integers(1, 5000, 200).astype(float)
    recency = np.ceil(x + (T - x) * g.random(200))
    patterns = compress(History(x, recency, T))
    rows, tabled = ParetoNBDLikelihood(patterns), ParetoNBDLikelihood(patterns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clv.value.likelihood.dropout_table._FEWEST", 1)
        patch.setattr(DropoutTable, "pays", lambda *_: True)
        tabled._table = DropoutTable.of(patterns, float(np.exp(rows.shift[1])))
    at = np.log([1.0, 0.01, 1.0, 1.0])
    for one, other in zip(tabled(at), rows(at), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


def test_a_large_book_is_fitted_by_table_like_its_rows():
    """20,000 accounts in days: table and rows end in the same place, and near the truth."""
    truth = ParetoNBDModel.from_parameters(unit="D", r=0.8, alpha=40.0, s=0.7, beta=90.0)
    book = truth.simulate(np.random.default_rng(0).integers(60, 160, 20_000).astype(float), seed=1)
    book["recency"] = np.ceil(book["recency"])
    book["frequency"] = np.minimum(book["frequency"], book["recency"]).astype(int)
    likelihood = ParetoNBDModel()._likelihood(book, None)
    assert likelihood._table is not None
    model = ParetoNBDModel().fit(book)
    likelihood._table = None
    value, gradient, _ = likelihood(np.log(model.params_.to_numpy()) - likelihood.shift)
    assert value + likelihood.constant == pytest.approx(model.log_likelihood_, abs=1e-6)
    assert np.abs(gradient).max() < 1e-3
    away = (model.params_ - truth.params_) / model.standard_errors_
    assert (away.abs() < 6).all()  # days round waits up: near, not within sampling error


def test_alive_of_many_accounts_is_that_of_each():
    """12,000 accounts share a table; in any order, and where an account is silent for ever or bought today."""
    g = np.random.default_rng(2)
    T = g.integers(20, 120, 12_000).astype(float)
    x = np.minimum(g.choice([0, 1, 2, 7, 60], 12_000), T).astype(float)
    recency = np.where(x > 0, np.ceil(x + (T - x) * g.choice([0, 0.3, 1.0], 12_000)), 0)
    book = pd.DataFrame({"frequency": x, "recency": recency, "T": T})
    model = ParetoNBDModel.from_parameters(r=0.5, alpha=4.0, s=0.6, beta=9.0)
    assert DropoutTable.of(History(x, recency, T)) is not None
    alone = model.probability_alive(book.iloc[:500]).to_numpy()
    np.testing.assert_allclose(model.probability_alive(book).to_numpy()[:500], alone, rtol=1e-9)
    assert model.probability_alive(book)[recency == T].to_numpy() == pytest.approx(1.0, rel=1e-12)


def test_no_start_leads_higher():
    """A fixed start finds the highest maximum that random starts find (a peer's random start often does not)."""
    from clv.value.estimation.newton import maximise

    g = np.random.default_rng(4)
    for seed in range(6):
        truth = ParetoNBDModel.from_parameters(r=0.6, alpha=70.0, s=0.6, beta=80.0)
        book = truth.simulate(g.integers(30, 700, 800).astype(float), seed=seed)
        likelihood = ParetoNBDModel()._likelihood(book, None)
        found = ParetoNBDModel().fit(book).log_likelihood_ - likelihood.constant
        for start in g.normal(0, 1.5, (3, 4)):
            other = maximise(likelihood, start, lower=np.log(1e-4), upper=np.log(1e5))
            assert other.value <= found + 1e-6


@pytest.mark.parametrize("model", [ParetoNBDModel, ModifiedBetaGeoModel, BetaGeoCNBDModel])
def test_weights_are_repeated_rows(model, cdnow):
    """A weight of 2 is an account twice, of 0 none; the order of accounts does not matter."""
    part = cdnow.iloc[::2]
    weight = np.random.default_rng(1).integers(0, 3, len(part))
    once = model().fit(part, sample_weight=weight)
    again = model().fit(part.loc[part.index.repeat(weight)].iloc[::-1])
    pd.testing.assert_series_equal(once.params_, again.params_, rtol=1e-6)
    assert once.log_likelihood_ == pytest.approx(again.log_likelihood_, rel=1e-11)
    assert once.score(part, sample_weight=weight) == pytest.approx(once.log_likelihood_ / weight.sum(), rel=1e-10)


@pytest.fixture(scope="module")
def fitted(cdnow) -> ParetoNBDModel:
    return ParetoNBDModel().fit(cdnow)


def test_closed_forms_of_expectations(fitted, cdnow):
    """Fader & Hardie (2005), eq. 41, as it is printed."""
    r, alpha, s, beta = fitted.params_
    x, T = cdnow["frequency"], cdnow["T"]
    t = 39
    printed = (r + x) * (beta + T) / ((alpha + T) * (s - 1)) * (1 - ((beta + T) / (beta + T + t)) ** (s - 1))
    printed = printed * fitted.probability_alive(cdnow)
    np.testing.assert_allclose(fitted.expected_purchases(cdnow, t), printed, rtol=1e-11)


@given(st.floats(0.001, 50), st.floats(0.1, 500), st.floats(1e-4, 1))
def test_discounted_time_alive_equals_the_exponential_integral(s, B, rate):
    with mpmath.workdps(30):
        z = mpmath.mpf(rate) * mpmath.mpf(B)
        want = float(B * mpmath.exp(z) * mpmath.expint(s, z))
    got = time_alive(s, np.array([B]), horizon=np.inf, rate=rate)[0]
    assert got == pytest.approx(want, rel=1e-9)


def test_time_alive_is_continuous_at_one():
    B = np.array([3.0])
    at, near = time_alive(1.0, B, horizon=20, rate=0.0), time_alive(1 + 1e-9, B, horizon=20, rate=0.0)
    assert at[0] == pytest.approx(3 * np.log1p(20 / 3), rel=1e-14)
    assert near[0] == pytest.approx(at[0], rel=1e-8)
    assert time_alive(0.6, B, horizon=20, rate=1e-12)[0] == pytest.approx(
        time_alive(0.6, B, horizon=20, rate=0.0)[0], rel=1e-9
    )
    assert time_alive(2.0, B, horizon=np.inf, rate=0.0)[0] == 3.0


def test_purchases_for_ever_without_discounting_are_refused_where_infinite(fitted, cdnow):
    with pytest.raises(SettingsError, match="no finite mean"):
        fitted.discounted_expected_purchases(cdnow, 0.0)


@settings(max_examples=20)
@given(st.tuples(*[st.floats(-1.5, 2)] * 4), st.sampled_from([0.0, 0.1, 10.0, 1000.0]))
def test_probabilities_of_counts(powers, t):
    """Not negative, sum to 1, and their mean is the expectation, as far as the tail was summed."""
    r, alpha, s, beta = 10.0 ** np.array(powers)
    model = ParetoNBDModel.from_parameters(r=r, alpha=alpha, s=s, beta=beta)
    n = np.arange(3000)
    p = model.purchase_probability(n, t)
    assert (p >= 0).all()
    assert p.sum() <= 1 + 1e-9
    if p[-500:].sum() < 1e-14:
        assert p.sum() == pytest.approx(1, abs=1e-9)
        assert p @ n == pytest.approx(model.expected_purchases_new(t), rel=1e-7, abs=1e-9)
    assert model.purchase_probability(0, t) == pytest.approx(p[0], rel=1e-12)


def test_predictions_equal_simulation():
    """Future purchases of simulated accounts, by what was seen of them before."""
    model = ParetoNBDModel.from_parameters(r=0.9, alpha=8.0, s=0.8, beta=15.0)
    g = np.random.default_rng(11)
    n, T, t = 200_000, 30.0, 20.0
    rate, life = g.gamma(0.9, 1 / 8.0, n), g.exponential(1 / g.gamma(0.8, 1 / 15.0, n))
    seen = np.minimum(life, T)
    x = g.poisson(rate * seen)
    recency = seen * g.random(n) ** (1 / np.maximum(x, 1)) * (x > 0)
    future = g.poisson(rate * np.clip(life - T, 0, t))
    book = pd.DataFrame({"frequency": x, "recency": recency, "T": T})
    expected, alive = model.expected_purchases(book, t), model.probability_alive(book)
    for group in (x == 0, x == 1, (x > 1) & (recency > 25), (x > 1) & (recency < 15), x > 8):
        error = future[group].std() / np.sqrt(group.sum())
        assert future[group].mean() == pytest.approx(expected[group].mean(), abs=4 * error)
        assert (life[group] > T).mean() == pytest.approx(alive[group].mean(), abs=2 / np.sqrt(group.sum()))
    again = model.simulate(np.full(n, T), seed=12)
    assert again["frequency"].mean() == pytest.approx(model.expected_purchases_new(T), rel=0.02)
    share = np.bincount(again["frequency"], minlength=4)[:4] / n
    np.testing.assert_allclose(share, model.purchase_probability(np.arange(4), T), atol=0.004)


def test_latent_draws_average_to_the_predictions(fitted, cdnow):
    history = History(*(cdnow[c].to_numpy(dtype=float)[:40] for c in ("frequency", "recency", "T")))
    parameters = np.tile(fitted.params_.to_numpy(), (20_000, 1))
    alive, rate, hazard = fitted.draw_latent(parameters, history, np.random.default_rng(4))
    drawn = alive * rate * -np.expm1(-hazard * 39) / hazard
    expected = fitted.expected_purchases(cdnow.iloc[:40], 39).to_numpy()
    error = drawn.std(axis=1) / np.sqrt(20_000)
    assert (np.abs(drawn.mean(axis=1) - expected) < 4.5 * error).all()


def test_saved_and_read_it_predicts_the_same(fitted, cdnow, tmp_path):
    fitted.save(tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    assert isinstance(again, ParetoNBDModel)
    pd.testing.assert_series_equal(again.expected_purchases(cdnow, 10), fitted.expected_purchases(cdnow, 10))
    assert again.data_mark_ == fitted.data_mark_


def test_lifetime_value_takes_the_model(fitted, cdnow_spend):
    given = ParetoNBDModel.from_parameters(unit="W", **fitted.params_)
    spend = GammaGammaModel.from_parameters(p=6.25, q=3.74, v=15.44)
    found = lifetime_value(
        given, spend, cdnow_spend.head(50), horizon=52, discount_rate=0.1, margin=0.3, draws=200, seed=1
    )
    assert (found.table["lower"] <= found.table["upper"]).all()
    assert found.table["clv"].gt(0).all()


def test_a_book_that_says_nothing(make_book):
    with pytest.raises(FitError, match="bought twice"):
        ParetoNBDModel().fit(make_book([0, 0, 0], [0, 0, 0], [5.0, 6.0, 7.0]))
    book = make_book([0, 1, 0, 2, 0, 1], [0, 3.0, 0, 8.0, 0, 1.0], [10.0] * 6)
    with pytest.raises(FitError):
        ParetoNBDModel().fit(book)
    model = ParetoNBDModel(prior="weak").fit(book)
    assert np.isfinite(model.expected_purchases(book, 10)).all()
    assert model.probability_alive(book).between(0, 1).all()
