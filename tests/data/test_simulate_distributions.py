"""What was drawn follows the distributions that the documentation states.

One large universe, fixed seed. Tests are Kolmogorov–Smirnov (level 0.001) or z-scores under the stated law (|z| < 3.5).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clv.data.simulate import Process, Universe, draw
from clv.data.simulate.parameters import TIERS

PROCESS = Process()
LEVEL = 0.001
LARGEST_Z = 3.5


@pytest.fixture(scope="module")
def universe() -> Universe:
    return draw(accounts=30_000, seed=11)


@pytest.fixture(scope="module")
def truth(universe) -> pd.DataFrame:
    return universe.truth["accounts"].set_index("account_id")


@pytest.fixture(scope="module")
def purchases(universe, truth) -> pd.DataFrame:
    """One row a purchase with the factors of its account, ordered by account and time."""
    factors = universe.truth["programmes"].set_index("account_id")[["rate_factor", "dropout_factor", "treated"]]
    rows = universe.truth["invoices"].sort_values(["account_id", "week"], ignore_index=True)
    rows = rows.join(truth, on="account_id").join(factors, on="account_id")
    rows["nth"] = rows.groupby("account_id").cumcount()
    return rows.fillna({"rate_factor": 1.0, "dropout_factor": 1.0}).assign(
        treated=rows["treated"].eq(True)  # an account outside the programme is not treated
    )


def weeks(universe: Universe) -> tuple[float, float]:
    """Start of the programme and end of the universe, in weeks."""
    start = pd.Timestamp("2023-01-02")
    programme = universe.tables["programmes"]["start"].iloc[0]
    return (programme - start).days / 7, ((universe.as_of - start).days + 1) / 7


def test_rates_are_gamma_given_covariates(truth):
    truth = truth[truth["customer"]]
    standard = truth["rate"] * PROCESS.alpha / np.exp(truth["rate_effect"])
    assert stats.kstest(standard, stats.gamma(PROCESS.r).cdf).pvalue > LEVEL
    edi, paper = truth["technology"] == "EDI", truth["technology"] == "paper"
    assert truth.loc[edi, "rate_effect"].mean() > truth.loc[paper, "rate_effect"].mean() + 0.3


def test_covariates_enter_as_documented(universe, truth):
    """A regression of the truth's effect on firmographics returns the constants."""
    value = universe.truth["parameters"].set_index("name")["value"].astype(str)
    design = pd.get_dummies(truth[["industry", "technology", "region"]], dtype=float)
    rate = truth["size"] * float(value["rate_size"]) + design["technology_ERP"] * float(value["rate_erp"])
    rate += design["technology_EDI"] * float(value["rate_edi"])
    for industry in truth["industry"].unique():
        rate += design[f"industry_{industry}"] * float(value[f"industry {industry} rate"])
    assert rate.to_numpy() == pytest.approx(truth["rate_effect"].to_numpy())
    dropout = truth["size"] * float(value["dropout_size"]) + design["technology_EDI"] * float(value["dropout_edi"])
    dropout += design["region_abroad"] * float(value["dropout_abroad"])
    assert dropout.to_numpy() == pytest.approx(truth["dropout_effect"].to_numpy())


def test_dropout_is_beta_given_covariates_and_lower_in_good_relationships(truth):
    truth = truth[truth["customer"]]  # being won must not have selected on it
    rank = stats.beta(PROCESS.a, PROCESS.b * np.exp(truth["dropout_effect"])).cdf(truth["dropout"])
    assert stats.kstest(rank, "uniform").pvalue > LEVEL
    assert stats.kstest(truth["relationship"], "norm").pvalue > LEVEL
    copula = np.corrcoef(stats.norm.ppf(rank), truth["relationship"])[0, 1]
    assert copula == pytest.approx(-PROCESS.dropout_relationship, abs=0.02)


def test_rate_dropout_and_spend_are_independent_given_covariates(truth):
    rate = truth["rate"] / np.exp(truth["rate_effect"])
    dropout = stats.beta(PROCESS.a, PROCESS.b * np.exp(truth["dropout_effect"])).cdf(truth["dropout"])
    for first, second in ((rate, dropout), (truth["rate"], truth["spend"]), (dropout, truth["spend"])):
        assert abs(stats.spearmanr(first, second).statistic) * np.sqrt(len(truth)) < LARGEST_Z


def test_spend_is_gamma_gamma(truth, purchases):
    nu = PROCESS.p / truth.loc[truth["customer"], "spend"]
    assert stats.kstest(nu * PROCESS.gamma, stats.gamma(PROCESS.q).cdf).pvalue > LEVEL
    # One order an account, for independence; billed money is rounded by half a cent a unit.
    one = purchases.groupby("account_id").nth(1)
    assert len(one) > 10_000
    assert stats.kstest(one["billed"] * PROCESS.p / one["spend"], stats.gamma(PROCESS.p).cdf).pvalue > LEVEL


