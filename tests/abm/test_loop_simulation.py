"""The loop in universes of known truth: the world is what it says, lots are sized by their worth, and learning pays."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from clv.abm.allocation.compare import compare_allocations
from clv.abm.loop.planner import Means, Planner
from clv.abm.loop.policies import Learner
from clv.abm.loop.programme import past_programme
from clv.abm.loop.records import WEEKS, Noise, Records
from clv.abm.loop.shrinkage import Scales
from clv.abm.loop.simulation import simulate_loop
from clv.abm.loop.study import Situation, study_loop
from clv.abm.loop.world import World
from clv.abm.options import tier_options
from clv.abm.tiers import allocate_tiers
from clv.data import simulate
from clv.data.settings import Tier
from clv.errors import SettingsError

#: cost, hours and assumptions of the sample `demo`.
TIERS = [
    Tier(name="1:1", cost=4000, hours=60, uplift=0.35, at_most=8),
    Tier(name="1:few", cost=800, hours=20, uplift=0.15),
    Tier(name="1:many", cost=80, hours=0.5, uplift=0.03),
]
QUARTER = [t.model_copy(update={"cost": t.cost / 4, "hours": t.hours / 4}) for t in TIERS]
MEANS = Means(10_000, 180)


@cache
def universe(accounts: int, seed: int) -> simulate.Universe:
    return simulate.draw(accounts=accounts, seed=seed)


@cache
def world(seed: int = 3) -> World:
    return World.of(universe(600, seed), QUARTER)


def learner(policy="measured", last=8, scales=None, seed=3) -> Learner:
    here = world(seed)
    return Learner.begin(policy, here, QUARTER, Planner(here.ids, QUARTER, MEANS), scales or Scales(), last)


def luck(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_quarter_brings_on_average_what_the_truth_says():
    here = world()
    rng = np.random.default_rng(1)
    for tier in (-1, 0, 2):
        everyone = np.full(len(here.ids), tier)
        came = np.array([here.margin * here.live(everyone, rng).sales.sum() for _ in range(250)])
        rate, dropout = here.rate * here.alive, here.dropout
        # λ(1 − e^{−λpH})/(λp), the purchases expected of a living account.
        base = np.where(rate > 0, -np.expm1(-rate * dropout * WEEKS) / dropout, 0.0)
        expected = float((here.margin * here.spend * base).sum())
        if tier >= 0:
            expected += float(here.added[:, tier].sum())
        assert came.mean() == pytest.approx(expected, abs=4 * came.std() / np.sqrt(250))


def test_the_same_luck_meets_every_plan():
    here = world()
    plan = np.full(len(here.ids), -1)
    other = np.where(np.arange(len(plan)) % 3 == 0, 0, -1)
    a, b = here.live(plan, luck(5)), here.live(other, luck(5))
    assert np.array_equal(a.sales[other < 0], b.sales[other < 0])
    assert (a.sales[other == 0] != b.sales[other == 0]).any()
    assert (a.last <= WEEKS).all()
    assert np.array_equal(a.purchases > 0, a.last > 0)


def test_true_uplifts_are_those_of_the_universe():
    here, truth = world(), universe(600, 3).truth["tiers"]
    # Over a quarter drop-out matters less than over the year of the truth's own table, the purchase rate as much.
    for k, tier in enumerate(QUARTER):
        rows = truth[truth["tier"] == tier.name].set_index("account_id").loc[here.ids]
        yearly = rows["incremental_margin"].sum() / rows["margin_52"].sum()
        quarter = here.added[:, k].sum() / here.expected.sum()
        assert 0.4 * yearly < quarter < 1.3 * yearly
    assert set(here.segment) == {"paper", "ERP", "EDI"}
    assert set(World.of(universe(600, 3), QUARTER, segment=None).segment) == {""}


def test_records_grow_by_what_was_bought_and_forecasts_come_nearer_to_the_truth():
    here = world()
    nobody = np.full(len(here.ids), -1)
    ones = np.ones(len(nobody))
    came = here.live(nobody, luck(1))
    old, new = here.records.summary, here.records.after(came, 2 * ones).summary
    assert (new["T"] - old["T"]).to_numpy() == pytest.approx(2 * WEEKS * ones)
    assert np.array_equal(new["frequency"] - old["frequency"], came.purchases)
    assert (new["recency"] <= new["T"]).all()
    bought = came.purchases > 0
    assert new.loc[bought, "recency"].to_numpy() == pytest.approx((old["T"] + 2 * came.last)[bought].to_numpy())
    assert (new["monetary_value"] * new["frequency"]).sum() == pytest.approx(
        (old["monetary_value"] * old["frequency"]).sum() + came.sales.sum()
    )
    base = here.margin * here.spend * here.alive * -np.expm1(-here.rate * here.dropout * WEEKS) / here.dropout
    records, off = here.records, []
    for quarter in range(6):
        off.append(float(np.abs(records.forecast() - base).sum() / base.sum()))
        records = records.after(here.live(nobody, luck(quarter)), ones)
    assert off[-1] < 0.8 * off[0]
    earlier, later = Records.of(universe(600, 3), here.margin, before=WEEKS)
    assert earlier.summary["T"].max() < old["T"].max()
    assert later.sum() > 0


def test_noise_is_found_and_one_giant_decides_nothing():
    rng = np.random.default_rng(2)
    v = np.exp(rng.normal(7.5, 0.8, 4000))
    y = v + rng.standard_normal(4000) * np.sqrt(400 * v + 0.2 * v**2)
    found = Noise.of(v, y)
    assert found.variance(np.array([2000.0, 8000.0])) == pytest.approx([1.6e6, 16e6], rel=0.12)
    y[0] = 1e9
    assert Noise.of(v, y).variance(np.array([2000.0])) == pytest.approx(1.6e6, rel=0.12)
    assert found.moderate(v, y)[0] == pytest.approx(v[0] + 2.5 * np.sqrt(found.variance(v[:1])[0]))


def test_the_planner_plans_as_allocate_tiers_does():
    here = world()
    planner = Planner(here.ids, QUARTER, MEANS)
    value = np.array([t.uplift for t in QUARTER]) * here.expected[:, None]
    options = tier_options(pd.DataFrame({"clv": here.expected}, index=pd.Index(here.ids, name="account_id")), QUARTER)
    plan = allocate_tiers(options, budget=10_000, hours=180, counts={"1:1": (0, 8)})
    assert planner.worth(planner.best(value), value) == pytest.approx(plan.objective, rel=4e-3)
    assert planner.worth(planner.quick(value), value) > 0.9 * plan.objective
    compared = compare_allocations(plan).table.set_index("plan")
    cut = planner.worth(planner.rank_and_cut(value), value)
    assert (np.abs(compared.select_dtypes(float) - cut) < 1e-6 * cut).any(axis=None)
    # Somebody small is to get 1:1, somebody large nothing: the rest is planned around them.
    order = np.argsort(here.expected)
    kept = planner.kept(value, order[[-40, -1]], np.array([0, -1]))
    assert kept is not None
    assert (kept[order[-40]], kept[order[-1]]) == (0, -1)
    used = kept[kept >= 0]
    assert planner.cost[used].sum() <= 10_000
    assert (used == 0).sum() <= 8
    assert planner.kept(value, order[-12:], np.zeros(12, dtype=int)) is None


def test_the_lot_stays_within_the_means_and_pairs_are_treated_by_halves():
    """With loose beliefs there is a lot to learn, and lots are large."""
    seen = {"moved": 0, "treated": 0, "accounts": 0}
    for seed in range(6):
        one = learner(scales=Scales(1.0, 0.4, 0.2))
        belief = one.belief()
        expected = one.records.forecast()
        value = one._uplift(belief.mean) * expected[:, None]
        planned = one.planner.best(value)
        given, lots = one._lots(planned, expected, belief, 8, luck(seed))
        used = given[given >= 0]
        # Whoever is in two comparisons is drawn in one, and no dearer pair in their place: the lot stays cheap.
        assert one.planner.worth(given, value) > 0.85 * one.planner.worth(planned, value)
        assert one.planner.cost[used].sum() <= 10_000 + 1e-6
        assert one.planner.hours[used].sum() <= 180 + 1e-6
        assert (used == 0).sum() <= 8
        assert len(set(lots.account)) == len(lots.account)
        assert np.array_equal(given[lots.account], np.where(lots.treated, lots.upper, lots.lower))
        both = pd.DataFrame({"u": lots.upper, "l": lots.lower, "t": lots.treated}).groupby(["u", "l"])["t"]
        assert (both.mean() == 0.5).all()
        seen["moved"] += int((given != planned).sum())
        seen["treated"] += int(lots.treated[lots.upper == 0].sum())
        seen["accounts"] += len(lots.account)
    assert seen["moved"] > 10
    assert seen["treated"] > 0


def test_nothing_is_put_to_the_lot_in_the_last_quarter_or_where_nothing_is_in_doubt():
    for one, left in ((learner(), 1), (learner(scales=Scales(1e-6, 1e-6, 1e-6)), 8)):
        belief, expected = one.belief(), one.records.forecast()
        planned = one.planner.best(one._uplift(belief.mean) * expected[:, None])
        given, lots = one._lots(planned, expected, belief, left, luck(1))
        assert np.array_equal(given, planned)
        assert len(lots.account) == 0


def test_only_the_measuring_policy_learns_and_the_told_one_knows():
    told, fixed, measured = (learner(p, scales=Scales(1.0, 0.4, 0.2)) for p in ("told", "fixed", "measured"))
    for one in (told, fixed, measured):
        for quarter in (1, 2, 3):
            planned, given = one.quarter(quarter, luck(0), luck(9, quarter))
            if one is not measured:
                assert np.array_equal(planned, given)
    assert (told.measurements, fixed.measurements) == ([], [])
    assert fixed.belief().mean.reshape(3, 3)[:, 0] == pytest.approx([0.35, 0.15, 0.03])
    true = world().true_uplift()
    assert told.belief().mean.reshape(3, 3).mean(axis=1) == pytest.approx(true, rel=0.35)
    assert measured.measurements
    assert measured.response.version == 3
    assert {m.experiment for m in measured.measurements} <= {f"quarter {q}" for q in (1, 2, 3)}


def test_measurements_of_the_loop_and_of_the_past_programme_are_as_precise_as_they_say():
    """A learner who doubts everything puts many accounts to the lot: hundreds of measurements against the truth."""
    z, past = [], []
    for seed in (1, 2, 3):
        one = learner(scales=Scales(1.0, 0.4, 0.2), seed=seed)
        here = world(seed)
        true = {
            (tier.name, label): here.true_uplift(here.segment == label)[k]
            for k, tier in enumerate(QUARTER)
            for label in one.labels
        }
        for quarter in (1, 2, 3, 4):
            one.quarter(quarter, luck(seed), luck(seed, quarter))
        for found, into in ((one.measurements, z), (past_programme(universe(600, seed), margin=here.margin), past)):
            for m in found:
                expected = true[m.tier, m.segment] - (true[m.against, m.segment] if m.against else 0.0)
                into.append((m.uplift - expected) / m.standard_error)
    for some in (np.array(z), np.array(past)):
        assert len(some) > 20
        assert abs(some.mean()) < 4 / np.sqrt(len(some))
        assert 0.75 < some.std() < 1.3


def test_equal_seeds_give_equal_runs():
    a, b, c = (
        simulate_loop(universe(600, 3), TIERS, budget=40_000, hours=720, quarters=2, policies=("measured",), seed=s)
        for s in (1, 1, 2)
    )
    assert a.runs.equals(b.runs)
    assert not a.runs.equals(c.runs)
    assert a.response is not None
    assert "measured: " in a.text
    assert set(a.table["policy"]) == {"oracle", "measured"}


@pytest.mark.parametrize(
    "wrong", [{"quarters": 0}, {"policies": ("luck",)}, {"segment": "colour"}, {"universes": []}, {"start": "dreams"}]
)
def test_impossible_arguments_are_refused(wrong):
    given = {"universes": universe(600, 3)} | wrong
    with pytest.raises(SettingsError):
        simulate_loop(given.pop("universes"), TIERS, **given)
    with pytest.raises(SettingsError, match="no tier"):
        World.of(universe(600, 3), [Tier(name="gold", cost=1, uplift=0.1)])


def test_a_study_of_situations_says_what_it_found():
    asked = {"as stated": Situation(), "too high": Situation(2.5, 4.0)}
    found = study_loop(
        TIERS, budget=40_000, hours=720, universes=[universe(600, s) for s in (1, 3)], quarters=2, situations=asked
    )
    assert set(found.table["situation"]) == set(asked)
    assert len(found.table) == 8
    ours = found.table[found.table["policy"] == "measured"]
    assert (ours["behind"] == 0).all()
    assert (found.table["share"] <= 1.0 + 1e-9).all()
    # Money that buys nothing: four times the means, and effects believed 2.5 times too high.
    fixed = found.table[found.table["policy"] == "fixed"].set_index("situation")["share"]
    assert fixed["too high"] < fixed["as stated"]
    assert "As stated: " in found.text
    assert "points" in found.text
    import matplotlib as mpl

    mpl.use("Agg")
    assert found.plot().get_title(loc="left") == "As stated"
    with pytest.raises(SettingsError):
        study_loop(TIERS, universes=0)
    assert "What can be learnt is limited by luck" in found.text
    assert set(found.reach) == set(asked)
    for wrong in ({}, {"few": Situation((1.0, 2.0))}, {"none": Situation(size=0)}):
        with pytest.raises(SettingsError):
            study_loop(TIERS, universes=1, accounts=100, situations=wrong)


def test_a_larger_book_has_its_means_in_proportion_and_each_tier_its_own_times():
    one, two = Situation((0.5, 2.0, 1.0)), Situation((0.5, 2.0, 1.0), size=2)
    uncapped = [t.model_copy(update={"at_most": None}) for t in TIERS]
    same = [
        study_loop(uncapped, budget=b, hours=h, universes=1, accounts=n, quarters=1, situations={"one": s}).table
        for b, h, n, s in ((20_000, 360, 300, one), (10_000, 180, 150, two))
    ]
    pd.testing.assert_frame_equal(*same)


def test_real_studies_are_told_why_the_loop_cannot_be_tried_out():
    from clv.report.pipeline import open_run
    from clv.result import Missing

    found = open_run("cdnow").loop_study
    assert isinstance(found, Missing)
    assert "real data" in found.text


@pytest.mark.slow
def test_where_assumptions_are_right_measuring_costs_next_to_nothing_and_beats_rank_and_cut():
    """The assumptions of the sample are near the truth, and its budget binds: there is little to learn."""
    found = simulate_loop([universe(600, seed) for seed in range(1, 8)], TIERS, budget=40_000, hours=720)
    totals = found.totals.set_index("policy")
    assert totals.loc["measured", "share"] > totals.loc["fixed", "share"] - 0.015
    assert totals.loc["rank and cut", "against"] > 3 * totals.loc["rank and cut", "against_se"]
    path = found.table[found.table["policy"] == "measured"].set_index("quarter")["share"]
    assert path[8] > path[1]


@pytest.mark.slow
def test_over_eight_quarters_measuring_approaches_the_oracle_where_assumptions_are_too_high():
    """Management believes in two and a half times its figures, as those do who trust in surveys, and has the money."""
    rich = [t.model_copy(update={"uplift": 2.5 * t.uplift, "at_most": None}) for t in TIERS]
    found = simulate_loop([universe(600, seed) for seed in range(1, 11)], rich, budget=160_000, hours=2_880)
    totals = found.totals.set_index("policy")
    for other in ("fixed", "rank and cut"):
        assert totals.loc[other, "against"] > 2.5 * totals.loc[other, "against_se"]
        assert totals.loc[other, "universes_better"] >= 8
    regret = found.table.pivot_table(index="quarter", columns="policy", values="regret_share")
    # Regret falls by a quarter at least, and ends below four fifths of what fixed assumptions cost for ever.
    assert regret.loc[6:, "measured"].mean() < 3 / 4 * regret.loc[1, "measured"]
    assert regret.loc[8, "measured"] < 4 / 5 * regret.loc[8, "fixed"]


@pytest.mark.slow
def test_where_assumptions_are_too_low_a_low_guess_is_found_out():
    """Management believes in two fifths of its figures; what the last programme showed and what lots show say more."""
    low = [t.model_copy(update={"uplift": 0.4 * t.uplift}) for t in TIERS]
    books = [universe(600, seed) for seed in range(1, 17)]
    found = simulate_loop(books, low, budget=40_000, hours=720, policies=("measured", "fixed"))
    totals = found.totals.set_index("policy")
    assert totals.loc["fixed", "against"] > 2.5 * totals.loc["fixed", "against_se"]
    assert totals.loc["measured", "share"] > totals.loc["fixed", "share"] + 0.03
    path = found.table[found.table["policy"] == "measured"].set_index("quarter")["share"]
    assert path[8] > path[1]


@pytest.mark.slow
def test_large_books_learn_faster():
    """Five times as many accounts and as much money, effects assumed too low: nearer to who knows the effects."""
    low = [t.model_copy(update={"uplift": 0.4 * t.uplift, "at_most": t.at_most and 5 * t.at_most}) for t in TIERS]
    books = [universe(3000, seed) for seed in range(1, 6)]
    found = simulate_loop(books, low, budget=200_000, hours=3_600, policies=("told", "measured", "fixed"))
    totals = found.totals.set_index("policy")
    assert totals.loc["fixed", "against"] > 2.5 * totals.loc["fixed", "against_se"]
    lost = totals.loc["told", "share"] - totals["share"]
    assert lost["measured"] < 0.6 * lost["fixed"]
