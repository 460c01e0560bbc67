"""Concentration: what a few accounts carry, and what is left of the book if the largest one leaves (rule A8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.classes.shares import by_account, check_share
from clv.abm.wording import listed, money
from clv.data.settings import ClassRules
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: shares of accounts of which the share of the whole is told.
TOP = (0.01, 0.05, 0.10, 0.20)


@dataclass(frozen=True, eq=False)
class Concentration(Result):
    """How much of the whole how few accounts hold.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id, the largest first: sales, share, cumulative (share of it and all larger ones), kind
        (dependence, key or none), profit_share, mono_client (empty where profit is unknown).
    measures : pandas.DataFrame
        Index measure (top 1%, top 5%, top 10%, top 20%, largest, Gini, Herfindahl, equal accounts): value. "Equal
        accounts" is 1 ÷ Herfindahl: as concentrated as a book of so many accounts of one size.
    lorenz : pandas.DataFrame
        accounts and held, shares from 0 to 1, the smallest accounts first.
    stress : pandas.DataFrame
        Index account_id, of all key accounts and at least the largest: book (value of the book), value (its own), left
        (value of the book without it), lost (share of the book), lost_lower, lost_upper (empty without draws).
    currency : str
    """

    measures: pd.DataFrame
    lorenz: pd.DataFrame
    stress: pd.DataFrame
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the Lorenz curve against equal shares."""
        from clv.abm.classes.pictures import lorenz_curve

        return lorenz_curve(self, ax)


def concentration(
    sales: Any,
    *,
    profit: Any = None,
    book: Any = None,
    rules: ClassRules | None = None,
    confidence: float = 0.9,
    currency: str = "",
) -> Concentration:
    """Measure how concentrated a book is, and test what losing its largest accounts would mean.

    Parameters
    ----------
    sales : pandas.Series or pandas.DataFrame
        Money by account_id (column sales). Accounts at or below nought hold no share.
    profit : pandas.Series or pandas.DataFrame, optional
        Contribution by account_id; may be negative. Without it nobody is known to be a mono-client.
    book : LifetimeValue, pandas.Series or pandas.DataFrame, optional
        What accounts are worth, for the stress test; None: profit, else sales. Draws, where there are any, give the
        share lost its interval.
    rules : ClassRules, optional
        Thresholds key, dependence, mono_client.
    confidence : float
        Of the intervals of the stress test.
    currency : str
        Written after money.

    Returns
    -------
    Concentration

    Raises
    ------
    clv.errors.DataError
        An account is there twice, a number is missing, or nobody has sales above nought.

    Notes
    -----
    Gini (1912): G = Σ (2i − n − 1) x_(i) ÷ (n Σ x), x rising. Herfindahl (1950): Σ share². The top p are the
    ``max(1, round(p n))`` largest. A mono-client makes more than half of the *positive* profit: where others lose
    money, its share of the sum could be any number. The stress test takes the account's own value away and nothing
    else: what its loss would do to prices, capacity or other accounts is not in it.
    """
    rules = rules or ClassRules()
    check_share("confidence", confidence)
    money_of = by_account(sales, name="sales", table="sales").sort_index()
    held = money_of.clip(lower=0.0).sort_values(ascending=False, kind="stable")
    total = float(held.sum())
    if not total > 0:
        raise DataError("nobody has sales above nought.", table="sales", mend="Look at what the rules set aside.")
    share = held / total
    gains = None if profit is None else by_account(profit, name="profit", table="profit")
    positive = None if gains is None else gains.clip(lower=0.0)
    profit_share = pd.Series(np.nan, index=held.index)
    if positive is not None and positive.sum() > 0:
        profit_share = (positive / positive.sum()).reindex(held.index)
    kind = np.select([share > rules.dependence, share > rules.key], ["dependence", "key"], "none").astype(object)
    mono = (profit_share > rules.mono_client).astype("boolean").where(profit_share.notna())
    table = pd.DataFrame(
        {
            "sales": money_of.reindex(held.index),
            "share": share,
            "cumulative": np.minimum(share.cumsum(), 1.0),
            "kind": kind,
            "profit_share": profit_share,
            "mono_client": mono,
        }
    ).rename_axis("account_id")
    tested = table.index[(kind != "none") | mono.fillna(False).to_numpy(bool)].union(table.index[:1], sort=False)
    worth = book if book is not None else gains if gains is not None else money_of
    stress = _stress(worth, table.index[table.index.isin(tested)], confidence)
    measures = _measures(held.to_numpy())
    text = _text(table, measures, stress, rules, confidence, currency, profit is not None)
    return Concentration(table, text, measures, _lorenz(held.to_numpy()), stress, currency)


