"""Steps of `clv.value`: models of purchases and spend, account values, and how well they foretell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clv.report.steps.data import reason
from clv.report.steps.evidence import EvidenceSteps
from clv.result import Missing

if TYPE_CHECKING:
    import pandas as pd

    from clv.result import Result
    from clv.value.beta_geo import BetaGeoModel
    from clv.value.gamma_gamma import GammaGammaModel
    from clv.value.lifetime import LifetimeValue
    from clv.value.validation.backtest_result import Backtest
    from clv.value.validation.check import FrequencyCheck
    from clv.value.validation.independence import IndependenceTest
    from clv.value.validation.seasonality import Seasonality


class ValueSteps(EvidenceSteps):
    """What accounts are worth."""

    @cached_property
    def base_summary(self) -> pd.DataFrame:
        """The summary on the clock of purchases: what a programme is believed to have added is taken out."""
        from clv.value.without_programme import without_programme

        programmes = self.table("programmes")
        if programmes is None:
            return self.summary
        whole = self.response.table[self.response.table["segment"] == ""]
        found = without_programme(
            self.summary, programmes, dict(zip(whole["tier"], whole["mean"], strict=True)), as_of=self.as_of
        )
        if found.text:
            self.notes.append(found.text)
        return found.summary

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
                self.transactions, as_of=self.as_of, unit=settings.unit, grain=settings.grain,
                horizon=settings.horizon, discount_rate=settings.discount_rate, margin=settings.margin,
            )  # fmt: skip
        except ClvError as error:
            import pandas as pd

            said = f"Why the value of the book changed within a year cannot be told: {reason(error)}"
            nothing = pd.DataFrame(columns=["driver", "meaning", "before", "after", "growth", "contribution"])
            return Result(nothing, said)

    @cached_property
    def frequency_check(self) -> FrequencyCheck:
        """Accounts by number of repeat purchases, counted against expected."""
        from clv.value.validation.check import frequency_check

        return frequency_check(self.purchases, self.base_summary)

    @cached_property
    def purchase_value(self) -> LifetimeValue:
        """What each account's purchases are worth over the horizon, with the interval of its own expected margin."""
        from clv.value.lifetime import lifetime_value

        settings = self.settings
        return lifetime_value(
            self.purchases,
            self.spend,
            self.base_summary,
            horizon=settings.horizon,
            discount_rate=settings.discount_rate,
            margin=self._margin(self.summary.index),
            draws=settings.draws,
            seed=settings.seed,
            confidence=settings.confidence,
            currency=settings.currency,
        )

    def _margin(self, accounts: pd.Index) -> float | pd.Series:
        """Give the study's margin, or each account's own where the study says whose."""
        from clv.value.margins import account_margins

        settings = self.settings
        if settings.margin_by == "study":
            return settings.margin
        found = account_margins(
            accounts, margin=settings.margin, by=settings.margin_by, transactions=self.transactions,
            firms=self.accounts, as_of=self.as_of,
        )  # fmt: skip
        self.notes.append(found.text)
        return found.margins

    @cached_property
    def contract_value(self) -> LifetimeValue | None:
        """What each account's contracts are worth over the horizon; None where the study has none that had begun."""
        from clv.value.contract_value import contract_value
        from clv.value.relations import contract_relations
        from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

        if self.contracts is None:
            return None
        settings = self.settings
        relations = contract_relations(
            self.contracts,
            as_of=self.as_of,
            observed_from=settings.contracts.observed_from,
            grace=settings.contracts.grace,
        )
        model = ShiftedBetaGeoModel(prior="auto").fit(relations)
        self._keep("renewals", model)
        return contract_value(
            model,
            relations,
            horizon=settings.horizon,
            unit=settings.unit,
            discount_rate=settings.discount_rate,
            margin=self._margin(relations.set_index("account_id").index.unique()),
            payment=settings.contracts.payment,
            draws=settings.draws,
            seed=settings.seed,
            confidence=settings.confidence,
            currency=settings.currency,
        )

    @cached_property
    def value(self) -> LifetimeValue:
        """What each account is worth over the horizon: purchases and contracts, every margin counted once."""
        from clv.value.book_value import book_value
        from clv.value.lifetime import LifetimeValue

        foreign = self.store.get_foreign("customer_value")
        if foreign is not None:
            self.notes.append("Account values were not computed here: they come from a table put into the run folder.")
            return LifetimeValue.from_table(foreign.set_index("account_id"))
        value = self.purchase_value
        if self.contract_value is not None:
            value = book_value(value, self.contract_value, currency=self.settings.currency)
        self.store.put("customer_value", value.table)
        return value

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
        as_of = self.as_of
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
        """Values of purchases against the truth, where a synthetic study has one; only `validation` reads it."""
        path = self.study.folder / "truth" / "accounts.csv"
        if not (self.settings.synthetic and path.is_file()):
            return Missing.because("These are real data: no truth is known, and the backtest is all there is.")
        import pandas as pd

        from clv.value.validation.truth_check import check_truth

        truth = pd.read_csv(path, dtype={"account_id": str}).set_index("account_id")
        return check_truth(self.purchase_value.table, truth["margin_52"])

    def _fitted(self, name: str, model_class: Any) -> Any:
        """Fit the model, by the posterior mean where plain likelihood is not sharp, and leave it in the run folder.

        Fitting takes less time than the summary, so that every notebook fits anew instead of reading what may be stale.
        """
        model = model_class(prior="auto").fit(self.base_summary)
        self._keep(name, model)
        return model

    def _keep(self, name: str, model: Any) -> None:
        """Leave a fitted model in the run folder, and tell the reader what it has to say about itself."""
        if model.note_:
            self.notes.append(model.note_)
        self.store.keep_model(name, model)
