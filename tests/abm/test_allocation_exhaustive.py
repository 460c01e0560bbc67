"""With every kind of limit: equal to trying all plans, and where there is none, the smallest clash is named."""

from __future__ import annotations

import itertools

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

TIERS = ("few", "many", "one")


def draw_book(g: np.random.Generator, most: int) -> pd.DataFrame:
    """Up to `most` accounts, up to three tiers, with segment, manager, status and cluster; ties in some."""
    n = int(g.integers(1, most + 1))
    rows = []
    for i in range(n):
        about = (g.choice(["s", "t"]), g.choice(["Ann", "Ben"]), g.choice(["new", "old"]), g.choice(["k", "l", None]))
        for tier in TIERS:
            if g.random() < 0.85:
                rows.append(
                    (f"A{i}", tier, g.uniform(-2, 20), g.uniform(0, 8), g.uniform(0, 6), g.uniform(0, 3), *about)
                )
    if not rows:
        rows.append(("A0", "one", 5.0, 1.0, 1.0, 1.0, "s", "Ann", "new", "k"))
    names = ["account_id", "tier", "value", "cost", "hours", "hours_writer", "segment", "manager", "status", "cluster"]
    frame = pd.DataFrame(rows, columns=names)
    if g.random() < 0.5:
        numbers = ["value", "cost", "hours", "hours_writer"]
        frame[numbers] = frame[numbers].round()
    return frame


def draw_limits(g: np.random.Generator, book: pd.DataFrame) -> dict:
    """Some of all limits there are."""
    chance = g.uniform(0.15, 0.6)
    ids, tiers = list(book["account_id"].unique()), sorted(set(book["tier"]))
    asked: dict = {}
    if g.random() < 0.6:
        asked["budget"] = float(np.round(g.uniform(0.1, 0.6) * book["cost"].sum(), 1))
    if g.random() < 0.5:
        asked["hours"] = {"writer": float(np.round(g.uniform(0.1, 0.6) * book["hours_writer"].sum(), 1))}
    if g.random() < 0.4:
        low = int(g.integers(0, 3))
        asked["counts"] = {str(g.choice(tiers)): (low, low + int(g.integers(0, 3)))}
    extra: list = []
    if g.random() < chance:
        extra.append(GroupLimit("manager", most=float(g.integers(1, 4)), of="accounts"))
    if g.random() < chance:
        extra.append(
            GroupLimit(
                "manager", most={"Ann": float(g.integers(2, 9))} if "Ann" in set(book["manager"]) else 6.0, of="hours"
            )
        )
    if g.random() < chance * 0.7:
        extra.append(GroupLimit("segment", least=1, tiers=[str(g.choice(tiers))]))
    if g.random() < chance:
        extra.append(GroupLimit("segment", most=float(g.integers(4, 12)), of="money"))
    if g.random() < chance:
        group = str(g.choice(sorted(set(book["status"]))))
        low = float(g.choice([0.0, 0.3, 0.5]))
        extra.append(
            TierShare(str(g.choice(tiers)), "status", group, least=low, most=float(g.choice([0.5, 0.75, 1.0])))
        )
    if "few" in tiers and book["cluster"].notna().any() and g.random() < chance + 0.2:
        extra.append(
            Clusters("few", cost=float(g.integers(0, 8)), fewest=int(g.integers(1, 3)), most=int(g.integers(2, 4)))
        )
    if g.random() < chance * 0.8:
        extra.append(MarginCap(float(g.choice([0.3, 0.5, 0.7]))))
    if g.random() < chance * 0.5:
        at = book.iloc[int(g.integers(len(book)))]
        extra.append(MustHave({at["account_id"]: at["tier"]} if g.random() < 0.5 else [at["account_id"]]))
    if g.random() < chance * 0.5:
        extra.append(
            MustNot([str(g.choice(ids))] if g.random() < 0.5 else {str(g.choice(ids)): [str(g.choice(tiers))]})
        )
    if g.random() < chance:
        last = {account: str(g.choice([*tiers, "none"])) for account in ids if g.random() < 0.7}
        extra.append(KeepLast(last, None if g.random() < 0.15 else float(g.integers(0, 6))))
    if "hours" in asked and g.random() < chance:
        extra.append(ReservedHours(total=1.0, each=0.5, role="writer"))
    if g.random() < chance * 0.5:
        extra.append(Holdout(0.3, by=("segment",), seed=3))
    return asked | ({"limits": extra} if extra else {})


