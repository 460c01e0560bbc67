"""The pictures of clusters and of lookalikes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.clusters.account_clusters import AccountClusters
    from clv.abm.clusters.lookalikes import Lookalikes

#: names longer than this are cut in a picture.
_LONG = 30
_BARS = 20


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, 4.8), layout="constrained")[1]


def consensus_picture(found: AccountClusters, ax: Axes | None = None) -> Axes:
    """Draw the consensus matrix by clusters: dark squares on the diagonal are accounts that stay together."""
    import seaborn as sns

    ax = _axes(ax)
    if found.consensus is None:
        ax.set_title("No more clustered than accounts of one kind")
        if found.choice.empty:
            ax.text(0.5, 0.5, "not tested", ha="center", va="center", transform=ax.transAxes)
            ax.set(xticks=[], yticks=[])
            return ax
        k, gap = found.choice.index.to_numpy(), found.choice["gap"].to_numpy()
        reach = 2 * found.choice["gap_error"].to_numpy()
        ax.errorbar(k, gap, yerr=reach, fmt="o", color=sns.color_palette("colorblind")[0])
        ax.axhline(0, color="0.4", lw=0.8)
        ax.set_xticks(k)
        ax.set(xlabel="clusters", ylabel="gap (above 0: more clustered than one kind)")
        sns.despine(ax=ax)
        return ax
    image = ax.imshow(np.nan_to_num(found.consensus, nan=0.5), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="share of resamples together")
    ax.set_title("How often two accounts are in one cluster")
    ax.set(xticks=[], yticks=[], xlabel="accounts, by cluster", ylabel="accounts, by cluster")
    return ax


def lookalike_bars(found: Lookalikes, ax: Axes | None = None) -> Axes:
    """Draw the similarity of the nearest accounts."""
    import seaborn as sns

    ax = _axes(ax)
    ax.set_title("Accounts most like the reference")
    table = found.table.head(_BARS)
    if table.empty:
        ax.text(0.5, 0.5, "no other account", ha="center", va="center", transform=ax.transAxes)
        ax.set(xticks=[], yticks=[])
        return ax
    y = np.arange(len(table))
    ax.hlines(y, 0, table["similarity"], color="0.8", lw=1.5)
    ax.plot(table["similarity"], y, "o", color=sns.color_palette("colorblind")[0])
    ax.set_yticks(y, [str(name)[:_LONG] for name in table.index])
    ax.invert_yaxis()
    ax.set(xlabel="similarity: share of chance pairs that are less alike, %", ylabel="")
    ax.set_xlim(0, 101)
    sns.despine(ax=ax, left=True)
    return ax
