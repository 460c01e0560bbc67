"""What a tier adds: an assumption that measurements correct, kept with where every number is from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.loop.evidence import Measurement, checked_evidence, evidence_table, tuples
from clv.abm.loop.shrinkage import Floats, Posterior, Scales, posterior
from clv.abm.wording import listed
from clv.errors import SettingsError
from clv.result import Result, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.data.settings import Tier


@dataclass(frozen=True, eq=False)
class Response(Result):
    """Uplift of each tier, by segment, before and after what was measured.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a cell: tier, segment (empty: the tier as a whole, and any segment that is not listed), assumed,
        prior_mean, prior_sd, prior_lower, prior_upper, mean, sd, lower, upper, learnt (share of the prior variance
        that measurements took away; of an effect now believed to be larger, in proportion to it), measurements (of the
        tier), evidence (assumed or measured).
    assumed : dict of str to float
        Tier -> the study's own assumption.
    segments : tuple of str
    scales : Scales
    measurements : tuple of Measurement
        All of them: the posterior is computed from all evidence each time, so that the order does not matter.
    version : int
        Number of updates; 0 is the assumption alone.
    confidence : float
    """

    assumed: dict[str, float]
    segments: tuple[str, ...]
    scales: Scales
    measurements: tuple[Measurement, ...]
    version: int
    confidence: float

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Tier and segment of each row."""
        return _cells(self.assumed, self.segments)

    @cached_property
    def posterior(self) -> Posterior:
        """The mixture behind the table."""
        return posterior(self.cells, self.assumed, self.scales, self.measurements)

    @property
    def evidence(self) -> pd.DataFrame:
        """The measurements, one a row."""
        return evidence_table(self.measurements)

    def cell(self, tier: Iterable[str], segment: Iterable[str] | None = None) -> np.ndarray:
        """Row of each tier and segment; −1 for a tier that is not known, the whole tier for an unlisted segment."""
        tier = np.asarray(list(tier), dtype=object)
        labels = np.full(len(tier), "", dtype=object) if segment is None else np.asarray(list(segment), dtype=object)
        t = pd.Index(list(self.assumed)).get_indexer(pd.Index(tier))
        s = pd.Index(["", *self.segments]).get_indexer(pd.Index(labels)).clip(min=0)
        return np.where(t < 0, -1, t * (1 + len(self.segments)) + s)

    def draw(self, draws: int, *, seed: int) -> Floats:
        """Joint draws of all cells' uplifts, shape (draws, cells)."""
        if draws < 1:
            raise SettingsError(f"draws = {draws}.", mend="Give 1 or more.")
        return self.posterior.draw(draws, np.random.default_rng(seed))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what was assumed, what was measured and what is believed now, tier by tier."""
        from clv.abm.loop.pictures import before_after

        return before_after(self, ax)


def response_prior(
    tiers: Sequence[Tier],
    *,
    segments: Iterable[str] = (),
    scales: Scales | None = None,
    confidence: float = 0.9,
) -> Response:
    """State what is believed of tiers before anything is measured: the study's assumptions, with doubt.

    Parameters
    ----------
    tiers : sequence of Tier
        Their `uplift` is the middle of the prior.
    segments : iterable of str
        Segments that may respond differently.
    scales : Scales, optional
        How much to doubt the assumptions; by default all of them may be off by a common factor of standard
        deviation 0.5, and each tier by another 20 % of its own.
    confidence : float
        Of the intervals.

    Returns
    -------
    Response
        Of version 0.
    """
    assumed = {tier.name: float(tier.uplift) for tier in tiers}
    names = tuple(dict.fromkeys(str(s) for s in segments))
    if not assumed or len(assumed) < len(tiers):
        raise SettingsError("at least one tier is needed, and names must differ.", mend="Check 'tiers' in study.yml.")
    if "" in names:
        raise SettingsError("a segment has an empty name.", mend="Name it; empty stands for the whole tier.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    scales = scales or Scales()
    for name, value in vars(scales).items():
        if not (np.isfinite(value) and value >= 0) or (name == "least" and value == 0):
            raise SettingsError(f"scales.{name} = {value!r}.", mend="Give a number of 0 or more.")
    return _response(assumed, names, scales, (), 0, confidence)


def update_response(response: Response, measurements: Iterable[Measurement]) -> Response:
    """Learn from measured effects.

    Parameters
    ----------
    response : Response
        What was believed so far, with all its evidence.
    measurements : iterable of Measurement
        New ones; each is counted once.

    Returns
    -------
    Response
        Of the next version.

    Raises
    ------
    DataError
        A tier or segment is not known, or a measurement is there already.

    Notes
    -----
    Normal given a common factor and the scales, which are integrated out (`clv.abm.loop.shrinkage`). It assumes that
    measurements are unbiased, that their errors are normal and independent of one another, and that tiers, segments and
    periods deviate exchangeably.
    A measurement of a whole tier says nothing of how its segments differ.
    """
    new = tuple(measurements)
    if not new:
        raise SettingsError("there is no measurement to learn from.", mend="Give at least one Measurement.")
    every = checked_evidence([*response.measurements, *new], tuple(response.assumed), response.segments)
    return _response(
        response.assumed, response.segments, response.scales, every, response.version + 1, response.confidence
    )


def learnt_from(
    tiers: Sequence[Tier],
    measurements: Iterable[Measurement],
    *,
    segments: Iterable[str] = (),
    scales: Scales | None = None,
    version: int = 1,
) -> Response:
    """State what is believed of tiers after all these measurements, as `update_response` time after time does."""
    prior = response_prior(tiers, segments=segments, scales=scales)
    every = checked_evidence(measurements, tuple(prior.assumed), prior.segments)
    if not every:
        return prior
    return _response(prior.assumed, prior.segments, prior.scales, every, version, prior.confidence)


def _cells(assumed: dict[str, float], segments: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(tier, segment) for tier in assumed for segment in ("", *segments)]


def _response(
    assumed: dict[str, float],
    segments: tuple[str, ...],
    scales: Scales,
    measurements: tuple[Measurement, ...],
    version: int,
    confidence: float,
) -> Response:
    cells = _cells(assumed, segments)
    before = posterior(cells, assumed, scales, ())
    after = posterior(cells, assumed, scales, measurements) if measurements else before
    table = pd.DataFrame(cells, columns=["tier", "segment"])
    table["assumed"] = [assumed[tier] for tier, _ in cells]
    for lead, of in (("prior_", before), ("", after)):
        table[f"{lead}mean"], table[f"{lead}sd"] = of.moments()
        for end, level in (("lower", (1 - confidence) / 2), ("upper", (1 + confidence) / 2)):
            table[f"{lead}{end}"] = of.quantile(level)
    # Doubt is in proportion: of an effect that shows to be twice as large, the same sd is half of the doubt.
    grown = (table["mean"] / table["prior_mean"].where(table["prior_mean"] > 0)).clip(lower=1.0).fillna(1.0)
    table["learnt"] = (1 - (table["sd"] / grown / table["prior_sd"].where(table["prior_sd"] > 0)) ** 2).fillna(0.0)
    count = pd.Series([t for m in measurements for t in (m.tier, m.against) if t], dtype=object).value_counts()
    table["measurements"] = [int(count.get(tier, 0)) for tier, _ in cells]
    table["evidence"] = np.where(table["measurements"] > 0, "measured", "assumed")
    draft = Response(table, "", assumed, segments, scales, measurements, version, confidence)
    made = replace(draft, text=_text(draft))
    made.__dict__["posterior"] = after
    return made


def _text(response: Response) -> str:
    whole = response.table[response.table["segment"] == ""]
    if not response.measurements:
        parts = [f"{row.tier} adds {_share(row.assumed)} ({_share(row.lower)} to {_share(row.upper)})"
                 for row in tuples(whole)]  # fmt: skip
        return f"Assumed, not measured: {listed(parts)} of an account's margin."
    said = []
    for row in tuples(whole):
        if row.evidence == "measured":
            times = f"{row.measurements} measurement{'s' if row.measurements > 1 else ''}"
            how = f"assumed {_share(row.assumed)}; {times} took away {max(0.0, row.learnt):.0%} of the doubt"
        else:
            how = f"assumed {_share(row.assumed)}; not measured, moved by what other tiers showed"
        said.append(f"{row.tier} adds {_share(row.mean)} ({_share(row.lower)} to {_share(row.upper)}; {how})")
    experiments = len({m.experiment for m in response.measurements})
    return (
        f"After {experiments} experiment{'s' if experiments > 1 else ''}: {'; '.join(said)}."
        f" Intervals hold {response.confidence:.0%}."
    )


def _share(uplift: float) -> str:
    return signed(uplift, ".1%")
