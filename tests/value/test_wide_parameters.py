"""Every model over wide ranges of its parameters: probabilities are such, expectations finite and rising with time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clv.value.beta_geo import BetaGeoModel
from clv.value.beta_geo_beta_binom import BetaGeoBetaBinomModel
from clv.value.beta_geo_cnbd import BetaGeoCNBDModel
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.modified_beta_geo import ModifiedBetaGeoModel
from clv.value.modified_beta_geo_cnbd import ModifiedBetaGeoCNBDModel
from clv.value.pareto_nbd import ParetoNBDModel
from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

#: powers of ten: parameters from a thousandth to a thousand
powers = st.tuples(*[st.floats(-3, 3)] * 4)
#: new, unlucky, regular, at its best, silent for ever, a wholesaler
TIMES = pd.DataFrame(
    {
        "frequency": [0, 0, 1, 5, 400, 400, 5_000],
        "recency": [0.0, 0.0, 0.0, 50.0, 90.0, 100.0, 9_000.0],
        "T": [0.0, 100.0, 100.0, 100.0, 100.0, 100.0, 10_000.0],
    }
)
CHANCES = pd.DataFrame(
    {
        "frequency": [0, 0, 1, 5, 90, 100, 4_000],
        "recency": [0, 0, 1, 50, 90, 100, 5_000],
        "n_periods": [0, 100, 100, 100, 100, 100, 10_000],
    }
)
CONTRACTS = pd.DataFrame({"duration": [0, 3, 500, 9_999, 4], "churned": [False] * 4 + [True], "entry": 0})
SPANS = (0.0, 0.1, 1.0, 10.0, 1_000.0)
WHOLE = (0, 1, 2, 10, 1_000)
MODELS = {
    "BG/NBD": (BetaGeoModel, {}, TIMES, SPANS),
    "MBG/NBD": (ModifiedBetaGeoModel, {}, TIMES, SPANS),
    "BG/CNBD-3": (BetaGeoCNBDModel, {"k": 3}, TIMES.drop(index=2), SPANS),
    "MBG/CNBD-2": (ModifiedBetaGeoCNBDModel, {"k": 2}, TIMES.drop(index=2), SPANS),
    "Pareto/NBD": (ParetoNBDModel, {}, TIMES, SPANS),
    "BG/BB": (BetaGeoBetaBinomModel, {}, CHANCES, WHOLE),
    "sBG": (ShiftedBetaGeoModel, {}, CONTRACTS, WHOLE),
}


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=12)
@given(at=powers)
@example(at=(-3.0, -3.0, -3.0, -3.0))
@example(at=(3.0, 3.0, 3.0, 3.0))
@example(at=(3.0, -3.0, 3.0, -3.0))
@example(at=(-3.0, 3.0, -3.0, 3.0))
@example(at=(3.0, -3.0, -3.0, 3.0))
def test_answers_are_possible(name, at):
    kind, more, book, spans = MODELS[name]
    values = dict(zip(kind._names, 10.0 ** np.array(at), strict=False))
    check_answers(kind.from_parameters(**values, **more), book, spans)


@pytest.mark.parametrize("kind", [BetaGeoModel, ParetoNBDModel])
@settings(max_examples=12)
@given(at=powers, effects=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_answers_with_covariates_are_possible(kind, at, effects):
    book = TIMES.assign(size=np.linspace(-2, 2, len(TIMES)))
    model = kind(covariates=["size"], prior="weak").fit(TIMES.iloc[1:6].assign(size=[0.0, 1.0, 0.5, 2.0, -1.0]))
    model._keep(np.append(10.0 ** np.array(at), np.exp(effects)), np.zeros((6, 6)))
    model.estimate_ = "given"
    check_answers(model, book, SPANS, prospects=book[["size"]])


def check_answers(model, book, spans, prospects=None):
    """Ask everything that has a range, and whether it is kept."""
    assert model.probability_alive(book).between(0, 1).all()
    assert model.silence_probability(book).between(0, 1).all()
    waits = [model.purchase_interval(book, q) for q in (0.1, 0.5, 0.9)]
    assert (waits[0] >= 0).all()
    assert (waits[0] <= waits[1]).all()
    assert (waits[1] <= waits[2]).all()
    ahead = np.array([model.expected_purchases(book, t) for t in spans])
    if prospects is None:
        new = np.array([model.expected_purchases_new(t) for t in spans])[:, None]
    else:
        new = np.array([model.expected_purchases_new(t, prospects) for t in spans])
    for rising in (ahead, new):
        assert np.isfinite(rising).all()
        assert (rising >= 0).all()
        assert (rising[0] == 0).all()
        assert (np.diff(rising, axis=0) >= -1e-9 * rising[1:]).all()
    for t, plain in zip(spans[1:], ahead[1:], strict=True):
        worth = [model.discounted_expected_purchases(book, rate, t) for rate in (0.001, 0.1)]
        assert (worth[0] <= plain * (1 + 1e-8)).all()
        assert (worth[1] <= worth[0] * (1 + 1e-8)).all()
        assert (worth[1] >= 0).all()
    endless = model.discounted_expected_purchases(book, 0.01)
    assert np.isfinite(endless).all()
    assert (endless >= model.discounted_expected_purchases(book, 0.01, spans[-1]) * (1 - 1e-8)).all()
    if prospects is None:
        chances = model.purchase_probability(np.array([0, 1, 5, 300]), spans[-2])
        assert ((chances >= 0) & (chances <= 1 + 1e-12)).all()
        assert chances.sum() <= 1 + 1e-9


@settings(max_examples=60)
@given(at=powers, money=st.floats(-6, 6))
def test_expected_spend_lies_between_the_accounts_own_and_that_of_all(at, money):
    p, q, v = 10.0 ** np.array(at[:3])
    model = GammaGammaModel.from_parameters(p=p, q=q, v=v)
    model.mean_spend_ = 7.0
    book = pd.DataFrame({"frequency": [0, 1, 40, 5_000], "monetary_value": [0.0, *[10.0**money] * 3]})
    expected = model.expected_spend(book).to_numpy()
    common = p * v / (q - 1) if model.has_mean else 7.0
    assert np.isfinite(expected).all()
    assert expected[0] == pytest.approx(common)
    low, high = sorted([common, 10.0**money])
    assert ((expected[1:] >= low * (1 - 1e-9)) & (expected[1:] <= high * (1 + 1e-9))).all()
    assert (np.diff(np.abs(expected[1:] - 10.0**money)) <= 1e-9 * high).all()  # the more is known, the nearer to it
