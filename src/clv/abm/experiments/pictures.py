"""The pictures of experiments: effects with intervals, power curves, looks, uplift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes(ax: Axes | None) -> Axes:
    """Use what is given, else a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, new = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    return new


def effects(table: pd.DataFrame, title: str, unit: str, ax: Axes | None = None) -> Axes:
    """Draw effects as points with intervals, a row each; columns label, effect, lower, upper."""
    import seaborn as sns

    ax = axes(ax)
    colour = sns.color_palette("colorblind")[0]
    y = np.arange(len(table))
    low, high = table["lower"].to_numpy(float), table["upper"].to_numpy(float)
    effect = table["effect"].to_numpy(float)
    bounded = np.isfinite(low) & np.isfinite(high)
    reach = np.abs(np.concatenate([effect, low[bounded], high[bounded]])).max(initial=1e-12) * 1.15
    low, high = np.where(np.isfinite(low), low, -reach), np.where(np.isfinite(high), high, reach)
    ax.hlines(y, low, high, color=colour, linewidth=2)
    ax.plot(effect, y, "o", color=colour)
    ax.axvline(0, color="0.4", linewidth=0.8)
    ax.set_yticks(y, [str(label) for label in table["label"]])
    ax.invert_yaxis()
    ax.locator_params(axis="x", nbins=6)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}".replace("-", "\N{MINUS SIGN}"))
    ax.set(title=title, xlabel=f"difference to the control{f', {unit}' if unit else ''}", ylabel="")
    ax.margins(y=0.2)
    sns.despine(ax=ax, left=True)
    return ax


def curves(
    table: pd.DataFrame, *, x: str, y: str, by: str, title: str, labels: tuple[str, str], ax: Axes | None
) -> Axes:
    """Draw one line for each value of a column."""
    import seaborn as sns

    ax = axes(ax)
    for colour, (name, rows) in zip(sns.color_palette("colorblind"), table.groupby(by, sort=False), strict=False):
        ax.plot(rows[x], rows[y], color=colour, marker="o", markersize=3, label=str(name))
    ax.set(title=title, xlabel=labels[0], ylabel=labels[1])
    ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax


def band(table: pd.DataFrame, *, x: str, title: str, labels: tuple[str, str], ax: Axes | None) -> Axes:
    """Draw an estimate with its interval along a column; columns effect, lower, upper."""
    import seaborn as sns

    ax = axes(ax)
    colour = sns.color_palette("colorblind")[0]
    at = table[x].to_numpy()
    ax.fill_between(at, table["lower"].to_numpy(float), table["upper"].to_numpy(float), color=colour, alpha=0.2)
    ax.plot(at, table["effect"].to_numpy(float), color=colour, marker="o")
    ax.axhline(0, color="0.4", linewidth=0.8)
    ax.set(title=title, xlabel=labels[0], ylabel=labels[1])
    sns.despine(ax=ax)
    return ax
