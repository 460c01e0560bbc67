"""Gold, silver and bronze by yearly contribution, and the silver accounts that grow into gold (rule A6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.classes.shares import by_account, check_share, cumulative_classes, each_account, lines_until
from clv.abm.wording import money
from clv.churn.purchases import Date
from clv.data.settings import ClassRules
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRADES = ("gold", "silver", "bronze")
#: orders in each of the two years below which growth has no interval.
FEWEST_ORDERS = 3


@dataclass(frozen=True, eq=False)
class Grades(Result):
    """The grade of each account.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id, by contribution: grade, contribution (a year), share, growth (last year's sales ÷ those of
        the year before), growth_lower, growth_upper (empty with fewer than three orders in either year),
        future_gold (empty where growth is unknown), years_to_gold (at the present growth; future gold only).
    by_grade : pandas.DataFrame
        Index grade: accounts, contribution, share.
    threshold : float
        Contribution of the smallest gold account.
    """

    by_grade: pd.DataFrame
    threshold: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw growth against contribution, the future gold marked."""
        from clv.abm.classes.pictures_grades import growth_of_grades

        return growth_of_grades(self, ax)


def account_grade(
    transactions: pd.DataFrame,
    *,
    margin: float | pd.Series = 1.0,
    cost_to_serve: float | pd.Series = 0.0,
    contribution: Any = None,
    as_of: Date | None = None,
    rules: ClassRules | None = None,
    confidence: float = 0.9,
    currency: str = "",
) -> Grades:
    """Grade accounts by their contribution in the last twelve months, and flag silver ones that grow.

    Parameters
    ----------
    transactions : pandas.DataFrame
        account_id, date, amount.
    margin : float or pandas.Series
        Contribution margin as a share of sales; by account_id where it differs.
    cost_to_serve : float or pandas.Series
        Money a year of serving an account.
    contribution : LifetimeValue, pandas.Series or pandas.DataFrame, optional
        What to grade by instead, by account_id.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    rules : ClassRules, optional
        Threshold cumulative: gold are the accounts that make the first 80 % of all positive contribution, silver up
        to 95 %.
    confidence : float
        Of the interval of growth; a future gold is a silver account whose growth is above nought by all of it.
    currency : str
        Written after money.

    Returns
    -------
    Grades

    Raises
    ------
    clv.errors.DataError
        A column or value is missing, or nothing was bought by then.

    Notes
    -----
    Growth is the ratio of two sums of orders, taken as compound Poisson in each year: ``Var(Σ a) = E(Σ a²)``, so that
    the variance of its logarithm is Σa₁²/(Σa₁)² + Σa₂²/(Σa₂)² (delta method), with Student's t and Satterthwaite's
    (1946) degrees of freedom, Kish's numbers of orders ``(Σa)²/Σa²`` less one being those of each year. An account that
    was won within the two years has no full year before, and its growth is unknown. Among many silver accounts some
    grow by chance: half of 1 − confidence of those that do not is expected, which the text says.
    """
    rules = rules or ClassRules()
    check_share("confidence", confidence)
    lines, end = lines_until(transactions, as_of)
    orders = lines.groupby(["account_id", "date"], sort=True)["amount"].sum().reset_index()
    ids = pd.Index(orders["account_id"].unique(), name="account_id")
    year = pd.Timedelta(days=365)
    last = orders[orders["date"] > end - year]
    before = orders[(orders["date"] <= end - year) & (orders["date"] > end - 2 * year)]
    sales = last.groupby("account_id")["amount"].sum().reindex(ids, fill_value=0.0)
    earned = sales * each_account(margin, ids, "margin") - each_account(cost_to_serve, ids, "cost_to_serve")
    if contribution is not None:
        earned = by_account(contribution, name="contribution", table="contribution")
        ids = pd.Index(earned.index, name="account_id")
    earned = earned.sort_index()
    grade = np.array(GRADES, dtype=object)[cumulative_classes(earned.to_numpy(), rules.cumulative)]
    growth = _growth(last, before, orders, end - 2 * year, earned.index, confidence)
    gold = earned[grade == "gold"]
    threshold = float(gold.min()) if len(gold) else float("nan")
    rising = pd.Series(growth["growth_lower"] > 1, dtype="boolean").where(growth["growth_lower"].notna())
    future = (rising & (grade == "silver")).mask(pd.Series(grade != "silver", index=earned.index), False)
    years = np.log(threshold / earned.where(earned > 0)) / np.log(growth["growth"].where(growth["growth"] > 1))
    positive = earned.clip(lower=0.0)
    table = pd.DataFrame(
        {
            "grade": grade,
            "contribution": earned,
            "share": positive / positive.sum() if positive.sum() > 0 else np.nan,
            **{name: growth[name] for name in growth.columns},
            "future_gold": future,
            "years_to_gold": years.where(future.fillna(False).astype(bool)).clip(lower=0.0),
        }
    ).rename_axis("account_id")
    table = table.sort_values("contribution", ascending=False, kind="stable")
    sums = table.groupby("grade")["contribution"].agg(accounts="size", contribution="sum")
    by_grade = pd.DataFrame(sums).reindex(pd.Index(GRADES, name="grade"), fill_value=0)
    # Of what is positive: with accounts that lose money the parts of the sum could be any number.
    by_grade["share"] = table.groupby("grade")["share"].sum().reindex(by_grade.index, fill_value=0.0)
    return Grades(table, _text(table, by_grade, threshold, confidence, currency), by_grade, threshold, currency)


