"""The loop in universes of known truth: the world is what it says, the lot costs nothing, and learning pays."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from clv.abm.loop.policies import Learner, Means
from clv.abm.loop.shrinkage import Scales
from clv.abm.loop.simulation import simulate_loop
from clv.abm.loop.world import WEEKS, World
from clv.data import simulate
from clv.data.settings import Tier
from clv.errors import SettingsError

#: cost and hours of the sample `demo`, without its limit on 1:1.
TIERS = [
    Tier(name="1:1", cost=4000, hours=60, uplift=0.35),
    Tier(name="1:few", cost=800, hours=20, uplift=0.15),
    Tier(name="1:many", cost=80, hours=0.5, uplift=0.03),
]
#: money and hours of the sample `demo` an account, four times over: assumptions decide, not the limits.
BUDGET, HOURS = 4 * 40_000 / 600, 4 * 720 / 600


@cache
def universe(accounts: int, seed: int) -> simulate.Universe:
    return simulate.draw(accounts=accounts, seed=seed)


def test_a_quarter_brings_on_average_what_the_truth_says():
    world = World.of(universe(600, 3), TIERS)
    rng = np.random.default_rng(1)
    for tier in (-1, 0, 2):
        everyone = np.full(len(world.ids), tier)
        came = np.array([world.live(everyone, rng).sum() for _ in range(600)])
        rate, dropout = world.rate * world.alive, world.dropout
        # λ(1 − e^{−λpH})/(λp), the purchases expected of a living account.
        base = np.where(rate > 0, -np.expm1(-rate * dropout * WEEKS) / dropout, 0.0)
        expected = float((world.margin * world.spend * base).sum())
        if tier >= 0:
            expected += float(world.added[:, tier].sum())
        assert came.mean() == pytest.approx(expected, abs=4 * came.std() / np.sqrt(600))


def test_true_uplifts_are_those_of_the_universe():
    world = World.of(universe(600, 3), TIERS)
    truth = universe(600, 3).truth["tiers"]
    # Over a quarter drop-out matters less than over the year of the truth's own table, the purchase rate as much.
    for k, tier in enumerate(TIERS):
        rows = truth[truth["tier"] == tier.name].set_index("account_id").loc[world.ids]
        yearly = rows["incremental_margin"].sum() / rows["margin_52"].sum()
        quarter = world.added[:, k].sum() / world.expected.sum()
        assert 0.4 * yearly < quarter < 1.3 * yearly
    assert set(world.segment) == {"paper", "ERP", "EDI"}
    assert set(World.of(universe(600, 3), TIERS, segment=None).segment) == {""}


def test_the_lot_changes_who_gets_a_tier_and_nothing_else():
    world = World.of(universe(600, 3), TIERS)
    learner = Learner.begin("measured", world, TIERS, Means(40_000, 900, {}), (0.5, 0.2), Scales(), 8)
    planned = learner._planned(None)
    moved = 0
    for seed in range(20):
        given, drawn = learner._exchange(planned, 8, np.random.default_rng(seed))
        assert np.array_equal(np.bincount(planned + 1), np.bincount(given + 1))
        moved += int((given != planned).sum())
        at = drawn["at"].to_numpy()
        assert len(set(at)) == len(at)
        untouched = np.setdiff1d(np.arange(len(planned)), at)
        assert np.array_equal(given[untouched], planned[untouched])
        for (_, _), rows in drawn.groupby(["tier", "against"]):
            assert (rows["arm"] == "treatment").sum() == (rows["arm"] == "control").sum()
    assert moved > 0
    # Both accounts of a pair are at the margin: what changes places is worth about the same either way.
    believed = [float(world.expected[planned == k].mean()) for k in (0, 1, 2)]
    for tier, rows in drawn.groupby("tier"):
        name = [t.name for t in TIERS].index(str(tier))
        assert world.expected[rows["at"]].mean() < believed[name]


def test_learning_pays_where_assumptions_are_too_high():
    """Management believes in two and a half times the truth, as those do who trust in surveys."""
    found = simulate_loop(
        [universe(1500, seed) for seed in (1, 2)], TIERS, budget=1500 * BUDGET, hours=1500 * HOURS, quarters=5,
        optimism=2.5, belief_error=0.3, lots=(0.4, 0.15),
    )  # fmt: skip
    totals = found.totals.set_index("policy")
    assert totals.loc["measured", "net"] > totals.loc["fixed", "net"]
    assert totals.loc["measured", "net"] > totals.loc["rank and cut", "net"]
    path = found.table[found.table["policy"] == "measured"].set_index("quarter")["planned_share"]
    assert path[5] > path[1] + 0.05
    assert (found.runs["net"] <= found.runs["universe"].map(
        found.runs[found.runs["policy"] == "oracle"].groupby("universe")["net"].max()) * 1.002).all()  # fmt: skip
    assert found.response is not None
    assert found.response.version >= 4
    assert "measured: " in found.text
    ax = found.plot()
    assert {t.get_text() for t in ax.get_legend().get_texts()} == {"measured", "fixed", "rank and cut"}


def test_equal_seeds_give_equal_runs():
    a, b, c = (
        simulate_loop(universe(600, 3), TIERS, budget=80_000, quarters=2, policies=("measured",), seed=s).runs
        for s in (1, 1, 2)
    )
    assert a.equals(b)
    assert not a.equals(c)


@pytest.mark.parametrize(
    "wrong", [{"quarters": 0}, {"lots": (0.1, 0.3)}, {"policies": ("luck",)}, {"segment": "colour"}]
)
def test_impossible_arguments_are_refused(wrong):
    with pytest.raises(SettingsError):
        simulate_loop(universe(600, 3), TIERS, **wrong)
    with pytest.raises(SettingsError, match="no tier"):
        World.of(universe(600, 3), [Tier(name="gold", cost=1, uplift=0.1)])


@pytest.mark.slow
def test_over_eight_quarters_measuring_approaches_the_oracle_and_beats_both_others():
    found = simulate_loop(
        [universe(1500, seed) for seed in range(1, 9)], TIERS, budget=1500 * BUDGET, hours=1500 * HOURS, optimism=2.5,
        belief_error=0.3, lots=(0.4, 0.15),
    )  # fmt: skip
    totals = found.totals.set_index("policy")
    for other in ("fixed", "rank and cut"):
        assert totals.loc[other, "against"] > 3 * totals.loc[other, "against_se"]
        assert totals.loc[other, "universes_better"] >= 7
    regret = found.table.pivot_table(index="quarter", columns="policy", values="regret_share")
    # Regret falls by a third at least, and ends below what fixed assumptions cost for ever.
    assert regret.loc[6:, "measured"].mean() < 2 / 3 * regret.loc[1, "measured"]
    assert regret.loc[8, "measured"] < 2 / 3 * regret.loc[8, "fixed"]


@pytest.mark.slow
def test_learning_pays_in_books_as_small_as_the_sample_on_average():
    """Some 380 customers each, at most eight of them in 1:1: single books may lose, many of them do not."""
    demo = [TIERS[0].model_copy(update={"at_most": 8}), *TIERS[1:]]
    found = simulate_loop(
        [universe(600, seed) for seed in range(1, 25)], demo, budget=600 * BUDGET, hours=600 * HOURS, optimism=2.5,
        belief_error=0.3, lots=(0.4, 0.15),
    )  # fmt: skip
    totals = found.totals.set_index("policy")
    for other in ("fixed", "rank and cut"):
        assert totals.loc[other, "against"] > 3 * totals.loc[other, "against_se"]
    regret = found.table.pivot_table(index="quarter", columns="policy", values="regret_share")
    assert regret.loc[8, "measured"] < 2 / 3 * regret.loc[8, "fixed"]


@pytest.mark.slow
def test_where_assumptions_are_right_measuring_costs_little():
    """The assumptions of the sample itself are near the truth: nothing to gain, and the lot costs a few per cent."""
    demo = [TIERS[0].model_copy(update={"at_most": 8}), *TIERS[1:]]
    found = simulate_loop(
        [universe(600, seed) for seed in range(1, 9)], demo, budget=40_000, hours=720, lots=(0.4, 0.15)
    )  # fmt: skip
    share = found.totals.set_index("policy")["share"]
    assert share["measured"] > share["fixed"] - 0.05
    assert share["measured"] > share["rank and cut"]
