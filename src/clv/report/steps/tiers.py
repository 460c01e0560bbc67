"""Steps of `clv.abm`: which tier each selected account gets within the limits, and whom the lot leaves out."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.report.steps.selection import SelectionSteps
from clv.result import Missing, Result

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.allocation.compare import Comparison
    from clv.abm.allocation.lot import RandomisedPlan
    from clv.abm.allocation.stated import StatedLimits
    from clv.abm.tiers import Allocation

#: what the plan that people made by hand is called.
_TEAM = "the team's list"


class TierSteps(SelectionSteps):
    """In which tier."""

    @cached_property
    def randomised_plan(self) -> RandomisedPlan:
        """Which tier each selected account gets, and which accounts the lot leaves out (rule F4)."""
        from clv.abm.allocation.lot import allocate_with_holdout

        settings, stated = self.settings, self.limits
        holdout = settings.limits.holdout
        found = allocate_with_holdout(
            self.candidates, stated.budget, stated.hours, stated.counts, limits=stated.limits, accounts=self.about,
            share=0.0 if holdout is None else holdout.share, by=() if holdout is None else holdout.by,
            seed=settings.seed if holdout is None or holdout.seed is None else holdout.seed, currency=settings.currency,
        )  # fmt: skip
        self.store.put("tier_allocation", found.table)
        self.store.export("tier_allocation", self._for_crm(found.table))
        return found

    @property
    def allocation(self) -> Allocation:
        """Which tier each selected account gets."""
        return self.randomised_plan.plan

    @cached_property
    def limits(self) -> StatedLimits:
        """What the study states of money, hours, tiers, groups and single accounts, as limits of the plan."""
        from clv.abm.allocation.stated import stated_limits

        last = self._last_tiers() if self.settings.limits.keep_last is not None else None
        stated = stated_limits(
            self.settings, self.about, self.candidates["account_id"], valued=self._tier_values["account_id"],
            managers=self.table("managers"), last=last,
        )  # fmt: skip
        for note in stated.notes:
            self._say(note)
        return stated

    @cached_property
    def about(self) -> pd.DataFrame:
        """What limits may name of each account: kind, stage, the columns of accounts, clusters if asked for."""
        import pandas as pd

        ids = pd.Index(pd.unique(self._tier_values["account_id"]), name="account_id").astype(str)
        about = pd.DataFrame(index=ids)
        if self.accounts is not None:
            own = self.accounts.set_index("account_id")
            about = own.reindex(own.index.union(ids)).rename_axis("account_id")
        bought = about.index.isin(self.value.table.index)
        about["kind"] = pd.Series("prospect", index=about.index, dtype=object).mask(bought, "customer")
        holdout, rules = self.settings.limits.holdout, self.settings.limits
        named = {group.by for group in rules.groups} | {mix.by for mix in rules.mix}
        named |= set() if holdout is None else set(holdout.by)
        if "stage" in named:
            about["stage"] = self.stages.table["stage"].reindex(about.index)
        for k, column in enumerate(() if holdout is None else holdout.by):
            if column not in about:
                from clv.errors import SettingsError

                raise SettingsError(
                    f"limits.holdout.by.{k}: {column!r} is no column of the accounts.",
                    mend=f"Known are {', '.join(map(str, about.columns))}.",
                )
        rule = self.settings.limits.clusters
        if rule is not None and rule.by == "found":
            about["cluster"] = self._clusters.reindex(about.index)
        return about

    @cached_property
    def _clusters(self) -> pd.Series:
        """Group of like accounts that each account is in, of a size that people can work on; index account_id."""
        import pandas as pd

        rule, found = self.settings.limits.clusters, self.clusters
        if rule is None or isinstance(found, Missing):
            return pd.Series(dtype=object)
        if found.structured and rule.at_most is not None and rule.at_most >= 2 * rule.at_least - 1:
            found = self._clustered((rule.at_least, rule.at_most))
            if isinstance(found, Missing):
                return pd.Series(dtype=object)
        return found.table["group"].astype(object)

    @cached_property
    def _tier_values(self) -> pd.DataFrame:
        """What each account would bring and cost in each tier."""
        kept = self.store.get("tier_options")
        return self.incremental.tiers if kept is None else kept

    @cached_property
    def candidates(self) -> pd.DataFrame:
        """Options of the accounts in question: the selected ones, and those that limits of the study name."""
        settings = self.settings
        kept = self.store.get("account_selection")
        chosen = self.selection.table if kept is None else kept
        wanted = set(chosen.loc[chosen["selected"], "account_id"]) | set(settings.limits.must_have or ())
        if settings.limits.keep_last is not None:
            wanted |= set(self._last_tiers().index)
        return self.options(wanted)

    def options(self, accounts: pd.Series | set[str]) -> pd.DataFrame:
        """List what each of these accounts would bring, cost and take in each tier."""
        from clv.abm.options import with_hours
        from clv.errors import DataError

        table = self._tier_values
        table = table[table["account_id"].isin(accounts)]
        if table.empty:
            raise DataError(
                "no account is selected, so that there is none to put into a tier.", table="account_selection",
                mend="Look at the selection: no tier pays for its cost, or the capacity is too small.",
            )  # fmt: skip
        table = with_hours(table.reset_index(drop=True), self.settings.tiers)
        table.attrs["clv"] = {"uplift": "measured" if self.response.measurements else "assumed"}
        return table

    @cached_property
    def comparison(self) -> Comparison:
        """The plan, nobody left out, beside rank-and-cut, the last programme's tiers and the team's own list."""
        from clv.abm.allocation.compare import compare_allocations

        others, full = self._other_plans, self.randomised_plan.full
        named = {account for plan in others.values() for account in plan.index}
        wide = self.options(named | set(self.candidates["account_id"])) if named else None
        return compare_allocations(full, others, options=wide, accounts=self.about)

    @cached_property
    def _other_plans(self) -> dict[str, pd.Series]:
        """The team's own list and the last programme, where there are such: name -> tier, index account_id."""
        from clv.errors import DataError

        names = [tier.name for tier in self.settings.tiers]
        plans: dict[str, pd.Series] = {}
        team = self.table("team_tiers")
        if team is not None:
            unknown = team[~team["tier"].isin([*names, "none"])]
            if len(unknown):
                raise DataError(
                    f"account {unknown['account_id'].iloc[0]!r} has tier {unknown['tier'].iloc[0]!r}, which the study"
                    " does not have.", table="team_tiers", column="tier", mend=f"Use {', '.join(names)} or none.",
                )  # fmt: skip
            plans[_TEAM] = team.set_index("account_id")["tier"]
        last = self._last_tiers()
        if len(last):
            plans["last period"] = last[last.isin(names)]
        return plans

    @property
    def team_moves(self) -> pd.DataFrame:
        """Accounts that the plan treats otherwise than the team's list; without any column where there is none."""
        import pandas as pd

        if _TEAM not in self._other_plans:
            return pd.DataFrame()
        moves = self.comparison.moves
        return moves[moves["plan"] == _TEAM].drop(columns="plan")

    @cached_property
    def moves(self) -> Result:
        """Accounts whose tier is another than in the last programme: before, now, net, net_before (there), why."""
        import numpy as np

        last = self._last_tiers()
        if last.empty:
            return Missing.because("No programme came before, so nobody moves.")
        table = self.randomised_plan.table.assign(net=lambda plan: plan["value"] - plan["cost"])
        table = table.set_index("account_id")[["tier", "net", "arm"]].rename(columns={"tier": "now"})
        table = table.join(last.rename("before"), how="outer").fillna({"now": "none", "before": "none", "arm": ""})
        moved = table[table["now"] != table["before"]].rename_axis("account_id")
        options = self._tier_values.set_index(["account_id", "tier"])
        there = options.reindex(list(zip(moved.index, moved["before"], strict=True)))
        moved = moved.assign(net_before=(there["value"] - there["cost"]).to_numpy())
        chosen = moved.index.isin(self.candidates["account_id"])
        why = np.where(moved["arm"] == "holdout", "left out by lot", "")
        why = np.where(chosen, why, "not selected")
        moved = moved.assign(why=why).sort_index().sort_values("net", ascending=False, kind="stable")
        came, went = int((moved["before"] == "none").sum()), int((moved["now"] == "none").sum())
        kept = int(((table["now"] == table["before"]) & (table["now"] != "none")).sum())
        text = (
            f"Since the last programme {came:,} accounts come in and {went:,} leave;"
            f" {len(moved) - came - went:,} change their tier and {kept:,} keep it."
        )
        return Result(moved[["before", "now", "net", "net_before", "why"]], text)

    @property
    def leavers(self) -> pd.DataFrame:
        """Accounts of the last programme that get no tier now, what they would bring in their old one, and why not."""
        table = self.moves.table
        if isinstance(self.moves, Missing):
            return table
        gone = table[table["now"] == "none"]
        return gone.sort_values("net_before", ascending=False, kind="stable")

    @property
    def comers(self) -> pd.DataFrame:
        """Accounts that come in or change their tier, those that bring most first."""
        table = self.moves.table
        return table if isinstance(self.moves, Missing) else table[table["now"] != "none"]

    def _last_tiers(self) -> pd.Series:
        """Tier in which the last programme treated each account, index account_id; empty where there was none."""
        import pandas as pd

        programmes = self.table("programmes")
        if programmes is None:
            return pd.Series(dtype=object)
        treated = programmes[(programmes["arm"] == "treatment") & (programmes["start"] <= self.as_of)]
        latest = treated.sort_values("start", kind="stable").drop_duplicates("account_id", keep="last")
        return latest.set_index("account_id")["tier"].astype(object)

    def _for_crm(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add net and, where they are known, names and managers: the list as other software takes it."""
        table = table.assign(net=table["value"] - table["cost"])
        if "manager" in self.about:
            table["manager"] = table["account_id"].map(self.about["manager"])
        return self.named(table)
