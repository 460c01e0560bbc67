"""Loyal or retained: counts, intervals and labels; a season is found in other years than it is counted in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import clv
from clv.churn.loyalty.orders import orders_of
from clv.churn.loyalty.shares import season_share
from clv.churn.proportions import proportion_interval
from clv.errors import DataError, SettingsError

END = pd.Timestamp("2024-12-31")


def history(account: str, days: list[int], discount: float | list[float] = 0.0, amount: float = 100.0) -> pd.DataFrame:
    """Make orders of one line, `days` before the end."""
    date = [END - pd.Timedelta(days=int(n)) for n in days]
    return pd.DataFrame({"account_id": account, "date": date, "amount": amount, "discount": discount})


def lines(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def spread(n: int, years: int = 3) -> list[int]:
    """Return days spread evenly over years."""
    return [int(d) for d in np.linspace(1, years * 365 - 1, n)]


# --- orders


def test_lines_of_a_day_are_one_order_on_discount_by_its_list_value():
    table = pd.DataFrame(
        {
            "account_id": ["a"] * 6,
            "date": [END] * 2 + [END - pd.Timedelta(days=5)] * 2 + [END - pd.Timedelta(days=9)] * 2,
            # 50 at half price is 100 of list value: exactly half, and no majority.
            "amount": [100.0, 50.0, 100.0, 51.0, 60.0, 10.0],
            "discount": [0.0, 0.5, 0.0, 0.5, np.nan, np.nan],
        }
    )
    orders, last = orders_of(table, as_of=None, grain="D", least=0.0)
    assert list(orders["money"]) == [70.0, 151.0, 150.0]
    assert np.isnan(orders["on_discount"].iloc[0])
    assert list(orders["on_discount"].iloc[1:]) == [1.0, 0.0]
    assert last == END


def test_credits_and_small_discounts_do_not_count():
    table = lines(
        history("a", [1, 10], discount=[0.02, 0.10]),
        history("a", [1], amount=-100.0),  # takes the whole order back
        history("a", [30], amount=50.0),
    )
    orders, _ = orders_of(table, as_of=None, grain="D", least=0.05)
    assert list(orders["on_discount"]) == [0.0, 1.0]
    orders, _ = orders_of(table, as_of="2024-12-05", grain="D", least=0.05)
    assert len(orders) == 1


# --- labels


def test_who_buys_on_discount_is_retained_and_the_sentence_has_the_counts():
    days = spread(41)
    discount = [0.0 if i in (3, 20, 33) else 0.1 for i in range(41)]
    result = clv.loyalty(history("a", days, discount), as_of=END)
    row = result.table.loc["a"]
    assert (row["label"], row["why"]) == ("retained", "on discount")
    assert "38 of 41 orders on discount" in row["sentence"]
    low, high = proportion_interval(38, 41, 0.9)
    assert (row["discount_lower"], row["discount_upper"]) == (low.item(), high.item())
    assert "93% of 41 orders were on discount. 1 account buys mostly on discount" in result.text


def test_who_buys_all_year_at_full_price_is_loyal():
    result = clv.loyalty(history("a", spread(36)), as_of=END)
    assert result.table.loc["a", "label"] == "loyal"
    assert result.by_label.loc["loyal", "money_share"] == 1.0


def test_what_is_not_known_is_unknown_and_never_no():
    full = history("a", spread(36))
    without = clv.loyalty(full.drop(columns="discount"), as_of=END)
    assert (without.table["label"] == "unknown").all()
    assert without.table.loc["a", "why"] == "discounts are not known"
    assert "nobody can be called loyal" in without.text
    assert without.table.loc["a", "superconsumer"] == "unknown"
    assert without.table.loc["a", "sleeping"] == "unknown"
    few = clv.loyalty(history("a", [1, 400, 800]), as_of=END)
    assert few.table.loc["a", "why"] == "too few orders"
    one_year = clv.loyalty(history("a", spread(20, 1)), as_of=END)
    assert one_year.table.loc["a", "why"] == "less than two years with orders"
    split = clv.loyalty(history("a", spread(20), [0.1, 0.0] * 10), as_of=END)
    assert split.table.loc["a", "why"] == "the counts do not decide"


def test_three_discounts_of_three_do_not_make_a_label():
    result = clv.loyalty(history("a", [1, 400, 800], 0.1), as_of=END)
    assert result.table.loc["a", "label"] == "unknown"


def test_who_is_gone_is_neither_loyal_nor_retained():
    silent = clv.loyalty(history("a", [500 + d for d in spread(30)], 0.1), as_of=END)
    assert silent.table.loc["a", "why"] == "gone, or silent too long"
    stages = pd.DataFrame({"p_alive": [0.2, 0.9]}, index=["a", "b"])
    both = lines(history("a", spread(30)), history("b", spread(30)))
    known = clv.loyalty(both, as_of=END, stages=stages).table
    assert list(known["label"]) == ["unknown", "loyal"]
    assert list(known["sleeping"]) == ["yes", "no"]


def test_a_small_share_of_the_wallet_is_no_loyalty():
    table = lines(*(history(name, spread(36)) for name in "abc"))
    wallets = pd.DataFrame(
        {
            "account_id": ["a", "b", "c", "c"],
            "date": [END, END, END, END - pd.Timedelta(days=300)],
            "wallet": [20_000.0, 1_205.0, 900.0, 5_000.0],
        }
    )
    result = clv.loyalty(table, wallets=wallets, as_of=END)
    assert list(result.table["label"]) == ["retained", "loyal", "loyal"]
    assert result.table.loc["a", "why"] == "small share of wallet"
    assert "6% of its wallet" in result.table.loc["a", "sentence"]
    assert result.table.loc["c", "wallet_error"]  # the latest survey counts: 1,200 of 900
    assert "which cannot be: check both" in result.table.loc["c", "sentence"]
    assert "1 account has sales above the surveyed wallet" in result.text
    later = clv.loyalty(table, wallets=wallets.assign(date=END + pd.Timedelta(days=1)), as_of=END)
    assert later.table["wallet_share"].isna().all()


def test_superconsumers_buy_much_often_and_at_full_price():
    small = [history(f"s{i:02d}", spread(4, 1)) for i in range(18)]
    table = lines(*small, history("full", spread(60, 1), 0.0, 900.0), history("cheap", spread(60, 1), 0.2, 900.0))
    found = clv.loyalty(table, as_of=END).table["superconsumer"]
    assert (found["full"], found["cheap"]) == ("yes", "no")
    assert (found.drop(["full", "cheap"]) == "no").all()


# --- seasons


def test_a_season_is_found_in_other_years():
    seasonal = [365 * y + 150 + d for y in range(3) for d in (0, 9, 18, 27, 36)]
    result = clv.loyalty(lines(history("s", seasonal), history("r", spread(36))), as_of=END, inactive_months=24)
    assert result.table.loc["s", "why"] == "in season"
    assert result.table.loc["s", "season_share"] > 0.9
    assert "in its season of three months (from" in result.table.loc["s", "sentence"]
    assert result.table.loc["r", "label"] == "loyal"


def test_an_account_without_a_season_shows_a_quarter():
    """The busiest three months of the orders counted would hold far more: 45 % of 12 orders a year by chance."""
    rng = np.random.default_rng(1)
    owner, days = np.repeat(np.arange(400), 36), rng.integers(0, 1096, 400 * 36)
    orders = pd.DataFrame({"account_id": owner.astype(str), "day": END - pd.to_timedelta(days, "D")})
    ids = pd.Index(sorted(orders["account_id"].unique()))
    found = season_share(orders, ids, END, 0.9)
    assert found["share"].mean() == pytest.approx(0.25, abs=0.01)
    assert (found["lower"] > 0.5).mean() < 0.002


def test_few_orders_have_no_preferred_month():
    """Ties are averaged: with one order a year the share is 3/12 whichever month it falls in."""
    rng = np.random.default_rng(2)
    years = rng.integers(0, 365, (600, 2)) + np.array([0, 365])
    orders = pd.DataFrame(
        {"account_id": np.repeat(np.arange(600), 2).astype(str), "day": END - pd.to_timedelta(years.ravel(), "D")}
    )
    ids = pd.Index(sorted(orders["account_id"].unique()))
    assert season_share(orders, ids, END, 0.9)["share"].mean() == pytest.approx(0.25, abs=0.03)


def test_intervals_of_shares_hold_what_they_say():
    rng = np.random.default_rng(3)
    for p, n in ((0.1, 20), (0.5, 41), (0.9, 12)):
        k = rng.binomial(n, p, 20_000).astype(float)
        low, high = proportion_interval(k, n, 0.9)
        assert ((low <= p) & (p <= high)).mean() > 0.86
        assert (low <= k / n).all()
        assert (k / n <= high).all()
    assert proportion_interval(0, 20, 0.9) == (0.0, pytest.approx(1 - 0.05 ** (1 / 20)))
    assert proportion_interval(7, 7, 0.9) == (pytest.approx(0.05 ** (1 / 7)), 1.0)
    assert np.isnan(proportion_interval(0, 0, 0.9)).all()


# --- the whole


def test_the_demo_knows_who_buys_on_discount():
    study = clv.load_study("demo")
    transactions, accounts = study.read("transactions").table, study.read("accounts").table
    wallets = study.read("wallets").table
    result = clv.loyalty(transactions, accounts=accounts, wallets=wallets, as_of="2026-01-01")
    truth = pd.read_csv(Path(study.folder) / "truth" / "accounts.csv").set_index("account_id")
    known = result.table[result.table["of_known"] >= 10]
    assert spearmanr(known["discount_share"], truth.loc[known.index, "discount_propensity"])[0] > 0.8
    reduced = result.table["why"].str.contains("on discount")
    assert truth.loc[result.table.index[reduced], "discount_propensity"].min() > 0.35
    loyal = result.table["label"] == "loyal"
    assert truth.loc[result.table.index[loyal], "discount_propensity"].mean() < 0.25
    assert result.by_label["accounts"].sum() == len(result.table) == 390
    assert "never bought by then (210 accounts)" in result.text
    assert "accounts" in result.plot().get_title()


def test_faults_are_named():
    table = history("a", [1, 2])
    with pytest.raises(DataError, match="column 'discount', row 2"):
        clv.loyalty(table.assign(discount=[0.1, 5.0]))
    with pytest.raises(DataError, match="column 'discount': does not hold numbers"):
        clv.loyalty(table.assign(discount=["10%", "none"]))
    with pytest.raises(DataError, match="table 'wallets', column 'wallet'"):
        clv.loyalty(table, wallets=pd.DataFrame({"account_id": ["a"], "date": [END]}))
    with pytest.raises(DataError, match="nothing was bought on or before 2020-01-01"):
        clv.loyalty(table, as_of="2020-01-01")
    with pytest.raises(DataError, match="p_alive"):
        clv.loyalty(table, stages=pd.DataFrame({"stage": ["lost"]}, index=["a"]))
    for name, bad in (("majority", 0), ("top", 1.0), ("least_orders", 0), ("inactive_months", -1), ("confidence", 2)):
        with pytest.raises(SettingsError, match=name):
            clv.loyalty(table, **{name: bad})


def test_a_repeated_index_of_the_lines_means_nothing():
    table = lines(history("a", spread(20), 0.1), history("b", spread(30)))
    plain, odd = clv.loyalty(table, as_of=END), clv.loyalty(table.set_axis([0] * 50), as_of=END)
    pd.testing.assert_frame_equal(plain.table, odd.table)


def test_the_order_of_lines_does_not_matter():
    study = clv.load_study("demo")
    table = study.read("transactions").table
    one, two = (clv.loyalty(table.sample(frac=1, random_state=s), as_of="2026-01-01") for s in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table)
    assert one.text == two.text
