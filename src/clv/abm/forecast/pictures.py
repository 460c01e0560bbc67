"""The pictures of a forecast: what comes back by tier, and what it hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.experiments.pictures import axes
from clv.abm.forecast.wording import chance
from clv.abm.loop.evidence import tuples
from clv.abm.pictures import _short, _unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.forecast.roi import RoiForecast


def returns(forecast: RoiForecast, ax: Axes | None = None) -> Axes:
    """Draw the net present value of tiers and total with intervals, labelled with the chance that it pays."""
    import seaborn as sns

    ax = axes(ax)
    table = forecast.table[forecast.table["scope"].isin(["tier", "total"])]
    table = table.iloc[[*range(1, len(table)), 0]] if len(table) > 2 else table.iloc[:1]
    blue = sns.color_palette("colorblind")[0]
    y = np.arange(len(table))
    ax.hlines(y, table["npv_lower"], table["npv_upper"], color=blue, linewidth=3, alpha=0.6)
    ax.plot(table["npv"], y, "o", color=blue)
    for place, row in zip(y, tuples(table), strict=True):
        ax.annotate(f"pays: {chance(row.p_positive)}", (row.npv, place), xytext=(0, 8), textcoords="offset points",
                    ha="center", fontsize="small")  # fmt: skip
    ax.axvline(0, color="0.4", linewidth=0.8)
    ax.set_yticks(y, ["whole plan" if row.scope == "total" else row.tier for row in tuples(table)])
    ax.invert_yaxis()
    ax.margins(y=0.25)
    ax.xaxis.set_major_formatter(_short)
    ax.set(
        xlabel=f"added margin less cost, of today{_unit(forecast.currency)}",
        ylabel="",
        title=f"What the plan returns, {forecast.confidence:.0%} interval",
    )
    sns.despine(ax=ax, left=True)
    return ax


def tornado_bars(forecast: RoiForecast, ax: Axes | None = None) -> Axes:
    """Draw the range of the net return as each input runs over its interval alone."""
    import seaborn as sns

    ax = axes(ax)
    table = forecast.tornado.dropna(subset=["swing"]).head(8)
    blue = sns.color_palette("colorblind")[0]
    y = np.arange(len(table))
    ax.barh(y, table["swing"], left=table["low"], color=blue, height=0.6)
    ax.axvline(float(forecast.table["npv"].iloc[0]), color="0.2", linewidth=1)
    ax.axvline(0, color="0.6", linewidth=0.8, linestyle="--")
    for place, row in zip(y, tuples(table), strict=True):
        ax.annotate(f"{row.variance_share:.0%}", (row.high, place), xytext=(4, 0), textcoords="offset points",
                    va="center", fontsize="small")  # fmt: skip
    ax.set_yticks(y, table["input"])
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter(_short)
    ax.set(
        xlabel=f"net return as this alone varies{_unit(forecast.currency)}; label: share of variance",
        ylabel="",
        title="What the forecast hangs on",
    )
    sns.despine(ax=ax, left=True)
    return ax
