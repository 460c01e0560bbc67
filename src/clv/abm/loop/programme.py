"""What a universe's own past programme showed: the evidence that a loop may begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.loop.effects import measure_tiers
from clv.abm.loop.records import Noise, Records
from clv.errors import SettingsError

if TYPE_CHECKING:
    from clv.abm.loop.evidence import Measurement
    from clv.data.simulate import Universe


def past_programme(universe: Universe, *, margin: float, segment: str | None = "technology") -> list[Measurement]:
    """Measure each tier of a universe's last programme against its controls, per unit of what was expected before it.

    Parameters
    ----------
    universe : Universe
    margin : float
        Of sales.
    segment : str, optional
        Column of accounts by which responses are told apart.

    Returns
    -------
    list of Measurement

    Notes
    -----
    The programme ran for a year, so that a tier's effect on drop-out adds up for longer than in a quarter: its uplift
    is somewhat larger.
    """
    table = universe.tables["programmes"].set_index("account_id")
    if table.empty:
        raise SettingsError("the universe has no programme.", mend="Start from the assumptions.")
    weeks = float((pd.Timestamp(universe.as_of) - table["start"].min()).days) / 7
    records, later = Records.of(universe, margin, before=weeks)
    ids = records.summary.index
    expected, came = records.forecast(weeks), margin * later.to_numpy(float)
    arm = table["arm"].reindex(ids).to_numpy(object)
    # How far forecasts are off without a programme.
    noise = Noise.of(expected[arm != "treatment"], came[arm != "treatment"])
    inside = pd.Index(ids).isin(table.index)
    seen = pd.DataFrame(
        {"account_id": ids[inside], "tier": table["tier"].reindex(ids[inside]).to_numpy(object), "arm": arm[inside],
         "expected": expected[inside], "margin": noise.moderate(expected, came)[inside],
         "variance": np.maximum(noise.variance(expected)[inside], 1e-9)}
    )  # fmt: skip
    if segment is not None:
        people = universe.truth["accounts"].set_index("account_id")
        seen["segment"] = people.loc[ids[inside], segment].astype(str).to_numpy(object)
    return measure_tiers(seen, experiment=str(table["programme"].iloc[0]), period="before")
