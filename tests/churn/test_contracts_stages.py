"""Six stages for accounts under contract: thresholds, time that passes, sentences, and accounts that also just buy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clv
from clv.churn.contracts.all_stages import joined
from clv.churn.contracts.calibration import _as_known
from clv.churn.contracts.delays import RenewalDelays, renewal_delays, still_customer
from clv.churn.contracts.hazard import renewal_hazard
from clv.churn.contracts.stages import contract_stages
from clv.churn.contracts.terms import contract_terms
from clv.churn.severity import STAGES
from clv.data.settings import StageRules
from clv.data.tables import RUN_TABLES
from clv.errors import DataError, FitError, SettingsError

AS_OF = "2020-06-30"
PLACE = {stage: place for place, stage in enumerate(STAGES)}


def late_book(contract_book, accounts=400, seed=1, **given):
    return contract_book(accounts, seed=seed, late=0.4, told=0.3, years=7, **given)


def days_of(start, n, every=1):
    return [(pd.Timestamp(start) + pd.Timedelta(days=int(d))).strftime("%Y-%m-%d") for d in range(0, n, every)]


def test_the_chance_of_such_a_delay_is_counted():
    delays = RenewalDelays(np.array([0.0, 0, 0, 0, 5, 10, 20, 30]))
    assert delays.later([0, 1, 5, 6, 30, 31]) == pytest.approx([1, 5 / 9, 5 / 9, 4 / 9, 2 / 9, 1 / 9])
    assert RenewalDelays(np.zeros(0)).later([0, 40]) == pytest.approx([1, 1])


def test_delays_are_not_taken_from_terms_whose_renewals_may_still_come(contract_book):
    """Drawn: 60 % at once, else 1 to 30 days evenly. Renewals of the last month would all look punctual."""
    contracts, _ = late_book(contract_book, 1500)
    terms = contract_terms(contracts, as_of=AS_OF)
    found = renewal_delays(terms).days
    n = len(found)
    for late in (1, 10, 20, 30):
        truth = 0.4 * (31 - late) / 30
        assert (found >= late).mean() == pytest.approx(truth, abs=4 * np.sqrt(truth * (1 - truth) / n))
    renewed = terms.table[(terms.table["outcome"] == "renewed") & terms.table["delay"].notna()]
    assert n < len(renewed)
    assert renewed["end"].max() > pd.Timestamp(AS_OF) - pd.Timedelta(days=31)


def test_bayes_rule():
    assert still_customer(np.array([0.8, 0.8, 0.8, 1.0, 0.0]), np.array([1.0, 0.25, 0.0, 0.1, 0.5])) == pytest.approx(
        [0.8, 0.5, 0.0, 1.0, 0.0]
    )


def test_stages_follow_from_the_two_chances(contract_book):
    """Recomputed from the table's own columns, with the documented thresholds."""
    contracts, accounts = late_book(contract_book, 1500, by_x=1.2, level=-0.8, seed=2)
    contracts = _as_known(contracts, pd.Timestamp(AS_OF), 31)
    found = contract_stages(contracts, as_of=AS_OF, accounts=accounts, covariates=["x"])
    table, rules = found.contracts, StageRules()
    over = table["days_to_end"] < 0
    expected = pd.Series(0, index=table.index)
    unusual = (1 - table["p_renew"]) >= rules.renewal_ratio * (1 - table["p_renew_like"])
    near = table["days_to_end"] <= rules.renewal_notice
    expected[unusual | (near & (table["p_renew"] < 0.7))] = 1
    expected[near & (table["p_renew"] < 0.5)] = 3
    for place, threshold in enumerate(rules.silence[:3], start=1):
        expected[(table["silence_probability"] < threshold) & (expected < place)] = place
    expected[table["p_alive"] < rules.alive[0]] = 4
    expected[table["p_alive"] < rules.alive[1]] = 5
    assert table["stage"].map(PLACE).tolist() == expected.tolist()
    assert set(STAGES) - set(table["stage"]) <= {"overdue"}  # one day's book need not have all six
    assert (table.loc[~over, "p_alive"] == 1).all()
    assert (table.loc[~over, "silence_probability"] == 1).all()
    assert (table.loc[~over, "silent"] == 0).all()
    due = over & (table["p_alive"] > 0)
    assert due.sum() > 10
    bayes = still_customer(table.loc[due, "p_renew"].to_numpy(), table.loc[due, "silence_probability"].to_numpy())
    assert table.loc[due, "p_alive"].to_numpy() == pytest.approx(bayes)
    # Later than the days of grace, or said so: lost.
    gone = contract_terms(contracts, as_of=AS_OF).table.groupby("relation_id").tail(1)
    gone = gone[gone["outcome"] == "lost"]
    assert (table.loc[gone.index, "stage"] == "lost").all()


