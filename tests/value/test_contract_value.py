"""The value of contracts, term by term; and one book of purchases and contracts in which every margin counts once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clv
from clv.data.tables import RUN_TABLES
from clv.errors import DataError, SettingsError, UnitError

ROOT = Path(__file__).resolve().parents[2]
MODEL = clv.ShiftedBetaGeoModel.from_parameters(unit="Y", alpha=0.7, beta=2.5)
TERMS = {"unit": "W", "discount_rate": 0.1, "margin": 0.4}
PAYMENTS = ["advance", "arrears", "even"]


def contracts(*rows: tuple) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["contract_id", "account_id", "start", "end", "value", "renewed"])
    return table.assign(
        start=pd.to_datetime(table["start"]), end=pd.to_datetime(table["end"]),
        renewed=table["renewed"].astype("boolean"),
    )  # fmt: skip


BOOK = contracts(
    ("A1", "A", "2019-04-01", "2020-03-31", 1000.0, True), ("A2", "A", "2020-04-01", "2021-03-31", 1100.0, None),
    ("B1", "B", "2020-06-01", "2020-11-30", 300.0, None), ("B2", "B", "2020-07-15", "2021-07-14", 50.0, None),
    ("C1", "C", "2019-01-01", "2019-12-31", 900.0, False), ("D1", "D", "2019-11-10", "2020-11-09", 800.0, None),
)  # fmt: skip
AS_OF = "2020-11-20"


def stream(row: pd.Series, horizon: float, payment: str) -> float:
    """What one contract brings, day by day; horizon in days, 10 % a year, margin 1."""
    if row["churned"]:
        return 0.0
    delta, length, wait = np.log(1.1) / 365.25, row["days"], row["to_renewal"] * row["days"]
    age, chance, total, start = row["duration"], 1.0, 0.0, wait - length
    while start <= horizon + 1e-6:
        if payment == "advance":
            total += chance * np.exp(-delta * start) * (start >= -1e-9 and start > wait - length)
        elif payment == "arrears":
            total += chance * np.exp(-delta * (start + length)) * (0 < start + length <= horizon + 1e-6)
        else:
            low, high = np.clip([start, start + length], 0, horizon)
            total += chance * (np.exp(-delta * low) - np.exp(-delta * high)) / delta / length
        start += length
        chance *= (2.5 + age) / (3.2 + age)
        age += 1
    return total * row["value"]


@pytest.mark.parametrize("payment", PAYMENTS)
@pytest.mark.parametrize("horizon", [1.0, 20.0, 52.0, 53.0, 300.0])
def test_value_is_the_stream_of_money(payment, horizon):
    relations = clv.contract_relations(BOOK, as_of=AS_OF)
    value = clv.contract_value(MODEL, relations, horizon=horizon, payment=payment, **TERMS)
    each = relations.apply(stream, axis=1, horizon=horizon * 7, payment=payment)
    wanted = 0.4 * each.groupby(relations["account_id"]).sum()
    assert value.table["clv"].to_numpy() == pytest.approx(wanted.loc[list("ABCD")].to_numpy(), rel=1e-9, abs=1e-12)
    assert list(value.table.index) == list("ABCD")
    RUN_TABLES["customer_value"].validate(value.table.reset_index(), lazy=True)


def test_the_table_says_who_goes_on_and_how_often():
    value = clv.contract_value(MODEL, clv.contract_relations(BOOK, as_of=AS_OF), horizon=104, **TERMS)
    table = value.table
    assert table["contracts"].to_dict() == {"A": 1, "B": 2, "C": 0, "D": 1}
    renew = MODEL.renewal_probability([0, 1])
    assert table["p_alive"].to_dict() == pytest.approx({"A": 1.0, "B": 1.0, "C": 0.0, "D": renew[0]})
    assert table.loc["A", "expected_purchases"] == pytest.approx(renew[1] * (1 + MODEL.renewal_probability(2)))
    assert table.loc["B", "expected_spend"] < 300
    for part in (
        "3 contracts run",
        "1 has ended and may still be renewed",
        "1 is lost",
        "104 weeks",
        "40%",
        "first day",
    ):
        assert part in value.text
    assert table[["lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize("payment", PAYMENTS)
@pytest.mark.parametrize("horizon", [30.0, 130.0, None])
def test_draws_average_to_the_value(payment, horizon):
    relations = clv.contract_relations(BOOK, as_of=AS_OF)
    for interval in ("credible", "predictive"):
        value = clv.contract_value(
            MODEL, relations, horizon=horizon, payment=payment, draws=8_000, interval=interval, **TERMS
        )
        error = value.draws.std(axis=1) / np.sqrt(8_000) + 1e-6 * value.table["clv"] + 1e-9
        assert (np.abs(value.draws.mean(axis=1) - value.table["clv"]) < 5 * error).all()
        assert (value.table["lower"] <= value.table["upper"]).all()
    assert value.draws[2].max() == 0  # who has left is not expected back


def test_intervals_of_books_hold_the_truth():
    """Contracts drawn from the model: the book's own expected money lies inside 90 % intervals 9 times of 10."""
    inside, books, total = 0, 60, np.zeros(2)
    for seed in range(books):
        rng = np.random.default_rng(seed)
        theta, count = rng.beta(0.7, 2.5, 150), rng.integers(0, 5, 150)
        left = rng.geometric(theta)
        rows = pd.DataFrame({"duration": np.minimum(left, count), "churned": left <= count, "entry": 0})
        rows["to_renewal"], rows["value"], rows["days"] = rng.uniform(0.01, 1, 150), rng.lognormal(6, 1, 150), 365
        rows["account_id"] = [f"A{i:03d}" for i in range(150)]
        rows.attrs["clv"] = {"unit": "Y"}
        model = clv.ShiftedBetaGeoModel(prior="weak").fit(rows)
        value = clv.contract_value(model, rows, horizon=104, draws=200, seed=seed, **TERMS)
        rate = np.log(1.1) * 365 / 365.25
        wait, stay, alive = rows["to_renewal"], 1 - theta, ~rows["churned"]
        second = np.where(wait + 1 <= 104 * 7 / 365, stay * np.exp(-rate), 0.0)
        truth = (0.4 * rows["value"] * alive * stay * np.exp(-rate * wait) * (1 + second)).sum()
        low, high = np.quantile(value.draws.sum(axis=0, dtype=float), [0.05, 0.95])
        inside += low <= truth <= high
        total += truth, value.table["clv"].sum()
    assert 48 <= inside <= 60  # binomial(60, .9): below 48 once in 600
    assert total[1] == pytest.approx(total[0], rel=0.03)


