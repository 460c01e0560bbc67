"""Who gains: effects by account, learnt on some accounts and judged on others; uplift curve and Qini."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from clv.abm.experiments.analysis_text import between, quantity
from clv.abm.experiments.arms import check_arms, codes, covariate_matrix, numbers
from clv.abm.experiments.linear import Floats, fit_cr2
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: units in an arm below which no split is honest.
FEWEST = 100
Learner = Literal["linear", "boosted"]


@dataclass(frozen=True, eq=False)
class Uplift(Result):
    """Heterogeneity of an effect.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a group of accounts by predicted effect, the largest first: group, accounts, predicted, effect, se,
        lower, upper; the effect is that of accounts the prediction has not seen.
    accounts : pandas.DataFrame
        account_id (or row), predicted: for each, by a model that has not seen it.
    curve : pandas.DataFrame
        share of accounts treated in order of prediction, gain (mean incremental outcome over all accounts), random.
    qini, qini_lower, qini_upper : float
        Area between the curve and treating at random; 0 if the order is worthless.
    slope, p_value : float
        How much of the predicted differences is real (1 is all), and the one-sided test of none.
    confidence : float
    """

    accounts: pd.DataFrame
    curve: pd.DataFrame
    qini: float
    qini_lower: float
    qini_upper: float
    slope: float
    p_value: float
    confidence: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the uplift curve against treating at random."""
        from clv.abm.experiments.pictures import curves

        long = self.curve.melt("share", ["gain", "random"], var_name="order", value_name="value")
        long["order"] = long["order"].map({"gain": "by prediction", "random": "at random"})
        return curves(
            long, x="share", y="value", by="order", title="Gain from treating a share of the accounts",
            labels=("share treated", "incremental outcome, mean over all accounts"), ax=ax,
        )  # fmt: skip


def uplift(
    data: pd.DataFrame,
    *,
    features: Sequence[str],
    outcome: str = "margin",
    arm: str = "arm",
    control: str = "control",
    treatment: str | None = None,
    block: str | Sequence[str] | None = None,
    cluster: str | None = None,
    learner: Learner = "linear",
    folds: int = 5,
    groups: int = 4,
    confidence: float = 0.95,
    seed: int = 0,
    currency: str = "",
) -> Uplift:
    """Find out which accounts gain more from a randomised treatment.

    Parameters
    ----------
    data : pandas.DataFrame
        As for `clv.analyse_experiment`; at least 100 units an arm.
    features : sequence of str
        Known before the start.
    treatment : str, optional
        Which arm, where there are several.
    learner : {"linear", "boosted"}
        Ridge regression an arm, or gradient boosting an arm.
    folds : int
        Every account is judged by a model fitted to the other folds; clusters stay whole.

    Returns
    -------
    Uplift

    Notes
    -----
    Doubly robust scores with the known treatment shares (Robins, Rotnitzky & Zhao 1994) on held-out accounts; groups
    and best linear predictor as Chernozhukov, Demirer, Duflo & Fernández-Val (2018); Qini as the area of Radcliffe
    (2007) in its per-account form (Yadlowsky et al. 2025). Standard errors take the order as given.
    """
    from scipy import stats

    arms = check_arms(data, arm=arm, control=control, block=block, cluster=cluster)
    chosen = treatment or arms.treatments[0]
    if chosen not in arms.treatments or (treatment is None and len(arms.treatments) > 1):
        raise SettingsError(f"treatment = {treatment!r}; there are {', '.join(arms.treatments)}.", mend="Choose one.")
    if learner not in ("linear", "boosted") or folds < 2 or groups < 2 or not features:
        raise SettingsError("learner, folds, groups or features are impossible.", mend="See the docstring.")
    y = numbers(arms.frame, outcome)
    rows = arms.rows(chosen, ~np.isnan(y))
    x, _ = covariate_matrix(arms.frame, features)
    assert x is not None
    x, y = x[rows], y[rows]
    z = (arms.arm.iloc[rows] == chosen).to_numpy().astype(float)
    unit, stratum = codes(arms.cluster.iloc[rows]), codes(arms.block.iloc[rows])
    few = min(len(np.unique(unit[z == 1])), len(np.unique(unit[z == 0])))
    if few < FEWEST:
        raise DataError(
            f"the smaller arm has {few} units: who gains cannot be told from luck with fewer than {FEWEST}.",
            table="experiment", mend="Report the mean effect, or groups chosen before the start (by=…).",
        )  # fmt: skip
    share = (np.bincount(stratum, z) / np.bincount(stratum))[stratum]
    if (share <= 0).any() or (share >= 1).any():
        raise DataError("a block holds one arm only.", table="experiment", mend="Give blocks that hold both arms.")
    predicted, score, fold = _cross_fit(x, y, z, share, unit, learner, folds, seed)
    # Folds differ in their mean prediction by what happened in the others, which is the opposite of what happened in
    # them: only differences within a fold are honest.
    centred = predicted - (np.bincount(fold, predicted) / np.bincount(fold))[fold]
    order = np.argsort(-centred, kind="stable")
    n = len(order)
    gain = np.append(0.0, np.cumsum(score[order])) / n
    at = np.unique(np.rint(np.linspace(0, n, 101)).astype(int))
    curve = pd.DataFrame({"share": at / n, "gain": gain[at], "random": gain[-1] * at / n})
    rank = np.empty(n)
    rank[order] = (np.arange(n) + 0.5) / n
    z_value = float(stats.norm.ppf((1 + confidence) / 2))
    pull = 0.5 - rank
    qini = float(np.mean(pull * score))
    parts = np.bincount(unit, pull * (score - score.mean()) - 0.0)
    qini_se = float(np.sqrt(len(parts)) * parts.std(ddof=1) / n)
    if np.ptp(centred) > 1e-12 * max(1.0, float(np.abs(predicted).max())):
        fit = fit_cr2(np.column_stack([centred, np.ones(n)]), score[:, None], column=0, clusters=_clusters(unit, n))
        slope, p_value = float(fit.effect[0]), float(stats.t.sf(fit.effect[0] / fit.se[0], fit.dof))
    else:
        slope, p_value = 0.0, 1.0
    table = _group_effects(predicted, score, unit, np.minimum((rank * groups).astype(int), groups - 1), confidence)
    ids = arms.frame["account_id"].iloc[rows] if "account_id" in arms.frame else pd.Series(rows)
    accounts = pd.DataFrame({"account_id": ids.astype(str).to_numpy(), "predicted": predicted})
    low, high = qini - z_value * qini_se, qini + z_value * qini_se
    text = _text(table, slope, p_value, qini, (low, high), outcome, confidence, currency)
    return Uplift(table, text, accounts, curve, qini, low, high, slope, p_value, confidence, currency)


