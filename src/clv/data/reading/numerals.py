"""Text becomes numbers: decimal signs, thousands, currency signs, minus signs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal

from clv.errors import DataError

Decimal = Literal[".", ","]

_BLANKS = "\u00a0\u202f\u2009\u2007 '’"
#: signs and codes that may stand before or after an amount, once.
_MONEY = re.compile(
    r"^(?P<minus>[-+(]?)(?:[€$£¥₽₴₸₺₹₩]|EUR|USD|GBP|CHF|RUB|JPY|PLN|CZK|SEK|NOK|DKK)?"
    r"(?P<body>.*?)(?:[€$£¥₽₴₸₺₹₩]|EUR|USD|GBP|CHF|RUB|JPY|PLN|CZK|SEK|NOK|DKK|Kč|zł|kr\.?|руб\.?|р\.)?$"
)
_ALL = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?")
#: what software writes where nobody has formatted it, and such of it as can be read one way only.
_PLAIN = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_SURE = re.compile(r"-?[0-9]{1,15}\.(?:[0-9]{1,2}|[0-9]{4,15})")
_GRAMMAR = {
    ".": re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][-+]?\d{1,3})?"),
    ",": re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+)?(?:,\d*)?(?:[eE][-+]?\d{1,3})?"),
}


def tidy(text: str) -> str:
    """Strip blanks, currency and per-cent signs, and write minus signs as ``-12``.

    ``(12.50)`` and ``12.50-`` are the accountants' minus. A per-cent sign stays at the end, for `to_float`.
    """
    text = text.strip().replace("\u2212", "-")
    for blank in _BLANKS:
        text = text.replace(blank, "")
    negative = False
    if text.startswith("(") and text.endswith(")"):
        negative, text = True, text[1:-1]
    found = _MONEY.match(text)
    if found is not None:
        sign, body = found["minus"], found["body"]
        if body.startswith(("-", "+")) and not sign:
            sign, body = body[0], body[1:]
        text = (sign if sign != "(" else "(") + body
    if text.endswith("-") and not text.startswith("-"):
        negative, text = True, text[:-1]
    return ("-" + text.lstrip("+")) if negative and not text.startswith("-") else text


def evidence(cells: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Collect what cells say about the decimal sign.

    Parameters
    ----------
    cells : iterable of str
        Distinct cells of the columns that hold numbers.

    Returns
    -------
    proof : dict
        Decimal sign -> a cell that can be read with this sign only.
    open_cells : list of str
        Cells such as ``1,234`` and ``1.234`` that can be read both ways.
    """
    proof: dict[str, str] = {}
    unclear: list[str] = []
    for cell in cells:
        if _SURE.fullmatch(cell):
            proof.setdefault(".", cell)
            continue
        if "," not in cell and "." not in cell:
            continue
        text = tidy(cell).rstrip("%")
        if not ("," in text or "." in text) or not _ALL.fullmatch(text):
            continue
        readable = [sign for sign, grammar in _GRAMMAR.items() if grammar.fullmatch(text)]
        if len(readable) == 1:
            proof.setdefault(readable[0], cell)
        elif re.match(r"[-+]?0", text):  # 0,125 has no thousands
            proof.setdefault("," if "," in text else ".", cell)
        elif len(readable) == 2:
            unclear.append(cell)
    return proof, unclear


def decide_decimal(cells: Iterable[str], *, table: str | None = None, semicolon: bool = False) -> Decimal:
    """Decide which sign is the decimal one for all number columns of a table.

    A cell that can be read one way only decides (``1.234,50``, ``12,5``). If every cell can be read both ways,
    ``1,234`` is taken as one thousand two hundred thirty-four and ``1.234`` as a little more than one, as
    English-language software writes them; in a file separated by semicolons neither is taken for granted.

    Raises
    ------
    DataError
        Cells contradict each other, or a semicolon-separated file leaves it open.
    """
    proof, unclear = evidence(cells)
    if len(proof) == 2:
        raise DataError(
            f"numbers contradict each other: {proof['.']!r} has a decimal point, {proof[',']!r} a decimal comma.",
            table=table,
            mend="Say 'decimal:' (and 'thousands:'); what does not fit is then rejected row by row.",
        )
    if proof:
        return "." if "." in proof else ","
    if unclear and semicolon:
        raise DataError(
            f"{unclear[0]!r} can be read as a thousand times as much or as little.",
            table=table,
            mend="Say 'decimal: \",\"' or 'decimal: \".\"'.",
        )
    return "."


def to_float(text: str, *, decimal: Decimal, thousands: str | None = None) -> float:
    """Read one number; NaN where the text is none (inf and nan written out are none).

    Parameters
    ----------
    text : str
        The cell.
    decimal : str
        The decimal sign.
    thousands : str, optional
        The thousands sign if told: then nothing else separates digits.
    """
    if _PLAIN.fullmatch(text) and (decimal == "." or "." not in text):
        return float(text)
    text = tidy(text)
    share = 100.0 if text.endswith("%") else 1.0
    text = text.rstrip("%")
    if not _GRAMMAR[decimal].fullmatch(text) or not any(c.isdigit() for c in text):
        return math.nan
    other = "," if decimal == "." else "."
    if thousands is not None and thousands in ".," and thousands != other:
        return math.nan
    if thousands is not None and thousands not in ".," and other in text:
        return math.nan
    value = float(text.replace(other, "").replace(decimal, "."))
    return value / share if math.isfinite(value) else math.nan
