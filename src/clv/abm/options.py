"""What each account could get: the table of options that an allocation chooses from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.errors import DataError, SettingsError

if TYPE_CHECKING:
    from clv.data.settings import Tier
    from clv.value.lifetime import LifetimeValue

#: beyond this, sums in floating point lose the cents.
LARGEST = 1e15
#: options may carry hours by role, in columns of this prefix.
ROLE = "hours_"


def tier_options(
    value: LifetimeValue | pd.DataFrame,
    tiers: Sequence[Tier],
    accounts: Iterable[str] | pd.DataFrame | None = None,
) -> pd.DataFrame:
    """List what each account would bring and cost in each tier.

    The value of an account in a tier is ``uplift × clv``: the contribution margin that the tier adds over the
    horizon. The uplift is an **assumption** of the study until an experiment with a control group has measured it;
    it is taken to be the same share for every account of a tier.

    Parameters
    ----------
    value : LifetimeValue or pandas.DataFrame
        Index account_id, a column clv: expected contribution margin over the horizon, in money.
    tiers : sequence of Tier
        Tiers of the study: name, cost and hours an account over the same horizon, uplift.
    accounts : iterable of str or pandas.DataFrame, optional
        Only these accounts (a table's column or index account_id). Those without a value, such as prospects, get no
        option, since nothing is known of them; ``attrs["clv"]["without_value"]`` counts them.

    Returns
    -------
    pandas.DataFrame
        Columns account_id, tier, value, cost, hours: one row an account and tier, in the order given.

    Raises
    ------
    DataError
        The column clv is missing, a value is no number, an account is there twice, or no account is left.
    SettingsError
        No tier, or two of one name.
    """
    table = value_table(value)
    if not tiers or len({tier.name for tier in tiers}) < len(tiers):
        raise SettingsError("at least one tier is needed, and names must differ.", mend="Check 'tiers' in study.yml.")
    wanted, without = list(table.index), 0
    if accounts is not None:
        asked = list(dict.fromkeys(account_ids(accounts)))
        wanted = [account for account in asked if account in table.index]
        without = len(asked) - len(wanted)
    if not wanted:
        raise DataError(
            "no account with a value is left to be put into a tier.",
            mend="Check the selection: its capacity, the cost to serve, and the account ids.",
            column="account_id",
        )
    clv, per = table.loc[wanted, "clv"].to_numpy(float), len(tiers)
    options = pd.DataFrame(
        {
            "account_id": np.repeat(np.asarray(wanted, dtype=object), per),
            "tier": np.tile(np.array([tier.name for tier in tiers], dtype=object), len(wanted)),
            "value": np.outer(clv, [tier.uplift for tier in tiers]).ravel(),
            "cost": np.tile([float(tier.cost) for tier in tiers], len(wanted)),
            "hours": np.tile([float(tier.hours) for tier in tiers], len(wanted)),
        }
    )
    options.attrs["clv"] = {"uplift": "assumed", "without_value": without}
    return options


def value_table(value: LifetimeValue | pd.DataFrame) -> pd.DataFrame:
    """Return the table of values, with index account_id, checked."""
    given = value if isinstance(value, pd.DataFrame) else value.table
    table = given.set_index("account_id") if "account_id" in given.columns else given.rename_axis("account_id")
    if "clv" not in table.columns:
        raise DataError(
            "the column is missing.", mend="Give the table of lifetime_value().", table="value", column="clv"
        )
    table = table.set_axis(table.index.astype(str), axis=0)
    twice = table.index.duplicated()
    if twice.any():
        raise DataError(
            f"account {table.index[twice][0]!r} is there twice.",
            mend="Give one row an account.",
            table="value",
            column="account_id",
            row=int(np.argmax(twice)) + 1,
        )
    clv = _floats(table["clv"], "value")
    return table.assign(clv=clv)


def account_ids(accounts: Iterable[str] | pd.DataFrame) -> list[str]:
    """Take account ids from a table (column or index) or from anything that lists them."""
    if isinstance(accounts, pd.DataFrame):
        accounts = accounts["account_id"] if "account_id" in accounts.columns else accounts.index
    elif isinstance(accounts, str):
        raise DataError(f"{accounts!r} is a text, not a list of accounts.", mend="Give [id, ...].", column="account_id")
    return [str(account) for account in accounts]


def limitable(options: pd.DataFrame) -> list[str]:
    """Columns of checked options that may be limited: hours only if the table as given said any."""
    hours = any(str(name).startswith("hours") for name in options.columns)
    roles = [str(name) for name in options.columns if str(name).startswith(ROLE)]
    return ["cost", *(["hours"] if hours else []), *roles]


def check_options(options: pd.DataFrame) -> pd.DataFrame:
    """Check a table of options and bring it into one order, whatever order it came in.

    Parameters
    ----------
    options : pandas.DataFrame
        Columns account_id, tier, value, cost; hours, and hours_<role>, where there are any.

    Returns
    -------
    pandas.DataFrame
        Sorted by account_id and tier; hours are the sum over roles, or 0, where the column is missing.

    Raises
    ------
    DataError
        Names the column and the row (counted from 1) of the first fault.
    """
    for name in ("account_id", "tier", "value", "cost"):
        if name not in options.columns:
            raise DataError(
                "the column is missing.", mend="Make the table with tier_options().", table="options", column=name
            )
    if options.empty:
        raise DataError("there is no option.", mend="Give at least one account and tier.", table="options")
    clean = pd.DataFrame(index=range(len(options)))
    for name in ("account_id", "tier"):
        empty = options[name].isna().to_numpy() | (options[name].astype(str).str.strip() == "").to_numpy()
        if empty.any():
            raise _fault("empty.", name, empty, "Fill it in or leave the row out.")
        clean[name] = options[name].astype(str).to_numpy(dtype=object)
    if (clean["tier"] == "none").any():
        raise _fault(
            "'none' is what an account without a tier is called.",
            "tier",
            (clean["tier"] == "none").to_numpy(),
            "Rename the tier; leaving an account out is always possible and needs no row.",
        )
    clean["value"] = _floats(options["value"], "options")
    roles = [str(name) for name in options.columns if str(name).startswith(ROLE)]
    for name in ["cost", *(["hours"] if "hours" in options.columns else []), *roles]:
        clean[name] = _floats(options[name], "options")
        if (clean[name] < 0).any():
            raise _fault(f"{clean[name].min():g} is negative.", name, (clean[name] < 0).to_numpy(), "Give 0 or more.")
    if "hours" not in clean.columns:
        clean["hours"] = clean[roles].sum(axis=1).astype(float) if roles else 0.0
    twice = clean.duplicated(["account_id", "tier"]).to_numpy()
    if twice.any():
        at = clean.loc[int(np.argmax(twice))]
        raise _fault(
            f"account {at.account_id!r} has tier {at.tier!r} twice.", "tier", twice, "Give one row an account and tier."
        )
    return clean.sort_values(["account_id", "tier"], kind="stable", ignore_index=True)


def _floats(column: pd.Series, table: str) -> np.ndarray:
    """Read finite numbers, or say where there is none."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.abs(numbers) <= LARGEST)
    if bad.any():
        at = int(np.argmax(bad))
        who = f" (account {column.index[at]!r})" if column.index.name == "account_id" else ""
        raise DataError(
            f"{column.iloc[at]!r} is no number of money or hours{who}.",
            mend="Give a number, or leave the row out.",
            table=table,
            column=str(column.name),
            row=at + 1,
        )
    return numbers


def _fault(message: str, column: str, where: np.ndarray, mend: str) -> DataError:
    return DataError(message, mend=mend, table="options", column=column, row=int(np.argmax(where)) + 1)
