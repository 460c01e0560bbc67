"""Six stages of losing a customer, each from the account's own rhythm (rule C3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from clv.churn.sentences import book_text, sentences
from clv.data.settings import StageRules, Unit
from clv.data.units import DAYS
from clv.errors import DataError, SettingsError, UnitError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: from the healthiest to the worst.
STAGES = ("steady", "slowing", "overdue", "at risk", "lapsed", "lost")

_NEEDED = ("frequency", "recency", "T")


class PurchaseModel(Protocol):
    """What a purchase model must answer here; every model of `clv.value` does."""

    def probability_alive(self, summary: pd.DataFrame) -> Any:
        """Return P(alive) of each account."""

    def silence_probability(self, summary: pd.DataFrame) -> Any:
        """Return P(a living account is silent this long or longer)."""

    def purchase_interval(self, summary: pd.DataFrame, q: float) -> Any:
        """Return quantile q of a living account's time to its next purchase."""

    def expected_purchases(self, summary: pd.DataFrame, t: float) -> Any:
        """Return expected purchases in the next t."""


@dataclass(frozen=True, eq=False)
class ChurnStages(Result):
    """The stage of each account.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: stage, p_alive, silence_probability, silent, expected_purchases, rule_stage, sentence,
        usual_low, usual_high; value if a value was given. Durations are in the summary's unit.
    by_stage : pandas.DataFrame
        Index stage (all six, in order): accounts, share (of accounts), p_alive (mean), expected_purchases (sum);
        value (sum) if a value was given.
    """

    by_stage: pd.DataFrame

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
        counts = counts.reindex(index=list(STAGES), columns=["active", "lapsing", "inactive"], fill_value=0)
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
) -> ChurnStages:
    """Place each account in one of six stages: steady, slowing, overdue, at risk, lapsed, lost.

    The stage is the worse of two scales. By *silence*: the probability that a living account, buying at its own
    posterior rate, would be silent for as long as this one is or longer; below each threshold of ``rules.silence``
    the account is one stage further, as far as *at risk*. By *P(alive)*: below ``rules.alive`` it is *lapsed* (more
    likely gone than not), then *lost*. Where the model cannot tell (see Notes), silence alone decides on these two
    as well. Both probabilities fall as silence grows: a further day without a purchase never moves an account up.

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
        are an error.
    currency : str
        Written before money in the text.

    Returns
    -------
    ChurnStages

    Raises
    ------
    DataError
        A column or a value is missing, an account is there twice, or the model returned no probability.
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
    its first repeat. Such accounts are staged by silence alone.
    """
    rules = StageRules() if rules is None else rules
    unit = _checked(summary, horizon)
    silent = (summary["T"] - summary["recency"]).clip(lower=0.0).to_numpy(float)
    p_alive = _answers(purchases.probability_alive(summary), summary, "p_alive", at_most=1.0)
    silence = _answers(purchases.silence_probability(summary), summary, "silence_probability", at_most=1.0)
    # Certainty about life says that the model cannot tell: then silence is all there is to go by.
    once = (summary["frequency"].to_numpy() == 0) & (p_alive == 1)
    by_silence = _steps_below(silence, rules.silence)
    severity = np.maximum(
        np.where(once, by_silence, np.minimum(by_silence, STAGES.index("at risk"))),
        np.array([0, STAGES.index("lapsed"), STAGES.index("lost")])[_steps_below(p_alive, rules.alive)],
    )
    table = pd.DataFrame(
        {
            "stage": np.array(STAGES, dtype=object)[severity],
            "p_alive": p_alive,
            "silence_probability": silence,
            "silent": silent,
            "expected_purchases": _answers(
                purchases.expected_purchases(summary, horizon), summary, "expected_purchases"
            ),
            "rule_stage": _rule_of_thumb(summary, silent, rules, unit),
            "sentence": "",
            "usual_low": _answers(purchases.purchase_interval(summary, 0.25), summary, "usual_low"),
            "usual_high": _answers(purchases.purchase_interval(summary, 0.75), summary, "usual_high"),
        },
        index=summary.index,
    )
    if value is not None:
        table["value"] = _stake(value, table.index)
    table["sentence"] = sentences(table, summary["frequency"].to_numpy(float), unit, rules.alive[0])
    table.attrs["clv"] = dict(summary.attrs["clv"]) | {"horizon": float(horizon)}
    by_stage = _count(table)
    return ChurnStages(table, book_text(by_stage, table, int(once.sum()), unit, horizon, currency), by_stage)


