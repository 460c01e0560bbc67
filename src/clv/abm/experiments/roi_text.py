"""What the money returned, in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from clv.abm.wording import accounts, money
from clv.result import signed

if TYPE_CHECKING:
    from clv.abm.experiments.incremental_roi import IncrementalROI


def share(x: float) -> str:
    """Write a return: +42 %, −8 %."""
    return signed(x, ",.0%")


def _range(row: Any) -> str:
    if row.interval == "bounded":
        return f"{share(row.lower)} to {share(row.upper)}"
    if row.interval == "outside":
        return "without bound: the cost can hardly be told from 0"
    return "any return at all: the cost cannot be told from 0"


def _said(row: Any, confidence: float, currency: str) -> str:
    who = "" if row.group == "all" else f"{row.group}: "
    if not math.isfinite(row.roi):
        return f"{who}no more was spent on the treated than on the controls, so that there is no return to speak of."
    verdict = "it paid" if row.lower > 0 else "it did not pay" if row.upper < 0 else "whether it paid cannot be told"
    if row.interval != "bounded":
        verdict = "whether it paid cannot be told"
    return (
        f"{who}{money(row.cost, currency)} brought {money(row.margin, currency)} of margin that would not have come"
        f" otherwise: a return of {share(row.roi)} ({confidence:.0%} interval {_range(row)}), {verdict};"
        f" margin exceeded cost in {row.p_positive:.0%} of bootstrap samples ({accounts(row.accounts)} against"
        f" {row.controls:,} controls)."
    )


def roi_text(roi: IncrementalROI) -> str:
    """Say the total first, then each group."""
    rows = list(roi.table.itertuples())
    rows = [rows[-1], *rows[:-1]]
    said = [_said(row, roi.confidence, roi.currency) for row in rows]
    parts = [said[0], " ".join(said[1:])] if len(said) > 1 else said
    broken = roi.checks[roi.checks["verdict"] != "fine"]
    notes = [*broken["says"], *(n[0].upper() + n[1:] + "." for n in roi.notes)]
    parts.append(
        "Evidence: randomised, compared with a control group. Sums of all treated accounts, not means of ratios."
    )
    if roi.window is not None:
        parts[-1] += f" Margin is counted over {roi.window:.0f} days after the start, and not discounted."
    if roi.shared:
        parts[-1] += f" {money(roi.shared, roi.currency)} of the cost is on no account and counts in the whole only."
    if notes:
        parts.append("Mind: " + " ".join(notes))
    return "\n\n".join(parts)
