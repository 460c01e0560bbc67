"""The net effect of a discount: the estimator against statsmodels, the effect against simulations with a known dip."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.churn.loyalty.discount_effect import DiscountEffect
from clv.churn.loyalty.fixed_effects_poisson import fit_poisson
from clv.errors import DataError, FitError, SettingsError

START = pd.Timestamp("2023-01-02")
WEEKS = 78
END = START + pd.Timedelta(days=7 * WEEKS - 1)


def simulate(
    rng: np.random.Generator, *, lift: float, dip: tuple[float, ...], accounts: int = 100, lead: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw weekly orders: own rates, a common season, overdispersion, offers at random; effects on the log scale."""
    rate, offered = rng.gamma(2, 0.15, accounts), rng.random((accounts, WEEKS)) < 0.08
    log = np.log(rate)[:, None] + 0.3 * np.sin(np.arange(WEEKS) / 26 * np.pi) + lift * offered
    for lag, change in enumerate(dip, 1):
        log[:, lag:] += change * offered[:, :-lag]
    log[:, :-1] += lead * offered[:, 1:]
    count = np.minimum(rng.poisson(np.exp(log) * rng.gamma(4, 0.25, (accounts, WEEKS))), 7)
    who, week = np.nonzero(count)
    many = count[who, week]
    # Orders of a week on different days, so that each counts.
    within = np.concatenate([np.arange(n) for n in many])
    day = np.repeat(7 * week, many) + within
    orders = pd.DataFrame(
        {
            "account_id": [f"A{i:03d}" for i in np.repeat(who, many)],
            "date": START + pd.to_timedelta(day, "D"),
            "amount": 100.0,
        }
    )
    who, week = np.nonzero(offered)
    start = START + pd.to_timedelta(7 * week, "D")
    offers = pd.DataFrame(
        {"account_id": [f"A{i:03d}" for i in who], "start": start, "end": start + pd.Timedelta(days=6)}
    )
    return orders, offers


@pytest.fixture(scope="module")
def trial():
    return simulate(np.random.default_rng(1), lift=0.5, dip=(-0.4, -0.2))


@pytest.fixture(scope="module")
def result(trial) -> DiscountEffect:
    return clv.discount_effect(*trial, as_of=END)


# --- the estimator


def small_panel(seed: int = 0, accounts: int = 15, periods: int = 12):
    rng = np.random.default_rng(seed)
    x = rng.random((2, accounts, periods)) * (rng.random((2, accounts, periods)) < 0.5)
    mean = np.exp(rng.normal(0, 0.6, (accounts, 1)) + rng.normal(0, 0.3, periods) + 0.6 * x[0] - 0.4 * x[1])
    seen = rng.random((accounts, periods)) < 0.85
    return np.where(seen, rng.poisson(mean), 0.0).astype(float), x, seen


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_statsmodels_poisson_with_a_dummy_for_each_account_and_period(seed):
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    y, x, seen = small_panel(seed)
    fit = fit_poisson(y, x, seen)
    rows, columns = np.nonzero(seen)
    design = np.column_stack([x[0][seen], x[1][seen], np.eye(len(y))[rows], np.eye(y.shape[1])[columns][:, 1:]])
    kept = y.sum(axis=1)[rows] > 0
    glm = GLM(y[seen][kept], design[kept], family=Poisson()).fit(tol=1e-12, maxiter=200)
    assert fit.beta == pytest.approx(glm.params[:2], abs=1e-7)
    # The sandwich over accounts by hand from statsmodels' own scores and bread, without its small-sample factor.
    bread = np.linalg.pinv(design[kept].T @ (glm.mu[:, None] * design[kept]))
    score = design[kept] * (y[seen][kept] - glm.mu)[:, None]
    sums = np.stack([score[rows[kept] == i].sum(axis=0) for i in np.unique(rows[kept])])
    n = len(sums)
    sandwich = bread @ (sums.T @ sums) @ bread * n / (n - 1)
    assert fit.covariance == pytest.approx(sandwich[:2, :2], rel=1e-6)
    assert (fit.accounts, fit.observations) == (n, int(kept.sum()))


def test_accounts_and_periods_without_orders_change_nothing():
    y, x, seen = small_panel()
    fit = fit_poisson(y, x, seen)
    rng = np.random.default_rng(9)
    wide = np.concatenate([x, rng.random((2, 3, y.shape[1]))], axis=1)
    more = fit_poisson(np.vstack([y, np.zeros((3, y.shape[1]))]), wide, np.vstack([seen, np.ones((3, 12), bool)]))
    assert more.beta == pytest.approx(fit.beta, abs=1e-9)
    assert more.accounts == fit.accounts


def test_scale_and_order_do_not_matter():
    y, x, seen = small_panel()
    fit, scaled = fit_poisson(y, x, seen), fit_poisson(1000 * y, x, seen)
    turned = fit_poisson(y[::-1], x[:, ::-1], seen[::-1])
    assert scaled.beta == pytest.approx(fit.beta, abs=1e-7)
    assert turned.beta == pytest.approx(fit.beta, abs=1e-9)
    assert scaled.covariance == pytest.approx(fit.covariance, rel=1e-5)


def test_what_has_no_estimate_is_refused():
    y, x, seen = small_panel()
    with pytest.raises(DataError, match="calendar"):
        fit_poisson(y, np.stack([x[0], np.tile(x[1][:1], (len(y), 1))]), seen)
    with pytest.raises(DataError, match="calendar"):
        fit_poisson(y, np.stack([x[0], x[0]]), seen)
    with pytest.raises(DataError, match="too few"):
        fit_poisson(y[:1], x[:, :1], seen[:1])
    never = np.where(x[1] > 0, 0.0, y)
    with pytest.raises(FitError, match="Look at fewer periods"):
        fit_poisson(never, x, seen)


