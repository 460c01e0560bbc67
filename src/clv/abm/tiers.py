"""Which account gets which tier: the allocation with the largest return that the limits allow, with its proof."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.allocation.limits import Counts, Hours, Limit, read_limits
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.allocation.plan import Work

#: books of so many accounts are solved exactly unless something else is asked for; larger ones to this gap.
EXACT_UP_TO = 2_000
LARGE_GAP = 1e-6


@dataclass(frozen=True, eq=False)
class Allocation(Result):
    """A plan, what it is worth, and how much better any plan could be.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account, by account_id: account_id, tier ("none" where it gets none), value, cost, hours.
    objective : float
        Σ (value − cost) of the plan, less the cost of opened clusters and of switching; recomputed from the plan.
    bound : float
        No plan within the limits is worth more (proven by the solver, up to a billionth of the largest gain).
    gap : float
        (bound − objective) ÷ max(1, |objective|).
    status : {"optimal", "gap", "time limit"}
        Whether the plan is proven best, proven as near to it as was asked for, or the best found in time.
    limits : pandas.DataFrame
        One row a limit: limit (its name), used, allowed, price (money that the best plan gains when the limit is
        raised by one unit, in the linear relaxation: ≥ 0 for budget, hours and most counts, ≤ 0 for fewest counts),
        binds.
    currency : str
        Written after money.
    clusters : pandas.DataFrame
        One row an opened cluster: cluster, tier, accounts, cost.
    holdout : pandas.DataFrame
        Accounts left out at random: account_id.
    """

    objective: float
    bound: float
    gap: float
    status: Literal["optimal", "gap", "time limit"]
    limits: pd.DataFrame
    currency: str
    clusters: pd.DataFrame
    holdout: pd.DataFrame
    work: Work = field(repr=False)

    @property
    def shadow_prices(self) -> pd.Series:
        """Money gained per unit more of each limit: index limit, values price."""
        return self.limits.set_index("limit")["price"].rename("shadow_price")

    @cached_property
    def price_ranges(self) -> pd.DataFrame:
        """Prices with the range in which they hold: limit, price, lower, allowed, upper; see `price_ranges`."""
        from clv.abm.allocation.ranges import price_ranges

        return price_ranges(self)

    @cached_property
    def reasons(self) -> pd.DataFrame:
        """Why each account has its tier: runner-up, distance, binding limit, smallest change that flips it."""
        from clv.abm.allocation.explain import explain_accounts

        return explain_accounts(self)

    @cached_property
    def by_tier(self) -> pd.DataFrame:
        """Accounts, value, cost, net and hours of each tier in use, the dearest an account first; then none."""
        grouped = self.table.groupby("tier")
        sums = grouped[["value", "cost", "hours"]].sum()
        sums.insert(0, "accounts", grouped.size())
        sums.insert(3, "net", sums["value"] - sums["cost"])
        each = (sums["cost"] / sums["accounts"]).drop("none", errors="ignore")
        order = each.sort_index().sort_values(ascending=False, kind="stable").index
        return sums.loc[[*order, *(["none"] if "none" in sums.index else [])]].reset_index()

    @property
    def ranked(self) -> pd.DataFrame:
        """Accounts in a tier, by net return."""
        taken = self.table[self.table["tier"] != "none"]
        net = (taken["value"] - taken["cost"]).to_numpy()
        return taken.iloc[np.argsort(-net, kind="stable")].reset_index(drop=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the net return and the number of accounts of each tier, and what binds."""
        from clv.abm.pictures import tier_bars

        return tier_bars(self, ax)


def allocate_tiers(
    options: pd.DataFrame,
    budget: float | None = None,
    hours: Hours | None = None,
    counts: Counts | None = None,
    *,
    limits: Sequence[Limit] | None = None,
    accounts: pd.DataFrame | None = None,
    gap: float | None = None,
    time_limit: float = 60.0,
    currency: str = "",
) -> Allocation:
    """Choose at most one tier for each account so that Σ (value − cost) is largest within the limits.

    The problem is the multiple-choice knapsack with several limits (Kellerer, Pferschy & Pisinger 2004, chapter 11).
    Options that a best plan can do without are removed, and accounts with equal options counted together. Prices of the
    limits prove a bound and show which accounts are near a tie; branch and bound (HiGHS) searches those. Small books
    are solved exactly, large ones until the plan is proven to be as good as any up to `gap`; see
    `clv.abm.allocation.solver`. The plan does not hang on the order of the rows or on the currency.

    Parameters
    ----------
    options : pandas.DataFrame
        Columns account_id, tier, value, cost and, where they are limited, hours or hours_<role>; one row an account
        and tier that it could get. An account can always be left out, which needs no row. Other columns (segment,
        manager, cluster, ...) say something of the account.
    budget : float, optional
        Most money that may be spent.
    hours : float or mapping, optional
        Most hours that may be used: of the column hours, or by role of the columns hours_<role>.
    counts : mapping of str to (int or None, int or None), optional
        Tier -> fewest and most accounts.
    limits : sequence, optional
        Further limits: `GroupLimit`, `TierShare`, `Clusters`, `MarginCap`, `MustHave`, `MustNot`, `KeepLast`,
        `ReservedHours`, `Holdout` of `clv.abm`.
    accounts : pandas.DataFrame, optional
        Index or column account_id: more columns that limits may name.
    gap : float, optional
        Share of its worth by which the plan may fall short of the bound. If None, 0 for books of up to 2,000 accounts
        and a millionth for larger ones.
    time_limit : float
        Seconds after which the best plan found so far is returned, with its gap.
    currency : str
        Written after money in the text.

    Returns
    -------
    Allocation
        Of accounts with equal options the lower id gets the tier with the larger return. Where different plans are
        equally good, the one that the solver meets first in an order made of the numbers alone is returned: the
        same each time.

    Raises
    ------
    DataError
        The options are empty, or a column or row is at fault.
    SettingsError
        A limit is impossible in itself.
    InfeasibleError
        No plan satisfies the limits; names the smallest set of those that clash.
    """
    if not np.isfinite(time_limit) or time_limit <= 0:
        raise SettingsError(f"time_limit is {time_limit!r}.", mend="Give seconds, more than 0.")
    if gap is not None and not 0 <= gap < 1:
        raise SettingsError(f"gap is {gap!r}.", mend="Give a share from 0 (exact) to below 1.")
    from clv.abm.allocation.book import read_book
    from clv.abm.allocation.plan import make_plan
    from clv.abm.allocation.wording import allocation_text

    end = time.monotonic() + time_limit
    book = read_book(options, accounts)
    declared = read_limits(budget, hours, counts, limits, tiers=book.tiers, columns=book.limitable)
    wanted = (0.0 if len(book.accounts) <= EXACT_UP_TO else LARGE_GAP) if gap is None else gap
    made = make_plan(book, declared, gap=wanted, end=end)
    draft = Allocation(
        table=made.table,
        text="",
        objective=made.objective,
        bound=made.bound,
        gap=(made.bound - made.objective) / max(1.0, abs(made.objective)),
        status=made.status,
        limits=made.limits,
        currency=currency,
        clusters=made.clusters,
        holdout=made.holdout,
        work=made.work,
    )
    assumed = options.attrs.get("clv", {}).get("uplift") == "assumed"
    return replace(draft, text=allocation_text(draft, uplift_assumed=assumed))
