"""What can be said where nobody randomised: an effect, what it rests on, its placebo, and how far that bends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from clv.abm.experiments.analysis_text import between, quantity
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: said wherever the evidence is.
LABEL = "not randomised"


@dataclass(frozen=True, eq=False)
class ObservationalEffect(Result):
    """An effect without randomisation.

    Attributes
    ----------
    table : pandas.DataFrame
        One row: method, evidence ("not randomised"), outcome, treated, controls, effect, se, lower, upper, p_value,
        flagged.
    method, outcome, assumption : str
        The assumption is what the effect rests on, in words.
    checks : pandas.DataFrame
        check, verdict (fine, mind or broken), says.
    sensitivity : pandas.DataFrame
        How the interval changes as the assumption is bent; columns by method.
    path : pandas.DataFrame
        What is drawn: time, effect, lower, upper; empty where there is no time.
    confidence : float
    currency : str
    randomised : bool
        Always false.
    """

    method: str
    outcome: str
    assumption: str
    checks: pd.DataFrame
    sensitivity: pd.DataFrame
    path: pd.DataFrame
    confidence: float
    currency: str
    randomised: bool = False

    @property
    def flagged(self) -> bool:
        """A check is broken: the effect is not to be used."""
        return bool((self.checks["verdict"] == "broken").any())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect by period, or its interval under a bent assumption; the title says "not randomised"."""
        from clv.abm.experiments.pictures import band, effects

        unit = f", {self.currency}" if self.currency else ""
        title = f"{self.method} ({LABEL})"
        if self.path.empty:
            row = self.table.assign(label=self.outcome)
            return effects(row, title, self.currency, ax)
        return band(self.path, x="time", title=title, labels=("periods since the start", f"effect{unit}"), ax=ax)


def observational_result(
    *, method: str, outcome: str, assumption: str, treated: int, controls: int, effect: float, se: float,
    dof: float, checks: pd.DataFrame, sensitivity: pd.DataFrame, path: pd.DataFrame, confidence: float,
    currency: str, bends: str,
) -> ObservationalEffect:  # fmt: skip
    """Put an effect, its assumption and its checks into one result; `bends` says how far the assumption may give."""
    from scipy import stats

    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    half = float(stats.t.ppf((1 + confidence) / 2, max(dof, 1.0))) * se
    p_value = float(2 * stats.t.sf(abs(effect) / se, max(dof, 1.0))) if se > 0 else math.nan
    flagged = bool((checks["verdict"] == "broken").any())
    table = pd.DataFrame(
        [
            {
                "method": method, "evidence": LABEL, "outcome": outcome, "treated": treated, "controls": controls,
                "effect": effect, "se": se, "lower": effect - half, "upper": effect + half, "p_value": p_value,
                "flagged": flagged,
            }
        ]
    )  # fmt: skip
    name = outcome.replace("_", " ")
    said = (
        f"Not randomised ({method}): {name} of the treated differs by {quantity(effect, outcome, currency)} an account"
        f" from what it would have been ({confidence:.0%} interval"
        f" {between(effect - half, effect + half, outcome, currency)}; {treated:,} treated, {controls:,} controls), if"
        f" {assumption}."
    )
    broken = " ".join(checks.loc[checks["verdict"] == "broken", "says"])
    mind = " ".join(checks.loc[checks["verdict"] == "mind", "says"])
    parts = [f"Do not use this number: {broken}" if flagged else "", said, bends, f"Mind: {mind}" if mind else ""]
    text = "\n\n".join(p for p in parts if p)
    return ObservationalEffect(
        table, text, method, outcome, assumption, checks, sensitivity, path, confidence, currency
    )
