"""The allocation is the best there is: against enumeration, against what must follow if one thing is changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.abm import allocate_tiers, verify
from clv.errors import InfeasibleError


def worth(options, **limits):
    """Objective, or None where there is no plan; every plan is checked apart from the solver."""
    try:
        found = allocate_tiers(options, **limits)
    except InfeasibleError:
        return None
    checked = verify(found.table, options, **limits)
    assert checked.faults == ()
    assert found.objective == pytest.approx(checked.objective, abs=1e-9)
    assert found.bound >= found.objective
    assert found.gap <= 1e-9
    return found.objective


def test_equals_enumeration_on_random_books(books, helpers):
    seen = {"plan": 0, "none": 0, "empty": 0}
    for options, limits in books(11, 300):
        expected = helpers.enumerate_plans(options, **limits)
        found = worth(options, **limits)
        assert (found is None) == (expected is None), (options, limits)
        if expected is not None:
            assert found == pytest.approx(expected, abs=1e-8), (options, limits)
        seen["none" if expected is None else "plan" if expected else "empty"] += 1
    assert min(seen.values()) >= 10, "the books do not cover every case"


def test_more_of_any_limit_never_lowers_the_optimum(books):
    for options, limits in books(12, 25):
        base = worth(options, **limits)
        for name, limit in limits.items():
            if name == "counts":
                wider = {
                    t: (least and least - 1, most if most is None else most + 1) for t, (least, most) in limit.items()
                }
            else:
                wider = {r: h * 1.3 + 1 for r, h in limit.items()} if isinstance(limit, dict) else limit * 1.3 + 1
            more = worth(options, **(limits | {name: wider}))
            assert base is None or more >= base - 1e-9
            without = worth(options, **{k: v for k, v in limits.items() if k != name})
            assert more is None or without >= more - 1e-9


@pytest.mark.parametrize("kind", ["fixed", "own", "equal"])
def test_plan_does_not_hang_on_row_order_index_or_currency(kind, helpers):
    options = helpers.realistic(120, kind=kind)
    limits = helpers.half_limits(options)
    base = allocate_tiers(options, **limits)
    shuffled = options.sample(frac=1, random_state=5).set_index("value", drop=False)
    pd.testing.assert_frame_equal(allocate_tiers(shuffled, **limits).table, base.table)
    for rate in (100.0, 0.01, 7.3, 1e6):
        converted = options.assign(value=options["value"] * rate, cost=options["cost"] * rate)
        other = allocate_tiers(converted, **(limits | {"budget": limits["budget"] * rate}))
        pd.testing.assert_series_equal(other.table["tier"], base.table["tier"])
        assert other.objective == pytest.approx(base.objective * rate, rel=1e-12)
        np.testing.assert_allclose(other.shadow_prices["hours"], base.shadow_prices["hours"] * rate, rtol=1e-7)
        np.testing.assert_allclose(other.shadow_prices["budget"], base.shadow_prices["budget"], rtol=1e-7, atol=1e-9)


def test_same_bytes_each_time(helpers):
    options = helpers.realistic(200, kind="own")
    limits = helpers.half_limits(options)
    one, two = (allocate_tiers(options, **limits) for _ in range(2))
    assert one.table.to_csv() == two.table.to_csv()
    assert one.text == two.text
    assert one.limits.to_csv() == two.limits.to_csv()


def test_rank_and_cut_is_never_better(helpers):
    ratios = []
    for seed in range(8):
        options = helpers.realistic(90, seed, kind="own")
        limits = helpers.half_limits(options) | {"counts": None}
        best = worth(options, **limits)
        # What everybody does: accounts by their best net value, the dearest tier that still fits.
        money, hours, gained = limits["budget"], limits["hours"], 0.0
        rows = options.assign(net=options["value"] - options["cost"]).sort_values("net", ascending=False)
        for row in rows.drop_duplicates("account_id").itertuples():
            if row.net > 0 and row.cost <= money and row.hours <= hours:
                money, hours, gained = money - row.cost, hours - row.hours, gained + row.net
        assert gained <= best + 1e-9
        ratios.append(gained / best)
    assert min(ratios) < 0.99, "the comparison says nothing: rank-and-cut is as good everywhere"


@pytest.mark.parametrize("kind", ["fixed", "own", "equal"])
def test_first_core_and_the_whole_program_agree(kind, monkeypatch, helpers):
    """A core that is far too narrow must grow until the proof holds."""
    from clv.abm.allocation import solver

    options = helpers.realistic(150, 3, kind=kind)
    limits = helpers.half_limits(options)
    objectives = []
    for first in (1, 20, 10**9):
        monkeypatch.setattr(solver, "_FIRST_CORE", first)
        found = allocate_tiers(options, **limits)
        assert found.gap < 1e-9
        objectives.append(found.objective)
    assert objectives == pytest.approx([objectives[-1]] * 3, rel=1e-10)


def test_equal_accounts_are_given_tiers_by_their_ids():
    options = pd.DataFrame(
        {
            "account_id": ["c", "a", "b", "d"] * 2,
            "tier": ["big"] * 4 + ["small"] * 4,
            "value": [10.0] * 4 + [4.0] * 4,
            "cost": [5.0] * 4 + [1.0] * 4,
        }
    )
    found = allocate_tiers(options, budget=11, counts={"big": (None, 2), "small": (None, 1)})
    assert found.table.set_index("account_id")["tier"].to_dict() == {"a": "big", "b": "big", "c": "small", "d": "none"}


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("fixed", "budget"), ("fixed", "hours"), ("own", "budget"), ("own", "hours"), ("own", "1:1"), ("own", "1:many")],
)
def test_shadow_prices_are_the_slope_of_the_relaxation(kind, limit, helpers):
    """An own linear program, built from the raw table, is moved by a little in both directions."""
    options = helpers.realistic(80, 4, kind=kind)
    base = helpers.half_limits(options)
    limits = {
        "budget": base["budget"] * 0.6,
        "hours": base["hours"] * 0.9,
        "counts": {"1:1": (None, 2), "1:many": (45, None)},
    }
    prices = allocate_tiers(options, **limits).shadow_prices
    step = {"budget": 1.0, "hours": 0.01}.get(limit, 1e-4)
    name = {"1:1": "at most 2 in 1:1", "1:many": "at least 45 in 1:many"}.get(limit, limit)

    def moved(by):
        changed = {k: limits[k] for k in ("budget", "hours")} | {"1:1": 2.0, "1:many": 45.0}
        changed[limit] += by
        return relaxation(options, changed)

    slopes = [(moved(step) - moved(0)) / step, (moved(0) - moved(-step)) / step]
    assert min(slopes) - 1e-4 <= prices[name] <= max(slopes) + 1e-4
    if limit in ("budget", "1:1", "hours"):
        assert prices[name] >= 0
    else:
        assert prices[name] <= 0


def relaxation(options, limits):
    from scipy.optimize import linprog

    accounts = pd.factorize(options["account_id"])[0]
    rows = [*(accounts == a for a in range(accounts.max() + 1))]
    rows += [options["cost"], options["hours"], options["tier"] == "1:1", -1.0 * (options["tier"] == "1:many")]
    right = [1.0] * (accounts.max() + 1) + [limits["budget"], limits["hours"], limits["1:1"], -limits["1:many"]]
    done = linprog(options["cost"] - options["value"], A_ub=np.array(rows, dtype=float), b_ub=right, bounds=(0, 1))
    assert done.status == 0
    return -done.fun


def test_prices_in_that_test_are_not_all_nought(helpers):
    options = helpers.realistic(80, 4, kind="own")
    base = helpers.half_limits(options)
    found = allocate_tiers(
        options,
        budget=base["budget"] * 0.6,
        hours=base["hours"] * 0.9,
        counts={"1:1": (None, 2), "1:many": (45, None)},
    )
    assert (found.shadow_prices.abs() > 1e-3).sum() >= 2, found.limits


@pytest.mark.parametrize("kind", ["fixed", "own", "equal"])
def test_six_hundred_accounts_are_proven_within_seconds(kind, helpers):
    from time import process_time

    options = helpers.realistic(600, kind=kind)
    start = process_time()
    assert worth(options, **helpers.half_limits(options)) > 0
    assert process_time() - start < 10


def test_a_thousand_accounts_that_are_all_equal_are_no_trap(helpers):
    one = helpers.realistic(1, 9)
    same = pd.concat([one.assign(account_id=f"A{i:04d}", value=[12000.0, 4000.0, 500.0]) for i in range(1000)])
    found = allocate_tiers(same, budget=777_777, hours=9_999, counts={"1:1": (3, 40), "1:few": (11, None)})
    assert found.gap <= 1e-9
    # By hand: counts a, b, c of three tiers, best over all whole a and b.
    best = max(
        4000 * a + 2500 * b + 400 * c
        for a in range(3, 41)
        for b in range(11, 500)
        if (c := min(1000 - a - b, int((777_777 - 8000 * a - 1500 * b) // 100), 9_999 - 120 * a - 20 * b)) >= 0
    )
    assert found.objective == pytest.approx(best)
