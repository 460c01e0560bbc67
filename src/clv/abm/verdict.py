"""The programme on one page: what was spent, what it returned against its controls, how sure, what to change next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.forecast.wording import chance, percent
from clv.abm.wording import accounts, listed, money, money_range
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.experiments.incremental_roi import IncrementalROI
    from clv.abm.loop.response import Response
    from clv.abm.unrandomised import UnrandomisedEvidence

#: chance that a tier pays, by what is believed now, from which it is gone on with; below the second it is cut.
GO_ON, CUT = 0.8, 0.5


@dataclass(frozen=True, eq=False)
class ProgrammeVerdict(Result):
    """What a programme returned, and what follows from it.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a tier and arm, and one for all: group, accounts, controls, cost, margin, roi, lower, upper, p_positive,
        verdict (paid, did not pay, not proven), assumed, believed (uplift before and after the measurement; empty for
        all), p_next (chance that the tier pays in the present plan; empty where it holds none), next (what to do).
    roi : IncrementalROI
    """

    roi: IncrementalROI

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the return of each tier with its interval."""
        from clv.abm.experiments.pictures import effects

        shown = self.table.assign(
            label=self.table["group"], effect=100 * self.table["roi"], lower=100 * self.table["lower"],
            upper=100 * self.table["upper"],
        )  # fmt: skip
        ax = effects(shown, f"Return on the programme's cost, {self.roi.confidence:.0%} interval", "%", ax)
        ax.set_xlabel("margin it brought less cost, % of cost")
        ax.xaxis.set_major_formatter("{x:,.0f}")
        return ax


def programme_verdict(
    roi: IncrementalROI,
    response: Response,
    *,
    spent: float | None = None,
    p_next: Mapping[str, float] | None = None,
    held_out: int = 0,
    sound: bool = True,
) -> ProgrammeVerdict:
    """Say of each tier whether it paid, and what to do with it next.

    Parameters
    ----------
    roi : IncrementalROI
        Of the programme, by tier; what is on none of its accounts lowers the return of the whole (``shared=`` there).
    response : Response
        What is believed of the tiers now.
    spent : float, optional
        What was spent on the treated accounts, for the words; None: the cost in `roi`, which lacks that of accounts
        with nobody to compare with and is net of what was spent on controls.
    p_next : mapping of str to float, optional
        Tier -> chance that it pays in the plan that comes next; None or empty: there is no plan yet.
    held_out : int
        Accounts that the next plan leaves out by lot.
    sound : bool
        No check of the comparison is broken.

    Returns
    -------
    ProgrammeVerdict

    Notes
    -----
    A tier paid where the whole interval of its return lies above 0, did not where all of it lies below. What is not
    proven is decided by what is believed now, which is the assumption corrected by the measurement: gone on with from
    a chance of `GO_ON` that it pays (but not enlarged where the estimate alone lies below 0), cut below `CUT`, else
    kept as it is. Each tier is judged alone: of forty tiers that just bring back their cost, luck calls one paid.
    """
    believed = response.table[response.table["segment"] == ""].set_index("tier")
    rows = [_row(row, believed, p_next or None, sound) for row in roi.table.to_dict("records")]
    table = pd.DataFrame(rows)
    return ProgrammeVerdict(table, _text(table, roi, spent, held_out, sound), roi)


