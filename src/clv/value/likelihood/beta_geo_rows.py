"""The BG/NBD model of accounts that differ in their parameters: likelihood and predictions.

As in `clv.value.likelihood.beta_geo_likelihood`, with R = r + x,

    L = Γ(R)/Γ(r) · B(a, b+x)/B(a, b) · αʳ (α+T)^-R · (1 + eᶻ),
    z = ln a − ln(b+x−1) + R ln((α+T)/(α+t_x)),   eᶻ = 0 where x = 0,

here with the derivatives of each account by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import betainc, betaln, digamma, expit, gammaln, polygamma, xlog1py, xlogy

from clv.value.estimation.checks import Floats, History
from clv.value.expectation.living import purchases_while_alive


def _rising(at: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ln[Γ(at+x)/Γ(at)] and its first two derivatives by ln `at`."""
    first = at * (digamma(at + x) - digamma(at))
    return gammaln(at + x) - gammaln(at), first, first + at * at * (polygamma(1, at + x) - polygamma(1, at))


def log_likelihood(logs: Floats, history: History) -> tuple[Floats, Floats, Floats]:
    """Evaluate the log-likelihood of each account and its derivatives by (ln r, ln α, ln a, ln b).

    Parameters
    ----------
    logs : ndarray, shape (accounts, 4)
    history : History

    Returns
    -------
    value, gradient, hessian : ndarray, shapes (accounts,), (accounts, 4), (accounts, 4, 4)
    """
    r, alpha, a, b = np.exp(logs).T
    x, recency, T = history
    R, again = r + x, x > 0
    hessian = np.zeros((len(x), 4, 4))

    (grow, grow_1, grow_2), (stay, stay_1, stay_2) = _rising(r, x), _rising(b, x)
    # B(a, b+x)/B(a, b) = (b)_x / (a+b)_x; derivatives of the latter by a+b, then by the chain rule.
    both = gammaln(a + b + x) - gammaln(a + b)
    both_1 = digamma(a + b + x) - digamma(a + b)
    both_2 = polygamma(1, a + b + x) - polygamma(1, a + b)
    silent, u = np.log(alpha + T), alpha / (alpha + T)
    value = grow + stay - both + r * logs[:, 1] - R * silent
    gradient = np.column_stack([
        grow_1 + r * (logs[:, 1] - silent), r - R * u, -a * both_1, stay_1 - b * both_1,
    ])  # fmt: skip
    hessian[:, 0, 0] = grow_2 + r * (logs[:, 1] - silent)
    hessian[:, 0, 1] = r * (1 - u)
    hessian[:, 1, 1] = -R * u * (1 - u)
    hessian[:, 2, 2] = -a * both_1 - a * a * both_2
    hessian[:, 2, 3] = -a * b * both_2
    hessian[:, 3, 3] = stay_2 - b * both_1 - b * b * both_2

    # ln(1 + eᶻ) of repeat buyers: p = eᶻ/(1 + eᶻ) is the probability that they are gone.
    v = alpha / (alpha + recency)
    last = np.where(again, b + x - 1, 1.0)
    apart = silent - np.log(alpha + recency)
    z = np.where(again, logs[:, 2] - np.log(np.maximum(last, 1e-300)) + R * apart, -np.inf)
    gone = expit(z)
    share = np.where(again, b / np.maximum(last, 1e-300), 0.0)
    slope = np.column_stack([r * apart, R * (u - v), np.ones_like(r), -share])
    value += np.where(again, np.logaddexp(0.0, np.where(again, z, 0.0)), 0.0)
    gradient += gone[:, None] * slope
    spread = (gone * (1 - gone))[:, None, None] * slope[:, :, None] * slope[:, None, :]
    hessian[:, 0, 0] += gone * r * apart
    hessian[:, 0, 1] += gone * r * (u - v)
    hessian[:, 1, 1] += gone * R * (u - v) * (1 - u - v)
    hessian[:, 3, 3] += gone * share * (share - 1)
    for i, j in ((0, 1), (2, 3)):
        hessian[:, j, i] = hessian[:, i, j]
    return value, gradient, hessian + spread


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
    r, alpha, a, b = np.moveaxis(np.exp(logs), -1, 0)
    x, recency, T = history
    R, again, silent = r + x, x > 0, np.log(alpha + T)
    value = gammaln(R) - gammaln(r) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x) + gammaln(a + b)
    last = np.maximum(np.where(again, b + x - 1, 1.0), 1e-300)
    z = logs[..., 2] - np.log(last) + R * (silent - np.log(alpha + recency))
    gone = np.where(again, np.logaddexp(0.0, np.where(again, z, 0.0)), 0.0)
    return np.asarray(value + r * logs[..., 1] - R * silent + gone)


def alive(values: tuple[Any, ...], history: History) -> Floats:
    """Return P(alive), 1 where x = 0; parameters broadcast against the history."""
    r, alpha, a, b = values
    x, recency, T = history
    again = x > 0
    odds = np.log1p((T - recency) / (alpha + recency)) * (r + x)
    odds = odds + np.log(a) - np.log(np.where(again, b + x - 1, 1.0))
    return np.where(again, expit(-odds), 1.0)


def ahead(values: tuple[Any, ...], history: History, *, horizon: float, rate: float) -> Floats:
    """Return discounted purchases of living accounts, shape (accounts,)."""
    r, alpha, a, b = values
    return purchases_while_alive(
        r + history.frequency, alpha + history.T, a, b + history.frequency, horizon=horizon, rate=rate
    )


def mass(values: tuple[Any, ...], count: Floats, span: Floats) -> Floats:
    """Return the probability of `count` repeat purchases in `span` after the first; everything broadcasts.

    Fader, Hardie & Lee (2005), eq. 8; its finite sum is the upper tail of a negative binomial, an incomplete beta
    function.
    """
    r, alpha, a, b = values
    with np.errstate(under="ignore"):
        stays = np.exp(
            betaln(a, b + count) - betaln(a, b) + gammaln(r + count) - gammaln(r) - gammaln(count + 1)
            - xlog1py(r, span / alpha) + xlogy(count, span / (alpha + span))
        )  # fmt: skip
        some = np.maximum(count, 1)
        went = np.exp(betaln(a + 1, b + some - 1) - betaln(a, b)) * betainc(some, r, span / (alpha + span))
    return np.asarray(stays + np.where(count > 0, went, 0.0))


def latent(values: tuple[Any, ...], history: History, rng: np.random.Generator) -> tuple[np.ndarray, Floats, Floats]:
    """Draw alive, λ and λp of each account; parameters of shape (accounts, draws), history (accounts, 1)."""
    r, alpha, a, b = values
    chance = alive(values, history)
    is_alive = rng.random(chance.shape) < chance
    rate = rng.standard_gamma(np.broadcast_to(r + history.frequency, chance.shape)) / (alpha + history.T)
    return is_alive, rate, rate * rng.beta(np.broadcast_to(a, chance.shape), b + history.frequency)