# --- the effect


def test_lift_dip_and_net_are_what_was_put_in(result):
    true = {"lift": np.expm1(0.5), "dip": np.expm1(-0.4) + np.expm1(-0.2)}
    true["net"] = true["lift"] + true["dip"]
    for name, value in true.items():
        row = result.summary.loc[name]
        assert abs(row["estimate"] - value) < 3 * row["standard_error"]
    assert result.summary.loc["lift", "lower"] > 0 > result.summary.loc["dip", "upper"]
    assert result.table.loc[0, "change"] == pytest.approx(result.summary.loc["lift", "estimate"])
    after = result.table.loc[1:, "change"].sum()
    assert result.summary.loc["dip", "estimate"] == pytest.approx(after)
    assert result.p_before > 0.01


def test_the_text_says_what_is_taken_for_granted(trial, result):
    assert "only if offers were made without regard to what an account was about to buy" in result.text
    drawn = clv.discount_effect(*trial, as_of=END, randomised=True)
    assert "drawn at random, so this is what they caused" in drawn.text
    assert "only if" not in drawn.text
    assert result.plot().get_xlabel() == "periods since the offer"


def test_offers_that_were_expected_are_flagged():
    orders, offers = simulate(np.random.default_rng(5), lift=0.5, dip=(), lead=-0.9)
    found = clv.discount_effect(orders, offers, as_of=END)
    assert found.p_before < 0.05
    assert "Do not trust the estimate" in found.text
    assert found.table.loc[-1, "upper"] < 0


def test_overlapping_offers_count_once_and_money_is_its_own_outcome(trial, result):
    orders, offers = trial
    twice = clv.discount_effect(orders, pd.concat([offers, offers]), as_of=END)
    pd.testing.assert_frame_equal(twice.table, result.table)
    money = clv.discount_effect(orders.assign(amount=7.0), offers, as_of=END, outcome="money")
    assert money.table["coefficient"].to_numpy() == pytest.approx(result.table["coefficient"].to_numpy(), abs=1e-6)


def test_a_month_is_four_weeks(trial):
    found = clv.discount_effect(*trial, as_of=END, period="4W", before=1, after=2)
    assert list(found.table.index) == [-1, 0, 1, 2]
    assert "of a usual four weeks" in found.text


def test_offers_that_cannot_be_used_are_counted(trial):
    orders, offers = trial
    strange = pd.DataFrame({"account_id": ["nobody", "A000"], "start": [START, pd.Timestamp("2030-01-01")]})
    found = clv.discount_effect(orders, pd.concat([offers, strange.assign(end=strange["start"])]), as_of=END)
    assert "1 offer to accounts that never bought, 1 offer at other times" in found.text


def test_faults_are_named(trial):
    orders, offers = trial
    with pytest.raises(DataError, match="cannot tell what was bought because of them"):
        clv.discount_effect(orders)
    with pytest.raises(DataError, match="column 'start'"):
        clv.discount_effect(orders, offers.drop(columns="start"))
    with pytest.raises(DataError, match="ends before it starts"):
        clv.discount_effect(orders, offers.assign(end=offers["start"] - pd.Timedelta(days=1)))
    with pytest.raises(DataError, match="row 1: is empty"):
        clv.discount_effect(orders, offers.assign(start=pd.NaT))
    with pytest.raises(DataError, match="none of the offers"):
        clv.discount_effect(orders, offers.assign(account_id="nobody"))
    with pytest.raises(DataError, match="too few"):
        clv.discount_effect(orders, offers, as_of=START + pd.Timedelta(days=30))
    everybody = pd.MultiIndex.from_product([orders["account_id"].unique(), offers["start"].unique()[:3]])
    same = everybody.to_frame(index=False, name=["account_id", "start"])
    with pytest.raises(DataError, match="all accounts had them at the same times"):
        clv.discount_effect(orders, same.assign(end=same["start"] + pd.Timedelta(days=6)), as_of=END)
    for name, bad in (("period", "D"), ("before", -1), ("after", 0), ("outcome", "margin"), ("confidence", 1)):
        with pytest.raises(SettingsError, match=name):
            clv.discount_effect(orders, offers, **{name: bad})


@pytest.mark.slow
@pytest.mark.parametrize("dip", [(-0.4, -0.2), ()], ids=["with a dip", "without a dip"])
def test_the_net_effect_is_unbiased_and_its_interval_holds(dip):
    """100 trials each: the mean within three standard errors of the truth, 95 % intervals hold it about 95 times."""
    net = np.expm1(0.5) + sum(np.expm1(d) for d in dip)
    true = np.array([np.expm1(0.5), net - np.expm1(0.5), net])
    estimates, held = [], []
    for seed in range(100):
        orders, offers = simulate(np.random.default_rng(seed), lift=0.5, dip=dip, accounts=80)
        rows = clv.discount_effect(orders, offers, as_of=END, confidence=0.95).summary
        estimates.append(rows["estimate"].to_numpy())
        held.append(((rows["lower"] <= true) & (true <= rows["upper"])).to_numpy())
    spread = np.std(estimates, axis=0) / 10
    assert (np.abs(np.mean(estimates, axis=0) - true) < 3 * spread + 0.01).all()
    assert (np.mean(held, axis=0) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)).all()
