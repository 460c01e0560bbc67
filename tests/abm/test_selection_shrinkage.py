"""Shrinkage: posterior means against quadrature, the optimiser's curse, and that it goes away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clv.abm.selecting.shrinkage import shrink_estimates
from clv.abm.selection import select_accounts
from clv.errors import DataError, SettingsError


def book(n: int, seed: int, *, spread: float = 1.0, error: float = 1.0, mean: float = 5.0):
    g = np.random.default_rng(seed)
    truth = mean + spread * g.standard_normal(n)
    errors = np.broadcast_to(error, n)
    ids = [f"A{i:04d}" for i in range(n)]
    seen = pd.DataFrame({"clv": truth + errors * g.standard_normal(n), "standard_error": errors}, index=ids)
    return seen.rename_axis("account_id"), pd.Series(truth, ids)


def by_brute_force(y: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and sd by integrating (μ, τ) on a wide grid, written without the closed form in μ."""
    taus = np.linspace(1e-6, 12, 900)
    mus = np.linspace(y.mean() - 12, y.mean() + 12, 901)
    log = np.zeros((len(taus), len(mus)))
    for i in range(len(y)):
        v = taus[:, None] ** 2 + s[i] ** 2
        log += -0.5 * np.log(v) - 0.5 * (y[i] - mus[None, :]) ** 2 / v
    w = np.exp(log - log.max())
    w /= w.sum()
    means, sds = np.empty(len(y)), np.empty(len(y))
    for i in range(len(y)):
        keep = (taus**2 / (taus**2 + s[i] ** 2))[:, None]
        at = keep * y[i] + (1 - keep) * mus[None, :]
        means[i] = (w * at).sum()
        sds[i] = np.sqrt((w * (keep * s[i] ** 2 + at**2)).sum() - means[i] ** 2)
    return means, sds


def test_posterior_means_and_intervals_are_those_of_brute_force():
    y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]) / 4
    s = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]) / 8
    seen = pd.DataFrame({"clv": y, "standard_error": s}, index=list("abcdefgh"))
    means, sds = by_brute_force(y, s)
    found = shrink_estimates(seen, draws=20_000, seed=1)
    np.testing.assert_allclose(found.table["clv"], means, atol=0.01)
    np.testing.assert_allclose(found.draws.mean(axis=1), means, atol=0.03)
    np.testing.assert_allclose(found.draws.std(axis=1), sds, rtol=0.03)
    plain = shrink_estimates(seen, draws=0)
    assert plain.draws is None
    np.testing.assert_allclose((plain.table["upper"] - plain.table["lower"]) / 2 / 1.6449, sds, rtol=0.02)


def test_the_best_by_raw_estimates_realise_half_and_the_shrunken_what_they_say():
    """Best 13 of 725 at reliability .5: half of the estimated excess is real, 31 % are truly among the best."""
    raw_share, overlap, promised, realised, held = [], [], [], [], 0
    many = 30
    for seed in range(many):
        seen, truth = book(725, seed)
        top = seen["clv"].nlargest(13).index
        raw_share.append((truth[top].mean() - 5) / (seen.loc[top, "clv"].mean() - 5))
        overlap.append(truth.nlargest(13).index.isin(top).mean())
        shrunk = shrink_estimates(seen, draws=200, seed=seed)
        chosen = select_accounts(shrunk, capacity=13)
        ids = chosen.table.loc[chosen.table["selected"], "account_id"]
        promised.append(chosen.expected / 13)
        realised.append(truth[ids].mean())
        sums = chosen.draws.of(slice(0, 13)).mean(axis=0)
        held += np.quantile(sums, 0.05) <= realised[-1] <= np.quantile(sums, 0.95)
    assert np.mean(raw_share) == pytest.approx(0.50, abs=0.03)
    assert np.mean(overlap) == pytest.approx(0.31, abs=0.04)
    gap = np.array(promised) - np.array(realised)
    assert abs(gap.mean()) < 3 * gap.std(ddof=1) / np.sqrt(many)
    assert held >= 0.78 * many  # 90 % intervals; two and a half standard errors below


def test_the_probability_of_belonging_holds():
    p, inside = [], []
    for seed in range(12):
        seen, truth = book(300, 100 + seed, error=np.linspace(0.3, 2.0, 300))
        table = select_accounts(shrink_estimates(seen, draws=400, seed=seed), capacity=30).table
        best = set(truth[truth > 0].nlargest(30).index)
        p += table["p_selected"].tolist()
        inside += [account in best for account in table["account_id"]]
    p, inside = np.array(p), np.array(inside)
    for low, high in ((0.05, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)):
        some = (p >= low) & (p < high)
        error = np.sqrt(p[some].mean() * (1 - p[some].mean()) / some.sum())
        assert abs(inside[some].mean() - p[some].mean()) < 4 * error + 0.02


def test_equal_truth_shrinks_all_the_way_and_sharp_estimates_hardly():
    flat, _ = book(400, 3, spread=0.0)
    found = shrink_estimates(flat)
    assert found.reliability < 0.12
    assert np.ptp(found.table["clv"]) < 0.15 * np.ptp(found.table["estimate"])
    sharp, _ = book(400, 3, error=0.01)
    np.testing.assert_allclose(shrink_estimates(sharp).table["clv"], sharp["clv"], atol=0.002)


def test_a_noisier_account_falls_behind_at_the_same_estimate():
    seen, _ = book(50, 1)
    seen.iloc[0], seen.iloc[1] = [9.0, 0.2], [9.0, 3.0]
    table = shrink_estimates(seen).table
    assert table["clv"].iloc[0] > table["clv"].iloc[1]
    assert table["weight"].iloc[0] > 0.8 > 0.3 > table["weight"].iloc[1]


def test_money_scale_and_order_do_not_matter_and_seeds_do_repeat():
    seen, _ = book(40, 2)
    one = shrink_estimates(seen, seed=5)
    again = shrink_estimates(seen, seed=5)
    np.testing.assert_array_equal(one.draws, again.draws)
    big = shrink_estimates(seen * 1e6, seed=5)
    np.testing.assert_allclose(big.table["clv"], one.table["clv"] * 1e6, rtol=1e-9)
    turned = shrink_estimates(seen.iloc[::-1], seed=5).table.loc[seen.index]
    np.testing.assert_allclose(turned["clv"], one.table["clv"], rtol=1e-12)
    assert "real and the rest is luck" in one.text
    one.plot()


def test_bad_input_is_named():
    seen, _ = book(5, 1)
    with pytest.raises(DataError, match="A0002"):
        shrink_estimates(seen.assign(standard_error=[1, 1, 0, 1, 1]))
    with pytest.raises(DataError, match="standard_error"):
        shrink_estimates(seen[["clv"]])
    with pytest.raises(DataError, match="three"):
        shrink_estimates(seen.head(2))
    with pytest.raises(SettingsError, match="confidence"):
        shrink_estimates(seen, confidence=1.5)
