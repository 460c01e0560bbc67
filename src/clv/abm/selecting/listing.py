"""A selection as the list that people read: one row an account, each with its reason in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.selecting.contributions import DRIVERS
from clv.abm.wording import money, money_range

if TYPE_CHECKING:
    from clv.abm.selection import Selection

#: part of the score -> what an account is that has more of it than the average one, and less.
_SAID = {
    "alive": ("still buys", "may be gone"),
    "purchases": ("buys much", "buys little"),
    "spend": ("large orders", "small orders"),
    "contracts": ("large contracts", "small contracts or none"),
    "value": ("brings much", "brings little"),
    "chance": ("easily won", "hard to win"),
    "once won": ("would bring much", "would bring little"),
}
#: a driver of a flip -> how a list calls it.
_FLIPS = {
    "value": "value",
    "cost to serve": "cost to serve",
    "chance": "chance to win it",
    "once won": "margin once won",
    "programme cost": "cost of its tier",
}


def selection_list(
    selection: Selection, labels: Mapping[str, Mapping[str, str] | pd.Series] | None = None
) -> pd.DataFrame:
    """Put what is known of every account into one row.

    Parameters
    ----------
    selection : Selection
    labels : mapping, optional
        Column -> label by account_id, such as churn stages and grades; empty where an account has none.

    Returns
    -------
    pandas.DataFrame
        By rank: account_id, kind, tier, score, lower, upper, rank, selected, p_selected, base, gain, cost, the labels,
        why (in a few words: what it is that the average account is not, and what the tier adds to it for what it
        costs), flips (the smallest change that puts it on the other side, in words), reason (in whole sentences).
        Accounts of which nothing is known come last, without numbers.
    """
    table = selection.table
    ids = pd.Index(table["account_id"], name="account_id")
    about = selection.about.reindex(ids)
    ends = selection.intervals.reindex(ids)
    found = pd.DataFrame(
        {
            "account_id": table["account_id"].to_numpy(),
            "kind": about["kind"].to_numpy(dtype=object),
            "tier": about["tier"].to_numpy(dtype=object),
            "score": table["score"].to_numpy(float),
            "lower": ends["lower"].to_numpy(float),
            "upper": ends["upper"].to_numpy(float),
            "rank": table["rank"].to_numpy(),
            "selected": table["selected"].to_numpy(bool),
            "p_selected": table["p_selected"].to_numpy(float),
            **{name: about[name].to_numpy(float) for name in ("base", "gain", "cost")},
        }
    )
    for name, of in (labels or {}).items():
        known = {str(account): str(label) for account, label in of.items()}
        found[name] = [known.get(account) for account in found["account_id"]]
    found["why"] = _why(selection, found)
    found["flips"] = _flips(selection, found)
    found["reason"] = table["reason"].to_numpy(dtype=object)
    return found


def _why(selection: Selection, found: pd.DataFrame) -> list[str]:
    """Say what the account is that the average one is not, in the direction of its score, and what that brings."""
    parts = selection.contributions
    names = [name for name in parts.columns if name in DRIVERS]
    words = [""] * len(found)
    if names and len(parts) > 1:
        values = parts[names].to_numpy(float)
        good = found["score"].to_numpy()[: len(values)] > 0
        best = np.where(good, values.argmax(axis=1), values.argmin(axis=1))
        most = values[np.arange(len(values)), best]
        words[: len(values)] = [
            _SAID[names[k]][0 if up else 1] if (x > 0) == up and money(abs(x)) != "0" else ""
            for k, x, up in zip(best, most, good, strict=True)
        ]
    out = []
    for said, gain, cost in zip(words, found["gain"], found["cost"], strict=True):
        what = f"{money(gain)} for {money(cost)}"
        out.append("nothing is known of its value" if not np.isfinite(gain) else f"{said}: {what}" if said else what)
    return out


def _flips(selection: Selection, found: pd.DataFrame) -> list[str]:
    """Say the smallest change that flips each account."""
    flips = selection.flips.reindex(found["account_id"])
    out = []
    for driver, now, then, taken in zip(flips["driver"], flips["now"], flips["then"], found["selected"], strict=True):
        if not isinstance(driver, str):
            out.append("")
            continue
        to, at = (f"{x:.1%}" if driver == "chance" else money(x) for x in (then, now))
        out.append(f"{'out' if taken else 'in'}: {_FLIPS[driver]} {'under' if then < now else 'over'} {to} (now {at})")
    return out


def spans(lower: pd.Series, upper: pd.Series) -> list[str]:
    """Write intervals of money in one cell each; empty where there is none."""
    return [
        money_range(low, high) if np.isfinite(low) and np.isfinite(high) else ""
        for low, high in zip(lower, upper, strict=True)
    ]
