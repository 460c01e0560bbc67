"""Invoices that look like payments of contracts: a margin must not be counted with the contract and as a purchase."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.errors import DataError
from clv.result import Result

#: a term's money is paid whole, half-yearly, quarterly or monthly.
_PARTS = (1, 2, 4, 12)


def contract_payments(transactions: pd.DataFrame, contracts: pd.DataFrame, *, days: int = 31) -> Result:
    """List purchases whose money is that of one of the account's contracts, while it runs.

    An invoice (all lines of an account with one invoice number, else of one day) looks like a payment if its sum is,
    to the cent, the value of a term of its account, or a half, a quarter or a twelfth of it, and it is dated within
    the term, or at most `days` before or after. Nothing is changed: the study decides, by ``contract_items`` or
    ``contract_invoices`` in its rules.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Accepted lines: account_id, date, amount, and invoice where there is one.
    contracts : pandas.DataFrame
        contract_id, account_id, start, end, value.
    days : int
        How long before or after its term a payment may be.

    Returns
    -------
    Result
        ``table``: account_id, date, invoice (missing if there is none), amount, contract_id, part (1, 2, 4 or 12: the
        share of the term's money), one row an invoice, in order of date.

    Raises
    ------
    clv.errors.DataError
        If a column is missing.
    """
    for name, table, needed in (
        ("transactions", transactions, ("account_id", "date", "amount")),
        ("contracts", contracts, ("contract_id", "account_id", "start", "end", "value")),
    ):
        for column in needed:
            if column not in table.columns:
                raise DataError("the column is missing.", mend="Rename or add it.", table=name, column=column)
    invoices = _invoices(transactions)
    terms = contracts[["contract_id", "account_id", "start", "end", "value"]]
    pairs = invoices.merge(terms[terms["value"] > 0], on="account_id")
    slack = pd.Timedelta(days=days)
    pairs = pairs[(pairs["date"] >= pairs["start"] - slack) & (pairs["date"] <= pairs["end"] + slack)]
    sums, values = pairs["amount"].to_numpy(), pairs["value"].to_numpy(dtype=float)
    alike = np.array([np.abs(sums - values / part) < 0.00501 for part in _PARTS]).reshape(len(_PARTS), len(pairs))
    place = np.flatnonzero(alike.any(axis=0))
    pairs = pairs.assign(part=np.array(_PARTS)[alike.argmax(axis=0)]).iloc[place]
    found = pairs.sort_values(["date", "account_id", "start", "contract_id"], kind="stable")
    found = found.drop_duplicates(["account_id", "date", "invoice"], ignore_index=True)
    found = found[["account_id", "date", "invoice", "amount", "contract_id", "part"]]
    return Result(found, _sentence(found, len(invoices)))


def _invoices(transactions: pd.DataFrame) -> pd.DataFrame:
    """Add up the lines of each invoice; of each day where there is no number."""
    lines = transactions.assign(date=transactions["date"].dt.normalize())
    if "invoice" not in lines:
        lines = lines.assign(invoice=None)
    grouped = lines.groupby(["account_id", "date", "invoice"], dropna=False, sort=False)["amount"].sum()
    return grouped.reset_index()


def _sentence(found: pd.DataFrame, invoices: int) -> str:
    if not len(found):
        return f"None of {invoices:,} invoices looks like the payment of a contract, so no margin is counted twice."
    who, money = f"{len(found):,} of {invoices:,} invoices", found["amount"].sum()
    return (
        f"{who}, of {found['account_id'].nunique():,} accounts and {money:,.0f} in all, have the very sum of a contract"
        " of their account, or of a part of it. If they pay for the contract, their margin is counted twice: name them"
        " in the study, by 'rules: {contract_items: [...]}' (product codes) or 'rules: {contract_invoices: ...}'"
        " (invoice numbers)."
    )
