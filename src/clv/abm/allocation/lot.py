"""A plan that leaves out accounts by lot, so that the next one knows what its tiers add (rule F4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation.limits import Counts, Holdout, Hours, Limit
from clv.abm.allocation.wording import holdout_sentence
from clv.abm.tiers import Allocation, allocate_tiers
from clv.abm.wording import accounts as many
from clv.abm.wording import listed, money
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: column of the strata: the tier that an account would get if nobody were left out.
STRATUM = "tier without a lot"
#: a tier of which the share is less than so many accounts keeps all of them.
_LEAST = 0.5


@dataclass(frozen=True, eq=False)
class RandomisedPlan(Result):
    """A plan with treated accounts and a holdout, drawn tier by tier.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account: account_id, tier, value, cost, hours as of the plan; arm ("treatment", "holdout", or empty
        where no tier was meant for it), stratum (the tier that it would have if nobody were left out). Within a stratum
        the lot alone decided who is held out: there the arms can be compared.
    plan : Allocation
        The plan without those left out.
    full : Allocation
        The plan if nobody were left out.
    lots : pandas.DataFrame
        One row a stratum: tier, accounts, held_out, treated (in this tier, by the plan).
    cost : float
        Expected return that the holdout forgoes: of the full plan less that of the plan.
    """

    plan: Allocation
    full: Allocation
    lots: pd.DataFrame
    cost: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many accounts of each tier are treated and held out."""
        from clv.abm.allocation.pictures import lots

        return lots(self, ax)


def allocate_with_holdout(
    options: pd.DataFrame,
    budget: float | None = None,
    hours: Hours | None = None,
    counts: Counts | None = None,
    *,
    share: float = 0.1,
    by: Sequence[str] = (),
    seed: int = 0,
    limits: Sequence[Limit] | None = None,
    accounts: pd.DataFrame | None = None,
    gap: float | None = None,
    time_limit: float = 60.0,
    currency: str = "",
) -> RandomisedPlan:
    """Plan tiers, leave out some accounts of each by lot, and plan again without these.

    The lot is drawn among the accounts that the best plan would treat, in the same share of each of its tiers: an
    account that gets nothing either way tells nothing of a tier.

    Parameters
    ----------
    options, budget, hours, counts, limits, accounts, gap, time_limit, currency
        As in `allocate_tiers`; the time is for both plans. `limits` hold no other `Holdout`.
    share : float
        Share left out, from 0 to below 1. Of each tier that many, to whole accounts by largest remainders; tiers of
        which it is less than half an account keep all.
    by : sequence of str
        Columns in whose groups, within the tiers, the same share is left out.
    seed : int
        Of the lot.

    Returns
    -------
    RandomisedPlan

    Raises
    ------
    DataError, SettingsError, InfeasibleError
        As in `allocate_tiers`.
    """
    if not 0 <= share < 1:
        raise SettingsError(f"share = {share!r}.", mend="Give a share from 0 to below 1.")
    if any(isinstance(limit, Holdout) for limit in limits or ()):
        raise SettingsError("limits hold a Holdout already.", mend="Leave it out: the lot is drawn here.")

    def allocated(more: Sequence[Limit], known: pd.DataFrame | None) -> Allocation:
        return allocate_tiers(
            options, budget, hours, counts, limits=[*(limits or ()), *more], accounts=known, gap=gap,
            time_limit=time_limit / 2, currency=currency,
        )  # fmt: skip

    full = allocated((), accounts)
    stratum = full.table.set_index("account_id")["tier"]
    meant = stratum[stratum != "none"]
    # Of a tier with too few accounts one alone would be left out: it costs much and teaches next to nothing.
    size = meant.value_counts()
    among = meant.index[meant.isin(size.index[size * share >= _LEAST])]
    plan = full
    if share > 0 and len(among):
        known = pd.DataFrame({STRATUM: stratum})
        if accounts is not None:
            own = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts
            own = own.set_axis(own.index.astype(str), axis=0)
            known = own.join(known, how="outer")
        holdout = Holdout(share, (STRATUM, *by), seed, tuple(among))
        plan = allocated([holdout], known.rename_axis("account_id"))
    table = _table(plan, stratum)
    lots = _lots(table, stratum)
    cost = max(0.0, full.objective - plan.objective)
    draft = RandomisedPlan(table, "", plan, full, lots, cost)
    text = _text(draft, share)
    if len(plan.holdout):
        plan = replace(plan, text=plan.text.replace(f" {holdout_sentence(plan)}", f"\n\n{text}"))
    return replace(draft, plan=plan, text=text)


def _table(plan: Allocation, stratum: pd.Series) -> pd.DataFrame:
    table = plan.table.copy()
    table["stratum"] = table["account_id"].map(stratum)
    held = table["account_id"].isin(plan.holdout["account_id"])
    arm = np.where(held, "holdout", np.where(table["tier"] != "none", "treatment", ""))
    return table.assign(arm=arm)


def _lots(table: pd.DataFrame, stratum: pd.Series) -> pd.DataFrame:
    meant = table[table["stratum"] != "none"]
    grouped = meant.groupby("stratum")
    cost = table[table["tier"] != "none"].groupby("tier")["cost"].mean()
    found = pd.DataFrame(
        {
            "accounts": grouped.size(),
            "held_out": grouped["arm"].agg(lambda arms: int((arms == "holdout").sum())),
        }
    )
    found["treated"] = table["tier"].value_counts().reindex(found.index, fill_value=0)
    order = cost.reindex(found.index).fillna(0.0).sort_values(ascending=False, kind="stable").index
    return found.loc[order].rename_axis("tier").reset_index()


def _text(found: RandomisedPlan, share: float) -> str:
    if share == 0 or found.lots.empty:
        return "Nobody is left out by lot, so that this plan will not show what its tiers add."
    columns = (found.lots[name].tolist() for name in ("tier", "accounts", "held_out"))
    rows = list(zip(*columns, strict=True))
    held = sum(out for _, _, out in rows)
    few = listed([f"{tier} ({n})" for tier, n, out in rows if not out])
    if not held:
        return f"No account is left out by lot: a share of {share:.0%} is less than one account of any tier, {few}."
    parts = listed([f"{out} of {n} meant for {tier}" for tier, n, out in rows if out])
    said = (
        f"{many(held)} {'is' if held == 1 else 'are'} left out by lot ({parts}) and should get no programme: set"
        f" against those who do, they will show what a tier adds. This costs {money(found.cost, found.plan.currency)}"
        " of expected return."
    )
    return f"{said} Nobody is left out of {few}: so few accounts would teach next to nothing." if few else said
