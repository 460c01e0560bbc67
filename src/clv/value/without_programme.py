"""Purchases as they would have come without a programme: time in which accounts were made to buy counts for more.

A purchase process whose rate a programme multiplies by 1 + u is the process without it on a clock that runs 1 + u times
as fast while the programme lasts (time-varying covariates of the rate: Bachmann, Meierer & Näf 2021, *Marketing
Science* 40(4), section 2). A summary on that clock makes the models tell what accounts are worth without a programme,
so that what the programme adds is counted once: by the programme, not by the value too (rule B1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.data import units
from clv.errors import DataError, SettingsError
from clv.value.estimation.checks import Floats


@dataclass(frozen=True)
class WithoutProgramme:
    """A summary on the clock of purchases.

    Attributes
    ----------
    summary : pandas.DataFrame
        As given, recency and T longer by ``u`` times the time under treatment.
    accounts : int
        Accounts whose clock ran at another pace.
    text : str
        What was done, for a reader; empty where nothing was.
    """

    summary: pd.DataFrame
    accounts: int
    text: str


def without_programme(
    summary: pd.DataFrame, programmes: pd.DataFrame, uplift: Mapping[str, float], *, as_of: pd.Timestamp
) -> WithoutProgramme:
    """Take out of a summary what a programme made accounts buy.

    Parameters
    ----------
    summary : pandas.DataFrame
        Of `clv.summarise`: index account_id, recency, T, first, last, with its unit.
    programmes : pandas.DataFrame
        account_id, tier, arm, start and, where it is known, end; controls change nothing.
    uplift : mapping of str to float
        Tier -> relative increase of the rate of purchases while it lasts, above −1; other tiers are taken to do
        nothing.
    as_of : pandas.Timestamp
        Day to which the summary counts.

    Returns
    -------
    WithoutProgramme

    Raises
    ------
    DataError
        The summary lacks a column or its unit.
    SettingsError
        An uplift is −1 or less, or no number.

    Notes
    -----
    Exact where the programme multiplies the rate and leaves drop-out alone, and drop-out follows purchases (BG/NBD and
    its family). Where drop-out runs with time (Pareto/NBD) its clock is changed as well. The uplift is taken as known.
    """
    for column in ("recency", "T", "first", "last"):
        if column not in summary.columns:
            raise DataError("the column is missing.", table="summary", column=column, mend="Make it with summarise().")
    about = summary.attrs.get("clv")
    if not isinstance(about, dict) or "unit" not in about:
        raise DataError("the summary does not say its unit.", table="summary", mend="Make it with summarise().")
    for tier, u in uplift.items():
        if not (np.isfinite(u) and u > -1):
            raise SettingsError(f"the uplift of tier {tier!r} is {u}.", mend="Give a number above −1.")
    rows = programmes[(programmes["arm"] == "treatment") & (programmes["start"] <= as_of)]
    rows = rows[rows["account_id"].isin(summary.index) & rows["tier"].isin(list(uplift))]
    if rows.empty:
        return WithoutProgramme(summary, 0, "")
    own = summary.loc[rows["account_id"]]
    ends = rows["end"].fillna(as_of) if "end" in rows else pd.Series(as_of, index=rows.index)
    ends = ends.where(ends <= as_of, as_of)
    more = rows["tier"].map(dict(uplift)).to_numpy(float)
    days = units.days_per_unit(about["unit"])
    added = pd.DataFrame(
        {
            "account_id": rows["account_id"].to_numpy(),
            "T": more * _overlap(rows["start"], ends, own["first"], as_of) / days,
            "recency": more * _overlap(rows["start"], ends, own["first"], own["last"]) / days,
        }
    )
    added = added.groupby("account_id").sum().reindex(summary.index).fillna(0.0)
    out = summary.copy()
    out["T"] = summary["T"] + added["T"]
    # Summed in another order the two could differ by a rounding where the last purchase was on the last day.
    out["recency"] = np.minimum(summary["recency"] + added["recency"], out["T"])
    touched = int((added["T"] != 0).sum())
    text = (
        f"{touched:,} {'account was' if touched == 1 else 'accounts were'} in a programme. What it is believed to have"
        " added is taken out of their purchases: values are those without a programme, so that what the next one adds"
        " is not counted twice."
    )
    return WithoutProgramme(out, touched, text if touched else "")


def _overlap(start: pd.Series, end: pd.Series, low: pd.Series, high: pd.Series | pd.Timestamp) -> Floats:
    """Days that [start, end] and [low, high] have in common."""
    begins = np.maximum(start.to_numpy("datetime64[ns]"), low.to_numpy("datetime64[ns]"))
    last = np.datetime64(high, "ns") if isinstance(high, pd.Timestamp) else high.to_numpy("datetime64[ns]")
    ends = np.minimum(end.to_numpy("datetime64[ns]"), last)
    return np.maximum((ends - begins) / np.timedelta64(1, "D"), 0.0)
