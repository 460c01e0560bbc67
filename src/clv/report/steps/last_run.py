"""What a study would have said on an earlier day, and what an earlier run did say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from clv.data.study import Study
from clv.errors import DataError
from clv.report.store import Store

if TYPE_CHECKING:
    from clv.report.steps.data import DataSteps

_Run = TypeVar("_Run", bound="DataSteps")


def as_known_on(run: _Run, day: pd.Timestamp) -> _Run:
    """Open a study as it was known on an earlier day.

    The tables are read again, and rows dated later are left out before anything is made of them: purchases and the
    credit notes that net them, touches, surveys, answers, deals and accounts by the day on which they came in. What
    was decided later (deals, contracts, programmes) is cut by the analyses, which know the day. Attributes of accounts
    are as of today: what has changed since, such as the number of employees, cannot be undone.

    Parameters
    ----------
    run : Run
    day : pandas.Timestamp

    Returns
    -------
    Run
        Of the same class; it keeps nothing.
    """
    settings = run.settings
    # What is dated later is a fault there, and there may be as many as there are: they were looked at today.
    rules = settings.rules.model_copy(update={"latest": day.date(), "max_rejected": 1.0})
    earlier = {"as_of": day.date(), "rules": rules}
    if settings.response is not None:
        from clv.abm.loop.store import load_response

        learnt = load_response(run.study.earlier()["response"][1]).measurements
        if not all(one.end and one.end <= f"{day:%Y-%m-%d}" for one in learnt):
            earlier["response"] = None  # it was not known then
    study = Study(run.study.folder, settings.model_copy(update=earlier))
    return type(run)(study=study, store=Store(None, ""))


def read_selection(file: Path) -> tuple[str, pd.DataFrame]:
    """Read the selection of an earlier run.

    Parameters
    ----------
    file : pathlib.Path
        CSV or Parquet, the table `account_selection`.

    Returns
    -------
    since : str
        What it is, in words.
    table : pandas.DataFrame

    Raises
    ------
    DataError
        It is no selection.
    """
    mend = "Give 'selection.last_run' a run folder, or a CSV or Parquet file of its table account_selection."
    try:
        if file.suffix.lower() == ".parquet":
            table = pd.read_parquet(file)
        else:
            table = pd.read_csv(file, dtype={"account_id": str}, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{file.name} cannot be read ({error})", table="account_selection", mend=mend) from error
    for column in ("account_id", "score", "selected"):
        if column not in table.columns:
            raise DataError("the column is missing.", table="account_selection", column=column, mend=mend)
    table = table.assign(account_id=table["account_id"].astype(str), selected=table["selected"].astype(bool))
    since = "the last run"
    if "as_of" in table.columns and table["as_of"].notna().any():
        since += f" (as of {pd.Timestamp(table['as_of'].dropna().iloc[0]):%Y-%m-%d})"
    return since, table
