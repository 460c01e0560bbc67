"""Why each account has its tier: what comes next, how far it is, which limit stands between, and what would flip it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from clv.abm.tiers import Allocation


def explain_accounts(plan: Allocation) -> pd.DataFrame:
    """For each account the runner-up tier at the prices of the limits.

    At these prices each tier of an account is worth its value − cost less what its use of the limits costs others. The
    best plan gives nearly every account the tier that is worth most so; a few near a tie have the second (an account
    cannot be split), and their distance is negative.

    Returns
    -------
    pandas.DataFrame
        One row an account: account_id, tier, runner_up (a tier or "none"), distance (money by which the tier beats it),
        preferred (the tier that it would get without limits), binding (the limit whose price does most to keep it from
        that one; empty where it has it), charge (what that limit costs it, money), flip (what has to change), flip_by
        (by how much at least, in money or hours) and flip_share (as a share of what it is): the smallest change of the
        runner-up's value or cost, or of the value of the tier it has.
    """
    work = plan.work
    book = work.book
    prices = work.solution.prices
    n, m = book.has.shape
    known = np.isfinite(prices).all()
    charge, worth = priced_worth(plan, np.nan_to_num(prices))
    row = np.arange(n)
    tier_of = work.tier_of
    wide = np.concatenate([worth, np.where(work.rules.must, -np.inf, 0.0)[:, None]], axis=1)
    has = np.concatenate([work.rules.has, ~work.rules.must[:, None]], axis=1)
    shut = np.zeros(n, dtype=bool)
    if work.rules.clusters is not None:
        opened = np.isin(np.array([*work.rules.clusters.names, ""], dtype=object), plan.clusters["cluster"].tolist())
        shut = ~opened[work.rules.clusters.code]
        has[:, work.rules.clusters.tier] &= ~shut
    wide = np.where(has, wide, -np.inf)
    chosen = np.where(tier_of < 0, m, tier_of)
    mine = wide[row, chosen]
    others = wide.copy()
    others[row, chosen] = -np.inf
    second = others.argmax(axis=1)
    alone = ~np.isfinite(others[row, second])
    with np.errstate(invalid="ignore"):
        distance = np.where(alone, np.inf, mine - others[row, second])
    free = np.concatenate([np.where(work.rules.has, work.rules.gain, -np.inf), np.zeros((n, 1))], axis=1)
    free[work.rules.must, m] = -np.inf
    preferred = free.argmax(axis=1)
    preferred = np.where(free[row, preferred] <= free[row, chosen], chosen, preferred)
    binding, dearest = _binding(plan, charge, chosen, preferred)
    if work.rules.clusters is not None:
        binding[shut & (preferred == work.rules.clusters.tier) & (preferred != chosen)] = "its cluster is not opened"
    names = np.array([*book.tiers, "none"], dtype=object)
    flip, by, share = _flips(plan, np.nan_to_num(prices), chosen, second, distance)
    frame = pd.DataFrame(
        {
            "account_id": book.accounts.astype(str),
            "tier": names[chosen],
            "runner_up": np.where(alone, "", names[second]),
            "distance": distance,
            "preferred": names[preferred],
            "binding": binding,
            "charge": dearest,
            "flip": np.where(alone, "", flip),
            "flip_by": np.where(alone, np.nan, by),
            "flip_share": np.where(alone, np.nan, share),
        }
    )
    if not known:
        frame.loc[:, ["distance", "charge", "flip_by", "flip_share"]] = np.nan
    return frame


def priced_worth(plan: Allocation, prices: np.ndarray) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Charge each option (N, M) for what it uses, family by family with the row; and its worth after all charges."""
    work = plan.work
    shape = work.book.has.shape
    money = np.where(work.rules.has, work.rules.gain, 0.0)
    charges, start = [], 0
    program = work.program
    for family in work.rules.families:
        r = len(family.names)
        unit = program.row_unit[start : start + r]
        each = prices[start : start + r] * program.gain_unit / unit  # money a unit of the limit as declared
        row = np.zeros(shape[0], dtype=int) if family.group is None else family.group
        level = np.where(row >= 0, each[np.maximum(row, 0)], 0.0)
        use = np.ones(shape) if family.use is None else family.use
        if family.tiers is not None:
            use = np.where(np.isin(np.arange(shape[1]), family.tiers)[None, :], use, 0.0)
        cost = np.where(work.rules.has, level[:, None] * use, 0.0)
        charges.append((cost, np.where(row >= 0, row + start, -1)))
        money = money - cost
        start += r
    if work.rules.clusters is not None:
        money = money - _cluster_charge(plan, prices)
    return charges, money


def _cluster_charge(plan: Allocation, prices: np.ndarray) -> np.ndarray:
    """Charge the tier of clusters for a place in the account's cluster, were it open."""
    from clv.abm.allocation.prices import place_prices

    work = plan.work
    opened = work.rules.clusters
    assert opened is not None
    level = place_prices(work.program, prices) * work.program.gain_unit
    charge = np.zeros(work.book.has.shape)
    inside = opened.code >= 0
    charge[inside, opened.tier] = level[opened.code[inside]]
    return charge


def _binding(
    plan: Allocation, charges: list[tuple[np.ndarray, np.ndarray]], chosen: np.ndarray, preferred: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the limit that charges the preferred tier most beyond what it charges the chosen one."""
    n = len(chosen)
    at, dearest = np.full(n, -1), np.zeros(n)
    row = np.arange(n)
    moved = preferred != chosen
    for cost, which in charges:
        padded = np.concatenate([cost, np.zeros((n, 1))], axis=1)
        more = np.where(moved, padded[row, preferred] - padded[row, chosen], 0.0)
        dearer = more > dearest + 1e-12
        at[dearer], dearest[dearer] = which[dearer], more[dearer]
    names = np.array([*plan.work.program.names, ""], dtype=object)
    return names[at], dearest


def _flips(
    plan: Allocation, prices: np.ndarray, chosen: np.ndarray, second: np.ndarray, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the smallest change, as a share of what it is, that makes the runner-up worth as much."""
    work = plan.work
    n, m = work.book.has.shape
    row = np.arange(n)

    def part(name: str, tier: np.ndarray) -> np.ndarray:
        return np.where(tier < m, work.book.parts[name][row, np.minimum(tier, m - 1)], 0.0)

    program = work.program
    price_of_money = 0.0
    if program.budget >= 0:
        price_of_money = float(prices[program.budget] * program.gain_unit / program.row_unit[program.budget])
    gap = np.maximum(distance, 0.0)
    names = np.array([*work.book.tiers, "none"], dtype=object)
    candidates = [
        ("value of ", second, part("value", second), gap, "up"),
        ("cost of ", second, part("cost", second), gap / (1 + price_of_money), "down"),
        ("value of ", chosen, part("value", chosen), gap, "down"),
    ]
    best = np.full(n, np.inf)
    said, by = np.full(n, "", dtype=object), np.full(n, np.nan)
    for word, tier, what, change, way in candidates:
        possible = (tier < m) & (what > 0) & np.isfinite(change)
        if word == "cost of ":
            possible &= change <= what
        share = np.where(possible, change / np.where(what > 0, what, 1.0), np.inf)
        better = share < best
        best[better], by[better] = share[better], change[better]
        said[better] = [f"{word}{name} {way}" for name in names[tier[better]]]
    return said, by, np.where(np.isfinite(best), best, np.nan)
