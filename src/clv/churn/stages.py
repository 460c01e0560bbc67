"""Six stages of losing a customer, each from the account's own rhythm (rule C3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.churn.left_out import left_out_table, without_purchases
from clv.churn.rhythm import RhythmChange
from clv.churn.sentences import sentences as write_sentences
from clv.churn.severity import RULE_STAGES, STAGES, rule_of_thumb, severity, undecided
from clv.churn.stage_inputs import PurchaseModel, answers, check_horizon, checked_unit, quarter, stake
from clv.churn.stage_rhythm import rhythm_in_summary
from clv.churn.stage_text import book_text
from clv.data.settings import StageRules
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RULE_STAGES", "STAGES", "ChurnStages", "PurchaseModel", "StageRules", "churn_stages"]

_NOBODY = pd.Index([], dtype=object)


@dataclass(frozen=True, eq=False)
class ChurnStages(Result):
    """The stage of each account.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: stage, p_alive, silence_probability, silent, expected_purchases, rule_stage, sentence,
        usual_low, usual_high; p_no_purchase (probability that it buys nothing in the next quarter) where the model
        can tell; earlier_interval, recent_interval, rhythm_p_value, slowed where transactions were given; value if a
        value was given. Durations are in the summary's unit.
    by_stage : pandas.DataFrame
        Index stage (all six, in order): accounts, share (of accounts), p_alive (mean), expected_purchases (sum);
        value (sum) if a value was given.
    left_out : pandas.DataFrame
        account_id, reason, rows: lines after the as-of date, accounts that are known and have not bought by then.
    rhythm : RhythmChange or None
        Whose intervals have become longer, where transactions were given.
    """

    by_stage: pd.DataFrame
    left_out: pd.DataFrame
    rhythm: RhythmChange | None = None

    @property
    def attention(self) -> pd.DataFrame:
        """Accounts that are overdue, at risk or lapsed, those with most to lose first."""
        broken = self.table[self.table["stage"].isin(["overdue", "at risk", "lapsed"])]
        by = "value" if "value" in broken else "expected_purchases"
        # Sorted twice, so that equal accounts stand in the order of their ids.
        return broken.sort_index().sort_values(by, ascending=False, kind="stable")

    @property
    def against_rule(self) -> pd.DataFrame:
        """Accounts counted by our stage (rows) and by the rule of thumb (columns)."""
        counts = pd.crosstab(self.table["stage"], self.table["rule_stage"])
        counts = counts.reindex(index=list(STAGES), columns=list(RULE_STAGES), fill_value=0)
        return counts.rename_axis(index="stage", columns=None)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the stage map: how many accounts, and how much of the value, are in each stage."""
        from clv.churn.pictures import stage_map

        return stage_map(self.by_stage, ax)


