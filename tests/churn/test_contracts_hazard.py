"""Renewal hazards: against closed forms, published numbers and statsmodels; truncation, separation, trees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

import clv
from clv.churn.contracts.forecast import expected_within, forecast
from clv.churn.contracts.hazard import renewal_hazard
from clv.churn.contracts.logit import fit_logit, separating_columns
from clv.churn.contracts.models import ShiftedBetaGeoHazard
from clv.churn.contracts.shrinkage import shrink
from clv.churn.contracts.terms import contract_terms, current_terms
from clv.errors import DataError, FitError, SettingsError
from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

AS_OF = "2020-12-30"


def from_survival(percent, n=1000):
    """Yearly contracts of a cohort of which these percentages are alive after 0, 1, 2 … renewals."""
    alive = np.rint(np.asarray(percent) * n / 100).astype(int)
    rows = []
    for account in range(n):
        lasts = int((alive > account).sum())  # terms that it signs
        for term in range(lasts):
            told = True if term + 1 < lasts else (None if lasts == len(alive) else False)
            rows.append((f"K{account}-{term}", f"A{account}", f"{2000 + term}-01-01", f"{2000 + term}-12-31", told))
    table = pd.DataFrame(rows, columns=["contract_id", "account_id", "start", "end", "renewed"])
    return table.assign(renewed=table["renewed"].astype("boolean"))


@pytest.mark.parametrize(
    ("column", "alpha", "beta", "loglik"),
    [("regular_pct_alive", 0.704, 1.182, -1680.27), ("highend_pct_alive", 0.668, 3.806, -1611.16)],
)
def test_shifted_beta_geometric_is_the_papers(data_home, column, alpha, beta, loglik):
    """Fader & Hardie (2007), fitted to 3,876 and 5,316 single contracts instead of eight percentages."""
    percent = pd.read_csv(data_home / "sbg" / "survival_years_0_7.csv")[column]
    found = renewal_hazard(from_survival(percent), as_of="2007-06-30", method="sbg")
    assert found.model.model.params_["alpha"] == pytest.approx(alpha, abs=0.0005)
    assert found.model.model.params_["beta"] == pytest.approx(beta, abs=0.0005)
    assert found.model.model.log_likelihood_ == pytest.approx(loglik, abs=0.005)
    assert found.table["retention"].to_numpy() == pytest.approx(percent[1:].to_numpy() / 100, abs=1e-12)
    age = np.arange(7)
    stays = (beta + age) / (alpha + beta + age)
    assert found.table["fitted"].to_numpy() == pytest.approx(1 - stays, abs=5e-4)
    assert found.table["sbg_retention"].to_numpy() == pytest.approx(np.cumprod(stays), abs=5e-4)
    # Those that run have renewed seven times.
    assert found.running["p_renew"].iloc[0] == pytest.approx((beta + 7) / (alpha + beta + 7), abs=5e-4)
    # The same table by the logit, of which this model is a special case.
    other = renewal_hazard(from_survival(percent), as_of="2007-06-30")
    assert list(other.table.columns) == list(found.table.columns)
    assert other.table["sbg"].to_numpy() == pytest.approx(found.table["sbg"].to_numpy(), rel=1e-6)
    assert other.table["fitted_retention"].to_numpy() == pytest.approx(np.cumprod(stays), abs=0.005)


def test_logit_is_statsmodels_discrete_logit(contract_book):
    import statsmodels.api as sm

    contracts, accounts = contract_book(600, seed=1, by_x=0.6)
    found = renewal_hazard(contracts, as_of=AS_OF, accounts=accounts, covariates=["x"])
    rows = found.decisions
    x = (rows["x"] - rows["x"].mean()) / rows["x"].std(ddof=0)
    age = np.log(found.model.beta + rows["term"] - 1)
    age = (age - age.mean()) / age.std(ddof=0)
    theirs = sm.Logit(rows["lost"].astype(float).to_numpy(), np.column_stack([np.ones(len(rows)), age, x])).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": pd.factorize(rows["account_id"])[0]}
    )
    assert found.coefficients["coefficient"].to_numpy() == pytest.approx(theirs.params, rel=1e-5)
    assert found.coefficients["standard_error"].to_numpy() == pytest.approx(theirs.bse, rel=0.01)
    assert found.note == ""
    low, high = found.coefficients.loc["x", ["lower", "upper"]]
    assert low < np.exp(0.6) < high
    assert "x (odds of loss" in found.text


def test_truth_is_found_and_late_entry_changes_nothing(contract_book):
    """Half of the history unseen: left-truncated ages give the same hazards; ignoring truncation would not."""
    contracts, _ = contract_book(2500, seed=2, years=8, level=-1.0, by_term=-0.8)
    whole = renewal_hazard(contracts, as_of="2022-12-28")
    since = "2019-01-01"
    # The table holds what was alive then, with all its earlier terms: losses before that day were never written down.
    lost = contracts.groupby("account_id")["end"].transform("max") < since
    late = renewal_hazard(contracts[~lost], as_of="2022-12-28", observed_from=since)
    naive = renewal_hazard(contracts[~lost], as_of="2022-12-28")
    truth = expit(-1.0 - 0.8 * np.log(np.arange(1, 6)))
    for found in (whole, late):
        error = (found.table["upper"] - found.table["lower"]).to_numpy()[:5] / 2 / 1.645
        assert (np.abs(found.table["hazard"].to_numpy()[:5] - truth) < 3.5 * error).all()
    for found in (whole, late):
        assert found.table["fitted"].to_numpy()[:5] == pytest.approx(truth, abs=0.03)
    assert naive.table["hazard"].iloc[0] < truth[0] - 0.05
    # The same by numbers of terms where the first ones are not in the table at all.
    first = contracts.groupby("account_id")["start"].rank().astype(int)
    seen = contracts.assign(term_number=first)[~lost & (contracts["end"] >= since)]
    numbered = renewal_hazard(seen, as_of="2022-12-28")
    assert numbered.table["at_risk"].tolist() == late.table["at_risk"].tolist()
    assert numbered.table["retention"].to_numpy() == pytest.approx(late.table["retention"].to_numpy())


def two_by_two(a, b, c, d):
    """Design of a factor: a lost and b kept at level 0, c lost and d kept at level 1."""
    level = np.repeat([0.0, 0.0, 1.0, 1.0], [a, b, c, d])
    lost = np.repeat([True, False, True, False], [a, b, c, d])
    return np.column_stack([np.ones(len(level)), level]), lost


@pytest.mark.parametrize("cells", [(3, 17, 0, 9), (6, 4, 5, 0)])
def test_firth_is_half_a_case_more_in_each_cell(cells):
    """For a saturated two-way table Firth's estimates are the logits with 1/2 added to each cell (Firth 1993)."""
    design, lost = two_by_two(*cells)
    found = fit_logit(design, lost, account=np.arange(len(lost)), names=["intercept", "level"])
    a, b, c, d = np.add(cells, 0.5)
    assert found.estimate == "Firth"
    assert "level" in found.separated
    assert found.coefficients[1] == pytest.approx(np.log(c / d) - np.log(a / b), abs=1e-7)
    # The corrected intercept makes expected losses equal those seen.
    assert expit(design @ found.coefficients).sum() == pytest.approx(lost.sum(), abs=1e-9)
    assert np.isfinite(found.covariance).all()


