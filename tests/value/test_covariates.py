"""Static covariates: nesting, derivatives, predictions against the plain model of each kind of account, recovery."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clv
from clv.errors import DataError, FitError, SettingsError
from clv.value.beta_geo import BetaGeoModel
from clv.value.estimation.checks import History, purchase_history
from clv.value.estimation.distinct import distinct_rows
from clv.value.expectation.hidden import hidden_states
from clv.value.likelihood import beta_geo_rows, pareto_nbd_rows
from clv.value.likelihood.covariate_likelihood import CovariateLikelihood
from clv.value.pareto_nbd import ParetoNBDModel

BOTH = ["size", "shop"]
TRUTH = {
    ParetoNBDModel: {"r": 0.8, "alpha": 10.0, "s": 0.9, "beta": 25.0},
    BetaGeoModel: {"r": 0.8, "alpha": 10.0, "a": 0.9, "b": 3.0},
}
EFFECTS = {"transaction:size": 0.5, "transaction:shop": -0.4, "lifetime:size": -0.6, "lifetime:shop": 0.5}
MODELS = list(TRUTH)
ROWS = {ParetoNBDModel: pareto_nbd_rows, BetaGeoModel: beta_geo_rows}


def truth(kind):
    """A model with known effects, as if it had been fitted."""
    model = kind(covariates=BOTH)
    plain = kind.from_parameters(**TRUTH[kind])
    model.unit_, model.n_accounts_, model.n_iter_, model.converged_ = "W", 0.0, 0, True
    model.gradient_norm_, model.log_likelihood_ = 0.0, np.nan
    values = np.append(plain.params_.to_numpy(), np.exp(list(EFFECTS.values())))
    model._keep(values, np.zeros((8, 8)))
    return model


def firms(n, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"size": rng.integers(-1, 2, n) / 1.0, "shop": rng.integers(0, 2, n) == 1})
    table.index = pd.Index([f"A{i}" for i in range(n)], name="account_id")
    return table


@pytest.fixture(scope="module")
def books():
    return {kind: truth(kind).simulate_accounts(firms(1_500), 60.0, seed=1) for kind in MODELS}


@pytest.mark.parametrize("kind", MODELS)
def test_without_effects_the_likelihood_is_that_of_the_plain_model_exactly(kind, books):
    plain = kind()._likelihood(books[kind], None)
    with_ = kind(covariates=BOTH)._likelihood(books[kind], None)
    at = np.array([0.3, -0.2, 0.4, 0.1])
    value, gradient, hessian = plain(at)
    more, slope, curve = with_(np.append(at, np.zeros(4)))
    assert more + with_.constant == pytest.approx(value + plain.constant, rel=1e-13)
    assert slope[:4] == pytest.approx(gradient, rel=1e-9, abs=1e-8)
    assert curve[:4, :4] == pytest.approx(hessian, rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=15)
@given(at=st.tuples(*[st.floats(-1.5, 1.5)] * 7))
def test_gradient_and_hessian_are_finite_differences(kind, at):
    rng = np.random.default_rng(5)
    accounts = firms(40)
    frequency = rng.integers(0, 6, 40)
    T = rng.uniform(5, 60, 40)
    book = accounts.assign(frequency=frequency, recency=np.where(frequency, T * rng.random(40), 0.0), T=T)
    work, at, step = kind(covariates=BOTH, equal=["shop"], penalty=2.0)._likelihood(book, None), np.array(at), 1e-5
    _, gradient, hessian = work(at)
    for i in range(7):
        away = step * np.eye(7)[i]
        up, down = work(at + away), work(at - away)
        assert gradient[i] == pytest.approx((up[0] - down[0]) / 2 / step, rel=1e-5, abs=2e-5)
        assert hessian[i] == pytest.approx((up[1] - down[1]) / 2 / step, rel=1e-5, abs=2e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_single_accounts_at_the_extremes(kind):
    rng = np.random.default_rng(2)
    logs = rng.uniform(np.log(1e-3), np.log(1e3), (300, 4))
    x = np.rint(10 ** rng.uniform(-0.5, 3.7, 300)) * (rng.random(300) < 0.8)
    T = 10 ** rng.uniform(0, 4, 300)
    history = History(x, np.where(x > 0, T * rng.random(300), 0.0), T)
    each, slope, curve = ROWS[kind].log_likelihood(logs, history)
    assert np.isfinite(each).all()
    assert np.isfinite(slope).all()
    assert np.isfinite(curve).all()
    # Every twentieth against the likelihood of the plain model, itself checked against 50 digits.
    for i in range(0, 300, 20):
        one = pd.DataFrame({"frequency": x[[i]], "recency": history.recency[[i]], "T": T[[i]]})
        plain = kind()._likelihood(one, None)
        assert each[i] == pytest.approx(plain(logs[i] - plain.shift)[0] + plain.constant, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", MODELS)
def test_every_prediction_is_that_of_the_plain_model_of_such_accounts(kind, books):
    model, book = truth(kind), books[kind].iloc[:200]
    for (size, shop), part in book.groupby(BOTH):
        plain = model.at({"size": size, "shop": shop})
        assert set(plain.params_.index) == set(TRUTH[kind])
        for ask in (
            lambda m, s: m.probability_alive(s),
            lambda m, s: m.expected_purchases(s, 52),
            lambda m, s: m.discounted_expected_purchases(s, 0.002),
            lambda m, s: m.discounted_expected_purchases(s, 0.002, 52),
            lambda m, s: m.silence_probability(s),
            lambda m, s: m.purchase_interval(s, 0.5),
        ):
            mine, theirs = ask(model, book).loc[part.index], ask(plain, part)
            assert mine.to_numpy() == pytest.approx(theirs.to_numpy(), rel=1e-8)
            assert mine.name == theirs.name
        new = model.expected_purchases_new(52, part[BOTH])
        assert new.to_numpy() == pytest.approx(np.full(len(part), plain.expected_purchases_new(52)), rel=1e-9)
    alpha = TRUTH[kind]["alpha"]
    assert model.at({"size": 1, "shop": 0}).params_["alpha"] == pytest.approx(alpha * np.exp(-0.5))
    other = model.at({"size": 1, "shop": 0}).params_
    moved = other["beta"] / 25.0 if kind is ParetoNBDModel else 0.9 / other["a"]
    assert moved == pytest.approx(np.exp(0.6))


@pytest.mark.parametrize("kind", MODELS)
def test_effects_come_back_and_are_told_from_nothing(kind, books):
    found = kind(covariates=BOTH).fit(books[kind])
    gamma = found.coefficients_
    assert list(gamma.index) == [tuple(name.split(":")) for name in EFFECTS]
    assert ((gamma["estimate"] - list(EFFECTS.values())).abs() < 4 * gamma["standard_error"]).all()
    assert gamma["ratio"].to_numpy() == pytest.approx(found.params_.iloc[4:].to_numpy())
    plain = kind().fit(books[kind])
    test = clv.likelihood_ratio_test(plain, found)
    assert test.p_value < 1e-6
    assert test.statistic == pytest.approx(2 * (found.log_likelihood_ - plain.log_likelihood_))
    # A test of nothing: covariates of other accounts.
    noise = books[kind].assign(size=firms(1_500, seed=9)["size"].to_numpy())
    nothing = kind(covariates=["size"]).fit(noise)
    assert nothing.log_likelihood_ >= kind().fit(noise).log_likelihood_ - 1e-8
    assert nothing.coefficients_["p_value"].min() > 1e-3


@pytest.mark.parametrize("kind", MODELS)
def test_equal_effects_lie_between_and_nest(kind, books):
    free = kind(covariates=BOTH).fit(books[kind])
    same = kind(covariates=BOTH, equal=["shop"]).fit(books[kind])
    assert same.log_likelihood_ < free.log_likelihood_
    assert len(same.params_) == len(free.params_) - 1
    assert clv.likelihood_ratio_test(same, free).degrees_of_freedom == 1
    with pytest.raises(SettingsError):
        clv.likelihood_ratio_test(free, same)
    only = kind(covariates={"transaction": ["size"]}).fit(books[kind])
    assert clv.likelihood_ratio_test(only, free).degrees_of_freedom == 3
    with pytest.raises(SettingsError, match="not a special case"):
        clv.likelihood_ratio_test(kind(covariates={"lifetime": ["shop"]}).fit(books[kind]), only)


@pytest.mark.parametrize("kind", MODELS)
def test_a_penalty_shrinks_effects_and_is_not_in_the_likelihood(kind, books):
    free, book = kind(covariates=BOTH).fit(books[kind]), books[kind]
    shrunk = kind(covariates=BOTH, penalty=200.0).fit(book)
    assert (shrunk.coefficients_["estimate"].pow(2).sum()) < free.coefficients_["estimate"].pow(2).sum() / 2
    assert shrunk.log_likelihood_ < free.log_likelihood_
    assert shrunk.score(book) * len(book) == pytest.approx(shrunk.log_likelihood_, rel=1e-10)
    gone = kind(covariates=BOTH, penalty=1e9).fit(book)
    assert gone.log_likelihood_ == pytest.approx(kind().fit(book).log_likelihood_, abs=1e-3)
    with pytest.raises(SettingsError, match="maximum-likelihood"):
        clv.likelihood_ratio_test(kind().fit(book), shrunk)


@pytest.mark.parametrize("kind", MODELS)
def test_draws_saving_and_cloning(kind, books, tmp_path):
    from sklearn.base import clone

    book = books[kind]
    model = clone(kind(covariates=BOTH, equal=["size"], penalty=0.5)).fit(book)
    model.save(tmp_path / "m.json")
    again = clv.load_model(tmp_path / "m.json")
    assert again.get_params() == model.get_params()
    assert again.expected_purchases(book, 52).equals(model.expected_purchases(book, 52))
    assert again.coefficients_.equals(model.coefficients_)
    assert list(model.sample_posterior(20, 1).columns) == list(model.params_.index)

    known, rng = truth(kind), np.random.default_rng(3)
    few = book.iloc[:6]
    alive, rate, hazard = hidden_states(known, np.tile(known.params_, (40_000, 1)), few, rng)
    drawn = alive * rate * -np.expm1(-hazard * 26) / hazard
    assert drawn.mean(axis=1) == pytest.approx(known.expected_purchases(few, 26).to_numpy(), abs=5 * drawn.std() / 200)


@pytest.mark.parametrize("kind", MODELS)
def test_prospects_have_value_before_they_buy(kind, books):
    model = truth(kind)
    prospects = clv.no_history(pd.DataFrame({"size": [1.0, -1.0], "shop": [False, True]}, index=["P", "Q"]), unit="W")
    year = model.expected_purchases(prospects, 52)
    assert year.to_numpy() == pytest.approx(model.expected_purchases_new(52, prospects).to_numpy(), rel=1e-12)
    assert year["P"] > 2 * year["Q"]
    spend = clv.GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0)
    arguments = {"horizon": 52, "discount_rate": 0.1, "margin": 0.3, "draws": 4_000}
    for interval in ("credible", "predictive"):
        value = clv.lifetime_value(model, spend, prospects, interval=interval, **arguments)
        assert value.draws.mean(axis=1) == pytest.approx(value.table["clv"].to_numpy(), rel=0.12)
    discounted = model.discounted_purchases_new(prospects, np.log(1.1) * 7 / 365.25, 52)
    assert value.table["clv"].to_numpy() == pytest.approx((0.3 * 30.0 * discounted).to_numpy(), rel=1e-9)
    with pytest.raises(DataError, match="no history"):
        clv.no_history(books[kind], unit="W")


def test_what_is_asked_without_covariates_is_refused(books):
    model = truth(ParetoNBDModel)
    for ask in (lambda: model.expected_purchases_new(52), lambda: model.purchase_probability(1, 52)):
        with pytest.raises(SettingsError, match="covariates"):
            ask()
    assert model.at({"size": 0, "shop": 0}).purchase_probability(0, 52) > 0
    with pytest.raises(DataError, match="'shop'"):
        model.probability_alive(books[ParetoNBDModel].drop(columns="shop"))


@pytest.mark.parametrize("kind", MODELS)
def test_bad_covariates_are_named(kind, books):
    book = books[kind].iloc[:200]
    cases = [
        (book.assign(shop="yes"), BOTH, DataError, "numbers"),
        (book.assign(size=np.nan), BOTH, DataError, "size is nan"),
        (book.assign(size=np.inf), BOTH, DataError, "size is inf"),
        (book.assign(size=1.0), BOTH, FitError, "same for all"),
        (book.assign(size=book["size"] * 1e6), BOTH, DataError, "scale it"),
        (book.assign(size=book["size"] / 1e6), BOTH, DataError, "scale it"),
        (book.assign(size=book["size"] + 2020), BOTH, DataError, "scale it"),
        (book.assign(twin=2 * book["size"] - 1), ["size", "twin"], FitError, "sums of each other"),
        (book, ["size", "size"], SettingsError, "twice"),
        (book, "size -", SettingsError, "cannot be read"),
        (book, {"dropout": ["size"]}, SettingsError, "processes are"),
    ]
    for table, covariates, error, match in cases:
        with pytest.raises(error, match=match):
            kind(covariates=covariates).fit(table)
    with pytest.raises(SettingsError, match="equal names"):
        kind(covariates={"transaction": ["size"]}, equal=["size"]).fit(book)
    with pytest.raises(SettingsError, match="penalty"):
        kind(covariates=BOTH, penalty=-1.0).fit(book)
    assert kind(covariates=BOTH, prior="weak").fit(book.assign(size=1.0)).converged_


def test_equal_rows_are_computed_once_whatever_their_weights(books):
    book = books[BetaGeoModel]
    weight = np.random.default_rng(1).integers(0, 3, len(book)).astype(float)
    once = BetaGeoModel(covariates=BOTH).fit(book, sample_weight=weight)
    again = BetaGeoModel(covariates=BOTH).fit(book.loc[np.repeat(book.index, weight.astype(int))])
    assert once.params_.to_numpy() == pytest.approx(again.params_.to_numpy(), rel=1e-7)
    days = book.assign(recency=(book["recency"] / 10).round() * 10, T=60.0)
    likelihood = BetaGeoModel(covariates=BOTH)._likelihood(days, None)
    assert isinstance(likelihood, CovariateLikelihood)
    assert len(likelihood) < len(book) / 3
    assert len(purchase_history(days).T) == len(book)


def test_distinct_rows_are_those_of_numpy():
    rng = np.random.default_rng(4)
    table = (
        np.column_stack([rng.integers(0, 4, 500), rng.choice([-0.5, 0.0, 7.25], 500), rng.integers(0, 9, 500)]) * 1.0
    )
    distinct, code = distinct_rows(*table.T)
    assert np.array_equal(np.column_stack(distinct), np.unique(table, axis=0))
    assert np.array_equal(np.column_stack(distinct)[code], table)
    assert distinct_rows(np.empty(0))[0][0].shape == (0,)
