"""Which play for which account: the one that is expected to add most after its cost (rule C4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.churn.plays.choice import NO_PLAY, Choice, account_tables, by_play
from clv.churn.plays.measured import MeasuredUplift
from clv.churn.plays.sentences import book_text, sentences
from clv.churn.plays.worth import Book, strengths
from clv.data.settings import DEFAULT_PLAYS, ChurnStage, Play
from clv.errors import DataError, SettingsError
from clv.result import Result
from clv.value.discount import continuous_rate
from clv.value.estimation.checks import check_fitted, check_unit, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.churn.returning.win_back import WinBack
    from clv.churn.stages import ChurnStages
    from clv.value.lifetime import LifetimeValue

_STAGES: tuple[str, ...] = ChurnStage.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class Plays(Result):
    """The play of each account.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: stage, play, gain (expected discounted margin that the play adds, before cost), cost, net,
        lower, upper (of net), p_worth (probability that net is above 0), p_best (probability that no other play would
        have been better), evidence (assumed, partly measured, measured, or by definition; empty without a play),
        sentence.
    options : pandas.DataFrame
        One row an account and play that could be made: account_id, play, gain, cost, net, lower, upper, p_worth,
        evidence, chosen.
    by_play : pandas.DataFrame
        Index play, ``no play`` last: accounts, gain, cost, net, lower, upper, evidence.
    effects : pandas.DataFrame
        Index play: mean and sd of the strength of its effect (1 is as stated), evidence, weight (share of the
        experiment in what is known of the strength; "measured" from one half on), uplift and standard_error (of the
        experiment), source.
    currency : str
    """

    options: pd.DataFrame
    by_play: pd.DataFrame
    effects: pd.DataFrame
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each play is expected to add, with its interval."""
        from clv.churn.plays.pictures import net_by_play

        return net_by_play(self.by_play, ax, currency=self.currency)


def assign_plays(
    stages: ChurnStages | pd.DataFrame | pd.Series,
    value: LifetimeValue,
    plays: Sequence[Play] = DEFAULT_PLAYS,
    *,
    purchases: Any,
    spend: Any,
    summary: pd.DataFrame,
    experiment: Mapping[str, MeasuredUplift] | None = None,
    win_back: WinBack | None = None,
    cost_to_serve: float = 0.0,
    draws: int = 400,
    seed: int = 0,
    currency: str = "",
) -> Plays:
    """Choose each account's play by the margin that it is expected to add, never by risk alone.

    Parameters
    ----------
    stages : ChurnStages, pandas.DataFrame or pandas.Series
        Churn stage by account_id; it says which plays can be made, not which one is.
    value : LifetimeValue
        Its horizon, discount rate, margin and confidence are used.
    plays : sequence of Play
        From the study's settings.
    purchases, spend : fitted models
        Purchases by (M)BG/NBD, (M)BG/CNBD-k or Pareto/NBD.
    summary : pandas.DataFrame
        One row an account, index account_id.
    experiment : mapping of str to MeasuredUplift, optional
        What experiments measured, by play; see `measured_uplift`. Other plays rest on their stated effect.
    win_back : WinBack, optional
        How the chance of a return fades with the time since the lapse. None: it does not.
    cost_to_serve : float
        Money an account over the horizon, saved by a play with ``saves_service``.
    draws, seed : int
        For intervals and probabilities.
    currency : str
        Written after money in the text.

    Returns
    -------
    Plays

    Raises
    ------
    clv.errors.DataError
        An account has no stage, or an unknown one.
    clv.errors.SettingsError
        The horizon is infinite or unknown, a measured play is not among `plays`, or the model is not in continuous
        time.

    Notes
    -----
    In every draw of parameters, of the account's hidden state (alive, rate, dropout, spend) and of the play's strength
    the margin with the play is set against the margin without, in the same draw:

        alive · [m′ D(f λ, d p) − m D(λ, p)] + (1 − alive) · q c(t) m · (1 + D₂),

    D the discounted purchases over the horizon (`clv.churn.plays.process`), m the margin of a purchase, q the chance
    that a gone account comes back because of the play, c(t) how that chance has faded since the lapse, and D₂ the
    purchases after a return: those of an account with this history that buys again today, so that its long silence
    counts as slowness. Where the stated effect acts on the whole horizon, so does its cost. "Let go" is the play with
    rate 0: it loses all margin and saves the service.
    Under BG/NBD nobody is gone after a single purchase (P(alive) is 1), so that nothing wins back a one-time buyer
    there; MBG/NBD and Pareto/NBD tell. A play is made where its expected net is above 0 and above that of every other.
    """
    plays = _checked(plays, experiment)
    if not (np.isfinite(value.horizon) and value.horizon > 0):
        raise SettingsError(f"value has the horizon {value.horizon}.", mend="Use lifetime_value with a finite horizon.")
    if not (np.isfinite(cost_to_serve) and cost_to_serve >= 0):
        raise SettingsError(f"cost_to_serve is {cost_to_serve!r}.", mend="Give money of 0 or more.")
    if isinstance(draws, bool) or int(draws) != draws or draws < 20:
        raise SettingsError(f"draws is {draws!r}.", mend="Give a whole number of at least 20.")
    for model in (purchases, spend):
        check_fitted(model)
        check_unit(getattr(model, "unit_", None), summary)
    if not summary.index.is_unique:
        twice = summary.index[summary.index.duplicated()][0]
        raise DataError(f"account {twice!r} is there twice.", table="summary", mend="Give one row an account.")
    unit = unit_of(summary) or getattr(purchases, "unit_", None) or value.unit
    discount = continuous_rate(value.discount_rate, unit=unit) if value.discount_rate and unit else 0.0
    rng = np.random.default_rng(seed)
    stage = _stage_of(stages, summary.index)
    chance = np.ones(len(summary)) if win_back is None else win_back.relative_chance(summary)
    book = Book(
        purchases, spend, summary, float(value.horizon), discount, float(value.margin),
        purchases.sample_posterior(draws, rng).to_numpy(), spend.sample_posterior(draws, rng).to_numpy(), chance,
    )  # fmt: skip
    drawn = strengths(book, plays, experiment or {}, rng)
    eligible = _eligible(plays, stage, summary["frequency"].to_numpy())
    cost = np.array([play.cost - (cost_to_serve if play.saves_service else 0.0) for play in plays])
    choice = Choice.of(book, plays, drawn, eligible, cost, value.confidence, rng)
    effects = _effects(plays, experiment or {}, drawn)
    evidence = list(effects["evidence"])
    table, options = account_tables(summary.index, stage, plays, evidence, eligible, cost, choice)
    table["sentence"] = sentences(table, options, value.confidence, currency)
    sums = by_play(table, plays, evidence, choice)
    text = book_text(table, sums, plays, effects, choice.total, value, currency)
    return Plays(table, text, options, sums, effects, currency)


