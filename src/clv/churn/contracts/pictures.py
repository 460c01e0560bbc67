"""Pictures of contracts: retention by term, and why accounts leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _axes(ax: Axes | None) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    return ax


def _whole(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def retention_curve(table: pd.DataFrame, ax: Axes | None = None, *, confidence: float) -> Axes:
    """Draw the share still there after each term: observed with its interval, and as the models have it.

    Parameters
    ----------
    table : pandas.DataFrame
        ``RenewalHazard.table``.
    ax : matplotlib.axes.Axes, optional
    confidence : float

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns

    ax = _axes(ax)
    blue, orange, green = sns.color_palette("colorblind")[:3]
    term = np.concatenate([[0], table.index.to_numpy()])

    def share(column: str) -> np.ndarray:
        return 100 * np.concatenate([[1.0], table[column].to_numpy(float)])

    def held(column: str) -> np.ndarray:
        return np.append(share(column), share(column)[-1])

    # The last step is as wide as the others.
    steps = np.append(term, term[-1] + 1)
    ax.fill_between(
        steps, held("retention_lower"), held("retention_upper"), step="post", color=blue, alpha=0.2, linewidth=0
    )
    ax.step(steps, held("retention"), where="post", color=blue, label=f"observed, with its {confidence:.0%} interval")
    ax.plot(term, share("fitted_retention"), "o", color=orange, ms=5, label="model")
    ax.plot(term, share("sbg_retention"), "x", color=green, ms=6, label="shifted beta-geometric")
    ax.set(xlabel="terms completed", ylabel="still under contract, %", ylim=(0, 102))
    ax.set_title(f"Retention over {int(table['at_risk'].sum()):,} renewal decisions")
    _whole(ax)
    ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax


def reasons_area(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Stack the cumulative incidence of each reason of loss over terms.

    Parameters
    ----------
    table : pandas.DataFrame
        ``LossReasons.table``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns

    ax = _axes(ax)
    if table.empty:
        ax.set(xlabel="terms completed", ylabel="lost by then, %", ylim=(0, 5), title="No contract was lost")
        sns.despine(ax=ax)
        return ax
    wide = table.pivot_table(index="term", columns="reason", values="incidence", sort=False)[
        list(table["reason"].unique())
    ]
    term = np.concatenate([[0], wide.index.to_numpy(), wide.index.to_numpy()[-1:] + 1])
    parts = [100 * np.concatenate([[0.0], wide[name].to_numpy(), wide[name].to_numpy()[-1:]]) for name in wide.columns]
    colours = [*sns.color_palette("colorblind", len(parts))]
    if "unknown" in wide.columns:
        colours[list(wide.columns).index("unknown")] = (0.7, 0.7, 0.7)
    ax.stackplot(term, *parts, labels=list(wide.columns), colors=colours, step="post", linewidth=0)
    top = float(np.sum([part[-1] for part in parts]))
    ax.set(xlabel="terms completed", ylabel="lost by then, %", ylim=(0, max(5.0, top * 1.15)), xlim=(0, term[-1]))
    ax.set_title("Why contracts are lost")
    _whole(ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    sns.despine(ax=ax)
    return ax


def reliability(bins: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share renewed against the probability foretold, by method.

    Parameters
    ----------
    bins : pandas.DataFrame
        ``RenewalCalibration.bins``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns

    ax = _axes(ax)
    ax.plot([0, 100], [0, 100], color="0.6", lw=1, ls="--")
    for (method, part), colour in zip(
        bins.groupby("method", sort=False), sns.color_palette("colorblind"), strict=False
    ):
        x, y = 100 * part["predicted"], 100 * part["observed"]
        spread = [y - 100 * part["lower"], 100 * part["upper"] - y]
        ax.errorbar(x, y, yerr=spread, fmt="o", color=colour, ms=5, lw=1, capsize=2, label=str(method))
    low = max(0.0, 10 * np.floor(10 * float(bins[["predicted", "lower"]].min().min())) - 2)
    ax.set(xlabel="renewal foretold, %", ylabel="renewed, %", xlim=(low, 102), ylim=(low, 102))
    ax.set_title("Renewals foretold and come")
    ax.legend(frameon=False, loc="upper left")
    sns.despine(ax=ax)
    return ax