@pytest.mark.parametrize(("lost", "n"), [(0, 12), (12, 12), (1, 1), (0, 1)])
def test_all_or_none_lost_has_an_answer(lost, n):
    design, y = np.ones((n, 1)), np.arange(n) < lost
    found = fit_logit(design, y, account=np.arange(n), names=["intercept"])
    assert found.estimate == "Firth"
    assert expit(found.coefficients[0]) == pytest.approx((lost + 0.5) / (n + 1), abs=1e-6)


def test_separation_is_found_exactly_where_it_is():
    overlap, y = two_by_two(3, 17, 1, 9)
    assert separating_columns(overlap, y, ["intercept", "level"]) == ()
    g = np.random.default_rng(0)
    x = g.standard_normal((80, 3))
    design = np.column_stack([np.ones(80), x])
    hidden = x @ [1.0, -2.0, 0.5] > 0.3
    names = ["intercept", "u", "v", "w"]
    assert {"u", "v"} <= set(separating_columns(design, hidden, names))
    noisy = hidden.copy()
    noisy[:4] = ~noisy[:4]
    assert separating_columns(design, noisy, names) == ()
    assert fit_logit(design, noisy, account=np.arange(80), names=names).estimate == "maximum likelihood"


def test_separation_is_said_and_forecasts_stay_sober(contract_book):
    contracts, accounts = contract_book(60, seed=3, level=-1.5)
    truth = renewal_hazard(contracts, as_of=AS_OF).decisions
    gone = set(truth.loc[truth["lost"], "account_id"])
    told = accounts.assign(told=np.where(accounts["account_id"].isin(gone), "yes", "no"))
    found = renewal_hazard(contracts, as_of=AS_OF, accounts=told, covariates=["told"])
    assert "Firth" in found.note
    assert "told" in found.note
    assert "Mind:" in found.text
    assert found.running["p_renew"].between(0.001, 0.9999).all()
    assert np.isfinite(found.coefficients.to_numpy()).all()


