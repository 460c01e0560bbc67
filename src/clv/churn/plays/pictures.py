"""The picture of plays: what each is expected to add, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from clv.churn.plays.sentences import net_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def net_by_play(by_play: pd.DataFrame, ax: Axes | None = None, *, currency: str = "") -> Axes:
    """Draw the expected net margin of each play over its accounts; hollow where assumed, half where partly measured."""
    import seaborn as sns

    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    made = by_play[by_play["evidence"] != ""]
    colour = sns.color_palette("colorblind")[0]
    places = range(len(made))
    ax.axvline(0, color="0.6", linewidth=1)
    ax.hlines(places, made["lower"], made["upper"], color=colour, alpha=0.4, linewidth=4)
    for place, (_, row) in zip(places, made.iterrows(), strict=True):
        fill = {"assumed": "none", "partly measured": "left"}.get(str(row["evidence"]), "full")
        ax.plot(row["net"], place, "o", color=colour, fillstyle=fill)
    ax.set_yticks(list(places), [f"{name} ({n:,})" for name, n in made["accounts"].items()])
    ax.invert_yaxis()
    ax.set(xlabel=net_axis(currency), ylabel="", title="What plays add, by play (hollow: effect assumed)")
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)
    return ax