def _checked(summary: pd.DataFrame, horizon: float) -> Unit:
    """Check what the model will not check for us, and return the summary's unit."""
    if not (isinstance(horizon, int | float | np.number) and np.isfinite(horizon) and horizon > 0):
        raise SettingsError(f"horizon is {horizon!r}.", mend="Give a positive number of the summary's units.")
    missing = [name for name in _NEEDED if name not in summary.columns]
    if missing:
        raise DataError(
            "the column is missing.", mend="Make the table with summarise().", table="summary", column=missing[0]
        )
    if summary.empty:
        raise DataError("no account has bought yet.", mend="Check the as-of date.", table="summary")
    twice = summary.index.duplicated()
    if twice.any():
        raise DataError(
            f"account {summary.index[twice][0]!r} is there twice.",
            mend="Give one row an account.",
            table="summary",
            column="account_id",
            row=int(np.argmax(twice)) + 1,
        )
    for name in _NEEDED:
        bad = ~np.isfinite(summary[name].to_numpy(float)) | (summary[name].to_numpy(float) < 0)
        if bad.any():
            raise DataError(
                f"{summary[name].iloc[int(np.argmax(bad))]!r} is no count or duration.",
                mend="Make the table with summarise().",
                table="summary",
                column=name,
                row=int(np.argmax(bad)) + 1,
            )
    unit = summary.attrs.get("clv", {}).get("unit")
    if unit not in DAYS:
        raise UnitError(
            f"the summary's unit is {unit!r}.",
            mend='Use summarise(), or set summary.attrs["clv"] = {"unit": "W"} (D, W, M or Y).',
        )
    checked: Unit = unit
    return checked


def _answers(given: Any, summary: pd.DataFrame, name: str, *, at_most: float = np.inf) -> np.ndarray:
    """Take a model's answers in the summary's order; anything that is no number is an error, rounding is not."""
    values = given.reindex(summary.index) if isinstance(given, pd.Series) else given
    values = np.asarray(values, dtype=float).reshape(-1)
    if len(values) != len(summary):
        raise DataError(f"the model gave {len(values)} answers for {len(summary)} accounts.", column=name)
    bad = np.isnan(values) | (values < -1e-9) | (values > at_most + 1e-9)
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"the model gave {values[at]} for account {summary.index[at]!r}.",
            mend="Check the account's row in the summary and that the model converged.",
            table="summary",
            column=name,
            row=at + 1,
        )
    return np.clip(values, 0.0, at_most)


def _steps_below(values: np.ndarray, thresholds: tuple[float, ...]) -> np.ndarray:
    """Count the thresholds that each value is below."""
    return (values[:, None] < np.asarray(thresholds)).sum(axis=1)


def _rule_of_thumb(summary: pd.DataFrame, silent: np.ndarray, rules: StageRules, unit: Unit) -> np.ndarray:
    """Stage by what sales teams use without a model."""
    frequency, recency = summary["frequency"].to_numpy(float), summary["recency"].to_numpy(float)
    inactive = rules.inactive_months * DAYS["M"] / DAYS[unit]
    # Nobody came back: no interval is known, and only the months decide.
    book = recency.sum() / frequency.sum() if frequency.sum() > 0 else inactive
    own = np.divide(recency, frequency, out=np.full(len(recency), book), where=frequency > 0)
    return np.select([silent > inactive, silent > own], ["inactive", "lapsing"], "active").astype(object)


def _stake(value: pd.Series, accounts: pd.Index) -> np.ndarray:
    """Take the money of each account; one without is an error, since it would vanish from the totals."""
    stake = value.reindex(accounts).to_numpy(float) if value.index.is_unique else np.full(len(accounts), np.nan)
    bad = ~np.isfinite(stake)
    if bad.any():
        raise DataError(
            f"account {accounts[bad][0]!r} has no value, or more than one ({int(bad.sum())} in all).",
            mend="Give one finite value for every account of the summary.",
            column="value",
        )
    return stake


def _count(table: pd.DataFrame) -> pd.DataFrame:
    """Accounts, expected purchases and money by stage; a stage without accounts holds zeros and no mean."""
    grouped = table.groupby("stage")
    counts = pd.DataFrame({"accounts": grouped.size()}).reindex(pd.Index(STAGES, name="stage"), fill_value=0)
    counts["share"] = counts["accounts"] / len(table)
    counts["p_alive"] = grouped["p_alive"].mean()
    for name in ("expected_purchases", "value"):
        if name in table:
            counts[name] = grouped[name].sum().reindex(counts.index, fill_value=0.0)
    return counts
