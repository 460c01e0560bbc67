"""A log of stages: in which order they come, how long each deal stayed in each, and how it left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd

from clv.abm.journey import STAGES, programme_groups
from clv.data.labels import one_spelling, spelt_as
from clv.errors import DataError

Date = dt.date | str | pd.Timestamp


def stage_order(log: pd.DataFrame | None, opportunities: pd.DataFrame | None = None) -> list[str]:
    """Find the order of the stages of the sales process.

    Parameters
    ----------
    log : pandas.DataFrame or None
        opportunity_id, stage, entered. A stage comes before another if more deals entered it first (Copeland's rule:
        stages are ranked by how many others they come before, less how many come before them); ties are broken by the
        mean time since the deal's first stage.
    opportunities : pandas.DataFrame, optional
        Without a log, the default `clv.abm.journey.STAGES` holds if all deals that are not won stand in one of them.

    Returns
    -------
    list of str
        Empty where nothing says the order.
    """
    if log is not None and len(log):
        log = log.assign(stage=one_spelling(log["stage"])[0][0])
        first = log.sort_values("entered", kind="stable").drop_duplicates(["opportunity_id", "stage"])
        both = first.merge(first, on="opportunity_id")
        both = both[both["stage_x"] != both["stage_y"]]
        earlier = (both["entered_x"] < both["entered_y"]).astype(float) + 0.5 * (both["entered_x"] == both["entered_y"])
        share = earlier.groupby([both["stage_x"], both["stage_y"]]).mean()
        wins = (share.gt(0.5).astype(int) - share.lt(0.5).astype(int)).groupby(level=0).sum()
        waited = first["entered"] - first.groupby("opportunity_id")["entered"].transform("min")
        days = waited.dt.total_seconds().groupby(first["stage"].astype(str)).mean()
        return sorted(days.index, key=lambda name: (-float(wins.get(name, 0.0)), float(days[name]), name))
    if opportunities is not None and "stage" in opportunities:
        rest = opportunities[opportunities["outcome"] != "won"] if "outcome" in opportunities else opportunities
        if set(rest["stage"].dropna()) <= set(STAGES):
            return list(STAGES)
    return []


def stage_log(
    entries: pd.DataFrame,
    opportunities: pd.DataFrame,
    programmes: pd.DataFrame | None = None,
    *,
    order: Sequence[str] | None = None,
    as_of: Date | None = None,
) -> pd.DataFrame:
    """Turn entries into stays, one a row, each with its end and how it ended.

    Parameters
    ----------
    entries : pandas.DataFrame
        opportunity_id, stage, entered.
    opportunities : pandas.DataFrame
        opportunity_id, account_id, created, closed, outcome. Stays of deals that are not in it are left out, and
        counted in ``attrs["clv"]["unknown"]``.
    programmes : pandas.DataFrame, optional
        As for `clv.deal_funnel`, for the column group; only deals opened from the start on are of a programme.
    order : sequence of str, optional
        Stages, first one first; None: `stage_order`.
    as_of : date, optional
        What comes later is not known.

    Returns
    -------
    pandas.DataFrame
        opportunity_id, stage, entered, left (empty while there), exit ("on": to a later stage or won, "back", "lost";
        empty while there), group.

    Raises
    ------
    DataError
        A column is missing, a deal entered a stage on no given day, before it was opened or after it was closed, or a
        stage is not in `order`.
    """
    for table, name, columns in (
        (entries, "deal_stages", ("opportunity_id", "stage", "entered")),
        (opportunities, "opportunities", ("opportunity_id", "account_id", "created", "closed", "outcome")),
    ):
        for column in columns:
            if column not in table.columns:
                raise DataError("there is no such column.", table=name, column=column, mend="Add it.")
    known = list(order) if order is not None else stage_order(entries)
    entries = entries.assign(stage=spelt_as(entries["stage"], known))
    log = entries.reset_index(drop=True).rename_axis("row").reset_index()
    log = log.merge(
        opportunities[["opportunity_id", "account_id", "created", "closed", "outcome"]], on="opportunity_id", how="left"
    )
    lost = log["account_id"].isna()
    log = log[~lost]
    _check(log)
    if as_of is not None:
        end = pd.Timestamp(as_of)
        # The last day counts to its end.
        log = log[log["entered"].dt.normalize() <= end]
        late = (log["closed"].dt.normalize() > end).to_numpy()
        log = log.assign(closed=log["closed"].mask(late), outcome=log["outcome"].astype(object).mask(late, "open"))
    strange = sorted(set(log["stage"].astype(str)) - set(map(str, known)))
    if strange:
        raise DataError(
            f"holds {strange[0]!r}, which is not in order.", table="deal_stages", column="stage",
            mend="Give order= with every stage of the process.",
        )  # fmt: skip
    place = pd.Series(pd.Index(known).get_indexer(pd.Index(log["stage"])), index=log.index)
    log = log.assign(place=place).sort_values(["opportunity_id", "entered", "place"], kind="stable")
    # A stage that is entered twice in a row is one stay.
    again = log["stage"].eq(log["stage"].shift()) & log["opportunity_id"].eq(log["opportunity_id"].shift())
    log = log[~again]
    same = log["opportunity_id"].eq(log["opportunity_id"].shift(-1))
    following, next_place = log["entered"].shift(-1).where(same), log["place"].shift(-1).where(same)
    decided = log["outcome"].isin(["won", "lost"])
    left = following.where(same, log["closed"].where(decided))
    last = np.where(log["outcome"] == "won", "on", "lost")
    ended = np.where(same, np.where(next_place.fillna(0) >= log["place"], "on", "back"), last)
    group = programme_groups(log, programmes) if len(log) else pd.Series(dtype=object)
    table = log.assign(left=left, exit=pd.Series(ended, index=log.index).where(left.notna()), group=group)
    out = table[["opportunity_id", "stage", "entered", "left", "exit", "group"]].reset_index(drop=True)
    out.attrs["clv"] = {"unknown": int(lost.sum()), "order": known}
    return out


def _check(log: pd.DataFrame) -> None:
    """Refuse stages outside the deal's own time."""
    for wrong, what in (
        (log["entered"].isna(), "on a day that is not given"),
        (log["entered"] < log["created"], "before it was opened"),
        (log["entered"] > log["closed"], "after it was closed"),
    ):
        if wrong.any():
            at = log[wrong.to_numpy()].iloc[0]
            raise DataError(
                f"deal {at['opportunity_id']!r} entered {at['stage']!r} {what}.",
                table="deal_stages", column="entered", row=int(at["row"]) + 1, mend="Correct the dates.",
            )  # fmt: skip
