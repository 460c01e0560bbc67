"""The ideal-customer profile: who became valuable, what distinguishes them, and how well every account fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.clusters.book import account_book
from clv.abm.options import value_table
from clv.abm.profile.bands import find_bands
from clv.abm.profile.levels import level_table
from clv.abm.profile.wording import profile_text
from clv.abm.propensity.columns import Columns, describe_columns
from clv.abm.propensity.known import NOT_ATTRIBUTES
from clv.abm.propensity.win_propensity import GRADES, WinPropensity, win_propensity
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.value.lifetime import LifetimeValue

_PROFILE = ["attribute", "level", "accounts", "valuable", "share", "lift", "lower", "upper", "p_value", "q_value"]


@dataclass(frozen=True, eq=False)
class IdealCustomerProfile(Result):
    """Who became valuable, and who is like them.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id, all accounts: net (value less cost to serve; NaN where there is none), judged (has enough
        history), valuable (among the best of the judged; missing for others), chance, fit, grade. The chance of a
        judged account is foretold by models that did not see it. fit is the share of the judged accounts with a lower
        chance, 0–100; grade is weak below 50, moderate to 80, strong above; NaN and unknown where nothing can be
        ranked.
    profile : pandas.DataFrame
        One row a level of an attribute: accounts, valuable, share, lift with lower and upper (shrunk), p_value,
        q_value, others (accounts not judged that are of this level).
    model : WinPropensity or None
        Its `evidence` says what it is worth on held-out accounts; `model.contributions(accounts)` says what each
        attribute adds to an account's log-odds. None without firmographics.
    threshold : float
        Net value from which a judged account counts as valuable.
    q : float
        Levels up to this q-value are named.
    """

    profile: pd.DataFrame
    model: WinPropensity | None
    threshold: float
    q: float

    @property
    def ranks(self) -> bool:
        """Whether accounts can be told apart at all."""
        return self.model is not None and self.model.ranks

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the lift of each level with its interval."""
        from clv.abm.profile.pictures import lifts

        return lifts(self, ax)


def ideal_customer_profile(
    accounts: pd.DataFrame,
    value: LifetimeValue | pd.DataFrame,
    *,
    history: pd.DataFrame | pd.Series,
    cost_to_serve: float | pd.Series = 0.0,
    fewest: int = 3,
    top: float = 0.25,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    folds: int = 10,
    repeats: int = 3,
    q: float = 0.1,
    confidence: float = 0.9,
    seed: int = 0,
    currency: str = "",
) -> IdealCustomerProfile:
    """Learn from firmographics who became valuable, and grade all accounts, prospects included, by it.

    Parameters
    ----------
    accounts : pandas.DataFrame
        One row an account, customers and prospects: account_id (a column or the index) and firmographics. Accounts of
        one parent_id are held out together. Give nothing that only customers have, such as past sales: it would not
        tell who is worth winning, but who was won.
    value : LifetimeValue or pandas.DataFrame
        Index account_id; clv: contribution margin, expected or realised, over the same time for every account.
    history : pandas.DataFrame or pandas.Series
        Index account_id: number of purchases; or a summary, whose frequency counts purchases after the first.
    cost_to_serve : float or pandas.Series
        Money an account over the same time; a Series has the index account_id. What many orders cost to handle
        belongs here.
    fewest : int
        Purchases below which an account is not judged: one or two deals tell nothing about an account.
    top : float
        Share of the judged accounts that counts as valuable, by value net of cost to serve; never at 0 or less.
    features, exclude, folds, repeats, seed
        As in `win_propensity`. Without `features` names, managers, parents and dates are not looked at.
    q : float
        Levels up to this q-value are named as distinguishing.
    confidence : float
        Of the intervals of lifts.
    currency : str
        Written after money.

    Returns
    -------
    IdealCustomerProfile
        Where the model is no better than chance on held-out accounts, or there is nothing to learn from, there are no
        fits, and the text says so.

    Raises
    ------
    DataError
        An account is there twice, a value or a cost is no number, or no account has both history and value.
    SettingsError
        A share, a count or a probability that cannot be.

    Notes
    -----
    Rule A9. The model is that of `win_propensity`, with "became valuable" in place of "won": the same held-out test,
    the same refusal. Who is judged was won and stayed for some purchases; the profile holds for accounts once won and
    is silent on whether they can be won.
    """
    _check(top=top, q=q, confidence=confidence, fewest=fewest)
    book = account_book(accounts)
    worth = value_table(value)["clv"]
    purchases = _purchases(history)
    net = worth.reindex(book.index) - _costs(cost_to_serve, book.index, worth.index)
    judged = (net.notna() & (purchases.reindex(book.index).fillna(0) >= fewest)).to_numpy()
    if not judged.any():
        raise DataError(
            f"no account has a value and {fewest} purchases or more.",
            mend="Check the account ids of accounts, value and history, or lower 'fewest'.",
            table="accounts",
            column="account_id",
        )
    threshold = max(float(np.quantile(net[judged], 1 - top, method="higher")), np.nextafter(0.0, 1.0))
    best = judged & (net >= threshold).to_numpy()
    table = pd.DataFrame({"net": net, "judged": judged}, index=book.index)
    table["valuable"] = pd.Series(best, index=book.index, dtype="boolean").where(judged)

    columns = describe_columns(book[judged], only=features, exclude=["account_id", *NOT_ATTRIBUTES, *exclude])
    model = _model(book, columns, judged, best, folds=folds, repeats=repeats, seed=seed)
    table = table.join(_fits(book, judged, model))
    profile = pd.DataFrame(columns=[*_PROFILE, "others"])
    if columns.names and best[judged].any() and not best[judged].all():
        seen = columns.take(book, table="accounts")
        bands = find_bands(seen[judged], columns)
        levels = bands.levels(seen)
        profile = level_table(levels[judged], best[judged], levels[~judged], bands, confidence=confidence)
    text = profile_text(
        table, profile, model, fewest=fewest, top=top, q=q, confidence=confidence, currency=currency,
        unknown=len(worth.index.difference(book.index)),
    )  # fmt: skip
    if model is not None:
        model = replace(model, text=text, evidence=replace(model.evidence, text=text))
    return IdealCustomerProfile(table, text, profile, model, threshold, q)