def test_few_losses_and_many_effects_are_shrunk(contract_book):
    """40 books with eight covariates that mean nothing: forecasts of others' renewals are better than by maximum
    likelihood in nearly all; an effect that is really there survives."""
    better, g = 0, np.random.default_rng(5)
    for _ in range(40):
        design = np.column_stack([np.ones(200), g.standard_normal((200, 8))])
        lost = g.random(200) < 0.2
        train = np.arange(100)
        fits = [
            fit_logit(design[train], lost[train], account=train, names=list("iabcdefgh"), free=free)
            for free in (1, None)
        ]
        assert fits[0].estimate == "shrunk"
        p, q = (expit(design[100:] @ fit.coefficients) for fit in fits)
        better += np.mean((p - lost[100:]) ** 2) < np.mean((q - lost[100:]) ** 2)
    assert better >= 34
    design = np.column_stack([np.ones(400), g.standard_normal((400, 8))])
    lost = g.random(400) < expit(-2.5 + 1.5 * design[:, 1])
    found = fit_logit(design, lost, account=np.arange(400), names=list("iabcdefgh"), free=1)
    assert found.estimate == "shrunk"
    assert 0.8 < found.coefficients[1] < 1.6  # of 1.5: seven effects that are none pull it down
    assert np.abs(found.coefficients[2:]).max() < 0.35


def test_shrunk_fits_are_the_posterior_mode():
    """At the spread chosen the derivative of likelihood and prior is nought, and the evidence is the grid's largest."""
    g = np.random.default_rng(6)
    design = np.column_stack([np.ones(120), g.standard_normal((120, 4))])
    lost = g.random(120) < expit(-1.5 + 0.7 * design[:, 1])
    found = shrink(design, lost, free=1)
    weight = np.array([0, 1, 1, 1, 1]) / found.spread**2
    p = expit(design @ found.coefficients)
    assert design.T @ (lost - p) - weight * found.coefficients == pytest.approx(np.zeros(5), abs=1e-6)
    information = design.T @ (design * (p * (1 - p))[:, None]) + np.diag(weight)
    assert found.covariance == pytest.approx(np.linalg.inv(information), rel=1e-6)
    assert 0.1 < found.spread < 1.5


def test_a_column_that_others_make_up_changes_no_forecast(contract_book):
    contracts, accounts = contract_book(300, seed=4, by_x=0.5)
    twin = accounts.assign(again=3 - 2 * accounts["x"])
    one = renewal_hazard(contracts, as_of=AS_OF, accounts=twin, covariates=["x"])
    two = renewal_hazard(contracts, as_of=AS_OF, accounts=twin, covariates=["x", "again"])
    for column in ("p_renew", "lower", "upper", "expected_renewals"):
        assert two.running[column].to_numpy() == pytest.approx(one.running[column].to_numpy(), rel=1e-6)


