"""The pictures of `clv.abm.selecting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.selecting.backtest import SelectionBacktest
    from clv.abm.selecting.changes import SelectionChanges
    from clv.abm.selecting.incremental import IncrementalValue
    from clv.abm.selecting.learning import LearningValue
    from clv.abm.selecting.level import FirmographicLevel
    from clv.abm.selecting.luck import Luck
    from clv.abm.selecting.once_won import Prospects
    from clv.abm.selecting.questions import Questions
    from clv.abm.selecting.shrinkage import Shrunk
    from clv.abm.selecting.smaa import Acceptability
    from clv.abm.selection import Selection


def _axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.6)) -> Axes:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size)[1] if ax is None else ax


def _money(currency: str, what: str) -> str:
    return f"{what} ({currency})" if currency else what


def shrunk_estimates(shrunk: Shrunk, ax: Axes | None) -> Axes:
    """Draw raw estimates against shrunken ones."""
    import seaborn as sns

    ax = _axes(ax)
    ends = [float(shrunk.table["estimate"].min()), float(shrunk.table["estimate"].max())]
    ax.plot(ends, ends, color="0.6", linestyle="--", linewidth=1, zorder=0)
    sns.scatterplot(shrunk.table, x="estimate", y="clv", ax=ax, s=16, alpha=0.6, linewidth=0)
    ax.set(
        xlabel="raw estimate", ylabel="after shrinkage", title=f"{shrunk.reliability:.0%} of the differences are real"
    )
    return ax


def worth_of_learning(value: LearningValue, ax: Axes | None, most: int = 20) -> Axes:
    """Draw the accounts most worth learning about."""
    import seaborn as sns

    top = value.table.head(most)
    ax = _axes(ax, (6.4, 0.28 * max(4, len(top)) + 1.2))
    side = top["selected"].map({True: "in", False: "out"})
    sns.barplot(top, x="worth", y="account_id", hue=side, hue_order=["in", "out"], ax=ax, dodge=False)
    ax.set(
        xlabel=_money(value.currency, "expected gain from learning about it"), ylabel="", title="Refresh these first"
    )
    ax.legend(title="now")
    return ax


def cost_of_weights(found: Acceptability, ax: Axes | None) -> Axes:
    """Draw the cost in money against the weight of money, one point a vector of weights."""
    import seaborn as sns

    ax = _axes(ax)
    sns.scatterplot(found.costs, x="money", y="cost", ax=ax, s=12, alpha=0.5, linewidth=0)
    ax.set(
        xlabel="weight of money", ylabel=_money(found.currency, "expected money given up"), title="What strategy costs"
    )
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    return ax


def chance_and_worth(prospects: Prospects, ax: Axes | None) -> Axes:
    """Draw chance to win against value once won."""
    import seaborn as sns

    ax = _axes(ax)
    sns.scatterplot(prospects.table, x="chance", y="once_won", ax=ax, s=18, alpha=0.6, linewidth=0)
    ax.set(xlabel="chance to win it", ylabel=_money(prospects.currency, "margin once won"), title="Prospects")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    return ax


def gain_and_base(value: IncrementalValue, ax: Axes | None) -> Axes:
    """Draw what the programme changes against what is there without it."""
    import seaborn as sns

    ax = _axes(ax)
    sns.scatterplot(value.table, x="base", y="net", hue="kind", style="kind", ax=ax, s=18, alpha=0.7, linewidth=0)
    ax.axhline(0, color="0.5", linewidth=1)
    ax.set_xscale("symlog", linthresh=100)
    ax.set_yscale("symlog", linthresh=100)
    ax.set(
        xlabel=_money(value.currency, "expected margin without the programme"),
        ylabel=_money(value.currency, "what it adds, less its cost"),
        title="Customers and prospects on one scale",
    )
    return ax


def level_tenths(level: FirmographicLevel, ax: Axes | None) -> Axes:
    """Draw money foretold against money that came, by parts of the customers."""
    ax = _axes(ax)
    foretold, first = level.table["level"].to_numpy(float), level.table["first"].to_numpy(float)
    actual = first / max(first.mean(), 1e-12) if len(first) else first
    parts = [p for p in np.array_split(np.argsort(foretold, kind="stable"), 10) if len(p)]
    x, y = [foretold[p].mean() for p in parts], [actual[p].mean() for p in parts]
    ax.plot(x, y, "o-")
    if x:
        ax.plot([0, max(x)], [0, max(x)], color="0.6", linestyle="--", linewidth=1, zorder=0)
    ax.set(
        xlabel="level foretold", ylabel="money that came, relative to the mean", title="Customers not seen, by tenths"
    )
    return ax


def later_shares(found: SelectionBacktest, ax: Axes | None) -> Axes:
    """Draw the share of later money of each way of choosing."""
    table = found.table.iloc[::-1]
    ax = _axes(ax, (6.4, 0.34 * len(table) + 1.4))
    rows = np.arange(len(table))
    share = table["share"].to_numpy(float)
    # A percentile interval need not hold the point.
    reach = [np.maximum(share - table["lower"], 0), np.maximum(table["upper"] - share, 0)]
    ax.errorbar(share, rows, xerr=reach, fmt="o", capsize=3)
    past = found.table.loc[found.table["method"] == "past spend", "share"]
    ax.axvline(float(past.iloc[0]), color="0.6", linestyle="--", linewidth=1)
    ax.set_yticks(rows, table["method"])
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}%")
    ax.set(xlabel="share of later money held by the chosen", title="Chosen at past dates")
    return ax


def belonging_by_rank(selection: Selection, ax: Axes | None) -> Axes:
    """Draw the probability of belonging to the set by rank, those taken and those not, and the doubtful band."""
    from clv.abm.selection import UNSURE

    known = selection.table[selection.table["p_selected"].notna()]
    taken = int(known["selected"].sum())
    shown = known.head(min(len(known), max(40, 3 * taken)))
    ax = _axes(ax, (6.4, 3.8))
    blue, grey = "#0072b2", "#8c959f"
    ax.axhspan(*UNSURE, color="#e69f00", alpha=0.12, linewidth=0)
    for flag, colour, label in ((True, blue, "taken"), (False, grey, "not taken")):
        some = shown[shown["selected"] == flag]
        ax.scatter(some["rank"], some["p_selected"], s=12, color=colour, label=label, zorder=3)
    if 0 < taken < len(known):
        ax.axvline(taken + 0.5, color="#d55e00", linestyle="--", linewidth=1)
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}%")
    ax.set(xlabel=f"rank (first {len(shown):,} of {len(known):,})", ylabel="probability that it belongs",
           title="How sure each place is (in the band it could go either way)")  # fmt: skip
    ax.legend(loc="upper right")
    return ax


def moved_by(found: SelectionChanges, ax: Axes | None, most: int = 16) -> Axes:
    """Draw what moved accounts that came in or went out: bars to the right lift, to the left lower."""
    names = {"value": "its worth", "won": "won", "effect": "effect of the tier", "cost": "cost of the tier",
             "bar": "the bar", "book": "new or gone"}  # fmt: skip
    half = most // 2
    some = found.table[found.table["now"] == "in"].head(half)
    rest = found.table[found.table["now"] == "out"].head(most - len(some))
    rows = [*some.to_dict("records"), *rest.to_dict("records")]
    ax = _axes(ax, (6.4, 0.32 * max(3, len(rows)) + 1.6))
    colours = dict(zip(names, ("#0072b2", "#56b4e9", "#009e73", "#d55e00", "#6b6b6b", "#e69f00"), strict=True))
    y = np.arange(len(rows))
    right, left = np.zeros(len(rows)), np.zeros(len(rows))
    for name, label in names.items():
        width = np.nan_to_num(np.array([row[name] for row in rows], dtype=float))
        if not width.any():
            continue
        start = np.where(width > 0, right, left)
        ax.barh(y, width, left=start, color=colours[name], label=label)
        right += np.maximum(width, 0)
        left += np.minimum(width, 0)
    sizes = np.maximum(right, -left)
    if len(rows) and sizes.max() > 10 * np.median(sizes) > 0:
        # One move would hide all others on a plain scale.
        ax.set_xscale("symlog", linthresh=10 ** np.floor(np.log10(np.median(sizes))))
        ax.tick_params(axis="x", labelsize=9)
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.set_yticks(y, [f"{row['account_id']} ({row['now']})".replace("$", r"\$") for row in rows])
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter("{x:,.0f}")
    scale = " (log scale)" if ax.get_xscale() == "symlog" else ""
    what = _money(found.currency, "change of the net, less that of the bar")
    ax.set(xlabel=f"{what}{scale}", title="What moved them")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="best")
    return ax


def promised_and_realised(found: Luck, ax: Axes | None) -> Axes:
    """Draw what each way of estimating promises and brings."""
    ax = _axes(ax, (6.4, 2.8))
    y = np.arange(len(found.table))
    ax.barh(y - 0.19, found.table["promised"], height=0.36, color="#8c959f", label="promised")
    ax.barh(y + 0.19, found.table["realised"], height=0.36, color="#0072b2", label="comes")
    ax.set_yticks(y, found.table["way"])
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set(xlabel=_money(found.currency, "net of those chosen"), title="The best-looking are partly lucky")
    ax.legend(loc="lower right")
    return ax


def asked_by_topic(found: Questions, ax: Axes | None) -> Axes:
    """Draw how many accounts there is something to ask about, by topic."""
    table = found.by_topic
    ax = _axes(ax, (6.4, 0.4 * max(2, len(table)) + 1.4))
    y = np.arange(len(table))
    ax.barh(y, table["accounts"], color="#8c959f", label="all")
    ax.barh(y, table["selected"], color="#0072b2", label="taken")
    ax.set_yticks(y, list(table.index))
    ax.invert_yaxis()
    ax.set(xlabel="accounts", title="What there is to ask")
    ax.legend(loc="lower right")
    return ax
