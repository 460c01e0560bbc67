"""What a play would change in a chain: its moves and its rewards, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from clv.churn.markov_chain import Floats, checked_matrix, checked_money
from clv.errors import DataError, SettingsError


@dataclass(frozen=True)
class MarkovPlay:
    """What a play would change, stage by stage.

    Attributes
    ----------
    name : str
    cost : mapping of str to float
        Money an account and period, in the stages in which the play is made; these are its stages.
    to : str, optional
        The stage to which it moves accounts.
    lift : float
        Relative increase of the probability of moving there, such as .2 for a fifth; all other moves of the stage
        become rarer in proportion.
    matrix : pandas.DataFrame, optional
        Moves under the play, where they are known in full; instead of `to` and `lift`. Rows are read for the stages
        of the play.
    evidence : {"assumed", "measured"}
        "measured": by an experiment; said wherever the result is shown.
    """

    name: str
    cost: Mapping[str, float]
    to: str | None = None
    lift: float = 0.0
    matrix: pd.DataFrame | None = None
    evidence: Literal["assumed", "measured"] = "assumed"


def changed_rows(play: MarkovPlay, states: tuple[str, ...], R: Floats) -> tuple[Callable[[Floats], Floats], Floats]:
    """Return what turns a matrix (or many) into those under the play, and the rewards under it."""
    unknown = sorted({*play.cost, *([play.to] if play.to is not None else [])} - set(states))
    if unknown:
        raise DataError(f"unknown stage {unknown[0]!r} in the play.", mend=f"Known are {', '.join(states)}.")
    if (play.matrix is None) == (play.to is None):
        raise SettingsError("a play has either 'to' and 'lift', or 'matrix'.", mend="Give one of them.")
    if not (np.isfinite(play.lift) and play.lift >= -1):
        raise SettingsError(f"lift: found {play.lift!r}.", mend="Give a relative increase, such as 0.2.")
    cost = checked_money({stage: play.cost.get(stage, 0.0) for stage in states}, states, "cost")
    places = [states.index(stage) for stage in play.cost]
    known: Floats | None = None
    if play.matrix is not None:
        matrix = checked_matrix(play.matrix, "play")
        if set(matrix.index) != set(states):
            raise DataError("its stages are not those of the transitions.", table="play", mend="Name the same stages.")
        known = matrix.loc[list(states), list(states)].to_numpy(float)
    target = states.index(play.to) if play.to is not None else -1

    def under_play(P: Floats) -> Floats:
        changed = P.copy()
        if known is not None:
            changed[..., places, :] = known[places]
            return changed
        rows = changed[..., places, :]
        old = rows[..., target]
        # Where all accounts move there already, no other move could take what a negative lift sets free.
        new = np.where(old < 1, np.minimum(old * (1 + play.lift), 1.0), 1.0)
        rows *= np.where(old < 1, (1 - new) / np.where(old < 1, 1 - old, 1.0), 0.0)[..., None]
        rows[..., target] = new
        changed[..., places, :] = rows
        return changed

    return under_play, R - cost