@dataclass(frozen=True, eq=False)
class UnrandomisedVerdict(Result):
    """What is known of a programme that nobody randomised, and what follows from it.

    Attributes
    ----------
    table : pandas.DataFrame
        That of the evidence.
    evidence : UnrandomisedEvidence
    """

    evidence: UnrandomisedEvidence

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each method says, labelled as not randomised."""
        return self.evidence.plot(ax)


def unrandomised_verdict(
    evidence: UnrandomisedEvidence, *, spent: float | None = None, held_out: int = 0
) -> UnrandomisedVerdict:
    """Say what can and what cannot be said of a programme without a lot.

    Parameters
    ----------
    evidence : UnrandomisedEvidence
    spent : float, optional
        On the treated accounts; None: not known.
    held_out : int
        Accounts that the next plan leaves out by lot.

    Returns
    -------
    UnrandomisedVerdict
    """
    currency, good = evidence.currency, evidence.usable
    treated = int((evidence.data["arm"] == "treatment").sum())
    cost = "an amount that is not known" if spent is None else money(spent, currency)
    said = [f"Spent: {cost} on {accounts(treated)}. Returned: nobody drew lots, so that this cannot be measured."]
    if len(good):
        low, high = good["effect"].min(), good["effect"].max()
        point = money(low, currency) if len(good) == 1 else money_range(low, high, currency)
        said[0] += f" Not randomised, it looks like {point} of margin an account"
        roi = list(dict.fromkeys(percent(float(x)) for x in (good["roi"].min(), good["roi"].max()) if np.isfinite(x)))
        said[0] += f", a return of {' to '.join(roi)}." if roi else "."
    many = len(evidence.table)
    failed = many - len(good)
    how = f"{failed} of {many} methods fail their own checks or cannot be checked" if failed else "all methods pass"
    reach = f"; the others' 95% intervals reach from {money_range(good['lower'].min(), good['upper'].max())}"
    narrow = (evidence.selection.table["verdict"] == "broken").any() and len(good)
    more = ", and since the choice itself misleads here these are narrower than they should be" if narrow else ""
    said.append(
        f"How sure: not proven. {how[0].upper()}{how[1:]}{reach if len(good) else ''}{more}. Something unseen may have"
        " made both the choice and the outcome better."
    )
    step = "Next: nothing is learnt of the tiers from this; their uplifts stay what the study assumes."
    if held_out:
        step += f" Leave out the {accounts(held_out)} that the lot has drawn: then the next time can be told."
    else:
        step += " Let a lot leave some accounts out: then the next time can be told."
    said.append(step)
    return UnrandomisedVerdict(evidence.table, "\n\n".join(said), evidence)


def _row(
    row: Mapping[Any, Any], believed: pd.DataFrame, p_next: Mapping[str, float] | None, sound: bool
) -> dict[str, Any]:
    tier = str(row["group"])
    known = tier in believed.index
    bounded = row["interval"] == "bounded"
    paid = bounded and row["lower"] > 0
    lost = bounded and row["upper"] < 0
    p = p_next.get(tier, np.nan) if known and p_next is not None else np.nan
    step = _next(paid and sound, lost and sound, p, float(row["roi"]), planned=p_next is not None) if known else ""
    return {
        "group": tier, "arm": row["arm"], "accounts": row["accounts"], "controls": row["controls"],
        "cost": row["cost"], "margin": row["margin"], "roi": row["roi"],
        "lower": row["lower"] if bounded else np.nan, "upper": row["upper"] if bounded else np.nan,
        "p_positive": row["p_positive"],
        "verdict": "comparison broken" if not sound else "paid" if paid else "did not pay" if lost else "not proven",
        "assumed": float(believed["assumed"][tier]) if known else np.nan,
        "believed": float(believed["mean"][tier]) if known else np.nan,
        "p_next": p, "next": step,
    }  # fmt: skip


def _next(paid: bool, lost: bool, p: float, roi: float, *, planned: bool) -> str:
    if paid:
        return "keep, and widen where accounts are alike"
    if lost:
        return "stop, or make it much cheaper"
    if not planned:
        return "decide with the next plan, and measure again"
    if not np.isfinite(p):
        return "not in the next plan: no account pays for it"
    if p >= GO_ON and roi < 0:
        return "make it no larger, with a holdout: what was measured points down, only the assumption speaks for it"
    if p >= GO_ON:
        return "go on as planned, with a holdout, and measure again"
    if p < CUT:
        return "cut to what the next measurement needs"
    return "hold its size until the next measurement"


def _text(table: pd.DataFrame, roi: IncrementalROI, paid: float | None, held_out: int, sound: bool) -> str:
    whole, currency, hold = table.iloc[-1], roi.currency, f"{roi.confidence:.0%}"
    spent, brought = float(whole["cost"]) - roi.shared if paid is None else paid, float(whole["margin"])
    besides = f" and {money(roi.shared, currency)} on no account" if roi.shared else ""
    within = "" if roi.window is None else f" within {roi.window:.0f} days"
    said = [
        f"Spent: {money(spent, currency)} on {accounts(int(whole['accounts']))}{besides}. Returned{within}:"
        f" {money(brought, currency)} of margin more than their {int(whole['controls']):,} controls say would have come"
        f" anyway, {_return(whole)}."
    ]
    said.append(_sure(whole, hold, sound))
    tiers = table[table["group"] != "all"]
    if len(tiers) and sound:
        parts = [f"{row['group']} {percent(row['roi'])} ({row['verdict']})" if np.isfinite(row["roi"])
                 else f"{row['group']} (no more spent than on its controls)"
                 for row in tiers.to_dict("records")]  # fmt: skip
        said.append(f"By tier: {listed(parts)}.")
    todo: dict[str, list[str]] = {}
    for row in tiers.to_dict("records") if len(tiers) else table.to_dict("records"):
        if row["next"]:
            believed = f", now believed to add {percent(row['believed'])}" if np.isfinite(row["believed"]) else ""
            todo.setdefault(row["next"], []).append(f"{row['group']}{believed}")
    steps = [f"{what[0].upper()}{what[1:]}: {listed(who)}." for what, who in todo.items()]
    if held_out:
        steps.append(f"Leave out the {accounts(held_out)} that the lot has drawn: they are what next time is told by.")
    if steps:
        said.append("Next: " + " ".join(steps))
    return "\n\n".join(said)


def _return(row: pd.Series) -> str:
    if not np.isfinite(row["roi"]):
        return "but no more was spent on them than on the controls, so that there is no return to speak of"
    return f"a return of {percent(float(row['roi']))}"


def _sure(whole: pd.Series, hold: str, sound: bool) -> str:
    if not sound:
        return "How sure: not at all. A check of the comparison is broken; see below before anybody uses these numbers."
    if not np.isfinite(whole["lower"]):
        return "How sure: the interval of the return has no end; nothing can be said but the sums."
    ends = f"{percent(float(whole['lower']))} to {percent(float(whole['upper']))}"
    p = chance(float(whole["p_positive"]))
    verdict = {
        "paid": f"the whole {hold} interval ({ends}) lies above nought: it paid.",
        "did not pay": f"the whole {hold} interval ({ends}) lies below nought: it did not pay.",
    }.get(
        str(whole["verdict"]),
        f"not proven. The {hold} interval of the return is {ends}; it came out above nought in {p} of the resamples.",
    )
    return f"How sure: {verdict}"
