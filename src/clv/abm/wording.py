"""Money and counts in words."""

from __future__ import annotations

import math
from collections.abc import Iterable

from clv.result import money as money
from clv.result import money_range as money_range


def amount(x: float) -> str:
    """Write a count or hours: no more decimals than needed, four significant digits below 1,000."""
    return f"{x:,.0f}" if abs(x) >= 1000 or float(x).is_integer() else f"{x:.4g}"


def price(x: float) -> str:
    """Write a price of one unit with three significant digits, without an exponent."""
    if x == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(x))))
    return f"{x:,.{min(digits, 12)}f}".replace("-", "\N{MINUS SIGN}")


def alike(row: Iterable[float]) -> list[str]:
    """Write numbers that are compared, all with the decimals that the largest needs for three significant digits."""
    values = [float(x) for x in row]
    largest = max((abs(x) for x in values if math.isfinite(x)), default=0.0)
    digits = min(12, max(0, 2 - math.floor(math.log10(largest)))) if largest > 0 else 0
    said = [f"{round(x, digits) + 0.0:,.{digits}f}" if math.isfinite(x) else "–" for x in values]
    return [one.replace("-", "\N{MINUS SIGN}") for one in said]


def listed(parts: list[str]) -> str:
    """Join with commas and a last "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def accounts(n: int) -> str:
    """Write "1 account", "2 accounts"."""
    return f"{n:,} account" if n == 1 else f"{n:,} accounts"
