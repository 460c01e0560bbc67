"""The Markov value of each stage: what an account in it is worth, with and without a play (Pfeifer & Carraway 2000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.markov_chain import best_policy, checked_matrix, checked_money, values
from clv.churn.markov_play import MarkovPlay, changed_rows
from clv.churn.transitions import Transitions
from clv.errors import SettingsError
from clv.result import Result, money

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class MarkovValue(Result):
    """Values of stages.

    Attributes
    ----------
    table : pandas.DataFrame
        Index stage: reward (a period), value; account_months (moves seen from it; where there are
        none, its value rests on the prior), lower, upper where the matrix has a posterior. With a play: value_play
        (made in all of its stages, always), gain (value_play − value; gain_lower, gain_upper), value_best (made where
        it pays), play_pays (whether it does, there). Money of an account.
    periods : float
        Periods counted after the present one; infinite without a horizon.
    """

    periods: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the value of each stage, without and with the play."""
        import seaborn as sns

        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
        shown = self.table[[name for name in ("value", "value_play") if name in self.table]]
        names = {"value": "without the play", "value_play": "with it"}
        long = shown.rename(columns=names).reset_index().melt("stage", var_name="of", value_name="money")
        colours = sns.color_palette("colorblind")[: shown.shape[1]]
        sns.barplot(long, x="money", y="stage", hue="of", order=list(shown.index), palette=colours, saturation=1, ax=ax)
        if "lower" in self.table and shown.shape[1] == 1:
            low, high = (np.abs(self.table[side] - self.table["value"]) for side in ("lower", "upper"))
            ax.errorbar(self.table["value"], range(len(low)), xerr=[low, high], fmt="none", color="0.3", capsize=3)
        if (legend := ax.get_legend()) is not None:
            legend.set_title("")
            if shown.shape[1] == 1:
                legend.remove()
        ax.axvline(0, color="0.4", linewidth=1)
        ax.set(xlabel="value of an account", ylabel="", title="What an account is worth, by stage")
        return ax


def markov_value(
    transitions: Transitions | pd.DataFrame,
    *,
    reward: Mapping[str, float] | pd.Series,
    discount_rate: float,
    horizon: int | None = None,
    periods_per_year: float = 12,
    play: MarkovPlay | None = None,
    group: str = "all",
    draws: int = 1000,
    seed: int = 0,
    currency: str = "",
) -> MarkovValue:
    """Value each stage as the discounted rewards of a Markov chain that starts in it.

    Parameters
    ----------
    transitions : Transitions or pandas.DataFrame
        Of `clv.transition_matrix`, or a square table of probabilities, from (rows) to (columns).
    reward : mapping of str to float
        Contribution margin less cost of an account in each stage, in one period; see `clv.stage_margins`.
    discount_rate : float
        Effective rate a year.
    horizon : int, optional
        Periods counted after the present one; None: all.
    periods_per_year : float
        12 for monthly moves; 1 where a period is a year.
    play : MarkovPlay, optional
        Compared with leaving things as they are.
    group : str
        Which group of `transitions`.
    draws, seed : int
        Matrices drawn from the posterior of `transitions` for the intervals, at its confidence.
    currency : str
        Written after money in the text.

    Returns
    -------
    MarkovValue

    Raises
    ------
    clv.errors.DataError
        Rows are no probabilities, or a stage is unknown or has no reward.
    clv.errors.SettingsError
        The rate is not positive without a horizon, or an argument is out of range.

    Notes
    -----
    With d = (1 + discount_rate)^(1/periods_per_year) − 1, V = (I − P/(1+d))⁻¹ R, and over T periods
    V_T = Σ_{t=0}^{T} (P/(1+d))^t R (Pfeifer & Carraway 2000, Modeling customer relationships as Markov chains, Journal
    of Interactive Marketing 14(2), equations 2 and 3). The present period's reward is counted, undiscounted. Where the
    play pays is found by policy iteration (Howard 1960); over a horizon by backward induction, and play_pays is for
    the present period. A play's own effect is taken as given: intervals hold what is not known of the matrix.
    """
    posterior, given = (transitions, None) if isinstance(transitions, Transitions) else (None, transitions)
    P = checked_matrix(posterior.matrix(group) if posterior is not None else given)
    states = tuple(map(str, P.index))
    R = checked_money(reward, states, "reward")
    if not (np.isfinite(discount_rate) and discount_rate > (-1 if horizon is not None else 0)):
        raise SettingsError(f"discount_rate: found {discount_rate!r}.", mend="Give a positive rate, or a horizon.")
    if not (np.isfinite(periods_per_year) and periods_per_year > 0):
        raise SettingsError(f"periods_per_year: found {periods_per_year!r}.", mend="Give 12 for monthly moves.")
    if horizon is not None and (not isinstance(horizon, int | np.integer) or horizon < 0):
        raise SettingsError(f"horizon: found {horizon!r}.", mend="Give a whole number of periods, or None.")
    factor = float((1 + discount_rate) ** (-1 / periods_per_year))
    base = P.to_numpy(float)
    value = values(base, R, factor, horizon)
    table = pd.DataFrame({"reward": R, "value": value}, index=pd.Index(states, name="stage"))
    if posterior is not None:
        own = posterior.table[posterior.table["group"] == group]
        table["account_months"] = own.groupby("from")["count"].sum().reindex(table.index)
    drawn = posterior.sample(draws, seed, group) if posterior is not None else None
    tails = [] if posterior is None else [(1 - posterior.confidence) / 2, (1 + posterior.confidence) / 2]
    before = values(drawn, R, factor, horizon) if drawn is not None else None
    if before is not None:
        table["lower"], table["upper"] = np.quantile(before, tails, axis=0)
    if play is not None:
        rows, paid = changed_rows(play, states, R)
        changed = rows(base)
        table["value_play"] = values(changed, paid, factor, horizon)
        table["gain"] = table["value_play"] - table["value"]
        if drawn is not None and before is not None:
            gains: NDArray[np.float64] = values(rows(drawn), paid, factor, horizon) - before
            table["gain_lower"], table["gain_upper"] = np.quantile(gains, tails, axis=0)
        table["value_best"], table["play_pays"] = best_policy((base, R), (changed, paid), factor, horizon)
    periods = np.inf if horizon is None else float(horizon)
    return MarkovValue(table, _text(table, play, periods, currency), periods)


def _text(table: pd.DataFrame, play: MarkovPlay | None, periods: float, currency: str) -> str:
    span = "for ever" if np.isinf(periods) else f"over {periods:.0f} periods after the present one"
    said = ", ".join(f"{stage} {money(value, currency)}" for stage, value in table["value"].items())
    text = f"An account is worth, by stage and counted {span}: {said}."
    months = table["account_months"] if "account_months" in table else table["reward"] * 0 + 1
    unseen = [str(stage) for stage in table.index[months == 0]]
    if unseen:
        text += f" Nothing was seen of moves from {', '.join(unseen)}: these values rest on the prior."
    if play is None:
        return text
    pays = [str(stage) for stage in table.index[table["play_pays"]]]
    kind = "as an experiment measured it" if play.evidence == "measured" else "an assumption, not measured"
    effect = f" (its effect: {kind})"
    gain = ", ".join(f"{stage} {money(value, currency)}" for stage, value in table["gain"].items())
    where = f"It pays in {', '.join(pays)}." if pays else "It pays in no stage."
    return (
        f"{text} With the play {play.name!r}{effect}, made in all of its stages, the value changes by: {gain}. {where}"
    )