def _model(
    book: pd.DataFrame, columns: Columns, judged: np.ndarray, best: np.ndarray, *, folds: int, repeats: int, seed: int
) -> WinPropensity | None:
    if not columns.names or not best[judged].any() or best[judged].all():
        return None
    deals = book.loc[judged, columns.names].assign(**{"(valuable)": best[judged], "(group)": _families(book)[judged]})
    return win_propensity(
        deals, won="(valuable)", group="(group)", features=columns.names, folds=folds, repeats=repeats, seed=seed,
        name="accounts",
    )  # fmt: skip


def _families(book: pd.DataFrame) -> np.ndarray:
    """Name the family of each account: its parent, or itself."""
    own = book.index.to_numpy(dtype=object)
    if "parent_id" not in book.columns:
        return own
    parent = book["parent_id"]
    return np.where(parent.notna(), parent.astype(object).where(parent.notna(), "").astype(str), own)


def _fits(book: pd.DataFrame, judged: np.ndarray, model: WinPropensity | None) -> pd.DataFrame:
    """Grade all accounts by where their chance lies among the held-out chances of the judged."""
    if model is None or not model.ranks:
        share = np.nan if model is None else model.share
        return pd.DataFrame({"chance": share, "fit": np.nan, "grade": "unknown"}, index=book.index)
    chance = model.predict(book)["chance"].to_numpy(copy=True)
    held_out = model.table["chance"].to_numpy()
    told = np.isfinite(held_out)
    chance[np.flatnonzero(judged)[told]] = held_out[told]
    seen = np.sort(held_out[told])
    fit = 50 * (np.searchsorted(seen, chance) + np.searchsorted(seen, chance, side="right")) / len(seen)
    grade = np.select([fit < GRADES[0], fit <= GRADES[1]], ["weak", "moderate"], "strong")
    return pd.DataFrame({"chance": chance, "fit": fit, "grade": grade}, index=book.index)


def _purchases(history: pd.DataFrame | pd.Series) -> pd.Series:
    if isinstance(history, pd.DataFrame):
        table = history.set_index("account_id") if "account_id" in history.columns else history
        if "frequency" not in table.columns:
            raise DataError(
                "the column is missing.", mend="Give a summary, or a Series of the number of purchases.",
                table="history", column="frequency",
            )  # fmt: skip
        counts = pd.to_numeric(table["frequency"], errors="coerce") + 1
    else:
        counts = pd.to_numeric(history, errors="coerce")
    counts = counts.set_axis(counts.index.astype(str))
    if not counts.index.is_unique:
        raise DataError("an account is there twice.", mend="Give one row an account.", table="history")
    return counts.astype(float)


def _costs(cost: float | pd.Series, every: pd.Index, valued: pd.Index) -> pd.Series:
    if not isinstance(cost, pd.Series):
        costs = pd.Series(float(cost), index=every)
    else:
        given = cost.set_axis(cost.index.astype(str))
        if not given.index.is_unique:
            raise DataError("an account is there twice.", mend="Give one cost an account.", column="cost_to_serve")
        costs = pd.to_numeric(given.reindex(every), errors="coerce").astype(float)
    needed = costs[every.isin(valued)]
    bad = ~(np.isfinite(needed) & (needed >= 0))
    if bad.any():
        raise DataError(
            f"the cost of account {needed.index[bad][0]!r} is {needed[bad].iloc[0]} ({int(bad.sum()):,} such in all).",
            mend="Give a cost of 0 or more for every account with a value.",
            column="cost_to_serve",
        )
    return costs


def _check(*, top: float, q: float, confidence: float, fewest: int) -> None:
    for name, x in (("top", top), ("q", q), ("confidence", confidence)):
        if not 0 < x < 1:
            raise SettingsError(f"{name} is {x}.", mend="Give a number between 0 and 1.")
    if fewest < 1 or int(fewest) != fewest:
        raise SettingsError(f"fewest is {fewest}.", mend="Give a whole number of purchases, 1 or more.")
