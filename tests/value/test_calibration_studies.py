"""Is the posterior the posterior? Simulation-based calibration of every model.

Draw parameters from the weak prior, data from the parameters, and the rank of the truth among posterior draws is
uniform if the posterior is right (Talts, Betancourt, Simpson, Vehtari & Gelman 2018; Modrák et al. 2023 add the
log-likelihood, which sees data that were ignored). Data are drawn here, without the package: counts from Poisson,
binomial and geometric laws, times as order statistics of uniform ones. The mean of T is 1, so that priors of rates do
not look at the data.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from clv.value.beta_geo import BetaGeoModel
from clv.value.beta_geo_beta_binom import BetaGeoBetaBinomModel
from clv.value.beta_geo_cnbd import BetaGeoCNBDModel
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.likelihood.gamma_gamma_likelihood import GammaGammaLikelihood
from clv.value.modified_beta_geo import ModifiedBetaGeoModel
from clv.value.modified_beta_geo_cnbd import ModifiedBetaGeoCNBDModel
from clv.value.pareto_nbd import ParetoNBDModel
from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

pytestmark = pytest.mark.slow

BOOKS, DRAWS, ACCOUNTS = 240, 99, 60
SPANS = np.linspace(0.5, 1.5, ACCOUNTS)
KIND = np.tile([-0.5, 0.5], ACCOUNTS // 2)
#: probability that any of all ranks' distributions is rejected though every posterior is right.
FAMILY_LEVEL = 0.05


def times(frequency, recency):
    return pd.DataFrame({"frequency": frequency, "recency": recency, "T": SPANS})


def buyers(r, alpha, a, b, rng, *, k=1, first=0):
    """Every k-th of uniform events is a purchase, of which the K-th, counted from the first one if so, is the last."""
    events = rng.poisson(np.minimum(rng.gamma(r, 1 / alpha, ACCOUNTS) * SPANS, 1e9))
    dropout = np.clip(rng.beta(a, b, ACCOUNTS), 1e-12, 1.0)
    x = np.minimum(events // k, rng.geometric(dropout) - first)
    recency, again = np.zeros(ACCOUNTS), x > 0
    recency[again] = SPANS[again] * rng.beta(k * x[again], events[again] - k * x[again] + 1)
    return times(x, recency)


def mortals(r, alpha, s, beta, rng):
    """Uniform purchases until an exponential end."""
    rate, hazard = rng.gamma(r, 1 / alpha, ACCOUNTS), rng.gamma(s, 1 / beta, ACCOUNTS)
    end = np.minimum(rng.exponential(1, ACCOUNTS) / np.maximum(hazard, 1e-300), SPANS)
    x = rng.poisson(rate * end)
    recency, again = np.zeros(ACCOUNTS), x > 0
    recency[again] = end[again] * rng.beta(x[again], 1)
    return times(x, recency)


def kinds_of_buyers(r, alpha, a, b, often, leaving, rng):
    return buyers(r, alpha * often**-KIND, a * leaving**KIND, b, rng).assign(kind=KIND)


def kinds_of_mortals(r, alpha, s, beta, often, leaving, rng):
    return mortals(r, alpha * often**-KIND, s, beta * leaving**-KIND, rng).assign(kind=KIND)


def takers(alpha, beta, gamma, delta, rng):
    """4, 6 or 9 opportunities, as many of them alive as a geometric number of losses not suffered."""
    periods, opportunity = np.tile([4, 6, 9], ACCOUNTS // 3), np.arange(1, 10)
    lost = rng.geometric(np.clip(rng.beta(gamma, delta, ACCOUNTS), 1e-12, 1.0))
    open_ = opportunity < np.minimum(lost, periods + 1)[:, None]
    used = open_ & (rng.random((ACCOUNTS, 9)) < rng.beta(alpha, beta, ACCOUNTS)[:, None])
    return pd.DataFrame(
        {"frequency": used.sum(axis=1), "recency": (used * opportunity).max(axis=1), "n_periods": periods}
    )


def contracts(alpha, beta, rng):
    """Some are seen from their third term on: who has renewed twice leaves with probability Beta(alpha, beta + 2)."""
    entry = np.tile([0, 0, 2], ACCOUNTS // 3)
    seen = entry + np.tile([3, 5, 8, 6], ACCOUNTS // 4)
    lost = entry + rng.geometric(np.clip(rng.beta(alpha, beta + entry), 1e-12, 1.0))
    return pd.DataFrame({"duration": np.minimum(lost, seen), "churned": lost <= seen, "entry": entry})


def spenders(p, q, v, rng):
    """Mean spend of 1 to 6 purchases."""
    x = rng.integers(1, 7, ACCOUNTS)
    mean = rng.gamma(p * x) / (x * rng.gamma(q, 1 / v, ACCOUNTS))
    return pd.DataFrame({"frequency": x, "monetary_value": np.clip(mean, 1e-290, 1e290)})


class FixedScale(GammaGammaModel):
    """Gamma-Gamma with money in units of 1, not of the mean spend: its prior must not look at the data here."""

    def _likelihood(self, summary, weight):
        x, money = (summary[name].to_numpy(dtype=float) for name in ("frequency", "monetary_value"))
        return GammaGammaLikelihood(x, money, np.ones(len(x)), scale=1.0)


CASES: dict[str, tuple[object, Callable[..., pd.DataFrame]]] = {
    "BG/NBD": (BetaGeoModel(prior="weak"), buyers),
    "MBG/NBD": (ModifiedBetaGeoModel(prior="weak"), partial(buyers, first=1)),
    "BG/CNBD-3": (BetaGeoCNBDModel(k=3, prior="weak"), partial(buyers, k=3)),
    "MBG/CNBD-2": (ModifiedBetaGeoCNBDModel(k=2, prior="weak"), partial(buyers, k=2, first=1)),
    "Pareto/NBD": (ParetoNBDModel(prior="weak"), mortals),
    "BG/BB": (BetaGeoBetaBinomModel(prior="weak"), takers),
    "sBG": (ShiftedBetaGeoModel(prior="weak"), contracts),
    "Gamma-Gamma": (FixedScale(prior="weak"), spenders),
    "BG/NBD, covariate": (BetaGeoModel(prior="weak", covariates=["kind"]), kinds_of_buyers),
    "Pareto/NBD, covariate": (ParetoNBDModel(prior="weak", covariates=["kind"]), kinds_of_mortals),
}
QUANTITIES = sum(len(model._names) + 1 for model, _ in CASES.values())


def far_apart(ranks):
    """Return the smallest pointwise p-value of the ranks' distribution function, shape (…, books) to (…)."""
    counts = np.apply_along_axis(np.bincount, -1, ranks, minlength=DRAWS + 1)
    return pointwise(counts)


