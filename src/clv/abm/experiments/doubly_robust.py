"""Doubly robust estimation: who was chosen and what they would have done anyway are both modelled; one may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from clv.abm.experiments.arms import check_arms, codes, covariate_matrix, numbers
from clv.abm.experiments.checks import attrition, check_table, variation
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.observational import ObservationalEffect, observational_result
from clv.abm.experiments.sensitivity import e_value
from clv.errors import DataError, SettingsError

#: chance of the arm that it is in beyond which an account has hardly a like in the other.
EXTREME = 0.95
#: standardised difference that is left after weighting (Austin 2009).
LEFT_OVER = 0.1


def doubly_robust(
    data: pd.DataFrame,
    *,
    covariates: Sequence[str],
    outcome: str = "margin",
    placebo: str | None = None,
    arm: str = "arm",
    control: str = "control",
    cluster: str | None = None,
    target: Literal["treated", "all"] = "treated",
    learner: Literal["linear", "boosted"] = "linear",
    folds: int = 5,
    confidence: float = 0.95,
    seed: int = 0,
    currency: str = "",
) -> ObservationalEffect:
    """Estimate the effect on those who were chosen, from accounts that were not but were alike.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account: arm, outcome, what was known when the accounts were chosen.
    covariates : sequence of str
        All that the choice went by, as far as it is known; from before the start.
    placebo : str, optional
        An outcome from before the choice that is not among the covariates: its effect must be 0.
    target : {"treated", "all"}
        The mean effect on the treated, or on all accounts.
    learner : {"linear", "boosted"}
        Logistic and ridge regression, or gradient boosting for both.

    Returns
    -------
    ObservationalEffect
        ``sensitivity``: the E-values of the estimate and of its interval.

    Notes
    -----
    Augmented inverse probability weighting (Robins, Rotnitzky & Zhao 1994; for the treated as Mercatanti & Li 2014)
    with cross-fitting (Chernozhukov et al. 2018): consistent if either model is right. Assumes that among accounts with
    the same covariates chance decided who was treated. Accounts whose outcome is not known are left out, which a check
    says.
    """
    arms = check_arms(data, arm=arm, control=control, cluster=cluster)
    if len(arms.treatments) != 1 or target not in ("treated", "all") or learner not in ("linear", "boosted"):
        raise SettingsError("arms, target or learner are impossible.", mend="Give two arms; see the docstring.")
    y = numbers(arms.frame, outcome)
    known = ~np.isnan(y)
    x, notes = covariate_matrix(arms.frame, covariates)
    if x is None:
        raise SettingsError("no covariates are given.", mend="Name what the choice went by; else nothing is adjusted.")
    z = (arms.arm == arms.treatments[0]).to_numpy().astype(float)
    x, y, z, unit = x[known], y[known], z[known], codes(arms.cluster[known])
    if folds < 2:
        raise SettingsError(
            f"folds = {folds}.", mend="Give at least 2: models are judged on accounts they have not seen."
        )
    few = int(min(z.sum(), (1 - z).sum()))
    if few < 2 * folds:
        raise DataError(
            f"the smaller arm has {few} accounts, too few for two models.",
            table="experiment", column=arm, mend=f"At least {2 * folds} are needed, or fewer folds.",
        )  # fmt: skip
    fold = _folds(z, unit, folds, seed)
    share, means = _nuisances(x, y, z, fold, learner, seed)
    effect, se = _aipw(y, z, share, means, unit, target)
    rows = [*variation(y, multiplicative=False), _overlap(z, share, target), _balance(x, z, share, target)]
    rows += [("filled", "mind", f"{note}.") for note in notes]
    rows += [attrition(arms, numbers(arms.frame, outcome))] if not known.all() else []
    if placebo is not None:
        rows.append(_placebo(numbers(arms.frame, placebo)[known], x, z, fold, share, unit, target, learner, seed))
    dof = float(len(np.unique(unit)) - 1)
    point, end = e_value(effect, se, float(y.std(ddof=1)), confidence=confidence, dof=dof)
    bent = pd.DataFrame({"of": ["estimate", "interval"], "e_value": [point, end]})
    return observational_result(
        method="doubly robust", outcome=outcome, treated=int(z.sum()), controls=int((1 - z).sum()), effect=effect,
        assumption="among accounts alike in " + ", ".join(covariates) + " chance decided who was treated",
        se=se, dof=dof, checks=check_table(rows), sensitivity=bent, path=pd.DataFrame(),
        confidence=confidence, currency=currency,
        bends=_bends(point, end),
    )  # fmt: skip


def _bends(point: float, end: float) -> str:
    said = (
        f"Something unseen would have to make both the choice and a good outcome {point:.2g} times as likely to explain"
        " the estimate away"
    )
    return f"{said} (E-value); its interval holds 0 already." if end <= 1 else (
        f"{said}, {end:.2g} times to bring 0 into its interval (E-values)."
    )  # fmt: skip


def _folds(z: Floats, unit: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Folds by unit, treated and controls spread alike."""
    rng = np.random.default_rng(seed)
    treated = np.bincount(unit, z) > 0
    fold = np.empty(len(treated), dtype=np.int64)
    for flag in (True, False):
        members = rng.permutation(np.flatnonzero(treated == flag))
        fold[members] = np.arange(len(members)) % folds
    return fold[unit]


