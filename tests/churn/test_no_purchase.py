"""P(no purchase in the next span): the ratio of an account's likelihoods says the same without the closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.value import (
    BetaGeoBetaBinomModel,
    BetaGeoCNBDModel,
    BetaGeoModel,
    ModifiedBetaGeoCNBDModel,
    ModifiedBetaGeoModel,
    ParetoNBDModel,
)

MODELS = [
    BetaGeoModel.from_parameters(unit="W", r=0.8, alpha=6, a=0.8, b=2.5),
    ModifiedBetaGeoModel.from_parameters(unit="W", r=0.8, alpha=6, a=0.8, b=2.5),
    BetaGeoCNBDModel.from_parameters(unit="W", k=3, r=0.8, alpha=2, a=0.8, b=2.5),
    ModifiedBetaGeoCNBDModel.from_parameters(unit="W", k=2, r=0.8, alpha=2, a=0.8, b=2.5),
    ParetoNBDModel.from_parameters(unit="W", r=0.55, alpha=10.6, s=0.6, beta=11.7),
]


def book(unit="W", **columns):
    frame = pd.DataFrame(columns, index=[f"A{i}" for i in range(len(columns["frequency"]))])
    frame.attrs["clv"] = {"unit": unit}
    return frame


def with_columns(summary, **columns):
    later = summary.assign(**columns)
    later.attrs = dict(summary.attrs)
    return later


def likelihood_ratio(model, now, then):
    """L(x, t_x, T + t) / L(x, t_x, T): the history stays silent a while longer."""

    def log_likelihood(table, place):
        row = table.iloc[[place]]
        row.attrs = table.attrs
        return model.score(row)

    return [np.exp(log_likelihood(then, place) - log_likelihood(now, place)) for place in range(len(now))]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("t", [0.5, 13.0, 200.0])
def test_equals_the_ratio_of_likelihoods(model, t):
    summary = book(
        frequency=[0, 3, 12, 60, 2, 0], recency=[0.0, 20, 40, 51, 3, 0], T=[30.0, 26, 52, 52, 30, 0.2]
    )  # fmt: skip
    expected = likelihood_ratio(model, summary, with_columns(summary, T=summary["T"] + t))
    np.testing.assert_allclose(model.no_purchase_probability(summary, t), expected, rtol=1e-8)


def test_equals_the_ratio_of_likelihoods_at_opportunities():
    model = BetaGeoBetaBinomModel.from_parameters(unit="Y", alpha=1.2, beta=0.75, gamma=0.66, delta=2.78)
    summary = book("Y", frequency=[0, 2, 5], recency=[0, 3, 6], n_periods=[6, 6, 6])
    expected = likelihood_ratio(model, summary, with_columns(summary, n_periods=10))
    np.testing.assert_allclose(model.no_purchase_probability(summary, 4), expected, rtol=1e-10)
    assert (model.no_purchase_probability(summary, 0.25) == 1).all()  # no opportunity lies in a quarter of a year


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_falls_with_the_span_and_starts_at_certainty(model):
    g = np.random.default_rng(5)
    x = g.integers(0, 40, 300)
    recency = np.where(x > 0, g.uniform(1, 150, 300), 0.0)
    summary = book(frequency=x, recency=recency, T=recency + g.exponential(30, 300))
    assert (model.no_purchase_probability(summary, 0) == 1).all()
    before = np.ones(300)
    for t in (0.01, 1, 10, 100, 10_000):
        after = model.no_purchase_probability(summary, t).to_numpy()
        assert (after <= before + 1e-12).all()
        assert (after >= 1 - model.probability_alive(summary).to_numpy() - 1e-12).all()
        before = after


def test_agrees_with_drawn_futures_where_accounts_have_covariates():
    rng = np.random.default_rng(11)
    accounts = pd.DataFrame({"size": rng.normal(size=400)}, index=[f"A{i}" for i in range(400)])
    truth = ParetoNBDModel(covariates=["size"])
    drawn = ParetoNBDModel.from_parameters(unit="W", r=1.0, alpha=6.0, s=0.8, beta=30.0).simulate(np.full(400, 60.0), 3)
    summary = drawn.set_axis(accounts.index).assign(size=accounts["size"])
    summary.attrs = drawn.attrs
    model = truth.fit(summary)
    parameters = np.tile(model.params_.to_numpy(), (4_000, 1))
    hidden = model.draw_account_latent(parameters, summary, rng)
    future = model.draw_future(*hidden, horizon=13.0, rng=rng)[0]
    share = (future == 0).mean(axis=1)
    p = model.no_purchase_probability(summary, 13.0).to_numpy()
    z = (share - p) / np.sqrt(np.maximum(p * (1 - p), 1e-4) / 4_000)
    assert np.abs(z).max() < 5
    assert abs(z.mean()) < 0.2


def test_extreme_histories_stay_probabilities():
    summary = book(frequency=[0, 5_000, 300, 1], recency=[0.0, 500, 1, 1e-6], T=[1e5, 5_000, 2_000, 1e5])
    for model in MODELS:
        p = model.no_purchase_probability(summary, 13.0)
        assert np.isfinite(p).all()
        assert p.between(0, 1).all()
        assert p.iloc[1] > 0.999  # ten purchases a week, then silence for ninety years
