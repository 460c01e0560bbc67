"""What a quarter showed: margin of treated accounts against those held out, per unit of what was expected of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.loop.evidence import Measurement
from clv.abm.loop.shrinkage import Floats
from clv.errors import DataError

#: with fewer treated or held-out accounts nothing is measured; a segment needs so many to be measured by itself.
LEAST, LEAST_OF_SEGMENT = 3, 8
#: accounts that the dispersion of all tiers counts for beside a tier's own.
_STEADY = 40


def measure_tiers(
    outcomes: pd.DataFrame,
    *,
    experiment: str,
    period: str = "",
    start: str = "",
    end: str = "",
    control: str = "control",
    dispersion: float | None = None,
) -> list[Measurement]:
    """Measure the uplift of each tier on the scale on which the next allocation uses it.

    ``Σ wy / Σ wv`` of the treated less the same of the controls, y the margin that came and v the margin that the value
    model expected without a programme (the account's clv over the same window). Multiplied by a clv this is money,
    whatever bias the value model has. The weight is ``w = 1/(v + mean v)``, so that no giant decides alone: margins
    vary as v where orders are few, as v² where forecasts err, and w is in between.

    Parameters
    ----------
    outcomes : pandas.DataFrame
        account_id, tier, arm, margin, expected; segment, if segments are to be told apart; against (the tier of the
        controls; empty: none), if tiers were compared with one another; variance (of margin about expected), if the
        whole book shows it. Arms must have been drawn by lot.
    experiment, period, start, end : str
        See `Measurement`.
    control : str
    dispersion : float, optional
        Variance of an account's margin over the square of what was expected, as earlier periods showed it; None: as all
        tiers show it now. It steadies each tier's own.

    Returns
    -------
    list of Measurement
        One a tier (and tier it is compared with), or one a segment where every segment has 8 accounts in each arm.
        With fewer than 3 in an arm nothing is measured. With `variance` given, the error of even a pair is known, and
        every segment with an account in each arm is measured.

    Notes
    -----
    A ratio estimator (Cochran 1977, *Sampling Techniques*, section 6.3): randomised, so unbiased up to 1/n. Its
    standard error is that of the linearised estimate, with one dispersion for both arms of a tier, moderated by that of
    all tiers as if it came with 40 accounts (Smyth 2004, on moderated variances): where orders are few, a handful of
    accounts that happen to order nothing would seem precise, and low measurements would outweigh high ones. With
    `variance` the weight is ``v/variance`` (generalised least squares), and the error follows from it, moderated by
    the residuals likewise. It assumes that the uplift is the same share throughout a tier and segment.
    """
    for column in ("account_id", "tier", "arm", "margin", "expected"):
        if column not in outcomes.columns:
            raise DataError("there is no such column.", table="outcomes", column=column, mend="Add it.")
    values = outcomes[["margin", "expected"]].to_numpy(float)
    if "variance" in outcomes and not (outcomes["variance"] > 0).all():
        row = int(np.argmin((outcomes["variance"] > 0).to_numpy()))
        raise DataError("is not above 0.", table="outcomes", column="variance", row=row + 1, mend="Leave it out.")
    if not np.isfinite(values).all() or (values[:, 1] < 0).any():
        row = int(np.argmax(~np.isfinite(values).all(axis=1) | (values[:, 1] < 0)))
        raise DataError(
            f"account {outcomes['account_id'].iloc[row]!r} has margin {values[row, 0]}, expected {values[row, 1]}.",
            table="outcomes", row=row + 1, mend="Give what came, and what was expected of it: 0 or more.",
        )  # fmt: skip
    parts = [_Part.of(tier, against, mine, control) for (tier, against), mine in _comparisons(outcomes)]
    ready = [part for part in parts if part is not None]
    known = 1.0 if "variance" in outcomes else dispersion
    pooled = pooled_dispersion(outcomes, control=control) if known is None else known
    found = []
    for part in ready:
        square, weight, freedom = part.residuals()
        own = square / weight * len(part.y) / freedom if weight > 0 and freedom > 0 else pooled
        spread = (max(freedom, 0) * own + _STEADY * pooled) / (max(freedom, 0) + _STEADY)
        for k, name in enumerate(part.segments):
            one = part.uplift(part.code == k, spread)
            if one is not None:
                size = int((part.code == k).sum())
                found.append(
                    Measurement(part.tier, *one, experiment, name, period, start, end, size, part.against)
                )  # fmt: skip
    return found


def pooled_dispersion(outcomes: pd.DataFrame, *, control: str = "control") -> float:
    """Variance of a margin over the square of what was expected, over all tiers; 1 where nothing shows it."""
    parts = [_Part.of(tier, against, mine, control) for (tier, against), mine in _comparisons(outcomes)]
    sums = np.array([part.residuals() for part in parts if part is not None]).reshape(-1, 3).sum(axis=0)
    count = sum(len(part.y) for part in parts if part is not None)
    return float(sums[0] / sums[1] * count / sums[2]) if sums[1] > 0 and sums[2] > 0 and sums[0] > 0 else 1.0


def _comparisons(outcomes: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Tiers, what they are compared with, and their rows."""
    known = outcomes if "against" in outcomes else outcomes.assign(against="")
    names = sorted({(str(t), str(a)) for t, a in zip(known["tier"], known["against"], strict=True)})
    tier, against = known["tier"].astype(str), known["against"].astype(str)
    return [((t, a), known[(tier == t) & (against == a)]) for t, a in names]


@dataclass(frozen=True)
class _Part:
    """One comparison: margins and expectations, both weighted by w, arms and segments.

    An estimate is Σy/Σv; the error of y about v is `noise` in units of the dispersion.
    """

    tier: str
    against: str
    y: Floats
    v: Floats
    noise: Floats
    treated: NDArray[np.bool_]
    code: NDArray[np.int64]
    segments: list[str]

    @classmethod
    def of(cls, tier: object, against: object, mine: pd.DataFrame, control: str) -> _Part | None:
        """Weigh a comparison's accounts; None where there are too few, or nothing was expected of them."""
        treated = (mine["arm"] != control).to_numpy()
        y, v = mine["margin"].to_numpy(float), mine["expected"].to_numpy(float)
        given = "variance" in mine
        if min(treated.sum(), (~treated).sum()) < (1 if given else LEAST) or v.sum() <= 0:
            return None
        weight = v / mine["variance"].to_numpy(float) if given else 1 / (v + v.mean())
        y, v = weight * y, weight * v
        # Σ(wv)²: variance as v². Given: w²·variance = w·v.
        noise = v if given else v**2
        label = mine["segment"].astype(str).to_numpy() if "segment" in mine else np.full(len(mine), "")
        names, code = np.unique(label, return_inverse=True)
        counts = np.array([[np.sum((code == k) & (treated == t)) for t in (True, False)] for k in range(len(names))])
        if (counts < LEAST_OF_SEGMENT).any() and not given:
            names, code = np.array([""]), np.zeros(len(mine), dtype=np.int64)
        return cls(str(tier), str(against), y, v, noise, treated, code, [str(n) for n in names])

    def residuals(self) -> tuple[float, float, int]:
        """Sum of squares within arms and segments, that of their noise, and degrees of freedom."""
        square = weight = 0.0
        groups = 0
        for k in np.unique(self.code):
            for arm in (self.treated, ~self.treated):
                at = arm & (self.code == k)
                if self.v[at].sum() > 0:
                    ratio = self.y[at].sum() / self.v[at].sum()
                    square += float(((self.y[at] - self.v[at] * ratio) ** 2).sum())
                    weight += float(self.noise[at].sum())
                    groups += 1
        return square, weight, len(self.y) - groups

    def uplift(self, inside: NDArray[np.bool_], spread: float) -> tuple[float, float] | None:
        """Difference of the arms and its standard error; None where an arm is empty or nothing was expected of it."""
        arms = [inside & self.treated, inside & ~self.treated]
        expected = [float(self.v[arm].sum()) for arm in arms]
        if min(expected) <= 0:
            return None
        ratio = [float(self.y[arm].sum()) / e for arm, e in zip(arms, expected, strict=True)]
        variance = spread * sum(float(self.noise[arm].sum()) / e**2 for arm, e in zip(arms, expected, strict=True))
        return (ratio[0] - ratio[1], variance**0.5) if variance > 0 else None
