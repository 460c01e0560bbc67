"""From the limits that a study states to limits of an allocation, checked against the accounts that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from clv.abm.allocation.limits import (
    Amounts,
    Clusters,
    Counts,
    GroupLimit,
    Hours,
    KeepLast,
    Limit,
    MarginCap,
    MustHave,
    MustNot,
    ReservedHours,
    TierShare,
)
from clv.abm.wording import accounts as many
from clv.abm.wording import listed
from clv.data.reading.cells import did_you_mean
from clv.errors import InfeasibleError, SettingsError

if TYPE_CHECKING:
    from clv.data.settings import Settings
    from clv.data.settings_tiers import LimitRules, ManagerRule

#: more names than this are not all told.
_NAMED = 12


@dataclass(frozen=True)
class StatedLimits:
    """What a study states, as `clv.allocate_tiers` takes it; the holdout apart.

    Attributes
    ----------
    budget, hours, counts, limits
        Arguments of `allocate_tiers`.
    notes : tuple of str
        What was stated and touches no account, in words.
    """

    budget: float | None
    hours: Hours | None
    counts: Counts
    limits: tuple[Limit, ...]
    notes: tuple[str, ...] = field(default=())


def stated_limits(
    settings: Settings,
    about: pd.DataFrame,
    candidates: Iterable[str],
    *,
    valued: Iterable[str] | None = None,
    managers: pd.DataFrame | None = None,
    last: Mapping[str, str] | pd.Series | None = None,
) -> StatedLimits:
    """Turn ``budget``, ``hours``, ``tiers`` and ``limits`` of a study into limits of an allocation.

    Parameters
    ----------
    settings : Settings
    about : pandas.DataFrame
        Index account_id, all accounts of the study: kind, and whatever columns limits may name.
    candidates : iterable of str
        Accounts that have options.
    valued : iterable of str, optional
        Accounts of which a value is known, candidates or not; all of `about` if None.
    managers : pandas.DataFrame, optional
        manager, hours, at_most: the study's table.
    last : mapping or Series, optional
        Account -> its tier in the last period.

    Returns
    -------
    StatedLimits
        A limit for groups that none of the candidates is in is left out, with a note.

    Raises
    ------
    SettingsError
        An account, a column or a group is not known; names its place in ``study.yml`` and what is allowed.
    InfeasibleError
        A group of which something is wanted has no candidate.
    """
    rules, there = settings.limits, about.loc[about.index.isin(set(candidates))]
    notes: list[str] = []
    limits: list[Limit] = []
    for k, group in enumerate(rules.groups):
        place = f"limits.groups.{k}"
        _column(place + ".by", group.by, about)
        least = _present(f"{place}.at_least", group.at_least, group.by, about, there, notes, wanted=True)
        most = _present(f"{place}.at_most", group.at_most, group.by, about, there, notes)
        if least is not None or most is not None:
            limits.append(GroupLimit(group.by, most, least, group.of, group.tiers))
    for k, mix in enumerate(rules.mix):
        place = f"limits.mix.{k}"
        _column(place + ".by", mix.by, about)
        _group(f"{place}.group", mix.group, mix.by, about)
        if mix.group in set(_texts(there[mix.by])):
            limits.append(TierShare(mix.tier, mix.by, mix.group, mix.at_least, mix.at_most))
        elif mix.at_least:
            raise InfeasibleError(
                f"{place}: {mix.at_least:.0%} of {mix.tier} must be {mix.by} {mix.group}, but none of the"
                f" {many(len(there))} in question is.",
                mend="Lower at_least, or select such accounts.",
            )
        else:
            notes.append(f"{place}: none of the accounts in question is {mix.by} {mix.group}.")
    limits += _managers(rules.managers, managers, about, there, notes)
    limits += _clusters(rules, about, there, notes)
    if rules.margin_cap is not None:
        limits.append(MarginCap(rules.margin_cap))
    limits += _named(rules, about, set(there.index), set(about.index if valued is None else valued))
    if rules.keep_last is not None:
        if last is None or not len(last):
            raise SettingsError(
                "limits.keep_last: there are no tiers of a last period.",
                mend="Give the table programmes with what was done, or leave keep_last out.",
            )
        cost = None if rules.keep_last.changes == "forbidden" else rules.keep_last.switching_cost
        limits.append(KeepLast({str(account): str(tier) for account, tier in last.items()}, cost))
    if rules.reserved_hours is not None:
        kept = rules.reserved_hours
        limits.append(ReservedHours(kept.total, kept.each, kept.role))
    counts = {tier.name: (tier.at_least, tier.at_most) for tier in settings.tiers}
    return StatedLimits(settings.budget, settings.hours, counts, tuple(limits), tuple(notes))


def _column(place: str, name: str, about: pd.DataFrame) -> None:
    if name not in about.columns:
        known = [str(column) for column in about.columns]
        raise SettingsError(
            f"{place}: {name!r} is no column of the accounts{did_you_mean(name, known)}.",
            mend=f"Known are {_some(known)}." if known else "Give the table accounts.",
        )


def _group(place: str, group: str, column: str, about: pd.DataFrame) -> None:
    known = sorted(set(_texts(about[column])))
    if group not in known:
        raise SettingsError(
            f"{place}: no account has {column} {group!r}{did_you_mean(group, known)}.",
            mend=f"There are {_some(known)}." if known else f"The column {column} is empty.",
        )


def _texts(column: pd.Series) -> pd.Series:
    return column.dropna().astype(str)


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:_NAMED], f"and {len(names) - _NAMED:,} more"] if len(names) > _NAMED else names)


def _present(
    place: str, amounts: Amounts | None, column: str, about: pd.DataFrame, there: pd.DataFrame, notes: list[str], *,
    wanted: bool = False,
) -> Amounts | None:  # fmt: skip
    """Keep the amounts of groups that some candidate is in."""
    if not isinstance(amounts, Mapping):
        return amounts
    for group in amounts:
        _group(place, group, column, about)
    held = set(_texts(there[column]))
    absent = [group for group in amounts if group not in held]
    for group in absent:
        if wanted and amounts[group] > 0:
            raise InfeasibleError(
                f"{place}: something is wanted of {column} {group}, but none of the {many(len(there))} in question is"
                " of it.",
                mend="Lower at_least, or select such accounts.",
            )
    if absent:
        notes.append(f"{place}: no account in question has {column} {listed(absent)}.")
    return {group: amount for group, amount in amounts.items() if group in held} or None


def _managers(
    rule: ManagerRule | None, table: pd.DataFrame | None, about: pd.DataFrame, there: pd.DataFrame, notes: list[str]
) -> list[Limit]:
    """Spare hours and most accounts of each manager: those of the table by name, the rule for the others."""
    if rule is None and table is None:
        return []
    if "manager" not in about.columns:
        if rule is None:
            notes.append("The table managers limits nothing: which accounts are whose is not known.")
            return []
        raise SettingsError(
            "limits.managers: the accounts have no column 'manager'.", mend="Add it to the table accounts."
        )
    own = _texts(there["manager"])
    names = sorted(set(own))
    known: dict[str, dict[str, float]] = (
        {} if table is None else table.set_index(table["manager"].astype(str)).to_dict("index")  # type: ignore[assignment]
    )
    idle = [name for name in known if name not in set(_texts(about["manager"]))]
    if idle:
        notes.append(f"The table managers names {listed(idle[:5])}, who has no account: is the name written alike?")
    without = len(there) - len(own)
    if without:
        notes.append(f"{many(without)} in question {'has' if without == 1 else 'have'} no manager: no one's hours.")

    def stated(what: str) -> dict[str, float]:
        default = None if rule is None else getattr(rule, what)
        found = {name: known.get(name, {}).get(what) for name in names}
        filled = {name: default if one is None or pd.isna(one) else one for name, one in found.items()}
        return {name: float(one) for name, one in filled.items() if one is not None}

    limits: list[Limit] = []
    if hours := stated("hours"):
        role = None if rule is None else rule.role
        limits.append(GroupLimit("manager", most=hours, of=role or "hours"))
    if most := stated("at_most"):
        limits.append(GroupLimit("manager", most=most, tiers=None if rule is None else rule.tiers))
    return limits


def _clusters(rules: LimitRules, about: pd.DataFrame, there: pd.DataFrame, notes: list[str]) -> list[Limit]:
    rule = rules.clusters
    if rule is None:
        return []
    column = "cluster" if rule.by == "found" else rule.by
    _column("limits.clusters.by", column, about)
    cost = _present("limits.clusters.cost", rule.cost, column, about, there, notes)
    if not there[column].notna().any():
        notes.append(
            f"No account gets {rule.tier}: it is given to clusters only, and "
            + ("the accounts show none." if rule.by == "found" else f"the column {column} is empty.")
        )
    return [Clusters(rule.tier, column, 0.0 if cost is None else cost, rule.at_least, rule.at_most)]


def _named(rules: LimitRules, about: pd.DataFrame, there: Collection[str], valued: Collection[str]) -> list[Limit]:
    """Accounts that must have a tier, or must not."""
    limits: list[Limit] = []
    known = [str(account) for account in about.index]
    for place, accounts in (("must_have", rules.must_have), ("must_not", rules.must_not)):
        for account in accounts or ():
            if account not in about.index:
                raise SettingsError(
                    f"limits.{place}: there is no account {account!r}{did_you_mean(account, known)}.",
                    mend="Write the id as the tables have it, in quotes if it is a number.",
                )
            if place == "must_have" and account not in valued:
                raise SettingsError(
                    f"limits.must_have: nothing is known of what account {account!r} is worth.",
                    mend="Leave it out, or give its purchases or deals.",
                )
            if place == "must_have" and account not in there:
                raise SettingsError(
                    f"limits.must_have: account {account!r} has no option.", mend="Add it to the accounts in question."
                )
    if rules.must_have:
        limits.append(MustHave(rules.must_have))
    if rules.must_not:
        limits.append(MustNot(rules.must_not))
    return limits