def _growth(
    last: pd.DataFrame, before: pd.DataFrame, orders: pd.DataFrame, start: pd.Timestamp, ids: pd.Index,
    confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """Compare the last year's sales with those of the year before, with an interval."""
    from scipy.special import stdtrit

    def moments(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        amount = part["amount"].clip(lower=0.0)
        by = pd.DataFrame({"n": 1, "sum": amount, "square": amount**2}).groupby(part["account_id"]).sum()
        by = by.reindex(ids, fill_value=0)
        return by["n"].to_numpy(float), by["sum"].to_numpy(float), by["square"].to_numpy(float)

    (n1, sum1, square1), (n0, sum0, square0) = moments(last), moments(before)
    # The first year must be a whole one: what was there before the table began is taken to have been there.
    first = orders.groupby("account_id")["date"].min().reindex(ids)
    whole = ((first <= start) | (first <= orders["date"].min() + pd.Timedelta(days=31))).to_numpy()
    whole = whole & bool(orders["date"].min() <= start + pd.Timedelta(days=31))
    known = whole & (sum0 > 0)
    growth = np.divide(sum1, sum0, out=np.full(len(ids), np.nan), where=known)
    sure = known & (n1 >= FEWEST_ORDERS) & (n0 >= FEWEST_ORDERS)
    with np.errstate(divide="ignore", invalid="ignore"):
        v1, v0 = square1 / sum1**2, square0 / sum0**2
        freedom = (v1 + v0) ** 2 / (v1**2 / (1 / v1 - 1) + v0**2 / (1 / v0 - 1))
        spread = stdtrit(np.clip(freedom, 1, 1e6), (1 + confidence) / 2) * np.sqrt(v1 + v0)
    lower, upper = growth * np.exp(-spread), growth * np.exp(spread)
    return pd.DataFrame(
        {
            "growth": growth,
            "growth_lower": np.where(sure, lower, np.nan),
            "growth_upper": np.where(sure, upper, np.nan),
        },
        index=ids,
    )


def _text(table: pd.DataFrame, by_grade: pd.DataFrame, threshold: float, confidence: float, currency: str) -> str:
    accounts = by_grade["accounts"]
    of = {str(grade): float(share) for grade, share in by_grade["share"].items()}
    if not np.isfinite(threshold):
        return f"None of {len(table):,} accounts contributes anything: there is no gold."
    text = (
        f"{accounts['gold']:,} gold account{'s make' if accounts['gold'] != 1 else ' makes'} {of['gold']:.0%} of all"
        " positive contribution (from "
        f"{money(threshold, currency)} a year each), {accounts['silver']:,} silver ones "
        f"{of['silver']:.0%} and {accounts['bronze']:,} bronze ones the rest."
    )
    silver = table[table["grade"] == "silver"]
    judged = silver[silver["growth_lower"].notna()]
    if judged.empty:
        return f"{text} Whether silver ones grow cannot be told: none has {FEWEST_ORDERS} orders in each of two years."
    future = int(silver["future_gold"].fillna(False).sum())
    chance = len(judged) * (1 - confidence) / 2
    text += (
        f" {future:,} of the {len(judged):,} silver ones whose growth can be told are future gold: they buy more than "
        f"a year ago by all of their {confidence:.0%} interval. By chance alone about {chance:.1f} would"
    )
    return f"{text}: no more than luck shows here." if future <= chance else f"{text}."
