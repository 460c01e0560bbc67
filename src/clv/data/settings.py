"""The settings of a study: what `study.yml` may say, checked before anything runs."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from clv.data.settings_base import Amounts, NotNegative, Positive, Share
from clv.data.settings_base import Strict as _Strict
from clv.data.settings_tiers import LimitRules, Tier, check_limits

Unit = Literal["D", "W", "M", "Y"]
Grain = Literal["D", "W", "M"]


class TableSource(_Strict):
    """Where a table is and how its columns are called there.

    Exactly one of `path` (CSV, Parquet, Excel; relative to the study's folder; ``$CLV_DATA_HOME`` and other
    variables are expanded; ``package:lifetimes/datasets/x.csv`` reads a file that an installed package carries)
    and `sql` (a query, with `url`: ``duckdb:///file.duckdb`` or any SQLAlchemy address) is given.
    """

    path: str | None = None
    sql: str | None = None
    url: str | None = None
    sheet: str | int | None = None
    #: our name -> the name in the source; a name that is not listed is looked for as it is.
    columns: dict[str, str] = Field(default_factory=dict)
    #: names of the columns, in order, of a text file that has no header row.
    header: list[str] | None = None
    encoding: str | None = None
    separator: str | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Literal[".", ",", " ", "'"] | None = None
    date_format: str | None = None
    dayfirst: bool | None = None
    timezone: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> TableSource:
        if (self.path is None) == (self.sql is None):
            raise ValueError("give either 'path' or 'sql' (with 'url')")
        if self.sql is not None and self.url is None:
            raise ValueError("'sql' needs 'url', the address of the database")
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError("'decimal' and 'thousands' cannot be the same sign")
        return self


class Rules(_Strict):
    """How rows that are not plain purchases are treated. Every choice is counted in the reconciliation."""

    #: rows equal in every column of the source: the first is kept, or all are.
    duplicates: Literal["drop", "keep"] = "drop"
    #: cancellations and credit notes: taken off the account's earlier purchases of the same product, the latest
    #: first, in part or in full; set aside unnetted; or kept as negative amounts.
    credits: Literal["net", "drop", "keep"] = "net"
    #: how an invoice number says that it cancels, beside a negative quantity or amount; a regular expression.
    credit_pattern: str | None = None
    zero_prices: Literal["drop", "keep"] = "drop"
    negative_prices: Literal["drop", "keep"] = "drop"
    #: products that are not goods (postage, fees, manual corrections); regular expressions on the whole code.
    pseudo_items: list[str] = Field(default_factory=list)
    #: products whose lines are payments of contracts in the table `contracts`; regular expressions on the whole code.
    #: Their margin is counted with the contract, not as a purchase. Default: no line is a contract's payment.
    contract_items: list[str] = Field(default_factory=list)
    #: how an invoice number says that it is a contract's payment; a regular expression.
    contract_invoices: str | None = None
    #: rows without an account: an error of the source, or set aside and counted.
    missing_account: Literal["error", "set_aside"] = "error"
    #: ids that a page would read as markup or a spreadsheet as a formula.
    unsafe_ids: Literal["error", "keep"] = "error"
    earliest: dt.date = dt.date(1970, 1, 1)
    #: rows dated later than this are errors; None: later than today.
    latest: dt.date | None = None
    #: share of rows that may be in error before a run stops.
    max_rejected: Share = 0.0


class ContractRules(_Strict):
    """How the table `contracts` is read and valued; see `clv.summarise_contracts` and `clv.contract_value`."""

    #: when the money of a term comes in: whole on its first day, whole on its last, or evenly.
    payment: Literal["advance", "arrears", "even"] = "advance"
    #: days by which a renewal may be late, or a new term start early.
    grace: Annotated[int, Field(ge=0)] = 31
    #: the day from which the table is complete: what was lost before is not in it; None: it always was.
    observed_from: dt.date | None = None


class StageRules(_Strict):
    """Thresholds of the churn stages (rule C3); see `clv.churn.stages`."""

    #: below these silence probabilities an account is slowing, overdue, at risk; the last two, lapsed and lost, are
    #: for accounts of which the model cannot tell whether they are alive (a single purchase under BG/NBD).
    silence: tuple[Share, Share, Share, Share, Share] = (0.50, 0.20, 0.10, 0.05, 0.01)
    #: below these P(alive) an account is lapsed, lost.
    alive: tuple[Share, Share] = (0.50, 0.10)
    #: below this p-value of an unchanged rhythm an account has slowed (see `clv.churn.rhythm`); 0: none has.
    rhythm: Annotated[float, Field(ge=0, lt=1)] = 0.05
    #: the rule of thumb shown beside: months without a purchase after which an account counts as inactive.
    inactive_months: Positive = 12
    #: contracts: an account whose loss at the next end of a term is so many times as likely as that of others in the
    #: same term is slowing.
    renewal_ratio: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.5
    #: contracts: from so many days before the end of the term on, a doubtful renewal counts.
    renewal_notice: NotNegative = 90
    #: contracts: from then on, below these probabilities of renewal an account is slowing, at risk.
    renewal: tuple[Share, Share] = (0.70, 0.50)

    @field_validator("silence", "alive", "renewal")
    @classmethod
    def _falling(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(later >= earlier for earlier, later in pairwise(value)):
            raise ValueError("thresholds must fall from stage to stage")
        return value


class ClassRules(_Strict):
    """Thresholds of the classes of accounts (rules A2 to A8); see `clv.abm.classes`."""

    #: A (and gold) are the accounts that make this share of the whole, the largest first; B (and silver) up to this.
    cumulative: tuple[Share, Share] = (0.80, 0.95)
    #: X and Y: coefficient of variation of an account's demand from period to period, season taken out.
    variation: tuple[Positive, Positive] = (0.10, 0.25)
    #: share of the whole above which one account is a key account, a dependence, and (of profit) a mono-client.
    key: Share = 0.10
    dependence: Share = 0.20
    mono_client: Share = 0.50
    #: days within which an enquiry counts as recent.
    recent_days: Annotated[int, Field(ge=1)] = 90
    #: an open deal is stalled where a deal that is won would be older than this with less than this probability.
    stalled: Annotated[float, Field(gt=0, lt=1)] = 0.05
    #: money of an hour of service, in the study's currency; None: hours are not priced.
    service_hour: NotNegative | None = None
    #: service is out of proportion where it takes more than this share of the account's margin.
    service_share: Positive = 0.50
    #: late payer: days after the day it was due, on average.
    days_late: NotNegative = 30
    #: complaints a year from which an account complains too much.
    complaints: Positive = 4
    #: so many criteria make an account bad; a negative margin alone does.
    bad_criteria: Annotated[int, Field(ge=1)] = 2
    #: repricing: relative rise of prices that is considered, and what share of demand one per cent of it costs, in
    #: per cent. The elasticity is an assumption until a price has been moved.
    price_rise: Annotated[float, Field(gt=0, le=1)] = 0.10
    elasticity: NotNegative = 2.0
    #: mean attitude of an account's people, -1 to 1, from which it is a fan.
    fan_attitude: Annotated[float, Field(ge=-1, le=1)] = 0.5
    #: a pioneer is among this share of the first to buy what is new (Rogers 1962: innovators and early adopters).
    early_share: Annotated[float, Field(gt=0, lt=1)] = 0.16

    @field_validator("cumulative", "variation")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in pairwise(value)):
            raise ValueError("thresholds must rise")
        return value


class SuitabilityRules(_Strict):
    """The checklist of seven (rule D1): from where on an answer is "partly", and from where on "yes"."""

    #: whether sales and marketing work on the same accounts towards the same aim: no table tells.
    alignment: Literal["yes", "partly", "no"] | None = None
    #: accounts whose yearly margin would pay for a tier, at the uplift that the study assumes.
    paying_accounts: tuple[int, int] = (1, 10)
    #: different roles (people, where roles are unknown) at the middle account.
    deciders: tuple[Positive, Positive] = (2, 3)
    #: median days from the opening of a deal to its signature.
    cycle_days: tuple[Positive, Positive] = (30, 90)
    #: target accounts: fewer than the first or more than the last are only partly suitable.
    targets: tuple[int, int] = (5, 1000)
    #: share of the accounts' demand that is not ours.
    growth_room: tuple[Share, Share] = (0.10, 0.30)

    @field_validator("alignment", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        """In YAML, a plain yes is true and a plain no is false."""
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value

    @field_validator("paying_accounts", "deciders", "cycle_days", "targets", "growth_room")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in pairwise(value)):
            raise ValueError("thresholds must rise")
        return value


class ProgrammeRules(_Strict):
    """How the table `programmes` came about, which decides what may be concluded from it."""

    #: whether a lot decided who was treated and who was control. If not, effects are labelled "not randomised" wherever
    #: they are shown, and nothing is learnt from them for the next allocation.
    randomised: bool = True
    #: days between looks at a programme that is still running.
    look_every: Annotated[int, Field(ge=30)] = 91


#: strategic criteria of a selection (rule D3): money is the net that an account adds; the others are the fit to the
#: ideal-customer profile, the wallet that is not ours, the attitude of its people, its recent enquiries, the churn
#: stage (the healthier, the better), and that its name is worth showing or that it adapts our products first.
Criterion = Literal["money", "fit", "growth room", "relationship", "intent", "stage", "status"]


class SelectionRules(_Strict):
    """Who can be taken into a programme at all."""

    #: most accounts that the programme can hold; None: no limit.
    capacity: Annotated[int, Field(ge=1)] | None = None
    #: yearly cost of serving an account outside any programme.
    cost_to_serve: NotNegative = 0.0
    #: whether children are counted with their topmost parents (column parent_id of accounts): one score, one place.
    parents: bool = False
    #: the selection to compare with: a run folder, or a CSV or Parquet file of the table `account_selection`, from the
    #: study's folder on. None: the same choice made with what was known so many days earlier.
    last_run: str | None = None
    compare_days: Annotated[int, Field(ge=1)] = 91
    #: strategic criteria beside money, each with the least and the most weight that it may have; weights sum to 1.
    #: Empty: all criteria that the study has data for, with any weights.
    criteria: dict[Criterion, tuple[Share, Share]] = Field(default_factory=dict)

    @field_validator("criteria")
    @classmethod
    def _possible(cls, value: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (least, most) in value.items():
            if least > most:
                raise ValueError(f"the weight of {name} goes from {least:g} to {most:g}; give the smaller one first")
        if sum(least for least, _ in value.values()) > 1:
            raise ValueError("the least weights sum to more than 1")
        return value


#: stages of losing a customer, from the healthiest to the worst (rule C3).
ChurnStage = Literal["steady", "slowing", "overdue", "at risk", "lapsed", "lost"]


class Play(_Strict):
    """What can be done about an account (rule C4), and what it is believed to do to the account's purchase process.

    Factors act over the horizon, 1 is no change. They are assumptions of the study until an experiment measures them,
    and are shown as such; `clv.churn.plays` has the equations.
    """

    name: Annotated[str, Field(min_length=1, max_length=40)]
    #: churn stages in which the play can be made; None: all.
    stages: list[ChurnStage] | None = None
    #: only for accounts that bought once.
    one_time_only: bool = False
    #: cost per account over the horizon, in the study's currency.
    cost: NotNegative = 0.0
    #: the purchase rate of a living account is multiplied by it.
    rate: NotNegative = 1.0
    #: the probability (or rate) to drop out is multiplied by it.
    dropout: NotNegative = 1.0
    #: the money of a purchase is multiplied by it.
    spend: NotNegative = 1.0
    #: the rate of the next purchase only is multiplied by it: the wait for it is shortened.
    next_purchase: NotNegative = 1.0
    #: probability that an account that is gone comes back because of the play, soon after it lapsed.
    reactivation: Share = 0.0
    #: standard deviation of the effect's strength; 1 is as large as the effect itself, 0 takes it as certain.
    doubt: NotNegative = 0.5
    #: where the effect is from, in words.
    source: Annotated[str, Field(max_length=200)] = "assumption of the study"
    #: tier of the table `programmes` whose treatment and control groups measure this play.
    measured_by: str | None = None
    #: the account is no longer served: what serving it costs is saved.
    saves_service: bool = False


#: The defaults: round numbers of no study, there to be overridden.
DEFAULT_PLAYS = (
    Play(name="welcome", stages=["steady", "slowing", "overdue", "at risk"], one_time_only=True, cost=10,
         next_purchase=1.2, source="default of clv, no study behind it"),
    Play(name="develop", stages=["steady", "slowing"], cost=100, rate=1.05,
         source="default of clv, no study behind it"),
    Play(name="defend", stages=["steady", "slowing", "overdue", "at risk"], cost=100, dropout=0.8,
         source="default of clv, no study behind it"),
    Play(name="win back", stages=["overdue", "at risk", "lapsed", "lost"], cost=25, reactivation=0.02,
         source="default of clv, no study behind it"),
    Play(name="let go", rate=0, doubt=0, saves_service=True, source="by definition: nothing is bought any more"),
)  # fmt: skip


TABLE_NAMES = (
    "transactions",
    "accounts",
    "contacts",
    "touches",
    "opportunities",
    "programmes",
    "contracts",
    "offers",
    "wallets",
    "assessments",
    "costs",
    "deal_stages",
    "team_tiers",
    "managers",
)


class Settings(_Strict):
    """All that a study says about itself."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    title: str
    description: str = ""
    provenance: str = ""
    licence: str = ""
    #: drawn from known distributions; said wherever the data are shown.
    synthetic: bool = False
    currency: Annotated[str, Field(min_length=1, max_length=8)] = "EUR"
    #: unit of recency, T and horizon.
    unit: Unit = "W"
    #: interval within which purchases count as one.
    grain: Grain = "D"
    #: purchases after this date are not used; None: the date of the last purchase.
    as_of: dt.date | None = None
    #: how far ahead value is counted, in `unit`.
    horizon: Positive = 52.0
    #: contribution margin as a share of sales.
    margin: Annotated[float, Field(gt=0, le=1)] = 0.3
    #: whose margin: one for the study, or the column `margin_share` of accounts, or of transactions (by account,
    #: weighted with money); accounts without one have that of the study.
    margin_by: Literal["study", "accounts", "transactions"] = "study"
    #: effective yearly rate; converted to a continuous one, ln(1 + rate).
    discount_rate: Annotated[float, Field(ge=0, lt=10)] = 0.1
    #: probability that the intervals shown should hold.
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    draws: Annotated[int, Field(ge=0, le=100_000)] = 400
    seed: Annotated[int, Field(ge=0)] = 1
    tables: dict[str, TableSource]
    rules: Rules = Rules()
    contracts: ContractRules = ContractRules()
    stages: StageRules = StageRules()
    classes: ClassRules = ClassRules()
    suitability: SuitabilityRules = SuitabilityRules()
    selection: SelectionRules = SelectionRules()
    tiers: list[Tier] = Field(
        default_factory=lambda: [
            Tier(name="1:1", cost=8000, hours=120, uplift=0.30),
            Tier(name="1:few", cost=1500, hours=20, uplift=0.12),
            Tier(name="1:many", cost=100, hours=1, uplift=0.03),
        ]
    )
    programme: ProgrammeRules = ProgrammeRules()
    #: what earlier runs learnt of the tiers: the `response.json` of a run folder, relative to the study's folder; None:
    #: the tiers' own `uplift` is all that is believed before this study's programme is measured.
    response: str | None = None
    #: what can be done about an account in each stage.
    plays: list[Play] = Field(default_factory=lambda: list(DEFAULT_PLAYS))
    #: money and hours for the whole programme over the horizon; None: no limit. Hours: a number, or role: number.
    budget: NotNegative | None = None
    hours: Amounts | None = None
    #: what else limits the plan, and the holdout that it leaves.
    limits: LimitRules = LimitRules()

    @field_validator("tables")
    @classmethod
    def _known_tables(cls, tables: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(tables) - set(TABLE_NAMES))
        if unknown:
            raise ValueError(f"unknown table {unknown[0]!r}; known are {', '.join(TABLE_NAMES)}")
        if "transactions" not in tables:
            raise ValueError("the table 'transactions' is required")
        return tables

    @field_validator("plays")
    @classmethod
    def _distinct_plays(cls, plays: list[Play]) -> list[Play]:
        names = [play.name for play in plays]
        if len(set(names)) != len(names):
            raise ValueError(f"play names must differ: {', '.join(names)}")
        return plays

    @field_validator("tiers")
    @classmethod
    def _distinct_tiers(cls, tiers: list[Tier]) -> list[Tier]:
        names = [tier.name for tier in tiers]
        if len(set(names)) != len(names):
            raise ValueError(f"tier names must differ: {', '.join(names)}")
        if not tiers:
            raise ValueError("at least one tier is needed")
        return tiers

    @model_validator(mode="after")
    def _limits_fit(self) -> Settings:
        check_limits(self.tiers, self.limits, self.hours)
        return self