def churn_stages(
    purchases: PurchaseModel,
    summary: pd.DataFrame,
    horizon: float,
    *,
    rules: StageRules | None = None,
    value: pd.Series | None = None,
    currency: str = "",
    transactions: pd.DataFrame | None = None,
    accounts: Iterable[str] | pd.DataFrame | None = None,
    sentences: bool = True,
) -> ChurnStages:
    """Place each account in one of six stages: steady, slowing, overdue, at risk, lapsed, lost.

    The stage is the worse of two scales. By *silence*: the probability that a living account, buying at its own
    posterior rate, would be silent for as long as this one is or longer; below each threshold of ``rules.silence``
    the account is one stage further, as far as *at risk*. By *P(alive)*: below ``rules.alive`` it is *lapsed* (more
    likely gone than not), then *lost*. Where the model cannot tell (see Notes), silence alone decides on these two
    as well. A third sign comes before silence does: an account whose latest intervals are longer than its own earlier
    ones (`clv.churn.rhythm`) is one stage further, if it is steady or slowing by the two scales. Both probabilities
    fall as silence grows, and silence leaves intervals as they are: a further day without a purchase never moves an
    account up.

    Parameters
    ----------
    purchases : fitted purchase model
        A model of `clv.value`, such as ``BetaGeoModel``.
    summary : pandas.DataFrame
        One row an account as `clv.data.summarise` gives it, with its unit in ``attrs["clv"]``.
    horizon : float
        How far ahead purchases are expected, in the summary's unit.
    rules : StageRules, optional
        Thresholds; the documented defaults if None.
    value : pandas.Series, optional
        Money at stake, indexed by account_id, such as the column ``clv`` of `lifetime_value`; accounts that it lacks
        are an error, those that have not bought are left out and counted.
    currency : str
        Written before money in the text.
    transactions : pandas.DataFrame, optional
        Columns account_id, date, amount, from which the summary was made; None: rhythms are not compared.
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts that should be there; those without a purchase are counted.
    sentences : bool
        Whether to write the column ``sentence``; empty otherwise.

    Returns
    -------
    ChurnStages

    Raises
    ------
    DataError
        A column or a value is missing, an account is there twice, the model returned no probability, or summary and
        transactions do not say the same.
    UnitError
        The summary does not say its unit.
    SettingsError
        The horizon is not a positive number.

    Notes
    -----
    Beside it stands a rule of thumb, ``rule_stage``, which uses no model: *active* while the silence is no longer
    than the account's mean interval so far (recency ÷ frequency; after a single purchase the book's own mean
    interval), then *lapsing*, and *inactive* after ``rules.inactive_months`` months of 365.25/12 days.

    P(alive) of an account that bought once is 1 under BG/NBD (Fader, Hardie & Lee 2005): it cannot drop out before
    its first repeat. Such accounts are staged by silence alone. Where many bought once, ``ParetoNBDModel`` and
    ``ModifiedBetaGeoModel`` know more of them and give the better stages; of the latter `clv.stage_stability` should be
    asked first, since its likelihood can have two modes there.
    """
    rules = StageRules() if rules is None else rules
    ahead, unit = check_horizon(horizon), checked_unit(summary)
    frequency = summary["frequency"].to_numpy(float)
    p_alive = answers(purchases.probability_alive(summary), summary, "p_alive", at_most=1.0)
    silence = answers(purchases.silence_probability(summary), summary, "silence_probability", at_most=1.0)
    rhythm = None if transactions is None else rhythm_in_summary(transactions, summary, level=rules.rhythm, unit=unit)
    slowed = None if rhythm is None else rhythm.table["slowed"].to_numpy(bool)
    once = undecided(purchases, summary)
    plain = severity(p_alive, silence, rules=rules, once=once)
    step = plain if slowed is None else severity(p_alive, silence, rules=rules, once=once, slowed=slowed)
    table = pd.DataFrame(
        {
            "stage": np.array(STAGES, dtype=object)[step],
            "p_alive": p_alive,
            "silence_probability": silence,
            "silent": (summary["T"] - summary["recency"]).clip(lower=0.0).to_numpy(float),
            "expected_purchases": answers(purchases.expected_purchases(summary, ahead), summary, "expected_purchases"),
            "rule_stage": np.array(RULE_STAGES, dtype=object)[rule_of_thumb(summary, rules, unit)],
            "sentence": "",
            "usual_low": answers(purchases.purchase_interval(summary, 0.25), summary, "usual_low"),
            "usual_high": answers(purchases.purchase_interval(summary, 0.75), summary, "usual_high"),
        },
        index=summary.index,
    )
    if hasattr(purchases, "no_purchase_probability"):
        silent_on = purchases.no_purchase_probability(summary, quarter(unit))
        table["p_no_purchase"] = answers(silent_on, summary, "p_no_purchase", at_most=1.0)
    if rhythm is not None:
        for name in ("earlier_interval", "recent_interval", "p_value", "slowed"):
            table["rhythm_p_value" if name == "p_value" else name] = rhythm.table[name].to_numpy()
    if value is not None:
        table["value"] = stake(value, table.index)
    if sentences:
        table["sentence"] = write_sentences(table, frequency, unit, rules.alive[0])
    table.attrs["clv"] = dict(summary.attrs["clv"]) | {"horizon": ahead}
    by_stage = _count(table, step)
    left_out = _left_out(rhythm, accounts, value, summary.index)
    text = book_text(
        by_stage, table, int(once.sum()), unit, ahead,
        currency=currency, rhythm=rhythm, moved=int((step > plain).sum()), left_out=left_out,
    )  # fmt: skip
    return ChurnStages(table, text, by_stage, left_out, rhythm)


def _left_out(
    rhythm: RhythmChange | None,
    accounts: Iterable[str] | pd.DataFrame | None,
    value: pd.Series | None,
    bought: pd.Index,
) -> pd.DataFrame:
    """List who and what is not staged, each account under one reason."""
    known = left_out_table() if rhythm is None else rhythm.left_out
    if accounts is None and (value is None or len(value) == len(bought)):  # whose every account has a value
        return known
    seen = pd.Index(bought.astype(str)).union(pd.Index(known["account_id"].astype(str)))
    never = without_purchases(accounts, seen)
    worth = without_purchases(_NOBODY if value is None else value.index, seen.union(never.index))
    more = left_out_table(("never bought", never), ("never bought, though it has a value", worth))
    return known if more.empty else pd.concat([known, more], ignore_index=True) if len(known) else more


def _count(table: pd.DataFrame, step: np.ndarray) -> pd.DataFrame:
    """Accounts, expected purchases and money by stage; a stage without accounts holds zeros and no mean."""
    n = len(STAGES)
    accounts = np.bincount(step, minlength=n)
    counts = pd.DataFrame({"accounts": accounts}, index=pd.Index(STAGES, name="stage", dtype=object))
    counts["share"] = counts["accounts"] / len(table)
    alive = np.bincount(step, table["p_alive"].to_numpy(), minlength=n)
    counts["p_alive"] = np.divide(alive, accounts, out=np.full(n, np.nan), where=accounts > 0)
    for name in ("expected_purchases", "value"):
        if name in table:
            counts[name] = np.bincount(step, table[name].to_numpy(), minlength=n)
    return counts