def enumerate_worths(book: pd.DataFrame, budget=None, hours=None, counts=None, limits=(), held_out=()) -> float | None:
    """Worth of the best plan by trying every one at once, written from the meaning of the limits alone."""
    ids = sorted(book["account_id"].unique())
    about = book.drop_duplicates("account_id").set_index("account_id")
    cell = book.set_index(["account_id", "tier"])
    choices = [["none", *sorted(book.loc[book["account_id"] == a, "tier"])] for a in ids]
    plans = np.array(list(itertools.product(*choices)), dtype=object).reshape(-1, len(ids))

    def spread(column):
        out = np.zeros(plans.shape)
        for j, a in enumerate(ids):
            for tier in choices[j][1:]:
                out[plans[:, j] == tier, j] = cell.loc[(a, tier), column]
        return out

    value, cost, hour, writer = (spread(c) for c in ("value", "cost", "hours", "hours_writer"))
    taken = plans != "none"
    worth, spent = (value - cost).sum(axis=1), cost.sum(axis=1)
    ok = np.ones(len(plans), dtype=bool)
    reserved = np.zeros(len(plans))
    for limit in limits:
        if isinstance(limit, Clusters):
            inside = plans == limit.tier
            code = about.loc[ids, "cluster"].to_numpy(dtype=object)
            ok &= ~(inside & pd.isna(code)[None, :]).any(axis=1)
            for name in sorted(set(code[~pd.isna(code)])):
                size = (inside & (code == name)[None, :]).sum(axis=1)
                ok &= (size == 0) | ((size >= limit.fewest) & (size <= limit.most))
                worth = worth - limit.cost * (size > 0)
                spent = spent + limit.cost * (size > 0)
        elif isinstance(limit, GroupLimit):
            group = about.loc[ids, limit.column].to_numpy(dtype=object)
            amount = {"accounts": taken * 1.0, "hours": hour, "money": cost}[limit.of]
            if limit.tiers is not None:
                amount = amount * np.isin(plans, limit.tiers)
            for name in sorted(set(group)):
                used = amount[:, group == name].sum(axis=1)
                if limit.most is not None:
                    top = limit.most.get(name, np.inf) if isinstance(limit.most, dict) else limit.most
                    ok &= used <= top + 1e-9
                if limit.least is not None:
                    ok &= used >= limit.least - 1e-9
        elif isinstance(limit, TierShare):
            inside = plans == limit.tier
            group = (about.loc[ids, limit.column] == limit.group).to_numpy()
            n, k = inside.sum(axis=1), inside[:, group].sum(axis=1)
            ok &= (k >= limit.least * n - 1e-9) & (k <= limit.most * n + 1e-9)
        elif isinstance(limit, MarginCap):
            total = value.sum(axis=1)
            ok &= (total >= -1e-9) & (value <= limit.share * total[:, None] + 1e-9).all(axis=1)
        elif isinstance(limit, MustHave):
            for a in limit.accounts:
                now = plans[:, ids.index(a)]
                ok &= (now == limit.accounts[a]) if isinstance(limit.accounts, dict) else now != "none"
        elif isinstance(limit, MustNot):
            for a in limit.accounts:
                barred = limit.accounts[a] if isinstance(limit.accounts, dict) else TIERS
                ok &= ~np.isin(plans[:, ids.index(a)], barred)
        elif isinstance(limit, KeepLast):
            for a, tier in limit.last.items():
                if tier in choices[ids.index(a)]:
                    changed = plans[:, ids.index(a)] != tier
                    if limit.switching_cost is None:
                        ok &= ~changed
                    else:
                        worth = worth - limit.switching_cost * changed
        elif isinstance(limit, ReservedHours):
            reserved = limit.total + limit.each * (~taken).sum(axis=1)
    for a in held_out:
        ok &= plans[:, ids.index(a)] == "none"
    if budget is not None:
        ok &= spent <= budget + 1e-9 * max(1, budget)
    if hours is not None:
        ok &= writer.sum(axis=1) + reserved <= hours["writer"] + 1e-9 * max(1, hours["writer"])
    for tier, (least, most) in (counts or {}).items():
        n = (plans == tier).sum(axis=1)
        ok &= (n >= (least or 0)) & (n <= most)
    return float(worth[ok].max()) if ok.any() else None


def compare(seed: int, books: int, most: int) -> dict[str, int]:
    g = np.random.default_rng(seed)
    seen = {"plan": 0, "none": 0}
    kinds: set[str] = set()
    for k in range(books):
        book = draw_book(g, most)
        asked = draw_limits(g, book)
        kinds |= {type(limit).__name__ for limit in asked.get("limits", [])}
        held = []
        try:
            found = allocate_tiers(book, **asked, gap=0.0)
            held = list(found.holdout["account_id"])
        except InfeasibleError:
            found = None
            for limit in asked.get("limits", []):
                if isinstance(limit, Holdout):
                    free = [one for one in asked["limits"] if isinstance(one, MustHave | MustNot | KeepLast | Holdout)]
                    relaxed = [
                        one for one in free if not (isinstance(one, KeepLast) and one.switching_cost is not None)
                    ]
                    try:
                        held = list(allocate_tiers(book, limits=relaxed).holdout["account_id"])
                    except InfeasibleError:
                        held = []
        expected = enumerate_worths(book, **asked, held_out=held)
        assert (found is None) == (expected is None), (seed, k, asked, expected)
        seen["none" if found is None else "plan"] += 1
        if found is not None:
            checked = verify(found.table, book, **asked)
            assert checked.faults == (), (seed, k, checked.faults)
            assert found.objective == pytest.approx(checked.objective, abs=1e-9)
            assert found.objective == pytest.approx(expected, abs=1e-7), (seed, k, asked)
            assert found.bound >= found.objective
            assert found.gap <= 1e-9
    assert len(kinds) == 9, f"not every limit was drawn: {kinds}"
    return seen


def test_equals_trying_every_plan():
    seen = compare(5, 120, 5)
    assert min(seen.values()) >= 10, seen


@pytest.mark.slow
@pytest.mark.parametrize("seed", [101, 102])
def test_equals_trying_every_plan_on_two_thousand_books(seed):
    seen = compare(seed, 1000, 8)
    assert min(seen.values()) >= 50, seen
