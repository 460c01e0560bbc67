"""When accounts buy: the purchase process in operational time, where a programme is a change of clock.

Operational time is the rate integrated over calendar time, counted from the first purchase. In it the waits between
purchases are Gamma(k, 1/k), mean one, for every account; with k = 1 that is the exponential wait of the BG/NBD.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Journeys:
    """The purchase process of all customers, advanced step by step through calendar time.

    Parameters
    ----------
    acquired : numpy.ndarray, shape (accounts,)
        First purchase, in weeks; NaN for prospects, who never buy.
    rate, dropout : numpy.ndarray, shape (accounts,)
        Purchases a week and probability to stop after a repeat purchase.
    regularity : int
        k of the Erlang waits.
    rng : numpy.random.Generator

    Attributes
    ----------
    change : float
        Week from which `rate_factor` and `dropout_factor` hold; nothing before it depends on them.
    last, next : numpy.ndarray
        Operational time of the latest purchase and of the one to come.
    dropped : numpy.ndarray
        Week of the purchase after which the account stopped; NaN while it has not.
    """

    acquired: np.ndarray
    rate: np.ndarray
    dropout: np.ndarray
    regularity: int
    rng: np.random.Generator
    change: float = 1e9
    rate_factor: np.ndarray = field(init=False)
    dropout_factor: np.ndarray = field(init=False)
    last: np.ndarray = field(init=False)
    next: np.ndarray = field(init=False)
    dropped: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        accounts = len(self.acquired)
        self.rate_factor = np.ones(accounts)
        self.dropout_factor = np.ones(accounts)
        self.last = np.zeros(accounts)
        self.next = self._waits(accounts)
        self.dropped = np.full(accounts, np.nan)
        self._begun = np.isnan(self.acquired)  # the first purchase is recorded, or will never be

    def _waits(self, count: int) -> np.ndarray:
        return self.rng.gamma(self.regularity, 1 / self.regularity, count)

    def treat(self, week: float, rate_factor: np.ndarray, dropout_factor: np.ndarray) -> None:
        """From `week` on multiply rate and dropout probability, an entry an account (1 where untreated)."""
        self.change, self.rate_factor, self.dropout_factor = week, rate_factor, dropout_factor

    def calendar(self, account: np.ndarray, operational: np.ndarray) -> np.ndarray:
        """Turn operational into calendar time (weeks)."""
        acquired, rate = self.acquired[account], self.rate[account]
        plain = acquired + operational / rate
        changed = np.maximum(self.change, acquired)
        return np.where(plain <= changed, plain, changed + (plain - changed) / self.rate_factor[account])

    def operational(self, week: float) -> np.ndarray:
        """Operational time of every account at a week after `change`, for those acquired by then."""
        changed = np.minimum(np.maximum(self.change, self.acquired), week)
        return self.rate * ((changed - self.acquired) + (week - changed) * self.rate_factor)

    def advance(self, until: float) -> tuple[np.ndarray, np.ndarray]:
        """Let everybody buy until a week.

        Returns
        -------
        account : numpy.ndarray of int
        week : numpy.ndarray of float
            The purchases since the last call, ordered by account and time.
        """
        first = np.flatnonzero(~self._begun & (self.acquired < until))
        self._begun[first] = True
        accounts, weeks = [first], [self.acquired[first]]
        active = np.flatnonzero((self.acquired < until) & np.isnan(self.dropped))
        while len(active):
            when = self.calendar(active, self.next[active])
            due = when < until
            active, when = active[due], when[due]
            accounts.append(active)
            weeks.append(when)
            treated = when >= self.change
            p = self.dropout[active] * np.where(treated, self.dropout_factor[active], 1.0)
            stops = self.rng.random(len(active)) < p
            self.dropped[active[stops]] = when[stops]
            self.last[active] = self.next[active]
            active = active[~stops]
            self.next[active] += self._waits(len(active))
        account, week = np.concatenate(accounts), np.concatenate(weeks)
        order = np.lexsort((week, account))
        return account[order], week[order]
