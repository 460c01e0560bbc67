"""Log-likelihoods written down once more, straight from the papers, so that no package marks its own work."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import betaln, gammaln, logsumexp

_NODE, _WEIGHT = np.polynomial.legendre.leggauss(160)
_BLOCK = 4_000


def beta_geo(p: dict[str, float], summary: pd.DataFrame) -> float:
    """Return the BG/NBD log-likelihood: Fader, Hardie & Lee (2005), eq. 6, its two terms added as logarithms."""
    x, early, late = (summary[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    r, alpha, a, b = p["r"], p["alpha"], p["a"], p["b"]
    rate = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = betaln(a, b + x) - betaln(a, b) + rate - (r + x) * np.log(alpha + late)
    some = np.maximum(x, 1)
    leaves = betaln(a + 1, b + some - 1) - betaln(a, b) + rate - (r + x) * np.log(alpha + early)
    return float(np.where(x > 0, np.logaddexp(stays, leaves), stays).sum())


def pareto_nbd(p: dict[str, float], summary: pd.DataFrame) -> float:
    """Return the Pareto/NBD log-likelihood: alive at T, or gone at a time that 160 Gauss nodes in ln(1 + y) average.

    Schmittlein, Morrison & Colombo (1987), before the integral becomes hypergeometric functions.
    """
    distinct, count = _counted(summary)
    x, early, late = distinct
    r, alpha, s, beta = p["r"], p["alpha"], p["s"], p["beta"]
    total = 0.0
    near = min(alpha, beta)
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        n, first, last = (column[rows, None] for column in (x, early, late))
        length = np.log((near + last) / (near + first))
        y = (near + first) * np.exp(length * (_NODE + 1) / 2) - near
        gone = np.log(s) - (r + n) * np.log(alpha + y) - (s + 1) * np.log(beta + y) + np.log(near + y)
        with np.errstate(divide="ignore"):
            gone = logsumexp(gone + np.log(_WEIGHT), axis=1) + np.log(length[:, 0] / 2)
        alive = -(r + n) * np.log(alpha + last) - s * np.log(beta + last)
        both = np.logaddexp(alive[:, 0], gone) + r * np.log(alpha) + s * np.log(beta)
        total += float(count[rows] @ (both + gammaln(r + n[:, 0]) - gammaln(r)))
    return total


def gamma_gamma(p: dict[str, float], summary: pd.DataFrame) -> float:
    """Return the Gamma-Gamma log-likelihood: Fader & Hardie (2013), eq. 1a, over accounts with repeat purchases."""
    used = summary[(summary["frequency"] > 0) & (summary["monetary_value"] > 0)]
    x, m = used["frequency"].to_numpy(dtype=float), used["monetary_value"].to_numpy(dtype=float)
    shape, q, v = p["p"], p["q"], p["v"]
    each = gammaln(shape * x + q) - gammaln(shape * x) - gammaln(q) + q * np.log(v)
    each += (shape * x - 1) * np.log(m) + shape * x * np.log(x) - (shape * x + q) * np.log(x * m + v)
    return float(each.sum())


def _counted(summary: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    counted = summary.groupby(["frequency", "recency", "T"]).size()
    return counted.index.to_frame().to_numpy(dtype=float).T, counted.to_numpy(dtype=float)
