"""BG/NBD: fit, its refusals, and what it predicts."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from clv.errors import DataError, FitError, NotFittedError, SettingsError, UnitError
from clv.value import BetaGeoModel

logs = st.floats(-3, 3)


def known(powers=(-0.6, 0.6, -0.1, 0.4), unit="W") -> BetaGeoModel:
    r, alpha, a, b = 10.0 ** np.array(powers)
    return BetaGeoModel.from_parameters(unit=unit, r=r, alpha=alpha, a=a, b=b)


# ---------------------------------------------------------------- fit


def test_reports_its_convergence(buying, cdnow):
    assert buying.converged_
    assert buying.gradient_norm_ < 1e-8
    assert 0 < buying.n_iter_ < 30
    assert buying.n_accounts_ == 2357
    assert buying.unit_ == "W"
    assert buying.score(cdnow) * 2357 == pytest.approx(buying.log_likelihood_, rel=1e-12)


def test_standard_errors_are_those_of_the_curvature(buying, cdnow):
    """The Hessian of the log-likelihood in the natural parameters, by differences of the score."""
    names = list(buying.params_.index)
    step = 1e-4 * buying.params_.to_numpy()

    def total(values) -> float:
        return BetaGeoModel.from_parameters(unit="W", **dict(zip(names, values, strict=True))).score(cdnow) * 2357

    at, hessian = buying.params_.to_numpy(), np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            ei, ej = np.eye(4)[i] * step, np.eye(4)[j] * step
            corner = total(at + ei + ej) - total(at + ei - ej) - total(at - ei + ej) + total(at - ei - ej)
            hessian[i, j] = corner / (4 * step[i] * step[j])
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    np.testing.assert_allclose(buying.standard_errors_, errors, rtol=2e-3)


def test_summary_table(buying):
    table = buying.summary(confidence=0.9)
    assert list(table.columns) == ["estimate", "standard_error", "lower", "upper"]
    assert (table["lower"] < table["estimate"]).all()
    assert (table["estimate"] < table["upper"]).all()
    assert (table["lower"] > 0).all()
    with pytest.raises(SettingsError, match="confidence"):
        buying.summary(confidence=1.0)


def test_same_answer_whatever_the_order_of_rows(cdnow, buying):
    shuffled = cdnow.sample(frac=1, random_state=np.random.default_rng(1))
    again = BetaGeoModel().fit(shuffled)
    pd.testing.assert_series_equal(again.params_, buying.params_, check_exact=True)


def test_weights_count_as_copies(drawn):
    book = drawn.head(600)
    copies = np.random.default_rng(2).integers(0, 3, len(book))
    weighted = BetaGeoModel().fit(book, sample_weight=copies)
    repeated = BetaGeoModel().fit(book.loc[book.index.repeat(copies)])
    np.testing.assert_allclose(weighted.params_, repeated.params_, rtol=1e-7)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-12)
    assert weighted.n_accounts_ == copies.sum()
    assert weighted.score(book, sample_weight=copies) == pytest.approx(repeated.log_likelihood_ / copies.sum())


@pytest.mark.parametrize("prior", [None, "weak"])
def test_the_unit_of_time_changes_alpha_only(cdnow, prior):
    weeks = BetaGeoModel(prior=prior).fit(cdnow)
    days = cdnow.copy()
    days[["recency", "T"]] *= 7
    days.attrs["clv"] = {"unit": "D"}
    daily = BetaGeoModel(prior=prior).fit(days)
    np.testing.assert_allclose(daily.params_, weeks.params_ * [1, 7, 1, 1], rtol=1e-6)
    same = daily.expected_purchases(days, 7 * 39), weeks.expected_purchases(cdnow, 39)
    np.testing.assert_allclose(*same, rtol=1e-6)


def test_many_rows_take_the_thinned_start_to_the_same_optimum(drawn, monkeypatch):
    direct = BetaGeoModel().fit(drawn)
    monkeypatch.setattr("clv.value.estimation.best_fit._MANY", 100)
    monkeypatch.setattr("clv.value.estimation.best_fit._FEW", 300)
    thinned = BetaGeoModel().fit(drawn)
    np.testing.assert_allclose(thinned.params_, direct.params_, rtol=1e-5)
    assert thinned.n_iter_ < direct.n_iter_


def test_recovers_known_parameters():
    """In 40 simulated books, estimates are about one standard error from the truth: neither far off nor too sure."""
    truth = known((-0.2, 0.8, -0.1, 0.5))
    away = []
    for seed in range(40):
        T = np.random.default_rng(seed).uniform(30, 100, 1500)
        fitted = BetaGeoModel().fit(truth.simulate(T, seed=1000 + seed))
        errors = np.sqrt(np.diag(fitted.log_covariance_))
        away.append((np.log(fitted.params_) - np.log(truth.params_)).to_numpy() / errors)
    away = np.array(away)
    assert (np.abs(away.mean(axis=0)) < 4 / np.sqrt(len(away))).all()
    assert (np.abs(away) < 1.96).mean() == pytest.approx(0.95, abs=0.05)


def test_agrees_with_an_independent_implementation(cdnow, buying):
    """`lifetimes` on the same data: its optimum, P(alive) and expected purchases."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes import BetaGeoFitter

        peer = BetaGeoFitter().fit(cdnow["frequency"], cdnow["recency"], cdnow["T"])
        ours = BetaGeoModel.from_parameters(unit="W", **{k: float(v) for k, v in peer.params_.items()})
        x, t, T = (cdnow[name].to_numpy() for name in ("frequency", "recency", "T"))
        alive = peer.conditional_probability_alive(x, t, T)
        ahead = peer.conditional_expected_number_of_purchases_up_to_time(39, x, t, T)
        chance = [peer.probability_of_n_purchases_up_to_time(26.0, n) for n in range(12)]
        new = peer.expected_number_of_purchases_up_to_time(np.array([1.0, 39.0, 200.0]))
    assert buying.log_likelihood_ >= ours.score(cdnow) * len(cdnow) - 1e-9
    assert buying.log_likelihood_ == pytest.approx(ours.score(cdnow) * len(cdnow), abs=1e-3)
    np.testing.assert_allclose(ours.probability_alive(cdnow), alive, rtol=1e-9)
    np.testing.assert_allclose(ours.expected_purchases(cdnow, 39), ahead, rtol=1e-7)
    np.testing.assert_allclose(ours.purchase_probability(np.arange(12), 26.0), chance, rtol=1e-9)
    np.testing.assert_allclose(ours.expected_purchases_new([1.0, 39.0, 200.0]), new, rtol=1e-8)


