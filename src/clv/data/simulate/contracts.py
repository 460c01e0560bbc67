"""Service contracts: yearly terms, renewed by a shifted beta-geometric process."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.data.simulate.accounts import Firms, numbered
from clv.data.simulate.calendar import Calendar
from clv.data.simulate.latent import Latent
from clv.data.simulate.parameters import REASONS, Process


def contracts_table(
    rng: np.random.Generator,
    acquired: np.ndarray,
    firms: Firms,
    latent: Latent,
    calendar: Calendar,
    process: Process,
) -> pd.DataFrame:
    """Make the table `contracts`: a share of customers signs, and renews each year with probability 1 − θ.

    θ ~ Beta(contract_a, contract_b) over accounts, the shifted beta-geometric (Fader & Hardie 2007). Terms run for 364
    days, so that a term ends on the weekday before the one on which it began. Independent of purchases given θ.
    """
    accounts = len(firms)
    signs = rng.random(accounts) < process.contract_share
    start = np.floor((acquired + rng.exponential(6.0, accounts)) * 7)
    account = np.flatnonzero(signs & ~np.isnan(acquired) & (start < calendar.days))
    begin = start[account].astype(np.int64)
    yearly = (latent.rate * latent.spend)[account] * 365.25 / 7
    value = process.contract_value * yearly * np.exp(0.4 * rng.standard_normal(len(account))) + 300
    terms = []
    while len(account):
        end = begin + 363
        # A term that ends on or before the last day has been decided.
        decided = end < calendar.days
        renewed = decided & (rng.random(len(account)) >= latent.contract_churn[account])
        reason = rng.choice(len(REASONS), len(account), p=(0.24, 0.18, 0.14, 0.20, 0.24))
        terms.append(
            pd.DataFrame(
                {
                    "account_id": firms.ids[account],
                    "start": calendar.dates(begin),
                    "end": calendar.dates(end),
                    "value": np.rint(value / 10) * 10,
                    "renewed": pd.arrays.BooleanArray(renewed, ~decided),
                    "reason": _told(reason, decided & ~renewed),
                }
            )
        )
        # The next term begins the day after, three per cent dearer, unless that day is still to come.
        goes_on = renewed & (end + 1 < calendar.days)
        account, begin, value = account[goes_on], end[goes_on] + 1, 1.03 * value[goes_on]
    table = pd.concat(terms, ignore_index=True) if terms else _no_terms()
    table = table.sort_values(["start", "account_id"], kind="stable", ignore_index=True)
    table.insert(0, "contract_id", numbered("K", len(table)))
    return table


def _told(reason: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Name the reason where a contract was lost."""
    text = np.array(REASONS, dtype=object)[reason]
    text[~lost] = None
    return text


def _no_terms() -> pd.DataFrame:
    table = pd.DataFrame({name: [] for name in ("account_id", "start", "end", "value", "renewed", "reason")})
    for day in ("start", "end"):
        table[day] = pd.to_datetime(table[day])
    table["renewed"] = table["renewed"].astype("boolean")
    return table
