"""Steps of `clv.abm`: whom a programme takes, and in which tier."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.data import units
from clv.report.steps.churn import ChurnSteps

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.selection import Selection
    from clv.abm.tiers import Allocation


class AbmSteps(ChurnSteps):
    """Whom to choose, and in which tier."""

    @cached_property
    def selection(self) -> Selection:
        """Which accounts the programme should take."""
        from clv.abm.selection import select_accounts

        settings = self.settings
        selection = select_accounts(
            self.value,
            capacity=settings.selection.capacity,
            cost_to_serve=settings.selection.cost_to_serve * units.years(settings.horizon, settings.unit),
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
        return allocation

    @property
    def tiers(self) -> pd.DataFrame:
        """The tiers of the study, as it states them."""
        import pandas as pd

        frame = pd.DataFrame([tier.model_dump() for tier in self.settings.tiers])
        return frame.astype({"at_most": "Int64"})
