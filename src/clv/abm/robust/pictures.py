"""The pictures of allocation under uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.pictures import _axes, _short, _unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.robust.curse import Curse
    from clv.abm.robust.sensitivity import Sensitivity
    from clv.abm.robust.uncertainty import RobustAllocation


def returns(found: RobustAllocation, ax: Axes | None = None) -> Axes:
    """Draw the distribution functions of the net return of each plan and of perfect information."""
    import seaborn as sns

    ax = _axes(ax)
    colours = sns.color_palette("colorblind")
    names = {"expected": "this plan", "risk-averse": "risk-averse plan", "perfect": "all values known"}
    shown = [name for name in names if name in found.outcomes.columns]
    height = (np.arange(len(found.outcomes)) + 0.5) / len(found.outcomes)
    for colour, name in zip(colours, shown, strict=False):
        style = ":" if name == "perfect" else "-"
        ax.plot(np.sort(found.outcomes[name]), height, color=colour, linestyle=style, label=names[name])
    ax.axhline(1 - found.level, color="0.7", linewidth=0.8)
    ax.set(
        xlabel=f"net return{_unit(found.currency)}",
        ylabel="share of draws below",
        ylim=(0, 1),
        title="What the plans may bring",
    )
    ax.xaxis.set_major_formatter(_short)
    ax.legend(frameon=False, loc="best")
    sns.despine(ax=ax)
    return ax


def promises(found: Curse, ax: Axes | None = None) -> Axes:
    """Draw what each way of planning promises and brings."""
    import seaborn as sns

    ax = _axes(ax)
    colours = sns.color_palette("colorblind")
    y = np.arange(len(found.table))
    ax.barh(y - 0.19, found.table["promised"], height=0.36, color=colours[1], label="promised")
    ax.barh(y + 0.19, found.table["realised"], height=0.36, color=colours[0], label="realised")
    ax.set_yticks(y, found.table["plan"])
    ax.invert_yaxis()
    ax.set(xlabel=f"net return{_unit(found.currency)}", ylabel="", title="Promised and realised")
    ax.xaxis.set_major_formatter(_short)
    # Room beside the longest bar for the legend.
    ax.margins(x=0.35)
    ax.legend(frameon=False, loc="upper right")
    sns.despine(ax=ax, left=True)
    return ax


def sensitivity_lines(found: Sensitivity, ax: Axes | None = None) -> Axes:
    """Draw what keeping to a plan costs where a tier adds a multiple of what is believed."""
    import seaborn as sns
    from matplotlib.ticker import PercentFormatter

    ax = _axes(ax)
    for colour, (tier, some) in zip(
        sns.color_palette("colorblind", 10), found.table.groupby("tier", sort=False), strict=False
    ):
        style = ":" if tier == "all tiers" else "-"
        ax.plot(some["factor"], some["regret"], color=colour, linestyle=style, marker="o", markersize=3, label=tier)
    ax.axvline(1, color="0.6", linewidth=0.8)
    ax.set(
        xlabel="what the tier adds, of what is believed",
        ylabel=f"lost by keeping to the plan{_unit(found.currency)}",
        title="If a tier adds more or less than believed",
    )
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.yaxis.set_major_formatter(_short)
    ax.legend(frameon=False, loc="best")
    sns.despine(ax=ax)
    return ax