def gini(values: NDArray[np.float64]) -> float:
    """Return the Gini coefficient of values that are not negative; 0 where all are equal."""
    rising = np.sort(np.asarray(values, dtype=float))
    n, total = len(rising), rising.sum()
    if n == 0 or total <= 0:
        return float("nan")
    return float(np.sum((2 * np.arange(1, n + 1) - n - 1) * rising) / (n * total))


def _measures(falling: NDArray[np.float64]) -> pd.DataFrame:
    share = falling / falling.sum()
    herfindahl = float(np.sum(share**2))
    rows = {f"top {top:.0%}": float(share[: max(1, round(len(share) * top))].sum()) for top in TOP}
    rows |= {
        "largest": float(share[0]),
        "Gini": gini(falling),
        "Herfindahl": herfindahl,
        "equal accounts": 1 / herfindahl,
    }
    return pd.DataFrame({"value": pd.Series(rows)}).rename_axis("measure")


def _lorenz(falling: NDArray[np.float64]) -> pd.DataFrame:
    rising = falling[::-1]
    held = np.concatenate([[0.0], np.cumsum(rising) / rising.sum()])
    held[-1] = 1.0
    return pd.DataFrame({"accounts": np.linspace(0, 1, len(held)), "held": held})


def _stress(book: Any, accounts: pd.Index, confidence: float) -> pd.DataFrame:
    """Take each of the accounts out of the book, one at a time."""
    value = by_account(book, name="value", table="book")
    own = value.reindex(accounts).fillna(0.0)
    total = float(value.sum())
    lost = own / total if total > 0 else own * np.nan
    table = pd.DataFrame({"book": total, "value": own, "left": total - own, "lost": lost})
    table["lost_lower"], table["lost_upper"] = np.nan, np.nan
    draws = getattr(book, "draws", None)
    if draws is not None and total > 0:
        place = value.index.get_indexer(accounts)
        sums = draws.sum(axis=0, dtype=float)
        of = np.where(place[:, None] >= 0, draws[place], 0.0) / np.where(sums > 0, sums, np.nan)
        tail = (1 - confidence) / 2
        table["lost_lower"], table["lost_upper"] = np.nanquantile(of, [tail, 1 - tail], axis=1)
    return table.rename_axis("account_id")


def _text(
    table: pd.DataFrame, measures: pd.DataFrame, stress: pd.DataFrame, rules: ClassRules, confidence: float,
    currency: str, profit_known: bool,
) -> str:  # fmt: skip
    value = measures["value"]
    text = (
        f"Of {len(table):,} accounts the top tenth hold {value['top 10%']:.0%} of sales and the largest one "
        f"{value['largest']:.1%}; the book is as concentrated as one of {value['equal accounts']:,.1f} equal accounts "
        f"(Gini {value['Gini']:.2f}, Herfindahl {value['Herfindahl']:.3f})."
    )
    dependences = list(table.index[table["kind"] == "dependence"])
    keys = list(table.index[table["kind"] == "key"])
    mono = list(table.index[table["mono_client"].fillna(False).to_numpy(bool)])
    if mono:
        share = table.loc[mono[0], "profit_share"]
        text += f" Alert: {mono[0]} is a mono-client: {share:.0%} of all profit, more than {rules.mono_client:.0%}."
    if dependences:
        text += f" The book depends on {listed(_some(dependences))} (each above {rules.dependence:.0%} of sales)."
    if keys:
        text += f" Key: {listed(_some(keys))} (each above {rules.key:.0%})."
    if not dependences and not keys:
        text += f" Nobody is above {rules.key:.0%}: losing one account would not be a crisis."
    first = stress.iloc[0]
    if np.isfinite(first["lost"]):
        sure = ""
        if np.isfinite(first["lost_lower"]):
            sure = f" ({confidence:.0%} interval {first['lost_lower']:.1%} to {first['lost_upper']:.1%})"
        text += (
            f"\n\nIf {stress.index[0]} leaves, {money(first['left'], currency)} of {money(first['book'], currency)} is "
            f"left: {first['lost']:.1%} of the book is gone{sure}, before anything else changes."
        )
    return text if profit_known else f"{text} Whether one account makes most of the profit is unknown without margins."


def _some(ids: list[str], most: int = 5) -> list[str]:
    return ids if len(ids) <= most else [*ids[:most], f"{len(ids) - most} more"]
