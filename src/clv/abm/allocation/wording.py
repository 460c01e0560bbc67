"""An allocation in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.abm.wording import accounts, amount, listed, money, price

if TYPE_CHECKING:
    from clv.abm.tiers import Allocation

#: a gap below this share is rounding.
NOTHING = 1e-9
#: how the cap on one account's share is called where it had to be kept.
CAP = "no account above"
#: more limits than this are not all named.
_NAMED = 6


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
    said = [decision, proof, *_more(plan)]
    text = f"{' '.join(said)}{_limits(plan)}"
    if uplift_assumed:
        text += (
            "\n\nWhat a tier adds is an assumption of the study until an experiment with a control group has measured"
            " it; the plan is as sure as that assumption."
        )
    return text


def _more(plan: Allocation) -> list[str]:
    """Say which clusters are opened, and how many accounts are held out."""
    said = []
    if len(plan.clusters):
        n, cost = len(plan.clusters), float(plan.clusters["cost"].sum())
        fee = f" for {money(cost, plan.currency)} in all" if cost else ""
        said.append(f"{n:,} cluster{' is' if n == 1 else 's are'} opened in {plan.clusters['tier'].iloc[0]}{fee}.")
    if len(plan.holdout):
        said.append(holdout_sentence(plan))
    return said


def holdout_sentence(plan: Allocation) -> str:
    """Say how many accounts are held out."""
    return f"{accounts(len(plan.holdout))} left out at random, so that the effect of tiers can be measured."


def _limits(plan: Allocation) -> str:
    """Say which limits bind and what one more unit of each brings; which have room."""
    if plan.limits.empty:
        return " There were no limits."
    if plan.limits["price"].isna().any():
        return " There was no time to price the limits."
    binding = plan.limits[plan.limits["binds"]]
    if len(binding) > _NAMED:
        # Those whose whole allowance is worth most, in their order.
        weight = (binding["price"].abs() * binding["allowed"].abs().clip(lower=1)).sort_values(ascending=False)
        binding = binding.loc[weight.index[:_NAMED].sort_values()]
    more = int(plan.limits["binds"].sum()) - len(binding)
    columns = (binding[name].tolist() for name in ("limit", "price", "used", "allowed"))
    said = [_priced(name, p, used, most, plan.currency) for name, p, used, most in zip(*columns, strict=True)]
    if more:
        said.append(f"and {more:,} more")
    free = [str(name) for name in plan.limits.loc[~plan.limits["binds"], "limit"]]
    loose = listed(free if len(free) <= _NAMED else [*free[: _NAMED - 1], f"{len(free) - _NAMED + 1:,} other limits"])
    rest = f" {loose[0].upper()}{loose[1:]} would bring nothing if widened." if loose else ""
    return (f"\n\nWhat binds: {'; '.join(said)}." if said else "\n\nNo limit binds.") + rest


def _priced(name: str, each: float, used: float, allowed: float, currency: str) -> str:
    cost = f"{price(abs(each))} {currency}".rstrip()
    if name.startswith("at least"):
        return f"{name}, where each further account required would cost {cost}"
    if name.startswith("at most"):
        return f"{name}, where room for one more would bring {cost}"
    if name.startswith(CAP):
        return f"{name} (the largest brings {100 * used:.3g}%)"
    if name.startswith("planned margin"):
        return f"{name}, where each unit less would bring {cost}"
    if name == "budget" or name.startswith("hours"):
        unit = "each further unit of money" if name == "budget" else "each further hour"
        return f"{name} ({amount(used)} of {amount(allowed)} used), of which {unit} would bring {cost} net"
    return f"{name}, where one more would bring {cost}"
