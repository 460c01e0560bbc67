"""The stage map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def stage_map(by_stage: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw bars by stage: the share of accounts and, where it is known, of value.

    Parameters
    ----------
    by_stage : pandas.DataFrame
        ``ChurnStages.by_stage``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns

    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    shares = pd.DataFrame({"accounts": by_stage["share"] * 100})
    if "value" in by_stage and by_stage["value"].sum() > 0:
        shares["value"] = by_stage["value"] / by_stage["value"].sum() * 100
    long = shares.reset_index().melt("stage", var_name="of", value_name="share")
    blue, orange = sns.color_palette("colorblind")[:2]
    palette = {"accounts": blue, "value": orange}
    sns.barplot(long, x="share", y="stage", hue="of", order=list(by_stage.index), palette=palette, saturation=1, ax=ax)
    bars: Any
    for bars in ax.containers:
        ax.bar_label(bars, fmt=lambda v: "0" if v == 0 else "<1" if v < 1 else f"{v:.0f}", padding=3)
    ax.set(xlabel="share of the book, %", ylabel="", title=f"Stages of {by_stage['accounts'].sum():,.0f} accounts")
    ax.set_xlim(0, max(10.0, float(long["share"].max()) * 1.15))
    if len(shares.columns) > 1:
        ax.legend(title="", loc="lower right", frameon=False)
    elif (legend := ax.get_legend()) is not None:
        legend.remove()
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)
    return ax
