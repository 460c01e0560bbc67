"""Steps of `clv.abm` on the way to accounts: what winning one costs, how deals move, what managers make of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.report.steps.plan import PlanSteps
from clv.result import Missing

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.channels import ChannelReturns
    from clv.abm.journey import DealFunnel
    from clv.abm.managers import ManagerEffects
    from clv.abm.velocity import StageVelocity

#: share of new accounts without a won deal about their first purchase from which it is said.
_UNDOCUMENTED = 0.1


class WinningSteps(PlanSteps):
    """How accounts are won."""

    @cached_property
    def channels(self) -> ChannelReturns | Missing:
        """What it costs to win an account, and what one is worth, by channel and by step (rule B2)."""
        from clv.abm.channels import channel_returns
        from clv.abm.won import won_accounts

        spent, touches, settings = self.spent, self.table("touches"), self.settings
        if isinstance(spent, Missing):
            return spent
        if touches is None:
            return Missing.because("The study has no touches: which channel won an account cannot be told.")
        costs = spent.acquisition[spent.acquisition["date"].dt.normalize() <= self.as_of]
        if costs.empty:
            return Missing.because("Nothing is booked as cost of winning accounts.")
        won = won_accounts(self.transactions, self.table("opportunities"), since=costs["date"].min(), as_of=self.as_of)
        lacking = 1 - won["documented"].mean() if won["documented"].notna().any() else 0.0
        if lacking > _UNDOCUMENTED:
            self._say(
                f"{lacking:.0%} of the accounts that count as won have no won deal about their first purchase: they "
                "may have been customers before the data begin, and make winning accounts look cheaper."
            )
        return self._told(
            "Channels cannot be compared",
            lambda: channel_returns(
                costs, touches, won, self.value.table, margins=self._margin_lines, as_of=self.as_of,
                discount_rate=settings.discount_rate, confidence=settings.confidence, currency=settings.currency,
            ),
        )  # fmt: skip

    @property
    def channel_table(self) -> pd.DataFrame:
        """Channels, without what is infinite; without any column where they cannot be compared."""
        import numpy as np

        return self.channels.table.replace([np.inf, -np.inf], np.nan)

    @property
    def channel_stages(self) -> pd.DataFrame:
        """Costs to win an account by step; without any column where they are not told so."""
        import numpy as np
        import pandas as pd

        found = self.channels
        if isinstance(found, Missing) or found.stages.empty:
            return pd.DataFrame()
        return found.stages.replace([np.inf, -np.inf], np.nan)

    @property
    def channel_steps(self) -> pd.DataFrame:
        """Where the money goes: cost by channel (the dearest first) and step; no column where that is not told."""
        import pandas as pd

        found = self.channels
        if isinstance(found, Missing) or found.cells.empty:
            return pd.DataFrame()
        wide = found.cells.pivot_table(index="channel", columns="stage", values="cost", aggfunc="sum")
        wide = wide[list(found.stages["stage"])].assign(**{"all steps": wide.sum(axis=1)})
        return wide.sort_values("all steps", ascending=False, kind="stable").rename_axis(columns=None)

    @cached_property
    def funnel(self) -> DealFunnel | Missing:
        """How many deals reach each stage and are won, by tier and arm (rules D5, D6)."""
        from clv.abm.journey import deal_funnel
        from clv.abm.stage_log import stage_order

        deals = self.table("opportunities")
        if deals is None or deals.empty:
            return Missing.because("The study has no deals: how they move cannot be told.")
        order = stage_order(self.table("deal_stages"), deals)
        if not order:
            self._say("The order of the stages of deals is not known: a table deal_stages would tell.")
            deals, order = deals.drop(columns="stage", errors="ignore"), ["any stage"]
        return self._told(
            "How deals move cannot be told",
            lambda: deal_funnel(
                deals, self.programme, stages=order, as_of=self.as_of, confidence=self.settings.confidence
            ),
        )

    @property
    def funnel_table(self) -> pd.DataFrame:
        """Deals by tier and arm, without what is infinite; without any column where there are none."""
        import numpy as np

        return self.funnel.table.replace([np.inf, -np.inf], np.nan)

    @property
    def deal_stages(self) -> pd.DataFrame:
        """How far deals get and how long they stay in each stage, by tier and arm; without any column if not known."""
        import numpy as np
        import pandas as pd

        found, pace = self.funnel, self.velocity_table
        if isinstance(found, Missing) or set(found.stages["stage"]) == {"any stage"}:
            return pd.DataFrame()
        table = found.stages[found.stages["reached"] > 0]
        if pace.empty:
            return table.assign(median=np.nan)
        return table.merge(pace[["group", "stage", "median"]], on=["group", "stage"], how="left")

    @property
    def deal_steps(self) -> pd.DataFrame:
        """`deal_stages` with a row a tier and arm: in each stage, how many went on, and after how many days."""
        import pandas as pd

        table = self.deal_stages
        if table.empty:
            return pd.DataFrame()
        decided = table["passed"] + table["stopped"]
        said = [
            "–" if not n else f"{share:.0%} ({low:.0%} to {high:.0%})" + ("" if days != days else f", {days:.0f} days")
            for n, share, low, high, days in zip(
                decided, table["share"], table["lower"], table["upper"], table["median"], strict=True
            )
        ]
        wide = table.assign(said=said).pivot_table(
            index="group", columns="stage", values="said", aggfunc="first", sort=False, fill_value="–"
        )
        return wide.rename_axis(index="tier and arm", columns=None)

    @cached_property
    def velocity(self) -> StageVelocity | Missing:
        """How long deals stay in each stage, by tier and arm, those that are still there censored."""
        from clv.abm.stage_log import stage_log
        from clv.abm.velocity import stage_velocity

        entries, deals = self.table("deal_stages"), self.table("opportunities")
        if entries is None or deals is None or entries.empty:
            return Missing.because("The study has no log of stages: how long deals stay in each cannot be told.")

        def measure() -> StageVelocity:
            log = stage_log(entries, deals, self.programme, as_of=self.as_of)
            lost = log.attrs["clv"]["unknown"]
            if lost:
                self._say(f"{lost:,} entries into stages are of deals that the table opportunities does not have.")
            return stage_velocity(
                log, by=None if self.programme is None else "group", order=log.attrs["clv"]["order"],
                as_of=self.as_of, confidence=self.settings.confidence,
            )  # fmt: skip

        return self._told("How long deals stay in a stage cannot be told", measure)

    @property
    def velocity_table(self) -> pd.DataFrame:
        """Time in stage, without what is infinite; without any column where it is not known."""
        import numpy as np

        return self.velocity.table.replace([np.inf, -np.inf], np.nan)

    @cached_property
    def managers(self) -> ManagerEffects | Missing:
        """What managers make of their accounts, apart from what the programme does (rule E4)."""
        from clv.abm.managers import manager_effects

        data, accounts = self.outcomes, self.accounts
        if data is None:
            return Missing.because(
                "What managers make of their accounts is told from a programme with controls by lot, and there is none."
            )
        if accounts is None or "manager" not in accounts:
            return Missing.because("The study does not say who manages which account.")
        named = data.assign(manager=data["account_id"].map(accounts.set_index("account_id")["manager"]))
        return self._told(
            "Managers cannot be told from the programme",
            lambda: manager_effects(
                named, covariates=["margin_pre"], confidence=self.settings.confidence,
                currency=self.settings.currency,
            ),
        )  # fmt: skip

    @cached_property
    def _margin_lines(self) -> pd.DataFrame:
        """Contribution margin of every purchase, with each account's own share where the study says so."""
        lines = self.margin_lines
        return lines[["account_id", "date"]].assign(margin=lines["amount"] * self.settings.margin)
