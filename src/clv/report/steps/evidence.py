"""Steps of `clv.abm` that look back: what a programme changed against its controls, and what is believed of tiers."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.errors import ClvError
from clv.report.steps.data import DataSteps, reason
from clv.result import Missing

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.experiments.analysis import ExperimentAnalysis
    from clv.abm.experiments.incremental_roi import IncrementalROI
    from clv.abm.loop.response import Response
    from clv.abm.spending import Spending

_NONE = "This study has no programme: there is nothing whose return could be measured."
_NO_PROGRAMME = (
    "This study has no programme with a control group: what one returned cannot be told, whatever was bought by those "
    "who were in it."
)
_NOT_RANDOMISED = (
    "The controls of this programme were not drawn by lot, as the study says: nothing is shown here as if they had "
    "been. What can be said without a lot stands below, labelled as such."
)


def in_blocks(programme: pd.DataFrame) -> pd.DataFrame:
    """Fill the randomisation blocks: an account without one was drawn among all of its tier, as the table says."""
    tier = "all of " + programme["tier"].astype(str)
    block = programme["block"].astype(object).fillna(tier) if "block" in programme else tier
    return programme.assign(block=block)


class EvidenceSteps(DataSteps):
    """What was measured."""

    @cached_property
    def spent(self) -> Spending | Missing:
        """What was spent, each amount in the one place where it counts (rule B1)."""
        from clv.abm.spending import reconcile_costs

        costs = self.table("costs")
        if costs is None:
            return Missing.because("The study has no table of costs: what it costs to win an account is not known.")
        return self._told(
            "Costs cannot be used",
            lambda: reconcile_costs(
                costs, self.table("programmes"), as_of=self.as_of, currency=self.settings.currency
            ),
        )  # fmt: skip

    @cached_property
    def programme(self) -> pd.DataFrame | None:
        """Rows of the programme that is analysed: the last one that has begun, with controls where one has them."""
        programmes = self.table("programmes")
        if programmes is None:
            return None
        if not isinstance(self.spent, Missing) and self.spent.programmes is not None:
            programmes = self.spent.programmes
        begun = programmes[programmes["start"] < self.as_of]
        if "programme" not in begun or begun["programme"].nunique() < 2:
            return begun
        named = begun.assign(programme=begun["programme"].fillna("not named"))
        about = named.groupby("programme").agg(start=("start", "max"), arms=("arm", "nunique"))
        last = about.sort_values(["arms", "start"], kind="stable").index[-1]
        self._say(f"Of {len(about)} programmes the last one with controls is analysed: {last}.")
        mine = named[named["programme"] == last]
        others = named[(named["programme"] != last) & (named["arm"] == "treatment")]
        both = mine[(mine["arm"] == "control") & mine["account_id"].isin(others["account_id"])]
        if len(both):
            self._say(
                f"{len(both)} controls of {last} were treated in another programme: what it changed is understated if "
                "that lasted."
            )
        return mine

    @cached_property
    def _measured(self) -> pd.DataFrame | Missing:
        """Count what each account of the programme brought, or say why that cannot be."""
        from clv.abm.experiments.outcomes import experiment_outcomes

        programmes, settings = self.table("programmes"), self.settings
        if programmes is None or programmes.empty:
            return Missing.because(_NONE)
        if not {"treatment", "control"} <= set(programmes["arm"]):
            return Missing.because(_NO_PROGRAMME)
        begun = self.programme
        if begun is None or begun.empty:
            first = programmes["start"].min()
            return Missing.because(
                f"The programme starts on {first:%Y-%m-%d}, and what is known ends on {self.as_of:%Y-%m-%d}: any "
                "outcome would be from before the treatment."
            )
        if not settings.programme.randomised:
            return Missing.because(_NOT_RANDOMISED)
        return self._told(
            "What the programme changed cannot be told",
            lambda: in_blocks(
                experiment_outcomes(
                    begun, self.margin_lines, opportunities=self.table("opportunities"), margin=settings.margin,
                    as_of=self.as_of,
                )
            ),
        )  # fmt: skip

    @cached_property
    def margin_lines(self) -> pd.DataFrame:
        """Purchases whose amounts times the study's margin are margins, each account's own where the study says so."""
        import pandas as pd

        settings, lines = self.settings, self.transactions
        if settings.margin_by == "study":
            return lines
        from clv.value.margins import account_margins

        found = account_margins(
            pd.Index(lines["account_id"].unique(), name="account_id"), margin=settings.margin, by=settings.margin_by,
            transactions=lines, firms=self.accounts, as_of=self.as_of,
        )  # fmt: skip
        share = lines["account_id"].map(found.margins).astype(float) / settings.margin
        return lines.assign(amount=lines["amount"] * share)

    @property
    def outcomes(self) -> pd.DataFrame | None:
        """What each account of the programme brought since its start; None where there were no controls by lot."""
        return None if isinstance(self._measured, Missing) else self._measured

    @cached_property
    def experiment(self) -> ExperimentAnalysis | Missing:
        """What the programme changed, by tier, against its controls."""
        from clv.abm.experiments.analysis import analyse_experiment

        data, settings = self._measured, self.settings
        if isinstance(data, Missing):
            return data
        also = [name for name in ("purchases", "wins") if name in data]
        end = data.get("end")
        if end is None or (end.isna() | (end > self.as_of)).any():
            self._say(
                "The programme is still running: the intervals of its comparison hold for one look only; those for "
                "looks on the way hold for all of them."
            )
        return self._told(
            "What the programme changed cannot be told",
            lambda: analyse_experiment(
                data, by="tier", block="block", secondary=also, seed=settings.seed,
                currency=settings.currency,
            ),
        )  # fmt: skip

    @property
    def experiment_table(self) -> pd.DataFrame:
        """Effects as they are read: the figures of a row with as many decimals as its largest; no column if none."""
        import pandas as pd

        from clv.abm.wording import alike

        if isinstance(self.experiment, Missing):
            return pd.DataFrame()
        table, figures = self.experiment.table, ["mean_treated", "mean_control", "effect", "lower", "upper"]
        return table.assign(**dict(zip(figures, zip(*map(alike, table[figures].to_numpy()), strict=True), strict=True)))

    @property
    def experiment_checks(self) -> pd.DataFrame:
        """What was checked about the comparison; without any column where there was none."""
        import pandas as pd

        return pd.DataFrame() if isinstance(self.experiment, Missing) else self.experiment.checks

    @cached_property
    def roi(self) -> IncrementalROI | Missing:
        """What the programme brought for what it cost, by tier."""
        from clv.abm.experiments.incremental_roi import incremental_roi

        data, settings = self._measured, self.settings
        if isinstance(data, Missing):
            return data
        if "cost" not in data:
            return Missing.because("The programme's cost is not known, so that its return cannot be told.")
        shared = 0.0 if isinstance(self.spent, Missing) else self.spent.shared
        roi = self._told(
            "What the programme returned cannot be told",
            lambda: incremental_roi(
                data, by="tier", block="block", shared=shared, seed=settings.seed,
                currency=settings.currency,
            ),
        )  # fmt: skip
        if not isinstance(roi, Missing):
            self.store.put("programme_return", roi.table)
        return roi

    @cached_property
    def response(self) -> Response:
        """What each tier adds: what the study assumes or an earlier run learnt, and what the programme showed since."""
        from clv.abm.loop.evidence import tier_measurements
        from clv.abm.loop.response import update_response

        believed = self.believed
        if isinstance(self.experiment, Missing) or self.outcomes is None:
            return self._keep_response(believed)
        named = self.outcomes.get("programme")
        name = "programme" if named is None else ", ".join(sorted(named.dropna().unique())) or "programme"
        start = self.outcomes["start"].min()
        try:
            measured = tier_measurements(
                self.experiment, experiment=name, tiers=[tier.name for tier in self.settings.tiers],
                start=f"{start:%Y-%m-%d}", end=f"{self.as_of:%Y-%m-%d}",
            )  # fmt: skip
        except ClvError as error:
            self._say(f"Nothing is learnt from the programme about the tiers: {reason(error)}")
            return self._keep_response(believed)
        known = {one.key for one in believed.measurements}
        new = [one for one in measured if one.key not in known]
        return self._keep_response(update_response(believed, new) if new else believed)

    @cached_property
    def believed(self) -> Response:
        """What was believed of the tiers before this programme: a file of an earlier run, or the assumptions."""
        from clv.abm.loop.response import response_prior
        from clv.abm.loop.store import load_response
        from clv.errors import SettingsError

        settings = self.settings
        named = self.study.earlier().get("response")
        if named is None:
            return response_prior(settings.tiers)
        earlier = load_response(named[1])
        missing = [tier.name for tier in settings.tiers if tier.name not in earlier.assumed]
        if missing:
            raise SettingsError(
                f"response: {settings.response} says nothing of tier {missing[0]!r}.",
                mend=f"Name tiers as it does ({', '.join(earlier.assumed)}), or leave 'response' out.",
            )
        return earlier

    def _keep_response(self, response: Response) -> Response:
        """Leave what was learnt in the run folder, for the next allocation."""
        from clv.abm.loop.store import save_response

        if self.store.folder is not None:
            self.store.folder.mkdir(parents=True, exist_ok=True)
            save_response(response, self.store.folder / "response.json")
        return response
