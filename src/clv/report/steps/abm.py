"""Steps of `clv.abm`: whom a programme takes, and in which tier."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.report.steps.churn import ChurnSteps

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.allocation.compare import Comparison
    from clv.abm.allocation.frontier import Frontier
    from clv.abm.classes.abc_xyz import ABCXYZ
    from clv.abm.classes.concentration import Concentration
    from clv.abm.selection import Selection
    from clv.abm.suitability import Suitability
    from clv.abm.tiers import Allocation


class AbmSteps(ChurnSteps):
    """Whom to choose, and in which tier."""

    @cached_property
    def suitability(self) -> Suitability:
        """Whether account-based marketing is right for this book at all (rule D1)."""
        from clv.abm.suitability import suitability

        return suitability(self.study)

    @cached_property
    def concentration(self) -> Concentration:
        """How much of the book hangs on few accounts, and what their loss would mean (rule A8)."""
        from clv.abm.classes.concentration import concentration

        settings = self.settings
        known = self.transactions[self.transactions["date"].dt.normalize() <= self.as_of]
        return concentration(
            known.groupby("account_id")["amount"].sum(), book=self.value, rules=settings.classes,
            confidence=settings.confidence, currency=settings.currency,
        )  # fmt: skip

    @cached_property
    def abc_xyz(self) -> ABCXYZ:
        """Accounts by value and by how evenly they buy, with how sure each class is (rule A7)."""
        from clv.abm.classes.abc_xyz import abc_xyz

        settings = self.settings
        return abc_xyz(
            self.transactions, value=self.purchase_value.table["clv"], as_of=self.as_of, rules=settings.classes,
            seed=settings.seed,
        )  # fmt: skip

    @cached_property
    def selection(self) -> Selection:
        """Which accounts the programme should take."""
        from clv.abm.selection import select_accounts

        settings = self.settings
        selection = select_accounts(
            self.value,
            capacity=settings.selection.capacity,
            cost_to_serve=self.cost_to_serve,
            stages=self.stages.table["stage"],
            accounts=self.accounts,
            currency=settings.currency,
        )
        self.store.put("account_selection", selection.table)
        return selection

    @cached_property
    def allocation(self) -> Allocation:
        """Which tier each selected account gets."""
        from clv.abm.options import tier_options
        from clv.abm.tiers import allocate_tiers

        settings = self.settings
        kept = self.store.get("account_selection")
        chosen = self.selection.table if kept is None else kept
        selected = chosen.loc[chosen["selected"], "account_id"]
        options = tier_options(self.value.table.loc[selected], settings.tiers)
        allocation = allocate_tiers(
            options,
            budget=settings.budget,
            hours=settings.hours,
            counts={tier.name: (tier.at_least, tier.at_most) for tier in settings.tiers},
            currency=settings.currency,
        )
        self.store.put("tier_allocation", allocation.table)
        self.store.export("tier_allocation", self.named(allocation.table))
        return allocation

    @cached_property
    def frontier(self) -> Frontier:
        """What the plan would bring under other budgets."""
        from clv.abm.allocation.frontier import tier_frontier

        return tier_frontier(self.allocation)

    @cached_property
    def comparison(self) -> Comparison:
        """The plan beside rank-and-cut and, where there was one, the last programme's tiers."""
        from clv.abm.allocation.compare import compare_allocations

        last = self._last_tiers()
        names = {tier.name for tier in self.settings.tiers}
        return compare_allocations(self.allocation, {} if last.empty else {"last period": last[last.isin(names)]})

    @property
    def moved_tiers(self) -> pd.DataFrame:
        """Accounts whose tier is another than in the last programme: account_id, before, now, net."""
        import pandas as pd

        last = self._last_tiers()
        if last.empty:
            return pd.DataFrame()
        table = self.allocation.table.assign(net=lambda plan: plan["value"] - plan["cost"])
        table = table.set_index("account_id")[["tier", "net"]].rename(columns={"tier": "now"})
        table = table.join(last.rename("before"), how="outer").fillna({"now": "none", "before": "none"})
        moved = table[table["now"] != table["before"]].rename_axis("account_id")
        return moved.sort_index().sort_values("net", ascending=False, kind="stable")

    @property
    def by_manager(self) -> pd.DataFrame:
        """Accounts, hours and return of the plan by manager; without any column where managers are unknown."""
        import pandas as pd

        if self.accounts is None or "manager" not in self.accounts:
            return pd.DataFrame()
        plan = self.allocation.table[self.allocation.table["tier"] != "none"]
        manager = plan["account_id"].map(self.accounts.set_index("account_id")["manager"]).fillna("unknown")
        plan = plan.assign(net=plan["value"] - plan["cost"], manager=manager)
        return plan.groupby("manager").agg(
            accounts=("account_id", "size"), hours=("hours", "sum"), cost=("cost", "sum"), net=("net", "sum")
        )

    @property
    def closest_calls(self) -> pd.DataFrame:
        """Accounts whose tier changes with the smallest relative change, the closest first."""
        return self.allocation.reasons.sort_values(["flip_share", "account_id"], kind="stable")

    def _last_tiers(self) -> pd.Series:
        """Tier in which the last programme treated each account, index account_id; empty where there was none."""
        import pandas as pd

        programmes = self.table("programmes")
        if programmes is None:
            return pd.Series(dtype=object)
        treated = programmes[(programmes["arm"] == "treatment") & (programmes["start"] <= self.as_of)]
        latest = treated.sort_values("start", kind="stable").drop_duplicates("account_id", keep="last")
        return latest.set_index("account_id")["tier"].astype(object)

    @property
    def tiers(self) -> pd.DataFrame:
        """The tiers of the study, as it states them."""
        import pandas as pd

        frame = pd.DataFrame([tier.model_dump() for tier in self.settings.tiers])
        return frame.astype({"at_most": "Int64"})