@pytest.mark.parametrize("with_transactions", [False, True])
def test_a_further_day_without_renewal_never_moves_an_account_up(contract_book, with_transactions):
    contracts, accounts = late_book(contract_book, 160, by_x=0.8, seed=3)
    start = pd.Timestamp(AS_OF)
    hazard = renewal_hazard(contracts, as_of=AS_OF, accounts=accounts, covariates=["x"])
    known = contracts[contracts["start"] <= start].copy()
    # What the table says of the days to come is not known yet.
    known["renewed"] = known["renewed"].where(known["end"] < start)
    bought = None
    if with_transactions:
        g = np.random.default_rng(1)
        ids = np.repeat(accounts["account_id"].to_numpy()[:100], 12)
        day = np.sort(g.integers(0, 1900, (100, 12)), axis=1).ravel()
        bought = pd.DataFrame({"account_id": ids, "date": pd.Timestamp("2015-01-01") + pd.to_timedelta(day, unit="D")})
        bought["amount"] = 100.0
    before = alive = accounts_before = None
    seen = set()
    for day in [*days_of(AS_OF, 70, every=7), *days_of("2020-09-10", 361, every=40)]:
        found = contract_stages(
            known, as_of=day, hazard=hazard, accounts=accounts, transactions=bought,
        )  # fmt: skip
        place = found.contracts["stage"].map(PLACE)
        if before is not None:
            assert (place >= before.reindex(place.index)).all()
            assert (found.contracts["p_alive"] <= alive.reindex(place.index) + 1e-12).all()
            by_account = found.table["stage"].map(PLACE)
            assert (by_account >= accounts_before.reindex(by_account.index)).all()
        before, alive, accounts_before = place, found.contracts["p_alive"], found.table["stage"].map(PLACE)
        seen |= set(found.contracts["stage"])
    assert seen == set(STAGES)
    assert (found.contracts["stage"] == "lost").all()


def one(end, renewed=None, account="A", contract="K1", **more):
    start = pd.Timestamp(end) - pd.Timedelta(days=364)
    return pd.DataFrame({
        "contract_id": [contract], "account_id": [account], "start": [start], "end": [pd.Timestamp(end)],
        "renewed": pd.array([renewed], dtype="boolean"), "value": [100.0], **{k: [v] for k, v in more.items()},
    })  # fmt: skip


@pytest.fixture
def hazard(contract_book):
    return renewal_hazard(late_book(contract_book, 800, level=-1.5, by_term=0.0, seed=4)[0], as_of=AS_OF)


