"""Accounts without history: what a model with covariates expects of those who have not bought yet."""

from __future__ import annotations

import pandas as pd

from clv.data.settings import Unit
from clv.data.units import days_per_unit
from clv.errors import DataError


def no_history(accounts: pd.DataFrame, *, unit: Unit) -> pd.DataFrame:
    """Make the summary of accounts on the day of their first purchase: no repeat purchase, no time passed.

    With it every prediction answers for prospects: ``model.expected_purchases(no_history(accounts, unit="W"), 52)`` is
    what each would buy again in its first year, and `clv.lifetime_value` its value, both given that it makes a first
    purchase, which is itself not counted. Accounts differ where the model has covariates.

    Parameters
    ----------
    accounts : pandas.DataFrame
        Index account_id (or a column of that name); its columns are kept, covariates among them.
    unit : {"D", "W", "M", "Y"}
        Unit of the model's times.

    Returns
    -------
    pandas.DataFrame
        frequency, recency, T and monetary_value, all 0, before the columns of `accounts`.
    """
    days_per_unit(unit)
    table = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts.copy()
    history = {"frequency": 0, "recency": 0.0, "T": 0.0, "monetary_value": 0.0}
    for column in history:
        if column in table.columns:
            raise DataError("prospects have no history.", mend="Leave the column out.", table="accounts", column=column)
    out = pd.concat([pd.DataFrame(history, index=table.index), table], axis=1)
    out.index.name = "account_id"
    out.attrs["clv"] = {"unit": unit, "grain": None, "as_of": None}
    return out
