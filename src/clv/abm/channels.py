"""What it costs to win an account, and what a won account is worth: CAC, CLV : CAC and payback by channel (rule B2)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.forecast.timing import Timing
from clv.abm.options import value_table
from clv.abm.won import FEWEST, margin_curve, payback_months, value_since_won
from clv.abm.wording import listed, money
from clv.data.labels import one_spelling
from clv.data.tables import ACQUISITION_STAGES
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.data.settings import Unit
    from clv.value.lifetime import LifetimeValue

Date = dt.date | str | pd.Timestamp


@dataclass(frozen=True, eq=False)
class ChannelReturns(Result):
    """Channels compared.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a channel, and "all": channel, cost, won (accounts credited; parts of accounts under "even"), value
        (their CLV), cac (cost ÷ won; infinite where none was won), clv_to_cac with lower and upper (had luck won more
        or other accounts; cost taken as it is), payback (months until the margin of an average account won has made up
        for its cost; infinite where it does not within what is known, empty where fewer than `clv.abm.won.FEWEST`
        accounts tell), verdict (pays, does not pay, cannot be told, nothing spent).
    stages : pandas.DataFrame
        One row an acquisition stage: stage, cost, share, cost_per_won; up to and with this stage cac, clv_to_cac and
        payback. Empty where costs are not told by stage.
    cells : pandas.DataFrame
        One row a channel and stage: channel, stage, cost, share; empty likewise.
    unassigned : int
        Accounts won without a touch before: in "all", in no channel.
    general : float
        Cost of no channel: in "all" only.
    measured : bool
        The payback is what accounts really brought; else an even pace of their value is assumed.
    confidence : float
    currency : str
    """

    stages: pd.DataFrame
    cells: pd.DataFrame
    unassigned: int
    general: float
    measured: bool
    confidence: float
    currency: str = field(default="")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw CLV : CAC by channel with its interval."""
        from clv.abm.experiments.pictures import effects

        shown = self.table[np.isfinite(self.table["clv_to_cac"])]
        shown = shown.assign(label=shown["channel"], effect=shown["clv_to_cac"])
        ax = effects(shown, f"CLV : CAC by channel, {self.confidence:.0%} interval", "", ax)
        ax.axvline(1, color="0.4", linewidth=0.8, linestyle="--")
        ax.set_xlabel("value of accounts won ÷ cost to win them (1: just paid for)")
        return ax


