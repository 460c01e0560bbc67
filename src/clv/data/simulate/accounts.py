"""Firmographics: who the accounts are, with the dependence that real books have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.data.simulate.calendar import Calendar
from clv.data.simulate.parameters import INDUSTRIES, REGION_SHARES, REGIONS, TECHNOLOGIES, Process


@dataclass(frozen=True)
class Firms:
    """All accounts as arrays of one length: nothing missing here; what the tables hide is hidden in `accounts_table`.

    Attributes
    ----------
    ids : numpy.ndarray of object
    industry, region, technology, manager, parent : numpy.ndarray of int
        Positions in the lists of `parameters`; managers from 0; parent −1 where there is none.
    employees, revenue : numpy.ndarray of float
    created : numpy.ndarray of float
        Weeks; below 0 for accounts known before the first day.
    size : numpy.ndarray of float
        ln(employees) − `Process.log_size`, the covariate.
    """

    ids: np.ndarray
    industry: np.ndarray
    region: np.ndarray
    technology: np.ndarray
    manager: np.ndarray
    parent: np.ndarray
    employees: np.ndarray
    revenue: np.ndarray
    created: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def effect(self, name: str) -> np.ndarray:
        """One effect of `Industry` for every account."""
        return np.array([getattr(industry, name) for industry in INDUSTRIES])[self.industry]

    def uses(self, technology: str) -> np.ndarray:
        """1.0 where the account orders with this technology."""
        return (self.technology == TECHNOLOGIES.index(technology)).astype(float)

    def lies(self, region: str) -> np.ndarray:
        """1.0 where the account lies in this region."""
        return (self.region == REGIONS.index(region)).astype(float)


def pick(rng: np.random.Generator, shares: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Draw one category for each entry of `row` from that row of a matrix of relative shares, vectorised."""
    table = np.asarray(shares, dtype=float)
    cumulative = np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1)
    cumulative[:, -1] = 1.0
    # One search over all rows at once: row i lives in [i, i + 1).
    ladder = (cumulative + np.arange(len(table))[:, None]).ravel()
    found = np.searchsorted(ladder, row + rng.random(len(row)), side="right")
    return np.minimum(found - row * table.shape[1], table.shape[1] - 1)


def draw_firms(rng: np.random.Generator, accounts: int, calendar: Calendar, process: Process) -> Firms:
    """Draw firmographics.

    Industry, then region given industry, ln(employees) ~ Normal(industry's mean, 1), revenue a head log-normal,
    technology by an ordered logit in size, manager within the region, 6 % owned by another account.
    """
    shares = np.array([[industry.share for industry in INDUSTRIES]])
    industry = pick(rng, shares, np.zeros(accounts, dtype=np.int64))
    region = pick(rng, np.array(REGION_SHARES), industry)
    means = np.array([entry.log_employees for entry in INDUSTRIES])[industry]
    employees = np.maximum(np.rint(np.exp(rng.normal(means, 1.0))), 3.0)
    size = np.log(employees) - process.log_size
    revenue = np.rint(employees * np.exp(rng.normal(np.log(185.0), 0.35, accounts))) * 1000
    modernity = size + rng.logistic(0.0, 0.8, accounts)
    technology = (modernity > -0.2).astype(np.int64) + (modernity > 1.5)
    managers = max(2, round(accounts / 250))  # a region
    manager = region * managers + rng.integers(0, managers, accounts)
    return Firms(
        ids=numbered("A", accounts),
        industry=industry,
        region=region,
        technology=technology,
        manager=manager,
        parent=_parents(rng, employees),
        employees=employees,
        revenue=revenue,
        created=rng.beta(0.75, 1.7, accounts) * (calendar.end + 9) - 13,
        size=size,
    )


def numbered(letter: str, count: int, *, width: int = 4) -> np.ndarray:
    """Ids from 1 on, padded to one width."""
    digits = max(width, len(str(count)))
    return np.array([f"{letter}{number:0{digits}d}" for number in range(1, count + 1)], dtype=object)


def _parents(rng: np.random.Generator, employees: np.ndarray) -> np.ndarray:
    """Give 6 % of accounts a parent that has none itself, from the larger half: a forest of depth one."""
    accounts = len(employees)
    parent = np.full(accounts, -1, dtype=np.int64)
    child = rng.random(accounts) < 0.06
    heads = np.flatnonzero(~child & (employees >= np.median(employees)))
    if len(heads):
        parent[child] = rng.choice(heads, int(child.sum()))
    return parent


def accounts_table(rng: np.random.Generator, firms: Firms, calendar: Calendar) -> pd.DataFrame:
    """Make the table `accounts`; some values are missing completely at random."""
    accounts = len(firms)

    def hide(values: np.ndarray, share: float) -> np.ndarray:
        seen = values.astype(object)
        seen[rng.random(accounts) < share] = None
        return seen

    def named(labels: tuple[str, ...], codes: np.ndarray) -> np.ndarray:
        return np.array(labels, dtype=object)[codes]

    owners = np.concatenate([firms.ids, np.array([None], dtype=object)])  # position −1 is "none"
    return pd.DataFrame(
        {
            "account_id": firms.ids,
            "name": np.array([f"Company {identity[1:]}" for identity in firms.ids], dtype=object),
            "industry": hide(named(tuple(entry.name for entry in INDUSTRIES), firms.industry), 0.02),
            "region": named(REGIONS, firms.region),
            "employees": hide(firms.employees, 0.05).astype(float),
            "revenue": hide(firms.revenue, 0.12).astype(float),
            "technology": hide(named(TECHNOLOGIES, firms.technology), 0.08),
            "manager": np.array([f"M{code + 1:02d}" for code in range(firms.manager.max() + 1)], dtype=object)[
                firms.manager
            ],
            "parent_id": owners[firms.parent],
            "created": calendar.dates(np.floor(firms.created * 7)),
        }
    )
