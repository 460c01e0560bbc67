"""A running experiment as a table of looks: what each account has brought up to each of them."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np
import pandas as pd

from clv.abm.experiments.outcomes import EARLIEST, experiment_outcomes
from clv.errors import DataError, SettingsError

Date = dt.date | str | pd.Timestamp


class Looks(NamedTuple):
    """An experiment at its looks, for `clv.monitor_experiment`.

    Attributes
    ----------
    data : pandas.DataFrame
        One row an account: arm, block, tier and others of the programme, margin_pre, and a column a look.
    looks : list of str
        Those columns, in order: ``after 91 days``.
    times : list of float
        Share of the planned duration at each.
    running : bool
        The programme is not over on the last day known.
    """

    data: pd.DataFrame
    looks: list[str]
    times: list[float]
    running: bool


def experiment_looks(
    programmes: pd.DataFrame,
    transactions: pd.DataFrame,
    *,
    every: int = 91,
    planned: float = 365.0,
    margin: float = 0.3,
    as_of: Date | None = None,
) -> Looks:
    """Count each account's margin up to each look since the start.

    Parameters
    ----------
    programmes : pandas.DataFrame
        account_id, arm, start, end (empty while running), for one programme.
    transactions : pandas.DataFrame
        account_id, date, amount.
    every : int
        Days between looks; a first look before `EARLIEST` days says nothing. There are none after the planned end.
    planned : float
        Days that the programme is to last, where its end is not known.
    margin : float
        Contribution margin as a share of sales.
    as_of : date, optional
        The last day known; None: the last transaction.

    Returns
    -------
    Looks

    Raises
    ------
    DataError
        The first look is yet to come.
    """
    if every < EARLIEST or not (np.isfinite(planned) and planned > 0):
        raise SettingsError(
            f"every = {every}, planned = {planned}.", mend=f"Give at least {EARLIEST} days, and a plan."
        )
    whole = experiment_outcomes(programmes, transactions, margin=margin, as_of=as_of)
    length = float(whole.attrs["clv"]["window"])
    last = pd.Timestamp(as_of) if as_of is not None else pd.to_datetime(transactions["date"]).max()
    end = pd.to_datetime(whole["end"]) if "end" in whole else pd.Series(pd.NaT, index=whole.index)
    running = bool((end.isna() | (end > last.normalize())).any())
    if end.notna().all():
        planned = float(((end - whole["start"]).dt.total_seconds() / 86_400).max()) + 1
    # Looks after the planned end have no error probability left to spend, and would change what was said before.
    days = [every * k for k in range(1, int(min(length, planned) // every) + 1)]
    if not days:
        raise DataError(
            f"the first look is {every} days after the start; {length:.0f} of {planned:.0f} have passed.",
            table="programmes", column="start", mend="Wait, or look more often.",
        )  # fmt: skip
    data = whole.drop(columns=[c for c in whole.columns if c.startswith(("wins", "win_rate", "cycle_time"))])
    names = []
    for day in days:
        found = experiment_outcomes(programmes, transactions, window=day, margin=margin, as_of=as_of)
        name = f"after {day} days"
        data[name] = found.set_index("account_id")["margin"].reindex(data["account_id"]).to_numpy()
        names.append(name)
    return Looks(data, names, [day / planned for day in days], running)
