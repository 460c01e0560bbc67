"""Named rules for lines that can be read but are no plain purchases.

The rules apply in a fixed order, and a line is counted under the first that it meets: missing account, exact
duplicate, negative price, zero price, pseudo-item, contract payment, credit. Each can be overridden in
`clv.data.settings.Rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.data.settings import Rules
from clv.errors import SettingsError


@dataclass(frozen=True, eq=False)
class Finding:
    """Lines that meet a rule, whatever else they meet.

    Attributes
    ----------
    rule : str
        Its name.
    mask : numpy.ndarray
        bool per line.
    reason : str
        Why such a line is no purchase, and what changes that.
    remove : bool
        Whether the study has it removed; a rule that is off is still counted.
    """

    rule: str
    mask: np.ndarray
    reason: str
    remove: bool


def find(table: pd.DataFrame, duplicated: np.ndarray, rules: Rules) -> list[Finding]:
    """Apply all rules but netting.

    Parameters
    ----------
    table : pandas.DataFrame
        Canonical columns of transactions; missing where a cell could not be read.
    duplicated : numpy.ndarray
        bool per line: equal to an earlier line in every column of the source.
    rules : Rules
        The study's choices.

    Returns
    -------
    list of Finding
        In order of precedence. Credits come last; lines with a negative or zero price are not among them.

    Raises
    ------
    SettingsError
        A pattern is no regular expression.
    """
    amount = table["amount"].to_numpy(dtype=float)
    price = table["unit_price"].to_numpy(dtype=float) if "unit_price" in table else np.full(len(table), np.nan)
    negative = price < 0
    zero = (price == 0) | (amount == 0)
    credit = (amount < 0) & ~negative
    if "quantity" in table:
        credit |= (table["quantity"].to_numpy(dtype=float) < 0) & ~zero & ~negative
    if rules.credit_pattern is not None and "invoice" in table:
        pattern = _compiled(rules.credit_pattern, "rules.credit_pattern")
        credit |= _where(table["invoice"], lambda text: pattern.search(text) is not None)
    pseudo = _listed(table, rules.pseudo_items, "pseudo_items")
    paid = _listed(table, rules.contract_items, "contract_items")
    if rules.contract_invoices is not None and "invoice" in table:
        invoiced = _compiled(rules.contract_invoices, "rules.contract_invoices")
        paid |= _where(table["invoice"], lambda text: invoiced.search(text) is not None)
    return [
        Finding(
            "missing_account",
            table["account_id"].isna().to_numpy(dtype=bool),
            "no account: nobody's purchase can be told from it",
            rules.missing_account == "set_aside",
        ),
        Finding(
            "duplicates",
            duplicated,
            "equal to an earlier row in every column; 'duplicates: keep' keeps such rows",
            rules.duplicates == "drop",
        ),
        Finding(
            "negative_prices",
            negative,
            "the price is negative, as in a correction of the books; 'negative_prices: keep' keeps such rows",
            rules.negative_prices == "drop",
        ),
        Finding(
            "zero_prices",
            zero,
            "no money: the price or the amount is zero; 'zero_prices: keep' keeps such rows",
            rules.zero_prices == "drop",
        ),
        Finding("pseudo_items", pseudo, "not goods: the product is listed in 'pseudo_items'", True),
        Finding(
            "contract_payments",
            paid,
            "a payment of a contract, by 'contract_items' or 'contract_invoices': its margin is counted there",
            True,
        ),
        Finding(
            "credits",
            credit,
            "a cancellation or credit note; 'credits: net' sets it against the purchase that it cancels",
            rules.credits == "drop",
        ),
    ]


def _listed(table: pd.DataFrame, codes: list[str], rule: str) -> np.ndarray:
    """Say which lines are of products that a rule lists."""
    patterns = [_compiled(pattern, f"rules.{rule}.{at}") for at, pattern in enumerate(codes)]
    if patterns and rule == "contract_items" and "product" not in table:
        raise SettingsError(
            "rules.contract_items: the transactions have no column 'product', so no line can be told by it.",
            mend="Map the column, or tell payments of contracts by 'contract_invoices'.",
        )
    if not patterns or "product" not in table:
        return np.zeros(len(table), dtype=bool)
    return _where(table["product"], lambda text: any(pattern.fullmatch(text) for pattern in patterns))


def _compiled(pattern: str, path: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as fault:
        raise SettingsError(
            f"{path}: {pattern!r} is no regular expression ({fault}).",
            mend="Write e.g. '^C' for codes that begin with C.",
        ) from None


def _where(column: pd.Series, test: Callable[[str], bool]) -> np.ndarray:
    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    return np.array([test(str(text)) for text in distinct] + [False])[codes]
