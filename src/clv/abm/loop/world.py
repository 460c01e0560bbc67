"""A universe of known truth as a book in which one quarter after the other can be planned, lived through and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clv.abm.loop.records import WEEKS, Noise, Quarter, Records
from clv.abm.loop.shrinkage import Floats
from clv.data.simulate.truth import discounted_purchases
from clv.errors import SettingsError

if TYPE_CHECKING:
    from clv.data.settings import Tier
    from clv.data.simulate import Universe


@dataclass(frozen=True)
class World:
    """The customers of a universe at its end.

    Attributes
    ----------
    ids : numpy.ndarray of str, shape (N,)
    records : Records
        What is known of them on the first day.
    expected : numpy.ndarray, shape (N,)
        Margin of the first quarter as a planner forecasts it from that.
    noise : Noise
        How far such forecasts were off in the universe's last quarter.
    segment : numpy.ndarray of str, shape (N,)
    added : numpy.ndarray, shape (N, tiers)
        True expected margin that each tier adds in a quarter.
    """

    ids: NDArray[np.object_]
    records: Records
    expected: Floats
    noise: Noise
    segment: NDArray[np.object_]
    added: Floats
    alive: NDArray[np.bool_] = field(repr=False)
    rate: Floats = field(repr=False)
    dropout: Floats = field(repr=False)
    spend: Floats = field(repr=False)
    rate_factor: Floats = field(repr=False)
    dropout_factor: Floats = field(repr=False)
    margin: float
    shape: float

    @classmethod
    def of(cls, universe: Universe, tiers: Sequence[Tier], *, segment: str | None = "technology") -> World:
        """Read the truth of a universe; tiers must be those of its programme, by name."""
        parameters = universe.truth["parameters"].set_index("name")["value"]
        if int(parameters["regularity"]) != 1:
            raise SettingsError("the loop is simulated for buyers at random.", mend="Draw with regularity=1.")
        truth = universe.truth["tiers"]
        names = [tier.name for tier in tiers]
        unknown = sorted(set(names) - set(truth["tier"]))
        if unknown:
            raise SettingsError(
                f"the universe has no tier {unknown[0]!r}.", mend=f"It has {', '.join(dict.fromkeys(truth['tier']))}."
            )
        margin = float(parameters["margin"])
        records, _ = Records.of(universe, margin)
        earlier, came = Records.of(universe, margin, before=WEEKS)
        noise = Noise.of(earlier.forecast(), margin * came.to_numpy(float))
        ids = records.summary.index
        people = universe.truth["accounts"].set_index("account_id").loc[ids]
        if segment is not None and segment not in people:
            raise SettingsError(f"accounts have no {segment!r}.", mend="Use industry, region or technology.")
        wide = truth.pivot_table(index="account_id", columns="tier", values=["rate_factor", "dropout_factor"]).loc[ids]
        rate, dropout = people["rate"].to_numpy(float), people["dropout"].to_numpy(float)
        faster = np.column_stack([wide["rate_factor", name] for name in names])
        longer = np.column_stack([wide["dropout_factor", name] for name in names])
        base = discounted_purchases(rate, dropout, horizon=WEEKS)
        treated = discounted_purchases(rate[:, None] * faster, dropout[:, None] * longer, horizon=WEEKS)
        alive, spend = people["alive"].to_numpy(bool), people["spend"].to_numpy(float)
        added = margin * (spend * alive)[:, None] * (treated - base[:, None])
        label = people[segment].astype(str).to_numpy(object) if segment else np.full(len(people), "", dtype=object)
        return cls(
            ids.to_numpy(object), records, records.forecast(), noise, label, added, alive, rate, dropout, spend, faster,
            longer, margin, float(parameters["p"]),
        )  # fmt: skip

    def true_uplift(self, inside: NDArray[np.bool_] | None = None) -> Floats:
        """Return added over expected margin of each tier, shape (tiers,), of all accounts or some.

        Weighted with the square of what is expected, since large accounts are those that get a tier.
        """
        at = np.ones(len(self.ids), dtype=bool) if inside is None else inside
        weight = self.expected[at]
        return (self.added[at] * weight[:, None]).sum(axis=0) / float((weight**2).sum())

    def live(self, tier: NDArray[np.int64], rng: np.random.Generator) -> Quarter:
        """Let a quarter pass with each account in its tier (−1: none).

        Numbers are drawn for every account whatever its tier: with equal generators, an account that has the same tier
        under two plans buys the same (common random numbers).
        """
        rate, dropout = self.rate.copy(), self.dropout.copy()
        at = np.flatnonzero(tier >= 0)
        rate[at] *= self.rate_factor[at, tier[at]]
        dropout[at] *= self.dropout_factor[at, tier[at]]
        n = len(rate)
        count, sales, last = np.zeros(n, dtype=np.int64), np.zeros(n), np.zeros(n)
        buying, clock = self.alive.copy(), rng.standard_exponential(n) / rate
        while (buying := buying & (clock <= WEEKS)).any():
            order, leaves, wait = rng.standard_gamma(self.shape, n), rng.random(n), rng.standard_exponential(n)
            count += buying
            sales += np.where(buying, self.spend / self.shape * order, 0.0)
            last = np.where(buying, clock, last)
            buying = buying & (leaves >= dropout)
            clock = clock + wait / rate
        return Quarter(count, sales, last)
