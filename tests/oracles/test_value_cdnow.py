"""Published numbers of BG/NBD and Gamma-Gamma on the CDNOW sample, to half of the last digit printed.

Sources: [FHL] Fader, Hardie & Lee (2005), "Counting your customers" the easy way, Marketing Science 24(2), and its
spreadsheet; [H] Hardie, Notes on the CDNOW master data set; [FH] Fader & Hardie (2013), The Gamma-Gamma model of
monetary value. Estimates with four digits in these notes are where a spreadsheet's solver stopped: they lie within a
thousandth of a standard error of the maximum, below it in likelihood, and are tested as that.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest

from clv.value import BetaGeoModel, GammaGammaModel


def _file(name: str) -> Path:
    return Path(find_spec("lifetimes").origin).parent / "datasets" / name


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    """1/10 sample, calibration to 1997-09-30, weeks; the file's two digits are put back to whole days / 7."""
    frame = pd.read_csv(_file("cdnow_customers_summary.csv"), index_col="ID")
    frame[["recency", "T"]] = (frame[["recency", "T"]] * 7).round() / 7
    frame.attrs["clv"] = {"unit": "W"}
    return frame


@pytest.fixture(scope="module")
def spending() -> pd.DataFrame:
    frame = pd.read_csv(_file("cdnow_customers_summary_with_transactions.csv"), index_col="ID")
    return frame.set_axis(["frequency", "recency", "T", "monetary_value"], axis=1)


@pytest.fixture(scope="module")
def model(cdnow) -> BetaGeoModel:
    return BetaGeoModel().fit(cdnow)


@pytest.fixture(scope="module")
def spend_model(spending) -> GammaGammaModel:
    return GammaGammaModel().fit(spending)


def near(value: float, digits: int):
    """Half of the last digit printed."""
    return pytest.approx(value, abs=0.5 * 10.0**-digits * (1 + 1e-9), rel=0)


def test_customers(cdnow):
    assert len(cdnow) == 2357


def test_beta_geo_estimates(model):
    """[FHL]: r .243, alpha 4.414, a .793, b 2.426, LL -9582.4; notes: -9582.429."""
    assert model.params_["r"] == near(0.243, 3)
    assert model.params_["alpha"] == near(4.414, 3)
    assert model.params_["a"] == near(0.793, 3)
    assert model.params_["b"] == near(2.426, 3)
    assert model.log_likelihood_ == near(-9582.429, 3)
    assert model.converged_


def test_beta_geo_four_digit_estimates_are_the_maximum_up_to_the_solver(model, cdnow):
    """.2426, 4.4137, .7930, 2.4262: not above the maximum, less than 1e-6 below, and .001 standard errors away."""
    printed = pd.Series({"r": 0.2426, "alpha": 4.4137, "a": 0.7930, "b": 2.4262})
    assert ((model.params_ - printed).abs() < 0.001 * model.standard_errors_).all()
    there = BetaGeoModel.from_parameters(unit="W", **printed).score(cdnow) * len(cdnow)
    assert 0 < model.log_likelihood_ - there < 1e-5


def test_beta_geo_expected_purchases_of_a_new_customer(model):
    assert model.expected_purchases_new(52) == near(1.444, 3)  # [H]


@pytest.mark.parametrize(
    ("t", "expected"), [(0.1429, 0.0078), (1, 0.0532), (3, 0.1506), (31.857, 1.0405), (32, 1.0437)]
)
def test_beta_geo_expected_purchases_over_time(model, t, expected):
    assert model.expected_purchases_new(t) == near(expected, 4)


def test_beta_geo_expected_purchases_in_78_weeks(model):
    """A secondary source prints 1.8576; the closed form of [FHL], eq. 9, in 40 digits gives 1.8580, and so do we."""
    with mpmath.workdps(40):
        r, alpha, a, b = (mpmath.mpf(float(value)) for value in model.params_)
        t = mpmath.mpf(78)
        shrunk = (alpha / (alpha + t)) ** r * mpmath.hyp2f1(r, b, a + b - 1, t / (alpha + t))
        closed = float((a + b - 1) / (a - 1) * (1 - shrunk))
    assert model.expected_purchases_new(78) == pytest.approx(closed, rel=1e-10)
    assert closed == pytest.approx(1.8576, abs=5e-4)


def test_beta_geo_customer_1516(model):
    """[H]: x = 26, t_x = 30.857, T = 31: 25.757 purchases in the next 52 weeks, P(alive) .96885."""
    one = pd.DataFrame({"frequency": [26], "recency": [216 / 7], "T": [31.0]})
    assert model.expected_purchases(one, 52).iloc[0] == near(25.757, 3)
    assert model.probability_alive(one).iloc[0] == near(0.96885, 5)


