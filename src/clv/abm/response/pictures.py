"""The pictures of response by spend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv.abm.pictures import _axes, _short, _unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.response.fit import AdbudgFit
    from clv.abm.response.spending import SpendPlan


def fitted_curve(fit: AdbudgFit, ax: Axes | None = None) -> Axes:
    """Draw observations, the curve, and its concave envelope where it differs."""
    import seaborn as sns

    ax = _axes(ax)
    colours = sns.color_palette("colorblind")
    seen = fit.observations
    size = 60 * np.sqrt(seen["weight"] / seen["weight"].max())
    ax.scatter(seen["spend"], seen["response"], s=size, color=colours[0], alpha=0.5, linewidth=0)
    line = np.linspace(0, float(seen["spend"].max()) * 1.1, 300)
    ax.plot(line, fit.curve(line), color=colours[1], label="fitted curve")
    if fit.curve.threshold > 0:
        ax.plot(line, fit.curve.envelope(line), color="0.5", linestyle=":", label="spread over fewer accounts")
        ax.legend(frameon=False, loc="best")
    ax.set(xlabel=f"spend{_unit(fit.currency)}", ylabel="response", title="Response to spend")
    ax.xaxis.set_major_formatter(_short)
    sns.despine(ax=ax)
    return ax


def flat_maximum(plan: SpendPlan, ax: Axes | None = None) -> Axes:
    """Draw the best net return against total spend, the plan, and where the return is within 1 % of the best."""
    import seaborn as sns

    ax = _axes(ax)
    colours = sns.color_palette("colorblind")
    line = plan.frontier
    ax.plot(line["spend"], line["objective"], color=colours[0], marker="o", markersize=3)
    flat = plan.flat
    ax.axvspan(flat.lower, flat.upper, color=colours[2], alpha=0.15, linewidth=0, label="within 1% of the best")
    spent = float(plan.table["spend"].sum())
    ax.plot([spent], [plan.objective], color=colours[1], marker="o", linestyle="", label="this plan")
    ax.set(
        xlabel=f"total spend{_unit(plan.currency)}",
        ylabel=f"net return{_unit(plan.currency)}",
        title="How much the total spend matters",
    )
    ax.xaxis.set_major_formatter(_short)
    ax.yaxis.set_major_formatter(_short)
    ax.legend(frameon=False, loc="best")
    sns.despine(ax=ax)
    return ax
