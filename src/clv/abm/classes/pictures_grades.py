"""The pictures of grades and of bad accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.classes.pictures import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.classes.bad_accounts import BadAccounts
    from clv.abm.classes.grades import Grades


def growth_of_grades(found: Grades, ax: Axes | None = None) -> Axes:
    """Draw growth against contribution, by grade, with the intervals of the future gold."""
    import seaborn as sns

    ax = new_axes(ax)
    table = found.table[(found.table["contribution"] > 0) & (found.table["growth"] > 0)]
    colours = dict(zip(("gold", "silver", "bronze"), ("#c9a227", "#8c8c8c", "#a9745b"), strict=True))
    for grade, colour in colours.items():
        some = table[table["grade"] == grade]
        ax.scatter(some["contribution"], some["growth"], color=colour, s=14, alpha=0.7, label=grade)
    future = table[table["future_gold"].fillna(False).astype(bool)]
    if len(future):
        blue = sns.color_palette("colorblind")[0]
        ax.vlines(future["contribution"], future["growth_lower"], future["growth_upper"], color=blue, linewidth=1.2)
        ax.scatter(future["contribution"], future["growth"], color=blue, s=26, zorder=3, label="future gold")
    if len(table):
        ax.set_xscale("log")
        ax.set_yscale("log")
    ax.axhline(1, color="0.6", linewidth=0.8, linestyle="--")
    unit = f", {found.currency}" if found.currency else ""
    ax.set(xlabel=f"contribution a year{unit}", ylabel="sales, last year ÷ year before", title="Grades and growth")
    ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax


def bad_choices(found: BadAccounts, ax: Axes | None = None) -> Axes:
    """Draw what keeping, repricing and leaving are worth for the bad accounts, the most costly first."""
    import seaborn as sns

    ax = new_axes(ax)
    bad = found.table[found.table["bad"].fillna(False).astype(bool)].head(15)
    y = np.arange(len(bad))
    for number, name in enumerate(("keep", "reprice")):
        ax.barh(y + 0.2 * (2 * number - 1), bad[name], height=0.38, color=sns.color_palette("colorblind")[number],
                label=name)  # fmt: skip
    ax.axvline(0, color="0.3", linewidth=1, label="leave")
    ax.set_yticks(y, [str(name).replace("$", r"\$")[:24] for name in bad.index])
    ax.invert_yaxis()
    unit = f", {found.currency}" if found.currency else ""
    ax.set(xlabel=f"expected contribution over the horizon{unit}", title="Bad accounts: keep, reprice or leave")
    ax.legend(frameon=False)
    sns.despine(ax=ax, left=True)
    return ax
