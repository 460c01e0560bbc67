"""What experiments said about tiers: measured uplifts with their standard errors and where they are from."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.errors import DataError, SettingsError

if TYPE_CHECKING:
    from clv.abm.experiments.analysis import ExperimentAnalysis
    from clv.churn.plays.measured import MeasuredUplift

TABLE = "measurements"


def tuples(table: pd.DataFrame) -> list[Any]:
    """Return the rows of a table as named tuples, which the type checker cannot look into."""
    return list(table.itertuples())


@dataclass(frozen=True, order=True)
class Measurement:
    """One measured uplift of a tier.

    Attributes
    ----------
    tier : str
    uplift : float
        Relative increase of contribution margin, such as 0.08, against a randomised control.
    standard_error : float
    experiment : str
        Name of the experiment; the same experiment, tier, segment and period cannot be counted twice.
    segment : str
        Segment on which it was measured; empty: the whole tier.
    period : str
        When, such as ``2026Q1``; measurements of one tier and period share that period's deviation. Empty: a period
        of its own experiment.
    start, end : str
        First and last day, ISO; empty: not known.
    accounts : int
        Treated and controls together; 0: not known.
    against : str
        Tier that the others were in, where two tiers were compared: `uplift` is then the difference of theirs. Empty:
        they were in none.
    """

    tier: str
    uplift: float
    standard_error: float
    experiment: str
    segment: str = ""
    period: str = ""
    start: str = ""
    end: str = ""
    accounts: int = 0
    against: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.uplift) and math.isfinite(self.standard_error) and self.standard_error > 0):
            raise DataError(
                f"{self.experiment!r} has an uplift of {self.uplift} with a standard error of {self.standard_error}.",
                table=TABLE, column="standard_error", mend="Give a finite uplift and a standard error above 0.",
            )  # fmt: skip
        if not self.tier or not self.experiment:
            raise DataError("tier or experiment is empty.", table=TABLE, mend="Say what was measured, and where.")
        days = [_day(text, name) for name, text in (("start", self.start), ("end", self.end)) if text]
        if len(days) == 2 and days[1] < days[0]:
            raise DataError(f"{self.experiment!r} ends before it starts.", table=TABLE, column="end")

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What may be there once."""
        return self.experiment, self.tier, self.segment, self.period, self.against

    @property
    def when(self) -> str:
        """The period, or the experiment in its place."""
        return self.period or self.experiment

    @classmethod
    def of(cls, found: MeasuredUplift, *, tier: str, experiment: str, **known: Any) -> Measurement:
        """Take over what `clv.measured_uplift` found."""
        known.setdefault("accounts", len(found.accounts))
        return cls(tier, found.uplift, found.standard_error, experiment, **known)

    def record(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)


def tier_measurements(
    analysis: ExperimentAnalysis,
    *,
    experiment: str,
    tiers: Iterable[str],
    baseline: dict[str, float] | None = None,
    period: str = "",
    start: str = "",
    end: str = "",
) -> list[Measurement]:
    """Turn an analysis of an experiment into relative uplifts, one a tier.

    Parameters
    ----------
    analysis : ExperimentAnalysis
        Of `clv.analyse_experiment`: groups (``by="tier"``) or arms are the tiers; rows of anything else are left out.
    experiment : str
    tiers : iterable of str
    baseline : dict of str to float, optional
        Tier -> mean margin that the value model expected of its accounts without the programme, over the same window:
        ``effect / baseline`` is then the very number by which `tier_options` multiplies a value. If None, the mean of
        the controls, whose own error is added by the delta method (variances of accounts taken as equal in both arms).
    period, start, end : str

    Returns
    -------
    list of Measurement

    Raises
    ------
    DataError
        A check of the experiment is broken, no row is of a tier, or a baseline is not above 0.
    """
    if not analysis.sound:
        said = "; ".join(analysis.checks.loc[analysis.checks["verdict"] == "broken", "says"])
        raise DataError(
            f"{experiment!r} is not sound: {said}", table="experiment", mend="Do not learn from it; mend its cause.",
        )  # fmt: skip
    main = analysis.table[analysis.table["role"] == "main"]
    known, out = list(dict.fromkeys(tiers)), []
    for row in tuples(main):
        named = [name for name in (str(row.group), str(row.arm)) if name in known]
        if not named:
            continue
        base = float(row.mean_control if baseline is None else baseline.get(named[0], math.nan))
        if not base > 0:
            raise DataError(
                f"the margin expected of tier {named[0]!r} without the programme is {base}.",
                table="experiment", column="mean_control", mend="Measure longer, or give a baseline above 0.",
            )  # fmt: skip
        uplift, error = float(row.effect) / base, float(row.se) / base
        if baseline is None:
            # Var(m_t/m_c) = (v_t + (m_t/m_c)² v_c)/m_c², with v_c : v_t as 1/n_c : 1/n_t.
            share = row.accounts / (row.accounts + row.controls)
            error *= math.sqrt((1 - share) + (1 + uplift) ** 2 * share)
        size = int(row.accounts + row.controls)
        out.append(Measurement(named[0], uplift, error, experiment, "", period, start, end, size))
    if not out:
        raise DataError(
            "no row is of a tier of the study.", table="experiment", column="group",
            mend=f"Analyse with by='tier'; tiers are {', '.join(known)}.",
        )  # fmt: skip
    return out


def checked_evidence(
    measurements: Iterable[Measurement], tiers: tuple[str, ...], segments: tuple[str, ...]
) -> tuple[Measurement, ...]:
    """Sort measurements; refuse unknown tiers and segments, and anything counted twice."""
    found = sorted(measurements)
    seen: set[tuple[str, ...]] = set()
    whole: dict[tuple[str, ...], bool] = {}
    for one in found:
        others = ("", *(t for t in tiers if t != one.tier))
        for name, value, allowed in (
            ("tier", one.tier, tiers),
            ("segment", one.segment, ("", *segments)),
            ("against", one.against, others),
        ):
            if value not in allowed:
                raise DataError(
                    f"{value!r} of {one.experiment!r} is not known.", table=TABLE, column=name,
                    mend=f"Use one of {', '.join(a or 'empty (all)' for a in allowed)}.",
                )  # fmt: skip
        both = (one.experiment, one.tier, one.period, one.against)
        if one.key in seen or whole.setdefault(both, not one.segment) != (not one.segment):
            raise DataError(
                f"{one.experiment!r} is there twice for tier {one.tier!r}"
                f"{f', segment {one.segment!r}' if one.segment else ''}{f', {one.period}' if one.period else ''}.",
                table=TABLE, column="experiment",
                mend="Count a measurement once: either the whole tier, or its segments.",
            )  # fmt: skip
        seen.add(one.key)
    return tuple(found)


def evidence_table(measurements: Iterable[Measurement]) -> pd.DataFrame:
    """List measurements, one a row."""
    names = list(Measurement.__dataclass_fields__)
    table = pd.DataFrame([one.record() for one in measurements], columns=names)
    return table.astype({"uplift": float, "standard_error": float, "accounts": np.int64})


def _day(text: str, name: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as fault:
        raise SettingsError(f"{name} = {text!r} is no date.", mend="Write YYYY-MM-DD.") from fault
