"""Published numbers of Pareto/NBD, MBG/NBD and (M)BG/CNBD-k, to half of the last digit printed unless it is said why.

Sources: [FH] Fader & Hardie (2005), A note on deriving the Pareto/NBD model, and their note on implementing it in
MATLAB; [FHL] Fader, Hardie & Lee (2005), RFM and CLV, and the spreadsheet of its DERT; [B] Batislam, Denizel &
Filiztekin (2007); [H] Hardie's notes on the CDNOW data. Two of them were computed from times as the file prints them
(two digits); the others from whole days / 7.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clv.value import BetaGeoCNBDModel, BetaGeoModel, ModifiedBetaGeoCNBDModel, ModifiedBetaGeoModel, ParetoNBDModel


def near(value: float, digits: int):
    """Half of the last digit printed."""
    return pytest.approx(value, abs=0.5 * 10.0**-digits * (1 + 1e-9), rel=0)


@pytest.fixture(scope="module")
def printed() -> pd.DataFrame:
    """CDNOW 1/10 sample as its file prints it."""
    file = Path(find_spec("lifetimes").origin).parent / "datasets" / "cdnow_customers_summary.csv"
    frame = pd.read_csv(file, index_col="ID")
    frame.attrs["clv"] = {"unit": "W"}
    return frame


@pytest.fixture(scope="module")
def cdnow(printed) -> pd.DataFrame:
    """The same with whole days / 7."""
    frame = printed.copy()
    frame[["recency", "T"]] = (frame[["recency", "T"]] * 7).round() / 7
    frame.attrs["clv"] = {"unit": "W"}
    return frame


@pytest.fixture(scope="module")
def pareto(cdnow) -> ParetoNBDModel:
    return ParetoNBDModel().fit(cdnow)


def test_pareto_estimates(pareto):
    """[FH]: r .553, alpha 10.578, s .606, beta 11.669, LL -9594.976."""
    assert pareto.params_["r"] == near(0.553, 3)
    assert pareto.params_["alpha"] == near(10.578, 3)
    assert pareto.params_["s"] == near(0.606, 3)
    assert pareto.params_["beta"] == near(11.669, 3)
    assert pareto.log_likelihood_ == near(-9594.976, 3)
    assert pareto.converged_


@pytest.mark.parametrize(("name", "error"), [("r", 0.04763), ("alpha", 0.84272), ("s", 0.18726), ("beta", 6.21054)])
def test_pareto_standard_errors(pareto, name, error):
    """From a secondary source, by numerical differences: equal to 1.5e-4; ours are exact derivatives."""
    assert pareto.standard_errors_[name] == pytest.approx(error, rel=1.5e-4)


def test_pareto_expectation_of_a_new_customer(pareto):
    assert pareto.expected_purchases_new(52) == near(1.4734, 4)


def test_pareto_customer_1516(pareto):
    """25.456 is of t_x = 30.86, two digits; P(alive) .99787 of whole days: each is met at its own input."""
    days = pd.DataFrame({"frequency": [26], "recency": [216 / 7], "T": [31.0]})
    digits = days.assign(recency=30.86)
    assert pareto.probability_alive(days).iloc[0] == near(0.99787, 5)
    assert pareto.expected_purchases(digits, 52).iloc[0] == near(25.456, 3)
    assert pareto.expected_purchases(days, 52).iloc[0] == pytest.approx(25.456, abs=1e-3)


def test_pareto_discounted_expected_transactions():
    """P(alive) .35718, next 39.857 .22125, DERT .058489: printed from more digits of the parameters than are given.

    They lie in the range that the rounding of the four parameters leaves, and within 1.5e-4 of the values at their
    middle.
    """
    middle = {"r": 0.7866, "alpha": 5.3349, "s": 0.3570, "beta": 11.6152}
    one = pd.DataFrame({"frequency": [0], "recency": [0.0], "T": [40.0]})

    def values(model: ParetoNBDModel) -> list[float]:
        return [
            model.probability_alive(one).iloc[0],
            model.expected_purchases(one, 39.857).iloc[0],
            model.discounted_expected_purchases(one, 0.1).iloc[0],
        ]

    wanted = np.array([0.35718, 0.22125, 0.058489])
    corners = [
        values(ParetoNBDModel.from_parameters(**{k: v + e * 5e-5 for (k, v), e in zip(middle.items(), s, strict=True)}))
        for s in product((-1, 1), repeat=4)
    ]
    half = np.array([5e-6, 5e-6, 5e-7])
    assert (np.min(corners, axis=0) - half <= wanted).all()
    assert (np.max(corners, axis=0) + half >= wanted).all()
    np.testing.assert_allclose(values(ParetoNBDModel.from_parameters(**middle)), wanted, rtol=1.5e-4)


def test_holdout_by_repeats(pareto, cdnow):
    """[H], secondary: mean expected purchases in the next 39 weeks by repeats 0 ... 7+ (a unit of the last digit)."""
    group = cdnow["frequency"].clip(upper=7)
    assert group.value_counts().sort_index().tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
    found = pareto.expected_purchases(cdnow, 39).groupby(group).mean()
    np.testing.assert_allclose(found, [0.138, 0.600, 1.196, 1.714, 2.399, 2.907, 3.819, 6.403], atol=1e-3, rtol=0)
    easy = BetaGeoModel().fit(cdnow).expected_purchases(cdnow, 39).groupby(group).mean()
    np.testing.assert_allclose(easy, [0.225, 0.523, 1.044, 1.520, 2.164, 2.654, 3.504, 6.157], atol=1e-3, rtol=0)


def test_modified_beta_geo(printed):
    """[B]: r .525, alpha 6.183, a .891, b 1.614, LL -9582.13, of the file's two digits."""
    model = ModifiedBetaGeoModel().fit(printed)
    assert model.params_["r"] == near(0.525, 3)
    assert model.params_["alpha"] == near(6.183, 3)
    assert model.params_["a"] == near(0.891, 3)
    assert model.params_["b"] == near(1.614, 3)
    assert model.log_likelihood_ == near(-9582.13, 2)


@pytest.mark.parametrize(
    ("regular", "plain"), [(BetaGeoCNBDModel, BetaGeoModel), (ModifiedBetaGeoCNBDModel, ModifiedBetaGeoModel)]
)
def test_one_step_is_the_model_itself(cdnow, regular, plain):
    """K = 1 nests exactly: parameters, likelihood, predictions."""
    one, other = regular(k=1).fit(cdnow), plain().fit(cdnow)
    pd.testing.assert_series_equal(one.params_, other.params_, rtol=1e-12)
    assert one.log_likelihood_ == other.log_likelihood_
    for name, more in (
        ("probability_alive", ()), ("expected_purchases", (39,)), ("silence_probability", ()),
        ("purchase_interval", (0.5,)), ("discounted_expected_purchases", (0.01,)),
    ):  # fmt: skip
        got, want = getattr(one, name)(cdnow, *more), getattr(other, name)(cdnow, *more)
        pd.testing.assert_series_equal(got, want, rtol=1e-10)
    n = np.arange(30)
    np.testing.assert_allclose(one.purchase_probability(n, 39), other.purchase_probability(n, 39), rtol=1e-10)


def test_cdnow_is_not_regular(cdnow):
    """Compact discs are bought at random: of k = 1, 2, 3 the likelihood is highest for 1."""
    model = BetaGeoCNBDModel().fit(cdnow)
    assert model.k_ == 1
    assert model.log_likelihoods_.is_monotonic_decreasing
    assert model.log_likelihood_ == near(-9582.429, 3)
