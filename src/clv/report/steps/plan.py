"""Steps of `clv.abm`: what the plan of tiers rests on: by manager, under other budgets, beliefs and spends."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.report.steps.tiers import TierSteps
from clv.result import Missing, Result

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.allocation.frontier import Frontier
    from clv.abm.response.spending import SpendPlan
    from clv.abm.robust.curse import Curse
    from clv.abm.robust.sensitivity import Sensitivity
    from clv.abm.robust.uncertainty import RobustAllocation
    from clv.report.show import Format

_NO_DRAWS = (
    "The values of the accounts come without draws, so that how sure each tier is cannot be told: let them be computed"
    " here, with draws above 0."
)
#: options up to which all of that is computed in seconds; in a larger book, over fewer draws.
_MANY = 5_000
_DRAWS, _FEW_DRAWS = 300, 40
_TOO_MANY = 60_000
#: weight of the worst tenth of the draws in the plan that averts risk; the rest is that of the mean.
_RISK = 0.5
#: tiers that are best in fewer draws than this are not told.
_HARDLY = 0.05
#: share by which the plan of a draw may fall short of the best: little beside what draws differ by.
_NEARLY = 0.01
#: rounds of simulated estimation.
_ROUNDS = 50


class PlanSteps(TierSteps):
    """What the plan rests on."""

    @cached_property
    def tier_decision(self) -> Result:
        """The plan in words, with the interval of what it brings."""
        from clv.abm.wording import money

        text, robust = self.allocation.text, self.robust
        if not isinstance(robust, Missing):
            own = robust.plans.iloc[0]
            first, *more = text.split("\n\n")
            first += (
                f" Given all that is not known, the net return may well be anything between"
                f" {money(float(own['lower']), self.settings.currency)} and"
                f" {money(float(own['upper']), self.settings.currency)} (nine of ten draws)."
            )
            text = "\n\n".join([first, *more])
        return Result(self.allocation.table, text)

    @cached_property
    def frontier(self) -> Frontier | Missing:
        """What the plan would bring under other budgets."""
        from clv.abm.allocation.frontier import tier_frontier

        if not self.limits.budget and not self.allocation.table["cost"].sum():
            return Missing.because("The plan spends nothing, so there are no other budgets to set beside it.")
        return tier_frontier(self.allocation)

    @cached_property
    def robust(self) -> RobustAllocation | Missing:
        """How sure each tier is, what knowing more is worth, and what averts risk: the same lot, over draws."""
        from clv.abm.robust.draws import incremental_draws
        from clv.abm.robust.uncertainty import allocate_under_uncertainty

        if self.incremental.belief is None:
            return Missing.because(_NO_DRAWS)
        if len(self.candidates) > _TOO_MANY:
            return Missing.because("The book is too large to plan again here for every draw of what is not known.")
        most = _FEW_DRAWS if len(self.candidates) > _MANY else _DRAWS
        drawn = incremental_draws(self.candidates, self.incremental, most=most)
        declared = self.allocation.work.declared
        stated = self.limits
        return allocate_under_uncertainty(
            self.candidates, drawn, stated.budget, stated.hours, stated.counts, limits=declared.declared,
            accounts=self._strata, risk_weight=_RISK, information_draws=min(60, drawn.drawn.shape[1]),
            draw_gap=_NEARLY, currency=self.settings.currency,
        )  # fmt: skip

    @cached_property
    def shrunk(self) -> Curse | Missing:
        """What a plan by estimates as they come promises and brings, beside one by estimates that were shrunk."""
        from clv.abm.robust.curse import optimisers_curse
        from clv.abm.robust.draws import incremental_draws

        if self.incremental.belief is None:
            return Missing.because(_NO_DRAWS)
        if len(self.candidates) > _MANY:
            return Missing.because("The book is too large to simulate here what planning by raw estimates would bring.")
        stated = self.limits
        return optimisers_curse(
            self.candidates, incremental_draws(self.candidates, self.incremental), stated.budget, stated.hours,
            stated.counts, limits=self.allocation.work.declared.declared, accounts=self._strata, rounds=_ROUNDS,
            gap=_NEARLY, seed=self.settings.seed, currency=self.settings.currency,
        )  # fmt: skip

    @property
    def lot_worth(self) -> Result:
        """What the holdout costs, beside what it would be worth to know for certain what the tiers add."""
        from clv.abm.wording import money

        said, currency = self.randomised_plan.text, self.settings.currency
        if not isinstance(self.robust, Missing) and len(self.allocation.holdout):
            known = self.robust.information
            effects = known[known["kind"].isin(["parameter", "parameters"])]
            if len(effects):
                said += (
                    " To know for certain what each tier adds would be worth"
                    f" {money(float(effects['value'].max()), currency)} in a plan like this one, and again in each that"
                    " follows: that is what leaving accounts out is for."
                )
        return Missing.because(said) if self.randomised_plan.lots.empty else Result(self.randomised_plan.lots, said)

    @cached_property
    def learn_first(self) -> Result:
        """About which accounts to learn more before the plan is carried out."""
        from clv.abm.robust.draws import incremental_draws
        from clv.abm.robust.learn_first import learn_first

        if self.incremental.belief is None:
            return Missing.because(_NO_DRAWS)
        few = _FEW_DRAWS if len(self.candidates) > _MANY else None
        drawn = incremental_draws(self.candidates, self.incremental, effects="believed", most=few)
        return learn_first(self.allocation, self.candidates, drawn)

    @cached_property
    def sensitivity(self) -> Sensitivity:
        """By how much what tiers are believed to add may be wrong before the plan is another."""
        from clv.abm.robust.sensitivity import tier_sensitivity

        return tier_sensitivity(self.allocation)

    @cached_property
    def spending(self) -> SpendPlan | Missing:
        """How much to spend on each account, where the study says what more or less money would do."""
        from clv.abm.response.study import study_spend

        return study_spend(self.settings.tiers, self.allocation, self.candidates, accounts=self._strata)

    @property
    def spends(self) -> pd.DataFrame:
        """What to spend on each account in a tier, the most first; without any column where nothing is said of that."""
        if isinstance(self.spending, Missing):
            return self.spending.table
        table = self.spending.table[self.spending.table["tier"] != "none"]
        return table.sort_values(["spend", "account_id"], ascending=[False, True], kind="stable")

    @property
    def plan_risks(self) -> pd.DataFrame:
        """What the plan and the one that averts risk may bring; without any column where there are no draws."""
        if isinstance(self.robust, Missing):
            return self.robust.table
        names = {"expected": "this plan", "risk-averse": "risk-averse", "as stated": "by values as stated"}
        return self.robust.plans.assign(plan=self.robust.plans["plan"].map(names))

    @property
    def effects_worth(self) -> pd.DataFrame:
        """What knowing the effects of tiers would be worth; without any column where there are no draws."""
        if isinstance(self.robust, Missing):
            return self.robust.table
        known = self.robust.information
        known = known[known["kind"] != "accounts"].replace({"learn": {"all parameters": "all effects together"}})
        return known.reset_index(drop=True)

    @property
    def by_manager(self) -> pd.DataFrame:
        """Accounts in each tier, hours and return of the plan by manager; no column where managers are unknown."""
        import pandas as pd

        if "manager" not in self.about:
            return pd.DataFrame()
        plan = self.allocation.table[self.allocation.table["tier"] != "none"]
        manager = plan["account_id"].map(self.about["manager"]).fillna("none known").rename("manager")
        plan = plan.assign(net=plan["value"] - plan["cost"])
        used = [tier.name for tier in self.settings.tiers if (plan["tier"] == tier.name).any()]
        counts = pd.crosstab(manager, plan["tier"])[used]
        sums = plan.groupby(manager)[["hours", "cost", "net"]].sum().round().astype("int64")
        found = counts.join(sums).rename_axis(columns=None)
        spare = self.table("managers")
        if spare is not None:
            own = spare.set_index("manager")
            for column, heading in (("hours", "spare hours"), ("at_most", "accounts at most")):
                if column in own:
                    found[heading] = own[column].reindex(found.index)
        return found

    @property
    def listed_plan(self) -> pd.DataFrame:
        """Accounts in a tier by net return, with manager, how sure the tier is and what comes next."""
        ranked = self.allocation.ranked.assign(net=lambda plan: plan["value"] - plan["cost"])
        if "manager" in self.about:
            ranked["manager"] = ranked["account_id"].map(self.about["manager"]).fillna("")
        ranked["probability"] = float("nan")
        if not isinstance(self.robust, Missing):
            ranked["probability"] = ranked["account_id"].map(self.robust.table.set_index("account_id")["probability"])
        reasons = self.allocation.reasons.set_index("account_id")["runner_up"]
        ranked["runner_up"] = ranked["account_id"].map(reasons)
        return ranked

    @property
    def list_columns(self) -> dict[str, tuple[str, Format]]:
        """Columns of the list of accounts that this study has: column -> (heading, format)."""
        currency = self.settings.currency
        columns: dict[str, tuple[str, Format]] = {"account": ("account", "text"), "tier": ("tier", "text")}
        if "manager" in self.about:
            columns["manager"] = ("manager", "text")
        columns |= {"net": (f"expected net, {currency}", "money"), "cost": (f"cost, {currency}", "money")}
        if any(tier.hours for tier in self.settings.tiers):
            columns["hours"] = ("hours", "number")
        if not isinstance(self.robust, Missing):
            columns["probability"] = ("how sure", "share")
        return columns | {"runner_up": ("second best", "text")}

    @property
    def least_sure(self) -> pd.DataFrame:
        """Accounts with the least sure tier: account_id, tier, probability, instead (the other tiers, in words)."""
        import pandas as pd

        if isinstance(self.robust, Missing):
            return pd.DataFrame()
        held = set(self.allocation.holdout["account_id"])
        table = self.robust.table[~self.robust.table["account_id"].isin(held)]
        table = table.sort_values("probability", kind="stable")[["account_id", "tier", "probability"]]
        shares = self.robust.tier_probability.loc[table["account_id"]]
        said = []
        for tier, (_, row) in zip(table["tier"], shares.iterrows(), strict=True):
            others = row.drop(tier).sort_values(ascending=False, kind="stable")
            said.append(", ".join(f"{name} {share:.0%}" for name, share in others.items() if share >= _HARDLY))
        return table.assign(instead=said).reset_index(drop=True)

    @cached_property
    def closest_calls(self) -> Result:
        """Accounts whose tier changes with the smallest relative change, the closest first."""
        from clv.abm.wording import accounts

        held = set(self.allocation.holdout["account_id"])
        reasons = self.allocation.reasons
        reasons = reasons[~reasons["account_id"].isin(held) & (reasons["runner_up"] != "")]
        filling = int((reasons["distance"] <= 0).sum())
        # What is between the cheapest tier and none is a small matter, however close: it comes last.
        cost = {"none": 0.0, **{tier.name: tier.cost for tier in self.settings.tiers}}
        small = min(tier.cost for tier in self.settings.tiers)
        stake = (reasons["tier"].map(cost) - reasons["runner_up"].map(cost)).abs()
        table = reasons.assign(small=stake <= small)[reasons["distance"] > 0]
        table = table.sort_values(["small", "flip_share", "account_id"], kind="stable").drop(columns="small")
        text = (
            "At the price of what is scarce, each account has the tier that is worth most; the smaller the change that"
            " would make the second best worth as much, the closer the call."
        )
        if filling:
            verb = "has its" if filling == 1 else "have their"
            text += (
                f" {accounts(filling)} {verb} tier only because it fits into what the limits leave over; these would"
                " change first."
            )
        return Result(table.reset_index(drop=True), text)

    @property
    def left_out(self) -> pd.DataFrame:
        """Accounts that the lot leaves out: account_id, stratum (the tier that was meant for it)."""
        table = self.randomised_plan.table
        return table.loc[table["arm"] == "holdout", ["account_id", "stratum"]].reset_index(drop=True)

    @property
    def tiers(self) -> pd.DataFrame:
        """The tiers of the study, as it states them, and what is believed of them now."""
        import pandas as pd

        frame = pd.DataFrame(
            [
                {
                    "name": tier.name, "cost": tier.cost, "hours": tier.all_hours, "uplift": tier.uplift,
                    "at_least": tier.at_least, "at_most": tier.at_most,
                }
                for tier in self.settings.tiers
            ]
        )  # fmt: skip
        whole = self.response.table[self.response.table["segment"] == ""].set_index("tier")
        for column in ("mean", "lower", "upper", "evidence"):
            frame[column] = frame["name"].map(whole[column])
        return frame.astype({"at_most": "Int64"})

    @property
    def _strata(self) -> pd.DataFrame:
        """What is known of the accounts, with the strata of the lot."""
        from clv.abm.allocation.lot import STRATUM

        stratum = self.randomised_plan.table.set_index("account_id")["stratum"].rename(STRATUM)
        return self.about.join(stratum, how="left")
