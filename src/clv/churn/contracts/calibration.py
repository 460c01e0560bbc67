"""Does what was said of renewals come true? Forecasts made on past days against what happened next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.churn import calibration_scores as scores
from clv.churn.contracts.hazard import renewal_hazard
from clv.churn.contracts.models import Method
from clv.churn.contracts.stages import contract_stages
from clv.churn.contracts.terms import Date, contract_terms
from clv.churn.severity import STAGES
from clv.data.settings import StageRules
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: what anybody could have said: the share renewed of all decisions known on the day.
RULE = "book's rate"


@dataclass(frozen=True, eq=False)
class RenewalCalibration(Result):
    """Forecasts of renewal against outcomes, on held-out time.

    Attributes
    ----------
    table : pandas.DataFrame
        Index method (each asked for, and "book's rate": the share renewed so far): decisions, renewed, expected (sum
        of P(renewal)), brier, log_loss, ece (expected calibration error over classes of the forecasts), ece_by_chance
        (what it would be if every forecast were right).
    forecasts : pandas.DataFrame
        One row a decision: cutoff, contract_id, account_id, term, renewed, and P(renewal) by each method.
    by_stage : pandas.DataFrame
        Index stage: accounts (all cutoffs together), gone (lost within the window), share, lower, upper.
    bins : pandas.DataFrame
        The reliability curve: method, predicted and observed (means), lower, upper, accounts (decisions), chance.
    """

    forecasts: pd.DataFrame
    by_stage: pd.DataFrame
    bins: pd.DataFrame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the reliability curve: renewals that came against those foretold."""
        from clv.churn.contracts.pictures import reliability

        return reliability(self.bins, ax)


def renewal_calibration(
    contracts: pd.DataFrame,
    *,
    cutoffs: Sequence[Date],
    as_of: Date,
    window: int = 365,
    accounts: pd.DataFrame | None = None,
    covariates: Sequence[str] = (),
    methods: Sequence[Method] = ("logit", "sbg"),
    rules: StageRules | None = None,
    observed_from: Date | None = None,
    grace: int = 31,
    faults: Literal["error", "set_aside"] = "error",
    confidence: float = 0.9,
    seed: int = 0,
) -> RenewalCalibration:
    """Forecast renewals on past days from what was known then, and compare them with what happened.

    Parameters
    ----------
    contracts : pandas.DataFrame
    cutoffs : sequence of dates
        Days on which to forecast; windows that overlap count a decision twice.
    as_of : date
        Until when outcomes are known.
    window : int
        Days after a cutoff in which terms must end to be scored. Only those whose days of grace were over by `as_of`
        are, since of younger ones only the punctual renewals would be known.
    accounts, covariates, observed_from, grace, faults, seed
        See `renewal_hazard`.
    methods : sequence of {"logit", "boosted", "sbg"}
        The first one also gives the stages of `by_stage`.
    rules : StageRules, optional
    confidence : float
        Of the intervals (Jeffreys).

    Returns
    -------
    RenewalCalibration

    Raises
    ------
    clv.errors.SettingsError
        There is no cutoff or method, or a cutoff is not before `as_of`.
    clv.errors.DataError
        No term ended in the windows with a known outcome.
    clv.errors.FitError
        A method cannot be fitted to what was known on a cutoff.
    """
    days = [pd.Timestamp(cutoff) for cutoff in cutoffs]
    if not days or not methods:
        raise SettingsError("there is no cutoff or no method.", mend="Give one of each at least.")
    if max(days) >= pd.Timestamp(as_of):
        raise SettingsError("a cutoff is not before as_of.", mend="Give earlier cutoffs, or a later as_of.")
    truth = contract_terms(contracts, as_of=as_of, observed_from=observed_from, grace=grace, faults=faults).table
    limit = pd.Timestamp(as_of) - pd.Timedelta(days=grace)
    known = truth[truth["outcome"].isin(["renewed", "lost"]) & (truth["end"] < limit)]
    scored, staged = [], []
    for cutoff in days:
        until = min(cutoff + pd.Timedelta(days=window), limit)
        due = known[(known["start"] <= cutoff) & (known["end"] >= cutoff) & (known["end"] < until)]
        rows = pd.DataFrame({"cutoff": cutoff, "account_id": due["account_id"], "term": due["term"]})
        rows["renewed"] = due["outcome"] == "renewed"
        then = _as_known(contracts, cutoff, grace)
        for place, method in enumerate(methods):
            hazard = renewal_hazard(
                then, as_of=cutoff, accounts=accounts, covariates=covariates, method=method, grace=grace,
                observed_from=observed_from, faults=faults, confidence=confidence, seed=seed,
            )  # fmt: skip
            # A term whose successor had begun early was decided already: nobody would have asked.
            rows = rows[rows.index.isin(hazard.running.index)].copy()
            rows[method] = hazard.running["p_renew"].reindex(rows.index)
            if place == 0:
                rows[RULE] = (~hazard.decisions["lost"]).mean()
                stages = contract_stages(
                    then,
                    as_of=cutoff,
                    hazard=hazard,
                    accounts=accounts,
                    rules=rules,
                    grace=grace,
                    faults=faults,
                    observed_from=observed_from,
                )
                staged.append(_gone(stages.table["stage"], until, truth))
        scored.append(rows.reset_index())
    forecasts = pd.concat(scored, ignore_index=True)
    if forecasts.empty:
        raise DataError("no term ended in the windows.", table="contracts", mend="Give other cutoffs.")
    names = [*methods, RULE]
    table = pd.DataFrame([_scores(forecasts, name) for name in names], index=pd.Index(names, name="method"))
    bins = pd.concat([_bins(forecasts, name, confidence) for name in names], ignore_index=True)
    by_stage = _stage_table(pd.concat(staged, ignore_index=True), confidence)
    return RenewalCalibration(table, _text(table, by_stage, len(days), window), forecasts, by_stage, bins)