def test_margins_by_account_and_seeds():
    relations = clv.contract_relations(BOOK, as_of=AS_OF)
    own = pd.Series({"D": 0.5, "A": 0.2, "B": -0.1, "C": 0.9})
    value = clv.contract_value(MODEL, relations, horizon=104, **{**TERMS, "margin": own}, draws=50, seed=3)
    one = clv.contract_value(MODEL, relations, horizon=104, **{**TERMS, "margin": 1.0}, draws=50, seed=3)
    np.testing.assert_allclose(value.table["clv"], own.sort_index() * one.table["clv"])
    assert value.table.loc["B", "lower"] <= value.table.loc["B", "upper"] < 0
    assert value.margin == pytest.approx(value.table["clv"].sum() / one.table["clv"].sum())
    again = clv.contract_value(MODEL, relations, horizon=104, **{**TERMS, "margin": 1.0}, draws=50, seed=3)
    assert np.array_equal(one.draws, again.draws)


def test_the_demo_book_against_its_truth():
    """Synthetic, with each account's true probability to leave: what contracts will bring lies in the interval."""
    table = clv.read_contracts(ROOT / "data/samples/demo/contracts.csv").table
    relations = clv.contract_relations(table, as_of="2026-01-01")
    model = clv.ShiftedBetaGeoModel(prior="auto").fit(relations)
    value = clv.contract_value(
        model, relations, horizon=52, unit="W", discount_rate=0.1, margin=0.35, draws=400, seed=1
    )
    truth = pd.read_csv(ROOT / "data/samples/demo/truth/accounts.csv", dtype={"account_id": str}).set_index(
        "account_id"
    )
    running = relations[~relations["churned"]]
    stay = 1 - truth["contract_churn"].loc[running["account_id"]].to_numpy()
    days = running["to_renewal"] * running["days"]
    due = (days <= 364) * np.exp(-np.log(1.1) / 365.25 * days)
    low, high = np.quantile(value.draws.sum(axis=0, dtype=float), [0.05, 0.95])
    assert low <= (0.35 * running["value"] * due * stay).sum() <= high


