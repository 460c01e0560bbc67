"""Steps of `clv.churn`: where each account is in its life, where it is heading, and what to do."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.data import units
from clv.report.steps.value import ValueSteps
from clv.result import Missing

if TYPE_CHECKING:
    import pandas as pd

    from clv.churn.calibration import StageCalibration
    from clv.churn.contracts.all_stages import AllStages
    from clv.churn.contracts.hazard import RenewalHazard
    from clv.churn.contracts.reasons import LossReasons
    from clv.churn.contracts.stages import ContractStages
    from clv.churn.flows import StageFlows
    from clv.churn.loyalty.discount_effect import DiscountEffect
    from clv.churn.loyalty.loyalty import Loyalty
    from clv.churn.markov_value import MarkovValue
    from clv.churn.plays.assign import Plays
    from clv.churn.returning.win_back import WinBack
    from clv.churn.stages import ChurnStages
    from clv.churn.stays import History
    from clv.churn.transitions import Transitions


_NO_CONTRACTS = "This study has no contract that had begun by its as-of date: nothing can be said of renewals."


class ChurnSteps(ValueSteps):
    """Where accounts are in their lives."""

    @cached_property
    def purchase_stages(self) -> ChurnStages:
        """Where each account is in its life, by its purchases."""
        from clv.churn.stages import churn_stages

        settings = self.settings
        return churn_stages(
            self.purchases,
            self.summary,
            settings.horizon,
            rules=settings.stages,
            value=self.purchase_value.table["clv"],
            currency=settings.currency,
            transactions=self.transactions,
            accounts=self.accounts,
        )

    @cached_property
    def renewals(self) -> RenewalHazard | Missing:
        """How likely contracts are renewed."""
        from clv.churn.contracts.hazard import renewal_hazard

        if self.contracts is None:
            return Missing.because(_NO_CONTRACTS)
        settings = self.settings
        return renewal_hazard(
            self.contracts, as_of=self.as_of, observed_from=settings.contracts.observed_from,
            grace=settings.contracts.grace, faults="set_aside", confidence=settings.confidence, seed=settings.seed,
        )  # fmt: skip

    @cached_property
    def contract_stages(self) -> ContractStages | Missing:
        """Where each account with a contract is, by its renewals."""
        from clv.churn.contracts.stages import contract_stages

        renewals = self.renewals
        if self.contracts is None or isinstance(renewals, Missing):
            return Missing.because(_NO_CONTRACTS)
        settings = self.settings
        return contract_stages(
            self.contracts, as_of=self.as_of, hazard=renewals, transactions=self.transactions, rules=settings.stages,
            horizon=settings.horizon, unit=settings.unit, currency=settings.currency, faults="set_aside",
            observed_from=settings.contracts.observed_from, grace=settings.contracts.grace, seed=settings.seed,
        )  # fmt: skip

    @cached_property
    def stages(self) -> ChurnStages | AllStages:
        """Where each account is in its life, by its purchases and its contracts."""
        from clv.churn.contracts.all_stages import all_stages

        stages: ChurnStages | AllStages = self.purchase_stages
        if not isinstance(self.contract_stages, Missing):
            stages = all_stages(
                self.purchase_stages, self.contract_stages, rules=self.settings.stages,
                value=self.value.table["clv"], currency=self.settings.currency,
            )  # fmt: skip
        self.store.put("churn_stages", stages.table)
        return stages

    @cached_property
    def loss_reasons(self) -> LossReasons | Missing:
        """Why contracts are lost."""
        from clv.churn.contracts.reasons import loss_reasons

        if self.contracts is None:
            return Missing.because(_NO_CONTRACTS)
        return loss_reasons(
            self.contracts, as_of=self.as_of, observed_from=self.settings.contracts.observed_from,
            grace=self.settings.contracts.grace, faults="set_aside", confidence=self.settings.confidence,
        )  # fmt: skip

    @cached_property
    def history(self) -> History:
        """Where each account was at the ends of the last 24 months."""
        from clv.churn.history import stage_history

        settings = self.settings
        history = stage_history(
            self.purchases, self.transactions, as_of=self.as_of, grain=settings.grain, rules=settings.stages
        )
        self.store.put("stage_history", history.table)
        return history

    @cached_property
    def flows(self) -> StageFlows:
        """Who went from which stage to which, over the last four quarters."""
        from clv.churn.flows import stage_flows

        return stage_flows(self.history)

    @cached_property
    def transitions(self) -> Transitions:
        """How likely an account goes from one stage to another within a month."""
        from clv.churn.transitions import transition_matrix

        settings = self.settings
        # One pseudo-count a row in all (Perks 1947): one a cell would bring lost accounts back that never came.
        prior = 1 / len(self.history.states)
        return transition_matrix(self.history, prior=prior, confidence=settings.confidence, seed=settings.seed)

    @cached_property
    def stage_value(self) -> MarkovValue:
        """What an account in each stage is worth, by the moves it is heading for."""
        from clv.churn.markov_value import markov_value
        from clv.churn.stage_margins import stage_margins

        settings = self.settings
        margins = stage_margins(self.history, self.transactions, margin=settings.margin, as_of=self.as_of)
        return markov_value(
            self.transitions, reward=margins.table["margin"], discount_rate=settings.discount_rate,
            seed=settings.seed, currency=settings.currency,
        )  # fmt: skip

    @cached_property
    def win_back(self) -> WinBack:
        """Who comes back after a lapse, and what a second life is worth."""
        from clv.churn.returning.win_back import win_back

        settings = self.settings
        return win_back(
            self.transactions,
            as_of=self.as_of,
            inactive_months=settings.stages.inactive_months,
            horizon_months=settings.horizon * units.days_per_unit(settings.unit) / units.DAYS["M"],
            margin=settings.margin,
            discount_rate=settings.discount_rate,
            confidence=settings.confidence,
            grain=settings.grain,
            seed=settings.seed,
            currency=settings.currency,
        )

    @cached_property
    def plays(self) -> Plays:
        """What to do about each account: the play that adds most, by what it changes."""
        from clv.churn.plays.assign import assign_plays
        from clv.churn.plays.measured import measured_plays

        settings = self.settings
        programmes = self.table("programmes")
        measured = None
        if programmes is not None and any(play.measured_by for play in settings.plays):
            measured = measured_plays(settings.plays, programmes, self.transactions, as_of=self.as_of)
        plays = assign_plays(
            self.purchase_stages,
            self.purchase_value,
            settings.plays,
            purchases=self.purchases,
            spend=self.spend,
            summary=self.base_summary,
            experiment=measured,
            win_back=self.win_back,
            cost_to_serve=self.cost_to_serve,
            draws=settings.draws,
            seed=settings.seed,
            currency=settings.currency,
        )
        self.store.put("plays", plays.table)
        return plays

    @cached_property
    def loyalty(self) -> Loyalty:
        """Who is loyal, and who is just retained: by discounts and seasons."""
        from clv.churn.loyalty.loyalty import loyalty

        settings = self.settings
        return loyalty(
            self.transactions, wallets=self.table("wallets"), stages=self.purchase_stages, as_of=self.as_of,
            grain=settings.grain, inactive_months=settings.stages.inactive_months, confidence=settings.confidence,
        )  # fmt: skip

    @cached_property
    def discounts(self) -> DiscountEffect | Missing:
        """What a discount adds, net of the dip after it."""
        from clv.churn.loyalty.discount_effect import discount_effect

        return self._told(
            "What discounts add cannot be told",
            lambda: discount_effect(
                self.transactions,
                self.table("offers"),
                as_of=self.as_of,
                grain=self.settings.grain,
                confidence=self.settings.confidence,
            ),
        )

    @cached_property
    def moved_down(self) -> pd.DataFrame:
        """Accounts in a worse stage than a quarter ago, those worth most first, each with its sentence and play."""
        from clv.churn.stages import STAGES

        fell = self.flows.moved_down
        # The history ends with a month; who has bought since is not where it was then.
        now = self.purchase_stages.table["stage"].reindex(fell.index)
        fell = fell[now.map(STAGES.index) > fell["before"].map(STAGES.index)]
        table = fell.join(self.purchase_stages.table[["stage", "value", "sentence"]]).join(
            self.plays.table[["play", "net", "evidence"]]
        )
        return table.sort_index().sort_values("value", ascending=False, kind="stable")

    @property
    def best_plays(self) -> pd.DataFrame:
        """Accounts for which something is to be done, those to which it adds most first."""
        table = self.plays.table
        acting = table[table["cost"] > 0]
        return acting.sort_index().sort_values("net", ascending=False, kind="stable")

    def stage_calibration(self) -> StageCalibration:
        """Compare stages of past dates with who bought nothing in the quarter that followed."""
        from clv.churn.calibration import stage_calibration
        from clv.value.validation.holdout import choose_cutoffs

        settings = self.settings
        quarter = units.DAYS["Y"] / 4 / units.days_per_unit(settings.unit)
        horizon, cutoffs = choose_cutoffs(self.transactions, horizon=quarter, unit=settings.unit, as_of=self.as_of)
        return stage_calibration(
            self.transactions, cutoffs, horizon, unit=settings.unit, grain=settings.grain, rules=settings.stages,
            as_of=self.as_of, seed=settings.seed,
        )  # fmt: skip
