"""Is the posterior the posterior? Simulation-based calibration, recovery, and small books against their truth.

Simulation-based calibration: draw parameters from the prior, data from the parameters, and the rank of the truth among
posterior draws is uniform if, and only if for some test quantity not, the posterior is right (Talts, Betancourt,
Simpson, Vehtari & Gelman 2018; Modrák et al. 2023 add the log-likelihood, which sees data that were ignored).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, chisquare

from clv.value.beta_geo import BetaGeoModel
from clv.value.estimation.best_fit import best_fit
from clv.value.estimation.checks import History
from clv.value.estimation.patterns import compress
from clv.value.forecast import purchase_forecast
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.likelihood.beta_geo_likelihood import BetaGeoLikelihood
from clv.value.likelihood.gamma_gamma_likelihood import GammaGammaLikelihood
from clv.value.modified_beta_geo import ModifiedBetaGeoModel
from clv.value.pareto_nbd import ParetoNBDModel
from clv.value.uncertainty.posterior import explore

pytestmark = pytest.mark.slow

DRAWS = 99


def beta_geo_book(parameters, rng, accounts=80):
    """Histories over T = 1, drawn without the package: M uniform purchases, of which the K-th may be the last."""
    r, alpha, a, b = parameters
    rate = rng.gamma(r, 1 / alpha, accounts)
    dropout = np.clip(rng.beta(a, b, accounts), 1e-12, 1.0)
    possible = rng.poisson(rate)
    last = rng.geometric(dropout)
    x = np.minimum(possible, last)
    recency = np.zeros(accounts)
    again = x > 0
    recency[again] = rng.beta(x[again], possible[again] - x[again] + 1)
    return BetaGeoLikelihood(compress(History(x.astype(float), recency, np.ones(accounts))))


def gamma_gamma_book(parameters, rng, accounts=80):
    """Mean spend of 1 to 6 purchases; on a fixed scale, because a prior must not look at the data here."""
    p, q, v = parameters
    x = rng.integers(1, 7, accounts).astype(float)
    nu = rng.gamma(q, 1 / v, accounts)
    spend = rng.gamma(p * x) / (x * nu)
    return GammaGammaLikelihood(x, np.clip(spend, 1e-290, 1e290), np.ones(accounts), scale=1.0)


def modified_beta_geo_book(parameters, rng, accounts=60):
    """As BG/NBD, but the first purchase may be the last, too."""
    r, alpha, a, b = parameters
    rate = rng.gamma(r, 1 / alpha, accounts)
    dropout = np.clip(rng.beta(a, b, accounts), 1e-12, 1.0)
    possible = rng.poisson(rate)
    last = rng.geometric(dropout) - 1
    x = np.minimum(possible, last)
    recency = np.zeros(accounts)
    again = x > 0
    recency[again] = rng.beta(x[again], possible[again] - x[again] + 1)
    data = pd.DataFrame({"frequency": x, "recency": recency, "T": 1.0})
    return ModifiedBetaGeoModel()._likelihood(data, None)


def pareto_nbd_book(parameters, rng, accounts=60):
    """Histories over T = 1 that end at an exponential time."""
    r, alpha, s, beta = parameters
    rate, hazard = rng.gamma(r, 1 / alpha, accounts), rng.gamma(s, 1 / beta, accounts)
    end = np.minimum(rng.exponential(1, accounts) / np.maximum(hazard, 1e-300), 1.0)
    x = rng.poisson(rate * end)
    recency = np.zeros(accounts)
    recency[x > 0] = end[x > 0] * rng.beta(x[x > 0], 1)
    data = pd.DataFrame({"frequency": x, "recency": recency, "T": 1.0})
    return ParetoNBDModel()._likelihood(data, None)


#: model, how a book is drawn, books, classes of ranks
CASES = {
    "beta_geo": (BetaGeoModel, beta_geo_book, 240, 10),
    "gamma_gamma": (GammaGammaModel, gamma_gamma_book, 240, 10),
    "modified_beta_geo": (ModifiedBetaGeoModel, modified_beta_geo_book, 45, 5),
    "pareto_nbd": (ParetoNBDModel, pareto_nbd_book, 45, 5),
}


@pytest.mark.parametrize("case", CASES)
def test_ranks_of_the_truth_are_uniform(case):
    model, draw_book, books, bins = CASES[case]
    prior, names = model._weak, model._names
    ranks, methods = [], []
    for number in range(books):
        rng = np.random.default_rng([7, number])
        truth = rng.normal(np.log(prior.centre), prior.spread)
        likelihood = draw_book(np.exp(truth), rng)
        optimum, covariance = best_fit(likelihood, prior, model=case, names=names)
        sample = explore(likelihood, prior, optimum.at, covariance, draws=DRAWS, rng=rng)
        found = sample.resampled(DRAWS, rng)
        fit = np.array([likelihood(at)[0] for at in found])
        own = likelihood(truth)[0]
        ranks.append([*(found < truth).sum(axis=0), (fit < own).sum()])
        methods.append(sample.about["method"])
    ranks = np.array(ranks)
    assert methods.count("importance") > 0.8 * books
    for column, what in enumerate([*names, "log-likelihood"]):
        counts = np.bincount(ranks[:, column] * bins // (DRAWS + 1), minlength=bins)
        p_value = chisquare(counts).pvalue
        print(case, what, counts, round(p_value, 3))
        assert p_value > 0.001, f"{what}: {counts}"


@pytest.mark.parametrize("model", ["beta_geo", "gamma_gamma"])
def test_intervals_hold_the_truth_as_often_as_they_say(model):
    """200 sets; 95 % intervals of each parameter; flat in the log-parameters."""
    sets, accounts = 200, 1_500
    lowest, highest = binom.ppf([0.0005, 0.9995], sets, 0.95)
    inside = []
    for number in range(sets):
        rng = np.random.default_rng([11, number])
        if model == "beta_geo":
            truth = {"r": 0.6, "alpha": 6.0, "a": 0.7, "b": 3.0}
            data = BetaGeoModel.from_parameters(unit="W", **truth).simulate(rng.integers(20, 79, accounts), rng)
            fitted = BetaGeoModel().fit(data)
        else:
            truth = {"p": 6.0, "q": 4.0, "v": 15.0}
            data = pd.DataFrame({"frequency": rng.integers(1, 8, accounts)})
            data["monetary_value"] = GammaGammaModel.from_parameters(**truth).simulate(data["frequency"], rng)
            fitted = GammaGammaModel().fit(data)
        drawn = fitted.sample_posterior(500, rng)
        low, high = drawn.quantile(0.025), drawn.quantile(0.975)
        inside.append([low[name] <= value <= high[name] for name, value in truth.items()])
    hits = np.sum(inside, axis=0)
    print(model, "inside of", sets, hits)
    assert ((hits >= lowest) & (hits <= highest)).all()


def test_small_books_are_valued_sensibly():
    """40 sparse books of 100 accounts: no estimate runs away, totals are near those of the true parameters.

    The truth of a book is what it really bought in the year after, and what the true parameters would expect of it.
    """
    horizon, books = 52.0, 40
    true = BetaGeoModel.from_parameters(unit="W", r=0.25, alpha=4.4, a=0.8, b=2.4)
    ratio, covered, account_hits, accounts, kinds = [], [], 0, 0, []
    for number in range(books):
        rng = np.random.default_rng([13, number])
        rate, dropout = rng.gamma(0.25, 1 / 4.4, 100), rng.beta(0.8, 2.4, 100)
        span = rng.uniform(5, 39, 100)
        past, later = np.zeros(100, dtype=int), np.zeros(100, dtype=int)
        recency = np.zeros(100)
        for i in range(100):
            clock = 0.0
            while True:
                clock += rng.exponential(1 / rate[i]) if rate[i] > 0 else np.inf
                if clock > span[i] + horizon:
                    break
                if clock <= span[i]:
                    past[i] += 1
                    recency[i] = clock
                else:
                    later[i] += 1
                if rng.random() < dropout[i]:
                    break
        summary = pd.DataFrame({"frequency": past, "recency": recency, "T": span})
        summary.index.name = "account_id"
        summary.attrs["clv"] = {"unit": "W"}
        model = BetaGeoModel(prior="auto").fit(summary)
        kinds.append(model.estimate_)
        assert model.note_
        assert model.params_.between(1e-3, 1e3).all()
        ratio.append(model.expected_purchases(summary, horizon).sum() / true.expected_purchases(summary, horizon).sum())
        forecast = purchase_forecast(model, summary, horizon, draws=400, seed=number)
        covered.append(forecast.total[1] <= later.sum() <= forecast.total[2])
        table = forecast.table
        account_hits += int(((table["lower"] <= later) & (later <= table["upper"])).sum())
        accounts += 100
    error = np.log(ratio)
    print("bias", error.mean(), "rms", np.sqrt((error**2).mean()), "max", np.abs(error).max(), "total", sum(covered))
    print("accounts", account_hits / accounts, "kinds", set(kinds))
    assert set(kinds) == {"posterior mean"}
    assert abs(error.mean()) < 0.2  # the bias of the book's total: the priors' pull, well within one book's error
    assert np.abs(error).max() < 0.7  # no book is off by more than a factor of two
    assert binom.cdf(sum(covered), books, 0.9) > 0.005
    assert account_hits / accounts > 0.9  # counts: an interval of whole numbers holds at least 90 %