def test_impossible_arguments_are_named():
    relations = clv.contract_relations(BOOK, as_of=AS_OF)
    ask = {"horizon": 52, **TERMS}
    for change, match in (
        ({"payment": "later"}, "payment"), ({"horizon": 0}, "horizon"), ({"draws": -1}, "draws"),
        ({"confidence": 1.0}, "confidence"), ({"margin": 0.0}, "margin"), ({"discount_rate": -1}, "discount_rate"),
        ({"horizon": None, "discount_rate": 0}, "without end"), ({"unit": "Q"}, "unit"),
    ):  # fmt: skip
        with pytest.raises(SettingsError, match=match):
            clv.contract_value(MODEL, relations, **{**ask, **change})
    with pytest.raises(DataError, match="value is nan"):
        clv.contract_value(MODEL, relations.assign(value=np.nan), **ask)
    with pytest.raises(DataError, match="'days'"):
        clv.contract_value(MODEL, relations.drop(columns="days"), **ask)
    with pytest.raises(DataError, match="margin of account 'B' is nan"):
        clv.contract_value(MODEL, relations, **{**ask, "margin": pd.Series({"A": 0.2, "C": 0.2, "D": 0.2})})
    with pytest.raises(UnitError):
        clv.contract_value(clv.ShiftedBetaGeoModel.from_parameters(unit="M", alpha=1.0, beta=1.0), relations, **ask)
    lost = clv.contract_relations(BOOK.iloc[[4]], as_of=AS_OF)
    nothing = clv.contract_value(MODEL, lost, **ask, draws=10)
    assert nothing.table["clv"].tolist() == [0.0]
    assert nothing.draws.max() == 0


@pytest.fixture(scope="module")
def purchases():
    summary = pd.DataFrame(
        {
            "frequency": [3, 0, 6], "recency": [20.0, 0.0, 30.0], "T": [30.0, 10.0, 31.0],
            "monetary_value": [40.0, 0.0, 90.0],
        },
        index=pd.Index(["E", "B", "A"], name="account_id"),
    )  # fmt: skip
    summary.attrs["clv"] = {"unit": "W"}
    return (
        clv.BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=6.0, a=0.7, b=3.0),
        clv.GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0), summary,
    )  # fmt: skip


def both(purchases, **more):
    relations = clv.contract_relations(BOOK, as_of=AS_OF)
    ask = {"horizon": 52.0, "discount_rate": 0.1, "margin": 0.4, **more}
    return clv.lifetime_value(*purchases, **ask), clv.contract_value(MODEL, relations, unit="W", **ask)


def test_one_book_adds_both_and_keeps_everybody(purchases):
    buying, holding = both(purchases, draws=2_000, seed=4)
    book = clv.book_value(buying, holding, currency="EUR")
    table = book.table
    assert list(table.index) == ["E", "B", "A", "C", "D"]
    assert table["clv"].sum() == pytest.approx(buying.table["clv"].sum() + holding.table["clv"].sum())
    assert table.loc["E", "clv_contracts"] == table.loc["C", "clv_transactions"] == 0
    assert table.loc["A", "clv"] == pytest.approx(buying.table.loc["A", "clv"] + holding.table.loc["A", "clv"])
    assert table.loc["A", "p_alive"] == 1
    assert table.loc["E", "p_alive"] == buying.table.loc["E", "p_alive"]
    RUN_TABLES["customer_value"].validate(table.reset_index(), lazy=True)
    np.testing.assert_allclose(book.draws[2], buying.draws[2] + holding.draws[0], rtol=1e-6)
    np.testing.assert_allclose(
        table.loc["A", ["lower", "upper"]].astype(float), np.quantile(book.draws[2], [0.05, 0.95]), rtol=1e-5
    )
    # Narrower than the sum of limits, as it is for what is independent; and the two parts' draws are.
    width = lambda frame, row: frame.loc[row, "upper"] - frame.loc[row, "lower"]  # noqa: E731
    assert width(table, "A") < width(buying.table, "A") + width(holding.table, "A")
    assert abs(np.corrcoef(buying.draws.sum(axis=0), holding.draws.sum(axis=0))[0, 1]) < 4 / np.sqrt(2_000)
    for part in ("5 accounts", "from purchases", "from contracts", "2 accounts have both", "counted once", "EUR"):
        assert part in book.text
    book.plot(kind="accounts")
    assert clv.book_value(*both(purchases)).draws is None


def test_a_book_can_be_selected_from(purchases):
    book = clv.book_value(*both(purchases, draws=50))
    chosen = clv.select_accounts(book, capacity=2)
    assert set(chosen.table["account_id"]) == set(book.table.index)


def test_what_was_not_valued_alike_is_not_added(purchases):
    buying, holding = both(purchases, draws=20)
    for change, match in (
        ({"horizon": 53.0}, "horizon"), ({"discount_rate": 0.2}, "discount_rate"), ({"draws": 30}, "draws is"),
        ({"confidence": 0.8}, "confidence"), ({"interval": "predictive"}, "interval"), ({"draws": 0}, "none"),
    ):  # fmt: skip
        with pytest.raises(SettingsError, match=match):
            clv.book_value(buying, both(purchases, **{"draws": 20, **change})[1])
    twice = both(purchases)[0].table
    with pytest.raises(DataError, match="occurs twice"):
        clv.book_value(type(buying)(**{**vars(buying), "table": pd.concat([twice, twice])}), holding)
