"""What an account in each stage brings in the month after: the rewards of `clv.markov_value`, from the data."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.churn.purchases import MICRO, Date, day_of
from clv.churn.stays import History
from clv.data.summary_checks import checked
from clv.errors import DataError, SettingsError
from clv.result import Result


def stage_margins(
    history: History, transactions: pd.DataFrame, *, margin: float = 1.0, as_of: Date | None = None
) -> Result:
    """Measure the contribution margin that an account brings in the month after a month-end, by its stage then.

    Parameters
    ----------
    history : History
        Of `clv.lifecycle` or `clv.stage_history`.
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    margin : float
        Contribution margin as a share of sales.
    as_of : date, optional
        Last day of the data; None: the day of the last line. A month that it cuts short is not used.

    Returns
    -------
    Result
        Table: index stage, in order: account_months, margin (mean, of an account and month), standard_error (accounts
        taken as independent, the months of an account not). A stage that was never seen has margin 0 and no error.

    Raises
    ------
    clv.errors.DataError
        A column or value is missing, or no month after a month-end of the history is complete.
    clv.errors.SettingsError
        The margin is no share.
    """
    if not (np.isfinite(margin) and 0 < margin <= 1):
        raise SettingsError(f"margin: found {margin!r}.", mend="Give a share of sales, such as 0.3.")
    lines = checked(transactions)
    last = pd.Timestamp(lines["date"].max()).normalize() if as_of is None else day_of(as_of)
    complete = int(np.datetime64((last + pd.Timedelta(days=1)).date(), "M").astype("int64")) - 1
    stays = history.table
    begin = stays["from"].to_numpy("datetime64[M]").astype("int64")
    end = np.minimum(stays["to"].to_numpy("datetime64[M]").astype("int64"), complete - 1)
    length = np.maximum(end - begin + 1, 0)
    if not length.sum():
        raise DataError("no month after a month-end of the history is complete.", table="transactions")
    ids = pd.Index(stays["account_id"].unique())
    owner = ids.get_indexer(stays["account_id"])
    account = ids.get_indexer(lines["account_id"].astype(str).astype(object))
    month = lines["date"].to_numpy("datetime64[M]").astype("int64") - 1
    # Stays are in order of account and time: the one that holds a month is the last that begins no later.
    width = 1_000_000
    place = np.searchsorted(owner * width + begin, account * width + month, side="right") - 1
    held = (account >= 0) & (place >= 0)
    held &= (owner[place] == account) & (month <= end[place]) & (month >= begin[place])
    money = np.zeros(len(stays), dtype=np.int64)
    micros = np.rint(lines["amount"].to_numpy(dtype=float) * MICRO).astype("int64")
    np.add.at(money, place[held], micros[held])
    each = pd.DataFrame({"stage": stays["stage"], "owner": owner, "n": length, "money": money / MICRO * margin})
    by_account = each.groupby(["stage", "owner"])[["n", "money"]].sum().reset_index()
    total = by_account.groupby("stage")[["n", "money"]].sum()
    mean = total["money"] / total["n"].where(total["n"] > 0)
    excess = by_account["money"] - by_account["stage"].map(mean) * by_account["n"]
    error = np.sqrt((excess**2).groupby(by_account["stage"]).sum()) / total["n"].where(total["n"] > 0)
    index = pd.Index(history.states, name="stage")
    table = pd.DataFrame(
        {
            "account_months": total["n"].reindex(index, fill_value=0).astype("int64"),
            "margin": mean.reindex(index).fillna(0.0),
            "standard_error": error.where(mean.notna()).reindex(index),
        }
    )
    said = ", ".join(f"{stage} {value:,.2f}" for stage, value in table["margin"].items())
    used = int(held.sum())
    text = (
        f"Margin of an account in the month after, by stage: {said}. {used:,} of {len(lines):,} lines fall into such a "
        "month; the others are first purchases, or lie outside the months of the history."
    )
    return Result(table, text)