def test_sentences_say_what_a_person_would(hazard):
    due = contract_stages(one("2020-06-18"), as_of=AS_OF, hazard=hazard).table.iloc[0]
    assert due["sentence"].startswith("First year; accounts like it renew ")
    assert "; the contract ended 12 days ago unrenewed; of those who renew, " in due["sentence"]
    assert f"{100 * due['silence_probability']:.0f} in 100 are that late" in due["sentence"]
    assert f"still renew with probability {due['p_alive']:.0%}." in due["sentence"]
    odd = one("2020-06-01", renewed=False, reason="moon phase")
    assert contract_stages(odd, as_of=AS_OF, hazard=hazard).table["sentence"].item().endswith("was not renewed.")
    running = contract_stages(one("2020-07-01"), as_of=AS_OF, hazard=hazard).table.iloc[0]
    assert running["sentence"].endswith("; 1 day to the end.")
    today = contract_stages(one(AS_OF), as_of=AS_OF, hazard=hazard).table.iloc[0]
    assert today["sentence"].endswith("the contract ends today.")
    lost = contract_stages(one("2020-06-01", renewed=False, reason="Service"), as_of=AS_OF, hazard=hazard).table.iloc[0]
    assert lost["sentence"] == "First year; the contract ended on 2020-06-01 and was not renewed (reason: service)."
    assert (lost["stage"], lost["rule_stage"], due["rule_stage"]) == ("lost", "lapsing", "lapsing")
    old = contract_stages(one("2018-06-01", renewed=False), as_of=AS_OF, hazard=hazard).table.iloc[0]
    assert old["rule_stage"] == "inactive"


def test_a_slowed_rhythm_of_purchases_is_heard(hazard):
    day = np.concatenate([np.arange(0, 1000, 20), np.arange(1100, 1900, 130)])
    bought = pd.DataFrame({"date": pd.Timestamp("2015-03-01") + pd.to_timedelta(day, unit="D"), "account_id": "A"})
    book = pd.concat([one("2020-12-31"), one("2020-12-31", account="B", contract="K2")])
    found = contract_stages(book, as_of=AS_OF, hazard=hazard, transactions=bought.assign(amount=1.0)).table
    assert found["stage"].tolist() == ["slowing", "steady"]
    assert found["slowed"].tolist() == [True, pd.NA]
    assert "its orders come more slowly than they did" in found["sentence"].iloc[0]
    deaf = StageRules(rhythm=0)
    assert contract_stages(
        book, as_of=AS_OF, hazard=hazard, transactions=bought.assign(amount=1.0), rules=deaf
    ).table["stage"].tolist() == ["steady", "steady"]  # fmt: skip


def test_an_account_with_several_contracts_is_as_well_off_as_the_best(hazard):
    book = pd.concat([
        one("2020-12-31", contract="K1"), one("2020-01-31", False, contract="K2"), one("2020-06-10", contract="K3"),
        one("2019-01-31", False, account="B", contract="K4"), one("2019-03-31", False, account="B", contract="K5"),
    ])  # fmt: skip
    found = contract_stages(book, as_of=AS_OF, hazard=hazard)
    assert found.table["stage"].tolist() == ["steady", "lost"]
    assert found.table["contract_id"].tolist() == ["K1", "K5"]
    assert found.table[["contracts", "lost_contracts"]].to_numpy().tolist() == [[2, 1], [0, 2]]
    assert "Its other contracts: 1 " in found.table["sentence"].iloc[0]
    assert "1 lost" in found.table["sentence"].iloc[0]
    assert len(found.contracts) == 5
    total = found.contracts.groupby("account_id")["expected_purchases"].sum()
    assert found.table["expected_purchases"].to_numpy() == pytest.approx(total.to_numpy())


def test_table_text_and_totals(contract_book):
    contracts, _ = late_book(contract_book, 300, seed=5)
    ids = contract_terms(contracts, as_of=AS_OF).table["account_id"].unique()
    value = pd.Series(np.arange(len(ids), dtype=float), index=ids)
    found = clv.contract_stages(contracts, as_of=AS_OF, value=value, currency="EUR")
    assert found.table.index.tolist() == sorted(ids)
    assert found.by_stage["accounts"].sum() == len(ids)
    assert found.by_stage["value"].sum() == value.sum()
    assert f"Of {len(ids)} accounts with a contract" in found.text
    assert "EUR" in found.text
    assert found.plot().get_title().startswith("Stages of")
    RUN_TABLES["churn_stages"].columns["stage"].validate(found.table.reset_index())
    columns = {"stage", "p_alive", "silence_probability", "silent", "expected_purchases", "rule_stage", "sentence"}
    assert columns <= set(found.table.columns)
    with pytest.raises(DataError, match="has no value"):
        contract_stages(contracts, as_of=AS_OF, value=value.iloc[1:])


