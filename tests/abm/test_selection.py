from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from clv.abm import select_accounts
from clv.data.tables import RUN_TABLES
from clv.errors import DataError, SettingsError


def table(clv, ids=None, **columns):
    ids = ids or [f"A{i}" for i in range(len(clv))]
    return pd.DataFrame({"clv": clv, **columns}, index=pd.Index(ids, name="account_id"))


def drawn(n=60, many=300, seed=4):
    """Posterior draws around a true value, as a lifetime value has them."""
    g = np.random.default_rng(seed)
    draws = (g.gamma(1.5, 400, n)[:, None] * g.gamma(6, 1 / 6, (n, many))).astype(np.float32)
    lower, upper = np.quantile(draws, [0.05, 0.95], axis=1)
    ids = [f"A{i:02d}" for i in g.permutation(n)]
    return SimpleNamespace(table=table(draws.mean(axis=1), ids, lower=lower, upper=upper), draws=draws)


def test_score_rank_and_capacity():
    found = select_accounts(table([50.0, 200.0, 90.0, 5.0]), capacity=2, cost_to_serve=10.0).table
    assert found["account_id"].tolist() == ["A1", "A2", "A0", "A3"]
    assert found["score"].tolist() == [190.0, 80.0, 40.0, -5.0]
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert found["selected"].tolist() == [True, True, False, False]
    assert found["p_selected"].isna().all()


def test_only_accounts_that_pay_for_themselves_are_taken():
    found = select_accounts(table([50.0, 10.0, 9.0]), capacity=3, cost_to_serve=10.0).table
    assert found["selected"].tolist() == [True, False, False]
    assert not select_accounts(table([0.0, 0.0])).table["selected"].any()


def test_ties_go_by_id_whatever_the_order():
    ids = ["b", "a", "10", "9", "c"]
    one = select_accounts(table([5.0] * 5, ids), capacity=3).table
    assert one.loc[one["selected"], "account_id"].tolist() == ["10", "9", "a"]
    other = select_accounts(table([5.0] * 5, ids).iloc[::-1], capacity=3).table
    pd.testing.assert_frame_equal(one, other)


def test_cost_may_differ_by_account_and_must_be_complete():
    costs = pd.Series({"A1": 195.0, "A0": 0.0, "A2": 1.0})
    found = select_accounts(table([50.0, 200.0, 90.0]), cost_to_serve=costs).table
    assert found.set_index("account_id")["score"].to_dict() == {"A2": 89.0, "A0": 50.0, "A1": 5.0}
    with pytest.raises(DataError, match="A2"):
        select_accounts(table([50.0, 200.0, 90.0]), cost_to_serve=costs.drop("A2"))
    with pytest.raises(DataError, match="cost_to_serve"):
        select_accounts(table([50.0]), cost_to_serve=-1.0)


@pytest.mark.parametrize(
    ("capacity", "cost"), [(None, 0.0), (None, 300.0), (10, 0.0), (10, 300.0), (59, 0.0), (60, 1.0)]
)
def test_probability_of_belonging_is_counted_draw_by_draw(capacity, cost):
    value = drawn()
    found = select_accounts(value, capacity=capacity, cost_to_serve=cost)
    expected = pd.Series(0.0, index=value.table.index)
    regret = 0.0
    chosen = found.table.loc[found.table["selected"], "account_id"]
    for column in value.draws.T.astype(float):
        net = pd.Series(column - cost, index=value.table.index)
        best = net[net > 0].sort_index().sort_values(ascending=False, kind="stable").head(capacity or 1000)
        expected[best.index] += 1 / value.draws.shape[1]
        regret += (best.sum() - net[chosen].sum()) / value.draws.shape[1]
    got = found.table.set_index("account_id")["p_selected"]
    np.testing.assert_allclose(got, expected[got.index], atol=1e-12)
    assert found.regret == pytest.approx(regret, abs=1e-6)
    assert found.agreement == pytest.approx(got[chosen].mean())
    assert found.unsure == int(((got > 0.2) & (got < 0.8)).sum())


def test_equal_draws_share_the_places_by_id():
    value = SimpleNamespace(table=table([5.0] * 4, ["d", "b", "c", "a"]), draws=np.full((4, 7), 5.0))
    found = select_accounts(value, capacity=2).table.set_index("account_id")
    assert found["p_selected"].to_dict() == {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0}


def test_result_does_not_hang_on_the_order_of_the_table_or_the_size_of_the_chunks(monkeypatch):
    from clv.abm import selection

    value = drawn()
    base = select_accounts(value, capacity=12)
    g = np.random.default_rng(1).permutation(len(value.table))
    turned = SimpleNamespace(table=value.table.iloc[g], draws=value.draws[g])
    pd.testing.assert_frame_equal(select_accounts(turned, capacity=12).table, base.table)
    monkeypatch.setattr(selection, "_CHUNK", 100)
    small = select_accounts(value, capacity=12)
    pd.testing.assert_frame_equal(small.table, base.table)
    assert small.text == base.text


