"""How much do stages hang on who happened to be in the book? The model refitted to bootstrap samples of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from clv.churn.severity import STAGES, severity, undecided
from clv.churn.stage_inputs import answers, checked_unit
from clv.data.settings import StageRules
from clv.errors import FitError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class StageStability(Result):
    """How far accounts move from stage to stage when the model is refitted.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: stage (with the model as given), moved and moved_far (share of refits that put it into
        another stage, and more than one stage away), best and worst (stages that it was in).
    refits : pandas.DataFrame
        One row a refit: moved, moved_far (shares of accounts), and the refit's parameters.
    steps : pandas.DataFrame
        Index stages moved (0 … 5): share (of accounts, mean over refits), least, most.
    moved_far : float
        Share of accounts that a refit moves by more than one stage, mean over refits.
    failed : int
        Refits that found no parameters.
    """

    refits: pd.DataFrame
    steps: pd.DataFrame
    moved_far: float
    failed: int

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of accounts by the number of stages that a refit moves them."""
        from clv.churn.pictures import stability_bars

        return stability_bars(self.steps, ax)


def stage_stability(
    purchases: Any,
    summary: pd.DataFrame,
    *,
    refits: int = 20,
    seed: int = 0,
    rules: StageRules | None = None,
    slowed: pd.Series | None = None,
) -> StageStability:
    """Refit a model to bootstrap samples of accounts, and stage the same accounts again.

    Parameters
    ----------
    purchases : fitted purchase model
        A model of `clv.value`; clones of it are fitted.
    summary : pandas.DataFrame
        Accounts, as `clv.summarise` gives them.
    refits : int
        Bootstrap samples: accounts drawn with replacement, as many as there are (Efron 1979).
    seed : int
    rules : StageRules, optional
    slowed : pandas.Series, optional
        Index account_id: True where the rhythm has slowed (``ChurnStages.table["slowed"]``), which no refit changes.

    Returns
    -------
    StageStability

    Raises
    ------
    clv.errors.SettingsError
        There is no refit.
    clv.errors.FitError
        No refit found parameters.
    clv.errors.DataError, clv.errors.UnitError
        As in `clv.churn_stages`.
    """
    if not (isinstance(refits, int | np.integer) and refits >= 1):
        raise SettingsError(f"refits: found {refits!r}.", mend="Give a whole number of 1 or more.")
    checked_unit(summary)
    rules, rng, n = StageRules() if rules is None else rules, np.random.default_rng(seed), len(summary)
    slow = None if slowed is None else np.asarray(summary.index.isin(slowed.index[slowed.to_numpy(bool)]))
    base = _staged(purchases, summary, rules, slow)
    staged, about, failed = [], [], 0
    for _ in range(refits):
        weight = np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
        try:
            model = clone(purchases).fit(summary, sample_weight=weight)
        except FitError:
            failed += 1
            continue
        staged.append(_staged(model, summary, rules, slow))
        about.append(dict(model.params_))
    if not staged:
        raise FitError("no bootstrap sample of the accounts can be fitted.", mend='Use prior="weak", or more accounts.')
    stages = np.vstack(staged)
    moves = np.abs(stages - base)
    names = np.array(STAGES, dtype=object)
    table = pd.DataFrame(
        {
            "stage": names[base],
            "moved": (moves > 0).mean(axis=0),
            "moved_far": (moves > 1).mean(axis=0),
            "best": names[np.minimum(stages.min(axis=0), base)],
            "worst": names[np.maximum(stages.max(axis=0), base)],
        },
        index=summary.index,
    )
    each = np.stack([(moves == step).mean(axis=1) for step in range(len(STAGES))])
    steps = pd.DataFrame(
        {"share": each.mean(axis=1), "least": each.min(axis=1), "most": each.max(axis=1)},
        index=pd.RangeIndex(len(STAGES), name="stages moved"),
    )
    found = pd.DataFrame({"moved": (moves > 0).mean(axis=1), "moved_far": (moves > 1).mean(axis=1)})
    far = float(found["moved_far"].mean())
    text = (
        f"Fitted to {len(staged)} bootstrap samples of the {n:,} accounts, the model puts {found['moved'].mean():.1%} "
        f"of them into another stage, and {far:.1%} more than one stage away (at most "
        f"{found['moved_far'].max():.1%} in one refit)."
    )
    if failed:
        text += f" {failed} more sample{'s' * (failed != 1)} could not be fitted."
    return StageStability(table, text, pd.concat([found, pd.DataFrame(about)], axis=1), steps, far, failed)


def _staged(model: Any, summary: pd.DataFrame, rules: StageRules, slow: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    return severity(
        answers(model.probability_alive(summary), summary, "p_alive", at_most=1.0),
        answers(model.silence_probability(summary), summary, "silence_probability", at_most=1.0),
        rules=rules,
        once=undecided(model, summary),
        slowed=slow,
    )
