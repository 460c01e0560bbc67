"""What the looks at a running experiment say, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.abm.experiments.analysis_text import between, quantity

if TYPE_CHECKING:
    from clv.abm.experiments.sequential import Monitoring


def sequential_text(monitoring: Monitoring) -> str:
    """Say where the experiment stands, and whether it may be stopped."""
    last = monitoring.table.iloc[-1]
    name = monitoring.outcome.replace("_", " ")
    looks = len(monitoring.table)
    ends = between(last["lower"], last["upper"], monitoring.outcome, monitoring.currency)
    now = quantity(last["effect"], monitoring.outcome, monitoring.currency)
    said = (
        f"After {looks} look{'s' if looks > 1 else ''}, {last['time']:.0%} of the planned time, the effect on {name} is"
        f" {now} an account ({monitoring.confidence:.0%} interval {ends}, counting all looks)."
    )
    if monitoring.stopped is not None:
        first = monitoring.table.set_index("look").loc[monitoring.stopped]
        sign = "raised" if first["effect"] > 0 else "lowered"
        verdict = (
            f"The limit was crossed at the look {monitoring.stopped!r}: the treatment {sign} {name}, and the experiment"
            " may be stopped. An effect seen by stopping early tends to be overstated."
        )
    elif last["time"] < 1 - 1e-9:
        verdict = "No limit is crossed: go on. What one sees on the way is no result."
    else:
        verdict = "No limit was crossed up to the end: no effect can be told from chance."
    return f"{said} {verdict}"
