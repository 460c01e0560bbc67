"""Large books: near the bound, never beyond a limit; at a thousand accounts equal to HiGHS with every limit on."""

from __future__ import annotations

from time import process_time

import numpy as np
import pandas as pd
import pytest

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
    allocate_tiers,
    verify,
)
from clv.errors import InfeasibleError

TIERS = ("1:1", "1:few", "1:many")
COST, HOURS = np.array([8000.0, 1500.0, 100.0]), np.array([120.0, 20.0, 1.0])


def draw(n: int, seed: int, *, own: bool) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    shape = (n, 3)
    wide = g.uniform(0.7, 1.4, (4, *shape)) if own else np.ones((4, *shape))
    value = np.outer(g.lognormal(9.5, 1.2, n), [0.30, 0.12, 0.03]) * wide[0]
    ids = [f"A{i:06d}" for i in range(n)]
    columns = {
        "value": value,
        "cost": COST * wide[1],
        "hours_manager": HOURS * wide[2],
        "hours_writer": HOURS * wide[3] / 4 + 1,
    }
    return pd.DataFrame(
        {"account_id": np.repeat(ids, 3), "tier": np.tile(TIERS, n)} | {k: v.ravel() for k, v in columns.items()}
    )


def plain_limits(options: pd.DataFrame) -> dict:
    net = options["value"] - options["cost"]
    best = options.loc[net.groupby(options["account_id"]).idxmax()]
    best = best[best["value"] > best["cost"]]
    return {
        "budget": 0.3 * best["cost"].sum(),
        "hours": {"manager": 0.3 * best["hours_manager"].sum(), "writer": 0.32 * best["hours_writer"].sum()},
        "counts": {"1:1": (3, max(3, len(best) // 30))},
    }


def relaxation(options: pd.DataFrame, limits: dict) -> float:
    """Worth of the linear relaxation, by an own model."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, vstack

    n = len(options) // 3
    one = csr_array((np.ones(3 * n), (np.repeat(np.arange(n), 3), np.arange(3 * n))))
    top = options["tier"].eq("1:1").to_numpy(float)
    rows = np.array([options["cost"], options["hours_manager"], options["hours_writer"], top, -top])
    right = [limits["budget"], *limits["hours"].values(), limits["counts"]["1:1"][1], -limits["counts"]["1:1"][0]]
    done = linprog(
        options["cost"] - options["value"],
        A_ub=vstack([one, csr_array(rows)], format="csr"),
        b_ub=np.concatenate([np.ones(n), right]),
        bounds=(0, 1),
    )
    return -done.fun


@pytest.mark.parametrize("own", [True, False])
def test_six_thousand_accounts_are_near_the_bound(own):
    options = draw(6_000, 3, own=own)
    limits = plain_limits(options)
    plan = allocate_tiers(options, **limits, gap=1e-5)
    checked = verify(plan.table, options, **limits)
    assert checked.faults == ()
    assert plan.objective == pytest.approx(checked.objective, rel=1e-12)
    assert plan.gap <= 1e-5
    assert plan.objective <= plan.bound <= relaxation(options, limits) * (1 + 1e-9)
    assert plan.status in ("gap", "optimal")


def test_a_hundred_thousand_accounts_in_seconds_and_in_any_order():
    options = draw(100_000, 4, own=True)
    limits = plain_limits(options)
    start = process_time()
    plan = allocate_tiers(options, **limits, gap=1e-5)
    assert process_time() - start < 15
    assert verify(plan.table, options, **limits).faults == ()
    assert plan.gap <= 1e-5
    assert plan.limits["binds"].sum() >= 2
    shuffled = allocate_tiers(options.sample(frac=1, random_state=1), **limits, gap=1e-5)
    pd.testing.assert_frame_equal(shuffled.table, plan.table)


def test_no_time_still_gives_a_plan_with_its_gap():
    options = draw(20_000, 5, own=True)
    limits = plain_limits(options)
    plan = allocate_tiers(options, **limits, gap=0.0, time_limit=0.01)
    assert verify(plan.table, options, **limits).faults == ()
    assert plan.objective > 0
    assert plan.bound >= plan.objective
    assert plan.status == "time limit"


def all_limits(options: pd.DataFrame, seed: int) -> dict:
    """Every kind of limit, in a book of equal costs in each tier."""
    n = options["account_id"].nunique()
    g = np.random.default_rng(seed)
    ids = options["account_id"].to_numpy()[::3]
    about = pd.DataFrame(
        {
            "account_id": ids,
            "manager": [f"M{k}" for k in g.integers(0, 5, n)],
            "segment": g.choice(["retail", "industry"], n),
            "status": g.choice(["new", "old"], n, p=[0.4, 0.6]),
            "cluster": [f"K{k:02d}" for k in g.integers(0, n // 50, n)],
        }
    )
    base = plain_limits(options)
    last = g.choice([*TIERS, "none"], n, p=[0.02, 0.1, 0.3, 0.58])
    return {
        "budget": base["budget"],
        "hours": base["hours"],
        "counts": {"1:1": (5, 40), "1:many": (n // 10, None)},
        "accounts": about,
        "limits": [
            GroupLimit("manager", most=4, tiers=["1:1"]),
            GroupLimit("manager", most=3000.0, of="manager"),
            GroupLimit("segment", least=20, tiers=["1:few"]),
            TierShare("1:1", "status", "new", least=0.16, most=0.6),
            Clusters("1:few", cost=4000.0, fewest=4, most=15),
            MarginCap(0.2),
            MustHave({ids[3]: "1:many", ids[10]: "1:few"}),
            MustNot([ids[30]]),
            KeepLast(dict(zip(ids, last, strict=True)), switching_cost=150.0),
            ReservedHours(total=50.0, each=0.1, role="manager"),
            Holdout(0.05, by=("segment",), seed=3),
        ],
    }


def by_highs(options: pd.DataFrame, asked: dict, held: list[str]) -> float:
    """The same problem as one integer program, written from the tables, with gap 0."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import lil_array

    table = options.merge(asked["accounts"], on="account_id")
    n, e = table["account_id"].nunique(), len(table)
    account = pd.factorize(table["account_id"])[0]
    named = {type(limit).__name__: limit for limit in asked["limits"] if not isinstance(limit, GroupLimit)}
    clusters = sorted(table["cluster"].unique())
    width = e + len(clusters)
    gain = np.concatenate([(table["value"] - table["cost"]).to_numpy(), np.full(len(clusters), -4000.0)])
    last = named["KeepLast"].last
    for i, (a, t) in enumerate(zip(table["account_id"], table["tier"], strict=True)):
        if last[a] == "none":
            gain[i] -= 150.0
        elif last[a] == t:
            gain[i] += 150.0
    constant = -150.0 * sum(tier != "none" for tier in last.values())
    rows, low, high = [], [], []

    def add(values, least, most):
        rows.append(values)
        low.append(least)
        high.append(most)

    def of(mask):
        out = np.zeros(width)
        out[:e] = mask
        return out

    cost = of(table["cost"])
    cost[e:] = 4000.0
    add(cost, -np.inf, asked["budget"])
    manager = table["hours_manager"].to_numpy()
    add(of(manager - 0.1), -np.inf, asked["hours"]["manager"] - 50.0 - 0.1 * n)
    add(of(table["hours_writer"]), -np.inf, asked["hours"]["writer"])
    for tier, (least, most) in asked["counts"].items():
        add(of(table["tier"] == tier), least, np.inf if most is None else most)
    for name in table["manager"].unique():
        mine = (table["manager"] == name).to_numpy()
        add(of(mine & (table["tier"] == "1:1")), -np.inf, 4)
        add(of(mine * manager), -np.inf, 3000.0)
    for name in table["segment"].unique():
        add(of((table["segment"] == name) & (table["tier"] == "1:few")), 20, np.inf)
    top, new = (table["tier"] == "1:1").to_numpy(float), (table["status"] == "new").to_numpy(float)
    add(of(top * (new - 0.16)), 0, np.inf)
    add(of(top * (new - 0.6)), -np.inf, 0)
    for k, name in enumerate(clusters):
        inside = of((table["cluster"] == name) & (table["tier"] == "1:few"))
        for bound, sign in ((15, 1), (4, -1)):
            row = sign * inside
            row[e + k] = -sign * bound
            add(row, -np.inf, 0)
    value = table["value"].to_numpy()
    large = np.flatnonzero(np.bincount(account, value) > 0)
    largest = large[np.argsort(-np.array([value[account == a].max() for a in large]))[:5]]
    for a in largest:
        add(of(np.where(account == a, value, 0.0) - 0.2 * value), -np.inf, 0)
    for a in range(n):
        add(of(account == a), 0, 1)
    upper = np.ones(width)
    lower = np.zeros(width)
    ids, tiers = table["account_id"].to_numpy(), table["tier"].to_numpy()
    for a, tier in named["MustHave"].accounts.items():
        lower[:e][(ids == a) & (tiers == tier)] = 1
    upper[:e][np.isin(ids, [*named["MustNot"].accounts, *held])] = 0
    matrix = lil_array((len(rows), width))
    for k, row in enumerate(rows):
        at = np.flatnonzero(row)
        matrix[k, at] = row[at]
    done = milp(
        -gain,
        constraints=[LinearConstraint(matrix.tocsr(), low, high)],
        integrality=np.ones(width),
        bounds=Bounds(lower, upper),
        options={"mip_rel_gap": 0.0, "time_limit": 120},
    )
    assert done.status == 0, "HiGHS did not finish: choose another book"
    taken = np.rint(done.x[:e])
    assert (value[taken > 0] <= 0.2 * (value @ taken) + 1e-6).all()
    return constant - done.fun


@pytest.mark.slow
def test_a_thousand_accounts_with_all_limits_equal_highs():
    options = draw(1_000, 7, own=False)
    asked = all_limits(options, 8)
    plan = allocate_tiers(options, **asked, gap=0.0, time_limit=120)
    assert verify(plan.table, options, **asked).faults == ()
    assert plan.status == "optimal"
    assert plan.gap <= 1e-9
    expected = by_highs(options, asked, list(plan.holdout["account_id"]))
    assert plan.objective == pytest.approx(expected, rel=1e-9)
    assert len(plan.holdout) == round(0.05 * 997)


def test_the_smallest_clash_is_named_and_not_only_an_irreducible_one():
    """Three limits clash and cannot spare one; two others clash as well: the two are named."""
    options = pd.DataFrame(
        {
            "account_id": np.repeat([f"A{i}" for i in range(6)], 2),
            "tier": ["big", "small"] * 6,
            "value": 10.0,
            "cost": [5.0, 1.0] * 6,
            "hours": [4.0, 1.0] * 6,
            "segment": np.repeat(["s", "s", "s", "t", "t", "t"], 2),
        }
    )
    limits = [
        MustNot({f"A{i}": ["big"] for i in range(3)}),
        GroupLimit("segment", least={"s": 1}, tiers=["big"]),
    ]
    with pytest.raises(InfeasibleError) as caught:
        allocate_tiers(options, budget=10, hours=5, counts={"big": (1, None), "small": (2, None)}, limits=limits)
    text = str(caught.value)
    assert "must-not (3 accounts)" in text
    assert "at least 1 accounts in big of segment s" in text
    assert "No fewer limits clash" in text
    assert "budget" not in text
    assert "hours" not in text


@pytest.mark.parametrize(
    "limit", [MustHave({"A000001": "1:1"}), Clusters("1:few", column="nothing"), GroupLimit("x", most=1)]
)
def test_limits_that_name_what_is_not_there_are_refused(limit):
    from clv.errors import DataError

    options = draw(3, 1, own=True)
    options = options[~((options["account_id"] == "A000001") & (options["tier"] == "1:1"))]
    with pytest.raises(DataError):
        allocate_tiers(options, limits=[limit])


def test_the_holdout_is_stratified_and_does_not_hang_on_the_order_of_rows():
    options = draw(400, 2, own=True)
    options["segment"] = np.where(pd.factorize(options["account_id"])[0] < 100, "small", "large")
    asked = {"budget": 2e5, "limits": [Holdout(0.1, by=("segment",), seed=4)]}
    one = allocate_tiers(options, **asked, gap=1e-3)
    two = allocate_tiers(options.sample(frac=1, random_state=3), **asked, gap=1e-3)
    assert list(one.holdout["account_id"]) == list(two.holdout["account_id"])
    place = one.holdout["account_id"].str[1:].astype(int)
    assert ((place < 100).sum(), (place >= 100).sum()) == (10, 30)
    assert set(one.table.set_index("account_id").loc[one.holdout["account_id"], "tier"]) == {"none"}
    other = allocate_tiers(options, budget=2e5, limits=[Holdout(0.1, by=("segment",), seed=5)], gap=1e-3)
    assert list(other.holdout["account_id"]) != list(one.holdout["account_id"])
    assert "40 accounts left out at random" in one.text
