"""Loyal or just retained: a label for each account with the counts behind it (rules C5 and A2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.churn.left_out import left_out_table, left_out_text, without_purchases
from clv.churn.loyalty.labels import labels, superconsumer
from clv.churn.loyalty.orders import orders_of
from clv.churn.loyalty.sentences import account_sentences, book_text
from clv.churn.loyalty.shares import discount_share, season_share, wallet_share
from clv.churn.purchases import Date
from clv.data.settings import Grain
from clv.data.units import DAYS
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = ("loyal", "retained", "unknown")


@dataclass(frozen=True, eq=False)
class Loyalty(Result):
    """What each account's staying rests on.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: label (loyal, retained, unknown), why, orders, money, silent (days); on_discount, of_known,
        discount_share, discount_lower, discount_upper; in_season, of_season, season_share, season_lower, season_upper,
        season_from (month in which its own season begins); wallet, wallet_share, wallet_lower, wallet_upper,
        wallet_error; sleeping, superconsumer (yes, no, unknown); sentence. What is not known is NaN.
    by_label : pandas.DataFrame
        Index label: accounts, share (of accounts), money, money_share.
    left_out : pandas.DataFrame
        account_id, reason, rows.
    """

    by_label: pd.DataFrame
    left_out: pd.DataFrame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many accounts, and how much money, have each label."""
        from clv.churn.pictures import stage_map

        shares = self.by_label.rename_axis("stage").rename(columns={"money": "value"})
        ax = stage_map(shares[["accounts", "share", "value"]], ax)
        ax.set_title(f"Loyal or retained: {len(self.table):,} accounts")
        return ax


