"""Second lifetime value: what accounts that came back brought in the time after their return."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.episodes import by_account
from clv.churn.purchases import MICRO, Purchases
from clv.data.units import DAYS

#: accounts from which an interval is given, and from which a second life is told from the account's own first one.
FEWEST, OWN = 5, 20


def second_lives(
    lapses: pd.DataFrame, episodes: pd.DataFrame, purchases: Purchases, *, months: float, margin: float, discount: float
) -> pd.DataFrame:
    """Add up what each account brought after its first return, and after its first purchase, over equal times.

    Parameters
    ----------
    lapses, episodes : pandas.DataFrame
        From `clv.churn.returning.lapses.find_lapses`.
    purchases : Purchases
    months : float
        Length of the time looked at.
    margin, discount : float
        Share of money; effective yearly rate, from the return (or first purchase) on.

    Returns
    -------
    pandas.DataFrame
        account_id, returned (date), complete (the time lies in whole before the as-of date), value, first_value;
        values are NaN where it does not.
    """
    came = lapses[lapses["returned"].notna()].drop_duplicates("account_id")
    span = months * DAYS["M"]
    back = came["returned"].to_numpy("int64")
    complete = back + span <= purchases.end + 1
    own = pd.Index(purchases.accounts.astype(str)).get_indexer(pd.Index(came["account_id"].astype(str)))
    rate = math.log1p(discount) / DAYS["Y"]
    first = first_lives(episodes, purchases, months=months, margin=margin, discount=discount)
    values = [_within(purchases, own, back, span, rate) * margin, first.reindex(came["account_id"]).to_numpy(float)]
    return pd.DataFrame(
        {
            "account_id": came["account_id"].to_numpy(),
            "returned": back.astype("datetime64[D]").astype("datetime64[ns]"),
            "complete": complete,
            "value": np.where(complete, values[0], np.nan),
            "first_value": np.where(complete, values[1], np.nan),
        }
    )


def first_lives(
    episodes: pd.DataFrame, purchases: Purchases, *, months: float, margin: float, discount: float
) -> pd.Series:
    """Add up what each account brought in the first `months` after its first purchase, or in as much as was seen."""
    first = episodes.drop_duplicates("account_id")
    own = pd.Index(purchases.accounts.astype(str)).get_indexer(pd.Index(first["account_id"].astype(str)))
    rate = math.log1p(discount) / DAYS["Y"]
    value = _within(purchases, own, first["start"].to_numpy("int64"), months * DAYS["M"], rate) * margin
    return pd.Series(value, index=first["account_id"].astype(str).to_numpy())


def expected_second(lives: pd.DataFrame, first: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expect the second life of accounts from their first ones.

    Parameters
    ----------
    lives : pandas.DataFrame
        From `second_lives`.
    first : ndarray
        What the accounts brought in their first life, over the same time.

    Returns
    -------
    ndarray
        c exp(a + b ln first), a regression in logarithms on those that came back, brought to their total; the mean
        second life where they are fewer than twenty, or where the account brought nothing; NaN where no second life
        was seen in whole.
    """
    seen = lives[lives["complete"]]
    mean = float(seen["value"].mean()) if len(seen) else math.nan
    used = seen[(seen["value"] > 0) & (seen["first_value"] > 0)]
    if len(used) < OWN or bool((used["first_value"] == used["first_value"].iloc[0]).all()):
        return np.full(len(first), mean)
    from statsmodels.regression.linear_model import OLS

    logs = np.log(used["first_value"].to_numpy(float))
    centre, value = float(logs.mean()), used["value"].to_numpy(float)
    intercept, slope = OLS(np.log(value), np.column_stack([np.ones(len(logs)), logs - centre])).fit().params
    # The level is the one at which the lives seen add up to what they brought: logarithms alone lie below it.
    level = value.sum() / np.exp(intercept + slope * (logs - centre)).sum()
    known = first > 0
    at = np.log(np.where(known, first, 1.0)) - centre
    return np.where(known, level * np.exp(intercept + slope * at), mean)


def _within(
    purchases: Purchases, own: NDArray[np.intp], start: NDArray[np.int64], span: float, rate: float
) -> NDArray[np.float64]:
    """Add up discounted money of some accounts in [start, start + span)."""
    order = by_account(purchases)
    account, day, money = purchases.account[order], purchases.day[order], purchases.money[order] / MICRO
    row = np.full(len(purchases.accounts), -1)
    row[own] = np.arange(len(own))
    at = row[account]
    kept = at >= 0
    at, after, money = at[kept], day[kept] - start[at[kept]], money[kept]
    inside = (after >= 0) & (after < span)
    worth = money[inside] * np.exp(-rate * after[inside])
    return np.bincount(at[inside], weights=worth, minlength=len(own)).astype(float)


def second_life_table(lives: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Average second lives, with what few of them allow to say.

    Returns
    -------
    pandas.DataFrame
        One row: returned (accounts that came back), complete (of them, those seen for the whole time), value, lower,
        upper (Student's t; NaN below five accounts), first_value (the same accounts after their first purchase),
        ratio, ratio_lower, ratio_upper (second to first life, on the log scale).
    """
    from scipy.stats import t

    seen = lives[lives["complete"]]
    n, value, first = len(seen), seen["value"].to_numpy(float), seen["first_value"].to_numpy(float)
    mean, before = (float(v.mean()) if n else math.nan for v in (value, first))
    row = {
        "returned": len(lives),
        "complete": n,
        "value": mean,
        "lower": math.nan,
        "upper": math.nan,
        "first_value": before,
    }
    ratio = mean / before if n and before > 0 else math.nan
    row |= {"ratio": ratio, "ratio_lower": math.nan, "ratio_upper": math.nan}
    if n >= FEWEST:
        quantile = float(t.ppf((1 + confidence) / 2, n - 1))
        half = quantile * float(value.std(ddof=1)) / math.sqrt(n)
        row |= {"lower": max(mean - half, min(0.0, float(value.min()))), "upper": mean + half}
        if ratio > 0:
            off = value / mean - first / before
            spread = quantile * float(off.std(ddof=1)) / math.sqrt(n)
            row |= {"ratio_lower": ratio * math.exp(-spread), "ratio_upper": ratio * math.exp(spread)}
    return pd.DataFrame([row])
