"""The tiers of the programme and what limits the plan (rules D2 to D4, A8, F4), as `study.yml` may say them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from clv.data.reading.cells import did_you_mean
from clv.data.settings_base import Amounts, NotNegative, Positive, Share, Strict, TierOf, TiersOf

Name = Annotated[str, Field(min_length=1)]


class Curve(Strict):
    """What more or less money would do in a tier, by judgement, as Little (1970) asks for it.

    Responses are multiples of what the tier adds at its stated cost, which is 1; spends are multiples of that cost.
    """

    #: without any spend.
    without: Annotated[float, Field(ge=0, lt=1)] = 0.0
    #: with half as much again.
    half_more: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    #: with unlimited spend.
    saturation: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    #: least and most that may be spent on an account: beyond what was judged, the curve is a guess.
    spend: tuple[NotNegative, Positive] = (0.0, 3.0)

    @model_validator(mode="after")
    def _rising(self) -> Curve:
        if self.half_more >= self.saturation:
            raise ValueError(f"half_more {self.half_more:g} must be below saturation {self.saturation:g}")
        if self.spend[0] > self.spend[1]:
            raise ValueError(f"spend goes from {self.spend[0]:g} to {self.spend[1]:g}; give the smaller one first")
        return self


class Tier(Strict):
    """One tier of the programme (rule D2). `uplift` is an assumption until an experiment measures it."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    #: cost per account over the horizon, in the study's currency.
    cost: NotNegative
    #: hours of people's time per account over the horizon: a number, or role: number.
    hours: Amounts = 0.0
    #: relative increase of the account's expected contribution margin over the horizon.
    uplift: Annotated[float, Field(ge=-1, le=10)]
    at_least: Annotated[int, Field(ge=0)] = 0
    at_most: Annotated[int, Field(ge=0)] | None = None
    #: what more or less money would do; None: the tier costs what it costs.
    curve: Curve | None = None

    @model_validator(mode="after")
    def _counts(self) -> Tier:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most {self.at_most} is below at_least {self.at_least}")
        if self.curve is not None and self.cost == 0:
            raise ValueError("a response curve is in multiples of the tier's cost, which is 0")
        return self

    @property
    def all_hours(self) -> float:
        """Hours an account takes, of all roles together."""
        return sum(self.hours.values()) if isinstance(self.hours, Mapping) else self.hours

    @property
    def role_hours(self) -> dict[str, float]:
        """Role -> hours an account takes; empty where hours are not told by role."""
        return dict(self.hours) if isinstance(self.hours, Mapping) else {}


