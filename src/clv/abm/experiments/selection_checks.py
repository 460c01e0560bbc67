"""How chosen accounts look better than they are: best accounts, regression to the mean, immortal time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.abm.experiments.arms import check_arms, need, numbers
from clv.abm.experiments.checks import check_table
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.observational import LABEL
from clv.abm.wording import money
from clv.errors import DataError
from clv.result import Result

#: standardised difference before the start from which the best were chosen.
BEST = 0.25
#: days between the start of counting and of treatment that are no accident.
IMMORTAL_DAYS = 7.0


@dataclass(frozen=True, eq=False)
class SelectionChecks(Result):
    """What the way of choosing does to a plain comparison.

    Attributes
    ----------
    table : pandas.DataFrame
        check (best accounts chosen, regression to the mean, immortal time), verdict (fine, mind or broken), says, bias
        (in the outcome's unit, NaN where unknown: best accounts, what the plain difference owes to them; regression,
        how the treated change by themselves from before to after, against the controls).
    naive : float
        The plain difference of the means, which is no effect.
    randomised : bool
    """

    naive: float
    randomised: bool = False


def selection_checks(
    data: pd.DataFrame,
    *,
    outcome: str = "margin",
    before: str | None = None,
    earlier: str | None = None,
    counted_from: str = "counted_from",
    start: str = "start",
    arm: str = "arm",
    control: str = "control",
    currency: str = "",
) -> SelectionChecks:
    """Check a comparison that nobody randomised for the three usual illusions.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account: arm, `outcome`, `before` (the same in the window before the choice; None:
        ``<outcome>_pre``), `earlier` (in the window before that, optional; empty for accounts that were no customers
        throughout it), `start` of the treatment and `counted_from` (first day that counts as under observation), both
        optional dates.

    Notes
    -----
    Best accounts: standardised difference before the start. Regression to the mean (Galton 1886; Barnett et al. 2005):
    accounts that were chosen for their last window fall back after it to what they had done before it, as the windows
    on either side of the one that chose them are alike; hence the last window is compared with the earlier one, changes
    of the controls taken off as a factor. Where the treated stood out in both windows alike, nothing tells whether they
    were chosen for these windows or for what they lastingly are: then only the most that luck can have made is said,
    from how windows of the controls predict the next. Immortal time: whoever is treated must have lasted until the
    start; counting from before it credits the programme with that (Suissa 2008).
    """
    arms = check_arms(data, arm=arm, control=control)
    name = before or f"{outcome}_pre"
    y, x = numbers(arms.frame, outcome), numbers(arms.frame, name)
    z = (arms.arm != arms.control).to_numpy()
    for column, values in ((outcome, y), (name, x)):
        for who, mine in (("treated accounts", z), ("controls", ~z)):
            if (~np.isnan(values[mine])).sum() < 2:
                raise DataError(
                    f"is known for fewer than two {who}.", table="experiment", column=column,
                    mend="Give what they made, 0 where they bought nothing.",
                )  # fmt: skip
    naive = float(np.nanmean(y[z]) - np.nanmean(y[~z]))
    sd = float(np.sqrt((np.nanvar(x[z], ddof=1) + np.nanvar(x[~z], ddof=1)) / 2))
    gap = float(np.nanmean(x[z]) - np.nanmean(x[~z]))
    rows: list[tuple[str, str, str, float]] = [_best(gap, sd, currency)]
    if earlier is not None:
        best = sd > 0 and abs(gap) / sd >= BEST
        rows.append(_regression(y, x, numbers(arms.frame, earlier), z, best, currency))
    rows.append(_immortal(arms.frame, z, counted_from, start))
    table = check_table([r[:3] for r in rows]).assign(bias=[r[3] for r in rows])
    bad = table[table["verdict"] != "fine"]
    head = (
        f"Not randomised: the treated made {money(naive, currency)} more than the controls, which is no effect."
        if naive >= 0
        else f"Not randomised: the treated made {money(-naive, currency)} less than the controls, which is no effect."
    )
    rest = " ".join(bad["says"]) if len(bad) else "None of the three usual illusions shows; others may be there."
    assert LABEL in head.lower()
    return SelectionChecks(table, f"{head}\n\n{rest}", naive)


def _best(gap: float, sd: float, currency: str) -> tuple[str, str, str, float]:
    d = gap / sd if sd > 0 else 0.0
    said = f"Before the start the treated made {money(gap, currency)} more than the controls ({d:+.2f} SD)"
    said = said.replace("-", "\N{MINUS SIGN}")
    if abs(d) >= BEST:
        which = "best" if d > 0 else "weakest"
        return (
            "best accounts chosen", "broken",
            f"{said}: the {which} accounts were chosen, and a plain comparison credits the programme with what they"
            " were before.", gap,
        )  # fmt: skip
    return ("best accounts chosen", "fine", f"{said}.", gap)


def _regression(
    y: Floats, x: Floats, w: Floats, z: np.ndarray, best: bool, currency: str
) -> tuple[str, str, str, float]:  # fmt: skip
    """How far the chosen stood out in the last window only, and so fall back by themselves."""
    name = "regression to the mean"
    both = ~np.isnan(x) & ~np.isnan(w)
    mine, pool = both & z, both & ~z
    if mine.sum() < 2 or pool.sum() < 3 or np.ptp(x[pool]) == 0 or np.ptp(w[pool]) == 0:
        return (name, "mind", "Too little is known of the windows before to say how far accounts fall back.", np.nan)
    # A season or growth moves large accounts by more money: the controls' change is taken off as a factor.
    money_made = x[pool].mean() > 0 and w[pool].mean() > 0
    factor = float(x[pool].mean() / w[pool].mean()) if money_made else 1.0
    shift = 0.0 if money_made else float(x[pool].mean() - w[pool].mean())
    scale = float(w[mine].mean() / w[pool].mean()) if money_made else 1.0
    own, rest = x[mine] - factor * w[mine], x[pool] - factor * w[pool]
    excess = float(own.mean()) - shift
    se = float(np.sqrt(own.var(ddof=1) / mine.sum() + scale**2 * rest.var(ddof=1) / pool.sum()))
    if se > 0 and abs(excess) > 2 * se:
        high, way = ("above", "fall back") if excess > 0 else ("below", "rise again")
        return (
            name, "broken",
            f"In the window before the choice the treated stood {money(abs(excess), currency)} {high} what they had"
            f" done in the one before it: of themselves they {way} by about as much, which is no effect.",
            -excess,
        )  # fmt: skip
    luck = _luck_at_most(y, x, w, mine, pool) if best else np.nan
    if luck * (x[mine].mean() - x[pool].mean()) > 0:
        return (
            name, "mind",
            "The treated stood out in both windows before the choice alike. If they were chosen for that, they fall"
            f" back by up to {money(abs(luck), currency)} of themselves; if for what they lastingly are, by nothing.",
            np.nan,
        )  # fmt: skip
    says = f"No sign that the last window was an unusual one for the treated ({mine.sum():,} of them known in both)."
    return (name, "fine", says, -excess)


def _luck_at_most(y: Floats, x: Floats, w: Floats, mine: np.ndarray, pool: np.ndarray) -> float:
    """How far the treated would fall back had nothing but the two windows chosen them."""
    pool = pool & ~np.isnan(y)
    if pool.sum() < 5:
        return np.nan
    past = np.column_stack([x - x[pool].mean(), w - w[pool].mean()])
    slopes = np.linalg.lstsq(past[pool], y[pool] - y[pool].mean(), rcond=None)[0]
    return float((past[mine, 0] - past[mine] @ slopes).mean())


def _immortal(frame: pd.DataFrame, z: np.ndarray, counted_from: str, start: str) -> tuple[str, str, str, float]:
    name = "immortal time"
    if start not in frame.columns:
        return (name, "mind", "No start is given, so that it cannot be said from when accounts are counted.", np.nan)
    need(frame, start)
    begin = pd.to_datetime(frame[start])
    if begin[z].isna().any():
        return (
            name,
            "broken",
            "Some treated accounts have no start: what was before it may be counted as effect.",
            np.nan,
        )
    if counted_from in frame.columns:
        waiting = ((begin - pd.to_datetime(frame[counted_from])) / pd.Timedelta(days=1))[z]
        days = float(waiting.clip(lower=0).mean())
        if days > IMMORTAL_DAYS:
            return (
                name, "broken",
                f"The treated are counted from {days:.0f} days before their treatment on average: they had to last"
                " until it, the controls had not. Count everybody from the same day, the treatment's.", np.nan,
            )  # fmt: skip
        return (name, "fine", "Everybody is counted from the start of the treatment.", np.nan)
    other = begin[~z]
    if other.isna().any() or abs((begin[z].mean() - other.mean()) / pd.Timedelta(days=1)) > IMMORTAL_DAYS:
        return (
            name, "broken",
            "Treated and controls are not counted from the same days: who lasts until a later start is a better account"
            " already. Give controls the starts of those with whom they are compared.", np.nan,
        )  # fmt: skip
    return (name, "fine", "Treated and controls are counted from the same days.", np.nan)
