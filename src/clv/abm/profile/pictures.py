"""The picture of an ideal-customer profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.profile.bands import told

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.profile.ideal_customer import IdealCustomerProfile

#: more levels than this cannot be read; those with the least evidence are left out.
_MOST = 16


def lifts(profile: IdealCustomerProfile, ax: Axes | None = None) -> Axes:
    """Draw the lift of each level with its interval; levels that stand out are filled."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
    ax.set_title("How often accounts became valuable, against all")
    table = profile.profile
    if table.empty:
        ax.text(0.5, 0.5, "nothing to compare", ha="center", va="center", transform=ax.transAxes)
        ax.set(xticks=[], yticks=[])
        return ax
    table = table.loc[table["p_value"].sort_values(kind="stable").index[:_MOST]]
    table = table.sort_values("lift", ascending=True, kind="stable")
    blue, y = sns.color_palette("colorblind")[0], np.arange(len(table))
    out = (table["q_value"] <= profile.q).to_numpy()
    ax.hlines(y, table["lower"], table["upper"], color=blue, lw=1.5)
    for some, face, label in ((out, blue, "stands out"), (~out, "white", "may be chance")):
        if some.any():
            ax.scatter(table["lift"][some], y[some], s=36, color=face, edgecolor=blue, zorder=3, label=label)
    ax.axvline(1, color="0.4", lw=0.8, ls="--")
    names = [told(a, b) for a, b in zip(table["attribute"], table["level"], strict=True)]
    ax.set_yticks(y, [f"{name[:40]} ({n:,})" for name, n in zip(names, table["accounts"], strict=True)])
    ax.set(xlabel="times as often as all judged accounts", ylabel="")
    ax.set_xlim(left=0)
    ax.legend(frameon=False, loc="lower right")
    sns.despine(ax=ax, left=True)
    return ax
