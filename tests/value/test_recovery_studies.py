"""Recovery: of 200 simulated books, 95 % intervals hold each true parameter in about 95 %, for every model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from clv.value.beta_geo import BetaGeoModel
from clv.value.beta_geo_beta_binom import BetaGeoBetaBinomModel
from clv.value.beta_geo_cnbd import BetaGeoCNBDModel
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.modified_beta_geo import ModifiedBetaGeoModel
from clv.value.modified_beta_geo_cnbd import ModifiedBetaGeoCNBDModel
from clv.value.pareto_nbd import ParetoNBDModel
from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

pytestmark = pytest.mark.slow

SETS = 200
#: probability that any count of all is out of bounds though every interval is right.
FAMILY_LEVEL = 0.01
COVARIATES = ["size", "shop"]
EFFECTS = {"transaction:size": 0.5, "transaction:shop": -0.4, "lifetime:size": -0.6, "lifetime:shop": 0.5}


class Case(NamedTuple):
    """The model to fit, the truth, and how a book comes from it."""

    model: Any
    truth: dict[str, float]
    book: Callable[[np.random.Generator], pd.DataFrame]


def simulated(model: Any, truth: dict[str, float], low: float, high: float, accounts: int, **more: int) -> Case:
    known = type(model).from_parameters(**truth, **more)
    return Case(model, truth, lambda rng: known.simulate(rng.uniform(low, high, accounts), rng))


def counted(model: Any, truth: dict[str, float], opportunities: int, accounts: int) -> Case:
    known = type(model).from_parameters(**truth)
    return Case(model, truth, lambda rng: known.simulate(np.full(accounts, opportunities), rng))


def spent(truth: dict[str, float], accounts: int) -> Case:
    known = GammaGammaModel.from_parameters(**truth)

    def book(rng: np.random.Generator) -> pd.DataFrame:
        x = rng.integers(1, 8, accounts)
        return pd.DataFrame({"frequency": x, "monetary_value": known.simulate(x, rng)})

    return Case(GammaGammaModel(), truth, book)


def mixed(kind: Any, base: dict[str, float], accounts: int) -> Case:
    """Accounts of six kinds, each simulated by the plain model with the parameters that its covariates give."""
    often, leaving = (
        {name: EFFECTS[f"{process}:{name}"] for name in COVARIATES} for process in ("transaction", "lifetime")
    )

    def book(rng: np.random.Generator) -> pd.DataFrame:
        firms = pd.DataFrame({"size": rng.integers(-1, 2, accounts), "shop": rng.integers(0, 2, accounts)})
        parts = []
        for (size, shop), rows in firms.groupby(COVARIATES):
            own = dict(base)
            own["alpha"] *= np.exp(-size * often["size"] - shop * often["shop"])
            moved, sign = ("beta", -1) if "beta" in own else ("a", 1)
            own[moved] *= np.exp(sign * (size * leaving["size"] + shop * leaving["shop"]))
            part = kind.from_parameters(**own).simulate(np.full(len(rows), 80.0), rng)
            parts.append(part[["frequency", "recency", "T"]].assign(size=size, shop=shop))
        return pd.concat(parts, ignore_index=True)

    return Case(kind(covariates=COVARIATES), {**base, **{name: np.exp(gamma) for name, gamma in EFFECTS.items()}}, book)


REGULAR = {"r": 1.2, "alpha": 6.0, "a": 0.9, "b": 3.0}
CASES = {
    "BG/NBD": simulated(BetaGeoModel(), {"r": 0.6, "alpha": 6.0, "a": 0.7, "b": 3.0}, 20, 79, 1_500),
    "MBG/NBD": simulated(ModifiedBetaGeoModel(), REGULAR, 30, 80, 2_000),
    "BG/CNBD-3": simulated(BetaGeoCNBDModel(k=3), {**REGULAR, "alpha": 2.0}, 30, 80, 2_000, k=3),
    "MBG/CNBD-2": simulated(ModifiedBetaGeoCNBDModel(k=2), {**REGULAR, "alpha": 3.0}, 30, 80, 2_000, k=2),
    "Pareto/NBD": simulated(ParetoNBDModel(), {"r": 0.9, "alpha": 8.0, "s": 0.9, "beta": 14.0}, 30, 80, 1_500),
    "BG/BB": counted(BetaGeoBetaBinomModel(), {"alpha": 1.2, "beta": 0.75, "gamma": 0.66, "delta": 2.8}, 8, 1_500),
    "sBG": counted(ShiftedBetaGeoModel(), {"alpha": 0.7, "beta": 2.5}, 8, 800),
    "Gamma-Gamma": spent({"p": 6.0, "q": 4.0, "v": 15.0}, 1_500),
    "BG/NBD, covariates": mixed(BetaGeoModel, {"r": 0.8, "alpha": 10.0, "a": 0.9, "b": 3.0}, 1_200),
    "Pareto/NBD, covariates": mixed(ParetoNBDModel, {"r": 0.8, "alpha": 10.0, "s": 0.9, "beta": 25.0}, 1_200),
}
INTERVALS = sum(len(case.truth) for case in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_intervals_hold_the_truth_as_often_as_they_say(name):
    case, seed = CASES[name], list(CASES).index(name)
    tail = FAMILY_LEVEL / INTERVALS / 2
    lowest, highest = binom.ppf([tail, 1 - tail], SETS, 0.95)
    truth = pd.Series(case.truth)
    inside = pd.Series(0, index=truth.index)
    for number in range(SETS):
        limits = case.model.fit(case.book(np.random.default_rng([11, seed, number]))).summary()
        inside += truth.between(limits["lower"].loc[truth.index], limits["upper"].loc[truth.index])
    print(name, f"inside of {SETS} (allowed {lowest:.0f} to {highest:.0f}):", inside.to_dict())
    assert inside.between(lowest, highest).all(), inside.to_dict()


@pytest.mark.parametrize("name", ["BG/NBD", "Gamma-Gamma"])
def test_posterior_intervals_hold_it_too(name):
    """The same by quantiles of posterior draws, flat in the log-parameters."""
    case = CASES[name]
    tail = FAMILY_LEVEL / 7 / 2
    lowest, highest = binom.ppf([tail, 1 - tail], SETS, 0.95)
    truth = pd.Series(case.truth)
    inside = pd.Series(0, index=truth.index)
    for number in range(SETS):
        rng = np.random.default_rng([12, number])
        low, high = case.model.fit(case.book(rng)).sample_posterior(500, rng).quantile([0.025, 0.975]).to_numpy()
        inside += truth.between(pd.Series(low, truth.index), pd.Series(high, truth.index))
    print(name, f"inside of {SETS} (allowed {lowest:.0f} to {highest:.0f}):", inside.to_dict())
    assert inside.between(lowest, highest).all(), inside.to_dict()