def _nuisances(x: Floats, y: Floats, z: Floats, fold: np.ndarray, learner: str, seed: int) -> tuple[Floats, Floats]:
    """Chance of being treated, and outcome under control and treatment, each by models of the other folds."""
    share, means = np.empty(len(y)), np.empty((2, len(y)))
    _models(learner, seed)  # loads the libraries whose threads are to be limited
    with threadpool_limits(1):  # small matrices: threads would only wait for one another
        for k in np.unique(fold):
            inside, outside = fold == k, fold != k
            choice, _ = _models(learner, seed)
            share[inside] = choice.fit(x[outside], z[outside]).predict_proba(x[inside])[:, 1]
            for t in (0, 1):
                train = outside & (z == t)
                means[t, inside] = _models(learner, seed)[1].fit(x[train], y[train]).predict(x[inside])
    return np.clip(share, 1e-3, 1 - 1e-3), means


def _models(learner: str, seed: int) -> tuple[Any, Any]:
    if learner == "linear":
        from sklearn.linear_model import LogisticRegression, RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return (
            make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=1000)),
            make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))),
        )
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options: dict[str, Any] = {
        "max_iter": 100, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 20, "random_state": seed,
    }  # fmt: skip
    return HistGradientBoostingClassifier(**options), HistGradientBoostingRegressor(**options)


def _aipw(y: Floats, z: Floats, share: Floats, means: Floats, unit: np.ndarray, target: str) -> tuple[float, float]:
    """Effect and clustered standard error from the scores."""
    if target == "all":
        score = means[1] - means[0] + z * (y - means[1]) / share - (1 - z) * (y - means[0]) / (1 - share)
        effect = float(score.mean())
        influence = score - effect
    else:
        p = z.mean()
        score = (z - (1 - z) * share / (1 - share)) * (y - means[0]) / p
        effect = float(score.mean())
        influence = score - z * effect / p
    parts = np.bincount(unit, influence)
    g = len(parts)
    return effect, float(np.sqrt(g / (g - 1) * (parts**2).sum()) / len(y))


def _overlap(z: Floats, share: Floats, target: str) -> tuple[str, str, str]:
    """How many accounts each arm is worth after weighting, and how many have hardly a like in the other."""
    weight = share / (1 - share) if target == "treated" else 1 / (1 - share)
    arms = [("controls", weight[z == 0], "treated", share[z == 1])]
    if target == "all":
        arms.append(("treated", 1 / share[z == 1], "controls", 1 - share[z == 0]))
    said, worst, fewest = [], 0.0, np.inf
    for name, w, other, chance in arms:
        worth, alone = float(w.sum() ** 2 / (w**2).sum()), float(np.mean(chance > EXTREME))
        said.append(f"{len(w):,} {name} are worth {worth:,.0f} after weighting; {alone:.0%} of the {other} have hardly"
                    " a like")  # fmt: skip
        worst, fewest = max(worst, alone), min(fewest, worth)
    if fewest < 10 or worst > 0.2:
        return (
            "overlap",
            "broken",
            f"{'; '.join(said)}: the treated and the controls are too different to be compared.",
        )
    return ("overlap", "mind" if worst > 0.05 else "fine", f"{'; '.join(said)}.")


def _balance(x: Floats, z: Floats, share: Floats, target: str) -> tuple[str, str, str]:
    """Standardised differences that the weights leave."""
    w1 = np.ones(int(z.sum())) if target == "treated" else 1 / share[z == 1]
    w0 = (share / (1 - share) if target == "treated" else 1 / (1 - share))[z == 0]
    sd = x.std(axis=0)
    before = np.abs(x[z == 1].mean(axis=0) - x[z == 0].mean(axis=0)) / np.where(sd > 0, sd, 1)
    after = np.abs(np.average(x[z == 1], axis=0, weights=w1) - np.average(x[z == 0], axis=0, weights=w0))
    after = after / np.where(sd > 0, sd, 1)
    said = (
        f"The largest difference between treated and controls was {before.max():.2f} SD, and is {after.max():.2f} now"
    )
    verdict = "fine" if after.max() <= LEFT_OVER else "mind" if after.max() <= 3 * LEFT_OVER else "broken"
    return ("balance", verdict, f"{said}." if verdict != "broken" else f"{said}: they remain unlike.")


def _placebo(
    y: Floats, x: Floats, z: Floats, fold: np.ndarray, share: Floats, unit: np.ndarray, target: str, learner: str,
    seed: int,
) -> tuple[str, str, str]:  # fmt: skip
    from scipy import stats

    if np.isnan(y).any():
        return (
            "placebo",
            "mind",
            "The outcome from before the choice is unknown for some accounts; it was not tested.",
        )
    _, means = _nuisances(x, y, z, fold, learner, seed)
    found, se = _aipw(y, z, share, means, unit, target)
    p = float(2 * stats.norm.sf(abs(found) / se)) if se > 0 else float(found == 0)
    said = f"On what was before the choice the method shows {found:,.4g} (p = {p:.2g})".replace("-", "\N{MINUS SIGN}")
    if p < 0.05:
        return (
            "placebo",
            "broken",
            f"{said}, where nothing can be: the covariates do not hold all that the choice went by.",
        )
    return ("placebo", "fine", f"{said}, nothing, as it should.")
