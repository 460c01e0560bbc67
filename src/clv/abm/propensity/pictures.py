"""Pictures of what a classifier is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.propensity.evidence import Evidence


def reliability(evidence: Evidence, ax: Axes | None = None) -> Axes:
    """Draw the share won against the chance foretold, by tenths of the deals, with intervals."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    if ax is None:
        _, ax = plt.subplots(figsize=(6, 4.5))
    palette, table = sns.color_palette("colorblind"), evidence.table
    ax.plot([0, 1], [0, 1], color="0.6", lw=1, ls="--", label="as foretold")
    if len(table):
        reach = [(table["won"] - table["lower"]).clip(lower=0), (table["upper"] - table["won"]).clip(lower=0)]
        ax.errorbar(table["foretold"], table["won"], yerr=reach, fmt="o", color=palette[0], label="tenths of the deals")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
    ax.set_xlabel("chance foretold, on deals held out")
    ax.set_ylabel("won")
    ax.legend(frameon=False, loc="upper left")
    ax.set_title("Chances foretold, and deals won")
    return ax
