"""What other methods would have said where lots were drawn: a lesson on evidence without a control group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.wording import listed, money, money_range
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.experiments.analysis import ExperimentAnalysis
    from clv.abm.unrandomised import UnrandomisedEvidence


@dataclass(frozen=True, eq=False)
class AgainstTheLot(Result):
    """Methods beside the lot.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a method, the lot first: method, evidence (randomised, not randomised, none), effect, lower, upper,
        verdict, off (effect less that of the lot), within (the lot's interval holds it).
    confidence : float
    currency : str
    """

    confidence: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each method says beside the lot."""
        from clv.abm.experiments.pictures import effects

        shown = self.table[self.table["effect"].notna()]
        # A plain difference has no interval: a point.
        ends = {end: shown[end].fillna(shown["effect"]) for end in ("lower", "upper")}
        title = f"The lot, and what others would have said, {self.confidence:.0%} interval"
        return effects(shown.assign(label=shown["method"], **ends), title, self.currency, ax)


def against_the_lot(experiment: ExperimentAnalysis, evidence: UnrandomisedEvidence) -> AgainstTheLot:
    """Set what methods without a lot say of a programme beside what its lot says.

    Parameters
    ----------
    experiment : ExperimentAnalysis
        Of margin; its row "all" (or its only one) is what the lot says.
    evidence : UnrandomisedEvidence
        Of the same treated accounts, compared with accounts that no lot had drawn.

    Returns
    -------
    AgainstTheLot

    Notes
    -----
    One programme is an anecdote: a method that is right here may be wrong elsewhere (LaLonde 1986, *American Economic
    Review* 76, did this for training programmes).
    """
    main = experiment.table[(experiment.table["role"] == "main") & (experiment.table["outcome"] == "margin")]
    if main.empty:
        raise DataError("the experiment has no effect on margin.", table="experiment", column="outcome",
                        mend="Analyse outcome='margin'.")  # fmt: skip
    lot = main[main["group"] == "all"].iloc[0] if (main["group"] == "all").any() else main.iloc[0]
    data = evidence.data
    treated = data["arm"] == "treatment"
    gain = data.loc[treated, "margin"] - data.loc[treated, "margin before"]
    rows: list[dict[str, Any]] = [
        {"method": "the lot", "evidence": "randomised", "effect": lot["effect"], "lower": lot["lower"],
         "upper": lot["upper"], "verdict": "what counts" if experiment.sound else "not sound"},
        {"method": "treated less all others", "evidence": "none", "effect": evidence.selection.naive,
         "verdict": "no evidence"},
        {"method": "treated, after less before", "evidence": "none", "effect": float(gain.mean()),
         "verdict": "no evidence"},
    ]  # fmt: skip
    own = evidence.table[["method", "evidence", "effect", "lower", "upper", "verdict"]]
    table = pd.concat([pd.DataFrame(rows), own], ignore_index=True)
    table["off"] = table["effect"] - float(lot["effect"])
    table["within"] = (table["effect"] >= lot["lower"]) & (table["effect"] <= lot["upper"])
    text = _text(table, lot, evidence.currency)
    return AgainstTheLot(table, text, evidence.confidence, evidence.currency)


def _text(table: pd.DataFrame, lot: pd.Series, currency: str) -> str:
    naive, before = table.iloc[1], table.iloc[2]
    said = (
        f"The lot says {money(lot['effect'], currency)} an account ({money_range(lot['lower'], lot['upper'])})."
        f" Comparing the treated with everybody else would have said {money(naive['effect'], currency)}; comparing them"
        f" with themselves before, {money(before['effect'], currency)}. Neither is evidence."
    )
    for verdict, words in (
        ("passes its checks", "Methods that pass their own checks would have been off by {}."),
        ("do not use", "Methods that their own checks had warned of would have been off by {}."),
        ("could not be checked", "What could not be checked would have been off by {}."),
    ):
        off = [f"{money(row['off'])} ({row['method']})" for row in table.to_dict("records")
               if row["verdict"] == verdict and np.isfinite(row["effect"])]  # fmt: skip
        said += " " + words.format(listed(off)) if off else ""
    return said + " The lot's own interval is wide too: what lies within it cannot be told from right."
