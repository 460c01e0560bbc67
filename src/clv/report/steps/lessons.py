"""Steps of `clv.abm` about evidence: without a lot, while a programme runs, and on who gains."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.report.steps.evidence import in_blocks
from clv.report.steps.winning import WinningSteps
from clv.result import Missing

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.experiments.sequential import Monitoring
    from clv.abm.experiments.uplift import Uplift
    from clv.abm.lot import AgainstTheLot
    from clv.abm.unrandomised import UnrandomisedEvidence

#: firmographics that may tell who gains.
_FIRM = ("employees", "industry", "technology", "region")


class LessonSteps(WinningSteps):
    """What else the evidence says, and what it does not."""

    @cached_property
    def unrandomised(self) -> UnrandomisedEvidence | Missing:
        """What several methods say of a programme that nobody randomised, each with its own checks."""
        settings, programme = self.settings, self.programme
        if programme is None:
            return Missing.because("This study has no programme, so that there is nothing to compare.")
        if programme.empty:
            return self._measured if isinstance(self._measured, Missing) else Missing.because("No programme has begun.")
        arms = set(programme["arm"])
        if "treatment" not in arms:
            return Missing.because("All accounts of the programme are controls: nobody was treated.")
        if "control" in arms and settings.programme.randomised:
            return Missing.because("This programme's controls were drawn by lot; no other comparison is needed.")
        treated, every = programme[programme["arm"] == "treatment"], self.table("programmes")
        known = programme.loc[programme["arm"] == "control"] if "control" in arms else self.transactions
        # Who was treated in another programme is no control of this one.
        elsewhere = set() if every is None else set(every.loc[every["arm"] == "treatment", "account_id"])
        return self._compared(treated, sorted(set(known["account_id"]) - elsewhere))

    @property
    def unrandomised_checks(self) -> pd.DataFrame:
        """Checks of each method; without any column where there is none."""
        import pandas as pd

        return pd.DataFrame() if isinstance(self.unrandomised, Missing) else self.unrandomised.checks

    @property
    def unrandomised_selection(self) -> pd.DataFrame:
        """How the choice of accounts misleads; without any column where nothing was chosen without a lot."""
        import pandas as pd

        return pd.DataFrame() if isinstance(self.unrandomised, Missing) else self.unrandomised.selection.table

    @cached_property
    def lesson(self) -> AgainstTheLot | Missing:
        """What methods without a lot would have said of a programme that had one."""
        from clv.abm.lot import against_the_lot

        if isinstance(self.experiment, Missing) or self.programme is None:
            return Missing.because("There is no programme with a lot with which other methods could be compared.")
        drawn, every = self.programme, self.table("programmes")
        ever = set(drawn["account_id"]) | set(drawn["account_id"] if every is None else every["account_id"])
        outside = set(self.transactions["account_id"]) - ever
        found = self._compared(drawn[drawn["arm"] == "treatment"], sorted(outside))
        return found if isinstance(found, Missing) else against_the_lot(self.experiment, found)

    @cached_property
    def gains(self) -> Uplift | Missing:
        """Who gains more than others, judged on accounts that the model has not seen."""
        from clv.abm.experiments.uplift import uplift

        data, settings = self.outcomes, self.settings
        if data is None:
            return Missing.because("Who gains can be told from a programme with controls by lot only; there is none.")
        features = [name for name in ("margin_pre", "purchases_pre") if name in data]
        if self.accounts is not None:
            firms = self.accounts.set_index("account_id")
            known = [name for name in _FIRM if name in firms and firms[name].notna().any()]
            data = data.merge(firms[known], left_on="account_id", right_index=True, how="left")
            features += known
        return self._told(
            "Who gains more than others cannot be told",
            lambda: uplift(data, features=features, block="block", seed=settings.seed, currency=settings.currency),
        )

    @cached_property
    def monitoring(self) -> Monitoring | Missing:
        """What a running programme shows so far, with intervals that hold however often one looks."""
        from clv.abm.experiments.sequential import monitor_experiment
        from clv.abm.looks import experiment_looks
        from clv.data import units

        settings, programme = self.settings, self.programme
        if self.outcomes is None or programme is None:
            return Missing.because("No programme with controls by lot is running.")
        planned = units.years(settings.horizon, settings.unit) * 365.25

        def look() -> Monitoring | Missing:
            looks = experiment_looks(
                programme, self.margin_lines, every=settings.programme.look_every, planned=planned,
                margin=settings.margin, as_of=self.as_of,
            )  # fmt: skip
            if not looks.running:
                return Missing.because(
                    "The programme is over: the comparison above is its result, and looking at it once is all there is."
                )
            return monitor_experiment(
                in_blocks(looks.data), looks=looks.looks, times=looks.times, block="block", seed=settings.seed,
                currency=settings.currency,
            )  # fmt: skip

        return self._told("There is nothing to look at yet", look)

    def _compared(self, treated: pd.DataFrame, controls: list[str]) -> UnrandomisedEvidence | Missing:
        from clv.abm.unrandomised import unrandomised_evidence

        settings = self.settings
        return self._told(
            "Not randomised, and nothing to compare with",
            lambda: unrandomised_evidence(
                treated, self.margin_lines, controls=controls, accounts=self.accounts, margin=settings.margin,
                as_of=self.as_of, seed=settings.seed, currency=settings.currency,
            ),
        )  # fmt: skip
