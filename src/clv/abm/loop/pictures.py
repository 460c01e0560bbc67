"""The pictures of the loop: beliefs before and after, and what not knowing costs from quarter to quarter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.experiments.pictures import axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from clv.abm.loop.response import Response
    from clv.abm.loop.simulation import LoopSimulation
    from clv.abm.loop.study import LoopStudy


def before_after(response: Response, ax: Axes | None = None) -> Axes:
    """Draw the prior and the posterior interval of each cell, and the measurements as points."""
    import seaborn as sns

    ax = axes(ax)
    table = response.table
    if len(table) > 12:
        table = table[table["segment"] == ""]
    blue, orange = sns.color_palette("colorblind")[0], sns.color_palette("colorblind")[1]
    y = np.arange(len(table))
    ax.hlines(y - 0.16, 100 * table["prior_lower"], 100 * table["prior_upper"], color="0.7", linewidth=3,
              label="assumed")  # fmt: skip
    ax.plot(100 * table["prior_mean"], y - 0.16, "|", color="0.4", markersize=9)
    if response.measurements:
        ax.hlines(y + 0.16, 100 * table["lower"], 100 * table["upper"], color=blue, linewidth=3, label="believed now")
        ax.plot(100 * table["mean"], y + 0.16, "o", color=blue, markersize=4)
        place = {cell: i for i, cell in enumerate(zip(table["tier"], table["segment"], strict=True))}
        at = [(100 * m.uplift, place[m.tier, m.segment] + 0.34)
              for m in response.measurements if (m.tier, m.segment) in place]  # fmt: skip
        if at:
            ax.plot(*np.array(at).T, "x", color=orange, markersize=5, label="measured")
    ax.axvline(0, color="0.4", linewidth=0.8)
    ax.set_yticks(y, [" · ".join(p for p in cell if p) for cell in zip(table["tier"], table["segment"], strict=True)])
    ax.invert_yaxis()
    ax.margins(y=0.1)
    ax.set(xlabel="added margin, % of an account's", ylabel="", title="What a tier adds: assumed and learnt")
    # Below: intervals may take the whole width.
    ax.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    sns.despine(ax=ax, left=True)
    return ax


def regret_curves(simulation: LoopSimulation, ax: Axes | None = None) -> Axes:
    """Draw the mean regret of each policy by quarter, with its standard error over universes."""
    import seaborn as sns

    ax = axes(ax)
    table = simulation.table
    _curves(table[table["policy"] != "oracle"], ax)
    ax.set(
        xlabel="quarter",
        ylabel="lost against the oracle, % of its return",
        title="What not knowing the tiers' effect costs",
    )
    ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax


def situations(study: LoopStudy, ax: Axes | None = None) -> Axes:
    """Draw the regret by quarter, a panel a situation; on given axes, the last situation alone."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    names = list(dict.fromkeys(study.curves["situation"]))
    if ax is None:
        _, made = plt.subplots(
            len(names), 1, figsize=(6.4, 3.3 * len(names)), layout="constrained", sharex=True, squeeze=False
        )  # fmt: skip
        panels = list(made[:, 0])
    else:
        names, panels = names[-1:], [ax]
    for name, panel in zip(names, panels, strict=True):
        _curves(study.curves[study.curves["situation"] == name], panel)
        panel.set_title(name[0].upper() + name[1:], loc="left", fontsize="medium")
        panel.set(ylabel="% of the best return lost", xlabel="")
        sns.despine(ax=panel)
    panels[-1].set_xlabel("quarter")
    panels[-1].legend(frameon=False, ncols=2, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return panels[0]


def _curves(table: pd.DataFrame, ax: Axes) -> None:
    """One line a policy, with its standard error as a band; each policy always has the same colour."""
    import seaborn as sns

    from clv.abm.loop.study import NAMES

    palette = sns.color_palette("colorblind")
    for policy, rows in table.groupby("policy", sort=False):
        colour = palette[list(NAMES).index(str(policy))]
        regret, error = 100 * rows["regret_share"].to_numpy(), 100 * rows["regret_share_se"].to_numpy()
        # Dashed: where money is ample it hides nobody's line.
        style = "--" if policy == "rank and cut" else "-"
        ax.plot(rows["quarter"], regret, style, marker="o", markersize=3, color=colour, label=NAMES[str(policy)])
        if np.isfinite(error).all():
            ax.fill_between(rows["quarter"], regret - error, regret + error, color=colour, alpha=0.15, linewidth=0)
    ax.set_ylim(bottom=0)
