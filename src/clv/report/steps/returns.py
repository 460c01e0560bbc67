"""Steps of `clv.abm` that look back: what a programme changed against its controls, and what the next one can show."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.report.steps.abm import AbmSteps
from clv.result import Missing

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.claims import Claims
    from clv.abm.experiments.analysis import ExperimentAnalysis
    from clv.abm.experiments.design import ExperimentDesign
    from clv.abm.experiments.incremental_roi import IncrementalROI
    from clv.abm.forecast.roi import RoiForecast
    from clv.abm.loop.response import Response

_NO_PROGRAMME = (
    "This study has no programme with a control group: what one returned cannot be told, whatever was bought by those "
    "who were in it."
)


class ReturnSteps(AbmSteps):
    """What a programme returned."""

    @cached_property
    def outcomes(self) -> pd.DataFrame | None:
        """What each account of the programme brought since its start; None where there were no controls."""
        from clv.abm.experiments.outcomes import experiment_outcomes

        programmes = self.table("programmes")
        if programmes is None or not {"treatment", "control"} <= set(programmes["arm"]):
            return None
        begun = programmes[programmes["start"] < self.as_of]
        return experiment_outcomes(
            begun, self.transactions, opportunities=self.table("opportunities"), margin=self.settings.margin,
            as_of=self.as_of,
        )  # fmt: skip

    @cached_property
    def experiment(self) -> ExperimentAnalysis | Missing:
        """What the programme changed, by tier, against its controls."""
        from clv.abm.experiments.analysis import analyse_experiment

        data, settings = self.outcomes, self.settings
        if data is None:
            return Missing.because(_NO_PROGRAMME)
        return analyse_experiment(
            data, by="tier", block=self._block(data), secondary=["purchases"], seed=settings.seed,
            currency=settings.currency,
        )  # fmt: skip

    @property
    def experiment_checks(self) -> pd.DataFrame:
        """What was checked about the comparison; without any column where there was none."""
        import pandas as pd

        return pd.DataFrame() if isinstance(self.experiment, Missing) else self.experiment.checks

    @cached_property
    def roi(self) -> IncrementalROI | Missing:
        """What the programme brought for what it cost, by tier."""
        from clv.abm.experiments.incremental_roi import incremental_roi

        data, settings = self.outcomes, self.settings
        if data is None:
            return Missing.because(_NO_PROGRAMME)
        if "cost" not in data:
            return Missing.because("The programme's cost is not known, so that its return cannot be told.")
        roi = incremental_roi(data, by="tier", block=self._block(data), seed=settings.seed, currency=settings.currency)
        self.store.put("programme_return", roi.table)
        return roi

    @cached_property
    def response(self) -> Response:
        """What each tier adds: what the study assumes, and what is left of that after the programme was measured."""
        from clv.abm.loop.evidence import tier_measurements
        from clv.abm.loop.response import response_prior, update_response

        tiers = self.settings.tiers
        believed = response_prior(tiers)
        if isinstance(self.experiment, Missing) or self.outcomes is None:
            return believed
        named = self.outcomes.get("programme")
        name = "programme" if named is None else ", ".join(sorted(named.dropna().unique()))
        measured = tier_measurements(self.experiment, experiment=name, tiers=[tier.name for tier in tiers])
        return update_response(believed, measured)

    @cached_property
    def forecast(self) -> RoiForecast:
        """What the present plan is expected to return, by what is known of the tiers now."""
        from clv.abm.forecast.roi import forecast_roi

        settings = self.settings
        return forecast_roi(
            self.allocation, self.value, self.response, draws=4000, seed=settings.seed,
            confidence=settings.confidence, currency=settings.currency,
        )  # fmt: skip

    @cached_property
    def claims(self) -> Claims:
        """What others claim of account-based marketing: shown beside own evidence, used nowhere."""
        from clv.abm.claims import show_claims

        return show_claims({} if isinstance(self.roi, Missing) else {"roi": self.roi.text.split("\n\n")[0]})

    @cached_property
    def next_experiment(self) -> ExperimentDesign | Missing:
        """What an experiment on the accounts that now get a tier could show within half a year."""
        from clv.abm.experiments.design import design_experiment
        from clv.errors import ClvError

        table, settings = self.allocation.table, self.settings
        chosen = table.loc[table["tier"] != "none", ["account_id", "tier"]]
        try:
            return design_experiment(
                chosen, self.transactions, arms={"treatment": 2 / 3, "control": 1 / 3}, match="before",
                as_of=self.as_of, margin=settings.margin, opportunities=self.table("opportunities"), draws=200,
                seed=settings.seed, currency=settings.currency,
            )  # fmt: skip
        except ClvError as error:
            return Missing.because(f"No experiment can be planned on these accounts: {error.message}")

    @staticmethod
    def _block(data: pd.DataFrame) -> str | None:
        """Name the column of randomisation blocks where every account has one."""
        return "block" if "block" in data and data["block"].notna().all() else None
