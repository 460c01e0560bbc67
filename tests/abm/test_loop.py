"""Learning what tiers add: the posterior against brute force, the store, and the options made from it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import gamma

from clv.abm.experiments.analysis import analyse_experiment
from clv.abm.loop.effects import measure_tiers
from clv.abm.loop.evidence import Measurement, tier_measurements
from clv.abm.loop.response import response_prior, update_response
from clv.abm.loop.shrinkage import Scales, posterior
from clv.abm.loop.store import load_response, save_response
from clv.abm.options import tier_options
from clv.abm.tiers import allocate_tiers
from clv.churn.plays.measured import MeasuredUplift
from clv.data.settings import Tier
from clv.errors import DataError, SettingsError

TIERS = [
    Tier(name="1:1", cost=1000, hours=10, uplift=0.35),
    Tier(name="1:few", cost=200, hours=5, uplift=0.15),
    Tier(name="1:many", cost=20, hours=1, uplift=0.03),
]
ASSUMED = {t.name: t.uplift for t in TIERS}


def some(seed=0, periods=3):
    g = np.random.default_rng(seed)
    return [
        Measurement(t.name, float(t.uplift * 0.5 + g.normal(0, 0.4 * t.uplift)), 0.4 * t.uplift, f"E{p}", s, f"Q{p}")
        for t in TIERS
        for s in ("north", "south")
        for p in range(periods)
    ]


@pytest.mark.parametrize(
    ("uplift", "error", "common"), [(0.1, 0.1, 0.5), (0.9, 0.15, 0.5), (-0.2, 0.3, 1.0), (1.0, 0.4, 1.0)]
)
def test_one_tier_without_own_part_is_the_integral_over_the_factor(uplift, error, common):
    """F ~ Gamma(1/d², 1/d²), by adaptive quadrature."""
    scales = Scales(common=common, tier=0, segment=0, period=0)
    found = posterior([("1:1", "")], {"1:1": 0.4}, scales, [Measurement("1:1", uplift, error, "E")])
    factor = gamma(1 / common**2, scale=common**2)

    def integral(power: int, upto: float = 20.0) -> float:
        def inside(f: float) -> float:
            return float((0.4 * f) ** power * factor.pdf(f) * np.exp(-0.5 * ((uplift - 0.4 * f) / error) ** 2))

        return float(quad(inside, 0, upto, limit=400, points=[0.5, 1, 2, 3] if upto > 3 else None)[0])

    total = integral(0)
    mean, square = integral(1) / total, integral(2) / total
    (at,), (sd,) = found.moments()
    spread = (square - mean**2) ** 0.5
    assert at == pytest.approx(mean, abs=0.05 * spread)
    assert sd == pytest.approx(spread, rel=0.03)
    middle = float(found.quantile(0.5)[0])
    assert integral(0, middle / 0.4) / total == pytest.approx(0.5, abs=0.01)


def test_the_prior_is_the_assumption_on_average_and_a_gamma_about_it():
    found = posterior([("1:1", "")], {"1:1": 0.4}, Scales(0.6, 0, 0, 0), [])
    assert found.moments()[0][0] == pytest.approx(0.4, rel=1e-9)
    assert found.moments()[1][0] == pytest.approx(0.4 * 0.6, rel=0.01)
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        expected = 0.4 * gamma(1 / 0.36, scale=0.36).ppf(level)
        assert found.quantile(level)[0] == pytest.approx(expected, rel=0.03)


def test_programmes_that_do_nothing_are_believed():
    """Every tier measured at nought, precisely and twice: nought is believed, and that the assumption was wrong."""
    nought = [Measurement(t.name, 0.0, 0.001, f"E{k}") for t in TIERS for k in (1, 2)]
    believed = update_response(response_prior(TIERS), nought).table
    assert (believed["mean"].abs() < 0.15 * believed["assumed"]).all()
    assert (believed["upper"] < 0.4 * believed["assumed"]).all()


def test_a_low_guess_is_not_a_sure_one():
    """Above what was assumed there is more room than below it."""
    whole = response_prior(TIERS, scales=Scales(0.5, 0.2, 0.1)).table.set_index("tier")
    assert (whole["upper"] - whole["assumed"] > 1.2 * (whole["assumed"] - whole["lower"])).all()
    prior = response_prior(TIERS, scales=Scales(0.5, 0.2, 0.1))
    high = [Measurement("1:few", 2.5 * 0.15, 0.15, "E")]
    believed = update_response(prior, high).table.set_index("tier")["mean"] / whole["assumed"]
    assert believed["1:few"] > 1.2
    assert believed["1:1"] > 1.1


def test_posterior_agrees_with_importance_sampling_of_the_model_as_it_is_written():
    """Draw scales, factor, tiers, segments and periods from the prior; weigh by the likelihood."""
    evidence = some(3)
    cells = [(t, s) for t in ASSUMED for s in ("", "north", "south")]
    scales = Scales()
    mean, sd = posterior(cells, ASSUMED, scales, evidence).moments()
    g, n = np.random.default_rng(1), 1_500_000
    log, theta = np.zeros(n), {}
    factor = g.gamma(1 / scales.common**2, scales.common**2, n)
    tau_tier, tau_segment, tau_period = (
        size * np.abs(g.standard_normal(n)) for size in (scales.tier, scales.segment, scales.period)
    )
    for tier, uplift in ASSUMED.items():
        own = 1 + tau_tier * g.standard_normal(n)
        theta[tier, ""] = uplift * factor * own
        periods = [tau_period * g.standard_normal(n) for _ in range(3)]
        for segment in ("north", "south"):
            part = own + tau_segment * g.standard_normal(n)
            theta[tier, segment] = uplift * factor * part
            for m in evidence:
                if (m.tier, m.segment) == (tier, segment):
                    expected = uplift * factor * (part + periods[int(m.period[1])])
                    log -= 0.5 * ((m.uplift - expected) / m.standard_error) ** 2
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    effective = 1 / (weight**2).sum()
    assert effective > 3000
    for k, cell in enumerate(cells):
        there = float(weight @ theta[cell])
        spread = float(np.sqrt(weight @ (theta[cell] - there) ** 2))
        # The noise of the draws, and a fiftieth of a standard deviation for the points.
        assert mean[k] == pytest.approx(there, abs=(5 / np.sqrt(effective) + 0.02) * spread)
        assert sd[k] == pytest.approx(spread, rel=0.06)


def test_draws_have_the_posterior_moments_and_move_together():
    response = update_response(response_prior(TIERS, segments=["north", "south"]), some())
    draws = response.draw(40_000, seed=2)
    assert draws.mean(axis=0) == pytest.approx(response.table["mean"], abs=0.02 * response.table["sd"].max())
    assert draws.std(axis=0) == pytest.approx(response.table["sd"], rel=0.03)
    assert np.quantile(draws, 0.95, axis=0) == pytest.approx(response.table["upper"], abs=0.03)
    assert np.corrcoef(draws[:, 0], draws[:, 3])[0, 1] > 0.05
    assert np.array_equal(draws, response.draw(40_000, seed=2))


def test_a_finer_grid_changes_nothing_that_matters():
    cells = [(t, s) for t in ASSUMED for s in ("", "north")]
    (mean, sd), (fine, fine_sd) = (posterior(cells, ASSUMED, Scales(), some(5), points=p).moments() for p in (11, 13))
    assert np.abs((mean - fine) / fine_sd).max() < 0.02
    assert np.abs(sd / fine_sd - 1).max() < 0.02


def test_what_one_tier_shows_moves_the_others_and_its_own_segments_more():
    prior = response_prior(TIERS, segments=["north", "south"])
    after = update_response(prior, [Measurement("1:few", 0.03, 0.01, "E", "north")])
    change = (after.table["mean"] - prior.table["mean"]) / prior.table["assumed"]
    moved = dict(zip(after.cells, change, strict=True))
    assert moved["1:few", "north"] < moved["1:few", ""] < moved["1:1", ""] < 0
    assert moved["1:few", "south"] == pytest.approx(moved["1:few", ""])
    assert moved["1:1", ""] == pytest.approx(moved["1:many", ""])
    assert list(after.table["evidence"].unique()) == ["assumed", "measured"]
    assert "not measured, moved by what other tiers showed" in after.text


def test_a_comparison_of_two_tiers_measures_their_difference():
    prior = response_prior(TIERS)
    sharp = [Measurement("1:many", 0.02, 1e-5, "A"), Measurement("1:few", 0.05, 1e-5, "B", against="1:many")]
    scales = Scales(period=0)
    found = update_response(response_prior(TIERS, scales=scales), sharp).table.set_index("tier")["mean"]
    assert found["1:few"] == pytest.approx(0.07, abs=1e-4)
    assert prior.table["mean"].tolist() == pytest.approx([0.35, 0.15, 0.03])
    with pytest.raises(DataError, match="against"):
        update_response(prior, [Measurement("1:few", 0.05, 0.1, "B", against="1:few")])


def test_order_and_batches_of_measurements_do_not_matter():
    evidence = some(8)
    prior = response_prior(TIERS, segments=["north", "south"])
    once = update_response(prior, evidence)
    twice = update_response(update_response(prior, evidence[::-1][:7]), evidence[::-1][7:])
    pd.testing.assert_frame_equal(once.table, twice.table)
    assert (once.version, twice.version) == (1, 2)


def test_coverage_over_draws_from_the_prior():
    """The model is its own truth: 90 % intervals hold 90 % of the tiers' uplifts."""
    g, hits = np.random.default_rng(11), []
    scales = Scales()
    for _ in range(150):
        tau = scales.tier * abs(g.standard_normal())
        factor = float(g.gamma(1 / scales.common**2, scales.common**2))
        truth = {t: u * factor * (1 + tau * g.standard_normal()) for t, u in ASSUMED.items()}
        period = factor * scales.period * abs(g.standard_normal())
        evidence = []
        for t, u in ASSUMED.items():
            for p in range(2):
                noise = period * g.standard_normal() + 0.5 * g.standard_normal()
                evidence.append(Measurement(t, float(truth[t] + u * noise), 0.5 * u, f"E{p}"))
        found = posterior([(t, "") for t in ASSUMED], ASSUMED, scales, evidence, points=8)
        low, high, true = found.quantile(0.05), found.quantile(0.95), np.array(list(truth.values()))
        hits.append(((true > low) & (true < high)).mean())
    assert np.mean(hits) == pytest.approx(0.9, abs=0.05)


