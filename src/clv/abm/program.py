"""From options and limits to the integer program: dominated options removed, equal accounts counted together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.limits import Limits

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: the largest gain becomes this, so that no currency is special and the solver's absolute tolerance of 1e-6 on the
#: objective is a billionth of it.
SCALE = 1000.0
#: a resource whose uses are whole multiples of one grain, with at most so many grains in the largest, is counted in
#: grains: whole numbers let the solver round its limit down and cut deeper.
_MOST_GRAINS = 100_000
#: a resource with more different uses than this is not looked at for a grain.
_MOST_USES = 256


@dataclass(frozen=True, eq=False)
class Program:
    """Maximise ``gain @ y`` with ``side @ y <= limit``, at most ``size`` of each class's options, y whole and ≥ 0.

    Accounts with equal options form a class; y counts how many of the class get an option. This is exact, and it
    removes the symmetry between equal accounts, in which branch and bound loses itself.

    Attributes
    ----------
    gain : numpy.ndarray
        (E,) scaled value − cost of each option that is left.
    owner : numpy.ndarray
        (E,) class of each option, ascending.
    tier : numpy.ndarray
        (E,) position of its tier in `tiers`.
    size : numpy.ndarray
        (G,) accounts of each class.
    side : scipy.sparse.csr_array
        (K, E) use of each limit by one account, scaled; a fewest count is a row of −1.
    limit : numpy.ndarray
        (K,) scaled.
    whole : numpy.ndarray
        (K,) flags: every use in the row is a whole number, so that the limit may be rounded down.
    gain_unit : float
        Money of one scaled unit of gain.
    row_unit : numpy.ndarray
        (K,) original units of one scaled unit of each limit; negative where the row is turned round.
    accounts : numpy.ndarray
        (N,) ids, ascending.
    member : numpy.ndarray
        (N,) class of each account.
    tiers : list of str
        Names, ascending.
    """

    gain: np.ndarray
    owner: np.ndarray
    tier: np.ndarray
    size: np.ndarray
    side: csr_array
    limit: np.ndarray
    whole: np.ndarray
    gain_unit: float
    row_unit: np.ndarray
    accounts: np.ndarray
    member: np.ndarray
    tiers: list[str]

    @property
    def reachable(self) -> np.ndarray:
        """(K,) most of each limit that a plan of whole accounts can reach."""
        dust = 1e-9 * np.maximum(1.0, np.abs(self.limit))
        return np.where(self.whole, np.floor(self.limit + dust), self.limit)

    def assign(self, count: np.ndarray) -> np.ndarray:
        """Turn counts by option into the tier of each account.

        Among equal accounts the lower id gets the option with the larger gain, and of equal gains the tier whose
        name comes first.

        Parameters
        ----------
        count : numpy.ndarray
            (E,) whole numbers.

        Returns
        -------
        numpy.ndarray
            (N,) position in `tiers`, −1 for none.
        """
        order = np.lexsort((self.tier, -self.gain, self.owner))
        given = np.repeat(self.tier[order], count[order])
        held = np.bincount(self.owner, weights=count, minlength=len(self.size)).astype(int)
        starts = np.concatenate([[0], np.cumsum(held)[:-1]])
        by_class = np.argsort(self.member, kind="stable")
        first = np.concatenate([[0], np.cumsum(self.size)[:-1]])
        place = np.arange(len(by_class)) - first[self.member[by_class]]
        served = place < held[self.member[by_class]]
        tiers = np.full(len(self.accounts), -1)
        tiers[by_class[served]] = given[(starts[self.member[by_class]] + place)[served]]
        return tiers


def build(options: pd.DataFrame, limits: Limits) -> Program:
    """Make the program of checked options (`clv.abm.options.check_options`) under limits."""
    from scipy.sparse import csr_array

    accounts, row = np.unique(options["account_id"].to_numpy(dtype=str), return_inverse=True)
    tiers, column = np.unique(options["tier"].to_numpy(dtype=str), return_inverse=True)
    shape = (len(accounts), len(tiers))
    has = np.zeros(shape, dtype=bool)
    has[row, column] = True

    def spread(values: np.ndarray) -> np.ndarray:
        """Lay out by account and tier, rounded to what survives a change of currency."""
        wide = np.zeros(shape)
        wide[row, column] = np.round(values, 12) + 0.0  # no negative zeros
        return wide

    net = (options["value"] - options["cost"]).to_numpy(float)
    gain_unit = float(np.abs(net).max()) / SCALE or 1.0
    gain = np.round(spread(net / gain_unit), 10)
    uses = [options[name].to_numpy(float) for name in limits.resources]
    grains = [_grains(values) for values in uses]
    units = [float(values.max()) / (grains[k] or 1) or 1.0 for k, values in enumerate(uses)]
    use = np.array([spread(values / units[k]) for k, values in enumerate(uses)]).reshape(-1, *shape)
    keep = has & ~_useless(gain, use, has, list(tiers), limits)

    # One row of numbers an account: what is left of its options. Equal rows are one class.
    wide = np.concatenate([np.where(keep, part, np.nan) for part in (gain, *use)], axis=1)
    classes, member = np.unique(np.nan_to_num(np.c_[keep, wide], nan=0.0), axis=0, return_inverse=True)
    member = member.reshape(-1)
    size = np.bincount(member, minlength=len(classes))
    kept = classes[:, : len(tiers)].astype(bool)
    owner, tier = np.nonzero(kept)
    parts = classes[:, len(tiers) :].reshape(len(classes), 1 + len(uses), len(tiers))[owner, :, tier]

    name = tiers[tier]
    rows = [*parts[:, 1:].T]
    rows += [np.where(name == t, -1.0, 0.0) for t in limits.least]
    rows += [np.where(name == t, 1.0, 0.0) for t in limits.most]
    row_unit = np.array([*units, *(-1.0 for _ in limits.least), *(1.0 for _ in limits.most)])
    amounts = np.array(limits.amounts, dtype=float)
    # Far more than all options together use is as good as twice that, and is a number that the solver can bear.
    enough = [2 * values.sum() + unit for values, unit in zip(uses, units, strict=True)]
    amounts[: len(uses)] = np.minimum(amounts[: len(uses)], enough)
    return Program(
        gain=parts[:, 0],
        owner=owner,
        tier=tier,
        size=size,
        side=csr_array(np.array(rows).reshape(len(rows), len(owner))),
        limit=amounts / row_unit,
        whole=np.array([*(n > 0 for n in grains), *(True for _ in (*limits.least, *limits.most))], dtype=bool),
        gain_unit=gain_unit,
        row_unit=row_unit,
        accounts=accounts,
        member=member,
        tiers=list(tiers),
    )


def _grains(values: np.ndarray) -> int:
    """Count the grains in the largest value, if all values are whole multiples of one grain; else 0."""
    different = np.unique(np.round(values / (values.max() or 1.0), 13))
    if len(different) > _MOST_USES:
        return 0
    grains = 1
    for share in map(float, different):
        fraction = Fraction(share).limit_denominator(_MOST_GRAINS)
        grains = math.lcm(grains, fraction.denominator)
        if abs(float(fraction) - share) > 1e-12 or grains > _MOST_GRAINS:
            return 0
    return grains


def _useless(gain: np.ndarray, use: np.ndarray, has: np.ndarray, tiers: list[str], limits: Limits) -> np.ndarray:
    """Find options that some best plan does without.

    In a tier without a fewest count these are the options that gain nothing (leaving the account out uses less), and
    those that another option of the account matches or beats in gain and in every limited resource, if that one's
    tier has no most count. Of two options equal in all this the one whose tier's name comes first is kept.
    """
    free = np.array([tier not in limits.least for tier in tiers])
    # A most count that covers every account with that option limits nothing.
    open_ended = np.array([limits.most.get(t, np.inf) >= has[:, j].sum() for j, t in enumerate(tiers)])
    useless = has & (gain <= 0) & free
    for j in range(len(tiers)):
        if not free[j]:
            continue
        for i in range(len(tiers)):
            if i == j or not open_ended[i]:
                continue
            beats = has[:, i] & has[:, j] & (gain[:, i] >= gain[:, j]) & (use[:, :, i] <= use[:, :, j]).all(axis=0)
            if i > j:
                # Equal in everything and the other way round allowed as well: only one of the two may go.
                equal = (gain[:, i] == gain[:, j]) & (use[:, :, i] == use[:, :, j]).all(axis=0)
                beats &= ~(equal & open_ended[j] & free[i])
            useless[:, j] |= beats
    return useless
