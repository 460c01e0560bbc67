"""Do stages foretell? Past dates, staged by what was known then, beside what the accounts did in the quarter after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from clv.churn.calibration_tables import MODEL, by_stage, curve_of, differences_of, order_of, scores_of
from clv.churn.calibration_text import calibration_text
from clv.churn.purchases import Date
from clv.churn.rivals import Peer, earlier, rival_forecasts, rival_names
from clv.churn.stage_inputs import quarter
from clv.churn.stages import churn_stages
from clv.data.settings import Grain, StageRules, Unit
from clv.data.units import days_per_unit
from clv.errors import FitError, SettingsError
from clv.result import Result
from clv.value.modified_beta_geo import ModifiedBetaGeoModel
from clv.value.validation.holdout import hold_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: columns of the forecasts that no other forecast may be called.
_TAKEN = ("cutoff", "account_id", "stage", "silent", "in_rhythm")


@dataclass(frozen=True, eq=False)
class StageCalibration(Result):
    """How well stages, and the probability of a silent quarter, foretold what came.

    Attributes
    ----------
    table : pandas.DataFrame
        Index stage (all six, in order), over all cutoffs: accounts (account-dates), predicted (mean probability of
        silence), silent (share that was), lower, upper; in_rhythm (share that would have been silent had all been
        alive and just bought), kept (buyers ÷ buyers expected in rhythm), kept_lower, kept_upper.
    order : pandas.DataFrame
        One row a step from a stage to the next one with accounts: stage, next, silent_change, silent_z, kept_change,
        kept_z. Stages are in order where silent rises and kept falls.
    scores : pandas.DataFrame
        Index forecast and cutoff ("all": all of them): accounts, predicted, silent, ece, ece_chance, level, slope,
        ece_levelled (the error that is left once each cutoff's level is put right: what remains when the whole book
        buys more, or less, than before), brier, log_loss.
    differences : pandas.DataFrame
        Index forecast (the others): accounts, brier and log_loss (the model's less its own, on the same
        account-dates: below 0 the model is better), brier_error and log_loss_error (standard errors, the dates of an
        account taken together).
    reliability : pandas.DataFrame
        forecast, accounts, predicted, observed, lower, upper, chance: classes of equal forecasts, over all cutoffs.
    forecasts : pandas.DataFrame
        cutoff, account_id, stage, silent (1 or 0), in_rhythm (probability), and each forecast by its name.
    notes : tuple of str
        What could not be compared, and why.
    """

    order: pd.DataFrame
    scores: pd.DataFrame
    differences: pd.DataFrame
    reliability: pd.DataFrame
    forecasts: pd.DataFrame
    notes: tuple[str, ...]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the reliability curve: outcome against forecast."""
        from clv.churn.pictures import reliability_curve

        return reliability_curve(self.reliability, ax)


