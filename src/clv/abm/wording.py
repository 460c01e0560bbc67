"""Money, counts and an allocation in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clv.abm.tiers import Allocation

#: a gap below this share is rounding.
NOTHING = 1e-9


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


def allocation_text(plan: Allocation, *, uplift_assumed: bool) -> str:
    """Say the decision, its proof, what binds, and what one more unit of each limit would bring."""
    table, cur = plan.table, plan.currency
    tiers = plan.by_tier[plan.by_tier["tier"] != "none"]
    taken = int(tiers["accounts"].sum())
    if taken == 0:
        decision = (
            f"No account of {len(table):,} gets a tier: within the limits, none of them returns more than it costs."
        )
    else:
        spread = listed([f"{row.accounts:,} in {row.tier}" for row in tiers.itertuples()])
        spent, gained = float(table["cost"].sum()), float(table["value"].sum())
        hours = float(table["hours"].sum())
        time = f" and {amount(hours)} hours" if hours > 0 else ""
        verb = "gets" if taken == 1 else "get"
        decision = (
            f"{accounts(taken)} of {len(table):,} {verb} a tier: {spread}. They are expected to bring"
            f" {money(gained, cur)} of additional margin for {money(spent, cur)}{time}:"
            f" {money(plan.objective, cur)} net."
        )
    if plan.gap <= NOTHING:
        proof = "No other plan within the limits brings more (proven)."
    else:
        least = money(plan.bound - plan.objective, cur)
        proof = f"It is proven that no plan within the limits brings more than {least} above this ({plan.gap:.2%})."
        if plan.status == "time limit":
            proof += " The search was stopped by its time limit; another machine may find another plan."
    text = f"{decision} {proof}{_limits(plan)}"
    if uplift_assumed:
        text += (
            "\n\nWhat a tier adds is an assumption of the study until an experiment with a control group has measured"
            " it; the plan is as sure as that assumption."
        )
    return text


def _limits(plan: Allocation) -> str:
    """Say which limits bind and what one more unit of each brings; which have room."""
    if plan.limits.empty:
        return " There were no limits."
    if plan.limits["price"].isna().any():
        return " There was no time to price the limits."
    binding = plan.limits[plan.limits["binds"]]
    columns = (binding[name].tolist() for name in ("limit", "price", "used", "allowed"))
    said = [_priced(name, p, used, most, plan.currency) for name, p, used, most in zip(*columns, strict=True)]
    loose = listed([str(name) for name in plan.limits.loc[~plan.limits["binds"], "limit"]])
    rest = f" {loose[0].upper()}{loose[1:]} would bring nothing if widened." if loose else ""
    return (f"\n\nWhat binds: {'; '.join(said)}." if said else "\n\nNo limit binds.") + rest


def _priced(name: str, each: float, used: float, allowed: float, currency: str) -> str:
    cost = f"{price(abs(each))} {currency}".rstrip()
    if name.startswith("at least"):
        return f"{name}, where each further account required would cost {cost}"
    if name.startswith("at most"):
        return f"{name}, where room for one more would bring {cost}"
    unit = "each further unit of money" if name == "budget" else "each further hour"
    return f"{name} ({amount(used)} of {amount(allowed)} used), of which {unit} would bring {cost} net"