def _clusters(unit: np.ndarray, n: int) -> np.ndarray | None:
    return None if int(unit.max()) + 1 == n else unit


def _cross_fit(
    x: Floats, y: Floats, z: Floats, share: Floats, unit: np.ndarray, learner: Learner, folds: int, seed: int
) -> tuple[Floats, Floats, np.ndarray]:
    """Predicted effect and doubly robust score of each row, by models of the other folds; and its fold."""
    rng = np.random.default_rng(seed)
    units = int(unit.max()) + 1
    fold = rng.permutation(np.arange(units) % folds)[unit]
    means = np.empty((2, len(y)))
    _model(learner, seed)  # loads the libraries whose threads are to be limited
    with threadpool_limits(1):  # small matrices: threads would only wait for one another
        for k in range(folds):
            for t in (0, 1):
                train = (fold != k) & (z == t)
                means[t, fold == k] = _model(learner, seed).fit(x[train], y[train]).predict(x[fold == k])
    predicted = means[1] - means[0]
    score = predicted + z * (y - means[1]) / share - (1 - z) * (y - means[0]) / (1 - share)
    return predicted, score, fold


def _model(learner: Learner, seed: int) -> Any:
    if learner == "linear":
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=25, random_state=seed
    )


def _group_effects(
    predicted: Floats, score: Floats, unit: np.ndarray, group: np.ndarray, confidence: float
) -> pd.DataFrame:
    from scipy import stats

    rows = []
    for g in range(int(group.max()) + 1):
        inside = group == g
        n = int(inside.sum())
        effect = float(score[inside].mean())
        parts = np.bincount(unit[inside], score[inside] - effect)
        m = len(np.unique(unit[inside]))
        se = float(np.sqrt((parts**2).sum() * m / max(m - 1, 1)) / n)
        half = float(stats.t.ppf((1 + confidence) / 2, max(m - 1, 1))) * se
        rows.append(
            {
                "group": g + 1, "accounts": n, "predicted": float(predicted[inside].mean()), "effect": effect,
                "se": se, "lower": effect - half, "upper": effect + half,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _text(
    table: pd.DataFrame, slope: float, p: float, qini: float, ends: tuple[float, float], outcome: str,
    confidence: float, currency: str,
) -> str:  # fmt: skip
    first, last = table.iloc[0], table.iloc[-1]
    name = outcome.replace("_", " ")
    many = len(table)
    gains = [
        f"{quantity(row.effect, outcome, currency)} of {name} each ({between(row.lower, row.upper, outcome, currency)})"
        for row in (first, last)
    ]
    compare = (
        f"the {int(first['accounts']):,} accounts expected to gain most gained {gains[0]}, those expected to gain least"
        f" {gains[1]}"
    )
    if p < (1 - confidence) / 2:
        head = f"Accounts differ in what they gain: {compare}."
    else:
        head = f"Who gains cannot be told: {compare}, which is no more than chance. Treat all alike, or none."
    return (
        f"{head} Qini {qini:.3g} ({ends[0]:.3g} to {ends[1]:.3g}); {many} groups, each judged by a model that has not"
        f" seen its accounts."
    ).replace("-", "\N{MINUS SIGN}")
