"""Pictures of value: how concentrated it is, and which accounts carry most of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = 15


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(7, 4.5), layout="constrained")[1]


def concentration(table: pd.DataFrame, ax: Axes | None = None, *, confidence: float = 0.9) -> Axes:
    """Draw the share of value that the most valuable accounts hold.

    Parameters
    ----------
    table : pandas.DataFrame
        Column clv.
    ax : matplotlib.axes.Axes, optional
    confidence : float
        Not used here.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns
    from matplotlib.ticker import PercentFormatter

    ax = _axes(ax)
    values = np.sort(table["clv"].to_numpy())[::-1]
    total = values.sum()
    held = np.concatenate([[0.0], np.cumsum(values) / total if total > 0 else np.linspace(0, 1, len(values) + 1)[1:]])
    share = np.linspace(0, 1, len(held))
    thin = np.unique(np.rint(np.linspace(0, len(held) - 1, min(len(held), 500))).astype(int))
    blue, grey = sns.color_palette("colorblind")[0], "0.6"
    sns.lineplot(x=share[thin], y=held[thin], ax=ax, color=blue, linewidth=2, estimator=None, errorbar=None)
    ax.plot([0, 1], [0, 1], color=grey, linewidth=1, linestyle="--")
    top = max(1, int(np.ceil(0.1 * len(values))))
    ax.scatter([share[top]], [held[top]], color=blue, zorder=3)
    ax.annotate(
        f"top {share[top]:.0%}: {held[top]:.0%} of value",
        (share[top], held[top]),
        xytext=(10, -4),
        textcoords="offset points",
        va="top",
    )
    ax.set(xlabel="Share of accounts, most valuable first", ylabel="Share of value", xlim=(0, 1), ylim=(0, 1.02))
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_title("Concentration of lifetime value", loc="left")
    return ax


def accounts(table: pd.DataFrame, ax: Axes | None = None, *, confidence: float = 0.9) -> Axes:
    """Draw the most valuable accounts, with their credible intervals where there are any.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns clv, lower, upper; index account_id.
    ax : matplotlib.axes.Axes, optional
    confidence : float
        What the intervals hold, for the label.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns
    from matplotlib.ticker import FuncFormatter

    ax = _axes(ax)
    best = table.sort_values("clv", ascending=False, kind="stable").head(_SHOWN).iloc[::-1]
    place = np.arange(len(best))
    colour = sns.color_palette("colorblind")[0]
    label = "Discounted expected margin"
    if best["lower"].notna().all():
        ax.hlines(place, best["lower"], best["upper"], color=colour, alpha=0.35, linewidth=5)
        label += f" (bar: {confidence:.0%} credible interval)"
    sns.scatterplot(x=best["clv"].to_numpy(), y=place, ax=ax, color=colour, s=45, zorder=3)
    # A dollar sign would start mathematics: ids are other people's text, cut where they would fill the picture.
    names = [name if len(name) <= 24 else f"{name[:23]}…" for name in map(str, best.index)]
    ax.set_yticks(place, [name.replace("$", r"\$") for name in names])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda amount, _: f"{amount:,.0f}"))
    ax.set(xlabel=label, ylabel="", xlim=(0, None))
    ax.set_title(f"The {len(best)} most valuable accounts" if len(best) > 1 else "The account", loc="left")
    return ax
