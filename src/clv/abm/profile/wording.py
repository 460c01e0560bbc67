"""An ideal-customer profile in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd
from scipy.stats import norm

from clv.abm.profile.bands import told
from clv.abm.propensity.evidence import CONFIDENCE, FEWEST
from clv.abm.wording import accounts, listed, money

if TYPE_CHECKING:
    from clv.abm.propensity.win_propensity import WinPropensity

#: levels named on either side.
_MOST = 4


def profile_text(
    table: pd.DataFrame,
    profile: pd.DataFrame,
    model: WinPropensity | None,
    *,
    fewest: int,
    top: float,
    q: float,
    confidence: float,
    currency: str,
    unknown: int,
) -> str:
    """Write who is valuable, what distinguishes them, and what the fit is worth."""
    judged = table[table["judged"]]
    best = judged[judged["valuable"].astype(bool)]
    text = f"{len(judged):,} of {accounts(len(table))} can be judged: they have {fewest} purchases or more."
    if unknown:
        text += f" {accounts(unknown)} with a value are not in the accounts table, so nothing is learnt from them."
    if best.empty:
        return f"{text} None of them brings more than it costs to serve, so there is no profile of valuable accounts."
    total = float(judged["net"].clip(lower=0).sum())
    text += (
        f" The best {len(best):,} of them count as valuable: each brings {money(float(best['net'].min()), currency)} or"
        f" more net of the cost to serve, together {float(best['net'].sum()) / total:.0%} of what all judged bring."
    )
    if len(best) < round(top * len(judged)):
        text += f" That is less than the {top:.0%} asked for: the others do not pay for their service."
    if len(best) == len(judged):
        return f"{text} All judged accounts are valuable, so nothing tells them apart."
    if model is None:
        return (
            f"{text} There are no firmographics to learn from: no account can be graded before it has shown its value."
        )
    return f"{text}\n\n{_levels(profile, q, confidence)}\n\n{_fit(table, model)}"


def _levels(profile: pd.DataFrame, q: float, confidence: float) -> str:
    out = profile[profile["q_value"] <= q]
    if out.empty:
        return (
            f"No level of any attribute stands out by more than chance explains ({len(profile):,} compared, false"
            f" discovery rate {q:.0%})."
        )
    parts = []
    for some, word in ((out[out["lift"] > 1], "more often"), (out[out["lift"] <= 1].iloc[::-1], "less often")):
        if len(some):
            named = [
                f"{told(str(row.attribute), str(row.level))} ({row.share:.0%} of {row.accounts:,}, {row.lift:.1f}"
                f" times the average, {row.lower:.1f} to {row.upper:.1f})"
                for row in some.head(_MOST).itertuples()
            ]
            parts.append(f"{word}: {listed(named)}")
    return (
        f"What distinguishes them ({confidence:.0%} intervals, drawn towards the average; false discovery {q:.0%}):"
        f" accounts became valuable {'; '.join(parts)}."
    )


def _fit(table: pd.DataFrame, model: WinPropensity) -> str:
    found = model.evidence
    if math.isnan(found.auc):
        return (
            f"At least {FEWEST} valuable and {FEWEST} other accounts that differ are needed to grade accounts;"
            f" there are {found.wins:,} and {found.rows - found.wins:,}, so no account gets a fit."
        )
    text = (
        f"On accounts held out, the fit puts a valuable account above another in {found.auc:.0%} of pairs"
        f" ({CONFIDENCE:.0%} interval {found.auc_lower:.0%} to {found.auc_upper:.0%}; 50% is a coin). "
    )
    if not found.ranks:
        if found.auc_lower <= 0.5:
            return text + "That is no better than chance, so no account gets a fit."
        return text + (
            f"Yet its probabilities are not clearly better than giving all the same one (log loss {found.log_loss:.3f}"
            f" against {found.base_log_loss:.3f}, lower by {found.gain:.3f} with a standard error of"
            f" {found.gain_error:.3f}; {norm.ppf(CONFIDENCE):.2f} standard errors are asked for), so no account gets a"
            " fit. More accounts with a history would settle it."
        )
    rest = table.loc[~table["judged"], "grade"].value_counts()
    grades = [f"{int(rest.get(name, 0)):,} {name}" for name in ("strong", "moderate", "weak")]
    return text + (
        f"Of {accounts(int((~table['judged']).sum()))} not judged, {listed(grades)} (fit above 80, 50 to 80, below 50:"
        " the share of judged accounts that fit less)."
    )