def test_what_is_missing_counts_as_average(contract_book):
    contracts, accounts = contract_book(300, seed=5, by_x=0.8)
    holes = accounts.assign(x=accounts["x"].where(accounts.index % 3 > 0), rare="a")
    holes.loc[0, "rare"] = "b"
    found = renewal_hazard(contracts, as_of=AS_OF, accounts=holes.iloc[:-40], covariates=["x", "kind", "rare"])
    assert "x is unknown for" in found.note
    assert "rare is left out" in found.note
    assert found.running["p_renew"].notna().all()
    matrix = found.model.design.matrix(pd.DataFrame({"x": [np.nan], "kind": ["never seen"], "rare": [None]}))
    assert matrix[0, 0] == 0
    kinds = found.model.design.parts[1]
    assert matrix[0, 1:] == pytest.approx(kinds.shares)


def test_forecasts_are_products_of_hazards_and_their_errors_derivatives(contract_book):
    contracts, accounts = contract_book(400, seed=6, by_x=0.6)
    found = renewal_hazard(contracts, as_of=AS_OF, accounts=accounts, covariates=["x"], renewals=4)
    row = found.ahead.iloc[[0]]
    fit = found.model.fit

    def answers(coefficients):
        model = replace(found.model, fit=replace(fit, coefficients=coefficients))
        stay = [expit(-model.log_odds(row.assign(term=row["term"] + step))[0][0]) for step in range(4)]
        return stay[0], np.cumprod(stay).sum()

    p, total = answers(fit.coefficients)
    shown = found.running.iloc[0]
    assert (shown["p_renew"], shown["expected_renewals"]) == pytest.approx((p, total), rel=1e-12)
    step = 1e-6 * np.eye(3)
    slopes = [np.subtract(answers(fit.coefficients + s), answers(fit.coefficients - s)) / 2e-6 for s in step]
    error = np.sqrt(np.einsum("ik,ij,jk->k", slopes, fit.covariance, slopes))
    plain = forecast(found.model, row, renewals=4, confidence=0.6826894921, freedom=np.inf).iloc[0]
    width = (logit(plain["upper"]) - logit(plain["lower"])) / 2
    assert width == pytest.approx(error[0] / (p * (1 - p)), rel=1e-4)
    width = (logit(plain["renewals_upper"] / 4) - logit(plain["renewals_lower"] / 4)) / 2
    assert width == pytest.approx(error[1] / (4 * total / 4 * (1 - total / 4)), rel=1e-4)


def test_renewals_within_a_horizon_are_those_of_the_value_room(contract_book):
    contracts, _ = contract_book(200, seed=7)
    rows = current_terms(contract_terms(contracts, as_of=AS_OF))
    rows = rows[rows["outcome"] == "running"]
    model = ShiftedBetaGeoModel.from_parameters(alpha=0.7, beta=2.5)
    model.log_covariance_ = np.eye(2)
    wait = rows["days_to_end"] / rows["days"]
    relations = pd.DataFrame({"duration": rows["age"], "churned": False, "entry": 0, "to_renewal": wait})
    for terms in (0.3, 1.0, 3.7):
        ours = expected_within(ShiftedBetaGeoHazard(model), rows, horizon_days=terms * 365)
        assert ours == pytest.approx(model.expected_purchases(relations, terms).to_numpy(), rel=1e-9)


def test_trees_find_what_a_straight_line_cannot(contract_book):
    """Those in the middle are lost, those at both ends stay: held-out accounts are foretold better, and calibrated."""
    g = np.random.default_rng(8)
    x = g.uniform(-2, 2, 6000)
    start = pd.Timestamp("2015-01-01") + pd.to_timedelta(g.integers(0, 300, 6000), unit="D")
    lost = g.random(6000) < np.where(np.abs(x) < 1, 0.45, 0.08)
    book = pd.DataFrame({
        "contract_id": [f"K{i}" for i in range(6000)], "account_id": [f"A{i}" for i in range(6000)], "start": start,
        "end": start + pd.Timedelta(days=364), "renewed": pd.array(~lost, dtype="boolean"),
    })  # fmt: skip
    accounts = pd.DataFrame({"account_id": book["account_id"], "x": x, "noise": g.standard_normal(6000)})
    train, test = book.iloc[:2000], np.arange(2000, 6000)
    errors = {}
    for method in ("logit", "boosted"):
        found = renewal_hazard(
            train, as_of="2017-01-01", accounts=accounts, covariates=["x", "noise"], method=method, seed=1
        )
        p = expit(found.model.log_odds(accounts.iloc[test].assign(term=1))[0])
        errors[method] = np.mean((p - lost[test]) ** 2)
    assert errors["boosted"] < 0.85 * errors["logit"]
    fifth = pd.qcut(p, 5, duplicates="drop")
    away = np.abs(
        pd.Series(p).groupby(fifth, observed=True).mean() - pd.Series(lost[test]).groupby(fifth, observed=True).mean()
    )
    assert away.mean() < 0.04
    assert found.running[["lower", "upper"]].isna().all(axis=None)
    assert "no intervals" in found.note


