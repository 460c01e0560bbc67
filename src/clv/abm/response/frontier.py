"""Net return against total spend, and how flat it is around its best.

Each price of money gives the plan that is best among all that spend as much (Everett 1963); at a price below 1 a plan
spends more than is best for itself. So a sweep of prices draws the upper envelope of what any total spend can bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from clv.abm.allocation.book import read_book
from clv.abm.allocation.limits import read_limits
from clv.abm.allocation.rows import compile_rules
from clv.abm.response.levels import expand, expand_limits, level_names
from clv.abm.robust.replan import Replanner

if TYPE_CHECKING:
    from clv.abm.response.spending import Problem

#: prices of one unit of money at which plans are made.
_PRICES = (6.0, 4.0, 3.0, 2.4, 1.9, 1.6, 1.4, 1.25, 1.12, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)

#: gap of these plans; in books with more options than this, what repair gives.
_GAP = 1e-3
_SEARCHED = 50_000


class Flat(NamedTuple):
    """Total spend with the largest net return, that return, and the spends between which it hardly falls."""

    spend: float
    objective: float
    lower: float
    upper: float


def spend_frontier(problem: Problem) -> pd.DataFrame:
    """Best plans at a sweep of prices of money, all limits but the budget as they are (not the cap on margins).

    Returns
    -------
    pandas.DataFrame
        price (of one unit of money), spend (in all), objective (Σ value − spend), accounts; by spend.
    """
    options, tier = problem.options, problem.options["tier"].astype(str)
    spends = {}
    for name, curve in problem.curves.items():
        rows, unit = np.flatnonzero(tier == name), problem.scale[name]
        worth = options["value"].to_numpy(float)[rows]
        spends[name] = np.column_stack(
            [unit * curve.best_spend(worth, unit * price, *problem.ends[name]) for price in _PRICES]
        )
    table = expand(options, problem.curves, spends, problem.unit, problem.hours_of)
    names = level_names(problem.curves, dict.fromkeys(problem.curves, len(_PRICES)))
    counts, limits = expand_limits(problem.counts, problem.limits, names, sorted(set(tier)))
    book = read_book(table, problem.accounts)
    declared = read_limits(None, problem.hours, counts, limits, tiers=book.tiers, columns=book.limitable)
    replanner = Replanner(book, compile_rules(book, declared), _GAP if len(table) <= _SEARCHED else None)
    cost = book.parts["cost"][replanner.account, replanner.tier]
    points = []
    for price in _PRICES:
        found = replanner.best(replanner.value - (price - 1) * cost)
        if found is not None:
            spent = float(cost[replanner.taken(found.tier_of)].sum())
            net = float(replanner.worth(found.tier_of, replanner.value))
            points.append((price, spent, net, int((found.tier_of >= 0).sum())))
    table = pd.DataFrame(points, columns=["price", "spend", "objective", "accounts"])
    return table.sort_values(["spend", "price"], kind="stable", ignore_index=True)


def flat_range(frontier: pd.DataFrame, share: float) -> Flat:
    """Spends between which the net return, on straight lines between the plans, is within a share of its best."""
    line = frontier.drop_duplicates("spend")
    at = int(line["objective"].to_numpy().argmax())
    best = float(line["objective"].iloc[at])
    fine = np.union1d(np.linspace(line["spend"].min(), line["spend"].max(), 4001), line["spend"])
    good = fine[np.interp(fine, line["spend"], line["objective"]) >= best - share * abs(best)]
    return Flat(float(line["spend"].iloc[at]), best, float(good.min()), float(good.max()))
