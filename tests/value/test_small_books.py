"""Small books: prior="auto" gives the posterior mean where maximum likelihood has nothing to hold on to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import clv
from clv.errors import FitError, SettingsError
from clv.value import BetaGeoModel, GammaGammaModel, ParetoNBDModel, purchase_forecast


def sparse(seed, accounts=100):
    true = BetaGeoModel.from_parameters(unit="W", r=0.25, alpha=4.4, a=0.8, b=2.4)
    return true.simulate(np.random.default_rng(seed).uniform(5, 39, accounts), seed=seed + 1)


def refusal(summary):
    try:
        BetaGeoModel().fit(summary)
    except FitError as error:
        return error.message
    return None


def test_where_likelihood_is_sharp_it_is_used(cdnow, buying):
    model = BetaGeoModel(prior="auto").fit(cdnow)
    assert model.estimate_ == "maximum likelihood"
    assert model.note_ == ""
    assert model.params_.equals(buying.params_)
    assert model.sample_posterior(5).attrs["clv"]["prior"] == "flat in log-parameters"


def test_a_runaway_is_named_and_held():
    found = []
    for seed in range(12):
        summary = sparse(seed)
        model = BetaGeoModel(prior="auto").fit(summary)
        assert model.estimate_ == "posterior mean"
        assert model.note_.startswith("BetaGeoModel: the data ")
        assert model.note_.endswith("posterior means under weak priors.")
        assert model.params_.between(0.01, 200).all()
        assert model.converged_
        assert np.isfinite(model.log_likelihood_)
        p_alive = model.probability_alive(summary)
        assert p_alive.between(0, 1).all()
        why = refusal(summary)
        found.append(why is not None)
        # What plain likelihood stumbled over is what the reader is told.
        assert (why or "hardly identify") in model.note_
    assert sum(found) >= 2


def test_the_mean_is_that_of_the_posterior():
    model = BetaGeoModel(prior="auto").fit(sparse(3))
    logs = np.log(model.sample_posterior(4_000, 7))
    spread = np.sqrt(np.diag(model.log_covariance_))
    np.testing.assert_allclose((logs.mean() - np.log(model.params_)) / spread, 0, atol=0.12)
    np.testing.assert_allclose(logs.std() / spread, 1, atol=0.12)
    assert model.sample_posterior(5).attrs["clv"]["prior"] == "weak"
    again = BetaGeoModel(prior="auto").fit(sparse(3))
    assert again.params_.equals(model.params_)


@pytest.mark.parametrize(
    ("frequency", "recency", "T"),
    [([0, 0, 0], [0, 0, 0], [10, 20, 30]), ([3], [8], [10]), ([1, 1], [0, 0], [0, 0])],
    ids=["nobody came back", "one account", "no time"],
)
def test_hopeless_books_have_an_answer(make_book, frequency, recency, T):
    summary = make_book(frequency, [float(v) for v in recency], [float(v) for v in T])
    model = BetaGeoModel(prior="auto").fit(summary)
    assert "not identified" in model.note_
    assert np.isfinite(model.expected_purchases(summary, 52)).all()
    assert np.isfinite(model.sample_posterior(20)).all(axis=None)


def test_spend_of_a_few_accounts(make_book):
    same = make_book([2, 3, 1], [5.0, 6.0, 3.0], [10.0] * 3, [20.0, 20.0, 20.0])
    model = GammaGammaModel(prior="auto").fit(same)
    assert "spend the same" in model.note_
    assert model.expected_spend(same).between(15, 25).all()
    nobody = make_book([0], [0.0], [10.0])
    with pytest.raises(FitError, match="no account"):
        GammaGammaModel(prior="auto").fit(nobody)


def test_what_was_decided_survives_a_file(tmp_path):
    model = BetaGeoModel(prior="auto").fit(sparse(3))
    model.save(tmp_path / "model.json", draws=50)
    loaded = clv.load_model(tmp_path / "model.json")
    assert (loaded.estimate_, loaded.note_, loaded.prior) == (model.estimate_, model.note_, "auto")
    assert loaded.sample_posterior(10).attrs["clv"]["prior"] == "weak"


def test_value_says_what_is_not_identified(make_book):
    summary = make_book([0, 1, 2], [0.0, 4.0, 9.0], [10.0, 12.0, 14.0], [0.0, 20.0, 35.0])
    models = BetaGeoModel(prior="auto").fit(summary), GammaGammaModel(prior="auto").fit(summary)
    found = clv.lifetime_value(*models, summary, horizon=52, discount_rate=0.1, margin=0.4, draws=50)
    for model in models:
        assert model.note_
        assert model.note_ in found.text


def test_unknown_prior():
    with pytest.raises(SettingsError, match="prior"):
        BetaGeoModel(prior="strong").fit(sparse(1))


def history_and_year_after(kind, parameters, span, rng, accounts=100):
    """Histories and what really came in the 52 weeks after, drawn without the package."""
    r, alpha, a, b = parameters
    ends = span + 52
    possible = rng.poisson(rng.gamma(r, 1 / alpha, accounts) * ends)
    last, gone = np.full(accounts, np.iinfo(np.int64).max), np.full(accounts, np.inf)
    if kind is BetaGeoModel:
        last = rng.geometric(np.clip(rng.beta(a, b, accounts), 1e-12, 1.0))
    else:
        gone = rng.exponential(1, accounts) / np.maximum(rng.gamma(a, 1 / b, accounts), 1e-300)
    rows = []
    for i in range(accounts):
        when = np.sort(rng.uniform(0, ends[i], possible[i]))[: last[i]]
        when = when[when < gone[i]]
        past = when[when <= span[i]]
        rows.append((len(past), past[-1] if len(past) else 0.0, span[i], len(when) - len(past)))
    summary = pd.DataFrame(rows, columns=["frequency", "recency", "T", "later"]).rename_axis("account_id")
    summary.attrs["clv"] = {"unit": "W"}
    return summary.drop(columns="later"), summary["later"]


#: model, parameters in weeks, span of T, bias and root mean square of errors of a book's total allowed (log scale)
DESIGNS = {
    "sparse": (BetaGeoModel, (0.25, 4.4, 0.8, 2.4), (5, 39), 0.15, 0.30),
    "less than yearly": (BetaGeoModel, (0.6, 40.0, 0.6, 4.0), (26, 104), 0.05, 0.15),
    "loyal": (BetaGeoModel, (1.5, 12.0, 0.5, 50.0), (20, 104), 0.02, 0.05),
    "Pareto": (ParetoNBDModel, (0.55, 10.6, 0.6, 11.7), (5, 39), 0.10, 0.28),
}
BOOKS = 60


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_totals_of_small_books_are_near_the_truth(name):
    """60 books of 100 accounts: the year ahead, against what the true parameters expect and what really came.

    `benchmarks/studies.py` compares this default with others over more designs.
    """
    kind, parameters, span, bias, spread = DESIGNS[name]
    true = kind.from_parameters(unit="W", **dict(zip(kind._names, parameters, strict=True)))
    error, covered, account_hits = [], 0, 0
    for number in range(BOOKS):
        rng = np.random.default_rng([13, list(DESIGNS).index(name), number])
        book, later = history_and_year_after(kind, parameters, rng.uniform(*span, 100), rng)
        model = kind(prior="auto").fit(book)
        assert bool(model.note_) == (model.estimate_ == "posterior mean")
        assert model.params_.between(1e-3, 1e4).all()
        expected = model.expected_purchases(book, 52).sum()
        error.append(np.log(expected / true.expected_purchases(book, 52).sum()))
        forecast = purchase_forecast(model, book, 52, draws=400, seed=number)
        covered += forecast.total[1] <= later.sum() <= forecast.total[2]
        account_hits += int(((forecast.table["lower"] <= later) & (later <= forecast.table["upper"])).sum())
    error = np.array(error)
    print(f"{name}: bias {error.mean():+.3f} rms {np.sqrt((error**2).mean()):.3f} largest {np.abs(error).max():.2f}")
    print(f"{name}: 90 % intervals hold {covered / BOOKS:.0%} of totals, {account_hits / BOOKS:.1f} % of accounts")
    assert abs(error.mean()) < bias
    assert np.sqrt((error**2).mean()) < spread
    assert np.abs(error).max() < np.log(3)  # of all books none is off by a factor of three
    lowest, highest = binom.ppf([0.005, 0.995], BOOKS, 0.9)
    assert lowest <= covered <= highest
    assert account_hits >= 90 * BOOKS  # counts: an interval of whole numbers holds at least 90 %
