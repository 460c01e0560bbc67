"""A book cut in two at a date: what was known then, and what came after."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.data.settings import Grain, Unit
from clv.data.summary import day_of, summarise
from clv.data.units import DAYS
from clv.errors import DataError, SettingsError
from clv.value.estimation.checks import positive

#: The year of the rule "last year's revenue", in days.
YEAR = 365


@dataclass(frozen=True, eq=False)
class Holdout:
    """Accounts known at a cutoff, and what they did after it.

    Attributes
    ----------
    summary : pandas.DataFrame
        As `clv.summarise` at the cutoff, and from the same purchases: sales (money of all purchases so far),
        recent_purchases and recent_sales (of the 365 days up to the cutoff), and covariates if there are any.
    outcome : pandas.DataFrame
        Same index: purchases (intervals of the grain with one) and sales (their money, refunds off), after the
        cutoff and up to the end.
    cutoff, end : pandas.Timestamp
        Last days of the two parts.
    horizon : float
        From cutoff to end, in the unit of the summary.
    """

    summary: pd.DataFrame
    outcome: pd.DataFrame
    cutoff: pd.Timestamp
    end: pd.Timestamp
    horizon: float


def hold_out(
    transactions: pd.DataFrame,
    *,
    cutoff: dt.date | str | pd.Timestamp,
    horizon: float,
    unit: Unit = "W",
    grain: Grain = "D",
    covariates: pd.DataFrame | None = None,
    as_of: dt.date | str | pd.Timestamp | None = None,
) -> Holdout:
    """Cut a book at a date.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    cutoff : date
        Last day that counts as known.
    horizon : float
        How long the accounts are watched afterwards, in `unit`; rounded to whole days.
    unit, grain : str
        As in `clv.summarise`.
    covariates : pandas.DataFrame, optional
        Index account_id: columns that were known at the cutoff, firmographics for instance.
    as_of : date, optional
        Last day of the data; None: day of the last purchase.

    Returns
    -------
    Holdout

    Raises
    ------
    clv.errors.SettingsError
        If the data end before the horizon does.
    clv.errors.DataError
        If there is no purchase up to the cutoff.
    """
    days = max(1, round(positive(horizon, "horizon") * DAYS[unit]))
    cut = pd.Timestamp(cutoff).normalize()
    end = cut + pd.Timedelta(days=days)
    when = transactions["date"].dt.normalize()
    last = when.max() if as_of is None else day_of(as_of)
    if not len(when):
        raise DataError("there is no purchase in it.", table="transactions", mend="See what was rejected.")
    if end > last:
        raise SettingsError(
            f"a horizon of {days} days after {cut:%Y-%m-%d} ends on {end:%Y-%m-%d}; the data end on {last:%Y-%m-%d}.",
            mend=f"Cut at {last - pd.Timedelta(days=days):%Y-%m-%d} or earlier, or shorten the horizon.",
        )
    known = summarise(transactions, as_of=cut, unit=unit, grain=grain, log_waits=True)
    about = dict(known.attrs)
    known["sales"] = _money(transactions, when <= cut, known.index)
    year = cut - pd.Timedelta(days=YEAR)
    known["recent_sales"] = _money(transactions, (when <= cut) & (when > year), known.index)
    known["recent_purchases"] = (_purchases(known) - _purchases_by(transactions, year, unit, grain, known.index)).clip(
        0
    )
    if covariates is not None:
        twice = sorted(set(covariates.columns) & set(known.columns))
        if twice:
            raise DataError("the name is taken.", table="covariates", column=str(twice[0]), mend="Rename the column.")
        known = known.join(covariates[~covariates.index.duplicated()])
    known.attrs = about
    later = _purchases_by(transactions, end, unit, grain, known.index)
    outcome = pd.DataFrame(
        {
            "purchases": (later - _purchases(known)).clip(0).astype(float),
            "sales": _money(transactions, (when > cut) & (when <= end), known.index),
        }
    )
    return Holdout(known, outcome, cut, end, days / DAYS[unit])


def _purchases(summary: pd.DataFrame) -> pd.Series:
    return summary["frequency"] + 1


def _purchases_by(
    transactions: pd.DataFrame, day: pd.Timestamp, unit: Unit, grain: Grain, accounts: pd.Index
) -> pd.Series:
    """Count the purchases of each account up to a day, as a summary of that day counts them."""
    try:
        made = _purchases(summarise(transactions, as_of=day, unit=unit, grain=grain))
    except DataError:  # nobody had bought by then
        return pd.Series(0, index=accounts)
    return made.reindex(accounts, fill_value=0)


def _money(transactions: pd.DataFrame, rows: pd.Series, accounts: pd.Index) -> pd.Series:
    """Add up money by account in millionths, so that the order of rows does not matter."""
    part = transactions.loc[rows, ["account_id", "amount"]]
    micros = np.rint(part["amount"].to_numpy(dtype=float) * 1e6).astype("int64")
    total = pd.Series(micros).groupby(part["account_id"].astype(str).to_numpy()).sum()
    return total.reindex(accounts, fill_value=0) / 1e6


def choose_cutoffs(
    transactions: pd.DataFrame,
    *,
    horizon: float,
    unit: Unit = "W",
    as_of: dt.date | str | pd.Timestamp | None = None,
) -> tuple[float, list[pd.Timestamp]]:
    """Choose dates at which forecasts can be tested on a book.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date.
    horizon : float
        Time for which forecasts are wanted, in `unit`.
    unit : str
    as_of : date, optional
        Last day of the data; None: day of the last purchase.

    Returns
    -------
    horizon : float
        The one wanted, or half of the time that the book covers if that is shorter, in whole units.
    cutoffs : list of pandas.Timestamp
        The last possible date; before it one that lies a horizon earlier, so that what came after the two are different
        times, where as much history as two horizons is left before that. Else one that lies half a horizon earlier,
        where as much as one is left: a book that had hardly begun says less of today's than times that overlap.

    Raises
    ------
    clv.errors.DataError
        If the book covers less than two units.
    """
    when = transactions["date"].dt.normalize()
    first, last = when.min(), when.max() if as_of is None else day_of(as_of)
    covered = (last - first).days / DAYS[unit]
    if not covered >= 2:
        raise DataError(
            "it covers too little time to test a forecast.", table="transactions", mend="Give more history."
        )
    span = min(positive(horizon, "horizon"), float(round(covered / 2)))
    ahead = pd.Timedelta(days=round(span * DAYS[unit]))
    cutoffs = [last - ahead]
    for apart, history in ((ahead, 2 * ahead), (ahead / 2, ahead)):
        earlier = last - ahead - apart
        if earlier - history >= first:
            return span, [earlier.normalize(), *cutoffs]
    return span, cutoffs
