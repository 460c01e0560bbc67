"""The ideal-customer profile: who is judged, what stands out, and that it says so where nothing does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid
from scipy.stats import beta, spearmanr

from clv import ideal_customer_profile
from clv.abm.profile.bands import between, figure, find_bands, told
from clv.abm.profile.levels import fisher_exact, level_table, shrunk_shares
from clv.abm.propensity.columns import describe_columns
from clv.errors import DataError, SettingsError

QUICK = {"folds": 4, "repeats": 1}


def _book(n: int = 400, *, effect: float = 1.0, seed: int = 0):
    """Accounts, margins a year of the first three quarters (customers), purchases, and what all would truly bring."""
    rng = np.random.default_rng(seed)
    industry = rng.choice(["machinery", "food", "paper"], n, p=[0.3, 0.4, 0.3])
    employees = np.exp(rng.normal(4.5, 1.0, n))
    mean = 7 + effect * (
        1.2 * (industry == "machinery") - 0.8 * (industry == "paper") + 0.6 * (np.log(employees) - 4.5)
    )
    margin = np.exp(mean + 0.6 * rng.normal(size=n))
    ids = [f"A{i:04d}" for i in range(n)]
    employees[rng.random(n) < 0.1] = np.nan
    accounts = pd.DataFrame(
        {"account_id": ids, "name": [f"Firm {i}" for i in ids], "industry": industry, "employees": employees,
         "region": rng.choice(["north", "south"], n)}
    )  # fmt: skip
    ours = np.arange(n) < 3 * n // 4
    value = pd.DataFrame({"clv": margin[ours]}, index=pd.Index(np.array(ids)[ours], name="account_id"))
    bought = pd.Series(np.where(rng.random(ours.sum()) < 0.15, 2, 6), index=value.index)
    return accounts, value, bought, pd.Series(margin, index=ids), pd.Series(mean, index=ids)


@pytest.fixture(scope="module")
def learnt():
    book = _book()
    return book, ideal_customer_profile(book[0], book[1], history=book[2], currency="EUR", **QUICK)


def test_ranks_what_prospects_would_bring_and_what_held_out_customers_bring(learnt):
    (_, _, _, margin, mean), found = learnt
    assert found.ranks
    table = found.table
    rest = ~table["judged"]
    assert table["fit"].between(0, 100).all()
    # Truth of accounts that taught nothing, and of accounts foretold by models that did not see them.
    assert spearmanr(table["fit"][rest], mean[rest.to_numpy()]).statistic > 0.6
    assert spearmanr(table["fit"][~rest], margin[~rest.to_numpy()]).statistic > 0.4


def test_fit_of_the_judged_is_uniform_and_graded(learnt):
    _, found = learnt
    fit = found.table.loc[found.table["judged"], "fit"]
    assert abs(fit.mean() - 50) < 0.5
    grades = found.table["grade"]
    assert (found.table["fit"][grades == "strong"] > 80).all()
    assert (found.table["fit"][grades == "weak"] < 50).all()
    assert found.table["fit"][grades == "moderate"].between(50, 80).all()
    assert set(grades) == {"weak", "moderate", "strong"}


def test_one_or_two_deals_are_never_judged(learnt):
    (_, value, bought, _, _), found = learnt
    few = bought.index[bought < 3]
    assert len(few) > 20
    assert not found.table.loc[few, "judged"].any()
    assert found.table.loc[few, "valuable"].isna().all()
    assert found.table["judged"].sum() == len(value) - len(few)
    assert found.table.loc[~found.table["judged"], "valuable"].isna().all()
    # Their values may change at will: nobody's fit does.
    wild = value.assign(clv=value["clv"].where(bought >= 3, 1e9))
    again = ideal_customer_profile(_book()[0], wild, history=bought, **QUICK)
    np.testing.assert_array_equal(again.table["fit"], found.table["fit"])


def test_the_text_names_what_distinguishes(learnt):
    _, found = learnt
    assert "more often: machinery" in found.text
    assert "paper (" in found.text.split("less often")[1]
    assert "deals" not in found.text
    assert found.model.evidence.text == found.text
    region = found.profile[found.profile["attribute"] == "region"]
    assert region["lift"].between(0.7, 1.3).all()
    assert (region["q_value"] > 0.01).all()
    assert found.profile.loc[found.profile["level"] == "machinery", "q_value"].iloc[0] < 0.001


def test_contributions_explain_a_prospect(learnt):
    (accounts, *_), found = learnt
    rest = accounts.set_index("account_id")[~found.table["judged"].to_numpy()].head(5)
    parts = found.model.contributions(rest, draws=8)
    chance = found.table.loc[rest.index, "chance"]
    np.testing.assert_allclose(1 / (1 + np.exp(-parts.sum(axis=1))), chance, rtol=1e-9)


def test_shuffled_values_grade_nobody():
    accounts, value, bought, *_ = _book()
    rng = np.random.default_rng(5)
    graded = 0
    for _ in range(2):
        shuffled = pd.DataFrame({"clv": rng.permutation(value["clv"])}, index=value.index)
        found = ideal_customer_profile(accounts, shuffled, history=bought, **QUICK)
        graded += found.ranks
        if not found.ranks:
            assert found.table["fit"].isna().all()
            assert set(found.table["grade"]) == {"unknown"}
            assert "no account gets a fit" in found.text
    assert graded == 0


def test_many_small_regular_orders_beat_one_large_one():
    """Food buys much in few orders and is dear to serve; machinery buys little at a time, often, and is cheap."""
    rng = np.random.default_rng(1)
    n = 240
    industry = np.tile(["machinery", "food"], n // 2)
    orders = np.where(industry == "machinery", rng.poisson(40, n), rng.poisson(3, n) + 3)
    size = np.where(industry == "machinery", 100.0, 900.0) * rng.lognormal(0, 0.25, n)
    visits = np.where(industry == "machinery", 1, 9)
    index = pd.Index([f"A{i:03d}" for i in range(n)], name="account_id")
    accounts = pd.DataFrame({"industry": industry, "region": rng.choice(["n", "s"], n)}, index=index)
    value = pd.DataFrame({"clv": orders * size}, index=index)
    history = pd.Series(orders, index=index)
    gross = ideal_customer_profile(accounts, value, history=history, **QUICK)
    cost = pd.Series(visits * 500.0, index=index)
    net = ideal_customer_profile(accounts, value, history=history, cost_to_serve=cost, **QUICK)

    def lift(found):
        return found.profile.set_index("level")["lift"]

    assert value["clv"][industry == "food"].max() > value["clv"][industry == "machinery"].mean()
    assert lift(net)["machinery"] > lift(gross)["machinery"]
    assert lift(net)["machinery"] > 1.3
    assert lift(net)["food"] < 0.7
    # One large order is not judged, however large.
    one = value.copy()
    one.iloc[1] = 1e7
    few = history.copy()
    few.iloc[1] = 1
    found = ideal_customer_profile(accounts, one, history=few, cost_to_serve=cost, **QUICK)
    assert pd.isna(found.table["valuable"].iloc[1])
    assert not found.table["judged"].iloc[1]
    assert lift(found)["machinery"] == pytest.approx(lift(net)["machinery"], rel=0.05)


def test_shrunk_shares_against_a_brute_posterior():
    hits, counts, mean = np.array([3.0, 10.0, 0.0]), np.array([5.0, 40.0, 4.0]), 0.25
    middle, lower, upper = shrunk_shares(hits, counts, mean, confidence=0.9)
    # The same posterior by drawing: a weight by its likelihood, then a share.
    rng = np.random.default_rng(0)
    weights = np.geomspace(2.0, 2000.0, 31)
    theta = np.linspace(5e-5, 1 - 5e-5, 10_000)
    likelihood = weights * (1 + weights) ** -1.5  # flat in (1 + w)^−½, on a grid even in log w
    for k, n in zip(hits, counts, strict=True):
        dense = beta.pdf(theta, weights[:, None] * mean, weights[:, None] * (1 - mean))
        likelihood *= trapezoid(dense * theta**k * (1 - theta) ** (n - k), theta, axis=1)
    w = rng.choice(weights, 400_000, p=likelihood / likelihood.sum())
    for i in range(3):
        drawn = rng.beta(hits[i] + w * mean, counts[i] - hits[i] + w * (1 - mean))
        assert middle[i] == pytest.approx(drawn.mean(), abs=0.003)
        assert [lower[i], upper[i]] == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=0.006)


def test_intervals_hold_the_true_lifts_and_shrink_the_extremes():
    rng = np.random.default_rng(2)
    inside, total, raw, drawn = 0, 0, 0.0, 0.0
    # Weights as the prior has them, so that 90 % intervals hold exactly 90 %.
    weights = np.geomspace(2.0, 2000.0, 31)
    prior = weights * (1 + weights) ** -1.5
    for w in rng.choice(weights, 150, p=prior / prior.sum()):
        true = rng.beta(w * 0.25, w * 0.75, 8)
        counts = rng.integers(4, 60, 8)
        hits = rng.binomial(counts, true)
        middle, lower, upper = shrunk_shares(hits.astype(float), counts.astype(float), 0.25, confidence=0.9)
        inside, total = inside + int(((lower <= true) & (true <= upper)).sum()), total + 8
        raw, drawn = raw + np.sum((hits / counts - true) ** 2), drawn + np.sum((middle - true) ** 2)
    assert 0.86 < inside / total < 0.94
    assert drawn < 0.85 * raw


@pytest.mark.parametrize("table", [(3, 10, 12, 50), (0, 4, 9, 30), (7, 7, 9, 30), (20, 60, 80, 320), (5, 25, 5, 25)])
def test_fisher_against_scipy(table):
    from scipy.stats import fisher_exact as peer

    hits, size, all_hits, n = table
    rest = [[hits, size - hits], [all_hits - hits, n - size - all_hits + hits]]
    assert fisher_exact(*table) == pytest.approx(peer(rest)[1], rel=1e-9)


def test_false_discoveries_are_held_down():
    rng = np.random.default_rng(3)
    any_found = 0
    for _ in range(25):
        frame = pd.DataFrame({f"c{i}": rng.choice(list("abcd"), 200) for i in range(6)})
        columns = describe_columns(frame)
        bands = find_bands(frame, columns)
        levels = bands.levels(columns.take(frame, table="accounts"))
        table = level_table(levels, rng.random(200) < 0.25, levels.head(0), bands, confidence=0.9)
        any_found += bool((table["q_value"] <= 0.1).any())
    assert any_found / 25 <= 0.2


def test_levels_are_what_a_person_reads():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"employees": rng.lognormal(4.5, 1, 500), "flag": rng.integers(0, 2, 500)})
    frame.loc[:20, "employees"] = np.nan
    columns = describe_columns(frame)
    bands = find_bands(columns.take(frame, table="accounts"), columns)
    levels = bands.levels(columns.take(frame, table="accounts"))
    assert (levels.loc[:20, "employees"] == "unknown").all()
    assert levels["employees"].value_counts().drop("unknown").between(80, 160).all()
    assert set(levels["flag"]) == {"0", "1"}
    assert bands.order("employees")[0].startswith("under ")
    assert told("employees", "under 50") == "employees under 50"
    assert told("industry", "machinery") == "machinery"
    assert told("edi_ready", "yes") == "edi ready yes"
    assert between(1.2e6, 5e6) == "1.2–5 million"
    assert between(-3, 4) == "−3 to 4"
    assert figure(1234.5) == "1,234"


def test_without_firmographics_it_falls_back_and_says_so():
    accounts, value, bought, *_ = _book(80)
    found = ideal_customer_profile(accounts[["account_id", "name"]], value, history=bought)
    assert found.model is None
    assert not found.ranks
    assert found.table["fit"].isna().all()
    assert "no firmographics" in found.text
    found.plot()


def test_too_few_or_all_alike_say_so():
    accounts, value, bought, *_ = _book(40)
    found = ideal_customer_profile(accounts, value, history=bought, **QUICK)
    assert "At least 20 valuable" in found.text
    costly = ideal_customer_profile(accounts, value, history=bought, cost_to_serve=1e9, **QUICK)
    assert "None of them brings more than it costs" in costly.text
    equal = ideal_customer_profile(accounts, value.assign(clv=7.0), history=bought, **QUICK)
    assert "All judged accounts are valuable" in equal.text


def test_children_are_held_out_with_their_parent():
    accounts, value, bought, *_ = _book(160)
    parent = pd.Series(None, index=accounts.index, dtype=object)
    parent[1:40] = "A0000"
    found = ideal_customer_profile(accounts.assign(parent_id=parent), value, history=bought, **QUICK)
    group = found.model.table["group"]
    assert group[group.index.isin([f"A{i:04d}" for i in range(40)])].nunique() == 1


def test_the_order_of_the_rows_changes_no_profile(learnt):
    (accounts, value, bought, *_), found = learnt
    mixed = ideal_customer_profile(accounts.sample(frac=1, random_state=1), value, history=bought, **QUICK)
    pd.testing.assert_frame_equal(mixed.profile, found.profile)


def test_a_summary_serves_as_history():
    accounts, value, bought, *_ = _book(100)
    summary = pd.DataFrame({"frequency": bought - 1})
    one = ideal_customer_profile(accounts, value, history=summary, **QUICK)
    two = ideal_customer_profile(accounts, value, history=bought, **QUICK)
    pd.testing.assert_frame_equal(one.table, two.table)


def test_bad_input_is_named():
    accounts, value, bought, *_ = _book(60)
    with pytest.raises(DataError, match="there twice"):
        ideal_customer_profile(pd.concat([accounts, accounts.head(1)]), value, history=bought)
    with pytest.raises(DataError, match="no account has a value"):
        ideal_customer_profile(accounts, value, history=bought, fewest=99)
    with pytest.raises(DataError, match="the cost of account 'A0000'"):
        ideal_customer_profile(accounts, value, history=bought, cost_to_serve=pd.Series({"A0001": 3.0}))
    with pytest.raises(DataError, match="frequency"):
        ideal_customer_profile(accounts, value, history=bought.to_frame("orders"))
    with pytest.raises(SettingsError, match="top is 0"):
        ideal_customer_profile(accounts, value, history=bought, top=0.0)


def test_the_picture_shows_levels(learnt):
    import matplotlib.pyplot as plt

    _, found = learnt
    ax = found.plot()
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert any(label.startswith("machinery") for label in labels)
    plt.close("all")


@pytest.mark.slow
def test_on_a_simulated_book_the_fit_ranks_what_is_to_come():
    """Realised margin a year teaches; the truth of the next 52 weeks judges, on accounts that taught nothing."""
    from clv.data.simulate import draw

    universe = draw(accounts=2000, seed=2, years=3)
    bought, truth = universe.tables["transactions"], universe.truth["accounts"].set_index("account_id")
    day = pd.to_datetime(bought["date"]).groupby(bought["account_id"])
    years = ((day.max().max() - day.min()).dt.days / 365.25).clip(lower=0.5)
    margin = 0.35 * bought.groupby("account_id")["amount"].sum() / years
    orders = bought.drop_duplicates(["account_id", "date"]).groupby("account_id").size()
    found = ideal_customer_profile(
        universe.tables["accounts"], margin.to_frame("clv"), history=orders, cost_to_serve=250.0, folds=5, repeats=1
    )
    assert found.ranks
    truth = truth.reindex(found.table.index)
    won = truth["margin_if_won"].astype(float)
    prospects, judged = won.notna(), found.table["judged"]
    assert spearmanr(found.table["fit"][prospects], won[prospects]).statistic > 0.25
    to_come = truth["margin_52"].astype(float)
    told = spearmanr(found.table["fit"][judged], to_come[judged])
    assert told.statistic > 0.1
    assert told.pvalue < 0.001
