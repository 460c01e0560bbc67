"""ABC by share of value, XYZ by variability of demand, with the probability of each account's class (rule A7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.classes.demand import Demand, Variation, class_probabilities, demand, variation
from clv.abm.classes.shares import by_account, cumulative_classes, lines_until
from clv.churn.purchases import Date
from clv.data.settings import ClassRules
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: complete periods below which nothing is said on an account's variability.
FEWEST = 4
#: probability of its class below which an account is called uncertain.
SURE = 0.8


@dataclass(frozen=True, eq=False)
class ABCXYZ(Result):
    """Nine cells: how much an account brings, and how evenly.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id, by value: value, share, abc, xyz (unknown where fewer than four complete periods were seen),
        cell, mean and cv (of a period's demand, season taken out), periods, seasonal (its own season was taken out),
        p_A, p_B, p_C, p_X, p_Y, p_Z, p_cell (of the cell it is in), sure (p_cell of 80 % or more).
    cells : pandas.DataFrame
        Index abc, columns X, Y, Z, unknown: accounts.
    period : {"M", "Q", "W"}
    """

    cells: pd.DataFrame
    period: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the nine cells with the accounts in each."""
        from clv.abm.classes.pictures import nine_cells

        return nine_cells(self, ax)


def abc_xyz(
    transactions: pd.DataFrame,
    *,
    value: Any = None,
    as_of: Date | None = None,
    period: Literal["M", "Q", "W"] = "M",
    season: Literal["auto", "none"] | pd.Series = "auto",
    rules: ClassRules | None = None,
    draws: int = 400,
    seed: int = 0,
) -> ABCXYZ:
    """Class accounts by value and by variability of demand, and say how sure each class is.

    Parameters
    ----------
    transactions : pandas.DataFrame
        account_id, date, amount.
    value : LifetimeValue, pandas.Series or pandas.DataFrame, optional
        What ABC ranks, by account_id; None: the money of the transactions. Of a LifetimeValue with draws, p_A to p_C
        are the share of draws.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    period : {"M", "Q", "W"}
        Month, quarter, week; only complete ones count.
    season : {"auto", "none"} or pandas.Series
        "auto": an account's own season, where an F test finds one in two or more whole years; else that of the whole
        book where `clv.seasonality` finds that it matters. A Series (index 1–12, months, or 1–4, quarters) is a season
        that is known. It is divided out before demand is called erratic.
    rules : ClassRules, optional
        Thresholds cumulative and variation.
    draws, seed : int
        For p_A to p_C where the value has no draws of its own.

    Returns
    -------
    ABCXYZ

    Raises
    ------
    clv.errors.DataError
        A column or value is missing, or nothing was bought by then.
    clv.errors.SettingsError
        An option is impossible.

    Notes
    -----
    An account belongs to the ABC class in which its share begins, so that the one that crosses 80 % is an A. Without
    draws of value, p_A to p_C come from the posterior of each account's mean demand (Student t, normal demand with
    prior dμ dσ/σ), times its own number of periods; p_X to p_Z from the noncentral t (see `demand`). p_cell takes the
    two as independent. Demand that comes in few large orders is far from normal; it is a Z then by any measure.
    """
    rules = rules or ClassRules()
    if period not in ("M", "Q", "W"):
        raise SettingsError(f"period: found {period!r}.", mend="Use M (month), Q (quarter) or W (week).")
    if isinstance(draws, bool) or int(draws) != draws or draws < 0:
        raise SettingsError(f"draws: found {draws!r}.", mend="Give a whole number of 0 or more.")
    lines, end = lines_until(transactions, as_of)
    totals = lines.groupby("account_id", sort=True)["amount"].sum()
    worth = totals.rename("value") if value is None else by_account(value)
    accounts = pd.Index(worth.index.astype(str), name="account_id")
    found = demand(lines, accounts, end, period)
    spread = variation(
        found, index=_index(found, lines, season, period), own=isinstance(season, str) and season == "auto"
    )
    enough = (spread.periods >= FEWEST) & (spread.mean > 0)
    cv = np.where(enough, spread.sd / np.where(enough, spread.mean, 1.0), np.nan)
    p_x, p_y, p_z = class_probabilities(cv, spread.freedom, spread.periods, rules.variation)
    xyz = np.select([~enough, cv < rules.variation[0], cv < rules.variation[1]], ["unknown", "X", "Y"], "Z").astype(
        object
    )
    classes = cumulative_classes(worth.to_numpy(), rules.cumulative)
    p_abc = _abc_probabilities(value, worth, spread, rules, draws, seed)
    positive = worth.clip(lower=0)
    table = pd.DataFrame(
        {
            "value": worth.to_numpy(),
            "share": positive.to_numpy() / positive.sum() if positive.sum() > 0 else np.nan,
            "abc": np.array(list("ABC"), dtype=object)[classes],
            "xyz": xyz,
            "mean": spread.mean,
            "cv": cv,
            "periods": spread.periods.astype(int),
            "seasonal": spread.seasonal,
        },
        index=accounts,
    )
    table.insert(4, "cell", np.where(enough, table["abc"] + table["xyz"], "unknown").astype(object))
    table[["p_A", "p_B", "p_C"]] = p_abc
    table["p_X"], table["p_Y"], table["p_Z"] = p_x, p_y, p_z
    of_xyz = np.select([xyz == "X", xyz == "Y", xyz == "Z"], [p_x, p_y, p_z], np.nan)
    table["p_cell"] = p_abc[np.arange(len(table)), classes] * of_xyz
    table["sure"] = pd.Series(table["p_cell"] >= SURE, dtype="boolean").where(table["p_cell"].notna())
    table = table.sort_index().sort_values("value", ascending=False, kind="stable")
    cells = pd.crosstab(table["abc"], table["xyz"]).reindex(
        index=pd.Index(list("ABC"), name="abc"), columns=pd.Index(["X", "Y", "Z", "unknown"], name="xyz"), fill_value=0
    )
    return ABCXYZ(table, _text(table, cells, rules, period, len(found.periods)), cells, period)


def _index(found: Demand, lines: pd.DataFrame, season: Any, period: str) -> NDArray[np.float64] | None:
    """Return the book's season for each period, 1 on average over a year; None where there is none."""
    place = found.periods.quarter if period == "Q" else found.periods.month
    if isinstance(season, pd.Series):
        if period == "W":
            raise SettingsError("a season of weeks is not supported.", mend="Use months or quarters.")
        known = season.reindex(range(1, (4 if period == "Q" else 12) + 1)).astype(float)
        bad = ~(np.isfinite(known) & (known > 0))
        if bad.any():
            raise DataError(
                f"{known.index[bad][0]} has no index above nought.", column="season",
                mend="Give one for each month (1 to 12) or quarter (1 to 4).",
            )  # fmt: skip
        return np.asarray((known / known.mean()).loc[np.asarray(place)], dtype=float)
    if season == "none":
        return None
    if season != "auto":
        raise SettingsError(f"season: found {season!r}.", mend="Use auto, none, or a Series of known indices.")
    from clv.value.validation.seasonality import seasonality

    book = seasonality(lines)
    if not book.matters or period == "W":
        return None
    months = book.table.set_index("month")["index"]
    if period == "Q":
        quarters = months.groupby((months.index - 1) // 3 + 1).mean()
        return np.asarray((quarters / quarters.mean()).loc[np.asarray(place)], dtype=float)
    return np.asarray((months / months.mean()).loc[np.asarray(place)], dtype=float)


def _abc_probabilities(
    value: Any, worth: pd.Series, spread: Variation, rules: ClassRules, draws: int, seed: int
) -> NDArray[np.float64]:
    """Return the share of draws in which each account is an A, B, C; NaN without draws."""
    given = getattr(value, "draws", None)
    many = draws if given is None else given.shape[1]
    if many == 0 or (given is None and value is not None):
        return np.full((len(worth), 3), np.nan)
    rng = np.random.default_rng(seed)
    hits = np.zeros((len(worth), 3))
    rows, freedom = np.arange(len(worth)), np.maximum(spread.freedom, 1.0)
    known = (spread.periods >= 2) & np.isfinite(spread.sd)
    doubt = np.where(known, spread.sd * np.sqrt(np.maximum(spread.periods, 1.0)), 0.0)
    for draw in range(many):
        drawn = (
            given[:, draw].astype(float) if given is not None else worth.to_numpy() + doubt * rng.standard_t(freedom)
        )
        hits[rows, cumulative_classes(drawn, rules.cumulative)] += 1
    return hits / many


def _text(table: pd.DataFrame, cells: pd.DataFrame, rules: ClassRules, period: str, periods: int) -> str:
    word = {"M": "month", "Q": "quarter", "W": "week"}[period]
    a = table[table["abc"] == "A"]
    known = table[table["xyz"] != "unknown"]
    text = (
        f"{len(a):,} of {len(table):,} accounts bring {rules.cumulative[0]:.0%} of the value (A). Of the "
        f"{len(known):,} seen for {FEWEST} {word}s or more, {int(cells['X'].sum()):,} buy evenly (X), "
        f"{int(cells['Y'].sum()):,} fairly evenly (Y) and {int(cells['Z'].sum()):,} erratically (Z)."
    )
    judged = table["p_cell"].notna()
    if judged.any():
        unsure = int((table.loc[judged, "p_cell"] < SURE).sum())
        text += (
            f" With {periods} {word}s the class is often luck: of {int(judged.sum()):,} accounts {unsure:,} are "
            f"in their cell with a probability under {SURE:.0%}."
        )
    seasonal = int(table["seasonal"].sum())
    if seasonal:
        text += f" {seasonal:,} follow a season of their own, which was taken out before."
    return text
