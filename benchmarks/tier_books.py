"""Simulated books of tier options: a budget and three capacities, or every limit there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

TIERS = ("1:1", "1:few", "1:many", "mail")
UPLIFT = (0.30, 0.12, 0.05, 0.02)
USES = {
    "cost": (8000.0, 1500.0, 400.0, 80.0),
    "hours_manager": (90.0, 16.0, 4.0, 0.5),
    "hours_analyst": (30.0, 10.0, 1.0, 0.2),
    "hours_writer": (20.0, 4.0, 2.0, 0.3),
}
#: share of what every account's best tier would use that is allowed; so that money and two of three roles bind.
ALLOWED = {"cost": 0.30, "hours_manager": 0.32, "hours_analyst": 0.30, "hours_writer": 0.32}


def plain(accounts: int, seed: int = 1) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Options of four tiers, with own values, costs and hours by account; a budget and hours of three roles.

    Returns
    -------
    tuple
        The options, and keywords of `allocate_tiers`.
    """
    g = np.random.default_rng(seed)
    clv = g.lognormal(9.5, 1.3, accounts)
    shape = (accounts, len(TIERS))
    uses = {name: np.array(each) * g.uniform(0.6, 1.5, shape) for name, each in USES.items()}
    value = clv[:, None] * np.array(UPLIFT) * g.uniform(0.6, 1.5, shape)
    ids = np.array([f"A{i:07d}" for i in range(accounts)])
    table = pd.DataFrame(
        {
            "account_id": np.repeat(ids, len(TIERS)),
            "tier": np.tile(TIERS, accounts),
            "value": value.ravel(),
            **{name: use.ravel() for name, use in uses.items()},
        }
    )
    net = value - uses["cost"]
    best = np.where(net.max(axis=1) > 0, net.argmax(axis=1), -1)
    at = np.flatnonzero(best >= 0)
    allowed = {name: ALLOWED[name] * float(use[at, best[at]].sum()) for name, use in uses.items()}
    hours = {name.removeprefix("hours_"): amount for name, amount in allowed.items() if name != "cost"}
    return table, {"budget": allowed["cost"], "hours": hours}


def rich(accounts: int, seed: int = 1) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Add all limits: counts, segments, managers, clusters, shares, cap, must and must not, holdout."""
    from clv.abm import (
        Clusters,
        GroupLimit,
        Holdout,
        KeepLast,
        MarginCap,
        MustHave,
        MustNot,
        ReservedHours,
        TierShare,
    )

    table, limits = plain(accounts, seed)
    g = np.random.default_rng(seed + 1)
    ids = table["account_id"].to_numpy()[:: len(TIERS)]
    about = pd.DataFrame(
        {
            "manager": [f"M{i:04d}" for i in g.integers(0, max(2, accounts // 200), accounts)],
            "segment": g.choice(["retail", "industry", "public", "health"], accounts),
            "status": g.choice(["new", "existing"], accounts, p=[0.4, 0.6]),
            "cluster": [f"K{i:04d}" for i in g.integers(0, max(2, accounts // 100), accounts)],
        },
        index=pd.Index(ids, name="account_id"),
    )
    last = g.choice([*TIERS, "none"], accounts, p=[0.02, 0.08, 0.2, 0.3, 0.4])
    limits["counts"] = {"1:1": (accounts // 200, accounts // 40), "mail": (accounts // 20, None)}
    limits["accounts"] = about
    limits["limits"] = [
        GroupLimit("manager", most=3, tiers=["1:1"]),
        GroupLimit("manager", most=900.0, of="manager"),
        GroupLimit("segment", least=max(1, accounts // 400), tiers=["1:few"]),
        TierShare("1:1", "status", "new", least=0.16, most=0.5),
        TierShare("1:many", "status", "new", least=0.45),
        Clusters("1:few", cost=5000.0, fewest=4, most=15),
        MarginCap(0.2),
        MustHave({ids[3]: "1:many", ids[10]: "1:few"}),
        MustHave([ids[20]]),
        MustNot([ids[30]]),
        MustNot({ids[31]: ["1:1"]}),
        KeepLast(dict(zip(ids, last, strict=True)), switching_cost=150.0),
        ReservedHours(total=0.01 * limits["hours"]["manager"], each=0.2, role="manager"),
        Holdout(0.05, by=("segment", "status"), seed=3),
    ]
    return table, limits


def capped(accounts: int, seed: int = 1) -> tuple[pd.DataFrame, dict[str, Any]]:
    """All limits, with a cap on one account's share of the margin that binds hard."""
    from clv.abm import MarginCap

    table, limits = rich(accounts, seed)
    limits["limits"] = [limit for limit in limits["limits"] if not isinstance(limit, MarginCap)] + [MarginCap(0.02)]
    return table, limits
