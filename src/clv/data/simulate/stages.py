"""When deals entered the stages of the sales process: the table `deal_stages`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.data.simulate.calendar import Calendar
from clv.data.simulate.parameters import STAGES

#: share of the deals beyond the first stage that went back once.
_BACK = 0.06


def deal_stages_table(rng: np.random.Generator, deals: pd.DataFrame, calendar: Calendar) -> pd.DataFrame:
    """Make the table `deal_stages` from the table `opportunities`.

    A deal's days are shared among its stages by Gamma(4) weights (a Dirichlet); an open deal is halfway through the
    stage in which it stands. Some deals go from the second stage back to the first and return (rule F2).

    Returns
    -------
    pandas.DataFrame
        opportunity_id, stage, entered; by deal and time.
    """
    many, last = len(deals), len(STAGES) - 1
    place = pd.Index(STAGES).get_indexer(pd.Index(deals["stage"]))
    place = np.where(place < 0, last, place)
    still_open = deals["closed"].isna().to_numpy()
    end = deals["closed"].fillna(calendar.as_of)
    length = ((end - deals["created"]).dt.days).to_numpy(float)
    weight = rng.gamma(4.0, size=(many, len(STAGES)))
    back = rng.random(many) < _BACK
    weight *= np.arange(len(STAGES)) <= place[:, None]
    weight[np.flatnonzero(still_open), place[still_open]] /= 2
    share = np.cumsum(weight, axis=1) / np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
    begins = np.column_stack([np.zeros(many), share[:, :-1]]) * length[:, None]
    ends = share * length[:, None]

    row, stage = np.nonzero(np.arange(len(STAGES)) <= place[:, None])
    moments = [(row, stage, begins[row, stage])]
    # A way back needs days for three stays.
    there = np.flatnonzero(back & (place >= 1) & (ends[:, 1] - begins[:, 1] >= 6))
    third = (ends[there, 1] - begins[there, 1]) / 3
    moments.append((there, np.zeros(len(there), dtype=np.int64), begins[there, 1] + third))
    moments.append((there, np.ones(len(there), dtype=np.int64), begins[there, 1] + 2 * third))
    row, stage, moment = (np.concatenate(part) for part in zip(*moments, strict=True))
    order = np.lexsort((moment, row))
    row, stage, moment = row[order], stage[order], moment[order]
    entered = deals["created"].to_numpy()[row] + np.floor(moment).astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "opportunity_id": deals["opportunity_id"].to_numpy(dtype=object)[row],
            "stage": np.array(STAGES, dtype=object)[stage],
            "entered": entered.astype("datetime64[ns]"),
        }
    )
