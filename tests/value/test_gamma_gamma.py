"""Gamma-Gamma: fit, its refusals, and what it predicts."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from clv.errors import DataError, FitError, NotFittedError
from clv.value import GammaGammaModel


def known(p=6.25, q=3.74, v=15.44) -> GammaGammaModel:
    return GammaGammaModel.from_parameters(p=p, q=q, v=v)


def spending(frequency, money) -> pd.DataFrame:
    index = pd.Index([f"A{i}" for i in range(len(frequency))], name="account_id")
    return pd.DataFrame({"frequency": frequency, "monetary_value": money}, index=index)


def test_only_repeat_buyers_with_money_are_used(cdnow_spend, paying):
    used = cdnow_spend[(cdnow_spend["frequency"] > 0) & (cdnow_spend["monetary_value"] > 0)]
    assert paying.n_accounts_ == len(used) == 946
    pd.testing.assert_series_equal(GammaGammaModel().fit(used).params_, paying.params_)
    free = cdnow_spend.copy()
    free.iloc[0, free.columns.get_loc("monetary_value")] = 0.0
    assert GammaGammaModel().fit(free).n_accounts_ == 945


def test_recovers_known_parameters():
    truth, away = known(), []
    for seed in range(40):
        x = np.random.default_rng(seed).geometric(0.3, 1200)
        fitted = GammaGammaModel().fit(spending(x, truth.simulate(x, seed=100 + seed)))
        away.append((np.log(fitted.params_ / truth.params_) / np.sqrt(np.diag(fitted.log_covariance_))).to_numpy())
    away = np.array(away)
    assert (np.abs(away.mean(axis=0)) < 4 / np.sqrt(len(away))).all()
    assert (np.abs(away) < 1.96).mean() == pytest.approx(0.95, abs=0.06)


@pytest.mark.parametrize("factor", [1e-6, 100.0, 1e6, 1e12])
def test_the_currency_changes_v_only(cdnow_spend, paying, factor):
    rich = cdnow_spend.assign(monetary_value=cdnow_spend["monetary_value"] * factor)
    model = GammaGammaModel().fit(rich)
    np.testing.assert_allclose(model.params_, paying.params_ * [1, 1, factor], rtol=1e-6)
    np.testing.assert_allclose(model.expected_spend(rich), paying.expected_spend(cdnow_spend) * factor, rtol=1e-6)
    shift = -paying.n_accounts_ * np.log(factor)
    assert model.log_likelihood_ == pytest.approx(paying.log_likelihood_ + shift, rel=1e-10)


def test_weights_count_as_copies(cdnow_spend):
    copies = np.random.default_rng(1).integers(0, 3, len(cdnow_spend))
    weighted = GammaGammaModel().fit(cdnow_spend, sample_weight=copies)
    repeated = GammaGammaModel().fit(cdnow_spend.loc[cdnow_spend.index.repeat(copies)])
    np.testing.assert_allclose(weighted.params_, repeated.params_, rtol=1e-6)
    for name in ("n_accounts_", "mean_spend_", "frequency_spend_correlation_"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name))


def test_agrees_with_an_independent_implementation(cdnow_spend, paying):
    used = cdnow_spend[cdnow_spend["frequency"] > 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes import GammaGammaFitter

        peer = GammaGammaFitter().fit(used["frequency"], used["monetary_value"])
        spend = peer.conditional_expected_average_profit(cdnow_spend["frequency"], cdnow_spend["monetary_value"])
    ours = GammaGammaModel.from_parameters(**{k: float(v) for k, v in peer.params_.items()})
    assert paying.log_likelihood_ >= ours.score(cdnow_spend) * 946 - 1e-9
    np.testing.assert_allclose(ours.expected_spend(cdnow_spend), spend, rtol=1e-10)


def test_reports_correlation_of_frequency_and_spend(cdnow_spend, paying):
    used = cdnow_spend[cdnow_spend["frequency"] > 0]
    want = np.corrcoef(used["frequency"], used["monetary_value"])[0, 1]
    assert paying.frequency_spend_correlation_ == pytest.approx(want, rel=1e-10)
    constant = GammaGammaModel().fit(used[used["frequency"] == 1])
    assert np.isnan(constant.frequency_spend_correlation_)


def test_expectation_lies_between_own_and_common_mean(cdnow_spend, paying):
    spend = paying.expected_spend(cdnow_spend)
    p, q, v = paying.params_
    common = p * v / (q - 1)
    once = cdnow_spend["frequency"] == 0
    np.testing.assert_allclose(spend[once], common)
    own = cdnow_spend["monetary_value"]
    low, high = np.minimum(own, common), np.maximum(own, common)
    assert ((spend >= low - 1e-9) & (spend <= high + 1e-9))[~once].all()


def test_money_of_one_time_buyers_is_not_used(paying):
    spend = paying.expected_spend(spending([0, 0], [0.0, 500.0]))
    assert spend.iloc[0] == spend.iloc[1]


def test_draws_have_the_closed_mean(cdnow_spend, paying):
    some = cdnow_spend.head(20)
    parameters = np.tile(paying.params_.to_numpy(), (20_000, 1))
    drawn = paying.draw_spend(parameters, some, np.random.default_rng(2))
    error = drawn.std(axis=1) / np.sqrt(drawn.shape[1])
    assert (np.abs(drawn.mean(axis=1) - paying.expected_spend(some)) < 4.5 * error).all()


def test_without_a_finite_mean_the_fallback_is_used_and_said():
    truth = known(p=4.0, q=0.6, v=10.0)
    x = np.random.default_rng(3).geometric(0.3, 3000)
    book = spending(np.append(x, 0), np.append(truth.simulate(x, seed=4), 0.0))
    model = GammaGammaModel().fit(book)
    assert not model.has_mean
    spend = model.expected_spend(book)
    assert np.isfinite(spend).all()
    assert spend.iloc[-1] == pytest.approx(model.mean_spend_)
    assert model.mean_spend_ == pytest.approx(np.average(book["monetary_value"], weights=book["frequency"]))
    p, q, _ = model.params_
    share = p * x[0] / (p * x[0] + q)
    assert spend.iloc[0] == pytest.approx(share * book["monetary_value"].iloc[0] + (1 - share) * model.mean_spend_)


@pytest.mark.parametrize(("x", "money"), [([5], [10.0]), ([3] * 50, [10.0] * 50), ([1, 2, 9], [10.0, 10.0, 10.0])])
def test_degenerate_books(x, money):
    book = spending(x, money)
    with pytest.raises(FitError, match="spend the same") as caught:
        GammaGammaModel().fit(book)
    assert 'prior="weak"' in str(caught.value)
    model = GammaGammaModel(prior="weak").fit(book)
    assert model.converged_
    np.testing.assert_allclose(model.expected_spend(book), 10.0, rtol=0.1)
    assert np.isfinite(model.standard_errors_).all()
    drawn = model.draw_spend(model.sample_posterior(200, 1).to_numpy(), book, np.random.default_rng(1))
    assert np.isfinite(drawn).all()


def test_small_books_give_an_estimate_or_a_clear_error():
    truth, refused = known(), 0
    for seed in range(40):
        x = np.random.default_rng(seed).geometric(0.4, 30)
        book = spending(x, truth.simulate(x, seed))
        try:
            fitted = GammaGammaModel().fit(book)
        except FitError as error:
            reason, fitted = str(error), None
        if fitted is None:
            refused += 1
            assert re.search(r" (p|q|v)( →|,|;)", reason)
        else:
            assert np.isfinite(fitted.standard_errors_).all()
        weak = GammaGammaModel(prior="weak").fit(book)
        assert weak.converged_
        assert np.isfinite(weak.expected_spend(book)).all()
    assert refused >= 5


def test_weak_prior_is_weak(cdnow_spend, paying):
    weak = GammaGammaModel(prior="weak").fit(cdnow_spend)
    assert ((weak.params_ - paying.params_).abs() / paying.standard_errors_).max() < 0.25


def test_refusals(cdnow_spend):
    with pytest.raises(FitError, match="no account has repeat purchases"):
        GammaGammaModel(prior="weak").fit(spending([0, 0, 3], [0.0, 0.0, 0.0]))
    with pytest.raises(DataError, match="-1") as caught:
        GammaGammaModel().fit(spending([1, 2, 3], [5.0, -1.0, 5.0]))
    assert (caught.value.column, caught.value.row) == ("monetary_value", 2)
    with pytest.raises(DataError, match="nan"):
        known().expected_spend(spending([1, 2], [5.0, np.nan]))
    with pytest.raises(NotFittedError):
        GammaGammaModel().expected_spend(cdnow_spend)
