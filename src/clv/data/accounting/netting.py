"""Credit notes against purchases.

A credit (cancellation, return, credit note) is taken off the purchases of the same account and product that are
not later than it, the latest first: what comes back is mostly what was bought last. A credit may take part of a
purchase, or all of several. What finds no purchase, because it was made before the data begin, is left over and
takes nothing off other purchases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Netting:
    """Who took what, in millionths of the currency.

    Attributes
    ----------
    taken : numpy.ndarray
        int64 per row: what credits take off this purchase.
    used : numpy.ndarray
        int64 per row: how much of this credit found a purchase.
    """

    taken: np.ndarray
    used: np.ndarray


def net_credits(table: pd.DataFrame, money: np.ndarray, credit: np.ndarray, eligible: np.ndarray) -> Netting:
    """Net credits against purchases.

    Parameters
    ----------
    table : pandas.DataFrame
        `account_id` and `date`, and `product` where products are known; one row a line.
    money : numpy.ndarray
        int64 per row, millionths. The size of a credit is its absolute value: some software writes credit
        notes as positive amounts.
    credit : numpy.ndarray
        bool per row: a credit, not a purchase.
    eligible : numpy.ndarray
        bool per row: takes part at all.

    Returns
    -------
    Netting
        The sums of `taken` and `used` are equal. Only groups with a credit are touched, so the cost grows with
        the number of credits rather than of lines.
    """
    taken = np.zeros(len(table), dtype="int64")
    used = np.zeros(len(table), dtype="int64")
    if not (credit & eligible).any():
        return Netting(taken, used)
    keys = [table["account_id"]] + ([table["product"]] if "product" in table else [])
    group = np.zeros(len(table), dtype="int64")
    for key in keys:
        # An unknown product is a product of its own: it matches lines of unknown product only.
        codes, distinct = pd.factorize(key, use_na_sentinel=True)
        group = group * (len(distinct) + 1) + np.where(codes < 0, len(distinct), codes)
    touched = eligible & (credit | (money > 0)) & np.isin(group, group[credit & eligible])
    at = np.flatnonzero(touched)
    dates = table["date"].to_numpy(dtype="datetime64[ns]")
    # Within one moment purchases come before credits: a day without times says nothing about their order.
    order = at[np.lexsort((at, credit[at], dates[at], group[at]))]
    stack: list[list[int]] = []
    current = -1
    for row, owner, is_credit, size in zip(
        order.tolist(), group[order].tolist(), credit[order].tolist(), np.abs(money[order]).tolist(), strict=True
    ):
        if owner != current:
            stack, current = [], owner
        if not is_credit:
            stack.append([row, size])
            continue
        left = size
        while left and stack:
            purchase, open_amount = stack[-1]
            part = min(left, open_amount)
            taken[purchase] += part
            left -= part
            if part == open_amount:
                stack.pop()
            else:
                stack[-1][1] = open_amount - part
        used[row] = size - left
    if int(taken.sum()) != int(used.sum()):
        raise AssertionError("what credits took and what purchases gave differ")
    return Netting(taken, used)