def pointwise(counts):
    books = int(counts.sum(axis=-1).flat[0])
    share = np.arange(1, DRAWS + 1) / (DRAWS + 1)
    below = np.arange(books + 1)
    tails = [binom.cdf(below[:, None], books, share), binom.sf(below[:, None] - 1, books, share)]
    table = 2 * np.minimum(*tails)
    return table[np.cumsum(counts, axis=-1)[..., :-1], np.arange(DRAWS)].min(axis=-1)


@pytest.fixture(scope="module")
def limit():
    """The ECDF envelope of Säilynoja, Bürkner & Vehtari (2022): the p-value at which it is touched, by simulation."""
    rng, found = np.random.default_rng(1), []
    for _ in range(20):
        found.append(pointwise(rng.multinomial(BOOKS, np.full(DRAWS + 1, 1 / (DRAWS + 1)), size=10_000)))
    return np.quantile(np.concatenate(found), FAMILY_LEVEL / QUANTITIES)


def ranks_of_the_truth(case, spread=1.0):
    """Rank the parameters, and the log-likelihood at them, among posterior draws (made narrower by `spread`)."""
    model, draw_book = CASES[case]
    prior, ranks, methods = model._weak, [], []
    for number in range(BOOKS):
        rng = np.random.default_rng([7, list(CASES).index(case), number])
        truth = rng.normal(np.log(prior.centre), prior.spread)
        drawn = model.fit(draw_book(*np.exp(truth), rng)).sample_posterior(DRAWS, rng)
        logs = np.log(drawn.to_numpy())
        logs = logs.mean(axis=0) + spread * (logs - logs.mean(axis=0))
        likelihood = model._source.likelihood
        fit = likelihood.values(np.vstack([truth, logs]) - likelihood.shift)
        ranks.append([*(logs < truth).sum(axis=0), (fit[1:] < fit[0]).sum()])
        methods.append(drawn.attrs["clv"]["method"])
    return np.array(ranks).T, methods


@pytest.mark.parametrize("case", CASES)
def test_ranks_of_the_truth_are_uniform(case, limit):
    ranks, methods = ranks_of_the_truth(case)
    found = far_apart(ranks)
    names = [*CASES[case][0]._names, "log-likelihood"]
    for name, p_value, each in zip(names, found, ranks, strict=True):
        print(f"{case} {name}: {p_value:.4f} (limit {limit:.6f})", np.bincount(each // 10, minlength=10))
    print(case, "by chains", methods.count("metropolis"))
    assert (found > limit).all()
    assert methods.count("importance") >= 0.85 * BOOKS


def test_a_posterior_that_is_a_quarter_too_narrow_is_found_out(limit):
    ranks, _ = ranks_of_the_truth("sBG", spread=0.75)
    assert far_apart(ranks).min() < limit
