"""The Pareto/NBD model of accounts that differ in their parameters: likelihood and predictions.

With R = r + x, the likelihood of one account is Γ(R)/Γ(r) αʳ βˢ (α+T)^-R (β+T)^-s (1 + G), G the odds of
`dropout_integral`. The derivatives of G are averages over the time of the dropout.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, expit, gammaln, polygamma

from clv.value.estimation.checks import Floats, History
from clv.value.likelihood.dropout_integral import dropouts, log_odds_gone
from clv.value.pareto_nbd import time_alive


def _terms(
    R: Floats, late_a: Floats, late_b: Floats, r: Floats, alpha: Floats, s: Floats, beta: Floats, gone: float
) -> tuple[Floats, Floats]:
    """Return first (4, …) and packed second derivatives (6, …) of gone · ln s − R ln(α+y) − (s + gone) ln(β+y)."""
    u, v, log_a, log_b = alpha / late_a, beta / late_b, np.log(late_a), np.log(late_b)
    first = np.stack([-r * log_a, -R * u, gone - s * log_b, -(s + gone) * v])
    second = np.stack([-r * log_a, -r * u, -R * u * (1 - u), -s * log_b, -s * v, -(s + gone) * v * (1 - v)])
    return first, second


_NODE, _GAUSS = np.polynomial.legendre.leggauss(200)
#: where the packed second derivatives belong.
_PLACES = ((0, 0), (0, 1), (1, 1), (2, 2), (2, 3), (3, 3))


def log_likelihood(logs: Floats, history: History) -> tuple[Floats, Floats, Floats]:
    """Evaluate the log-likelihood of each account and its derivatives by (ln r, ln α, ln s, ln β).

    Parameters
    ----------
    logs : ndarray, shape (accounts, 4)
    history : History

    Returns
    -------
    value, gradient, hessian : ndarray, shapes (accounts,), (accounts, 4), (accounts, 4, 4)
    """
    r, alpha, s, beta = np.exp(logs).T
    x, recency, T = history
    R = r + x
    gone = dropouts(R, s, alpha, beta, recency, T)
    odds = expit(gone.log_odds)
    value = gammaln(R) - gammaln(r) + r * logs[:, 1] + s * logs[:, 3]
    value += np.logaddexp(0.0, gone.log_odds) - R * np.log(alpha + T) - s * np.log(beta + T)

    ends, ends_2 = _terms(R, alpha + T, beta + T, r, alpha, s, beta, 0.0)
    wide = (column[:, None] for column in (R, alpha, beta, r, s))
    R_, alpha_, beta_, r_, s_ = wide
    nodes, nodes_2 = _terms(R_, alpha_ + gone.time, beta_ + gone.time, r_, alpha_, s_, beta_, 1.0)
    mean = np.einsum("kij,ij->ki", nodes, gone.share)
    mean_2 = np.einsum("kij,ij->ki", nodes_2, gone.share)
    away = nodes - mean[:, :, None]
    hessian = np.einsum("kij,lij->ikl", away * gone.share, away) * odds[:, None, None]
    apart = mean - ends
    hessian += np.einsum("ki,li,i->ikl", apart, apart, odds * (1 - odds))
    curve = ends_2 + odds * (mean_2 - ends_2)
    by_r = r * (digamma(R) - digamma(r) + logs[:, 1])
    curve[0] += by_r + r * r * (polygamma(1, R) - polygamma(1, r))
    curve[1] += r
    curve[3] += s * logs[:, 3]
    curve[4] += s
    for (i, j), column in zip(_PLACES, curve, strict=True):
        hessian[:, i, j] += column
        if i != j:
            hessian[:, j, i] += column
    gradient = (ends + odds * apart).T + np.column_stack([by_r, r, s * logs[:, 3], s])
    return value, gradient, hessian


def log_values(logs: Floats, history: History) -> Floats:
    """Evaluate the log-likelihood of each account alone, without derivatives, at many points.

    Parameters
    ----------
    logs : ndarray, shape (points, accounts, 4)
    history : History

    Returns
    -------
    ndarray, shape (points, accounts)
    """
    r, alpha, s, beta = np.moveaxis(np.exp(logs), -1, 0)
    x, recency, T = history
    R = r + x
    value = gammaln(R) - gammaln(r) + r * logs[..., 1] + s * logs[..., 3]
    value += np.logaddexp(0.0, log_odds_gone(R, s, alpha, beta, recency, T))
    return np.asarray(value - R * np.log(alpha + T) - s * np.log(beta + T))


def alive(values: tuple[Floats, ...], history: History) -> Floats:
    """Return P(alive); parameters broadcast against the history."""
    r, alpha, s, beta = values
    return expit(-log_odds_gone(r + history.frequency, s, alpha, beta, history.recency, history.T))


def ahead(values: tuple[Floats, ...], history: History, *, horizon: float, rate: float) -> Floats:
    """Return discounted purchases of living accounts, shape (accounts,); s must be the same for all."""
    r, alpha, s, beta = values
    shape = float(np.ravel(s)[0])
    life = time_alive(shape, np.broadcast_to(beta + history.T, np.shape(history.T)), horizon=horizon, rate=rate)
    return (r + history.frequency) / (alpha + history.T) * life


def mass(values: tuple[Floats, ...], count: Floats, span: Floats) -> Floats:
    """Return the probability of `count` repeat purchases in `span` after the first; everything broadcasts.

    Fader & Hardie (2005, A note on deriving the Pareto/NBD model), section 4: negative binomial if alive at the end,
    else negative binomial up to the dropout, integrated over its time.
    """
    r, alpha, s, beta, flat, end = (np.asarray(column, dtype=float)[..., None] for column in (*values, count, span))
    some = np.where(end > 0, end, 1.0)
    last = np.log(some)
    # In ln y the integrand rises as y^(n+1) at first; 45 nepers below that nothing is left.
    first = np.minimum(last, np.log(np.minimum(alpha, beta))) - 45.0 / (flat + 1)
    half = (last - first) / 2
    log_y = first + half * (_NODE + 1)

    def bought(at: Floats, log_at: Floats) -> Floats:
        many = gammaln(r + flat) - gammaln(r) - gammaln(flat + 1)
        return np.asarray(many - r * np.log1p(at / alpha) - flat * (np.log(alpha + at) - log_at))

    y = np.exp(log_y)
    went = np.exp(bought(y, log_y) - s * np.log1p(y / beta) + np.log(s) + log_y - np.log(beta + y))
    value = np.exp(bought(some, last) - s * np.log1p(some / beta))[..., 0] + (half * went) @ _GAUSS
    return np.where(end[..., 0] > 0, value, (flat[..., 0] == 0).astype(float))


def latent(values: tuple[Floats, ...], history: History, rng: np.random.Generator) -> tuple[np.ndarray, Floats, Floats]:
    """Draw alive, λ and μ of each account; parameters of shape (accounts, draws), history (accounts, 1)."""
    r, alpha, s, beta = values
    chance = alive(values, history)
    is_alive = rng.random(chance.shape) < chance
    rate = rng.standard_gamma(np.broadcast_to(r + history.frequency, chance.shape)) / (alpha + history.T)
    return is_alive, rate, rng.standard_gamma(np.broadcast_to(s, chance.shape)) / (beta + history.T)