def test_expected_renewals_add_up_over_the_horizon(hazard):
    p = float(hazard.running["p_renew"].iloc[0])
    table = contract_stages(one("2020-12-31"), as_of=AS_OF, hazard=hazard, horizon=26, unit="W").table
    assert table["expected_purchases"].item() == 0  # the term ends 184 days from now
    table = contract_stages(one("2020-12-31"), as_of=AS_OF, hazard=hazard, horizon=200, unit="D").table
    assert table["expected_purchases"].item() == pytest.approx(table["p_renew"].item())
    due = contract_stages(one("2020-06-18"), as_of=AS_OF, hazard=hazard, horizon=200, unit="D").table
    assert due["expected_purchases"].item() == pytest.approx(due["p_alive"].item())
    assert 0 < p < 1


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"horizon": 0}, SettingsError), ({"horizon": np.inf}, SettingsError), ({"unit": "Q"}, SettingsError),
        ({"as_of": "1999-01-01"}, DataError), ({"as_of": "2015-06-01"}, FitError),
    ],
)  # fmt: skip
def test_impossible_requests_are_named(contract_book, given, kind):
    with pytest.raises(kind, match="Mend:"):
        contract_stages(late_book(contract_book, 40)[0], **({"as_of": AS_OF} | given))


def test_rows_that_cannot_be_used_are_said(contract_book):
    contracts, _ = late_book(contract_book, 60, seed=6)
    wrong = contracts.copy()
    wrong.loc[4, "end"] = wrong.loc[4, "start"] - pd.Timedelta(days=1)
    with pytest.raises(DataError, match=r"row 5.*ends before it starts"):
        contract_stages(wrong, as_of=AS_OF)
    found = contract_stages(wrong, as_of=AS_OF, faults="set_aside")
    assert "1 row ending before they start (set aside)" in found.text
    later = int((contracts["start"] > AS_OF).sum())
    assert found.terms.set_aside == later + 1
    assert len(found.terms.table) + later + 1 == len(contracts)


@pytest.mark.parametrize("given", [{"renewal": (0.5, 0.7)}, {"renewal_ratio": 0.9}, {"renewal_notice": -1}])
def test_impossible_thresholds_are_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        StageRules(**given)


# --- one stage for accounts that buy and have a contract


def test_joined_rises_with_both_and_no_customer_is_lost():
    t, c = (grid.ravel() for grid in np.meshgrid(np.arange(6), np.arange(6)))
    found = joined(t, c).reshape(6, 6)
    assert (np.diff(found, axis=0) >= 0).all()
    assert (np.diff(found, axis=1) >= 0).all()
    assert (found == found.T).all()
    alive = np.minimum(t, c).reshape(6, 6) <= 3
    assert (found[alive] <= 3).all()
    assert found[5, 5] == 5
    assert found[5, 4] == 4
    assert found[5, 0] == found[0, 5] == 3
    assert (np.diag(found) == np.arange(6)).all()


def staged(rows, as_of=AS_OF, unit="W"):
    names = ["account_id", "stage", "silent", "rule_stage"]
    table = pd.DataFrame(rows, columns=names).set_index("account_id")
    table = table.assign(p_alive=0.9, silence_probability=0.4, expected_purchases=2.0, sentence="Usually orders.")
    table.attrs["clv"] = {"unit": unit, "as_of": as_of}
    return SimpleNamespace(table=table)


