"""Money and counts in words."""

from __future__ import annotations

import math


def money(x: float, currency: str = "") -> str:
    """Write money: whole from 100 up, to the cent below, with a proper minus sign.

    Examples
    --------
    >>> money(12345.6, "EUR"), money(-3.456), money(0.0), money(-0.001)
    ('12,346 EUR', '−3.46', '0', '0')
    """
    digits = 0 if abs(x) >= 99.995 or round(x, 2) == 0 else 2
    text = f"{x:,.{digits}f}"
    text = "0" if text.strip("-") == "0" else text.replace("-", "\N{MINUS SIGN}")
    return f"{text} {currency}".rstrip()


def amount(x: float) -> str:
    """Write a count or hours: no more decimals than needed, four significant digits below 1,000."""
    return f"{x:,.0f}" if abs(x) >= 1000 or float(x).is_integer() else f"{x:.4g}"


def price(x: float) -> str:
    """Write a price of one unit with three significant digits, without an exponent."""
    if x == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(x))))
    return f"{x:,.{min(digits, 12)}f}".replace("-", "\N{MINUS SIGN}")


def listed(parts: list[str]) -> str:
    """Join with commas and a last "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def accounts(n: int) -> str:
    """Write "1 account", "2 accounts"."""
    return f"{n:,} account" if n == 1 else f"{n:,} accounts"