def _checked(plays: Sequence[Play], experiment: Mapping[str, MeasuredUplift] | None) -> list[Play]:
    names = [play.name for play in plays]
    if not names or len(set(names)) != len(names) or NO_PLAY in names:
        raise SettingsError(
            f"plays: {', '.join(names) or 'there is none'}.",
            mend=f"Give plays of different names, none of them {NO_PLAY!r}.",
        )
    unknown = sorted(set(experiment or {}) - set(names))
    if unknown:
        raise SettingsError(f"experiment: there is no play {unknown[0]!r}.", mend=f"There are {', '.join(names)}.")
    return list(plays)


def _stage_of(stages: Any, accounts: pd.Index) -> np.ndarray:
    """Return the stage of each account in the summary's order."""
    table = getattr(stages, "table", stages)
    series = table["stage"] if isinstance(table, pd.DataFrame) else table
    if not series.index.is_unique:
        raise DataError("an account is there twice.", table="stages", mend="Give one stage an account.")
    stage = series.reindex(accounts).astype(object).to_numpy()
    bad = ~np.isin(stage.astype(str), _STAGES)
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"account {accounts[at]!r} has the stage {stage[at]!r} ({int(bad.sum())} in all).",
            table="stages", column="stage", row=at + 1, mend=f"Stages are {', '.join(_STAGES)}; use churn_stages.",
        )  # fmt: skip
    return stage.astype(str)


def _eligible(plays: list[Play], stage: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Return which play can be made for whom, shape (accounts, plays)."""
    columns = []
    for play in plays:
        may = np.ones(len(stage), dtype=bool) if play.stages is None else np.isin(stage, list(play.stages))
        columns.append(may & (frequency == 0) if play.one_time_only else may)
    return np.column_stack(columns)


def _effects(plays: list[Play], experiment: Mapping[str, MeasuredUplift], drawn: Sequence[Any]) -> pd.DataFrame:
    """Say of each play how strong its effect is taken to be, and by what right."""
    rows = []
    for play, strength in zip(plays, drawn, strict=True):
        found, spread = experiment.get(play.name), float(strength.std())
        evidence, weight = "by definition" if play.saves_service else "assumed", np.nan
        if found is not None:
            # Precision is 1/sd²: what the experiment added to that of the statement, as a share of the whole.
            weight = float(np.clip(1 - (spread / play.doubt) ** 2, 0, 1))
            evidence = "measured" if weight >= 0.5 else "partly measured"
        uplift, error, source = (
            (np.nan, np.nan, play.source) if found is None else (found.uplift, found.standard_error, found.source)
        )
        rows.append((float(strength.mean()), spread, evidence, weight, uplift, error, source))
    columns = ["mean", "sd", "evidence", "weight", "uplift", "standard_error", "source"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index([play.name for play in plays], name="play"))
