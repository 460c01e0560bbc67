"""Deals written down as the table `opportunities`, with its truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.data.simulate.accounts import Firms, numbered
from clv.data.simulate.calendar import Calendar
from clv.data.simulate.deals import Deals
from clv.data.simulate.latent import Latent
from clv.data.simulate.parameters import STAGES


def opportunities_table(
    rng: np.random.Generator, parts: tuple[Deals, Deals], firms: Firms, latent: Latent, calendar: Calendar
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the table `opportunities` and its truth (win probability) from first and expansion deals.

    A lost deal's stage is where it stopped; the amount is the yearly business expected, a quarter of it in an
    expansion, with a log-normal error.
    """
    account = np.concatenate([part.account for part in parts])
    opened = np.concatenate([part.opened for part in parts])
    closed = np.concatenate([part.closed for part in parts])
    won = np.concatenate([part.won for part in parts])
    share = np.repeat([1.0, 0.25], [len(part.account) for part in parts])
    yearly = latent.rate[account] * latent.spend[account] * 365.25 / 7
    amount = share * yearly * np.exp(0.5 * rng.standard_normal(len(account)))
    still_open = np.isnan(closed)
    # Where an open deal stands follows its progress; where a lost one stopped is chance, later stages rarer.
    place = np.where(
        still_open,
        np.concatenate([part.progress for part in parts]) * len(STAGES),
        len(STAGES) * rng.random(len(account)) ** 1.5,
    )
    stage = np.array(STAGES, dtype=object)[np.minimum(place.astype(np.int64), len(STAGES) - 1)]
    order = np.lexsort((account, opened))
    table = pd.DataFrame(
        {
            "account_id": firms.ids[account],
            "created": calendar.dates(np.floor(opened * 7)),
            "closed": calendar.dates(calendar.day(np.where(still_open, 0.0, closed))),
            "stage": np.where(won, "signed", stage),
            "outcome": np.where(still_open, "open", np.where(won, "won", "lost")),
            "amount": np.maximum(np.rint(amount / 100) * 100, 100.0),
        }
    )
    table["closed"] = table["closed"].mask(still_open)
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "opportunity_id", numbered("D", len(table)))
    truth = pd.DataFrame(
        {
            "opportunity_id": table["opportunity_id"],
            "account_id": table["account_id"],
            "kind": np.where(share == 1.0, "first", "expansion")[order],
            "win_probability": np.concatenate([part.probability for part in parts])[order],
        }
    )
    return table, truth
