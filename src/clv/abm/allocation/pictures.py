"""The picture of a plan with a holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.pictures import _axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.allocation.lot import RandomisedPlan


def lots(found: RandomisedPlan, ax: Axes | None = None) -> Axes:
    """Draw how many accounts meant for each tier go ahead and how many the lot leaves out."""
    import seaborn as sns

    ax = _axes(ax)
    blue, orange = sns.color_palette("colorblind")[:2]
    y = np.arange(len(found.lots))
    held = found.lots["held_out"].to_numpy()
    ax.barh(y, found.lots["accounts"] - held, height=0.5, color=blue, label="go ahead")
    ax.barh(y, held, left=found.lots["accounts"] - held, height=0.5, color=orange, label="left out by lot")
    ax.set_yticks(y, found.lots["tier"])
    ax.invert_yaxis()
    ax.set(xlabel="accounts meant for the tier", ylabel="", title="Who is left out by lot")
    ax.legend(frameon=False, loc="best")
    sns.despine(ax=ax, left=True)
    return ax
