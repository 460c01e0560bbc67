"""What a forecast of returns rests on, read and checked: plans, values, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.forecast.believed import BelievedEffects, believed_accounts
from clv.abm.forecast.engine import Accounts
from clv.abm.forecast.timing import Timing
from clv.abm.loop.response import Response, response_prior
from clv.abm.loop.shrinkage import Floats
from clv.abm.options import value_table
from clv.abm.selecting.incremental import IncrementalValue
from clv.abm.tiers import Allocation
from clv.errors import DataError, SettingsError

if TYPE_CHECKING:
    from clv.data.settings import Tier
    from clv.value.lifetime import LifetimeValue


@dataclass(frozen=True)
class Costs:
    """What is not certain about costs, and what the plan does not hold.

    Attributes
    ----------
    sd : float or mapping of str to float
        Standard deviation of a tier's actual cost relative to its planned one (log-normal, mean as planned), for all
        tiers or by tier (0 for those left out); accounts of a tier share it.
    acquisition : mapping of str to float
        Account -> cost to acquire it (CAC), for those that the plan has yet to win. It is counted here and nowhere
        else (rule B1); for customers it is spent, whatever the plan, and does not belong here.
    """

    sd: float | Mapping[str, float] = 0.1
    acquisition: Mapping[str, float] = field(default_factory=dict)

    def of(self, tier: str) -> float:
        """Relative standard deviation of a tier's cost."""
        found = float(self.sd.get(tier, 0.0) if isinstance(self.sd, Mapping) else self.sd)
        if not (np.isfinite(found) and found >= 0):
            raise SettingsError(f"the doubt about the cost of {tier!r} is {found}.", mend="Give 0 or more.")
        return found


@dataclass(frozen=True)
class Plan:
    """One plan over the accounts of a forecast.

    Attributes
    ----------
    cell : numpy.ndarray of int, shape (N,)
        Row of the response of each account; −1 where it gets no tier.
    cost : numpy.ndarray, shape (N,)
        Planned cost, with the cost to acquire.
    acquisition : numpy.ndarray, shape (N,)
        The part of it that is cost to acquire.
    """

    cell: NDArray[np.int64]
    cost: Floats
    acquisition: Floats


