"""The steps from purchases to tiers, one method each: what the notebooks call.

Each step takes its input from the run folder where that holds it (left by another notebook, or put there by somebody
else) and from the step before otherwise, so that any notebook runs alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clv.data import units
from clv.data.study import Study, load_study
from clv.report.show import Remarks
from clv.report.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.selection import Selection
    from clv.abm.tiers import Allocation
    from clv.churn.stages import ChurnStages
    from clv.data.accounting.ledger import Read
    from clv.data.book import Book
    from clv.data.settings import Settings
    from clv.result import Result
    from clv.value.beta_geo import BetaGeoModel
    from clv.value.gamma_gamma import GammaGammaModel
    from clv.value.lifetime import LifetimeValue
    from clv.value.validation.backtest_result import Backtest
    from clv.value.validation.check import FrequencyCheck
    from clv.value.validation.independence import IndependenceTest
    from clv.value.validation.seasonality import Seasonality


def open_run(
    study: str | Path, run_folder: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Run:
    """Open a study for a run.

    Parameters
    ----------
    study : str or Path
        A study's folder, or the name of a sample.
    run_folder : str or Path, optional
        Where tables and models are kept between notebooks; None keeps nothing.
    overrides : mapping, optional
        Settings that replace those of ``study.yml``; keys are dotted paths (``"tiers.0.cost"``).

    Returns
    -------
    Run
    """
    loaded = load_study(study, overrides)
    folder = Path(run_folder) if run_folder else None
    # Without a folder nothing can be stale, and the inputs need not be hashed.
    return Run(study=loaded, store=Store(folder, "" if folder is None else loaded.fingerprint()))


@dataclass(frozen=True)
class Run:
    """A study on its way from purchases to tiers."""

    study: Study
    store: Store
    #: what a reader must know about how the numbers came about, said once by each step.
    notes: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """Settings of the study, overrides applied."""
        return self.study.settings

    @cached_property
    def reading(self) -> Read:
        """Transactions as read, checked against the study's tolerance, with all that was set aside."""
        reading = self.study.read("transactions")
        reading.check(self.settings.rules.max_rejected)
        self.store.put("transactions", reading.table)
        self.store.put("rejected", reading.rejected)
        self.store.put("reconciliation", reading.reconciliation)
        return reading

    @cached_property
    def transactions(self) -> pd.DataFrame:
        """Accepted purchases."""
        kept = self.store.get("transactions")
        return self.reading.table if kept is None else kept

    @cached_property
    def accounts(self) -> pd.DataFrame | None:
        """Firmographics of customers and prospects, or None where the study has none."""
        if not self.study.has("accounts"):
            return None
        reading = self.study.read("accounts")
        reading.check(self.settings.rules.max_rejected)
        return reading.table

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row an account that bought, index ``account_id``."""
        kept = self.store.get("summary")
        if kept is not None:
            return kept.set_index("account_id")
        from clv.data.summary import summarise

        settings = self.settings
        summary = summarise(self.transactions, as_of=settings.as_of, grain=settings.grain, unit=settings.unit)
        return self.store.put("summary", summary)

    @cached_property
    def coverage(self) -> Result:
        """What the study has, and what it lacks."""
        from clv.data.coverage import coverage

        return coverage(self.study)

    @cached_property
    def book(self) -> Book:
        """Purchases by month, and how concentrated they are."""
        from clv.data.book import describe_book

        return describe_book(self.transactions, currency=self.settings.currency)

    @cached_property
    def purchases(self) -> BetaGeoModel:
        """The purchase model, fitted; with weak priors where the data alone do not identify it."""
        from clv.value.beta_geo import BetaGeoModel

        return self._fitted("purchases", BetaGeoModel)

    @cached_property
    def spend(self) -> GammaGammaModel:
        """The spend model, fitted; one that lets spend move with frequency where independence fails."""
        from clv.value.dependent_spend import DependentSpendModel
        from clv.value.gamma_gamma import GammaGammaModel

        test = self.independence
        if test.holds:
            return self._fitted("spend", GammaGammaModel)
        model = self._fitted("spend", DependentSpendModel)
        self.notes.append(
            f"{test.text} Instead of it a model is used in which the mean purchase moves with the number of purchases "
            f"(elasticity {model.slope_:.2f})."
        )
        return model

    @cached_property
    def independence(self) -> IndependenceTest:
        """Whether spend is independent of frequency, as Gamma-Gamma assumes."""
        from clv.value.validation.independence import independence_test

        return independence_test(self.summary)

    @cached_property
    def growth(self) -> Result:
        """Why the value of the book changed within the last 365 days: more accounts, more often, longer, dearer."""
        from clv.errors import ClvError
        from clv.result import Result
        from clv.value.growth import growth_over

        settings = self.settings
        try:
            return growth_over(
                self.transactions, as_of=self.study.as_of(self.transactions), unit=settings.unit, grain=settings.grain,
                horizon=settings.horizon, discount_rate=settings.discount_rate, margin=settings.margin,
            )  # fmt: skip
        except ClvError as error:
            import pandas as pd

            said = f"Why the value of the book changed within a year cannot be told: {error.message}"
            nothing = pd.DataFrame(columns=["driver", "meaning", "before", "after", "growth", "contribution"])
            return Result(nothing, said)

    @cached_property
    def frequency_check(self) -> FrequencyCheck:
        """Accounts by number of repeat purchases, counted against expected."""
        from clv.value.validation.check import frequency_check

        return frequency_check(self.purchases, self.summary)

    @cached_property
    def value(self) -> LifetimeValue:
        """What each account is worth over the horizon, with the interval of its own expected margin."""
        from clv.value.lifetime import LifetimeValue, lifetime_value

        foreign = self.store.get_foreign("customer_value")
        if foreign is not None:
            self.notes.append("Account values were not computed here: they come from a table put into the run folder.")
            return LifetimeValue.from_table(foreign.set_index("account_id"))
        settings = self.settings
        value = lifetime_value(
            self.purchases,
            self.spend,
            self.summary,
            horizon=settings.horizon,
            discount_rate=settings.discount_rate,
            margin=settings.margin,
            draws=settings.draws,
            seed=settings.seed,
            confidence=settings.confidence,
            currency=settings.currency,
        )
        self.store.put("customer_value", value.table)
        return value

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

    def backtest(self, peers: Mapping[str, Any] | None = None) -> Backtest:
        """Test models and rules of thumb on past dates of this study.

        Parameters
        ----------
        peers : mapping, optional
            Name -> further models, unfitted, compared after ours.

        Returns
        -------
        Backtest
        """
        from clv.value.gamma_gamma import GammaGammaModel
        from clv.value.validation.backtest import backtest
        from clv.value.validation.contenders import contenders
        from clv.value.validation.holdout import choose_cutoffs

        settings = self.settings
        as_of = self.study.as_of(self.transactions)
        horizon, cutoffs = choose_cutoffs(self.transactions, horizon=settings.horizon, unit=settings.unit, as_of=as_of)
        known = None if self.accounts is None else self.accounts.set_index("account_id")
        names = [name for name in ("industry", "region", "employees") if known is not None and name in known]
        return backtest(
            self.transactions,
            cutoffs,
            {**contenders(covariates=names), **(peers or {})},
            horizon,
            unit=settings.unit,
            grain=settings.grain,
            spend=GammaGammaModel(prior="weak"),
            segments=None if known is None or "industry" not in known else known["industry"],
            covariates=None if known is None or not names else known[names],
            as_of=as_of,
            seed=settings.seed,
            confidence=settings.confidence,
        )

    @cached_property
    def seasonality(self) -> Seasonality:
        """Whether purchases follow the calendar."""
        from clv.value.validation.seasonality import seasonality

        settings = self.settings
        return seasonality(self.transactions, horizon=settings.horizon, unit=settings.unit)

    @cached_property
    def truth(self) -> Result:
        """Values against the truth, where the study is synthetic and has one; only `validation` reads it."""
        path = self.study.folder / "truth" / "accounts.csv"
        if not (self.settings.synthetic and path.is_file()):
            import pandas as pd

            from clv.result import Result

            return Result(pd.DataFrame(), "These are real data: no truth is known, and the backtest is all there is.")
        import pandas as pd

        from clv.value.validation.truth_check import check_truth

        truth = pd.read_csv(path, dtype={"account_id": str}).set_index("account_id")
        return check_truth(self.value.table, truth["margin_52"])

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add a column ``account``: the account's name with its id where the study has names, else the id alone."""
        flat = table.reset_index() if table.index.name == "account_id" else table.copy()
        flat["account"] = flat["account_id"]
        if self.accounts is not None and "name" in self.accounts:
            names = flat["account_id"].map(self.accounts.set_index("account_id")["name"])
            flat["account"] = (names + " (" + flat["account_id"] + ")").fillna(flat["account_id"])
        return flat

    @property
    def tiers(self) -> pd.DataFrame:
        """The tiers of the study, as it states them."""
        import pandas as pd

        frame = pd.DataFrame([tier.model_dump() for tier in self.settings.tiers])
        return frame.astype({"at_most": "Int64"})

    @property
    def unit_words(self) -> str:
        """The unit of time in words: ``weeks``."""
        return units.name(self.settings.unit)

    @property
    def horizon_words(self) -> str:
        """The horizon in words: ``52 weeks``."""
        return units.in_words(self.settings.horizon, self.settings.unit)

    @property
    def remarks(self) -> Remarks:
        """What a reader must know about how the numbers came about."""
        settings = self.settings
        as_of = self.summary.attrs.get("clv", {}).get("as_of")
        said = [
            f"Purchases up to {as_of} are used; value is counted over the {self.horizon_words} that follow.",
            f"The contribution margin is taken as {settings.margin:.0%} of sales, the discount rate as "
            f"{settings.discount_rate:.1%} a year, compounded continuously.",
            f"Intervals hold with probability {settings.confidence:.0%} and come from {settings.draws:,} draws with "
            f"the seed {settings.seed}; they contain what is not known about an account and about the parameters.",
        ]
        if settings.synthetic:
            said.insert(0, "These data are synthetic: drawn from known distributions, not from a company.")
        return Remarks((*said, *self.notes))

    def _fitted(self, name: str, model_class: Any) -> Any:
        """Fit the model, by the posterior mean where plain likelihood is not sharp, and leave it in the run folder.

        Fitting takes less time than the summary, so that every notebook fits anew instead of reading what may be stale.
        """
        model = model_class(prior="auto").fit(self.summary)
        if model.note_:
            self.notes.append(model.note_)
        self.store.keep_model(name, model)
        return model
