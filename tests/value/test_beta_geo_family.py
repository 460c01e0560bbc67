"""(M)BG/NBD and (M)BG/CNBD-k: likelihood against 50 digits, predictions against simulation of the process itself."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.errors import DataError, FitError, SettingsError
from clv.value import (
    BetaGeoCNBDModel,
    BetaGeoModel,
    GammaGammaModel,
    ModifiedBetaGeoCNBDModel,
    ModifiedBetaGeoModel,
    lifetime_value,
    load_model,
    purchase_forecast,
)
from clv.value.estimation.checks import History
from clv.value.estimation.patterns import compress
from clv.value.likelihood.beta_geo_cnbd_likelihood import BetaGeoCNBDLikelihood, log_constant
from clv.value.likelihood.beta_geo_likelihood import BetaGeoLikelihood

logs = st.floats(-3, 3)
REGULAR = {0: BetaGeoCNBDModel, 1: ModifiedBetaGeoCNBDModel}


def likelihood_of(x, recency, T, weight=None, *, k, modified) -> BetaGeoCNBDLikelihood:
    history = History(*(np.atleast_1d(np.asarray(column, dtype=float)) for column in (x, recency, T)))
    return BetaGeoCNBDLikelihood(compress(history, weight=weight), k=k, modified=bool(modified))


def exact(r, alpha, a, b, x, recency, T, k, m) -> float:
    """The process, written down: λ and p integrated over what was seen, phases added one by one."""
    with mpmath.workdps(50):
        r, alpha, a, b, t, T = (mpmath.mpf(float(value)) for value in (r, alpha, a, b, recency, T))
        log, ln = mpmath.loggamma, mpmath.log

        def log_beta(one, other):
            return log(one) + log(other) - log(one + other)

        R = r + k * x
        common = -log(r) + r * ln(alpha) - log_beta(a, b)
        parts = []
        for j in range(k):
            if j and t == T:
                break
            silent = j * ln(T - t) if j else 0
            alive = log(R + j) - log(j + 1) + silent - (R + j) * ln(alpha + T)
            parts.append(common + log_beta(a, b + x + m) + alive)
        if x + m:
            parts.append(common + log_beta(a + 1, b + x + m - 1) + log(R) - R * ln(alpha + t))
        top = max(parts)
        return float(top + ln(sum(mpmath.exp(part - top) for part in parts)))


@given(
    st.tuples(logs, logs, logs, logs), st.sampled_from([0, 1, 2, 17, 300, 5000]), st.floats(0, 1),
    st.sampled_from([0.01, 1.0, 40.0, 10_000.0]), st.sampled_from([1, 2, 3, 12]), st.sampled_from([0, 1]),
)  # fmt: skip
def test_log_likelihood_equals_fifty_digits(powers, x, share, T, k, m):
    parameters = 10.0 ** np.array(powers)
    likelihood = likelihood_of([x], [share * T if x else 0.0], [T], k=k, modified=m)
    got = likelihood(np.log(parameters) - likelihood.shift)[0] + likelihood.constant
    scale = np.exp(likelihood.shift[1])
    want = exact(*parameters, x, likelihood._recency[0] * scale, likelihood._T[0] * scale, k, m)
    assert got == pytest.approx(want, rel=1e-9, abs=1e-10)


def history_of(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    g = np.random.default_rng(seed)
    T = g.integers(1, 300, n) / 7
    x = g.choice([0, 0, 1, 2, 5, 40], n).astype(float)
    return x, np.where(x > 0, np.ceil(T * 7 * g.random(n)) / 7, 0), T


@settings(max_examples=25)
@given(
    st.integers(0, 1000), st.tuples(*[st.floats(-1.5, 1.5)] * 4), st.booleans(), st.sampled_from([1, 2, 5]),
    st.sampled_from([0, 1]),
)  # fmt: skip
def test_derivatives_are_differences(seed, powers, weighted, k, m):
    weight = np.random.default_rng(seed).uniform(0, 3, 60) if weighted else None
    likelihood = likelihood_of(*history_of(seed), weight, k=k, modified=m)
    at = np.log(10.0) * np.array(powers)
    _, gradient, hessian = likelihood(at)
    turn = np.eye(4) * 1e-5
    slope = np.array([(likelihood(at + d)[0] - likelihood(at - d)[0]) / 2e-5 for d in turn])
    curve = np.array([(likelihood(at + d)[1] - likelihood(at - d)[1]) / 2e-5 for d in turn])
    size = max(1.0, np.abs(gradient).max(), np.abs(hessian).max())
    np.testing.assert_allclose(gradient, slope, atol=3e-6 * size)
    np.testing.assert_allclose(hessian, curve, atol=3e-7 * size)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.tuples(*[st.floats(-2, 2)] * 4))
def test_one_step_equals_the_plain_likelihood(seed, powers):
    """The general likelihood at k = 1, not modified, is that of BG/NBD, which is written apart for speed."""
    history = History(*history_of(seed))
    at = np.log(10.0) * np.array(powers)
    general = BetaGeoCNBDLikelihood(compress(history), k=1, modified=False)
    plain = BetaGeoLikelihood(compress(history))
    assert general.constant == plain.constant
    for one, other in zip(general(at), plain(at), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-8)


def test_constant_makes_densities_of_the_same_thing():
    """Over t_x the density of (x, t_x) of a Poisson process integrates to that of an Erlang-k renewal process."""
    T, rate, k, x = 10.0, 0.9, 3, 2
    t = (np.arange(20_000) + 0.5) / 20_000 * T
    # k = 1: λˣ e^(−λt) against t^(x−1)/(x−1)!
    measure = t ** (x - 1)
    density = measure * np.exp(log_constant(k, np.full(t.shape, float(x)), t, None))
    steps = density * rate ** (k * x) * np.exp(-rate * t)
    from scipy.stats import gamma

    np.testing.assert_allclose(steps, gamma(k * x, scale=1 / rate).pdf(t), rtol=1e-9)
    waits = np.array([2.0, 3.0])
    known = log_constant(k, np.array([2.0]), np.array([5.0]), np.array([np.log(waits).sum()]))[0]
    product = gamma(k, scale=1 / rate).logpdf(waits).sum() - (k * x * np.log(rate) - rate * waits.sum())
    assert known == pytest.approx(product, rel=1e-12)


def process(k: int, m: int, r: float, alpha: float, a: float, b: float, T: float, t: float, n: int, seed: int):
    """Purchases of single accounts, one wait after another, seen to T and after it to T + t."""
    g = np.random.default_rng(seed)
    rate, p = g.gamma(r, 1 / alpha, n), g.beta(a, b, n)
    alive = np.ones(n, dtype=bool) if not m else g.random(n) >= p
    clock, x, recency, future = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    discounted, living = np.zeros(n), alive.copy()
    going = np.flatnonzero(alive)
    while going.size:
        clock[going] += g.gamma(k, 1, going.size) / rate[going]
        going = going[clock[going] <= T + t]
        early = going[clock[going] <= T]
        x[early] += 1
        recency[early] = clock[early]
        late = going[clock[going] > T]
        future[late] += 1
        discounted[late] += np.exp(-0.05 * (clock[late] - T))
        leaves = g.random(going.size) < p[going]
        out = going[leaves]
        living[out[clock[out] <= T]] = False
        going = going[~leaves]
    return pd.DataFrame({"frequency": x.astype(int), "recency": recency, "T": T}), future, discounted, living


@pytest.mark.parametrize(("k", "m"), [(1, 1), (2, 0), (3, 0), (4, 1)])
def test_predictions_equal_simulation(k, m):
    """Expected and discounted purchases and P(alive), by what was seen: silence counts, because waits are regular."""
    truth = {"r": 1.5, "alpha": 6.0 / k, "a": 0.8, "b": 4.0}
    model = REGULAR[m].from_parameters(k=k, **truth)
    book, future, discounted, living = process(k, m, **truth, T=25.0, t=15.0, n=150_000, seed=100 * k + m)
    x, silent = book["frequency"], book["T"] - book["recency"]
    ahead, alive = model.expected_purchases(book, 15.0), model.probability_alive(book)
    worth = model.discounted_expected_purchases(book, 0.05, 15.0)
    chosen = [x == 0, x == 1, (x > 2) & (silent < 2), (x > 2) & silent.between(4, 8), (x > 2) & (silent > 8), x > 10]
    for group in (mask.to_numpy() for mask in chosen):
        n = group.sum()
        assert future[group].mean() == pytest.approx(ahead[group].mean(), abs=4 * future[group].std() / np.sqrt(n))
        error = 4 * discounted[group].std() / np.sqrt(n)
        assert discounted[group].mean() == pytest.approx(worth[group].mean(), abs=error)
        assert living[group].mean() == pytest.approx(alive[group].mean(), abs=2.1 / np.sqrt(n))
    share = np.bincount(x, minlength=12)[:12] / len(x)
    np.testing.assert_allclose(model.purchase_probability(np.arange(12), 25.0), share, atol=0.005)
    assert model.expected_purchases_new(25.0) == pytest.approx(x.mean(), abs=4 * x.std() / np.sqrt(len(x)))
    again = model.simulate(np.full(50_000, 25.0), seed=3)
    np.testing.assert_allclose(np.bincount(again["frequency"], minlength=5)[:5] / 50_000, share[:5], atol=0.008)


def exact_purchases(R, A, a, B, k, phase, t) -> float:
    """Σ_n E[(1−p)^(n−1)] P(N ≥ nk − phase), every term by itself."""
    with mpmath.workdps(30):
        w, total = mpmath.mpf(t) / (A + t), mpmath.mpf(0)
        for n in range(1, 5000):
            reached = mpmath.betainc(n * k - phase, R, 0, w, regularized=True)
            stays = mpmath.beta(a, B + n - 1) / mpmath.beta(a, B)
            total += stays * reached
            if stays * reached < mpmath.mpf("1e-14") * total:
                break
        return float(total)


@settings(max_examples=25)
@given(
    st.floats(-0.5, 1.5), st.floats(-1, 2), st.floats(-2, 1), st.floats(-2, 1.5), st.sampled_from([2, 3, 4, 7]),
    st.integers(0, 6), st.sampled_from([0.01, 1.0, 20.0]),
)  # fmt: skip
def test_expectation_by_roots_equals_the_sum(R, A, a, B, k, phase, t):
    from clv.value.expectation.erlang_living import erlang_purchases

    R, A, a, B = 10.0**R, 10.0**A, 10.0**a, 10.0**B
    phase = min(phase, k - 1)
    t = min(t, 30 * A * k / R)
    got = erlang_purchases(np.array([R]), np.array([A]), a, np.array([B]), k=k, horizon=t)[0, phase]
    assert got == pytest.approx(exact_purchases(R + phase, A, a, B, k, phase, t), rel=1e-8)


@settings(max_examples=20)
@given(st.tuples(*[st.floats(-2, 2)] * 4), st.sampled_from([2, 5]), st.sampled_from([0, 1]))
def test_wide_parameters_give_sensible_predictions(powers, k, m):
    """Probabilities in [0, 1]; expectations finite, not negative, rising in t, below their undiscounted selves."""
    r, alpha, a, b = 10.0 ** np.array(powers)
    model = REGULAR[m].from_parameters(k=k, r=r, alpha=alpha, a=a, b=b)
    book = pd.DataFrame({"frequency": [0, 1, 5, 400], "recency": [0, 3.0, 50.0, 90.0], "T": [100.0] * 4})
    assert model.probability_alive(book).between(0, 1).all()
    assert model.silence_probability(book).between(0, 1).all()
    spans = np.array([model.expected_purchases(book, t).to_numpy() for t in (0.1, 1.0, 10.0, 1000.0)])
    assert np.isfinite(spans).all()
    assert (spans >= 0).all()
    assert (np.diff(spans, axis=0) >= -1e-9 * spans[1:]).all()
    worth = model.discounted_expected_purchases(book, 0.01, 1000.0)
    assert (worth <= spans[-1] * (1 + 1e-8)).all()
    p = model.purchase_probability(np.arange(200), 10.0)
    assert ((p >= 0) & (p <= 1)).all()
    assert p.sum() <= 1 + 1e-9


def test_silence_and_interval_are_one_distribution():
    model = BetaGeoCNBDModel.from_parameters(k=4, r=2.0, alpha=3.0, a=0.5, b=4.0)
    book = pd.DataFrame({"frequency": [0, 3, 40], "recency": [0, 20.0, 30.0], "T": [31.0] * 3})
    for q in (1e-6, 0.1, 0.5, 0.99):
        wait = model.purchase_interval(book, q)
        later = book.assign(T=book["recency"] + wait)
        np.testing.assert_allclose(1 - model.silence_probability(later), q, rtol=1e-6)
    with pytest.raises(SettingsError, match="q is 1"):
        model.purchase_interval(book, 1.0)


def test_regular_buyers_are_missed_sooner():
    """Silence of one and a half usual waits says more of a regular buyer than of one who buys at random."""
    book = pd.DataFrame({"frequency": [20], "recency": [40.0], "T": [43.0]})
    chances = [
        BetaGeoCNBDModel.from_parameters(k=k, r=2.0, alpha=4.0 / k, a=1.0, b=10.0).silence_probability(book).iloc[0]
        for k in (1, 3, 8)
    ]
    assert chances[0] > 2 * chances[2]
    assert sorted(chances, reverse=True) == chances


@pytest.mark.parametrize("m", [0, 1])
def test_k_is_found_with_and_without_the_waits(m):
    truth = REGULAR[m].from_parameters(unit="W", k=3, r=1.2, alpha=2.5, a=0.7, b=4.0)
    T = np.random.default_rng(0).uniform(20, 60, 6000)
    book = truth.simulate(T, seed=1)
    for given_book in (book, book.drop(columns="log_waits")):
        model = REGULAR[m]().fit(given_book)
        assert model.k_ == 3
        away = (model.params_ - truth.params_) / model.standard_errors_
        assert (away.abs() < 4).all()
    known = REGULAR[m](k=3).fit(book)
    pd.testing.assert_series_equal(known.params_, model.params_, rtol=1e-6)


def test_modified_model_finds_the_highest_of_several_maxima():
    """Every start ends below or at what the fit found."""
    from clv.value.estimation.newton import maximise

    g = np.random.default_rng(8)
    for seed in range(6):
        truth = ModifiedBetaGeoModel.from_parameters(r=0.4, alpha=5.0, a=0.4, b=0.6)
        book = truth.simulate(g.uniform(10, 60, 400), seed=seed)
        try:
            model = ModifiedBetaGeoModel().fit(book)
        except FitError:
            continue
        likelihood = model._likelihood(book, None)
        for start in g.normal(0, 1.5, (5, 4)):
            other = maximise(likelihood, start, lower=np.log(1e-4), upper=np.log(1e5))
            assert other.value + likelihood.constant <= model.log_likelihood_ + 1e-6


def test_an_account_that_never_came_back_may_be_gone():
    """The point of the modification; and a new account makes fewer purchases than one that is known to live."""
    book = pd.DataFrame({"frequency": [0], "recency": [0.0], "T": [50.0]})
    parameters = {"r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6}
    assert BetaGeoModel.from_parameters(**parameters).probability_alive(book).iloc[0] == 1.0
    model = ModifiedBetaGeoModel.from_parameters(**parameters)
    assert model.probability_alive(book).iloc[0] < 0.5
    assert model.purchase_probability(0, 0.0) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("k", [1, 3])
def test_latent_draws_average_to_the_predictions(k):
    """Credible draws, drawn counts and discounted drawn times have the means of the formulas."""
    model = ModifiedBetaGeoCNBDModel.from_parameters(k=k, r=1.5, alpha=6.0 / k, a=1.2, b=4.0)
    book = pd.DataFrame({"frequency": [0, 2, 9], "recency": [0.0, 14.0, 23.0], "T": [25.0] * 3})
    history = History(*(book[c].to_numpy(dtype=float) for c in ("frequency", "recency", "T")))
    g, draws = np.random.default_rng(5), 60_000
    alive, first, second = model.draw_latent(np.tile(model.params_.to_numpy(), (draws, 1)), history, g)
    count, when = model.draw_future(alive, first, second, horizon=15.0, rng=g, times=True)
    bare, none = model.draw_future(alive, first, second, horizon=15.0, rng=g)
    assert none is None
    cell = np.repeat(np.arange(count.size), count.ravel())
    paid = np.bincount(cell, np.exp(-0.05 * when), minlength=count.size).reshape(count.shape)
    expected = model.expected_purchases(book, 15.0).to_numpy()
    worth = model.discounted_expected_purchases(book, 0.05, 15.0).to_numpy()
    for drawn, mean in (
        (alive * model.discounted_latent(first, second, horizon=15.0, discount=0.0), expected),
        (alive * model.discounted_latent(first, second, horizon=15.0, discount=0.05), worth),
        (count, expected), (bare, expected), (paid, worth),
    ):  # fmt: skip
        error = drawn.std(axis=1) / np.sqrt(draws)
        assert (np.abs(drawn.mean(axis=1) - mean) < 4.5 * error).all()
    assert (when <= 15).all()


def test_value_forecast_and_file(tmp_path):
    model = BetaGeoCNBDModel.from_parameters(unit="W", k=3, r=1.5, alpha=2.0, a=0.8, b=4.0)
    book = model.simulate(np.full(60, 40.0), seed=2)
    spend = GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0)
    book["monetary_value"] = spend.simulate(book["frequency"], seed=3)
    book.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": "2024-01-01"}
    for interval in ("credible", "predictive"):
        found = lifetime_value(
            model, spend, book, horizon=52, discount_rate=0.1, margin=0.3, draws=300, seed=1, interval=interval
        )
        total = found.draws.sum(axis=0, dtype=float)
        assert total.mean() == pytest.approx(found.table["clv"].sum(), abs=4 * total.std() / np.sqrt(300))
    forecast = purchase_forecast(model, book, 10.0, draws=500, seed=4)
    assert forecast.total[0] == pytest.approx(model.expected_purchases(book, 10.0).sum(), rel=0.05)
    model.save(tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    assert (again.k_, again.k, type(again)) == (3, 3, BetaGeoCNBDModel)
    pd.testing.assert_series_equal(again.expected_purchases(book, 9.0), model.expected_purchases(book, 9.0))


def test_impossible_settings_and_data(make_book):
    book = make_book([0, 1, 3], [0, 3.0, 8.0], [10.0] * 3)
    for k in (0, 2.5, True, 51):
        with pytest.raises(SettingsError, match="k is"):
            BetaGeoCNBDModel(k=k).fit(book)
    with pytest.raises(DataError, match="no time"):
        BetaGeoCNBDModel(k=2).fit(make_book([0, 1], [0, 0.0], [10.0, 10.0]))
    with pytest.raises(SettingsError, match="n is"):
        ModifiedBetaGeoModel.from_parameters(r=1, alpha=1, a=1, b=1).purchase_probability(-1, 3)
    with pytest.raises(FitError, match="bought twice"):
        ModifiedBetaGeoModel().fit(make_book([0, 0, 0], [0, 0, 0], [5.0, 6.0, 7.0]))
    weak = BetaGeoCNBDModel(prior="weak").fit(make_book([0, 1, 3, 2], [0, 3.0, 8.0, 6.0], [10.0] * 4))
    assert weak.k_ >= 1
    assert np.isfinite(weak.params_).all()
