"""What it costs to win an account, and what a won account is worth: CAC, CLV : CAC and payback by channel (rule B2)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.forecast.timing import Timing
from clv.abm.options import value_table
from clv.abm.wording import listed, money
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.data.settings import Unit
    from clv.value.lifetime import LifetimeValue

Date = dt.date | str | pd.Timestamp
#: steps on the way to an account (rule B2), first step first.
ACQUISITION_STAGES = ("analysis", "preparation", "education", "first contact", "follow-up", "acquisition")


@dataclass(frozen=True, eq=False)
class ChannelReturns(Result):
    """Channels compared.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a channel, and "all": channel, cost, won (accounts credited; parts of accounts under "even"), value
        (their CLV), cac (cost ÷ won; infinite where none was won), clv_to_cac, payback (months until the margin of an
        average account won has made up for its cost; infinite where it does not within the horizon).
    stages : pandas.DataFrame
        One row an acquisition stage: stage, cost, share, cost_per_won; empty where costs are not told by stage.
    unassigned : int
        Accounts won without a touch before: in "all", in no channel.
    """

    stages: pd.DataFrame
    unassigned: int
    currency: str = field(default="")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw CLV : CAC by channel."""
        import seaborn as sns

        from clv.abm.experiments.pictures import axes

        ax = axes(ax)
        shown = self.table[np.isfinite(self.table["clv_to_cac"])]
        ax.barh(shown["channel"], shown["clv_to_cac"], color=sns.color_palette("colorblind")[0])
        ax.axvline(1, color="0.4", linewidth=0.8, linestyle="--")
        ax.invert_yaxis()
        ax.set(xlabel="value of an account won ÷ cost to win it", ylabel="", title="CLV : CAC by channel")
        sns.despine(ax=ax, left=True)
        return ax


def channel_returns(
    costs: pd.DataFrame,
    touches: pd.DataFrame,
    won: pd.DataFrame,
    value: LifetimeValue | pd.DataFrame,
    *,
    credit: Literal["first", "last", "even"] = "even",
    window: float = 365.0,
    horizon: float | None = None,
    unit: Unit | None = None,
    discount_rate: float | None = None,
    currency: str = "",
) -> ChannelReturns:
    """Set the cost of winning accounts against what they are worth.

    Parameters
    ----------
    costs : pandas.DataFrame
        channel, cost: what was spent on winning accounts in the period of `won`; stage, if told by acquisition stage.
    touches : pandas.DataFrame
        account_id, date, channel.
    won : pandas.DataFrame
        account_id, date: accounts won in the period, with the day of their first purchase.
    value : LifetimeValue or pandas.DataFrame
        Index account_id, clv: margin before any cost to acquire (rule B1); accounts without one count as 0.
    credit : {"first", "last", "even"}
        Which touches before the win get it: the first, the last, or all alike.
    window : float
        Days before the win in which a touch counts.
    horizon, unit, discount_rate : optional
        Of the values, for the payback; needed where `value` is a table.
    currency : str

    Returns
    -------
    ChannelReturns

    Raises
    ------
    DataError
        A cost is missing or negative, an account was won twice.

    Notes
    -----
    Credit is bookkeeping, not cause: an account might have come without the channel. What a channel adds is for an
    experiment to say. Margin is taken to come in evenly over the horizon.
    """
    _check(costs, touches, won, credit, window)
    if not isinstance(value, pd.DataFrame):
        horizon, unit, discount_rate = value.horizon, value.unit, value.discount_rate  # type: ignore[assignment]
    if horizon is None or unit is None or discount_rate is None:
        raise SettingsError("horizon, unit and discount_rate of the values are not known.", mend="Give them.")
    timing = Timing(horizon, unit, discount_rate)
    clv = value_table(value)["clv"]
    share = _credits(touches, won, credit, window)
    worth = clv.reindex(won["account_id"].astype(str)).fillna(0.0)
    spent = costs.groupby(costs["channel"].astype(str))["cost"].sum()
    credited = share.groupby("channel")["share"].sum()
    brought = (share["share"] * worth.reindex(share["account_id"]).to_numpy()).groupby(share["channel"]).sum()
    names = sorted(set(spent.index) | set(credited.index))
    sums = pd.DataFrame({"cost": spent, "won": credited, "value": brought}, index=names).fillna(0.0)
    rows = [_row(name, *(float(x) for x in sums.loc[name]), timing=timing) for name in names]
    rows.append(_row("all", float(spent.sum()), float(len(won)), float(worth.sum()), timing=timing))
    table = pd.DataFrame(rows)
    stages = _stages(costs, len(won))
    left = len(won) - share["account_id"].nunique()
    draft = ChannelReturns(table, "", stages, left, currency)
    return replace(draft, text=_text(draft, credit))