def test_beta_geo_conditional_expectation(model):
    """[FHL], spreadsheet: x = 2, t_x = 30.43, T = 38.86, next 39 weeks: 1.226."""
    one = pd.DataFrame({"frequency": [2], "recency": [30.43], "T": [38.86]})
    assert model.expected_purchases(one, 39).iloc[0] == near(1.226, 3)


def test_beta_geo_probability_of_no_purchase():
    """P(X(39) = 0) = .5737864 at the parameters printed with three digits."""
    rounded = BetaGeoModel.from_parameters(r=0.243, alpha=4.414, a=0.793, b=2.426)
    assert rounded.purchase_probability(0, 39) == near(0.5737864, 7)


def test_beta_geo_holdout(model, cdnow):
    """[H]: 1,653 purchases predicted over the next 39 weeks, and by repeats 0 ... 7+ in calibration."""
    ahead = model.expected_purchases(cdnow, 39)
    assert ahead.sum() == near(1653, 0)
    repeats = cdnow["frequency"].clip(upper=7)
    assert repeats.value_counts().sort_index().tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
    printed = [0.225, 0.523, 1.044, 1.520, 2.164, 2.654, 3.504, 6.157]
    assert ahead.groupby(repeats).mean().tolist() == [near(value, 3) for value in printed]


def test_beta_geo_stability():
    """r .25, alpha 4, a .8, b 2.5, T = 40: ln p(x = 0) = -.59947, ln p(x = 200, t_x = 38) = 100.7957."""
    known = BetaGeoModel.from_parameters(r=0.25, alpha=4.0, a=0.8, b=2.5)
    never = pd.DataFrame({"frequency": [0], "recency": [0.0], "T": [40.0]})
    often = pd.DataFrame({"frequency": [200], "recency": [38.0], "T": [40.0]})
    assert known.score(never) == near(-0.59947, 5)
    assert known.score(often) == near(100.7957, 4)


def test_gamma_gamma_estimates(spend_model, spending):
    """[FH]: 946 repeat buyers, p 6.25, q 3.74, v 15.44, LL -4055.92.

    v is where the authors' solver stopped on a flat ridge (its standard error is 4.2): the maximum has 15.448, and
    their values are not above it in likelihood, less than .002 below it and .005 standard errors away.
    """
    assert spend_model.n_accounts_ == 946
    assert spend_model.params_["p"] == near(6.25, 2)
    assert spend_model.params_["q"] == near(3.74, 2)
    assert spend_model.log_likelihood_ == near(-4055.92, 2)
    printed = pd.Series({"p": 6.25, "q": 3.74, "v": 15.44})
    there = GammaGammaModel.from_parameters(**printed).score(spending) * 946
    assert 0 < spend_model.log_likelihood_ - there < 2e-3
    assert abs(spend_model.params_["v"] - 15.44) < 0.005 * spend_model.standard_errors_["v"]


def test_gamma_gamma_first_ten(spend_model, spending):
    """First ten customers, as the documentation of lifetimes prints them (its optimum lies .001 from the maximum)."""
    printed = [24.658619, 18.911489, 35.170981, 35.170981, 35.170981, 71.462843, 18.911489, 35.170981, 27.282408]
    printed.append(35.170981)
    assert spend_model.expected_spend(spending).head(10).to_numpy() == pytest.approx(printed, abs=2e-3)


def test_gamma_gamma_mean_and_correlation(spend_model):
    """[FH]: mean of the spend distribution p v / (q - 1) = 35.2; frequency and spend nearly independent, .11."""
    p, q, v = spend_model.params_
    assert p * v / (q - 1) == pytest.approx(35.2, abs=0.05)
    assert spend_model.frequency_spend_correlation_ == near(0.114, 3)


def test_frequencies_expected_by_the_model(model, cdnow):
    """[FHL]: P(X(T) = n) summed over customers stays close to the counts (chi-square, 3 degrees: 4.82)."""
    spans, customers = np.unique(cdnow["T"], return_counts=True)
    expected = customers @ np.stack([model.purchase_probability(np.arange(7), span) for span in spans])
    expected = np.append(expected, len(cdnow) - expected.sum())
    counted = np.bincount(cdnow["frequency"].clip(upper=7), minlength=8)
    assert ((counted - expected) ** 2 / expected).sum() == near(4.82, 2)
