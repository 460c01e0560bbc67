"""What each account could get: the table of options that an allocation chooses from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation.book import ROLE, floats
from clv.errors import DataError, SettingsError

if TYPE_CHECKING:
    from clv.abm.loop.response import Response
    from clv.data.settings import Tier
    from clv.value.lifetime import LifetimeValue


def tier_options(
    value: LifetimeValue | pd.DataFrame,
    tiers: Sequence[Tier],
    accounts: Iterable[str] | pd.DataFrame | None = None,
    *,
    response: Response | None = None,
    segments: Mapping[str, str] | pd.Series | None = None,
    sample: int | None = None,
) -> pd.DataFrame:
    """List what each account would bring and cost in each tier.

    The value of an account in a tier is ``uplift × clv``: the contribution margin that the tier adds over the
    horizon. The uplift is an **assumption** of the study until an experiment with a control group has measured it;
    it is taken to be the same share for every account of a tier (and segment, with a `response` by segment).

    Parameters
    ----------
    value : LifetimeValue or pandas.DataFrame
        Index account_id, a column clv: expected contribution margin over the horizon, in money.
    tiers : sequence of Tier
        Tiers of the study: name, cost and hours an account over the same horizon, uplift.
    accounts : iterable of str or pandas.DataFrame, optional
        Only these accounts (a table's column or index account_id). Those without a value, such as prospects, get no
        option, since nothing is known of them; ``attrs["clv"]["without_value"]`` counts them.
    response : Response, optional
        What was learnt of each tier (`clv.update_response`); its uplifts take the place of those that the tiers state.
    segments : mapping or Series, optional
        Account -> segment of `response`; accounts without one, or of a segment it does not list, get the tier's own.
    sample : int, optional
        If None, the posterior mean of each uplift: the plan with the largest expected return, since the return is
        linear in the uplifts. A number is the seed of one joint draw of them: a plan that also explores (Thompson
        1933, *Biometrika* 25).

    Returns
    -------
    pandas.DataFrame
        Columns account_id, tier, value, cost, hours: one row an account and tier, in the order given.

    Raises
    ------
    DataError
        The column clv is missing, a value is no number, an account is there twice, or no account is left.
    SettingsError
        No tier, or two of one name; a tier of which `response` says nothing.
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
            "value": (clv[:, None] * _uplifts(tiers, wanted, response, segments, sample)).ravel(),
            "cost": np.tile([float(tier.cost) for tier in tiers], len(wanted)),
        }
    )
    options = with_hours(options, tiers)
    measured = response is not None and bool(response.measurements)
    options.attrs["clv"] = {"uplift": "measured" if measured else "assumed", "without_value": without}
    return options


def with_hours(options: pd.DataFrame, tiers: Sequence[Tier]) -> pd.DataFrame:
    """Add the hours that an account takes in each tier.

    Parameters
    ----------
    options : pandas.DataFrame
        With a column tier.
    tiers : sequence of Tier

    Returns
    -------
    pandas.DataFrame
        The same with a column hours and, where the tiers tell hours by role, hours_<role>.
    """
    columns = {"hours": {tier.name: float(tier.all_hours) for tier in tiers}}
    for role in dict.fromkeys(role for tier in tiers for role in tier.role_hours):
        columns[f"{ROLE}{role}"] = {tier.name: float(tier.role_hours.get(role, 0.0)) for tier in tiers}
    return options.assign(**{name: options["tier"].map(by).astype(float) for name, by in columns.items()})


def _uplifts(
    tiers: Sequence[Tier],
    accounts: list[str],
    response: Response | None,
    segments: Mapping[str, str] | pd.Series | None,
    sample: int | None,
) -> np.ndarray:
    """Uplift of each account in each tier, shape (accounts, tiers)."""
    if response is None:
        if segments is not None or sample is not None:
            raise SettingsError("segments and sample say something of a response only.", mend="Give response=.")
        return np.tile([tier.uplift for tier in tiers], (len(accounts), 1))
    known = response.table["mean"].to_numpy() if sample is None else response.draw(1, seed=sample)[0]
    label = None if segments is None else [str(segments.get(account, "")) for account in accounts]
    columns = []
    for tier in tiers:
        cell = response.cell([tier.name] * len(accounts), label)
        if (cell < 0).any():
            raise SettingsError(
                f"nothing was learnt or assumed of tier {tier.name!r}.",
                mend=f"The response knows {', '.join(response.assumed)}; make it anew with the tiers of the study.",
            )
        columns.append(known[cell])
    return np.column_stack(columns)


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
    clv = floats(table["clv"], "value")
    return table.assign(clv=clv)


def account_ids(accounts: Iterable[str] | pd.DataFrame) -> list[str]:
    """Take account ids from a table (column or index) or from anything that lists them."""
    if isinstance(accounts, pd.DataFrame):
        accounts = accounts["account_id"] if "account_id" in accounts.columns else accounts.index
    elif isinstance(accounts, str):
        raise DataError(f"{accounts!r} is a text, not a list of accounts.", mend="Give [id, ...].", column="account_id")
    return [str(account) for account in accounts]