def _as_known(contracts: pd.DataFrame, cutoff: pd.Timestamp, grace: int) -> pd.DataFrame:
    """Clear `renewed` where it cannot have been known on a day: of terms over for no longer than the days of grace.

    When the flag was set is not in the table; a renewal that came late would be known before it came.
    """
    if "renewed" not in contracts.columns:
        return contracts
    young = pd.to_datetime(contracts["end"]) + pd.Timedelta(days=grace) >= cutoff
    flags = contracts["renewed"].astype(object).where(~young, None).astype("boolean")
    return contracts.assign(renewed=flags)


def _gone(stage: pd.Series, until: pd.Timestamp, truth: pd.DataFrame) -> pd.DataFrame:
    """Say of which accounts every relation was lost by the end of the window."""
    last = truth.groupby("relation_id").tail(1)
    begun = truth.groupby("relation_id")["start"].min().reindex(last["relation_id"]).to_numpy() <= until.to_datetime64()
    over = (last["outcome"] == "lost") & (last["end"] < until)
    kept = last.loc[begun & ~over.to_numpy(), "account_id"]
    return pd.DataFrame({"stage": stage, "gone": ~stage.index.isin(kept)})


def _scores(forecasts: pd.DataFrame, name: str) -> dict[str, float]:
    p, y = forecasts[name].to_numpy(float), forecasts["renewed"].to_numpy(float)
    error, chance = scores.expected_calibration_error(scores.reliability(y, p))
    return {
        "decisions": len(y),
        "renewed": int(y.sum()),
        "expected": float(p.sum()),
        "brier": float(scores.brier(y, p).mean()),
        "log_loss": float(scores.log_loss(y, p).mean()),
        "ece": error,
        "ece_by_chance": chance,
    }


def _bins(forecasts: pd.DataFrame, name: str, confidence: float) -> pd.DataFrame:
    y, p = forecasts["renewed"].to_numpy(float), forecasts[name].to_numpy(float)
    return scores.reliability(y, p, confidence=confidence).assign(method=name)


def _stage_table(staged: pd.DataFrame, confidence: float) -> pd.DataFrame:
    by = staged.groupby("stage")["gone"]
    table = pd.DataFrame({"accounts": by.size(), "gone": by.sum()})
    table = table.reindex(pd.Index(STAGES, name="stage"), fill_value=0).astype("int64")
    n, k = table["accounts"].to_numpy(float), table["gone"].to_numpy(float)
    table["share"] = np.divide(k, n, out=np.full(len(n), np.nan), where=n > 0)
    table["lower"], table["upper"] = scores.jeffreys(k, n, confidence=confidence)
    return table


def _text(table: pd.DataFrame, by_stage: pd.DataFrame, cutoffs: int, window: int) -> str:
    first, rule = table.iloc[0], table.loc[RULE]
    better = "better" if first["log_loss"] < rule["log_loss"] else "no better"
    text = (
        f"On {cutoffs} past day{'s' * (cutoffs > 1)}, for the {window:,} days that followed, {first['expected']:.0f} of"
        f" {first['decisions']:,.0f} renewals were expected and {first['renewed']:,.0f} came ({table.index[0]});"
        f" forecasts are off by {100 * first['ece']:.0f} in 100 on average ({100 * first['ece_by_chance']:.0f} would be"
        f" chance), and {better} than the book's rate (log loss"
        f" {first['log_loss']:.3f} against {rule['log_loss']:.3f})."
    )
    seen = by_stage[by_stage["accounts"] > 0]
    said = ", ".join(f"{stage} {row['share']:.0%} of {row['accounts']:,.0f}" for stage, row in seen.iterrows())
    return f"{text}\n\nWithout any contract at the end of that time, by the stage on the day: {said}."