def test_one_stage_an_account(hazard):
    book = pd.concat([
        one("2020-12-31", contract="K1", account="both"), one("2020-01-31", False, contract="K2", account="cancelled"),
        one("2018-01-31", False, contract="K3", account="long ago"), one("2020-12-31", contract="K4", account="signed"),
        one("2020-12-31", contract="K5", account="silent"), one("2019-01-31", False, contract="K6", account="gone"),
    ])  # fmt: skip
    contractual = contract_stages(book, as_of=AS_OF, hazard=hazard)
    transactional = staged([
        ("both", "overdue", 9.0, "lapsing"), ("buys", "lapsed", 40.0, "inactive"),
        ("cancelled", "steady", 1.0, "active"), ("gone", "lapsed", 60.0, "inactive"),
        ("long ago", "steady", 1.0, "active"), ("silent", "lost", 90.0, "inactive"),
    ])  # fmt: skip
    found = clv.all_stages(transactional, contractual)
    assert found.table["stage"].to_dict() == {
        "both": "overdue", "buys": "lapsed", "cancelled": "at risk", "gone": "lapsed", "long ago": "steady",
        "signed": "steady", "silent": "at risk",
    }  # fmt: skip
    assert found.table["basis"].to_dict() == {
        "both": "both", "buys": "purchases", "cancelled": "both", "gone": "both", "long ago": "both",
        "signed": "contract", "silent": "both",
    }  # fmt: skip
    assert found.table.loc["silent", "rule_stage"] == "active"
    assert found.table.loc["both", "sentence"].startswith("Usually orders. Contract: first year; ")
    assert found.table.loc["signed", "silent"] == 0
    assert found.table.loc["signed", "expected_purchases"] == found.table.loc["signed", "expected_renewals"]
    assert found.by_stage["accounts"].sum() == 7
    assert "Of 7 accounts that buy or have a contract: " in found.text
    assert "1 only buy, 1 only have a contract, and 5 do both." in found.text
    found.plot()
    value = pd.Series(1.0, index=found.table.index)
    assert clv.all_stages(transactional, contractual, value=value).by_stage["value"].sum() == 7
    with pytest.raises(DataError, match="as of"):
        clv.all_stages(staged([("both", "steady", 0.0, "active")], as_of="2020-07-01"), contractual)


def test_units_of_the_two_may_differ(hazard):
    contractual = contract_stages(one("2018-12-31", False), as_of=AS_OF, hazard=hazard, unit="D")
    for unit, silent in (("D", 70.0), ("W", 10.0)):
        found = clv.all_stages(staged([("A", "steady", silent, "active")], unit=unit), contractual)
        assert found.table["silent"].item() == silent
        assert found.table["stage"].item() == "steady"  # bought for more than twelve months after the contract's end
    late = clv.all_stages(staged([("A", "steady", 30.0, "active")]), contractual)
    assert late.table["stage"].item() == "at risk"


@settings(deadline=None, max_examples=8)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(0, 60), st.integers(0, 800)), min_size=1))
def test_no_day_moves_a_joined_account_up(rows):
    """Whatever the two stages: a day later, with neither purchase nor renewal, the joined one is no better."""
    names = [f"A{i}" for i in range(len(rows))]

    def at(day):
        t = staged([(n, STAGES[min(a + day // 20, 5)], silent * 7 + day, "active") for n, (a, _, silent, _) in
                    zip(names, rows, strict=True)], unit="D")  # fmt: skip
        c = pd.DataFrame({
            "stage": [STAGES[min(b + day // 30, 5)] for _, b, _, _ in rows],
            "silent": [float(max(over - 200, 0) + (day if over > 200 else 0)) for _, _, _, over in rows],
            "p_alive": 0.5, "silence_probability": 0.3, "expected_purchases": 0.2, "rule_stage": "lapsing",
            "sentence": "Ended.", "p_renew": 0.5, "days_to_end": -1,
        }, index=names)  # fmt: skip
        c.attrs["clv"] = {"unit": "D", "as_of": AS_OF}
        return clv.all_stages(t, SimpleNamespace(table=c)).table["stage"].map(PLACE).to_numpy()

    places = [at(day) for day in range(0, 100, 10)]
    assert (np.diff(places, axis=0) >= 0).all()
