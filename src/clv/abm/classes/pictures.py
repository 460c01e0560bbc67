"""Pictures of classes of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from clv.abm.classes.abc_xyz import ABCXYZ
    from clv.abm.classes.concentration import Concentration
    from clv.abm.classes.stalled import StalledDeals


def new_axes(ax: Axes | None) -> Axes:
    """Return axes to draw on."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, 4.0), layout="constrained")[1]


def lorenz_curve(found: Concentration, ax: Axes | None = None) -> Axes:
    """Draw what share of sales the smallest accounts hold, against equal shares."""
    import seaborn as sns
    from matplotlib.ticker import PercentFormatter

    ax = new_axes(ax)
    curve = found.lorenz
    thin = np.unique(np.rint(np.linspace(0, len(curve) - 1, min(len(curve), 500))).astype(int))
    blue = sns.color_palette("colorblind")[0]
    ax.plot(curve["accounts"].iloc[thin], curve["held"].iloc[thin], color=blue, linewidth=2)
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
    gini = float(found.measures["value"]["Gini"])
    ax.set(
        xlabel="Share of accounts, smallest first", ylabel="Share of sales", xlim=(0, 1), ylim=(0, 1.02),
        title=f"Concentration of sales: Gini {gini:.2f}",
    )  # fmt: skip
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    sns.despine(ax=ax)
    return ax


def nine_cells(found: ABCXYZ, ax: Axes | None = None) -> Axes:
    """Draw the nine cells, coloured and labelled by the accounts in them."""
    import seaborn as sns

    ax = new_axes(ax)
    cells = found.cells[["X", "Y", "Z"]]
    sns.heatmap(cells, annot=True, fmt=",d", cmap="Blues", cbar=False, linewidths=1, ax=ax)
    ax.set(xlabel="demand: X even, Y fairly even, Z erratic", ylabel="value", title="Accounts by value and evenness")
    ax.tick_params(axis="y", rotation=0)
    return ax


def deal_ages(found: StalledDeals, ax: Axes | None = None) -> Axes:
    """Draw the share of won deals that were won by each age, and the open deals along it."""
    import seaborn as sns
    from matplotlib.ticker import PercentFormatter

    ax = new_axes(ax)
    colours = sns.color_palette("colorblind")
    for number, (stage, curve) in enumerate(found.curve.groupby("stage", sort=True)):
        ax.step(curve["time"], curve["share"], where="post", color=colours[number % len(colours)],
                label=str(stage) or "won deals")  # fmt: skip
    known = found.table[found.table["p_longer"].notna()]
    stalled = known["stalled"].fillna(False).astype(bool).to_numpy()
    for flag, colour, label in ((False, "0.5", "open"), (True, colours[3], "open, stalled")):
        some = known[stalled == flag]
        ax.scatter(some["age"], 1 - some["p_longer"], color=colour, s=18, zorder=3, label=label)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set(xlabel="days", ylabel="share of won deals won by then", ylim=(-0.02, 1.05), title="How long winning takes")
    ax.legend(frameon=False, loc="lower right")
    sns.despine(ax=ax)
    return ax


def counted_bars(counts: pd.DataFrame, title: str, ax: Axes | None = None) -> Axes:
    """Draw stacked bars of yes, unknown and no for each row of a table with these columns."""
    import seaborn as sns

    ax = new_axes(ax)
    colours = {"yes": sns.color_palette("colorblind")[0], "unknown": "0.85", "no": "0.6"}
    y, left = np.arange(len(counts)), np.zeros(len(counts))
    for name, colour in colours.items():
        width = counts[name].to_numpy(float)
        ax.barh(y, width, left=left, color=colour, label=name)
        left += width
    ax.set_yticks(y, [str(name) for name in counts.index])
    ax.invert_yaxis()
    ax.set(xlabel="accounts", title=title)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    sns.despine(ax=ax, left=True)
    return ax
