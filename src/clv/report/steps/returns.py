"""Steps of `clv.abm` that look ahead: what a plan will return, what to change, what others claim, what comes next."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clv.abm.forecast.wording import chance, percent
from clv.abm.journey import ALL_TIERS
from clv.abm.wording import accounts, money, money_range
from clv.report.steps.lessons import LessonSteps
from clv.result import Missing, Result

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.claims import Claims
    from clv.abm.experiments.design import ExperimentDesign
    from clv.abm.forecast.compare import RoiComparison
    from clv.abm.forecast.roi import RoiForecast

_DRAWS = 4000
#: segments of a forecast, the largest; the rest counts together.
_SEGMENTS = 6


class ReturnSteps(LessonSteps):
    """What a programme returns."""

    @cached_property
    def verdict(self) -> Result:
        """What was spent, what it returned, how sure, what to change next: the first thing to read."""
        from clv.abm.verdict import programme_verdict, unrandomised_verdict

        plan = {} if isinstance(self.forecast, Missing) else _by_tier(self.forecast)
        held_out = int((self.randomised_plan.table["arm"] == "holdout").sum()) if plan else 0
        if isinstance(self.roi, Missing):
            other, programme = self.unrandomised, self.programme
            if isinstance(other, Missing) or programme is None:
                return Missing.because(f"{self.roi.text}\n\n{self._expected(held_out)}".strip())
            treated = programme[programme["arm"] == "treatment"]
            known = "cost" in treated and treated["cost"].notna().all()
            return unrandomised_verdict(other, spent=float(treated["cost"].sum()) if known else None, held_out=held_out)
        sound = not isinstance(self.experiment, Missing) and self.experiment.sound
        mine = None if self.outcomes is None else self.outcomes[self.outcomes["arm"] == "treatment"]
        # Accounts without a comparison are in no sum: what was spent on them did not buy the return that is shown.
        rest = 0 if mine is None else len(mine) - int(self.roi.table["accounts"].iloc[-1])
        spent = None if mine is None or rest else float(mine["cost"].sum())
        found = programme_verdict(self.roi, self.response, spent=spent, p_next=plan, held_out=held_out, sound=sound)
        if mine is None or not rest:
            return found
        whole = money(float(mine["cost"].sum()), self.settings.currency)
        said = (
            f"In all {whole} went to {accounts(len(mine))}; {rest:,} of them have no controls to be compared with, and"
            " what these returned cannot be told."
        )
        first, apart, others = found.text.partition("\n\n")
        return replace(found, text=f"{first} {said}{apart}{others}")

    def _expected(self, held_out: int) -> str:
        """Say what to go by where no return was measured: what is expected of the plan, and what tells next time."""
        if isinstance(self.forecast, Missing):
            return ""
        total, currency = self.forecast.table.iloc[0], self.forecast.currency
        basis = "what earlier programmes taught" if self.response.measurements else "what is assumed, not measured"
        said = (
            f"Next: by {basis}, the present plan spends {money(total['cost'], currency)} on"
            f" {accounts(int(total['accounts']))} and brings {money(total['npv'], currency)} net"
            f" ({self.forecast.confidence:.0%}: {money_range(total['npv_lower'], total['npv_upper'])}); it pays"
            f" with a chance of {chance(float(total['p_positive']))}."
        )
        if held_out:
            said += f" Leave out the {accounts(held_out)} that the lot has drawn: they are what next time is told by."
        return said

    @property
    def how_to_read(self) -> Result:
        """How a return is read, or why none is shown."""
        if not isinstance(self.roi, Missing):
            return Missing.because(
                "A return of 0% means that the programme just paid for itself. Where the interval reaches from below "
                "nought to above, whether it paid is not proven, whatever the middle says."
            )
        if isinstance(self.unrandomised, Missing):
            return Missing.because("No return was measured, so that none is shown.")
        return Missing.because(
            "Nobody drew lots: the picture shows what several methods make of that, not a measurement."
        )

    @property
    def tier_verdicts(self) -> pd.DataFrame:
        """What each tier returned and what to do with it; without any column where that was not measured by lot."""
        import pandas as pd

        from clv.abm.verdict import ProgrammeVerdict

        return self.verdict.table if isinstance(self.verdict, ProgrammeVerdict) else pd.DataFrame()

    @property
    def response_evidence(self) -> pd.DataFrame:
        """The measurements behind what is believed; without any column where there are none."""
        import pandas as pd

        return self.response.evidence if self.response.measurements else pd.DataFrame()

    @property
    def forecast_parts(self) -> pd.DataFrame:
        """The forecast for the whole plan, each tier and each segment; without any column where there is none."""
        import numpy as np
        import pandas as pd

        if isinstance(self.forecast, Missing):
            return pd.DataFrame()
        table = self.forecast.table
        table = table[table["scope"].isin(["total", "tier", "segment"])].replace([np.inf, -np.inf], np.nan)
        name = table["tier"].where(table["scope"] == "tier", table["segment"])
        return table.assign(part=name.mask(table["scope"] == "total", "whole plan"))

    @cached_property
    def forecast(self) -> RoiForecast | Missing:
        """What the present plan is expected to return, by what is believed of the tiers now."""
        from clv.abm.forecast.roi import forecast_roi

        return self._told(
            "The return of the plan cannot be foretold",
            lambda: forecast_roi(
                self.allocation, self.incremental, self.response, segments=self._segments, **self._how
            ),
        )  # fmt: skip

    @property
    def forecast_tornado(self) -> None:
        """Draw what the forecast hangs on, where there is one."""
        if not isinstance(self.forecast, Missing):
            self.forecast.plot_tornado()

    @cached_property
    def plan_comparison(self) -> RoiComparison | Missing:
        """What the plan, nobody left out, is expected to return beside rank-and-cut, with the same luck."""
        from clv.abm.allocation.baseline import rank_and_cut
        from clv.abm.forecast.compare import compare_roi

        full = self.randomised_plan.full
        cut = rank_and_cut(full.work.book, full.work.rules)
        cut = cut.merge(self.candidates[["account_id", "tier", "cost"]], how="left", on=["account_id", "tier"])
        plans: dict[str, Any] = {"the plan": full, "rank and cut": cut.assign(cost=cut["cost"].fillna(0.0))}
        return self._told(
            "Plans cannot be compared",
            lambda: compare_roi(plans, self.incremental, self.response, **self._how),
        )

    @property
    def _how(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "draws": _DRAWS, "seed": settings.seed, "confidence": settings.confidence, "currency": settings.currency,
            "horizon": settings.horizon, "unit": settings.unit, "discount_rate": settings.discount_rate,
        }  # fmt: skip

    @property
    def _segments(self) -> pd.Series | None:
        """Industry of each account, the largest ones by name; None where it is not known."""
        if self.accounts is None or "industry" not in self.accounts:
            return None
        industry = self.accounts.set_index("account_id")["industry"].fillna("not known").astype(str)
        largest = industry.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
        return industry.where(industry.isin(largest.index[:_SEGMENTS]), "others")

    @cached_property
    def claims(self) -> Claims:
        """What others claim of account-based marketing: shown beside own evidence, used nowhere."""
        from clv.abm.claims import show_claims

        return show_claims(self._own_findings())

    @property
    def claims_table(self) -> pd.DataFrame:
        """Each claim with what this study found of it, or a word that it did not look."""
        table = self.claims.table
        return table.assign(own=table["own"].replace("", "not measured here"))

    def _own_findings(self) -> dict[str, str]:
        """Say what this study found of what others claim."""
        own = {}
        if not self.tier_verdicts.empty and self.tier_verdicts["roi"].notna().iloc[-1]:
            whole = self.tier_verdicts.iloc[-1]
            own["roi"] = f"a return of {percent(float(whole['roi']))}, {whole['verdict']}"
            if whole["lower"] == whole["lower"]:
                ends = f"{percent(float(whole['lower']))} to {percent(float(whole['upper']))}"
                own["roi"] += f" (95%: {ends})"
        if not isinstance(self.experiment, Missing):
            main = self.experiment.table[self.experiment.table["role"] == "main"].iloc[-1]
            relative = percent(float(main["relative"])) if main["relative"] == main["relative"] else "not known"
            own["margin uplift"] = (
                f"{relative} of margin against controls: {money(main['effect'], self.settings.currency)} an account "
                f"({money_range(main['lower'], main['upper'])})"
            )
        if self.programme is not None:
            count = self.programme.loc[self.programme["arm"] == "treatment", "tier"].nunique()
            own["tiers in use"] = f"the programme ran {count} tier{'' if count == 1 else 's'}"
        if not isinstance(self.funnel, Missing):
            groups = self.funnel.table[~self.funnel.table["group"].str.startswith(ALL_TIERS)]
            groups = groups.assign(arm=groups["group"].str.rpartition(", ")[2])
            sums = groups[groups["arm"].isin(["treatment", "control"])].groupby("arm")[["won", "lost"]].sum()
            if len(sums) == 2 and (sums.sum(axis=1) > 0).all():
                treated, without = (_won(*sums.loc[arm]) for arm in ("treatment", "control"))
                own["win rate"] = f"won {treated} of the deals decided with the programme, {without} without"
        return own

    @cached_property
    def next_experiment(self) -> ExperimentDesign | Missing:
        """What an experiment on the customers that the plan is about could show within half a year."""
        from clv.abm.experiments.design import design_experiment

        settings, table = self.settings, self.randomised_plan.table
        chosen = table.loc[table["arm"].isin(["treatment", "holdout"]), ["account_id", "stratum"]]
        chosen = chosen[chosen["account_id"].isin(self.summary.index)].rename(columns={"stratum": "tier"})
        return self._told(
            "No experiment can be planned on these accounts",
            lambda: design_experiment(
                chosen, self.transactions, arms={"treatment": 2 / 3, "control": 1 / 3}, match="before",
                as_of=self.as_of, margin=settings.margin, opportunities=self.table("opportunities"), draws=200,
                effect=self._hoped_for(chosen["account_id"]), seed=settings.seed, currency=settings.currency,
            ),
        )  # fmt: skip

    def _hoped_for(self, accounts: pd.Series) -> float | None:
        """Mean relative effect that the plan expects on these accounts; None where it expects none."""
        plan = self.randomised_plan.full.table.set_index("account_id")
        gain = float(plan["value"].reindex(accounts).fillna(0.0).sum())
        base = float(self.incremental.table["base"].reindex(accounts).fillna(0.0).sum())
        return gain / base if gain > 0 and base > 0 else None


def _won(won: int, lost: int) -> str:
    return f"{won} of {won + lost} ({won / (won + lost):.0%})"


def _by_tier(forecast: RoiForecast) -> dict[str, float]:
    """Chance that each tier of a plan pays."""
    tiers = forecast.scope("tier")
    return dict(zip(tiers["tier"].astype(str), tiers["p_positive"].astype(float), strict=True))
