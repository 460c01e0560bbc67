"""The optimiser's curse of a selection: what a list by plain estimates would promise, and what it would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.selecting.net_draws import best_set
from clv.abm.wording import money
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.selecting.effects import TierEffect
    from clv.value.lifetime import LifetimeValue


@dataclass(frozen=True, eq=False)
class Luck(Result):
    """What is promised and what comes, by plain and by shrunken estimates.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a way of estimating ("plain estimates", "shrunken estimates", "true values"): promised, realised (mean
        net over the rounds), error (standard error of realised − promised).
    lost : float
        Share of what plain estimates promise that does not come.
    currency : str
    """

    lost: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw promised and realised side by side."""
        from clv.abm.selecting.pictures import promised_and_realised

        return promised_and_realised(self, ax)


def selection_luck(
    value: LifetimeValue,
    effects: Sequence[TierEffect],
    *,
    capacity: int | None = None,
    rounds: int = 100,
    seed: int = 0,
    currency: str = "",
) -> Luck:
    """Choose customers again and again by estimates whose truth is known, and count what was promised and what came.

    In every round one draw of all accounts' values is the truth; a plain estimate is the truth and an error as large
    as the account's own doubt; a shrunken one draws it towards what is known of the account. Each account stands for
    its best tier at the effects believed in.

    Parameters
    ----------
    value : LifetimeValue
        With draws.
    effects : sequence of TierEffect
        Of `IncrementalValue.effects`.
    capacity : int, optional
    rounds : int
    seed : int
    currency : str

    Returns
    -------
    Luck

    Raises
    ------
    SettingsError
        The values have no draws, or there are fewer than two rounds.

    Notes
    -----
    Smith & Winkler (2006). Errors are normal and have nothing in common; with an error as large as the doubt itself the
    shrunken estimate is half-way between the plain one and the account's mean. Only customers are in it: of prospects
    there is no estimate but the model's.
    """
    if value.draws is None or not value.draws.shape[1]:
        raise SettingsError("the values have no draws.", mend="Value the accounts with draws.")
    if rounds < 2:
        raise SettingsError(f"rounds is {rounds}.", mend="Give 2 or more.")
    up, cost = np.array([e.uplift for e in effects]), np.array([e.cost for e in effects])
    drawn = value.draws
    mean = drawn.mean(axis=1, dtype=float)
    doubt = drawn.std(axis=1, dtype=float)
    rng = np.random.default_rng(seed)
    ways = ("plain estimates", "shrunken estimates", "true values")
    sums = np.empty((rounds, len(ways), 2))
    for k in range(rounds):
        truth = np.asarray(drawn[:, k % drawn.shape[1]], dtype=float)
        plain = truth + doubt * rng.standard_normal(len(truth))
        for place, estimate in enumerate((plain, (plain + mean) / 2, truth)):
            nets = np.outer(np.maximum(estimate, 0.0), up) - cost
            tier = nets.argmax(axis=1)
            inside = best_set(nets.max(axis=1)[:, None], capacity)[:, 0]
            came = np.maximum(truth, 0.0) * up[tier] - cost[tier]
            sums[k, place] = nets.max(axis=1)[inside].sum(), came[inside].sum()
    middle = sums.mean(axis=0)
    error = (sums[..., 1] - sums[..., 0]).std(axis=0, ddof=1) / np.sqrt(rounds)
    table = pd.DataFrame({"way": ways, "promised": middle[:, 0], "realised": middle[:, 1], "error": error})
    promised, realised = middle[0]
    lost = 1 - realised / promised if promised > 0 else float("nan")
    text = (
        f"A list made by plain estimates as doubtful as these would promise {money(promised, currency)} and bring"
        f" {money(realised, currency)}"
        + (f": {lost:.0%} of the promise is luck. " if np.isfinite(lost) else ". ")
        + "The estimates used here are drawn towards the rest of the book before anybody is chosen: such a list"
        f" promises {money(middle[1, 0], currency)} and brings {money(middle[1, 1], currency)}."
    )
    return Luck(table, text, float(lost), currency)
