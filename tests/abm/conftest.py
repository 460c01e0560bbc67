"""Random books of options, and the answers of plain enumeration to compare with."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

TIERS = ("1:1", "1:few", "1:many")


def random_options(g: np.random.Generator, most: int = 6) -> pd.DataFrame:
    """Draw options of up to `most` accounts in up to three tiers; whole numbers in some books, so that ties occur."""
    whole = g.random() < 0.5
    rows = []
    for account in range(int(g.integers(1, most + 1))):
        for tier in TIERS:
            if g.random() < 0.85 or not rows:
                value, cost, hours = g.uniform(-3, 20), g.choice([0.0, g.uniform(0, 10)], p=[0.1, 0.9]), g.uniform(0, 8)
                rows.append((f"A{account}", tier, value, cost, hours))
    frame = pd.DataFrame(rows, columns=["account_id", "tier", "value", "cost", "hours"])
    if whole:
        frame[["value", "cost", "hours"]] = frame[["value", "cost", "hours"]].round()
    if g.random() < 0.3:
        frame["hours_writer"] = np.round(g.uniform(0, 5, len(frame)), 1)
        frame["hours_seller"] = g.integers(0, 4, len(frame)).astype(float)
    return frame


def random_limits(g: np.random.Generator, options: pd.DataFrame) -> dict:
    """Draw limits of every kind, some of them impossible together."""
    limits: dict = {}
    if g.random() < 0.7:
        limits["budget"] = float(np.round(g.uniform(0, 0.5) * options["cost"].sum(), g.integers(0, 3)))
    if "hours_writer" in options and g.random() < 0.8:
        limits["hours"] = {
            role: float(np.round(g.uniform(0, 0.5) * options[f"hours_{role}"].sum(), 1))
            for role in ("writer", "seller")
        }
    elif g.random() < 0.6:
        limits["hours"] = float(np.round(g.uniform(0, 0.5) * options["hours"].sum(), 1))
    counts = {}
    for tier in sorted(set(options["tier"])):
        if g.random() < 0.4:
            least = int(g.integers(0, 3)) if g.random() < 0.5 else None
            most = int(g.integers(least or 0, 5)) if g.random() < 0.6 else None
            counts[tier] = (least, most)
    return limits | ({"counts": counts} if counts else {})


def enumerate_plans(options: pd.DataFrame, *, budget=None, hours=None, counts=None) -> float | None:
    """Worth of the best plan by trying every one; None if no plan keeps the limits."""
    table = {key: rows.to_dict("records") for key, rows in options.groupby("account_id")}
    columns = {} if budget is None else {"cost": budget}
    if isinstance(hours, dict):
        columns |= {f"hours_{role}": limit for role, limit in hours.items()}
    elif hours is not None:
        columns["hours"] = hours
    best = None
    for plan in itertools.product(*([None, *rows] for rows in table.values())):
        taken = [row for row in plan if row is not None]
        if any(sum(row[c] for row in taken) > limit + 1e-9 * max(1, limit) for c, limit in columns.items()):
            continue
        held = {tier: sum(row["tier"] == tier for row in taken) for tier in TIERS}
        if any(
            held[t] < (least or 0) or held[t] > (99 if most is None else most)
            for t, (least, most) in (counts or {}).items()
        ):
            continue
        worth = sum(row["value"] - row["cost"] for row in taken)
        best = worth if best is None else max(best, worth)
    return best


def realistic(n: int, seed: int = 1, *, kind: str = "fixed") -> pd.DataFrame:
    """A book as `tier_options` makes it (fixed), with own costs and hours (own), or with many equal accounts."""
    g = np.random.default_rng(seed)
    clv = g.lognormal(8.5, 1.6, n)
    if kind == "equal":
        clv = np.round(clv, -3)
    value = np.outer(clv, [0.30, 0.12, 0.03])
    cost, hours = np.tile([8000.0, 1500.0, 100.0], (n, 1)), np.tile([120.0, 20.0, 1.0], (n, 1))
    if kind == "own":
        value, cost, hours = (part * g.uniform(0.7, 1.4, (n, 3)) for part in (value, cost, hours))
    return pd.DataFrame(
        {
            "account_id": np.repeat([f"A{i:05d}" for i in range(n)], 3),
            "tier": np.tile(TIERS, n),
            "value": value.ravel(),
            "cost": cost.ravel(),
            "hours": hours.ravel(),
        }
    )


def half_limits(options: pd.DataFrame) -> dict:
    """Limits that bind: a part of what the best tier of every account would use."""
    net = options["value"] - options["cost"]
    best = options.loc[net.groupby(options["account_id"]).idxmax()]
    best = best[best["value"] > best["cost"]]
    return {
        "budget": 0.4 * best["cost"].sum(),
        "hours": 0.3 * best["hours"].sum(),
        "counts": {"1:1": (2, max(3, len(best) // 40))},
    }


@pytest.fixture(scope="session")
def helpers() -> SimpleNamespace:
    return SimpleNamespace(enumerate_plans=enumerate_plans, realistic=realistic, half_limits=half_limits)


@pytest.fixture(scope="session")
def books() -> Callable[[int, int], list[tuple[pd.DataFrame, dict]]]:
    def draw(seed: int, many: int) -> list[tuple[pd.DataFrame, dict]]:
        g = np.random.default_rng(seed)
        options = [random_options(g) for _ in range(many)]
        return [(book, random_limits(g, book)) for book in options]

    return draw
