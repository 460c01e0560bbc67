"""Every cost counts once: against sums by hand, and against the sample, whose programme is booked in two tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.spending import reconcile_costs
from clv.abm.won import margin_curve, payback_months, value_since_won, won_accounts
from clv.errors import DataError

COSTS = pd.DataFrame(
    [
        ("2025-01-10", 100.0, "acquisition", None, "web", "analysis"),
        ("2025-02-10", 300.0, "acquisition", "a", "visit", "follow-up"),
        ("2025-02-11", 50.0, None, None, "web", "education"),
        ("2025-03-01", 70.0, "programme", "a", None, None),
        ("2025-03-01", 30.0, "programme", None, None, None),
        ("2025-04-01", 40.0, "service", None, None, None),
        ("2025-04-02", 7.0, None, None, None, None),
        ("2026-04-02", 9.0, "service", None, None, None),
    ],
    columns=["date", "amount", "kind", "account_id", "channel", "stage"],
)
PROGRAMME = pd.DataFrame(
    {"account_id": ["a", "b", "c"], "tier": "1:1", "arm": ["treatment", "treatment", "control"],
     "start": pd.Timestamp("2025-01-06"), "cost": [70.0, 30.0, 0.0]}
)  # fmt: skip


def lines(found):
    return found.table.set_index("line")


def test_every_amount_has_one_place_and_sums_stay():
    found = reconcile_costs(COSTS, PROGRAMME, as_of="2025-12-31")
    table = lines(found)
    assert table.loc["winning accounts", "counted"] == 450  # a stage says that it was acquisition
    assert table.loc["programme, on its accounts", ["amount", "counted"]].tolist() == [100, 100]
    assert table.loc["programme, booked in costs", ["amount", "counted"]].tolist() == [100, 0]
    assert table.loc["service of accounts", "counted"] == 40
    assert table.loc["kind not said", ["amount", "counted"]].tolist() == [7, 0]
    assert table.loc["after the as-of date", "counted"] == 0
    own = table[table["source"] == "costs"]
    assert own["amount"].sum() == COSTS["amount"].sum()
    assert own["rows"].sum() == len(COSTS)
    assert found.shared == 0
    assert found.acquisition["cost"].sum() == 450
    assert "counts once" in found.text
    assert "has no kind" in found.text


def test_money_of_the_programme_on_no_account_counts_once_and_lowers_the_whole():
    more = pd.concat([COSTS, COSTS.iloc[[4]].assign(amount=60.0)])
    found = reconcile_costs(more, PROGRAMME, as_of="2025-12-31")
    assert found.shared == 60
    assert lines(found).loc["programme, booked in costs", "counted"] == 60
    assert "on none of its accounts" in found.text
    less = reconcile_costs(COSTS[COSTS["account_id"] != "a"], PROGRAMME, as_of="2025-12-31")
    assert less.shared == 0
    assert "not complete" in less.text


def test_a_programme_without_cost_takes_it_from_the_bookings():
    found = reconcile_costs(COSTS, PROGRAMME.drop(columns="cost"), as_of="2025-12-31")
    assert found.programmes["cost"].fillna(-1).tolist() == [70, 30, -1]  # the lump goes to whom nothing is booked on
    assert found.filled == 2
    assert found.shared == 0
    both = pd.concat([PROGRAMME, PROGRAMME.assign(start=pd.Timestamp("2025-06-01"))]).drop(columns="cost")
    twice = reconcile_costs(COSTS, both, as_of="2025-12-31")
    assert "cost" not in twice.programmes, "nothing says to which of two programmes a booking belongs"
    assert twice.shared == 100
    stated = reconcile_costs(COSTS[COSTS["kind"] != "programme"], PROGRAMME, as_of="2025-12-31")
    pd.testing.assert_frame_equal(stated.programmes, PROGRAMME)


def test_bookings_on_no_account_fill_no_more_than_known_costs_leave_of_them():
    lump = pd.DataFrame({"date": ["2025-03-01", "2025-06-01"], "amount": [600.0, 500.0], "kind": "programme"})
    rows = pd.DataFrame(
        {"account_id": list("abcdef"), "tier": ["1:1"] * 3 + ["1:many"] * 3, "start": pd.Timestamp("2025-01-06"),
         "arm": ["treatment"] * 5 + ["control"], "cost": [800.0, np.nan, 100.0, 50.0, np.nan, np.nan]}
    )  # fmt: skip
    found = reconcile_costs(lump, rows, as_of="2025-12-31")
    # 1,100 less the 950 known; a 1:1 account costs 450 where it is known, a 1:many account 50.
    assert found.programmes["cost"].fillna(-1).tolist() == pytest.approx([800, 135, 100, 50, 15, -1])
    assert found.programmes["cost"].sum() == pytest.approx(1100)
    assert (found.filled, found.shared) == (2, 0)
    assert "the cost of 2 accounts was not given: 150 EUR" in reconcile_costs(lump, rows, currency="EUR").notes[0]
    # What is booked on accounts of known cost meets that cost, and leaves the rest to others.
    own = pd.DataFrame({"date": "2025-03-01", "amount": [700.0], "kind": "programme", "account_id": "a"})
    more = reconcile_costs(pd.concat([lump, own]), rows, as_of="2025-12-31").programmes["cost"]
    assert more.sum() == pytest.approx(1800)
    # Nor does what is booked on an account beyond its cost go to others.
    over = reconcile_costs(pd.concat([lump, own.assign(amount=5000.0)]), rows, as_of="2025-12-31")
    assert over.programmes["cost"].sum() == pytest.approx(950 + 1100 - 150)
    # Bookings that known costs use up tell nothing of the others.
    few = reconcile_costs(lump.iloc[:1], rows, as_of="2025-12-31")
    pd.testing.assert_series_equal(few.programmes["cost"], rows["cost"])
    assert few.filled == 0
    assert "what was spent on 2 accounts of the programme is not known: the table costs does not tell it" in few.notes


def test_costs_of_a_programme_that_was_over_use_up_no_later_bookings():
    lump = pd.DataFrame({"date": ["2025-03-01"], "amount": [100.0], "kind": "programme"})
    rows = pd.DataFrame(
        {"account_id": list("abc"), "tier": "1:1", "arm": "treatment", "cost": [90.0, np.nan, np.nan],
         "start": pd.to_datetime(["2023-01-01", "2025-01-01", "2025-01-01"]),
         "end": pd.to_datetime(["2023-12-31", None, None])}
    )  # fmt: skip
    assert reconcile_costs(lump, rows, as_of="2025-12-31").programmes["cost"].tolist() == [90, 50, 50]


def test_two_empty_costs_of_the_sample_get_back_what_they_had():
    study = clv.load_study("demo")
    costs, programmes = study.read("costs").table, study.read("programmes").table
    hidden = programmes.index[(programmes["tier"] == "1:many") & (programmes["cost"] > 0)][:2]
    gaps = programmes.assign(cost=programmes["cost"].where(~programmes.index.isin(hidden)))
    found = reconcile_costs(costs, gaps, as_of="2026-01-01")
    assert found.filled == 2
    assert found.programmes["cost"].sum() == pytest.approx(programmes["cost"].sum(), abs=0.2)
    assert found.programmes.loc[hidden, "cost"].sum() == pytest.approx(programmes.loc[hidden, "cost"].sum(), abs=0.2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"amount": -1.0}, "what was spent is not known"),
        ({"amount": np.nan}, "row 4"),
        ({"kind": "golf"}, "'golf' is not known"),
        ({"stage": "dreaming"}, "'dreaming' is not known"),
    ],
)
def test_faults_in_costs_are_named(change, said):
    costs = COSTS.copy()
    for column, value in change.items():
        costs.loc[3, column] = value
    with pytest.raises(DataError, match=said):
        reconcile_costs(costs, PROGRAMME)


def test_no_costs_and_no_columns():
    with pytest.raises(DataError, match="there is no cost"):
        reconcile_costs(COSTS.iloc[:0])
    with pytest.raises(DataError, match="no such column"):
        reconcile_costs(COSTS.drop(columns="amount"))
    alone = reconcile_costs(COSTS[["date", "amount"]])
    assert lines(alone).loc["kind not said", "amount"] == COSTS["amount"].sum()


def test_the_sample_books_its_programme_twice_and_it_counts_once():
    study = clv.load_study("demo")
    programmes = study.read("programmes").table
    found = reconcile_costs(study.read("costs").table, programmes, as_of="2026-01-01")
    table = lines(found)
    assert table.loc["programme, on its accounts", "counted"] == pytest.approx(programmes["cost"].sum())
    assert table.loc["programme, booked in costs", "amount"] == pytest.approx(programmes["cost"].sum())
    assert table.loc["programme, booked in costs", "counted"] == 0
    bare = reconcile_costs(study.read("costs").table, programmes.drop(columns="cost"), as_of="2026-01-01")
    assert bare.programmes["cost"].sum() == pytest.approx(programmes["cost"].sum())
    assert found.plot().get_title() == "What was spent, each amount once"


MARGINS = pd.DataFrame(
    {"account_id": ["a", "a", "a", "b", "b"], "margin": [10.0, 20.0, 40.0, 30.0, 5.0],
     "date": pd.to_datetime(["2024-12-01", "2025-01-01", "2026-01-01", "2025-07-01", "2027-01-01"])}
)  # fmt: skip
WON = pd.DataFrame({"account_id": ["a", "b"], "date": pd.to_datetime(["2025-01-01", "2025-07-01"])})


def test_value_since_an_account_was_won_is_discounted_to_that_day():
    worth = pd.DataFrame({"clv": [100.0]}, index=pd.Index(["a"], name="account_id"))
    found = value_since_won(MARGINS, WON, worth, as_of="2026-01-01", discount_rate=0.1)
    year = 1.1 ** (-365 / 365.25)
    assert found.loc["a", "earned"] == pytest.approx(20 + 40 * year)  # what was before the win is not counted
    assert found.loc["a", "expected"] == pytest.approx(100 * year)
    assert found.loc["b", "clv"] == pytest.approx(30)  # what comes after the date is not known


def test_the_mean_margin_is_over_those_under_observation():
    """Accounts won of late do not pull down what older ones bring: the truth is 10 a month."""
    g, n = np.random.default_rng(4), 400
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(g.integers(0, 700, n), "D")
    won = pd.DataFrame({"account_id": [f"A{i}" for i in range(n)], "date": start})
    rows = won.loc[won.index.repeat(30)].assign(step=np.tile(np.arange(30), n))
    rows["date"] = rows["date"] + pd.to_timedelta(30 * rows["step"], "D")
    rows["margin"] = 10 * g.exponential(1, len(rows))
    curve = margin_curve(rows, won, as_of="2025-12-31")
    at = np.searchsorted(curve["days"], 360, side="right") - 1
    assert curve["margin"].iloc[at] == pytest.approx(130, rel=0.05)
    naive = rows[rows["date"] <= "2025-12-31"].query("step <= 12")["margin"].sum() / n
    assert naive < 100
    assert payback_months(curve, 55.0) == pytest.approx(150 / 30.4375, abs=1.1)
    assert payback_months(curve, 1e9) == np.inf
    assert payback_months(curve, 0.0) == 0
    assert margin_curve(rows, won.iloc[:3], as_of="2025-12-31").empty


def test_who_was_won_and_whether_a_deal_says_so():
    buys = MARGINS.rename(columns={"margin": "amount"})
    deals = pd.DataFrame({"account_id": ["a", "b"], "outcome": ["won", "lost"],
                          "closed": pd.to_datetime(["2024-11-20", "2025-07-01"])})  # fmt: skip
    found = won_accounts(buys, deals, since="2024-01-01", as_of="2026-12-31").set_index("account_id")
    assert found["date"].tolist() == [pd.Timestamp("2024-12-01"), pd.Timestamp("2025-07-01")]
    assert found["documented"].tolist() == [True, False]
    late = won_accounts(buys, None, since="2025-01-01", as_of="2026-12-31")
    assert late["account_id"].tolist() == ["b"]
    assert late["documented"].isna().all()
