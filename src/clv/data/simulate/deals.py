"""Deals: how accounts are won, and how won accounts are asked for more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.data.simulate.accounts import Firms
from clv.data.simulate.calendar import Calendar
from clv.data.simulate.parameters import Process
from clv.errors import SettingsError

#: an account that was not won in so many attempts is left alone.
ROUNDS = 6


@dataclass(frozen=True)
class Deals:
    """Every deal as arrays of one length.

    Attributes
    ----------
    account : numpy.ndarray of int
    opened, closed : numpy.ndarray of float
        Weeks; `closed` is NaN while the deal is open.
    won : numpy.ndarray of bool
    probability : numpy.ndarray of float
        True probability to win it, open or not.
    progress : numpy.ndarray of float
        Share of the deal's cycle that was passed when it closed, or at the end.
    """

    account: np.ndarray
    opened: np.ndarray
    closed: np.ndarray
    won: np.ndarray
    probability: np.ndarray
    progress: np.ndarray


def draw_managers(rng: np.random.Generator, firms: Firms, process: Process) -> np.ndarray:
    """Draw each manager's effect on the logit of winning, Normal(0, win_manager_sd)."""
    return process.win_manager_sd * rng.standard_normal(int(firms.manager.max()) + 1)


def win_score(firms: Firms, feeling: np.ndarray, managers: np.ndarray, process: Process) -> np.ndarray:
    """Return the logit of winning a deal without its intercept; `feeling` is rapport or relationship."""
    return (
        process.win_size * firms.size
        + process.win_edi * firms.uses("EDI")
        + process.win_abroad * firms.lies("abroad")
        + process.win_relationship * feeling
        + firms.effect("win")
        + managers[firms.manager]
    )


def logistic(score: np.ndarray) -> np.ndarray:
    """Turn a logit into a probability."""
    from scipy.special import expit

    return expit(score)


def solve_intercept(score: np.ndarray, attempts: np.ndarray, prospects: float) -> float:
    """Find the intercept at which the expected share of accounts never won is `prospects`.

    An account with K decided attempts is never won with probability (1 − logistic(intercept + score))^K.
    """
    from scipy.optimize import brentq

    def excess(intercept: float) -> float:
        return float(np.mean((1 - logistic(intercept + score)) ** attempts)) - prospects

    if excess(12.0) > 0 or excess(-12.0) < 0:
        least = float(np.mean(attempts == 0))
        raise SettingsError(
            f"prospects = {prospects}: a share of {least:.2f} of the accounts has had no decided deal, so fewer cannot "
            "be without a purchase.",
            mend=f"Give a share between {least + 0.02:.2f} and 0.99.",
        )
    return float(brentq(excess, -12.0, 12.0, xtol=1e-12))


def draw_acquisition(
    rng: np.random.Generator,
    firms: Firms,
    score: np.ndarray,
    calendar: Calendar,
    process: Process,
    prospects: float,
) -> tuple[Deals, np.ndarray, float]:
    """Draw the attempts to win each account, one after the other until one is won.

    Returns
    -------
    deals : Deals
    acquired : numpy.ndarray of float
        Weeks at which the account was won (its first purchase); NaN for prospects.
    intercept : float
        Intercept of the win logit.
    """
    accounts = len(firms)
    wait = rng.exponential(process.deal_wait, accounts)
    gaps = rng.exponential(process.deal_gap, (accounts, ROUNDS))
    cycles = rng.gamma(2.0, process.deal_cycle / 2, (accounts, ROUNDS))
    luck = rng.random((accounts, ROUNDS))
    first = np.maximum(firms.created + wait, -8.0 * rng.random(accounts))
    # Orders are taken from the first day on: a deal that would close earlier is signed in the first weeks.
    cycles[:, 0] = np.maximum(cycles[:, 0], rng.exponential(2.0, accounts) - first)
    gaps[:, 0] = 0.0
    closed = first[:, None] + np.cumsum(gaps + cycles, axis=1)
    opened = closed - cycles
    approached = rng.random(accounts) >= process.never_approached
    exists = (opened < calendar.end) & approached[:, None]
    decided = exists & (closed < calendar.end)

    intercept = solve_intercept(score, decided.sum(axis=1), prospects)
    probability = np.broadcast_to(logistic(intercept + score)[:, None], luck.shape)
    win = decided & (luck < probability)
    kept = exists & (np.cumsum(win, axis=1) - win == 0)  # not won in an earlier attempt
    won = win & kept
    acquired = np.where(won.any(axis=1), closed[np.arange(accounts), won.argmax(axis=1)], np.nan)

    account, _ = np.nonzero(kept)
    deals = _deals(account, opened[kept], cycles[kept], won[kept], probability[kept], calendar)
    return deals, acquired, intercept


def draw_expansion(
    rng: np.random.Generator,
    acquired: np.ndarray,
    dropped: np.ndarray,
    score: np.ndarray,
    intercept: float,
    calendar: Calendar,
    process: Process,
) -> Deals:
    """Draw later deals of customers (Poisson until drop-out), won with the same logit plus `win_customer`.

    They are framework agreements: they say something about the relationship and change no purchase.
    """
    until = np.where(np.isnan(dropped), calendar.end, dropped)
    span = np.where(np.isnan(acquired), 0.0, until - acquired)
    account = np.repeat(np.arange(len(acquired)), rng.poisson(process.expansion_rate * span))
    opened = acquired[account] + rng.random(len(account)) * span[account]
    cycles = rng.gamma(2.0, process.deal_cycle / 2, len(account))
    probability = logistic(intercept + score + process.win_customer)[account]
    won = (rng.random(len(account)) < probability) & (opened + cycles < calendar.end)
    return _deals(account, opened, cycles, won, probability, calendar)


def _deals(
    account: np.ndarray,
    opened: np.ndarray,
    cycles: np.ndarray,
    won: np.ndarray,
    probability: np.ndarray,
    calendar: Calendar,
) -> Deals:
    closed = opened + cycles
    progress = np.minimum((calendar.end - opened) / cycles, 1.0)
    return Deals(account, opened, np.where(closed < calendar.end, closed, np.nan), won, probability, progress)