class GroupRule(Strict):
    """At least, or at most, so much in each group of accounts: segments, regions, managers (rule D4)."""

    #: a column of the table accounts, or kind (customer or prospect) or stage.
    by: Name
    #: one amount for each group, or group: amount.
    at_least: Amounts | None = None
    at_most: Amounts | None = None
    #: what is counted: accounts, money, hours, or the hours of a role.
    of: Name = "accounts"
    #: only what is used in these tiers.
    tiers: Annotated[list[Name], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _amount(self) -> GroupRule:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least or at_most")
        return self


class MixRule(Strict):
    """New against existing: what share of a tier's accounts is of one group (rule D2)."""

    tier: Name
    by: Name = "kind"
    group: Name = "prospect"
    at_least: Share | None = None
    at_most: Share | None = None

    @model_validator(mode="after")
    def _share(self) -> MixRule:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least or at_most")
        if (self.at_least or 0.0) > (1.0 if self.at_most is None else self.at_most):
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self


class ManagerRule(Strict):
    """What each manager can take on beside his accounts (rule D4); the table `managers` says it of each by name."""

    #: accounts of one manager.
    at_most: Annotated[int, Field(ge=0)] | None = None
    #: his spare hours over the horizon.
    hours: NotNegative | None = None
    #: which role's hours are his; None: all hours.
    role: Name | None = None
    #: tiers in which accounts count for at_most; None: all. One account in a thousand e-mails is no account of his.
    tiers: Annotated[list[Name], Field(min_length=1)] | None = None


class ClusterRule(Strict):
    """A tier that is given to clusters of like accounts, each of which costs once to open (rule D2: one to few)."""

    tier: Name
    #: a column of the table accounts; "found": clusters are looked for in what is known of the accounts (rule A10).
    by: Name = "found"
    #: money for opening a cluster, the same for each, or cluster: money.
    cost: Amounts = 0.0
    #: accounts in an opened cluster.
    at_least: Annotated[int, Field(ge=1)] = 1
    at_most: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _sizes(self) -> ClusterRule:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most {self.at_most} is below at_least {self.at_least}")
        return self


class KeepRule(Strict):
    """Last period's tiers are kept, or changing one costs money."""

    #: money that is lost with each account that changes its tier.
    switching_cost: NotNegative = 0.0
    changes: Literal["allowed", "forbidden"] = "allowed"


class ReservedRule(Strict):
    """Hours kept back for all other accounts, so that their service does not suffer (rule D4)."""

    total: NotNegative = 0.0
    #: for each account in question that gets no tier.
    each: NotNegative = 0.0
    #: of the hours of this role; None: of all hours.
    role: Name | None = None


class HoldoutRule(Strict):
    """Accounts that the lot leaves out, so that the next plan knows what a tier adds (rule F4)."""

    #: share of the accounts that would get a tier.
    share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    #: columns in whose groups, beside the tier, the same share is drawn.
    by: list[Name] = Field(default_factory=list)
    #: None: the study's.
    seed: Annotated[int, Field(ge=0)] | None = None


class LimitRules(Strict):
    """What limits the plan beside budget, hours and the size of tiers."""

    groups: list[GroupRule] = Field(default_factory=list)
    mix: list[MixRule] = Field(default_factory=list)
    managers: ManagerRule | None = None
    clusters: ClusterRule | None = None
    #: no account may bring more than this share of the plan's margin (rule A8).
    margin_cap: Annotated[float, Field(gt=0, le=1)] | None = None
    #: accounts that get a tier whatever it returns: a list, or account: tier.
    must_have: TierOf | None = None
    #: accounts that get none: a list; or not these: account: tiers.
    must_not: TiersOf | None = None
    keep_last: KeepRule | None = None
    reserved_hours: ReservedRule | None = None
    #: null: nobody is left out, and what the tiers add stays an assumption.
    holdout: HoldoutRule | None = HoldoutRule()

    def tiers_named(self) -> Iterator[tuple[str, str]]:
        """Where a tier is named, and which."""
        for k, group in enumerate(self.groups):
            yield from ((f"groups.{k}.tiers", tier) for tier in group.tiers or ())
        yield from ((f"mix.{k}.tier", mix.tier) for k, mix in enumerate(self.mix))
        if self.managers is not None:
            yield from (("managers.tiers", tier) for tier in self.managers.tiers or ())
        if self.clusters is not None:
            yield "clusters.tier", self.clusters.tier
        if isinstance(self.must_have, dict):
            yield from ((f"must_have.{account}", tier) for account, tier in self.must_have.items())
        if isinstance(self.must_not, dict):
            yield from ((f"must_not.{account}", tier) for account, some in self.must_not.items() for tier in some)

    def roles_named(self) -> Iterator[tuple[str, str]]:
        """Where a role's hours are named, and which."""
        for k, group in enumerate(self.groups):
            if group.of not in ("accounts", "money", "hours"):
                yield f"groups.{k}.of", group.of
        if self.managers is not None and self.managers.role is not None:
            yield "managers.role", self.managers.role
        if self.reserved_hours is not None and self.reserved_hours.role is not None:
            yield "reserved_hours.role", self.reserved_hours.role


def check_limits(tiers: Sequence[Tier], limits: LimitRules, hours: float | Mapping[str, float] | None) -> None:
    """Check that limits name tiers and roles that the study has.

    Raises
    ------
    ValueError
        With the place in `study.yml`, what was found and what is allowed.
    """
    names = [tier.name for tier in tiers]
    by_role = [bool(tier.role_hours) for tier in tiers if tier.hours]
    if any(by_role) and not all(by_role):
        plain = next(tier.name for tier in tiers if tier.hours and not tier.role_hours)
        raise ValueError(f"tiers: hours of {plain!r} are one number, those of others by role; give all of them by role")
    roles = sorted({role for tier in tiers for role in tier.role_hours})
    for place, tier in limits.tiers_named():
        _known(f"limits.{place}", tier, names, "tiers")
    for place, role in limits.roles_named():
        _known(f"limits.{place}", role, roles, "roles of the tiers' hours")
    for role in hours if isinstance(hours, Mapping) else ():
        _known(f"hours.{role}", role, roles, "roles of the tiers' hours")
    kept = limits.reserved_hours
    if kept is not None:
        limited = (hours or {}) if isinstance(hours, Mapping) else {None: hours} if hours is not None else {}
        if kept.role not in limited:
            whose = f"hours of {kept.role}" if kept.role else "hours"
            raise ValueError(f"limits.reserved_hours: {whose} are kept back but not limited; give 'hours' as well")


def _known(place: str, found: str, known: Sequence[str], what: str) -> None:
    if found not in known:
        allowed = f"{what} are {', '.join(known)}" if known else f"the study has no {what}"
        raise ValueError(f"{place}: found {found!r}{did_you_mean(found, known)}; {allowed}")