def test_trees_without_signal_say_the_books_rate(contract_book):
    contracts, accounts = contract_book(400, seed=9, by_term=0.0, level=-1.0)
    noise = accounts.assign(x=np.random.default_rng(1).standard_normal(len(accounts)))
    found = renewal_hazard(contracts, as_of=AS_OF, accounts=noise, covariates=["x"], method="boosted")
    again = renewal_hazard(contracts, as_of=AS_OF, accounts=noise, covariates=["x"], method="boosted")
    assert found.running["p_renew"].to_numpy() == pytest.approx(expit(1.0), abs=0.12)
    pd.testing.assert_frame_equal(found.running, again.running)


@pytest.mark.parametrize(
    ("given", "kind", "match"),
    [
        ({"method": "cox"}, SettingsError, "method"),
        ({"confidence": 1.0}, SettingsError, "confidence"),
        ({"renewals": 0}, SettingsError, "renewals"),
        ({"covariates": ["x"]}, DataError, "accounts"),
        ({"covariates": ["value", "value"]}, SettingsError, "value, value"),
        ({"faults": "drop"}, SettingsError, "faults"),
        ({"covariates": ["y"], "accounts": pd.DataFrame({"account_id": ["A00001"]})}, DataError, "'y'"),
        ({"covariates": ["account"], "accounts": pd.DataFrame({"account": ["A1"]})}, DataError, "account_id"),
        ({"covariates": ["x"], "accounts": pd.DataFrame({"account_id": ["A", "A"], "x": [1, 2]})}, DataError, "row 2"),
        ({"covariates": ["end"], "accounts": pd.DataFrame({"account_id": ["A"], "end": [1]})}, SettingsError, "'end'"),
        (
            {"covariates": ["x"], "accounts": pd.DataFrame({"account_id": ["A00001"], "x": [np.inf]})},
            DataError,
            "infinite",
        ),
        ({"as_of": "2015-06-01"}, FitError, "no renewal decision"),
        ({"method": "boosted", "as_of": "2016-08-01"}, FitError, "trees need"),
    ],
)
def test_impossible_requests_are_named(contract_book, given, kind, match):
    contracts, _ = contract_book(60, seed=10)
    with pytest.raises(kind, match=match):
        renewal_hazard(contracts, **({"as_of": AS_OF} | given))


def test_a_book_without_a_single_loss_has_a_hazard(contract_book):
    contracts, _ = contract_book(30, seed=11, level=-30.0)
    found = clv.renewal_hazard(contracts, as_of=AS_OF)
    assert (found.running["p_renew"] > 0.95).all()
    assert (found.running["p_renew"] < 1).all()
    assert found.running["lower"].lt(found.running["p_renew"]).all()
    assert "Firth" in found.note
    found.plot()


def test_texts_and_pictures(contract_book):
    contracts, accounts = contract_book(300, seed=12, by_x=0.8)
    found = renewal_hazard(contracts, as_of=AS_OF, accounts=accounts, covariates=["x"])
    decisions, lost = int(found.table["at_risk"].sum()), int(found.table["lost"].sum())
    assert f"Of {decisions:,} renewal decisions, {lost:,} went against us" in found.text
    assert f"{len(found.running):,} contracts run or are due" in found.text
    assert found.plot().get_ylabel() == "still under contract, %"
    assert (found.running["lower"] <= found.running["p_renew"]).all()
    assert (found.running["p_renew"] <= found.running["upper"]).all()
    assert found.running["expected_renewals"].between(0, 5).all()
