"""The value of learning about single accounts, against enumeration and closed forms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from clv.abm.selecting import net_draws
from clv.abm.selecting.learning import learning_value
from clv.abm.selection import select_accounts
from clv.errors import DataError, SettingsError


def drawn(mean, sd, many=4000, seed=1):
    g = np.random.default_rng(seed)
    z = norm.ppf((np.arange(many) + 0.5) / many)
    values = np.column_stack([m + s * g.permutation(z) for m, s in zip(mean, sd, strict=True)]).T
    ids = pd.Index([f"A{i}" for i in range(len(mean))], name="account_id")
    return SimpleNamespace(table=pd.DataFrame({"clv": np.asarray(mean, float)}, index=ids), draws=values)


def best_sum(scores: np.ndarray, capacity: int | None) -> float:
    """Worth of the best set by sorting."""
    top = np.sort(scores[scores > 0])[::-1]
    return float(top[:capacity].sum())


@pytest.mark.parametrize("capacity", [None, 1, 3, 5])
@pytest.mark.parametrize("resolves", [1.0, 0.4])
def test_worth_is_what_deciding_anew_with_each_account_known_brings(capacity, resolves):
    value = drawn([10.0, 8.0, 7.5, 3.0, -1.0], [2.0, 4.0, 1.0, 6.0, 3.0], many=400)
    chosen = select_accounts(value, capacity=capacity)
    found = learning_value(chosen, resolves=resolves).table.set_index("account_id")
    mean = value.table["clv"]
    for row, account in enumerate(mean.index):
        told = mean[account] + np.sqrt(resolves) * (value.draws[row] - value.draws[row].mean())
        gains = []
        now = mean.index.isin(chosen.table.loc[chosen.table["selected"], "account_id"])
        for x in told:
            known = mean.to_numpy().copy()
            known[row] = x
            gains.append(best_sum(known, capacity) - known[now].sum())
        assert found.loc[account, "worth"] == pytest.approx(np.mean(gains), abs=1e-9)
        assert found.loc[account, "p_flips"] == pytest.approx(np.mean(np.array(gains) > 1e-12), abs=0.003)


def test_normal_draws_give_the_closed_form_of_the_knowledge_gradient():
    value = drawn([10.0, 8.0], [3.0, 2.0], many=40_000)
    found = learning_value(select_accounts(value, capacity=1)).table.set_index("account_id")
    for account, sd in (("A0", 3.0), ("A1", 2.0)):
        z = 2 / sd
        assert found.loc[account, "worth"] == pytest.approx(sd * (norm.pdf(z) - z * norm.sf(z)), rel=1e-3)
        assert found.loc[account, "p_flips"] == pytest.approx(norm.sf(z), abs=1e-3)


def test_no_single_account_is_worth_more_than_knowing_all():
    g = np.random.default_rng(4)
    value = drawn(g.normal(5, 4, 40), g.uniform(0.5, 5, 40), many=1000)
    chosen = select_accounts(value, capacity=10)
    found = learning_value(chosen)
    assert (found.table["worth"] >= 0).all()
    assert found.table["worth"].max() <= chosen.regret + 1e-9
    less = learning_value(chosen, resolves=0.3).table.set_index("account_id")["worth"]
    more = found.table.set_index("account_id")["worth"]
    assert (less <= more[less.index] + 1e-9).all()


def test_sure_and_far_away_accounts_are_not_worth_a_look():
    value = drawn([100.0, 10.0, 9.0, 1.0], [1.0, 3.0, 3.0, 0.1])
    found = learning_value(select_accounts(value, capacity=2), cost=0.05)
    assert found.table["account_id"].tolist()[:2] in (["A1", "A2"], ["A2", "A1"])
    assert found.worthwhile == 2
    assert "Refresh first: A" in found.text
    assert "2 accounts" in found.text
    found.plot()
    none = learning_value(select_accounts(value, capacity=2), cost=50.0)
    assert none.worthwhile == 0
    assert "would not pay" in none.text


def test_chunks_do_not_change_anything(monkeypatch):
    g = np.random.default_rng(2)
    chosen = select_accounts(drawn(g.normal(5, 4, 30), g.uniform(0.5, 5, 30), many=200), capacity=7)
    base = learning_value(chosen).table
    from clv.abm.selecting import learning

    monkeypatch.setattr(learning, "CHUNK", 500)
    pd.testing.assert_frame_equal(learning_value(chosen).table, base)
    assert net_draws.CHUNK > 500


def test_bad_input_is_named():
    value = drawn([3.0, 2.0], [1.0, 1.0], many=50)
    chosen = select_accounts(value)
    with pytest.raises(SettingsError, match="draws"):
        learning_value(select_accounts(value.table))
    for share in (0.0, 1.2):
        with pytest.raises(SettingsError, match="resolves"):
            learning_value(chosen, resolves=share)
    with pytest.raises(DataError, match="A1"):
        learning_value(chosen, cost=pd.Series({"A0": 1.0}))
