"""A plan under uncertainty in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.abm.wording import accounts, listed, money

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.robust.curse import Curse
    from clv.abm.robust.sensitivity import Sensitivity
    from clv.abm.robust.uncertainty import RobustAllocation

ALL = "all tiers"
#: a tier that is best in fewer draws than this is no sure one.
_SURE = 0.5
#: differences below this share are not worth a sentence.
_NOTHING = 0.005


def _by_plan(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    return {str(row.pop("plan")): row for row in table.to_dict("records")}  # type: ignore[misc]


def robust_text(found: RobustAllocation) -> str:
    """Say what the plan brings and may bring, how sure its choices are, and what knowing more is worth."""
    cur = found.currency
    plans = _by_plan(found.plans)
    own = plans["expected"]
    loss = f" It loses money in {own['loss']:.0%} of the draws." if own["loss"] > 0 else ""
    unsure = int((found.table["probability"] < _SURE).sum())
    said = [
        f"The plan with the largest expected return puts {accounts(int(own['accounts']))} of {len(found.table):,} into"
        f" a tier and is expected to bring {money(own['expected'], cur)} net; in nine of ten draws between"
        f" {money(own['lower'], cur, beside=own['upper'])} and {money(own['upper'], cur, beside=own['lower'])}.{loss}",
        f"{accounts(unsure)} {'has' if unsure == 1 else 'have'} in it a tier that is best for"
        f" {'it' if unsure == 1 else 'them'} in fewer than half of the draws."
        if unsure
        else "What each account gets in it is best for it in half of the draws or more.",
        _information(found, abs(float(own["expected"]))),
        _averse(found),
        _stated(found),
    ]
    return "\n\n".join(part for part in said if part)


def _information(found: RobustAllocation, whole: float) -> str:
    cur = found.currency
    share = f", {found.evpi / whole:.1%} of the return" if whole > 0 else ""
    more = ""
    if found.evpi_bound - found.evpi > _NOTHING * max(found.evpi, 1e-300):
        more = f" (at most {money(found.evpi_bound, cur)}, by the bounds)"
    text = (
        f"If all values were known beforehand, planning by them would bring {money(found.evpi, cur)} more on"
        f" average{share}{more}: no research about these values is worth more than that."
    )
    known = found.information[found.information["value"] > _NOTHING * found.evpi]
    top = known[known["kind"] != "parameters"].head(3)
    if len(top):
        columns = (top[c].tolist() for c in ("learn", "kind", "accounts", "value"))
        parts = [
            f"{learn} ({accounts(n)}) {money(value, cur)}" if kind == "accounts" else f"{learn} {money(value, cur)}"
            for learn, kind, n, value in zip(*columns, strict=True)
        ]
        text += f" To know in advance would be worth, each alone: {listed(parts)}."
        together = known.loc[known["kind"] == "parameters", "value"]
        if len(together):
            text += f" All effects of tiers together: {money(float(together.iloc[0]), cur)}."
    elif len(found.information):
        text += " None of the groups or parameters asked about is worth learning alone."
    return text


def _averse(found: RobustAllocation) -> str:
    plans = _by_plan(found.plans)
    if "risk-averse" not in plans:
        return ""
    cur, own, averse = found.currency, plans["expected"], plans["risk-averse"]
    tail = f"In the worst {1 - found.level:.0%} of the draws"
    gained = averse["shortfall"] - own["shortfall"]
    if gained <= _NOTHING * abs(own["shortfall"]):
        return f"{tail} the plan brings {money(own['shortfall'], cur)} on average, and hardly any plan brings more."
    moved = int((found.table["averse"] != found.table["tier"]).sum())
    return (
        f"{tail} the plan brings {money(own['shortfall'], cur)} on average. A risk-averse plan, which changes"
        f" {accounts(moved)}, brings {money(averse['shortfall'], cur)} there, and"
        f" {money(own['expected'] - averse['expected'], cur)} less in expectation."
    )


def _stated(found: RobustAllocation) -> str:
    plans = _by_plan(found.plans)
    if "as stated" not in plans:
        return ""
    stated, cur = plans["as stated"], found.currency
    if abs(stated["promised"] - stated["expected"]) <= 2 * _NOTHING * abs(stated["expected"]):
        return ""
    return (
        f"A plan by the values as they are stated would promise {money(stated['promised'], cur)} and bring"
        f" {money(stated['expected'], cur)}."
    )


def curse_text(found: Curse) -> str:
    """Say what plans by raw and by shrunk estimates promise and bring."""
    cur, table = found.currency, _by_plan(found.table)
    raw, shrunk, true = table["raw estimates"], table["shrunk estimates"], table["true values"]
    excess = raw["promised"] - raw["realised"]
    more = money(abs(shrunk["realised"] - raw["realised"]), cur)
    verb = "more" if shrunk["realised"] >= raw["realised"] else "less"
    return (
        f"Planning by raw estimates promises {money(raw['promised'], cur)} and brings {money(raw['realised'], cur)}:"
        f" {money(abs(excess), cur)} {'too much' if excess >= 0 else 'too little'} is promised, since what looks"
        " best is partly what was overestimated. Planning by shrunk estimates promises"
        f" {money(shrunk['promised'], cur)} and brings {money(shrunk['realised'], cur)}, {more} {verb}."
        f" With true values known one could have {money(true['realised'], cur)}."
        f" Means of {found.rounds:,} simulated estimations."
    )


def sensitivity_text(found: Sensitivity, net: float) -> str:
    """Say what keeping to the plan costs if beliefs are off, and from where on it changes."""
    cur, said = found.currency, []
    for off in (0.25, 0.5):
        near = found.table[(found.table["tier"] != ALL) & ((found.table["factor"] - 1).abs() <= off + 1e-9)]
        if (near["factor"] == 1).all():
            continue
        tier, factor, kept, best, regret = (near[c].tolist() for c in ("tier", "factor", "kept", "best", "regret"))
        k = regret.index(max(regret))
        if regret[k] > _NOTHING * abs(net):
            word = f"{abs(factor[k] - 1):.0%} {'less' if factor[k] < 1 else 'more'}"
            said.append(
                f"With what one tier adds off by up to {off:.0%}, keeping to this plan costs at most"
                f" {money(regret[k], cur)}: where {tier[k]} adds {word}, it brings {money(kept[k], cur)} and the best"
                f" plan would bring {money(best[k], cur)}."
            )
        else:
            said.append(f"With what one tier adds off by up to {off:.0%}, this plan is still as good as any.")
    ways = []
    for name, down, up in zip(*(found.breaks[c].tolist() for c in ("tier", "down", "up")), strict=True):
        some = [*([f"{1 - down:.0%} less"] if down == down else []), *([f"{up - 1:.0%} more"] if up == up else [])]
        if some:
            ways.append(f"{f'{ALL} add' if name == ALL else f'{name} adds'} {' or '.join(some)}")
    share = f"more than {found.change:.0%} of its accounts would get another tier"
    said.append(
        f"From where on {share}: {'; '.join(ways)} than believed."
        if ways
        else f"Nowhere in the range that was tried {share}."
    )
    return " ".join(said)


def learn_text(table: pd.DataFrame, currency: str) -> str:
    """Say about which accounts it pays to learn more."""
    worth = table[table["worth"] > 0]
    if worth.empty:
        return "Whatever one learnt about a single account, its tier would stay the same."
    first = worth.iloc[0]
    many = int((worth["worth"] >= 0.1 * first["worth"]).sum())
    return (
        f"The account most worth knowing better is {first['account_id']}: to know beforehand what it would bring is"
        f" worth up to {money(float(first['worth']), currency)}. For {accounts(many)} it is a tenth of that or more."
    )
