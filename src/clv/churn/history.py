"""The six churn stages at a row of past month-ends: each judged by what was known then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from clv.churn.purchases import Date, day_of, month_ends
from clv.churn.stages import STAGES, churn_stages
from clv.churn.stays import History, make_history
from clv.data.settings import Grain, StageRules
from clv.data.summary import summarise
from clv.data.summary_checks import checked
from clv.errors import DataError, FitError, SettingsError, UnitError


def stage_history(
    purchases: Any,
    transactions: pd.DataFrame,
    *,
    dates: Sequence[Date] | None = None,
    months: int = 24,
    as_of: Date | None = None,
    grain: Grain = "D",
    refit: Literal["never", "each date"] = "never",
    rules: StageRules | None = None,
) -> History:
    """Stage accounts as of past month-ends.

    Parameters
    ----------
    purchases : fitted purchase model
        A model of `clv.value`.
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    dates : sequence of date, optional
        Month-ends, rising; None: the last `months` ones up to `as_of` at which somebody had bought.
    months : int
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    grain : {"D", "W", "M"}
        Interval within which purchases count as one; that of the summary on which the model was fitted.
    refit : {"never", "each date"}
        "never": the given parameters hold for all dates, so that an account moves for what it did and not because of a
        new fit; they were learnt from all of the data, later months included, which suits a description of what
        happened. "each date": the model is fitted anew on what was known at each date, as a study of how well stages
        foretell needs it.
    rules : StageRules, optional
        Thresholds; the documented defaults if None.

    Returns
    -------
    History
        Of stages steady, slowing, overdue, at risk, lapsed and lost; accounts appear with their first purchase.

    Raises
    ------
    clv.errors.SettingsError
        A date is no month-end or later than `as_of`, dates do not rise, or an option is unknown.
    clv.errors.FitError
        The model cannot be fitted as of one of the dates; the date is named.
    clv.errors.DataError
        A column or a value of the transactions is missing, or nothing was bought.
    clv.errors.UnitError
        The model does not say in which unit it was fitted.
    """
    if refit not in ("never", "each date"):
        raise SettingsError(f"refit: found {refit!r}; allowed are never, each date.")
    unit = getattr(purchases, "unit_", None)
    if unit is None:
        raise UnitError("the model does not say its unit.", mend="Fit it on a summary made by clv.summarise.")
    lines = checked(transactions)
    # Lines after the last date would be set aside at each date again.
    last = pd.Timestamp(lines["date"].max()).normalize() if as_of is None else day_of(as_of)
    points = _month_ends(lines, dates, months, last)
    seen = {}
    for date in points:
        summary = summarise(lines, as_of=date, grain=grain, unit=unit)
        model = purchases if refit == "never" else _fitted(purchases, summary, date)
        # The horizon moves expected purchases only, which a history does not keep.
        seen[date] = churn_stages(model, summary, 1.0, rules=rules, sentences=False).table["stage"]
    ids = pd.Index(seen[points[-1]].index, dtype=object)
    for stages in seen.values():
        ids = ids.union(pd.Index(stages.index, dtype=object))
    codes = np.full((len(ids), len(points)), -1, dtype=np.int8)
    places = pd.Index(STAGES)
    for column, stages in enumerate(seen.values()):
        codes[ids.get_indexer(pd.Index(stages.index, dtype=object)), column] = places.get_indexer(pd.Index(stages))
    after = int((lines["date"].dt.normalize() > points[-1]).sum())
    said = (
        "The model was fitted once, for all dates." if refit == "never" else "The model was fitted anew at each date."
    )
    said += f" {after:,} line{'s' * (after != 1)} after {points[-1]:%Y-%m-%d} not used." if after else ""
    return make_history(codes, ids, points, STAGES, said=said)


def _fitted(model: Any, summary: pd.DataFrame, date: pd.Timestamp) -> Any:
    from sklearn.base import clone

    try:
        return clone(model).fit(summary)
    except FitError as fault:
        raise FitError(
            f"as of {date:%Y-%m-%d}: {fault.message}",
            mend='Begin later, use a model with prior="auto" or "weak", or say refit="never".',
        ) from fault


def _month_ends(lines: pd.DataFrame, dates: Sequence[Date] | None, months: int, last: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the dates at which to look, checked."""
    if dates is None:
        if isinstance(months, bool) or not isinstance(months, int | np.integer) or months < 1:
            raise SettingsError(f"months: found {months!r}.", mend="Give a whole number from 1 up.")
        # Refunds are no purchase: a book begins with money.
        first = lines.loc[lines["amount"] >= 0, "date"].min()
        if first is pd.NaT:
            raise DataError("no line is a purchase.", table="transactions", mend="See what was rejected.")
        points = month_ends(first, last)[-months:]
    else:
        points = pd.DatetimeIndex([day_of(date) for date in dates]).as_unit("ns")
    if not len(points) or not points.is_month_end.all() or (np.diff(points.asi8) <= 0).any() or points[-1] > last:
        found = ", ".join(f"{date:%Y-%m-%d}" for date in points) or "none"
        raise SettingsError(
            f"dates: found {found}; they are to be month-ends that rise, up to {last:%Y-%m-%d}.",
            mend="Give at least one month-end within the data.",
        )
    return points
