"""Bad accounts: seven criteria, each measured or unknown, and what keeping, repricing or leaving is worth (rule A5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.classes.evidence import YEAR, latest_answers
from clv.abm.classes.shares import by_account, each_account, lines_until
from clv.abm.wording import listed, money
from clv.churn.purchases import Date
from clv.data.settings import ClassRules
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CRITERIA = ("negative margin", "late payer", "service out of proportion", "small rare orders, many demands",
            "price switcher", "complaints", "reputation")  # fmt: skip


@dataclass(frozen=True, eq=False)
class BadAccounts(Result):
    """Which accounts are bad, by which criteria, and what to do.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id, the costliest first: bad (empty where the unknown criteria could decide), criteria (those
        met, in words), known (criteria that could be judged), keep, reprice, leave (expected contribution over the
        horizon), best (the largest of them), p_keep (probability that keeping is worth more than leaving; empty
        without draws).
    criteria : pandas.DataFrame
        Index account_id, a nullable flag a criterion.
    counts : pandas.DataFrame
        Index criterion: yes, no, unknown.
    currency : str
    """

    criteria: pd.DataFrame
    counts: pd.DataFrame
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what keeping and repricing bad accounts is worth against leaving them."""
        from clv.abm.classes.pictures_grades import bad_choices

        return bad_choices(self, ax)


def bad_accounts(
    transactions: pd.DataFrame,
    *,
    value: Any = None,
    assessments: pd.DataFrame | None = None,
    loyalty: Any = None,
    margin: float | pd.Series = 1.0,
    cost_to_serve: float | pd.Series = 0.0,
    years: float = 1.0,
    discount_rate: float = 0.1,
    as_of: Date | None = None,
    rules: ClassRules | None = None,
    currency: str = "",
) -> BadAccounts:
    """Judge accounts by seven criteria, and weigh keeping, repricing and leaving.

    Parameters
    ----------
    transactions : pandas.DataFrame
        account_id, date, amount.
    value : LifetimeValue, pandas.Series or pandas.DataFrame, optional
        Expected contribution over the horizon by account_id (clv), cost to serve not taken off. None: that of the
        last twelve months, times `years`.
    assessments : pandas.DataFrame, optional
        Answers of the teams: days_late, service_hours, complaints, price_switcher, many_demands, bad_reputation.
    loyalty : Loyalty or pandas.DataFrame, optional
        Of `clv.loyalty`: accounts that stay for discounts are price switchers.
    margin, cost_to_serve : float or pandas.Series
        Share of sales, and money a year, by account_id where they differ.
    years : float
        Horizon of the values, in years.
    discount_rate : float
        Effective a year: the cost of money that is paid late.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    rules : ClassRules, optional
        Thresholds, the price of a service hour, the rise of prices considered and the elasticity of demand.
    currency : str
        Written after money.

    Returns
    -------
    BadAccounts

    Raises
    ------
    clv.errors.DataError
        A column or value is missing, or nothing was bought by then.
    clv.errors.SettingsError
        The horizon or the rate is impossible.

    Notes
    -----
    *Bad* is who has a negative margin, or meets `bad_criteria` of the other criteria; who could, were the unknown
    ones answered, is unknown, never "no". With expected sales S, margin m, and cost c of serving the account, its
    service hours and its late payment over the horizon: keep = m S − c; repricing by r at constant elasticity ε gives
    ``S (1 + r)^−ε (m + r) − c`` (unit costs stay, demand falls); leaving is 0: what is not served costs nothing. The
    elasticity is an assumption of the study, and an account that leaves altogether is one of its outcomes on average.
    """
    rules = rules or ClassRules()
    if not (np.isfinite(years) and years > 0):
        raise SettingsError(f"years: found {years!r}.", mend="Give a positive number of years.")
    if not (np.isfinite(discount_rate) and discount_rate >= 0):
        raise SettingsError(f"discount_rate: found {discount_rate!r}.", mend="Give a yearly rate, 0 or more.")
    lines, end = lines_until(transactions, as_of)
    ids = pd.Index(sorted(lines["account_id"].unique()), dtype=object, name="account_id")
    said = latest_answers(assessments, ids, end)
    own_margin = each_account(margin, ids, "margin")
    recent = lines[lines["date"] > end - YEAR]
    sales = recent.groupby("account_id")["amount"].sum().reindex(ids, fill_value=0.0)
    hours = said["service_hours"].astype(float)
    service = hours * rules.service_hour if rules.service_hour is not None else hours * np.nan
    # Where hours are known and priced they are the cost of serving; elsewhere the study's figure is.
    cost = service.where(service.notna(), each_account(cost_to_serve, ids, "cost_to_serve"))
    late = said["days_late"].astype(float)
    waiting = sales * ((1 + discount_rate) ** (late.fillna(0.0).clip(lower=0.0) / 365.0) - 1)
    criteria = _criteria(lines, recent, ids, said, loyalty, own_margin * sales, service, cost, waiting, rules)
    expected = own_margin * sales * years
    if value is not None:
        expected = by_account(value).reindex(ids).fillna(expected)
    future = (expected / own_margin.where(own_margin.abs() > 1e-9)).fillna(sales * years)
    costs = cost * years + waiting / sales.where(sales > 0, np.inf) * future
    keep = expected - costs
    rise = rules.price_rise
    reprice = future * (1 + rise) ** (-rules.elasticity) * (own_margin + rise) - costs
    table = pd.DataFrame({"keep": keep, "reprice": reprice, "leave": 0.0}, index=ids)
    table["best"] = table[["keep", "reprice", "leave"]].idxmax(axis=1).astype(object)
    table["p_keep"] = _p_keep(value, ids, costs)
    table.insert(0, "bad", _bad(criteria, rules))
    met = [listed([name for name in CRITERIA if row[name] is True]) for row in _plain(criteria)]
    table.insert(1, "criteria", np.array(met, dtype=object))
    table.insert(2, "known", criteria.notna().sum(axis=1).astype(int))
    order = table["bad"].fillna(False).astype(bool)
    table = table.assign(_bad=~order).sort_values(["_bad", "keep"], kind="stable").drop(columns="_bad")
    counts = pd.DataFrame(
        {"yes": (criteria == True).sum(), "no": (criteria == False).sum(), "unknown": criteria.isna().sum()}  # noqa: E712
    ).rename_axis("criterion")
    text = _text(table, counts, rules, currency)
    return BadAccounts(table, text, criteria.reindex(table.index), counts, currency)


