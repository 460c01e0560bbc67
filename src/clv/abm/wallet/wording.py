"""Wallets in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.wallet.quantile import FEWEST
from clv.abm.wallet.surveys import FEWEST_RATIO
from clv.abm.wording import accounts, money, money_range

if TYPE_CHECKING:
    from clv.abm.wallet.potential import WalletPotential

_METHODS = {
    "all customers": "all customers alike, since firmographics do not foretell more",
    "linear": "similar customers (quantile regression)",
    "trees": "similar customers (boosted trees)",
}


def wallet_text(found: WalletPotential, customers: int, surveyed: int, method: str | None, confidence: float) -> str:
    """Say how much of the demand is ours, where the room is, on what that rests, and what is wrong in the data."""
    table, currency = found.table, found.currency
    known = table[table["potential"].notna()]
    parts = []
    if len(known):
        ours, whole = float(known["sales"].clip(lower=0).sum()), float(known["potential"].sum())
        bought = known[known["sales"] > 0]
        text = f"{accounts(len(known))} need {money(whole, currency)} a year of what we sell"
        text = text.replace(" account need ", " account needs ") + f"; {ours / whole:.0%} of it is ours."
        if len(bought):
            share = bought["sales"].sum() / bought["potential"].sum()
            text += (
                f" Customers buy {share:.0%} of their need from us (the middle one {bought['share'].median():.0%}), "
                f"and could buy {money(float(bought['growth_room'].sum()), currency)} more."
            )
        best = known["growth_room"].sort_values(ascending=False, kind="stable").head(1)
        row = known.loc[best.index[0]]
        text += (
            f" Most room has {best.index[0]}: {money(float(row['growth_room']), currency)} ({confidence:.0%} interval "
            f"{money_range(float(row['room_lower']), float(row['room_upper']), currency)})."
        )
        parts.append(text)
    if method is None:
        parts.append(
            f"Potential is not estimated: {customers:,} accounts bought in the last year, and it takes {FEWEST} to "
            f"compare with. {surveyed:,} surveyed wallets are all that is known."
        )
    else:
        estimated = int((table["source"] == "estimate").sum())
        text = (
            f"{surveyed:,} wallets are from surveys, {estimated:,} are estimated as what {found.quantile:.0%} of "
            f"{_METHODS[method]} do not exceed. Of customers held out, {found.below:.0%} were below it "
            f"({confidence:.0%} interval {found.below_lower:.0%} to {found.below_upper:.0%}); estimates are moved so "
            "that the share is right."
        )
        text += _level(found, confidence)
        if found.crossings:
            text += f" Of {accounts(found.crossings)} the bounds had crossed and were put in order."
        ceiling = int(found.table["at_ceiling"].fillna(False).sum())
        if ceiling:
            text += (
                f" {accounts(ceiling)} already {'buys' if ceiling == 1 else 'buy'} as much as is estimated: the room"
                " there is not nought, but unknown."
            )
        parts.append(text)
    if len(found.errors):
        worst = found.errors.sort_values("share", ascending=False).iloc[0]
        parts.append(
            f"Errors in the data: {len(found.errors):,} surveyed wallets cannot be true, such as that of "
            f"{worst['account_id']} ({worst['reason']}). They were left out; ask again, or look for sales that "
            "belong to another account."
        )
    return "\n\n".join(parts)


def _level(found: WalletPotential, confidence: float) -> str:
    calibration = found.calibration
    if calibration is None:
        return (
            f" Fewer than {FEWEST_RATIO} surveys can be compared with it, so this is what accounts could buy from us "
            "if served like the best served, not their whole demand."
        )
    factor = np.exp(calibration.left_out_error)
    how = "their level" if calibration.method == "ratio" else "their level, own sales taken into account"
    return (
        f" Surveys are {calibration.ratio:.2g} times the estimates (the middle one), which are set to "
        f"{how}; a survey left out is missed by a factor of {factor:.2g} (the middle one), and intervals are made to "
        f"hold {confidence:.0%} of such surveys."
    )