# ---------------------------------------------------------------- what cannot be fitted

DEGENERATE = {
    "all bought once": (([0, 0, 0], [0, 0, 0], [3.0, 5, 9]), "r, alpha, a and b"),
    "T = 0 throughout": (([0, 0], [0, 0], [0.0, 0]), "r, alpha, a and b"),
    "T = 0 for repeat buyers": (([1, 2, 0], [0, 0, 0], [0.0, 0, 9]), "alpha"),
    "a single account": (([5], [10.0], [20.0]), "r, alpha, a and b"),
    "a single account that never came back": (([0], [0.0], [7.0]), "r, alpha, a and b"),
    "all equal": (([3] * 50, [10.0] * 50, [20.0] * 50), "r, alpha, a and b"),
    "no sign of dropout": (([1, 2, 3, 4], [10.0, 20, 30, 40], [10.0, 20, 30, 40]), "r → ∞"),
    "frequencies of thousands": (([5000, 4000, 0, 3], [9999.0, 9000, 0, 5], [10_000.0] * 4), "alpha → 0"),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_books(case, make_book):
    """Maximum likelihood says which parameter is open and what mends it; the weak prior gives finite answers."""
    columns, named = DEGENERATE[case]
    book = make_book(*columns)
    with pytest.raises(FitError, match=named) as caught:
        BetaGeoModel().fit(book)
    assert 'prior="weak"' in str(caught.value)
    model = BetaGeoModel(prior="weak").fit(book)
    assert model.converged_
    assert (model.params_ > 0).all()
    for answer in (model.expected_purchases(book, 52), model.silence_probability(book), model.standard_errors_):
        assert np.isfinite(answer).all()
    assert model.probability_alive(book).between(0, 1).all()


def test_small_books_give_an_estimate_or_a_clear_error():
    """Of 40 sparse books of 100 accounts many have no maximum; none gives NaN, and the posterior always exists."""
    truth = known((-0.3, 1.3, -0.5, 0.0))
    refused, total = 0, []
    for seed in range(40):
        book = truth.simulate(np.random.default_rng(seed).integers(20, 40, 100) * 1.0, seed=seed)
        try:
            fitted = BetaGeoModel().fit(book)
        except FitError as error:
            reason, fitted = str(error), None
        if fitted is None:
            refused += 1
            assert re.search(r" (r|alpha|a|b)( →|,|;)", reason)
        else:
            assert fitted.converged_
            assert np.isfinite(fitted.standard_errors_).all()
        weak = BetaGeoModel(prior="weak").fit(book)
        assert weak.converged_
        total.append(weak.expected_purchases(book, 52).sum() / truth.expected_purchases(book, 52).sum())
    assert refused >= 8
    assert np.median(total) == pytest.approx(1, abs=0.15)


def test_weak_prior_is_weak(cdnow, buying):
    weak = BetaGeoModel(prior="weak").fit(cdnow)
    moved = (weak.params_ - buying.params_).abs() / buying.standard_errors_
    assert moved.max() < 0.25
    assert weak.log_likelihood_ < buying.log_likelihood_


def test_unknown_prior(cdnow):
    with pytest.raises(SettingsError, match="flat"):
        BetaGeoModel(prior="flat").fit(cdnow)


# ---------------------------------------------------------------- predictions


@settings(max_examples=50)
@given(
    st.tuples(logs, logs, logs, logs),
    st.sampled_from([0, 1, 2, 50, 5000]),
    st.floats(0, 1),
    st.sampled_from([0.0, 1e-6, 1.0, 300.0, 10_000.0]),
    st.sampled_from([1e-6, 1.0, 52.0, 1e5]),
)
@example((-1.0, 0.0, -0.7, -0.7), 0, 0.0, 300.0, 52.0)  # a + b < 1 with x = 0
@example((3.0, -3.0, 3.0, 3.0), 5000, 1.0, 0.0, 1e5)
def test_predictions_are_finite_and_probabilities_are_probabilities(powers, x, share, T, t):
    model = known(powers)
    one = pd.DataFrame({"frequency": [x], "recency": [share * T if x else 0.0], "T": [T]})
    alive, ahead = model.probability_alive(one).iloc[0], model.expected_purchases(one, t).iloc[0]
    assert 0 <= alive <= 1
    assert alive == 1 or x > 0
    assert np.isfinite(ahead)
    assert ahead >= 0
    assert model.discounted_expected_purchases(one, 0.01, t).iloc[0] <= ahead * (1 + 1e-9)
    assert np.isfinite(model.discounted_expected_purchases(one, 0.01).iloc[0])
    assert 0 <= model.silence_probability(one).iloc[0] <= 1
    chances = model.purchase_probability(np.array([0, 1, 5, 5000]), t)
    assert ((chances >= 0) & (chances <= 1 + 1e-9)).all()
    assert model.purchase_interval(one, 0.5).iloc[0] > 0
    assert np.isfinite(model.score(one))


def test_silence_makes_an_account_less_alive(buying, make_book):
    T = np.linspace(20, 80, 30)
    book = make_book([3] * 30, [20.0] * 30, T)
    for answer in (
        buying.probability_alive(book),
        buying.silence_probability(book),
        buying.expected_purchases(book, 39),
    ):
        assert (np.diff(answer) < 0).all()
    assert buying.silence_probability(book).iloc[0] == 1


def test_probability_of_purchases_is_a_distribution(buying):
    chances = buying.purchase_probability(np.arange(400), 52)
    assert chances.sum() == pytest.approx(1, abs=1e-9)
    assert (chances * np.arange(400)).sum() == pytest.approx(buying.expected_purchases_new(52), rel=1e-6)
    assert buying.purchase_probability(np.arange(3), 0).tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(SettingsError, match="whole"):
        buying.purchase_probability(1.5, 10)
    with pytest.raises(SettingsError, match="t is"):
        buying.purchase_probability(1, -10)


def test_interval_is_the_quantile_of_silence(buying, cdnow):
    """A living account is silent longer than its q-quantile with probability 1 - q."""
    wait = buying.purchase_interval(cdnow, 0.8)
    later = cdnow.assign(T=cdnow["recency"] + wait)
    np.testing.assert_allclose(buying.silence_probability(later), 0.2, rtol=1e-9)
    assert (buying.purchase_interval(cdnow, 0.0) == 0).all()
    with pytest.raises(SettingsError, match="q is 1"):
        buying.purchase_interval(cdnow, 1)


def test_predictions_keep_the_index(buying, cdnow):
    some = cdnow.sample(50, random_state=np.random.default_rng(3))
    for answer in (buying.probability_alive(some), buying.expected_purchases(some, 39)):
        pd.testing.assert_index_equal(answer.index, some.index)
    all_at_once = buying.expected_purchases(cdnow, 39).loc[some.index]
    np.testing.assert_allclose(buying.expected_purchases(some, 39), all_at_once, rtol=1e-8)


def test_simulated_futures_agree_with_expectation(buying):
    """Purchases of 60,000 simulated new accounts against the closed expectation and P(X = 0)."""
    drawn = buying.simulate(np.full(60_000, 52.0), seed=4)
    mean, error = drawn["frequency"].mean(), drawn["frequency"].std() / np.sqrt(len(drawn))
    assert abs(mean - buying.expected_purchases_new(52)) < 4 * error
    none = buying.purchase_probability(0, 52)
    assert abs((drawn["frequency"] == 0).mean() - none) < 4 * np.sqrt(none * (1 - none) / len(drawn))
    pd.testing.assert_frame_equal(drawn, buying.simulate(np.full(60_000, 52.0), seed=4))


def test_conditional_expectation_agrees_with_simulation():
    """Of accounts drawn twice as long, what those with x = 1 and a late purchase did in the second half."""
    truth = known((-0.2, 0.8, -0.1, 0.5))
    rng = np.random.default_rng(8)
    n, half = 400_000, 26.0
    rate, p = (
        rng.standard_gamma(truth.params_["r"], n) / truth.params_["alpha"],
        rng.beta(*truth.params_[["a", "b"]], n),
    )
    clock, alive = np.zeros(n), np.ones(n, dtype=bool)
    first, last, second = np.zeros(n), np.zeros(n), np.zeros(n)
    while alive.any():
        clock[alive] += rng.standard_exponential(alive.sum()) / np.maximum(rate[alive], 1e-300)
        alive &= clock <= 2 * half
        early = alive & (clock <= half)
        first[early] += 1
        last[early] = clock[early]
        second[alive & (clock > half)] += 1
        alive &= rng.random(n) >= p
    chosen = (first == 1) & (last > 20)
    book = pd.DataFrame({"frequency": first[chosen], "recency": last[chosen], "T": half})
    want = truth.expected_purchases(book, half).mean()
    got, error = second[chosen].mean(), second[chosen].std() / np.sqrt(chosen.sum())
    assert chosen.sum() > 2000
    assert abs(got - want) < 4 * error


def test_posterior_draws(buying):
    """With thousands of accounts the posterior is close to normal in the log-parameters, around the estimate."""
    draws = buying.sample_posterior(10_000, 5)
    assert list(draws.columns) == ["r", "alpha", "a", "b"]
    assert draws.attrs["clv"]["method"]
    errors = np.sqrt(np.diag(buying.log_covariance_))
    assert (np.abs(np.log(draws).mean() - np.log(buying.params_)) < 0.3 * errors).all()
    np.testing.assert_allclose(np.log(draws).std(), errors, rtol=0.25)
    pd.testing.assert_frame_equal(buying.sample_posterior(9, 5), buying.sample_posterior(9, 5))
    with pytest.raises(SettingsError, match="draws"):
        buying.sample_posterior(0, 5)


# ---------------------------------------------------------------- manners


def test_not_fitted(cdnow):
    for call in (
        lambda m: m.probability_alive(cdnow), lambda m: m.expected_purchases(cdnow, 1), lambda m: m.summary(),
        lambda m: m.expected_purchases_new(1), lambda m: m.purchase_probability(0, 1), lambda m: m.score(cdnow),
        lambda m: m.silence_probability(cdnow), lambda m: m.sample_posterior(1), lambda m: m.save("x.json"),
    ):  # fmt: skip
        with pytest.raises(NotFittedError, match="fit"):
            call(BetaGeoModel())


def test_refuses_another_unit(buying, cdnow):
    other = cdnow.copy()
    other.attrs["clv"] = {"unit": "D"}
    for call in (buying.probability_alive, buying.score, buying.silence_probability):
        with pytest.raises(UnitError, match=r"'W'.*'D'"):
            call(other)
    silent = cdnow.copy()
    silent.attrs.clear()
    buying.probability_alive(silent)


def test_scikit_learn_manners(cdnow):
    model = BetaGeoModel(prior="weak")
    assert clone(model).get_params() == {"prior": "weak", "covariates": None, "equal": None, "penalty": 0.0}
    search = GridSearchCV(BetaGeoModel(), {"prior": [None, "weak"]}, cv=3).fit(cdnow)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipe = Pipeline([("model", BetaGeoModel())]).fit(cdnow)
    assert pipe.score(cdnow) == pytest.approx(-9582.429 / 2357, abs=1e-6)


def test_bad_parameters():
    with pytest.raises(SettingsError, match="r, alpha, a, b"):
        BetaGeoModel.from_parameters(r=1.0)
    with pytest.raises(SettingsError, match="a is -1"):
        BetaGeoModel.from_parameters(r=1.0, alpha=1.0, a=-1, b=1.0)


@pytest.mark.parametrize(
    ("change", "column", "message"),
    [
        ({"frequency": -1.0}, "frequency", "frequency is -1"),
        ({"frequency": 1.5}, "frequency", "whole number"),
        ({"frequency": np.nan}, "frequency", "nan"),
        ({"frequency": np.inf}, "frequency", "inf"),
        ({"recency": 99.0}, "recency", "exceeds T"),
        ({"recency": -1.0}, "recency", "-1"),
        ({"T": np.nan}, "T", "nan"),
        ({"T": np.inf}, "T", "inf"),
        ({"frequency": 0.0}, "recency", "frequency is 0"),
    ],
)
def test_bad_rows_are_named(make_book, change, column, message):
    book = make_book([1.0, 2.0, 3.0], [5.0, 6.0, 7.0], [20.0, 20.0, 20.0])
    for name, value in change.items():
        book.iloc[1, book.columns.get_loc(name)] = value
    with pytest.raises(DataError, match=message) as caught:
        BetaGeoModel().fit(book)
    assert caught.value.column == column
    assert caught.value.row == 2
    assert "'A1'" in str(caught.value)


def test_bad_tables(cdnow):
    with pytest.raises(DataError, match="no account"):
        BetaGeoModel().fit(cdnow.head(0))
    with pytest.raises(DataError, match="missing") as caught:
        BetaGeoModel().fit(cdnow.drop(columns="T"))
    assert caught.value.column == "T"
    with pytest.raises(DataError, match="not a ndarray"):
        BetaGeoModel().fit(cdnow.to_numpy())
    with pytest.raises(DataError, match="numbers"):
        BetaGeoModel().fit(cdnow.assign(recency="soon"))
    with pytest.raises(DataError, match="more than once"):
        BetaGeoModel().fit(pd.concat([cdnow, cdnow[["T"]]], axis=1))
    for weight in (np.ones(3), -np.ones(2357), np.zeros(2357), np.full(2357, np.nan)):
        with pytest.raises(SettingsError, match="sample_weight"):
            BetaGeoModel().fit(cdnow, sample_weight=weight)


def test_nullable_and_object_columns_are_numbers_too(cdnow, buying):
    nullable = cdnow.astype({"frequency": "Int64", "T": "Float64"})
    assert BetaGeoModel().fit(nullable).params_.equals(buying.params_)
    nullable.iloc[4, 0] = pd.NA
    with pytest.raises(DataError, match="nan") as caught:
        BetaGeoModel().fit(nullable)
    assert caught.value.row == 5


def test_frequencies_of_several_thousand():
    """The likelihood stays finite and the fit converges where powers would overflow."""
    truth = BetaGeoModel.from_parameters(r=2.0, alpha=0.01, a=0.5, b=800.0)
    book = truth.simulate(np.full(400, 30.0), seed=3)
    assert book["frequency"].max() > 3000
    fitted = BetaGeoModel().fit(book)
    assert (np.abs(np.log(fitted.params_ / truth.params_)) < 4 * np.sqrt(np.diag(fitted.log_covariance_))).all()
    assert np.isfinite(fitted.expected_purchases(book, 30)).all()
