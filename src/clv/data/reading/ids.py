"""Ids: text, whatever they look like."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pandas as pd

from clv.data.reading.cell_text import Coded
from clv.data.reading.columns import Fault
from clv.data.settings import Rules

#: longer ids are a sign of a shifted column or of pasted text.
LONGEST_ID = 200

_EXCEL_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"})
_SIGNED = re.compile(r"[-+][\d.,\s]*")


def convert_ids(cells: Coded, filled: np.ndarray, column: str, rules: Rules) -> tuple[pd.Series, list[Fault]]:
    """Convert ids: text, stripped, in Unicode's composed form; ``17850.0`` from a number column is ``17850``.

    Parameters
    ----------
    cells : Coded
        Text or native values.
    filled : numpy.ndarray
        bool per row: not empty.
    column : str
        Name for messages.
    rules : Rules
        `unsafe_ids` says what happens to ids that a page would read as markup or a spreadsheet as a formula.

    Returns
    -------
    values : pandas.Series
        Objects, None where empty.
    faults : list of Fault
        Ids that are too long, hold control characters, are a spreadsheet's errors, or are unsafe.
    """
    values = cells.each(_composed, filled)
    # Nearly all ids are letters and digits; only the others are looked at closely.
    odd = {text: _composed(text) for text in cells.texts if not (text.isascii() and text.isalnum() and len(text) < 200)}

    def where(test: Callable[[str], bool]) -> np.ndarray:
        failing = {text for text, composed in odd.items() if composed and test(composed)}
        return cells.where(failing.__contains__) if failing else np.zeros(len(values), dtype=bool)

    faults = [
        Fault("id_length", column, where(lambda t: len(t) > LONGEST_ID), f"is longer than {LONGEST_ID} characters",
              "check that the columns have not shifted"),
        Fault("control_characters", column, where(_has_controls), "contains control characters", "remove them"),
        Fault("excel_error", column, where(_EXCEL_ERRORS.__contains__), "is an error of the spreadsheet",
              "mend the formula"),
    ]  # fmt: skip
    if rules.unsafe_ids == "error":
        faults.append(
            Fault("unsafe_ids", column, where(_unsafe), "could be read as markup or as a formula",
                  "correct it, or say 'unsafe_ids: keep' if it is a real id")
        )  # fmt: skip
    return pd.Series(values, index=cells.cells.index, dtype=object), [f for f in faults if f.mask.any()]


def _composed(text: str) -> str:
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _has_controls(text: str) -> bool:
    # Cc: control characters; Cf: invisible ones, which also turn the direction of writing; line separators.
    return any(unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"} for c in text)


def _unsafe(text: str) -> bool:
    return (
        text.startswith(("=", "@", "\t"))
        or "<" in text
        or ">" in text
        or (text.startswith(("+", "-")) and not _SIGNED.fullmatch(text))
    )
