"""What a planned experiment can show, in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clv.abm.experiments.analysis_text import SHARES, each, named, quantity
from clv.abm.wording import accounts, listed

if TYPE_CHECKING:
    from clv.abm.experiments.design import ExperimentDesign


def design_text(design: ExperimentDesign) -> str:
    """Say the verdict first, then the arms, the duration and what would be needed."""
    plan, table = design.registration, design.table
    now = design.smallest[design.smallest["window"] == design.window]
    worst = now.iloc[int(now["simulated_relative"].to_numpy().argmax())]
    least = _effect(worst, plan.outcome, design.currency)
    times = f"{plan.power:.0%}"
    name = named(plan.outcome)
    if design.can_show is None:
        head = f"The smallest effect on {name} that this experiment would see {times} of the time is {least}."
    elif design.can_show:
        head = (
            f"An effect of {design.effect:+.0%} on {name} would be seen with a chance of {design.power_at_effect:.0%};"
            f" the smallest that is seen {times} of the time is {least}."
        )
    else:
        need = (
            f"It would take about {accounts(design.needed)} in the smaller arm instead of"
            f" {int(min(worst['accounts'], worst['controls'])):,}"
            if design.needed is not None
            else "No number of such accounts can be named"
        )
        head = (
            f"This experiment cannot show an effect of {design.effect:+.0%} on {name}: it would be seen with a chance"
            f" of {design.power_at_effect:.0%} only, and no result of it should be promised. The smallest effect that"
            f" is seen {times} of the time is {least}. {need}{_longer(design)}."
        )
    counts = table["arm"].value_counts().reindex(list(plan.arms))
    sizes = listed([f"{accounts(int(n))} in {arm}" for arm, n in counts.items()])
    blocks = table["block"].nunique()
    drawn = f"Drawn by lot (seed {plan.seed}): {sizes}"
    drawn += f", in {blocks:,} blocks" if blocks > 1 else ""
    if table["cluster"].nunique() < len(table):
        drawn += f"; {table['cluster'].nunique():,} groups were drawn as a whole"
    mean, spread = (quantity(worst[k], plan.outcome, design.currency) for k in ("mean", "sd"))
    about = (
        f" In the last {design.window:.0f} days these accounts made {mean} each on average, with a standard deviation"
        f" of {spread};"
        f" {worst['zeros']:.0%} made nothing, and the window before predicts it with a correlation of"
        f" {worst['correlation']:.2f}."
    ).replace("-", "\N{MINUS SIGN}")
    if plan.outcome in SHARES:
        about = (
            f" In the last {design.window:.0f} days {name} was {worst['mean']:.0%}, and the window before predicts it"
            f" with a correlation of {worst['correlation']:.2f}."
        ).replace("-", "\N{MINUS SIGN}")
    formula = quantity(worst["formula"], plan.outcome, design.currency)
    apart = (
        f" The textbook formula, which knows of no heavy tails, says {formula}."
        if math.isfinite(worst["simulated"]) else ""
    )  # fmt: skip
    lag = f" after {design.lag:.0f} days in which a sale takes its time" if design.lag else ""
    duration = f"It must run {design.duration:.0f} days: the outcome is counted over {design.window:.0f} days{lag}."
    if design.duration < 30:
        duration += " Nothing is worth measuring before a month."
    elif design.lag and design.window < design.lag:
        duration += " That is shorter than a sale takes; most of what a programme begins would not be counted."
    looks = (
        f" {plan.looks} looks are planned; each needs the wider limits of a sequential analysis."
        if plan.looks > 1
        else ""
    )
    return "\n\n".join([head, f"{drawn}.{about}{apart}", duration + looks])


def _effect(row, outcome: str, currency: str) -> str:  # type: ignore[no-untyped-def]
    if not math.isfinite(row["simulated_relative"]):
        return "larger than any that could be believed"
    return f"{row['simulated_relative']:+.0%}, or {quantity(row['simulated'], outcome, currency)}{each(outcome)}"


def _longer(design: ExperimentDesign) -> str:
    """Say what another window would do, where one was compared."""
    other = design.smallest[design.smallest["window"] != design.window]
    if other.empty:
        return ""
    worst = other.groupby("window")["simulated_relative"].max()
    least, best = float(worst.min()), float(worst.index[int(worst.to_numpy().argmin())])
    now = design.smallest.loc[design.smallest["window"] == design.window, "simulated_relative"].max()
    if not least < now:
        return ""
    return (
        f"; counting over {best:.0f} days would bring the smallest effect seen to {least:+.0%}"
        if math.isfinite(least) else ""
    )  # fmt: skip
