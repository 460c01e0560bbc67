"""Steps of `clv.abm`: what kind of accounts there are, who is like whom, and what is not known of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from clv.report.steps.churn import ChurnSteps
from clv.result import Missing

if TYPE_CHECKING:
    import pandas as pd

    from clv.abm.classes.abc_xyz import ABCXYZ
    from clv.abm.classes.bad_accounts import BadAccounts
    from clv.abm.classes.concentration import Concentration
    from clv.abm.classes.grades import Grades
    from clv.abm.classes.leads import Gate
    from clv.abm.classes.relationship import Relationships
    from clv.abm.classes.stalled import StalledDeals
    from clv.abm.clusters.account_clusters import AccountClusters
    from clv.abm.clusters.lookalikes import Lookalikes
    from clv.abm.profile.ideal_customer import IdealCustomerProfile
    from clv.abm.propensity.win_propensity import WinPropensity
    from clv.abm.suitability import Suitability
    from clv.abm.wallet.potential import WalletPotential

#: accounts of which there are too few, or which are all alike, are said so by the analyses themselves.
_NO_ACCOUNTS = "This study has no table of accounts: {}."
#: best accounts of which likes are looked for.
_BEST = 2
#: rows of tables that are there to be looked at and not to be worked through.
SHOWN = 10


class KindSteps(ChurnSteps):
    """What kind of accounts there are."""

    @cached_property
    def suitability(self) -> Suitability:
        """Whether account-based marketing is right for this book at all (rule D1)."""
        from clv.abm.suitability import suitability

        return suitability(self.study, wallet=None if isinstance(self.wallet, Missing) else self.wallet)

    @cached_property
    def concentration(self) -> Concentration:
        """How much of the book hangs on few accounts, and what their loss would mean (rule A8)."""
        from clv.abm.classes.concentration import concentration

        settings = self.settings
        return concentration(
            self.known_transactions.groupby("account_id")["amount"].sum(), book=self.value, rules=settings.classes,
            confidence=settings.confidence, currency=settings.currency,
        )  # fmt: skip

    @cached_property
    def abc_xyz(self) -> ABCXYZ:
        """Accounts by value and by how evenly they buy, with how sure each class is (rule A7)."""
        from clv.abm.classes.abc_xyz import abc_xyz

        settings = self.settings
        return abc_xyz(
            self.transactions, value=self.purchase_value.table["clv"], as_of=self.as_of, rules=settings.classes,
            seed=settings.seed,
        )  # fmt: skip

    @cached_property
    def win(self) -> WinPropensity | Missing:
        """How likely a deal with an account that has not bought is won, or that this cannot be told."""
        from clv.abm.propensity.win_propensity import win_propensity
        from clv.abm.selecting.study import first_deals

        deals, accounts = self.table("opportunities"), self.accounts
        if accounts is None or deals is None:
            lacking = "accounts" if accounts is None else "deals"
            return Missing.because(f"This study has no table of {lacking}: the chance to win one cannot be learnt.")

        def learn() -> WinPropensity:
            known = first_deals(
                deals, accounts, self.transactions, as_of=self.as_of, touches=self.table("touches")
            )  # fmt: skip
            return win_propensity(
                known, exclude=["opportunity_id", "account_id"], group="account_id", opened="date", decided="decided",
                seed=self.settings.seed,
            )  # fmt: skip

        return self._told("The chance to win a deal cannot be learnt", learn)

    @cached_property
    def profile(self) -> IdealCustomerProfile | Missing:
        """Who became valuable, and how well every account fits (rule A9)."""
        from clv.abm.profile.ideal_customer import ideal_customer_profile

        accounts, settings = self.accounts, self.settings
        if accounts is None:
            return Missing.because(_NO_ACCOUNTS.format("who fits the ideal customer cannot be told"))
        return self._told(
            "Who fits the ideal customer cannot be told",
            lambda: ideal_customer_profile(
                accounts, self.value, history=self.summary, cost_to_serve=self.cost_to_serve,
                exclude=["margin_share"], folds=5, repeats=1, confidence=settings.confidence, seed=settings.seed,
                currency=settings.currency,
            ),
        )  # fmt: skip

    @cached_property
    def clusters(self) -> AccountClusters | Missing:
        """Clusters of like accounts for the one-to-few tier, with a reference account each (rule A10)."""
        return self._clustered()

    def _clustered(self, size: tuple[int, int] | None = None) -> AccountClusters | Missing:
        """Cluster the accounts; with a size, the same clusters, the larger ones cut into groups of neighbours."""
        from clv.abm.clusters.account_clusters import account_clusters

        accounts = self.accounts
        if accounts is None:
            return Missing.because(_NO_ACCOUNTS.format("likes cannot be put together"))
        won = accounts.loc[accounts["account_id"].isin(self.value.table.index), "account_id"]
        return self._told(
            "Likes cannot be put together",
            lambda: account_clusters(
                accounts,
                won=won,
                exclude=["margin_share"],
                size=size,
                resamples=20,
                references=19,
                seed=self.settings.seed,
            ),
        )

    @cached_property
    def lookalikes(self) -> Lookalikes | Missing:
        """The prospects most like the customers that are worth most (rule A10)."""
        from clv.abm.clusters.lookalikes import lookalikes

        accounts = self.accounts
        if accounts is None:
            return Missing.because(_NO_ACCOUNTS.format("nobody can be said to be like another"))
        value = self.value.table["clv"]
        known = value[value.index.isin(accounts["account_id"])]
        best = known.sort_index().sort_values(ascending=False, kind="stable").index[:_BEST]
        ahead = accounts.loc[~accounts["account_id"].isin(value.index), "account_id"]
        if not len(best) or not len(ahead):
            return Missing.because("There are no prospects, or no customers, among the accounts: nobody to compare.")
        return self._told(
            "Nobody can be said to be like another",
            lambda: lookalikes(
                accounts, of=best, among=ahead, most=SHOWN, exclude=["margin_share"], outcome=self._valuable(),
                seed=self.settings.seed,
            ),
        )  # fmt: skip

    def _valuable(self) -> pd.Series | None:
        """Whether each judged account became valuable; None without a profile."""
        if isinstance(self.profile, Missing):
            return None
        table = self.profile.table
        return table.loc[table["judged"], "valuable"]

    @cached_property
    def wallet(self) -> WalletPotential | Missing:
        """What accounts need in a year of what we sell, and how much of it is ours (rule B4)."""
        from clv.abm.wallet.potential import wallet_potential

        accounts, settings = self.accounts, self.settings
        if accounts is None and self.table("wallets") is None:
            return Missing.because(_NO_ACCOUNTS.format("what its customers buy elsewhere cannot be told"))
        import pandas as pd

        firms = pd.DataFrame({"account_id": self.value.table.index}) if accounts is None else accounts
        return self._told(
            "What accounts buy elsewhere cannot be told",
            lambda: wallet_potential(
                firms, self.transactions, wallets=self.table("wallets"), as_of=self.as_of,
                confidence=settings.confidence, seed=settings.seed, currency=settings.currency,
            ),
        )  # fmt: skip

    @cached_property
    def grades(self) -> Grades:
        """Gold, silver and bronze accounts, and the silver ones that grow (rule A6)."""
        from clv.abm.classes.grades import account_grade

        settings = self.settings
        return account_grade(
            self.transactions, margin=self._margins, as_of=self.as_of,
            cost_to_serve=settings.selection.cost_to_serve, rules=settings.classes, confidence=settings.confidence,
            currency=settings.currency,
        )  # fmt: skip

    @cached_property
    def grade_names(self) -> pd.Series:
        """The grade of each account in a word: gold, future gold, silver or bronze."""
        table = self.grades.table
        return table["grade"].mask(table["future_gold"].fillna(False).astype(bool), "future gold")

    @cached_property
    def bad_accounts(self) -> BadAccounts:
        """Accounts that cost more than they bring, and whether to keep, reprice or leave them (rule A5)."""
        from clv.abm.classes.bad_accounts import bad_accounts
        from clv.data.units import years

        settings = self.settings
        return bad_accounts(
            self.transactions, value=self.value, assessments=self.table("assessments"), loyalty=self.loyalty,
            margin=self._margins, cost_to_serve=settings.selection.cost_to_serve,
            years=years(settings.horizon, settings.unit), discount_rate=settings.discount_rate, as_of=self.as_of,
            rules=settings.classes, currency=settings.currency,
        )  # fmt: skip

    @property
    def bad_list(self) -> pd.DataFrame:
        """The ten bad accounts that cost most; without any column where there are none."""
        table = self.bad_accounts.table
        return self.or_nothing(self.named(table[table["bad"].fillna(False).astype(bool)].head(SHOWN)))

    @cached_property
    def labels(self) -> Relationships:
        """What accounts are to us: many labels an account (rule A2)."""
        from clv.abm.classes.relationship import relationship_labels

        return relationship_labels(
            self._everybody, transactions=self.transactions, contacts=self.table("contacts"),
            touches=self.table("touches"), opportunities=self.table("opportunities"),
            assessments=self.table("assessments"), grades=self.grades, bad=self.bad_accounts, loyalty=self.loyalty,
            wallet=None if isinstance(self.wallet, Missing) else self.wallet, as_of=self.as_of,
            rules=self.settings.classes,
        )  # fmt: skip

    @cached_property
    def stalled(self) -> StalledDeals | Missing:
        """Open deals that wait longer than those that are won do (rule A6)."""
        from clv.abm.classes.stalled import stalled_deals

        deals = self.table("opportunities")
        if deals is None:
            return Missing.because("This study has no deals: none can be stalled.")
        return self._told(
            "Whether deals are stalled cannot be told",
            lambda: stalled_deals(
                deals, stage_log=self.table("deal_stages"), as_of=self.as_of, rules=self.settings.classes,
                currency=self.settings.currency,
            ),
        )  # fmt: skip

    @property
    def stalled_list(self) -> pd.DataFrame:
        """The stalled deals, the longest overdue first; without any column where there are none to look at."""
        import pandas as pd

        if isinstance(self.stalled, Missing):
            return pd.DataFrame()
        table = self.stalled.table
        return self.or_nothing(self.named(table[table["stalled"].fillna(False).astype(bool)].reset_index()))

    @cached_property
    def gate(self) -> Gate:
        """Who meets need, ability to pay and authority, and of whom it must be asked (rule A4)."""
        from clv.abm.classes.leads import gate_of_three

        return gate_of_three(self._everybody, **self._seen())

    @cached_property
    def leads(self) -> Gate:
        """Who is a lead: contact data, a wish to buy and a budget (rule A3)."""
        from clv.abm.classes.leads import lead_status

        return lead_status(self._everybody, **self._seen())

    def _seen(self) -> dict[str, Any]:
        """Gather what the rules for leads look at."""
        names = ("contacts", "assessments", "touches", "opportunities")
        tables: dict[str, Any] = {name: self.table(name) for name in names}
        return {**tables, "transactions": self.transactions, "as_of": self.as_of, "rules": self.settings.classes}

    @cached_property
    def _everybody(self) -> list[str]:
        """All accounts, customers and prospects."""
        listed = [] if self.accounts is None else list(self.accounts["account_id"].astype(str))
        return list(dict.fromkeys([*listed, *map(str, self.value.table.index)]))

    @cached_property
    def _margins(self) -> float | pd.Series:
        """The margin of each customer; what there is to say of it is said with the values."""
        said = len(self.notes)
        margins = self._margin(self.summary.index)
        del self.notes[said:]
        return margins

    @property
    def known_transactions(self) -> pd.DataFrame:
        """Purchases up to the as-of date."""
        return self.transactions[self.transactions["date"].dt.normalize() <= self.as_of]

    @property
    def future_gold(self) -> pd.DataFrame:
        """Silver accounts that grow into gold, the nearest first; without any column where there is none."""
        table = self.grades.table
        rising = table[table["future_gold"].fillna(False).astype(bool)]
        return self.or_nothing(self.named(rising.sort_values("years_to_gold", kind="stable")))

    @property
    def growth_list(self) -> pd.DataFrame:
        """The ten accounts with the most demand that is not ours; without any column where it is not known."""
        import pandas as pd

        if isinstance(self.wallet, Missing):
            return pd.DataFrame()
        table = self.wallet.table[self.wallet.table["growth_room"].notna()]
        most = table.sort_values("growth_room", ascending=False, kind="stable").head(SHOWN)
        return self.or_nothing(self.named(most))

    @property
    def wallet_errors(self) -> pd.DataFrame:
        """Surveyed wallets that cannot be true; without any column where there is none."""
        import pandas as pd

        return pd.DataFrame() if isinstance(self.wallet, Missing) else self.or_nothing(self.named(self.wallet.errors))

    @property
    def label_counts(self) -> pd.DataFrame:
        """Labels that hold for somebody, and of how many it is not known."""
        counts = self.labels.counts.reset_index()
        counts["label"] = counts["label"].str.replace("_", " ")
        return self.or_nothing(counts[counts["yes"] > 0])

    @staticmethod
    def or_nothing(frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table, or one without any column where it has no row: `show` prints nothing for it."""
        import pandas as pd

        return frame if len(frame) else pd.DataFrame()
