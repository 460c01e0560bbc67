"""Pictures of the stages: the map, their calibration and stability, and whose rhythm has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.data.settings import Unit
from clv.data.units import name as unit_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def stage_map(by_stage: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw bars by stage: the share of accounts and, where it is known, of value.

    Parameters
    ----------
    by_stage : pandas.DataFrame
        ``ChurnStages.by_stage``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns

    ax = _axes(ax, (5.6, 3.8))
    shares = pd.DataFrame({"accounts": by_stage["share"] * 100})
    if "value" in by_stage and by_stage["value"].sum() > 0:
        shares["value"] = by_stage["value"] / by_stage["value"].sum() * 100
    long = shares.reset_index().melt("stage", var_name="of", value_name="share")
    blue, orange = sns.color_palette("colorblind")[:2]
    palette = {"accounts": blue, "value": orange}
    sns.barplot(long, x="share", y="stage", hue="of", order=list(by_stage.index), palette=palette, saturation=1, ax=ax)
    bars: Any
    for bars in ax.containers:
        ax.bar_label(bars, fmt=lambda v: "0" if v == 0 else "<1" if v < 1 else f"{v:.0f}", padding=3)
    ax.set(xlabel="share of the book, %", ylabel="", title=f"Stages of {by_stage['accounts'].sum():,.0f} accounts")
    ax.set_xlim(0, max(10.0, float(long["share"].max()) * 1.15))
    if len(shares.columns) > 1:
        ax.legend(title="", loc="lower right", frameon=False)
    elif (legend := ax.get_legend()) is not None:
        legend.remove()
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)
    return ax


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, made = plt.subplots(figsize=size, layout="constrained")
    return made


def reliability_curve(reliability: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw outcome against forecast: the model's with intervals, the others' as thin lines.

    Parameters
    ----------
    reliability : pandas.DataFrame
        ``StageCalibration.reliability``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns

    ax = _axes(ax, (5.6, 4.6))
    ax.plot([0, 100], [0, 100], color="0.6", linewidth=1, linestyle="--", zorder=0)
    names = list(dict.fromkeys(reliability["forecast"]))
    markers = ["o", "s", "^", "D", "v", "P"]
    for place, (forecast, colour) in enumerate(zip(names, sns.color_palette("colorblind", len(names)), strict=True)):
        curve = reliability[reliability["forecast"] == forecast]
        x, y = curve["predicted"] * 100, curve["observed"] * 100
        if place == 0:
            ax.vlines(x, curve["lower"] * 100, curve["upper"] * 100, color=colour, alpha=0.4, linewidth=3)
        style: dict[str, Any] = {"linewidth": 1.8 if place == 0 else 0.9, "markersize": 6 if place == 0 else 4}
        ax.plot(x, y, color=colour, marker=markers[place % len(markers)], label=forecast, **style)
    ax.set(
        xlabel="foretold to buy nothing, %",
        ylabel="bought nothing, %",
        title="Silence foretold and silence that came",
        xlim=(-2, 102),
        ylim=(-2, 102),
    )
    ax.legend(title="", loc="upper left", frameon=False)
    sns.despine(ax=ax)
    return ax


def rhythm_map(table: pd.DataFrame, unit: Unit, ax: Axes | None = None) -> Axes:
    """Draw each account's recent interval against its earlier one, those that have slowed marked.

    Parameters
    ----------
    table : pandas.DataFrame
        ``RhythmChange.table``.
    unit : {"D", "W", "M", "Y"}
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns

    ax = _axes(ax, (5.6, 4.6))
    shown = table[table["p_value"].notna()]
    blue, orange = sns.color_palette("colorblind")[:2]
    for slowed, colour, marker, label in ((False, blue, "o", "no surer than chance"), (True, orange, "^", "slowed")):
        part = shown[shown["slowed"] == slowed]
        ax.plot(
            part["earlier_interval"], part["recent_interval"], marker, color=colour, markersize=4, alpha=0.6,
            label=f"{label} ({len(part):,})",
        )  # fmt: skip
    if len(shown):
        ends = shown[["earlier_interval", "recent_interval"]].to_numpy(float)
        span = [float(ends.min()) / 1.3, float(ends.max()) * 1.3]
        ax.plot(span, span, color="0.6", linewidth=1, linestyle="--", zorder=0)
        ax.set(xscale="log", yscale="log", xlim=span, ylim=span)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter("{x:g}")
    ax.legend(title="", loc="lower right", frameon=False)
    ax.set(
        xlabel=f"interval before, {unit_name(unit)}", ylabel=f"interval lately, {unit_name(unit)}",
        title=f"Rhythm of {len(shown):,} accounts",
    )  # fmt: skip
    sns.despine(ax=ax)
    return ax


def stability_bars(steps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how far accounts move when the model is fitted to other samples of them.

    Parameters
    ----------
    steps : pandas.DataFrame
        ``StageStability.steps``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import seaborn as sns

    ax = _axes(ax, (5.6, 3.4))
    blue = sns.color_palette("colorblind")[0]
    share = steps["share"].to_numpy(float) * 100
    error = np.abs(np.vstack([share - steps["least"] * 100, steps["most"] * 100 - share]))
    ax.bar([str(step) for step in steps.index], share, yerr=error, color=blue, ecolor="0.3", capsize=3)
    ax.set(xlabel="stages moved by a refit", ylabel="share of accounts, %", title="Stability of the stages")
    sns.despine(ax=ax)
    return ax