def test_prospects_are_listed_last_and_nothing_is_made_up():
    accounts = pd.DataFrame({"account_id": ["P2", "A0", "P1"], "industry": "x"})
    found = select_accounts(table([50.0, -1.0]), accounts=accounts)
    assert found.table["account_id"].tolist() == ["A0", "A1", "P1", "P2"]
    last = found.table.tail(2)
    assert last["score"].isna().all()
    assert last["p_selected"].isna().all()
    assert not last["selected"].any()
    assert last["rank"].tolist() == [3, 4]
    assert last["reason"].str.contains("not bought").all()
    assert "2 accounts without a purchase" in found.text
    RUN_TABLES["account_selection"].validate(found.table, lazy=True)
    RUN_TABLES["account_selection"].validate(select_accounts(drawn(), capacity=3).table, lazy=True)


def test_reasons_say_the_numbers():
    stages = pd.Series({"A0": "steady", "A1": "at risk", "A2": "lost"})
    found = select_accounts(
        table([5000.0, 3000.0, 900.0, 2990.0]), capacity=2, cost_to_serve=1000.0, stages=stages, currency="EUR"
    )
    assert found.table["reason"].tolist() == [
        "In: rank 1 of 4 with 4,000 EUR of expected margin after 1,000 EUR cost to serve; it stays in until it loses"
        " 2,010 EUR; stage: steady.",
        "In: rank 2 of 4 with 2,000 EUR of expected margin after 1,000 EUR cost to serve; it stays in until it loses"
        " 10.00 EUR; stage: at risk.",
        "Out: rank 3 of 4 with 1,990 EUR of expected margin after 1,000 EUR cost to serve; 10.00 EUR short of the last"
        " one in.",
        "Out: 900 EUR of expected margin does not pay 1,000 EUR to serve it; stage: lost.",
    ]
    alone = select_accounts(table([7.001, 6.0]), cost_to_serve=7.0).table["reason"]
    assert "only just pays for itself" in alone[0]
    level = select_accounts(table([7.0, 7.0]), capacity=1).table["reason"]
    assert "level with the next one" in level[0]
    assert "level with the last one in" in level[1]


def test_what_a_reason_claims_is_true():
    """Take from an account what it may lose and it is still in; a little more and it is out."""
    value = drawn(30)
    base = select_accounts(value.table, capacity=8).table
    score = base["score"].to_numpy(float)
    for place in range(8):
        account, spare = base["account_id"][place], score[place] - score[8]
        for by, stays in ((spare - 0.01, True), (spare + 0.01, False)):
            changed = value.table.astype(float)
            changed.loc[account, "clv"] -= by
            again = select_accounts(changed, capacity=8).table.set_index("account_id")
            assert again.loc[account, "selected"] == stays


def test_doubt_is_said_where_luck_decides():
    g = np.random.default_rng(0)
    draws = np.vstack([g.gamma(1, 100, (1, 4000)) + 1, np.full((1, 4000), 95.0)])
    value = SimpleNamespace(table=table([101.0, 95.0]), draws=draws)
    found = select_accounts(value, capacity=1)
    assert "chance of much, not" in found.table["reason"][0]
    assert "without the chance of much" in found.table["reason"][1]
    assert "If the true values were known" in found.text
    assert "partly lucky" in found.text


def test_text_says_the_decision():
    text = select_accounts(table([50.0, 200.0, 90.0, 5.0]), capacity=2, cost_to_serve=10.0, currency="EUR").text
    assert "Take 2 of 4 accounts that bought, as many as there is room for" in text
    assert "270 EUR" in text
    assert "87%" in text
    assert "without draws" in text
    assert "none is taken" in select_accounts(table([1.0]), cost_to_serve=2.0).text


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, "3"])
def test_capacity_is_a_whole_number(capacity):
    with pytest.raises(SettingsError, match="capacity"):
        select_accounts(table([1.0]), capacity=capacity)


def test_bad_values_are_named():
    with pytest.raises(DataError, match="clv"):
        select_accounts(pd.DataFrame({"worth": [1.0]}))
    with pytest.raises(DataError, match="A1"):
        select_accounts(table([1.0, np.nan]))
    with pytest.raises(DataError, match="twice"):
        select_accounts(table([1.0, 2.0], ["a", "a"]))
    with pytest.raises(DataError, match="shape"):
        select_accounts(SimpleNamespace(table=table([1.0, 2.0]), draws=np.ones((3, 5))))
    with pytest.raises(DataError, match="no number"):
        select_accounts(SimpleNamespace(table=table([1.0]), draws=np.array([[np.nan]])))


def test_around_the_cut_and_intervals():
    found = select_accounts(drawn(), capacity=15, cost_to_serve=20.0)
    assert found.around_cut["rank"].tolist() == list(range(6, 26))
    ends = found.intervals.loc[found.table["account_id"]]
    assert (ends["lower"].to_numpy() < found.table["score"].to_numpy()).all()
    assert (ends["upper"].to_numpy() > found.table["score"].to_numpy()).all()


@pytest.mark.parametrize(("n", "capacity"), [(1, None), (30, 5), (400, 200), (3, 3)])
def test_picture(n, capacity):
    import matplotlib.pyplot as plt

    found = select_accounts(drawn(n), capacity=capacity, currency="EUR")
    _, ax = plt.subplots()
    assert found.plot(ax) is ax
    assert "EUR" in ax.get_ylabel()
    assert "rank" in ax.get_xlabel()
    assert bool(ax.texts) == (capacity is not None and capacity < n)


def test_picture_without_intervals_and_without_anybody():
    select_accounts(table([1.0, 2.0])).plot()
    select_accounts(table([0.0]), accounts=["p"]).plot()
