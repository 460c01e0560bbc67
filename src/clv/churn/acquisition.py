"""Acquisition status as of any date: who never bought, buys, lapses, is gone, came back (rule A1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.churn.episodes import cut_episodes
from clv.churn.left_out import left_out_table, left_out_text, without_purchases
from clv.churn.purchases import Date, Purchases, purchases_until
from clv.data.settings import Grain
from clv.data.units import DAYS
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATUSES = ("prospect", "greenfield", "active", "lapsing", "inactive", "reacquired")


@dataclass(frozen=True, eq=False)
class Acquisition(Result):
    """The acquisition status of each account.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: status, purchases, first, last (dates; empty for those who never bought), silent and
        interval (days since the last purchase, and that the account usually lets pass), episodes (number).
    episodes : pandas.DataFrame
        account_id, episode (from 1), from, to (first and last purchase), purchases, money, ended (a silence longer
        than the limit followed).
    by_status : pandas.DataFrame
        Index status (all six): accounts, share.
    left_out : pandas.DataFrame
        account_id, reason, rows.
    """

    episodes: pd.DataFrame
    by_status: pd.DataFrame
    left_out: pd.DataFrame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many accounts have each status."""
        from clv.churn.pictures import stage_map

        ax = stage_map(self.by_status.rename_axis("stage"), ax)
        ax.set_title(f"Acquisition status of {len(self.table):,} accounts")
        return ax


def acquisition_status(
    transactions: pd.DataFrame,
    *,
    as_of: Date | None = None,
    accounts: Iterable[str] | pd.DataFrame | None = None,
    greenfield: pd.Series | None = None,
    grain: Grain = "D",
    inactive_months: float = 12,
) -> Acquisition:
    """Tell prospects, greenfield, active, lapsing, inactive and reacquired accounts apart.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts that should be there; of a table with a column ``created``, those created by the date. Without
        it nobody is a prospect.
    greenfield : pandas.Series, optional
        Index account_id: True where an account is known to buy from nobody like us. None: the column ``greenfield``
        of `accounts` if there is one. What is empty is unknown, never "no", and leaves a prospect.
    grain : {"D", "W", "M"}
        Interval within which purchases count as one.
    inactive_months : float
        Silence, in months of 365.25/12 days, after which an account is inactive and an episode has ended.

    Returns
    -------
    Acquisition

    Raises
    ------
    clv.errors.DataError
        A column or a value is missing, or nothing was bought by then.
    clv.errors.SettingsError
        The date, the grain or the limit is impossible.

    Notes
    -----
    Precedence: who never bought is *greenfield* where that is known, else a *prospect*. Who bought is *inactive* after
    the limit; else *lapsing* after its own interval, the mean time between the purchases of an episode (the book's
    mean where no episode has two); else *reacquired* in a second or later episode; else *active*. A reacquired account
    that goes quiet is lapsing: that is what can be acted on, and the episodes keep its past.
    """
    if not (isinstance(inactive_months, int | float) and np.isfinite(inactive_months) and inactive_months > 0):
        raise SettingsError(f"inactive_months: found {inactive_months!r}.", mend="Give a positive number of months.")
    limit = inactive_months * DAYS["M"]
    purchases = purchases_until(transactions, as_of=as_of, grain=grain)
    episodes, gaps = cut_episodes(purchases, limit)
    by = episodes.groupby("account_id", sort=True)
    table = by.agg(
        purchases=("purchases", "sum"), first=("from", "min"), last=("to", "max"), episodes=("episode", "max")
    )
    silent = purchases.end - (table["last"].to_numpy("datetime64[D]").astype("int64"))
    interval = gaps["days"].sum() / gaps["n"].sum() if gaps["n"].sum() else limit
    own = gaps.reindex(table.index)
    usual = np.where(own["n"] > 0, own["days"] / own["n"].clip(lower=1), interval)
    status = np.select(
        [silent > limit, silent > usual, table["episodes"].to_numpy() > 1],
        ["inactive", "lapsing", "reacquired"],
        "active",
    )
    table = table.assign(status=status.astype(object), silent=silent.astype(float), interval=usual)
    never, later = _never_bought(accounts, purchases, table.index)
    flags = greenfield if greenfield is not None else _column(accounts, "greenfield")
    known = _flags(flags, never)
    prospects = pd.DataFrame(
        {"status": np.where(known == 1, "greenfield", "prospect").astype(object), "purchases": 0, "episodes": 0},
        index=never,
    )
    columns = ["status", "purchases", "first", "last", "silent", "interval", "episodes"]
    if len(never):
        table = pd.concat([table[columns], prospects.reindex(columns=columns).astype(table[columns].dtypes)])
    table = table[columns].sort_index().rename_axis("account_id")
    by_status = table["status"].value_counts().reindex(pd.Index(STATUSES, name="status"), fill_value=0)
    counts = by_status.rename("accounts").to_frame().assign(share=by_status / len(table))
    left_out = pd.concat(
        [purchases.left_out, left_out_table((f"created after {purchases.as_of:%Y-%m-%d}", later))], ignore_index=True
    )
    unknown = int(np.isnan(known).sum())
    return Acquisition(table, _text(counts, episodes, unknown, purchases, left_out), episodes, counts, left_out)


def _never_bought(
    accounts: Iterable[str] | pd.DataFrame | None, purchases: Purchases, bought: pd.Index
) -> tuple[pd.Index, pd.Series]:
    """Return accounts that never bought by the date, and those that were not there yet, with a row each."""
    listed = without_purchases(accounts, bought).index
    others = purchases.left_out.loc[~purchases.left_out["account_id"].isin(bought), "account_id"]
    created = _column(accounts, "created")
    late = pd.Series(dtype="int64")
    if created is not None:
        after = created.index[(created.dt.normalize() > purchases.as_of).to_numpy()]
        late = pd.Series(1, index=listed.intersection(after).difference(pd.Index(others)))
    return listed.union(pd.Index(others, dtype=listed.dtype)).difference(late.index).astype(str), late


def _column(accounts: object, name: str) -> pd.Series | None:
    if not isinstance(accounts, pd.DataFrame) or name not in accounts.columns:
        return None
    values = accounts.set_index(accounts["account_id"].astype(str))[name]
    return values[~values.index.duplicated()]


def _flags(flags: pd.Series | None, wanted: pd.Index) -> np.ndarray:
    """Return 1, 0 or NaN (unknown) for each account."""
    if flags is None:
        return np.full(len(wanted), np.nan)
    if not flags.index.is_unique:
        raise DataError("an account is there twice.", column="greenfield", mend="Give one flag an account.")
    return flags.astype("boolean").reindex(wanted).astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def _text(
    counts: pd.DataFrame, episodes: pd.DataFrame, unknown: int, purchases: Purchases, left_out: pd.DataFrame
) -> str:
    spread = ", ".join(f"{n:,} {status}" for status, n in counts["accounts"].items() if n)
    again = int((episodes["episode"] == 2).sum())
    text = f"As of {purchases.as_of:%Y-%m-%d}: {spread}. {again:,} came back after a silence longer than the limit."
    if unknown:
        text += f" Of {unknown:,} that never bought it is not known whether they buy elsewhere."
    return "\n\n".join(part for part in (text, left_out_text(left_out)) if part)
