"""What free spends could bring: the bound on all plans of spends, and how flat an account's best spend is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from clv.abm.response.adbudg import Adbudg
from clv.abm.tiers import Allocation

_HALVINGS = 60


class Relaxed(NamedTuple):
    """The problem with free spends at the prices of a plan's limits."""

    bound: float
    #: tier -> (rows of the tier,) the best spend.
    spend: dict[str, np.ndarray]
    #: tier -> (rows of the tier,) price of one unit of spend (1 and what limits add), and what else the tier costs.
    price: dict[str, np.ndarray]


def relaxed(
    plan: Allocation,
    options: pd.DataFrame,
    curves: Mapping[str, Adbudg],
    ends: Mapping[str, tuple[float, float]],
    scale: Mapping[str, np.ndarray],
    names: Mapping[str, list[str]],
) -> Relaxed:
    """Bound by prices: each account takes the tier and the spend that are best for it, each limit is paid for."""
    work = plan.work
    book, rules = work.book, work.rules
    prices = np.nan_to_num(plan.limits["price"].to_numpy(float))
    penalty, at, total = np.zeros_like(book.net), 0, rules.base
    for family in rules.families:
        each = prices[at : at + len(family.names)]
        at += len(family.names)
        total += float(each @ (family.amounts - family.constant))
        use = np.ones_like(book.net) if family.use is None else family.use
        per = (
            np.full(len(penalty), each[0])
            if family.group is None
            else np.where(family.group >= 0, each[family.group], 0.0)
        )
        touched = list(range(len(book.tiers))) if family.tiers is None else list(family.tiers)
        penalty[:, touched] += per[:, None] * use[:, touched]
    net = np.where(rules.has, rules.gain - penalty, -np.inf)
    floor = np.where(rules.must, -np.inf, 0.0)
    best = np.maximum(floor, net.max(axis=1))
    spend, price = {}, {}
    exact = bool(np.isfinite(best).all())
    place = book.accounts.get_indexer(pd.Index(options["account_id"].astype(str), dtype=object))
    tier = options["tier"].astype(str).to_numpy()
    for name, curve in curves.items():
        rows = np.flatnonzero(tier == name)
        who, at_level = place[rows], np.array([book.tiers.index(level) for level in names[name]])
        cost = book.parts["cost"][np.ix_(who, at_level)]
        charged = penalty[np.ix_(who, at_level)]
        low, high = cost.argmin(axis=1), cost.argmax(axis=1)
        line = np.arange(len(rows))
        width = cost[line, high] - cost[line, low]
        slope = np.divide(charged[line, high] - charged[line, low], width, out=np.zeros(len(rows)), where=width > 0)
        base = charged[line, low] - slope * cost[line, low]
        off = np.abs(charged - base[:, None] - slope[:, None] * cost)
        # A limit that is not linear in the spend (the cap on margins) leaves no bound.
        exact &= bool((off <= 1e-6 * (1e-9 + np.abs(charged).max(initial=0.0))).all())
        worth, unit = options["value"].to_numpy(float)[rows], scale[name]
        price[name] = 1 + slope
        spend[name] = unit * curve.best_spend(worth, unit * price[name], *ends[name])
        free = worth * curve(spend[name] / unit) - price[name] * spend[name] - base
        able = rules.has[np.ix_(who, at_level)].any(axis=1)
        best[who[able]] = np.maximum(best[who[able]], free[able])
    return Relaxed(total + float(best.sum()) if exact else np.inf, spend, price)


def within(
    curve: Adbudg, worth: np.ndarray, unit: np.ndarray, price: np.ndarray, ends: tuple[float, float], flat: float
) -> tuple[np.ndarray, np.ndarray]:
    """Spends around the best one at which worth × response − price × spend is within a share `flat` of its best."""
    low, high = (np.full(len(worth), end) for end in ends)
    each = unit * price

    def net(spend: np.ndarray) -> np.ndarray:
        return np.asarray(worth * curve(spend) - each * spend)

    best = curve.best_spend(worth, each, low, high)
    least = net(best) - flat * np.abs(net(best))
    found = []
    for end in (low, high):
        inside, outside = best.copy(), end.copy()
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            good = net(middle) >= least
            inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
        found.append(np.where(net(end) >= least, end, inside) * unit)
    return found[0], found[1]