def test_waits_are_exponential_and_the_programme_multiplies_the_rate(universe, truth, purchases):
    programme, end = weeks(universe)
    last = purchases.groupby("account_id")["week"].max()
    first = purchases.groupby("account_id")["week"].min()
    exposure = pd.DataFrame({"first": first, "until": last.where(~truth.loc[first.index, "alive"], end)})
    exposure["rate"] = truth.loc[first.index, "rate"]
    before = exposure["rate"] * (exposure["until"].clip(upper=programme) - exposure["first"]).clip(lower=0)
    after = exposure["rate"] * (exposure["until"] - exposure["first"].clip(lower=programme)).clip(lower=0)
    factors = purchases.groupby("account_id")[["rate_factor", "treated"]].first()
    repeats = purchases[purchases["nth"] > 0]
    early = (repeats["week"] < programme).groupby(repeats["account_id"]).sum().reindex(first.index, fill_value=0)
    late = (repeats["week"] >= programme).groupby(repeats["account_id"]).sum().reindex(first.index, fill_value=0)

    def z(counts: pd.Series, expected: pd.Series) -> float:
        # Events less compensator is a martingale whose variance is the compensator's mean.
        return float((counts.sum() - expected.sum()) / np.sqrt(expected.sum()))

    treated = factors["treated"]
    assert abs(z(early, before)) < LARGEST_Z
    assert abs(z(late[~treated], after[~treated])) < LARGEST_Z
    assert abs(z(late[treated], (after * factors["rate_factor"])[treated])) < LARGEST_Z
    assert z(late[treated], after[treated]) > 10, "without the factor the counts do not fit: the test has power"

    # Shape: of purchases with 4 more units of operational time to come, waits exceed u with probability exp(-u).
    plain = purchases[~purchases["treated"]].copy()
    plain["wait"] = (plain.groupby("account_id")["week"].shift(-1) - plain["week"]) * plain["rate"]
    stopped = plain["wait"].isna() & ~plain["alive"]
    roomy = plain[((end - plain["week"]) * plain["rate"] > 4) & ~stopped]
    waits = roomy["wait"].fillna(99.0)
    for u in (0.1, 0.5, 1.0, 2.0, 3.5):
        p = np.exp(-u)
        assert abs((waits > u).mean() - p) / np.sqrt(p * (1 - p) / len(waits)) < LARGEST_Z


def test_accounts_stop_after_a_repeat_purchase_with_their_own_probability(universe, purchases):
    programme, _ = weeks(universe)
    repeats = purchases[purchases["nth"] > 0]
    factor = repeats["dropout_factor"].where(repeats["week"] >= programme, 1.0)
    p = repeats["dropout"] * factor
    final = repeats.groupby("account_id")["nth"].transform("max") == repeats["nth"]
    stops = final & ~repeats["alive"]
    for group in (repeats["week"] < programme, (repeats["week"] >= programme) & repeats["treated"]):
        z = (stops[group].sum() - p[group].sum()) / np.sqrt((p * (1 - p))[group].sum())
        assert abs(z) < LARGEST_Z
    once = purchases.groupby("account_id")["nth"].max() == 0
    alive = purchases.groupby("account_id")["alive"].first()
    assert alive[once].all(), "nobody stops after the first purchase"


def test_response_to_a_tier_has_the_stated_mean_and_differs_between_accounts(universe, truth):
    assert truth["response"].mean() == pytest.approx(1.0)
    assert 0.3 < truth["response"].std() < 0.8
    tiers = universe.truth["tiers"]
    for tier in TIERS:
        rows = tiers[tiers["tier"] == tier.name]
        expected = 1 + tier.rate_gain * truth.loc[rows["account_id"], "response"]
        assert rows["rate_factor"].to_numpy() == pytest.approx(expected.to_numpy())
    assert (tiers["incremental_margin"] >= 0).all()


def test_randomisation_is_two_to_one_within_blocks_and_balanced(universe, truth):
    rows = universe.truth["programmes"].join(truth[["rate", "dropout", "relationship", "size"]], on="account_id")
    shares = rows["tier"].value_counts(normalize=True)
    assert shares[[tier.name for tier in TIERS]].to_numpy() == pytest.approx([t.share for t in TIERS], abs=1e-3)
    blocks = rows.groupby(["tier", "block"])["treated"].agg(["sum", "size"])
    assert (blocks.loc[blocks["size"] == 3, "sum"] == 2).all()
    assert (blocks["size"] < 3).sum() <= len(TIERS)
    assert rows.groupby("tier", sort=False)["past_revenue"].min().is_monotonic_decreasing
    for tier, group in rows.groupby("tier"):
        for column in ("past_revenue", "rate", "dropout", "relationship", "size"):
            treated, control = (
                np.log(group.loc[group["treated"] == arm, column])
                if column == "past_revenue"
                else group.loc[group["treated"] == arm, column]
                for arm in (True, False)
            )
            spread = np.sqrt(treated.var() / len(treated) + control.var() / len(control))
            assert abs(treated.mean() - control.mean()) / spread < LARGEST_Z, (tier, column)
    table = universe.tables["programmes"].set_index("account_id").loc[rows["account_id"]]
    assert ((table["arm"] == "treatment").to_numpy() == rows["treated"].to_numpy()).all()
    assert (table.loc[table["arm"] == "control", ["cost", "hours"]] == 0).all(axis=None)
    spent = table[table["arm"] == "treatment"].groupby("tier")[["cost", "hours"]].mean()
    for tier in TIERS:
        assert spent.loc[tier.name].to_numpy() == pytest.approx([tier.cost, tier.hours], rel=0.04)