def channel_returns(
    costs: pd.DataFrame,
    touches: pd.DataFrame,
    won: pd.DataFrame,
    value: LifetimeValue | pd.DataFrame,
    *,
    credit: Literal["first", "last", "even"] = "even",
    window: float = 365.0,
    margins: pd.DataFrame | None = None,
    as_of: Date | None = None,
    horizon: float | None = None,
    unit: Unit | None = None,
    discount_rate: float | None = None,
    confidence: float = 0.9,
    currency: str = "",
) -> ChannelReturns:
    """Set the cost of winning accounts against what they are worth.

    Parameters
    ----------
    costs : pandas.DataFrame
        cost and channel (empty: of no channel): what was spent on winning accounts in the period of `won`; stage, if
        told by acquisition stage. `clv.reconcile_costs` makes it. Channels that differ by capitals, blanks or hyphens
        only are one, here and in touches, which is said.
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
    margins : pandas.DataFrame, optional
        account_id, date, margin of purchases. With it an account's value is what it has brought since it was won and
        what it is expected to bring (`clv.abm.won.value_since_won`), and the payback is the one that was seen. None:
        `value` is taken to be of the day on which an account was won, and to come in evenly over the horizon.
    as_of : date, optional
        The last day known, with `margins`; None: their last.
    horizon, unit, discount_rate : optional
        Of the values; needed where `value` is a table (with `margins` the rate alone).
    confidence : float
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
    experiment to say. A cost per lead is not computed: a lead is worth what comes of it (rule B2).

    Wins are taken as a Poisson process, their values as they came: the interval is that of a weighted sum of Poisson
    counts (Fay & Feuer 1997, *Statistics in Medicine* 16), the account that luck withheld at least an average one. It
    holds with few wins and with none, where resampling the wins that there are says "does not pay" of a channel that
    just pays for itself in up to half of all cases.
    """
    _check(costs, touches, won, credit, window)
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    (paid, touched), several = one_spelling(costs["channel"], touches["channel"])
    costs = costs.assign(cost=pd.to_numeric(costs["cost"]).astype(float), channel=paid)
    touches = touches.assign(channel=touched)
    if not isinstance(value, pd.DataFrame):
        horizon, unit, discount_rate = value.horizon, value.unit, value.discount_rate  # type: ignore[assignment]
    timing = None
    if margins is None:
        if horizon is None or unit is None or discount_rate is None:
            raise SettingsError("horizon, unit and discount_rate of the values are not known.", mend="Give them.")
        timing = Timing(horizon, unit, discount_rate)
    elif discount_rate is None:
        raise SettingsError("discount_rate is not known.", mend="Give it.")
    ids = won["account_id"].astype(str)
    clv = value_table(value)["clv"].reindex(ids).fillna(0.0)
    if margins is not None:
        end = pd.Timestamp(as_of) if as_of is not None else pd.to_datetime(margins["date"]).max()
        known = value_table(value)
        clv = value_since_won(margins, won, known, as_of=end, discount_rate=float(discount_rate or 0.0))["clv"]
    share = _credits(touches, won, credit, window)
    parts = share.groupby(["channel", "account_id"])["share"].sum()
    spent = costs.groupby(costs["channel"])["cost"].sum().rename(index=str)
    names = sorted(set(spent.index) | set(parts.index.get_level_values("channel")))
    each = float(clv.mean()) if len(won) else 0.0
    rows = []
    for name in [*names, "all"]:
        own = pd.Series(1.0, index=ids) if name == "all" else _part(parts, name, ids)
        cost = float(costs["cost"].sum() if name == "all" else spent.get(name, 0.0))
        credited = own.to_numpy() * clv.reindex(ids).to_numpy()
        cac = cost / own.sum() if own.sum() > 0 else (np.inf if cost > 0 else np.nan)
        low, high = np.array(_limits(credited, each, confidence)) / cost if cost > 0 else (np.nan, np.nan)
        if margins is not None:
            payback = _seen_payback(margin_curve(margins, won, own, as_of=end), int((own > 0).sum()), cac)
        else:
            payback = _even_payback(float(own.sum()), float(credited.sum()), cac, timing)
        rows.append(
            {
                "channel": name, "cost": cost, "won": float(own.sum()), "value": float(credited.sum()), "cac": cac,
                "clv_to_cac": float(credited.sum()) / cost if cost > 0 else np.nan,
                "lower": float(low), "upper": float(high), "payback": payback if cost > 0 else np.nan,
                "verdict": _verdict(low, high),
            }
        )  # fmt: skip
    stages, cells = _stages(costs, len(won))

    def back(cac: float) -> float:
        if margins is None:
            return _even_payback(float(len(won)), float(clv.sum()), cac, timing)
        return _seen_payback(whole, len(won), cac)

    whole = margin_curve(margins, won, as_of=end) if margins is not None else pd.DataFrame()
    so_far = stages["cost_per_won"].cumsum().astype(float)
    stages = stages.assign(cac=so_far, clv_to_cac=each / so_far.where(so_far > 0), payback=[back(x) for x in so_far])
    general = float(costs.loc[costs["channel"].isna(), "cost"].sum())
    left = len(won) - share["account_id"].nunique()
    draft = ChannelReturns(
        pd.DataFrame(rows), "", stages, cells, left, general, margins is not None, confidence, currency
    )
    text = _text(draft, credit)
    if several:
        text += f" Written in several ways and counted as one channel: {listed(several)}."
    return replace(draft, text=text)


def _limits(credited: np.ndarray, each: float, confidence: float) -> tuple[float, float]:
    """Interval of the expected value of accounts won, from what those that were won are worth.

    Where some are worth less than nothing, the intervals of both signs are put together (Zou & Donner 2008).
    """
    if not len(credited):
        return 0.0, np.nan  # nobody was won: nothing says what an account is worth
    gain, loss = np.maximum(credited, 0.0), np.maximum(-credited, 0.0)
    up, down = _weighted_poisson(gain, max(each, 0.0), confidence), _weighted_poisson(loss, 0.0, confidence)
    total = float(credited.sum())
    below = np.hypot(gain.sum() - up[0], down[1] - loss.sum())
    above = np.hypot(up[1] - gain.sum(), loss.sum() - down[0])
    return total - float(below), total + float(above)


def _weighted_poisson(weights: np.ndarray, least: float, confidence: float) -> tuple[float, float]:
    """Interval of the mean of a weighted sum of Poisson counts (Fay & Feuer 1997); one more could weigh `least`."""
    from scipy import stats

    total, square = float(weights.sum()), float((weights**2).sum())
    more = max(float(weights.max(initial=0.0)), least)
    if more == 0:
        return 0.0, 0.0
    above, spread = total + more, square + more**2
    upper = spread / (2 * above) * float(stats.chi2.ppf((1 + confidence) / 2, 2 * above**2 / spread))
    if total == 0:
        return 0.0, upper
    return square / (2 * total) * float(stats.chi2.ppf((1 - confidence) / 2, 2 * total**2 / square)), upper


def _seen_payback(curve: pd.DataFrame, won: int, cac: float) -> float:
    """Payback by what accounts brought; NaN where too few of them tell."""
    if not np.isfinite(cac):
        return np.inf
    return payback_months(curve, cac) if won >= FEWEST else np.nan


def _part(parts: pd.Series, name: str, ids: pd.Series) -> pd.Series:
    """Part of each account's win that a channel is credited with."""
    known = name in parts.index.get_level_values("channel")
    found = parts.xs(name, level="channel") if known else pd.Series(dtype=float)
    return found.reindex(ids).fillna(0.0)


