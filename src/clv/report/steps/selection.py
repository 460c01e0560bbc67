"""Steps of `clv.abm`: which accounts a programme takes, how firm that is, and what changed since the last time."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from clv.errors import ClvError
from clv.report.steps.data import reason
from clv.report.steps.kinds import SHOWN, KindSteps
from clv.report.steps.last_run import as_known_on, read_selection
from clv.result import Missing, Result

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.selecting.backtest import SelectionBacktest
    from clv.abm.selecting.changes import SelectionChanges
    from clv.abm.selecting.incremental import IncrementalValue
    from clv.abm.selecting.learning import LearningValue
    from clv.abm.selecting.luck import Luck
    from clv.abm.selecting.questions import Questions
    from clv.abm.selecting.smaa import Acceptability
    from clv.abm.selection import Selection

#: part of a score -> its heading.
PARTS = {
    "average": "average account",
    "alive": "still buys",
    "purchases": "how much it buys",
    "spend": "money of a purchase",
    "chance": "chance to win it",
}
#: moves shown on either side.
_MOVED = 12
#: rows of the exported list, unless more are taken.
_EXPORTED = 10_000
_NO_DRAWS = "The values came without draws: how sure each place is cannot be told."


class SelectionSteps(KindSteps):
    """Whom to choose."""

    @cached_property
    def _families(self) -> tuple[Any, pd.DataFrame | None, dict[str, Any]]:
        """Values, accounts and what happened: of each account, or of each family where the study counts them so."""
        tables = {name: self.table(name) for name in ("opportunities", "touches")}
        happened: dict[str, Any] = {"transactions": self.transactions, **tables}
        accounts = self.accounts
        if not self.settings.selection.parents or accounts is None or "parent_id" not in accounts:
            return self.value, accounts, happened
        from clv.abm.selecting.groups import under_parents

        whole, owners, moved = under_parents(self.value, accounts, happened, confidence=self.settings.confidence)
        self.notes.append(whole.text)
        return whole, owners, moved

    @cached_property
    def incremental(self) -> IncrementalValue:
        """What the programme is expected to change about each account, customers and prospects, net of its cost."""
        from clv.abm.selecting.study import study_incremental

        value, accounts, tables = self._families
        found = study_incremental(
            value, self.purchases, self.spend, settings=self.settings, response=self.response, as_of=self.as_of,
            accounts=accounts, win=None if isinstance(self.win, Missing) else self.win, **tables,
        )  # fmt: skip
        self.store.put("tier_options", found.tiers)
        return found

    @cached_property
    def _chosen(self) -> Selection:
        """Choose, and keep nothing."""
        from clv.abm.selection import select_accounts

        settings = self.settings
        return select_accounts(
            self.incremental, capacity=settings.selection.capacity, stages=self.stages.table["stage"],
            accounts=self._families[1], confidence=settings.confidence, currency=settings.currency,
        )  # fmt: skip

    @cached_property
    def selection(self) -> Selection:
        """Which accounts the programme should take: those about which it changes most for its cost."""
        _ = self._kept
        return self._chosen

    @cached_property
    def selection_list(self) -> pd.DataFrame:
        """The list for the people who work with it: account, kind, tier, net, how sure, why, what would flip it."""
        from clv.abm.selecting.listing import spans

        table = self.named(self._kept)
        self.store.export("account_selection", self._for_people(table))
        labels = table[["kind", "grade", "stage"]].astype(object)
        labels["kind"] = labels["kind"].mask(labels["kind"] == "customer")
        about = [", ".join(str(word) for word in row if isinstance(word, str)) for row in labels.to_numpy()]
        note = table["why"].str.cat(table["flips"].where(table["flips"] != ""), sep="; ", na_rep="").str.rstrip("; ")
        return table.assign(about=about, interval=spans(table["lower"], table["upper"]), note=note)

    def _for_people(self, table: pd.DataFrame) -> pd.DataFrame:
        """Cut a list that nobody could work through, and say so: the table in the run folder has all."""
        most = max(_EXPORTED, int(table["selected"].sum()))
        if len(table) <= most:
            return table
        self.notes.append(
            f"The file account_selection holds the first {most:,} of {len(table):,} accounts; the table of that name in"
            " the run folder has all."
        )
        return table.head(most)

    @cached_property
    def _kept(self) -> pd.DataFrame:
        """Keep all of the selection, one row an account."""
        from clv.abm.selecting.listing import selection_list

        labels = {"stage": self.stages.table["stage"], "grade": self.grade_names}
        table = selection_list(self._chosen, labels).assign(as_of=self.as_of)
        _ = self._last_selection  # the last run may lie where this one is kept
        return self.store.put("account_selection", table)

    @property
    def selected(self) -> pd.DataFrame:
        """The rows of the list that are taken."""
        return self.or_nothing(self.selection_list[self.selection_list["selected"]])

    @property
    def around_cut(self) -> pd.DataFrame:
        """The last ten of the list that came in and the first ten that stayed out."""
        taken = int(self.selection.table["selected"].sum())
        return self.selection_list.iloc[max(0, taken - 10) : taken + 10]

    @cached_property
    def selection_decision(self) -> Result:
        """Whom to take, what that brings, how sure it is, and what changed: what a hurried reader sees."""
        from clv.abm.selecting.decision import decision_text
        from clv.data.units import in_words

        settings = self.settings
        text = decision_text(
            self.selection, self.changes, names=self.named(self.selection.table)["account"],
            confidence=settings.confidence, horizon=in_words(settings.horizon, settings.unit),
            value_alone=self._value_alone,
        )  # fmt: skip
        return Result(self.selected, text)

    @property
    def _value_alone(self) -> bool:
        """Whether nothing is known of accounts but what they bought."""
        from clv.abm.selection import firmographics

        return not firmographics(self.accounts)

    @property
    def programme_effects(self) -> Result:
        """What the programme is believed to change, and where that is from."""
        return Result(self.incremental.tiers, self.incremental.text.split("\n\n")[0])

    @property
    def prospects(self) -> Result:
        """The ten prospects about which the programme changes most, and where their chances are from."""
        table = self.incremental.table
        ahead = table[table["kind"] == "prospect"].sort_values("net", ascending=False, kind="stable").head(SHOWN)
        text = "\n\n".join(self.incremental.text.split("\n\n")[1:])
        return Result(self.or_nothing(self.named(ahead)), text)

    @cached_property
    def luck(self) -> Luck | Missing:
        """What a list by plain estimates would promise and bring: the optimiser's curse."""
        from clv.abm.selecting.luck import selection_luck

        if self.value.draws is None:
            return Missing.because(_NO_DRAWS)
        if not self.selection.table["selected"].any():
            return Missing.because("Nobody is taken, so that no promise can be broken.")
        settings = self.settings
        return selection_luck(
            self.value, self.incremental.effects, capacity=settings.selection.capacity, seed=settings.seed,
            currency=settings.currency,
        )  # fmt: skip

    @cached_property
    def learning(self) -> LearningValue | Missing:
        """About which accounts it pays to learn more before choosing."""
        from clv.abm.selecting.learning import learning_value

        if self.selection.draws is None:
            return Missing.because(_NO_DRAWS)
        return learning_value(self.selection)

    @property
    def learning_list(self) -> pd.DataFrame:
        """The ten accounts most worth learning about, with names; without any column where that cannot be told."""
        if isinstance(self.learning, Missing):
            return self.learning.table
        table = self.learning.table
        return self.or_nothing(self.named(table[table["worth"] > 0].head(SHOWN)))

    @cached_property
    def contributions(self) -> pd.DataFrame:
        """What makes the scores of the first ten, part by part; the parts sum to the score."""
        selection = self.selection
        taken = selection.table.loc[selection.table["selected"], ["account_id", "score"]].set_index("account_id")
        parts = selection.contributions.loc[taken.index].head(SHOWN)
        parts = parts.loc[:, (parts.abs() > 0).any()].rename(columns=PARTS).join(taken)
        return self.or_nothing(self.named(parts).set_index("account").drop(columns="account_id"))

    @cached_property
    def example(self) -> Result:
        """One account as an example: the first of the list, with its parts and its reason."""
        from clv.abm.selecting.decision import example_account

        return example_account(self.selection, self.selection_list)

    @cached_property
    def strategy_criteria(self) -> Result:
        """What there is to weigh against money."""
        from clv.abm.selecting.criteria import strategic_criteria

        settings, profile, wallet = self.settings, self.profile, self.wallet
        ranked = self.selection.table.loc[self.selection.table["score"].notna(), "account_id"]
        found = strategic_criteria(
            ranked,
            as_of=self.as_of,
            fit=None if isinstance(profile, Missing) else profile.table["fit"],
            growth_room=None if isinstance(wallet, Missing) else wallet.table["growth_room"],
            contacts=self.table("contacts"),
            touches=self.table("touches"),
            stages=self.stages.table["stage"],
            assessments=self.table("assessments"),
            recent_days=settings.classes.recent_days,
            only=settings.selection.criteria or None,
        )
        if settings.selection.criteria or found.table.shape[1] < 2:
            return found
        return Result(found.table, f"{found.text} The study states no weights under selection.criteria: all are tried.")

    @cached_property
    def strategy(self) -> Acceptability | Missing:
        """Who is in under strategic weights beside money, and what such weights cost."""
        from clv.abm.selecting.smaa import stochastic_acceptability

        settings, criteria = self.settings, self.strategy_criteria.table
        if criteria.shape[1] < (1 if settings.selection.criteria else 2):
            return Missing.because(
                "Strategic criteria are not weighed: the study states none under selection.criteria, and has data for"
                f" {'only one' if criteria.shape[1] else 'none'}."
            )
        if not self.selection.table["selected"].any():
            return Missing.because("Strategic criteria are not weighed: nobody is taken.")
        names = {"money", *criteria.columns}
        bounds = {str(name): weights for name, weights in settings.selection.criteria.items() if name in names}
        return self._told(
            "What strategic criteria cost cannot be told",
            lambda: stochastic_acceptability(self.selection, criteria, bounds=bounds, seed=settings.seed),
        )

    @property
    def cluster_list(self) -> pd.DataFrame:
        """One row a cluster, with its reference and how many are taken; without any column where there is none."""
        import pandas as pd

        if isinstance(self.clusters, Missing):
            return pd.DataFrame()
        found = self.clusters
        inside = self.selection.table.loc[self.selection.table["selected"], "account_id"]
        taken = inside.map(found.table["group"]).value_counts()
        names = self.named(found.clusters[["reference"]].rename(columns={"reference": "account_id"}))["account"]
        return self.or_nothing(
            found.clusters.assign(
                reference_name=names.where(found.clusters["reference"].notna()),
                taken=found.clusters["group"].map(taken).fillna(0).astype(int),
            )
        )

    @property
    def strategy_list(self) -> pd.DataFrame:
        """Accounts that strategic weights take and money does not; without any column where there are no weights."""
        import pandas as pd

        if isinstance(self.strategy, Missing):
            return pd.DataFrame()
        table = self.strategy.table
        return self.or_nothing(self.named(table[table["selected"] & ~table["by_money"]].head(SHOWN)))

    @cached_property
    def questions(self) -> Questions:
        """What to ask the account teams, the answers that are worth most first."""
        from clv.abm.selecting.questions import questions_for_teams

        return questions_for_teams(
            self.selection,
            learning=None if isinstance(self.learning, Missing) else self.learning,
            gate=self.gate,
            leads=self.leads,
            wallet=None if isinstance(self.wallet, Missing) else self.wallet,
            stalled=None if isinstance(self.stalled, Missing) else self.stalled,
            parents=self._parents,
        )

    @property
    def question_list(self) -> pd.DataFrame:
        """The questions, with names; without any column where there are none."""
        table = self.or_nothing(self.named(self.questions.table))
        self.store.export("account_questions", table)
        return table

    @property
    def change_list(self) -> pd.DataFrame:
        """The first who came in and the first who went out, with names; without any column where nobody did."""
        import pandas as pd

        table = self.or_nothing(self.named(self.changes.table))
        if not table.shape[1]:
            return table
        self.store.export("selection_changes", table)
        first = pd.concat([part.head(_MOVED) for _, part in table.groupby("now", sort=True)])
        return first.assign(rest=first["cost"] + first["bar"] + first["book"])

    @property
    def _parents(self) -> dict[str, str]:
        """Owner of each account that has one."""
        if self.accounts is None or "parent_id" not in self.accounts:
            return {}
        owned = self.accounts.dropna(subset=["parent_id"])
        return dict(zip(owned["account_id"].astype(str), owned["parent_id"].astype(str), strict=True))

    @cached_property
    def _last_selection(self) -> tuple[str, pd.DataFrame] | None:
        """The selection of the last run as its study setting names it, and what it is in words; None without one."""
        named = self.study.earlier().get("selection.last_run")
        return None if named is None else read_selection(named[1])

    @cached_property
    def changes(self) -> SelectionChanges | Missing:
        """Who came in and went out since the last run, or since a quarter ago, and why."""
        import pandas as pd

        from clv.abm.selecting.changes import selection_changes

        if self._last_selection is None and self.store.get_foreign("customer_value") is not None:
            return Missing.because(
                "The values come from elsewhere, so that what the choice would have been before cannot be told. Name"
                " the last run under selection.last_run."
            )
        now, settings = self._kept, self.settings
        try:
            if self._last_selection is not None:
                since, before = self._last_selection
            else:
                day = self.as_of - pd.Timedelta(days=settings.selection.compare_days)
                then = as_known_on(self, day)
                since, before = f"{day:%Y-%m-%d} (as it would have been chosen then)", then._kept
        except ClvError as error:
            if self._last_selection is not None:
                raise
            return Missing.because(f"What the choice would have been before cannot be told: {reason(error)}")
        return selection_changes(before, now, since=since, currency=settings.currency)

    @cached_property
    def selection_backtest(self) -> SelectionBacktest | Missing:
        """Whether choosing by a model would have been better than by past spend."""
        from clv.abm.selecting.backtest import selection_backtest
        from clv.value.validation.holdout import choose_cutoffs

        settings = self.settings

        def find() -> SelectionBacktest:
            horizon, cutoffs = choose_cutoffs(
                self.transactions, horizon=settings.horizon, unit=settings.unit, as_of=self.as_of
            )
            return selection_backtest(
                self.transactions, cutoffs, horizon, unit=settings.unit, grain=settings.grain, as_of=self.as_of,
                samples=400, seed=settings.seed, confidence=settings.confidence,
            )  # fmt: skip

        return self._told("Whether choosing by a model pays cannot be told", find)