def test_store_and_load_give_the_same_and_equal_evidence_gives_equal_bytes(tmp_path):
    evidence = [
        Measurement("1:1", 0.1, 0.05, "ABM2025", "", "2025", "2025-01-06", "2025-12-31", 30),
        Measurement("1:few", 0.08, 0.04, "ABM2025", "", "2025", "2025-01-06", "2025-12-31", 90),
    ]
    response = update_response(response_prior(TIERS), evidence)
    first = save_response(response, tmp_path / "a.json")
    again = save_response(load_response(first), tmp_path / "b.json")
    assert first.read_bytes() == again.read_bytes()
    document = json.loads(first.read_text("utf-8"))
    assert document["schema_version"] == 2
    assert document["provenance"]["experiments"] == ["ABM2025"]
    assert (document["provenance"]["from"], document["provenance"]["to"]) == ("2025-01-06", "2025-12-31")
    pd.testing.assert_frame_equal(load_response(first).table, response.table)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: d | {"schema": "other"}, "holds no response"),
        (lambda d: d | {"schema_version": 99}, "schema version 99"),
        (lambda d: d | {"measurements": [d["measurements"][0] | {"uplift": 0.9}]}, "was changed"),
        (lambda d: d | {"posterior": [row | {"mean": 0.9} for row in d["posterior"]]}, "does not follow"),
        (lambda d: {k: v for k, v in d.items() if k != "prior"}, "lacks"),
        (lambda d: [d], "holds no response"),
    ],
)
def test_a_file_changed_by_hand_is_refused(tmp_path, spoil, said):
    path = save_response(
        update_response(response_prior(TIERS), [Measurement("1:1", 0.1, 0.05, "E")]), tmp_path / "r.json"
    )
    path.write_text(json.dumps(spoil(json.loads(path.read_text("utf-8")))), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        load_response(path)
    with pytest.raises(DataError, match="cannot be read"):
        load_response(tmp_path / "no.json")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is no JSON"):
        load_response(path)


def test_evidence_of_an_earlier_schema_is_not_lost(tmp_path):
    """Version 1 had a normal in place of the factor: its measurements count, its posterior is made anew."""
    path = save_response(
        update_response(response_prior(TIERS), [Measurement("1:1", 0.1, 0.05, "E")]), tmp_path / "r.json"
    )
    new = load_response(path)
    old = json.loads(path.read_text("utf-8")) | {"schema_version": 1}
    old["posterior"] = [row | {"mean": 0.9} for row in old["posterior"]]
    path.write_text(json.dumps(old), encoding="utf-8")
    pd.testing.assert_frame_equal(load_response(path).table, new.table)


def test_a_measurement_counts_once():
    response = update_response(response_prior(TIERS, segments=["north"]), [Measurement("1:1", 0.1, 0.05, "E")])
    for again in (Measurement("1:1", 0.2, 0.05, "E"), Measurement("1:1", 0.2, 0.05, "E", "north")):
        with pytest.raises(DataError, match="there twice"):
            update_response(response, [again])
    with pytest.raises(DataError, match="segment"):
        update_response(response, [Measurement("1:1", 0.2, 0.05, "F", "west")])
    with pytest.raises(DataError, match="tier"):
        update_response(response, [Measurement("gold", 0.2, 0.05, "F")])
    with pytest.raises(DataError, match="standard error"):
        Measurement("1:1", 0.1, 0.0, "E")
    with pytest.raises(DataError, match="ends before"):
        Measurement("1:1", 0.1, 0.1, "E", start="2025-02-01", end="2025-01-01")
    with pytest.raises(SettingsError):
        update_response(response, [])


def test_options_use_what_was_learnt_and_the_next_plan_changes():
    value = pd.DataFrame({"clv": [6000.0, 6000.0]}, index=pd.Index(["a", "b"], name="account_id"))
    before = tier_options(value, TIERS)
    assert before.attrs["clv"]["uplift"] == "assumed"
    prior = response_prior(TIERS, segments=["north", "south"])
    pd.testing.assert_frame_equal(tier_options(value, TIERS, response=prior), before)
    learnt = update_response(prior, [Measurement("1:1", 0.0, 0.001, "E", s) for s in ("north", "south")])
    after = tier_options(value, TIERS, response=learnt, segments={"a": "north"})
    assert after.attrs["clv"]["uplift"] == "measured"
    table = learnt.table.set_index(["tier", "segment"])["mean"]
    rows = after.set_index(["account_id", "tier"])["value"]
    assert rows["a", "1:1"] == pytest.approx(6000 * table["1:1", "north"])
    assert rows["b", "1:1"] == pytest.approx(6000 * table["1:1", ""])
    assert set(allocate_tiers(before).table["tier"]) == {"1:1"}
    plan = allocate_tiers(after)
    assert "1:1" not in set(plan.table["tier"])
    assert "assum" not in plan.text
    one, same, other = (tier_options(value, TIERS, response=learnt, sample=s)["value"] for s in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)
    with pytest.raises(SettingsError, match="response"):
        tier_options(value, TIERS, sample=1)
    with pytest.raises(SettingsError, match="1:many"):
        tier_options(value, TIERS, response=response_prior(TIERS[:2]))


def trial(n, uplift, seed, tier="1:few"):
    g = np.random.default_rng(seed)
    expected = np.exp(g.normal(6, 0.7, n))
    arm = np.where(g.permutation(n) < n / 2, "treatment", "control")
    orders = g.poisson(expected / 400 * np.where(arm == "treatment", 1 + uplift, 1))
    return pd.DataFrame(
        {"account_id": [f"{tier}{i}" for i in range(n)], "tier": tier, "arm": arm, "expected": expected,
         "margin": orders * 400.0}
    )  # fmt: skip


def test_measured_uplift_is_unbiased_and_its_error_is_right():
    found = [measure_tiers(trial(120, 0.15, s), experiment="E")[0] for s in range(300)]
    uplift, error = np.array([[m.uplift, m.standard_error] for m in found]).T
    assert uplift.mean() == pytest.approx(0.15, abs=3.5 * uplift.std() / np.sqrt(300))
    assert np.sqrt((error**2).mean()) == pytest.approx(uplift.std(), rel=0.12)
    assert np.mean(np.abs(uplift - 0.15) < 1.96 * error) == pytest.approx(0.95, abs=0.04)


def test_segments_are_measured_where_they_are_large_enough():
    table = trial(120, 0.15, 1)
    table["segment"] = np.where(np.arange(120) % 2, "north", "south")
    assert [m.segment for m in measure_tiers(table, experiment="E")] == ["north", "south"]
    table["segment"] = np.where(np.arange(120) < 9, "north", "south")
    assert [m.segment for m in measure_tiers(table, experiment="E")] == [""]
    table["arm"] = np.where(np.arange(120) < 2, "control", "treatment")
    assert measure_tiers(table, experiment="E") == []
    with pytest.raises(DataError, match="expected"):
        measure_tiers(table.assign(expected=-1.0), experiment="E")


def test_where_the_variance_is_known_even_pairs_are_measured():
    """Generalised least squares: 1/Σ(v²/variance) an arm; and hundreds of pairs are off by what they say."""
    pair = pd.DataFrame(
        {"account_id": ["a", "b"], "tier": "1:1", "arm": ["treatment", "control"], "margin": [130.0, 90.0],
         "expected": [100.0, 90.0], "variance": [400.0, 900.0]}
    )  # fmt: skip
    (found,) = measure_tiers(pair, experiment="E")
    assert found.uplift == pytest.approx(1.3 - 1.0)
    assert found.standard_error == pytest.approx((400 / 100**2 + 900 / 90**2) ** 0.5)
    assert measure_tiers(pair.drop(columns="variance"), experiment="E") == []
    with pytest.raises(DataError, match="not above 0"):
        measure_tiers(pair.assign(variance=[1.0, 0.0]), experiment="E")
    z = []
    for seed in range(300):
        table = trial(6, 0.15, seed)
        # Orders of 400 each, as many as expected or 15 % more.
        one = measure_tiers(table.assign(variance=400 * table["expected"] * 1.075), experiment="E")[0]
        z.append((one.uplift - 0.15) / one.standard_error)
    assert np.mean(z) == pytest.approx(0, abs=3.5 / 300**0.5)
    assert np.std(z) == pytest.approx(1, abs=0.15)


def test_measurements_come_from_an_analysis():
    data = pd.concat([trial(200, 0.2, 5, "1:few"), trial(200, 0.0, 6, "1:many")])
    analysis = analyse_experiment(data, by="tier", covariates=["expected"], permutations=199, inference="t")
    found = tier_measurements(analysis, experiment="ABM", tiers=ASSUMED, period="2025", start="2025-01-01")
    assert [m.tier for m in found] == ["1:few", "1:many"]
    rows = analysis.table.set_index("group")
    assert found[0].uplift == pytest.approx(rows.loc["1:few", "effect"] / rows.loc["1:few", "mean_control"])
    assert found[0].accounts == 200
    # The error of the ratio: against the bootstrap of the same ratio of means (no covariate in either).
    plain = analyse_experiment(data, by="tier", covariates=[], adjustment="none", permutations=199, inference="t")
    one = tier_measurements(plain, experiment="ABM", tiers=["1:few"])[0]
    few = data[data["tier"] == "1:few"]
    t, c = (few.loc[few["arm"] == a, "margin"].to_numpy() for a in ("treatment", "control"))
    g = np.random.default_rng(0)
    ratio = [g.choice(t, len(t)).mean() / g.choice(c, len(c)).mean() - 1 for _ in range(2000)]
    assert one.standard_error == pytest.approx(np.std(ratio), rel=0.15)
    with pytest.raises(DataError, match="no row is of a tier"):
        tier_measurements(analysis, experiment="ABM", tiers=["gold"])
    taken = Measurement.of(MeasuredUplift(0.1, 0.05, "somewhere", ("a", "b")), tier="1:1", experiment="X")
    assert (taken.uplift, taken.accounts) == (0.1, 2)


def test_picture_of_before_and_after():
    import matplotlib as mpl

    mpl.use("Agg")
    prior = response_prior(TIERS)
    assert prior.plot().get_title() == "What a tier adds: assumed and learnt"
    ax = update_response(prior, [Measurement("1:1", 0.1, 0.05, "E")]).plot()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["assumed", "believed now", "measured"]
