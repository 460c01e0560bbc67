"""How often intervals hold the truth, on margins that are log-normal with zeros, drawn thousands of times.

Analyses are run on arrays, as `clv.analyse_experiment` and `clv.incremental_roi` run them on tables; that they do is
tested first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import clv
from clv.abm.experiments.arms import chosen_adjustment
from clv.abm.experiments.randomisation import Draws, _Curve
from clv.abm.experiments.relative import relative_effect
from clv.abm.experiments.trial import Comparison, estimate

CONFIDENCE = 0.95
ZEROS, SIGMA, EFFECT = 0.3, 1.0, 0.3
#: expected effect on an account's margin.
TRUTH = EFFECT * (1 - ZEROS) * np.exp(SIGMA**2 / 2)


@dataclass
class Trial:
    treated: np.ndarray
    before: np.ndarray
    margin: np.ndarray
    cost: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, n: int, *, zeros: float = ZEROS, sigma: float = SIGMA) -> Trial:
        treated = rng.permutation(np.arange(2 * n) % 2).astype(bool)
        size = rng.normal(size=2 * n)

        def margin() -> np.ndarray:
            bought = rng.random(2 * n) >= zeros
            return bought * np.exp(sigma * (0.8 * size + 0.6 * rng.normal(size=2 * n)))

        cost = np.where(treated, 0.2 * np.exp(0.5 * rng.normal(size=2 * n) - 0.125), 0.0)
        return cls(treated, margin(), margin() * (1 + EFFECT * treated), cost)

    def comparison(self, adjustment: str) -> Comparison:
        x = self.before[:, None]
        chosen = chosen_adjustment(adjustment, x, len(self.treated) // 2)
        return Comparison.of(self.treated, covariates=x, adjustment=chosen)

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "account_id": [f"A{i:04d}" for i in range(len(self.treated))], "margin_pre": self.before,
                "arm": np.where(self.treated, "treatment", "control"), "margin": self.margin, "cost": self.cost,
            }
        )  # fmt: skip


def held(trial: Trial, adjustment: str, truth: float, rng: np.random.Generator, draws: int) -> dict[str, bool]:
    """Whether the intervals of the randomisation test, of t, and of the relative effect hold the truth."""
    comparison = trial.comparison(adjustment)
    y = trial.margin[comparison.order]
    curve = _Curve(
        *Draws(comparison, draws=draws, rng=rng).joint(np.column_stack([y, comparison.treated.astype(float)])),
        additive=True,
    )
    fit = estimate(comparison, y[:, None])
    half = stats.t.ppf((1 + CONFIDENCE) / 2, fit.dof) * fit.se[0]
    share = relative_effect(comparison, y, fit, confidence=CONFIDENCE)
    tail = (1 - CONFIDENCE) / 2
    return {
        # What the interval holds is what neither tail of the test rejects.
        "randomisation": min(curve.above(truth), curve.below(truth)) > tail,
        "t": bool(abs(fit.effect[0] - truth) <= half),
        "relative": not (share["relative_lower"] > EFFECT or share["relative_upper"] < EFFECT),
    }


@pytest.mark.parametrize("n", [13, 50])
def test_the_table_says_what_the_arrays_say(n: int) -> None:
    trial = Trial.draw(np.random.default_rng(n), n)
    row = clv.analyse_experiment(trial.frame(), permutations=399, seed=3).table.iloc[0]
    comparison = trial.comparison("auto")
    y = trial.margin[comparison.order]
    drawn = Draws(comparison, draws=399, rng=np.random.default_rng(3)).analyse(y, confidence=CONFIDENCE)
    assert (row["lower"], row["upper"]) == pytest.approx((drawn.lower, drawn.upper))
    share = relative_effect(comparison, y, estimate(comparison, y[:, None]), confidence=CONFIDENCE)
    for name, value in share.items():
        assert row[name] == pytest.approx(value, nan_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "repeats", "draws", "adjustment", "zeros", "sigma"),
    [
        (13, 3000, 399, "auto", 0.3, 1.0),
        (13, 2000, 399, "none", 0.5, 0.8),
        (50, 2000, 399, "auto", 0.3, 1.0),
        (50, 2000, 399, "cuped", 0.5, 0.8),
        (500, 2000, 199, "auto", 0.3, 1.0),
    ],
)
def test_intervals_hold_what_they_say(
    n: int, repeats: int, draws: int, adjustment: str, zeros: float, sigma: float
) -> None:
    """95 % intervals for an effect that raises every margin by 30 %: 93 to 97 %, without any allowance."""
    rng = np.random.default_rng([n, repeats])
    truth = EFFECT * (1 - zeros) * np.exp(sigma**2 / 2)
    found = pd.DataFrame(
        [held(Trial.draw(rng, n, zeros=zeros, sigma=sigma), adjustment, truth, rng, draws) for _ in range(repeats)]
    )
    shares = found.mean()
    assert shares[["randomisation", "t"]].between(0.93, 0.97).all(), shares.to_dict()
    # Of a dozen accounts half of whom buy nothing, the mean of the controls itself is hardly known.
    assert 0.93 <= shares["relative"] <= (0.98 if n < 20 else 0.97), shares.to_dict()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "repeats"), [(13, 1000), (50, 600)])
def test_both_intervals_of_the_return_hold_what_they_say(n: int, repeats: int) -> None:
    """Fieller's and the expanded bootstrap interval of a ratio whose cost differs from account to account."""
    rng = np.random.default_rng([7, n])
    truth = TRUTH / 0.2 - 1
    held = {"fieller": 0, "bootstrap": 0}
    for seed in range(repeats):
        row = clv.incremental_roi(Trial.draw(rng, n).frame(), seed=seed, bootstrap=599).table.iloc[0]
        held["fieller"] += row["interval"] == "unbounded" or row["lower"] <= truth <= row["upper"]
        held["bootstrap"] += row["lower_bootstrap"] <= truth <= row["upper_bootstrap"]
    # Between 93 and 97 %, with the luck of so many draws.
    noise = 1.65 * np.sqrt(0.05 * 0.95 / repeats)
    for name, times in held.items():
        assert 0.93 - noise <= times / repeats <= 0.97 + noise, (name, times / repeats)