def _verdict(lower: float, upper: float) -> str:
    if not np.isfinite(lower):
        return "nothing spent"
    return "pays" if lower > 1 else "does not pay" if upper < 1 else "cannot be told"


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
    day = pd.Series(pd.to_datetime(won["date"]).dt.normalize().to_numpy(), index=won["account_id"].astype(str))
    known = touches[touches["channel"].notna()]
    # By days: a touch at noon came before a purchase that is booked on the same day without an hour.
    known = known[["account_id", "channel", "date"]].assign(date=pd.to_datetime(known["date"]).dt.normalize())
    known = known.astype({"account_id": str, "channel": str})
    known = known[known["account_id"].isin(day.index)]
    before = (day.reindex(known["account_id"]).to_numpy() - known["date"].to_numpy()) / np.timedelta64(1, "D")
    known = known[(before >= 0) & (before <= window)].sort_values(["account_id", "date", "channel"], kind="stable")
    if credit != "even":
        known = known.drop_duplicates("account_id", keep="first" if credit == "first" else "last")
    count = known.groupby("account_id")["channel"].transform("size")
    return known.assign(share=1.0 / count)


def _even_payback(won: float, value: float, cac: float, timing: Timing | None) -> float:
    """Months until an even pace of the value has made up for the cost."""
    if won <= 0 or timing is None:
        return np.inf
    return float(timing.payback(np.array([value / won]), np.array([cac]))[0])


def _stages(costs: pd.DataFrame, won: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns, cells = ["stage", "cost", "share", "cost_per_won"], ["channel", "stage", "cost", "share"]
    if "stage" not in costs.columns or costs["stage"].isna().all():
        return pd.DataFrame(columns=columns), pd.DataFrame(columns=cells)
    unknown = sorted(set(costs["stage"].dropna().astype(str)) - set(ACQUISITION_STAGES))
    if unknown:
        raise DataError(
            f"{unknown[0]!r} is no acquisition stage.",
            table="costs", column="stage", mend=f"Use {', '.join(ACQUISITION_STAGES)}.",
        )  # fmt: skip
    label = costs["stage"].fillna("not said").astype(str)
    order = [s for s in (*ACQUISITION_STAGES, "not said") if s in set(label)]
    spent, whole = costs.groupby(label)["cost"].sum(), max(float(costs["cost"].sum()), 1e-300)
    rows = [(s, float(spent[s]), float(spent[s]) / whole, float(spent[s] / won) if won else np.inf) for s in order]
    both = costs["cost"].groupby([costs["channel"].fillna("no channel").astype(str), label]).sum()
    pairs = [(c, s, float(both[c, s]), float(both[c, s]) / whole) for c in sorted(set(both.index.get_level_values(0)))
             for s in order if (c, s) in both.index]  # fmt: skip
    return pd.DataFrame(rows, columns=columns), pd.DataFrame(pairs, columns=cells)


def _text(found: ChannelReturns, credit: str) -> str:
    total, currency = found.table.iloc[-1], found.currency
    if total["won"] == 0:
        return f"{money(total['cost'], currency)} was spent and no account was won: there is no CAC yet."
    if not total["cost"] > 0:
        return f"{total['won']:,.0f} accounts were won and nothing was spent on it: there is no CAC."
    pays = f", and paid back after {total['payback']:.1f} months" if np.isfinite(total["payback"]) else ""
    if np.isinf(total["payback"]) and found.measured:
        pays = ", and not paid back yet by what it has brought"
    said = (
        f"Winning {total['won']:,.0f} accounts cost {money(total['cost'], currency)}: {money(total['cac'], currency)}"
        f" each. One is worth {_times(total['clv_to_cac'])} times that ({found.confidence:.0%}:"
        f" {_times(total['lower'])} to {_times(total['upper'])}){pays}."
    )
    channels = found.table.iloc[:-1]
    for verdict, words in (
        ("does not pay", "Costs more than its accounts are worth: {}."),
        ("cannot be told", "Whether it pays cannot be told: {}."),
    ):
        named = [f"{row['channel']} ({_times(row['clv_to_cac'])}; {_times(row['lower'])} to {_times(row['upper'])})"
                 for row in channels[channels["verdict"] == verdict].to_dict("records")]  # fmt: skip
        said += " " + words.format(listed(named)) if named else ""
    if len(found.stages):
        top = found.stages.sort_values("cost", ascending=False, kind="stable").iloc[0]
        said += f" Most is spent on {top['stage']}: {top['share']:.0%}."
    how = {"first": "the first touch", "last": "the last touch", "even": "all touches alike"}[credit]
    said += f" Wins are credited to {how} before them, which is bookkeeping and says nothing of cause."
    if found.general:
        said += f" {money(found.general, currency)} belongs to no channel and counts in the whole only."
    if found.unassigned:
        said += f" {found.unassigned} were won without a touch before."
    return said


def _times(x: float) -> str:
    return f"{x:.1f}".replace("-", "\N{MINUS SIGN}")
