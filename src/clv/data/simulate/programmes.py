"""The programme: tiers by past revenue, treatment by chance, an effect that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.data.simulate.accounts import Firms
from clv.data.simulate.calendar import Calendar
from clv.data.simulate.latent import Latent
from clv.data.simulate.parameters import TIERS, Process


@dataclass(frozen=True)
class Assignment:
    """Who is in the programme.

    Attributes
    ----------
    account : numpy.ndarray of int
        The eligible accounts, best past revenue first.
    tier : numpy.ndarray of int
        Position in `parameters.TIERS`.
    block : numpy.ndarray of int
        Randomisation block: neighbours in past revenue within a tier.
    treated : numpy.ndarray of bool
    past : numpy.ndarray of float
        Revenue in the 52 weeks before the start, EUR.
    """

    account: np.ndarray
    tier: np.ndarray
    block: np.ndarray
    treated: np.ndarray
    past: np.ndarray


def assign(rng: np.random.Generator, past: np.ndarray, process: Process) -> Assignment:
    """Tier the accounts with past revenue, then draw treatment in permuted blocks (2 treated : 1 control).

    Parameters
    ----------
    past : numpy.ndarray, shape (accounts,)
        Revenue in the 52 weeks before the programme starts; accounts without any are not eligible.
    """
    account = np.argsort(-past, kind="stable")[: int((past > 0).sum())]
    cuts = np.rint(np.cumsum([tier.share for tier in TIERS]) * len(account)).astype(np.int64)
    tier = np.searchsorted(cuts, np.arange(len(account)), side="right").clip(max=len(TIERS) - 1)
    starts = np.concatenate([[0], cuts])[tier]
    size = process.treated + process.control
    block = (np.arange(len(account)) - starts) // size
    # Within a block the lowest random numbers are the treated ones; a short last block draws its places too.
    blocks, row = np.unique(np.stack([tier, block]), axis=1, return_inverse=True)
    rank = rng.random((blocks.shape[1], size)).argsort(axis=1).argsort(axis=1)
    treated = rank[row.ravel(), (np.arange(len(account)) - starts) % size] < process.treated
    return Assignment(account, tier, block, treated, past[account])


def rate_factors(latent: Latent) -> np.ndarray:
    """Factor of the purchase rate, shape (accounts, tiers): 1 + the tier's mean gain × the account's response."""
    return 1 + np.array([tier.rate_gain for tier in TIERS]) * latent.response[:, None]


def dropout_factors() -> np.ndarray:
    """Factor of the dropout probability, shape (tiers,)."""
    return np.array([tier.dropout_factor for tier in TIERS])


def applied(assignment: Assignment, latent: Latent) -> tuple[np.ndarray, np.ndarray]:
    """Rate and dropout factors as they act on every account: 1 unless treated."""
    rate, dropout = np.ones(len(latent.rate)), np.ones(len(latent.rate))
    account, tier = assignment.account[assignment.treated], assignment.tier[assignment.treated]
    rate[account] = rate_factors(latent)[account, tier]
    dropout[account] = dropout_factors()[tier]
    return rate, dropout


def programmes_table(
    rng: np.random.Generator, assignment: Assignment, firms: Firms, calendar: Calendar
) -> pd.DataFrame:
    """Make the table `programmes`; costs and hours vary about the tier's mean, controls cost nothing."""
    cost = np.array([tier.cost for tier in TIERS])[assignment.tier]
    hours = np.array([tier.hours for tier in TIERS])[assignment.tier]
    noise = np.exp(0.15 * rng.standard_normal((2, len(cost))) - 0.15**2 / 2)
    table = pd.DataFrame(
        {
            "account_id": firms.ids[assignment.account],
            "programme": f"ABM{(calendar.start + pd.Timedelta(days=calendar.programme_day)).year}",
            "tier": np.array([tier.name for tier in TIERS], dtype=object)[assignment.tier],
            "block": [
                f"{TIERS[tier].name}-{block:02d}" for tier, block in zip(assignment.tier, assignment.block, strict=True)
            ],
            "arm": np.where(assignment.treated, "treatment", "control"),
            "start": calendar.dates(np.full(len(cost), calendar.programme_day)),
            "end": calendar.dates(np.full(len(cost), calendar.days - 1)),
            "cost": np.round(cost * noise[0] * assignment.treated, 2),
            "hours": np.round(hours * noise[1] * assignment.treated, 1),
        }
    )
    return table.sort_values("account_id", kind="stable").reset_index(drop=True)
