"""Each level of each attribute: how many there became valuable, drawn towards the rest by how little is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import betainc, betaln, gammaln

from clv.abm.profile.bands import Bands

#: prior weights of an attribute's mean share that are tried, in accounts: from levels that differ wildly to not at all.
_WEIGHTS = np.geomspace(2.0, 2000.0, 31)
_HALVINGS = 48


def level_table(
    levels: pd.DataFrame, valuable: np.ndarray, others: pd.DataFrame, bands: Bands, *, confidence: float
) -> pd.DataFrame:
    """Compare the levels of every attribute.

    Parameters
    ----------
    levels : pandas.DataFrame, shape (judged accounts, attributes)
        As `Bands.levels` gives it.
    valuable : numpy.ndarray of bool, shape (judged accounts,)
    others : pandas.DataFrame
        Levels of the accounts that were not judged, to be counted.
    bands : Bands
    confidence : float

    Returns
    -------
    pandas.DataFrame
        One row a level, the highest lift first: attribute, level, accounts (judged), valuable, share (as observed),
        lift, lower, upper (share ÷ that of all, shrunk), p_value, q_value, others (accounts not judged).

    Notes
    -----
    Shrinkage: valuable ~ Binomial(accounts, θ), θ ~ Beta(w·p, w·(1 − p)) with p the share of all judged accounts and
    the weight w integrated out on a grid, attribute by attribute, with a flat prior on (1 + w)^−½, to which the
    standard deviation of the shares is proportional (hierarchical beta-binomial, Gelman et al. 2013, §5.3; Gelman
    2006). p counts as known. p-values: Fisher's exact test (1934), two-sided, of a level against all other judged
    accounts; q-values over all levels of all attributes: Benjamini & Hochberg (1995).
    """
    from scipy.stats import false_discovery_control

    n, k, parts = len(valuable), int(valuable.sum()), []
    for name in levels.columns:
        grouped = pd.DataFrame({"level": levels[name].to_numpy(dtype=object), "valuable": valuable}).groupby("level")
        found = grouped["valuable"].agg(accounts="size", valuable="sum").sort_index()
        middle, lower, upper = shrunk_shares(
            found["valuable"].to_numpy(float), found["accounts"].to_numpy(float), k / n, confidence=confidence
        )
        found["share"] = found["valuable"] / found["accounts"]
        found["lift"], found["lower"], found["upper"] = middle * n / k, lower * n / k, upper * n / k
        found["p_value"] = [
            fisher_exact(int(v), int(a), k, n) for v, a in zip(found["valuable"], found["accounts"], strict=True)
        ]
        found["others"] = others[name].value_counts().reindex(found.index).fillna(0).astype(int)
        parts.append(found.rename_axis("level").reset_index().assign(attribute=name))
    table = pd.concat(parts, ignore_index=True)
    table["valuable"] = table["valuable"].astype(int)
    table["q_value"] = false_discovery_control(np.clip(table["p_value"].to_numpy(float), 0.0, 1.0))
    table = table.sort_values(["lift", "attribute", "level"], ascending=[False, True, True], ignore_index=True)
    names = ["attribute", "level", "accounts", "valuable", "share", "lift", "lower", "upper", "p_value", "q_value"]
    return table[[*names, "others"]]


def shrunk_shares(
    hits: np.ndarray, counts: np.ndarray, mean: float, *, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate shares of several levels at once.

    Parameters
    ----------
    hits, counts : numpy.ndarray, shape (levels,)
    mean : float
        Share that levels are drawn towards, between 0 and 1.
    confidence : float

    Returns
    -------
    mean, lower, upper : numpy.ndarray, shape (levels,)
        Posterior mean, and equal-tailed interval.
    """
    a, b = _WEIGHTS * mean, _WEIGHTS * (1 - mean)
    # Flat in (1 + w)^−½, on a grid that is even in log w.
    prior = np.log(_WEIGHTS) - 1.5 * np.log1p(_WEIGHTS)
    log = prior + (betaln(hits[:, None] + a, (counts - hits)[:, None] + b) - betaln(a, b)).sum(axis=0)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    alpha, beta = hits[:, None] + a, (counts - hits)[:, None] + b
    middle = (alpha / (alpha + beta)) @ weight
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        low, high = np.zeros(len(hits)), np.ones(len(hits))
        for _ in range(_HALVINGS):
            at = (low + high) / 2
            below = betainc(alpha, beta, at[:, None]) @ weight < tail
            low, high = np.where(below, at, low), np.where(below, high, at)
        ends.append((low + high) / 2)
    return middle, ends[0], ends[1]


def fisher_exact(hits: int, size: int, all_hits: int, everyone: int) -> float:
    """Return the two-sided p-value of Fisher's (1934) exact test of a level against the rest.

    The sum of the probabilities of all tables with these margins that are no likelier than the one seen.
    """
    x = np.arange(max(0, size + all_hits - everyone), min(size, all_hits) + 1)
    log = -(
        gammaln(x + 1) + gammaln(size - x + 1) + gammaln(all_hits - x + 1) + gammaln(everyone - size - all_hits + x + 1)
    )
    chance = np.exp(log - log.max())
    return float(chance[chance <= chance[hits - x[0]] * (1 + 1e-7)].sum() / chance.sum())