@dataclass(frozen=True)
class Inputs:
    """Everything checked.

    Attributes
    ----------
    plans : dict of str to Plan
    accounts : Accounts
        All accounts that some plan puts into a tier, by id.
    segment : numpy.ndarray of str, shape (N,)
    response : Response
    timing : Timing
    costs : Costs
    notes : list of str
        What a reader must be told.
    effects : BelievedEffects or None
        What tiers do by the belief behind the plan; None: by `response`.
    """

    plans: dict[str, Plan]
    accounts: Accounts
    segment: NDArray[np.object_]
    response: Response
    timing: Timing
    costs: Costs
    notes: list[str]
    effects: BelievedEffects | None = None

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Tier and segment, or tier and kind of account, of each effect."""
        return self.response.cells if self.effects is None else self.effects.cells


def read_inputs(
    plans: Mapping[str, Allocation | pd.DataFrame],
    value: LifetimeValue | pd.DataFrame | IncrementalValue,
    response: Response | Sequence[Tier],
    *,
    timing: Timing,
    segments: Mapping[str, str] | pd.Series | None,
    costs: Costs,
    spread: float,
    confidence: float,
) -> Inputs:
    """Check plans, values, response and costs, and put them side by side."""
    if not (np.isfinite(spread) and spread >= 0):
        raise SettingsError(f"spread = {spread!r}.", mend="Give a relative standard deviation of 0 or more.")
    known = response if isinstance(response, Response) else response_prior(response)
    unknown = sorted(set(costs.sd) - set(known.assumed)) if isinstance(costs.sd, Mapping) else []
    if unknown:
        raise SettingsError(
            f"the doubt about costs names the tier {unknown[0]!r}.", mend=f"There are {', '.join(known.assumed)}."
        )
    tables = {name: _plan_table(name, plan) for name, plan in plans.items()}
    ids = sorted(set().union(*(set(t["account_id"]) for t in tables.values())))
    if not ids:
        raise DataError("nobody gets a tier.", table="plan", column="tier", mend="Give a plan that spends something.")
    named = [None if segments is None else segments.get(a) for a in ids]
    label = np.array(["" if pd.isna(one) else str(one) for one in named], dtype=object)
    if isinstance(value, IncrementalValue):
        strange = sorted({tier for table in tables.values() for tier in table["tier"]} - set(known.assumed))
        if strange:
            raise DataError(
                f"nothing is known or assumed of tier {strange[0]!r}.",
                table="plan", column="tier", mend=f"There are {', '.join(known.assumed)}.",
            )  # fmt: skip
        accounts, effects = believed_accounts(tables, ids, value, spread)
        read = {name: _read_plan(name, table, ids, label, effects, costs) for name, table in tables.items()}
        notes = []
        if effects.prospects & set(ids):
            notes.append("that the programme also raises the odds to win a prospect is assumed")
        return Inputs(read, accounts, label, known, timing, costs, notes, effects)
    worth = value_table(value)
    lacking = [account for account in ids if account not in worth.index]
    if lacking:
        raise DataError(
            f"account {lacking[0]!r} has no value ({len(lacking)} such).",
            table="plan", column="account_id", mend="Leave it out, or give its expected margin once it is won.",
        )  # fmt: skip
    place = worth.index.get_indexer(pd.Index(ids))
    sd, notes = _spread_of_values(worth.iloc[place], value, confidence)
    draws = None if isinstance(value, pd.DataFrame) or value.draws is None else value.draws[place]
    mean = worth["clv"].to_numpy(float)[place] if draws is None else draws.mean(axis=1, dtype=float)
    read = {name: _read_plan(name, table, ids, label, known, costs) for name, table in tables.items()}
    return Inputs(read, Accounts(ids, mean, sd, draws, spread), label, known, timing, costs, notes)


def _plan_table(name: str, plan: Allocation | pd.DataFrame) -> pd.DataFrame:
    """Rows of a plan that put an account into a tier."""
    table = plan.table if isinstance(plan, Allocation) else plan
    where = "plan" if name == "plan" else f"plan {name}"
    if "account_id" not in table.columns and table.index.name == "account_id":
        table = table.reset_index()
    for column in ("account_id", "tier", "cost"):
        if column not in table.columns:
            raise DataError(
                "there is no such column.", table=where, column=column,
                mend="Give the table of allocate_tiers(): account_id, tier, cost.",
            )  # fmt: skip
    table = table.assign(account_id=table["account_id"].astype(str)).reset_index(drop=True)
    twice = table["account_id"].duplicated().to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        raise DataError(
            f"account {table['account_id'].iloc[row]!r} is there twice: its margin would be counted twice.",
            table=where, column="account_id", row=row + 1, mend="Give each account one tier.",
        )  # fmt: skip
    taken = table[table["tier"].notna() & (table["tier"].astype(object) != "none")]
    cost = pd.to_numeric(taken["cost"], errors="coerce")
    wrong = (~np.isfinite(cost.to_numpy(float))) | (cost.to_numpy(float) < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"account {taken['account_id'].iloc[row]!r} costs {taken['cost'].iloc[row]!r}.",
            table=where, column="cost", row=int(taken.index[row]) + 1,
            mend="Give what its tier costs; 0 if it costs nothing. Without cost there is no return.",
        )  # fmt: skip
    return taken.assign(tier=taken["tier"].astype(str), cost=cost.astype(float))


def _read_plan(
    name: str, table: pd.DataFrame, ids: list[str], label: NDArray[np.object_], response: Response | BelievedEffects,
    costs: Costs,
) -> Plan:  # fmt: skip
    at = pd.Index(ids).get_indexer(pd.Index(table["account_id"]))
    cell = np.full(len(ids), -1, dtype=np.int64)
    by = table["account_id"] if isinstance(response, BelievedEffects) else label[at]
    cell[at] = response.cell(table["tier"], by)
    lost = cell[at] < 0
    if lost.any():
        tier = table["tier"].iloc[int(np.argmax(lost))]
        raise DataError(
            f"nothing is known or assumed of tier {tier!r}.",
            table="plan" if name == "plan" else f"plan {name}", column="tier",
            mend=f"There are {', '.join(dict.fromkeys(one for one, _ in response.cells))}.",
        )  # fmt: skip
    cost, won = np.zeros(len(ids)), np.zeros(len(ids))
    won[at] = [float(costs.acquisition.get(ids[i], 0.0)) for i in at]
    if not (np.isfinite(won) & (won >= 0)).all():
        account = ids[int(np.argmax(~(np.isfinite(won) & (won >= 0))))]
        raise DataError(f"the cost to acquire {account!r} is no amount.", column="acquisition", mend="Give 0 or more.")
    cost[at] = table["cost"].to_numpy(float) + won[at]
    return Plan(cell, cost, won)


def _spread_of_values(
    worth: pd.DataFrame, value: LifetimeValue | pd.DataFrame, confidence: float
) -> tuple[Floats, list[str]]:
    """Take the spread of each value from its interval, where there are no joint draws."""
    none = np.zeros(len(worth))
    if not isinstance(value, pd.DataFrame):
        if value.draws is not None:
            return none, []
        confidence = value.confidence
    if "sd" in worth.columns:
        sd = pd.to_numeric(worth["sd"], errors="coerce").to_numpy(float)
    elif {"lower", "upper"} <= set(worth.columns) and worth[["lower", "upper"]].notna().all(axis=None):
        sd = _sd_of_width(worth["clv"].to_numpy(float), (worth["upper"] - worth["lower"]).to_numpy(float), confidence)
    else:
        return none, ["values of accounts are taken as certain: they come without draws or intervals"]
    if not (np.isfinite(sd) & (sd >= 0)).all():
        row = int(np.argmax(~(np.isfinite(sd) & (sd >= 0))))
        raise DataError(
            f"account {worth.index[row]!r} has a spread of {sd[row]}.",
            table="value", column="sd" if "sd" in worth.columns else "upper",
            mend="upper cannot be below lower, nor sd below 0.",
        )  # fmt: skip
    return sd, ["values of accounts are taken to err independently: they come as intervals, not as joint draws"]


def _sd_of_width(mean: Floats, width: Floats, confidence: float) -> Floats:
    """Give the standard deviation of the log-normal with this mean whose interval is so wide.

    Its width, in means, is 2 exp(−σ²/2) sinh(zσ); wider than any log-normal's counts as the widest, at σ about z.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    sigma = np.linspace(0.0, z, 1000)
    ratio = np.divide(width, np.abs(mean), out=np.zeros(len(mean)), where=mean != 0)
    found = np.interp(ratio, 2 * np.exp(-(sigma**2) / 2) * np.sinh(z * sigma), sigma)
    return np.where(width >= 0, np.abs(mean) * np.sqrt(np.expm1(found**2)), width)
