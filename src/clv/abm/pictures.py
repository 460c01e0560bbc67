"""The pictures of a selection and of an allocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.wording import accounts, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.allocation.compare import Comparison
    from clv.abm.allocation.frontier import Frontier
    from clv.abm.selection import Selection
    from clv.abm.tiers import Allocation

#: so many intervals can be told apart; of more accounts, evenly spaced ones are drawn.
_INTERVALS = 160


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, new = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    return new


def _unit(currency: str) -> str:
    return f", {currency}" if currency else ""


def tier_bars(plan: Allocation, ax: Axes | None = None) -> Axes:
    """Draw the net return of each tier, labelled with its accounts; the title says what binds."""
    import seaborn as sns

    ax = _axes(ax)
    tiers = plan.by_tier[plan.by_tier["tier"] != "none"]
    blue, orange = sns.color_palette("colorblind")[0], sns.color_palette("colorblind")[1]
    binding = list(plan.limits.loc[plan.limits["binds"], "limit"])
    ax.set_title(f"What binds: {listed(binding)}" if binding else "No limit binds", wrap=True)
    ax.set(xlabel=f"over the horizon{_unit(plan.currency)}", ylabel="")
    if tiers.empty:
        ax.text(0.5, 0.5, "no account gets a tier", ha="center", va="center", transform=ax.transAxes)
        ax.set(xticks=[], yticks=[])
        return ax
    y = np.arange(len(tiers))
    left = ax.barh(y - 0.19, tiers["net"], height=0.36, color=blue, label="net return")
    ax.barh(y + 0.19, tiers["cost"], height=0.36, color=orange, label="cost")
    ax.bar_label(left, [accounts(int(n)) for n in tiers["accounts"]], padding=4)
    ax.set_yticks(y, tiers["tier"])
    ax.invert_yaxis()
    ax.margins(x=0.25)
    ax.axvline(0, color="0.4", linewidth=0.8)
    ax.xaxis.set_major_formatter(_short)
    ax.legend(frameon=False, loc="best")
    sns.despine(ax=ax, left=True)
    return ax


def ranked_scores(selection: Selection, ax: Axes | None = None) -> Axes:
    """Draw scores by rank with their intervals, and the cut."""
    import seaborn as sns

    ax = _axes(ax)
    scored = selection.table[selection.table["score"].notna()]
    taken = int(scored["selected"].sum())
    shown = scored.head(min(len(scored), max(30, 2 * taken)))
    ends = selection.intervals.reindex(shown["account_id"])
    rank, score = shown["rank"].to_numpy(float), shown["score"].to_numpy(float)
    lower, upper = ends["lower"].to_numpy(float), ends["upper"].to_numpy(float)
    blue, grey, cut = sns.color_palette("colorblind").as_hex()[0], "#8c8c8c", sns.color_palette("colorblind")[3]
    known = np.isfinite(lower) & np.isfinite(upper)
    step = -(-len(shown) // _INTERVALS)
    colours = np.array([blue if chosen else grey for chosen in shown["selected"]])
    some = known & (np.arange(len(shown)) % step == 0)
    if some.any():
        ax.vlines(rank[some], lower[some], upper[some], colors=colours[some], alpha=0.45, linewidth=1.5)
    ax.scatter(rank[::step], score[::step], c=colours[::step], s=10, zorder=3)
    largest = float(np.nanmax(np.abs(score))) if len(score) else 0.0
    middle = float(np.median(np.abs(score))) if len(score) else 0.0
    if 0 < middle < largest / 10:
        # A few accounts hold most of the money: on a plain scale nothing could be seen at the cut.
        straight = 10 ** np.floor(np.log10(middle))
        ax.set_yscale("symlog", linthresh=straight)
        ax.set_yticks([tick for tick in ax.get_yticks() if tick == 0 or abs(tick) >= straight])
    if 0 < taken < len(scored):
        ax.axvline(taken + 0.5, color=cut, linestyle="--")
        ax.annotate(
            f"cut: {taken:,} taken",
            (taken + 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -12),
            textcoords="offset points",
            color=cut,
        )
    ax.axhline(0, color="0.4", linewidth=0.8)
    ax.yaxis.set_major_formatter(_short)
    ax.set(
        xlabel=f"rank (first {len(shown):,} of {len(scored):,}{f'; one in {step} drawn' if step > 1 else ''})",
        ylabel=f"net margin{_unit(selection.currency)}{' (log scale)' if ax.get_yscale() == 'symlog' else ''}",
        title="Scores with their intervals" if known.any() else "Scores",
    )
    sns.despine(ax=ax)
    return ax


def _short(x: float, _position: object = None) -> str:
    """Write 12,000 as 12k, 3,400,000 as 3.4M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:.3g}{letter}".replace("-", "\N{MINUS SIGN}")
    return f"{x:.3g}".replace("-", "\N{MINUS SIGN}")


def plan_bars(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the net return of plans side by side; a plan that breaks a limit is hatched."""
    import seaborn as sns

    ax = _axes(ax)
    table = comparison.table
    blue = sns.color_palette("colorblind")[0]
    y = np.arange(len(table))
    bars = ax.barh(y, table["net"], color=[blue, *["0.65"] * (len(table) - 1)])
    for bar, broken in zip(bars, table["broken"], strict=True):
        if broken:
            bar.set_hatch("//")
            bar.set_edgecolor("white")
    labels = [
        f"{share:.0%}{' (breaks a limit)' if broken else ''}"
        for share, broken in zip(table["share"], table["broken"], strict=True)
    ]
    ax.bar_label(bars, labels, padding=4)
    ax.set_yticks(y, table["plan"])
    ax.invert_yaxis()
    ax.margins(x=0.3)
    ax.axvline(0, color="0.4", linewidth=0.8)
    ax.xaxis.set_major_formatter(_short)
    ax.set(xlabel=f"net return{_unit(comparison.currency)}", ylabel="", title="The same money, spent by other plans")
    sns.despine(ax=ax, left=True)
    return ax


def frontier_line(frontier: Frontier, ax: Axes | None = None) -> Axes:
    """Draw the net return against the budget, and where the plan stands."""
    import seaborn as sns

    ax = _axes(ax)
    table = frontier.table
    blue, orange = sns.color_palette("colorblind")[0], sns.color_palette("colorblind")[1]
    ax.plot(table["budget"], table["objective"], marker="o", color=blue)
    ax.fill_between(table["budget"], table["objective"], table["bound"], color=blue, alpha=0.2, linewidth=0)
    if frontier.budget is not None:
        ax.axvline(frontier.budget, color=orange, linestyle="--", linewidth=1)
        ax.annotate(
            "the budget",
            (frontier.budget, 0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 6),
            textcoords="offset points",
            color=orange,
        )
    ax.xaxis.set_major_formatter(_short)
    ax.yaxis.set_major_formatter(_short)
    ax.set(
        xlabel=f"budget{_unit(frontier.currency)}",
        ylabel=f"net return{_unit(frontier.currency)}",
        title="What more money would bring",
    )
    sns.despine(ax=ax)
    return ax
