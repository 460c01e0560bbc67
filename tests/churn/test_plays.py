"""Plays: what they do to a purchase process, what they are worth, and which one is chosen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import clv
from clv.churn.plays.assign import assign_plays
from clv.churn.plays.measured import MeasuredUplift
from clv.churn.plays.process import BuysRegularly, LeavesAnyTime, LeavesWithPurchase, State, process_of
from clv.churn.stages import STAGES
from clv.data.settings import DEFAULT_PLAYS, ChurnStage, Play
from clv.errors import DataError, SettingsError
from clv.value.estimation.checks import History
from clv.value.expectation.erlang_future import pack_state
from clv.value.expectation.living import purchases_while_alive
from clv.value.pareto_nbd import time_alive

HORIZON, RATE, MARGIN = 52.0, 0.1, 0.35
DELTA = np.log1p(RATE) * 7 / 365.25


def one(x: float) -> np.ndarray:
    return np.array([[float(x)]])


@pytest.fixture(scope="module")
def book():
    """Simulate a book of known parameters: 600 accounts, BG/NBD and Gamma-Gamma."""
    rng = np.random.default_rng(11)
    source = clv.BetaGeoModel.from_parameters(r=0.9, alpha=6.0, a=0.7, b=4.0, unit="W")
    summary = source.simulate(rng.uniform(20, 120, 600), seed=3)
    mean = rng.gamma(5, 40, 600)
    summary["monetary_value"] = np.where(summary["frequency"] > 0, mean, 0.0)
    summary.index = pd.Index([f"A{i:03d}" for i in range(600)], name="account_id")
    summary.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": "2025-12-31"}
    return summary


@pytest.fixture(scope="module")
def models(book):
    return clv.BetaGeoModel().fit(book), clv.GammaGammaModel().fit(book)


@pytest.fixture(scope="module")
def value(book, models):
    return clv.lifetime_value(*models, book, horizon=HORIZON, discount_rate=RATE, margin=MARGIN)


@pytest.fixture(scope="module")
def stages(book, models):
    return clv.churn_stages(models[0], book, HORIZON)


@pytest.fixture
def assign(book, models, value, stages):
    def run(plays=DEFAULT_PLAYS, **options):
        options = {"purchases": models[0], "spend": models[1], "summary": book, "draws": 200} | options
        return assign_plays(options.pop("stages", stages), value, plays, **options)

    return run


# --- the purchase process under a play


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.3, 4.0])
@pytest.mark.parametrize(
    ("rate", "p", "delta"), [(0.2, 0.1, 0.002), (0.01, 0.9, 0.0), (3.0, 0.0, 0.0), (1.0, 1.0, 0.01)]
)
def test_a_sooner_next_purchase_is_its_integral_where_accounts_leave_with_a_purchase(factor, rate, p, delta):
    hazard = rate * p

    def later(h: float) -> float:
        force = delta + hazard
        return rate * h if force == 0 else rate * -np.expm1(-force * h) / force

    def first_then_rest(n: float) -> float:
        return quad(
            lambda s: n * rate * np.exp(-(n * rate + delta) * s) * (1 + (1 - p) * later(HORIZON - s)), 0, HORIZON,
            epsabs=1e-12, limit=200,
        )[0]  # fmt: skip

    gain = LeavesWithPurchase().sooner(State(one(rate), one(hazard)), factor, horizon=HORIZON, discount=delta)
    assert gain.item() == pytest.approx(first_then_rest(factor) - first_then_rest(1.0), abs=1e-5)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("rate", "mu", "delta"), [(0.2, 0.01, 0.002), (0.05, 0.3, 0.0), (2.0, 0.0, 0.0)])
def test_a_sooner_next_purchase_is_its_integral_where_accounts_leave_at_any_time(factor, rate, mu, delta):
    def later(h: float) -> float:
        force = delta + mu
        return rate * h if force == 0 else rate * -np.expm1(-force * h) / force

    def first_then_rest(n: float) -> float:
        return quad(
            lambda s: n * rate * np.exp(-(n * rate + mu + delta) * s) * (1 + later(HORIZON - s)), 0, HORIZON,
            epsabs=1e-12, limit=200,
        )[0]  # fmt: skip

    gain = LeavesAnyTime().sooner(State(one(rate), one(mu)), factor, horizon=HORIZON, discount=delta)
    assert gain.item() == pytest.approx(first_then_rest(factor) - first_then_rest(1.0), abs=1e-5)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_regular_buyers_with_one_step_are_the_others(factor):
    rate, p = np.array([[0.02, 0.2, 0.9]]), np.array([[0.3, 0.1, 0.02]])
    plain, regular = LeavesWithPurchase(), BuysRegularly(1)
    state, packed = State(rate, rate * p), State(rate, pack_state(np.zeros_like(p), p))
    gain = plain.sooner(state, factor, horizon=HORIZON, discount=DELTA)
    assert regular.sooner(packed, factor, horizon=HORIZON, discount=DELTA) == pytest.approx(gain, rel=5e-3, abs=1e-12)
    changes = {"rate": 1.2, "dropout": 0.8}
    assert regular.purchases(regular.changed(packed, **changes), horizon=HORIZON, discount=DELTA) == pytest.approx(
        plain.purchases(plain.changed(state, **changes), horizon=HORIZON, discount=DELTA)
    )


def test_a_regular_buyer_bought_sooner_agrees_with_drawn_lives():
    """Erlang-3 waits of which the next one is shortened: the mean over drawn lives is the closed gain."""
    k, steps, p, factor, n = 3, 0.6, 0.1, 1.5, 40_000
    rng = np.random.default_rng(5)

    def drawn(f: float) -> np.ndarray:
        clock, count, going = rng.gamma(k, 1 / (f * steps), n), np.zeros(n), np.arange(n)
        while going.size:
            going = going[clock[going] <= HORIZON]
            count[going] += 1
            going = going[rng.random(going.size) >= p]
            clock[going] += rng.gamma(k, 1 / steps, going.size)
        return count

    difference = drawn(factor).mean() - drawn(1.0).mean()
    state = State(one(steps), pack_state(one(0), one(p)))
    gain = BuysRegularly(k).sooner(state, factor, horizon=HORIZON, discount=0.0).item()
    assert gain == pytest.approx(difference, abs=4 * np.sqrt(2 * 7 / n))


def test_dropout_stays_a_probability():
    state = LeavesWithPurchase().changed(State(one(0.5), one(0.45)), rate=2.0, dropout=3.0)
    assert state.second.item() == state.first.item() == 1.0


def test_models_without_continuous_time_are_refused():
    with pytest.raises(SettingsError, match="continuous time"):
        process_of(clv.BetaGeoBetaBinomModel())


# --- the worth of a play


def test_a_changed_rate_is_the_posterior_with_its_scale_changed(assign, book, models, value):
    """λ → fλ turns Gamma(R, A) into Gamma(R, A/f): the closed form of the model at that posterior."""
    result = assign([Play(name="develop", rate=1.4, doubt=0)], draws=1500)
    r, alpha, a, b = models[0].params_
    x, T = book["frequency"].to_numpy(float), book["T"].to_numpy()
    living = [purchases_while_alive(r + x, (alpha + T) / f, a, b + x, horizon=HORIZON, rate=DELTA) for f in (1.4, 1.0)]
    expected = value.table["clv"].to_numpy() * (living[0] / living[1] - 1)
    gain = result.options["gain"].to_numpy()
    assert gain.sum() == pytest.approx(expected.sum(), rel=0.01)
    assert np.abs(gain / expected - 1).max() < 0.15  # parameters are drawn, too; the closed form takes the estimate
    flat = value.table["clv"].to_numpy() * 0.4
    assert (gain < flat + 1e-9).all()  # who buys more often leaves sooner: a flat percentage promises too much


def test_a_changed_dropout_is_the_integral_over_its_posterior(assign, book, models, value):
    result = assign([Play(name="defend", dropout=0.6, doubt=0)], draws=1500)
    r, alpha, a, b = models[0].params_
    rows = book.index[[0, 5, 17]]
    for account in rows:
        x, T = book.loc[account, ["frequency", "T"]]
        rng = np.random.default_rng(1)
        rate, p = rng.gamma(r + x, 1 / (alpha + T), 200_000), rng.beta(a, b + x, 200_000)

        def bought(d: float, rate=rate, p=p) -> float:
            force = DELTA + rate * p * d
            return float((rate * -np.expm1(-force * HORIZON) / force).mean())

        expected = value.table.loc[account, "clv"] * (bought(0.6) / bought(1.0) - 1)
        gain = result.options.set_index("account_id").loc[account, "gain"]
        assert gain == pytest.approx(expected, rel=0.15)


def test_pareto_dropout_is_closed(book, value, stages, models):
    pareto = clv.ParetoNBDModel.from_parameters(r=0.9, alpha=6.0, s=0.5, beta=12.0, unit="W")
    play = [Play(name="defend", dropout=0.5, rate=1.1, doubt=0)]
    result = assign_plays(stages, value, play, purchases=pareto, spend=models[1], summary=book, draws=500)
    _, _, s, beta = pareto.params_
    base = time_alive(s, beta + book["T"].to_numpy(), horizon=HORIZON, rate=DELTA)
    with_play = 1.1 * time_alive(s, (beta + book["T"].to_numpy()) / 0.5, horizon=HORIZON, rate=DELTA)
    clv_pareto = clv.lifetime_value(pareto, models[1], book, horizon=HORIZON, discount_rate=RATE, margin=MARGIN).table
    expected = clv_pareto["clv"].to_numpy() * (with_play / base - 1)
    assert result.options["gain"].sum() == pytest.approx(expected.sum(), rel=0.03)


def test_win_back_is_the_chance_times_the_second_life(assign, book, models, value):
    result = assign([Play(name="win back", reactivation=0.1, cost=0, doubt=0)])
    back = book.assign(frequency=book["frequency"] + 1, recency=book["T"])
    back.attrs = book.attrs
    again = 1 + models[0].discounted_expected_purchases(back, DELTA, HORIZON).to_numpy()
    spend = MARGIN * models[1].expected_spend(book).to_numpy()
    expected = (1 - value.table["p_alive"].to_numpy()) * 0.1 * spend * again
    assert result.options["gain"].to_numpy() == pytest.approx(expected, rel=1e-12)


def test_draws_agree_with_the_closed_expectation(assign, value):
    result = assign(draws=1000)
    # Where an account is nearly surely gone its mean lies outside: nought, but for a small chance of much.
    clear = result.options[result.options["account_id"].map(value.table["p_alive"]).between(0.15, 0.85)]
    inside = ((clear["lower"] <= clear["net"]) & (clear["net"] <= clear["upper"])).groupby(clear["play"]).mean()
    assert (inside > 0.98).all()
    assert len(inside) >= 3
    sums = result.by_play.drop(index="no play")
    assert ((sums["lower"] <= sums["net"]) & (sums["net"] <= sums["upper"])).all()


def test_nothing_changed_is_worth_nothing(assign):
    result = assign([Play(name="wave", cost=0, doubt=0)])
    assert (result.options["gain"] == 0).all()
    assert (result.table["play"] == "no play").all()
    assert "No play pays" in result.text


@pytest.mark.parametrize("field", ["rate", "spend", "next_purchase"])
def test_a_stronger_effect_is_worth_more(assign, field):
    gains = [assign([Play(name="p", doubt=0, **{field: f})]).options["gain"].to_numpy() for f in (0.8, 1.0, 1.1, 1.5)]
    assert all((more >= less).all() for less, more in pairwise(gains))


@pytest.mark.parametrize(
    "model",
    [
        clv.BetaGeoModel.from_parameters(r=0.9, alpha=6.0, a=0.7, b=4.0, unit="W"),
        clv.ModifiedBetaGeoModel.from_parameters(r=0.9, alpha=6.0, a=0.7, b=4.0, unit="W"),
        clv.ParetoNBDModel.from_parameters(r=0.9, alpha=6.0, s=0.5, beta=12.0, unit="W"),
        "regular",
    ],
    ids=["BG/NBD", "MBG/NBD", "Pareto/NBD", "BG/CNBD-2"],
)
def test_every_model_in_continuous_time_serves(book, models, value, stages, model):
    book = book.iloc[:150]
    if model == "regular":
        model = clv.BetaGeoCNBDModel(k=2, prior="weak").fit(book)
    result = assign_plays(stages, value, purchases=model, spend=models[1], summary=book, draws=60, cost_to_serve=20)
    assert (result.by_play["accounts"].sum(), len(result.table)) == (150, 150)
    welcomed = result.options[result.options["play"] == "welcome"]
    assert (welcomed["gain"] > 0).all()
    assert (book.loc[welcomed["account_id"], "frequency"] == 0).all()


def test_covariate_models_serve(book, models, value, stages):
    book = book.iloc[:200]
    wide = book.assign(large=(np.arange(200) % 2).astype(float))
    wide.attrs = book.attrs
    model = clv.BetaGeoModel(covariates={"transaction": ["large"]}).fit(wide)
    result = assign_plays(stages, value, purchases=model, spend=models[1], summary=wide, draws=60)
    assert np.isfinite(result.options["net"]).all()


# --- the choice


def two(assign, book, first: dict, second: dict, plays, stage=("at risk", "steady"), **options):
    """Run plays for two accounts of given histories."""
    pair = pd.DataFrame([first, second], index=pd.Index(["X", "Y"], name="account_id"))
    pair.attrs = book.attrs
    stages = pd.Series(list(stage), index=pair.index)
    return assign(plays, summary=pair, stages=stages, **options).table


DEFEND = Play(name="defend", dropout=0.5, cost=40, doubt=0)


def test_risk_alone_is_no_reason_where_the_money_is_small(assign, book, models):
    risky = {"frequency": 8, "recency": 40.0, "T": 60.0, "monetary_value": 20.0}
    safe = {"frequency": 8, "recency": 58.0, "T": 60.0, "monetary_value": 900.0}
    table = two(assign, book, risky, safe, [DEFEND])
    assert list(table["play"]) == ["no play", "defend"]
    assert "No play" in table.loc["X", "sentence"]


def test_risk_alone_is_no_reason_where_the_play_changes_nothing(assign, book, models):
    """The riskier account is worth the same a purchase, but nearly surely gone: there is nobody left to defend."""
    gone = {"frequency": 12, "recency": 30.0, "T": 60.0, "monetary_value": 300.0}
    here = {"frequency": 12, "recency": 59.0, "T": 60.0, "monetary_value": 300.0}
    pair = pd.DataFrame([gone, here])
    pair.attrs = book.attrs
    alive = models[0].probability_alive(pair)
    assert alive.iloc[0] < 0.05 < 0.9 < alive.iloc[1]
    table = two(assign, book, gone, here, [DEFEND], stage=("lost", "steady"))
    assert list(table["play"]) == ["no play", "defend"]


def test_let_go_is_what_costs_more_to_serve_than_it_brings(assign, value):
    result = assign([DEFEAT := Play(name="let go", rate=0, doubt=0, saves_service=True)], cost_to_serve=60)
    assert DEFEAT.saves_service
    margin = value.table["clv"]
    assert (result.table["play"] == "let go").to_numpy() == pytest.approx((margin < 60).to_numpy())
    assert 0 < (margin < 60).mean() < 1
    gone = result.table[result.table["play"] == "let go"]
    assert gone["net"].to_numpy() == pytest.approx(60 - margin[gone.index].to_numpy())
    assert set(gone["evidence"]) == {"by definition"}
    assert assign([DEFEAT]).table["play"].eq("no play").all()  # without a cost to serve nobody is let go


def test_the_best_net_is_chosen_among_what_the_stage_allows(assign, stages, book):
    result = assign(cost_to_serve=30)
    best = result.options.sort_values("net", ascending=False, kind="stable").drop_duplicates("account_id")
    best = best.set_index("account_id").reindex(result.table.index)
    acted = result.table["play"] != "no play"
    assert (result.table.loc[acted, "play"] == best.loc[acted, "play"]).all()
    assert (best.loc[~acted, "net"] <= 0).all()
    allowed = {play.name: play.stages or list(STAGES) for play in DEFAULT_PLAYS}
    seen = result.options.merge(stages.table["stage"].astype(str), left_on="account_id", right_index=True)
    assert all(stage in allowed[play] for play, stage in zip(seen["play"], seen["stage"], strict=True))
    assert result.options["chosen"].sum() == acted.sum()
    assert result.by_play["net"].sum() == pytest.approx(result.table["net"].sum())


def test_what_is_assumed_is_said_to_be(assign):
    result = assign()
    assert set(result.effects["evidence"]) == {"assumed", "by definition"}
    assert "Assumed, not measured: welcome multiplies the rate of the next purchase by 1.2" in result.text
    acted = result.table[result.table["evidence"] == "assumed"]
    assert acted["sentence"].str.contains("its effect is assumed").all()
    assert result._repr_html_().count("<p") >= 2
    assert "hollow: effect assumed" in result.plot().get_title()


def test_doubt_widens_the_interval_and_leaves_the_mean(assign):
    sure, unsure = (assign([Play(name="p", rate=1.2, doubt=d)]).by_play.loc["p"] for d in (0.0, 1.0))
    assert unsure["gain"] == pytest.approx(sure["gain"], rel=0.03)
    assert unsure["upper"] - unsure["lower"] > 2 * (sure["upper"] - sure["lower"])


# --- experiments


def test_a_sharp_experiment_overrules_the_statement(assign, value):
    found = {"p": MeasuredUplift(0.06, 0.001, "a trial of 4,000 accounts")}
    result = assign([Play(name="p", rate=1.5, doubt=1.0)], experiment=found, draws=400)
    total = float(value.table["clv"].sum())
    assert result.options["gain"].sum() / total == pytest.approx(0.06, rel=0.1)
    assert result.effects.loc["p", "evidence"] == "measured"
    assert "Measured: p, +6% ± 0% by a trial of 4,000 accounts" in result.text
    assert result.effects.loc["p", "weight"] > 0.99
    assert "Assumed" not in result.text


def test_a_vague_experiment_leaves_the_statement(assign):
    plain = assign([Play(name="p", rate=1.2)])
    vague = assign([Play(name="p", rate=1.2)], experiment={"p": MeasuredUplift(-3.0, 500.0, "two accounts")})
    assert vague.effects.loc["p", "evidence"] == "partly measured"
    assert "Partly measured: p, −300% ± 50000% by two accounts" in vague.text
    assert "rest on the statement" in vague.text
    assert vague.effects.loc["p", "weight"] < 0.1
    assert vague.effects.loc["p", "mean"] == pytest.approx(1.0, abs=0.02)
    assert vague.effects.loc["p", "sd"] == pytest.approx(plain.effects.loc["p", "sd"], rel=0.05)


def test_strength_is_the_normal_posterior_where_the_uplift_is_linear():
    from clv.churn.plays.strength import draw_strength

    play, found = Play(name="p", rate=1.1, doubt=0.5), MeasuredUplift(0.02, 0.04, "a trial")
    drawn = draw_strength(play, 4000, np.random.default_rng(2), measured=found, uplift=lambda k: 0.1 * k)
    precision = 1 / 0.5**2 + (0.1 / 0.04) ** 2
    mean = (1 / 0.5**2 + (0.1 / 0.04) ** 2 * 0.2) / precision
    assert drawn.mean() == pytest.approx(mean, abs=0.002)
    assert drawn.std() == pytest.approx(precision**-0.5, rel=0.02)


def test_experiments_that_cannot_measure_a_play_are_refused(assign):
    found = {"p": MeasuredUplift(0.1, 0.1, "a trial")}
    with pytest.raises(SettingsError, match="says nothing about it"):
        assign([Play(name="p", reactivation=0.1)], experiment=found)
    with pytest.raises(SettingsError, match="certain"):
        assign([Play(name="p", rate=1.1, doubt=0)], experiment=found)
    with pytest.raises(SettingsError, match="there is no play 'p'"):
        assign([Play(name="q", rate=1.1)], experiment=found)
    with pytest.raises(SettingsError, match="standard error"):
        MeasuredUplift(0.1, 0.0, "none")


# --- what goes wrong is said


def test_faults_are_named(assign, book, models, value, stages):
    with pytest.raises(DataError, match="table 'stages'"):
        assign(stages=stages.table["stage"].iloc[1:])
    with pytest.raises(DataError, match="has the stage 'asleep'"):
        assign(stages=pd.Series("asleep", index=book.index))
    with pytest.raises(SettingsError, match="none of them 'no play'"):
        assign([Play(name="no play")])
    with pytest.raises(SettingsError, match="different names"):
        assign([Play(name="p"), Play(name="p")])
    with pytest.raises(SettingsError, match="draws"):
        assign(draws=3)
    twice = pd.concat([book, book.iloc[:1]])
    twice.attrs = book.attrs
    with pytest.raises(DataError, match="'A000' is there twice"):
        assign(summary=twice)
    with pytest.raises(SettingsError, match="cost_to_serve"):
        assign(cost_to_serve=float("nan"))
    ever = clv.lifetime_value(*models, book, horizon=None, discount_rate=RATE, margin=MARGIN)
    with pytest.raises(SettingsError, match="finite horizon"):
        assign_plays(stages, ever, purchases=models[0], spend=models[1], summary=book)


def test_same_seed_same_bytes(assign):
    first, second, other = assign(seed=4), assign(seed=4), assign(seed=5)
    pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)
    assert first.text == second.text
    assert not first.table["net"].equals(other.table["net"])


def test_the_settings_know_the_stages():
    assert ChurnStage.__args__ == STAGES
    assert {play.name for play in DEFAULT_PLAYS} == {"welcome", "develop", "defend", "win back", "let go"}


def test_a_study_states_its_plays():
    own = [{"name": "visit", "stages": ["at risk"], "cost": 50, "dropout": 0.7, "source": "sales head, 2025"}]
    plays = clv.load_study("demo", overrides={"plays": own}).settings.plays
    assert plays == [Play(name="visit", stages=["at risk"], cost=50, dropout=0.7, source="sales head, 2025")]
    assert clv.load_study("demo").settings.plays == list(DEFAULT_PLAYS)
    for wrong in ([own[0] | {"stages": ["asleep"]}], [own[0] | {"uplift": 0.1}], own * 2, [own[0] | {"cost": -1}]):
        with pytest.raises(SettingsError, match="plays"):
            clv.load_study("demo", overrides={"plays": wrong})


def test_hidden_states_are_those_of_the_model(book, models):
    """The state of BG/NBD is λ and λp: what `process` reads is what `draw_latent` writes."""
    history = History(*(book[name].to_numpy(float)[:50] for name in ("frequency", "recency", "T")))
    alive, rate, hazard = models[0].draw_latent(models[0].params_.to_numpy()[None].repeat(2000, 0), history,
                                                np.random.default_rng(0))  # fmt: skip
    living = process_of(models[0]).purchases(State(rate, hazard), horizon=HORIZON, discount=DELTA)
    expected = models[0].discounted_expected_purchases(book.iloc[:50], DELTA, HORIZON)
    assert (living * alive).mean(axis=1).sum() == pytest.approx(expected.sum(), rel=0.03)