def test_places_in_a_block_are_equally_likely_to_be_the_control(universe):
    rows = universe.truth["programmes"]
    place = rows.groupby(["tier", "block"]).cumcount()
    full = rows.groupby(["tier", "block"])["treated"].transform("size") == 3
    controls = place[full & ~rows["treated"]].value_counts()
    assert stats.chisquare(controls).pvalue > LEVEL


def test_deals_are_won_with_their_stated_probability(universe, truth):
    deals = universe.tables["opportunities"].merge(universe.truth["opportunities"])
    decided = deals[deals["outcome"] != "open"].join(truth[["rapport", "relationship", "size"]], on="account_id")
    residual = (decided["outcome"] == "won") - decided["win_probability"]
    deviation = np.sqrt(decided["win_probability"] * (1 - decided["win_probability"]))
    for weight in (1.0, decided["rapport"], decided["relationship"], decided["size"], decided["kind"] == "expansion"):
        assert abs((residual * weight).sum() / np.sqrt(((deviation * weight) ** 2).sum())) < LARGEST_Z
    assert truth["customer"].mean() == pytest.approx(0.65, abs=LARGEST_Z * np.sqrt(0.25 / len(truth)))


def test_the_win_logit_is_the_stated_one(universe, truth):
    value = universe.truth["parameters"].set_index("name")["value"]
    managers = universe.tables["accounts"].set_index("account_id")["manager"]
    score = float(value["win intercept"]) + truth["size"] * PROCESS.win_size
    score += (truth["technology"] == "EDI") * PROCESS.win_edi + (truth["region"] == "abroad") * PROCESS.win_abroad
    score += truth["rapport"] * PROCESS.win_relationship
    score += managers.map(lambda name: float(value[f"win manager {name}"]))
    score += truth["industry"].map(lambda name: float(value[f"industry {name} win"]))
    prospects = ~truth["customer"]
    expected = 1 / (1 + np.exp(-score[prospects]))
    assert truth.loc[prospects, "win_probability"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-5)


def test_contracts_renew_as_a_shifted_beta_geometric(universe, truth):
    of_customers = truth.loc[truth["customer"], "contract_churn"]
    assert stats.kstest(of_customers, stats.beta(PROCESS.contract_a, PROCESS.contract_b).cdf).pvalue > LEVEL
    terms = universe.tables["contracts"].sort_values(["account_id", "start"])
    term = terms.groupby("account_id").cumcount()
    decided = terms["renewed"].notna()
    churn = truth.loc[terms["account_id"], "contract_churn"].to_numpy()
    for nth in (0, 1):
        rows = (decided & (term == nth)).to_numpy()
        renewed = terms["renewed"][rows].astype(bool).to_numpy()
        z = (renewed.sum() - (1 - churn[rows]).sum()) / np.sqrt((churn * (1 - churn))[rows].sum())
        assert abs(z) < LARGEST_Z
        # Marginal retention of the sBG: (b + t - 1) / (a + b + t - 1).
        a, b = PROCESS.contract_a, PROCESS.contract_b + nth
        retention = b / (a + b)
        assert abs(renewed.mean() - retention) / np.sqrt(retention * (1 - retention) / len(renewed)) < LARGEST_Z


def test_surveys_err_about_the_true_wallet(universe, truth):
    asked = universe.tables["wallets"].join(truth["wallet"].rename("wallet_true"), on="account_id")
    assert len(asked) / len(truth) == pytest.approx(PROCESS.survey_share, abs=0.01)
    large = asked[asked["wallet_true"] > 20_000]  # answers are rounded to 500
    error = np.log(large["wallet"] / large["wallet_true"])
    assert abs(error.mean()) / (PROCESS.survey_sd / np.sqrt(len(error))) < LARGEST_Z
    assert error.std() == pytest.approx(PROCESS.survey_sd, rel=0.06)
    ours = truth["rate"] * truth["spend"] * 365.25 / 7
    assert (truth["wallet"] > ours * (1 + PROCESS.wallet_least)).all()


def test_sentiment_follows_the_relationship_and_falls_after_drop_out(universe, truth):
    touches = universe.tables["touches"].dropna(subset="sentiment").join(truth, on="account_id")
    # The day of the first order holds touches of both kinds.
    touches = touches[touches["date"] != touches["acquired"]]
    feeling = touches["relationship"].where(touches["date"] > touches["acquired"], touches["rapport"])
    assert np.corrcoef(touches["sentiment"], feeling)[0, 1] > 0.5
    score = np.arctanh(touches["sentiment"].clip(-0.99, 0.99)) - 0.5 * feeling
    assert abs(np.corrcoef(score, feeling)[0, 1]) < 0.05
    late = touches["date"] > touches["dropped"] + pd.Timedelta(days=1)
    assert score[late].mean() - score[~late].mean() == pytest.approx(-0.30, abs=0.03)