def stage_calibration(
    transactions: pd.DataFrame,
    cutoffs: Sequence[Date],
    horizon: float | None = None,
    *,
    model: Any = None,
    unit: Unit = "W",
    grain: Grain = "D",
    rules: StageRules | None = None,
    peers: Mapping[str, Peer] | None = None,
    as_of: Date | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> StageCalibration:
    """Stage a book at past dates, and compare with who bought nothing in the time that followed.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    cutoffs : sequence of date
        Last known days. At each the model is fitted anew on the purchases up to that day.
    horizon : float, optional
        Time after each cutoff, in `unit`; None: a quarter.
    model : estimator, optional
        An unfitted purchase model; None: ``ModifiedBetaGeoModel(prior="weak")``.
    unit, grain : str
        As in `clv.summarise`.
    rules : StageRules, optional
    peers : mapping of str to callable, optional
        Name -> function from a summary to P(alive) by another package, which is compared when cut at one half.
    as_of : date, optional
        Last day of the data; None: day of the last purchase.
    seed : int
        Of the boosted trees.
    confidence : float

    Returns
    -------
    StageCalibration

    Raises
    ------
    clv.errors.SettingsError
        There is no cutoff, or the data end before a horizon does.
    clv.errors.FitError
        The model cannot be fitted as of a cutoff, or cannot tell the probability of silence.

    Notes
    -----
    Accounts of a stage differ in how often they buy: a weekly buyer that is overdue may well buy within the quarter,
    and one that buys every second year will hardly, steady as it is. Shares of silent accounts therefore mix how far
    an account is gone with who gets into the stage. ``kept`` takes the second out, by indirect standardisation: buyers
    observed, over those expected if all of the stage's accounts were alive and had just bought.

    The other forecasts are a rule of months without a purchase, each peer, and boosted trees on recency, frequency and
    money; all learn from an earlier date, one horizon before, and from what came between (see `clv.churn.rivals`).

    Intervals by stage take account-dates as independent, which they are not where the times after two dates overlap:
    on the sample ``demo``, with half a quarter in common, they ought to be up to a fifth wider. Errors of differences
    are right there too.
    """
    if isinstance(cutoffs, str) or not len(cutoffs):
        raise SettingsError("cutoffs is no list of dates.", mend="Give at least one date with a horizon after it.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence}.", mend="Give a probability between 0 and 1.")
    span = quarter(unit) if horizon is None else horizon
    rules, others = StageRules() if rules is None else rules, dict(peers or {})
    names = [MODEL, *rival_names(rules, others)]
    if taken := sorted({name for name in others if name in _TAKEN or names.count(name) > 1}):
        raise SettingsError(f"peers: the name {taken[0]!r} is taken.", mend="Call it otherwise.")
    fresh = ModifiedBetaGeoModel(prior="weak") if model is None else model
    parts, notes = [], []
    for cutoff in sorted({pd.Timestamp(day).normalize() for day in cutoffs}):
        cut = hold_out(transactions, cutoff=cutoff, horizon=span, unit=unit, grain=grain, as_of=as_of)
        fitted = _fitted(fresh, cut.summary, cutoff)
        known = transactions[transactions["date"].dt.normalize() <= cutoff]
        staged = churn_stages(fitted, cut.summary, cut.horizon, rules=rules, transactions=known, sentences=False)
        just_bought = cut.summary.assign(T=cut.summary["recency"] + cut.horizon)
        just_bought.attrs = dict(cut.summary.attrs)
        part = pd.DataFrame(
            {
                "cutoff": cutoff,
                "account_id": cut.summary.index.astype(str),
                "stage": staged.table["stage"].to_numpy(),
                "silent": (cut.outcome["purchases"] == 0).to_numpy(float),
                "in_rhythm": np.asarray(fitted.silence_probability(just_bought), dtype=float),
                MODEL: np.asarray(fitted.no_purchase_probability(cut.summary, cut.horizon), dtype=float),
            }
        )
        past = earlier(cut, transactions, unit=unit, grain=grain)
        found, said = rival_forecasts(cut, past, rules=rules, unit=unit, peers=others, seed=seed)
        parts.append(part.assign(**found))
        notes += said
    all_of = pd.concat(parts, ignore_index=True)
    table = by_stage(all_of, confidence)
    curves = {name: curve_of(all_of, name, confidence) for name in names if all_of[name].notna().any()}
    scored, differences = scores_of(all_of, names), differences_of(all_of, names[1:])
    text = calibration_text(table, scored, differences, days=span * days_per_unit(unit), notes=notes)
    reliability = pd.concat(curves, names=["forecast", None]).reset_index(level=0).reset_index(drop=True)
    return StageCalibration(table, text, order_of(table), scored, differences, reliability, all_of, tuple(notes))


def _fitted(model: Any, summary: pd.DataFrame, cutoff: pd.Timestamp) -> Any:
    if isinstance(model, type) or not hasattr(model, "no_purchase_probability"):
        name = getattr(model, "__name__", type(model).__name__)
        raise FitError(
            f"{name} does not tell the probability of silence.", mend="Give an unfitted purchase model of clv.value."
        )
    try:
        return clone(model).fit(summary)
    except FitError as error:
        raise FitError(f"as of {cutoff:%Y-%m-%d}: {error.message}", mend=error.mend) from error
