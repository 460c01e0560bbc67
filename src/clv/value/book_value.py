"""One book: what accounts bring by purchases and by contracts, every margin counted once (rule B1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.data.units import days_per_unit
from clv.errors import DataError, SettingsError
from clv.result import money
from clv.value.estimation.checks import Floats
from clv.value.lifetime import LifetimeValue
from clv.value.lifetime_text import concentrated, total_words


@dataclass(frozen=True, eq=False)
class BookValue(LifetimeValue):
    """Values of all accounts, from purchases and contracts together.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id; p_alive, expected_purchases, expected_spend, expected_renewals, clv_transactions,
        clv_contracts, clv (their sum), lower, upper. What an account does not have counts 0.
    draws : ndarray of float32, shape (accounts, draws), or None
        Sums, draw by draw; None unless both parts have draws.
    """


def book_value(transactional: LifetimeValue, contractual: LifetimeValue, *, currency: str = "") -> BookValue:
    """Add the values of purchases and of contracts, account by account and draw by draw.

    Parameters
    ----------
    transactional : LifetimeValue
        From `clv.lifetime_value`, of purchases that are no contract payments.
    contractual : LifetimeValue
        From `clv.contract_value`, over the same time, at the same discount rate, with as many draws.
    currency : str
        Written behind money in the text.

    Returns
    -------
    BookValue
        One row for each account that has either; those that buy first, in their order, then those with contracts only.

    Raises
    ------
    clv.errors.SettingsError
        If the two were valued over different times or at different rates, or their intervals cannot be added.
    clv.errors.DataError
        If an account occurs twice in one of them.

    Notes
    -----
    *Counted once.* A margin must not be in both parts. Where the payments of contracts are also invoiced in
    `transactions`, the study says which lines these are (``rules: {contract_items: [...], contract_invoices: ...}``):
    they are set aside as ``contract_payments`` when the transactions are read, and counted in the reconciliation.
    Where it says nothing, no line is taken for a contract's payment, and the two add up;
    `clv.contract_payments` lists lines that look like one.

    *Alive* is who may still bring money by either way: 1 − (1 − p)(1 − q), purchases and renewals being independent
    given what is known of the account. The same assumption makes draws of the two additive, so that lower and upper
    are quantiles of sums, not sums of quantiles.
    """
    _check(transactional, contractual)
    one, two = transactional.table, contractual.table
    for name, table in (("transactional", one), ("contractual", two)):
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()][0]
            raise DataError(f"account {twice!r} occurs twice.", mend="Give one row an account.", table=name)
    accounts = one.index.append(two.index.difference(one.index)).rename("account_id")
    buys, has = one.reindex(accounts), two.reindex(accounts)
    table = pd.DataFrame({"p_alive": 1 - (1 - buys["p_alive"].fillna(0.0)) * (1 - has["p_alive"].fillna(0.0))})
    table["expected_purchases"] = buys["expected_purchases"].fillna(0.0)
    table["expected_spend"] = buys["expected_spend"].fillna(0.0)
    table["expected_renewals"] = has["expected_purchases"].fillna(0.0)
    table["clv_transactions"] = buys["clv"].fillna(0.0)
    table["clv_contracts"] = has["clv"].fillna(0.0)
    table["clv"] = table["clv_transactions"] + table["clv_contracts"]
    table["lower"] = table["upper"] = np.nan
    draws = None
    if transactional.draws is not None and contractual.draws is not None:
        draws = np.zeros((len(accounts), transactional.draws.shape[1]), dtype=np.float32)
        draws[: len(one)] = transactional.draws
        draws[accounts.get_indexer(two.index)] += contractual.draws
        table["lower"], table["upper"] = _limits(draws, transactional.confidence)
    sales = [part.table["clv"].sum() / part.margin for part in (transactional, contractual)]
    margin = transactional.margin
    if contractual.margin != margin:
        margin = float(table["clv"].sum() / sum(sales)) if sum(sales) else float("nan")
    return BookValue(
        table, _sentences(table, draws, transactional, len(one.index.intersection(two.index)), currency), draws,
        transactional.horizon, transactional.unit, transactional.discount_rate, margin, transactional.confidence,
        transactional.interval,
    )  # fmt: skip


def _check(one: LifetimeValue, two: LifetimeValue) -> None:
    """Refuse to add what was not valued alike."""
    days, days_too = (part.horizon * days_per_unit(part.unit or "") for part in (one, two))
    for name, left, right in (
        ("horizon (in days)", days, days_too),
        ("discount_rate", one.discount_rate, two.discount_rate),
    ):
        if not math.isclose(left, right, rel_tol=1e-12):
            raise SettingsError(f"{name} is {left:g} in one part and {right:g} in the other.", mend="Value both alike.")
    if one.draws is None or two.draws is None:
        if (one.draws is None) != (two.draws is None):
            raise SettingsError("one part has draws and the other has none.", mend="Value both with the same draws.")
        return
    for name, first, second in (
        ("interval", one.interval, two.interval),
        ("confidence", one.confidence, two.confidence),
        ("draws", one.draws.shape[1], two.draws.shape[1]),
    ):
        if first != second:
            raise SettingsError(f"{name} is {first} in one part and {second} in the other.", mend="Value both alike.")


def _limits(draws: np.ndarray, confidence: float) -> Floats:
    """Return lower and upper of each row, a block of rows at a time: draws are many."""
    tail, out = (1 - confidence) / 2, np.empty((2, len(draws)))
    block = max(1, 4_000_000 // draws.shape[1])
    for start in range(0, len(draws), block):
        rows = slice(start, start + block)
        out[:, rows] = np.quantile(draws[rows].astype(float), [tail, 1 - tail], axis=1)
    return out


def _sentences(table: pd.DataFrame, draws: np.ndarray | None, part: LifetimeValue, both: int, currency: str) -> str:
    """Say what the book is worth, what each part of it is, and who has both."""
    said = "1 account is" if len(table) == 1 else f"{len(table):,} accounts are"
    said += " expected to bring a discounted contribution margin of "
    said += total_words(
        table["clv"], draws, part.horizon, part.unit, part.confidence, part.interval, currency
    ) + concentrated(table["clv"])
    buys, holds = (float(table[column].sum()) for column in ("clv_transactions", "clv_contracts"))
    return (
        f"{said}\n\nOf this, {money(buys, currency)} come from purchases and {money(holds, currency)} from"
        f" contracts; {both:,} {'account has' if both == 1 else 'accounts have'} both. A margin is counted once: what"
        " the study names as payments of contracts is not among the purchases."
    )
