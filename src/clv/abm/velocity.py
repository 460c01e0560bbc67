"""How long deals stay in each stage of the sales process, and how many go on (rule D5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.journey import ALL_TIERS, pooled_groups
from clv.abm.loop.evidence import tuples
from clv.abm.wording import listed
from clv.churn.contracts.competing_risks import competing_risks
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Date = dt.date | str | pd.Timestamp


@dataclass(frozen=True, eq=False)
class StageVelocity(Result):
    """Time that deals spend in each stage.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a group and stage (with `by` also all tiers of an arm together, and "all"): group, stage, stays, left
        (of them), median (days, Kaplan-Meier; infinite where fewer than half have left), p_left_30 (probability to have
        left within 30 days) with lower and upper; with a column exit in the log p_on_90 (probability to have moved on
        within 90 days, to be lost or to go back a competing end) with on_lower and on_upper.
    confidence : float
    """

    confidence: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the median days in each stage, a bar a group."""
        import seaborn as sns

        from clv.abm.experiments.pictures import axes

        ax = axes(ax)
        shown = self.table[np.isfinite(self.table["median"])]
        whole = shown["group"].str.startswith(ALL_TIERS)
        if whole.any():  # a bar for every tier and arm would be a thicket
            shown = shown[whole | (shown["group"] == "no programme")]
        sns.barplot(shown, x="median", y="stage", hue="group", palette="colorblind", ax=ax)
        ax.set(xlabel="days, median (half of the deals have left by then)", ylabel="", title="Time in stage")
        if ax.get_legend() is not None:
            ax.legend(title="", loc="upper left", bbox_to_anchor=(1.0, 1.0))
        sns.despine(ax=ax, left=True)
        return ax


def stage_velocity(
    log: pd.DataFrame,
    *,
    by: str | None = None,
    order: Sequence[str] | None = None,
    as_of: Date | None = None,
    confidence: float = 0.9,
) -> StageVelocity:
    """Measure time in stage from a log of stages, with deals that are still there censored (Kaplan & Meier 1958).

    Parameters
    ----------
    log : pandas.DataFrame
        opportunity_id, stage, entered, left (empty while there): one row a stay; deals may go back (rule F2). With
        `by`, a column of groups, such as the tier. With exit (on, back, lost), how it left. `clv.stage_log` makes it.
    by : str, optional
    order : sequence of str, optional
        Stages in their order; None: as `clv.stage_log` found it, else by name.
    as_of : date, optional
        The last day known; None: the last date in the log.
    confidence : float

    Returns
    -------
    StageVelocity

    Raises
    ------
    DataError
        A column is missing, or a deal entered on no given day or left before it entered.
    """
    for name in ("opportunity_id", "stage", "entered", "left", *([by] if by else [])):
        if name not in log.columns:
            raise DataError("there is no such column.", table="stage log", column=name, mend="Add it.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    stays = log.reset_index(drop=True).assign(entered=pd.to_datetime(log["entered"]).to_numpy(),
                                              left=pd.to_datetime(log["left"]).to_numpy())  # fmt: skip
    empty = stays["entered"].isna().to_numpy()
    if empty.any():
        row = int(np.argmax(empty)) + 1
        raise DataError("is empty.", table="stage log", column="entered", row=row, mend="Say when.")
    end = pd.Timestamp(as_of) if as_of is not None else max(stays["entered"].max(), stays["left"].max())
    # The last day counts to its end.
    stays = stays[stays["entered"].dt.normalize() <= end]
    gone = (stays["left"].notna() & (stays["left"].dt.normalize() <= end)).to_numpy()
    until = stays["left"].where(gone, stays["entered"].clip(lower=end))
    days = (until - stays["entered"]).dt.total_seconds().to_numpy() / 86_400
    if (days < 0).any():
        row = int(np.argmax(days < 0))
        raise DataError(
            "a deal left before it entered.", table="stage log", column="left", row=int(stays.index[row]) + 1,
            mend="Correct the dates.",
        )  # fmt: skip
    stays = stays.assign(group=stays[by].astype(str) if by else "all", days=days + 0.5, gone=gone)
    groups = pooled_groups(stays["group"]) | ({"all": sorted(set(stays["group"]))} if len(stays) else {})
    about = log.attrs.get("clv")
    known = order or (about.get("order", ()) if isinstance(about, dict) else ())
    names = [s for s in known if s in set(stays["stage"])]
    names += sorted(set(stays["stage"]) - set(names))
    rows = []
    for group, members in groups.items():
        for stage in names:
            mine = stays[stays["group"].isin(members) & (stays["stage"] == stage)]
            if len(mine):
                rows.append({"group": group, "stage": stage, **_stay(mine, confidence)})
    table = pd.DataFrame(rows, columns=None if rows else ["group", "stage", "stays", "left", "median"])
    return StageVelocity(table, _velocity_text(table, end), confidence)


def _stay(mine: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Time in one stage of one group."""
    gone = mine["gone"].to_numpy()
    cause = np.where(gone, np.array("left", dtype=object), np.array(None, dtype=object))
    found = competing_risks(mine["days"], cause=cause, causes=["left"], confidence=confidence).survival
    below, early = found.index[found["survival"].to_numpy() <= 0.5], found[found.index <= 30.5]
    at = early.iloc[-1] if len(early) else None
    p = (0.0, np.nan, np.nan) if at is None else (1 - at["survival"], 1 - at["upper"], 1 - at["lower"])
    row: dict[str, Any] = {
        "stays": len(mine), "left": int(gone.sum()), "median": float(below[0] - 0.5) if len(below) else np.inf,
        "p_left_30": float(p[0]), "lower": float(p[1]), "upper": float(p[2]),
    }  # fmt: skip
    if "exit" in mine:
        how = pd.Series(np.where(mine["exit"] == "on", "on", "other"), dtype=object).where(gone, None).to_numpy(object)
        curve = competing_risks(mine["days"], cause=how, causes=["on", "other"], confidence=confidence).incidence
        on = curve[(curve["cause"] == "on") & (curve["time"] <= 90.5)]
        ends = on.iloc[-1] if len(on) else {"incidence": 0.0, "lower": np.nan, "upper": np.nan}
        row |= {"p_on_90": float(ends["incidence"]), "on_lower": float(ends["lower"]), "on_upper": float(ends["upper"])}
    return row


def _velocity_text(table: pd.DataFrame, end: pd.Timestamp) -> str:
    whole = table[table["group"] == "all"]
    known = whole[np.isfinite(whole["median"])]
    if known.empty:
        return "Time in stage is not known yet: fewer than half of the deals have left any stage."
    said = [f"{row.stage} {row.median:.0f} days" for row in tuples(known)]
    slow = known.loc[known["median"].idxmax()]
    text = f"Up to {end:%Y-%m-%d} half of the deals have left a stage after: {listed(said)}."
    if len(known) > 1:
        text += f" The slowest is {slow['stage']}."
    if "p_on_90" in known:
        weak = known.loc[known["p_on_90"].idxmin()]
        text += f" Fewest go on from {weak['stage']}: {weak['p_on_90']:.0%} within 90 days."
    return text
