"""Lines of transactions that the study's rules set aside, and credits set against purchases."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.data.accounting.bookkeeping import Ledger
from clv.data.accounting.ledger import MICRO, to_micros
from clv.data.accounting.netting import net_credits
from clv.data.accounting.rules import find
from clv.data.settings import Rules


def set_aside(
    ledger: Ledger, frame: pd.DataFrame, duplicated: np.ndarray, rules: Rules
) -> tuple[pd.DataFrame, np.ndarray]:
    """Book what the rules set aside, and net credits.

    Parameters
    ----------
    ledger : Ledger
        Rows that cannot be read are booked already.
    frame : pandas.DataFrame
        Canonical columns of all rows.
    duplicated : numpy.ndarray
        bool per row: equal to an earlier row in every column of the source.
    rules : Rules
        The study's choices.

    Returns
    -------
    frame : pandas.DataFrame
        With amounts after netting; a purchase's quantity shrinks in the same proportion, so that quantity × price
        remains the amount.
    taken : numpy.ndarray
        int64 per row: by how many millionths the amount is less than what was read.
    """
    taken = np.zeros(len(frame), dtype="int64")
    findings = {finding.rule: finding for finding in find(frame, duplicated, rules)}
    credit_notes = findings.pop("credits")
    for finding in findings.values():
        ledger.reject(finding.rule, "rule", finding.mask, finding.reason, remove=finding.remove)
    micros, credit = ledger.micros, credit_notes.mask & ledger.open
    if rules.credits != "drop":
        ledger.reject("credits", "rule", credit_notes.mask, credit_notes.reason, remove=False)
    if rules.credits == "net":
        netting = net_credits(frame, micros, credit, ledger.open)
        left = np.abs(micros) - netting.used
        whole = credit & (left == 0)
        gone = ~credit & (netting.taken > 0) & (netting.taken == micros)
        ledger.reject("credits_netted", "rule", whole, "set against purchases of the same account and product")
        reasons = {
            at: f"a credit of {abs(micros[at]) / MICRO:,.2f}, of which {left[at] / MICRO:,.2f} finds no earlier "
            "purchase of the same account and product"
            for at in np.flatnonzero(credit & ~whole).tolist()
        }
        ledger.reject("credits_unmatched", "rule", credit & ~whole, reasons)
        ledger.reject("purchases_cancelled", "rule", gone, "cancelled in full by later credits")
        taken = np.where(ledger.open, netting.taken, 0)
    elif rules.credits == "keep":
        # Some software writes credits as positive amounts; kept, they are negative.
        taken = np.where(credit & (micros > 0), 2 * micros, 0)
    else:
        ledger.reject("credits", "rule", credit_notes.mask, credit_notes.reason)
    if taken.any():
        after = micros - taken
        factor = np.divide(after, micros, out=np.ones(len(micros)), where=taken != 0)
        frame = frame.assign(amount=np.where(taken != 0, after / MICRO, frame["amount"]))
        # Beyond some 9e9 a float cannot hold every millionth: the books follow what the table can say.
        taken = np.where(taken != 0, micros - to_micros(frame["amount"].to_numpy()), 0)
        if "quantity" in frame:
            frame["quantity"] = frame["quantity"] * factor
    return frame, taken
