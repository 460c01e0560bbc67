"""The engine of experiments: CR2 and its degrees of freedom, block estimates, reassignment, randomisation tests."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from clv.abm.experiments.linear import fit_cr2
from clv.abm.experiments.multiplicity import _step_down
from clv.abm.experiments.randomisation import Draws
from clv.abm.experiments.reassign import log_assignments, reassign, statistics
from clv.abm.experiments.resample import resampled_counts, resampled_effects
from clv.abm.experiments.trial import Comparison, estimate
from clv.errors import FitError


def blocks_of(rng, sizes, treated):
    block = np.repeat(np.arange(len(sizes)), sizes)
    flags = [rng.permutation(np.arange(n) < t) for n, t in zip(sizes, treated, strict=True)]
    return np.concatenate(flags), block


def test_without_anything_else_it_is_neymans_variance_and_nearly_welchs_dof():
    rng = np.random.default_rng(1)
    z = np.arange(30) < 11
    y = rng.normal(size=30) * np.where(z, 3.0, 1.0)
    fit = estimate(Comparison.of(z), y[:, None])
    neyman = y[z].var(ddof=1) / 11 + y[~z].var(ddof=1) / 19
    assert fit.effect[0] == pytest.approx(y[z].mean() - y[~z].mean())
    assert fit.se[0] ** 2 == pytest.approx(neyman)
    # Bell & McCaffrey's dof take the working model, not the observed variances: Welch's formula at equal variances.
    a, b = 1 / 11, 1 / 19
    assert fit.dof == pytest.approx((a + b) ** 2 / (a**2 / 10 + b**2 / 18))


def test_cr2_is_its_definition():
    """Against (I − H)^(−1/2) written out, and the moments of the quadratic form under the working model."""
    rng = np.random.default_rng(2)
    cluster = np.repeat(np.arange(7), [2, 3, 4, 5, 2, 6, 3])
    n = len(cluster)
    x = np.column_stack([(cluster % 2).astype(float), np.ones(n), rng.normal(size=n)])
    y = rng.normal(size=n)
    fit = fit_cr2(x, y[:, None], column=0, clusters=cluster)
    bread = np.linalg.inv(x.T @ x)
    h = x @ bread @ x.T
    e = y - h @ y
    g = np.zeros((n, 7))
    for c in range(7):
        rows = np.flatnonzero(cluster == c)
        value, vector = np.linalg.eigh(np.eye(len(rows)) - h[np.ix_(rows, rows)])
        g[rows, c] = vector @ np.diag(value**-0.5) @ vector.T @ (x[rows] @ bread)[:, 0]
    assert fit.covariance[0, 0] == pytest.approx(float(((g.T @ e) ** 2).sum()))
    middle = g.T @ (np.eye(n) - h) @ g
    assert fit.dof == pytest.approx(np.trace(middle) ** 2 / np.trace(middle @ middle))


def test_unbiased_under_the_working_model():
    rng = np.random.default_rng(3)
    z = np.arange(8) < 3
    x = np.column_stack([z.astype(float), np.ones(8)])
    y = rng.normal(size=(8, 1500))
    fit = fit_cr2(x, y, column=0)
    assert np.diag(fit.covariance).mean() == pytest.approx(1 / 3 + 1 / 5, rel=0.07)


def test_pairs_are_the_paired_t_test():
    rng = np.random.default_rng(4)
    z, block = blocks_of(rng, [2] * 15, [1] * 15)
    y = rng.normal(size=30) + 3 * np.repeat(rng.normal(size=15), 2) + 0.4 * z
    comparison = Comparison.of(z, block=block)
    fit = estimate(comparison, y[comparison.order][:, None])
    order = np.lexsort((~z, block))
    paired = stats.ttest_rel(y[order][::2], y[order][1::2])
    assert comparison.small_blocks
    assert fit.dof == pytest.approx(14)
    assert fit.effect[0] / fit.se[0] == pytest.approx(paired.statistic)


def test_a_few_small_blocks_do_not_hide_what_the_large_ones_show():
    """Two strata of 100 and 60 accounts and one of three, of which only one is treated."""
    rng = np.random.default_rng(12)
    found, held = [], 0
    for _ in range(300):
        z, block = blocks_of(rng, [100, 60, 3], [50, 30, 1])
        comparison = Comparison.of(z, block=block)
        y = rng.normal(size=163) + 0.5 * block + 0.6 * z
        fit = estimate(comparison, y[comparison.order][:, None])
        found.append((fit.effect[0], fit.se[0], fit.dof))
        held += abs(fit.effect[0] - 0.6) <= stats.t.ppf(0.975, fit.dof) * fit.se[0]
    effect, se, dof = np.array(found).T
    assert dof.min() > 100
    assert se.max() < 1.7 * se.min()
    assert np.sqrt((se**2).mean()) == pytest.approx(effect.std(ddof=1), rel=0.12)
    assert held / 300 == pytest.approx(0.95, abs=0.035)
    z, block = blocks_of(rng, [100, 60, 3], [50, 30, 1])
    comparison = Comparison.of(z, block=block)
    y = (rng.normal(size=163) + 0.6 * z)[comparison.order]
    said = Draws(comparison, draws=399, rng=rng).analyse(y, confidence=0.95)
    assert said.upper - said.lower < 0.8


def test_strata_are_weighted_with_their_accounts_whatever_share_was_treated():
    rng = np.random.default_rng(5)
    z, block = blocks_of(rng, [12, 30, 8], [3, 20, 4])
    y = rng.normal(size=50) + block * 5.0 + z * (1.0 + block)
    comparison = Comparison.of(z, block=block)
    by_hand = sum((block == b).mean() * (y[(block == b) & z].mean() - y[(block == b) & ~z].mean()) for b in range(3))
    variance = sum(
        (block == b).mean() ** 2
        * (y[(block == b) & z].var(ddof=1) / (z & (block == b)).sum()
           + y[(block == b) & ~z].var(ddof=1) / (~z & (block == b)).sum())
        for b in range(3)
    )  # fmt: skip
    fit = estimate(comparison, y[comparison.order][:, None])
    assert fit.effect[0] == pytest.approx(by_hand)
    assert fit.se[0] ** 2 == pytest.approx(variance)


def shaped(shape, adjustment, rng):
    """Draw an experiment of some design, two covariates and two outcomes whose level is large."""
    cluster = None
    if shape == "complete":
        z, block = rng.permutation(np.arange(26) < 13), None
    elif shape == "clusters":
        cluster, block = np.repeat(np.arange(12), 4), None
        z = rng.permutation(np.arange(12) < 5)[cluster]
    elif shape == "clusters in strata":
        cluster = np.repeat(np.arange(40), 3)
        z, block = (part[cluster] for part in blocks_of(rng, [10] * 4, [4] * 4))
    elif shape == "pairs and strata":
        z, block = blocks_of(rng, [2, 20, 3, 2, 15, 2, 3, 2], [1, 8, 2, 1, 9, 1, 1, 1])
    else:
        size, t = {"strata": (9, 4), "pairs": (2, 1), "triplets": (3, 2)}[shape]
        z, block = blocks_of(rng, [size] * 20, [t] * 20)
    x = rng.normal(size=(len(z), 2))
    y = 1000 + rng.normal(size=(len(z), 2)) + x[:, :1]
    comparison = Comparison.of(z, block=block, cluster=cluster, covariates=x, adjustment=adjustment)
    return comparison, y[comparison.order]


DESIGNS = ["complete", "strata", "pairs", "triplets", "pairs and strata", "clusters", "clusters in strata"]


@pytest.mark.parametrize("adjustment", ["none", "cuped", "lin"])
@pytest.mark.parametrize("shape", DESIGNS)
def test_many_assignments_at_once_give_the_same_estimates_as_one_by_one(adjustment, shape):
    rng = np.random.default_rng(6)
    comparison, y = shaped(shape, adjustment, rng)
    drawn = reassign(
        comparison.treated.astype(int), block=comparison.block, units=comparison.units, cluster=comparison.cluster,
        draws=5, rng=rng,
    )  # fmt: skip
    effect, covariance = statistics(comparison, y, drawn)
    for b, flags in enumerate(drawn.astype(bool)):
        one = Comparison(**{**comparison.__dict__, "treated": flags})
        fit = estimate(one, y)
        np.testing.assert_allclose(effect[b], fit.effect, atol=1e-10)
        # The one is CR0 with scores to first order in the covariates, the other CR2: of the same size.
        assert (np.sqrt(np.diag(covariance[b])) / fit.se > 0.6).all()
        assert (np.sqrt(np.diag(covariance[b])) / fit.se < 1.2).all()
    # Sums alone say the same as row by row.
    by_row = statistics(comparison, np.broadcast_to(y, (5, *y.shape)), drawn)
    np.testing.assert_allclose(effect, by_row[0], atol=1e-10)
    np.testing.assert_allclose(covariance, by_row[1], rtol=1e-9)


def test_sums_alone_say_that_nothing_varies():
    """Levels that no account differs from leave no error behind, however large they are."""
    comparison = Comparison.of(np.arange(12) % 3 == 0)
    drawn = reassign(
        comparison.treated.astype(int), block=comparison.block, units=comparison.units, cluster=comparison.cluster,
        draws=20, rng=np.random.default_rng(0),
    )  # fmt: skip
    for level in (0.1, 1e7 / 3):
        effect, covariance = statistics(comparison, np.full((12, 1), level), drawn)
        assert not effect.any()
        assert not covariance.any()
    apart = np.where(comparison.treated, 1e6 / 3, 1e6 / 7)[:, None]
    effect, covariance = statistics(comparison, apart, comparison.treated[None].astype(np.int8))
    assert effect[0, 0] == pytest.approx(1e6 / 3 - 1e6 / 7)
    assert not covariance.any()


def test_sums_alone_hold_outcomes_of_very_different_size():
    comparison, y = shaped("strata", "cuped", np.random.default_rng(4))
    now = comparison.treated[None].astype(np.int8)
    effect, covariance = statistics(comparison, y, now)
    scale = np.array([1e-6, 1e12])
    large, spread = statistics(comparison, y * scale, now)
    np.testing.assert_allclose(large, effect * scale, rtol=1e-9)
    np.testing.assert_allclose(spread, covariance * scale[:, None] * scale, rtol=1e-9)


@pytest.mark.parametrize("adjustment", ["none", "cuped", "lin"])
@pytest.mark.parametrize("shape", DESIGNS)
def test_counts_give_the_same_bootstrap_as_copies(adjustment, shape):
    rng = np.random.default_rng(8)
    comparison, y = shaped(shape, adjustment, rng)
    firsts, small = comparison.firsts, comparison.small[comparison.block]
    unit = np.repeat(np.arange(len(firsts)), np.diff(np.append(firsts, len(y))))
    strata = np.where(small, -1, comparison.block * 2 + comparison.treated)[firsts]
    drawn = resampled_counts(strata, samples=4, rng=rng)
    for stratum in np.unique(strata):
        assert (drawn[:, strata == stratum].sum(axis=1) == (strata == stratum).sum()).all()
    effects = resampled_effects(comparison, y, drawn[:, unit])
    for counts, effect in zip(drawn[:, unit].astype(int), effects, strict=True):
        rows = np.repeat(np.arange(len(counts)), counts)
        copy = unit[rows] * 1000 + np.concatenate([np.arange(k) for k in counts])
        # A small block that is drawn twice is two blocks; elsewhere units are drawn within their block.
        one = Comparison.of(
            comparison.treated[rows], block=np.where(small[rows], copy, -1 - comparison.block[rows]),
            cluster=copy * 1000 + np.where(small[rows], rows, 0), covariates=comparison.covariates[rows],
            adjustment=adjustment,
        )  # fmt: skip
        np.testing.assert_allclose(effect, estimate(one, y[rows][one.order]).effect, atol=1e-9)


def test_reassignment_keeps_blocks_and_clusters():
    rng = np.random.default_rng(7)
    cluster = np.repeat(np.arange(20), 3)
    block = np.repeat([0, 1], 30)
    arm = np.repeat(rng.permutation(np.arange(20) % 3), 3)
    comparison = Comparison.of(arm > 0, block=block, cluster=cluster)
    drawn = reassign(arm, block=block, units=comparison.units, cluster=comparison.cluster, draws=400, rng=rng)
    assert (drawn.reshape(400, 20, 3) == drawn[:, ::3, None]).all()
    for b in (0, 1):
        for a in range(3):
            assert ((drawn[:, block == b] == a).sum(axis=1) == (arm[block == b] == a).sum()).all()
    # Every unit is as often in every arm as its block's shares say.
    share = (drawn[:, ::3][:, :10] == 0).mean(axis=0)
    expected = (arm[:30:3] == 0).mean()
    assert np.abs(share - expected).max() < 5 * np.sqrt(expected * (1 - expected) / 400)


def test_the_p_value_is_that_of_all_assignments():
    """Eight accounts have 70 assignments: the drawn p-value is close to the enumerated one."""
    rng = np.random.default_rng(8)
    y = np.exp(rng.normal(size=8))
    z = np.zeros(8, bool)
    z[[0, 1, 4, 6]] = True
    comparison = Comparison.of(z)

    def t(flags):
        a, b = y[flags], y[~flags]
        return (a.mean() - b.mean()) / np.sqrt(a.var() / 4 + b.var() / 4)

    every = np.array([t(np.isin(np.arange(8), c)) for c in itertools.combinations(range(8), 4)])
    seen = t(z)
    exact = 2 * min((every >= seen - 1e-9).mean(), (every <= seen + 1e-9).mean())
    found = Draws(comparison, draws=9999, rng=rng).analyse(y, confidence=0.9)
    assert found.p_value == pytest.approx(exact, abs=0.02)
    assert np.exp(found.assignments) == pytest.approx(70)
    assert log_assignments(z.astype(int), block=np.zeros(8, int), units=np.arange(8)) == pytest.approx(np.log(70))


def test_the_interval_holds_what_the_test_does_not_reject():
    rng = np.random.default_rng(9)
    z = np.arange(24) % 2 == 0
    y = np.exp(rng.normal(size=24)) + 0.5 * z
    draws = Draws(Comparison.of(z), draws=999, rng=rng)
    found = draws.analyse(y, confidence=0.95)
    for end, out in ((found.lower, -1e-3), (found.upper, 1e-3)):
        assert draws.analyse(y - (end + out) * z, confidence=0.95).p_value <= 0.05
        assert draws.analyse(y - (end - out) * z, confidence=0.95).p_value > 0.05 - 0.003
    moved = draws.analyse(10 * y + 7 * z, confidence=0.95)
    assert (moved.lower, moved.upper) == pytest.approx((10 * found.lower + 7, 10 * found.upper + 7), rel=1e-6)


def test_the_multiplicative_interval_is_one_of_factors():
    rng = np.random.default_rng(10)
    z = np.arange(40) % 2 == 0
    y = np.exp(rng.normal(size=40))
    draws = Draws(Comparison.of(z), draws=999, rng=rng)
    plain = draws.analyse(y, confidence=0.95, model="multiplicative")
    grown = draws.analyse(np.where(z, 1.5 * y, y), confidence=0.95, model="multiplicative")
    assert 1 + grown.relative_lower == pytest.approx(1.5 * (1 + plain.relative_lower), rel=1e-6)
    assert 1 + grown.relative_upper == pytest.approx(1.5 * (1 + plain.relative_upper), rel=1e-6)
    money = np.where(z, 1.5 * y, y)[z].mean()
    assert grown.lower == pytest.approx(money * (1 - 1 / (1 + grown.relative_lower)))


def test_arms_too_small_for_any_interval_say_so():
    found = Draws(Comparison.of(np.array([True, True, False, False])), draws=499, rng=np.random.default_rng(0)).analyse(
        np.array([1.0, 2.0, 5.0, 9.0]), confidence=0.95
    )
    assert found.lower == -np.inf
    assert found.upper == np.inf
    assert found.p_value > 0.3


def test_outcomes_that_do_not_vary():
    comparison = Comparison.of(np.arange(10) < 5)
    nothing = Draws(comparison, draws=199, rng=np.random.default_rng(0)).analyse(np.zeros(10), confidence=0.9)
    assert nothing.p_value == 1
    assert np.isfinite([nothing.lower, nothing.upper]).all() or nothing.upper >= nothing.lower


def test_step_down_counts_all_hypotheses_and_never_helps():
    rng = np.random.default_rng(11)
    t = np.abs(rng.normal(size=(4, 2000)))
    t[0, 0], t[1, 0] = 4.5, 2.5
    raw = np.array([(row >= row[0]).mean() for row in t])
    adjusted = _step_down(t, raw)
    assert (adjusted >= raw).all()
    assert adjusted[0] < 0.01
    assert adjusted[1] == pytest.approx(min(1, 3 * raw[1]), abs=0.02)
    assert (np.diff(adjusted[np.argsort(-t[:, 0])]) >= 0).all()


def test_an_effect_that_a_covariate_already_holds_is_refused():
    z = np.arange(10) < 5
    with pytest.raises(FitError, match="cannot be told"):
        estimate(Comparison.of(z, covariates=z[:, None].astype(float), adjustment="cuped"), np.arange(10.0)[:, None])
