"""What people read of a selection: the list, the decision, questions, criteria, and what luck is in it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from clv.abm.classes.leads import gate_of_three, lead_status
from clv.abm.classes.stalled import stalled_deals
from clv.abm.selecting.criteria import strategic_criteria
from clv.abm.selecting.decision import decision_text, example_account
from clv.abm.selecting.incremental import incremental_value
from clv.abm.selecting.learning import learning_value
from clv.abm.selecting.listing import selection_list
from clv.abm.selecting.luck import selection_luck
from clv.abm.selecting.questions import questions_for_teams
from clv.abm.selection import select_accounts
from clv.abm.wallet.potential import wallet_potential
from clv.data.run_tables import RUN_TABLES
from clv.data.settings import Tier
from clv.errors import SettingsError
from clv.result import Missing

TIERS = [Tier(name="1:1", cost=4000, hours=60, uplift=0.35), Tier(name="1:many", cost=80, hours=0.5, uplift=0.03)]
AS_OF = pd.Timestamp("2025-01-01")


def value(n=50, many=300, doubt=0.5):
    g = np.random.default_rng(2)
    clv = g.lognormal(8, 1, n)
    draws = clv[:, None] * g.lognormal(-(doubt**2) / 2, doubt, (n, many))
    table = pd.DataFrame({"clv": clv}, index=pd.Index([f"C{i:02d}" for i in range(n)], name="account_id"))
    return SimpleNamespace(table=table, draws=draws.astype(np.float32))


@pytest.fixture(scope="module")
def chosen():
    return select_accounts(incremental_value(value(), TIERS, currency="EUR"), capacity=15, currency="EUR")


def test_the_list_has_one_row_an_account_and_can_be_kept(chosen):
    table = selection_list(chosen, {"stage": pd.Series({"C00": "steady"}), "grade": {"C01": "gold"}})
    kept = RUN_TABLES["account_selection"].validate(table.assign(as_of=AS_OF), lazy=True)
    assert kept["account_id"].tolist() == chosen.table["account_id"].tolist()
    by = table.set_index("account_id")
    assert by.loc["C00", "stage"] == "steady"
    assert by.loc["C01", "grade"] == "gold"
    assert by["grade"].isna().sum() == len(by) - 1
    np.testing.assert_allclose(by["gain"] - by["cost"], by["score"])
    assert by.loc[by["selected"], "flips"].str.startswith("out: ").all()
    assert by.loc[~by["selected"], "flips"].str.startswith("in: ").all()
    first = table.iloc[0]
    assert first["why"].startswith("brings much: ")
    assert f"(now {first['base']:,.0f})" in first["flips"]


def test_the_list_has_those_of_whom_nothing_is_known_last():
    found = select_accounts(incremental_value(value(), TIERS), accounts=[*value().table.index, "new"])
    last = selection_list(found).iloc[-1]
    assert (last["account_id"], last["why"], last["flips"]) == ("new", "nothing is known of its value", "")
    assert np.isnan(last["score"])
    assert last["tier"] is None or pd.isna(last["tier"])


def test_a_fall_to_the_next_tier_is_no_way_out(chosen):
    """An account in the dear tier is out only where no tier is worth its place any more."""
    whole = select_accounts(incremental_value(value(), TIERS))
    top = whole.flips.loc[whole.table["account_id"].iloc[0]]
    assert top["driver"] == "value"
    assert top["then"] == pytest.approx(80 / 0.03)


def test_the_decision_has_the_interval_and_says_how_firm_the_cut_is(chosen):
    text = decision_text(
        chosen, Missing.because("-"), names=chosen.table["account_id"], confidence=0.9, horizon="52 weeks",
        value_alone=True,
    )  # fmt: skip
    assert "Take 15 of 50 accounts" in text
    assert "There is room for no more" in text
    assert "value alone" in text
    total = np.sort(chosen.draws.of(slice(0, 15)).sum(axis=0))
    low, high = np.quantile(total, [0.05, 0.95])
    assert (chosen.expected_lower, chosen.expected_upper) == pytest.approx((low, high))
    assert chosen.p_pays == pytest.approx((total > 0).mean())
    assert ("The cut is soft" in text) == (chosen.agreement < 0.8)
    nobody = select_accounts(incremental_value(value(), [Tier(name="t", cost=1e9, uplift=0.1)]))
    said = decision_text(nobody, Missing.because("-"), names=nobody.table["account_id"], confidence=0.9, horizon="")
    assert said.startswith("Take nobody")


def test_the_example_sums(chosen):
    found = example_account(chosen, selection_list(chosen))
    money = found.table["money"].to_numpy()
    assert money[:-1].sum() == pytest.approx(money[-1])
    assert money[-1] == pytest.approx(chosen.table["score"].iloc[0])


def test_plain_estimates_promise_more_than_they_bring_and_shrunken_ones_do_not():
    """The curse is there where there is doubt, is as large as a direct simulation has it, and goes with the doubt."""
    effects = incremental_value(value(), TIERS).effects
    doubtful = selection_luck(value(n=300, doubt=0.8), effects, capacity=20, rounds=300, seed=4)
    plain, shrunk, true = (doubtful.table.set_index("way").loc[w] for w in doubtful.table["way"])
    assert plain["promised"] - plain["realised"] > 20 * plain["error"]
    assert abs(shrunk["promised"] - shrunk["realised"]) < max(4 * shrunk["error"], 0.03 * shrunk["promised"])
    assert true["promised"] == pytest.approx(true["realised"])
    assert true["realised"] >= shrunk["realised"]
    assert 0.05 < doubtful.lost < 0.9
    sure = selection_luck(value(n=300, doubt=0.01), effects, capacity=20, rounds=50)
    assert abs(sure.lost) < 0.01
    doubtful.plot()
    with pytest.raises(SettingsError, match="draws"):
        selection_luck(SimpleNamespace(table=value().table, draws=None), effects)


def tables():
    ids = [f"C{i:02d}" for i in range(50)]
    contacts = pd.DataFrame(
        {"account_id": ids[:40], "role": ["decider", "buyer"] * 20, "attitude": np.linspace(-1, 1, 40),
         "influence": 0.5, "consent": True}
    )  # fmt: skip
    lines = pd.DataFrame({"account_id": ids, "date": AS_OF - pd.Timedelta(days=30), "amount": 1000.0})
    return ids, contacts, lines


def test_questions_are_those_that_are_open_and_the_dearest_come_first(chosen):
    ids, contacts, lines = tables()
    gate = gate_of_three(ids, contacts=contacts, transactions=lines, as_of=AS_OF)
    leads = lead_status(ids, contacts=contacts, transactions=lines, as_of=AS_OF)
    learning = learning_value(chosen)
    found = questions_for_teams(chosen, learning=learning, gate=gate, leads=leads, parents={"C03": "C00", "C04": "C00"})
    table = found.table.set_index("account_id")
    near = chosen.table.set_index("account_id")
    # Of customers that bought only the decider is asked for, where none is known, and only near the cut.
    asked = set(table.index[table["topics"].str.contains("need")])
    deciders = set(contacts.loc[contacts["role"] == "decider", "account_id"])
    wanted = near.index[(near["selected"] | (near["p_selected"] > 0.2)) & ~near.index.isin(deciders)]
    assert asked == set(wanted)
    assert table.loc[sorted(asked), "question"].str.contains("Who decides").all()
    assert "contact, wish, budget" not in set(found.by_topic.index)  # no prospect is among them
    known = found.table["worth"].dropna()
    assert known.is_monotonic_decreasing
    worth = learning.table.set_index("account_id")["worth"]
    np.testing.assert_allclose(table["worth"], worth[table.index])
    family = near.loc[["C00", "C03", "C04"], "selected"].any()
    assert ("C00" in table.index and "It owns C03 and C04" in table.loc["C00", "question"]) == family
    found.plot()


def test_what_is_unknown_of_everybody_is_asked_once(chosen):
    ids, _, lines = tables()
    found = questions_for_teams(chosen, gate=gate_of_three(ids, transactions=lines, as_of=AS_OF))
    assert found.table.empty
    assert "one of data: Who decides?" in found.text
    assert "nothing to ask the account teams one by one" in found.text
    found.plot()


def test_faults_duplicates_wallets_and_stalled_deals_are_asked_about(chosen):
    ids, _, lines = tables()
    names = pd.DataFrame({"account_id": ids, "name": [f"Mill {chr(65 + k % 26)}{k}" for k in range(50)]})
    names.loc[[30, 31], "name"] = ["Old Forge GmbH", "Old Forge"]
    twice = select_accounts(incremental_value(value(), TIERS), accounts=names)
    wallets = pd.DataFrame({"account_id": ["C05", "C06"], "date": AS_OF, "wallet": [10.0, 5000.0]})
    wallet = wallet_potential(names[["account_id"]], lines, wallets=wallets, as_of=AS_OF)
    old = AS_OF - pd.Timedelta(days=900)
    deals = pd.DataFrame(
        {"opportunity_id": [f"O{k}" for k in range(21)], "account_id": ["C07"] * 20 + ["C08"],
         "created": old, "closed": [old + pd.Timedelta(days=20 + k) for k in range(20)] + [pd.NaT],
         "outcome": ["won"] * 20 + ["open"], "amount": 5.0}
    )  # fmt: skip
    found = questions_for_teams(twice, wallet=wallet, stalled=stalled_deals(deals, as_of=AS_OF))
    table = found.table.set_index("account_id")
    assert "smaller than our sales" in table.loc["C05", "question"]
    assert table.loc["C05", "question"].count("How much do they buy") == 0
    assert "Is C31 the same company" in table.loc["C30", "question"]
    assert "when will it sign" in table.loc["C08", "question"]
    taken = set(twice.table.loc[twice.table["selected"], "account_id"])
    assert {a for a in table.index if "wallet" in table.loc[a, "topics"].split(", ")} == taken - {"C05", "C06"}
    assert table["worth"].isna().all()


def test_criteria_are_what_the_study_has_and_what_came_later_is_not_seen():
    ids, contacts, _ = tables()
    touches = pd.DataFrame(
        {"account_id": ["C00", "C00", "C01", "C02", "C03"], "inbound": [True, True, True, False, True],
         "date": AS_OF + pd.to_timedelta([-5, -20, -200, -5, 5], unit="D")}
    )  # fmt: skip
    stages = pd.Series({"C00": "lost", "C01": "steady"})
    answers = pd.DataFrame({"account_id": ["C00", "C01"], "date": AS_OF, "status_name": [True, False]})
    found = strategic_criteria(
        ids, as_of=AS_OF, contacts=contacts, touches=touches, stages=stages, assessments=answers,
        fit=pd.Series(50.0, index=ids),
    )  # fmt: skip
    table = found.table
    assert list(table.columns) == ["relationship", "intent", "stage", "status"]
    assert table["intent"].sum() == 2
    assert table.loc["C00", "intent"] == 2  # not the old one, not ours, not the one to come
    assert table.loc["C01", "stage"] > table.loc["C00", "stage"]
    assert table["stage"].isna().sum() == 48
    assert table.loc["C00", "status"] == 1
    assert table["status"].isna().sum() == 48
    assert "fit (needs" in found.text  # the same for all tells nobody apart
    only = strategic_criteria(ids, as_of=AS_OF, contacts=contacts, touches=touches, only=["intent"])
    assert list(only.table.columns) == ["intent"]
    assert strategic_criteria(ids, as_of=AS_OF).table.empty