def _criteria(
    lines: pd.DataFrame, recent: pd.DataFrame, ids: pd.Index, said: pd.DataFrame, loyalty: Any, earned: pd.Series,
    service: pd.Series, cost: pd.Series, waiting: pd.Series, rules: ClassRules,
) -> pd.DataFrame:  # fmt: skip
    """Judge each criterion; what cannot be judged is missing."""

    def told(flag: pd.Series, known: pd.Series) -> pd.Series:
        return pd.Series(np.asarray(flag, dtype=bool), index=ids, dtype="boolean").where(known.to_numpy(bool))

    always = pd.Series(True, index=ids)
    bought = earned.index.isin(recent["account_id"].unique())
    orders = recent.groupby(["account_id", "date"])["amount"].sum().groupby("account_id").agg(["size", "mean"])
    orders = orders.reindex(ids)
    # Small and rare against the others of the book: in the lower half of both.
    small = (orders["mean"] <= orders["mean"].median()) & (orders["size"] <= orders["size"].median())
    demands = said["many_demands"]
    small_rare = pd.Series(small.fillna(False).to_numpy(bool), index=ids, dtype="boolean") & demands
    late = said["days_late"].astype(float)
    complaints = said["complaints"].astype(float)
    switcher = said["price_switcher"]
    if loyalty is not None:
        table = getattr(loyalty, "table", loyalty)
        on_discount = table["why"].astype(str).str.contains("on discount").set_axis(table.index.astype(str))
        full = (table["discount_upper"] < 0.5).set_axis(table.index.astype(str))
        seen = on_discount.astype("boolean").where(on_discount | full)
        switcher = switcher.fillna(seen.reindex(ids))
    return pd.DataFrame(
        {
            # Who bought nothing for a year brings nothing and costs what serving costs: that is silence, not a margin.
            CRITERIA[0]: told((earned - cost - waiting) < 0, always & bought),
            CRITERIA[1]: told(late > rules.days_late, late.notna()),
            CRITERIA[2]: told(service > rules.service_share * earned.clip(lower=0.0), service.notna()),
            CRITERIA[3]: small_rare,
            CRITERIA[4]: switcher,
            CRITERIA[5]: told(complaints >= rules.complaints, complaints.notna()),
            CRITERIA[6]: said["bad_reputation"],
        },
        index=ids,
    ).astype("boolean")


def _plain(criteria: pd.DataFrame) -> list[dict[str, Any]]:
    values = criteria.astype(object).to_numpy()
    return [dict(zip(criteria.columns, row, strict=True)) for row in values]


def _bad(criteria: pd.DataFrame, rules: ClassRules) -> pd.Series:
    """Decide: a negative margin, or enough of the others; unknown where the answers still missing could decide."""
    negative, others = criteria[CRITERIA[0]], criteria[list(CRITERIA[1:])]
    met = others.fillna(False).astype(bool).sum(axis=1)
    possible = met + others.isna().sum(axis=1)
    yes = negative.fillna(False).astype(bool) | (met >= rules.bad_criteria)
    no = (~negative).fillna(False).astype(bool) & (possible < rules.bad_criteria)
    return pd.Series(yes, dtype="boolean").where(yes | no)


def _p_keep(value: Any, ids: pd.Index, costs: pd.Series) -> pd.Series:
    draws = getattr(value, "draws", None)
    if draws is None:
        return pd.Series(np.nan, index=ids)
    place = pd.Index(value.table.index.astype(str)).get_indexer(ids)
    share = np.mean(draws[place] > costs.to_numpy()[:, None], axis=1)
    return pd.Series(np.where(place >= 0, share, np.nan), index=ids)


def _text(table: pd.DataFrame, counts: pd.DataFrame, rules: ClassRules, currency: str) -> str:
    bad = table[table["bad"].fillna(False).astype(bool)]
    unknown = int(table["bad"].isna().sum())
    blind = list(counts.index[counts["unknown"] == len(table)])
    text = f"{len(bad):,} of {len(table):,} accounts are bad"
    if len(bad):
        most = counts["yes"].sort_values(ascending=False, kind="stable")
        reasons = [f"{name} ({n:,})" for name, n in most.items() if n][:3]
        advice = [f"{choice} {int((bad['best'] == choice).sum()):,}" for choice in ("keep", "reprice", "leave")]
        gain = float((bad[["keep", "reprice", "leave"]].max(axis=1) - bad["keep"]).sum())
        text += (
            f", mostly for {listed(reasons)}. By expected contribution: {listed(advice)}; against keeping all of them "
            f"that is worth {money(gain, currency)}, if {rules.price_rise:.0%} higher prices cost "
            f"{1 - (1 + rules.price_rise) ** -rules.elasticity:.0%} of demand, which is assumed"
        )
    text += "."
    if unknown:
        text += f" Of {unknown:,} it cannot be told: answers are missing."
    if blind:
        text += f" Nothing is known at all on {listed(blind)}."
    return text
