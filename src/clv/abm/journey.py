"""The journey of deals: how many reach each stage and are won, and how fast, by tier and arm (rules D5, D6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.experiments.history import sales_cycle
from clv.abm.experiments.outcomes import EARLIEST
from clv.abm.wording import listed
from clv.churn.contracts.competing_risks import competing_risks
from clv.churn.proportions import proportion_interval
from clv.data.labels import spelt_as
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Date = dt.date | str | pd.Timestamp
#: the sales process of the samples, first stage first; a won deal has passed all of them.
STAGES = ("qualification", "proposal", "negotiation")
#: several tiers together.
ALL_TIERS = "all tiers"
#: decided deals below which a share says little.
FEW = 20


@dataclass(frozen=True, eq=False)
class DealFunnel(Result):
    """Deals by group.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a group (tier and arm; all tiers together, where there are several; no programme): group, opened, open,
        won, lost, win_rate (won of decided) with lower and upper, p_won_half_year (probability that a deal is won
        within 182 days of its opening; deals still open are censored, lost ones a competing end) with its interval,
        days_to_close (Kaplan-Meier median of the time to any end; infinite where fewer than half have ended),
        amount_won.
    stages : pandas.DataFrame
        One row a group and stage: group, stage, reached, passed (went on to the next one, or was won), share (passed of
        those whose passing or stopping is known), lower, upper, stopped (lost there), open (still there).
    curves : pandas.DataFrame
        group, time (days), incidence (won by then), lower, upper.
    notes : list of str
    confidence : float
    """

    stages: pd.DataFrame
    curves: pd.DataFrame = field(repr=False)
    notes: list[str]
    confidence: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of deals won by days since their opening: all tiers together, where there are several."""
        import seaborn as sns

        from clv.abm.experiments.pictures import axes

        ax = axes(ax)
        names = list(self.table["group"])
        whole = [name for name in names if name.startswith(ALL_TIERS)]
        shown = [name for name in names if not whole or name in (*whole, "no programme")]
        for colour, name in zip(sns.color_palette("colorblind", len(shown)), shown, strict=True):
            curve = self.curves[self.curves["group"] == name]
            ax.step([0.0, *curve["time"]], [0.0, *(100 * curve["incidence"])], where="post", color=colour, label=name)
        ax.set(title="Deals won over time", xlabel="days since the deal was opened", ylabel="% won")
        ax.legend(frameon=False)
        sns.despine(ax=ax)
        return ax


def deal_funnel(
    opportunities: pd.DataFrame,
    programmes: pd.DataFrame | None = None,
    *,
    stages: Sequence[str] = STAGES,
    as_of: Date | None = None,
    confidence: float = 0.9,
) -> DealFunnel:
    """Count deals through their stages, and measure how fast they close.

    Parameters
    ----------
    opportunities : pandas.DataFrame
        opportunity_id, account_id, created, closed, stage, outcome (won, lost or open). The stage of a lost deal is
        where it stopped.
    programmes : pandas.DataFrame, optional
        account_id, tier, arm, start. Deals of its accounts opened from the start on are grouped by tier and arm, all
        other deals under "no programme": a deal from before the start is none of the programme's (immortal time).
    stages : sequence of str
        In their order.
    as_of : date, optional
        The last day known; None: the last date in the table.
    confidence : float

    Returns
    -------
    DealFunnel

    Raises
    ------
    DataError
        A column is missing, a deal closed before it was opened, an outcome lacks its date, a stage is not known.

    Notes
    -----
    Win rates of decided deals favour what closes fast; `p_won_half_year` does not (Aalen & Johansen 1978, with lost
    as the competing end and open deals censored). The table holds a deal's last stage only, so that time within a stage
    is not known from it: `clv.stage_velocity` takes a log of stages.
    """
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    deals, end = _deals(opportunities, stages, as_of)
    deals["group"] = programme_groups(deals, programmes)
    rows, steps, lines, notes = [], [], [], []
    for name, members in _order(deals["group"], programmes).items():
        mine = deals[deals["group"].isin(members)]
        row, curve = _row(name, mine, end, confidence)
        rows.append(row)
        lines.append(curve.assign(group=name))
        steps.append(_stages(name, mine, list(stages), confidence))
    few = sum(row["won"] + row["lost"] < FEW for row in rows)
    if few:
        where = f"{few} of {len(rows)} groups" if len(rows) > 1 else "all"
        notes.append(f"fewer than {FEW} deals are decided in {where}: mind the intervals")
    notes += _short_window(deals, programmes, end)
    curves = pd.concat(lines, ignore_index=True)[["group", "time", "incidence", "lower", "upper"]]
    draft = DealFunnel(pd.DataFrame(rows), "", pd.concat(steps, ignore_index=True), curves, notes, confidence)
    return replace(draft, text=_text(draft, end))


