"""Parts of the solver against plain recomputation: reading, equal accounts, what fits, corrected samples, the cap."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest

from clv.abm import GroupLimit, MarginCap, allocate_tiers, verify
from clv.abm.allocation import dual, solver
from clv.abm.allocation.book import read_book
from clv.abm.allocation.draft import Draft
from clv.abm.allocation.limits import read_limits
from clv.abm.allocation.prices import price
from clv.abm.allocation.program import build
from clv.abm.allocation.rows import compile_rules
from clv.errors import InfeasibleError

TIERS = ("1:1", "1:few", "1:many")


def draw(n: int, seed: int, *, rounded: bool = False) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    shape = (n, 3)
    value = g.lognormal(9.5, 1.2, n)[:, None] * [0.3, 0.12, 0.03] * g.uniform(0.7, 1.4, shape)
    cost = np.array([8000.0, 1500.0, 100.0]) * g.uniform(0.7, 1.4, shape)
    hours = np.array([90.0, 16.0, 1.0]) * g.uniform(0.7, 1.4, shape)
    if rounded:
        value, cost, hours = value.round(-3), cost.round(-3), hours.round(-1)
    columns = {"value": value, "cost": cost, "hours": hours}
    ids = [f"A{i:06d}" for i in range(n)]
    return pd.DataFrame(
        {"account_id": np.repeat(ids, 3), "tier": np.tile(TIERS, n)} | {k: v.ravel() for k, v in columns.items()}
    )


def programmed(options: pd.DataFrame, budget: float, hours: float):
    book = read_book(options)
    declared = read_limits(budget, hours, None, None, tiers=book.tiers, columns=book.limitable)
    rules = compile_rules(book, declared)
    return book, rules, build(book, rules)


@pytest.mark.parametrize("kind", ["object", "str", "category"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_book_is_the_same_whatever_type_and_order_its_ids_have(kind, shuffled):
    options = draw(50, 1)
    expected = read_book(options)
    table = options.sample(frac=1, random_state=2) if shuffled else options
    book = read_book(table.astype({"account_id": kind, "tier": kind}))
    assert list(book.accounts) == list(expected.accounts) == sorted(options["account_id"].unique())
    assert book.tiers == expected.tiers
    for name, part in expected.parts.items():
        np.testing.assert_array_equal(book.parts[name], part)


def test_equal_accounts_are_counted_together_and_no_others():
    options = draw(400, 3, rounded=True)
    _, rules, program = programmed(options, 1e5, 1e4)
    has = np.zeros_like(rules.has)
    for option, group in zip(range(len(program.owner)), program.owner, strict=True):
        has[np.flatnonzero(program.member == group)[:, None], program.tier[option]] = True
    cells = options[["value", "cost", "hours"]].to_numpy().reshape(400, 9)
    kept = np.repeat(has, 3, axis=1).reshape(400, 3, 3)
    marks = [tuple(np.where(kept[i], cells[i].reshape(3, 3), -1.0).ravel()) for i in range(400)]
    together: dict[tuple, set[int]] = {}
    for mark, group in zip(marks, program.member, strict=True):
        together.setdefault(mark, set()).add(int(group))
    assert all(len(groups) == 1 for groups in together.values()), "equal accounts are in different classes"
    assert len(together) == len(program.size) < 380, "different accounts are in one class, or the book has no equals"
    np.testing.assert_array_equal(np.bincount(program.member), program.size)


def test_a_plan_by_classes_gives_each_class_its_counts():
    options = draw(300, 4, rounded=True)
    _, _, program = programmed(options, 1e9, 1e9)
    g = np.random.default_rng(5)
    count = np.zeros(len(program.gain), dtype=int)
    left = program.size.copy()
    for option in g.permutation(len(count)):
        count[option] = g.integers(0, left[program.owner[option]] + 1)
        left[program.owner[option]] -= count[option]
    tier_of = program.assign(count)
    again = np.zeros_like(count)
    for option in range(len(count)):
        mine = program.member == program.owner[option]
        again[option] = np.count_nonzero(tier_of[mine] == program.tier[option])
    np.testing.assert_array_equal(again, count)
    np.testing.assert_array_equal(np.bincount(program.member, tier_of < 0), left)


def test_what_fits_is_what_keeps_every_limit_and_filling_leaves_nothing_that_fits():
    options = draw(500, 6)
    _, _, program = programmed(options, 4e5, 3e3)
    draft = Draft(program, price(program, np.full(2, 20.0)), np.zeros(0, dtype=bool))
    draft.mend()
    assert draft.holds()
    draft.fill()
    side = np.vstack([program.side.toarray(), np.zeros(2)])
    source = np.full(len(program.size), -1)
    held = np.flatnonzero(draft.count)
    source[program.owner[held]] = held
    target = np.arange(len(program.gain))
    now = source[program.owner]
    room = program.limit + draft.tolerance - program.side.T @ draft.count
    expected = (side[target] - side[now] <= np.maximum(room, 0.0)).all(axis=1)
    np.testing.assert_array_equal(draft.fitting(now, target), expected)
    better = program.gain > np.append(program.gain, 0.0)[now] + 1e-12
    assert not (expected & better).any(), "something that fits and brings more was left"


def test_prices_from_a_corrected_sample_are_nearly_the_best(monkeypatch):
    options = draw(20_000, 7)
    _, _, program = programmed(options, 1.5e7, 2e5)
    whole = dual.approximate(program, time.monotonic() + 60)
    monkeypatch.setattr(dual, "_SAMPLE", 1_000)
    monkeypatch.setattr(dual, "_NEAR", 2_000)
    some = dual.approximate(program, time.monotonic() + 60)
    assert some.bound == pytest.approx(whole.bound, rel=2e-5)
    ends = [solver.polish(program, priced, time.monotonic() + 60) for priced in (whole, some)]
    assert ends[0].bound == pytest.approx(ends[1].bound, rel=1e-10), "the best prices hang on where they were sought"
    assert ends[0].bound <= min(whole.bound, some.bound)
    assert (ends[0].prices > 0).any()


def worth_by_enumeration(options: pd.DataFrame, budget: float, share: float) -> float:
    cells = options[["value", "cost"]].to_numpy().reshape(-1, 3, 2)
    cells = np.concatenate([cells, np.zeros((len(cells), 1, 2))], axis=1)
    plans = np.array(list(itertools.product(range(4), repeat=len(cells))))
    taken = cells[np.arange(len(cells)), plans]
    values, costs = taken[..., 0], taken[..., 1].sum(axis=1)
    total = values.sum(axis=1)
    holds = (costs <= budget) & (values <= share * total[:, None] + 1e-9).all(axis=1)
    return float((total - costs)[holds].max())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [0.15, 0.22, 0.4])
def test_a_cap_that_binds_hard_equals_trying_every_plan(seed, share):
    options = draw(7, 100 + seed)
    budget = 0.4 * float(options["cost"].sum())
    plan = allocate_tiers(options, budget=budget, limits=[MarginCap(share)], gap=0.0)
    assert verify(plan.table, options, budget=budget, limits=[MarginCap(share)]).faults == ()
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(worth_by_enumeration(options, budget, share), rel=1e-9, abs=1e-9)


def test_a_hard_cap_on_a_thousand_accounts_is_proven_and_said():
    options = draw(1_000, 8)
    limits = {"budget": 3e5, "limits": [MarginCap(0.01)]}
    free = allocate_tiers(options, budget=3e5, gap=1e-3)
    plan = allocate_tiers(options, **limits, gap=1e-3)
    largest = plan.table["value"].max() / plan.table["value"].sum()
    assert verify(plan.table, options, **limits).faults == ()
    assert plan.gap <= 1e-3
    assert plan.objective < free.objective
    assert free.table["value"].max() / free.table["value"].sum() > 0.01 >= largest > 0.005
    row = plan.limits.set_index("limit").loc["no account above 1% of the planned margin"]
    assert row["used"] == pytest.approx(largest)
    assert "no account above 1% of the planned margin (the largest brings" in plan.text


def test_a_cap_that_no_plan_keeps_is_named():
    options = draw(3, 9).assign(segment="s")
    limits = [MarginCap(0.2), GroupLimit("segment", least=1)]
    with pytest.raises(InfeasibleError, match="planned margin"):
        allocate_tiers(options, limits=limits)
