"""The picture of wallets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.abm.classes.pictures import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.wallet.potential import WalletPotential


def potential_against_sales(found: WalletPotential, ax: Axes | None = None) -> Axes:
    """Draw each customer's potential against its sales; on the line, all of it is ours."""
    import seaborn as sns

    ax = new_axes(ax)
    table = found.table[(found.table["sales"] > 0) & (found.table["potential"] > 0)]
    colours = sns.color_palette("colorblind")
    for number, source in enumerate(("estimate", "survey")):
        some = table[table["source"] == source]
        ax.scatter(some["sales"], some["potential"], s=14, alpha=0.7, color=colours[number], label=source)
    if len(table):
        ends = [float(table["sales"].min()), float(table["potential"].max())]
        ax.plot(ends, ends, color="0.5", linewidth=1, linestyle="--", label="all of it is ours")
        ax.set_xscale("log")
        ax.set_yscale("log")
    unit = f", {found.currency}" if found.currency else ""
    ax.set(xlabel=f"our sales a year{unit}", ylabel=f"potential a year{unit}", title="Potential and sales")
    ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax
