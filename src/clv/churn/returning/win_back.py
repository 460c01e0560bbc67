"""Win-back: how the chance of a return falls with the time since the lapse, and what a return is worth (rule C6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.left_out import left_out_text
from clv.churn.purchases import Date, day_of, purchases_until
from clv.churn.returning.hazard import ReturnHazard, fit_hazard, hazard_table
from clv.churn.returning.lapses import find_lapses, months_at_risk, own_limits
from clv.churn.returning.own_hazard import OwnHazard, fit_own_hazard
from clv.churn.returning.second_life import expected_second, first_lives, second_life_table, second_lives
from clv.churn.returning.sentences import returns_text
from clv.data.settings import Grain
from clv.data.units import DAYS
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class WinBack(Result):
    """The chance of a return, month by month since the lapse.

    Attributes
    ----------
    table : pandas.DataFrame
        Index month since the lapse; see `clv.churn.returning.hazard.hazard_table`.
    accounts : pandas.DataFrame
        Index account_id, accounts that are lapsed at the as-of date: silent, limit (days), months (since the lapse),
        bought (purchases), p_return (probability to come back within the horizon without anything being done),
        second_value (expected second life, from the account's own first one), expected_value (their product); NaN where
        no second life was seen.
    second_life : pandas.DataFrame
        One row; see `clv.churn.returning.second_life.second_life_table`.
    lives : pandas.DataFrame
        Each account's second life: account_id, returned, complete, value, first_value.
    hazard : ReturnHazard
        Of the book, by month.
    own_hazard : OwnHazard
        Of single accounts, by month and by how often they had bought.
    known : frozenset of str
        All accounts that had bought by the as-of date.
    left_out : pandas.DataFrame
        account_id, reason, rows.
    """

    accounts: pd.DataFrame
    second_life: pd.DataFrame
    lives: pd.DataFrame
    hazard: ReturnHazard
    own_hazard: OwnHazard
    known: frozenset[str]
    left_out: pd.DataFrame

    def relative_chance(self, summary: pd.DataFrame) -> NDArray[np.float64]:
        """Return each account's chance of a return relative to one that has just lapsed; 1 where it is not lapsed.

        Raises
        ------
        clv.errors.DataError
            If an account of the summary had not bought by the as-of date.
        """
        missing = ~summary.index.astype(str).isin(self.known)
        if missing.any():
            raise DataError(
                f"account {summary.index[missing][0]!r} is not among those that `win_back` saw.",
                table="summary", mend="Use the same transactions and as-of date for both.",
            )  # fmt: skip
        months = self.accounts["months"].reindex(summary.index.astype(str)).to_numpy(float)
        at = np.where(np.isnan(months), 1.0, np.floor(np.nan_to_num(months)) + 1)
        often = self.accounts["bought"].reindex(summary.index.astype(str)).fillna(1.0).to_numpy(float)
        return self.own_hazard.at(at, often) / self.own_hazard.at(1.0, often)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard by month: counted with its interval, and the fitted curve."""
        import seaborn as sns

        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
        blue, orange = sns.color_palette("colorblind")[:2]
        seen = self.table[self.table["at_risk"] > 0]
        if seen.empty:
            ax.set_axis_off()
            ax.set_title("Chance of a return")
            ax.text(0.5, 0.5, "Nobody has lapsed yet", ha="center", va="center", transform=ax.transAxes)
            return ax
        share = 100 * seen[["hazard", "lower", "upper", "fitted", "fitted_lower", "fitted_upper"]]
        ax.vlines(seen.index, share["lower"], share["upper"], color=blue, alpha=0.4, linewidth=3)
        ax.plot(seen.index, share["hazard"], "o", color=blue, label="counted")
        ax.plot(seen.index, share["fitted"], color=orange, label="fitted")
        ax.fill_between(seen.index, share["fitted_lower"], share["fitted_upper"], color=orange, alpha=0.2, linewidth=0)
        # Late months have few at risk: their intervals would leave no room for all others.
        top = 1.3 * max(share["hazard"].max(), share["fitted_upper"].max(), share["upper"].iloc[0])
        ax.set(xlabel="months since the lapse", ylabel="back in that month, %", title="Chance of a return")
        ax.set_ylim(0, min(100.0, top) if top > 0 else None)
        ax.legend(frameon=False)
        sns.despine(ax=ax)
        return ax


def win_back(
    transactions: pd.DataFrame,
    *,
    as_of: Date | None = None,
    since: Date | None = None,
    lapse: Literal["months", "rhythm"] = "months",
    inactive_months: float = 12,
    times: float = 4,
    months: int = 24,
    horizon_months: float = 12,
    margin: float = 1.0,
    discount_rate: float = 0.0,
    confidence: float = 0.9,
    grain: Grain = "D",
    seed: int = 0,
    currency: str = "",
) -> WinBack:
    """Estimate how likely lapsed accounts come back by the time since the lapse, and what a second life is worth.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    since : date, optional
        Count only months at risk that begin on or after it; None: all that the transactions hold.
    lapse : {"months", "rhythm"}
        An account lapses after `inactive_months` of silence, or after `times` its usual interval as known by then.
    inactive_months, times : float
    months : int
        How many months since the lapse to tabulate.
    horizon_months : float
        Time after a return over which the second life is added up, and within which `p_return` counts.
    margin : float
        Contribution margin as a share of money.
    discount_rate : float
        Effective yearly rate at which a second life is discounted, to the day of the return.
    confidence : float
    grain : {"D", "W", "M"}
    seed : int
    currency : str

    Returns
    -------
    WinBack

    Raises
    ------
    clv.errors.DataError
        A column or a value is missing, nothing was bought by then, or nobody has a rhythm.
    clv.errors.SettingsError
        An argument is impossible.

    Notes
    -----
    Silences that last at the as-of date are right-censored after their last whole month. Silences that began before
    the first line of the table cannot be seen: an account that came back from one looks new. Whether accounts came
    back by themselves or were asked to is not told apart: this is the chance of a return under what was done then. With
    ``lapse="months"`` slow buyers, of whom a long silence says little, are mixed with quick ones; "rhythm" judges each
    by its own.
    """
    _check(lapse, inactive_months, times, months, horizon_months, margin, discount_rate, confidence)
    purchases = purchases_until(transactions, as_of=as_of, grain=grain)
    limit = inactive_months * DAYS["M"] if lapse == "months" else own_limits(purchases, times)
    lapses, episodes = find_lapses(purchases, limit)
    entry = None if since is None else float(np.datetime64(day_of(since).date(), "D").astype("int64"))
    counts = months_at_risk(lapses, months, entry=entry)
    hazard = fit_hazard(counts)
    table = hazard_table(counts, hazard, confidence, np.random.default_rng(seed))
    lives = second_lives(lapses, episodes, purchases, months=horizon_months, margin=margin, discount=discount_rate)
    second = second_life_table(lives, confidence)
    own_hazard = fit_own_hazard(lapses, months, hazard, entry=entry)
    accounts = _lapsed(lapses, purchases.end, own_hazard, horizon_months)
    own = first_lives(episodes, purchases, months=horizon_months, margin=margin, discount=discount_rate)
    accounts["second_value"] = expected_second(lives, own.reindex(accounts.index).to_numpy(float))
    accounts["expected_value"] = accounts["p_return"] * accounts["second_value"]
    rule = (
        f"{inactive_months:g} months of silence"
        if lapse == "months"
        else f"silence of {times:g} times its usual interval"
    )
    text = returns_text(lapses, table, hazard, second, accounts, rule, horizon_months, margin, confidence, currency)
    left = left_out_text(purchases.left_out)
    bought = frozenset(str(account) for account in episodes["account_id"])
    return WinBack(
        table,
        f"{text}\n\n{left}" if left else text,
        accounts,
        second,
        lives,
        hazard,
        own_hazard,
        bought,
        purchases.left_out,
    )


def _check(
    lapse: str, inactive_months: float, times: float, months: int, horizon_months: float, margin: float,
    discount_rate: float, confidence: float,
) -> None:  # fmt: skip
    if lapse not in ("months", "rhythm"):
        raise SettingsError(f"lapse: found {lapse!r}; allowed are months, rhythm.")
    named = {
        "inactive_months": inactive_months,
        "times": times,
        "months": months,
        "horizon_months": horizon_months,
        "margin": margin,
    }
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not (np.isfinite(value) and value > 0):
            raise SettingsError(f"{name}: found {value!r}.", mend="Give a number above 0.")
    if int(months) != months or margin > 1:
        what = ("months", months) if int(months) != months else ("margin", margin)
        raise SettingsError(f"{what[0]}: found {what[1]!r}.", mend="Months are whole, a margin is at most 1.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence: found {confidence!r}.", mend="Give a probability between 0 and 1.")
    if not (np.isfinite(discount_rate) and discount_rate >= 0):
        raise SettingsError(f"discount_rate: found {discount_rate!r}.", mend="Give an effective yearly rate.")


def _lapsed(lapses: pd.DataFrame, end: int, hazard: OwnHazard, horizon_months: float) -> pd.DataFrame:
    """Tell the chance of a return for each account that is lapsed now."""
    now = lapses[lapses["returned"].isna()]
    since = now["follow_up"].to_numpy(float)
    ahead = np.arange(int(np.ceil(horizon_months)))
    part = np.minimum(horizon_months - ahead, 1.0)  # the last month may be cut
    often = now["bought"].to_numpy(float)
    stays = np.log1p(-hazard.at(np.floor(since)[:, None] + 1 + ahead, often[:, None]))
    chance = -np.expm1((stays * part).sum(axis=1))
    return pd.DataFrame(
        {
            "silent": end - now["last"].to_numpy(float),
            "limit": now["limit"].to_numpy(float),
            "months": since,
            "bought": often,
            "p_return": chance,
        },
        index=pd.Index(now["account_id"].astype(str), name="account_id"),
    )