def _deals(opportunities: pd.DataFrame, stages: Sequence[str], as_of: Date | None) -> tuple[pd.DataFrame, pd.Timestamp]:
    for name in ("opportunity_id", "account_id", "created", "closed", "outcome"):
        if name not in opportunities.columns:
            raise DataError("there is no such column.", table="opportunities", column=name, mend="Add it.")
    deals = opportunities.reset_index(drop=True)
    deals = deals.assign(created=pd.to_datetime(deals["created"]), closed=pd.to_datetime(deals["closed"]))
    if deals.empty:
        raise DataError("there is no deal.", table="opportunities", mend="Leave the funnel out.")
    end = pd.Timestamp(as_of) if as_of is not None else max(deals["created"].max(), deals["closed"].max())
    deals["outcome"] = deals["outcome"].astype(object).fillna("open")
    decided = deals["outcome"].isin(["won", "lost"])
    for wrong, column, what in (
        (deals["closed"] < deals["created"], "closed", "was closed before it was opened"),
        (decided & deals["closed"].isna(), "closed", "is decided, but no one says when"),
        (deals["created"].isna(), "created", "has no opening date"),
    ):
        if wrong.any():
            at = wrong.index[int(np.argmax(wrong.to_numpy()))]
            raise DataError(
                f"deal {deals.loc[at, 'opportunity_id']!r} {what}.",
                table="opportunities", column=column, row=int(at) + 1, mend="Correct the dates.",
            )  # fmt: skip
    # The last day counts to its end.
    deals = deals[deals["created"].dt.normalize() <= end].copy()
    late = (deals["closed"].dt.normalize() > end).to_numpy()
    deals.loc[late, "closed"] = pd.NaT
    deals.loc[late, "outcome"] = "open"
    if late.any():
        # Where a deal stood then is not known.
        deals["stage"] = deals["stage"].astype(object).mask(late) if "stage" in deals else None
    if "stage" in deals and deals["stage"].notna().any():
        deals["stage"] = spelt_as(deals["stage"], list(stages))
        lost_or_open = deals["outcome"] != "won"
        unknown = lost_or_open & deals["stage"].notna() & ~deals["stage"].isin(list(stages))
        if unknown.any():
            name = deals.loc[unknown, "stage"].iloc[0]
            raise DataError(
                f"stage {name!r} is not among {listed(list(stages))}.",
                table="opportunities", column="stage", mend="Give stages=, in their order.",
            )  # fmt: skip
    else:
        deals["stage"] = None
    return deals, end


def programme_groups(deals: pd.DataFrame, programmes: pd.DataFrame | None) -> pd.Series:
    """Label each deal with tier and arm of its account if it was opened from the start on, else "no programme"."""
    if programmes is None:
        return pd.Series("all", index=deals.index)
    for name in ("account_id", "tier", "arm", "start"):
        if name not in programmes.columns:
            raise DataError("there is no such column.", table="programmes", column=name, mend="Add it.")
    known = programmes.assign(
        account_id=programmes["account_id"].astype(str), start=pd.to_datetime(programmes["start"])
    )
    known = known.sort_values("start", kind="stable").drop_duplicates("account_id")
    found = known.set_index("account_id").reindex(deals["account_id"].astype(str))
    inside = (deals["created"].to_numpy() >= found["start"].to_numpy()) & found["tier"].notna().to_numpy()
    label = found["tier"].astype(object).astype(str) + ", " + found["arm"].astype(object).astype(str)
    return pd.Series(np.where(inside, label.to_numpy(), "no programme"), index=deals.index)


def _short_window(deals: pd.DataFrame, programmes: pd.DataFrame | None, end: pd.Timestamp) -> list[str]:
    """Say where too little time has passed since the start of a programme (rule D6)."""
    if programmes is None:
        return []
    begun = pd.to_datetime(programmes["start"])
    begun = begun[begun <= end]
    if begun.empty:
        return ["no programme had begun"]
    days, cycle = (end - begun.max()).days + 1, sales_cycle(deals)
    if days < EARLIEST:
        return [f"only {days} days have passed since the start: nothing is worth measuring before a month"]
    if cycle > 0 and days < 2 * cycle:
        return [
            f"{days} days since the start are short against a sales cycle of {cycle:.0f} days: many deals that the"
            " programme began are still open"
        ]
    return []


def group_rank(group: str) -> tuple[bool, str, bool]:
    """Tiers by name, treated before controls, the rest last."""
    return group == "no programme", group.rpartition(", ")[0], "control" in group


def _order(groups: pd.Series, programmes: pd.DataFrame | None) -> dict[str, list[str]]:
    """List groups in their order with the labels that each is made of; several tiers come together once more."""
    if programmes is None:
        return {"all": ["all"]}
    return pooled_groups(groups)