def _check(costs: pd.DataFrame, touches: pd.DataFrame, won: pd.DataFrame, credit: str, window: float) -> None:
    for table, name, columns in (
        (costs, "costs", ("channel", "cost")),
        (touches, "touches", ("account_id", "date", "channel")),
        (won, "won", ("account_id", "date")),
    ):
        for column in columns:
            if column not in table.columns:
                raise DataError("there is no such column.", table=name, column=column, mend="Add it.")
    spent = pd.to_numeric(costs["cost"], errors="coerce").to_numpy(float)
    if len(spent) == 0 or not (np.isfinite(spent) & (spent >= 0)).all():
        row = int(np.argmax(~(np.isfinite(spent) & (spent >= 0)))) + 1 if len(spent) else None
        raise DataError("what was spent is not known.", table="costs", column="cost", row=row,
                        mend="Give 0 or more for each channel: without cost there is no CAC.")  # fmt: skip
    if costs["channel"].isna().any():
        raise DataError("is empty.", table="costs", column="channel", mend="Name the channel.")
    twice = won["account_id"].astype(str).duplicated().to_numpy()
    if twice.any():
        raise DataError("an account was won twice.", table="won", column="account_id", row=int(np.argmax(twice)) + 1,
                        mend="Give the day of its first purchase.")  # fmt: skip
    if credit not in ("first", "last", "even"):
        raise SettingsError(f"credit = {credit!r} is not known.", mend="Use 'first', 'last' or 'even'.")
    if not (np.isfinite(window) and window > 0):
        raise SettingsError(f"window = {window!r}.", mend="Give days, more than 0.")


def _credits(touches: pd.DataFrame, won: pd.DataFrame, credit: str, window: float) -> pd.DataFrame:
    """Share of each win that each touch gets; shares of an account sum to 1."""
    day = pd.Series(pd.to_datetime(won["date"]).to_numpy(), index=won["account_id"].astype(str))
    known = touches[touches["channel"].notna()]
    known = known[["account_id", "channel", "date"]].assign(date=pd.to_datetime(known["date"]))
    known = known.astype({"account_id": str, "channel": str})
    known = known[known["account_id"].isin(day.index)]
    before = (day.reindex(known["account_id"]).to_numpy() - known["date"].to_numpy()) / np.timedelta64(1, "D")
    known = known[(before >= 0) & (before <= window)].sort_values(["account_id", "date", "channel"], kind="stable")
    if credit != "even":
        known = known.drop_duplicates("account_id", keep="first" if credit == "first" else "last")
    count = known.groupby("account_id")["channel"].transform("size")
    return known.assign(share=1.0 / count)


def _row(name: str, cost: float, won: float, value: float, *, timing: Timing) -> dict[str, object]:
    cac = cost / won if won > 0 else (np.inf if cost > 0 else np.nan)
    ratio = value / cost if cost > 0 else np.nan
    each = np.array([value / won]) if won > 0 else np.zeros(1)
    payback = float(timing.payback(each, np.array([cac]))[0]) if won > 0 else (np.inf if cost > 0 else np.nan)
    return {"channel": name, "cost": cost, "won": won, "value": value, "cac": cac, "clv_to_cac": ratio,
            "payback": payback}  # fmt: skip


def _stages(costs: pd.DataFrame, won: int) -> pd.DataFrame:
    columns = ["stage", "cost", "share", "cost_per_won"]
    if "stage" not in costs.columns:
        return pd.DataFrame(columns=columns)
    unknown = sorted(set(costs["stage"].dropna().astype(str)) - set(ACQUISITION_STAGES))
    if unknown or costs["stage"].isna().any():
        raise DataError(
            f"{unknown[0]!r} is no acquisition stage." if unknown else "is empty.",
            table="costs", column="stage", mend=f"Use {', '.join(ACQUISITION_STAGES)}.",
        )  # fmt: skip
    spent = costs.groupby(costs["stage"].astype(str))["cost"].sum()
    rows = [(s, float(spent[s]), float(spent[s] / max(spent.sum(), 1e-300)), float(spent[s] / won) if won else np.inf)
            for s in ACQUISITION_STAGES if s in spent.index]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _text(found: ChannelReturns, credit: str) -> str:
    total = found.table.iloc[-1]
    if total["won"] == 0:
        return f"{money(total['cost'], found.currency)} was spent and no account was won: there is no CAC yet."
    pays = f" and is paid back after {total['payback']:.1f} months" if np.isfinite(total["payback"]) else ""
    said = (
        f"Winning {total['won']:,.0f} accounts cost {money(total['cost'], found.currency)}:"
        f" {money(total['cac'], found.currency)} each. One is worth {total['clv_to_cac']:.1f} times that{pays}."
    )
    channels = found.table.iloc[:-1]
    dear = channels[channels["clv_to_cac"] < 1]
    if len(dear):
        said += f" Costs more than its accounts are worth: {listed(list(dear['channel']))}."
    how = {"first": "the first touch", "last": "the last touch", "even": "all touches alike"}[credit]
    said += f" Wins are credited to {how} before them, which is bookkeeping and says nothing of cause."
    if found.unassigned:
        said += f" {found.unassigned} were won without a touch before."
    return said
