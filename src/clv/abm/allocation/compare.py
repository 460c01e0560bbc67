"""The plan beside others, in money: rank-and-cut, last period's tiers, the team's own list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation.baseline import rank_and_cut
from clv.abm.allocation.book import Book, read_book
from clv.abm.allocation.verify import check_plan
from clv.abm.wording import accounts as many
from clv.abm.wording import amount, listed, money
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.tiers import Allocation

List = pd.DataFrame | pd.Series | Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """Plans side by side.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a plan: plan, accounts (in a tier), value, cost, hours, net (value − cost, clusters and switching
        included), share (of the net of the best plan), moved (accounts that the best plan treats otherwise), broken
        (limits that it breaks, in words; empty if none), unvalued (accounts that it treats and that have no option:
        they count for nothing).
    moves : pandas.DataFrame
        One row an account and plan that treats it otherwise than the best one: plan, account_id, tier, other, net,
        other_net; plans in the order of the table, the largest gain first in each.
    currency : str
        Written after money.
    """

    moves: pd.DataFrame
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the net of each plan; those that break a limit are hatched."""
        from clv.abm.pictures import plan_bars

        return plan_bars(self, ax)


def compare_allocations(
    plan: Allocation,
    others: Mapping[str, List] | None = None,
    *,
    rank_cut: bool = True,
    options: pd.DataFrame | None = None,
    accounts: pd.DataFrame | None = None,
) -> Comparison:
    """Set a plan beside others under the same options and limits.

    Parameters
    ----------
    plan : Allocation
        The best plan.
    others : mapping of str to table, Series or mapping, optional
        Name -> a plan: columns account_id and tier, or account -> tier. Accounts that it does not name get none; those
        without options are left out and counted.
    rank_cut : bool
        Whether rank-and-cut is set beside them.
    options, accounts : pandas.DataFrame, optional
        As in `allocate_tiers`, with more accounts than the plan was made from, where other plans treat such. The plan
        leaves these out.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError
        A plan gives an account a tier that is no option of it.
    """
    work = plan.work
    book = work.book if options is None else read_book(options, accounts)
    at = book.accounts.get_indexer(work.book.accounts)
    if (at < 0).any() or book.tiers != work.book.tiers:
        raise DataError(
            "the options do not hold those of the plan.", mend="Give them all, and further ones.", table="options"
        )

    def widened(tier_of: np.ndarray) -> np.ndarray:
        wide = np.full(len(book.accounts), -1)
        wide[at] = tier_of
        return wide

    plans: dict[str, tuple[np.ndarray, int]] = {"best": (widened(work.tier_of), 0)}
    if rank_cut:
        cut = rank_and_cut(work.book, work.rules)
        plans["rank and cut"] = (widened(_codes(work.book, "rank and cut", cut)[0]), 0)
    for name, other in (others or {}).items():
        plans[name] = _codes(book, name, other)
    rows = []
    names = np.array([*book.tiers, "none"], dtype=object)
    ids = pd.Series(book.accounts.astype(str))
    best_of = plans["best"][0]
    for name, (tier_of, unvalued) in plans.items():
        checked = check_plan(book, work.declared, ids, pd.Series(names[tier_of]))
        taken = np.flatnonzero(tier_of >= 0)
        sums = {part: float(book.parts[part][taken, tier_of[taken]].sum()) for part in ("value", "cost", "hours")}
        moved = int((tier_of != best_of).sum())
        broken = "; ".join(checked.faults[:5])
        rows.append((name, len(taken), *sums.values(), checked.objective, moved, broken, unvalued))
    columns = ["plan", "accounts", "value", "cost", "hours", "net", "moved", "broken", "unvalued"]
    table = pd.DataFrame(rows, columns=columns)
    best = float(table["net"].iloc[0])
    table.insert(6, "share", table["net"] / best if best > 0 else np.nan)
    moves = pd.concat([_moves(book, name, best_of, tier_of) for name, (tier_of, _) in plans.items()])
    return Comparison(table, _text(table, plan.currency), moves.reset_index(drop=True), plan.currency)


def _codes(book: Book, name: str, other: List) -> tuple[np.ndarray, int]:
    """Read a plan as the tier of each account of the book, and count the accounts that it treats and the book lacks."""
    if isinstance(other, pd.DataFrame):
        table = other.reset_index() if "account_id" not in other.columns else other
        given = dict(zip(table["account_id"].astype(str), table["tier"].astype(str), strict=True))
    else:
        given = {str(account): str(tier) for account, tier in other.items()}
    at = book.accounts.get_indexer(pd.Index(list(given), dtype=object))
    code = pd.Index([*book.tiers, "none"]).get_indexer(pd.Index(list(given.values()), dtype=object))
    code = np.where(code == len(book.tiers), -1, code)
    known = at >= 0
    treated = np.array([tier != "none" for tier in given.values()], dtype=bool)
    unknown = known & (code == -1) & treated
    lacks = known & (code >= 0)
    lacks[lacks] = ~book.has[at[lacks], code[lacks]]
    if (unknown | lacks).any():
        account, tier = list(given.items())[int(np.argmax(unknown | lacks))]
        raise DataError(
            f"the plan {name!r} gives account {account!r} the tier {tier!r}, which is no option of it.",
            mend="Add the option, or write none.",
            table=name,
            column="tier",
        )
    tier_of = np.full(len(book.accounts), -1)
    tier_of[at[known]] = code[known]
    return tier_of, int((treated & ~known).sum())


def _moves(book: Book, plan: str, own: np.ndarray, other: np.ndarray) -> pd.DataFrame:
    names = np.array([*book.tiers, "none"], dtype=object)
    at = np.flatnonzero(own != other)
    net = np.concatenate([book.net, np.zeros((len(book.accounts), 1))], axis=1)
    mine, theirs = own[at], other[at]
    frame = pd.DataFrame(
        {
            "plan": np.full(len(at), plan, dtype=object),
            "account_id": book.accounts[at].astype(str),
            "tier": names[mine],
            "other": names[theirs],
            "net": net[at, mine],
            "other_net": net[at, theirs],
        }
    )
    return frame.iloc[np.argsort(-(frame["net"] - frame["other_net"]).to_numpy(), kind="stable")]


def _text(table: pd.DataFrame, currency: str) -> str:
    columns = ("plan", "net", "share", "moved", "broken", "unvalued")
    (_, best, *_), *rest = list(zip(*(table[name].tolist() for name in columns), strict=True))
    said = [f"The best plan brings {money(best, currency)} net."]
    for name, net, part, moved, broken, unvalued in rest:
        lost = best - net
        share = f" ({part:.1%} of the best)" if np.isfinite(part) and part >= 0 else ""
        line = f"{name[:1].upper()}{name[1:]} brings {money(net, currency)}{share}"
        line += f", {money(abs(lost), currency)} {'less' if lost >= 0 else 'more'}; {amount(moved)} accounts differ."
        if broken:
            parts = broken.split("; ")
            line += f" It breaks limits: {listed(parts[:3])}{' and more' if len(parts) > 3 else ''}."
        if unvalued:
            line += f" {many(unvalued)} of it {'is' if unvalued == 1 else 'are'} left out: nothing is known of them."
        said.append(line)
    return " ".join(said)