def loyalty(
    transactions: pd.DataFrame,
    *,
    accounts: Iterable[str] | pd.DataFrame | None = None,
    wallets: pd.DataFrame | None = None,
    stages: Any = None,
    as_of: Date | None = None,
    grain: Grain = "D",
    least_discount: float = 0.0,
    majority: float = 0.5,
    least_orders: int = 5,
    inactive_months: float = 12,
    top: float = 0.1,
    confidence: float = 0.9,
) -> Loyalty:
    """Tell accounts that would buy anyway from those that stay for discounts, in season, or with little of their needs.

    Parameters
    ----------
    transactions : pandas.DataFrame
        account_id, date, amount and, where it is known, discount (share of the list price).
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts that should be there; those that never bought are counted as left out.
    wallets : pandas.DataFrame, optional
        account_id, date, wallet: yearly demand from a survey.
    stages : ChurnStages or pandas.DataFrame, optional
        With p_alive by account_id. None: an account counts as gone after `inactive_months`, and who sleeps is unknown.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    grain : {"D", "W", "M"}
        Interval within which lines are one order.
    least_discount : float
        A line is on discount where its discount is above this.
    majority : float
        Share of orders (or of the wallet) that decides.
    least_orders : int
        Orders from which an account can be loyal, sleeping, or retained by discounts or season.
    inactive_months : float
    top : float
        Share of accounts among which a superconsumer is, by money and by orders of the last year.
    confidence : float
        Of the intervals, and so of the labels: a label is given where its interval is on one side of the majority.

    Returns
    -------
    Loyalty

    Raises
    ------
    clv.errors.DataError
        A column or a value is missing or impossible, or nothing was bought by then.
    clv.errors.SettingsError
        An argument is impossible.

    Notes
    -----
    *Retained*: the interval of the share of orders on discount lies above `majority`; or that of the share of orders
    in the account's own season of three months (found in other years; 25% by chance); or the interval of the share of
    wallet lies below. *Loyal*: at least `least_orders` orders, discounts and season known and both below, and the share
    of wallet, where it is known, above. Else, and for accounts that are more likely gone than not, *unknown*: a label
    without its data is never "no". *Sleeping* bought regularly and is more likely gone than not; a *superconsumer* is
    at the top by money and by orders, at full price. Attitude cannot be seen in purchases: loyalty here is behaviour.
    """
    _check(least_discount, majority, least_orders, inactive_months, top, confidence)
    orders, last = orders_of(transactions, as_of=as_of, grain=grain, least=least_discount)
    ids = pd.Index(orders["account_id"].unique(), name="account_id")
    by = orders.groupby("account_id")
    silent = (last - by["day"].max()).dt.days.reindex(ids).to_numpy(float)
    discount = discount_share(orders, ids, confidence)
    season = season_share(orders, ids, last, confidence)
    wallet = wallet_share(orders, wallets, ids, last, confidence)
    alive = _alive(stages, ids)
    count = by.size().reindex(ids).to_numpy()
    gone = np.where(np.isnan(alive), silent > inactive_months * DAYS["M"], alive < 0.5)
    label, why = labels(discount, season, wallet, count, gone, majority, least_orders)
    table = pd.DataFrame(
        {
            "label": label,
            "why": why,
            "orders": count,
            "money": by["money"].sum().reindex(ids).to_numpy(float),
            "silent": silent,
            "on_discount": discount["on_discount"],
            "of_known": discount["of"],
            "discount_share": discount["share"],
            "discount_lower": discount["lower"],
            "discount_upper": discount["upper"],
            "in_season": season["in_season"],
            "of_season": season["of"],
            "season_share": season["share"],
            "season_lower": season["lower"],
            "season_upper": season["upper"],
            "season_from": season["first_month"],
            "wallet": wallet["wallet"],
            "wallet_share": wallet["share"],
            "wallet_lower": wallet["lower"],
            "wallet_upper": wallet["upper"],
            "wallet_error": wallet["error"],
            "sleeping": np.select(
                [np.isnan(alive) | (count < least_orders), alive < 0.5], ["unknown", "yes"], "no"
            ).astype(object),
            "superconsumer": superconsumer(orders, discount, wallet, ids, last, top, majority),
        },
        index=ids,
    )
    table["sentence"] = account_sentences(table)
    totals = table.groupby("label")["money"].agg(accounts="size", money="sum")
    totals = totals.reindex(pd.Index(LABELS, name="label"), fill_value=0)
    by_label = pd.DataFrame(
        {
            "accounts": totals["accounts"],
            "share": totals["accounts"] / len(table),
            "money": totals["money"],
            "money_share": totals["money"] / table["money"].sum(),
        }
    )
    left_out = left_out_table(("never bought by then", without_purchases(accounts, ids)))
    text = book_text(table, by_label, confidence, majority)
    left = left_out_text(left_out)
    return Loyalty(table, f"{text}\n\n{left}" if left else text, by_label, left_out)


def _check(
    least_discount: float, majority: float, least_orders: int, inactive_months: float, top: float, confidence: float
) -> None:
    shares = {"least_discount": least_discount, "majority": majority, "top": top, "confidence": confidence}
    for name, value in shares.items():
        if not (np.isfinite(value) and 0 <= value < 1) or (value == 0 and name != "least_discount"):
            raise SettingsError(f"{name}: found {value!r}.", mend="Give a share below 1.")
    if isinstance(least_orders, bool) or int(least_orders) != least_orders or least_orders < 1:
        raise SettingsError(f"least_orders: found {least_orders!r}.", mend="Give a whole number of 1 or more.")
    if not (np.isfinite(inactive_months) and inactive_months > 0):
        raise SettingsError(f"inactive_months: found {inactive_months!r}.", mend="Give a positive number of months.")


def _alive(stages: Any, ids: pd.Index) -> np.ndarray:
    """Return P(alive) of each account; NaN where it is not known."""
    if stages is None:
        return np.full(len(ids), np.nan)
    table = getattr(stages, "table", stages)
    if "p_alive" not in table.columns:
        raise DataError("is missing.", table="stages", column="p_alive", mend="Use churn_stages.")
    if not table.index.is_unique:
        raise DataError("an account is there twice.", table="stages", mend="Give one row an account.")
    return table["p_alive"].set_axis(table.index.astype(str)).reindex(ids).to_numpy(float)