def pooled_groups(groups: pd.Series) -> dict[str, list[str]]:
    """List labels of tier and arm in their order, each with what it is made of: of several tiers also all together."""
    names = sorted(set(groups), key=group_rank)
    found = {name: [name] for name in names if name.endswith((", treatment", ", control"))}
    rest = {name: [name] for name in names if name not in found}
    if len({name.rpartition(", ")[0] for name in found}) > 1:
        for arm in sorted({name.rpartition(", ")[2] for name in found}, reverse=True):
            found[f"{ALL_TIERS}, {arm}"] = [name for name in names if name.endswith(f", {arm}")]
    return found | rest


def _row(name: str, deals: pd.DataFrame, end: pd.Timestamp, confidence: float) -> tuple[dict[str, Any], pd.DataFrame]:
    won, lost = (int((deals["outcome"] == o).sum()) for o in ("won", "lost"))
    low, high = proportion_interval(won, won + lost, confidence)
    last = deals["closed"].where(deals["outcome"].isin(["won", "lost"]), end)
    # Half a day is added, so that what closes on the first day counts.
    days = (last.dt.normalize() - deals["created"].dt.normalize()).dt.days.to_numpy(float).clip(min=0) + 0.5
    ended = deals["outcome"].isin(["won", "lost"]).to_numpy()
    cause = np.where(ended, deals["outcome"].to_numpy(object), np.array(None, dtype=object))
    found = competing_risks(days, cause=cause, causes=["won", "lost"], confidence=confidence)
    curve = found.incidence[found.incidence["cause"] == "won"]
    half = curve[curve["time"] <= 183]
    at = half.iloc[-1] if len(half) else {"incidence": 0.0, "lower": np.nan, "upper": np.nan}
    below = found.survival.index[found.survival["survival"].to_numpy() <= 0.5]
    money = deals.loc[deals["outcome"] == "won", "amount"].sum() if "amount" in deals else np.nan
    return {
        "group": name, "opened": len(deals), "open": len(deals) - won - lost, "won": won, "lost": lost,
        "win_rate": won / (won + lost) if won + lost else np.nan, "lower": float(low), "upper": float(high),
        "p_won_half_year": float(at["incidence"]), "p_lower": float(at["lower"]), "p_upper": float(at["upper"]),
        "days_to_close": float(below[0] - 0.5) if len(below) else np.inf, "amount_won": float(money),
    }, curve  # fmt: skip


def _stages(name: str, deals: pd.DataFrame, stages: list[str], confidence: float) -> pd.DataFrame:
    """Deals that reached each stage, went on, stopped or are still there."""
    place = pd.Index(stages).get_indexer(pd.Index(deals["stage"]))
    won, open_ = ((deals["outcome"] == o).to_numpy() for o in ("won", "open"))
    place = np.where(won, len(stages), place)
    rows = []
    for k, stage in enumerate(stages):
        reached, passed = int((place >= k).sum()), int((place > k).sum())
        here = place == k
        still, stopped = int((here & open_).sum()), int((here & ~open_).sum())
        low, high = proportion_interval(passed, passed + stopped, confidence)
        share = passed / (passed + stopped) if passed + stopped else np.nan
        rows.append((name, stage, reached, passed, share, float(low), float(high), stopped, still))
    return pd.DataFrame(
        rows, columns=["group", "stage", "reached", "passed", "share", "lower", "upper", "stopped", "open"]
    )


def _text(funnel: DealFunnel, end: pd.Timestamp) -> str:
    rows: dict[str, Any] = {str(row["group"]): row for row in funnel.table.to_dict("records")}
    said = []
    for name, row in rows.items():
        if name.endswith(", control") and name.replace(", control", ", treatment") in rows:
            continue
        part = f"{name.replace(', treatment', '')}: {_won(row)}"
        other = rows.get(name.replace(", treatment", ", control"))
        if name.endswith(", treatment"):
            part += f", its controls {_won(other)}" if other else ", no controls"
        said.append(part)
    mind = "".join(f" {n[0].upper()}{n[1:]}." for n in funnel.notes)
    groups = len(rows) > 1
    note = " Groups of deals tell what happened, not what a tier caused: that is for the comparison with the controls."
    return f"Deals won of those decided up to {end:%Y-%m-%d}. {'; '.join(said)}.{note if groups else ''}{mind}"


def _won(row: dict[str, Any]) -> str:
    decided = row["won"] + row["lost"]
    if not decided:
        return "none decided yet"
    return f"{row['won']:,} of {decided:,} ({row['win_rate']:.0%}, {row['lower']:.0%} to {row['upper']:.0%})"
