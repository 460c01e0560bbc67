"""An alluvial diagram: columns of stages at dates, and bands for those who go from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: width of a column as a share of the way to the next, and of the gap between two stages in all accounts.
_COLUMN, _GAP = 0.12, 0.012


def alluvial(flows: pd.DataFrame, states: tuple[str, ...], ax: Axes | None = None) -> Axes:
    """Draw flows between stages.

    Parameters
    ----------
    flows : pandas.DataFrame
        from_date, to_date, before, after, accounts.
    states : tuple of str
        Stages from the healthiest, drawn from the top; whatever else `before` holds stands below them in grey.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    if ax is None:
        _, ax = plt.subplots(figsize=(9, 5), layout="constrained")
    others = [name for name in flows["before"].unique() if name not in states]
    order = [*states, *others]
    colour = dict(
        zip(order, [*sns.color_palette("viridis_r", len(states)), *[(0.6, 0.6, 0.6)] * len(others)], strict=True)
    )
    dates = [*flows["from_date"].unique(), flows["to_date"].max()]
    total = flows.groupby("from_date")["accounts"].sum().max()
    for place, date in enumerate(dates):
        leaving, coming = flows[flows["from_date"] == date], flows[flows["to_date"] == date]
        left = _column(leaving, "before", order, total)
        here = left if len(leaving) else _column(coming, "after", order, total)
        for name, (top, height) in here.items():
            ax.bar(place, -height, _COLUMN, bottom=top, color=colour[name], align="center", linewidth=0)
            if height > 0.03 * total:
                ink = "white" if _dark(colour[name]) else "black"
                ax.text(place, top - height / 2, f"{height:,.0f}", ha="center", va="center", fontsize=8, color=ink)
        if not len(leaving):
            continue
        later = flows[flows["from_date"] == leaving["to_date"].iloc[0]]
        right = _column(later, "before", order, total) if len(later) else _column(leaving, "after", order, total)
        _draw_bands(ax, place, leaving, left, right, colour, order)
    ax.set_xticks(range(len(dates)), [f"{pd.Timestamp(date):%d %b %Y}" for date in dates])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.tick_params(axis="x", length=0)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour[name]) for name in order]
    ax.legend(handles, order, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=min(4, len(order)), frameon=False)
    ax.set_title("Where accounts were, and where they went")
    return ax


def _column(flows: pd.DataFrame, end: str, order: list[str], total: float) -> dict[str, tuple[float, float]]:
    """Top edge and height of each stage that somebody is in."""
    counts = flows.groupby(end)["accounts"].sum().reindex(order, fill_value=0)
    top, places = 0.0, {}
    for name, count in counts.items():
        if count:
            places[str(name)] = (top, float(count))
            top -= float(count) + _GAP * total
    return places


def _draw_bands(
    ax: Axes,
    place: int,
    flows: pd.DataFrame,
    left: dict[str, tuple[float, float]],
    right: dict[str, tuple[float, float]],
    colour: dict[str, tuple[float, float, float]],
    order: list[str],
) -> None:
    """Draw the flows from one column to the next, in the colour of where they come from."""
    rank = {name: number for number, name in enumerate(order)}
    along = np.linspace(0, 1, 40)
    bend = along**2 * (3 - 2 * along)
    x = place + _COLUMN / 2 + along * (1 - _COLUMN)
    leave = {name: top for name, (top, _) in left.items()}
    come = {name: top for name, (top, _) in right.items()}
    moves = [
        (str(before), str(after), float(accounts))
        for before, after, accounts in flows[["before", "after", "accounts"]].itertuples(index=False)
    ]
    ends = {}
    for before, after, accounts in sorted(moves, key=lambda move: (rank[move[1]], rank[move[0]])):
        ends[before, after] = come[after]
        come[after] -= accounts
    for before, after, accounts in sorted(moves, key=lambda move: (rank[move[0]], rank[move[1]])):
        upper = leave[before] + (ends[before, after] - leave[before]) * bend
        ax.fill_between(x, upper, upper - accounts, color=colour[before], alpha=0.35, linewidth=0)
        leave[before] -= accounts


def _dark(colour: tuple[float, float, float]) -> bool:
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
