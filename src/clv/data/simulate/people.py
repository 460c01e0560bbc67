"""Buying committees, and what is said to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.data.simulate.accounts import Firms, numbered
from clv.data.simulate.calendar import Calendar
from clv.data.simulate.deals import Deals
from clv.data.simulate.latent import Latent
from clv.data.simulate.parameters import CHANNELS, ROLES, TIERS
from clv.data.simulate.programmes import Assignment
from clv.data.simulate.purchases import Journeys

#: beta parameters of influence by role, as in `ROLES`.
_INFLUENCE = ((4, 4), (2, 5), (4, 3), (8, 2), (3, 4), (1.5, 6))
_CHANNEL_SHARES = (0.42, 0.27, 0.12, 0.12, 0.04, 0.03)
_INBOUND = (0.45, 0.40, 0.05, 1.00, 0.80, 0.50)
#: sentiment drops by so much once an account has stopped buying.
_COOLED = 0.30


@dataclass(frozen=True)
class Committees:
    """The table `contacts`, with where each account's contacts begin and how many they are."""

    table: pd.DataFrame
    first: np.ndarray
    count: np.ndarray


def draw_contacts(rng: np.random.Generator, firms: Firms, latent: Latent, acquired: np.ndarray) -> Committees:
    """Draw one to six people an account, more in larger ones, each role once; attitude follows the relationship."""
    accounts = len(firms)
    count = 1 + np.minimum(rng.poisson(np.exp(0.35 + 0.25 * firms.size)), len(ROLES) - 1)
    account = np.repeat(np.arange(accounts), count)
    first = np.cumsum(count) - count
    # Buyers are met first: the order of roles is a race in which they have a start.
    race = rng.exponential(1.0, (accounts, len(ROLES))) * np.array([0.4, 1.0, 1.0, 0.8, 1.6, 2.0])
    role = race.argsort(axis=1)[account, np.arange(len(account)) - first[account]]
    a, b = np.array(_INFLUENCE, dtype=float).T
    feeling = np.where(np.isnan(acquired), latent.rapport, latent.relationship)
    warmth = 0.6 * feeling[account] + 0.5 * rng.standard_normal(len(account))
    table = pd.DataFrame(
        {
            "contact_id": numbered("C", len(account), width=5),
            "account_id": firms.ids[account],
            "role": np.array(ROLES, dtype=object)[role],
            "influence": np.round(rng.beta(a[role], b[role]), 2),
            "attitude": _tidy(np.tanh(warmth)),
            "consent": rng.random(len(account)) < 0.72,
        }
    )
    return Committees(table, first, count)


def _tidy(values: np.ndarray) -> np.ndarray:
    return np.round(values, 2) + 0.0  # no negative zero


def draw_touches(
    rng: np.random.Generator,
    firms: Firms,
    latent: Latent,
    people: Committees,
    purchases: tuple[np.ndarray, np.ndarray],
    parts: tuple[Deals, Deals],
    journeys: Journeys,
    assignment: Assignment,
    calendar: Calendar,
) -> pd.DataFrame:
    """Draw the table `touches`: Poisson counts about purchases and deals, in programmes, and in the background.

    Sentiment is tanh of the relationship (before the first order, of the rapport) plus noise, lower by 0.30 after an
    account has stopped buying.
    """
    account, week = _moments(rng, firms, purchases, parts, assignment, calendar)
    order = np.lexsort((account, week))
    account, week = account[order], week[order]
    touches = len(account)
    channel = rng.choice(len(CHANNELS), touches, p=_CHANNEL_SHARES)
    inbound = rng.random(touches) < np.array(_INBOUND)[channel]
    whom = people.first[account] + np.floor(rng.random(touches) * people.count[account]).astype(np.int64)
    contacts = people.table["contact_id"].to_numpy(dtype=object)[whom]
    contacts[rng.random(touches) < 0.15] = None
    # NaN compares false: never won, still buying.
    won, cooled = week >= journeys.acquired[account], week > journeys.dropped[account]
    feeling = np.where(won, latent.relationship[account], latent.rapport[account])
    mood = 0.15 + 0.5 * feeling - _COOLED * cooled + 0.4 * rng.standard_normal(touches)
    heard = rng.random(touches) < np.where(np.isin(channel, (1, 2, 5)), 0.95, 0.6)
    return pd.DataFrame(
        {
            "account_id": firms.ids[account],
            "date": calendar.dates(np.minimum(np.floor(week * 7), calendar.days - 1)),
            "contact_id": contacts,
            "channel": np.array(CHANNELS, dtype=object)[channel],
            "inbound": inbound,
            "sentiment": np.where(heard, _tidy(np.tanh(mood)), np.nan),
        }
    )


def _moments(
    rng: np.random.Generator,
    firms: Firms,
    purchases: tuple[np.ndarray, np.ndarray],
    parts: tuple[Deals, Deals],
    assignment: Assignment,
    calendar: Calendar,
) -> tuple[np.ndarray, np.ndarray]:
    """Account and week of every touch, in no order."""
    account, week = purchases
    some = np.repeat(np.arange(len(account)), rng.poisson(0.32, len(account)))
    accounts, weeks = [account[some]], [week[some] + rng.normal(0.0, 1.2, len(some))]
    for deals in parts:
        until = np.where(np.isnan(deals.closed), calendar.end, deals.closed)
        some = np.repeat(np.arange(len(until)), rng.poisson(0.5 + 0.25 * (until - deals.opened)))
        accounts.append(deals.account[some])
        weeks.append(deals.opened[some] + rng.random(len(some)) * (until - deals.opened)[some])
    known = calendar.end - firms.created
    some = np.repeat(np.arange(len(firms)), rng.poisson(0.02 * known))
    accounts.append(some)
    weeks.append(firms.created[some] + rng.random(len(some)) * known[some])
    chosen, tier = assignment.account[assignment.treated], assignment.tier[assignment.treated]
    weekly = np.array([entry.touches for entry in TIERS])[tier]
    length = calendar.end - calendar.programme
    some = np.repeat(np.arange(len(chosen)), rng.poisson(weekly * length))
    accounts.append(chosen[some])
    weeks.append(calendar.programme + rng.random(len(some)) * length)
    account, week = np.concatenate(accounts), np.concatenate(weeks)
    within = (week < calendar.end) & (week >= firms.created[account])
    return account[within], week[within]


def wallets_table(
    rng: np.random.Generator, firms: Firms, latent: Latent, calendar: Calendar, share: float, error: float
) -> pd.DataFrame:
    """Make the table `wallets`: a survey in the last year asks a share of accounts; answers err log-normally."""
    asked = np.flatnonzero(rng.random(len(firms)) < share)
    day = calendar.programme_day + rng.integers(0, calendar.days - calendar.programme_day, len(asked))
    answer = latent.wallet[asked] * np.exp(error * rng.standard_normal(len(asked)))
    return pd.DataFrame(
        {
            "account_id": firms.ids[asked],
            "date": calendar.dates(day),
            "wallet": np.maximum(np.rint(answer / 500) * 500, 500.0),
        }
    )
