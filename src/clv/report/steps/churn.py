"""Steps of `clv.churn`: where each account is in its life."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.report.steps.value import ValueSteps

if TYPE_CHECKING:
    from clv.churn.stages import ChurnStages


class ChurnSteps(ValueSteps):
    """Where accounts are in their lives."""

    @cached_property
    def stages(self) -> ChurnStages:
        """Where each account is in its life."""
        from clv.churn.stages import churn_stages

        settings = self.settings
        stages = churn_stages(
            self.purchases,
            self.summary,
            settings.horizon,
            rules=settings.stages,
            value=self.value.table["clv"],
            currency=settings.currency,
        )
        self.store.put("churn_stages", stages.table)
        return stages
